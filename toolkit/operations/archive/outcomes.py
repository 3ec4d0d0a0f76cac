"""What an archive's verbs found of files that is not as it should be."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct, field


class Outcome(StrEnum):
    """What became of a file, or of an object; each has one name wherever it is told."""

    OK = "ok"
    MISSING = "missing"
    CORRUPT = "corrupt"
    SIZE_DIFFERS = "size differs"
    CHECKSUM_DIFFERS = "checksum differs"
    ORPHAN = "orphan object"
    DANGLING = "dangling row"
    UNREADABLE = "unreadable"
    MALFORMED = "malformed reference"
    CHANGING = "changes while it is read"
    ROW_CHANGED = "row changed meanwhile"
    ROW_GONE = "row gone"
    ELSEWHERE = "row points elsewhere"
    KEPT = "other content kept"
    COLLIDES = "place of several files"
    UNWRITABLE = "unwritable"
    LACKING = "not in the snapshot"
    ERASED = "erased"
    SHARED = "content of another row, too"
    DAMAGED_MANIFEST = "damaged manifest"
    UNRECOGNISED = "unrecognised object"


class Finding(Struct, frozen=True):
    """One thing worth telling. `table`, `column` and `key` name the row, if there is one; `object` the archive's."""

    outcome: Outcome
    table: str | None = None
    column: str | None = None
    key: Mapping[str, Any] = field(default_factory=dict)
    backend: str | None = None
    path: str | None = None
    object: str | None = None
    size: int | None = None
    reason: str | None = None

    @property
    def place(self) -> str:
        """Where, for a message."""
        row = f"{self.table}.{self.column} {', '.join(f'{name}={value}' for name, value in self.key.items())}"
        file = ":".join(part for part in (self.backend, None if self.path is None else repr(self.path)) if part)
        return " ".join(part for part in (row if self.table else "", file, self.object or "") if part)
