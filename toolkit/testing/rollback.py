"""What a test writes through an engine that outlives it is undone at its end, what was committed included.

For so long, all of the engine's connections are one, in a transaction that is never committed (see `savepoints`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy import NullPool, event

from toolkit.errors import ConfigurationError
from toolkit.testing.savepoints import Savepoints

if TYPE_CHECKING:
    from sqlalchemy import Engine, Pool
    from sqlalchemy.pool import PoolProxiedConnection

    from toolkit.engines.contract import Engine as Kind

# What certainly changes nothing; a savepoint of the application's own counts as a change: it has to stay in its place.
_READS = re.compile(r"\s*(select|show|values|explain|pragma)\b", re.IGNORECASE)
_OUTERMOST = "toolkit_test"
# What an application hears of the one connection as often as it takes it.
_HEARD = ("checkout", "checkin", "reset")


class Writer:
    """Whoever writes in a test: what one connection has written, no other sees."""

    def __init__(self) -> None:
        self._key: Any = None

    def require(self, key: Any) -> None:
        """See that nobody else has written.

        Raises:
            ConfigurationError: another engine or event loop has.
        """
        if self._key not in (None, key):
            raise ConfigurationError(
                "Two engines, or two event loops, are used in a test with toolkit_rollback: the one does not see what "
                "the other has written, because each has a connection of its own.",
                "Use one (with TestClient(app) as client: …, or httpx.AsyncClient), or toolkit_engine.",
            )

    def wrote(self, key: Any) -> None:
        """Take note of one. Raises as `require` does."""
        self.require(key)
        self._key = key


class RolledBack:
    """An engine whose connections are one, from `begin` to `end`. `key` is whose it is: an event loop has its own.

    `kind` knows how transactions begin, and what is checked at their end.
    """

    def __init__(self, engine: Engine, writer: Writer, key: Callable[[], Any], kind: Kind) -> None:
        self._engine = engine
        self._dialect: Any = engine.dialect
        self._writer = writer
        self._key = key
        self._kind = kind
        self._pool = engine.pool
        self._shared: dict[Any, _Shared] = {}
        self._lent = _Lent(self._lend, self._pool)
        self._listeners: tuple[tuple[str, Callable[..., Any]], ...] = (
            ("before_cursor_execute", self._before),
            ("after_cursor_execute", self._after),
            ("rollback_savepoint", self._rollback_savepoint),
        )

    def begin(self) -> None:
        """Let all connections be one."""
        self._engine.pool = self._lent
        for name, listener in self._listeners:
            event.listen(self._engine, name, listener)
        for name in ("begin", "commit", "rollback"):
            setattr(self._dialect, f"do_{name}", self._replaced(name))
        # Within a transaction there is no other isolation level to be had.
        self._dialect.set_isolation_level = self._unless_shared(self._dialect.set_isolation_level)

    def end(self, finish: Callable[[Any, Callable[[], None]], bool]) -> None:
        """Undo what was done, and let connections be as they were; `finish` does it where a connection belongs.

        Raises:
            ConfigurationError: something of it was committed behind SQLAlchemy's back.
        """
        for name in ("do_begin", "do_commit", "do_rollback", "set_isolation_level"):
            delattr(self._dialect, name)
        for name, listener in self._listeners:
            event.remove(self._engine, name, listener)
        self._engine.pool = self._pool
        self._lent.take_back()
        for key, shared in self._shared.items():
            if not finish(key, shared.finish):
                shared.connection.invalidate()
        if not all(shared.is_undone for shared in self._shared.values()):
            raise ConfigurationError(
                "What the test wrote could not be undone: the driver's own connection was committed.",
                "Commit sessions or SQLAlchemy's connections, or use toolkit_engine, a database for this test alone.",
            )

    def _lend(self) -> Any:
        key = self._key()
        self._writer.require(key)
        if key not in self._shared:
            opened = _Shared(self._pool, self._kind)
            # Another task, or thread, may have been waiting for the driver at the same time.
            if self._shared.setdefault(key, opened) is not opened:
                opened.finish()
        return self._shared[key].connection.dbapi_connection

    def _of(self, connection: Any) -> _Shared | None:
        """What a connection shares, by SQLAlchemy's name for it or the driver's."""
        driver = getattr(connection, "dbapi_connection", connection)
        return next((each for each in self._shared.values() if each.connection.dbapi_connection is driver), None)

    def _replaced(self, name: str) -> Callable[[Any], None]:
        original = getattr(self._dialect, f"do_{name}")

        def run(connection: Any) -> None:
            shared = self._of(connection)
            if shared is not None:
                getattr(shared.savepoints, name)(connection)
            elif name == "commit":
                connection.rollback()
                raise ConfigurationError(
                    "A connection opened before toolkit_rollback is committed within it, which nothing would undo.",
                    "Open it in the test, or in a fixture that asks for toolkit_rollback.",
                )
            else:
                original(connection)

        return run

    def _unless_shared(self, original: Callable[..., None]) -> Callable[..., None]:
        def run(connection: Any, *arguments: Any) -> None:
            if self._of(connection) is None:
                original(connection, *arguments)

        return run

    def _before(self, connection: Any, _: Any, statement: str, *__: Any) -> None:
        if shared := self._of(connection.connection):
            writes = _READS.match(statement) is None
            if writes:
                self._writer.wrote(self._key())
            shared.savepoints.before(connection.connection, writes=writes, commits=_commits(connection))

    def _after(self, connection: Any, *_: Any) -> None:
        if (shared := self._of(connection.connection)) and _commits(connection):
            shared.savepoints.after(connection.connection)

    def _rollback_savepoint(self, connection: Any, *_: Any) -> None:
        if shared := self._of(connection.connection):
            shared.savepoints.rollback_within(connection.connection)


def _commits(connection: Any) -> bool:
    return bool(connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT")


class _Shared:
    """One connection of the engine's own pool, in a transaction."""

    def __init__(self, pool: Pool, kind: Kind) -> None:
        self.connection: PoolProxiedConnection = pool.connect()
        self.savepoints = Savepoints(self._run, kind.checks_with)
        self.is_undone = True
        if kind.begins_with:
            self._run(kind.begins_with)
        self._run(f"SAVEPOINT {_OUTERMOST}")

    def finish(self) -> None:
        """Undo all, and give the connection back."""
        try:
            self._run(f"ROLLBACK TO SAVEPOINT {_OUTERMOST}")
        except Exception:  # noqa: BLE001 - each driver has its own
            self.is_undone = False
        self.connection.rollback()
        self.connection.close()

    def _run(self, statement: str) -> None:
        cursor = self.connection.cursor()
        try:
            cursor.execute(statement)
        finally:
            cursor.close()


class _Lent(NullPool):
    """Connections that are all the same one, whose opening and closing nobody hears of."""

    def __init__(self, lend: Callable[[], Any], like: Pool) -> None:
        dialect: Any = like._dialect  # noqa: SLF001 - as `Pool.recreate` does
        super().__init__(lend, reset_on_return=None, dialect=dialect)
        for name in _HEARD:
            for listener in getattr(like.dispatch, name):
                event.listen(self, name, listener)
        self._records: list[Any] = []

    def take_back(self) -> None:
        """Let whoever still has one find it closed."""
        for record in self._records:
            if record.in_use and (borrowed := record.fairy_ref()) is not None:
                borrowed.invalidate()

    def _do_get(self) -> Any:
        self._records.append(record := super()._do_get())
        return record

    def _do_return_conn(self, record: Any) -> None:
        self._records.remove(record)

    def _close_connection(self, connection: Any, *, terminate: bool = False) -> None:
        """It is not theirs."""

    def dispose(self) -> None:
        """An application that ends disposes of its engine: the test goes on."""

    def recreate(self) -> _Lent:
        """The same."""
        return self
