"""Files of a lake, in a directory or an object store: whole ones are put there, and parts of them are read."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from pyarrow import fs

    from toolkit.engines.contract import StoreAccess

# So many make one object at once: a store that lets in more than one would lose commits.
_RACING = 8
_ROUNDS = 3
# It takes a store a while to take these, in which others may come.
_PROBE_BYTES = 1 << 16


class DirectoryFiles:
    """Files below a directory."""

    def __init__(self, root: str) -> None:
        self._root = Path(root)

    @cached_property
    def readable(self) -> fs.FileSystem:
        """As Arrow reads them."""
        from pyarrow import fs

        return fs.SubTreeFileSystem(str(self._root), fs.LocalFileSystem())

    def put(self, path: str, content: pa.Buffer) -> None:
        """Make a file of a new name, which is on the disk before anything names it."""
        file = self._root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())

    def make(self, path: str, content: pa.Buffer) -> None:
        """Make a file at once whole, of which there may be one.

        Raises:
            FileExistsError: there is.
        """
        aside = f"{path}.{secrets.token_hex(8)}.tmp"
        self.put(aside, content)
        try:
            (self._root / path).hardlink_to(self._root / aside)
        finally:
            self.delete(aside)

    def get(self, path: str) -> pa.Buffer:
        """The content of a file.

        Raises:
            OSError: it is not there, or cannot be read.
        """
        return pa.py_buffer((self._root / path).read_bytes())

    def delete(self, path: str) -> None:
        """Remove a file, if it is there and may be removed."""
        with contextlib.suppress(OSError):
            (self._root / path).unlink()

    def folders(self) -> list[str]:
        """The folders in it."""
        return sorted(each.name for each in self._root.iterdir() if each.is_dir()) if self._root.is_dir() else []

    def remove_empty(self, folder: str) -> None:
        """Remove a folder without files, if it is there."""
        with contextlib.suppress(OSError):
            (self._root / folder).rmdir()

    def has(self, folder: str) -> bool:
        """Whether there is such a folder."""
        return (self._root / folder).is_dir()

    def is_atomic(self) -> bool:
        """Whether of several that make one file one succeeds: on a file system, it does."""
        return True


class StoredFiles:
    """Files below a prefix of an object store."""

    def __init__(self, uri: str, options: Mapping[str, str], access: StoreAccess | None = None) -> None:
        self._uri, self._options, self._access = uri, options, access

    @cached_property
    def _store(self) -> Any:
        from obstore.store import from_url

        if self._access is None:
            return from_url(self._uri)
        return from_url(
            self._uri,
            config=self._access.settings,  # type: ignore[call-overload]
            client_options=self._access.client,
            retry_config={"max_retries": self._access.retries},
        )

    @cached_property
    def readable(self) -> fs.FileSystem:
        """As Arrow reads them."""
        from deltalake.fs import DeltaStorageHandler
        from pyarrow import fs

        return fs.PyFileSystem(DeltaStorageHandler(self._uri, dict(self._options)))

    def put(self, path: str, content: pa.Buffer) -> None:
        """Make an object of a new name.

        Raises:
            OSError: it cannot be made.
        """
        from obstore import put
        from obstore.exceptions import BaseError

        try:
            put(self._store, path, memoryview(content).cast("B"))
        except BaseError as error:
            raise OSError(str(error)) from error

    def make(self, path: str, content: pa.Buffer) -> None:
        """Make an object, of which there may be one.

        Raises:
            FileExistsError: there is.
            OSError: it cannot be made.
        """
        from obstore import put
        from obstore.exceptions import AlreadyExistsError, BaseError

        try:
            put(self._store, path, memoryview(content).cast("B"), mode="create")
        except AlreadyExistsError as error:
            raise FileExistsError(str(error)) from error
        except BaseError as error:
            raise OSError(str(error)) from error

    def get(self, path: str) -> pa.Buffer:
        """The content of an object.

        Raises:
            OSError: it is not there, or cannot be read.
        """
        from obstore import get
        from obstore.exceptions import BaseError

        try:
            return pa.py_buffer(bytes(get(self._store, path).bytes()))
        except BaseError as error:
            raise OSError(str(error)) from error

    def delete(self, path: str) -> None:
        """Remove an object, if it is there and may be removed."""
        from obstore import delete
        from obstore.exceptions import BaseError

        with contextlib.suppress(BaseError, OSError):
            delete(self._store, path)

    def folders(self) -> list[str]:
        """The folders in it.

        Raises:
            OSError: they cannot be listed.
        """
        from obstore import list_with_delimiter
        from obstore.exceptions import BaseError

        try:
            found = list_with_delimiter(self._store)["common_prefixes"]
        except (BaseError, ValueError) as error:
            raise OSError(str(error)) from error
        return sorted(each.rstrip("/").rpartition("/")[2] for each in found)

    def remove_empty(self, folder: str) -> None:
        """A store has no folders beside its objects."""

    def has(self, folder: str) -> bool:
        """Whether there is anything in such a folder.

        Raises:
            OSError: it cannot be listed.
        """
        from obstore import list as listing
        from obstore.exceptions import BaseError

        try:
            return any(listing(self._store, f"{folder}/", chunk_size=1))
        except BaseError as error:
            raise OSError(str(error)) from error

    def is_atomic(self) -> bool:
        """Whether of several that make one object at once one succeeds.

        One after the other is not enough to ask for: OpenStack Swift refuses the second then, but takes all of those
        that come before the first has written.

        Raises:
            OSError: nothing can be written at all.
        """
        from obstore.exceptions import BaseError

        try:
            # Chance may put them one behind the other.
            return all(self._lets_in_one() for _ in range(_ROUNDS))
        except (BaseError, ValueError) as error:
            raise OSError(str(error)) from error

    def _lets_in_one(self) -> bool:
        from obstore import put
        from obstore.exceptions import AlreadyExistsError

        key, together = f"_toolkit/probe-{secrets.token_hex(8)}", Barrier(_RACING)

        def makes(number: int) -> bool:
            together.wait()
            try:
                put(self._store, key, bytes([number]) * _PROBE_BYTES, mode="create")
            except AlreadyExistsError:
                return False
            return True

        try:
            with ThreadPoolExecutor(_RACING) as pool:
                return sum(pool.map(makes, range(_RACING))) == 1
        finally:
            self.delete(key)


Files = DirectoryFiles | StoredFiles


def listed(files: Files, folder: str) -> list[fs.FileInfo]:
    """The files below a folder, with their sizes and times; none if it is not there.

    Raises:
        OSError: they cannot be listed.
    """
    from pyarrow import fs

    found = files.readable.get_file_info(fs.FileSelector(folder, allow_not_found=True, recursive=True))
    return sorted((each for each in found if each.type is fs.FileType.File), key=lambda each: str(each.path))
