"""What a test's database holds before the test: a schema and the rows of fixtures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import Dialect, MetaData
    from sqlalchemy.schema import ExecutableDDLElement

    from toolkit.config import Config, Database


@dataclass(frozen=True)
class Seed:
    """Migrations (without any: the tables of the metadata) and fixtures. `tables`: None for all that have a file."""

    config: Config = field(compare=False)
    directory: Path
    tables: tuple[str, ...] | None = None

    def digest(self, database: Database) -> str:
        """A name for the content: it changes with anything that a database filled from it depends on.

        Raises:
            ConfigurationError: there is no such directory, or the metadata cannot be loaded.
        """
        from toolkit.models.loader import load_metadata

        metadata = load_metadata(self.config.metadata, self.config.root)
        settings = (self.config.metadata, self.config.version_table, self.tables)
        digest = hashlib.sha256(f"{version('toolkit')}\n{settings}\n".encode())
        for statement in _statements(metadata, database.url.get_dialect()()):
            digest.update(statement.encode())
        for path in self._files():
            digest.update(f"\n{path.name}\n".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()[:16]

    def fill(self, database: Database) -> None:
        """Migrate and load a database that is not there yet, or blank. Raises what `load_data` does.

        Files that rows point at are left alone: the live store may be one that is not for tests.
        """
        from toolkit.operations.fixture_attachments import AttachmentMode
        from toolkit.operations.load import load_data
        from toolkit.operations.schema import ensure_schema

        config = replace(self.config, databases={**self.config.databases, database.name: database})
        if self.tables == ():
            ensure_schema(database, config)
        else:
            load_data(
                config, database.name, self.tables or (), directory=self.directory, attachments=AttachmentMode.LEAVE
            )

    def _files(self) -> Iterator[Path]:
        yield from sorted(path for path in self.config.migrations.rglob("*.py") if path.is_file())
        if self.tables == ():
            return
        if not self.directory.is_dir():
            raise ConfigurationError(
                f"There is no directory of fixtures {self.directory}.",
                "Make it, name another one (toolkit_fixtures), or ask for a database without rows: "
                "@pytest.mark.toolkit(tables=[]).",
            )
        yield from sorted(
            path for path in self.directory.glob("*.json") if self.tables is None or path.stem in self.tables
        )


def _statements(metadata: MetaData, dialect: Dialect) -> list[str]:
    from sqlalchemy.schema import CreateIndex, CreateTable

    found = []
    for table in metadata.tables.values():
        found.append(_compiled(CreateTable(table), dialect))
        found += [_compiled(CreateIndex(index), dialect) for index in table.indexes]
        # An engine's own enum has only its name in the statement.
        found += [f"{table.key}.{each.key} {getattr(each.type, 'enums', '')}" for each in table.columns]
    # A table's indexes are a set, whose order differs from process to process.
    return sorted(found)


def _compiled(element: ExecutableDDLElement, dialect: Dialect) -> str:
    from sqlalchemy.exc import CompileError

    try:
        return str(element.compile(dialect=dialect))
    except CompileError:
        # A type that this engine lacks: its migrations make something else of it.
        return str(element)
