"""One database for all tests of a session, for applications that are built once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from toolkit.errors import ConfigurationError
from toolkit.testing.asynchronous import AsyncDatabase, async_url
from toolkit.testing.rollback import RolledBack, Writer

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from toolkit.config import Database


class SessionDatabase:
    """A database, and engines on it whose writes can be undone."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._engines: list[tuple[Engine, Callable[[], Any], Callable[[Any, Callable[[], None]], bool]]] = []
        self._undoing: Callable[..., None] | None = None

    @cached_property
    def engine(self) -> Engine:
        """A synchronous one."""

        def finish(_: Any, work: Callable[[], None]) -> bool:
            work()
            return True

        self._join(self.database.engine, lambda: self.database.engine, finish)
        return self.database.engine

    @cached_property
    def asynchronous(self) -> AsyncDatabase:
        """An asynchronous one.

        Raises:
            ConfigurationError, MissingDriverError: there is no driver for it.
        """
        found = AsyncDatabase(async_url(self.database))
        self._join(found.engine.sync_engine, asyncio.get_running_loop, found.finish)
        return found

    @contextmanager
    def rollback(self) -> Iterator[None]:
        """Undo at the end what is written meanwhile through these engines.

        Raises:
            ConfigurationError: the database cannot undo a part of a transaction; or something cannot be undone.
        """
        kind, writer = self.database.kind, Writer()
        if not kind.has_savepoints:
            raise ConfigurationError(
                f"{kind.title} has no savepoints, by which toolkit_rollback undoes what a test writes.",
                "Use toolkit_database, of which each test has a copy, or name others: "
                "@pytest.mark.toolkit(databases=['sqlite']).",
            )
        with ExitStack() as stack:

            def undo(engine: Engine, key: Callable[[], Any], finish: Any) -> None:
                rolled_back = RolledBack(engine, writer, key, kind)
                rolled_back.begin()
                stack.callback(rolled_back.end, finish)

            self._undoing = undo
            stack.callback(setattr, self, "_undoing", None)
            for each in self._engines:
                undo(*each)
            yield

    def _join(self, engine: Engine, key: Callable[[], Any], finish: Any) -> None:
        self._engines.append((engine, key, finish))
        if self._undoing:
            self._undoing(engine, key, finish)
