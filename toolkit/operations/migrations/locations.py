"""Where migrations and Alembic's settings are, and whose they have to be."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.ownership import require_ours

if TYPE_CHECKING:
    from toolkit.config import Config

_RUNS = "code of it would run as this user"


def settings_file(config: Config) -> Path:
    """Alembic's settings: beside the application's, or as Flask-Migrate makes them in the directory of migrations."""
    beside, within = (folder / "alembic.ini" for folder in (config.root, config.migrations))
    return within if within.is_file() and not beside.is_file() else beside


def require_own_settings(config: Config) -> None:
    """See that what says how migrations are run is this user's.

    Raises:
        ConfigurationError: something of it is somebody else's.
    """
    require_ours((settings_file(config), config.migrations, config.migrations / "env.py"), _RUNS)


def require_own_migrations(folders: Iterable[Path]) -> None:
    """See that the migrations in these folders are this user's: each is a module that is run.

    Raises:
        ConfigurationError: one is somebody else's.
    """
    for folder in folders:
        require_ours([folder, *folder.rglob("*.py")], _RUNS)
