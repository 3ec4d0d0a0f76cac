"""Checks over the keys of any number of rows, in bounded memory: twice the same, and pointing nowhere."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from itertools import chain
from typing import Any, Self

import pyarrow as pa

from toolkit.scratch import scratch_directory

# What does not fit goes to a temporary directory; a million UUID keys take 32 MB.
_SETTINGS: dict[str, str | int | float | list[str]] = {
    "threads": 1,
    "preserve_insertion_order": False,
    "memory_limit": "128MB",
}


class KeyChecks:
    """A calculator for such checks, for use in a `with` block; opening it takes longer than a check of few rows."""

    def __enter__(self) -> Self:
        import duckdb

        with ExitStack() as opening:
            directory = opening.enter_context(scratch_directory())
            settings = {**_SETTINGS, "temp_directory": str(directory)}
            self._calculator = opening.enter_context(duckdb.connect(config=settings))
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def duplicates(self, rows: Iterable[pa.RecordBatch], limit: int) -> list[tuple[int, int]]:
        """Pairs of lines (first, last) whose keys are equal. The batches hold key columns, then a line number."""
        names = self._collect("rows", rows)
        if not names:
            return []
        keys = ", ".join(names[:-1])
        # A key is NULL where the database is to make it.
        given = " AND ".join(f"{name} IS NOT NULL" for name in names[:-1])
        return self._calculator.execute(
            f"SELECT min({names[-1]}), max({names[-1]}) FROM rows WHERE {given} GROUP BY {keys} HAVING count(*) > 1 "
            f"ORDER BY 1 LIMIT {limit}"
        ).fetchall()

    def orphans(
        self, children: Iterable[pa.RecordBatch], parents: Iterable[pa.RecordBatch], limit: int
    ) -> list[tuple[Any, ...]]:
        """Keys of children that no parent has, each with the first line that has it; NULL points nowhere.

        The children's batches hold the columns that point, then a line number; the parents' the columns pointed at.
        """
        names = self._collect("children", children)
        if not names:
            return []
        keys = names[:-1]
        given = " AND ".join(f"c.{name} IS NOT NULL" for name in keys)
        match = " AND ".join(f"c.{name} = p.{name}" for name in keys)
        missing = f"NOT EXISTS (FROM parents p WHERE {match})" if self._collect("parents", parents) else "true"
        return self._calculator.execute(
            f"SELECT {', '.join(keys)}, min({names[-1]}) FROM children c WHERE {given} AND {missing} "
            f"GROUP BY {', '.join(keys)} ORDER BY min({names[-1]}) LIMIT {limit}"
        ).fetchall()

    def _collect(self, table: str, batches: Iterable[pa.RecordBatch]) -> list[str]:
        """Put batches into a table under positional names, dates and times as numbers; the names, none without rows."""
        incoming = map(comparable, batches)
        first = next(incoming, None)
        if first is None:
            return []
        stream = pa.RecordBatchReader.from_batches(first.schema, chain([first], incoming))
        self._calculator.register("incoming", stream)
        self._calculator.execute(f"CREATE OR REPLACE TABLE {table} AS FROM incoming").fetchall()
        self._calculator.unregister("incoming")
        return list(first.schema.names)


def comparable(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same columns under positional names, dates and times as the numbers that `orphans` gives them back as."""
    columns = [c.view(_number(c.type)) if pa.types.is_temporal(c.type) else c for c in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=[f"c{i}" for i in range(len(columns))])


def _number(type_: pa.DataType) -> pa.DataType:
    return pa.int32() if pa.types.is_date32(type_) else pa.int64()
