"""Access to the rows of a database, whichever engine it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.errors import ConfigurationError, DatabaseUnavailableError

if TYPE_CHECKING:
    from toolkit.engines.contract import Connection
    from toolkit.engines.database import Database


def connect(database: Database, *, write: bool = False) -> Connection:
    """One transaction on a database, for use in a `with` block: a snapshot, or (`write`) the right to write.

    Raises:
        ConfigurationError: the database is in memory.
        DatabaseUnavailableError: it is a directory, or there is no file to read; entering the block has other causes.
    """
    if database.is_in_memory:
        raise ConfigurationError(
            f"{database.name} is a database in memory, which ends with each connection.",
            f"Give it a file, behind three slashes: {database.kind.name}:///file.",
        )
    if database.file is not None and database.file.is_dir():
        raise DatabaseUnavailableError(database.name, f"{database.file} is a directory", "Name a file in it.")
    if not write and database.kind.is_missing(database):
        raise DatabaseUnavailableError(
            database.name,
            f"there is no {'directory' if database.file is None else 'file'} {database.place}",
            "Check the path and the working directory, or fill it first (toolkit load-data).",
        )
    return database.kind.connection(database, write=write)
