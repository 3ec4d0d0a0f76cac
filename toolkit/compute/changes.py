"""Keyed digests of two sides -> which rows are new, which changed, how many are equal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa
from msgspec import Struct
from msgspec.structs import replace

from toolkit.compute.scratch import scratch_directory
from toolkit.compute.segments import (
    SEGMENT_ROWS,
    KeptTotals,
    SegmentedDigests,
    SegmentTotals,
    SpooledDigests,
    segment_count,
)
from toolkit.core.changes import Changes
from toolkit.core.digest import DIGEST_FIELD, TableDigest, digest_schema, row_bytes, sum_digests
from toolkit.core.streams import ended
from toolkit.core.tables import TableSpec
from toolkit.core.workers import both
from toolkit.errors import UnrepresentableValueError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Digests beyond this go to a temporary file; a million rows with UUID keys take 32 MB a side.
MEMORY = "64MB"
# Rows joined at a time: what a join keeps in memory does not all go to disk.
_JOINED_ROWS = 400_000
_FEW_ROWS = 1_000
# Without these a join needs several times the memory before it goes to disk.
CALCULATOR = {"threads": 1, "preserve_insertion_order": False}


class Digested(Protocol):
    """One side of a comparison."""

    def row_digests(self) -> Iterable[pa.RecordBatch]:
        """Key columns and digest of every row."""


def compare(
    spec: TableSpec,
    source: Digested,
    target: Digested,
    memory: str = MEMORY,
    *,
    removed: bool = False,
    segment_rows: int = SEGMENT_ROWS,
) -> Changes:
    """Find by digest which rows differ; both sides are read at the same time. `removed` asks for the target's own keys.

    A side that is far away and large sends the digests of segments first, and those of rows only where they differ.
    """
    far = [side for side in (source, target) if isinstance(side, SegmentedDigests)]
    segments = segment_count(max(side.count() for side in far), segment_rows) if far else 1
    if segments == 1:
        return _compare_few(spec, source, target, memory, removed=removed)
    with scratch_directory() as directory:
        (ours, our_rows), (theirs, their_rows) = both(
            lambda: _segmented(spec, source, segments, directory / "source"),
            lambda: _segmented(spec, target, segments, directory / "target"),
        )
        return compare_totals(spec, (ours, our_rows), (theirs, their_rows), memory, removed=removed)


def _compare_few(spec: TableSpec, source: Digested, target: Digested, memory: str, *, removed: bool) -> Changes:
    """Compare by row; a side whose digest is kept is not read if the other, which is read once, has the same."""
    sides = [source, target]
    for mine in (1, 0):
        kept = _kept(sides[mine])
        if kept is None or kept.rows > SEGMENT_ROWS * _FEW_ROWS:
            continue
        found = _kept(sides[1 - mine])
        if found is None:
            found, sides[1 - mine] = _taken_digest(spec, sides[1 - mine], kept.rows)
        if found == kept:
            nothing = digest_schema(spec).empty_table()
            gone = nothing.select(list(spec.key)) if removed else None
            return Changes(nothing, nothing, kept.rows, 0, gone, kept, kept)
        break
    return compare_rows(spec, sides[0].row_digests(), sides[1].row_digests(), memory, removed=removed)


def _kept(side: Digested) -> TableDigest | None:
    return side.kept_digest() if isinstance(side, KeptTotals) else None


class _Begun(Struct, frozen=True):
    """A side of which some digests were read already."""

    batches: Iterable[pa.RecordBatch]

    def row_digests(self) -> Iterable[pa.RecordBatch]:
        """All of them, once."""
        return self.batches


def _taken_digest(spec: TableSpec, side: Digested, most: int) -> tuple[TableDigest | None, Digested]:
    """The digest of a side, None if it has more rows than that; and the same side, to be read from its start."""
    batches = iter(side.row_digests())
    taken, summed = [], _Summed(spec, batches)
    for batch in summed:
        taken.append(batch)
        if summed.digest.rows > most:
            return None, _Begun(chain(taken, batches))
    return summed.digest, _Begun(taken)


Rows = Callable[[Sequence[int]], Iterable[pa.RecordBatch]]
"""Gives key columns and digests of the rows in these segments."""


def compare_totals(
    spec: TableSpec,
    source: tuple[SegmentTotals, Rows],
    target: tuple[SegmentTotals, Rows],
    memory: str = MEMORY,
    *,
    removed: bool = False,
) -> Changes:
    """Which rows differ between sides of whose segments, as many on both, the totals are known."""
    (ours, our_rows), (theirs, their_rows) = source, target
    segments, differing = len(ours.rows), ours.differing(theirs)
    if 2 * len(differing) > segments:
        differing = list(range(segments))
    found = compare_rows(spec, our_rows(differing), their_rows(differing), memory, removed=removed)
    equal = ours.rows_without(differing)
    return replace(found, unchanged=found.unchanged + equal, source=ours.digest, target=theirs.digest)


def _segmented(spec: TableSpec, side: Digested, count: int, path: Path) -> tuple[SegmentTotals, Rows]:
    """A side's totals, and how to get the digests of the rows in some segments."""
    if isinstance(side, SegmentedDigests):
        return side.segment_totals(count), partial(side.digests_within, count)
    spooled = SpooledDigests(spec, side.row_digests(), count, path)
    return spooled.totals, spooled.within


