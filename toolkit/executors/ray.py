"""A cluster of Ray's that somebody runs."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any, Self, TypeVar

from toolkit.errors import MissingDriverError, WorkersError
from toolkit.executors.contract import Outcome, Work, done, task

T = TypeVar("T")
R = TypeVar("R")


class RayExecutor:
    """The workers behind one address."""

    workers: int = 1
    is_local = False

    def __init__(self, address: str) -> None:
        self._address = address
        self._ray: Any = None

    def __enter__(self) -> Self:
        try:
            import ray
        except ImportError as error:
            raise MissingDriverError("A cluster of Ray's", "ray", "ray") from error
        self._ray = ray
        try:
            self._ray.init(address=self._address, log_to_driver=False, logging_level="ERROR")
        except (OSError, RuntimeError, ValueError) as error:
            raise WorkersError(
                f"No Ray cluster answers at {self._address} ({str(error).partition(chr(10))[0]}).",
                "Check that its head runs, and which port its client server has.",
            ) from error
        self.workers = max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        return self

    def __exit__(self, *_: object) -> None:
        self._ray.shutdown()

    def receipts(self, work: Work[T, R], parts: Iterable[T], in_flight: int) -> Generator[R, None, None]:
        """What `work` returns for each part, as it comes."""
        remote = self._ray.remote(done)
        incoming = iter(parts)
        given: dict[Any, T] = {}

        def submit() -> None:
            for part in incoming:
                given[remote.remote(task(work, part))] = part
                return

        try:
            for _ in range(in_flight):
                submit()
            while given:
                (future, *_), _ = self._ray.wait(list(given), num_returns=1)
                part = given.pop(future)
                yield self._outcome(future, part).result(part)
                submit()
        finally:
            for future in given:
                self._ray.cancel(future)

    def _outcome(self, future: Any, part: object) -> Outcome:
        try:
            found = self._ray.get(future)
        except (self._ray.exceptions.RayError, OSError, ConnectionError) as error:
            raise WorkersError(
                f"{part}: lost with its worker ({type(error).__name__}: {str(error).partition(chr(10))[0]}).",
                "Look into the cluster's logs, then run again.",
            ) from error
        assert isinstance(found, Outcome)
        return found
