"""Alembic on one database or none: silent, with the configured metadata, its errors in this package's words."""

from __future__ import annotations

import inspect
import io
import re
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from sqlalchemy.exc import SQLAlchemyError

from toolkit.core.progress import Silent
from toolkit.errors import MigrationError
from toolkit.operations.migrations.committed import Committed
from toolkit.operations.migrations.locations import settings_file
from toolkit.operations.migrations.reflected_tables import COMPARISON, Comparison
from toolkit.operations.migrations.revisions import (
    joined,
    opened,
    recorded_revision,
    require_migratable,
    require_schemas,
)
from toolkit.operations.migrations.scripts import point_at_migrations, quiet
from toolkit.operations.migrations.transactions import translated, with_transactional_ddl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from advanced_alchemy.alembic.commands import AlembicCommands
    from sqlalchemy import Connection, Engine, Table

    from toolkit.config import Database
    from toolkit.core.progress import Progress
    from toolkit.operations.project import Project


class Session(Struct, frozen=True):
    """Advanced Alchemy's Alembic commands on one database, silent, with the configured metadata."""

    database: Database
    engine: Engine
    commands: AlembicCommands
    versions: Table
    steps: list[str]
    output: io.StringIO
    comparison: Comparison

    def recorded_revision(self) -> str | None:
        """The revision that the database records now."""
        with self.engine.connect() as connection:
            return recorded_revision(connection, self.versions)


@contextmanager
def alembic_session(
    database: Database,
    project: Project,
    progress: Progress | None = None,
    *,
    only_reads: bool = False,
    before_commit: Callable[[Connection], None] | None = None,
) -> Iterator[Session]:
    """Advanced Alchemy's commands on a database; with `only_reads` nothing is made, not even the version table."""
    require_migratable(database)
    # It would be told of whichever statement comes first, by words such as "unknown database".
    require_schemas(database, project.metadata.tables.values() if only_reads else [project.version_table])
    project.scripts  # noqa: B018 - loaded, and so seen to be the user's own, before Alembic runs any of them
    steps: list[str] = []

    def note(*, step: Any, **_: Any) -> None:
        action = "stamp" if step.is_stamp else "upgrade" if step.is_upgrade else "downgrade"
        message = "" if step.is_stamp or step.up_revision is None else f" ({step.up_revision.doc})"
        steps.append(f"{action} {joined(step.up_revision_ids)}{message}")
        committed.record(steps[-1])
        (progress or Silent()).note(f"{database.name}: {steps[-1]}")

    committed = Committed(project.version_table.name, database.kind)
    with (
        translated(database, project.config, committed),
        opened(database, read_only=only_reads) as engine,
        _noting_indexes(database, progress or Silent()) as known,
    ):
        committed.listen(engine)
        commands = _commands(database, project, with_transactional_ddl(engine, only_reads))
        output = io.StringIO()
        commands.config.stdout = commands.config.output_buffer = output
        commands.config.cmd_opts = quiet()
        commands.config.attributes.update(
            target_metadata=project.metadata,
            only_reads=only_reads,
            before_commit=before_commit,
            on_version_apply=note,
        )
        comparison = Comparison.of(project, engine.dialect) if only_reads else Comparison()
        if only_reads:
            commands.config.attributes[COMPARISON] = comparison
            known.update(comparison.declared.index_names())
        session = Session(database, engine, commands, project.version_table, steps, output, comparison)
        with _asking_where_it_stands(session, committed):
            yield session


@contextmanager
def _asking_where_it_stands(session: Session, committed: Committed) -> Iterator[None]:
    try:
        yield
    except BaseException:
        if committed and committed.is_alone:
            with suppress(SQLAlchemyError):
                committed.standing.stands_at = session.recorded_revision()
        raise


_UNSEEN_INDEX = re.compile(r"expression-based index '?(?P<name>[^';]+)")


@contextmanager
def _noting_indexes(database: Database, progress: Progress) -> Iterator[set[str]]:
    """Say in a line which indexes were not compared, of which Alembic and SQLAlchemy warn as Python does.

    Without those whose names the block adds to what it is given.
    """
    known: set[str] = set()
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", f".*{_UNSEEN_INDEX.pattern}")
        # It is kept: by SQLite's rebuild word for word.
        warnings.filterwarnings("ignore", "Unnamed CHECK constraint on reflected table")
        yield known
    names: dict[str, None] = {}
    for each in caught:
        found = _UNSEEN_INDEX.search(str(each.message))
        if found:
            names[found["name"]] = None
        else:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    for name in names.keys() - known:
        progress.note(
            f"{database.name}: the index {name} is of an expression, which {database.engine_name} does not report: it "
            "is not compared, and left out of migrations made from here."
        )


def _commands(database: Database, project: Project, engine: Engine) -> AlembicCommands:
    # Loaded here: they take 0.1 s, and who only asks for a revision does without.
    from advanced_alchemy.alembic.commands import AlembicCommands
    from advanced_alchemy.config import AlembicSyncConfig, SQLAlchemySyncConfig

    database.kind.introduce_to_alembic()
    environment = project.environment
    commands = AlembicCommands(
        SQLAlchemySyncConfig(
            engine_instance=engine,
            bind_key=database.name,
            metadata=project.metadata,
            alembic_config=AlembicSyncConfig(
                version_table_name=environment.version_table,
                version_table_schema=environment.version_table_schema,
                script_config=str(settings_file(project.config)),
                compare_type=True,
            ),
        )
    )
    point_at_migrations(commands.config, project.config, environment)
    return commands


def require_one_database(project: Project) -> None:
    """See that the migrations are of one database, as far as this package's `env.py` is the one that runs them.

    Those of several (`flask db init --multidb`, `alembic init --template multidb`) are functions of the one meant.

    Raises:
        MigrationError: as from `load_scripts`, or one of them has to be told for which database it is run.
    """
    if project.environment.takes_engine:
        return
    for script in project.scripts.walk_revisions():
        upgrade = getattr(script.module, "upgrade", None)
        parameters = inspect.signature(upgrade).parameters.values() if upgrade else ()
        names = [each.name for each in parameters if each.default is each.empty and each.kind not in _OPEN]
        if names:
            raise MigrationError(
                f"The migrations in {project.config.migrations} are for several databases at once: "
                f"{Path(script.path).name} has upgrade({', '.join(names)}).",
                "Run the application's own command for them (such as flask db upgrade): into what it made, sync and "
                "load-data write. Or have the tables made from the models: `migrations` of a directory that is not "
                "there.",
            )


_OPEN = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
