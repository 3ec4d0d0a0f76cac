"""Content on its way into a store and out of it, in chunks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from toolkit.errors import StoreError

if TYPE_CHECKING:
    from hashlib import _Hash

CHUNK_BYTES = 1 << 20


class Source:
    """Chunks on their way into a store: counted (bytes), and their own errors kept apart from the store's."""

    def __init__(self, chunks: Iterable[bytes], size: int | None, store: str, key: str) -> None:
        self.error: BaseException | None = None
        self.ended = False
        self.count = 0
        self.chunks = iter(chunks)
        self._size, self._store, self._key = size, store, key

    def take(self, count: int) -> bytes:
        """At least `count` bytes, or all."""
        taken = bytearray()
        while len(taken) <= count and not self.ended:
            taken += next(self, b"")
        return bytes(taken)

    def __iter__(self) -> Source:
        return self

    def __next__(self) -> bytes:
        try:
            chunk = next(self.chunks)
        except StopIteration:
            self.ended = True
            self._check(ended=True)
            raise
        except BaseException as error:
            self.error = error
            raise
        self.count += len(chunk)
        self._check()
        return chunk

    def _check(self, ended: bool = False) -> None:
        if self._size is None or self.count == self._size or (self.count < self._size and not ended):
            return
        self.error = StoreError(
            self._store,
            f"{self._key!r} should have {self._size} bytes, but {self.count}{'' if ended else ' and more'} came",
            "It changed while it was read, or is damaged: nothing was written. Run again.",
        )
        raise self.error


def first_bytes(chunks: Iterable[bytes], count: int) -> memoryview:
    """The first `count` bytes of what comes in chunks, or all of it."""
    taken = bytearray()
    for chunk in chunks:
        taken += chunk
        if len(taken) >= count:
            break
    return memoryview(taken)[:count]


def cut(view: memoryview) -> Iterator[bytes]:
    """A copy in chunks."""
    return (bytes(view[start : start + CHUNK_BYTES]) for start in range(0, len(view), CHUNK_BYTES))


def passing(chunks: Iterable[bytes], digest: _Hash) -> Iterator[bytes]:
    """The same chunks, each hashed as it passes."""
    for chunk in chunks:
        digest.update(chunk)
        yield chunk
