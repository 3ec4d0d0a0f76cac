"""An object store whose names and contents are encrypted on the way there: whoever uses it does not know of it.

    encryption/<id>     one object for each key that something was written with

Old keys are read, the first one writes. Nothing is written in the clear where anything is encrypted, nor the other way
round; and nobody works with a part of the keys, for whom a part of the archive would not be there.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec.structs import replace

from toolkit.core.archive_manifest import SNAPSHOTS
from toolkit.errors import (
    DamagedObjectError,
    DeleteRefusedError,
    EncryptionError,
    MissingObjectError,
    NotArrivedError,
)
from toolkit.stores.chunks import Source, cut
from toolkit.stores.client import PART_BYTES
from toolkit.stores.objects import ObjectInfo, ObjectStore
from toolkit.stores.sealing import Key, is_sealed_name, keys_of, plain_size, seal, sealed_size, unseal

if TYPE_CHECKING:
    from toolkit.config import Store

KEYS = "encryption/"
_CHECK = b"toolkit archive\n"


def open_objects(store: Store, part_bytes: int = PART_BYTES) -> ObjectStore:
    """The objects of a configured store, encrypted if it was given keys.

    Raises:
        ConfigurationError: its keys cannot be used.
        EncryptionError: it holds what is encrypted otherwise, or not.
        StoreError: it cannot be opened or read.
    """
    keys = keys_of(store)
    plain = _PlainStore(store, part_bytes)
    known = key_ids(plain)
    if not keys:
        if known:
            raise EncryptionError(plain.name, f"it is encrypted (key {', '.join(sorted(known))}), and no key is given")
        return plain
    own = {key.id for key in keys}
    if not known and _is_of_others(ObjectStore(store, part_bytes), keys):
        raise EncryptionError(
            plain.name,
            "a key is given, and what lies there is not encrypted, or with another key",
            "Give an encrypted archive a place of its own, and push again; or take the key away.",
        )
    _require(plain.name, known, own)
    return EncryptedStore(store, keys, part_bytes)


def key_ids(store: ObjectStore) -> set[str]:
    """The ids of the keys that something in a store was encrypted with."""
    return {info.key.removeprefix(KEYS) for info in store.list(KEYS)}


def _is_of_others(store: ObjectStore, keys: tuple[Key, ...]) -> bool:
    """Whether something lies in a store, and nothing that one of these keys wrote: what tells of keys may be lost."""
    found = False
    for info in store.list():
        if any(key.key_of(info.key) for key in keys):
            return False
        found = True
    return found


def _require(name: str, known: set[str], own: set[str]) -> None:
    if known and not known & own:
        raise EncryptionError(
            name, f"it is encrypted with key {', '.join(sorted(known))}, and the given one is {', '.join(sorted(own))}"
        )
    if known - own:
        raise EncryptionError(
            name, f"some of it is encrypted with key {', '.join(sorted(known - own))}, which is not given"
        )


class _PlainStore(ObjectStore):
    """Objects of an archive that nothing says is encrypted: what says so may be lost, and the manifests are there."""

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object in the folder `prefix`.

        Raises:
            EncryptionError: there is an encrypted manifest.
        """
        for info in super().list(prefix):
            if info.key.startswith(SNAPSHOTS) and is_sealed_name(info.key):
                raise EncryptionError(self.name, "it is encrypted, and no key is given")
            yield info


