"""The names that commands take, for whoever offers them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from toolkit.config import BUNDLED_METADATA
from toolkit.config.bundled import bundled
from toolkit.errors import ToolkitError

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.config import Config


def table_names(config: Config, databases: Iterable[str] = ()) -> tuple[str, ...]:
    """Those that can be had at once: of the fixtures, and of such of these databases as are files that say so.

    An application's models are not imported, and no server is asked: what a shell asks for in the middle of a line runs
    no code of the application's, and waits for nothing.
    """
    # The bundled models take a second to load; their fixtures have the same names.
    directory = bundled("fixtures") if config.metadata == BUNDLED_METADATA else config.fixtures
    found = set(_of_fixtures(directory))
    for each in databases:
        with suppress(ToolkitError):
            database = config.database(each)
            if database.file is not None and database.file.exists():
                found |= set(database.kind.names_at_hand(database.file))
    return tuple(sorted(found))


def _of_fixtures(directory: Path) -> Iterator[str]:
    from toolkit.stores.directories import LocalDirectory
    from toolkit.stores.fixture_files import table_of

    return (table for table, _ in filter(None, map(table_of, LocalDirectory(directory).files())))
