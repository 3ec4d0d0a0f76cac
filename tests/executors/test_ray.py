"""The same parts on a cluster of Ray's, where that is installed: it is 287 MB, and takes ten seconds to start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.executors import work
from tests.executors.faults import tried
from tests.kills import FAULTS, Ray, happening
from tests.servers import ray
from tests.servers.ray import Cluster
from toolkit.config import Config
from toolkit.errors import PartFailedError, WorkersError


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with ray.running(tmp_path_factory.mktemp("ray")) as found:
        yield found


def test_parts_come_back_once_whatever_is_lost_and_errors_are_told(cluster: Cluster, tmp_path: Path) -> None:
    """One test for all: the connection to a cluster is a process's own, and costs seconds."""
    from toolkit.executors.ray import RayExecutor

    with RayExecutor(cluster.address) as executor:
        assert executor.workers == 2
        assert sorted(executor.receipts(work.doubled, range(10), 4)) == [2 * i for i in range(10)]
        with pytest.raises(PartFailedError, match=r"^3, on worker .*: ValueError: no such part"):
            list(executor.receipts(work.failing, range(10), 2))
        assert list(executor.receipts(work.lost_once, [tmp_path / "one"], 2)) == ["done"]
        with pytest.raises(WorkersError, match="7: lost with its worker"):
            list(executor.receipts(work.always_lost, [7], 1))


def test_a_client_for_which_the_head_started_no_process_tries_again(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it happens there at times, by the error of the client's first message."""
    from ray.util.client.worker import Worker

    from toolkit.executors.ray import RayExecutor

    usual, asked = Worker._server_init, []

    def server_init(worker: Worker, *arguments: Any) -> object:
        asked.append(worker)
        if len(asked) < 3:
            raise ConnectionAbortedError("Initialization failure from server:")
        return usual(worker, *arguments)

    monkeypatch.setattr(Worker, "_server_init", server_init)
    with RayExecutor(cluster.address) as executor:
        assert list(executor.receipts(work.doubled, [21], 1)) == [42]
    assert len(asked) == 3


@pytest.mark.parametrize("fault", FAULTS)
def test_rows_are_exact_or_as_before_whatever_is_killed_or_frozen(cluster: Cluster, two: Config, fault: str) -> None:
    """The last of them is the end of the cluster."""
    cluster.know({name: two.database(name) for name in ("postgres", "other")})
    found = tried(two, cluster.address, 0.5, *happening(fault, Ray(cluster)))
    assert found is not None
    assert found.failed == (fault in FAULTS[2:])
