"""What the toolkit knows of a table: its data columns, its key, its unique keys, its place in foreign-key order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from shlex import quote as shell
from typing import Any

import pyarrow as pa
from msgspec import Struct
from sqlalchemy import Column, Computed, ForeignKeyConstraint, MetaData, Table, UniqueConstraint
from sqlalchemy.sql.ddl import sort_tables_and_constraints
from sqlalchemy.types import TypeEngine

from toolkit.core.cycles import circles
from toolkit.core.types import MAX_DECIMAL_DIGITS, Kind, LogicalType, logical_type
from toolkit.errors import ConfigurationError, UnknownNameError

# Bookkeeping of SQLAlchemy's bulk inserts, not data.
SENTINEL = "sa_orm_sentinel"
# In a table's `info`, unique columns that may be NULL but are not in any row: the key of one that has no other.
KEY = "key"
# In the `info` of a table that was found in a database: nobody can give it another type for its key.
REFLECTED = "reflected"
# So many columns name a row of a table without a key.
_SHOWN_COLUMNS = 3


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """One data column."""

    name: str
    type: LogicalType
    nullable: bool
    declared: TypeEngine[Any] = field(repr=False, compare=False)
    """The model's own type, which may say how an engine stores the logical one."""


class ForeignKeySpec(Struct, frozen=True):
    """Columns that point at a parent's columns; `parent` is a table's full name."""

    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]


POINTS = "toolkit_points"
"""In a table's `info`: the foreign keys that the source has, where the target need not have them."""


@dataclass(frozen=True)
class TableSpec:
    """A table in its canonical schema. `key` names the columns that identify a row; without any, rows are counted.

    `conditions`, in the SQL of the database concerned, narrow it to the rows that meet all of them. The columns that
    are `insert_only` are written with new rows, and left alone in those that are there. The `source_conditions` narrow
    it further where its rows are read from, and only there (`at_source`). With `is_read_by_key`, they are best read in
    the order of their keys.
    """

    name: str
    columns: tuple[ColumnSpec, ...]
    key: tuple[str, ...]
    unique_keys: tuple[tuple[str, ...], ...]
    foreign_keys: tuple[ForeignKeySpec, ...]
    table: Table = field(repr=False, compare=False)
    conditions: tuple[str, ...] = ()
    insert_only: frozenset[str] = frozenset()
    source_conditions: tuple[str, ...] = ()
    is_read_by_key: bool = field(default=False, compare=False)

    @cached_property
    def where(self) -> str | None:
        """The conditions as one, None without any; a single one is as its user wrote it."""
        if len(self.conditions) < 2:  # noqa: PLR2004 - there is nothing to join
            return next(iter(self.conditions), None)
        return " AND ".join(map(bracketed, self.conditions))

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema in which the table's rows travel."""
        return pa.schema([pa.field(c.name, c.type.arrow) for c in self.columns])

    @cached_property
    def key_schema(self) -> pa.Schema:
        """The Arrow schema of the key columns alone."""
        return pa.schema([self.schema.field(name) for name in self.key])

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        """The data columns, in the order of the model."""
        return tuple(c.name for c in self.columns)

    @property
    def shown_key(self) -> tuple[str, ...]:
        """The columns that name a row in messages: its key, or else the first few."""
        return self.key or self.column_names[:_SHOWN_COLUMNS]

    @cached_property
    def has_own_key(self) -> bool:
        """Whether the table says by itself that no two rows share the key, and that no part of it is NULL."""
        wanted = frozenset(self.key)
        return any(wanted == frozenset(names) for names in _identities(self.table, _unique_keys(self.table)))

    @cached_property
    def updated_names(self) -> tuple[str, ...]:
        """The data columns that an upsert changes in rows that are there."""
        return tuple(name for name in self.column_names if name not in self.key and name not in self.insert_only)

    def column(self, name: str) -> ColumnSpec:
        """The column of that name."""
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, ColumnSpec]:
        # Of 1,590 columns, each looked for among all took a third of a sync's time.
        return {column.name: column for column in self.columns}

    def project(self, names: Iterable[str]) -> TableSpec:
        """The same rows with these columns alone, each once, in this order."""
        return replace(self, columns=tuple(self.column(name) for name in dict.fromkeys(names)))

    def without_conditions(self) -> TableSpec:
        """The whole table, as far as both sides are asked."""
        return replace(self, conditions=())

    @property
    def at_source(self) -> TableSpec:
        """The table as it is narrowed where its rows are read from."""
        return replace(self, conditions=(*self.conditions, *self.source_conditions), source_conditions=())


def soft_delete_columns(spec: TableSpec) -> tuple[str, ...]:
    """The columns that mark a row as deleted: `is_deleted`, `deleted_at`, or both; none where rows cannot be marked."""
    return tuple(column.name for column in spec.columns if column.type.kind in _SOFT_DELETE_KINDS.get(column.name, ()))


_SOFT_DELETE_KINDS = {"is_deleted": (Kind.BOOL,), "deleted_at": (Kind.TIMESTAMPTZ, Kind.TIMESTAMP)}


