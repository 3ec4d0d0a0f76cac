"""The schema of a database and its history: one function for each `toolkit database` command.

Nothing here prints, asks or exits. All engines share one history; an upgrade or downgrade is one transaction.
"""

from __future__ import annotations

import hashlib
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic import command
from sqlalchemy import inspect
from sqlalchemy.exc import SAWarning

from toolkit.errors import MigrationError, RevisionMismatchError, SchemaMismatchError
from toolkit.models.loader import load_metadata
from toolkit.operations.alembic_session import (
    Session,
    alembic_config,
    alembic_session,
    exists,
    joined,
    migrating,
    reading,
    recorded_revision,
    scripts_of,
    transaction,
    version_table,
)
from toolkit.operations.migration_environment import is_bookkeeping
from toolkit.operations.schema_changes import describe_change

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from alembic.script import Script, ScriptDirectory
    from sqlalchemy import Connection, MetaData

    from toolkit.config import Config, Database
    from toolkit.core.progress import Progress

TEMPLATE = Path(__file__).parent / "migration_template"


# -- results -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Revision:
    """One migration of the history."""

    revision: str
    parents: tuple[str, ...]
    children: tuple[str, ...]
    message: str
    labels: tuple[str, ...]
    is_head: bool
    is_current: bool
    path: Path


@dataclass(frozen=True, slots=True)
class Migration:
    """What an upgrade, a downgrade or a stamp did; with `sql` nothing, and these are the statements."""

    database: str
    before: str | None
    after: str | None
    steps: tuple[str, ...]
    sql: str | None = None


@dataclass(frozen=True, slots=True)
class CurrentRevision:
    """Where a database stands, and where an upgrade leads; `None` is before the first migration."""

    database: str
    revision: str | None
    head: str | None

    @property
    def is_head(self) -> bool:
        """Whether there is nothing to upgrade."""
        return self.revision == self.head


@dataclass(frozen=True, slots=True)
class Check:
    """The differences between a database and the models, in words."""

    database: str
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NewDirectory:
    """A migrations directory that was made."""

    directory: Path
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Dropped:
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
        MigrationError: no such revision, or a migration that fails; the database is as before.
        DatabaseUnavailableError, StatementError: from the engine; the database is as before.
    """
    with alembic_session(database, config, progress) as session:
        return _migrate(session, lambda: session.commands.upgrade(revision, sql=sql, tag=tag), sql)


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
        MigrationError: no such revision, or a migration that fails; the database is as before.
        DatabaseUnavailableError, StatementError: from the engine; the database is as before.
    """
    with alembic_session(database, config, progress) as session:
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
    with alembic_session(database, config) as session:
        return _migrate(session, lambda: session.commands.stamp(revision, sql=sql, tag=tag, purge=purge), sql)


def drop_all(database: Database, config: Config) -> Dropped:
    """Drop the models' tables and the record of the revision, and no other table, in one transaction.

    Raises:
        DatabaseUnavailableError, StatementError: from the engine; nothing was dropped.
    """
    metadata = load_metadata(config.metadata, config.root)
    if not exists(database):
        return Dropped(database.name, ())
    tables = [*metadata.tables.values(), version_table()]
    with transaction(database, config) as connection, warnings.catch_warnings():
        # Tables that refer to one another have no order; where that matters, PostgreSQL says so.
        warnings.simplefilter("ignore", SAWarning)
        present = [table for table in tables if inspect(connection).has_table(table.name, table.schema)]
        metadata.drop_all(connection)
        tables[-1].drop(connection, checkfirst=True)
    return Dropped(database.name, tuple(sorted(table.fullname for table in present)))


# -- looking at a database ---------------------------------------------------------------------------------


def current_revision(database: Database, config: Config) -> str | None:
    """The revision that a database stands at (several are joined by a comma); None when it records none.

    Raises:
        DatabaseUnavailableError, StatementError: from the engine.
    """
    with reading(database, config) as connection:
        return recorded_revision(connection)


