"""Asynchronous engines for tests, whose connections are closed whichever event loop the test used, or used up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from toolkit.engines.registry import engine_of_dialect
from toolkit.errors import ConfigurationError, MissingDriverError

if TYPE_CHECKING:
    from sqlalchemy import URL
    from sqlalchemy.ext.asyncio import AsyncSession

    from toolkit.config import Database

# For another thread's event loop.
_SECONDS = 30


def async_url(database: Database) -> URL:
    """The URL with an asynchronous driver.

    Raises:
        ConfigurationError: the engine has no asynchronous driver.
        MissingDriverError: the driver is not installed.
    """
    if not database.kind.has_async_driver:
        raise ConfigurationError(
            f"{database.kind.title} has no asynchronous driver.", "Use toolkit_session, or another database."
        )
    url = database.kind.async_url(database)
    driver = url.drivername.partition("+")[2]
    if find_spec(driver) is None:
        raise MissingDriverError(f"An asynchronous engine for {database.name}", driver)
    return url


class AsyncDatabase:
    """An asynchronous engine, whose connections are closed in the event loop that they were opened in."""

    def __init__(self, url: URL) -> None:
        from advanced_alchemy.config import EngineConfig, SQLAlchemyAsyncConfig
        from sqlalchemy import NullPool, event

        # Without a pool there is nothing to dispose of, and no event loop that the engine belongs to.
        self.engine = SQLAlchemyAsyncConfig(
            connection_string=url.render_as_string(hide_password=False), engine_config=EngineConfig(poolclass=NullPool)
        ).get_engine()
        if (kind := engine_of_dialect(self.engine.dialect.name)) is not None:
            kind.let_terminate(self.engine.dialect)
        self._open: dict[Any, asyncio.AbstractEventLoop] = {}
        self._waiting: list[AsyncGenerator[None]] = []
        event.listen(self.engine.sync_engine, "connect", self._opened)
        event.listen(self.engine.sync_engine, "close", self._closed)

    @contextmanager
    def session(self) -> Iterator[AsyncSession]:
        """A session, closed at the end without being awaited: a test's event loop stands still then, or is closed."""
        from sqlalchemy.ext.asyncio import AsyncSession

        session = AsyncSession(self.engine, expire_on_commit=False)
        yield session
        idle = [loop for loop in self._open.values() if not (loop.is_closed() or loop.is_running())]
        if idle:
            idle[0].run_until_complete(session.close())
        else:
            session.sync_session.invalidate()

    def finish(self, loop: asyncio.AbstractEventLoop, work: Callable[[], None]) -> bool:
        """Do what awaits a connection's driver in its event loop; False if that is over, or cannot be waited for."""
        from sqlalchemy.util import greenlet_spawn

        if loop.is_closed() or asyncio._get_running_loop() is loop:  # noqa: SLF001 - the other raises where there is none
            return False
        if loop.is_running():
            asyncio.run_coroutine_threadsafe(greenlet_spawn(work), loop).result(_SECONDS)
        else:
            loop.run_until_complete(greenlet_spawn(work))
        return True

    def _opened(self, connection: Any, _: Any) -> None:
        from sqlalchemy.util import await_only

        self._open[connection.driver_connection] = asyncio.get_running_loop()
        self._waiting.append(self._until_the_loop_ends(connection.driver_connection))
        await_only(self._waiting[-1].__anext__())

    def _closed(self, connection: Any, _: Any) -> None:
        self._open.pop(connection.driver_connection, None)

    async def _until_the_loop_ends(self, connection: Any) -> AsyncGenerator[None]:
        """An event loop that ends closes the generators begun in it: this one takes a connection with it."""
        try:
            yield
        finally:
            # Not twice: aiosqlite would wait for a thread that has ended.
            if self._open.pop(connection, None):
                await _close(connection)


async def _close(connection: Any) -> None:
    try:
        # A cursor that something still refers to, such as an error, keeps the locks of a closed connection of SQLite.
        if hasattr(connection, "rollback"):
            await connection.rollback()
    finally:
        await connection.close()
