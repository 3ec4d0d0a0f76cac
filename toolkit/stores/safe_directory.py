"""A directory that nothing is ever written outside of, whatever the names and whatever lies in it already.

Each folder on the way is opened by itself, without following links, and what is in it is reached from there: no link
can be put in between. `pathlib` and obstore resolve a whole path at a time; libraries of archives look, then write.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from toolkit.core.file_properties import Properties
from toolkit.errors import MissingObjectError, StoreError, ToolkitError
from toolkit.stores.chunks import CHUNK_BYTES
from toolkit.stores.object_reader import ObjectInfo

HASHED = "by-hash"
"""The folder of files whose own names no file system should be given."""
_PART_BYTES = 200
_NAME_BYTES = 1000
_DEPTH = 50
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_FILE = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def safe_name(backend: str, path: str) -> str:
    """The name of a restored file: that of its backend and its own, if these can be one; else one by hash."""
    name = f"{backend}/{path}"
    parts = name.split("/")
    if len(parts) <= _DEPTH and len(name.encode()) <= _NAME_BYTES and all(map(_is_harmless, parts)):
        return name
    return hashed_name(backend, path)


def hashed_name(backend: str, path: str) -> str:
    """A name that says nothing and that no other file has."""
    digest = hashlib.sha256(f"{backend}\x00{path}".encode(errors="surrogatepass")).hexdigest()
    return f"{HASHED}/{digest[:40]}"


def _is_harmless(part: str) -> bool:
    return (
        part not in ("", ".", "..", HASHED)
        and not part.startswith(".toolkit-")
        and "\\" not in part
        and len(part.encode()) <= _PART_BYTES
        and not part.endswith((" ", "."))
        and not _RESERVED.fullmatch(part)
        and all(unicodedata.category(sign) not in ("Cc", "Cs", "Co", "Cn", "Zl", "Zp") for sign in part)
    )


class SafeDirectory:
    """Files under names that `safe_name` made. May be used by several threads at once."""

    def __init__(self, root: Path) -> None:
        """The directory is made when it is first written to."""
        self.key = self.name = str(root)
        self._root = root

    def info(self, path: str) -> ObjectInfo | None:
        """What is known of a file, None if there is nothing of that name.

        Raises:
            StoreError: it is something else than a file, or a link is on the way.
        """
        with self._translated(path), self._folder(path, make=False) as (folder, last):
            if folder is None:
                return None
            try:
                found = os.stat(last, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                return None
            if not stat.S_ISREG(found.st_mode):
                raise StoreError(f"{self.name}: {path}", "something other than a file has its name", "Move it away.")
            return ObjectInfo(path, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def read(self, path: str) -> Iterator[bytes]:
        """A file's content in chunks of about a megabyte."""
        with self._translated(path), self._folder(path, make=False) as (folder, last):
            if folder is None:
                raise MissingObjectError(self.name, path)
            with os.fdopen(os.open(last, _FILE, dir_fd=folder), "rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk

    def write(
        self, path: str, chunks: Iterable[bytes], *, size: int | None = None, properties: Properties | None = None
    ) -> None:
        """Write a file, in place of what has the name; it is there, whole, when this returns.

        Raises:
            StoreError: it cannot be written; an error of `chunks` is raised as it is, and nothing is written.
        """
        with self._translated(path), self._folder(path, make=True) as (folder, last):
            assert folder is not None
            # The same name each time, so that what a killed process left is written over.
            unfinished = f".toolkit-{hashlib.sha256(last.encode()).hexdigest()[:16]}"
            with os.fdopen(self._begun(folder, unfinished, path), "wb") as file:
                try:
                    for chunk in chunks:
                        file.write(chunk)
                    if properties is not None and properties.mode is not None:
                        os.fchmod(file.fileno(), properties.mode)
                    file.flush()
                    os.fsync(file.fileno())
                    self._put_in_place(folder, unfinished, last, file.fileno(), path)
                except BaseException:
                    with suppress(OSError):
                        if self._is_own(folder, unfinished, file.fileno()):
                            os.unlink(unfinished, dir_fd=folder)
                    raise

    def _begun(self, folder: int, unfinished: str, path: str) -> int:
        """A new file of that name, in place of what a killed process left there, but not of what another one writes.

        Raises:
            StoreError: another one writes it.
        """
        with suppress(FileNotFoundError):
            with suppress(OSError), os.fdopen(os.open(unfinished, _FILE, dir_fd=folder), "rb") as left:
                if not _locked(left.fileno()):
                    raise self._busy(path)
            os.unlink(unfinished, dir_fd=folder)
        try:
            file = os.open(unfinished, _NEW, 0o666, dir_fd=folder)
        except FileExistsError:
            raise self._busy(path) from None
        # Between its making and its lock, another one may have taken it for what was left.
        if _locked(file) and self._is_own(folder, unfinished, file):
            return file
        os.close(file)
        raise self._busy(path)

    def _put_in_place(self, folder: int, unfinished: str, last: str, file: int, path: str) -> None:
        if not self._is_own(folder, unfinished, file):
            raise self._busy(path)
        os.replace(unfinished, last, src_dir_fd=folder, dst_dir_fd=folder)

    def _is_own(self, folder: int, unfinished: str, file: int) -> bool:
        """Whether a name is that of this file still."""
        with suppress(FileNotFoundError):
            return os.path.samestat(os.stat(unfinished, dir_fd=folder, follow_symlinks=False), os.fstat(file))
        return False

    def _busy(self, path: str) -> StoreError:
        return StoreError(f"{self.name}: {path}", "another process is writing it", "Let it end, then run again.")

    @contextmanager
    def _folder(self, path: str, *, make: bool) -> Iterator[tuple[int | None, str]]:
        """The folder that a file is in, opened, and the file's name in it; None if it is not there."""
        *parts, last = path.split("/")
        if any(part in ("", ".", "..") or "\0" in part for part in (*parts, last)):
            raise ValueError(f"{path!r} is no name that safe_name made")
        if make:
            self._root.mkdir(parents=True, exist_ok=True)
        folder = self._opened(parts, make=make)
        try:
            yield folder, last
        finally:
            if folder is not None:
                os.close(folder)

    def _opened(self, parts: list[str], *, make: bool) -> int | None:
        try:
            # The directory itself is its user's choice, and may be a link.
            folder = os.open(self._root, os.O_RDONLY)
            for part in parts:
                folder = _entered(folder, part, make=make)
        except FileNotFoundError:
            if make:
                raise
            return None
        return folder

    @contextmanager
    def _translated(self, path: str) -> Iterator[None]:
        try:
            yield
        except ToolkitError:
            raise
        except OSError as error:
            problem = error.strerror or str(error)
            advice = "Look for a link or a file on the way to it, for its permissions, and for the space left there."
            raise StoreError(f"{self.name}: {path}", problem, advice) from error


def _locked(file: int) -> bool:
    """Lock a file until it is closed, by the kernel; True also where there are no such locks."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _entered(folder: int, part: str, *, make: bool) -> int:
    """A folder within a folder, opened; the outer one is closed, also on an error."""
    try:
        if make:
            with suppress(FileExistsError):
                os.mkdir(part, dir_fd=folder)
        return os.open(part, _FOLDER, dir_fd=folder)
    finally:
        os.close(folder)
