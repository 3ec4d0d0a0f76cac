"""Streams of chunks through zstd, in memory that does not grow with them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdCompressor, ZstdDecompressor, ZstdError
    from compression.zstd import compress as compressed
else:
    from backports.zstd import ZstdCompressor, ZstdDecompressor, ZstdError
    from backports.zstd import compress as compressed

_CHUNK = 1 << 20
# The fastest: what is archived is large, and read once in a while.
_LEVEL = 1
# What does not get smaller by a tenth is kept plain: photographs, videos, archives.
_WORTH = 0.9


def compress(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks as one zstd frame."""
    frame = ZstdCompressor(_LEVEL)
    for chunk in chunks:
        if content := frame.compress(chunk):
            yield content
    yield frame.flush()


def decompress(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What was compressed, in one frame or several, in chunks of a megabyte.

    Raises:
        ValueError: it is no zstd, or damaged.
    """
    frame: ZstdDecompressor | None = None
    for chunk in chunks:
        rest = chunk
        while rest:
            frame = ZstdDecompressor() if frame is None or frame.eof else frame
            yield from _decompressed(frame, rest)
            rest = frame.unused_data if frame.eof else b""
    if frame is not None and not frame.eof:
        raise ValueError("does not decompress (it ends in the middle)")


def _decompressed(frame: ZstdDecompressor, chunk: bytes) -> Iterator[bytes]:
    """What a part of a frame holds, in chunks of a megabyte."""
    while True:
        try:
            content = frame.decompress(chunk, _CHUNK)
        except ZstdError as error:
            raise ValueError(f"does not decompress ({error})") from error
        if content:
            yield content
        if frame.eof or frame.needs_input:
            return
        chunk = b""


def is_compressible(sample: bytes) -> bool:
    """Whether content that begins like this gets smaller."""
    return bool(sample) and len(compressed(sample, _LEVEL)) < _WORTH * len(sample)
