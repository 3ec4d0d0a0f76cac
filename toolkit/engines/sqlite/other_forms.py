"""Keys that stand in another form than they are written in: one value to whoever reads them, another to SQLite."""

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
from toolkit.engines.contract import LossyCast
from toolkit.engines.portable.codec import MISFITS
from toolkit.engines.portable.lossy import ONE_FORM, OTHER_KEY
from toolkit.engines.portable.selection import bound, rows_with
from toolkit.engines.sqlite.adapters import SqliteCodec
from toolkit.errors import UnrepresentableValueError

if TYPE_CHECKING:
    from toolkit.engines.sqlite.snapshot import SqliteSnapshot

_ROWS = 32_768


def condition_of_others(connection: SqliteSnapshot, spec: TableSpec, names: Sequence[str]) -> str | None:
    """The condition of the rows of which one of these columns is in another form; None if the table has none."""
    quote = connection.sqlalchemy.dialect.identifier_preparer.quote_identifier
    found = []
    for name in names:
        cell = quote(name)
        unlike = connection.codec.adapter(spec.column(name)).unlike_written_key(cell)
        # A column without a value is in no form, and this is never unknown.
        condition = f"{cell} IS NOT NULL AND ({unlike})"
        if unlike is not None and connection.has_rows(spec.table, condition):
            found.append(f"({condition})")
    return " OR ".join(found) or None


def casts_of_others(connection: SqliteSnapshot, spec: TableSpec) -> dict[str, LossyCast]:
    """By key column, the condition of those, as what cannot be written to."""
    found = {name: condition_of_others(connection, spec, [name]) for name in spec.key}
    casts = {}
    for name, condition in found.items():
        if condition is not None:
            form = connection.codec.adapter(spec.column(name)).written_form
            casts[name] = LossyCast("", condition, OTHER_KEY, ONE_FORM.format(form))
    return casts


def stored_keys(
    connection: SqliteSnapshot, table: sa.Table, spec: TableSpec, keys: pa.Table, is_other: sa.ColumnElement[bool]
) -> Iterator[Any]:
    """Conditions of the rows with these keys, as they stand in the rows of another form.

    They are read there, since nothing says how they are written; what is held is no more than the keys.
    """
    narrow = spec.project(keys.column_names)
    cells = [connection.codec.select(column, table.c[column.name]) for column in narrow.columns]
    found: set[tuple[Any, ...]] = set()
    with connection.translated(), closing(connection.sqlalchemy.execute(sa.select(*cells).where(is_other))) as result:
        for rows in result.partitions(_ROWS):
            for batch, stored in _decoded(connection.codec, narrow, rows):
                is_wanted = pc.invert(others(batch, keys)).to_pylist()
                found.update(tuple(row) for row in compress(stored, is_wanted))
    storage = connection.codec.storage_table(spec)
    for part in bound(list(found), len(narrow.columns)):
        yield rows_with(table, storage, narrow.column_names, list(zip(*part, strict=True)))


def _decoded(
    codec: SqliteCodec, spec: TableSpec, rows: Sequence[sa.Row[Any]]
) -> Iterator[tuple[pa.RecordBatch, Sequence[sa.Row[Any]]]]:
    """Stored rows, and what they are; what cannot be read is nobody's key."""
    try:
        yield codec.decode(spec, list(zip(*rows, strict=True))), rows
    except (UnrepresentableValueError, *MISFITS):
        if len(rows) > 1:
            half = len(rows) // 2
            yield from _decoded(codec, spec, rows[:half])
            yield from _decoded(codec, spec, rows[half:])
