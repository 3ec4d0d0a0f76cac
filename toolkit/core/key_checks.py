"""Checks over the keys of any number of rows, in bounded memory: twice the same, and pointing nowhere."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# What does not fit goes to a temporary directory; a million UUID keys take 32 MB.
_SETTINGS: dict[str, str | int | float | list[str]] = {
    "threads": 1,
    "preserve_insertion_order": False,
    "memory_limit": "128MB",
}


def duplicates(rows: Iterable[pa.RecordBatch], limit: int) -> list[tuple[int, int]]:
    """Pairs of lines (first, last) whose keys are equal. The batches hold key columns, then a line number."""
    with _calculator() as calculator:
        names = _collect(calculator, "rows", rows)
        if len(names) == 0:
            return []
        keys = ", ".join(names[:-1])
        # A key is NULL where the database is to make it.
        given = " AND ".join(f"{name} IS NOT NULL" for name in names[:-1])
        return calculator.execute(
            f"SELECT min({names[-1]}), max({names[-1]}) FROM rows WHERE {given} GROUP BY {keys} HAVING count(*) > 1 "
            f"ORDER BY 1 LIMIT {limit}"
        ).fetchall()


def orphans(children: Iterable[pa.RecordBatch], parents: Iterable[pa.RecordBatch], limit: int) -> list[tuple[Any, ...]]:
    """Keys of children that no parent has, each with the first line that has it; NULL points nowhere.

    The children's batches hold the columns that point, then a line number; the parents' the columns pointed at.
    """
    with _calculator() as calculator:
        names = _collect(calculator, "children", children)
        if len(names) == 0:
            return []
        others = _collect(calculator, "parents", parents)
        keys = names[:-1]
        given = " AND ".join(f"c.{name} IS NOT NULL" for name in keys)
        match = " AND ".join(f"c.{name} = p.{name}" for name in keys)
        missing = f"NOT EXISTS (FROM parents p WHERE {match})" if others else "true"
        return calculator.execute(
            f"SELECT {', '.join(keys)}, min({names[-1]}) FROM children c WHERE {given} AND {missing} "
            f"GROUP BY {', '.join(keys)} ORDER BY min({names[-1]}) LIMIT {limit}"
        ).fetchall()


@contextmanager
def _calculator() -> Iterator[DuckDBPyConnection]:
    import duckdb

    with (
        tempfile.TemporaryDirectory(prefix="toolkit-") as directory,
        duckdb.connect(config={**_SETTINGS, "temp_directory": directory}) as calculator,
    ):
        yield calculator


def _collect(calculator: DuckDBPyConnection, table: str, batches: Iterable[pa.RecordBatch]) -> list[str]:
    """Put batches into a table under positional names, dates and times as numbers; the names, none without rows."""
    names: list[str] = []
    for batch in batches:
        columns = [c.view(_number(c.type)) if pa.types.is_temporal(c.type) else c for c in batch.columns]
        incoming = pa.Table.from_arrays(columns, names=[f"c{i}" for i in range(len(columns))])
        calculator.register("incoming", incoming)
        calculator.execute(f"{f'INSERT INTO {table}' if names else f'CREATE TABLE {table} AS'} FROM incoming")
        names = incoming.column_names
    return names


def _number(type_: pa.DataType) -> pa.DataType:
    return pa.int32() if pa.types.is_date32(type_) else pa.int64()
