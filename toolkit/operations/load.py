"""`toolkit load-data`: write fixtures into a database."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.core.plan import SyncResult, TransferWarning, is_overtaken
from toolkit.core.problems import Problems
from toolkit.core.progress import Progress, Silent
from toolkit.core.tables import TableSpec, choose_tables, select_tables, usable_tables
from toolkit.errors import FixtureError
from toolkit.models.loader import load_metadata
from toolkit.operations import migrate, revisions, schema
from toolkit.operations.completion import Completion
from toolkit.operations.fixture_attachments import AttachmentMode, file_putting
from toolkit.operations.matching import matches
from toolkit.operations.transfer import Mode, Options, transfer
from toolkit.scratch import scratch_directory
from toolkit.stores.directories import directory_at
from toolkit.stores.fixtures import FixtureDirectory

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from toolkit.config import Config, Database, Store
    from toolkit.repositories.base import DatabaseConnection
    from toolkit.stores.spool import SpooledRows


def load_data(
    config: Config,
    target: str,
    tables: Sequence[str] = (),
    *,
    directory: Path | str | Store | None = None,
    exclude: Collection[str] = (),
    match: Mapping[str, Sequence[str]] | None = None,
    dry_run: bool = False,
    ignore_revision: bool = False,
    as_stored: bool = False,
    options: Options | None = None,
    attachments: AttachmentMode = AttachmentMode.PUT,
    progress: Progress | None = None,
) -> SyncResult:
    """Write the rows of fixture files, all in one verified transaction.

    Every file is read whole and checked before anything is written; those of tables to `exclude` are not looked at.
    `match` names, by table, the columns by which rows are recognised instead of the primary key. `options.mode` says
    what becomes of rows that are there already, `attachments` what becomes of the files that the rows point at, where
    the fixtures have them: they are looked at with the rows, and written before them. `as_stored` takes what is given
    for encrypted columns as it is, encrypted or not.

    Raises:
        ToolkitError: everything that can go wrong, with what to do next; the target is then as it was before. Of the
            files, some may be there already, each of them whole.
    """
    started = time.perf_counter()
    options, progress = options or Options(), progress or Silent()
    metadata = load_metadata(config.metadata, config.root)
    every = {spec.name: spec for spec in usable_tables(metadata)[0]}
    database = config.database(target)
    fixtures = FixtureDirectory(directory_at(config.fixtures if directory is None else directory), as_stored=as_stored)
    specs = _chosen(fixtures, metadata, tables, exclude)
    left = () if tables else _left_out(fixtures, metadata, progress)
    matched = matches(every, match or {})
    _require_revision(fixtures, database, config, ignore_revision)
    with scratch_directory() as folder, file_putting(config, fixtures, attachments, progress) as files:
        rows = _read(fixtures, specs, folder, progress)
        copied = files.check(rows, specs) if files else None
        blank = not dry_run and schema.lacks_schema(database, config, accept_missing=True)

        def completed(destination: DatabaseConnection | None) -> Completion:
            return Completion(
                every, dict(rows), _names(fixtures, specs), destination, matched, folder,
                replaces=options.mode is Mode.REPLACE, checked=blank and destination is not None,
            ).run()  # fmt: skip

        if blank:  # No schema is made for rows that cannot be loaded into it.
            completed(None)
        schema_from, results, warnings = transfer(completed, database, config, specs, dry_run=dry_run, options=options,
                                                  progress=progress, before_rows=files.put if files else None,
                                                  follows_target=True)
    verified = options.verify and not dry_run and not is_overtaken(warnings)
    elapsed = time.perf_counter() - started
    return SyncResult(fixtures.name, database.name, dry_run, schema_from is not None, verified, results, elapsed,
                      copied, (*left, *warnings), schema_from)  # fmt: skip


def _read(
    fixtures: FixtureDirectory, specs: Sequence[TableSpec], folder: Path, progress: Progress
) -> dict[str, SpooledRows]:
    """The rows of each table's file, kept in the folder.

    Raises:
        FixtureProblemsError: everything that is wrong in any of the files.
    """
    problems = Problems()
    rows = {spec.name: fixtures.read(spec, folder, problems, progress) for spec in specs}
    problems.raise_if_any()
    return rows


def _names(fixtures: FixtureDirectory, specs: Sequence[TableSpec]) -> dict[str, str]:
    """The name of each table's file, for messages."""
    return {spec.name: found[0] for spec in specs if (found := fixtures.file_of(spec.name))}


def _chosen(
    fixtures: FixtureDirectory,
    metadata: MetaData,
    tables: Sequence[str],
    exclude: Collection[str],
) -> tuple[TableSpec, ...]:
    """The tables that there is a file for; all of them must be there if they were named."""
    wanted = [table.fullname for table in choose_tables(metadata, tables, exclude)]
    if not fixtures.directory.exists:
        advice = "Name another with --dir, or dump into it first."
        raise FixtureError(fixtures.name, "there is no such directory", advice)
    present = [name for name in wanted if fixtures.file_of(name)]
    lacking = [name for name in wanted if name not in present]
    if lacking and (tables or not present):
        raise FixtureError(
            fixtures.name, f"there is no file for {', '.join(lacking) if tables else 'any table'}",
            "A table's file is <table>.json, .jsonl or .csv, plain or with .gz, .zst or .zip behind it.",
        )
    return select_tables(metadata, present)


def _left_out(fixtures: FixtureDirectory, metadata: MetaData, progress: Progress) -> tuple[TransferWarning, ...]:
    """The files that are not loaded though nobody said so; they are told at once."""
    found = tuple(fixtures.left_out(list(metadata.tables)))
    for each in found:
        progress.note(each.reason)
    return found


def _require_revision(fixtures: FixtureDirectory, database: Database, config: Config, ignore: bool) -> None:
    """Refuse fixtures that were dumped at another schema revision than the one they would be loaded at."""
    if ignore or not fixtures.manifest.tables or not revisions.has_history(config):
        return
    dumped, wanted = fixtures.manifest.revision, migrate.head_revision(config)
    if dumped is not None and dumped != wanted:
        raise FixtureError(
            fixtures.name,
            f"was dumped at schema revision {dumped}, but {database.name} is loaded at {wanted}",
            "Dump it again from a database at that revision, or pass --ignore-revision.",
        )
