"""Conditions that select rows by the values of some columns, as these are stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import pyarrow as pa
import sqlalchemy as sa

T = TypeVar("T")

# The smallest limit on bound values among the engines is SQLite's old 999.
_BOUND_VALUES = 900
# And on the parts of one union.
_UNITED = 400
NUMBER = "toolkit_number"
"""What the column of `rows_of` is called that numbers them."""


def batches_to_bind(keys: pa.Table, most: int = _BOUND_VALUES) -> Iterator[pa.RecordBatch]:
    """The keys in parts, each of no more values than one statement takes, and of no more than `most` rows."""
    step = max(1, min(most, _BOUND_VALUES // len(keys.column_names)))
    return (batch for batch in keys.to_batches(max_chunksize=step) if batch.num_rows)


def bound(rows: Sequence[T], width: int) -> Iterator[Sequence[T]]:
    """Rows of so many values each in parts, each of no more than one statement takes."""
    step = max(1, _BOUND_VALUES // width)
    return (rows[start : start + step] for start in range(0, len(rows), step))


def batches_to_unite(keys: pa.Table) -> Iterator[pa.RecordBatch]:
    """The keys in parts, each of no more than one statement can have as rows of its own."""
    return batches_to_bind(keys, _UNITED)


def rows_with(table: sa.Table, storage: sa.Table, names: Sequence[str], values: Sequence[Sequence[Any]]) -> Any:
    """The condition of the rows whose columns of these names have one of these rows of values, each a column's list."""
    if len(names) == 1:
        listed = sa.bindparam(None, values[0], storage.c[names[0]].type, expanding=True)
        return _stored(table, storage, names[0]).in_(listed)
    cells = [_stored(table, storage, name) for name in names]
    return sa.or_(*(sa.and_(*map(_equal, cells, row)) for row in zip(*values, strict=True)))


def rows_of(table: sa.Table, names: Sequence[str], values: Sequence[Sequence[Any]]) -> Any:
    """Rows of these values, each a column's list, in place of the table; the first column is each one's number."""
    # Of the table's types, by a part without rows, and bound as they are.
    typed = sa.select(sa.literal_column("-1").label(NUMBER), *(table.c[name] for name in names)).where(sa.false())
    each = (
        sa.select(
            sa.literal_column(str(number)).label(NUMBER),
            *(
                sa.bindparam(None, value, sa.types.NullType()).label(name)
                for name, value in zip(names, row, strict=True)
            ),
        )
        for number, row in enumerate(zip(*values, strict=True))
    )
    return sa.union_all(typed, *each).subquery(table.name)


def _equal(cell: Any, value: Any) -> Any:
    """Bound as it is stored: SQLAlchemy would cast a text to VARCHAR, which no enum or range of PostgreSQL's equals."""
    return cell.is_(None) if value is None else cell == sa.bindparam(None, value, cell.type)


def _stored(table: sa.Table, storage: sa.Table, name: str) -> Any:
    """The table's column compared at storage level, past its own type's processors."""
    return sa.type_coerce(table.c[name], storage.c[name].type)
