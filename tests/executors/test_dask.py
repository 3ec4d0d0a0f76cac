"""The same parts on a cluster of Dask's: exact, whichever of its processes is killed or frozen."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from tests.executors import work
from tests.executors.faults import Found, ledger, tried
from tests.executors.here import open_here
from tests.kills import Dask, happening
from tests.operations.archive_example import gallery
from tests.operations.parted import fill
from tests.operations.test_parts_load import digest, left, target
from tests.servers import dask
from tests.servers.dask import Cluster
from tests.servers.swift import S3Server
from toolkit.config import Config, Database, Store, load_config
from toolkit.errors import ConfigurationError, PartFailedError, WorkersError
from toolkit.executors import contract
from toolkit.executors.dask import DaskExecutor
from toolkit.operations.archive.backends import Backends
from toolkit.operations.archive.push import push
from toolkit.operations.diff.compare import diff
from toolkit.operations.parts.crew import WorkerOptions
from toolkit.operations.parts.loading import load_in_parts

# Its processes take seconds to start: one worker of pytest has them.
pytestmark = pytest.mark.xdist_group("dask")


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with dask.running(tmp_path_factory.mktemp("dask")) as cluster:
        yield cluster


@pytest.fixture
def cluster(begun: Cluster) -> Cluster:
    begun.ready()
    return begun


class Watched:
    """A load in a thread, which is looked at from outside."""

    def __init__(self, config: Config, workers: WorkerOptions) -> None:
        self._config, self._workers, self.failures = config, workers, list[BaseException]()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            load_in_parts(self._config, "postgres", "other", "item", self._workers)
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            self.failures.append(error)

    def wait_for(self, written: int) -> None:
        """Until so many parts are in the ledger."""
        with target(self._config) as connection:
            while self.thread.is_alive():
                if ledger(connection)[1] >= written:
                    return
                time.sleep(0.005)
        raise AssertionError(self.failures)


def options(cluster: Cluster, config: Config) -> WorkerOptions:
    cluster.know({name: config.database(name) for name in ("postgres", "other")})
    return WorkerOptions(cluster.address, part_bytes=120_000)


@pytest.mark.slow
def test_every_part_comes_back_once_and_errors_are_told(cluster: Cluster) -> None:
    with DaskExecutor(cluster.address) as executor:
        assert executor.workers == 2
        assert sorted(executor.receipts(work.doubled, range(30), 4)) == [2 * i for i in range(30)]
        with pytest.raises(PartFailedError, match=r"^3, on worker .*: ValueError: no such part"):
            list(executor.receipts(work.failing, range(10), 2))


@pytest.mark.slow
def test_a_load_and_a_comparison(cluster: Cluster, two: Config) -> None:
    workers = options(cluster, two)
    assert load_in_parts(two, "postgres", "other", "item", workers).verified
    assert diff(two, "postgres", "other", ["item"], workers=workers).equal


@pytest.mark.slow
def test_a_lake_is_filled_by_workers_that_know_it_by_their_own_settings(
    cluster: Cluster, two: Config, tmp_path: Path
) -> None:
    lake = Database("lake", f"delta+file://{tmp_path}/lake")
    named = replace(two, databases={**two.databases, "lake": lake})
    workers = structs.replace(options(cluster, named), part_bytes=800_000)
    with pytest.raises(PartFailedError, match="no database 'lake'"):
        load_in_parts(named, "postgres", "lake", "item", workers)
    cluster.know({name: named.database(name) for name in ("postgres", "lake")})
    assert load_in_parts(named, "postgres", "lake", "item", workers, restart=True).verified
    assert digest(named, "lake") == digest(named, "postgres")


@pytest.mark.slow
def test_files_of_an_object_store_are_archived_in_another(
    cluster: Cluster, tmp_path: Path, s3_server: S3Server
) -> None:
    """Workers know both by their own settings; where one is another there, nothing is sent, nor a snapshot written."""
    s3_server.create_bucket("dask")
    stores = {
        name: Store(name, f"s3://dask/{name}", tmp_path, s3_server.options) for name in ("attachments", "archive")
    }
    config = load_config(tmp_path, {"TOOLKIT_SQLITE_URL": f"sqlite:///{tmp_path}/one.sqlite3"})
    world = gallery(replace(config, stores=stores), "sqlite")
    live = Backends(world.config).get("attachments")
    for number in range(40):
        live.write(f"{number}", [b"content %d" % number])
    world.photos({number: f"{number}" for number in range(40)})
    workers = WorkerOptions(cluster.address)
    cluster.know({}, [stores["attachments"], replace(stores["archive"], address="s3://dask/other")])
    with pytest.raises(PartFailedError, match="archive is another store on this worker"):
        push(world.config, "sqlite", workers=workers)
    assert not world.objects()
    cluster.know({}, stores.values())
    result = push(world.config, "sqlite", workers=workers)
    assert (result.sent, result.findings, result.notes) == (40, (), ())
    assert world.verify(read_data=True).whole


@pytest.mark.slow
def test_a_database_that_workers_do_not_know_or_know_as_another_is_refused(cluster: Cluster, two: Config) -> None:
    workers = options(cluster, two)
    cluster.know({"postgres": two.database("postgres")})
    with pytest.raises(PartFailedError, match="no database 'other'"):
        load_in_parts(two, "postgres", "other", "item", workers)
    cluster.know({"postgres": two.database("postgres"), "other": two.database("postgres")})
    with pytest.raises(PartFailedError, match="other is another database on this worker"):
        load_in_parts(two, "postgres", "other", "item", workers, restart=True)
    with pytest.raises(ConfigurationError, match="given as a URL"):
        load_in_parts(two, two.database("postgres").address, "other", "item", workers, restart=True)
    assert digest(two, "other").rows == 0


def test_a_file_of_this_machine_is_not_asked_of_workers_elsewhere(cluster: Cluster, two: Config) -> None:
    fill(two.database("sqlite"), 10)
    with pytest.raises(ConfigurationError, match="is a file of this machine"):
        diff(two, "sqlite", "postgres", ["item"], workers=options(cluster, two))


@pytest.mark.slow
def test_a_coordinator_that_is_killed_leaves_rows_as_they_were_and_a_run_that_can_be_taken_up(
    cluster: Cluster, two: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Into a table with rows; so are all other cases by `python -m tests.kills`, at several moments each."""
    options(cluster, two)
    monkeypatch.setattr("toolkit.operations.parts.crew.open_executor", open_here)
    found = tried(two, cluster.address, 0.5, *happening("kill the coordinator", Dask(cluster)))
    assert found == Found(was_exact=False, failed=True)


