"""The tables of the models in a database: made where there are none, refused where they are another revision's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import inspect

from toolkit.errors import SchemaMismatchError
from toolkit.models.loader import load_metadata
from toolkit.operations.migrations.alembic_session import alembic_session, require_one_database, scripts_of, transaction
from toolkit.operations.migrations.migrate import head_revision
from toolkit.operations.migrations.revisions import (
    has_history,
    is_bookkeeping,
    joined,
    mismatch,
    opened,
    reading,
    recorded_revision,
    version_table,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection, MetaData, Table

    from toolkit.config import Config, Database
    from toolkit.core.progress import Progress


def ensure_schema(
    database: Database, config: Config, progress: Progress | None = None, *, accept_missing: bool = False
) -> bool:
    """See to it that a database has the models' tables; whether they were made. Raises what `lacks_schema` does.

    Raises:
        MigrationError, StatementError: as from `upgrade`; also if the migrations do not make the models' tables.
    """
    if not lacks_schema(database, config, accept_missing=accept_missing):
        return False
    make_schema(database, config, progress)
    return True


def make_schema(database: Database, config: Config, progress: Progress | None = None) -> None:
    """Make the models' tables in a database that lacks all of them.

    Raises:
        MigrationError, StatementError: as from `ensure_schema`.
    """
    _make_tables(database, config, load_metadata(config.metadata, config.root), has_history(config), progress)


def schema_from(config: Config) -> str:
    """What `ensure_schema` would make the tables from, in words; nothing is run.

    Raises:
        MigrationError: from migrations that are none, have several heads, or are of several databases.
    """
    if not has_history(config):
        return "the models"
    require_one_database(config)
    head, migrations = head_revision(config), len(list(scripts_of(config).walk_revisions()))
    return f"{migrations} migration{'' if migrations == 1 else 's'} to revision {head}"


def lacks_schema(database: Database, config: Config, *, accept_missing: bool = False) -> bool:
    """Whether a database is without any of the models' tables, so that `ensure_schema` would make them.

    - Without any table (the tools' own do not count): the migrations would be run, or without a migrations
      directory the tables made from the models. If it was stamped, they would make none, and it is refused.
    - At the history's head: it is as it should be.
    - With tables but no record of a revision, as `create_all` leaves it, or without a migrations directory:
      it is accepted if all tables of the models are there. To compare their columns is the caller's, and with
      `accept_missing` also to look for the tables.

    Raises:
        RevisionMismatchError: it stands at another revision; names both, and the command to run.
        SchemaMismatchError: tables are missing, and so is a record from which an upgrade could go on.
        ConfigurationError: they would be made from models that the engine cannot have as they are.
        DatabaseUnavailableError, StatementError: from the engine.
    """
    with_history, metadata = has_history(config), load_metadata(config.metadata, config.root)
    found = _SchemaState.of(database, metadata, version_table(config))
    expected = joined(scripts_of(config).get_heads()) if with_history and found.is_versioned else None
    if found.is_empty:
        if expected is not None and found.revision == expected:
            raise SchemaMismatchError(
                [f"{database.name} records the revision {expected}, but has none of its tables"],
                f"If it is new, forget the record: toolkit database stamp-migration base --database {database.name}",
            )
        if not with_history:
            with opened(database, read_only=True) as engine, engine.connect() as connection:
                database.kind.require_makeable(database.name, connection, metadata)
        return True
    if with_history and found.is_versioned:
        if found.revision != expected:
            raise mismatch(database, found.revision, expected)
        return False
    if found.missing and not accept_missing:
        raise SchemaMismatchError(
            [f"{database.name} has no table {name}" for name in found.missing],
            f"Run: toolkit database upgrade --database {database.name}" if with_history else "Make these tables first.",
        )
    return False


def _make_tables(
    database: Database, config: Config, metadata: MetaData, has_history: bool, progress: Progress | None
) -> None:
    def require_tables(connection: Connection) -> None:
        missing = _missing_tables(connection, metadata)
        if missing:
            raise SchemaMismatchError(
                [f"the migrations in {config.migrations} make no table {name}" for name in missing],
                f"They belong to another schema than {config.metadata}, or one is to be made: "
                "toolkit database make-migrations. Nothing was changed.",
            )

    if has_history:
        require_one_database(config)
        with alembic_session(database, config, progress, before_commit=require_tables) as session:
            session.commands.upgrade()
    else:
        with transaction(database, config) as connection:
            metadata.create_all(connection)


@dataclass(frozen=True, slots=True)
class _SchemaState:
    """What `ensure_schema` has to know of a database."""

    is_empty: bool
    is_versioned: bool
    revision: str | None
    missing: tuple[str, ...]

    @classmethod
    def of(cls, database: Database, metadata: MetaData, versions: Table) -> _SchemaState:
        """Read it."""
        with reading(database) as connection:
            inspector = inspect(connection)
            names = set(inspector.get_table_names()) - {versions.name}
            missing = _missing_tables(connection, metadata)
            return cls(
                is_empty=all(is_bookkeeping(name) for name in names) and len(missing) == len(metadata.tables),
                is_versioned=inspector.has_table(versions.name, versions.schema),
                revision=recorded_revision(connection, versions),
                missing=missing,
            )


def _missing_tables(connection: Connection, metadata: MetaData) -> tuple[str, ...]:
    inspector, tables = inspect(connection), metadata.tables.values()
    # One look for each schema; only what that does not show, such as a view, is asked for by name.
    there = {schema: {*inspector.get_table_names(schema)} for schema in {each.schema for each in tables}}
    return tuple(
        each.fullname
        for each in tables
        if each.name not in there[each.schema] and not inspector.has_table(each.name, each.schema)
    )
