"""What a thread works with is not closed under it: it has ended, or never begins, wherever Ctrl-C comes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pyarrow as pa
import pytest
import sqlalchemy as sa

from toolkit.core.digest import TableDigest, digest_batches
from toolkit.core.parallel import Stop, in_order, in_parallel
from toolkit.core.streams import read_ahead
from toolkit.core.tables import table_spec
from toolkit.core.workers import both
from toolkit.operations.transfer import background_digest

Do = Callable[[], object]


def _read_ahead(work: Do) -> None:
    def items() -> Iterator[object]:
        yield work()

    with read_ahead(items()) as ahead:
        list(ahead)


def _digest(work: Do) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(background_digest, "digest_batches", lambda *_: work() or TableDigest())
        with background_digest.BackgroundDigest(None, as_stored=False) as digest:  # type: ignore[arg-type]
            digest.add(pa.record_batch({"n": [1]}))
            digest.result()


USES = [
    pytest.param(_read_ahead, id="read_ahead"),
    pytest.param(lambda work: both(work, lambda: None), id="both"),
    pytest.param(lambda work: list(in_parallel(lambda _: work(), [1], 1)), id="in_parallel"),
    pytest.param(lambda work: list(in_order(lambda _: work(), [1], 1)), id="in_order"),
]


@pytest.mark.parametrize("use", USES)
def test_a_thread_that_runs_as_ctrl_c_comes_while_it_is_started_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, use: Callable[[Do], None]
) -> None:
    begun, release, ended = threading.Event(), threading.Event(), threading.Event()
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        monkeypatch.undo()
        start(thread)
        assert begun.wait(10)
        threading.Timer(0.1, release.set).start()
        raise KeyboardInterrupt

    def work() -> None:
        begun.set()
        release.wait()
        ended.set()

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        use(work)
    assert ended.is_set()


# The digest's thread has nothing to do yet.
@pytest.mark.parametrize("use", [*USES, pytest.param(_digest, id="digest")])
def test_a_thread_that_has_not_begun_as_ctrl_c_comes_while_it_is_started_never_does_its_work(
    monkeypatch: pytest.MonkeyPatch, use: Callable[[Do], None]
) -> None:
    late: list[threading.Thread] = []
    done: list[None] = []
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        late.append(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        use(lambda: done.append(None))
    start(late[0])
    late[0].join(10)
    assert not late[0].is_alive()
    assert done == []


def test_work_that_began_as_ctrl_c_came_while_its_thread_was_started_is_told_to_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, stopped = threading.Event(), threading.Event()
    start, stop = threading.Thread.start, Stop()

    def interrupted(thread: threading.Thread) -> None:
        monkeypatch.undo()
        start(thread)
        assert begun.wait(10)
        raise KeyboardInterrupt

    def work(_: int) -> None:
        begun.set()
        if stop._event.wait(5):
            stopped.set()

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(in_parallel(work, [1], 1, stop))
    assert stopped.is_set()


def test_what_ends_by_itself_is_not_told_to_stop() -> None:
    stop = Stop()
    for _ in range(200):
        list(in_parallel(str, range(3), 2, stop))
    assert not stop._event.is_set()


@pytest.mark.parametrize("fails", ["own", "other"])
def test_of_two_that_run_at_the_same_time_both_have_ended_as_the_error_of_one_is_raised(fails: str) -> None:
    ended: list[str] = []
    together = threading.Barrier(2, timeout=10)

    def work(name: str) -> str:
        together.wait()
        ended.append(name)
        if name == fails:
            raise OSError(name)
        return name

    with pytest.raises(OSError, match=fails):
        both(lambda: work("other"), lambda: work("own"))
    assert sorted(ended) == ["other", "own"]


def test_what_had_not_begun_in_its_thread_when_the_other_was_done_is_done_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As on a busy machine: the thread is there, and gets no time.
    monkeypatch.setattr("threading.Thread.start", lambda _: None)
    assert both(lambda: "other", lambda: "own") == ("other", "own")


def test_a_digest_whose_thread_had_not_begun_is_of_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = table_spec(sa.Table("t", sa.MetaData(), sa.Column("id", sa.BigInteger, primary_key=True)))
    batch = pa.record_batch([pa.array([1, 2, 3], pa.int64())], schema=spec.schema)
    monkeypatch.setattr("threading.Thread.start", lambda _: None)
    with background_digest.BackgroundDigest(spec, as_stored=False) as digest:
        digest.add(batch)
        assert digest.result() == digest_batches(spec, [batch])