def head_revision(config: Config) -> str:
    """The revision that an upgrade leads to.

    Raises:
        MigrationError: there is no history, it is empty, or it has several heads.
    """
    found = scripts_of(config).get_heads()
    if len(found) == 1:
        return found[0]
    if not found:
        raise MigrationError(
            f"{config.migrations} holds no migrations.", "Make one: toolkit database make-migrations"
        )
    raise MigrationError(
        f"The history has {len(found)} heads: {', '.join(sorted(found))}.",
        "Merge them: toolkit database merge-migrations",
    )


def show_current_revision(database: Database, config: Config) -> CurrentRevision:
    """Where a database stands in the history.

    Raises:
        MigrationError: there is no history.
        DatabaseUnavailableError, StatementError: from the engine.
    """
    head = joined(scripts_of(config).get_heads())
    return CurrentRevision(database.name, current_revision(database, config), head)


def check(database: Database, config: Config) -> Check:
    """Compare a database with the models, as the next `make-migrations` would.

    Raises:
        RevisionMismatchError: migrations are still to be run.
        DatabaseUnavailableError, StatementError: from the engine.
    """
    _require_head(database, config)
    changes: list[str] = []

    def describe(_: Any, __: Any, directives: list[Any]) -> None:
        changes.extend(describe_change(each) for each in directives[0].upgrade_ops.as_diffs())
        directives.clear()

    # Alembic's own check puts the repr of every difference into its error, and the repr of a `StoredObject`
    # fails where its backend is not registered.
    with alembic_session(database, config, only_reads=True) as session:
        session.commands.revision(autogenerate=True, process_revision_directives=describe)
    return Check(database.name, tuple(changes))


def ensure_schema(
    database: Database, config: Config, progress: Progress | None = None, *, accept_missing: bool = False
) -> bool:
    """See to it that a database has the models' tables; whether they were made. Raises what `lacks_schema` does.

    Raises:
        MigrationError, StatementError: as from `upgrade`; also if the migrations do not make the models' tables.
    """
    if not lacks_schema(database, config, accept_missing=accept_missing):
        return False
    metadata = load_metadata(config.metadata, config.root)
    _make_tables(database, config, metadata, has_history(config), progress)
    return True


def lacks_schema(database: Database, config: Config, *, accept_missing: bool = False) -> bool:
    """Whether a database is without any of the models' tables, so that `ensure_schema` would make them.

    - Without any table (the tools' own do not count): the migrations would be run, or without a migrations
      directory the tables made from the models.
    - At the history's head: it is as it should be.
    - With tables but no record of a revision, as `create_all` leaves it, or without a migrations directory:
      it is accepted if all tables of the models are there. To compare their columns is the caller's, and with
      `accept_missing` also to look for the tables.

    Raises:
        RevisionMismatchError: it stands at another revision; names both, and the command to run.
        SchemaMismatchError: tables are missing, and so is a record from which an upgrade could go on.
        DatabaseUnavailableError, StatementError: from the engine.
    """
    with_history = has_history(config)
    found = _Standing.of(database, config, load_metadata(config.metadata, config.root))
    if found.is_empty:
        return True
    if with_history and found.is_versioned:
        expected = joined(scripts_of(config).get_heads())
        if found.revision != expected:
            raise _mismatch(database, found.revision, expected)
        return False
    if found.missing and not accept_missing:
        raise SchemaMismatchError(
            [f"{database.name} has no table {name}" for name in found.missing],
            f"Run: toolkit database upgrade --database {database.name}"
            if with_history
            else "Make these tables first.",
        )
    return False


def has_history(config: Config) -> bool:
    """Whether there is a directory of migrations."""
    return (config.migrations / "env.py").is_file()


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
        with alembic_session(database, config, progress, before_commit=require_tables) as session:
            _migrate(session, session.commands.upgrade, sql=False)
    else:
        with transaction(database, config) as connection:
            metadata.create_all(connection)


