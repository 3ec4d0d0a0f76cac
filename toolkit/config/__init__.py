"""Databases, stores and metadata: command line > environment > pyproject.toml / toolkit.toml > defaults."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.config.application import DEFAULT, ApplicationDatabase, Loaded, application_databases
from toolkit.config.databases import DEFAULT_DATABASE, DEFAULT_DATABASES, TABLES_FROM, name_of, parse_databases
from toolkit.config.loading import LoadSettings, parse_load
from toolkit.config.settings import find_settings, from_environment, text, texts
from toolkit.config.stores import Store, moved, parse_stores, with_key
from toolkit.engines.database import Database
from toolkit.engines.registry import TEST_SERVERS, engine_of, scheme_of_file
from toolkit.errors import ConfigurationError, UnknownNameError

if TYPE_CHECKING:
    from sqlalchemy import MetaData

__all__ = ["BUNDLED_METADATA", "TABLES_FROM", "Config", "Database", "Loaded", "Schema", "Store", "load_config"]

BUNDLED_METADATA = "toolkit.models.todo:metadata"
"""The models that the package has to try it with."""


@dataclass(frozen=True)
class Schema:
    """Whose tables a database has: models, and the history of migrations that makes them.

    `models` are those that `metadata` names, if an application's configuration has loaded them.
    """

    metadata: str
    migrations: Path
    version_table: str | None = None
    version_table_schema: str | None = None
    models: MetaData | None = field(default=None, repr=False)


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
    version_table_schema: str | None = None
    models: MetaData | None = field(default=None, repr=False)
    """The models, if an application's configuration has loaded them."""
    tables_from: str | None = None
    """What makes tables where there are none, one of `TABLES_FROM`; None: the migrations, if there are any."""
    schemas: Mapping[str, Schema] = field(default_factory=dict)
    """By the names of databases that have models of their own, these."""
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
        name, _, moment = name_or_url.partition("@")
        if moment and name in self.databases:
            return _at_moment(self.databases[name], name_or_url, moment)
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
        unknown = UnknownNameError("database", name_or_url, self.databases)
        if name_or_url in DEFAULT_DATABASES:
            # An application's own databases are in the place of the default ones.
            unknown.advise_last(f"That of toolkit itself is given as a URL: {DEFAULT_DATABASES[name_or_url]}")
        raise unknown

    @property
    def default_database(self) -> str:
        """The database that a command works on that is given none: an application's default one, if it has one."""
        return DEFAULT if DEFAULT in self.schemas else DEFAULT_DATABASE

    def of(self, *names: str) -> Config:
        """The configuration as it is for these databases, of which the last is the one that is written, if one is.

        Raises:
            ConfigurationError: two of them have models of their own.
        """
        plain = [name if name in self.databases else name.partition("@")[0] for name in names]
        own = {name: self.schemas[name] for name in plain if name in self.schemas}
        found = list(own.values())
        if any(each != found[0] for each in found):
            raise ConfigurationError(
                f"{' and '.join(own)} have models of their own.",
                "Say whose tables to work on: --metadata MODULE:ATTR, or --reflect for those that the databases have.",
            )
        written = self.databases.get(names[-1])
        tables_from = self.tables_from or (None if written is None else written.tables_from)
        engine = engine_of(names[-1] if written is None else written.address)
        if tables_from is None and engine is not None and not engine.has_migrations:
            tables_from = "models"
        return replace(self.with_schema(found[0]) if found else self, tables_from=tables_from)

    def with_schema(self, schema: Schema) -> Config:
        """The same with these models and their history for all databases."""
        return replace(
            self,
            metadata=schema.metadata,
            models=schema.models,
            migrations=schema.migrations,
            version_table=schema.version_table,
            version_table_schema=schema.version_table_schema,
        )

    def with_metadata(self, metadata: str) -> Config:
        """The same with other models for all databases, of whatever history; empty: with none."""
        schemas = {name: replace(each, metadata=metadata, models=None) for name, each in self.schemas.items()}
        return replace(self, metadata=metadata, models=None, schemas=schemas)

    def with_stores_only(self) -> Config:
        """A copy for other processes of this machine: without databases, models, and whatever was opened here."""
        stores = {name: replace(each) for name, each in self.stores.items()}
        given = {address: replace(each) for address, each in self._given.items()}
        return replace(self, databases={}, schemas={}, models=None, stores=stores, _given=given)

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


def _at_moment(database: Database, name: str, moment: str) -> Database:
    address = database.kind.address_at(database, moment)
    if address is None:
        raise ConfigurationError(
            f"{database.name!r} cannot be read as it was ({moment}): {database.kind.title} keeps no versions.",
            f"Name it alone: {database.name}",
        )
    return replace(database.at(address), name=name)


