"""The same parts on a cluster of Ray's, where that is installed: it is 287 MB, and takes ten seconds to start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

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


@pytest.mark.parametrize("fault", FAULTS)
def test_rows_are_exact_or_as_before_whatever_is_killed_or_frozen(cluster: Cluster, two: Config, fault: str) -> None:
    """The last of them is the end of the cluster."""
    cluster.know({name: two.database(name) for name in ("postgres", "other")})
    found = tried(two, cluster.address, 0.5, *happening(fault, Ray(cluster)))
    assert found is not None
    assert found.failed == (fault in FAULTS[2:])
