"""Rows whose files are gone, found by asking the live stores for each file."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.engines import connect
from toolkit.engines.portable.connection import check_schema
from toolkit.operations.archive.collecting import Collector, State
from toolkit.operations.archive.outcomes import Finding, Outcome
from toolkit.operations.archive.rows import file_tables
from toolkit.operations.project import load_models

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from toolkit.config import Config, Database
    from toolkit.core.progress import Progress
    from toolkit.operations.archive.backends import Backends
    from toolkit.stores.archive import Archive
    from toolkit.stores.catalogue import Catalogue


def examine_rows(
    catalogue: Catalogue,
    archive: Archive,
    backends: Backends,
    database: Database,
    metadata: MetaData,
    jobs: int,
    progress: Progress,
) -> list[Finding]:
    """Every reference of a row that names no file that is there; the catalogue has the archive's objects already.

    Raises:
        ToolkitError: the database cannot be read.
    """
    now = dt.datetime.now(dt.UTC)
    collector = Collector(
        catalogue, archive, backends, older_than=None, rehash=True, plain_only=False, jobs=jobs, progress=progress
    )
    specs = file_tables(metadata)
    with connect(database) as connection:
        check_schema(connection, specs)
        malformed = collector.rows(connection, specs, now)
    collector.examine(now)
    return [*malformed, *failed(catalogue)]


def require_rows(config: Config, source: str) -> None:
    """See that a database has the tables that hold files.

    Raises:
        ToolkitError: it has not, or cannot be read.
    """
    with connect(config.database(source)) as connection:
        check_schema(connection, file_tables(load_models(config.of(source))))


def failed(catalogue: Catalogue) -> Iterator[Finding]:
    """The references whose files the catalogue says could not be had."""
    for table, column, key, backend, path, size, outcome, reason in catalogue.stream(
        "SELECT tbl, col, key, backend, path, size, outcome, reason FROM file JOIN live USING (backend, path) "
        "WHERE state = ? ORDER BY tbl, col, key, idx",
        State.FAILED,
    ):
        yield Finding(Outcome(outcome), table, column, json.loads(key), backend, path, size=size, reason=reason)
