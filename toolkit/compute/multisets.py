"""Digests of rows of two sides that have no keys -> how often each row is on one side more than on the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from toolkit.compute.changes import CALCULATOR, MEMORY, few
from toolkit.compute.scratch import scratch_directory
from toolkit.core.changes import Changes
from toolkit.core.digest import DIGEST, DIGEST_FIELD, TableDigest, sum_digests
from toolkit.core.streams import ended
from toolkit.core.workers import both

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_SCHEMA = pa.schema([pa.field(DIGEST_FIELD, DIGEST)])


def compare_multisets(
    source: Iterable[pa.RecordBatch], target: Iterable[pa.RecordBatch], memory: str = MEMORY
) -> Changes:
    """Find the rows that one side has more often than the other, by the digests that batches of it hold.

    `new` and `removed` hold the digest of each such row as often as the other side lacks it; none is `changed`.
    """
    ours, theirs = _Summed(source), _Summed(target)
    with ended(source, target):
        digests, surplus = _surplus(ours, theirs, memory)
    new, removed = (_repeated(digests, np.maximum(sign * surplus, 0)) for sign in (1, -1))
    unchanged = ours.digest.rows - new.num_rows
    return Changes(new, _SCHEMA.empty_table(), unchanged, removed.num_rows, removed, ours.digest, theirs.digest)


class _Summed:
    """The digests of batches, and the sum of those that were taken."""

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self._batches = batches
        self.digest = TableDigest()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._batches:
            digests = batch.column(DIGEST_FIELD)
            self.digest += sum_digests(digests)
            yield pa.record_batch([digests], schema=_SCHEMA)


def _surplus(
    source: Iterable[pa.RecordBatch], target: Iterable[pa.RecordBatch], memory: str
) -> tuple[pa.Array, np.ndarray]:
    """Digests in their order, and how many rows more of each the source has; fewer than none if it has fewer."""
    (few_source, source), (few_target, target) = few(source), few(target)
    if few_source is not None and few_target is not None:
        counts = Counter(digest for batch in few_source for digest in batch.column(0).to_pylist())
        counts.subtract(digest for batch in few_target for digest in batch.column(0).to_pylist())
        order = sorted(digest for digest, count in counts.items() if count)
        return pa.array(order, DIGEST), np.array([counts[digest] for digest in order], np.int64)
    import duckdb

    with (
        scratch_directory() as directory,
        duckdb.connect(config={**CALCULATOR, "memory_limit": memory, "temp_directory": str(directory)}) as calculator,
    ):
        both(partial(_collect, calculator.cursor(), "source", source), partial(_collect, calculator, "target", target))
        counted = "SELECT d, 1 AS n FROM source UNION ALL SELECT d, -1 FROM target"
        found = calculator.sql(
            f"SELECT d, sum(n)::BIGINT AS n FROM ({counted}) GROUP BY d HAVING sum(n) <> 0 ORDER BY d"
        ).to_arrow_table()
        return found.column(0).cast(DIGEST).combine_chunks(), found.column(1).to_numpy()


def _collect(calculator: DuckDBPyConnection, side: str, batches: Iterable[pa.RecordBatch]) -> None:
    calculator.execute(f"CREATE TABLE {side} (d BLOB)")
    for batch in batches:
        calculator.register(f"incoming_{side}", pa.Table.from_batches([batch]))
        calculator.execute(f"INSERT INTO {side} FROM incoming_{side}")


def _repeated(digests: pa.Array, times: np.ndarray) -> pa.Table:
    """Each digest so many times."""
    return pa.table([digests.take(pa.array(np.repeat(np.arange(len(times)), times)))], schema=_SCHEMA)