@dataclass(frozen=True, slots=True)
class _Standing:
    """What `ensure_schema` has to know of a database."""

    is_empty: bool
    is_versioned: bool
    revision: str | None
    missing: tuple[str, ...]

    @classmethod
    def of(cls, database: Database, config: Config, metadata: MetaData) -> _Standing:
        """Read it."""
        with reading(database, config) as connection:
            names = inspect(connection).get_table_names()
            missing = _missing_tables(connection, metadata)
            return cls(
                is_empty=all(is_bookkeeping(name) for name in names) and len(missing) == len(metadata.tables),
                is_versioned=version_table().name in names,
                revision=recorded_revision(connection),
                missing=missing,
            )


# -- the history -------------------------------------------------------------------------------------------


def make_migrations(
    database: Database,
    config: Config,
    message: str = "autogenerated",
    *,
    autogenerate: bool = True,
    head: str = "head",
    splice: bool = False,
    branch_label: str | None = None,
    version_path: str | None = None,
    rev_id: str | None = None,
) -> Revision | None:
    """Write a migration that makes the database like the models (None: it is), or an empty one.

    Its identifier is made from its parents and its message: the file's name is the same on every machine.

    Raises:
        RevisionMismatchError: migrations are still to be run.
        MigrationError: no such head, or there is a migration of that identifier.
        DatabaseUnavailableError, StatementError: from the engine.
    """
    scripts = scripts_of(config)
    arguments: dict[str, Any] = {
        "message": message,
        "head": head,
        "splice": splice,
        "branch_label": branch_label,
        "version_path": version_path,
    }
    with migrating(config):
        arguments["rev_id"] = rev_id or _new_identifier(scripts, head, message)
        if not autogenerate:
            return _described(config, command.revision(alembic_config(config), **arguments))
    _require_head(database, config)
    with alembic_session(database, config, only_reads=True) as session:
        made = session.commands.revision(
            **arguments, autogenerate=True, process_revision_directives=_forget_when_empty
        )
        return _described(config, made)


def merge(
    config: Config,
    revisions: str = "heads",
    message: str = "merge",
    *,
    branch_label: str | None = None,
    rev_id: str | None = None,
) -> Revision:
    """Write a migration that joins several heads (separated by commas) into one.

    Raises:
        MigrationError: no such revisions, or fewer than two.
    """
    scripts = scripts_of(config)
    with migrating(config):
        parents = tuple(script.revision for script in scripts.get_revisions(tuple(revisions.split(","))))
        if len(parents) <= 1:
            raise MigrationError(
                f"There is nothing to merge: {revisions!r} is {', '.join(parents) or 'no revision'}.",
                "See: toolkit database heads",
            )
        identifier = rev_id or _new_identifier(scripts, parents, message)
        made = command.merge(
            alembic_config(config), parents, message, branch_label=branch_label, rev_id=identifier
        )
    described = _described(config, made)
    assert described is not None
    return described


def history(config: Config, revisions: str = ":", database: Database | None = None) -> tuple[Revision, ...]:
    """The migrations of a range `[start]:[end]`, the newest first; marked where `database`, if given, stands.

    With a database, `current` may be an end of the range.

    Raises:
        MigrationError: no such revision, or no range.
        DatabaseUnavailableError, StatementError: from the engine.
    """
    start, colon, end = revisions.partition(":")
    if not colon:
        raise MigrationError(
            f"{revisions!r} is no range of revisions.", "Write it like 0001:0004, :0004 or current:."
        )
    current = None if database is None else current_revision(database, config)
    with migrating(config):
        ends = [current if each == "current" else each for each in (start, end)]
        scripts = list(scripts_of(config).walk_revisions(ends[0] or "base", ends[1] or "heads"))
    return tuple(_revision(script, current) for script in scripts)


def heads(config: Config, *, resolve_dependencies: bool = False) -> tuple[Revision, ...]:
    """The migrations that no other follows; `resolve_dependencies` leaves out those that another depends on.

    Raises:
        MigrationError: there is no history.
    """
    scripts = scripts_of(config)
    with migrating(config):
        found = scripts.get_revisions("heads" if resolve_dependencies else scripts.get_heads())
    return tuple(_revision(script) for script in found)


