"""A fourth engine, all of it: another SQLite, under a scheme of its own, by portable code alone."""

from __future__ import annotations

from sqlalchemy.dialects import sqlite

from toolkit.core.tables import TableSpec
from toolkit.engines.contract import Capabilities, Configured, Connection, Table
from toolkit.engines.portable.connection import DatabaseConnection
from toolkit.engines.portable.engine import FileEngine
from toolkit.engines.portable.table import TableRepository
from toolkit.engines.registry import Entry
from toolkit.engines.sqlite.adapters import SqliteCodec

ENTRY = Entry(("fourth",), __name__, (".fourth",))
"""What the registry has to hold."""


class FourthConnection(DatabaseConnection):
    """One transaction, begun in the place of the driver, which would begin none before a row is changed."""

    capabilities = Capabilities(
        enforces_foreign_keys=False, keeps_text_of_json=True, loads_without_key=False, has_strict_types=False
    )
    codec = SqliteCodec()
    insert = staticmethod(sqlite.insert)
    options_of = "sqlite"

    def _begin(self) -> None:
        driver = self.sqlalchemy.connection.driver_connection
        assert driver is not None
        driver.isolation_level = None
        self.sqlalchemy.exec_driver_sql("BEGIN IMMEDIATE" if self.write else "BEGIN")

    def repository(self, spec: TableSpec) -> Table:
        return TableRepository(self, spec)


class Fourth(FileEngine):
    """Where its databases are, and how they are opened."""

    name = "fourth"
    title = "Fourth"
    dialect = driver = "sqlite"

    def connection(self, database: Configured, *, write: bool) -> Connection:
        return FourthConnection(database, write)


ENGINE = Fourth()
