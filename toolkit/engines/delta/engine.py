"""Delta Lake: the engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.engines.contract import Configured, Connection, Engine, SchemaFeatures, Templates
from toolkit.errors import EngineOptionError
from toolkit.shown_text import address_without_secrets

if TYPE_CHECKING:
    from sqlalchemy import URL
    from sqlalchemy import Engine as SQLAlchemyEngine

# The calculator, with nothing in it.
_CALCULATOR = "duckdb+toolkit:///:memory:"


class Delta(Engine):
    """Delta tables under one directory or prefix; DuckDB reads their files."""

    name = "delta"
    title = "Delta Lake"
    dialect = "duckdb"
    has_savepoints = False
    commits_parts = True
    has_migrations = False

    def url(self, database: Configured) -> URL:
        """The calculator's, whatever the lake is."""
        from sqlalchemy import make_url

        return make_url(_CALCULATOR)

    def place(self, database: Configured) -> str:
        """Where the tables are."""
        from toolkit.engines.delta.place import place_of

        return place_of(database).root

    def shown_url(self, database: Configured) -> str:
        """The address without secrets, which have no place in it."""
        return address_without_secrets(database.address)

    def address_with(self, name: str, url: URL, arguments: Mapping[str, Any]) -> URL:
        """No driver is given anything."""
        raise EngineOptionError(name, "is no lake's")

    def address_at(self, database: Configured, moment: str) -> str:
        """The lake as it was."""
        from toolkit.engines.delta.place import at_moment

        return at_moment(database.address, moment)

    def vacuum(self, database: Configured, keep_hours: int, *, dry_run: bool) -> Mapping[str, int]:
        """Remove the files of earlier versions."""
        from toolkit.engines.delta.place import place_of
        from toolkit.engines.delta.vacuum import vacuum

        return vacuum(place_of(database), keep_hours, dry_run=dry_run)

    def watch_connections(self, database: Configured, engine: SQLAlchemyEngine) -> None:
        """Let every connection see the lake's tables."""
        from toolkit.engines.delta.session import watch

        watch(engine, database)

    def connection(self, database: Configured, *, write: bool) -> Connection:
        """One transaction, for each table by itself."""
        from toolkit.engines.delta.connection import LakeConnection

        return LakeConnection(database, write)

    @property
    def features(self) -> SchemaFeatures:
        """What of another engine's schema it can have."""
        from toolkit.engines.delta.features import FEATURES

        return FEATURES

    def is_missing(self, database: Configured) -> bool:
        """Whether it is a directory that is not there."""
        from toolkit.engines.delta.place import place_of

        place = place_of(database)
        return place.is_directory and not Path(place.root).is_dir()

    def templates(self, database: Configured, directory: Path, rebuild: str | None) -> Templates:
        """Directories, which are copied."""
        from toolkit.engines.delta.templates import LakeTemplates

        return LakeTemplates(database, directory, self.name, rebuild)


ENGINE = Delta()
