"""Rows found by keys that stand in other forms than they are written in: the same to whoever reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import compress
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from toolkit.core.streams import others
from toolkit.core.tables import TableSpec
from toolkit.engines.portable.codec import MISFITS, Codec
from toolkit.engines.portable.selection import bound, rows_with
from toolkit.engines.portable.streamed import STREAMED
from toolkit.errors import UnrepresentableValueError

if TYPE_CHECKING:
    from toolkit.engines.portable.connection import DatabaseConnection

_ROWS = 32_768


def among_others(
    connection: DatabaseConnection,
    table: sa.Table,
    spec: TableSpec,
    keys: pa.Table,
    written: Iterator[Any],
    condition: str,
) -> Iterator[Any]:
    """Conditions of the rows with these keys: as `written`, and in rows of another form, which meet a condition.

    No row is found twice: a collation may take both forms for one.
    """
    is_other: sa.ColumnElement[bool] = sa.literal_column(f"({condition})")
    for each in written:
        yield sa.and_(each, sa.not_(is_other))
    for each in _stored_keys(connection, table, spec, keys, is_other):
        yield sa.and_(each, is_other)


def _stored_keys(
    connection: DatabaseConnection, table: sa.Table, spec: TableSpec, keys: pa.Table, is_other: sa.ColumnElement[bool]
) -> Iterator[Any]:
    """Conditions of the rows with these keys, as they stand in the rows of another form.

    They are read there, since nothing says how they are written; what is held is no more than the keys.
    """
    narrow = spec.project(keys.column_names)
    cells = [connection.codec.select(column, table.c[column.name]) for column in narrow.columns]
    found: set[tuple[Any, ...]] = set()
    query = sa.select(*cells).where(is_other).execution_options(**{STREAMED: True})
    with connection.translated(), closing(connection.sqlalchemy.execute(query)) as result:
        for rows in result.partitions(_ROWS):
            for batch, stored in _decoded(connection.codec, narrow, rows):
                is_wanted = pc.invert(others(batch, keys)).to_pylist()
                found.update(tuple(row) for row in compress(stored, is_wanted))
    storage = connection.codec.storage_table(spec)
    for part in bound(list(found), len(narrow.columns)):
        yield rows_with(table, storage, narrow.column_names, list(zip(*part, strict=True)))


def _decoded(
    codec: Codec[Any], spec: TableSpec, rows: Sequence[sa.Row[Any]]
) -> Iterator[tuple[pa.RecordBatch, Sequence[sa.Row[Any]]]]:
    """Stored rows, and what they are; what cannot be read is nobody's key."""
    try:
        yield codec.decode(spec, list(zip(*rows, strict=True))), rows
    except (UnrepresentableValueError, *MISFITS):
        if len(rows) > 1:
            half = len(rows) // 2
            yield from _decoded(codec, spec, rows[:half])
            yield from _decoded(codec, spec, rows[half:])