def compare_rows(
    spec: TableSpec,
    source: Iterable[pa.RecordBatch],
    target: Iterable[pa.RecordBatch],
    memory: str = MEMORY,
    *,
    removed: bool = False,
) -> Changes:
    """Join the digests of two sides by key; both are read at the same time.

    DuckDB serves as the calculator: what does not fit into `memory` it keeps in a temporary directory. Few rows on both
    sides are compared without it, in a tenth of the 20 ms that it takes to start.
    """
    ours, theirs = _Summed(spec, source), _Summed(spec, target)
    with ended(source, target):
        found = _compared_rows(spec, ours, theirs, memory, removed=removed)
    return replace(found, source=ours.digest, target=theirs.digest)


class _Summed:
    """Batches of digests, and the sum of those that were taken.

    Raises:
        UnrepresentableValueError: a key holds NULL, as SQLite lets it.
    """

    def __init__(self, spec: TableSpec, batches: Iterable[pa.RecordBatch]) -> None:
        self._spec = spec
        self._batches = batches
        self.digest = TableDigest()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._batches:
            for name in self._spec.key:
                if batch.column(name).null_count:
                    problem = "is NULL in a row, which cannot be told apart from others"
                    raise UnrepresentableValueError(self._spec.name, f"{name}=NULL", name, problem)
            self.digest += sum_digests(batch.column(DIGEST_FIELD))
            yield batch


def _compared_rows(
    spec: TableSpec, source: Iterable[pa.RecordBatch], target: Iterable[pa.RecordBatch], memory: str, *, removed: bool
) -> Changes:
    (few_source, source), (few_target, target) = few(source), few(target)
    if few_source is not None and few_target is not None:
        found = _compared(spec, few_source, few_target, removed)
        if found is not None:
            return found
    import duckdb

    with (
        scratch_directory() as directory,
        duckdb.connect(config={**CALCULATOR, "memory_limit": memory, "temp_directory": str(directory)}) as calculator,
    ):
        total, target_rows = both(
            partial(_collect, calculator.cursor(), "source", spec, source),
            partial(_collect, calculator, "target", spec, target),
        )
        changes = _joined(calculator, spec, total, target_rows)
        return replace(changes, removed=_removed(calculator, spec)) if removed else changes


def few(batches: Iterable[pa.RecordBatch]) -> tuple[list[pa.RecordBatch] | None, Iterable[pa.RecordBatch]]:
    """The batches if they are few rows, else None; and in either case all of them, to be read from the start."""
    remaining = iter(batches)
    taken: list[pa.RecordBatch] = []
    rows = 0
    for batch in remaining:
        taken.append(batch)
        rows += batch.num_rows
        if rows > _FEW_ROWS:
            return None, chain(taken, remaining)
    return taken, taken


