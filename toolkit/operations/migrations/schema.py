"""The tables of the models in a database: made where there are none, refused where they are another revision's."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec import Struct
from sqlalchemy import inspect

from toolkit.compute.scratch import scratch_directory
from toolkit.errors import SchemaMismatchError
from toolkit.operations.migrations.revisions import (
    head_of,
    is_bookkeeping,
    joined,
    kept_revision,
    mismatch,
    reading,
    require_schemas,
)
from toolkit.operations.project import Project

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from sqlalchemy import Connection, Inspector, MetaData, Table

    from toolkit.config import Config, Database
    from toolkit.core.progress import Progress
    from toolkit.engines.contract import Connection as Writing


def ensure_schema(
    database: Database, config: Config, progress: Progress | None = None, *, accept_missing: bool = False
) -> bool:
    """See to it that a database has the models' tables; whether they were made. Raises what `lacks_schema` does.

    Raises:
        MigrationError, StatementError: as from `upgrade`; also if the migrations do not make the models' tables.
    """
    project = Project(config.of(database.name))
    with reading(database) as connection:
        lacks = lacks_schema(connection, database, project, accept_missing=accept_missing)
    if lacks:
        make_schema(database, project, progress)
    return lacks


def lacks_schema(connection: Connection, database: Database, project: Project, *, accept_missing: bool = False) -> bool:
    """Whether a database is without any of the models' tables, so that `make_schema` would make them.

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
    with_history, found = project.has_history, _SchemaState.of(connection, project)
    expected = joined(project.heads) if with_history and found.is_versioned else None
    if found.is_empty:
        if expected is not None and found.revision == expected:
            raise SchemaMismatchError(
                [f"{database.name} records the revision {expected}, but has none of its tables"],
                f"If it is new, forget the record: toolkit database stamp-migration base --database {database.name}",
            )
        if not with_history:
            database.kind.require_makeable(database.name, connection, project.metadata)
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


def made_from(database: Database, project: Project, exclude: Collection[str] = ()) -> str:
    """What `make_schema` would make the tables from, in words; nothing is run.

    Raises:
        MigrationError: from migrations that are none, have several heads, or are of several databases.
        ConfigurationError: from models that lie in schemas, which the engine has not.
    """
    if not project.has_history:
        if not project.is_reflected:
            require_schemas(database, tables_to_make(project.metadata, exclude))
        return project.origin
    from toolkit.operations.migrations.alembic_session import require_one_database

    require_one_database(project)
    head, migrations = head_of(project), len(list(project.scripts.walk_revisions()))
    return f"{migrations} migration{'' if migrations == 1 else 's'} to revision {head}"


def make_schema(
    database: Database,
    project: Project,
    progress: Progress | None = None,
    *,
    exclude: Collection[str] = (),
    check: Callable[[Connection], None] = lambda _: None,
    within: Writing | None = None,
) -> None:
    """Make the models' tables in a database that lacks all of them; without migrations none of those to `exclude`.

    What migrations made is given to `check` before it is committed, unless an `env.py` of Advanced Alchemy's runs them.
    What is made without migrations is made `within` the transaction of a connection, if there is one.

    Raises:
        MigrationError, StatementError: as from `ensure_schema`; or what `check` raises, and nothing was made.
    """
    config, metadata = project.config, project.metadata

    def before_commit(connection: Connection) -> None:
        missing = _missing_tables(inspect(connection), metadata)
        if missing:
            unchanged = " Nothing was changed." if database.kind.has_transactional_ddl else ""
            raise SchemaMismatchError(
                [f"the migrations in {config.migrations} make no table {name}" for name in missing],
                f"They belong to another schema than {config.metadata}, or one is to be made: "
                f"toolkit database make-migrations.{unchanged}",
            )
        check(connection)

    if project.has_history:
        from toolkit.operations.migrations.alembic_session import alembic_session, require_one_database

        require_one_database(project)
        with alembic_session(database, project, progress, before_commit=before_commit) as session:
            session.commands.upgrade()
    else:
        from toolkit.operations.migrations.model_tables import make_tables

        tables = tables_to_make(metadata, exclude)
        definitions = project.definitions(database, tables)
        make_tables(database, config, metadata, tables, definitions, remembers=project.is_reflected, within=within)


@contextmanager
def migrated_copy(database: Database, project: Project) -> Iterator[Database]:
    """A temporary file of the same engine, with what the migrations make. Raises what `make_schema` does.

    It stands for a database in a file that lacks all tables, and goes by its name.
    """
    with scratch_directory() as folder:
        copy = database.at(f"{database.kind.name}:///{folder / 'migrated'}")
        make_schema(copy, project)
        yield copy


def tables_to_make(metadata: MetaData, exclude: Collection[str]) -> list[Table]:
    """The tables but the excluded ones that no other needs, because a foreign key of its points at them."""
    wanted = [table for name, table in metadata.tables.items() if name not in exclude]
    # Grows while it is walked: parents have parents.
    for table in wanted:
        parents = (key.referred_table for key in table.foreign_key_constraints)
        wanted.extend(parent for parent in dict.fromkeys(parents) if parent not in wanted)
    return wanted


class _SchemaState(Struct, frozen=True):
    """What `ensure_schema` has to know of a database."""

    is_empty: bool
    is_versioned: bool
    revision: str | None
    missing: tuple[str, ...]

    @classmethod
    def of(cls, connection: Connection, project: Project) -> _SchemaState:
        """Read it."""
        inspector, metadata, versions = inspect(connection), project.metadata, project.version_table
        names = set(inspector.get_table_names()) - {versions.name}
        missing = _missing_tables(inspector, metadata)
        is_versioned = inspector.has_table(versions.name, versions.schema)
        return cls(
            is_empty=all(is_bookkeeping(name) for name in names) and len(missing) == len(metadata.tables),
            is_versioned=is_versioned,
            revision=kept_revision(connection, versions) if is_versioned else None,
            missing=missing,
        )


def _missing_tables(inspector: Inspector, metadata: MetaData) -> tuple[str, ...]:
    tables = metadata.tables.values()
    # One look for each schema; only what that does not show, such as a view, is asked for by name.
    named = {each.schema for each in tables}
    # SQLite does not take the name of a schema that is not there.
    known = named if named == {None} else {None, *inspector.get_schema_names()}
    there = {schema: {*inspector.get_table_names(schema)} for schema in named & known}
    return tuple(
        each.fullname
        for each in tables
        if each.schema not in there
        or (each.name not in there[each.schema] and not inspector.has_table(each.name, each.schema))
    )
