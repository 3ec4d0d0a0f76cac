"""`python -m tests.kills`: all that can be killed or frozen under a sync by workers, at several moments of it.

The suite tries some at one moment; this takes an hour for all. Each trial ends with rows that are exact, or as before
and exact when the run is taken up; anything else ends this command with an error.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import psutil

from tests.executors.faults import Coordinator, tried
from tests.operations.databases import connected
from tests.operations.parted import METADATA, ROWS, fill
from tests.servers import dask, postgres, ray
from toolkit.config import Config, Database

FAULTS = ("kill a worker", "freeze a worker", "kill the coordinator", "kill the scheduler")
_FROZEN_SECONDS = 8
"""Longer than the three seconds after which Dask's scheduler, and `local`, take a worker for lost. Ray does not ask."""


def _children(coordinator: Coordinator) -> list[psutil.Process]:
    found = psutil.Process(coordinator.process.pid).children()
    return [each for each in found if "toolkit.executors.process" in each.cmdline()]


class Local:
    """Processes of the coordinator's own, which has no scheduler beside it."""

    address = "local:2"

    def worker(self, coordinator: Coordinator) -> psutil.Process:
        """One of them."""
        while not (found := _children(coordinator)):
            assert coordinator.process.poll() is None
            time.sleep(0.005)
        return found[0]

    def ready(self) -> None:
        """They begin with it."""


class Dask:
    """Two workers of a scheduler."""

    def __init__(self, cluster: dask.Cluster) -> None:
        self._cluster, self.address, self.know, self.ready = cluster, cluster.address, cluster.know, cluster.ready

    def worker(self, _: Coordinator | None = None) -> psutil.Process:
        """One of them."""
        return psutil.Process(self._cluster.workers[0].pid)

    def end(self) -> None:
        """Kill the scheduler."""
        self._cluster.scheduler.kill()


class Ray:
    """Two processes of a head's."""

    def __init__(self, cluster: ray.Cluster) -> None:
        self._cluster, self.address, self.know, self.end = cluster, cluster.address, cluster.know, cluster.stop

    def worker(self, _: Coordinator | None = None) -> psutil.Process:
        """One that is at a part."""
        return self._cluster.worker()

    def ready(self) -> None:
        """It replaces them itself."""


Kind = Local | Dask | Ray


@contextmanager
def started(kind: str, directory: Path, patience: int = 3) -> Iterator[Kind]:
    """A cluster; Dask's takes a worker for lost that says nothing for so many seconds."""
    directory.mkdir()
    if kind == "local":
        yield Local()
    elif kind == "dask":
        with dask.running(directory, patience) as cluster:
            yield Dask(cluster)
    else:
        with ray.running(directory) as head:
            yield Ray(head)


def happening(fault: str, kind: Kind) -> tuple[Callable[[Coordinator], None], Callable[[], None]]:
    """What happens, and what is done about it when the command has ended."""
    frozen: list[psutil.Process] = []

    def freeze(coordinator: Coordinator) -> None:
        process = kind.worker(coordinator)
        process.suspend()
        frozen.append(process)
        # Whether anybody replaces it, the scheduler knows; if nobody does, it goes on.
        with_end = time.monotonic() + _FROZEN_SECONDS
        while time.monotonic() < with_end and coordinator.process.poll() is None:
            time.sleep(0.05)
        thaw()

    def thaw() -> None:
        for process in frozen:
            if process.is_running():
                process.send_signal(signal.SIGCONT)

    def end(_: Coordinator) -> None:
        assert not isinstance(kind, Local)
        kind.end()

    return {
        "kill a worker": (lambda c: kind.worker(c).kill(), kind.ready),
        "freeze a worker": (freeze, kind.ready),
        "kill the coordinator": (lambda c: c.process.kill(), kind.ready),
        "kill the scheduler": (end, lambda: None),
    }[fault]


def matrix(
    config: Config, kinds: Sequence[str], faults: Sequence[str], moments: int, directory: Path
) -> Counter[tuple[str, str, str]]:
    """How often each fault of each kind ended how."""
    found: Counter[tuple[str, str, str]] = Counter()
    for kind in kinds:
        with ExitStack() as stack:
            cluster: Any = None
            for fault in [each for each in faults if kind != "local" or each != FAULTS[3]]:
                for moment in range(moments):
                    if cluster is None:
                        folder = directory / f"{kind}{len(found)}{time.monotonic_ns()}"
                        cluster = stack.enter_context(started(kind, folder))
                        if kind != "local":
                            cluster.know({name: config.database(name) for name in ("postgres", "other")})
                        cluster.ready()
                    happens, later = happening(fault, cluster)
                    share = moment / max(1, moments - 1)
                    result = tried(config, cluster.address, share, happens, later)
                    outcome = "too late" if result is None else "exact" if result.was_exact else "as before, resumed"
                    found[kind, fault, outcome] += 1
                    sys.stdout.write(f"{kind}: {fault} at {share:.0%} of the parts: {outcome}\n")
                    sys.stdout.flush()
                    if fault == "kill the scheduler":
                        stack.close()
                        cluster = None
    return found


def main() -> None:
    """Run it, and count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=5)
    parser.add_argument("--rows", type=int, default=11 * ROWS)
    parser.add_argument("--fault", choices=FAULTS, action="append")
    parser.add_argument("kinds", nargs="*", default=["local", "dask", "ray"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, postgres.running() as server, nullcontext(Path(name)) as folder:
        config = _filled(server, folder, given.rows)
        found = matrix(config, given.kinds, given.fault or FAULTS, given.moments, folder)
    for (kind, fault, outcome), times in sorted(found.items()):
        sys.stdout.write(f"{kind:6} {fault:22} {outcome:20} {times}\n")


def _filled(server: postgres.Server, folder: Path, rows: int) -> Config:
    names = {"postgres": "source", "other": "target"}
    databases = {name: Database(name, server.database(each), folder) for name, each in names.items()}
    fill(databases["postgres"], rows)
    with connected(databases["other"]) as connection:
        METADATA.create_all(connection)
    return Config(folder, databases)


if __name__ == "__main__":
    main()
