"""Workers that are this very process: what they do is the same, and no process has to be started for it."""

from __future__ import annotations

import pickle
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from toolkit.executors.contract import Task, done, task


class Here:
    """Does one part after another."""

    workers = 2
    is_local = True

    def __init__(self, context: Any) -> None:
        self._context = context

    def receipts(self, work: Any, parts: Iterable[Any], _: int) -> Generator[Any, None, None]:
        """What comes of each part, sent there and back as to other processes."""
        for part in parts:
            given: Task = pickle.loads(pickle.dumps(task(work, part)))
            yield pickle.loads(pickle.dumps(done(given, self._context))).result(part)


@contextmanager
def open_here(_: str, context: Any = None, **__: Any) -> Iterator[Here]:
    """In place of `open_executor`."""
    yield Here(context)
