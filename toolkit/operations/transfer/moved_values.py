"""Unique values that move between rows: what has to get out of the way before others may take its place.

An engine checks a unique key row by row: of two rows that exchange their values, the first would find the other's still
there. So do rows that are to be deleted only later, when nothing points at them any more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.compute.changes import compare_rows
from toolkit.core.digest import keyed_digests, row_bytes
from toolkit.core.streams import only
from toolkit.core.tables import ColumnSpec, TableSpec
from toolkit.core.types import INTEGER_KINDS, Kind

if TYPE_CHECKING:
    from toolkit.engines.contract import Connection, Table

Batches = Iterable[pa.RecordBatch]
# Shorter texts may be taken; longer ones are not needed.
_SHORTEST_TEXT = 8
_LONGEST_TEXT = 32


def temporary_unique_values(
    spec: TableSpec, held: pa.Table, incoming: Callable[[], Batches], target: Connection
) -> Iterator[tuple[tuple[str, ...], pa.Table | None]]:
    """For each unique key, rows with a value for the time between, as their key and one column.

    They are those of the target's rows with the keys `held` whose value another of the rows `incoming` takes. The value
    is NULL, or one that no row has; None in place of the rows if no column of the unique key can hold such a value.
    """
    for unique in spec.unique_keys:
        if set(unique) <= set(spec.key):
            continue
        names = dict.fromkeys((*spec.key, *unique))
        narrow = spec.without_conditions().project(names)
        repository = target.repository(narrow)
        occupied = partial(repository.read, keys=held)
        by_value = replace(narrow, key=unique)
        taken = compare_rows(by_value, _by_value(by_value, occupied()), _by_value(by_value, incoming())).changed
        if not taken.num_rows:
            continue
        column = _free_column(spec, unique)
        if column is None:
            yield unique, None
            continue
        rows = pa.Table.from_batches(only(occupied(), taken.select(list(unique))), narrow.schema)
        keys = rows.select(list(spec.key)).combine_chunks()
        yield unique, keys.append_column(column.name, _values(column, keys, repository, incoming))


def _by_value(by_value: TableSpec, batches: Batches) -> Iterator[pa.RecordBatch]:
    """The rows' unique values without NULLs, with digests that say which row each belongs to."""
    for batch in batches:
        rows = batch.select(by_value.column_names)
        for name in by_value.key:
            rows = rows.filter(rows.column(name).is_valid())
        yield keyed_digests(by_value, rows)


def _free_column(spec: TableSpec, unique: tuple[str, ...]) -> ColumnSpec | None:
    """A column of a unique key that may have another value for a while, preferably NULL."""
    columns = [spec.column(name) for name in unique if name not in spec.key]
    pointing = {name for key in spec.foreign_keys for name in key.columns}
    free = [c for c in columns if c.nullable] or [c for c in columns if c.name not in pointing and _has_room(spec, c)]
    return free[0] if free else None


def _has_room(spec: TableSpec, column: ColumnSpec) -> bool:
    if column.type.kind is Kind.TEXT:
        return _length(spec, column) >= _SHORTEST_TEXT
    return column.type.kind in INTEGER_KINDS | {Kind.UUID, Kind.BYTES}


def _length(spec: TableSpec, column: ColumnSpec) -> int:
    return min(getattr(spec.table.c[column.name].type, "length", None) or _LONGEST_TEXT, _LONGEST_TEXT)


def _values(column: ColumnSpec, keys: pa.Table, repository: Table, incoming: Callable[[], Batches]) -> pa.Array:
    """Values that no row has; those of texts and UUIDs are hashes of the row's key, so always the same."""
    type_ = column.type.arrow
    if column.nullable:
        return pa.nulls(keys.num_rows, type_)
    if column.type.kind in INTEGER_KINDS:
        top = max(pc.max(batch.column(column.name)).as_py() for batch in incoming() if batch.num_rows)
        return pa.array(repository.reserve_numbers(column.name, keys.num_rows, top), type_)
    spec = repository.spec
    key_spec = spec.project(spec.key)
    rows = [row for batch in keys.to_batches() for row in row_bytes(key_spec, batch).to_pylist()]
    hashes = [hashlib.sha256(f"toolkit {column.name} ".encode() + row) for row in rows]
    if column.type.kind is Kind.TEXT:
        return pa.array([each.hexdigest()[: _length(spec, column)] for each in hashes], type_)
    return pa.array([each.digest()[:16] for each in hashes], type_)
