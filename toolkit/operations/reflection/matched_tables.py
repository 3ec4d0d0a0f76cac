"""Two databases that both have tables: which of them, and which of their columns, are the same, and of which type.

A table is made of those columns that both have, under the source's names. What the target demands of its rows (keys,
NOT NULL, foreign keys) counts. Types are the target's, unless its columns hold values of any type (SQLite's), or its
type is just what would be made there of the source's (text for `inet`): then they are the source's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from msgspec import Struct, field

from toolkit.core.engine_type import EngineType, StorageType
from toolkit.core.schema import Note, Schema
from toolkit.core.tables import POINTS, ForeignKeySpec
from toolkit.core.types import Kind, logical_type
from toolkit.engines.contract import Connection
from toolkit.engines.portable.type_texts import type_text
from toolkit.engines.registry import engine_of_dialect


class Side(Struct, frozen=True):
    """A database's tables, beside the connection that they were found by."""

    connection: Connection
    schema: Schema

    @property
    def tables(self) -> Mapping[str, sa.Table]:
        """By their full names."""
        return self.schema.metadata.tables


class Pair(Struct, frozen=True):
    """A table of both, and by the source's names, its columns that both have, and those that both generate."""

    source: sa.Table
    target: sa.Table
    columns: Mapping[str, sa.Column[Any]]
    computed: Mapping[str, sa.Column[Any]]

    @property
    def only_in_source(self) -> tuple[str, ...]:
        """The source's columns that the target lacks, without generated ones."""
        others = (each for each in self.source.columns if each.name not in self.columns and each.computed is None)
        return tuple(each.name for each in others)

    @property
    def computed_in_target(self) -> frozenset[str]:
        """Those of them that the target has, but computes."""
        names = {each.name.casefold() for each in self.target.columns if each.computed is not None}
        return frozenset(name for name in self.only_in_source if name.casefold() in names)

    @property
    def only_in_target(self) -> tuple[str, ...]:
        """The target's columns that the source lacks."""
        known = {each.name for each in self.columns.values()}
        return tuple(each.name for each in self.target.columns if each.name not in known)


class Joined(Struct, frozen=True):
    """The tables of both in one metadata, under the source's names; of those of one side, as that has them."""

    metadata: sa.MetaData
    pairs: Sequence[Pair]
    renames: Mapping[str, str] = field(default_factory=dict)
    """By the source's name of a table or column, the target's, where it is another."""
    only_in_source: tuple[str, ...] = ()
    only_in_target: tuple[str, ...] = ()


def joined(
    source: Side,
    target: Side,
    rename: Mapping[str, str],
    exclude: Collection[str] = (),
    exclude_columns: Collection[str] = (),
) -> Joined:
    """The tables of two databases as one schema, without those to `exclude`; `rename` is the user's."""
    tables = _matched(
        {name: _parts(table) for name, table in source.tables.items() if name not in exclude},
        {name: _parts(table) for name, table in target.tables.items()},
        rename,
    )
    pairs = [_pair(source.tables[own], target.tables[other], rename, exclude_columns) for own, other in tables.items()]
    metadata = sa.MetaData()
    for pair in pairs:
        _add(metadata, pair, _Types(source, target))
    _add_foreign_keys(metadata, pairs)
    _note_sources_keys(metadata, pairs)
    ours = tuple(name for name in source.tables if name not in tables and name not in exclude)
    matched = set(tables.values())
    theirs = tuple(name for name in target.tables if name not in matched and name not in exclude)
    for side, names in ((source, ours), (target, theirs)):
        for name in names:
            if name not in metadata.tables:
                _copy(side.tables[name], metadata)
    return Joined(metadata, pairs, dict(_renames(pairs)), ours, theirs)


def without_zone(found: Joined, target: Connection) -> Iterator[Note]:
    """Of times with a zone, those that columns of the target keep without one."""
    if not target.capabilities.has_strict_types:
        return
    for pair in found.pairs:
        table = found.metadata.tables[pair.source.fullname]
        for own, other in pair.columns.items():
            type_ = logical_type(table.c[own].type)
            if type_.kind == Kind.TIMESTAMPTZ and logical_type(other.type).kind == Kind.TIMESTAMP:
                text = other.info.get("declared") or type_text(other.type, target.sqlalchemy.dialect)
                yield Note(pair.source.fullname, f"type {type_}", f"It is {text} there, in UTC.", own)


