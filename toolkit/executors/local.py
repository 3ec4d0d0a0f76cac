"""Processes of this machine: each has a socket to us, by which it gets parts, and says every second that it lives."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any, Self, TypeVar

from msgspec import Struct, field

from toolkit.errors import WorkersError
from toolkit.executors.contract import Outcome, Task, Work, task

T = TypeVar("T")
R = TypeVar("R")

PATIENCE = 60.0
"""Seconds without a sign of life after which a process is taken for lost, and ended."""
ATTEMPTS = 4
"""How often a part may be lost with its process, before it is taken for the cause."""
_LOOK_SECONDS = 0.5


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


class _Process(Struct, eq=False):
    """One worker: what it has to do, and when it was last heard of."""

    process: subprocess.Popen[bytes]
    pipe: Connection[Any, Any]
    heard: float = field(default_factory=time.monotonic)
    task: Task | None = None
    attempt: int = 0

    def end(self) -> None:
        """Have it gone, frozen or not."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.pipe.close()


class LocalExecutor:
    """So many processes of this machine. What has no sign of life for `patience` seconds is ended and replaced."""

    is_local = True

    def __init__(self, workers: int, context: Any = None, patience: float = PATIENCE) -> None:
        self.workers = workers
        self._context = context
        self._patience = patience
        self._processes: list[_Process] = []

    def __enter__(self) -> Self:
        try:
            for _ in range(self.workers):
                self._processes.append(self._started())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        for each in self._processes:
            each.end()
        self._processes.clear()

    @property
    def process_ids(self) -> tuple[int, ...]:
        """Those of the workers."""
        return tuple(each.process.pid for each in self._processes)

    def _started(self) -> _Process:
        ours, theirs = socket.socketpair()
        # One that is frozen while it speaks would be listened to for ever.
        seconds = struct.pack("@ll", max(1, int(self._patience)), 0)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            ours.setsockopt(socket.SOL_SOCKET, option, seconds)
        with theirs:
            # Its own session: Ctrl-C is for us, who tell it by ending it.
            process = subprocess.Popen(  # noqa: S603 - this Python, and a number
                [sys.executable, "-m", "toolkit.executors.process", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        found = _Process(process, Connection(ours.detach()))
        found.pipe.send(sys.path)
        found.pipe.send(self._context)
        return found

    def receipts(self, work: Work[T, R], parts: Iterable[T], in_flight: int) -> Generator[R, None, None]:
        """What `work` returns for each part, as it comes."""
        waiting: list[tuple[Task, int]] = []
        incoming = (task(work, part) for part in parts)
        has_more = True
        try:
            while True:
                while has_more and len(waiting) + self._busy() < in_flight:
                    following = next(incoming, None)
                    has_more = following is not None
                    if following is not None:
                        waiting.append((following, 1))
                self._hand_out(waiting)
                if not self._busy():
                    return
                for given, outcome in self._heard(waiting):
                    yield outcome.result(given.part)
        finally:
            self._stop_busy()

    def _busy(self) -> int:
        return sum(each.task is not None for each in self._processes)

    def _hand_out(self, waiting: list[tuple[Task, int]]) -> None:
        for each in self._processes:
            if waiting and each.task is None:
                each.task, each.attempt = waiting.pop(0)
                # One that is gone by now is found out when it is listened to.
                with suppress(OSError):
                    each.pipe.send(each.task)

    def _heard(self, waiting: list[tuple[Task, int]]) -> Iterator[tuple[Task, Outcome]]:
        """What those have done who have done something; who is lost is replaced, and what he did waits again."""
        ready = wait([each.pipe for each in self._processes], _LOOK_SECONDS)
        for each in list(self._processes):
            try:
                said = each.pipe.recv() if each.pipe in ready else None
            except (EOFError, OSError):
                self._replace(each, waiting)
                continue
            if said is not None:
                each.heard = time.monotonic()
            elif time.monotonic() - each.heard > self._patience:
                self._replace(each, waiting)
                continue
            if isinstance(said, Outcome) and each.task is not None:
                given, each.task = each.task, None
                yield given, said

    def _replace(self, lost: _Process, waiting: list[tuple[Task, int]]) -> None:
        """Have another in place of one that is lost.

        Raises:
            WorkersError: its part has cost several of them, or it did not even begin.
        """
        lost.end()
        if lost.task is not None:
            if lost.attempt >= ATTEMPTS:
                raise WorkersError(
                    f"{lost.task.part}: {ATTEMPTS} processes were lost with it, the last by {_cause(lost)}.",
                    "Look for why they were ended (memory, dmesg), or take smaller parts: --part-bytes.",
                )
            waiting.append((lost.task, lost.attempt + 1))
        self._processes[self._processes.index(lost)] = self._started()

    def _stop_busy(self) -> None:
        """Let nobody go on with what nobody waits for."""
        for place, each in enumerate(self._processes):
            if each.task is not None:
                each.end()
                self._processes[place] = self._started()


def _cause(lost: _Process) -> str:
    code = lost.process.returncode
    return f"signal {-code}" if code < 0 else f"exit code {code}"
