"""Temporary directories that do not outlive a killed process for long: the next one that needs one removes them."""

from __future__ import annotations

import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from toolkit.locks import own_folder, try_lock

_LOCK = ".lock"


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """An empty directory of this user's alone, for as long as the block lasts.

    A file beside it holds a lock, which the kernel releases however its process ends: who gets it may remove the rest.
    """
    folder = own_folder()
    for file in folder.glob(f"scratch-*{_LOCK}"):
        _remove_if_left(file)
    file, lock = _claimed(folder)
    with closing(lock):
        try:
            file.with_suffix("").mkdir(mode=0o700)
            yield file.with_suffix("")
        finally:
            _remove(file)


def _claimed(folder: Path) -> tuple[Path, sqlite3.Connection]:
    """A new lock; a file that somebody took for a leftover before it was locked is given up."""
    while True:
        file = folder / f"scratch-{secrets.token_hex(8)}{_LOCK}"
        lock = try_lock(file)
        if lock is not None and file.exists():
            return file, lock
        if lock is not None:
            lock.close()


def _remove_if_left(file: Path) -> None:
    lock = try_lock(file)
    if lock is not None:
        with closing(lock):
            _remove(file)


def _remove(file: Path) -> None:
    shutil.rmtree(file.with_suffix(""), ignore_errors=True)
    file.unlink(missing_ok=True)
