"""DuckDB: the engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from toolkit.engines.contract import Configured, Connection, SchemaFeatures
from toolkit.engines.portable.engine import FileEngine
from toolkit.engines.urls import parsed_url
from toolkit.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import URL

# A file of somebody else's may hold views that read this user's files, and would have them copied.
_WITHIN_ITS_FILE: Mapping[str, bool] = dict.fromkeys(
    ("enable_external_access", "autoinstall_known_extensions", "autoload_known_extensions"), False
)
# The service answers to both.
_HOSTED = ("md:", "motherduck:")


class DuckDB(FileEngine):
    """DuckDB, by duckdb-engine's dialect with what that lacks."""

    name = dialect = "duckdb"
    title = "DuckDB"
    driver = "duckdb+toolkit"
    has_savepoints = False
    indifferent_arguments = frozenset(("config", "read_only", "preload_extensions"))

    def url(self, database: Configured) -> URL:
        """The URL of a file; MotherDuck's databases are none."""
        address = parsed_url(database.name, database.address)
        if (address.database or "").startswith(_HOSTED):
            raise ConfigurationError(
                f"Database {database.name!r} is one of MotherDuck's, which are not supported.",
                "Export it into a file (ATTACH, then COPY FROM DATABASE), and name that.",
            )
        return super().url(database)

    def address_with(self, name: str, url: URL, arguments: Mapping[str, Any]) -> URL:
        """The address with the settings; what a file may reach is `external_access`'s to say."""
        config = {
            key: str(value).lower() if isinstance(value, bool) else str(value)
            for key, value in arguments.get("config", {}).items()
            if key not in _WITHIN_ITS_FILE
        }
        return super().address_with(name, url, arguments).update_query_dict(config)

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
