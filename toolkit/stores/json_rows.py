"""The rows of a JSON file, one by one, from chunks of any size and in any layout."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import msgspec

from toolkit.core.problems import place, shown_place

T = TypeVar("T")

# What a decoder says of text that it cannot take.
REFUSALS = (msgspec.MsgspecError, ValueError, RecursionError)

# A row of more bytes is refused: it would have to be held in memory several times.
LARGEST_ROW = 128 << 20
# Of any number: a megabyte of them is a kilobyte of a compressed file.
_BLANKS = re.compile(rb"[ \t\r\n]++")
# No document is so deep, and no decoder takes one.
_MOST_LEVELS = 10_000
# Each takes half a microsecond; a row as long as one may be could have fifty times as many.
_MOST_PARTS = 5_000_000
# A string, or what opens or closes a level. An unfinished string ends the search. Possessive, because the memory of a
# way back would be a hundred times the string's.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["{}\[\]]', re.DOTALL)
# What is behind a row that another follows in its line.
_FOLLOWED = re.compile(rb"[ \t\r]*+,[ \t\r]*+\{")
_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class RowsError(Exception):
    """A file that cannot be read on; `line` is where, or another `place`."""

    def __init__(self, line: int, problem: str) -> None:
        self.line, self.problem = line, problem
        super().__init__(f"{shown_place(line)}: {problem}")


def no_utf16(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks of a file, unless it is what Excel saves as Unicode text, or PowerShell writes behind `>`.

    Raises:
        RowsError: it begins as UTF-16 does, and nothing of UTF-8.
    """
    first = next(chunks, b"")
    if first.startswith(_UTF16):
        raise RowsError(1, "the file is UTF-16 text: save it as UTF-8")
    yield first
    yield from chunks


