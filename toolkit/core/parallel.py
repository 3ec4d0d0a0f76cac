"""The same work on many items at once, in threads, with only so many items under way."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Generic, Self, TypeVar

from toolkit.core.workers import StoppedError, Work

T = TypeVar("T")
R = TypeVar("R")

MEMORY_BYTES = 160 << 20
"""For the content of files under way: of three of 50 MiB, one is read while two are sent, in a process of 310 MB."""
STREAM_BYTES = 80 << 20
"""For one that is sent piece by piece, so that two are under way: obstore holds parts, and copies of parts (48 MiB)."""


class Memory:
    """So many bytes for all; who needs more than is left waits, who needs more than there is gets it alone."""

    def __init__(self, size: int) -> None:
        self._size, self._used = size, 0
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Have so many for the block."""
        with self._changed:
            self._changed.wait_for(lambda: not self._used or self._used + size <= self._size)
            self._used += size
        try:
            yield
        finally:
            with self._changed:
                self._used -= size
                self._changed.notify_all()


class Stop:
    """Tells work in threads that it should end."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """End it."""
        self._event.set()

    def watched(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The same chunks, until the end is asked for.

        Raises:
            StoppedError: it was.
        """
        for chunk in chunks:
            if self._event.is_set():
                raise StoppedError
            yield chunk


class _Pool(Generic[T, R]):
    """Threads that do the same work on many items; after the block none of them is at it any more."""

    def __init__(self, work: Callable[[T], R], jobs: int) -> None:
        self._work = work
        self._threads = ThreadPoolExecutor(jobs, thread_name_prefix="archive")
        self._under_way: set[Work[R]] = set()

    def __enter__(self) -> Self:
        return self

    @property
    def is_busy(self) -> bool:
        """Whether something is under way; what was done is not, though its future may still be telling of it."""
        return any(not work.has_ended for work in list(self._under_way))

    def begin(self, item: T) -> Future[R]:
        """Do the work on one more item as soon as a thread has time."""
        work = Work(partial(self._work, item))
        # Before it can begin: Ctrl-C within `submit` leaves no future of it.
        self._under_way.add(work)
        future = self._threads.submit(work)
        future.add_done_callback(lambda _: self._under_way.discard(work))
        return future

    def __exit__(self, *_: object) -> None:
        under_way = list(self._under_way)
        for work in under_way:
            work.prevent()
        with ExitStack() as all_ended:
            all_ended.callback(self._threads.shutdown)
            for work in under_way:
                all_ended.callback(work.wait)


def in_parallel(work: Callable[[T], R], items: Iterable[T], jobs: int, stop: Stop | None = None) -> Iterator[R]:
    """What `work` returns for each item, as it comes; items are taken as there is room, by the caller's own thread.

    The first error ends it: what is under way is waited for (`stop` tells it to hurry), the rest is not begun.
    """
    with _Pool(work, jobs) as pool:
        waiting: set[Future[R]] = set()
        try:
            for item in items:
                # Two for each thread, so that none waits for this one; and not more, for items cost memory.
                while len(waiting) >= 2 * jobs:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
                waiting.add(pool.begin(item))
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        finally:
            # Not what is waited for here: Ctrl-C within `begin` leaves no future.
            if stop is not None and pool.is_busy:
                stop.set()


def in_order(work: Callable[[T], R], items: Iterable[T], jobs: int) -> Iterator[R]:
    """What `work` returns for each item, in the order of the items, several under way at once."""
    with _Pool(work, jobs) as pool:
        waiting: deque[Future[R]] = deque()
        for item in items:
            if len(waiting) >= 2 * jobs:
                yield waiting.popleft().result()
            waiting.append(pool.begin(item))
        while waiting:
            yield waiting.popleft().result()
