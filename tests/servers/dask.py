"""A cluster of Dask's: a scheduler and two workers, processes of this machine with settings of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

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


class Cluster:
    """One that runs."""

    def __init__(self, directory: Path, patience: int = 3) -> None:
        self.directory = directory
        self._file = directory / "scheduler.json"
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("TOOLKIT_")} | _SETTINGS
        # A worker that says nothing for so long is taken for lost, and ended; five minutes by default.
        self._environment["DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL"] = f"{patience}s"
        local = ["--host", "127.0.0.1", "--no-dashboard"]
        self.scheduler = self._started("dask_scheduler", "--port", "0", "--no-show", *local)
        self._worker = ["--nthreads", "1", "--no-nanny", "--death-timeout", "30", *local]
        self._wait(self._file.exists)
        self.workers = [self._started("dask_worker", *self._worker) for _ in range(2)]

    def _started(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{module}", "--scheduler-file", str(self._file), *arguments]
        log = (self.directory / "log").open("ab")
        with log:
            return subprocess.Popen(command, cwd=self.directory, env=self._environment, stdout=log, stderr=log)

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
                    if worker.poll() is not None:
                        self.workers[place] = self._started("dask_worker", *self._worker)
                with suppress(TimeoutError):
                    client.wait_for_workers(count, timeout=0.5)
                    return
        raise AssertionError((self.directory / "log").read_text())

    def know(self, databases: Mapping[str, Database], stores: Iterable[Store] = ()) -> None:
        """Let workers know these databases and stores, from their next part on."""
        (self.directory / "toolkit.toml").write_text(settings(databases, stores))

    def _wait(self, happens: object) -> None:
        for _ in range(_SECONDS * 20):
            if happens():  # type: ignore[operator]
                return
            time.sleep(0.05)
        raise AssertionError((self.directory / "log").read_text())

    def stop(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@contextmanager
def running(directory: Path, patience: int = 3) -> Iterator[Cluster]:
    """One for the block, whose scheduler takes workers for lost after so many seconds."""
    directory.mkdir(exist_ok=True)
    cluster = Cluster(directory, patience)
    try:
        yield cluster
    finally:
        cluster.stop()
