"""Streams of record batches: read ahead in a thread, and cut to size."""

from __future__ import annotations

import queue
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.core.workers import Worker

T = TypeVar("T")

# One batch ahead, beside the one at work, keeps both sides busy; two take 8 MB more and no less time.
_AHEAD = 1
_DONE = object()


@contextmanager
def read_ahead(items: Iterable[T]) -> Iterator[Iterator[T]]:
    """Produce items in a thread while the caller consumes them; an error there is raised here.

    Leaving the block stops the thread at its next item and waits for it, so what it reads from can be closed. It begins
    with the first item that is asked for: within the block, whose end is then sure to come.
    """
    # Queues without locks of Python's own, which Ctrl-C could leave locked.
    pipe: queue.SimpleQueue[object] = queue.SimpleQueue()
    room: queue.SimpleQueue[None] = queue.SimpleQueue()
    for _ in range(_AHEAD):
        room.put(None)
    is_stopped = False
    failure: list[BaseException] = []

    def produce() -> None:
        try:
            for item in items:
                room.get()
                if is_stopped:
                    break
                pipe.put(item)
        except BaseException as error:  # noqa: BLE001 - carried to the consumer, which raises it
            failure.append(error)
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()
            pipe.put(_DONE)

    def consume() -> Iterator[T]:
        worker.start()
        while (item := pipe.get()) is not _DONE:
            room.put(None)
            yield item  # type: ignore[misc]
        if failure:
            raise failure[0]

    worker = Worker(produce, "read-ahead")
    try:
        yield consume()
    finally:
        is_stopped = True
        room.put(None)
        worker.wait()


@contextmanager
def ended(*streams: Iterable[object]) -> Iterator[None]:
    """End these at the end of the block, however it comes: what a traceback still holds would read on behind it."""
    try:
        yield
    finally:
        for stream in streams:
            if isinstance(stream, Generator):
                stream.close()


def cut(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[Iterator[pa.RecordBatch]]:
    """The same rows in parts of exactly `rows`, the last one smaller; each is to be read to its end before the next."""
    incoming = (batch for batch in batches if batch.num_rows)
    rest: pa.RecordBatch | None = next(incoming, None)

    def part() -> Iterator[pa.RecordBatch]:
        nonlocal rest
        left = rows
        while rest is not None and left:
            taken = rest.slice(0, left)
            left -= taken.num_rows
            rest = rest.slice(taken.num_rows) if taken.num_rows < rest.num_rows else next(incoming, None)
            yield taken

    while rest is not None:
        yield part()


def only(batches: Iterable[pa.RecordBatch], keys: pa.Table) -> Iterator[pa.RecordBatch]:
    """The rows whose columns named in `keys` have one of these values."""
    for batch, mask in _held(batches, keys):
        chosen = batch.filter(mask)
        if chosen.num_rows:
            yield chosen


def without(batches: Iterable[pa.RecordBatch], keys: pa.Table) -> Iterator[pa.RecordBatch]:
    """All other rows than those."""
    return (batch.filter(pc.invert(mask)) for batch, mask in _held(batches, keys))


def others(batch: pa.RecordBatch, keys: pa.Table) -> pa.Array:
    """Which rows of a batch have none of these keys."""
    return pc.invert(next(_held([batch], keys))[1])


def _held(batches: Iterable[pa.RecordBatch], keys: pa.Table) -> Iterator[tuple[pa.RecordBatch, pa.Array]]:
    """Each batch, and which of its rows have one of these keys."""
    names = keys.column_names
    wanted = keys.column(names[0]).combine_chunks() if len(names) == 1 else None
    tuples = set() if wanted is not None else set(zip(*(c.to_pylist() for c in keys.columns), strict=True))
    for batch in batches:
        if wanted is not None:
            yield batch, pc.is_in(batch.column(names[0]), wanted)
        else:
            rows = zip(*(batch.column(name).to_pylist() for name in names), strict=True)
            yield batch, pa.array([row in tuples for row in rows], pa.bool_())
