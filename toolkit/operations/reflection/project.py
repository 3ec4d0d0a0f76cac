"""A project without models: what a command works on are the tables that databases have."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from toolkit.core.progress import SILENT, Progress
from toolkit.core.renames import Renames
from toolkit.core.tables import REFLECTED, generated_columns, select_tables, without_columns
from toolkit.engines import connect
from toolkit.errors import ConfigurationError
from toolkit.operations.discovery import discover
from toolkit.operations.migrations.revisions import exists
from toolkit.operations.project import Project

if TYPE_CHECKING:
    from sqlalchemy import MetaData, Table

    from toolkit.config import Config, Database
    from toolkit.core.plan import TransferWarning
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Connection
    from toolkit.operations.reflection.reflection import Reflection
    from toolkit.operations.reflection.requested_tables import Wanted


class ReflectedProject(Project, frozen=True, dict=True):
    """A project whose tables were found in its databases, of which no migrations are known."""

    reflection: Reflection
    source: Database | None = None

    @property
    def is_reflected(self) -> bool:
        """Whether the tables are those of databases."""
        return True

    @property
    def origin(self) -> str:
        """What tables are made from, in words."""
        return self.reflection.origin

    @cached_property
    def metadata(self) -> MetaData:
        """The tables of the databases."""
        return self.reflection.metadata

    @cached_property
    def has_history(self) -> bool:
        """Whether there is a directory of migrations: none that makes these tables."""
        return False

    def definitions(self, database: Database, tables: Sequence[Table]) -> Sequence[str]:
        """The statements that make these tables in a new database, in the words of a source of the same engine."""
        if self.source is None or self.source.engine_name != database.engine_name:
            return ()
        with connect(self.source) as connection:
            return connection.definitions(tables)


class Chosen(Struct, frozen=True):
    """A project, and which of its tables a command works on, by which names.

    `excluded` are tables of the project that are not to be made, `rename` the target's names, where they are others.
    """

    project: Project
    tables: Sequence[str]
    excluded: Collection[str]
    rename: Mapping[str, str]
    wanted: Wanted
    warnings: Sequence[TransferWarning] = field(default=())
    source: Connection | None = None
    """If it is still open: the source as it was when its tables were found."""

    @classmethod
    @contextmanager
    def of_both(
        cls,
        config: Config,
        source: Database,
        target: Database,
        wanted: Wanted,
        progress: Progress = SILENT,
        *,
        compares: bool = False,
    ) -> Iterator[Chosen]:
        """What is worked on between two databases: the models' tables, or without models the databases' own.

        A source that is read as of one moment stays open for the block: the tables are those of the rows then, and what
        it takes to read it beside others, such as a copy, is done once.

        Raises:
            UnknownNameError: a name is of none of the tables.
            SchemaMismatchError: without models, rows or values of the source would be left behind.
        """
        if config.metadata:
            yield cls._of_models(config, wanted)
            return
        from toolkit.operations.reflection.reflection import reflect_both

        with connect(source) as own:
            found = reflect_both(own, target, wanted, compares=compares, progress=progress)
            chosen = cls._of(config, found, wanted, source)
            if own.capabilities.keeps_moment:
                yield replace(chosen, source=own)
                return
        yield chosen

    @classmethod
    def of_one(cls, config: Config, database: Database, wanted: Wanted, *, is_read: bool = False) -> Chosen:
        """What is worked on in one database, of which all rows are to be read or not.

        Raises:
            UnknownNameError: a name is of none of the tables.
            ConfigurationError: it has none.
            SchemaMismatchError: without models, values would not be read.
        """
        if config.metadata:
            return cls._of_models(config, wanted)
        from toolkit.operations.reflection.reflection import reflect_one

        found = reflect_one(database, wanted, is_read=is_read) if exists(database) else None
        if found is None or not found.metadata.tables:
            raise ConfigurationError(
                f"{database.name} has no tables, and there are no models that say which it should have.",
                discover(config.root).advice
                or "Make them first, by what the application makes them with; or say where its models are: "
                "--metadata MODULE:ATTR.",
            )
        return cls._of(config, found, wanted, None)

    @classmethod
    def _of_models(cls, config: Config, wanted: Wanted) -> Chosen:
        return cls(Project(config), wanted.tables, wanted.exclude, wanted.rename, wanted)

    @classmethod
    def _of(cls, config: Config, found: Reflection, wanted: Wanted, source: Database | None) -> Chosen:
        project = ReflectedProject(config, found, source)
        excluded = [name for name in found.metadata.tables if name not in found.names]
        rename = {**found.renames, **wanted.rename} if found.is_made else found.renames
        for table in found.metadata.tables.values():
            table.info[REFLECTED] = True
        return cls(project, found.names, excluded, rename, wanted, found.warnings(wanted))

    @property
    def renames(self) -> Renames | None:
        """The target's names, if any are others. Raises what `Renames.of` does."""
        return Renames.of(self.project.metadata, self.rename)

    @property
    def excluded_names(self) -> Collection[str]:
        """Of the tables, those that are left out: none where they were chosen already."""
        return () if self.project.is_reflected else self.excluded

    def specs(self) -> tuple[TableSpec, ...]:
        """The tables, without columns that are left out.

        Raises:
            UnknownNameError, ConfigurationError: from `select_tables` and `without_columns`; or none is left.
        """
        if self.project.is_reflected and not self.tables and (self.project.metadata.tables or self.wanted.exclude):
            # Without names, all tables would be meant.
            raise ConfigurationError(
                "No table is left: all of them are excluded, views of the source, or records of migration tools.",
                "Leave out an --exclude, or name the tables that are meant.",
            )
        found = select_tables(self.project.metadata, self.tables, self.excluded_names, self.wanted.keys)
        known = {f"{spec.name}.{name}" for spec in found for name in spec.column_names}
        generated = {f"{spec.name}.{each.name}" for spec in found for each in generated_columns(spec.table)}
        places = [
            each
            for each in self.wanted.exclude_columns
            if each in known or not (self.project.is_reflected or each in generated)
        ]
        return without_columns(found, places)
