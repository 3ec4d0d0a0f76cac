"""Live files compared with what their rows say of them: size, and checksum where there is one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.core.checksums import Checksum, parse_checksum
from toolkit.operations.archive.collecting import State

if TYPE_CHECKING:
    from toolkit.stores.catalogue import Catalogue

DIFFERS = f"(said_size <> size OR differs NOT NULL) AND state IN ('{State.READ}', '{State.UNCHANGED}', '{State.SENT}')"
"""Which references of a push are to files that are not what their rows say."""


def wanted_digests(catalogue: Catalogue, backend: str, path: str) -> set[str]:
    """The algorithms by which rows know a live file; its SHA-256 is known anyway."""
    return {checksum.algorithm for checksum in _checksums(catalogue, backend, path)} - {"sha256"}


def note_checksums(catalogue: Catalogue) -> None:
    """Note, for each reference with a checksum, whether the file that was read has another one."""
    rows = catalogue.pages(
        "SELECT file.id, checksum, sha, digests FROM file JOIN live USING (backend, path) WHERE checksum NOT NULL "
        "AND sha NOT NULL AND file.id > ? ORDER BY file.id"
    )
    for number, text, sha, digests in rows:
        said = parse_checksum(text)
        found = None if said is None else (json.loads(digests or "{}") | {"sha256": sha}).get(said.algorithm)
        if said is not None and found is not None and found != said.hexadecimal:
            reason = f"{said.algorithm} {found}, but the row says {said.hexadecimal}"
            catalogue.run("UPDATE file SET differs = ? WHERE id = ?", reason, number)


def _checksums(catalogue: Catalogue, backend: str, path: str) -> Iterator[Checksum]:
    for (text,) in catalogue.all(
        "SELECT DISTINCT checksum FROM file WHERE backend = ? AND path = ? AND checksum NOT NULL", backend, path
    ):
        found = parse_checksum(text)
        if found is not None:
            yield found
