"""`toolkit inspect`: what is in a database, and what would become of it in another engine's. Nothing is written."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from msgspec import Struct, structs

from toolkit.core.inspection import Definitions, InspectedColumn, InspectedTable, Inspection, MisfitCount
from toolkit.core.personal_names import personal_by_name
from toolkit.core.progress import Progress, Silent
from toolkit.core.renames import Renames
from toolkit.core.schema import ColumnMeasure, Note, Schema, TypesBy
from toolkit.core.tables import TableSpec, table_spec
from toolkit.core.types import logical_type
from toolkit.core.values import shortened
from toolkit.engines import connect
from toolkit.engines.portable.type_texts import type_text
from toolkit.engines.registry import engine_of, schemes
from toolkit.errors import ConfigurationError, ToolkitError, UnknownNameError
from toolkit.models.personal_data import personal_columns
from toolkit.operations.migrations.schema import tables_to_make
from toolkit.operations.migrations.statements import make_statements, unconnected
from toolkit.operations.project import Project
from toolkit.operations.reflection.converted_types import with_converted, with_nulls
from toolkit.operations.reflection.created_tables import Made, made
from toolkit.operations.reflection.parts import parts
from toolkit.operations.reflection.reasons import reason
from toolkit.operations.reflection.reflection import chosen, require_known, schema_of
from toolkit.operations.reflection.requested_tables import Wanted
from toolkit.operations.reflection.unrepresentable_values import MASK, unfit
from toolkit.operations.transfer.conversion_options import conversion_place, conversions

if TYPE_CHECKING:
    from sqlalchemy import Dialect

    from toolkit.config import Config
    from toolkit.engines.contract import Connection, Engine


def inspect(
    config: Config,
    database: str,
    tables: Sequence[str] = (),
    *,
    for_engine: str | None = None,
    exclude: Collection[str] = (),
    convert: Sequence[str] = (),
    show_pii: bool = False,
    progress: Progress | None = None,
) -> Inspection:
    """What is in a database: of all its tables, or those named, what they are made of and what is stored in them.

    With `for_engine`, an engine's name, or a database's name or URL, also which types an empty database of it gets, and
    why, what is carried there and what is not, and which values it cannot hold, but for those of columns that `convert`
    names as `TABLE.COLUMN:HOW`. Values of columns that look personal are masked, unless `show_pii`.

    Raises:
        UnknownNameError: there is no such database, engine or table.
        ToolkitError: as from reading.
    """
    source, kind = config.database(database), None if for_engine is None else engine_named(config, for_engine)
    progress = progress or Silent()
    with connect(source) as connection:
        # Nobody who writes meanwhile has to wait.
        connection.lock_tables((), progress)
        look = Look.at(connection, kind, Wanted(tables, exclude, convert=convert))
        return look.inspection({} if show_pii else _personal(config.of(database), look.schema.metadata), progress)


def definitions(
    config: Config,
    database: str,
    tables: Sequence[str] = (),
    *,
    for_engine: str | None = None,
    exclude: Collection[str] = (),
    convert: Sequence[str] = (),
) -> Definitions:
    """The statements that a sync into an empty database of that engine executes; of its own engine without one.

    Raises:
        UnknownNameError: there is no such database, engine or table.
    """
    source = config.database(database)
    kind = source.kind if for_engine is None else engine_named(config, for_engine)
    with connect(source) as connection:
        connection.lock_tables(())
        return Look.at(connection, kind, Wanted(tables, exclude, convert=convert)).definitions(kind)


def inspected(connection: Connection, kind: Engine, wanted: Wanted, progress: Progress) -> Inspection:
    """The same of an open database, where there are no models."""
    look = Look.at(connection, kind, wanted)
    return look.inspection(personal_by_name(look.schema.metadata), progress)


def _personal(config: Config, metadata: sa.MetaData) -> Mapping[str, frozenset[str]]:
    """By table, the columns that look personal, and those that models say are, if there are any that can be loaded."""
    found, told = personal_by_name(metadata), dict[str, frozenset[str]]()
    if config.metadata:
        with suppress(ToolkitError):
            told = personal_columns(Project(config).metadata)
    return {name: columns | told.get(name, frozenset()) for name, columns in found.items()}


def engine_named(config: Config, name: str) -> Engine:
    """The engine of that name, or that of a database that is configured or given as a URL; nothing is opened.

    Raises:
        UnknownNameError: it is neither.
        ConfigurationError: from a database's settings.
    """
    if name in config.databases or ":" in name:
        return config.database(name).kind
    found = engine_of(name.lower())
    if found is None:
        raise UnknownNameError("engine", name, dict.fromkeys((*schemes(), *config.databases)))
    return found


class Look(Struct, frozen=True, dict=True):
    """An open database, its tables as they are, and as an engine would have them (`kind`, if that is asked for)."""

    connection: Connection
    kind: Engine | None
    schema: Schema
    made: Made
    names: tuple[str, ...]
    left: tuple[Note, ...]
    converted: frozenset[tuple[str, str]]
    """Tables and columns whose values are converted before they are carried."""

    @classmethod
    def at(cls, connection: Connection, kind: Engine | None, wanted: Wanted) -> Look:
        """Read the catalogue, and the values where types rest on them."""
        is_own = kind is not None and kind.name == connection.database.engine_name
        types = TypesBy.DECLARATION if kind is None else TypesBy.STORAGE if is_own else TypesBy.VALUES
        schema = schema_of(connection, types)
        require_known(connection, wanted, schema.metadata.tables)
        places = (conversion_place(schema.metadata, option) for option in wanted.convert)
        converted = frozenset((spec.name, column) for spec, column, _ in places)
        schema = with_nulls(with_converted(schema, wanted.convert), wanted.convert)
        # Refuses two for one column, and what makes nothing of a column's values.
        conversions(schema.metadata, (), wanted.convert)
        names, left = chosen(schema.metadata.tables, wanted)
        there = Made(schema) if kind is None or is_own else made(schema, kind)
        return cls(connection, kind, schema, there, names, left, converted)

    @property
    def is_own(self) -> bool:
        """Whether the tables are looked at for the engine that they are of."""
        return self.kind is not None and self.kind.name == self.connection.database.engine_name

    @property
    def notes(self) -> Sequence[Note]:
        """What is not carried, or not as it is."""
        return (*self.made.schema.notes, *self.left)

    def definitions(self, kind: Engine) -> Definitions:
        """The statements that make the tables."""
        metadata = self.made.schema.metadata
        tables = tables_to_make(metadata, [name for name in metadata.tables if name not in self.names])
        known = {table.fullname for table in tables}
        names = Renames.of(metadata, self.made.renames)
        if names is not None:
            metadata, tables = names.metadata, [names.metadata.tables[names.tables[table.fullname]] for table in tables]
        own = self.connection.definitions(tables) if self.is_own else ()
        statements = make_statements(kind, metadata, tables, own)
        left = [note for note in self.notes if note.table in known or note.table not in self.schema.metadata.tables]
        return Definitions(self.connection.name, kind.name, tuple(statements), tuple(left))

    def inspection(self, masked: Mapping[str, frozenset[str]], progress: Progress) -> Inspection:
        """All of it; columns that are `masked` show none of their values."""
        tables = []
        for name in self.names:
            progress.step(f"inspect {name}")
            tables.append(self._table(name, masked.get(name, frozenset())))
        # Of tables that were left out because others were named, nobody asked.
        left = (note for note in self.notes if note.table not in self.schema.metadata.tables)
        return Inspection(
            self.connection.name,
            self.connection.database.engine_name,
            None if self.kind is None else self.kind.name,
            tuple(tables),
            tuple(dict.fromkeys((*self.left, *left))),
        )

    def _table(self, name: str, masked: frozenset[str]) -> InspectedTable:
        table, there = self.schema.metadata.tables[name], self.made.schema.metadata.tables[name]
        measures = self.connection.measures(table)
        spec = _spec(table)
        declared = self._declared(spec)
        types = self._types(there) or declared
        columns = tuple(
            InspectedColumn(
                column.name,
                declared[column.name],
                bool(column.nullable),
                _shown(measures[column.name], is_masked=column.name in masked),
                None if self.kind is None else types.get(column.name),
                self._why(there.columns.get(column.name), declared[column.name], types, measures[column.name]),
                is_masked=column.name in masked,
            )
            for column in table.columns
        )
        return InspectedTable(
            name,
            next((each.rows for each in measures.values()), 0),
            spec.key,
            columns,
            parts(there, with_foreign_keys=self.kind is None or self.kind.features.keeps_foreign_keys),
            tuple(note for note in self.made.schema.notes if note.table == name),
            () if self.kind is None else self._unfit(self.kind, _spec(there), types, measures, masked),
            self.made.renames.get(name),
        )

    def _unfit(
        self,
        kind: Engine,
        spec: TableSpec,
        types: Mapping[str, str],
        measures: Mapping[str, ColumnMeasure],
        masked: frozenset[str],
    ) -> tuple[MisfitCount, ...]:
        converted = {column for table, column in self.converted if table == spec.name} - {*spec.key}
        left = spec.project(name for name in spec.column_names if name not in converted)
        return unfit(self.connection, kind, left, types, measures, masked)

    def _declared(self, spec: TableSpec) -> Mapping[str, str]:
        """Each column's type in the database's own words: where it says what values are, that of the schema."""
        dialect, facts = self.connection.sqlalchemy.dialect, None
        if not self.connection.capabilities.has_strict_types:
            facts = self.connection.facts(spec)
        known = {} if facts is None else facts.columns
        return {
            each.name: known[each.name].type if each.name in known else type_text(each.type, dialect)
            for each in spec.table.columns
        }

    def _types(self, there: sa.Table) -> Mapping[str, str]:
        """The types of the columns at the target, where that is another engine."""
        if self.kind is None or self.is_own:
            return {}
        return {column.name: type_text(column.type, self.dialect) for column in there.columns}

    def _why(
        self, column: sa.Column[Any] | None, declared: str, types: Mapping[str, str], measure: ColumnMeasure
    ) -> str:
        """Why the target has this type."""
        if self.kind is None or column is None:
            return ""
        place = (column.table.fullname, column.name)
        if place in self.converted:
            return "Its values are converted."
        told = (note for note in self.schema.notes if (note.table, note.column) == place and note.is_of_type)
        if (note := next(told, None)) is not None:
            return note.reason
        is_strict = self.connection.capabilities.has_strict_types
        return reason(declared, column, types[column.name], measure, self.kind.title if is_strict else None)

    @cached_property
    def dialect(self) -> Dialect:
        """The target's, as it compiles types."""
        assert self.kind is not None
        return unconnected(self.kind).dialect


def _shown(measure: ColumnMeasure, *, is_masked: bool) -> ColumnMeasure:
    """A measure as it may be seen: no value of any length."""
    least, greatest = (
        None if value is None else MASK if is_masked else shortened(value)
        for value in (measure.least, measure.greatest)
    )
    return structs.replace(measure, least=least, greatest=greatest)


def _spec(table: sa.Table) -> TableSpec:
    """A table as it is read; a key that engines differ in is none."""
    try:
        return table_spec(table)
    except ConfigurationError:
        other = next((c.name for c in table.columns if not logical_type(c.type).is_free_decimal), None)
        if other is None:
            raise
        return replace(table_spec(table, [other]), key=())
