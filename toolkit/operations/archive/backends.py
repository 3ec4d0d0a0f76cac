"""The archive and the live backends of a configuration, opened when they are needed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from toolkit.core.archive_manifest import Address, address_of
from toolkit.errors import ToolkitError
from toolkit.stores.archive import Archive
from toolkit.stores.client import client_for
from toolkit.stores.encrypted import open_objects
from toolkit.stores.live import LiveBackend, live_backend
from toolkit.stores.requests import summed

if TYPE_CHECKING:
    from toolkit.config import Config

DEFAULT_STORE = "archive"
JOBS = 8
"""Files under way at once, unless the user says otherwise."""
UNKNOWN = "unknown:"
"""What the location of a file begins with whose backend cannot be opened."""


def open_archive(config: Config, store: str) -> Archive:
    """The archive in a configured store, or at a URL.

    Raises:
        UnknownNameError, StoreError: there is no such store, or its settings or keys cannot be used.
    """
    return Archive(open_objects(config.store(store)))


class Backends:
    """The backends that rows name, each opened once. May be used by several threads at once."""

    def __init__(self, config: Config, archive: str | None = None) -> None:
        """`archive` is the store of the archive: rows may have been moved there."""
        self._config, self._archive = config, archive
        self._lock = threading.Lock()
        self._found: dict[str, LiveBackend | ToolkitError] = {}
        self._is_archive: dict[str, bool] = {}
        self.archive_location = None if archive is None else client_for(config.store(archive)).location()

    def get(self, key: str) -> LiveBackend:
        """The backend of a key.

        Raises:
            ToolkitError: there is none, or it cannot be opened: the same each time.
        """
        with self._lock:
            if key not in self._found:
                try:
                    self._found[key] = live_backend(self._config, key)
                except ToolkitError as error:
                    self._found[key] = error
            found = self._found[key]
        if isinstance(found, ToolkitError):
            raise found
        return found

    def requests(self, *archives: Archive) -> dict[str, int]:
        """How often all of these stores were asked, by kind; and archives."""
        with self._lock:
            opened = [each for each in self._found.values() if not isinstance(each, ToolkitError)]
        return summed([each.requests for each in opened] + [each.store.requests for each in archives])

    def location(self, key: str, path: str = "") -> str:
        """Where a file is, or all of a backend are; of a backend that cannot be opened, it is like nothing else."""
        try:
            return self.get(key).location(path)
        except ToolkitError:
            return f"{UNKNOWN}{key}/{path.strip('/')}"

    def is_archive(self, key: str) -> bool:
        """Whether a backend is the archive, under whatever name and however its address is written."""
        if key not in self._is_archive:
            self._is_archive[key] = self._archive is not None and (
                key == self._archive or self.location(key) == self.archive_location
            )
        return self._is_archive[key]

    def archived(self, backend: str, path: str) -> Address | None:
        """The object of the archive that a place is; None if it is elsewhere."""
        address = address_of(path)
        return address if address is not None and self.is_archive(backend) else None
