"""Locks between processes, which the kernel releases when their holder ends, however it ends.

They are SQLite's own locks of a file, one mechanism for exclusive and shared ones. `filelock` (4.3 was looked at) takes
its shared locks from SQLite, too, and its exclusive ones from flock(), of another mechanism, with a file that has to be
writable though another user may have made it, and a fallback whose lock outlives its process.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from toolkit.ownership import private_folder

# The driver waits without hearing Ctrl-C: not for long, then again.
_SECONDS = 0.5
_STEP_SECONDS = 0.1
_LOCK = ".toolkit-lock"


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


def take_writer_lock(target: Path, seconds: float) -> WriterLock | None:
    """The lock of whoever writes to a place, waiting so long for whoever has it; None if that is not enough.

    A directory has its lock in itself: whoever shares it meets there, whatever user, container or folder of temporary
    files is theirs. Where its file system has no locks, and for a file, it is one of this user on this machine.
    """
    if target.is_dir():
        try:
            return _taken(target / _LOCK, seconds)
        except sqlite3.OperationalError:
            pass
    status = target.stat()
    return _taken(own_folder() / f"{status.st_dev:x}-{status.st_ino:x}.lock", seconds)


def _taken(path: Path, seconds: float) -> WriterLock | None:
    deadline = time.monotonic() + seconds
    while True:
        lock = WriterLock(path)
        try:
            lock.take()
        except sqlite3.OperationalError as error:
            # Another user's lock may be all but written to.
            if error.sqlite_errorcode not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY):
                lock.close()
                raise
        if lock.is_ours:
            return lock
        lock.close()
        if time.monotonic() > deadline:
            return None


def own_folder() -> Path:
    """This user's folder among the temporary files of the machine, for what processes have to agree on.

    Raises:
        PermissionError: somebody else has made it.
    """
    if not hasattr(os, "getuid"):
        folder = Path(tempfile.gettempdir(), "toolkit-user")
        folder.mkdir(exist_ok=True)
        return folder
    return private_folder(Path(tempfile.gettempdir(), f"toolkit-{os.getuid()}"), os.getuid())


class WriterLock:
    """The right of a toolkit to write to a file or a directory: a lock on an empty file that is there for that."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with suppress(FileExistsError):
            self._path.touch(exist_ok=False)
            # Whoever may write to the folder may have the lock next, also if this process is killed.
            self._path.chmod(path.parent.stat().st_mode & 0o666)
        self._require_lock()
        self._inode = self._found()
        self._connection = sqlite3.connect(self._path, timeout=_STEP_SECONDS, isolation_level=None)

    def take(self) -> None:
        """Wait a moment for it."""
        try:
            self._connection.execute("PRAGMA journal_mode = MEMORY")
            self._connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            # A file that was removed meanwhile is refused in several ways; then it is not ours.
            if self._inode == self._found():
                raise

    @property
    def is_ours(self) -> bool:
        """Whether what was locked is what others would lock: who had it before us has removed it."""
        return self._connection.in_transaction and self._inode is not None and self._inode == self._found()

    def close(self) -> None:
        """Give it back."""
        if self.is_ours:
            self._path.unlink()
        self._connection.close()

    def _require_lock(self) -> None:
        """See that what has the lock's name is one, and no link or file that came with the directory."""
        with suppress(FileNotFoundError):
            found = self._path.lstat()
            if not stat.S_ISREG(found.st_mode) or found.st_size:
                raise FileExistsError(
                    errno.EEXIST, "is in the place of a lock, and is not one: remove it", str(self._path)
                )

    def _found(self) -> int | None:
        try:
            return self._path.lstat().st_ino
        except FileNotFoundError:
            return None
