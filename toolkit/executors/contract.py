"""What every executor is, and what a task is that it hands to a worker."""

from __future__ import annotations

import hashlib
import platform
import socket
import time
from collections.abc import Callable, Generator, Iterable
from functools import cache
from importlib.metadata import version
from os import getpid
from pathlib import Path
from typing import Any, Protocol, TypeVar

from msgspec import Struct

from toolkit.errors import PartFailedError, ToolkitError, WorkersError, WorkerVersionError

T = TypeVar("T")
R = TypeVar("R")

Work = Callable[[T, Any], R]
"""What a worker does with a part; its second argument is the context of a process of this machine, or None."""


class Executor(Protocol):
    """Workers that do parts of one work, each part once at least: one that was lost with its worker is done again."""

    workers: int
    """How many parts are done at the same time."""
    is_local: bool
    """Whether they are processes of this machine, that were told what databases are called here."""

    def receipts(self, work: Work[T, R], parts: Iterable[T], in_flight: int) -> Generator[R, None, None]:
        """What `work`, a function of a module, returns for each part, as it comes, in no order.

        No more than `in_flight` parts are with workers at any time. Closing the generator cancels what has not begun.

        Raises:
            PartFailedError: the first error of a part.
            WorkersError: workers are lost for good.
            WorkerVersionError: a worker runs other versions.
        """


NOBODY_SECONDS = 300.0
"""How long a cluster may have no workers: some are started on demand, others come back."""
_COUNT_SECONDS = 2.0


class Attendance:
    """Whether a cluster has workers: its engine keeps parts for ever until some come."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._seen = self._counted = time.monotonic()

    def require(self, count: Callable[[], int]) -> None:
        """Count the workers, every few seconds.

        Raises:
            WorkersError: there have been none for too long.
        """
        now = time.monotonic()
        if now - self._counted < _COUNT_SECONDS:
            return
        self._counted = now
        if count():
            self._seen = now
        elif now - self._seen > NOBODY_SECONDS:
            raise WorkersError(
                f"{self._address} has had no workers for {now - self._seen:.0f} s.",
                "Look into their logs for why they ended, and start some.",
            )


class Versions(Struct, frozen=True):
    """What has to be the same here and on a worker."""

    python: str
    package: str
    source: str
    """A digest of this package's modules: two states of one version are not the same."""

    def unlike(self, other: Versions) -> str:
        """How another's differ, in words; empty if they do not."""
        pairs = (
            ("Python", self.python, other.python),
            ("toolkit", self.package, other.package),
            ("toolkit's modules", self.source, other.source),
        )
        return ", ".join(f"{name} {theirs} there, {ours} here" for name, ours, theirs in pairs if ours != theirs)


@cache
def versions() -> Versions:
    """Those of this process."""
    package = Path(__file__).parent.parent
    found = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        found.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return Versions(".".join(platform.python_version_tuple()[:2]), version("toolkit"), found.hexdigest()[:12])


class Task(Struct, frozen=True):
    """A part on its way to a worker, with what it is to be done by."""

    sent_by: Versions
    work: Callable[[Any, Any], Any]
    part: Any


class Outcome(Struct, frozen=True):
    """What came of it: a value, or why there is none, in words; an exception of another machine may not be readable."""

    worker: str
    value: Any = None
    fact: str | None = None
    advice: str = ""
    exit_code: int = 1
    kind: str = ""
    unlike: str = ""

    def result(self, what: object) -> Any:
        """The value.

        Raises:
            PartFailedError, WorkerVersionError: there is none.
        """
        if self.unlike:
            raise WorkerVersionError(self.worker, self.unlike)
        if self.fact is not None:
            raise PartFailedError(self.worker, str(what), self.fact, self.advice, self.exit_code, kind=self.kind)
        return self.value


def task(work: Work[T, R], part: T) -> Task:
    """A part to be sent."""
    return Task(versions(), work, part)


def done(given: Task, context: Any = None) -> Outcome:
    """Do a part, on a worker. Its errors are told, not raised: some cannot be sent, and an engine would repeat them."""
    unlike = given.sent_by.unlike(versions())
    if unlike:
        return Outcome(worker_name(), unlike=unlike)
    try:
        return Outcome(worker_name(), given.work(given.part, context))
    except ToolkitError as error:
        return _failed(error, error.fact, error.advice, error.exit_code)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told where the command was given
        return _failed(error, f"{type(error).__name__}: {error}", "Look into the worker's log.", 1)


def _failed(error: Exception, fact: str, advice: str, exit_code: int) -> Outcome:
    return Outcome(worker_name(), fact=fact, advice=advice, exit_code=exit_code, kind=type(error).__name__)


def worker_name() -> str:
    """A name for messages: the host and the process."""
    return f"{socket.gethostname()}:{getpid()}"
