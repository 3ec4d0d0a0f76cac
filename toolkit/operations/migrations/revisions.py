"""Which revision a database stands at, and where the history ends, without Alembic, which takes longer to load."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import create_engine, inspect, select

from toolkit.engines import connect
from toolkit.errors import ConfigurationError, MigrationError, RevisionMismatchError
from toolkit.operations.project import Project

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import Connection, Engine, Table

    from toolkit.config import Config, Database
    from toolkit.engines.contract import Configured
    from toolkit.engines.contract import Connection as EngineConnection

# The tables in which Alembic, Advanced Alchemy and this package keep their own records.
BOOKKEEPING = ("toolkit_", "alembic_version")


def current_revision(database: Database, config: Config) -> str | None:
    """The revision that a database stands at (several are joined by a comma); None without a record or a history.

    Raises:
        DatabaseUnavailableError, StatementError: from the engine.
    """
    return revision_of(database, Project(config.of(database.name)))


def revision_of(database: Database, project: Project) -> str | None:
    """The same, of a project that is loaded already."""
    if not project.has_history:
        return None
    with reading(database) as connection:
        return recorded_revision(connection, project.version_table)


def head_of(project: Project) -> str:
    """The revision that an upgrade leads to.

    Raises:
        MigrationError: there is no history, it is empty, or it has several heads.
    """
    found, migrations = project.heads, project.config.migrations
    if len(found) == 1:
        return found[0]
    if not found:
        raise MigrationError(f"{migrations} holds no migrations.", "Make one: toolkit database make-migrations")
    raise MigrationError(
        f"The history has {len(found)} heads: {', '.join(sorted(found))}.",
        "Merge them: toolkit database merge-migrations",
    )


def recorded_revision(connection: Connection, table: Table) -> str | None:
    """The revision that a database records in the table of versions."""
    return kept_revision(connection, table) if inspect(connection).has_table(table.name, table.schema) else None


def kept_revision(connection: Connection, table: Table) -> str | None:
    """The same where the table of versions is known to be there."""
    return joined(connection.scalars(select(table.c.version_num)).all())


def joined(revisions: Sequence[str]) -> str | None:
    """Several revisions as one text; None without any."""
    return ", ".join(sorted(revisions)) or None


def is_bookkeeping(table_name: str) -> bool:
    """Whether a table belongs to the tools rather than to the models."""
    return table_name.startswith(BOOKKEEPING)


def exists(database: Database) -> bool:
    """Whether there is anything to read: to look, SQLite and DuckDB would make an empty file."""
    return not database.kind.is_missing(database)


@contextmanager
def opened(database: Database, *, read_only: bool = False) -> Iterator[Engine]:
    """An engine for the block; where there is nothing to read, an empty one in memory."""
    is_empty = read_only and not exists(database)
    engine = create_engine(database.url.set(database=":memory:")) if is_empty else database.unpooled_engine(read_only)
    database.kind.accept_types(engine)
    try:
        yield engine
    finally:
        engine.dispose()


def require_migratable(database: Database) -> None:
    """See that migrations can run on it.

    Raises:
        ConfigurationError: its engine has none.
    """
    if not database.kind.has_migrations:
        kind = database.kind
        raise ConfigurationError(
            f"{database.name} has no migrations, as it is of {kind.title}: {kind.lacks_migrations_for}.",
            "Its tables are made by a sync or a load, from the models or as the source has them.",
        )


def require_schemas(database: Database, tables: Iterable[Table]) -> None:
    """See that the engine has schemas, if tables lie in any but its own.

    Raises:
        ConfigurationError: it has none.
    """
    for table in tables:
        if table.schema not in (None, "main") and not database.kind.features.has_schemas:
            raise ConfigurationError(
                f"{table.fullname} cannot be made in {database.name}: {database.kind.title} has no schema "
                f"{table.schema!r}.",
                "Use PostgreSQL or DuckDB, leave the table out (--exclude), or give it no schema (in the models, or in "
                "env.py).",
            )


def mismatch(database: Configured, found: str | None, expected: str | None) -> RevisionMismatchError:
    """What to say of a database that stands at another revision than it should."""
    on = f"--database {database.name}"
    to = "heads " if "," in (expected or "") else ""
    advice = f"Run: toolkit database upgrade {to}{on}"
    if found is None and expected is not None:
        advice += f"; where its tables are there already: toolkit database stamp-migration REVISION {on}"
    return RevisionMismatchError(database.name, found, expected, advice)


def require_one_revision(source: EngineConnection, target: Database, project: Project) -> None:
    """Refuse to delete by a source of another schema revision, whose tables may mean something else.

    Raises:
        RevisionMismatchError: they are at two.
    """
    if not project.has_history:
        return
    with source.translated():
        found = recorded_revision(source.sqlalchemy, project.version_table)
    expected = None if found is None else revision_of(target, project)
    if expected is not None and found != expected:
        raise mismatch(source.database, found, expected)


@contextmanager
def reading(database: Database) -> Iterator[Connection]:
    """A connection to look at what is there."""
    with (
        connect(database, write=True).translated(),
        opened(database, read_only=True) as engine,
        engine.connect() as connection,
    ):
        yield connection
