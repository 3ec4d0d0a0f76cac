"""Alembic on one database or none: silent, with the configured metadata, its errors in this package's words."""

from __future__ import annotations

import io
from argparse import Namespace
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alembic.config import Config as AlembicConfig
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from toolkit.core.progress import Silent
from toolkit.errors import MigrationError, ToolkitError
from toolkit.models.loader import importable_from, load_metadata
from toolkit.operations.migration_environment import transactional_ddl
from toolkit.operations.revisions import has_history, joined, opened, recorded_revision
from toolkit.repositories import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from advanced_alchemy.alembic.commands import AlembicCommands
    from sqlalchemy import Connection, Engine, MetaData

    from toolkit.config import Config, Database
    from toolkit.core.progress import Progress


@dataclass(frozen=True, slots=True)
class Session:
    """Advanced Alchemy's Alembic commands on one database, silent, with the configured metadata."""

    database: Database
    engine: Engine
    commands: AlembicCommands
    steps: list[str]
    output: io.StringIO

    def recorded_revision(self) -> str | None:
        """The revision that the database records now."""
        with self.engine.connect() as connection:
            return recorded_revision(connection)


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
    _require_given_engine(database, config)
    steps: list[str] = []

    def note(*, step: Any, **_: Any) -> None:
        action = "stamp" if step.is_stamp else "upgrade" if step.is_upgrade else "downgrade"
        message = "" if step.is_stamp or step.up_revision is None else f" ({step.up_revision.doc})"
        steps.append(f"{action} {joined(step.up_revision_ids)}{message}")
        (progress or Silent()).note(f"{database.name}: {steps[-1]}")

    metadata = load_metadata(config.metadata, config.root)
    with translated(database, config), opened(database, read_only=only_reads) as engine:
        commands = _commands(database, config, engine, metadata)
        output = io.StringIO()
        commands.config.stdout = commands.config.output_buffer = output
        commands.config.cmd_opts = _quiet()
        commands.config.attributes.update(
            target_metadata=metadata,
            only_reads=only_reads,
            before_commit=before_commit,
            on_version_apply=note,
        )
        yield Session(database, engine, commands, steps, output)


def _require_given_engine(database: Database, config: Config) -> None:
    """Alembic's own templates connect to the URL of `alembic.ini`, whichever database was named.

    Raises:
        MigrationError: env.py uses neither this package's `run_migrations` nor, as Advanced Alchemy's, `config.engine`;
            or it awaits that.
    """
    path = config.migrations / "env.py"
    text = path.read_text(encoding="utf-8", errors="replace")
    if "toolkit.operations.migration_environment" in text:
        return
    if "config.engine" not in text:
        problem = f"connects by itself: migrations would run on the database that it names, not on {database.name}"
    elif "async with" in text:
        problem = "is for asynchronous engines only"
    else:
        return
    raise MigrationError(
        f"{path} {problem}.",
        "Nothing was run. Put the env.py that 'toolkit database init DIRECTORY' makes in its place; a database without "
        "the table alembic_versions also needs: toolkit database stamp-migration REVISION.",
    )


def _commands(database: Database, config: Config, engine: Engine, metadata: MetaData) -> AlembicCommands:
    # Loaded here: they take 0.1 s, and who only asks for a revision does without.
    from advanced_alchemy.alembic.commands import AlembicCommands
    from advanced_alchemy.config import AlembicSyncConfig, SQLAlchemySyncConfig

    return AlembicCommands(
        SQLAlchemySyncConfig(
            engine_instance=engine,
            bind_key=database.name,
            metadata=metadata,
            alembic_config=AlembicSyncConfig(
                script_config=str(config.root / "alembic.ini"),
                script_location=str(config.migrations).replace("%", "%%"),
                compare_type=True,
            ),
        )
    )


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
def translated(database: Database, config: Config) -> Iterator[None]:
    """Turn errors of the engine, of Alembic and of the migrations into this package's."""
    with migrating(config), connect(database, write=True).translated():
        yield


@contextmanager
def migrating(config: Config) -> Iterator[None]:
    """Let migrations import the user's modules; turn their errors and Alembic's into this package's."""
    try:
        with importable_from(config.root):
            yield
    except ToolkitError:
        raise
    except CommandError as error:
        raise MigrationError(f"{str(error).rstrip('.')}.", "See: toolkit database history") from error
    except Exception as error:
        raise MigrationError(
            f"The migrations in {config.migrations} failed: {type(error).__name__}: {error}.",
            "The database is as before. Run with --debug to see where.",
        ) from error


def alembic_config(config: Config) -> AlembicConfig:
    """What Alembic has to know where no database is needed."""
    found = AlembicConfig(config.root / "alembic.ini", stdout=io.StringIO(), cmd_opts=_quiet())
    found.set_main_option("script_location", str(config.migrations).replace("%", "%%"))
    return found


def _quiet() -> Namespace:
    return Namespace(quiet=True, x=[])


def scripts_of(config: Config) -> ScriptDirectory:
    """The migrations of the configured directory.

    Raises:
        MigrationError: it is no migrations directory, or its migrations do not fit together.
    """
    if not has_history(config):
        raise MigrationError(
            f"{config.migrations} is no migrations directory.", "Make one: toolkit database init"
        )
    with migrating(config):
        scripts = ScriptDirectory.from_config(alembic_config(config))
        scripts.get_heads()
    return scripts
