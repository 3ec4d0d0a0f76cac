"""Columns together with the types that they have in a database: by these, values are read and written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from toolkit.core.tables import ColumnSpec, TableSpec


@dataclass(frozen=True, slots=True)
class StoredColumn(ColumnSpec):
    """A column, and its type in the words of the catalogue."""

    stored_as: str = ""


def as_stored(spec: TableSpec, types: Mapping[str, str]) -> TableSpec:
    """The table, its columns with these types as far as they are known."""
    return replace(spec, columns=tuple(_stored(column, types) for column in spec.columns))


def _stored(column: ColumnSpec, types: Mapping[str, str]) -> ColumnSpec:
    if column.name not in types:
        return column
    given = {each.name: getattr(column, each.name) for each in fields(ColumnSpec)}
    return StoredColumn(**given, stored_as=types[column.name])
