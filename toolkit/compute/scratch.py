"""Temporary directories that do not outlive a killed process for long: the next one that needs one removes them."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from toolkit.errors import ConfigurationError, TemporaryFilesError, ToolkitError
from toolkit.locks import own_folder, try_lock

_LOCK = ".lock"


# Of DuckDB, which offloads what does not fit into its memory.
_OFFLOADING = ("max_temp_directory_size", "duckdb_temp_storage")


@contextmanager
def told_if_full() -> Iterator[None]:
    """Let a full disk be told as that of temporary files, in a block that writes no other file itself.

    Raises:
        TemporaryFilesError: there is no room for them.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise TemporaryFilesError(tempfile.gettempdir(), os.strerror(error.errno)) from error
    except Exception as error:
        if isinstance(error, ToolkitError) or not any(sign in str(error) for sign in _OFFLOADING):
            raise
        raise TemporaryFilesError(tempfile.gettempdir(), str(error).partition("\n")[0]) from error


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """An empty directory of this user's alone, for as long as the block lasts.

    A file beside it holds a lock, which the kernel releases however its process ends: who gets it may remove the rest.

    Raises:
        TemporaryFilesError: there is no room for what the block writes there.
        ConfigurationError: the directory has a name that no database's address can hold.
    """
    folder = own_folder()
    if "?" in str(folder):
        raise ConfigurationError(
            f"Temporary files cannot be in {tempfile.gettempdir()}: a ? in a database's address ends the path.",
            "Set TMPDIR to another directory.",
        )
    for file in folder.glob(f"scratch-*{_LOCK}"):
        _remove_if_left(file)
    file, lock = _claimed(folder)
    with told_if_full(), closing(lock):
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
