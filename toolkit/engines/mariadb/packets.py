"""What the server sends as the rows of a result: packets, each behind its length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from typing import NamedTuple

# What the last packet begins with: an error, or the end of all rows if it is shorter than a long value.
ERROR, _END, _SHORTEST_LONG = 0xFF, 0xFE, 9
# A packet of this length goes on in the next.
_WHOLE = 0xFFFFFF
# Three bytes of a packet's length, one of its number.
HEAD_BYTES = 4
_head = Struct("<I").unpack_from
_READ_BYTES = 1 << 18


class Packets(NamedTuple):
    """Rows of a result."""

    data: bytes
    heads: Sequence[int]
    """Where the head of each begins; the last number is where the last row ends."""


class Incoming:
    """The bytes of a result that have come."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._held = bytearray()
        self.is_at_end = False
        self.last = b""
        """The packet behind the last row, once that is passed."""

    def rows(self, most: int, size: int) -> Packets:
        """The next rows; fewer than `most` of less than `size` bytes only at the end.

        Raises:
            EOFError: there are no more bytes, and there was no end.
        """
        heads = [0]
        while True:
            self._walk(heads, most, size)
            position = heads[-1]
            if position and self._is_last(heads[-2] + HEAD_BYTES, position):
                self.is_at_end = True
                heads.pop()
                self.last = bytes(self._held[heads[-1] + HEAD_BYTES : position])
            if self.is_at_end or len(heads) > most or position >= size:
                break
            if not (more := self._read(_READ_BYTES)):
                raise EOFError
            self._held += more
        with memoryview(self._held) as held:
            data = bytes(held[:position])
        del self._held[:position]
        return Packets(data, heads)

    def _walk(self, heads: list[int], most: int, size: int) -> None:
        """Note where the heads of whole packets begin, from the last one on, which is the end of those before."""
        held, position, length_of, note = self._held, heads[-1], _head, heads.append
        there = len(held)
        for _ in range(most + 1 - len(heads)):
            if position >= size or position + HEAD_BYTES > there:
                break
            length = length_of(held, position)[0] & _WHOLE
            following = position + HEAD_BYTES + length
            if length == _WHOLE:
                following = self._put_together(position)
                there = len(held)
            if following > there:
                break
            note(following)
            position = following

    def _put_together(self, position: int) -> int:
        """Take out the heads of the packets in which one goes on; where it ends, past all bytes if it has not come."""
        held, heads, at, length = self._held, [position], position, _WHOLE
        while length == _WHOLE:
            if at + HEAD_BYTES > len(held):
                return len(held) + 1
            length = _head(held, at)[0] & _WHOLE
            at += HEAD_BYTES + length
            heads.append(at)
        if at > len(held):
            return at
        for head in reversed(heads[1:-1]):
            del held[head : head + HEAD_BYTES]
        return at - HEAD_BYTES * (len(heads) - 2)

    def _is_last(self, start: int, end: int) -> bool:
        first = self._held[start] if end > start else ERROR
        return first == ERROR or (first == _END and end - start < _SHORTEST_LONG)
