"""A copy of a SQLite file in the moment's state, made so that nobody who writes to it waits for long.

With a rollback journal nobody can commit beside a reader. A sync reads for as long as it takes to compare and to write,
and the application would fail ("database is locked"). Many short transactions would be no snapshot. A write-ahead log
(WAL) needs none of it.

Beside a transaction that reads nobody changes the file itself, so that any program may copy it: `cp` copies 560 MB in
0.6 s, 0.24 s of which are a processor's, where SQLite's own backup takes 2.4 s and 0.9 s. It is a process of its own,
as locks are counted by process and dropped by whoever closes the file ("How To Corrupt An SQLite Database File", 2.2).
To start it takes 5 ms, and the backup of a small file half of one. What takes longer than others wait is copied by the
backup, too, which begins again where somebody has written.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

# Most drivers let an application wait for 5 seconds before its write fails.
HOLD_SECONDS = 2.0
# How often it may begin anew as somebody has written between two holds.
_RESTARTS = 3
_PAUSE_SECONDS = 0.05
_STEP_BYTES = 16 << 20
_SPARE_BYTES = 64 << 20
# Up to so many bytes the backup takes less time than another process.
_SMALL_BYTES = 1 << 20


class NeverQuietError(Exception):
    """The file is written to more often than it takes to copy it."""


def has_room(size: int, folder: Path) -> bool:
    """Whether a copy of so many bytes fits in there."""
    return shutil.disk_usage(folder).free > size + _SPARE_BYTES


def copy_file(source: sqlite3.Connection, file: Path, path: Path, begin: Callable[[], None]) -> None:
    """Copy the file of a connection that is within a transaction that reads; it is within one afterwards, too.

    `begin` begins one, waiting for whoever writes. After each `HOLD_SECONDS` others get their turn; if one of them
    writes, what was copied is void.

    Raises:
        NeverQuietError: that happened several times.
        sqlite3.OperationalError: there is no room.
    """
    if file.stat().st_size > _SMALL_BYTES and _copied(file, path):
        return
    (page,) = source.execute("PRAGMA page_size").fetchone()
    # Whoever waits has waited for the other copy already.
    held, left, restarts = float("-inf"), None, 0

    def give_way(_: int, remaining: int, __: int) -> None:
        nonlocal held, left, restarts
        if left is not None and remaining >= left:
            restarts += 1
            if restarts > _RESTARTS:
                raise NeverQuietError
        left = remaining
        if remaining and time.monotonic() - held > HOLD_SECONDS:
            source.rollback()
            time.sleep(_PAUSE_SECONDS)
            begin()
            held = time.monotonic()

    with closing(sqlite3.connect(path, isolation_level=None)) as target:
        # What is lost with the machine is of no use after it.
        target.execute("PRAGMA synchronous = OFF")
        target.execute("PRAGMA journal_mode = OFF")
        source.backup(target, pages=max(1, _STEP_BYTES // page), progress=give_way)


def _copied(file: Path, path: Path) -> bool:
    """Whether the operating system could copy the file in time."""
    program = shutil.which("cp")
    if program is None:
        return False
    try:
        done = subprocess.run(  # noqa: S603 - of names that are given as they are
            [program, "--", file, path],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=HOLD_SECONDS,
            env={},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        done = None
    if done is None or done.returncode:
        path.unlink(missing_ok=True)
        return False
    return True
