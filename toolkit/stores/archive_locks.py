"""Locks of an archive, or of fixtures in a store: an object for each that is at work, renewed while it lives.

Some time after its last sign of life a lock is void. Where objects may be written but not removed, one that is given
up says so itself, and stays until somebody comes who may remove it.

Whoever comes writes its own lock first and looks at the others then: of two that exclude each other, at least one
sees the other. Ages are told by the store's own clock: that of the lock just written is its present time.
"""

from __future__ import annotations

import datetime as dt
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec

from toolkit.core.retention import OTHER_CLOCK
from toolkit.core.workers import Worker
from toolkit.errors import (
    ArchiveBusyError,
    DamagedObjectError,
    DeleteRefusedError,
    LockLostError,
    MissingObjectError,
    StoreError,
    ToolkitError,
)
from toolkit.stores.objects import ObjectInfo, ObjectStore

LOCKS = "locks/"
LOCK_TTL = dt.timedelta(minutes=15)
# Three failures to renew are survived.
_RENEWED_SECONDS = LOCK_TTL.total_seconds() / 5


class LockKind(StrEnum):
    """What is being done."""

    PUSH = "push"
    PRUNE = "prune"
    DUMP = "dump"

    def excludes(self, other: LockKind) -> bool:
        """Whether the two may not be done at once: pushes may."""
        return LockKind.PRUNE in (self, other) or self is other is LockKind.DUMP


class _Holder(msgspec.Struct, frozen=True):
    kind: LockKind
    host: str
    pid: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
    began: Annotated[dt.datetime, msgspec.Meta(tz=True)]
    ended: bool = False

    @property
    def shown(self) -> str:
        return f"process {self.pid} on {self.host.partition(' ')[0]}, since {self.began:%Y-%m-%d %H:%M} UTC"

    @property
    def is_void(self) -> bool:
        """Whether it ended, or was a process of this machine that is no more; of others nobody can tell."""
        if self.ended:
            return True
        if self.host != _host():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return False


# Made here, once: msgspec crashes when several threads at once are the first to decode a type.
_HOLDER = msgspec.json.Decoder(_Holder)


class Lock:
    """A lock that is held."""

    def __init__(self, store: ObjectStore, key: str, content: bytes) -> None:
        self._store, self.key, self._content = store, key, content
        self._renewed = time.time()
        self._lost = False
        self.ahead = dt.timedelta()
        """How far the clock here was ahead of the store's when the lock was last looked at."""

    def require(self) -> None:
        """See that nobody can have taken the lock for void.

        Raises:
            LockLostError: somebody can.
        """
        if not self._lost and time.time() - self._renewed > _RENEWED_SECONDS:
            self.renew()
        if self._lost or time.time() - self._renewed > LOCK_TTL.total_seconds() / 2:
            raise LockLostError(self._store.name)

    def require_still_there(self) -> None:
        """See in the store itself that nobody took the lock for void.

        Raises:
            LockLostError: somebody did.
        """
        with suppress(ToolkitError):
            found = self._store.info(self.key)
            self._lost = self._lost or found is None
            if found is not None:
                self.ahead = dt.datetime.fromtimestamp(self._renewed, dt.UTC) - found.last_modified
        self.require()

    def renew(self) -> None:
        """Give a sign of life."""
        began = time.time()
        if began - self._renewed > LOCK_TTL.total_seconds():
            # Others may have taken it for void, also where they may not remove it.
            self._lost = True
        if self._lost:
            return
        with suppress(ToolkitError):
            if self._store.info(self.key) is None:
                self._lost = True
                return
            self._store.write(self.key, [self._content])
            self._renewed = began


@contextmanager
def take_lock(store: ObjectStore, kind: LockKind) -> Iterator[Lock]:
    """Hold a lock for the time of the block.

    Raises:
        ArchiveBusyError: somebody is at work in a way that excludes this.
    """
    holder = _Holder(kind, _host(), os.getpid(), dt.datetime.now(dt.UTC))
    content = msgspec.json.encode(holder)
    key = f"{LOCKS}{kind}-{secrets.token_hex(8)}"
    try:
        # Within: Ctrl-C may come as soon as the lock is there.
        store.create(key, content)
        _refuse_others(store, key, kind)
        lock = Lock(store, key, content)
        ended = threading.Event()
        worker = Worker(lambda: _renewing(lock, ended), "archive-lock")
        try:
            worker.start()
            yield lock
        finally:
            ended.set()
            # Or it would write the lock again that is given up next.
            worker.wait()
    finally:
        _give_up(store, key, holder)


def _give_up(store: ObjectStore, key: str, holder: _Holder) -> None:
    with suppress(ToolkitError):
        try:
            store.delete([key])
        except DeleteRefusedError:
            store.write(key, [msgspec.json.encode(msgspec.structs.replace(holder, ended=True))])


def at_work(store: ObjectStore, kind: LockKind) -> list[str]:
    """Who is at work in this way, told without a lock of one's own: ages are by the clock here, and it may be wrong.

    Of one that was killed on another machine, it is told for so much longer.
    """
    now = dt.datetime.now(dt.UTC) - OTHER_CLOCK
    holders = (_holder(store, lock.key) for lock in store.list(LOCKS) if not _is_old(lock, now))
    return [holder.shown for holder in holders if holder is not None and holder.kind is kind and not holder.is_void]


def _renewing(lock: Lock, ended: threading.Event) -> None:
    while not ended.wait(_RENEWED_SECONDS):
        lock.renew()


def _refuse_others(store: ObjectStore, own: str, kind: LockKind) -> None:
    locks = list(store.list(LOCKS))
    # The own lock is the newest, unless it is not listed yet or others were renewed since.
    now = max((lock.last_modified for lock in locks), default=dt.datetime.now(dt.UTC))
    # Not read: where none may be removed, each run leaves one.
    void = [lock.key for lock in locks if lock.key != own and _is_old(lock, now)]
    for lock in locks:
        holder = None if lock.key == own or _is_old(lock, now) else _holder(store, lock.key)
        if holder is None:
            continue
        if holder.is_void:
            void.append(lock.key)
        elif kind.excludes(holder.kind):
            raise ArchiveBusyError(store.name, holder.kind, holder.shown, lock.key, LOCK_TTL // dt.timedelta(minutes=1))
    # Whoever comes to life again sees by this, too, that its time was over. Not every user may remove objects.
    with suppress(StoreError):
        store.delete(void)


def _is_old(lock: ObjectInfo, now: dt.datetime) -> bool:
    return now - lock.last_modified > LOCK_TTL


def _holder(store: ObjectStore, key: str) -> _Holder | None:
    try:
        return _HOLDER.decode(b"".join(store.read(key)))
    except MissingObjectError:
        return None
    except (DamagedObjectError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Not one that this version writes: taken for what excludes most.
        return _Holder(LockKind.PRUNE, "unknown", 0, dt.datetime.now(dt.UTC))


def _host() -> str:
    """This machine, or the container in it: process numbers mean nothing elsewhere."""
    try:
        space = str(Path("/proc/self/ns/pid").stat().st_ino)
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        space = boot = ""
    return f"{socket.gethostname()} {space} {boot}".strip()
