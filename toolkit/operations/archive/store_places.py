"""Stores as workers are told of them: a name, and where it leads, so that another one of that name is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from toolkit.errors import ConfigurationError
from toolkit.operations.archive.backends import UNKNOWN
from toolkit.stores.client import client_for

if TYPE_CHECKING:
    from toolkit.config import Config
    from toolkit.operations.archive.backends import Backends

_OF_A_PROCESS, _OF_A_MACHINE = "memory:", "file:"


class StorePlace(Struct, frozen=True):
    """A store's name, and its location: bucket and server, without credentials."""

    name: str
    location: str


def archive_place(config: Config, store: str, *, is_local: bool) -> StorePlace:
    """The store of an archive, for workers.

    Raises:
        ConfigurationError: they would not find it.
    """
    return _place(config, store, client_for(config.store(store)).location(), is_local)


def live_place(config: Config, backends: Backends, key: str, *, is_local: bool) -> StorePlace:
    """A backend of live files, for workers; the errors are those of `archive_place`."""
    return _place(config, key, backends.location(key), is_local, is_named=True)


def _place(config: Config, name: str, location: str, is_local: bool, *, is_named: bool = False) -> StorePlace:
    if location.startswith(_OF_A_PROCESS):
        raise ConfigurationError(f"{name} is in the memory of this process.", "Run without --workers.")
    if not is_local and location.startswith(_OF_A_MACHINE):
        raise ConfigurationError(
            f"{name} is a directory of this machine, which workers elsewhere may not see, or see another of.",
            "Use --workers local.",
        )
    if not is_local and not is_named and name not in config.stores:
        raise ConfigurationError(
            "The store was given as a URL, which is not sent to workers: it may hold a password.",
            "Give it a name: TOOLKIT_NAME_STORE, here and on all workers, and use that name.",
        )
    return StorePlace(name, location)


def require_same(place: StorePlace, location: str) -> None:
    """Check that a name means the same store here as where the command was given.

    Raises:
        ConfigurationError: it does not.
    """
    if location == place.location:
        return
    is_unknown = location.startswith(UNKNOWN)
    what = "is not known on this worker" if is_unknown else "is another store on this worker"
    raise ConfigurationError(
        f"{place.name} {what}: {'none' if is_unknown else location}, where {place.location} is meant.",
        f"Set TOOLKIT_{place.name.upper()}_STORE, and what goes with it, on both to the same; see, too, that the "
        "application's models can be imported there.",
    )
