"""Databases for tests: templates, made once for each content, and a clone of one for each test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import ConfigurationError, ToolkitError
from toolkit.testing.seeds import Seed

if TYPE_CHECKING:
    from toolkit.config import Config, Database
    from toolkit.engines.contract import Templates


class Pool:
    """All databases of this process's tests; `directory` is shared with other processes, and kept between runs.

    `servers` are by the databases' names the URLs of databases on servers for tests, or what their engines take for
    one, such as `embedded`.
    With `rebuild`, which names a run, templates that were not made in that run are made anew.
    """

    def __init__(
        self, config: Config, directory: Path, servers: Mapping[str, str] | None = None, rebuild: str | None = None
    ) -> None:
        self.config = config
        self._directory = directory
        self._servers = servers or {}
        self._rebuild = rebuild
        self._templates: dict[str, Templates] = {}
        self._keys: dict[tuple[str, Seed], str | ToolkitError] = {}
        self._noted: set[str] = set()
        self.untold: list[str] = []
        """What was noted when templates were made, in this run or an earlier one, until it is told."""

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
        return self._database(name).at(self._of(name).clone(key))

    def new(self, name: str) -> Database:
        """A new database of that engine with nothing in it.

        Raises:
            ToolkitError: there is nowhere to make it.
        """
        database = self._database(name)
        # Whatever migrates it, and whether or not a template was migrated before in this process.
        database.kind.introduce_to_alembic()
        return database.at(self._of(name).new())

    def prune(self, name: str, *, dry_run: bool) -> Sequence[str]:
        """Remove that engine's templates, and clones of processes that are gone, that nobody uses; their names.

        Raises:
            ToolkitError: the server cannot be asked.
        """
        try:
            database = self._database(name)
        except ConfigurationError:
            # Where none is to be made, none is.
            return []
        place = self._directory / name if database.file else database.directory
        if place is not None and not place.exists():
            return []
        return self._of(name, prunes=False).prune(every=True, dry_run=dry_run)

    def drop(self, database: Database) -> None:
        """Remove a clone, after its engine."""
        database.engine.dispose()
        self._of(database.name).drop(database.address)

    def close(self) -> None:
        """Remove all clones."""
        for templates in self._templates.values():
            templates.close()

    def _key(self, name: str, seed: Seed) -> str | ToolkitError:
        try:
            database = self._database(name)
            key = seed.digest(database)
            notes = self._of(name).ensure(key, lambda address: _fill(database.at(address), seed))
        except ToolkitError as error:
            return error
        self.untold += [note for note in notes if note not in self._noted]
        self._noted |= {*notes}
        return key

    def _of(self, name: str, *, prunes: bool = True) -> Templates:
        if name not in self._templates:
            database = self._database(name)
            self._templates[name] = database.kind.templates(database, self._directory / name, self._rebuild)
            if prunes:
                self._templates[name].prune(every=False)
        return self._templates[name]

    def _database(self, name: str) -> Database:
        # Made by this plugin from the project's own files: tests may read and write others there.
        database = replace(self.config.database(name), external_access=True)
        return database.at(database.kind.address_for_tests(database, self._servers.get(name), self._directory))


def _fill(database: Database, seed: Seed) -> Sequence[str]:
    """Fill an empty database, and let nobody stay connected to it; what is to be noted."""
    try:
        return seed.fill(database)
    finally:
        database.engine.dispose()
