"""Rows of a file, so many at a time that they fit into memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self, TypeVar

from toolkit.core.batches import BATCH_BYTES

T = TypeVar("T")


class Counted:
    """Counts the bytes of chunks as they are taken."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self.bytes = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        chunk = next(self._chunks)
        self.bytes += len(chunk)
        return chunk


def parts(rows: Iterator[T], most: int, read: Counted, size: int = BATCH_BYTES) -> Iterator[list[T]]:
    """At most so many rows at a time, and no more after so many bytes were read for them."""
    part: list[T] = []
    begun = 0
    for row in rows:
        part.append(row)
        if len(part) == most or read.bytes - begun >= size:
            yield part
            part, begun = [], read.bytes
    if part:
        yield part
