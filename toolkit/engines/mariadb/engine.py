"""MariaDB: the engine, by PyMySQL, whichever driver the application has."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.engines.contract import Configured, Connection, Engine, SchemaFeatures, Templates
from toolkit.engines.mariadb.modes import MODES, STANDARD, set_mode
from toolkit.engines.mariadb.urls import for_pymysql, server_of, unknown_arguments, with_arguments
from toolkit.engines.urls import parsed_url
from toolkit.errors import ConfigurationError, EngineOptionError, MissingDriverError
from toolkit.shown_text import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import URL, Table
    from sqlalchemy import Connection as SQLAlchemyConnection


class MariaDB(Engine):
    """MariaDB, by PyMySQL: it needs nothing compiled, and gives each value as the server writes it."""

    name = "mariadb"
    title = "MariaDB"
    dialect = "mysql"
    has_migrations = False
    lacks_migrations_for = (
        "its statements that change a schema commit by themselves, one that fails would leave a half of a migration, "
        "and nothing says yet which half"
    )
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
        """Refuse: there is no server but the application's own.

        Raises:
            ConfigurationError: always.
        """
        raise ConfigurationError(
            f"Databases for tests are not made on {self.title} yet, and {database.name} is configured as "
            f"{database.shown_url}.",
            "Seed the tests of another engine, or fill a database with: toolkit load-data.",
        )

    def templates(self, database: Configured, directory: Path, rebuild: str | None) -> Templates:
        """Databases on the same server, table by table."""
        from toolkit.engines.mariadb.templates import MariaDBTemplates

        return MariaDBTemplates(database, directory)


ENGINE = MariaDB()
