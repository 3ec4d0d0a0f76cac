"""An engine: where its databases are, how they are opened, migrated, and made for tests."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import URL, Dialect, MetaData, Table
    from sqlalchemy import Connection as SQLAlchemyConnection
    from sqlalchemy import Engine as SQLAlchemyEngine

    from toolkit.engines.contract.configured import Configured
    from toolkit.engines.contract.connection import Connection
    from toolkit.engines.contract.features import SchemaFeatures
    from toolkit.engines.contract.loads import FillsParts


class Engine(ABC):
    """All that is an engine's, in one value without state: the `ENGINE` of its module, which loads nothing heavy."""

    name: ClassVar[str]
    """How users know it."""
    title: ClassVar[str]
    """How it is written in a sentence."""
    dialect: ClassVar[str]
    """The name of SQLAlchemy's dialect."""
    has_async_driver: ClassVar[bool] = False
    """Whether applications can use it by an asynchronous driver."""
    has_savepoints: ClassVar[bool] = True
    """Whether a part of a transaction can be undone."""
    commits_parts: ClassVar[bool] = False
    """Whether tables are files, which any number of processes write, and one commits: its connections say how."""
    checks_with: ClassVar[str | None] = None
    """The statement that checks at once what constraints leave to the end of a transaction."""
    makes_with: ClassVar[tuple[str, ...]] = ()
    """What a script says before the statements that make tables, so that these mean what they do elsewhere."""
    has_migrations: ClassVar[bool] = True
    """Whether migrations can run on it; else its tables are made from models, or as a source has them."""
    lacks_migrations_for: ClassVar[str] = "it has no statements that change tables"
    """Why they cannot."""
    has_transactional_ddl: ClassVar[bool] = True
    """Whether statements that change a schema are part of a transaction; else each commits all that was done before."""
    begins_with: ClassVar[str | None] = None
    """The statement that begins a transaction, where a driver does not do so before any statement."""

    # -- where a database is ---------------------------------------------------------------------------------------

    @abstractmethod
    def url(self, database: Configured) -> URL:
        """The SQLAlchemy URL with the driver that the toolkit uses, whichever the application does.

        Raises:
            ConfigurationError: the address is none of this engine's.
        """

    def file(self, database: Configured) -> Path | None:
        """The one file that a database is, if it is one."""
        return None

    def is_missing(self, database: Configured) -> bool:
        """Whether it is in files of which there are none, so that there is nothing to read, and writing makes them."""
        file = database.file
        return file is not None and not file.exists()

    def names_at_hand(self, file: Path) -> Sequence[str]:
        """The names of the tables in a file, where they are to be had in no time and without waiting for anybody."""
        return ()

    def directory(self, database: Configured) -> Path | None:
        """The directory of a server that the toolkit itself starts, if it is one."""
        return None

    def is_in_memory(self, database: Configured) -> bool:
        """Whether it ends with each connection."""
        return False

    def place(self, database: Configured) -> str:
        """Where the rows are, where that is neither a file nor a directory: equal for two names of one database."""
        return self.shown_url(database)

    @abstractmethod
    def shown_url(self, database: Configured) -> str:
        """The address as it may be printed: without its password."""

    def answering_soon(self, database: Configured, seconds: int) -> str:
        """The address, so that a server that does not answer is given up after so many seconds."""
        return database.address

    def address_at(self, database: Configured, moment: str) -> str | None:
        """The address of the same database as it was, by a version or a time. Default: None, that is not kept."""
        return None

    def vacuum(self, database: Configured, keep_hours: int, *, dry_run: bool) -> Mapping[str, int] | None:
        """Remove files of earlier versions; by table, how many. Default: None, there are none.

        Raises:
            ConfigurationError: somebody may still need some of them.
        """
        return None

    schema_parameter: ClassVar[str | None] = None
    """What of a URL is how, if tables without a schema are to be those of `{schema}`."""

    @abstractmethod
    def address_with(self, name: str, url: URL, arguments: Mapping[str, Any]) -> URL:
        """An application's address with what its driver is given beside it, as far as that decides what is reached.

        Raises:
            EngineOptionError: it cannot be said in a URL, or is not known.
        """

    # -- opening it ------------------------------------------------------------------------------------------------

    def engine_options(self, database: Configured, *, read_only: bool) -> dict[str, Any]:
        """Arguments of Advanced Alchemy's `EngineConfig`."""
        return {}

    def watch_connections(self, database: Configured, engine: SQLAlchemyEngine) -> None:
        """Let an engine refuse connections that are not what the address asks for."""

    @abstractmethod
    def connection(self, database: Configured, *, write: bool) -> Connection:
        """One transaction on a database, for use in a `with` block."""

    def filling(self, database: Configured) -> FillsParts:
        """A connection that fills parts, of an engine whose connections are `LoadsInParts`."""
        raise NotImplementedError

    # -- migrations ------------------------------------------------------------------------------------------------

    def introduce_to_alembic(self) -> None:
        """Load what Alembic has to know of the engine, which is by importing it."""

    def begin_migrations(self, connection: SQLAlchemyConnection, *, only_reads: bool) -> Callable[[], None]:
        """Let all statements be in transactions, and no foreign key be acted on meanwhile; what undoes this."""
        return lambda: None

    def is_uncommitted(self, connection: SQLAlchemyConnection) -> bool:
        """Whether there is a transaction; asked where statements that change a schema end one by themselves."""
        return True

    def lock_migrations(self, connection: SQLAlchemyConnection) -> None:
        """Wait for another upgrade of the same database, where the engine itself does not."""

    def accept_types(self, engine: SQLAlchemyEngine) -> None:
        """Let an engine make columns of types that schemas for other engines have."""

    def require_makeable(self, name: str, connection: SQLAlchemyConnection, metadata: MetaData) -> None:
        """See that a schema can be made as it is.

        Raises:
            ConfigurationError, DatabaseUnavailableError: it cannot.
        """

    def begin_numbers(self, connection: SQLAlchemyConnection, tables: Iterable[Table]) -> None:
        """Let new tables number rows from where others ended, which columns' `info` says. Default: columns say so."""

    @property
    def features(self) -> SchemaFeatures:
        """What of a schema it can have, where a schema of another engine's is made in it. Default: what is usual."""
        from toolkit.engines.contract.features import SchemaFeatures

        return SchemaFeatures()

    def is_numbering(self, default: str) -> bool:
        """Whether a column's default, as reflected, is only how this engine numbers rows."""
        return False

    # -- databases for tests ---------------------------------------------------------------------------------------

    def address_for_tests(self, database: Configured, server: str | None, directory: Path) -> str:
        """Where databases for tests may be made: never on a server of the application's, unless it is `server`.

        Raises:
            ConfigurationError: that is nowhere.
        """
        return database.address

    @abstractmethod
    def templates(self, database: Configured, directory: Path, rebuild: str | None) -> Templates:
        """Templates and clones of databases, in a directory that processes share, or beside `database` on its server.

        With `rebuild`, the name of a run, only templates that were made in it are used.
        """

    def async_url(self, database: Configured) -> URL:
        """The URL with an asynchronous driver, if `has_async_driver`."""
        raise NotImplementedError

    def let_terminate(self, dialect: Dialect) -> None:
        """Let an asynchronous dialect end connections whose event loop is gone, if it does not know how."""


class Templates(Protocol):
    """The templates and clones of one engine's databases for tests, told apart by their addresses."""

    def ensure(self, key: str, fill: Callable[[str], Sequence[str]]) -> Sequence[str]:
        """See to it that there is a template of that key, made by one process for all; what was noted when it was."""

    def clone(self, key: str) -> str:
        """The address of a new database like the template."""

    def new(self) -> str:
        """The address of a new database with nothing in it."""

    def drop(self, address: str) -> None:
        """Remove a clone, to which nobody is connected."""

    def prune(self, *, every: bool, dry_run: bool = False) -> Sequence[str]:
        """Remove clones of processes that are gone and templates: every one that nobody uses, or those unused for long.

        Their names; with `dry_run`, nothing is removed.
        """

    def close(self) -> None:
        """Remove what this process made, except for templates."""