def branches(config: Config) -> tuple[Revision, ...]:
    """The migrations that several others follow.

    Raises:
        MigrationError: there is no history.
    """
    with migrating(config):
        return tuple(
            _revision(script) for script in scripts_of(config).walk_revisions() if script.is_branch_point
        )


def show(config: Config, revision: str, database: Database | None = None) -> tuple[Revision, ...]:
    """The migrations that a name means: an identifier or its beginning, `head`, for a database `current`.

    Raises:
        MigrationError: no such revision.
        DatabaseUnavailableError, StatementError: from the engine.
    """
    current = None if database is None else current_revision(database, config)
    if revision == "current":
        revision = current or "base"
    with migrating(config):
        found = scripts_of(config).get_revisions(tuple(revision.split(",")))
    return tuple(_revision(script, current) for script in found if script is not None)


def init(directory: Path) -> NewDirectory:
    """Make a migrations directory, whose migrations run on all engines.

    Raises:
        MigrationError: the directory is there and not empty, or cannot be made.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise MigrationError(f"{directory} exists and is not empty.", "Name another directory.")
    try:
        (directory / "versions").mkdir(parents=True)
        files = tuple(Path(shutil.copy(TEMPLATE / name, directory)) for name in ("env.py", "script.py.mako"))
    except OSError as error:
        raise MigrationError(
            f"{directory} cannot be made: {error.strerror}.", "Name another directory."
        ) from error
    return NewDirectory(directory, files)


# -- in common ---------------------------------------------------------------------------------------------


def _migrate(session: Session, run: Callable[[], None], sql: bool) -> Migration:
    """Run a command that changes the database, or with `sql` writes down how."""
    if sql:
        run()
        return Migration(session.database.name, None, None, (), session.output.getvalue())
    before = session.recorded_revision()
    run()
    return Migration(session.database.name, before, session.recorded_revision(), tuple(session.steps))


def _new_identifier(scripts: ScriptDirectory, parents: str | tuple[str, ...], message: str) -> str:
    """Its place in the history and what it says: the same on every machine, different on every branch."""
    names = sorted(script.revision for script in scripts.get_revisions(parents) if script is not None)
    older = (
        {script.revision for script in scripts.iterate_revisions(tuple(names), "base")} if names else set()
    )
    digest = hashlib.sha256("\n".join([*names, message]).encode()).hexdigest()
    identifier = f"{len(older) + 1:04d}_{digest[:6]}"
    if any(script.revision == identifier for script in scripts.walk_revisions()):
        raise MigrationError(
            f"There is a migration {identifier} with the message {message!r} already.",
            "Give another message (-m).",
        )
    return identifier


def _forget_when_empty(_: Any, __: Any, directives: list[Any]) -> None:
    if directives[0].upgrade_ops.is_empty():
        directives.clear()


def _described(config: Config, made: Any) -> Revision | None:
    scripts: Sequence[Any] = made if isinstance(made, list) else [made]
    found = [script for script in scripts if script is not None]
    return _revision(scripts_of(config).get_revision(found[0].revision)) if found else None


def _revision(script: Script, current: str | None = None) -> Revision:
    parents = script.down_revision or ()
    return Revision(
        revision=script.revision,
        parents=(parents,) if isinstance(parents, str) else tuple(parents),
        children=tuple(sorted(script.nextrev)),
        message=script.doc,
        labels=tuple(sorted(script.branch_labels)),
        is_head=script.is_head,
        is_current=script.revision in (current or "").split(", "),
        path=Path(script.path),
    )


def _missing_tables(connection: Connection, metadata: MetaData) -> tuple[str, ...]:
    inspector = inspect(connection)
    return tuple(
        each.fullname for each in metadata.tables.values() if not inspector.has_table(each.name, each.schema)
    )


def _require_head(database: Database, config: Config) -> None:
    found = show_current_revision(database, config)
    if not found.is_head:
        raise _mismatch(database, found.revision, found.head)


def _mismatch(database: Database, found: str | None, expected: str | None) -> RevisionMismatchError:
    return RevisionMismatchError(
        database.name, found, expected, f"Run: toolkit database upgrade --database {database.name}"
    )
