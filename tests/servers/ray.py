"""A cluster of Ray's: a head with two workers, processes of this machine with settings of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.servers.common import free_ports, settings
from toolkit.config import Database, Store

_SECONDS = 60
_STARTED = "Ray runtime started."


class Cluster:
    """One that runs."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._port, head = free_ports(2)
        script = str(Path(sys.executable).parent / "ray")
        arguments = ["--port", str(head), "--ray-client-server-port", str(self._port), "--num-cpus", "2", "--block"]
        # Ports of workers are not to be the client's.
        arguments += ["--include-dashboard=false", "--disable-usage-stats", "--object-store-memory", "100000000"]
        arguments += ["--min-worker-port", "0", "--max-worker-port", "0"]
        # A socket's path may have 107 characters.
        self._own = tempfile.mkdtemp(prefix="ray", dir="/tmp")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TOOLKIT_")}
        # It is not one that `uv run` has started, though the tests are.
        environment["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
        # Whoever has ever started Ray here may have a token, which `ray start` would then ask of clients.
        environment["RAY_AUTH_MODE"] = "disabled"
        with (directory / "log").open("wb") as log:
            command = [script, "start", "--head", *arguments, "--temp-dir", self._own]
            self.head = subprocess.Popen(
                command, cwd=directory, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        self._wait()

    def _wait(self) -> None:
        """Until the head's node is known: its port for clients is open before, and ends the first of them then."""
        log = self.directory / "log"
        for _ in range(_SECONDS * 10):
            if _STARTED in log.read_text():
                return
            time.sleep(0.1)
        raise AssertionError(log.read_text())

    @property
    def address(self) -> str:
        """Where its clients connect to."""
        return f"ray://127.0.0.1:{self._port}"

    def know(self, databases: Mapping[str, Database], stores: Iterable[Store] = ()) -> None:
        """Let workers know these databases and stores, from their next part on."""
        (self.directory / "toolkit.toml").write_text(settings(databases, stores))

    def worker(self) -> psutil.Process:
        """One that is at a part: it is named after the function that it runs."""
        until = time.monotonic() + _SECONDS
        while time.monotonic() < until:
            for each in self._processes():
                with suppress(psutil.NoSuchProcess):
                    if each.cmdline()[:1] == ["ray::done"]:
                        return each
            time.sleep(0.005)
        raise AssertionError([each.cmdline() for each in self._processes()])

    def _processes(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.head.pid).children(recursive=True)
        return []

    def stop(self) -> None:
        """End all of its processes, which die with their head or are killed."""
        found = self._processes()
        self.head.kill()
        for each in found:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        self.head.wait()
        psutil.wait_procs(found, timeout=10)
        shutil.rmtree(self._own, ignore_errors=True)


@contextmanager
def running(directory: Path) -> Iterator[Cluster]:
    """One for the block."""
    directory.mkdir(exist_ok=True)
    cluster = Cluster(directory)
    try:
        yield cluster
    finally:
        cluster.stop()
