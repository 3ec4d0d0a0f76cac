"""The migrations of a directory, as Alembic reads them."""

from __future__ import annotations

import io
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from alembic.config import Config as AlembicConfig
from alembic.script import ScriptDirectory

from toolkit.errors import MigrationError
from toolkit.operations.migrations.environments import OWN_ENVIRONMENT, has_history
from toolkit.operations.migrations.failures import migrating
from toolkit.operations.migrations.locations import require_own_migrations, require_own_settings, settings_file

if TYPE_CHECKING:
    from toolkit.config import Config
    from toolkit.operations.migrations.environments import Environment


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
        require_own_settings(config)
        scripts = ScriptDirectory.from_config(alembic_config(config, environment))
        require_own_migrations(map(Path, scripts._version_locations))  # noqa: SLF001 - the public one is unresolved
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