class EncryptedStore(ObjectStore):
    """Objects under the names that they would have without encryption, of the sizes that they would have."""

    def __init__(self, store: Store, keys: tuple[Key, ...], part_bytes: int = PART_BYTES) -> None:
        """`keys`: the first one writes."""
        super().__init__(store, part_bytes)
        self._keys = keys
        self._is_told, self._lock = False, threading.Lock()

    def info(self, key: str) -> ObjectInfo | None:
        """What is known of an object, None if there is none."""
        for each in self._keys:
            found = super().info(each.name_of(key))
            if found is not None:
                return _plain(found, key)
        return None

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object in the folder `prefix`, a folder at the top; what has no name of ours is told by a name of none.

        One that was written with two keys is told twice.
        """
        for info in super().list(prefix):
            if not info.key.startswith(KEYS):
                key = next(filter(None, (each.key_of(info.key) for each in self._keys)), None)
                yield _plain(info, key or f"{info.key} (not of these keys)")

    def read(self, key: str) -> Iterator[bytes]:
        """An object's content in chunks; none is given out that is not as it was written.

        Raises:
            MissingObjectError: there is no such object.
            DamagedObjectError: it was changed, or another was put in its place.
            StoreError: it cannot be read.
        """
        for each in self._keys:
            begun = False
            try:
                for chunk in unseal(super().read(each.name_of(key)), each, key, self.name):
                    begun = True
                    yield chunk
            except MissingObjectError:
                if begun:
                    raise
            else:
                return
        raise MissingObjectError(self.name, key)

    def write(self, key: str, chunks: Iterable[bytes] | memoryview, *, size: int | None = None) -> None:
        """Store an object, in place of what has the key, whichever encrypted it; nobody ever sees a part of it."""
        self._write(key, chunks, size)
        if any(super(EncryptedStore, self).info(each.name_of(key)) for each in self._keys[1:]):
            self._require_arrived(key)
            with suppress(DeleteRefusedError):
                self.forget_old([key])

    def _write(self, key: str, chunks: Iterable[bytes] | memoryview, size: int | None) -> None:
        self._tell_key()
        if isinstance(chunks, memoryview):
            size, chunks = len(chunks), cut(chunks)
        plain = Source(chunks, size, self.name, key)
        super().write(
            self._keys[0].name_of(key),
            seal(plain, self._keys[0], key),
            size=None if size is None else sealed_size(size),
        )

    def create(self, key: str, content: bytes) -> bool:
        """Store a small object if there is none of that key; of several who try at once, one is told True."""
        self._tell_key()
        sealed = b"".join(seal([content], self._keys[0], key))
        return super().create(self._keys[0].name_of(key), sealed)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects, of whichever key; those that are not there are no error."""
        super().delete(each.name_of(key) for key in keys for each in self._keys)

    def require_readable(self) -> None:
        """See that nobody has written there with a key that is not given since this was opened."""
        known = {info.key.removeprefix(KEYS) for info in super().list(KEYS)}
        _require(self.name, known, {key.id for key in self._keys})

    # -- rotation --------------------------------------------------------------------------------------------------

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of the given keys, the one that writes first."""
        return tuple(key.id for key in self._keys)

    def of_old_keys(self) -> Iterator[ObjectInfo]:
        """The objects that lie under names of the keys behind the first, under the names that they have here."""
        for info in super().list():
            if not info.key.startswith(KEYS):
                key = next(filter(None, (each.key_of(info.key) for each in self._keys[1:])), None)
                if key is not None:
                    yield _plain(info, key)

    def rewrite(self, info: ObjectInfo) -> None:
        """Write an object of an old key with the first one; the old one stays.

        Raises:
            MissingObjectError: it is not there any more.
            DamagedObjectError: it is not as it was written, and was not written with the first key since.
            NotArrivedError: the store has lost or changed what was written.
            StoreError: it cannot be read or written.
        """
        for each in self._keys[1:]:
            name = each.name_of(info.key)
            if super().info(name) is not None:
                try:
                    # One that is cut off may have a size that no whole one has: then reading it tells that it is.
                    size = None if info.size < 0 else info.size
                    self._write(info.key, unseal(super().read(name), each, info.key, self.name), size)
                except DamagedObjectError:
                    if not self._is_whole(info.key):
                        raise
                else:
                    self._require_arrived(info.key)
                return
        raise MissingObjectError(self.name, info.key)

    def forget_old(self, keys: Iterable[str]) -> None:
        """Remove what the keys behind the first encrypted under these names."""
        super().delete(each.name_of(key) for key in keys for each in self._keys[1:])

    def has_old(self, key: str) -> bool:
        """Whether something is there that a key behind the first encrypted under this name."""
        info = super().info
        return any(info(each.name_of(key)) is not None for each in self._keys[1:])

    def forget_old_keys(self) -> None:
        """Say in the store that nothing is encrypted with the keys behind the first any more."""
        self._tell_key()
        super().delete(KEYS + each.id for each in self._keys[1:])

    def _require_arrived(self, key: str) -> None:
        """See that what was written with the first key can be read, before another copy is removed."""
        if not self._is_whole(key):
            raise NotArrivedError(self.name, key, "it was written, and is not there as it was sent")

    def _is_whole(self, key: str) -> bool:
        """Whether an object is there that was written with the first key, and is as it was written."""
        first = self._keys[0]
        try:
            for _ in unseal(super().read(first.name_of(key)), first, key, self.name):
                pass
        except (DamagedObjectError, MissingObjectError):
            return False
        return True

    def _tell_key(self) -> None:
        """Say in the store that something is encrypted with this key, before anything is.

        Looked for at the first write, a lock's: since the store was opened, a rotation may have taken it away.
        """
        with self._lock:
            name = KEYS + self._keys[0].id
            if not self._is_told and super().info(name) is None:
                self.require_readable()
                super().write(name, seal([_CHECK], self._keys[0], name))
                if super().info(name) is None:
                    raise NotArrivedError(self.name, name, "it was written, and is not there")
            self._is_told = True


def _plain(info: ObjectInfo, key: str) -> ObjectInfo:
    return replace(info, key=key, size=plain_size(info.size))
