"""What a table is made without because its engine has no such thing, kept beside it for whoever makes it elsewhere.

A schema that goes by way of an engine without foreign keys (DuckDB's are not made), lengths of texts or decimals of any
precision comes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from msgspec import field

MEMORY = "toolkit_schema"
"""The table that it is kept in, of the name of each table and one document."""


def memory_table() -> sa.Table:
    """The table, of a metadata of its own."""
    columns = (sa.Column("name", sa.Text, primary_key=True), sa.Column("document", sa.Text, nullable=False))
    return sa.Table(MEMORY, sa.MetaData(), *columns)


class _ForeignKey(msgspec.Struct, frozen=True):
    columns: list[str]
    parent: str
    parent_columns: list[str]
    name: str | None = None
    onupdate: str | None = None
    ondelete: str | None = None
    deferrable: bool | None = None
    initially: str | None = None
    match: str | None = None


class _Remembered(msgspec.Struct, frozen=True):
    foreign_keys: list[_ForeignKey] = field(default_factory=list)
    lengths: dict[str, int] = field(default_factory=dict)
    free_decimals: list[str] = field(default_factory=list)


def remembered(tables: Sequence[sa.Table]) -> dict[str, str]:
    """A document for each of these tables that has foreign keys, lengths of texts, or decimals of any precision."""
    found = {}
    for table in tables:
        keys = sorted(table.foreign_key_constraints, key=lambda key: str(list(key.column_keys)))
        known = {str(each.name): length for each in table.columns if (length := _length(each))}
        free = [str(each.name) for each in table.columns if _is_free(each)]
        if keys or known or free:
            document = _Remembered([_kept(key) for key in keys], known, free)
            found[table.fullname] = msgspec.json.encode(document).decode()
    return found


def _length(column: sa.Column[Any]) -> int | None:
    type_: Any = column.type
    return type_.length if isinstance(type_, sa.String) and not isinstance(type_, sa.Enum) else None


def _is_free(column: sa.Column[Any]) -> bool:
    type_: Any = column.type
    is_decimal = isinstance(type_, sa.Numeric) and not isinstance(type_, sa.Float)
    return is_decimal and type_.precision is None


def _kept(key: sa.ForeignKeyConstraint) -> _ForeignKey:
    return _ForeignKey(
        [str(column.name) for column in key.columns],
        str(key.referred_table.fullname),
        [str(each.column.name) for each in key.elements],
        str(key.name) if key.name else None,
        key.onupdate,
        key.ondelete,
        key.deferrable,
        key.initially,
        key.match,
    )


def recall(metadata: sa.MetaData, documents: dict[str, str]) -> None:
    """Give tables what they were made without, as far as they still have the columns that it is of."""
    for name, document in documents.items():
        table = metadata.tables.get(name)
        if table is None:
            continue
        try:
            found = msgspec.json.decode(document, type=_Remembered)
        except msgspec.MsgspecError:
            continue
        for column, length in found.lengths.items():
            if column in table.columns:
                _lengthen(table.columns[column], length)
        for column in found.free_decimals:
            if column in table.columns and isinstance(table.columns[column].type, sa.Numeric):
                table.columns[column].type = sa.NUMERIC()
        for key in found.foreign_keys:
            _point(metadata, table, key)


def _lengthen(column: sa.Column[Any], length: int) -> None:
    if isinstance(column.type, sa.String) and not isinstance(column.type, sa.Enum) and column.type.length is None:
        column.type = sa.VARCHAR(length, collation=column.type.collation)


def _point(metadata: sa.MetaData, table: sa.Table, key: _ForeignKey) -> None:
    parent = metadata.tables.get(key.parent)
    if parent is None or not all(name in table.columns for name in key.columns):
        return
    if not all(name in parent.columns for name in key.parent_columns) or not _is_unique(parent, key.parent_columns):
        return
    there = {tuple(sorted(map(str, each.column_keys))) for each in table.foreign_key_constraints}
    if tuple(sorted(key.columns)) in there:
        return
    table.append_constraint(
        sa.ForeignKeyConstraint(
            key.columns,
            [parent.c[name] for name in key.parent_columns],
            name=key.name,
            onupdate=key.onupdate,
            ondelete=key.ondelete,
            deferrable=key.deferrable,
            initially=key.initially,
            match=key.match,
        )
    )


def _is_unique(table: sa.Table, names: Sequence[str]) -> bool:
    keys = [table.primary_key, *(each for each in table.constraints if isinstance(each, sa.UniqueConstraint))]
    unique = [{column.name for column in each.columns} for each in keys]
    unique += [{column.name for column in each.columns} for each in table.indexes if each.unique]
    return set(names) in unique
