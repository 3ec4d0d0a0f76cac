"""Databases as they are configured: which there are by default, and what can be set of each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

from toolkit.config.application import ApplicationDatabase
from toolkit.config.settings import ill_typed, typed
from toolkit.engines.contract import EngineSettings
from toolkit.engines.database import LOCK_SECONDS, Database
from toolkit.errors import ConfigurationError, UnknownNameError

DEFAULT_DATABASES: Mapping[str, str] = {
    "sqlite": "sqlite:///toolkit.sqlite3",
    "duckdb": "duckdb:///toolkit.duckdb",
    "postgres": "embedded:.toolkit/postgres",
}
TEST_DATABASES: Mapping[str, str] = {**DEFAULT_DATABASES, "mariadb": "mariadb://localhost/"}
"""Those of which the pytest plugin makes copies, if a server of tests is named for those that need one."""
TABLES_FROM = ("models", "migrations")
"""What can make the tables of a database that has none."""
DEFAULT_DATABASE = "sqlite"
"""Which of them commands work on that are not told."""


def parse_databases(
    entries: Any, root: Path, source: str, application: Mapping[str, ApplicationDatabase] | None = None
) -> dict[str, Database]:
    """The databases of a file's table `databases`, by name, with an application's own or else the default ones.

    `application` has an application's; what the file says of one of them holds for it.

    Raises:
        ConfigurationError: an unknown or ill-typed key, named with its file.
    """
    if not isinstance(entries, Mapping):
        raise ConfigurationError(f"{source}: databases must be a table of names and URLs.", "Correct the file.")
    own = application or {}
    found = {name: Database(name, each.address, root, hindrance=each.hindrance) for name, each in own.items()}
    if not own:
        found = {name: Database(name, address, root) for name, address in DEFAULT_DATABASES.items()}
    for name, value in entries.items():
        if not isinstance(value, str | dict):
            raise ill_typed(source, f"databases.{name}", "URL or a table", value)
        entry = {"url": value} if isinstance(value, str) else dict(value)
        store = typed(str, entry.pop("store", ""), source, f"databases.{name}.store") or None
        hindrance = found[name].hindrance if name in found and "url" not in entry else None
        url = entry.pop("url", found[name].address if name in found else None)
        if not isinstance(url, str):
            raise ConfigurationError(f"{source}: databases.{name} has no url.", f'Write {name} = "sqlite:///file".')
        found[name] = Database(name, url, root, *_settings(name, entry, source), store, hindrance=hindrance)
    return found


def _settings(
    name: str, entry: dict[str, Any], source: str
) -> tuple[EngineSettings, float, str | None, bool, str | None]:
    own: dict[str, type] = {"lock_seconds": float, "identity": str, "external_access": bool, "tables_from": str}
    types = get_type_hints(EngineSettings) | own
    for key, value in entry.items():
        if key not in types:
            raise UnknownNameError("setting", key, ("url", "store", *types), f"{source} databases.{name}")
        entry[key] = typed(types[key], value, source, f"databases.{name}.{key}")
    lock_seconds, identity = entry.pop("lock_seconds", LOCK_SECONDS), entry.pop("identity", None)
    external_access = entry.pop("external_access", False)
    tables_from = entry.pop("tables_from", None)
    if tables_from is not None and tables_from not in TABLES_FROM:
        raise UnknownNameError("way", tables_from, TABLES_FROM, f"{source} databases.{name}.tables_from")
    return EngineSettings(**entry), lock_seconds, identity or None, external_access, tables_from


def name_of(database: Database) -> str:
    """A short name for messages, for a database given as a URL."""
    return database.file.name if database.file else database.shown_url
