"""The names that commands take, for whoever offers them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.models.loader import load_metadata

if TYPE_CHECKING:
    from toolkit.config import Config


def table_names(config: Config) -> tuple[str, ...]:
    """Those of the models' tables.

    Raises:
        ConfigurationError: the models cannot be loaded.
    """
    return tuple(load_metadata(config.metadata, config.root).tables)
