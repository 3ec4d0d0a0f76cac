"""SQLite: the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolkit.engines.contract import Configured, Connection, SchemaFeatures
from toolkit.engines.portable.engine import FileEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from sqlalchemy import URL, Table
    from sqlalchemy import Connection as SQLAlchemyConnection
    from sqlalchemy import Engine as SQLAlchemyEngine


class Sqlite(FileEngine):
    """SQLite, by Python's own driver."""

    name = dialect = driver = "sqlite"
    title = "SQLite"
    has_async_driver = True
    begins_with = "BEGIN"
    # `uri` is of no effect: SQLAlchemy gives the driver a path from the root, unless the URL itself says so.
    indifferent_arguments = frozenset(
        (
            "timeout",
            "check_same_thread",
            "detect_types",
            "isolation_level",
            "cached_statements",
            "autocommit",
            "uri",
            "iter_chunk_size",
            "loop",
        )
    )

    def names_at_hand(self, file: Path) -> Sequence[str]:
        """Those of its schema; none of a file that is locked, or no database."""
        import sqlite3
        from contextlib import closing

        sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        try:
            with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=0)) as connection:
                return [name for (name,) in connection.execute(sql)]
        except sqlite3.Error:
            return []

    def engine_options(self, database: Configured, *, read_only: bool) -> dict[str, Any]:
        """The driver waits without hearing Ctrl-C: `SqliteConnection`, which reads and writes rows, in short steps."""
        return {"connect_args": {"timeout": database.lock_seconds}}

    def connection(self, database: Configured, *, write: bool) -> Connection:
        """One transaction."""
        from toolkit.engines.sqlite.connection import SqliteConnection

        return SqliteConnection(database, write)

    def introduce_to_alembic(self) -> None:
        """What Alembic does by itself loses values."""
        from toolkit.engines.sqlite import alembic  # noqa: F401

    def begin_migrations(self, connection: SQLAlchemyConnection, *, only_reads: bool) -> Callable[[], None]:
        """Begin transactions in the driver's place."""
        from toolkit.engines.sqlite.transactional_ddl import begin_transactions

        return begin_transactions(connection, only_reads=only_reads)

    def accept_types(self, engine: SQLAlchemyEngine) -> None:
        """Types that SQLite has no name for."""
        from toolkit.engines.sqlite.types import accept_foreign_types

        accept_foreign_types(engine)

    def begin_numbers(self, connection: SQLAlchemyConnection, tables: Iterable[Table]) -> None:
        """SQLite keeps in a table of its own which number was the last."""
        from sqlalchemy import BigInteger, Text, insert
        from sqlalchemy import column as named
        from sqlalchemy import table as known

        from toolkit.core.numbering import NEXT_NUMBER

        numbers = known("sqlite_sequence", named("name", Text()), named("seq", BigInteger()))
        for table in tables:
            next_ = max((column.info.get(NEXT_NUMBER) or 1 for column in table.primary_key), default=1)
            if next_ > 1 and table.dialect_options["sqlite"]["autoincrement"]:
                connection.execute(insert(numbers).values(name=table.name, seq=next_ - 1))

    @property
    def features(self) -> SchemaFeatures:
        """What of another engine's schema it can have."""
        from toolkit.engines.sqlite.features import FEATURES

        return FEATURES

    def async_url(self, database: Configured) -> URL:
        """With aiosqlite."""
        return database.url.set(drivername="sqlite+aiosqlite")


ENGINE = Sqlite()
