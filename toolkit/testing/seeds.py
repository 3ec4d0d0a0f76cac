"""What a test's database holds before the test: a schema and the rows of fixtures."""

from __future__ import annotations

import datetime as dt
import hashlib
import sys
from dataclasses import dataclass, field, fields, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import ConfigurationError
from toolkit.testing.definitions import definitions
from toolkit.testing.sources import Unit, digest_of, fixture_files, migration_files, smallest_unit

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from toolkit.config import Config, Database

# Which of them is used is another seed, and what is there is looked at.
_PLACES = ("root", "databases", "migrations", "fixtures", "stores", "_given")


@dataclass(frozen=True)
class Seed:
    """Migrations (without any: the tables of the metadata) and fixtures. `tables`: None for all that have a file."""

    config: Config = field(compare=False)
    directory: Path
    tables: tuple[str, ...] | None = None
    match: tuple[tuple[str, tuple[str, ...]], ...] = ()
    mode: str | None = None
    exclude: tuple[str, ...] = ()

    def digest(self, database: Database) -> str:
        """A name for the content: it changes with anything that a database filled from it depends on.

        Raises:
            ConfigurationError: there is no such directory, or the metadata cannot be loaded.
        """
        from toolkit.operations.project import load_models

        metadata = load_models(self.config)
        digest = hashlib.sha256(_toolkit().encode())
        fixtures = self._fixtures()
        # A default such as "now" is as old as the template.
        digest.update(f"{_moment(smallest_unit(fixtures))}\n".encode())
        digest.update(f"{(self.tables, self.match, self.mode, self.exclude, _settings(self.config))}\n".encode())
        for definition in definitions(metadata, database.url.get_dialect()()):
            digest.update(f"{definition}\n".encode())
        models = _model_files(metadata, self.config.metadata)
        digest.update(digest_of([*fixtures, *migration_files(self.config, models)], self.config.root).encode())
        return digest.hexdigest()[:16]

    def fill(self, database: Database) -> list[str]:
        """Migrate and load a new database; what is to be noted. Raises what `load_data` does.

        Files that rows point at are left alone: the live store may be one that is not for tests.
        """
        from toolkit.operations.fixtures.attachments import AttachmentMode
        from toolkit.operations.fixtures.load import load_data
        from toolkit.operations.migrations.schema import ensure_schema
        from toolkit.operations.transfer.options import Mode, Options

        config = replace(self.config, databases={**self.config.databases, database.name: database})
        # Before the load: it would say what stays of a database that is removed, and make no tables that it leaves out.
        ensure_schema(database, config)
        if self.tables == ():
            return []
        result = load_data(
            config,
            database.name,
            self.tables or (),
            directory=self.directory,
            exclude=self.exclude,
            match=dict(self.match),
            options=Options(mode=Mode(self.mode or config.load.mode)),
            attachments=AttachmentMode.LEAVE,
        )
        return [
            each.reason if each.table in each.reason else f"{each.place}: {each.reason}" for each in result.warnings
        ]

    def _fixtures(self) -> list[Path]:
        if self.tables == ():
            return []
        if not self.directory.is_dir():
            raise ConfigurationError(
                f"There is not a directory of fixtures {self.directory}.",
                "Make it, name another one (toolkit_fixtures), or ask for a database without rows: "
                "@pytest.mark.toolkit(tables=[]).",
            )
        return fixture_files(self.directory, self.tables)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _moment(unit: Unit | None) -> str:
    """The time as exactly as it matters: rows that are three days old may be so of the last hour, not of yesterday."""
    return _now().strftime({None: "%Y-%m-%d", Unit.DAY: "%Y-%m-%d %H", Unit.LESS: "%Y-%m-%d %H:%M"}[unit])


def _settings(config: Config) -> list[tuple[str, object]]:
    """All that the toolkit was told, but for where things are."""
    return [(each.name, getattr(config, each.name)) for each in fields(config) if each.name not in _PLACES]


def _model_files(metadata: MetaData, reference: str) -> set[Path]:
    """The modules of the models."""
    from toolkit.models.mappers import mappers_of

    names = {reference.partition(":")[0], *(mapper.class_.__module__ for mapper in mappers_of(metadata))}
    files = (getattr(sys.modules.get(name), "__file__", None) for name in names)
    return {Path(file).resolve() for file in files if file}


@cache
def _toolkit() -> str:
    """This package, and those that its work rests on."""
    package = Path(__file__).parents[1]
    versions = [version(name) for name in ("sqlalchemy", "alembic", "advanced-alchemy")]
    return f"{digest_of(sorted(package.rglob('*.py')), package)} {versions}"