# -- each costs workers, whose start takes seconds: in this order, none is started that the next does not need ---------


@pytest.mark.slow
def test_a_worker_that_is_frozen_and_goes_on_later_writes_nothing_twice(cluster: Cluster, two: Config) -> None:
    watched = Watched(two, options(cluster, two))
    watched.wait_for(3)
    frozen = cluster.workers[1]
    frozen.send_signal(signal.SIGSTOP)
    watched.thread.join(120)
    frozen.send_signal(signal.SIGCONT)
    assert watched.failures == []
    assert digest(two, "other") == digest(two, "postgres")


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_no_row_and_doubles_none(cluster: Cluster, two: Config) -> None:
    watched = Watched(two, options(cluster, two))
    watched.wait_for(2)
    # Stopped until the other has done more, it has a part that nobody else is at.
    cluster.workers[1].send_signal(signal.SIGSTOP)
    watched.wait_for(6)
    cluster.workers[1].kill()
    watched.thread.join(120)
    assert watched.failures == []
    assert digest(two, "other") == digest(two, "postgres")


@pytest.mark.slow
def test_a_cluster_that_has_lost_all_of_its_workers_is_told_of_not_waited_for(
    begun: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun.ready(1)
    monkeypatch.setattr(contract, "NOBODY_SECONDS", 1.0)
    with (
        DaskExecutor(begun.address) as executor,
        pytest.raises(WorkersError, match=r"scheduler at tcp://.* has had no workers for \d+ s"),
    ):
        list(executor.receipts(work.always_lost, [7], 1))


@pytest.mark.slow
def test_a_scheduler_that_is_killed_leaves_an_empty_table_and_a_run_that_can_be_taken_up(
    begun: Cluster, two: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last of them: it is the end of the cluster."""
    begun.ready(1)
    watched = Watched(two, options(begun, two))
    watched.wait_for(3)
    begun.scheduler.kill()
    watched.thread.join(120)
    (failure,) = watched.failures
    assert isinstance(failure, WorkersError)
    assert "is lost" in str(failure)
    assert "--resume" in failure.advice
    assert digest(two, "other").rows == 0
    (run,) = left(two)
    monkeypatch.setattr("toolkit.operations.parts.crew.open_executor", open_here)
    load_in_parts(two, "postgres", "other", "item", WorkerOptions("local:2", part_bytes=120_000), resume=run)
    assert digest(two, "other") == digest(two, "postgres")