def table_spec(table: Table, given_key: Sequence[str] = ()) -> TableSpec:
    """Describe a table; generated columns and the ORM's sentinel are no data. `given_key` is used instead of its own.

    Its own is the primary key, or else a unique key without NULLs, or what `KEY` in the table's `info` names. A table
    that was found in a database, with decimals without a precision in its key, is taken for one without.

    Raises:
        UnknownNameError: the given key has a column that the table does not have.
        ConfigurationError: a decimal without a precision, which engines write differently, is part of the key.
    """
    data = [c for c in table.columns if c.name != SENTINEL and not isinstance(c.computed, Computed)]
    columns, unique_keys = tuple(_column(c) for c in data), _unique_keys(table)
    for name in given_key:
        if name not in {column.name for column in columns}:
            raise UnknownNameError("column", name, [column.name for column in columns], table.fullname)
    key = tuple(given_key) or _key(table, unique_keys)
    is_own = not given_key and REFLECTED in table.info
    for column in columns:
        if column.name in key and column.type.is_free_decimal and is_own:
            key = ()
        elif column.name in key and column.type.is_free_decimal:
            raise ConfigurationError(
                f"{table.fullname}.{column.name} is a key of decimals without a precision of at most "
                f"{MAX_DECIMAL_DIGITS} digits: engines differ in them.",
                f"Give it one, such as Numeric(20, 4), or leave the table out: --exclude {shell(table.fullname)}.",
            )
    return TableSpec(
        name=table.fullname,
        columns=columns,
        key=key,
        unique_keys=unique_keys,
        foreign_keys=tuple(_foreign_key(c) for c in _constraints(table)),
        table=table,
    )


def generated_columns(table: Table) -> tuple[ColumnSpec, ...]:
    """The columns whose values the database generates, which are no data."""
    return tuple(
        _column(each) for each in table.columns if isinstance(each.computed, Computed) and each.key == each.name
    )


def _column(column: Column[Any]) -> ColumnSpec:
    where = f"{column.table.fullname}.{column.name}"
    if column.key != column.name:
        raise ConfigurationError(
            f"{where} goes by the key {column.key!r} in its table, and is not found by its name.",
            f"Leave the key out, or the table: --exclude {shell(column.table.fullname)}.",
        )
    return ColumnSpec(column.name, logical_type(column.type), bool(column.nullable), column.type)


def _unique_keys(table: Table) -> tuple[tuple[str, ...], ...]:
    constraints = {tuple(c.name for c in u.columns) for u in table.constraints if isinstance(u, UniqueConstraint)}
    indexes = {
        tuple(c.name for c in index.columns)
        for index in table.indexes
        if index.unique
        and not _is_partial(index.dialect_kwargs)
        and all(isinstance(expression, Column) for expression in index.expressions)
    }
    return tuple(sorted(constraints | indexes))


def _is_partial(options: Iterable[str]) -> bool:
    return any(name.endswith("_where") for name in options)


