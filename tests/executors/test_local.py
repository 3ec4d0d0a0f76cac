"""Processes of this machine: what is lost with one of them is done again, and nothing goes on that nobody waits for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.executors import work
from toolkit.errors import ConfigurationError, PartFailedError, WorkersError, WorkerVersionError
from toolkit.executors import open_executor
from toolkit.executors.contract import Versions, done, task, versions
from toolkit.executors.local import ATTEMPTS, LocalExecutor


@pytest.fixture(scope="module")
def local() -> Iterator[LocalExecutor]:
    with LocalExecutor(2, {"name": "value"}, patience=2) as executor:
        yield executor


@pytest.mark.slow
def test_every_part_comes_back_once(local: LocalExecutor) -> None:
    assert sorted(local.receipts(work.doubled, range(50), 4)) == [2 * i for i in range(50)]


def test_parts_are_taken_as_they_are_done(local: LocalExecutor) -> None:
    taken: list[int] = []

    def parts() -> Iterator[int]:
        for number in range(20):
            taken.append(number)
            yield number

    coming = local.receipts(work.doubled, parts(), 3)
    next(coming)
    assert len(taken) <= 4
    coming.close()


def test_a_worker_has_what_belongs_to_this_machine(local: LocalExecutor) -> None:
    assert list(local.receipts(work.with_context, ["name"], 1)) == ["value"]


@pytest.mark.slow
def test_a_part_that_is_lost_with_its_process_is_done_by_another(local: LocalExecutor, tmp_path: Path) -> None:
    assert list(local.receipts(work.lost_once, [tmp_path / "one", tmp_path / "two"], 2)) == ["done", "done"]


@pytest.mark.slow
def test_a_frozen_process_is_ended_before_its_part_is_done_again(local: LocalExecutor, tmp_path: Path) -> None:
    assert list(local.receipts(work.frozen_once, [tmp_path / "one"], 2)) == ["done"]
    assert not (tmp_path / "one.late").exists()


def test_a_part_that_costs_every_process_is_named(local: LocalExecutor) -> None:
    with pytest.raises(WorkersError, match=f"7: {ATTEMPTS} processes were lost with it, the last by signal 9"):
        list(local.receipts(work.always_lost, [7], 1))


@pytest.mark.slow
def test_an_error_names_the_part_and_ends_the_others(local: LocalExecutor, tmp_path: Path) -> None:
    with pytest.raises(PartFailedError, match=r"^3, on worker .*: ValueError: no such part"):
        list(local.receipts(work.failing, range(10), 2))
    coming = local.receipts(work.noted, [tmp_path / "a", tmp_path / "b", tmp_path / "c"], 2)
    next(coming)
    coming.close()
    before = set(tmp_path.iterdir())
    time.sleep(0.3)
    assert set(tmp_path.iterdir()) == before
    assert sorted(local.receipts(work.doubled, range(3), 2)) == [0, 2, 4]


def test_other_versions_are_refused_before_anything_is_done() -> None:
    given = replace(task(work.failing, 3), sent_by=Versions("2.7", "0.0.0", versions().source))
    with pytest.raises(WorkerVersionError, match=r"Python 3.* there, 2.7 here, toolkit .* there, 0.0.0 here"):
        done(given).result(3)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("local:0", "no number of workers"),
        ("local:x", "no number of workers"),
        ("cluster", "no workers at"),
        ("tcp://scheduler:8786", "not encrypted"),
        ("ray://10.0.0.1:10001", "not encrypted"),
        ("tls://scheduler", "no host and port"),
        ("tls://user:pw@scheduler:8786", "holds a user or a password"),
    ],
)
def test_addresses_that_are_none_or_not_safe_are_refused(address: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        open_executor(address)
