"""Files of a directory that are no fixtures, but look as if they were meant as a table's."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote

from toolkit.core.fixture_manifest import ATTACHMENTS, MANIFEST
from toolkit.core.plan import TransferWarning
from toolkit.stores.fixture_files import table_of

if TYPE_CHECKING:
    from toolkit.stores.directories import Directory

READ_FORMS = "<table>.json, .jsonl, .ndjson, .csv, .tsv, .yaml or .yml, plain or with .gz, .zst, .zip, .bz2 or .xz"
_KEPT_ASIDE = ("~", ".bak", ".orig", ".tmp", ".swp", ".py", ".pyc")
# What is before a name to put files in order, and the end of a plural.
_NUMBER, _PLURAL = re.compile(r"^\d+[\W_]*"), re.compile(r"s$")
# Each is a question to an object store.
_MOST_FOLDERS = 100


def near_files(directory: Directory, tables: Collection[str]) -> Iterator[TransferWarning]:
    """The files whose name is a table's, but whose form is not read; and fixtures that lie in a folder."""
    known = {_plain(table): table for table in tables}
    for name in sorted(directory.files()):
        # The manifest is read as what it is; a table of its name has a file of another.
        is_aside = name.startswith(".") or name.endswith(_KEPT_ASIDE) or name.lower() == MANIFEST
        if table_of(name) is None and not is_aside:
            stem = unquote(name.partition(".")[0])
            if (table := known.get(_plain(stem))) is not None:
                yield _left_out(table, name, f"its format is not supported; a file is {READ_FORMS}")
    for folder in sorted(directory.folders())[:_MOST_FOLDERS]:
        if folder.startswith(".") or folder == ATTACHMENTS.rstrip("/"):
            continue
        for name in sorted(directory.files(f"{folder}/")):
            found = table_of(name)
            if found is not None and (table := known.get(_plain(found[0]))) is not None:
                place = str(PurePosixPath(folder, name))
                yield _left_out(
                    table, place, "folders are not read; put it beside the others, or name its own by --dir"
                )


def _left_out(table: str, file: str, why: str) -> TransferWarning:
    return TransferWarning("file left out", table, f"{file} is left out: {why}.")


def _plain(name: str) -> str:
    return _PLURAL.sub("", _NUMBER.sub("", name.lower()))
