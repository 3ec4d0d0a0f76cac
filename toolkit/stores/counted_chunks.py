"""Chunks of a file, and how many bytes of them were read."""

from __future__ import annotations

from collections.abc import Iterator


class CountedChunks:
    """Counts the bytes of chunks as they are read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk = next(self._chunks)
        self._bytes += len(chunk)
        return chunk

    def taken(self) -> int:
        """The bytes read since the last time."""
        taken, self._bytes = self._bytes, 0
        return taken
