"""Moving a database through the history of its schema, and comparing it with the models.

Nothing here prints, asks or exits. All engines share one history; an upgrade or downgrade is one transaction, where
statements that change a schema are part of one.
"""

from __future__ import annotations

import re
import warnings
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from sqlalchemy import inspect
from sqlalchemy.exc import NoInspectionAvailable, SAWarning

from toolkit.errors import MigrationError
from toolkit.operations.migrations.alembic_session import (
    Session,
    alembic_session,
    require_one_database,
)
from toolkit.operations.migrations.application_filters import unasked_filter
from toolkit.operations.migrations.generated_operations import review
from toolkit.operations.migrations.revisions import (
    exists,
    head_of,
    joined,
    mismatch,
    recorded_revision,
    require_migratable,
    revision_of,
)
from toolkit.operations.migrations.schema_changes import describe_change
from toolkit.operations.migrations.transactions import transaction
from toolkit.operations.project import History, Project
from toolkit.operations.records import is_alembic_record

_UNKNOWN = re.compile("locate revision identified by '(.+)'")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

    from toolkit.config import Config, Database
    from toolkit.core.progress import Progress


class Migration(Struct, frozen=True):
    """What an upgrade, a downgrade or a stamp did; with `sql` nothing, and these are the statements."""

    database: str
    before: str | None
    after: str | None
    steps: tuple[str, ...]
    sql: str | None = None


class CurrentRevision(Struct, frozen=True):
    """Where a database stands, and where an upgrade leads; `None` is before the first migration."""

    database: str
    revision: str | None
    head: str | None

    @property
    def is_head(self) -> bool:
        """Whether there is nothing to upgrade."""
        return self.revision == self.head


class Check(Struct, frozen=True):
    """The differences between a database and the models, in words, and what could not be compared."""

    database: str
    changes: tuple[str, ...]
    not_compared: tuple[str, ...] = ()


class Dropped(Struct, frozen=True):
    """The tables that were there and are no more."""

    database: str
    tables: tuple[str, ...]


# -- changing a database -----------------------------------------------------------------------------------


def upgrade(
    database: Database,
    config: Config,
    revision: str = "head",
    *,
    sql: bool = False,
    tag: str | None = None,
    progress: Progress | None = None,
) -> Migration:
    """Run the migrations up to a revision, all of them in one transaction; with `sql`, only write them out.

    Raises:
        MigrationError: no such revision, or a migration that fails; the database is as before, or the error
            says what an `autocommit_block` committed.
        DatabaseUnavailableError, StatementError: from the engine; the same.
    """
    require_migratable(database)
    project = History(config.of(database.name))
    require_one_database(project)
    with alembic_session(database, project, progress) as session:
        run = partial(session.commands.upgrade, revision, sql=sql, tag=tag)
        return _migrate(session, run, sql, lambda connection: _require_own_record(connection, session, project))


def _require_own_record(connection: Connection, session: Session, project: Project) -> None:
    """See that tables of the models, if there are any, are not recorded elsewhere: each would be made once more."""
    inspector, own = inspect(connection), project.version_table
    if inspector.has_table(own.name, own.schema):
        return
    names = set(inspector.get_table_names())
    if not any(table.name in names for table in project.metadata.tables.values()):
        return
    for name in sorted(names - {*project.metadata.tables}):
        if is_alembic_record(each["name"] for each in inspector.get_columns(name)):
            raise MigrationError(
                f"{session.database.name} has the models' tables, and records a revision in {name}, not in "
                f"{own.fullname}.",
                f'If it is that of these migrations: version_table = "{name}" in the settings. If it is not: '
                f"toolkit database stamp-migration REVISION --database {session.database.name}",
            )


def downgrade(
    database: Database,
    config: Config,
    revision: str = "-1",
    *,
    sql: bool = False,
    tag: str | None = None,
    progress: Progress | None = None,
) -> Migration:
    """Undo migrations down to a revision (`base`: all), in one transaction; with `sql`, only write that out.

    Raises:
        MigrationError: no such revision, or a migration that fails; the database is as before, or the error
            says what an `autocommit_block` committed.
        DatabaseUnavailableError, StatementError: from the engine; the same.
    """
    require_migratable(database)
    project = History(config.of(database.name))
    require_one_database(project)
    with alembic_session(database, project, progress) as session:
        return _migrate(session, lambda: session.commands.downgrade(revision, sql=sql, tag=tag), sql)


def stamp(
    database: Database,
    config: Config,
    revision: str,
    *,
    sql: bool = False,
    tag: str | None = None,
    purge: bool = False,
) -> Migration:
    """Record that a database stands at a revision, and run nothing; `purge` forgets what was recorded.

    Raises:
        MigrationError: no such revision.
        DatabaseUnavailableError, StatementError: from the engine.
    """
    with alembic_session(database, History(config.of(database.name))) as session:
        return _migrate(session, lambda: session.commands.stamp(revision, sql=sql, tag=tag, purge=purge), sql)


