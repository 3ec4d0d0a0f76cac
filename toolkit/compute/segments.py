"""Digests of parts of a table, so that equal parts of two tables need not be compared row by row.

A row belongs to the segment that the first bits of its digest say: the same in every engine, as even for rows that look
alike as for others, and known without any more work. Of a row that was changed the two sides may have two segments, of
which both differ then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

import numpy as np
import pyarrow as pa
from msgspec import Struct

from toolkit.core.digest import DIGEST_FIELD, TableDigest, digest_schema, digest_words
from toolkit.core.streams import ended
from toolkit.core.tables import TableSpec

SEGMENT_ROWS = 64
"""Rows of a segment, about: a segment's digest takes as many bytes on the wire as that of a row."""
MOST_SEGMENTS = 1 << 16
_FEWEST_SEGMENTS = 64


@runtime_checkable
class SegmentedDigests(Protocol):
    """A side whose digests are computed elsewhere, so that it is worth while not to send them all."""

    def count(self) -> int:
        """Number of rows."""

    def segment_totals(self, count: int) -> SegmentTotals:
        """The rows and digests of so many segments."""

    def digests_within(self, count: int, segments: Collection[int]) -> Iterator[pa.RecordBatch]:
        """Key columns and digest of the rows in these segments of so many."""


@runtime_checkable
class KeptTotals(Protocol):
    """A side beside whose rows their totals are kept: none of it is read to see that it is the same as another."""

    def kept_totals(self, count: int) -> SegmentTotals | None:
        """Those of so many segments of the rows as they are now; None if they are not known."""

    def kept_digest(self) -> TableDigest | None:
        """The digest of the rows as they are now; None if it is not known."""


def segment_count(rows: int, segment_rows: int = SEGMENT_ROWS) -> int:
    """How many segments, a power of two, such a table is cut into; 1 if it is not worth while."""
    wanted = rows // segment_rows
    return 1 if wanted < _FEWEST_SEGMENTS else min(1 << (wanted - 1).bit_length(), MOST_SEGMENTS)


def segment_numbers(digests: pa.Array, count: int) -> np.ndarray:
    """The segment of each row, of so many, by the first 16 bits of its digest."""
    return (digest_words(digests).view(np.uint64) >> np.uint64(48)).astype(np.int32) & (count - 1)


class SegmentTotals(Struct, frozen=True):
    """For each segment the number of its rows and the sum of their digests' first 64 bits, modulo 2**64."""

    rows: np.ndarray
    totals: np.ndarray

    @classmethod
    def empty(cls, count: int) -> Self:
        """No rows in so many segments."""
        return cls(np.zeros(count, np.int64), np.zeros(count, np.uint64))

    @classmethod
    def of_one(cls, digest: TableDigest, count: int) -> Self:
        """All rows in the first of so many segments, where no more is asked than whether tables are equal."""
        found = cls.empty(count)
        found.rows[0], found.totals[0] = digest.rows, digest.total
        return found

    def add(self, segments: np.ndarray, digests: pa.Array) -> None:
        """Count the rows with these digests into their segments."""
        np.add.at(self.rows, segments, 1)
        np.add.at(self.totals, segments, digest_words(digests).view(np.uint64))

    def add_all(self, others: SegmentTotals) -> None:
        """Count rows in that others have counted."""
        self.rows[:] += others.rows
        self.totals[:] += others.totals

    @property
    def digest(self) -> TableDigest:
        """The digest of the table."""
        return TableDigest(int(self.rows.sum()), int(self.totals.sum()))

    def differing(self, other: SegmentTotals) -> list[int]:
        """The segments whose rows are not the same."""
        unlike = (self.rows != other.rows) | (self.totals != other.totals)
        return [int(segment) for segment in np.flatnonzero(unlike)]

    def rows_without(self, segments: Collection[int]) -> int:
        """The rows outside these segments."""
        return int(self.rows.sum()) - int(self.rows[list(segments)].sum())


class SpooledDigests:
    """The keyed digests of one side in a temporary file, and the totals of their segments."""

    def __init__(self, spec: TableSpec, batches: Iterable[pa.RecordBatch], count: int, path: Path) -> None:
        self._path, self._count = path, count
        self.totals = SegmentTotals.empty(count)
        schema = digest_schema(spec)
        with ended(batches), pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as stream:
            for batch in batches:
                digests = batch.column(DIGEST_FIELD)
                self.totals.add(segment_numbers(digests, count), digests)
                stream.write_batch(batch)

    def within(self, segments: Collection[int]) -> Iterator[pa.RecordBatch]:
        """Key columns and digest of the rows in these segments."""
        chosen = np.zeros(len(self.totals.rows), bool)
        chosen[list(segments)] = True
        with pa.OSFile(str(self._path), "rb") as file, pa.ipc.open_stream(file) as stream:
            for batch in stream:
                yield batch.filter(pa.array(chosen[segment_numbers(batch.column(DIGEST_FIELD), self._count)]))
