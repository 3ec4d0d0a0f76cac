"""Checks over the keys of any number of rows, in bounded memory: twice the same, and pointing nowhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.compute.scratch import scratch_directory

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Up to so many rows are looked at without DuckDB, of which a process is rid 0.3 s sooner than it has begun with it.
FEW_ROWS = 2000
# What does not fit goes to a temporary directory; a million UUID keys take 32 MB.
_SETTINGS: dict[str, str | int | float | list[str]] = {
    "threads": 1,
    "preserve_insertion_order": False,
    "memory_limit": "128MB",
}


class KeyChecks:
    """A calculator for such checks, for use in a `with` block."""

    def __enter__(self) -> Self:
        self._open = ExitStack()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def duplicates(self, rows: Iterable[pa.RecordBatch], limit: int) -> list[tuple[int, int]]:
        """Pairs of lines (first, last) whose keys are equal. The batches hold key columns, then a line number."""
        few, more = _beginning(rows)
        if more is None:
            return _duplicates(few)[:limit]
        names = self._collect("rows", chain(few, more))
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
        few_parents, more_parents = _beginning(parents)
        few, more = _beginning(children if more_parents else _strangers(children, few_parents))
        if more is None and more_parents is None:
            return _orphans(few, few_parents)[:limit]
        names = self._collect("children", chain(few, more or ()))
        if not names:
            return []
        keys = names[:-1]
        given = " AND ".join(f"c.{name} IS NOT NULL" for name in keys)
        match = " AND ".join(f"c.{name} = p.{name}" for name in keys)
        has_parents = self._collect("parents", chain(few_parents, more_parents or ()))
        missing = f"NOT EXISTS (FROM parents p WHERE {match})" if has_parents else "true"
        return self._calculator.execute(
            f"SELECT {', '.join(keys)}, min({names[-1]}) FROM children c WHERE {given} AND {missing} "
            f"GROUP BY {', '.join(keys)} ORDER BY min({names[-1]}) LIMIT {limit}"
        ).fetchall()

    @cached_property
    def _calculator(self) -> DuckDBPyConnection:
        import duckdb

        settings = {**_SETTINGS, "temp_directory": str(self._open.enter_context(scratch_directory()))}
        return self._open.enter_context(duckdb.connect(config=settings))

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


def are_ascending(batches: Iterable[pa.RecordBatch]) -> bool:
    """Whether each row is beyond the one before, column by column, so that no two are equal.

    So are the keys of what a dump wrote: to see it takes 0.02 µs a row, to look for equal ones 0.6 µs.
    """
    last: list[pa.RecordBatch] = []
    for batch in batches:
        if not batch.num_rows:
            continue
        rows = pa.concat_batches([*last, batch])
        is_beyond: pa.Array | None = None
        for column in reversed(rows.columns):
            values = column.cast(pa.binary()) if pa.types.is_fixed_size_binary(column.type) else column
            before, after = values.slice(0, len(values) - 1), values.slice(1)
            try:
                less = pc.less(before, after)
            except pa.ArrowNotImplementedError:
                return False
            is_beyond = less if is_beyond is None else pc.or_(less, pc.and_(pc.equal(before, after), is_beyond))
        if not pc.all(pc.fill_null(is_beyond, False), min_count=0).as_py():
            return False
        last = [batch.slice(batch.num_rows - 1)]
    return True


def _strangers(children: Iterable[pa.RecordBatch], parents: Sequence[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Of children that point by one column, those that are none of these few parents' and not NULL; else all."""
    known = pa.Table.from_batches(parents) if parents else None
    for batch in children:
        column = batch.column(0)
        is_one = known is not None and known.num_columns == 1 and known.schema.types[0] == column.type
        if known is None or not is_one or pa.types.is_nested(column.type):
            yield batch
            continue
        is_known = pc.is_in(column, known.column(0).combine_chunks())
        lost = batch.filter(pc.and_(pc.invert(is_known), column.is_valid()))
        if lost.num_rows:
            yield lost


def _beginning(batches: Iterable[pa.RecordBatch]) -> tuple[list[pa.RecordBatch], Iterator[pa.RecordBatch] | None]:
    """The first batches and the rest; no rest if these are all, and few. Of floats, NaN is not itself in Python."""
    stream, taken, count = iter(batches), [], 0
    for batch in stream:
        taken.append(batch)
        count += batch.num_rows
        if count > FEW_ROWS or any(map(pa.types.is_floating, batch.schema.types)):
            return taken, stream
    return taken, None


def _duplicates(batches: Iterable[pa.RecordBatch]) -> list[tuple[int, int]]:
    lines: dict[tuple[Any, ...], list[int]] = {}
    for *key, line in _rows(batches):
        if None not in key:
            lines.setdefault(tuple(key), []).append(line)
    return sorted((min(found), max(found)) for found in lines.values() if len(found) > 1)


def _orphans(children: Iterable[pa.RecordBatch], parents: Iterable[pa.RecordBatch]) -> list[tuple[Any, ...]]:
    known = set(_rows(parents))
    lost: dict[tuple[Any, ...], int] = {}
    for *values, line in _rows(children):
        key = tuple(values)
        if None not in key and key not in known:
            lost[key] = min(line, lost.get(key, line))
    return sorted(((*key, line) for key, line in lost.items()), key=lambda row: row[-1])


def _rows(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[Any, ...]]:
    for batch in map(comparable, batches):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def comparable(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same columns under positional names, dates and times as the numbers that `orphans` gives them back as."""
    columns = [c.view(_number(c.type)) if pa.types.is_temporal(c.type) else c for c in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=[f"c{i}" for i in range(len(columns))])


def _number(type_: pa.DataType) -> pa.DataType:
    return pa.int32() if pa.types.is_date32(type_) else pa.int64()
