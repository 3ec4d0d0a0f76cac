"""A cluster of Ray's that somebody runs."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self, TypeVar

from toolkit.errors import MissingDriverError, ToolkitError, WorkersError
from toolkit.executors.contract import Attendance, Outcome, Work, done, task

T = TypeVar("T")
R = TypeVar("R")

_LOOK_SECONDS = 1.0
_ATTEMPTS = 4


class RayExecutor:
    """The workers behind one address."""

    workers: int = 1
    is_local = False

    def __init__(self, address: str) -> None:
        self._address = address
        self._ray: Any = None

    def __enter__(self) -> Self:
        # Under `uv run`, Ray would send this directory, with its settings and their secrets, to all workers, and they
        # would take it for theirs.
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        try:
            import ray
        except ImportError as error:
            raise MissingDriverError("A cluster of Ray's", "ray", "ray") from error
        self._ray = ray
        try:
            self._connect(_ATTEMPTS)
        except (OSError, RuntimeError, ValueError) as error:
            raise WorkersError(
                f"No Ray cluster answers at {self._address} ({str(error).partition(chr(10))[0]}).",
                "Check that its head runs, and which port its client server has; if it asks for a token, set "
                "RAY_AUTH_MODE and RAY_AUTH_TOKEN as there.",
            ) from error
        self.workers = max(1, self._processors())
        return self

    def _connect(self, attempts: int) -> None:
        try:
            self._ray.init(address=self._address, log_to_driver=False, logging_level="ERROR")
        except ConnectionAbortedError:
            # "Starting Ray client server failed": the head forks a process for each client while its threads are within
            # gRPC, and two of some thirty did not live long enough to be one (Ray 2.60).
            self._ray.shutdown()
            if attempts == 1:
                raise
            self._connect(attempts - 1)

    def __exit__(self, *_: object) -> None:
        self._ray.shutdown()

    def _processors(self) -> int:
        return int(self._ray.cluster_resources().get("CPU", 0))

    def receipts(self, work: Work[T, R], parts: Iterable[T], in_flight: int) -> Generator[R, None, None]:
        """What `work` returns for each part, as it comes."""
        remote = self._ray.remote(done)
        incoming = iter(parts)
        given: dict[Any, T] = {}

        def submit() -> None:
            for part in incoming:
                with self._told():
                    given[remote.remote(task(work, part))] = part
                return

        try:
            for _ in range(in_flight):
                submit()
            while given:
                future = self._next(list(given))
                part = given.pop(future)
                with self._told(part):
                    outcome = self._ray.get(future)
                assert isinstance(outcome, Outcome)
                yield outcome.result(part)
                submit()
        finally:
            for future in given:
                # Of a cluster that is lost, nothing can be cancelled.
                with suppress(self._ray.exceptions.RayError, OSError, RuntimeError):
                    self._ray.cancel(future)

    def _next(self, futures: list[Any]) -> Any:
        """The next that has an outcome, or is lost.

        Raises:
            WorkersError: the cluster is gone, or all workers.
        """
        attendance = Attendance(f"The Ray cluster at {self._address}")
        while True:
            with self._told():
                ready, _ = self._ray.wait(futures, num_returns=1, timeout=_LOOK_SECONDS)
                if ready:
                    return ready[0]
                attendance.require(self._processors)

    @contextmanager
    def _told(self, part: object = None) -> Iterator[None]:
        """Turn the engine's errors into this package's: a part that was lost with its worker, or the cluster."""
        try:
            yield
        except ToolkitError:
            raise
        except (self._ray.exceptions.RayError, OSError, RuntimeError) as error:
            reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
            if part is not None and isinstance(error, self._ray.exceptions.RayError):
                fact, advice = (
                    f"{part}: lost with its worker ({reason}).",
                    "Look into the cluster's logs, then run again.",
                )
            else:
                fact, advice = f"The Ray cluster at {self._address} is lost ({reason}).", "Run again when it is back."
            raise WorkersError(fact, advice) from error
