"""`toolkit status`: what is configured, what is there, and what a command would find."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from toolkit.core.plan import TransferWarning
from toolkit.core.schema import TypesBy
from toolkit.core.tables import usable_tables
from toolkit.engines import connect
from toolkit.engines.portable.connection import require_columns
from toolkit.errors import ToolkitError
from toolkit.operations.discovery import discover
from toolkit.operations.last_syncs import LastSync, last_syncs
from toolkit.operations.migrations.revisions import joined, recorded_revision
from toolkit.operations.project import Project
from toolkit.operations.records import is_record
from toolkit.operations.unmodelled import unmodelled

if TYPE_CHECKING:
    from toolkit.config import Config, Database, Store
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Connection

# A server that does not answer is told of after so many seconds, not after the minutes that a system waits.
_CONNECT_SECONDS = 5


class State(StrEnum):
    """Whether a database can be worked on as it is; a schema at another revision, or none, is migrated first."""

    READY = "ready"
    OTHER_REVISION = "at another revision"
    OTHER_RECORD = "revision recorded elsewhere"
    LACKING = "lacks tables or columns"
    EMPTY = "has no tables yet"
    ABSENT = "not there yet"
    UNAVAILABLE = "not available"


class TableStatus(Struct, frozen=True):
    """A table of the models in one database; `rows` is None where it is not."""

    table: str
    rows: int | None


class DatabaseStatus(Struct, frozen=True):
    """A database as it was found. `problems` says what is wrong in words, `advice` what to do about it.

    `warnings` tell what it holds that no model knows.

    `place` is its file, the directory of the embedded server, or the URL of any other, without the password.
    """

    name: str
    engine: str
    place: str
    state: State
    revision: str | None = None
    tables: tuple[TableStatus, ...] = ()
    problems: tuple[str, ...] = ()
    advice: str = ""
    warnings: tuple[TransferWarning, ...] = ()

    @property
    def rows(self) -> int:
        """Of all tables together."""
        return sum(each.rows or 0 for each in self.tables)


class StoreStatus(Struct, frozen=True):
    """A store; `place` is its directory or its URL, `exists` None for a bucket, which is not asked."""

    name: str
    place: str
    exists: bool | None


class SchemaStatus(Struct, frozen=True):
    """Whose tables a database of an application has, where its databases have models of their own."""

    database: str
    metadata: str
    tables: tuple[str, ...]
    migrations: Path | None
    head: str | None
    refusals: tuple[str, ...] = ()


class Status(Struct, frozen=True):
    """All that commands run in this directory would work on.

    `head` is where the history of migrations ends. `refusals` say which tables of the models are left out, and why.
    `schemas` are the models and histories of the databases, where there are several.
    """

    root: Path
    metadata: str
    tables: tuple[str, ...]
    migrations: Path | None
    head: str | None
    fixtures: Path
    databases: tuple[DatabaseStatus, ...]
    stores: tuple[StoreStatus, ...]
    refusals: tuple[str, ...] = ()
    schemas: tuple[SchemaStatus, ...] = ()
    last_syncs: tuple[LastSync, ...] = ()
    hint: str = ""
    """Where no models are configured, what was found that has some."""


def status(config: Config, names: Sequence[str] = ()) -> Status:
    """Look at the databases (default: all that are configured) and the stores; nothing is written or made.

    An embedded PostgreSQL that was used before is started. What is wrong with a database is part of the result.

    Raises:
        ConfigurationError: the models cannot be loaded, or the history of migrations cannot be read.
        UnknownNameError: no such database.
    """
    databases = [config.database(name) for name in dict.fromkeys(names or config.databases)]
    general = _Schema.of(config)
    own = {name: _Schema.of(config.of(name)) for name in config.schemas} if len(config.schemas) > 1 else {}
    told = general.told("")
    return Status(
        config.root,
        told.metadata,
        told.tables,
        told.migrations,
        told.head,
        config.fixtures,
        tuple(_database(each, own.get(each.name, general)) for each in databases),
        tuple(_store(each) for each in config.stores.values()),
        told.refusals,
        tuple(each.told(name) for name, each in own.items()),
        last_syncs(config.root),
        "" if config.metadata else discover(config.root).advice,
    )


class _Schema(Struct, frozen=True):
    """Models, and where their history ends; without models a database is looked at by its own tables.

    A history of migrations says nothing of these.
    """

    project: Project
    specs: Sequence[TableSpec] | None = None
    refusals: Sequence[ToolkitError] = ()
    head: str | None = None

    @classmethod
    def of(cls, config: Config) -> _Schema:
        """Load them."""
        project = Project(config)
        if not config.metadata:
            return cls(project)
        head = joined(project.heads) if project.has_history else None
        return cls(project, *usable_tables(project.metadata), head)

    def told(self, database: str) -> SchemaStatus:
        """What is told of it."""
        config, has_history = self.project.config, self.specs is not None and self.project.has_history
        return SchemaStatus(
            database,
            config.metadata,
            tuple(spec.name for spec in self.specs or ()),
            config.migrations if has_history else None,
            self.head,
            tuple(f"{each.fact} {each.advice}" for each in self.refusals),
        )


def _database(database: Database, schema: _Schema) -> DatabaseStatus:
    if database.hindrance is not None:
        told = database.hindrance
        return DatabaseStatus(
            database.name, database.engine_name, "", State.UNAVAILABLE, problems=(told.fact,), advice=told.advice
        )
    folder = database.file if database.directory is None else database.directory.resolve()
    place = database.shown_url if folder is None else str(folder)
    found = DatabaseStatus(database.name, database.engine_name, place, State.ABSENT)
    if folder is not None and not folder.exists():
        return found
    try:
        if database.kind.is_missing(database):
            return found
        address = database.kind.answering_soon(database, _CONNECT_SECONDS)
        with connect(database.at(address)) as connection:
            if schema.specs is None:
                return _own_contents(found, connection)
            return _contents(found, connection, schema.project, schema.specs, schema.head)
    except ToolkitError as error:
        return replace(found, state=State.UNAVAILABLE, problems=(error.fact,), advice=error.advice)


def _own_contents(found: DatabaseStatus, connection: Connection) -> DatabaseStatus:
    """The tables that a database has, without migration tools' records."""
    metadata = connection.schema(TypesBy.DECLARATION).metadata
    specs, refusals = usable_tables(metadata)
    specs = tuple(spec for spec in specs if not is_record(spec.table.name, spec.column_names))
    rows = connection.counts(specs)
    tables = tuple(TableStatus(spec.name, rows.get(spec.name)) for spec in specs)
    problems = tuple(each.fact for each in refusals)
    return replace(found, tables=tables, problems=problems, state=State.READY if tables else State.EMPTY)


