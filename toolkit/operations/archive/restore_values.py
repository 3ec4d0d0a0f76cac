"""What a restore is told, and what it says that it did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

# At run time, too: `toolkit schema` reads what the results hold.
from toolkit.core.archive_manifest import Scope
from toolkit.operations.archive.backends import JOBS
from toolkit.operations.archive.outcomes import Finding

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.core.tables import Conditions


class RestoreOptions(Struct, frozen=True):
    """Where to, and what of it.

    Without `backend` and `directory`, every file goes where it was; `backend` is the key of a live store, or such a key
    for each backend that files were in (`""`: for all others). `only` has, by table, a condition in the database's own
    SQL, or several that hold together. `overwrite`: files with other content, and rows that point at other files that
    are there. `rowless`: also files whose rows are gone. `fill_from_older`:
    what the snapshot lacks, from those before it that have it.
    """

    backend: str | Mapping[str, str] | None = None
    directory: Path | None = None
    only: Conditions = field(default_factory=dict)
    overwrite: bool = False
    rowless: bool = False
    jobs: int = JOBS
    fill_from_older: bool = False

    @property
    def backends(self) -> Mapping[str, str]:
        """By backend that files were in, the one that they go to; "" stands for all others."""
        return self.backend if isinstance(self.backend, Mapping) else {"": self.backend} if self.backend else {}

    def backend_of(self, key: str) -> str:
        """Where files of a backend go."""
        return self.backends.get(key) or self.backends.get("") or key

    @property
    def target(self) -> str:
        """Where to, for a message."""
        shown = ", ".join(f"{key} to {to}" if key else to for key, to in self.backends.items())
        return shown or (str(self.directory) if self.directory else "where they were")


class RowRepair(Struct, frozen=True):
    """One row's column of files: what it held, and what it holds now (or would hold); as JSON text."""

    table: str
    column: str
    key: Mapping[str, Any]
    old: str | None
    new: str


class RestoreResult(Struct, frozen=True):
    """What was restored, or (`dry_run`) would be. Sizes are in bytes.

    `database` and `scope` say which rows the snapshot is of. `files` counts places, each once: `written`, there already
    with the `same` content, or left as they are because they have `other` content. `mapping` is the file that says
    where in a directory each file of the snapshot is. `filled`: how many files came from which other snapshots.
    `requests`: how often stores were asked, by kind.
    """

    archive: str
    snapshot: str
    database: str
    scope: Scope
    target: str
    dry_run: bool
    files: int
    written: int
    written_bytes: int
    same: int
    other: int
    repairs: tuple[RowRepair, ...]
    mapping: str | None
    findings: tuple[Finding, ...]
    seconds: float
    filled: Mapping[str, int] = field(default_factory=dict)
    requests: Mapping[str, int] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every file of the snapshot is where it should be."""
        return not self.findings
