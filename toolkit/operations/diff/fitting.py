"""Rows that are looked up by their keys and held together: so many at a time that they fit into a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from toolkit.core.batches import BATCH_ROWS

if TYPE_CHECKING:
    from toolkit.engines.contract import Table
    from toolkit.operations.transfer.converting import ConvertedRows
    from toolkit.operations.transfer.sources import RenamedRows

    Rows = Table | RenamedRows | ConvertedRows


def fitting_keys(keys: pa.Table, sides: Sequence[Rows], rows: int = BATCH_ROWS) -> Iterator[pa.Table]:
    """The keys, in their order, in parts whose rows are at most `rows` and fit into memory, or are a single one."""
    for start in range(0, keys.num_rows, rows):
        yield from _halved(keys.slice(start, rows), sides)


def _halved(keys: pa.Table, sides: Sequence[Rows]) -> Iterator[pa.Table]:
    names = [name for name in keys.column_names if name in sides[0].spec.key]
    wanted = keys.select(names).combine_chunks()
    if keys.num_rows == 1 or all(side.width(wanted) <= side.batch_bytes for side in sides):
        yield keys.combine_chunks()
        return
    half = keys.num_rows // 2
    yield from _halved(keys.slice(0, half), sides)
    yield from _halved(keys.slice(half), sides)