def _contents(
    found: DatabaseStatus,
    connection: Connection,
    project: Project,
    specs: Sequence[TableSpec],
    head: str | None,
) -> DatabaseStatus:
    connection.look_up(specs)
    there = [spec for spec in specs if connection.column_names(spec) is not None]
    rows = connection.counts(there)
    tables = tuple(TableStatus(spec.name, rows.get(spec.name)) for spec in specs)
    with connection.translated():
        revision = recorded_revision(connection.sqlalchemy, project.version_table)
    left = unmodelled(connection, project, specs)
    found = replace(found, tables=tables, revision=revision, warnings=left)
    upgrade = f"Run: toolkit database upgrade --database {found.name}"
    if not there:
        return replace(found, state=State.EMPTY)
    if head is not None and revision is not None and revision != head:
        problem = f"{found.name} is at revision {revision}, the history ends at {head}."
        return replace(found, state=State.OTHER_REVISION, problems=(problem,), advice=upgrade)
    problems = require_columns(connection, specs)
    if problems:
        return replace(found, state=State.LACKING, problems=tuple(problems), advice=upgrade)
    return replace(found, state=State.OTHER_RECORD if any(each.is_of_record for each in left) else State.READY)


def _store(store: Store) -> StoreStatus:
    directory = store.directory
    if directory is None:
        return StoreStatus(store.name, store.shown_url, None)
    return StoreStatus(store.name, str(directory), directory.is_dir())
