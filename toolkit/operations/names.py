"""The names that commands take, for whoever offers them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.config import BUNDLED_METADATA

if TYPE_CHECKING:
    from toolkit.config import Config


def table_names(config: Config) -> tuple[str, ...]:
    """Those of the bundled tables, or of an application's as far as its fixtures show them.

    An application's models are not imported: what a shell asks for in the middle of a line runs none of its code.
    """
    if config.metadata == BUNDLED_METADATA:
        from toolkit.models.todo import metadata

        return tuple(metadata.tables)
    from toolkit.stores.directories import LocalDirectory
    from toolkit.stores.fixture_files import table_of

    files = filter(None, map(table_of, LocalDirectory(config.fixtures).files()))
    return tuple(sorted({table for table, _ in files}))
