"""What a snapshot says of each file: the row that points at it, its content, and what the live store said of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from toolkit.core.archive_manifest import FileEntry
from toolkit.core.file_properties import Properties, decode_properties
from toolkit.operations.archive.rows import properties_before

if TYPE_CHECKING:
    from toolkit.stores.catalogue import Catalogue


def archived_entries(catalogue: Catalogue, states: Sequence[str]) -> Iterator[FileEntry]:
    """The files of a push's catalogue that are in these states, by row."""
    marks = ", ".join("?" for _ in states)
    for row in catalogue.stream(
        "SELECT tbl, col, key, idx, home_backend, home_path, content_type, size, sha, stored, modified, etag, "
        "metadata, reference, properties FROM file JOIN live USING (backend, path) "
        f"LEFT JOIN kept USING (backend, path) WHERE state IN ({marks}) ORDER BY tbl, col, key, idx",
        *states,
    ):
        yield _entry(row)


def _entry(row: tuple[Any, ...]) -> FileEntry:
    table, column, key, index, backend, path, content_type, size, sha, stored, modified, etag, *texts = row
    metadata, reference, properties = texts
    return FileEntry(
        table=table,
        column=column,
        key=json.loads(key),
        index=index,
        backend=backend,
        path=path,
        name=path.rstrip("/").rpartition("/")[2],
        content_type=content_type,
        size=size,
        sha256=sha,
        stored=stored,
        modified=modified,
        etag=etag,
        metadata=msgspec.Raw(metadata.encode()),
        reference=msgspec.Raw(reference.encode()),
        properties=_properties(properties, metadata),
    )


def _properties(kept: str | None, metadata: str) -> Properties | None:
    """What the live store keeps with a file, or kept with one that was moved."""
    return properties_before(msgspec.Raw(metadata.encode())) if kept is None else decode_properties(kept)
