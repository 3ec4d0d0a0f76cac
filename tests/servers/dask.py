"""A cluster of Dask's: a scheduler and two workers, processes of this machine with settings of their own."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.operations.processes import called
from tests.servers.common import settings
from toolkit.config import Database, Store

_SECONDS = 60
_SETTINGS = {
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s",
    # What it looks at many times a second: itself.
    "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "1s",
    "DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL": "5s",
    "DASK_DISTRIBUTED__WORKER__MEMORY__MONITOR_INTERVAL": "5s",
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
}


class Nursery:
    """A process that has loaded what a scheduler and workers need, and forks them: they start in no time."""

    def __init__(self) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        with theirs:
            called(_nurse, theirs)

    def start(self, module: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Member:
        """A scheduler or a worker, with a log in its folder."""
        self._pipe.send((module, [*arguments], folder, dict(environment)))
        return Member(self._pipe.recv())

    def close(self) -> None:
        """Start no more; those that run go on."""
        self._pipe.close()


@dataclass(frozen=True)
class Member:
    """A process of a cluster."""

    pid: int

    def is_running(self) -> bool:
        with suppress(ProcessLookupError):
            os.kill(self.pid, 0)
            return True
        return False

    def send_signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Have it gone, frozen or not."""
        self.send_signal(signal.SIGKILL)
        while self.is_running():
            time.sleep(0.001)


def _nurse(pipe: Connection[Any, Any]) -> None:
    import distributed.cli.dask_scheduler
    import distributed.cli.dask_worker  # noqa: F401

    # Who ends is forgotten at once.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with suppress(EOFError):
        while True:
            given = pipe.recv()
            if not (pid := os.fork()):
                pipe.close()
                _run(*given)
            pipe.send(pid)


def _run(module: str, arguments: list[str], folder: Path, environment: dict[str, str]) -> None:
    import dask

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    dask.config.refresh()
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(log, number)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    import_module(f"distributed.cli.{module}").main(arguments, standalone_mode=False)
    os._exit(0)


class Cluster:
    """One that runs."""

    def __init__(self, directory: Path, patience: int = 3) -> None:
        self.directory = directory
        self._file = directory / "scheduler.json"
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("TOOLKIT_")} | _SETTINGS
        # A worker that says nothing for so long is taken for lost, and ended; five minutes by default.
        self._environment["DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL"] = f"{patience}s"
        self._nursery = Nursery()
        local = ["--host", "127.0.0.1", "--no-dashboard"]
        self.scheduler = self._started("dask_scheduler", "--port", "0", "--no-show", *local)
        self._worker = ["--nthreads", "1", "--no-nanny", "--death-timeout", "30", *local]
        self._wait(self._file.exists)
        self.workers = [self._started("dask_worker", *self._worker) for _ in range(2)]

    def _started(self, module: str, *arguments: str) -> Member:
        given = ["--scheduler-file", str(self._file), *arguments]
        return self._nursery.start(module, given, self.directory, self._environment)

    @property
    def address(self) -> str:
        return str(json.loads(self._file.read_text())["address"])

    def ready(self, count: int = 2) -> None:
        """So many workers are there, in place of those that a test has killed, or frozen until they were given up."""
        import distributed

        connect: Any = distributed.Client
        with connect(self.address, timeout=_SECONDS, set_as_default=False) as client:
            for _ in range(2 * _SECONDS):
                for place, worker in enumerate(self.workers[:count]):
                    if not worker.is_running():
                        self.workers[place] = self._started("dask_worker", *self._worker)
                with suppress(TimeoutError):
                    client.wait_for_workers(count, timeout=0.5)
                    return
        raise AssertionError((self.directory / "log").read_text())

    def know(self, databases: Mapping[str, Database], stores: Iterable[Store] = ()) -> None:
        """Let workers know these databases and stores, from their next part on."""
        (self.directory / "toolkit.toml").write_text(settings(databases, stores))

    def _wait(self, happens: object) -> None:
        for _ in range(_SECONDS * 100):
            if happens():  # type: ignore[operator]
                return
            time.sleep(0.01)
        raise AssertionError((self.directory / "log").read_text())

    def stop(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
        self._nursery.close()


@contextmanager
def running(directory: Path, patience: int = 3) -> Iterator[Cluster]:
    """One for the block, whose scheduler takes workers for lost after so many seconds."""
    directory.mkdir(exist_ok=True)
    cluster = Cluster(directory, patience)
    try:
        yield cluster
    finally:
        cluster.stop()
