"""Workers of `local`, forked from a process that has loaded all that they need, which is most of what a start costs.

They are processes as others are: they can be killed and frozen. How the toolkit itself starts one, test_local.py shows.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from tests.operations.processes import _CONTEXT, called
from toolkit.config import Config, Database
from toolkit.executors import process
from toolkit.executors.contract import Task
from toolkit.executors.local import LocalExecutor
from toolkit.operations.parts.crew import Crew, WorkerOptions
from toolkit.operations.parts.loading import load_in_parts
from toolkit.operations.parts.work import fill_part, write_part

STARTED: list[ForkServerProcess] = []
"""By this process; some have ended."""


class Worker:
    """One, as `subprocess.Popen` would have it."""

    def __init__(self, command: Sequence[str], *, pass_fds: Sequence[int], **_: Any) -> None:
        assert [*command[1:-1]] == ["-m", "toolkit.executors.process"]
        (number,) = pass_fds
        theirs: Connection[Any, Any] = Connection(os.dup(number))
        with theirs as pipe:
            self._process = _CONTEXT.Process(target=_work, args=(pipe, Path.cwd(), dict(os.environ)))
            self._process.start()
        STARTED.append(self._process)
        assert self._process.pid is not None
        self.pid = self._process.pid

    def send_signal(self, number: int) -> None:
        """Unless it has ended."""
        if self._process.is_alive():
            os.kill(self.pid, number)

    def wait(self) -> int:
        """Its exit code, or the negative number of the signal that ended it."""
        self._process.join()
        return self.returncode

    @property
    def returncode(self) -> int:
        code = self._process.exitcode
        assert code is not None
        return code


def _work(pipe: Connection[Any, Any], folder: Path, environment: dict[str, str]) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin.close()
    number = os.dup(pipe.fileno())
    pipe.close()
    process.main(number)


@contextmanager
def workers() -> Iterator[None]:
    """Have those of the block forked."""
    own = SimpleNamespace(Popen=Worker, DEVNULL=subprocess.DEVNULL)
    with mock.patch("toolkit.executors.local.subprocess", own):
        yield


def at_hand_out(number: int, happens: Callable[[LocalExecutor], None]) -> AbstractContextManager[object]:
    """Let something happen as soon as parts were handed out for so many times: each worker has one then."""
    usual, calls = LocalExecutor._hand_out, count(1)

    def handed_out(executor: LocalExecutor, waiting: list[tuple[Task, int]]) -> None:
        usual(executor, waiting)
        if next(calls) == number:
            assert all(each.task is not None for each in executor._processes)
            happens(executor)

    return mock.patch.object(LocalExecutor, "_hand_out", handed_out)


def load_until_killed(
    config: Config, target: str, options: WorkerOptions, receipts: int, resume: str | None = None
) -> None:
    """Fill a table from PostgreSQL in a process that is killed, with so many receipts of parts heard, at the next."""
    databases = {name: config.database(name).address for name in ("postgres", target)}
    process = called(_load, databases, target, options, receipts, resume)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL, "it was to be killed before its end"


def _load(databases: Mapping[str, str], target: str, options: WorkerOptions, receipts: int, resume: str | None) -> None:
    usual = Crew.do

    def do(crew: Crew, work: Any, parts: Iterable[Any]) -> Iterator[Any]:
        for number, found in enumerate(usual(crew, work, parts)):
            if work in (fill_part, write_part) and number == receipts:
                os.kill(os.getpid(), signal.SIGKILL)
            yield found

    config = Config(Path(), {name: Database(name, address) for name, address in databases.items()})
    with workers(), mock.patch.object(Crew, "do", do):
        load_in_parts(config, "postgres", target, "item", options, resume=resume)
