"""DuckDB: the engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolkit.engines.contract import Configured, Connection, SchemaFeatures
from toolkit.engines.portable.engine import FileEngine

# A file of somebody else's may hold views that read this user's files, and would have them copied.
_WITHIN_ITS_FILE: Mapping[str, bool] = dict.fromkeys(
    ("enable_external_access", "autoinstall_known_extensions", "autoload_known_extensions"), False
)


class DuckDB(FileEngine):
    """DuckDB, by duckdb-engine's dialect with what that lacks."""

    name = dialect = "duckdb"
    title = "DuckDB"
    driver = "duckdb+toolkit"
    has_savepoints = False

    def engine_options(self, database: Configured, *, read_only: bool) -> dict[str, Any]:
        """Several processes may read a file, but only one may have it open to write."""
        config = {} if database.external_access else dict(_WITHIN_ITS_FILE)
        return {"connect_args": {"read_only": read_only, "config": config}}

    def connection(self, database: Configured, *, write: bool) -> Connection:
        """One transaction."""
        from toolkit.engines.duckdb.connection import DuckDBConnection

        return DuckDBConnection(database, write)

    def introduce_to_alembic(self) -> None:
        """It takes 0.3 s."""
        from toolkit.engines.duckdb import alembic  # noqa: F401

    @property
    def features(self) -> SchemaFeatures:
        """What of another engine's schema it can have."""
        from toolkit.engines.duckdb.features import FEATURES

        return FEATURES

    def is_numbering(self, default: str) -> bool:
        """Its dialect gives columns that number themselves the next value of a sequence."""
        from toolkit.engines.duckdb.reflection import sequence_of

        return sequence_of(default) is not None


ENGINE = DuckDB()
