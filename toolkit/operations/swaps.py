"""Unique values that move between rows: what has to get out of the way before others may take its place."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.core.changes import compare_rows
from toolkit.core.digest import keyed_digests
from toolkit.core.streams import only
from toolkit.core.tables import ColumnSpec, TableSpec
from toolkit.core.types import INTEGER_KINDS, Kind

if TYPE_CHECKING:
    from toolkit.core.plan import TablePlan
    from toolkit.repositories.base import DatabaseConnection, TableRepository

Batches = Iterable[pa.RecordBatch]
# Shorter texts may be taken.
_SHORTEST = 8


def park_swapped(plan: TablePlan, incoming: Callable[[], Batches], target: DatabaseConnection) -> bool:
    """Give rows to be updated passing values where another incoming row takes theirs; whether there were any.

    For an engine checks a unique key row by row: of two rows that exchange their values, the first would find the
    other's still there. Values of columns that have no room for passing ones stay, and are refused later.
    """
    if not plan.updates:
        return False
    unique_keys = [columns for columns in plan.spec.unique_keys if columns != plan.spec.key]
    parked = [_park(plan, columns, incoming, target) for columns in unique_keys]
    return any(parked)


def _park(
    plan: TablePlan, unique: tuple[str, ...], incoming: Callable[[], Batches], target: DatabaseConnection
) -> bool:
    spec = plan.spec
    assert plan.changes is not None
    names = dict.fromkeys((*spec.key, *unique))
    held = replace(spec, columns=tuple(spec.column(name) for name in names), where=None)
    repository = target.repository(held)
    occupied = partial(repository.read, keys=plan.changes.select(list(spec.key)))
    taken = compare_rows(
        replace(held, key=unique), _by_value(held, unique, occupied()), _by_value(held, unique, incoming())
    ).changed
    room = _room(spec, unique)
    if not taken.num_rows or room is None:
        return False
    rows = pa.Table.from_batches(only(occupied(), taken.select(list(unique))), held.schema)
    passing = _passing_values(room, rows.num_rows, repository, incoming)
    repository.update_many(rows.select(list(spec.key)).append_column(room.name, passing))
    return True


def _by_value(held: TableSpec, unique: tuple[str, ...], batches: Batches) -> Iterator[pa.RecordBatch]:
    """The rows' unique values without NULLs, with digests that say which row each belongs to."""
    by_value = replace(held, key=unique)
    for batch in batches:
        rows = batch.select(held.column_names)
        for name in unique:
            rows = rows.filter(rows.column(name).is_valid())
        yield keyed_digests(by_value, rows)


def _room(spec: TableSpec, unique: tuple[str, ...]) -> ColumnSpec | None:
    """The column of a unique key that can hold a passing value, preferably NULL."""
    columns = [spec.column(name) for name in unique if name not in spec.key]
    able = [column for column in columns if column.nullable] or [c for c in columns if _has_room(spec, c)]
    return able[0] if able else None


def _has_room(spec: TableSpec, column: ColumnSpec) -> bool:
    if column.type.kind is Kind.TEXT:
        return (getattr(spec.table.c[column.name].type, "length", None) or _SHORTEST) >= _SHORTEST
    return column.type.kind in INTEGER_KINDS | {Kind.UUID, Kind.BYTES}


def _passing_values(
    column: ColumnSpec, count: int, repository: TableRepository, incoming: Callable[[], Batches]
) -> pa.Array:
    if column.nullable:
        return pa.nulls(count, column.type.arrow)
    if column.type.kind in INTEGER_KINDS:
        top = max(pc.max(batch.column(column.name)).as_py() for batch in incoming())
        return pa.array(repository.reserve_numbers(column.name, count, top), column.type.arrow)
    values = [uuid.uuid4() for _ in range(count)]
    if column.type.kind is Kind.TEXT:
        length = getattr(repository.table.c[column.name].type, "length", None)
        return pa.array([value.hex[:length] for value in values], column.type.arrow)
    return pa.array([value.bytes for value in values], column.type.arrow)