def drop_all(database: Database, config: Config) -> Dropped:
    """Drop the models' tables and the record of the revision, and no other table, in one transaction.

    Raises:
        DatabaseUnavailableError, StatementError: from the engine; nothing was dropped.
    """
    require_migratable(database)
    project = Project(config.of(database.name))
    metadata = project.metadata
    if not exists(database):
        return Dropped(database.name, ())
    tables = [*metadata.tables.values(), project.version_table]
    with transaction(database, config) as connection, warnings.catch_warnings():
        # Tables that refer to one another have no order; where that matters, PostgreSQL says so.
        warnings.simplefilter("ignore", SAWarning)
        present = [table for table in tables if inspect(connection).has_table(table.name, table.schema)]
        metadata.drop_all(connection)
        tables[-1].drop(connection, checkfirst=True)
    return Dropped(database.name, tuple(sorted(table.fullname for table in present)))


# -- looking at a database ---------------------------------------------------------------------------------


def head_revision(config: Config) -> str:
    """The revision that an upgrade leads to. Raises what `head_of` does."""
    return head_of(Project(config))


def show_current_revision(database: Database, config: Config) -> CurrentRevision:
    """Where a database stands in the history.

    Raises:
        MigrationError: there is no history.
        DatabaseUnavailableError, StatementError: from the engine.
    """
    require_migratable(database)
    return _standing(database, Project(config.of(database.name)))


def _standing(database: Database, project: Project) -> CurrentRevision:
    return CurrentRevision(database.name, revision_of(database, project), joined(project.heads))


def check(database: Database, config: Config, progress: Progress | None = None) -> Check:
    """Compare a database with the models, as the next `make-migrations` would; notes say what cannot be compared.

    Raises:
        RevisionMismatchError: migrations are still to be run.
        DatabaseUnavailableError, StatementError: from the engine.
    """
    require_migratable(database)
    project = Project(config.of(database.name))
    require_head(database, project)
    changes: list[str] = []

    def describe(_: Any, __: Any, directives: list[Any]) -> None:
        upgrade = review(directives[0], session.comparison)
        changes.extend(describe_change(each) for each in upgrade.as_diffs())
        directives.clear()

    # Alembic's own check puts the repr of every difference into its error, and the repr of a `StoredObject`
    # fails where its backend is not registered.
    with alembic_session(database, project, progress, only_reads=True) as session:
        session.commands.revision(autogenerate=True, process_revision_directives=describe)
    unasked = unasked_filter(project) if changes else None
    if unasked and progress is not None:
        progress.note(
            f"{database.name}: {unasked} is not called, because env.py connects by itself: everything is compared."
        )
    return Check(database.name, tuple(changes), tuple(session.comparison.not_compared))


def require_head(database: Database, project: Project) -> None:
    """See that no migrations are still to be run.

    Raises:
        RevisionMismatchError: some are.
        MigrationError: there is no history.
    """
    found = _standing(database, project)
    if not found.is_head:
        raise mismatch(database, found.revision, found.head)


# -- in common ---------------------------------------------------------------------------------------------


def _migrate(
    session: Session, run: Callable[[], None], sql: bool, require: Callable[[Connection], None] | None = None
) -> Migration:
    """Run a command that changes the database, which has to be as required, or with `sql` writes down how."""
    if sql:
        with _without_database():
            run()
        return Migration(session.database.name, None, None, (), session.output.getvalue())
    with session.engine.connect() as connection:
        if require is not None:
            require(connection)
        before = recorded_revision(connection, session.versions)
        # Nothing is held, but DuckDB's file stays open: to open it takes longer than all that is asked of it here.
        connection.rollback()
        with _known_revision(session.database.name, before):
            run()
        after = session.recorded_revision()
    return Migration(session.database.name, before, after, tuple(session.steps))


@contextmanager
def _known_revision(database: str, recorded: str | None) -> Iterator[None]:
    """Say of a record that no migration is known by, that it is the database's."""
    from alembic.util import CommandError

    try:
        yield
    except CommandError as error:
        found = _UNKNOWN.search(str(error))
        if recorded is None or found is None or found[1] not in recorded.split(", "):
            raise
        raise MigrationError(
            f"{database} is recorded at revision {found[1]}, which none of the migrations here has.",
            "Get the migration that it is (of another branch or version of the application). Or, if the tables are as "
            f"after one of those here: toolkit database stamp-migration REVISION --purge --database {database}",
        ) from error


@contextmanager
def _without_database() -> Iterator[None]:
    """Say of a migration that asks the database something why it gets no answer."""
    try:
        yield
    except (AttributeError, TypeError, NoInspectionAvailable) as error:
        if not re.search("NoneType|MockConnection", str(error)):
            raise
        raise MigrationError(
            f"A migration asks the database, and with --sql there is none to answer ({error}).",
            "Write it with statements alone (op.execute), or if context.is_offline_mode() without asking; or run it "
            "without --sql.",
        ) from error