def _parts(table: sa.Table) -> tuple[str | None, str]:
    return table.schema, table.name


def _matched(
    ours: Mapping[str, tuple[str | None, str]],
    theirs: Mapping[str, tuple[str | None, str]],
    rename: Mapping[str, str],
) -> dict[str, str]:
    """By our names, theirs: as the user says, else the same, else the same but for case, if one alone is."""
    found = {name: rename[name] for name in ours if rename.get(name) in theirs}
    found |= {name: name for name in ours if name in theirs and name not in found and name not in rename}
    taken = set(found.values())
    left = [name for name in ours if name not in found and name not in rename]
    free = [name for name in theirs if name not in taken]
    for name in left:
        same = [other for other in free if _in_any_case(theirs[other]) == _in_any_case(ours[name])]
        rivals = [other for other in left if _in_any_case(ours[other]) == _in_any_case(ours[name])]
        if len(same) == len(rivals) == 1:
            found[name] = same[0]
    return {name: found[name] for name in ours if name in found}


def _in_any_case(place: tuple[str | None, str]) -> tuple[str | None, str]:
    return place[0], place[1].casefold()


def _pair(source: sa.Table, target: sa.Table, rename: Mapping[str, str], exclude_columns: Collection[str]) -> Pair:
    own = f"{source.fullname}."
    named = {
        place.removeprefix(own): other.rpartition(".")[2] for place, other in rename.items() if place.startswith(own)
    }
    # What the source computes may be a plain column of the target, which keeps it as any other value.
    ours: dict[str, tuple[str | None, str]] = {
        each.name: (None, each.name) for each in source.columns if f"{own}{each.name}" not in exclude_columns
    }
    theirs: dict[str, tuple[str | None, str]] = {
        each.name: (None, each.name) for each in target.columns if each.computed is None
    }
    computed = {each.name: (None, each.name) for each in target.columns if each.computed is not None}
    generated = {name: place for name, place in ours.items() if source.c[name].computed is not None}
    return Pair(
        source,
        target,
        {name: target.c[other] for name, other in _matched(ours, theirs, named).items()},
        {name: target.c[other] for name, other in _matched(generated, computed, named).items()},
    )


class _Types(Struct, frozen=True):
    """Of which type a column is, that two databases have."""

    source: Side
    target: Side

    def of(self, own: sa.Column[Any], other: sa.Column[Any]) -> sa.types.TypeEngine[Any]:
        """The type by which the values of both are read."""
        source, target = self.source.connection.capabilities, self.target.connection.capabilities
        if isinstance(own.type, StorageType) and isinstance(other.type, StorageType):
            return own.type.united(other.type)
        if source.has_strict_types and not target.has_strict_types:
            return self._as_declared(own, other)
        # Where there is a type of their own, UUIDs may still be digits, as SQLAlchemy keeps them.
        forms = (own.type, sa.Uuid()) if isinstance(own.type, sa.Uuid) else (own.type,)
        if {*map(self._made, forms)} & {self._made(other.type), str(other.info.get("declared")).casefold()}:
            return own.type
        return other.type

    def _as_declared(self, own: sa.Column[Any], other: sa.Column[Any]) -> sa.types.TypeEngine[Any]:
        """The source's type, where the target takes any name for one: in the form that its own declaration means."""
        declared, dialect = other.info.get("declared"), self.target.schema.dialect
        engine = engine_of_dialect(dialect)
        if engine is None or not declared or logical_type(own.type).kind not in engine.features.declarations:
            return own.type
        return EngineType(dialect, declared, like=own.type)

    def _made(self, type_: sa.types.TypeEngine[Any]) -> str:
        """What a type is in the target, or would be."""
        try:
            return type_.compile(self.target.connection.sqlalchemy.dialect).casefold()
        except sa.exc.CompileError:
            return f"none for {type_!r}"


