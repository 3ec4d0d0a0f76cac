"""`toolkit workers check`: which workers there are, what they run, and which databases they reach."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolkit.engines import connect
from toolkit.errors import ToolkitError
from toolkit.executors.contract import versions, worker_name
from toolkit.operations.parts.crew import WorkerOptions, hired
from toolkit.operations.parts.work import Context, Place, database_of, require_place

if TYPE_CHECKING:
    from toolkit.config import Config, Database

# So that each worker is given one of as many as there are, twice over.
_PAUSE_SECONDS = 0.3
_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Reach:
    """Whether a worker reaches a database, the same one as from here; how long that took, or why it does not."""

    database: str
    seconds: float
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class WorkerCheck:
    """One worker: where it runs, its versions, and the databases."""

    worker: str
    python: str
    toolkit: str
    databases: tuple[Reach, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkersCheck:
    """All workers that answered; `expected` is how many the cluster says that it has."""

    address: str
    expected: int
    workers: tuple[WorkerCheck, ...]

    @property
    def is_fine(self) -> bool:
        """Whether all are there and reach all."""
        reached = all(each.problem is None for worker in self.workers for each in worker.databases)
        return reached and bool(self.workers)


def check_workers(config: Config, names: Sequence[str], options: WorkerOptions) -> WorkersCheck:
    """Ask each worker for its versions, and have it open these databases (default: all that are servers).

    Raises:
        WorkersError: they cannot be reached.
        WorkerVersionError: one runs other versions than this process.
        ConfigurationError: a database is not known, or no worker could be told of it.
    """
    databases = [config.database(name) for name in dict.fromkeys(names)] or [
        each for each in config.databases.values() if each.file is None and not each.is_embedded
    ]
    with hired(config, databases, options) as crew:
        places = tuple(_place(each, crew.executor.is_local) for each in databases)
        count = crew.executor.workers
        found: dict[str, WorkerCheck] = {}
        for check in crew.executor.receipts(look, [places] * (_ROUNDS * count), count):
            found[check.worker] = check
    return WorkersCheck(options.address, count, tuple(found[name] for name in sorted(found)))


def _place(database: Database, is_local: bool) -> Place:
    with connect(database) as connection:
        return Place(database.name, None if is_local else connection.identity())


def look(places: Sequence[Place], context: Context) -> WorkerCheck:
    """What a worker says of itself, and of these databases."""
    time.sleep(_PAUSE_SECONDS)
    own = versions()
    reached = tuple(_reached(place, context) for place in places)
    return WorkerCheck(worker_name(), own.python, f"{own.package} ({own.source})", reached)


def _reached(place: Place, context: Context) -> Reach:
    started = time.perf_counter()
    try:
        with connect(database_of(place, context)) as connection:
            require_place(connection, place)
    except ToolkitError as error:
        return Reach(place.name, time.perf_counter() - started, f"{error.fact} {error.advice}")
    return Reach(place.name, time.perf_counter() - started)
