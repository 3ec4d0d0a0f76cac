"""Opening a configured store by obstore, and what it is called."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from toolkit.config import Store
from toolkit.errors import StoreError
from toolkit.stores.store_errors import (
    explain,
    secrets_in,
    without,
)

if TYPE_CHECKING:
    from obstore.store import ObjectStore


def name_of(store: Store) -> str:
    """How a store is called in messages."""
    address = str(store.directory) if store.kind == "file" else store.shown_url
    return f"{store.name} ({address})" if store.name else address


def opened(store: Store) -> ObjectStore | None:
    """The obstore store; None for a directory, which may have to be made first.

    Raises:
        StoreError: its address or a setting cannot be used.
    """
    if store.kind == "file":
        _require_directory(store)
        return None
    if store.kind == "memory":
        return store.memory
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    try:
        found: ObjectStore = from_url(
            store.address,
            config=store.settings,  # type: ignore[call-overload]
            client_options=store.client_options,
            retry_config={"max_retries": store.retries},
        )
    except (BaseError, ValueError) as error:
        text = without(secrets_in(store.settings), str(error))
        problem, advice = explain(error, text)
        raise StoreError(name_of(store), problem, advice or "Correct its address and settings.") from None
    return found


def _require_directory(store: Store) -> None:
    """See that nothing else is in a directory's place: its listing would be empty, as that of one still to be made."""
    assert store.directory is not None
    try:
        mode = store.directory.stat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(name_of(store), error.strerror or str(error), "Check the path and its permissions.") from None
    if not stat.S_ISDIR(mode):
        raise StoreError(name_of(store), "something other than a directory has its name", "Name a directory.")