def load_config(
    directory: Path | None = None,
    environ: Mapping[str, str] | None = None,
    metadata: str | None = None,
    application: str | Loaded | None = None,
) -> Config:
    """Read the settings that hold in `directory` (default: the working directory).

    `application` is an application's own configuration, or names it (`module:attribute`; empty: none) to be imported;
    its databases take the place of the default ones.

    Raises:
        ConfigurationError: a file that is no TOML, or an unknown or ill-typed key, named with its file; or as from
            `application_databases`.
    """
    given = os.environ if environ is None else environ
    environ = {key: value for key, value in given.items() if key not in TEST_SERVERS.values()}
    root, source, table = find_settings(directory or Path.cwd())
    _require_known(table, source)
    if application is None:
        application = environ.get("TOOLKIT_CONFIG") or text(table, "config", source, "")
    own = application_databases(application, root) if application else ()
    metadata = metadata or environ.get("TOOLKIT_METADATA") or text(table, "metadata", source, "")
    stores = _stores(table, root, source, environ)
    databases = _databases(table, root, source, environ, own)
    config = Config(
        root=root,
        databases={name: _with_access(each, stores, source) for name, each in databases.items()},
        metadata=metadata,
        migrations=root / text(table, "migrations", source, _migrations_directory(root)),
        version_table=text(table, "version_table", source, "") or None,
        fixtures=root / text(table, "fixtures", source, "fixtures"),
        stores=stores,
        convert=texts(table, "convert", source),
        load=parse_load(table.get("load", {}), source),
    )
    shown = application.name if isinstance(application, Loaded) else application
    return _of_application(config, shown, own, table) if own else config


def _require_known(table: Mapping[str, object], source: str) -> None:
    unknown = set(table) - set(_KNOWN)
    if "tool" in unknown:
        raise ConfigurationError(
            f"{source} has a table 'tool', which belongs in pyproject.toml.",
            "Write [databases] in place of [tool.toolkit.databases], and so on.",
        )
    if unknown:
        raise UnknownNameError("setting", min(unknown), _KNOWN, source)


_KNOWN = ("config", "metadata", "migrations", "version_table", "fixtures", "convert", "load", "databases", "stores")


def _databases(
    table: Mapping[str, object],
    root: Path,
    source: str,
    environ: Mapping[str, str],
    own: Sequence[ApplicationDatabase],
) -> dict[str, Database]:
    """The application's own, then the file's and the default ones; the environment says where each of them is."""
    found = parse_databases(table.get("databases", {}), root, source, {each.name: each for each in own})
    given = from_environment(environ, "_URL", found)
    if DEFAULT not in found and environ.get("DATABASE_URL"):
        given.setdefault(DEFAULT, environ["DATABASE_URL"])
    for name, url in given.items():
        found[name] = replace(found.get(name, Database(name, url, root)), address=url, hindrance=None)
    return found


def _stores(table: Mapping[str, object], root: Path, source: str, environ: Mapping[str, str]) -> dict[str, Store]:
    found = parse_stores(table.get("stores", {}), root, source)
    for name, url in from_environment(environ, "_STORE", found).items():
        found[name] = moved(found.get(name, Store(name, url, root)), url)
    for name, key in from_environment(environ, "_KEY", found, empty=True).items():
        if name in found:
            found[name] = with_key(found[name], key)
    return found


def _with_access(database: Database, stores: Mapping[str, Store], source: str) -> Database:
    """A database that lies in an object store, with the settings of the one that it names."""
    if database.store is None:
        return database
    if database.store not in stores:
        raise UnknownNameError("store", database.store, stores, f"{source} databases.{database.name}.store")
    return replace(database, access=stores[database.store].access(database.name))


def _of_application(
    config: Config, reference: str, own: Sequence[ApplicationDatabase], given: Mapping[str, object]
) -> Config:
    """The configuration with the schemas of an application's databases; what is set beside them holds instead."""
    schemas = {
        each.name: Schema(
            config.metadata or (reference if len(own) == 1 else f"{reference} ({each.name})"),
            config.migrations if "migrations" in given else config.root / (each.migrations or _NONE),
            config.version_table or each.version_table,
            each.version_table_schema,
            None if config.metadata else each.metadata,
        )
        for each in own
    }
    config = replace(config, schemas=schemas)
    # What is given as a URL is a copy of the first, mostly.
    return config.with_schema(schemas.get(DEFAULT) or schemas[own[0].name])


_NONE = ".toolkit/no-migrations"
"""A directory that is not there: of a database without migrations of its own."""


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
