"""Streams keep every row and its order, carry errors over, and stop when nobody listens."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.core.streams import cut, only, read_ahead


def numbers(*values: int) -> pa.RecordBatch:
    """A batch of one column."""
    return pa.record_batch([pa.array(values, pa.int64())], names=["n"])


def flat(batches: Iterator[pa.RecordBatch]) -> list[int]:
    """All values in order."""
    return [value for batch in batches for value in batch.column("n").to_pylist()]


def test_reading_ahead_changes_nothing() -> None:
    with read_ahead(iter(range(100))) as items:
        assert list(items) == list(range(100))


def test_an_error_of_the_producer_is_raised_to_the_consumer() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    with read_ahead(failing()) as items:
        assert next(items) == 1
        with pytest.raises(OSError, match="gone"):
            next(items)


def test_a_consumer_that_leaves_stops_the_thread_and_closes_the_source() -> None:
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            number = 0
            while True:
                yield (number := number + 1)
        finally:
            closed.set()

    with read_ahead(endless()) as items:
        next(items)
    assert closed.is_set()
    assert not any(thread.name == "read-ahead" for thread in threading.enumerate())


@given(st.lists(st.lists(st.integers(0, 100), max_size=7), max_size=6), st.integers(1, 9))
def test_cutting_keeps_rows_and_order_and_fills_every_part_but_the_last(lists: list[list[int]], rows: int) -> None:
    parts = [flat(part) for part in cut((numbers(*values) for values in lists), rows)]
    assert [value for part in parts for value in part] == [value for values in lists for value in values]
    assert all(len(part) == rows for part in parts[:-1])
    assert not parts or 0 < len(parts[-1]) <= rows


@given(st.lists(st.integers(0, 9)), st.sets(st.integers(0, 9), min_size=1))
def test_only_the_rows_with_these_keys_remain(values: list[int], wanted: set[int]) -> None:
    keys = pa.table({"n": pa.array(sorted(wanted), pa.int64())})
    assert flat(only([numbers(*values)], keys)) == [value for value in values if value in wanted]


def test_rows_are_chosen_by_several_columns_together() -> None:
    batch = pa.record_batch({"a": [1, 1, 2], "b": ["x", "y", "x"]})
    keys = pa.table({"a": [1, 2], "b": ["y", "y"]})
    assert [part.to_pylist() for part in only([batch], keys)] == [[{"a": 1, "b": "y"}]]


def test_ctrl_c_again_and_again_does_not_leave_the_thread_behind() -> None:
    begun, release, ended = threading.Event(), threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        yield 1
        release.wait()
        ended.set()

    def press() -> None:
        begun.wait()
        for _ in range(5):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            release.wait(0.05)
        release.set()

    def consume() -> None:
        with read_ahead(items()) as read:
            for _ in read:
                begun.set()

    presser = threading.Thread(target=press)
    # A shell lets what it starts in the background ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        presser.start()
        with pytest.raises(KeyboardInterrupt):
            consume()
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.is_set()
    presser.join()
