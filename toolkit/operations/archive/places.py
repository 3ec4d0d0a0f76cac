"""The archive and the live backends of a configuration, opened when they are needed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from toolkit.core.archive_manifest import Address, address_of
from toolkit.errors import ToolkitError
from toolkit.stores.archive import Archive
from toolkit.stores.live import LiveBackend, live_backend
from toolkit.stores.objects import ObjectStore

if TYPE_CHECKING:
    from toolkit.config import Config

DEFAULT_STORE = "archive"
JOBS = 8
"""Files under way at once, unless the user says otherwise."""


def open_archive(config: Config, store: str) -> Archive:
    """The archive in a configured store, or at a URL.

    Raises:
        UnknownNameError, StoreError: there is no such store, or its settings cannot be used.
    """
    return Archive(ObjectStore(config.store(store)))


class Backends:
    """The backends that rows name, each opened once. May be used by several threads at once."""

    def __init__(self, config: Config, archive: str | None = None) -> None:
        """`archive` is the store of the archive: rows may have been moved there."""
        self._config = config
        self._lock = threading.Lock()
        self._found: dict[str, LiveBackend | ToolkitError] = {}
        self.archive_keys = _names_of(config, archive) if archive is not None else frozenset()

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

    def archived(self, backend: str, path: str) -> Address | None:
        """The object of the archive that a place is; None if it is elsewhere."""
        return address_of(path) if backend in self.archive_keys else None


def _names_of(config: Config, store: str) -> frozenset[str]:
    """All names under which a store is configured."""
    wanted = config.store(store)
    same = (wanted.address, wanted.root)
    return frozenset(name for name, each in config.stores.items() if (each.address, each.root) == same or name == store)
