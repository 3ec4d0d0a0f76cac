"""Databases, stores and metadata: command line > environment > pyproject.toml / toolkit.toml > defaults."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from toolkit.config.databases import DEFAULT_DATABASE, name_of, parse_databases
from toolkit.config.loading import LoadSettings, parse_load
from toolkit.config.settings import find_settings, from_environment, text, texts
from toolkit.config.stores import Store, moved, parse_stores
from toolkit.engines.database import Database
from toolkit.engines.registry import TEST_SERVER, scheme_of_file
from toolkit.errors import ConfigurationError, UnknownNameError

__all__ = ["BUNDLED_METADATA", "DEFAULT_DATABASE", "Config", "Database", "Store", "load_config"]

BUNDLED_METADATA = "toolkit.models.todo:metadata"
"""The models that the package has to try it with."""


@dataclass(frozen=True)
class Config:
    """All that the toolkit was told, before any of it is opened."""

    root: Path
    databases: Mapping[str, Database]
    metadata: str = ""
    """Where the models are; empty: nowhere, the tables are those of the databases."""
    migrations: Path = Path("migrations")
    fixtures: Path = Path("fixtures")
    version_table: str | None = None
    convert: tuple[str, ...] = ()
    stores: Mapping[str, Store] = field(default_factory=dict)
    load: LoadSettings = field(default_factory=LoadSettings)
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
            return replace(database, name=name_of(database))
        if re.search(r"\b(host|hostaddr|dbname|service)\s*=", name_or_url):
            # Not repeated: it may hold a password.
            raise ConfigurationError(
                "A database is given as a URL, not as a list of parameters.",
                "Write it like postgresql://user@host/name.",
            )
        if re.search(r"[./\\]", name_or_url):
            scheme = scheme_of_file(name_or_url)
            raise ConfigurationError(
                f"There is no database {name_or_url!r}.", f"A file is given as a URL: {scheme}:///{name_or_url}"
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
    environ = {key: value for key, value in (os.environ if environ is None else environ).items() if key != TEST_SERVER}
    root, source, table = find_settings(directory or Path.cwd())
    known = ("metadata", "migrations", "version_table", "fixtures", "convert", "load", "databases", "stores")
    unknown = set(table) - set(known)
    if "tool" in unknown:
        raise ConfigurationError(
            f"{source} has a table 'tool', which belongs into pyproject.toml.",
            "Write [databases] in place of [tool.toolkit.databases], and so on.",
        )
    if unknown:
        raise UnknownNameError("setting", min(unknown), known, source)
    databases = parse_databases(table.get("databases", {}), root, source)
    for name, url in from_environment(environ, "_URL", databases).items():
        databases[name] = replace(databases.get(name, Database(name, url, root)), address=url)
    stores = parse_stores(table.get("stores", {}), root, source)
    for name, url in from_environment(environ, "_STORE", stores).items():
        stores[name] = moved(stores.get(name, Store(name, url, root)), url)
    return Config(
        root=root,
        databases=databases,
        metadata=metadata or environ.get("TOOLKIT_METADATA") or text(table, "metadata", source, ""),
        migrations=root / text(table, "migrations", source, _migrations_directory(root)),
        version_table=text(table, "version_table", source, "") or None,
        fixtures=root / text(table, "fixtures", source, "fixtures"),
        stores=stores,
        convert=texts(table, "convert", source),
        load=parse_load(table.get("load", {}), source),
    )


def _migrations_directory(root: Path) -> str:
    """Where migrations are if no setting says so: as the application's `alembic.ini` does, else under a usual name."""
    usual = ("migrations", "alembic")
    names = (*filter(None, [_script_location(root / "alembic.ini")]), *usual)
    return next((name for name in names if (root / name / "env.py").is_file()), usual[0])


def _script_location(settings: Path) -> str | None:
    if not settings.is_file():
        return None
    from configparser import ConfigParser, Error

    parser = ConfigParser({"here": str(settings.parent).replace("%", "%%")})
    try:
        parser.read(settings, encoding="utf-8")
        return parser.get("alembic", "script_location", fallback=None)
    except (Error, UnicodeDecodeError):
        # It is Alembic's to complain of: a command that needs no migrations does without.
        return None
