"""Databases for tests: templates, made once for each content, and a clone of one for each test."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from toolkit.config.databases import EMBEDDED, TEST_SERVER
from toolkit.errors import ConfigurationError, ToolkitError
from toolkit.testing.seeds import Seed

if TYPE_CHECKING:
    from collections.abc import Callable

    from toolkit.config import Config, Database


_EMBEDDED = EMBEDDED.rstrip(":")


class Templates(Protocol):
    """The templates and clones of one engine."""

    def ensure(self, key: str, fill: Callable[[Database], None]) -> None:
        """See to it that there is a template of that key, made by one process for all."""

    def clone(self, key: str) -> Database:
        """A new database like the template."""

    def drop(self, database: Database) -> None:
        """Remove a clone."""

    def close(self) -> None:
        """Remove what this process made, except for templates."""


class Pool:
    """All databases of this process's tests; `directory` is shared with other processes, and kept between runs.

    `server` is the URL of a PostgreSQL database on the server for tests, or `embedded`. With `rebuild`, which names a
    run, templates that were not made in that run are made anew.
    """

    def __init__(self, config: Config, directory: Path, server: str | None = None, rebuild: str | None = None) -> None:
        self.config = config
        self._directory = directory
        self._server = server
        self._rebuild = rebuild
        self._templates: dict[str, Templates] = {}
        self._keys: dict[tuple[str, Seed], str | ToolkitError] = {}

    def clone(self, name: str, seed: Seed) -> Database:
        """A new database of that engine, holding what the seed says.

        Raises:
            ToolkitError: as from `load_data`; for each test that asks for the same seed, without trying again.
        """
        if (name, seed) not in self._keys:
            self._keys[name, seed] = self._key(name, seed)
        key = self._keys[name, seed]
        if isinstance(key, ToolkitError):
            raise key
        return self._of(name).clone(key)

    def drop(self, database: Database) -> None:
        """Remove a clone, after its engine."""
        database.engine.dispose()
        self._of(database.name).drop(database)

    def close(self) -> None:
        """Remove all clones."""
        for templates in self._templates.values():
            templates.close()

    def _key(self, name: str, seed: Seed) -> str | ToolkitError:
        try:
            key = seed.digest(self._database(name))
            self._of(name).ensure(key, seed.fill)
        except ToolkitError as error:
            return error
        return key

    def _of(self, name: str) -> Templates:
        if name not in self._templates:
            self._templates[name] = self._open(self._database(name))
        return self._templates[name]

    def _open(self, database: Database) -> Templates:
        from toolkit.testing.files import FileTemplates
        from toolkit.testing.postgres import PostgresTemplates

        if database.engine_name != "postgresql":
            return FileTemplates(database, self._directory / database.name, self._rebuild)
        # Locks are seen by those who are connected to the same database: a project's name includes it.
        place = f"{self.config.root}\n{database.url.database}"
        return PostgresTemplates(database, hashlib.sha256(place.encode()).hexdigest()[:8], self._rebuild)

    def _database(self, name: str) -> Database:
        # Made by this plugin from the project's own files: tests may read and write others there.
        database = replace(self.config.database(name), external_access=True)
        return self._on_a_server_for_tests(database) if database.engine_name == "postgresql" else database

    def _on_a_server_for_tests(self, database: Database) -> Database:
        """The database at another address: never the server that the application works with, unless that is named."""
        if self._server is None and not database.is_embedded:
            raise ConfigurationError(
                f"No server is named for tests, and {database.name} is configured as {database.shown_url}: "
                "databases are made and dropped only where that is meant.",
                f"Set {TEST_SERVER} (or toolkit_postgres_url of pytest) to a PostgreSQL URL, or to "
                f"`{_EMBEDDED}` for a server of pytest's own.",
            )
        if self._server in (None, _EMBEDDED):
            return replace(database, address=f"{EMBEDDED}{self._directory / 'postgres'}")
        assert self._server is not None
        named = replace(database, address=self._server)
        if named.engine_name != "postgresql":
            raise ConfigurationError(
                f"The server for tests is no PostgreSQL: {named.shown_url}.",
                f"Correct {TEST_SERVER}, or toolkit_postgres_url of pytest.",
            )
        return named
