"""Work in other threads that has ended, or never begins, before what it uses is closed: also after Ctrl-C.

Nothing of Python's own promises it. Ctrl-C within `Thread.start` or `Executor.submit`, which wait for the new thread,
leaves one that runs but that nobody knows of, so that nobody waits for it; and `join`, once interrupted, takes its
thread for ended (CPython 3.11 and 3.12, bpo-45274). A connection closed under a thread is a crash of native code: one
of some 250 syncs that were interrupted at random moments ended so (SIGSEGV).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class StoppedError(Exception):
    """Raised inside work that nobody waits for any more."""


class Work(Generic[T]):
    """Something to do for another thread: it begins once at most, and not any more once it was waited for."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._claim = threading.Lock()
        # Locks alone, whose methods are native: Ctrl-C within those of Event and Condition may leave these locked.
        self._running = threading.Lock()
        self._running.acquire()
        self.has_ended = False
        """Whether it is done or will never be."""

    def __call__(self) -> T:
        """Do it.

        Raises:
            StoppedError: it was waited for before it began.
        """
        if not self._claim.acquire(blocking=False):
            raise StoppedError
        try:
            return self._work()
        finally:
            self.has_ended = True
            self._running.release()

    def prevent(self) -> None:
        """Let it never begin, unless it has."""
        if self._claim.acquire(blocking=False):
            self.has_ended = True

    def wait(self) -> None:
        """Wait for its end if it has begun, also when Ctrl-C comes meanwhile, which is raised afterwards."""
        self.prevent()
        interrupt: KeyboardInterrupt | None = None
        while not self.has_ended:
            try:
                self._running.acquire()
            except KeyboardInterrupt as error:
                interrupt = error
        if interrupt is not None:
            raise interrupt


class Worker:
    """A thread for one piece of work."""

    def __init__(self, work: Callable[[], None], name: str) -> None:
        self._work = Work(work)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._is_started = False

    @property
    def has_ended(self) -> bool:
        """Whether the work is done or will never be."""
        return self._work.has_ended

    def start(self) -> None:
        """Begin, unless it has; whoever calls this sees to it that `wait` is called, also if Ctrl-C comes here."""
        if not self._is_started:
            self._is_started = True
            self._thread.start()

    def wait(self) -> None:
        """Wait for the end; what has not begun never begins."""
        self._work.wait()

    def finish(self) -> None:
        """Wait for the end; on a busy machine the thread may not have begun yet: then the work is done here."""
        if self._is_started:
            self._run()
        self.wait()

    def _run(self) -> None:
        with suppress(StoppedError):
            self._work()


def both(other: Callable[[], T], own: Callable[[], R]) -> tuple[T, R]:
    """What two functions return that run at the same time, the first in a thread; both have ended afterwards.

    Raises:
        BaseException: what one of them raised, the second's before the first's.
    """
    results: list[T] = []
    failures: list[BaseException] = []

    def work() -> None:
        try:
            results.append(other())
        except BaseException as error:  # noqa: BLE001 - carried to the caller, who raises it
            failures.append(error)

    worker = Worker(work, "other-side")
    try:
        worker.start()
        result = own()
        worker.finish()
    finally:
        worker.wait()
    if failures:
        raise failures[0]
    return results[0], result
