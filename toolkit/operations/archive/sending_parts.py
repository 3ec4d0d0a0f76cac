"""`archive push --workers`: files cut into parts, which workers read, hash and put; what became of each comes back.

What is to be read is found out, and what arrived is looked at, where the command was given. A part that is lost with
its worker is done again: an object's name is its content, so that one that is put twice is the same. What a worker
cannot read is left to the coordinator, by whose own look it is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from toolkit.config import Config, load_config
from toolkit.core.archive_manifest import Address
from toolkit.core.parallel import in_parallel
from toolkit.core.progress import Silent
from toolkit.errors import ConfigurationError, WorkersError
from toolkit.executors.contract import worker_name
from toolkit.operations.archive.backends import Backends, open_archive
from toolkit.operations.archive.collecting import State
from toolkit.operations.archive.store_places import StorePlace, archive_place, live_place, require_same
from toolkit.operations.archive.uploading import Item, Sent, Uploader
from toolkit.operations.project import load_models
from toolkit.stores.archive import Archive

if TYPE_CHECKING:
    from toolkit.operations.archive.sending import Sender
    from toolkit.operations.parts.crew import Crew
    from toolkit.stores.archive_locks import Lock

PART_FILES = 500
"""Files of one part at most: some seconds of work, so that little is done again when a worker is lost."""
PART_BYTES = 256 << 20
"""Bytes of one part, about; a larger file is one by itself."""


class Job(msgspec.Struct, frozen=True):
    """What all parts of one push have in common; of stores, the names.

    By `lock`, that of the push, a worker knows the archive, and that it is still wanted. `asks`: which kinds of objects
    were there, plain (False) and as zstd (True).
    """

    source: str
    archive: StorePlace
    lock: str
    backends: tuple[StorePlace, ...]
    compress: bool
    plain_only: bool
    jobs: int
    asks: frozenset[bool]
    damaged: frozenset[str]


@dataclass(frozen=True, slots=True)
class SendPart:
    """Files that one worker is to send."""

    number: int
    job: Job = field(repr=False)
    items: tuple[Item, ...] = field(repr=False)

    def __str__(self) -> str:
        return f"part {self.number} of the files ({len(self.items)}, from {self.items[0].path!r} on)"


class SentPart(msgspec.Struct, frozen=True):
    """What became of them; `requests`: how often stores were asked, by kind."""

    number: int
    worker: str
    done: tuple[Sent, ...]
    requests: Mapping[str, int]


# -- where the command was given --------------------------------------------------------------------------------------


class PartSender(msgspec.Struct):
    """Has workers send what the catalogue says is to be read."""

    sender: Sender
    crew: Crew
    config: Config
    source: str
    store: str
    requests: Counter[str] = msgspec.field(default_factory=Counter)
    unread: dict[int, str] = {}
    """Files that workers could not read, and why."""

    def send(self, lock: Lock) -> None:
        """Have all of them sent; those that workers cannot read, and those that none is needed for, are left.

        Raises:
            ConfigurationError: they would not find a store, or find another.
            WorkersError: they are lost, or what they say cannot be.
            ToolkitError: the archive cannot be written to.
        """
        job = self._job(lock)
        given: dict[int, dict[int, Item]] = {}
        for part in self.crew.do(send_part, self._noted(cut(self.sender.items(), job), given)):
            lock.require()
            asked = given.pop(part.number, {})
            if sorted(asked) != sorted(done.item.id for done in part.done):
                raise WorkersError(f"{part.worker} answered for other files than it was given.", "Run again.")
            self.requests.update(part.requests)
            for done in part.done:
                self._receive(asked[done.item.id], done)

    def read_here(self) -> list[str]:
        """Why workers could not read files that were read here afterwards."""
        sent = "SELECT 1 FROM live WHERE id = ? AND state = ?"
        catalogue = self.sender.catalogue
        return [reason for number, reason in self.unread.items() if catalogue.one(sent, number, State.SENT)]

    def _job(self, lock: Lock) -> Job:
        catalogue, is_local = self.sender.catalogue, self.crew.executor.is_local
        kinds = catalogue.all("SELECT DISTINCT key GLOB '*.zst' FROM object")
        named = catalogue.all("SELECT DISTINCT backend FROM live WHERE state = ? ORDER BY backend", State.READ)
        backends = self.sender.backends
        return Job(
            # Not a URL that was given in place of a name: it may hold a password.
            self.source if self.source in self.config.databases else "",
            archive_place(self.config, self.store, is_local=is_local),
            lock.key,
            tuple(live_place(self.config, backends, key, is_local=is_local) for (key,) in named),
            self.sender.compress,
            self.sender.plain_only,
            self.sender.jobs,
            frozenset(bool(kind) for (kind,) in kinds),
            frozenset(key for (key,) in catalogue.all("SELECT key FROM damaged")),
        )

    def _noted(self, parts: Iterable[SendPart], given: dict[int, dict[int, Item]]) -> Iterator[SendPart]:
        for part in parts:
            given[part.number] = {item.id: item for item in part.items}
            yield part

    def _receive(self, asked: Item, done: Sent) -> None:
        if (done.item.backend, done.item.path) != (asked.backend, asked.path):
            raise WorkersError(f"{done.item.path!r} is not the file that was asked for.", "Run again.")
        if done.outcome is not None:
            self.unread[asked.id] = done.reason or done.outcome
            return
        assert done.sha is not None, "a file without an outcome was read"
        address = Address(done.sha, done.stored is not None)
        stored = done.item.size if done.stored is None else done.stored
        found = self.sender.contents.find(address)
        # Also what a worker only found there, and was not there before: another, or one that was lost, has sent it.
        if done.written or found is None or found[0] != stored:
            self.sender.contents.note(address, stored)
        self.sender.note(done)
        self.sender.progress.advance_file(1, asked.size)


def cut(items: Iterable[Item], job: Job) -> Iterator[SendPart]:
    """Files in parts."""
    numbers = count()
    part: list[Item] = []
    size = 0
    for item in items:
        if part and (len(part) >= PART_FILES or size + item.size > PART_BYTES):
            yield SendPart(next(numbers), job, tuple(part))
            part, size = [], 0
        part.append(item)
        size += item.size
    if part:
        yield SendPart(next(numbers), job, tuple(part))


def told(config: Config, source: str) -> Config:
    """The configuration as processes of this machine are told of it: without databases; they load the models anew."""
    return config.of(source).with_stores_only()


# -- on a worker ------------------------------------------------------------------------------------------------------


def send_part(given: SendPart, context: Config | None) -> SentPart:
    """Send these files.

    Raises:
        ConfigurationError: another store has one of these names here, or the push has ended.
        ToolkitError: the archive cannot be written to.
    """
    job = given.job
    config = load_config(Path.cwd()).of(job.source) if context is None else context
    _require_models(config, job.backends)
    backends, archive = Backends(config, job.archive.name), open_archive(config, job.archive.name)
    for place, location in (
        (job.archive, str(backends.archive_location)),
        *((place, backends.location(place.name)) for place in job.backends),
    ):
        require_same(place, location)
    # It is found only in the archive that is meant, where this is encrypted by the same key, and while it is pushed to.
    if archive.store.info(job.lock) is None:
        raise ConfigurationError(
            f"The lock of this push is not in {archive.name} as this worker sees it.",
            "Give it the same store and key as where the command was given; see: toolkit workers check --store.",
        )
    contents = Asked(archive, job.asks, job.damaged)
    uploader = Uploader(contents, archive, backends, job.compress, job.plain_only, Silent())
    done = tuple(in_parallel(uploader.send, given.items, job.jobs, uploader.stop))
    return SentPart(given.number, worker_name(), done, backends.requests(archive))


def _require_models(config: Config, backends: Iterable[StorePlace]) -> None:
    """Import what registers backends, if one of them is not in the settings; one that is not there then is refused."""
    if all(each.name in config.stores and not config.stores[each.name].is_default for each in backends):
        return
    # What an application's own configuration names may be no schema; importing it is what counts.
    own = replace(config, metadata=config.metadata.partition(" ")[0])
    with suppress(ConfigurationError):
        load_models(own)


class Asked:
    """What lies in the archive, by its own word: a worker has no list of it. May be used by several threads at once."""

    def __init__(self, archive: Archive, asks: frozenset[bool], damaged: frozenset[str]) -> None:
        """`asks`: whether there is anything plain, or compressed, to be asked for; what is `damaged` is not there."""
        self._archive, self._asks, self._damaged = archive, asks, damaged
        self._known: dict[Address, tuple[int, int | None]] = {}

    def find(self, address: Address) -> tuple[int, int | None] | None:
        """How many bytes an object has, and should have as zstd, if that was said."""
        found = self._known.get(address)
        if found is not None or address.compressed not in self._asks or address.key in self._damaged:
            return found
        size = self._archive.size_of(address)
        return None if size is None else (size, None)

    def found_whole(self, address: Address, size: int) -> None:
        """An object as zstd was read, and is as it should be."""
        self._known[address] = size, size

    def note(self, address: Address, stored: int) -> None:
        """An object was written."""
        self._known[address] = stored, stored
