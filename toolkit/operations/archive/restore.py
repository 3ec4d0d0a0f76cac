"""`toolkit archive restore`: files back into the live store or a directory, and rows that lost them repaired."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from toolkit.core.archive_manifest import Address, Header
from toolkit.core.progress import Progress, Silent
from toolkit.engines import connect
from toolkit.errors import ConfigurationError
from toolkit.operations.archive.backends import DEFAULT_STORE, Backends, open_archive
from toolkit.operations.archive.outcomes import Finding, Outcome
from toolkit.operations.archive.restore_plan import RestorePlan
from toolkit.operations.archive.restore_run import SCHEMA, RestoreRun
from toolkit.operations.archive.restore_values import RestoreOptions, RestoreResult, RowRepair
from toolkit.operations.archive.restore_writing import REPAIRS, RestoreWriting
from toolkit.operations.archive.sharing import other_databases
from toolkit.operations.archive.targets import DONE, NEW, OTHER, SAME
from toolkit.operations.project import load_models
from toolkit.stores.catalogue import Catalogue

if TYPE_CHECKING:
    from toolkit.config import Config, Database
    from toolkit.stores.archive import Archive


def restore(
    config: Config,
    snapshot: str,
    *,
    store: str = DEFAULT_STORE,
    source: str | None = None,
    options: RestoreOptions | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> RestoreResult:
    """Bring the files of a snapshot back, each compared with its hash as it is written; then repair rows.

    `source` is the database whose rows point at the files; only a restore to a directory goes without. Rows that were
    deleted are not made again.

    Raises:
        UnknownNameError: no such snapshot or backend.
        SharedFilesError: others may need a file that is to be overwritten; nothing was written.
        ToolkitError: the archive or the database cannot be read.
    """
    started = time.perf_counter()
    options = options or RestoreOptions()
    if source is None and (options.directory is None or options.only):
        raise ConfigurationError("A restore needs the database whose rows point at the files.", "Name it with --from.")
    archive = open_archive(config, store)
    # Keys mean other rows in another database; after a migration to a new one, there is only the old one's snapshot.
    header = archive.find(snapshot) if source is None else _find(archive, snapshot, config.database(source))
    database = None if source is None else config.database(source)
    metadata = None if source is None else load_models(config.of(source))
    with Catalogue(SCHEMA) as catalogue:
        backends = Backends(config, store)
        others = () if database is None or metadata is None else other_databases(config, database, metadata)
        run = RestoreRun(
            archive, header, options, catalogue, progress or Silent(), backends, database, metadata, others
        )
        RestorePlan(run).make()
        if dry_run:
            return _result(run, None, started)
        writing = RestoreWriting(run)
        writing.write()
        return _result(run, writing.repaired, started)


def _find(archive: Archive, snapshot: str, database: Database) -> Header:
    with connect(database) as connection:
        return archive.find(snapshot, database.name, connection.identity())


def _result(run: RestoreRun, repaired: Sequence[RowRepair] | None, started: float) -> RestoreResult:
    """What the catalogue says now; without rows that were `repaired`, nothing was written, and it is what would be."""
    dry_run = repaired is None
    written = NEW if dry_run else DONE
    counts = {
        state: (number, int(size))
        for state, number, size in run.catalogue.all("SELECT state, count(*), total(size) FROM target GROUP BY state")
    }
    if repaired is None:
        planned = run.catalogue.stream(f"{REPAIRS} ORDER BY tbl, col, key", NEW, SAME)
        repaired = [RowRepair(table, column, json.loads(key), old, new) for table, column, key, old, new in planned]
    return RestoreResult(
        archive=run.archive.name,
        snapshot=run.header.id,
        database=run.header.database,
        scope=run.header.scope,
        target=run.options.target,
        dry_run=dry_run,
        files=sum(number for number, _ in counts.values()),
        written=counts.get(written, (0, 0))[0],
        written_bytes=counts.get(written, (0, 0))[1],
        same=counts.get(SAME, (0, 0))[0],
        other=counts.get(OTHER, (0, 0))[0],
        repairs=tuple(repaired),
        mapping=f"{run.directory.name}/{run.mapping}" if run.directory is not None and run.is_mapped else None,
        findings=(*run.findings, *_failed(run)),
        seconds=time.perf_counter() - started,
        filled=run.filled,
        requests=run.backends.requests(run.archive),
    )


def _failed(run: RestoreRun) -> Iterator[Finding]:
    for table, column, key, backend, path, size, sha, compressed, outcome, reason in run.catalogue.stream(
        "SELECT tbl, col, key, backend, path, target.size, sha, compressed, outcome, reason FROM target "
        "JOIN use ON use.target = target.id JOIN entry ON entry.id = use.entry "
        "WHERE outcome NOT NULL ORDER BY tbl, col, key, idx"
    ):
        yield Finding(
            Outcome(outcome),
            table,
            column,
            json.loads(key),
            backend or None,
            path,
            Address(sha, bool(compressed)).key,
            size,
            reason,
        )
