"""One restore: what it was told, and the catalogue in which its plan stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from toolkit.core.parallel import Stop
from toolkit.errors import ToolkitError
from toolkit.operations.archive import targets
from toolkit.operations.archive.backends import Backends
from toolkit.operations.archive.repairing import Repairer
from toolkit.operations.archive.rows import Cell, cell_of, file_tables
from toolkit.operations.archive.targets import Targets
from toolkit.stores.safe_directory import SafeDirectory

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from toolkit.config import Database
    from toolkit.core.archive_manifest import Header
    from toolkit.core.progress import Progress
    from toolkit.core.tables import TableSpec
    from toolkit.operations.archive.outcomes import Finding
    from toolkit.operations.archive.restore_values import RestoreOptions
    from toolkit.operations.archive.sharing import Holder
    from toolkit.stores.archive import Archive
    from toolkit.stores.catalogue import Catalogue

SCHEMA = """
CREATE TABLE entry (id INTEGER PRIMARY KEY, tbl TEXT, col TEXT, key TEXT, idx INTEGER, line TEXT);
CREATE INDEX entry_row ON entry (tbl, col, key);
-- Rows as they are now, of those columns that the snapshot has.
CREATE TABLE cell (tbl TEXT, col TEXT, key TEXT, held TEXT, PRIMARY KEY (tbl, col, key)) WITHOUT ROWID;
-- Rows that are gone, but meet the condition by their keys.
CREATE TABLE gone (tbl TEXT, key TEXT, PRIMARY KEY (tbl, key)) WITHOUT ROWID;
CREATE TABLE repair (id INTEGER PRIMARY KEY, tbl TEXT, col TEXT, key TEXT, old TEXT, new TEXT);
"""
SCHEMA += targets.SCHEMA


@dataclass
class RestoreRun:
    """One restore of a snapshot. `database` is the one whose rows point at the files, with the models of its tables.

    `others` are the other databases of the configuration, whose rows may point at the same files.
    """

    archive: Archive
    header: Header
    options: RestoreOptions
    catalogue: Catalogue
    progress: Progress
    backends: Backends
    database: Database | None
    metadata: MetaData | None
    others: Sequence[Holder] = ()
    findings: list[Finding] = field(default_factory=list)
    filled: dict[str, int] = field(default_factory=dict)
    untold: dict[str, str] = field(default_factory=dict)
    is_mapped: bool = True
    stop: Stop = field(default_factory=Stop)
    specs: Mapping[str, TableSpec] = field(init=False)
    directory: SafeDirectory | None = field(init=False)
    repairer: Repairer = field(init=False)
    targets: Targets = field(init=False)

    def __post_init__(self) -> None:
        options = self.options
        self.specs = {} if self.metadata is None else {spec.name: spec for spec in file_tables(self.metadata)}
        self.directory = None if options.directory is None else SafeDirectory(options.directory)
        for key in options.backends.values():
            self.backends.get(key)
        self.repairer = Repairer(options.backend_of, options.overwrite, self.backends.archived, self._is_gone)
        self.targets = Targets(
            self.catalogue,
            self.backends,
            self.directory,
            self.repairer.place,
            options.jobs,
            self.progress,
            self.stop,
        )

    def cell(self, table: str, column: str, key: Mapping[str, Any], held: str | None) -> Cell:
        """A row's column of files, from the text that was read of it."""
        return cell_of(self.specs[table], column, key, held)

    @property
    def mapping(self) -> str:
        """The name of the file that says where in a directory each file of the snapshot is."""
        return f"{self.header.id}.jsonl"

    def _is_gone(self, backend: str, path: str) -> bool:
        """Whether there is no such file; of a store that cannot be asked, nobody knows."""
        try:
            return self.backends.get(backend).info(path) is None
        except ToolkitError:
            return False
