"""Locks between processes, which the kernel releases when their holder ends, however it ends.

They are SQLite's own: portable, and no package more.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

# The driver waits without hearing Ctrl-C: not for long, then again.
_SECONDS = 0.5


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock; waits for as long as another process has it."""
    while (held := try_lock(path, _SECONDS)) is None:
        pass
    with closing(held):
        yield


def try_lock(path: Path, seconds: float = 0) -> sqlite3.Connection | None:
    """What holds the lock until it is closed; None if another process has it."""
    connection = sqlite3.connect(path, timeout=seconds, isolation_level=None, check_same_thread=False)
    try:
        # Nothing is ever written: no journal file, which would outlive a killed process.
        connection.execute("PRAGMA journal_mode = MEMORY")
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        connection.close()
        if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            raise
        return None
    return connection
