"""The same work on many items at once, in threads, with only so many items under way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


class StoppedError(Exception):
    """Raised inside work that nobody waits for any more."""


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


def in_parallel(work: Callable[[T], R], items: Iterable[T], jobs: int, stop: Stop | None = None) -> Iterator[R]:
    """What `work` returns for each item, as it comes; items are taken as there is room, by the caller's own thread.

    The first error ends it: what is under way is waited for (`stop` tells it to hurry), the rest is not begun.
    """
    with ThreadPoolExecutor(jobs, thread_name_prefix="archive") as pool:
        waiting: set[Future[R]] = set()
        try:
            for item in items:
                # Two for each thread, so that none waits for this one; and not more, for items cost memory.
                while len(waiting) >= 2 * jobs:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
                waiting.add(pool.submit(work, item))
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        finally:
            if stop is not None and waiting:
                stop.set()
            for future in waiting:
                future.cancel()
