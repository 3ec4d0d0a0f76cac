"""MariaDB: the engine, by PyMySQL, whichever driver the application has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from toolkit.engines.contract import Configured, Connection, Engine, SchemaFeatures, Templates
from toolkit.engines.mariadb.modes import MODES, STANDARD, set_mode
from toolkit.engines.mariadb.urls import for_pymysql, server_of, unknown_arguments, with_arguments
from toolkit.engines.urls import parsed_url
from toolkit.errors import EngineOptionError, MissingDriverError
from toolkit.shown_text import without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sqlalchemy import URL, Table
    from sqlalchemy import Connection as SQLAlchemyConnection


class MariaDB(Engine):
    """MariaDB, by PyMySQL: it needs nothing compiled, and gives each value as the server writes it."""

    name = "mariadb"
    title = "MariaDB"
    dialect = "mysql"
    has_transactional_ddl = False
    has_async_driver = True
    makes_with = (set_mode(*MODES, *STANDARD),)

    def url(self, database: Configured) -> URL:
        """The URL with PyMySQL."""
        try:
            import pymysql  # noqa: F401
        except ImportError as error:
            raise MissingDriverError("MariaDB", "pymysql", "mariadb") from error
        return for_pymysql(parsed_url(database.name, database.address))

    def place(self, database: Configured) -> str:
        """The server and the database's name there."""
        return f"{server_of(database.url)}/{database.url.database}"

    def shown_url(self, database: Configured) -> str:
        """The address without its password."""
        return without_secrets(database.url.set(drivername=self.name).render_as_string())

    def address_with(self, name: str, url: URL, arguments: Mapping[str, Any]) -> URL:
        """The address with what decides which server is reached, and as whom."""
        if unknown := unknown_arguments(arguments):
            raise EngineOptionError(name, f"is given {', '.join(unknown)}, which cannot be taken over")
        return with_arguments(url, arguments)

    def answering_soon(self, database: Configured, seconds: int) -> str:
        """The address with PyMySQL's own setting, unless it has that."""
        if "connect_timeout" in database.url.query:
            return database.address
        url = parsed_url(database.name, database.address).update_query_dict({"connect_timeout": str(seconds)})
        return url.render_as_string(hide_password=False)

    def engine_options(self, database: Configured, *, read_only: bool) -> dict[str, Any]:
        """What an application sets, and all of Unicode between client and server."""
        return {**asdict(database.settings), "connect_args": {"charset": "utf8mb4"}}

    def connection(self, database: Configured, *, write: bool) -> Connection:
        """One transaction."""
        from toolkit.engines.mariadb.connection import MariaDBConnection

        return MariaDBConnection(database, write)

    def introduce_to_alembic(self) -> None:
        """What Alembic does by itself loses what a changed column has beside its type."""
        from toolkit.engines.mariadb import alembic  # noqa: F401

    def begin_migrations(self, connection: SQLAlchemyConnection, *, only_reads: bool) -> Callable[[], None]:
        """SQL that means what it does elsewhere; there is no transaction to begin."""
        from toolkit.engines.mariadb.alembic_session import begin

        return begin(connection)

    def is_uncommitted(self, connection: SQLAlchemyConnection) -> bool:
        """By the server's word."""
        from toolkit.engines.mariadb.alembic_session import is_uncommitted

        return is_uncommitted(connection)

    def lock_migrations(self, connection: SQLAlchemyConnection) -> None:
        """Two upgrades of one database wait for one another."""
        from toolkit.engines.mariadb.alembic_session import lock

        lock(connection)

    def begin_numbers(self, connection: SQLAlchemyConnection, tables: Iterable[Table]) -> None:
        """A table says which number its key is given next."""
        from toolkit.core.numbering import NEXT_NUMBER
        from toolkit.core.verbatim import verbatim
        from toolkit.engines.mariadb.dialect import DIALECT

        for table in tables:
            next_ = max((column.info.get(NEXT_NUMBER) or 1 for column in table.primary_key), default=1)
            if next_ > 1 and table.autoincrement_column is not None:
                name = DIALECT.identifier_preparer.format_table(table).replace("%%", "%")
                connection.execute(verbatim(f"ALTER TABLE {name} AUTO_INCREMENT = {next_}"))

    @property
    def features(self) -> SchemaFeatures:
        """What of another engine's schema it can have."""
        from toolkit.engines.mariadb.features import FEATURES

        return FEATURES

    def address_for_tests(self, database: Configured, server: str | None, directory: Path) -> str:
        """Never the server that the application works with, unless that is named."""
        from toolkit.engines.mariadb.templates import address_for_tests

        return address_for_tests(database, server)

    def templates(self, database: Configured, directory: Path, rebuild: str | None) -> Templates:
        """Databases on the same server, table by table."""
        from toolkit.engines.mariadb.templates import MariaDBTemplates

        return MariaDBTemplates(database, rebuild)

    def async_url(self, database: Configured) -> URL:
        """With the driver that the database is configured with, else with the first that is there."""
        from toolkit.engines.mariadb.urls import with_async_driver

        return with_async_driver(parsed_url(database.name, database.address), database.url)


ENGINE = MariaDB()
