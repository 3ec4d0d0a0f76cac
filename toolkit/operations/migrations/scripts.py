"""The migrations of a directory, as Alembic reads them; its errors and theirs in this package's words."""

from __future__ import annotations

import io
import traceback
from argparse import Namespace
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from alembic.config import Config as AlembicConfig
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from toolkit.errors import MigrationError, ToolkitError
from toolkit.operations.migrations.environments import OWN_ENVIRONMENT, has_history
from toolkit.ownership import require_ours
from toolkit.references import importable_from

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.config import Config
    from toolkit.operations.migrations.committed import Committed
    from toolkit.operations.migrations.environments import Environment

_RUNS = "code of it would run as this user"


@contextmanager
def migrating(config: Config, committed: Committed | None = None, *, makes: bool = False) -> Iterator[None]:
    """Let migrations import the user's modules; turn their errors and Alembic's into this package's.

    Each says what was `committed` before, if anything was. `makes`: tables are made without any migration.
    """
    try:
        with importable_from(config.root):
            yield
    except ToolkitError as error:
        _add(error, committed)
        raise
    except CommandError as error:
        refused = MigrationError(f"{str(error).rstrip('.')}.", "See: toolkit database history")
        raise _add(refused, committed, error) from error
    except Exception as error:
        # The lines after the first are SQLAlchemy's: the statement and its parameters, which are values.
        reason = str(error).strip().partition("\n")[0]
        as_before = "" if committed and committed.statements else "The database is as before. "
        what = "The tables could not be made" if makes else f"The migrations in {config.migrations} failed"
        failed = MigrationError(
            f"{what}: {type(error).__name__}{reason and f': {reason}'}.",
            f"{as_before}Run with --debug to see where.",
        )
        raise _add(failed, committed, error) from error


def _add(error: ToolkitError, committed: Committed | None, cause: BaseException | None = None) -> ToolkitError:
    """Say where it happened, and what was committed before."""
    place = _place_of(error if cause is None else cause)
    told = [f"It happened in {place}." if place else ""]
    if committed:
        told += [committed.hidden_error(str(error)), committed.told()]
    if any(told):
        error.advise(" ".join(filter(None, told)))
    return error


def _place_of(error: BaseException | None) -> str | None:
    """The file and line of the migration that an error came from."""
    found = None
    while error is not None and found is None:
        for frame, line in traceback.walk_tb(error.__traceback__):
            if {"revision", "down_revision"} <= frame.f_globals.keys():
                found = f"{Path(frame.f_code.co_filename).name}, line {line}"
        error = error.__cause__ or error.__context__
    return found


def alembic_config(config: Config, environment: Environment) -> AlembicConfig:
    """What Alembic has to know where no database is needed."""
    found = AlembicConfig(settings_file(config), stdout=io.StringIO(), cmd_opts=quiet())
    point_at_migrations(found, config, environment)
    return found


def quiet() -> Namespace:
    """What makes Alembic's commands silent."""
    return Namespace(quiet=True, x=[])


def load_scripts(config: Config, environment: Environment) -> ScriptDirectory:
    """The migrations of the configured directory.

    Raises:
        MigrationError: it is not a migrations directory, or its migrations do not fit together.
        ConfigurationError: they are somebody else's.
    """
    if not has_history(config):
        raise MigrationError(f"{config.migrations} is not a migrations directory.", "Make one: toolkit database init")
    with migrating(config):
        # Before Alembic acts on any of them; each migration is a module that is run.
        given = (settings_file(config), config.migrations, config.migrations / "env.py")
        require_ours(given, _RUNS)
        scripts = ScriptDirectory.from_config(alembic_config(config, environment))
        for folder in map(Path, scripts._version_locations):  # noqa: SLF001 - the public one is not yet resolved
            require_ours([folder, *folder.rglob("*.py")], _RUNS)
        scripts.get_heads()
    return scripts


def point_at_migrations(found: AlembicConfig, config: Config, environment: Environment) -> None:
    """Tell Alembic where the migrations are, and whose `env.py` and template to use."""

    def give(option: str, value: Path | str) -> None:
        found.set_main_option(option, str(value).replace("%", "%%"))

    if environment.takes_engine:
        give("script_location", config.migrations)
        return
    give("script_location", OWN_ENVIRONMENT)
    if not found.get_main_option("version_locations"):
        give("version_locations", config.migrations / "versions")
        if not found.get_main_option("path_separator"):
            # Without it, Alembic takes a path with a space in it for two; and what Advanced Alchemy's alembic.ini says
            # of `version_path_separator` is refused as soon as it is looked at.
            give("path_separator", "os")


def settings_file(config: Config) -> Path:
    """Alembic's settings: beside the application's, or as Flask-Migrate makes them in the directory of migrations."""
    beside, within = (folder / "alembic.ini" for folder in (config.root, config.migrations))
    return within if within.is_file() and not beside.is_file() else beside
