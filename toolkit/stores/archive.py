"""An archive in an object store: content under its SHA-256, manifests of snapshots, locks with an expiry.

    objects/ab/abcdef…        content, named after its SHA-256; `.zst` behind it if it is compressed
    snapshots/<id>.jsonl.zst  what a push saw, written when all of its objects are there
    moved/<id>.jsonl.zst      what a push with --move pointed rows at: kept whatever becomes of the snapshot
    damaged/…                 objects that a verification found damaged, until a push or a later one finds them whole
    locks/<kind>-<id>         who is at work

Nothing of a file's name is in a key: it is data in the manifests. An encrypted archive has all of this under others
(`toolkit.stores.encrypted`): nothing here knows of it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from msgspec import UNSET, structs

from toolkit.core.archive_manifest import (
    OBJECTS,
    SNAPSHOTS,
    Address,
    FileEntry,
    Header,
    Lacking,
    ManifestError,
    address_of,
    counted_as_of,
    decode_header,
    decode_manifest,
    encode_manifest,
    snapshot_key,
    snapshot_of,
    time_of_snapshot,
)
from toolkit.core.parallel import in_parallel
from toolkit.core.retention import is_future
from toolkit.errors import (
    ConfigurationError,
    DamagedObjectError,
    DeleteRefusedError,
    MissingObjectError,
    NotArrivedError,
    NotRemovedError,
    StoreError,
    UnknownNameError,
)
from toolkit.stores.archive_locks import Lock, LockKind, at_work, take_lock
from toolkit.stores.chunks import passing
from toolkit.stores.objects import ObjectInfo, ObjectStore
from toolkit.stores.zstd import compress, decompress

LATEST = "latest"
_MOVED = "moved/"
_DAMAGED = "damaged/"
_JOBS = 8
_NEVER = dt.datetime.min.replace(tzinfo=dt.UTC)


class Archive:
    """The objects and snapshots of one store. May be used by several threads at once."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self.name = store.name

    # -- objects -------------------------------------------------------------------------------------------------

    def objects(self) -> Iterator[ObjectInfo]:
        """All that lies where objects do, in no particular order; what is none of ours has no address."""
        return self.store.list(OBJECTS)

    def read(self, address: Address, size: int | None = None) -> Iterator[bytes]:
        """An object's plain content, compared with its address at the end; no more than `size` bytes are given out.

        Raises:
            MissingObjectError: it is not there.
            DamagedObjectError: it is something else; what was given out until then is not to be used.
        """
        digest, count = hashlib.sha256(), 0
        for chunk in self._plain(address):
            count += len(chunk)
            # What is a few kilobytes as zstd can be terabytes, for which there is no place.
            if size is not None and count > size:
                problem = f"its content is damaged, or longer than the {size} bytes that a manifest says"
                raise DamagedObjectError(self.name, address.key, problem)
            digest.update(chunk)
            yield chunk
        if digest.hexdigest() != address.sha256:
            raise DamagedObjectError(self.name, address.key, "its content is damaged")

    def _plain(self, address: Address) -> Iterator[bytes]:
        stored = self.store.read(address.key)
        if not address.compressed:
            yield from stored
            return
        try:
            yield from decompress(stored)
        except ValueError as error:
            raise DamagedObjectError(self.name, address.key, f"it {error}") from error

    def write(self, address: Address, chunks: Iterable[bytes] | memoryview, size: int) -> int:
        """Store an object of `size` plain bytes; the bytes that it takes. It appears when it is whole.

        Raises:
            StoreError: it cannot be written; an error of `chunks` is raised as it is, and nothing is stored.
        """
        if not address.compressed:
            self.store.write(address.key, chunks, size=size)
            return size
        counted = _Counted(compress([bytes(chunks)] if isinstance(chunks, memoryview) else chunks))
        self.store.write(address.key, counted)
        return counted.bytes

    def require_removed(self, keys: Iterable[str]) -> None:
        """See that objects, each of which is asked for, are there no more.

        Raises:
            NotRemovedError: some are.
        """
        infos = in_parallel(lambda key: (key, self.store.info(key)), keys, _JOBS)
        left = sorted(key for key, info in infos if info is not None)
        if left:
            raise NotRemovedError(self.name, left[0], len(left))

    def size_of(self, address: Address) -> int | None:
        """How many bytes an object takes; None if it is not there."""
        info = self.store.info(address.key)
        return None if info is None else info.size

    def remove(self, keys: Iterable[str]) -> None:
        """Remove objects."""
        self.store.delete(keys)

    # -- what was found damaged ------------------------------------------------------------------------------------

    def damaged(self) -> Iterator[Address]:
        """The objects that a verification found damaged."""
        for info in self.store.list(_DAMAGED):
            address = address_of(info.key.removeprefix(_DAMAGED))
            # Empty where it was taken back but could not be removed.
            if address is not None and info.size:
                yield address

    def mark_damaged(self, address: Address) -> bool:
        """Remember an object as damaged; False where the archive may not be written to."""
        try:
            self.store.write(_DAMAGED + address.key, [b"damaged\n"])
        except StoreError:
            return False
        return True

    def mark_whole(self, addresses: Iterable[Address]) -> None:
        """Objects that were damaged and are no more."""
        keys = [_DAMAGED + address.key for address in addresses]
        with suppress(StoreError):
            try:
                self.store.delete(keys)
            except DeleteRefusedError:
                for key in keys:
                    self.store.write(key, [b""])

    # -- snapshots -------------------------------------------------------------------------------------------------

    def snapshots(self) -> tuple[tuple[Header, ...], dict[str, str]]:
        """The headers of all snapshots, oldest first; and, by id, what is wrong with those that cannot be read."""
        headers, problems = [], {}
        for snapshot, found in in_parallel(self._header, self._manifests(), _JOBS):
            if isinstance(found, Header):
                headers.append(found)
            elif found is not None:
                problems[snapshot] = found
        return tuple(sorted(headers, key=lambda header: (header.made_at, header.id))), problems

    def snapshot_ids(self) -> Iterator[str]:
        """The ids of all snapshots, in no particular order."""
        return (snapshot for snapshot, _ in self._manifests())

    def _manifests(self) -> Iterator[tuple[str, dt.datetime]]:
        """The ids of all snapshots, and when the store says that they were written."""
        found: dict[str, dt.datetime] = {}
        for info in self.store.list(SNAPSHOTS):
            snapshot = snapshot_of(info.key)
            # An encrypted one may be there twice, with an old key and the new one.
            if snapshot is not None and info.last_modified >= found.get(snapshot, info.last_modified):
                found[snapshot] = info.last_modified
        yield from found.items()

    def find(self, text: str, database: str | None = None, place: str | None = None) -> Header:
        """The snapshot of an id, or of its beginning if no other begins so; `latest` is the newest.

        If there are any of the database at `place`, or else of the name `database`, it is the newest of them. One from
        the future, by the store's clock too, is the latest only where there is no other.

        Raises:
            UnknownNameError: none.
            ConfigurationError: several.
            StoreError: its manifest is damaged; or that of a newer one, of which nobody knows whose it is.
        """
        headers, problems = self.snapshots()
        if text == LATEST and (headers or problems):
            return self._latest(headers, problems, database, place)
        found = [header for header in headers if text and header.id.startswith(text)]
        if len(found) > 1:
            raise ConfigurationError(
                f"{self.name}: {len(found)} snapshots begin with {text!r}, from {found[0].id} to {found[-1].id}.",
                f"Write more of the id, or {LATEST}.",
            )
        for snapshot, problem in problems.items():
            if text and snapshot.startswith(text) and not found:
                raise self._damaged_manifest(snapshot, problem)
        if not found:
            raise UnknownNameError("snapshot", text, [header.id for header in headers], self.name)
        return found[0]

    def _latest(
        self, headers: Sequence[Header], problems: Mapping[str, str], database: str | None, place: str | None
    ) -> Header:
        now = dt.datetime.now(dt.UTC)
        own = [header for header in headers if place is not None and header.place == place]
        found = own or [header for header in headers if header.database == database] or list(headers)
        present = [header for header in found if not is_future(header, now)] or found
        latest = present[-1] if present else None
        made, broken = max(((self._made(snapshot), snapshot) for snapshot in problems), default=(_NEVER, ""))
        # Names tell whole seconds.
        if latest is not None and (made, broken) < (latest.made_at.replace(microsecond=0), latest.id):
            return latest
        readable = "no other can be read" if latest is None else f"the latest that can be read is {latest.id}"
        raise self._damaged_manifest(broken, f"{problems[broken]}; {readable}")

    def _made(self, snapshot: str) -> dt.datetime:
        """When a snapshot that cannot be read was made, by its name or, if that is earlier, by the store."""
        info = self.store.info(snapshot_key(snapshot))
        return _NEVER if info is None else counted_as_of(time_of_snapshot(snapshot), info.last_modified)

    def manifest(self, snapshot: str) -> Iterator[Header | Lacking | FileEntry]:
        """All that a snapshot says, of one reading; the errors are those of `entries`."""
        return self._parts(snapshot_key(snapshot))

    def entries(self, snapshot: str) -> Iterator[FileEntry]:
        """The files of a snapshot; whoever reads to the end knows that they are all, and unchanged.

        Raises:
            MissingObjectError: there is no such snapshot (any more).
            StoreError: the manifest is damaged.
        """
        return self._entries(snapshot_key(snapshot))

    def lacking(self, header: Header) -> Iterator[Lacking]:
        """The files that a snapshot lacks; the errors are those of `entries`."""
        if header.lacking:
            for part in self._parts(snapshot_key(header.id)):
                if isinstance(part, FileEntry):
                    return
                if isinstance(part, Lacking):
                    yield part

    def write_snapshot(self, header: Header, entries: Iterable[FileEntry], lacking: Iterable[Lacking] = ()) -> None:
        """Write a manifest: from here on the snapshot is there.

        Raises:
            NotArrivedError: the store has it not, or not as it was sent.
        """
        own = structs.replace(header, written_at=UNSET)
        self._write_proved(snapshot_key(header.id), compress(encode_manifest(own, entries, lacking)))

    def remove_snapshots(self, ids: Iterable[str]) -> None:
        """Remove manifests: from here on these snapshots are not there.

        Raises:
            NotRemovedError: the store has one still.
        """
        self._remove_proved(SNAPSHOTS, {snapshot_key(snapshot) for snapshot in ids})

    # -- what rows point at ----------------------------------------------------------------------------------------

    def write_moved(self, header: Header, entries: Iterable[FileEntry]) -> None:
        """Remember what rows are about to point at; the errors are those of `write_snapshot`."""
        whole = structs.replace(header, lacking=0, format=1, written_at=UNSET)
        self._write_proved(_MOVED + snapshot_key(header.id), compress(encode_manifest(whole, entries)))

    def moved(self) -> Iterator[tuple[Header, Iterator[FileEntry]]]:
        """The header of each push that moved files, and these files: rows were pointed at them.

        Raises:
            StoreError: a manifest of them is damaged.
        """
        for info in self.store.list(_MOVED):
            if snapshot_of(info.key.removeprefix(_MOVED)) is not None:
                parts = self._parts(info.key)
                header = next(parts, None)
                assert isinstance(header, Header)
                yield header, (part for part in parts if isinstance(part, FileEntry))

    def remove_moved(self, ids: Iterable[str]) -> None:
        """Forget what these pushes moved; the errors are those of `remove_snapshots`."""
        self._remove_proved(_MOVED, {_MOVED + snapshot_key(snapshot) for snapshot in ids})

    # -- locks -----------------------------------------------------------------------------------------------------

    def at_work(self, kind: LockKind) -> list[str]:
        """Who is at work in the archive in this way."""
        return at_work(self.store, kind)

    @contextmanager
    def locked(self, kind: LockKind) -> Iterator[Lock]:
        """Be at work in the archive, as one of many pushes or as the only prune.

        Raises:
            ArchiveBusyError: somebody is at work in a way that excludes this.
            EncryptionError: somebody has written there meanwhile with a key that is not given.
        """
        with take_lock(self.store, kind) as lock:
            self.store.require_readable()
            yield lock

    def _header(self, manifest: tuple[str, dt.datetime]) -> tuple[str, Header | str | None]:
        """A header; or what is wrong with it; or None if it was removed meanwhile."""
        snapshot, written_at = manifest
        try:
            header = decode_header(decompress(self.store.read(snapshot_key(snapshot))))
        except MissingObjectError:
            return snapshot, None
        except DamagedObjectError as error:
            return snapshot, f"is damaged: {error.problem}"
        except ValueError as error:
            return snapshot, str(error)
        if header.id != snapshot:
            return snapshot, f"is that of snapshot {header.id}"
        return snapshot, structs.replace(header, written_at=written_at)

    def _entries(self, key: str) -> Iterator[FileEntry]:
        return (part for part in self._parts(key) if isinstance(part, FileEntry))

    def _parts(self, key: str) -> Iterator[Header | Lacking | FileEntry]:
        try:
            yield from decode_manifest(decompress(self.store.read(key)))
        except DamagedObjectError as error:
            raise self._damaged_manifest(key, f"is damaged: {error.problem}") from error
        except ManifestError as error:
            raise self._damaged_manifest(key, str(error)) from error
        except ValueError as error:
            raise self._damaged_manifest(key, f"is damaged: it {error}") from error

    def _write_proved(self, key: str, chunks: Iterable[bytes]) -> None:
        """Store a manifest, and read it back: nothing else says what an archive has."""
        sent, arrived = hashlib.sha256(), hashlib.sha256()
        self.store.write(key, passing(chunks, sent))
        try:
            for chunk in self.store.read(key):
                arrived.update(chunk)
        except MissingObjectError:
            raise NotArrivedError(self.name, key, "it was written, and is not there") from None
        except DamagedObjectError as error:
            raise NotArrivedError(self.name, key) from error
        if arrived.digest() != sent.digest():
            raise NotArrivedError(self.name, key)

    def _remove_proved(self, folder: str, keys: set[str]) -> None:
        """Remove manifests, and look for them: some listings are late, so that what they have is asked for."""
        if keys:
            self.store.delete(sorted(keys))
            self.require_removed([info.key for info in self.store.list(folder) if info.key in keys])

    def _damaged_manifest(self, key: str, problem: str) -> StoreError:
        return StoreError(
            f"{self.name}: {key}",
            f"the manifest {problem}",
            "Update toolkit if a later version wrote it; if it is damaged, restore it from a copy of the archive, or "
            "use another snapshot (toolkit archive list).",
        )


class _Counted:
    """Chunks, and how many bytes they were."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self.bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self.bytes += len(chunk)
            yield chunk
