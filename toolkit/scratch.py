"""Temporary directories that do not outlive a killed process for long: the next one that needs one removes them."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from toolkit.locks import try_lock

_LOCK = "lock"


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """An empty directory of this user's alone, for as long as the block lasts.

    It holds a lock, which the kernel releases however its process ends: who gets the lock may remove the rest.
    """
    folder = Path(tempfile.gettempdir(), f"toolkit-{os.getuid() if hasattr(os, 'getuid') else 'user'}")
    folder.mkdir(mode=0o700, exist_ok=True)
    _remove_leftovers(folder)
    new = Path(tempfile.mkdtemp(prefix="new-", dir=folder))
    lock = try_lock(new / _LOCK)
    assert lock is not None
    # Under this name it is seen by others, and then it is locked already.
    directory = new.rename(new.with_name(new.name.replace("new-", "scratch-", 1)))
    try:
        (directory / "files").mkdir()
        yield directory / "files"
    finally:
        lock.close()
        shutil.rmtree(directory, ignore_errors=True)


def _remove_leftovers(folder: Path) -> None:
    for directory in folder.glob("scratch-*"):
        # Somebody else may remove it at the same time.
        with suppress(sqlite3.OperationalError):
            lock = try_lock(directory / _LOCK)
            if lock is not None:
                with closing(lock):
                    shutil.rmtree(directory, ignore_errors=True)
