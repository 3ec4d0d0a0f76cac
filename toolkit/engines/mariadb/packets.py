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
_HEAD_BYTES = 4
_head = Struct("<I").unpack_from
_READ_BYTES = 1 << 18


class Packets(NamedTuple):
    """Rows of a result."""

    data: bytes
    starts: Sequence[int]
    """Where each begins."""
    ends: Sequence[int]


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
        starts: list[int] = []
        ends: list[int] = []
        position = 0
        while True:
            position = self._walk(position, most, size, starts, ends)
            if ends and self._is_last(starts[-1], ends[-1]):
                self.is_at_end = True
                self.last = bytes(self._held[starts.pop() : ends.pop()])
            if self.is_at_end or len(starts) == most or position >= size:
                break
            if not (more := self._read(_READ_BYTES)):
                raise EOFError
            self._held += more
        with memoryview(self._held) as held:
            data = bytes(held[:position])
        del self._held[:position]
        return Packets(data, starts, ends)

    def _walk(self, position: int, most: int, size: int, starts: list[int], ends: list[int]) -> int:
        """Note where whole packets begin and end, from a position on; where the next begins."""
        held = self._held
        length_of, there, begin, end = _head, len(held), starts.append, ends.append
        while position < size and len(starts) < most and position + _HEAD_BYTES <= there:
            length = length_of(held, position)[0] & _WHOLE
            following = position + _HEAD_BYTES + length
            if length == _WHOLE:
                following = self._put_together(position)
                there = len(held)
            if following > there:
                break
            begin(position + _HEAD_BYTES)
            end(following)
            position = following
        return position

    def _put_together(self, position: int) -> int:
        """Take out the heads of the packets in which one goes on; where it ends, past all bytes if it has not come."""
        held, heads, at, length = self._held, [position], position, _WHOLE
        while length == _WHOLE:
            if at + _HEAD_BYTES > len(held):
                return len(held) + 1
            length = _head(held, at)[0] & _WHOLE
            at += _HEAD_BYTES + length
            heads.append(at)
        if at > len(held):
            return at
        for head in reversed(heads[1:-1]):
            del held[head : head + _HEAD_BYTES]
        return at - _HEAD_BYTES * (len(heads) - 2)

    def _is_last(self, start: int, end: int) -> bool:
        first = self._held[start] if end > start else ERROR
        return first == ERROR or (first == _END and end - start < _SHORTEST_LONG)