class JsonRows(Generic[T]):
    """The objects of an array, or of lines (JSONL), each decoded by `decode`.

    What `decode` refuses is given to `refused` as it is written, with its line; reading goes on behind it. Rows that
    stand one to a line, as `dump-data` writes them, are taken many at a time: by `cut`, which makes one thing of all of
    them, if they are of a form that it takes, or else by `decode_many`, which takes an array; others take up to 20 µs a
    row more.
    """

    def __init__(
        self,
        chunks: Iterator[bytes],
        decode: Callable[[bytes], T],
        refused: Callable[[int, bytes, Exception], None],
        decode_many: Callable[[bytes], list[T]] | None = None,
        cut: Callable[[bytes, bytes], T | None] | None = None,
    ) -> None:
        self._chunks = chunks
        self._decode = decode
        self._refused = refused
        self._decode_many = decode_many
        self._cut = cut
        self._buffer = b""
        self._position = 0
        self._line = 1
        self._line_ends = _UNKNOWN
        self._tried = False
        self._is_by_lines = False
        self._rows = 0
        self._last_line = 0

    def array(self) -> Iterator[tuple[int, T]]:
        """The line and the object of each row of an array; in place of the line its `place`, if it has several.

        Raises:
            RowsError: it is no array, or ends before its end.
        """
        self._skip_bom()
        if not self._next():
            raise RowsError(self._line, "the file is empty; a JSON array is expected, [] for no rows")
        self._expect(b"[", "a JSON array of objects is expected")
        if self._next() == b"]":
            self._position += 1
        else:
            yield from self._row()
            while self._next() == b",":
                self._position += 1
                if self._next() == b"]":
                    raise RowsError(self._line, "an object is expected: the comma behind the last one has none")
                rows = self._many(b",\n", b"]")
                yield from rows or self._row()
            self._expect(b"]", "a comma or the end of the array is expected")
        if self._next():
            raise RowsError(self._line, "there is something behind the end of the array")

    def lines(self) -> Iterator[tuple[int, T]]:
        """The line and the object of each row of a file of lines.

        Raises:
            RowsError: a line is too long.
        """
        self._skip_bom()
        while self._next():
            if rows := self._many(b"\n"):
                yield from rows
                continue
            end = self._line_end()
            line = self._buffer[self._position : end]
            self._position = end
            yield from self._decoded(line.rstrip(), self._line)

    # -- elements --------------------------------------------------------------------------------------------------

    def _many(self, between: bytes, end_sign: bytes = b"") -> list[tuple[int, T]]:
        """All rows up to the last line break read so far, if each of them is a line; else none.

        `between` ends lines, but for the last. Tried once for what was read at a time. By `cut` they are made one
        thing, with the line of the first.
        """
        end = self._buffer.rfind(b"\n")
        if end <= self._position and self._is_by_lines:
            # A line that was not read to its end: the next ones are like those before, most likely.
            self._is_by_lines = False
            self._more()
            end = self._buffer.rfind(b"\n")
        if self._decode_many is None or end <= self._position or self._tried:
            return []
        self._tried = True
        text = self._buffer[self._position : end].rstrip(b", \t\r\n")
        if end_sign and text.endswith(end_sign):
            text = text[:-1].rstrip(b" \t\r\n")
        rows = self._taken(text, between)
        if not rows:
            return []
        self._is_by_lines = True
        count = text.count(b"\n") + 1
        self._position += len(text)
        self._line += count - 1
        self._rows += count
        self._last_line = self._line
        return rows

    def _taken(self, text: bytes, between: bytes) -> list[tuple[int, T]]:
        """The rows of some lines, cut or decoded; none if they are not all right, or no line each."""
        try:
            if self._cut is not None and (cut := self._cut(text, between)) is not None:
                return [(self._line, cut)]
            assert self._decode_many is not None
            rows = self._decode_many(b"[" + text.replace(b"\n", b",\n" if between == b"\n" else b"\n") + b"]")
        except REFUSALS:
            return []
        return list(enumerate(rows, self._line)) if len(rows) == text.count(b"\n") + 1 else []

    def _row(self) -> Iterator[tuple[int, T]]:
        if self._next() != b"{":
            raise RowsError(self._line, "an object is expected" if self._next() else _CUT)
        end = self._newline()
        if end >= 0:
            line = self._buffer[self._position : end].rstrip(b", \t\r")
            try:
                row = self._decode(line)
            except REFUSALS:
                pass
            else:
                self._position += len(line)
                yield self._place(self._line), row
                return
        end = self._object_end()
        text = self._buffer[self._position : end]
        self._position = end
        yield from self._decoded(text, self._place(self._line))
        self._line += text.count(b"\n")

    def _place(self, line: int) -> int:
        """Where the row is that was read up to here."""
        self._rows += 1
        is_shared = line == self._last_line or _FOLLOWED.match(self._buffer, self._position) is not None
        self._last_line = line
        return place(line, self._rows if is_shared else 0)

    def _newline(self) -> int:
        """Where this line ends, looked for once: a file may be one line of any length."""
        if self._line_ends < self._position and self._line_ends != _NOWHERE:
            self._line_ends = self._buffer.find(b"\n", self._position)
        return self._line_ends

    def _decoded(self, text: bytes, where: int) -> Iterator[tuple[int, T]]:
        try:
            row = self._decode(text)
        except REFUSALS as error:
            self._refused(where, text, error)
        else:
            yield where, row

    def _object_end(self) -> int:
        """Where the object that begins here ends."""
        depth, position, parts = 0, self._position, 0
        while True:
            for token in _TOKEN.finditer(self._buffer, position):
                sign = token[0]
                if sign == b'"':
                    position = token.start()
                    break
                position = token.end()
                depth += (sign in b"{[") - (sign in b"}]") if len(sign) == 1 else 0
                parts += 1
                if depth > _MOST_LEVELS:
                    raise RowsError(self._line, f"a row is nested deeper than {_MOST_LEVELS:,} levels")
                if parts > _MOST_PARTS:
                    raise RowsError(self._line, f"a row of more than {_MOST_PARTS:,} strings and brackets is not read")
                if not depth:
                    return position
            read = position - self._position
            if not self._more():
                raise RowsError(place(self._line, self._rows + 1 if self._line == self._last_line else 0), _OPEN)
            position = self._position + read

    def _line_end(self) -> int:
        start = self._position
        while (end := self._buffer.find(b"\n", start)) < 0:
            searched = len(self._buffer) - self._position
            if not self._more():
                return len(self._buffer)
            start = self._position + searched
        return end

    # -- characters ------------------------------------------------------------------------------------------------

    def _next(self) -> bytes:
        """The next character that is not blank, which stays; nothing at the end."""
        while True:
            size, found = len(self._buffer), _BLANKS.match(self._buffer, self._position)
            if found is not None:
                self._line += self._buffer.count(b"\n", *found.span())
                self._position = found.end()
            if self._position < size:
                return self._buffer[self._position : self._position + 1]
            if not self._more():
                return b""

    def _expect(self, sign: bytes, problem: str) -> None:
        found = self._next()
        if found != sign:
            raise RowsError(self._line, problem if found else _CUT)
        self._position += 1

    def _skip_bom(self) -> None:
        while len(self._buffer) < len(_BOM) and self._more():
            pass
        if self._buffer.startswith(_BOM):
            self._position = len(_BOM)

    def _more(self) -> bool:
        """Read on, letting go of what is behind; whether there was more.

        Of a long row as much again as there is of it: a megabyte at a time, it would be copied and searched for each.
        """
        parts = [self._buffer[self._position :]]
        missing = len(parts[0]) or 1
        if missing > LARGEST_ROW:
            raise RowsError(self._line, f"a row of more than {LARGEST_ROW >> 20} MB is not read")
        while missing > 0 and (chunk := next(self._chunks, b"")):
            parts.append(chunk)
            missing -= len(chunk)
        self._buffer = b"".join(parts)
        self._line_ends = _UNKNOWN
        self._tried = False
        self._position = 0
        return len(parts) > 1


_CUT = "the file ends before its end: it is cut off"
_OPEN = "the row that begins here has no end: a quote or a bracket is missing, or the file is cut off"
# Where a line ends: in no chunk read so far, or not looked for yet.
_NOWHERE, _UNKNOWN = -1, -2
