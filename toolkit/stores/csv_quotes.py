"""Whether every quoted field of a CSV file has an end, and a separator behind it: Arrow reads on where one has not."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

_BOM = b"\xef\xbb\xbf"
_QUOTE = ord('"')


class Quotes:
    """The quotes of a file, chunk after chunk; `problem` is the first line of a field that has no end, and what it is.

    A quote that does not begin a field is a character of it.
    """

    def __init__(self, separator: str) -> None:
        between = b"\r\n" + separator.encode()
        ends = b"[" + re.escape(between) + b"]"
        field = rb'"(?:[^"]+|"")*+"(?=' + ends + rb")"
        # All that is well-formed, in one go; a field begins behind an end of another.
        self._well_formed = re.compile(rb'(?:[^"]+|(?<!' + ends + rb')"|' + field + rb")*+")
        self._whole_field = re.compile(rb'"(?:[^"]+|"")*+"(?!")')
        self._is_end = np.isin(np.arange(256), list(between))
        self._rest = b"\n"
        self._lines = 0
        self._is_first = True
        self.problem: tuple[int, str] | None = None

    def watched(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The chunks as they are, each looked through before it is passed on."""
        for chunk in chunks:
            self._look(chunk)
            yield chunk
        self._look(b"\n")
        if self.problem is None and self._rest.startswith(b'"', 1):
            self._tell("has no end: a quote is missing, or the file is cut off")

    def _look(self, chunk: bytes) -> None:
        if self.problem is not None:
            return
        text = self._rest + (chunk.removeprefix(_BOM) if self._is_first else chunk)
        self._is_first = False
        match = self._well_formed.match(text, self._regular(text))
        end = len(text) if match is None else match.end()
        # The character before what is left says whether it begins a field.
        self._lines += text.count(b"\n", 1, end)
        self._rest = text[end - 1 :]
        field = self._whole_field.match(self._rest, 1)
        if field is not None and field.end() < len(self._rest):
            self._tell("goes on behind the quote that ends it: a quote inside of one is written twice")

    def _regular(self, text: bytes) -> int:
        """Where the last quoted field begins, if all quotes before are in pairs around fields; else the beginning.

        The expression alone would take half of the time that it takes to load the file.
        """
        data = np.frombuffer(text, np.uint8)
        quotes = np.flatnonzero(data[1:] == _QUOTE) + 1
        opening, closing = quotes[::2], quotes[1::2]
        before, after = data[opening - 1], data[closing[closing + 1 < len(data)] + 1]
        begins = self._is_end[before]
        is_regular = (begins | (before == _QUOTE)).all() and (self._is_end[after] | (after == _QUOTE)).all()
        return int(opening[begins][-1]) if is_regular and begins.any() else 1

    def _tell(self, problem: str) -> None:
        self.problem = self._lines + 1, f"the quoted field that begins here {problem}"