def _key(table: Table, unique_keys: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """What identifies a table's rows; nothing if they cannot be told apart."""
    found = tuple(table.info.get(KEY, ()))
    return next(_identities(table, unique_keys), found if set(found) <= set(table.columns.keys()) else ())


def _identities(table: Table, unique_keys: Sequence[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """The primary key, and the unique keys without NULLs."""
    if table.primary_key.columns:
        yield tuple(c.name for c in table.primary_key.columns)
    for names in unique_keys:
        if not any(table.columns[name].nullable for name in names):
            yield names


def _constraints(table: Table) -> list[ForeignKeyConstraint]:
    return sorted(table.foreign_key_constraints, key=lambda c: [str(name) for name in c.column_keys])


def _foreign_key(constraint: ForeignKeyConstraint) -> ForeignKeySpec:
    return ForeignKeySpec(
        columns=tuple(c.name for c in constraint.columns),
        parent=constraint.referred_table.fullname,
        parent_columns=tuple(e.column.name for e in constraint.elements),
    )


def select_tables(
    metadata: MetaData,
    names: Sequence[str] = (),
    exclude: Collection[str] = (),
    keys: Mapping[str, Sequence[str]] | None = None,
) -> tuple[TableSpec, ...]:
    """The named tables, or all, without the excluded ones; each parent before its children as far as cycles allow.

    `keys` has, by table, the columns that tell its rows apart, where these are not its own key.

    Raises:
        UnknownNameError, ConfigurationError: from `choose_tables` and `table_spec`; or a key is of none of the tables.
    """
    chosen, keys = choose_tables(metadata, names, exclude), keys or {}
    for name in keys:
        if name not in {table.fullname for table in chosen}:
            raise UnknownNameError("table", name, [table.fullname for table in chosen])
    return tuple(table_spec(table, keys.get(table.fullname, ())) for table in chosen)


def without_columns(specs: Sequence[TableSpec], places: Collection[str]) -> tuple[TableSpec, ...]:
    """The tables without these columns, each given as `TABLE.COLUMN`.

    Raises:
        UnknownNameError: there is no such table or column.
        ConfigurationError: rows are told apart by it.
    """
    by_name = {spec.name: spec for spec in specs}
    for place in places:
        name, _, column = place.rpartition(".")
        if name not in by_name:
            raise UnknownNameError("table", name or place, by_name)
        if column not in by_name[name].column_names:
            raise UnknownNameError("column", column, by_name[name].column_names, name)
        if column in by_name[name].key:
            raise ConfigurationError(
                f"{place} is part of the key, by which rows are told apart.", "Name another key: --key TABLE:COL,COL."
            )
    return tuple(
        spec.project(name for name in spec.column_names if f"{spec.name}.{name}" not in places) if places else spec
        for spec in specs
    )


def choose_tables(metadata: MetaData, names: Sequence[str] = (), exclude: Collection[str] = ()) -> tuple[Table, ...]:
    """What `select_tables` describes, whether it can be described or not.

    Raises:
        UnknownNameError: a name that the metadata does not hold, or an exclusion of none of the named tables.
        ConfigurationError: all of them are excluded.
    """
    for name in names:
        if name not in metadata.tables:
            raise UnknownNameError("table", name, metadata.tables)
    for name in exclude:
        if name not in (names or metadata.tables):
            raise UnknownNameError("table", name, names or metadata.tables)
    chosen = [t for t in _ordered(metadata) if not names or t.fullname in names]
    left = tuple(t for t in chosen if t.fullname not in exclude)
    if exclude and not left:
        raise ConfigurationError("No table is left: all of them are excluded.", "Leave out an --exclude.")
    return left


def usable_tables(metadata: MetaData) -> tuple[tuple[TableSpec, ...], tuple[ConfigurationError, ...]]:
    """All tables that can be worked on, in the order of `select_tables`; and why others cannot."""
    specs, refusals = [], []
    for table in _ordered(metadata):
        try:
            specs.append(table_spec(table))
        except ConfigurationError as error:
            refusals.append(error)
    return tuple(specs), tuple(refusals)


def _ordered(metadata: MetaData) -> list[Table]:
    """Parents first; foreign keys of tables that depend on one another in a circle do not count."""
    tables = metadata.tables.values()
    circle = circles({table: {each.referred_table for each in table.foreign_key_constraints} for table in tables})

    def is_in_circle(key: ForeignKeyConstraint) -> bool | None:
        return True if circle[key.table] == circle[key.referred_table] else None

    return [table for table, _ in _sorted(tables, is_in_circle) if table is not None]


# By table, a condition in the database's own SQL, or several that hold together.
Conditions = Mapping[str, str | Sequence[str]]


def bracketed(condition: str) -> str:
    """A user's condition as one term; the line break ends a comment that it may end with."""
    return f"({condition}\n)"


def narrowed(
    specs: Sequence[TableSpec], where: Conditions, where_source: Conditions | None = None
) -> tuple[TableSpec, ...]:
    """The tables, each with its conditions, in an order that does not depend on how they were given.

    Raises:
        UnknownNameError: a condition names none of the tables.
    """
    names = {spec.name for spec in specs}
    source = where_source or {}
    for name in (*where, *source):
        if name not in names:
            raise UnknownNameError("table", name, names)
    return tuple(
        replace(spec, conditions=_each(where.get(spec.name, ())), source_conditions=_each(source.get(spec.name, ())))
        for spec in specs
    )


def _each(conditions: str | Sequence[str]) -> tuple[str, ...]:
    return (conditions,) if isinstance(conditions, str) else tuple(sorted(set(conditions)))


def children_of(spec: TableSpec) -> tuple[TableSpec, ...]:
    """The tables with a foreign key to this one, by no more than their keys and the columns that point.

    Those whose rows cannot be told apart have a key of no columns.
    """
    return tuple(
        child_by(table)
        for table in spec.table.metadata.tables.values()
        if any(c.referred_table is spec.table for c in table.foreign_key_constraints)
    )


def child_by(table: Table, columns: Iterable[str] = ()) -> TableSpec:
    """A table by no more than its key, the columns that point at others, and these."""
    key = _key(table, _unique_keys(table))
    foreign_keys = tuple(_foreign_key(c) for c in _constraints(table))
    names = {*key, *columns, *(name for foreign_key in foreign_keys for name in foreign_key.columns)}
    found = tuple(_column(c) for c in table.columns if c.name in names)
    return TableSpec(table.fullname, found, key, (), foreign_keys, table)


_sorted: Callable[
    [Iterable[Table], Callable[[ForeignKeyConstraint], bool | None]], list[tuple[Table | None, object]]
] = sort_tables_and_constraints


def in_cycle(specs: Sequence[TableSpec]) -> frozenset[str]:
    """Tables with a foreign key to a table that comes later: their rows can only be checked at the end."""
    place = {spec.name: number for number, spec in enumerate(specs)}
    return frozenset(
        spec.name for spec in specs for fk in spec.foreign_keys if place.get(fk.parent, -1) > place[spec.name]
    )