def _add(metadata: sa.MetaData, pair: Pair, types: _Types) -> None:
    names = {other.name: own for own, other in pair.columns.items()}
    columns = [
        sa.Column(own, types.of(pair.source.c[own], other), nullable=other.nullable, autoincrement=False)
        for own, other in pair.columns.items()
    ]
    columns += [
        sa.Column(
            own, types.of(pair.source.c[own], other), sa.Computed(other.computed.sqltext if other.computed else "")
        )
        for own, other in pair.computed.items()
    ]
    keys = [[column.name for column in pair.target.primary_key]]
    unique = [*_unique(pair.target)]
    # A table that the application made without a key may have had one where it comes from.
    fallback = [column.name for column in pair.source.primary_key]
    known = [[names[each] for each in key] for key in keys if key and all(each in names for each in key)]
    whole = [[names[each] for each in key] for key in unique if all(each in names for each in key)]
    if not known and fallback and all(each in pair.columns for each in fallback):
        known = [fallback]
    sa.Table(
        pair.source.name,
        metadata,
        *columns,
        *(sa.PrimaryKeyConstraint(*key) for key in known),
        *(sa.UniqueConstraint(*key) for key in whole),
        schema=pair.source.schema,
        info=dict(pair.source.info),
    )


def _unique(table: sa.Table) -> Iterator[list[str]]:
    for each in table.constraints:
        if isinstance(each, sa.UniqueConstraint):
            yield [column.name for column in each.columns]
    for index in table.indexes:
        is_partial = any(name.endswith("_where") and value is not None for name, value in index.dialect_kwargs.items())
        if index.unique and not is_partial and all(isinstance(each, sa.Column) for each in index.expressions):
            yield [column.name for column in index.columns]


def _add_foreign_keys(metadata: sa.MetaData, pairs: Sequence[Pair]) -> None:
    """The target's, between tables and columns of both."""
    by_target = {pair.target.fullname: pair for pair in pairs}
    for pair in pairs:
        names = {other.name: own for own, other in pair.columns.items()}
        for key in pair.target.foreign_key_constraints:
            parent = by_target.get(key.referred_table.fullname)
            if parent is None:
                continue
            theirs = {other.name: own for own, other in parent.columns.items()}
            own, pointed = [each.name for each in key.columns], [each.column.name for each in key.elements]
            if all(each in names for each in own) and all(each in theirs for each in pointed):
                made = metadata.tables[parent.source.fullname]
                metadata.tables[pair.source.fullname].append_constraint(
                    sa.ForeignKeyConstraint(
                        [names[each] for each in own],
                        [made.c[theirs[each]] for each in pointed],
                        name=str(key.name) if key.name else None,
                        onupdate=key.onupdate,
                        ondelete=key.ondelete,
                        deferrable=key.deferrable,
                        initially=key.initially,
                        use_alter=key.use_alter,
                    )
                )


def _note_sources_keys(metadata: sa.MetaData, pairs: Sequence[Pair]) -> None:
    """Keep at hand what points where in the source, whether the target has foreign keys or not."""
    whole = {pair.source.fullname: pair for pair in pairs}
    for name, pair in whole.items():
        metadata.tables[name].info[POINTS] = tuple(
            ForeignKeySpec(tuple(key.column_keys), parent, tuple(each.column.name for each in key.elements))
            for key in pair.source.foreign_key_constraints
            if (parent := key.referred_table.fullname) in whole
            and {*key.column_keys} <= pair.columns.keys()
            and {each.column.name for each in key.elements} <= whole[parent].columns.keys()
        )


def _copy(table: sa.Table, metadata: sa.MetaData) -> None:
    """A table that only one side has, by its columns and keys: it is told of, or compared, never made."""
    sa.Table(
        table.name,
        metadata,
        *(sa.Column(each.name, each.type, nullable=each.nullable, autoincrement=False) for each in table.columns),
        sa.PrimaryKeyConstraint(*(each.name for each in table.primary_key)),
        schema=table.schema,
    )


def _renames(pairs: Sequence[Pair]) -> Iterator[tuple[str, str]]:
    for pair in pairs:
        if pair.source.fullname != pair.target.fullname:
            yield pair.source.fullname, pair.target.fullname
        for own, other in {**pair.columns, **pair.computed}.items():
            if own != other.name:
                yield f"{pair.source.fullname}.{own}", f"{pair.target.fullname}.{other.name}"
