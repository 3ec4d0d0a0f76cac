"""`toolkit workers check`: which workers there are, what they run, and which databases and stores they reach."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from toolkit.config import load_config
from toolkit.engines import connect
from toolkit.errors import ToolkitError
from toolkit.executors.contract import versions, worker_name
from toolkit.operations.archive.store_places import StorePlace, archive_place, require_same
from toolkit.operations.parts.crew import WorkerOptions, hired, told_databases
from toolkit.operations.parts.work import Place, database_of, require_place
from toolkit.stores.client import client_for
from toolkit.stores.encrypted import open_objects

if TYPE_CHECKING:
    from toolkit.config import Config, Database

# So that each worker is given one of as many as there are, twice over.
_PAUSE_SECONDS = 0.3
_ROUNDS = 2


class Reach(Struct, frozen=True):
    """Whether a worker reaches a database, the same one as from here; how long that took, or why it does not."""

    database: str
    seconds: float
    problem: str | None = None


class StoreReach(Struct, frozen=True):
    """Whether a worker lists a store, the same one as from here and with its keys; how long that took, or why not."""

    store: str
    seconds: float
    problem: str | None = None


class WorkerCheck(Struct, frozen=True):
    """One worker: where it runs, its versions, the databases, and the stores."""

    worker: str
    python: str
    toolkit: str
    databases: tuple[Reach, ...] = ()
    stores: tuple[StoreReach, ...] = ()


class WorkersCheck(Struct, frozen=True):
    """All workers that answered; `expected` is how many the cluster says that it has."""

    address: str
    expected: int
    workers: tuple[WorkerCheck, ...]

    @property
    def is_fine(self) -> bool:
        """Whether all are there and reach all."""
        databases = all(each.problem is None for worker in self.workers for each in worker.databases)
        stores = all(each.problem is None for worker in self.workers for each in worker.stores)
        return databases and stores and bool(self.workers)


class Wanted(Struct, frozen=True):
    """What a worker is to reach."""

    databases: tuple[Place, ...] = ()
    stores: tuple[StorePlace, ...] = ()


class Known(Struct, frozen=True):
    """What processes of this machine are told of: databases, and stores."""

    databases: Mapping[str, Database]
    config: Config


def check_workers(
    config: Config, names: Sequence[str], options: WorkerOptions, stores: Sequence[str] = ()
) -> WorkersCheck:
    """Ask each worker for its versions, and have it open these databases and list these stores.

    Default: all databases that are servers, and all configured stores that are no directories.

    Raises:
        WorkersError: they cannot be reached.
        WorkerVersionError: one runs other versions than this process.
        ConfigurationError: a database or store is not known, or no worker could be told of it.
    """
    databases = [config.database(name) for name in dict.fromkeys(names)]
    if not names and not stores:
        databases = [each for each in config.databases.values() if each.file is None and not each.is_embedded]
        stores = [name for name, each in config.stores.items() if each.kind not in ("file", "memory")]
    known = Known(told_databases(databases), config.with_stores_only())
    with hired(config, databases, options, known) as crew:
        is_local = crew.executor.is_local
        wanted = Wanted(
            tuple(_place(each, is_local) for each in databases),
            tuple(archive_place(config, name, is_local=is_local) for name in dict.fromkeys(stores)),
        )
        count = crew.executor.workers
        found: dict[str, WorkerCheck] = {}
        for check in crew.executor.receipts(look, [wanted] * (_ROUNDS * count), count):
            found[check.worker] = check
    return WorkersCheck(options.address, count, tuple(found[name] for name in sorted(found)))


def _place(database: Database, is_local: bool) -> Place:
    with connect(database) as connection:
        return Place(database.name, None if is_local else connection.identity())


def look(wanted: Wanted, context: Known | None) -> WorkerCheck:
    """What a worker says of itself, and of these databases and stores."""
    time.sleep(_PAUSE_SECONDS)
    own = versions()
    databases = tuple(_reached(place, context) for place in wanted.databases)
    stores = tuple(_listed(place, context) for place in wanted.stores)
    return WorkerCheck(worker_name(), own.python, f"{own.package} ({own.source})", databases, stores)


def _listed(place: StorePlace, context: Known | None) -> StoreReach:
    started = time.perf_counter()
    try:
        store = (load_config(Path.cwd()) if context is None else context.config).store(place.name)
        require_same(place, client_for(store).location())
        next(iter(open_objects(store).list()), None)
    except ToolkitError as error:
        return StoreReach(place.name, time.perf_counter() - started, f"{error.fact} {error.advice}")
    return StoreReach(place.name, time.perf_counter() - started)


def _reached(place: Place, context: Known | None) -> Reach:
    started = time.perf_counter()
    try:
        with connect(database_of(place, None if context is None else context.databases)) as connection:
            require_place(connection, place)
    except ToolkitError as error:
        return Reach(place.name, time.perf_counter() - started, f"{error.fact} {error.advice}")
    return Reach(place.name, time.perf_counter() - started)
