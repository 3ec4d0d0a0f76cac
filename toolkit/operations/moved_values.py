"""Unique values that move between rows: while the rows are changed one by one, two would have the same value."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.core.changes import Changes
from toolkit.core.digest import row_bytes, row_digests
from toolkit.core.tables import ColumnSpec, TableSpec
from toolkit.core.types import INTEGER_KINDS, Kind
from toolkit.errors import ScriptError
from toolkit.repositories.base import BATCH_ROWS

if TYPE_CHECKING:
    from toolkit.repositories.base import DatabaseConnection

_ROW, _VALUE = "toolkit_row", "toolkit_value"
_SHORTEST_TEXT = 8
_LONGEST_TEXT = 32
# Values counted down from the highest: nobody has them, and checks such as `position > 0` hold.
_HIGHEST = {Kind.INT16: 2**15 - 1, Kind.INT32: 2**31 - 1, Kind.INT64: 2**63 - 1}


def moved_values(
    spec: TableSpec, changes: Changes, source: DatabaseConnection, target: DatabaseConnection, *, waits: bool
) -> Iterator[pa.RecordBatch]:
    """Batches of a key and one other column with a value for the time between: NULL, or one that no row has.

    `waits`: the rows to be removed are there until the end.

    Raises:
        ScriptError: no column of the unique key can have such a value.
    """
    for unique in spec.unique_keys:
        if set(unique) <= set(spec.key):
            continue
        keys = _holders(spec, unique, changes, source, target, waits)
        if keys.num_rows:
            yield from _parked(spec, unique, keys)


def _holders(
    spec: TableSpec, unique: tuple[str, ...], changes: Changes,
    source: DatabaseConnection, target: DatabaseConnection, waits: bool,
) -> pa.Table:
    """The keys of the target's rows whose value another row is given while they are still there."""
    names = list(spec.key)
    changed, new = changes.changed.select(names), changes.new.select(names)
    assert changes.removed is not None
    old = _values(spec, unique, target, changed)
    wanted = _values(spec, unique, source, changed)
    if waits:
        old = pa.concat_tables([old, _values(spec, unique, target, changes.removed.select(names))])
        wanted = pa.concat_tables([wanted, _values(spec, unique, source, new)])
    # A row that keeps its value wants it too, and is in nobody's way.
    pairs = [pc.binary_join_element_wise(side.column(_ROW), side.column(_VALUE), pa.scalar(b"", pa.binary()))
             for side in (old, wanted)]
    old = old.filter(pc.invert(pc.is_in(pairs[0], pairs[1].combine_chunks())))
    held = pc.is_in(old.column(_VALUE), wanted.column(_VALUE).combine_chunks())
    return old.filter(held).select(names)


def _values(
    spec: TableSpec, unique: tuple[str, ...], side: DatabaseConnection, keys: pa.Table
) -> pa.Table:
    """Keys, and the digests of key and of unique columns, of the rows where none of these is NULL."""
    narrow = replace(spec, where=None, columns=tuple(c for c in spec.columns if c.name in {*spec.key, *unique}))
    key_spec, value_spec = (_only(spec, names) for names in (spec.key, unique))
    schema = spec.key_schema.append(pa.field(_ROW, pa.binary())).append(pa.field(_VALUE, pa.binary()))
    parts = []
    for start in range(0, keys.num_rows, BATCH_ROWS):
        for batch in side.repository(narrow).read(keys=keys.slice(start, BATCH_ROWS).combine_chunks()):
            digests = [row_digests(each, batch).cast(pa.binary()) for each in (key_spec, value_spec)]
            columns = [*(batch.column(name) for name in spec.key), *digests]
            given = pa.array([True] * batch.num_rows, pa.bool_())
            for name in unique:
                given = pc.and_(given, batch.column(name).is_valid())
            parts.append(pa.record_batch(columns, schema=schema).filter(given))
    return pa.Table.from_batches(parts, schema)


def _only(spec: TableSpec, names: tuple[str, ...]) -> TableSpec:
    return replace(spec, columns=tuple(spec.column(name) for name in names))


def _parked(spec: TableSpec, unique: tuple[str, ...], keys: pa.Table) -> Iterator[pa.RecordBatch]:
    column, value = _free_column(spec, unique)
    key_spec = _only(spec, spec.key)
    number = 0
    for batch in keys.combine_chunks().to_batches(BATCH_ROWS):
        rows = row_bytes(key_spec, batch).to_pylist()
        values = [value(number + place, row) for place, row in enumerate(rows)]
        number += batch.num_rows
        schema = spec.key_schema.append(pa.field(column.name, column.type.arrow))
        yield pa.record_batch([*batch.columns, pa.array(values, column.type.arrow)], schema=schema)


Value = Callable[[int, bytes], Any]


def _free_column(spec: TableSpec, unique: tuple[str, ...]) -> tuple[ColumnSpec, Value]:
    """A column of the unique key that may have another value for a while, and the value by a row's number and key."""
    columns = [spec.column(name) for name in unique if name not in spec.key]
    for column in columns:
        if column.nullable:
            return column, lambda _, __: None
    pointing = {name for key in spec.foreign_keys for name in key.columns}
    for column in columns:
        value = None if column.name in pointing else _unused(spec, column)
        if value is not None:
            return column, value
    raise ScriptError(
        spec.name, f"unique values of {', '.join(unique)} move between rows, and can be neither NULL nor anything else "
        "in between", "Change one of the rows by hand, then run again.",
    )


def _unused(spec: TableSpec, column: ColumnSpec) -> Value | None:
    """Values that no row has; those of texts and UUIDs are hashes of the row's key, so always the same."""
    kind = column.type.kind
    if kind in INTEGER_KINDS:
        return lambda number, _: _HIGHEST[kind] - number
    if kind is Kind.UUID:
        return lambda _, key: _hash(column, key)[:16]
    if kind is Kind.TEXT:
        length = min(getattr(spec.table.c[column.name].type, "length", None) or _LONGEST_TEXT, _LONGEST_TEXT)
        return (lambda _, key: _hash(column, key).hex()[:length]) if length >= _SHORTEST_TEXT else None
    return None


def _hash(column: ColumnSpec, key: bytes) -> bytes:
    return hashlib.sha256(f"toolkit {column.name} ".encode() + key).digest()
