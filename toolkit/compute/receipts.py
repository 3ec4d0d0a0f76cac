"""Receipts for parts of a table: they add up to what the whole would have given, in any order."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.compute.segments import SegmentedDigests, SegmentTotals, segment_numbers
from toolkit.core.digest import DIGEST_FIELD, TableDigest

if TYPE_CHECKING:
    from toolkit.compute.changes import Digested


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was found in a part: its digest, the totals of its segments if they were asked for, and what it took."""

    part: int
    digest: TableDigest
    seconds: float = 0.0
    size: int = 0
    """Bytes that were moved, as they were sent; 0 if none were."""
    totals: SegmentTotals = field(default_factory=lambda: SegmentTotals.empty(1), repr=False, compare=False)
    """Those of its segments, where they were asked for."""


def receipt(number: int, part: Digested, segments: int) -> Receipt:
    """Digest a part, by as many segments as the whole table is cut into."""
    started = time.perf_counter()
    totals = segment_totals(part, segments)
    return Receipt(number, totals.digest, time.perf_counter() - started, totals=totals)


def segment_totals(part: Digested, segments: int) -> SegmentTotals:
    """The totals of the segments of these rows, computed where they are if that can be."""
    if isinstance(part, SegmentedDigests):
        return part.segment_totals(segments)
    totals = SegmentTotals.empty(segments)
    for batch in part.row_digests():
        digests = batch.column(DIGEST_FIELD)
        totals.add(segment_numbers(digests, segments), digests)
    return totals


def within(side: Digested, count: int, segments: list[int]) -> Iterator[pa.RecordBatch]:
    """Key columns and digest of the rows in these segments of so many."""
    if isinstance(side, SegmentedDigests):
        yield from side.digests_within(count, segments)
        return
    chosen = pa.array(segments, pa.int32())
    for batch in side.row_digests() if segments else ():
        numbers = pa.array(segment_numbers(batch.column(DIGEST_FIELD), count))
        yield batch.filter(pc.is_in(numbers, chosen))
