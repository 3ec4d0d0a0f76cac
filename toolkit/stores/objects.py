"""A configured object store under keys that we made ourselves: URL-safe, so that every store takes them."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from toolkit.config import Store
from toolkit.stores.client import PART_BYTES, client_for
from toolkit.stores.object_reader import ObjectInfo

__all__ = ["ObjectInfo", "ObjectStore"]

_SEGMENT = "[A-Za-z0-9_][A-Za-z0-9_.-]*"
_KEY = re.compile(rf"{_SEGMENT}(/{_SEGMENT})*")
_KEY_LENGTH = 512


class ObjectStore:
    """Objects of a configured store. May be used by several threads at once."""

    def __init__(self, store: Store, part_bytes: int = PART_BYTES) -> None:
        """Open the store; nothing is read or written yet.

        Raises:
            StoreError: its address or a setting cannot be used.
        """
        self._access = client_for(store, part_bytes)
        self.name = self._access.name

    @property
    def exists(self) -> bool:
        """Whether its directory is there; a bucket's absence is told by its first use."""
        return self._access.exists

    @property
    def directory(self) -> Path | None:
        """The directory of this machine that it is, if it is one."""
        return self._access.directory

    @property
    def requests(self) -> Mapping[str, int]:
        """How often it was asked, by kind; a directory's are none."""
        return self._access.requests.counts

    @property
    def location(self) -> str:
        """Where all of its objects are: equal for whatever leads to the same place."""
        return self._access.location()

    def info(self, key: str) -> ObjectInfo | None:
        """What is known of an object, None if there is none."""
        return self._access.info(_checked(key))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object in the folder `prefix` and those beneath it, in no particular order, a few at a time."""
        return self._access.list(_checked(prefix.rstrip("/")) if prefix else "")

    def read(self, key: str) -> Iterator[bytes]:
        """An object's content in chunks of about a megabyte; a broken connection is taken up where it broke.

        Raises:
            MissingObjectError: there is no such object.
            StoreError: it cannot be read, or was replaced meanwhile.
        """
        return self._access.read(_checked(key))

    def write(self, key: str, chunks: Iterable[bytes] | memoryview, *, size: int | None = None) -> None:
        """Store an object, in place of what has the key; nobody ever sees a part of it (see `ObjectStoreClient.write`).

        Raises:
            StoreError: it cannot be written, or other than `size` bytes came.
        """
        self._access.write(_checked(key), chunks, size=size, writer=secrets.token_hex(16))

    def create(self, key: str, content: bytes) -> bool:
        """Store a small object if there is none of that key; of several who try at once, one is told True.

        A store that knows no conditional writes (OpenStack Swift) may tell several of them so.
        """
        return self._access.create(_checked(key), content, secrets.token_hex(16))

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are not there are no error."""
        self._access.delete(map(_checked, keys))

    def remove_unfinished(self, before: datetime) -> int:
        """Remove what killed processes left in a directory of writes that were not finished; the number of files."""
        return self._access.remove_unfinished(before)

    def require_readable(self) -> None:
        """See that all that lies there can be read still, whoever was at work since this was opened.

        Raises:
            EncryptionError: some of it is encrypted with a key that is not given.
        """

    def settle(self) -> None:
        """Wait until all that was written survives a power failure: a directory of this machine needs that said."""
        if self.directory is not None and hasattr(os, "sync"):
            os.sync()


def _checked(key: str) -> str:
    if len(key) > _KEY_LENGTH or not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} is not a key that every store takes: letters, digits, . _ - and single slashes are.")
    return key
