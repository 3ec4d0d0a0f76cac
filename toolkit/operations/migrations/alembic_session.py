"""Alembic on one database or none: silent, with the configured metadata, its errors in this package's words."""

from __future__ import annotations

import inspect
import io
import re
import warnings
from argparse import Namespace
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic.config import Config as AlembicConfig
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from toolkit.core.progress import Silent
from toolkit.engines import connect
from toolkit.errors import MigrationError, ToolkitError
from toolkit.models.loader import importable_from, load_metadata
from toolkit.operations.migrations.committed import Committed
from toolkit.operations.migrations.environment import transactional_ddl, with_transactional_ddl
from toolkit.operations.migrations.environments import OWN_ENVIRONMENT, Environment
from toolkit.operations.migrations.revisions import has_history, joined, opened, recorded_revision, version_table
from toolkit.ownership import require_ours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from advanced_alchemy.alembic.commands import AlembicCommands
    from sqlalchemy import Connection, Engine, MetaData, Table

    from toolkit.config import Config, Database
    from toolkit.core.progress import Progress


@dataclass(frozen=True, slots=True)
class Session:
    """Advanced Alchemy's Alembic commands on one database, silent, with the configured metadata."""

    database: Database
    engine: Engine
    commands: AlembicCommands
    versions: Table
    steps: list[str]
    output: io.StringIO

    def recorded_revision(self) -> str | None:
        """The revision that the database records now."""
        with self.engine.connect() as connection:
            return recorded_revision(connection, self.versions)


@contextmanager
def alembic_session(
    database: Database,
    config: Config,
    progress: Progress | None = None,
    *,
    only_reads: bool = False,
    before_commit: Callable[[Connection], None] | None = None,
) -> Iterator[Session]:
    """Advanced Alchemy's commands on a database; with `only_reads` nothing is made, not even the version table."""
    scripts_of(config)
    steps: list[str] = []

    def note(*, step: Any, **_: Any) -> None:
        action = "stamp" if step.is_stamp else "upgrade" if step.is_upgrade else "downgrade"
        message = "" if step.is_stamp or step.up_revision is None else f" ({step.up_revision.doc})"
        steps.append(f"{action} {joined(step.up_revision_ids)}{message}")
        (progress or Silent()).note(f"{database.name}: {steps[-1]}")

    metadata = load_metadata(config.metadata, config.root)
    committed = Committed(version_table(config).name)
    with (
        translated(database, config, committed),
        opened(database, read_only=only_reads) as engine,
        _noting_indexes(database, progress or Silent()),
    ):
        committed.listen(engine)
        commands = _commands(database, config, with_transactional_ddl(engine, only_reads), metadata)
        output = io.StringIO()
        commands.config.stdout = commands.config.output_buffer = output
        commands.config.cmd_opts = _quiet()
        commands.config.attributes.update(
            target_metadata=metadata,
            only_reads=only_reads,
            before_commit=before_commit,
            on_version_apply=note,
        )
        yield Session(database, engine, commands, version_table(config), steps, output)


_RUNS = "code of it would run as this user"
_UNSEEN_INDEX = re.compile(r"expression-based index '?(?P<name>[^';]+)")


@contextmanager
def _noting_indexes(database: Database, progress: Progress) -> Iterator[None]:
    """Say in a line which indexes were not compared, of which Alembic and SQLAlchemy warn as Python does."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", f".*{_UNSEEN_INDEX.pattern}")
        # It is kept: by SQLite's rebuild word for word.
        warnings.filterwarnings("ignore", "Unnamed CHECK constraint on reflected table")
        yield
    names: dict[str, None] = {}
    for each in caught:
        found = _UNSEEN_INDEX.search(str(each.message))
        if found:
            names[found["name"]] = None
        else:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    for name in names:
        progress.note(
            f"{database.name}: the index {name} is of an expression, which {database.engine_name} does not tell: it is "
            "not compared, and left out of migrations made from here."
        )


def _commands(database: Database, config: Config, engine: Engine, metadata: MetaData) -> AlembicCommands:
    # Loaded here: they take 0.1 s, and who only asks for a revision does without.
    from advanced_alchemy.alembic.commands import AlembicCommands
    from advanced_alchemy.config import AlembicSyncConfig, SQLAlchemySyncConfig

    database.kind.introduce_to_alembic()
    environment = Environment.of(config)
    commands = AlembicCommands(
        SQLAlchemySyncConfig(
            engine_instance=engine,
            bind_key=database.name,
            metadata=metadata,
            alembic_config=AlembicSyncConfig(
                version_table_name=environment.version_table,
                version_table_schema=environment.version_table_schema,
                script_config=str(_settings_file(config)),
                compare_type=True,
            ),
        )
    )
    _point_at_migrations(commands.config, config)
    return commands


def _point_at_migrations(found: AlembicConfig, config: Config) -> None:
    """Tell Alembic where the migrations are, and whose `env.py` and template to use."""

    def give(option: str, value: Path | str) -> None:
        found.set_main_option(option, str(value).replace("%", "%%"))

    if Environment.of(config).takes_engine:
        give("script_location", config.migrations)
        return
    give("script_location", OWN_ENVIRONMENT)
    if not found.get_main_option("version_locations"):
        give("version_locations", config.migrations / "versions")
        if not found.get_main_option("path_separator"):
            # Without it, Alembic takes a path with a space in it for two; and what Advanced Alchemy's alembic.ini says
            # of `version_path_separator` is refused as soon as it is looked at.
            give("path_separator", "os")


def _settings_file(config: Config) -> Path:
    """Alembic's settings: beside the application's, or as Flask-Migrate makes them in the directory of migrations."""
    beside, within = (folder / "alembic.ini" for folder in (config.root, config.migrations))
    return within if within.is_file() and not beside.is_file() else beside


@contextmanager
def transaction(database: Database, config: Config) -> Iterator[Connection]:
    """A transaction in which DDL is part, committed at the end of the block."""
    with (
        translated(database, config),
        opened(database) as engine,
        engine.connect() as connection,
        transactional_ddl(connection),
        connection.begin(),
    ):
        yield connection


@contextmanager
def translated(database: Database, config: Config, committed: Committed | None = None) -> Iterator[None]:
    """Turn errors of the engine, of Alembic and of the migrations into this package's; see `migrating`."""
    with migrating(config, committed), connect(database, write=True).translated():
        yield


