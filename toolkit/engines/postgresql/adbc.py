"""ADBC connections to PostgreSQL: the first of a process reads all types of its database, the others do not."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any


def open_connection(url: str) -> Any:
    """A new connection to the database that libpq finds by this URL, for whoever closes it.

    What is selected through it has to be cast to types of PostgreSQL's own, whose numbers are the same in every
    database of every version: ADBC knows the types that were there when this process first read from any.
    """
    import adbc_driver_postgresql.dbapi

    return adbc_driver_postgresql.dbapi.Connection(_KeptOpen(), _shared().connection(url))


@cache
def _shared() -> _SharedTypes:
    return _SharedTypes()


class _SharedTypes:
    """What ADBC calls a database: the types that it has read, and the URL that its next connection is opened by.

    It takes 30 ms of the processor to read the types, and the server 9 ms; a connection by itself takes 0.5 ms.
    """

    def __init__(self) -> None:
        self._database: Any = None
        self._turn = threading.Lock()

    def connection(self, url: str) -> Any:
        """A new connection of ADBC's own."""
        import adbc_driver_manager
        import adbc_driver_postgresql

        with self._turn:
            if self._database is None:
                self._database = adbc_driver_postgresql.connect(url)
            else:
                self._database.set_options(uri=url)
            return adbc_driver_manager.AdbcConnection(self._database)


class _KeptOpen:
    """What a connection closes when it is closed, in place of its database."""

    def close(self) -> None:
        """Leave the database, which holds no connection of its own, to the next one."""
