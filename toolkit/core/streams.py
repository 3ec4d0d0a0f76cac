"""Streams of record batches: read ahead in a thread, and cut to size."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

T = TypeVar("T")

# Two batches ahead keep both sides busy; more only costs memory.
_AHEAD = 2
_DONE = object()


class Worker(threading.Thread):
    """A thread whose end can be waited for with Ctrl-C meanwhile.

    `join` itself, once it is interrupted, takes the thread for ended (CPython 3.11 and 3.12, since bpo-45274).
    """

    def __init__(self, work: Callable[[], None], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self._ended = threading.Event()

    def run(self) -> None:
        """Do the work."""
        try:
            self._work()
        finally:
            self._ended.set()

    def wait(self) -> None:
        """Wait for the end, also when Ctrl-C comes meanwhile, which is raised afterwards.

        What the thread works with is closed next; native code would be torn down under its feet.
        """
        interrupt: KeyboardInterrupt | None = None
        while not self._ended.is_set():
            try:
                self._ended.wait()
            except KeyboardInterrupt as error:
                interrupt = error
        if interrupt is not None:
            raise interrupt


@contextmanager
def read_ahead(items: Iterable[T]) -> Iterator[Iterator[T]]:
    """Produce items in a thread while the caller consumes them; an error there is raised here.

    Leaving the block stops the thread at its next item and waits for it, so what it reads from can be closed.
    """
    pipe: queue.Queue[object] = queue.Queue(_AHEAD)
    stopped = threading.Event()
    failure: list[BaseException] = []

    def produce() -> None:
        try:
            for item in items:
                if not _offer(pipe, item, stopped):
                    break
        except BaseException as error:  # noqa: BLE001 - carried to the consumer, which raises it
            failure.append(error)
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()
            _offer(pipe, _DONE, stopped)

    def consume() -> Iterator[T]:
        while (item := pipe.get()) is not _DONE:
            yield item  # type: ignore[misc]
        if failure:
            raise failure[0]

    thread = Worker(produce, "read-ahead")
    thread.start()
    try:
        yield consume()
    finally:
        stopped.set()
        thread.wait()


@contextmanager
def ended(*streams: Iterable[object]) -> Iterator[None]:
    """End these at the end of the block, however it comes: what a traceback still holds would read on behind it."""
    try:
        yield
    finally:
        for stream in streams:
            if isinstance(stream, Generator):
                stream.close()


def _offer(pipe: queue.Queue[object], item: object, stopped: threading.Event) -> bool:
    """Put an item unless the consumer has gone; whether it was put."""
    while not stopped.is_set():
        try:
            pipe.put(item, timeout=0.1)
        except queue.Full:
            continue
        return True
    return False


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
