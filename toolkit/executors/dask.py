"""A cluster of Dask's that somebody runs: of its interface no more than `Client.submit` and `as_completed`."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self, TypeVar

from toolkit.errors import MissingDriverError, ToolkitError, WorkersError
from toolkit.executors.contract import Attendance, Outcome, Work, done, task

T = TypeVar("T")
R = TypeVar("R")

CONNECT_SECONDS = 10
_LOOK_SECONDS = 0.01


class DaskExecutor:
    """The workers of one scheduler."""

    workers: int = 1
    is_local = False

    def __init__(self, address: str) -> None:
        self._address = address
        self._client: Any = None

    def __enter__(self) -> Self:
        try:
            import distributed
        except ImportError as error:
            raise MissingDriverError("A cluster of Dask's", "distributed", "dask") from error
        try:
            client: Any = distributed.Client
            self._client = client(self._address, timeout=CONNECT_SECONDS, set_as_default=False, name="toolkit")
        except (OSError, TimeoutError, ValueError, TypeError) as error:
            raise WorkersError(
                f"No Dask scheduler answers at {self._address} ({str(error).partition(chr(10))[0]}).",
                "Check that it runs, and for tls:// the keys in Dask's own configuration (distributed.comm.tls).",
            ) from error
        self.workers = sum(self._threads().values())
        if not self.workers:
            self._client.close()
            raise WorkersError(f"The Dask scheduler at {self._address} has no workers.", "Start some: dask worker …")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def _threads(self) -> dict[str, int]:
        # All of them, where newer versions tell five by default.
        found = self._client.scheduler_info(n_workers=-1)["workers"]
        return {address: int(each["nthreads"]) for address, each in found.items()}

    def receipts(self, work: Work[T, R], parts: Iterable[T], in_flight: int) -> Generator[R, None, None]:
        """What `work` returns for each part, as it comes."""
        import distributed

        incoming = iter(parts)
        given: dict[Any, T] = {}
        finishing: Any = distributed.as_completed
        coming = finishing(loop=self._client.loop)

        def submit() -> None:
            for part in incoming:
                # Neither is a part taken for done that another run did, nor are two that look alike taken for one.
                future = self._client.submit(done, task(work, part), pure=False)
                given[future] = part
                coming.add(future)
                return

        try:
            with self._told():
                for _ in range(in_flight):
                    submit()
            while given:
                future = self._next(coming)
                part = given.pop(future)
                with self._told(part):
                    outcome = future.result()
                future.release()
                if not isinstance(outcome, Outcome):
                    raise WorkersError(f"{part}: the worker's answer is none.", "Install this toolkit there.")
                yield outcome.result(part)
                with self._told():
                    submit()
        finally:
            for future in given:
                future.cancel()

    def _next(self, coming: Any) -> Any:
        """The next that has an outcome, or is lost.

        Raises:
            WorkersError: the scheduler is gone, or all workers.
        """
        attendance = Attendance(f"The Dask scheduler at {self._address}")
        while not coming.has_ready():
            if self._client.status != "running":
                raise self._lost("its connection is closed")
            with self._told():
                attendance.require(lambda: len(self._threads()))
            time.sleep(_LOOK_SECONDS)
        with self._told():
            return next(coming)

    @contextmanager
    def _told(self, part: object = None) -> Iterator[None]:
        """Turn the engine's errors into this package's."""
        try:
            yield
        except ToolkitError:
            raise
        except ModuleNotFoundError as error:
            raise WorkersError(
                f"A worker has no module {error.name}.",
                "Install this version of toolkit, and the models, on all workers.",
            ) from error
        except Exception as error:
            kind = type(error).__name__
            if kind == "KilledWorker":
                raise WorkersError(
                    f"{part}: several workers were lost with it.",
                    "Look for why they were ended (memory), or take smaller parts: --part-bytes.",
                ) from error
            raise self._lost(f"{kind}: {str(error).partition(chr(10))[0]}") from error

    def _lost(self, reason: str) -> WorkersError:
        return WorkersError(f"The Dask scheduler at {self._address} is lost ({reason}).", "Run again when it is back.")
