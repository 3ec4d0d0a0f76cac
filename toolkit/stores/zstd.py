"""Streams of chunks through zstd, in memory that does not grow with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

_CHUNK = 1 << 20
# What does not get smaller by a tenth is kept plain: photographs, videos, archives.
_WORTH = 0.9


def compress(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks as one zstd frame."""
    import pyarrow as pa

    sink = _Sink()
    with pa.CompressedOutputStream(pa.PythonFile(sink, "w"), "zstd") as stream:
        for chunk in chunks:
            stream.write(chunk)
            yield from sink.taken()
    yield from sink.taken()


def decompress(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What was compressed, in chunks of a megabyte.

    Raises:
        ValueError: it is no zstd, or damaged.
    """
    import pyarrow as pa

    source = _Source(chunks)
    stream = pa.CompressedInputStream(pa.PythonFile(source, "r"), "zstd")
    while True:
        try:
            content = stream.read(_CHUNK)
        except (pa.ArrowException, OSError) as error:
            if source.error is not None:
                raise source.error from None
            raise ValueError(f"does not decompress ({error})") from error
        if not content:
            return
        yield content


def is_compressible(sample: bytes) -> bool:
    """Whether content that begins like this gets smaller."""
    import pyarrow as pa

    return bool(sample) and len(pa.compress(sample, "zstd", asbytes=True)) < _WORTH * len(sample)


class _Sink:
    """A file whose content is taken away as it comes."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, content: Any) -> int:
        self._parts.append(bytes(content))
        return len(content)

    def flush(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """Nothing to close."""

    def taken(self) -> list[bytes]:
        parts, self._parts = self._parts, []
        return parts


class _Source:
    """Chunks as a file; their own error is kept, for Arrow tells it as one of its own."""

    closed = False

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.error: Exception | None = None
        self._chunks = iter(chunks)
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        while len(self._rest) < size:
            try:
                chunk = next(self._chunks, b"")
            except Exception as error:
                self.error = error
                raise
            if not chunk:
                break
            self._rest += chunk
        content, self._rest = self._rest[:size], self._rest[size:]
        return content

    def close(self) -> None:
        """Nothing to close."""
