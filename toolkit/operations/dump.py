"""`toolkit dump-data`: write tables as fixtures."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.core.batches import BATCH_ROWS
from toolkit.core.fixture_manifest import Attachments, FixtureManifest
from toolkit.core.plan import FileCopy, TableDump, TransferWarning
from toolkit.core.progress import Progress, Silent
from toolkit.core.streams import read_ahead
from toolkit.core.tables import Conditions, TableSpec, narrowed, select_tables
from toolkit.errors import FixtureError, LockLostError
from toolkit.models.loader import load_metadata
from toolkit.operations.fixture_attachments import dump_files, merged
from toolkit.operations.revisions import current_revision
from toolkit.operations.unmodelled import unmodelled
from toolkit.operations.views import told_views
from toolkit.repositories import connect
from toolkit.repositories.base import check_schema
from toolkit.repositories.lossy import require_exact
from toolkit.stores.directories import Directory, directory_at
from toolkit.stores.fixture_files import Compression, FileForm, Format
from toolkit.stores.fixture_writer import FixtureWriter, complete, read_manifest

if TYPE_CHECKING:
    from toolkit.config import Config, Store
    from toolkit.repositories.base import DatabaseConnection


@dataclass(frozen=True, slots=True)
class DumpResult:
    """What a dump wrote, or (`dry_run`) would write."""

    source: str
    directory: str
    dry_run: bool
    revision: str | None
    tables: tuple[TableDump, ...]
    seconds: float
    attachments: FileCopy | None = None
    warnings: tuple[TransferWarning, ...] = ()


def dump_data(
    config: Config,
    source: str,
    tables: Sequence[str] = (),
    *,
    directory: Path | str | Store | None = None,
    form: FileForm | None = None,
    where: Conditions | None = None,
    exclude: Collection[str] = (),
    attachments: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> DumpResult:
    """Write each table as one file, all from one snapshot of the database; the old files stay until all are written.

    `where` holds, by table, a condition in the database's own SQL, or several that hold together. With `tables`, the
    files of other tables stay. With `attachments`, the files that the rows point at are kept beside them by their hash;
    without, those of an earlier dump stay.

    Raises:
        ToolkitError: everything that can go wrong, with what to do next; the old files are then as they were.
    """
    started = time.perf_counter()
    database = config.database(source)
    specs = narrowed(select_tables(load_metadata(config.metadata, config.root), tables, exclude), where or {})
    place = directory_at(config.fixtures if directory is None else directory)
    revision = current_revision(database, config)
    progress = progress or Silent()
    with connect(database) as origin:
        origin.hold(specs, progress)
        check_schema(origin, specs)
        require_exact(origin, specs)
        left = (*told_views(origin, specs, progress), *unmodelled(origin, config, specs, named=bool(tables)))
        run = _Dump(config, origin, specs, FixtureWriter(place, form or FileForm()), attachments, progress)
        if dry_run:
            dumped, files = run.counts(), run.files({}, dry_run=True)[0]
        else:
            with place.alone() as require_alone:
                dumped, files = run.write(revision, bool(tables or exclude), require_alone)
    elapsed = time.perf_counter() - started
    return DumpResult(database.name, place.name, dry_run, revision, dumped, elapsed, files, left)


@dataclass
class _Dump:
    """One dump, from an open database into a directory."""

    config: Config
    origin: DatabaseConnection
    specs: Sequence[TableSpec]
    writer: FixtureWriter
    attachments: bool
    progress: Progress

    def counts(self) -> tuple[TableDump, ...]:
        """The number of rows of each table."""
        return tuple(TableDump(spec.name, self.origin.repository(spec).count()) for spec in self.specs)

    def files(self, old: Attachments, *, dry_run: bool = False) -> tuple[FileCopy | None, Attachments]:
        """Keep the files that rows point at, if that was asked for; else those of the last dump stay."""
        if not self.attachments:
            return None, old
        return dump_files(
            self.config, self.origin, self.specs, self.writer, old, dry_run=dry_run, progress=self.progress
        )

    def write(
        self, revision: str | None, partly: bool, require_alone: Callable[[], None]
    ) -> tuple[tuple[TableDump, ...], FileCopy | None]:
        """Write the set; `partly`: the tables of the last one that are not of this stay."""
        complete(self.writer.directory)
        old = read_manifest(self.writer.directory) or FixtureManifest()
        if partly:
            _require_one_revision(self.writer.directory, old, revision)
        self.writer.clear()
        try:
            dumped = tuple(self._table(spec, require_alone) for spec in self.specs)
            copied, files = self.files(old.attachments)
            kept = merged(old.attachments, files) if partly else files
            require_alone()
            self.writer.finish(revision, old if partly else None, kept)
        except LockLostError:
            raise  # What is aside may be another's by now.
        except BaseException:
            self.writer.clear()
            raise
        return dumped, copied

    def _table(self, spec: TableSpec, require_alone: Callable[[], None]) -> TableDump:
        started = time.perf_counter()
        require_alone()
        self.progress.step(f"dump {spec.name}")
        with read_ahead(self.origin.repository(spec).read(BATCH_ROWS)) as batches:
            file = self.writer.write(spec, batches)
        return TableDump(spec.name, file.rows, file.file, file.bytes, file.sha256, time.perf_counter() - started)


def _require_one_revision(place: Directory, old: FixtureManifest, revision: str | None) -> None:
    """The tables of a directory, some of them written anew, are of one schema revision."""
    if old.tables and old.revision != revision:
        raise FixtureError(
            place.name,
            f"holds a dump at schema revision {old.revision or 'none'}, but the database is at {revision or 'none'}",
            "Dump all tables, or into another directory.",
        )


__all__ = ["Compression", "DumpResult", "FileForm", "Format", "dump_data"]