def _compared(
    spec: TableSpec, source: Sequence[pa.RecordBatch], target: Sequence[pa.RecordBatch], removed: bool
) -> Changes | None:
    """Compare few rows by the canonical bytes of their keys; None if keys that should be unique are not."""
    schema = digest_schema(spec)
    key_spec = spec.project(spec.key)
    ours, theirs = (pa.Table.from_batches(batches, schema) for batches in (source, target))
    digests, others = (_by_key(key_spec, batches) for batches in (source, target))
    if len(digests) < ours.num_rows or len(others) < theirs.num_rows:
        return None
    new = [row for row, key in enumerate(digests) if key not in others]
    changed = [row for row, (key, digest) in enumerate(digests.items()) if others.get(key, digest) != digest]
    gone = [row for row, key in enumerate(others) if key not in digests]
    return Changes(
        ours.take(pa.array(new, pa.int64())),
        ours.take(pa.array(changed, pa.int64())),
        len(digests) - len(new) - len(changed),
        len(gone),
        theirs.take(pa.array(gone, pa.int64())).select(list(spec.key)) if removed else None,
    )


def _by_key(key_spec: TableSpec, batches: Sequence[pa.RecordBatch]) -> dict[bytes, bytes]:
    """The digest of each row by the bytes of its key, in the order of the rows."""
    return {
        key: digest
        for batch in batches
        for key, digest in zip(
            row_bytes(key_spec, batch).to_pylist(), batch.column(DIGEST_FIELD).to_pylist(), strict=True
        )
    }


def _collect(calculator: DuckDBPyConnection, side: str, spec: TableSpec, digests: Iterable[pa.RecordBatch]) -> int:
    """Put one side's digests into a table, under positional names; the number of rows."""
    schema = digest_schema(spec)
    names = [f"c{i}" for i in range(len(schema))]
    incoming = f"incoming_{side}"
    rows = 0
    # An empty table of the right types first: the side may have no rows at all.
    calculator.register(incoming, schema.empty_table().rename_columns(names))
    calculator.execute(f"CREATE TABLE {side} AS FROM {incoming}")
    for batch in digests:
        calculator.register(incoming, pa.Table.from_batches([batch]).rename_columns(names))
        calculator.execute(f"INSERT INTO {side} FROM {incoming}")
        rows += batch.num_rows
    calculator.unregister(incoming)
    return rows


def _joined(calculator: DuckDBPyConnection, spec: TableSpec, source_rows: int, target_rows: int) -> Changes:
    schema = digest_schema(spec)
    digest = f"c{len(spec.key)}"
    match = " AND ".join(f"s.c{i} = t.c{i}" for i in range(len(spec.key)))
    fields = ", ".join(f"s.c{i}" for i in range(len(schema)))
    keys = [f"c{i}" for i in range(len(spec.key))]
    parts = 1 + max(source_rows, target_rows) // _JOINED_ROWS
    for part in range(parts):
        source, target = (
            f"(FROM {side} WHERE hash({', '.join(keys)}) % {parts} = {part})" for side in ("source", "target")
        )
        calculator.execute(
            f"{'INSERT INTO differing' if part else 'CREATE TABLE differing AS'} "
            f"SELECT {fields}, t.{digest} IS NULL AS is_new FROM {source} s LEFT JOIN {target} t ON {match} "
            f"WHERE s.{digest} IS DISTINCT FROM t.{digest}"
        )
    new = _taken(calculator, schema, "is_new")
    changed = _taken(calculator, schema, "NOT is_new")
    unchanged = source_rows - new.num_rows - changed.num_rows
    return Changes(new, changed, unchanged, target_rows - unchanged - changed.num_rows)


def _removed(calculator: DuckDBPyConnection, spec: TableSpec) -> pa.Table:
    match = " AND ".join(f"s.c{i} = t.c{i}" for i in range(len(spec.key)))
    fields = ", ".join(f"t.c{i}" for i in range(len(spec.key)))
    return _typed(
        calculator.sql(f"SELECT {fields} FROM target t ANTI JOIN source s ON {match}").to_arrow_table(), spec.key_schema
    )


def _taken(calculator: DuckDBPyConnection, schema: pa.Schema, condition: str) -> pa.Table:
    return _typed(calculator.sql(f"SELECT * EXCLUDE is_new FROM differing WHERE {condition}").to_arrow_table(), schema)


def _typed(fetched: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = [
        column.cast(pa.int64()).cast(field.type) if pa.types.is_timestamp(field.type) else column.cast(field.type)
        for column, field in zip(fetched.columns, schema, strict=True)
    ]
    return pa.table(columns, schema=schema)
