"""`toolkit dump-data`: write tables as fixtures."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.core.fixture_manifest import FixtureManifest
from toolkit.core.plan import TableDump
from toolkit.core.progress import Progress, Silent
from toolkit.core.streams import read_ahead
from toolkit.core.tables import TableSpec, narrowed, select_tables
from toolkit.errors import FixtureError
from toolkit.models.loader import load_metadata
from toolkit.operations import migrate
from toolkit.repositories import connect
from toolkit.repositories.base import BATCH_ROWS, check_schema
from toolkit.stores.directories import Directory, directory_at
from toolkit.stores.fixture_files import Compression, FileForm, Format
from toolkit.stores.fixture_writer import FixtureWriter, complete, read_manifest

if TYPE_CHECKING:
    from toolkit.config import Config
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


def dump_data(
    config: Config,
    source: str,
    tables: Sequence[str] = (),
    *,
    directory: Path | str | None = None,
    form: FileForm | None = None,
    where: Mapping[str, str] | None = None,
    exclude: Collection[str] = (),
    dry_run: bool = False,
    progress: Progress | None = None,
) -> DumpResult:
    """Write each table as one file, all from one snapshot of the database; the old files stay until all are written.

    `where` holds, by table, a condition in the database's own SQL. With `tables`, the files of other tables stay.

    Raises:
        ToolkitError: everything that can go wrong, with what to do next; the old files are then as they were.
    """
    started = time.perf_counter()
    database = config.database(source)
    specs = narrowed(select_tables(load_metadata(config.metadata, config.root), tables), where or {}, exclude)
    place = directory_at(config.fixtures if directory is None else directory)
    revision = migrate.current_revision(database, config) if migrate.has_history(config) else None
    with connect(database) as origin:
        origin.hold(specs)
        check_schema(origin, specs)
        if dry_run:
            counts = tuple(TableDump(spec.name, origin.repository(spec).count()) for spec in specs)
            return DumpResult(database.name, place.name, True, revision, counts, time.perf_counter() - started)
        with place.alone():
            others = _others(place, revision, tables or exclude)
            writer = FixtureWriter(place, form or FileForm())
            dumped = _write(origin, specs, writer, revision, others, progress or Silent())
    return DumpResult(database.name, place.name, False, revision, dumped, time.perf_counter() - started)


def _others(place: Directory, revision: str | None, partly: Collection[str]) -> FixtureManifest | None:
    """The old set, when only some of its tables are written anew."""
    complete(place)
    old = read_manifest(place)
    if not partly or old is None:
        return None
    if old.tables and old.revision != revision:
        raise FixtureError(
            place.name,
            f"holds a dump at schema revision {old.revision or 'none'}, but the database is at {revision or 'none'}",
            "Dump all tables, or into another directory.",
        )
    return old


def _write(
    origin: DatabaseConnection,
    specs: Sequence[TableSpec],
    writer: FixtureWriter,
    revision: str | None,
    others: FixtureManifest | None,
    progress: Progress,
) -> tuple[TableDump, ...]:
    writer.clear()
    try:
        dumped = tuple(_write_table(origin, spec, writer, progress) for spec in specs)
        writer.finish(revision, others)
    except BaseException:
        writer.clear()
        raise
    return dumped


def _write_table(origin: DatabaseConnection, spec: TableSpec, writer: FixtureWriter, progress: Progress) -> TableDump:
    started = time.perf_counter()
    progress.step(f"dump {spec.name}")
    with read_ahead(origin.repository(spec).read(BATCH_ROWS)) as batches:
        file = writer.write(spec, batches)
    seconds = time.perf_counter() - started
    return TableDump(spec.name, file.rows, file.file, file.bytes, file.sha256, seconds)


__all__ = ["Compression", "DumpResult", "FileForm", "Format", "dump_data"]
