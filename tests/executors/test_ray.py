"""The same parts on a cluster of Ray's, where that is installed: it is 287 MB, and takes ten seconds to start."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.executors import work
from toolkit.errors import PartFailedError, WorkersError


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("ray")
    client, head = _free_port(), _free_port()
    script = str(Path(sys.executable).parent / "ray")
    arguments = ["--port", str(head), "--ray-client-server-port", str(client), "--num-cpus", "2", "--block"]
    # Ports of workers are not to be the client's.
    arguments += ["--include-dashboard=false", "--disable-usage-stats", "--object-store-memory", "100000000"]
    arguments += ["--min-worker-port", "0", "--max-worker-port", "0"]
    # A socket's path may have 107 characters.
    own = tempfile.mkdtemp(prefix="ray", dir="/tmp")
    with (directory / "log").open("wb") as log:
        command = [str(script), "start", "--head", *arguments, "--temp-dir", own]
        process = subprocess.Popen(command, cwd=directory, stdout=log, stderr=log)
    try:
        for _ in range(600):
            with socket.socket() as asked:
                if asked.connect_ex(("127.0.0.1", client)) == 0:
                    break
            time.sleep(0.1)
        yield f"ray://127.0.0.1:{client}"
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(own, ignore_errors=True)


def test_parts_come_back_once_whatever_is_lost_and_errors_are_told(address: str, tmp_path: Path) -> None:
    """One test for all: the connection to a cluster is a process's own, and costs seconds."""
    from toolkit.executors.ray import RayExecutor

    with RayExecutor(address) as executor:
        assert executor.workers == 2
        assert sorted(executor.receipts(work.doubled, range(10), 4)) == [2 * i for i in range(10)]
        with pytest.raises(PartFailedError, match=r"^3, on worker .*: ValueError: no such part"):
            list(executor.receipts(work.failing, range(10), 2))
        assert list(executor.receipts(work.lost_once, [tmp_path / "one"], 2)) == ["done"]
        with pytest.raises(WorkersError, match="7: lost with its worker"):
            list(executor.receipts(work.always_lost, [7], 1))