@contextmanager
def migrating(config: Config, committed: Committed | None = None) -> Iterator[None]:
    """Let migrations import the user's modules; turn their errors and Alembic's into this package's.

    Each says what was `committed` before, if anything was.
    """
    try:
        with importable_from(config.root):
            yield
    except ToolkitError as error:
        _add(error, committed)
        raise
    except CommandError as error:
        raise _add(MigrationError(f"{str(error).rstrip('.')}.", "See: toolkit database history"), committed) from error
    except Exception as error:
        # The lines after the first are SQLAlchemy's: the statement and its parameters, which are values.
        reason = str(error).strip().partition("\n")[0]
        as_before = "" if committed and committed.statements else "The database is as before. "
        raise _add(
            MigrationError(
                f"The migrations in {config.migrations} failed: {type(error).__name__}{reason and f': {reason}'}.",
                f"{as_before}Run with --debug to see where.",
            ),
            committed,
        ) from error


def _add(error: ToolkitError, committed: Committed | None) -> ToolkitError:
    told = committed.told() if committed else ""
    if told:
        error.advise(told)
    return error


def alembic_config(config: Config) -> AlembicConfig:
    """What Alembic has to know where no database is needed."""
    found = AlembicConfig(_settings_file(config), stdout=io.StringIO(), cmd_opts=_quiet())
    _point_at_migrations(found, config)
    return found


def _quiet() -> Namespace:
    return Namespace(quiet=True, x=[])


def scripts_of(config: Config) -> ScriptDirectory:
    """The migrations of the configured directory.

    Raises:
        MigrationError: it is no migrations directory, or its migrations do not fit together.
        ConfigurationError: they are somebody else's.
    """
    if not has_history(config):
        raise MigrationError(f"{config.migrations} is no migrations directory.", "Make one: toolkit database init")
    with migrating(config):
        # Before Alembic acts on any of them; each migration is a module that is run.
        given = (_settings_file(config), config.migrations, config.migrations / "env.py")
        require_ours(given, _RUNS)
        scripts = ScriptDirectory.from_config(alembic_config(config))
        for folder in map(Path, scripts._version_locations):  # noqa: SLF001 - the public one is not yet resolved
            require_ours([folder, *folder.rglob("*.py")], _RUNS)
        scripts.get_heads()
    return scripts


def require_one_database(config: Config) -> None:
    """See that the migrations are of one database, as far as this package's `env.py` is the one that runs them.

    Those of several (`flask db init --multidb`, `alembic init --template multidb`) are functions of the one meant.

    Raises:
        MigrationError: as from `scripts_of`, or one of them has to be told for which database it is run.
    """
    if Environment.of(config).takes_engine:
        return
    for script in scripts_of(config).walk_revisions():
        upgrade = getattr(script.module, "upgrade", None)
        parameters = inspect.signature(upgrade).parameters.values() if upgrade else ()
        names = [each.name for each in parameters if each.default is each.empty and each.kind not in _OPEN]
        if names:
            raise MigrationError(
                f"The migrations in {config.migrations} are of several databases at once: {Path(script.path).name} has "
                f"upgrade({', '.join(names)}).",
                "Run the application's own command for them (such as flask db upgrade): into what it made, sync and "
                "load-data write. Or have the tables made from the models: `migrations` of a directory that is not "
                "there.",
            )


_OPEN = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
