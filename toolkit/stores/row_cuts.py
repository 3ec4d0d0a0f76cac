"""Rows of JSON that stand one to a line and give the same members in one order, cut into columns at once.

As `dump-data` writes them. A row is cut into frames, `{"id":`, `,"name":` and so on, and a cell behind each. Where
every frame is as expected and every cell is one JSON value, the row is an object of just these members: there is no
other way to read it. Frames and quotes are compared here, what is in a cell by whoever parses the column. Rows of 13
columns take less than half of the time that decoding them into Python objects takes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_QUOTE, _BACKSLASH, _COMMA, _BRACE, _BRACKET, _BREAK, _BLANK = b'"\\,{[\n '
_END = ord("}")
# Arrow takes 36 µs to make one of these of a Python value.
_NULL, _ABSENT, _NOTHING = pa.scalar("null"), pa.scalar(None, pa.string()), pa.scalar("")
_MARK, _SEPARATOR = pa.scalar('"'), pa.scalar(",")
# Offsets of strings in Arrow are of 32 bits.
_MOST_BYTES = 1 << 30
# Between members and behind names: as msgspec and `dump-data` write them, and as Python's own module does.
_STYLES = ((b",", b":"), (b", ", b": "))


class Cells(msgspec.Struct, frozen=True):
    """The values of one column, as they are written: strings without their quotes, `null` as NULL.

    What is no string, object or list has no quote in it.
    """

    texts: pa.Array
    quoted: np.ndarray
    """Which are strings."""
    has_escapes: bool
    """Whether a string may stand for another text."""

    @property
    def are_texts(self) -> bool:
        """Whether all are NULL or strings that stand for themselves."""
        if self.has_escapes:
            return False
        return bool(self.quoted.all() or (self.quoted | self.texts.is_null().to_numpy(zero_copy_only=False)).all())

    def written(self) -> pa.Array:
        """Each as it is in the file."""
        texts = pc.fill_null(self.texts, _NULL)
        if not self.quoted.any():
            return texts
        return pc.if_else(pa.array(self.quoted), pc.binary_join_element_wise(_MARK, texts, _MARK, _NOTHING), texts)


def decoded_cells(written: pa.Array, type_: Any) -> list[Any]:
    """The values of cells that hold JSON of this type.

    Raises:
        ValueError, msgspec.MsgspecError: some do not.
    """
    whole = pa.ListArray.from_arrays(pa.array([0, len(written)], pa.int32()), written)
    values: list[Any] = msgspec.json.decode(f"[{pc.binary_join(whole, _SEPARATOR)[0].as_py()}]", type=list[type_])
    # Each cell is at least one value or part of one that another cell ends, for which it would need a quote or bracket.
    if len(values) != len(written):
        raise ValueError("some cells are no single values")
    # Of documents, which have both, blanks between them included: each begins and ends where its cell does.
    if type_ is msgspec.Raw and list(map(len, values)) != pc.binary_length(written).to_pylist():
        raise ValueError("some cells are no single documents")
    return values


class _Frame(msgspec.Struct, frozen=True):
    """What is written in front of the values of a column."""

    name: str
    text: bytes
    is_nested: bool
    """Whether the values may be objects and lists."""


class RowCutter:
    """Cuts rows that give these columns; the values of those that are `nested` may be objects and lists."""

    def __init__(self, names: Sequence[str], nested: Collection[str]) -> None:
        self._names, self._nested = frozenset(names), frozenset(nested)
        self._is_plain = not any("\\" in msgspec.json.encode(name).decode() for name in names)

    def cut(self, text: bytes, between: bytes) -> dict[str, Cells] | None:
        """The columns of rows, each of them a line; `between` ends all lines but the last.

        None if some are of another form.

        Raises:
            UnicodeDecodeError: they are no UTF-8.
        """
        if not self._is_plain or len(text) > _MOST_BYTES:
            return None
        frames = self._frames(text.partition(between)[0])
        lines = _Lines.of(text, between) if frames else None
        if lines is None:
            return None
        if not text.isascii():
            str(text, "utf-8")
        return _Cut(lines, frames).columns()

    def _frames(self, line: bytes) -> list[_Frame]:
        """Those of the first row; none if it does not give all of the columns and nothing else."""
        try:
            members = list(msgspec.json.decode(line, type=dict[str, msgspec.Raw]))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return []
        if set(members) != self._names:
            return []
        names = [msgspec.json.encode(name) for name in members]
        comma, colon = _STYLES[line.startswith(b"{" + names[0] + _STYLES[1][1])]
        return [
            _Frame(member, (comma if number else b"{") + name + colon, member in self._nested)
            for number, (member, name) in enumerate(zip(members, names, strict=True))
        ]


class _Lines(msgspec.Struct, frozen=True):
    """Rows by their bytes, where they begin and end, and where the quotes are that no backslash takes away."""

    text: bytes
    data: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    quotes: np.ndarray
    has_escapes: bool

    @classmethod
    def of(cls, text: bytes, between: bytes) -> _Lines | None:
        data, has_escapes = np.frombuffer(text, np.uint8), b"\\" in text
        breaks = np.flatnonzero(data == _BREAK)
        # Others are in no string of JSON.
        if np.count_nonzero(data < _BLANK) != len(breaks):
            return None
        behind = len(between) - 1
        starts, ends = np.concatenate(([0], breaks + 1)), np.concatenate((breaks - behind, [len(text)]))
        if behind and (data[ends[:-1]] != _COMMA).any():
            return None
        quotes = np.flatnonzero(data == _QUOTE)
        if has_escapes:
            quotes = np.setdiff1d(quotes, _escaped(data), assume_unique=True)
        return cls(text, data, starts, ends, quotes, has_escapes)


def _escaped(data: np.ndarray) -> np.ndarray:
    """What stands behind an odd number of backslashes."""
    places = np.flatnonzero(data == _BACKSLASH)
    first = np.flatnonzero(np.concatenate(([True], np.diff(places) != 1)))
    counts = np.diff(np.concatenate((first, [len(places)])))
    behind: np.ndarray = (places[first] + counts)[counts % 2 == 1]
    return behind


class _Cut:
    """One cut of some lines, column by column from the left."""

    def __init__(self, lines: _Lines, frames: Sequence[_Frame]) -> None:
        self._lines, self._frames = lines, frames
        # The number of the next quote of each line. Beyond the last they are behind all lines.
        self._next = np.searchsorted(lines.quotes, lines.starts)
        self._quotes = np.concatenate((lines.quotes, [len(lines.text)]))
        # Of each column, from where to where its cells are, without quotes.
        self._bounds = np.empty((len(lines.starts), 2 * len(frames)), np.int32)
        self._quoted: list[np.ndarray] = []

    def columns(self) -> dict[str, Cells] | None:
        """The cells by name; None where a line is of another form."""
        lines, at = self._lines, self._lines.starts
        for number in range(len(self._frames)):
            found = self._column(number, at)
            if found is None:
                return None
            at = found
        if (at != lines.ends - 1).any() or (lines.data[at] != _END).any():
            return None
        pieces = _pieces(lines.text, self._bounds)
        return {frame.name: self._cells(pieces, number) for number, frame in enumerate(self._frames)}

    def _column(self, number: int, at: np.ndarray) -> np.ndarray | None:
        """Where the cells of a column end whose frames begin at these places; None where one does not."""
        lines, frame = self._lines, self._frames[number]
        begins = at + len(frame.text)
        if begins.max() >= len(lines.text) or not self._are_there(frame.text, at):
            return None
        first = lines.data[begins]
        quoted, next_ = first == _QUOTE, self._next + 2
        following = self._frames[number + 1].text if number + 1 < len(self._frames) else None
        # What is no string ends in front of the next frame, whose name is the next thing in quotes.
        limits = self._quote(next_)
        ends = lines.ends - 1 if following is None else limits - following.index(b'"')
        ends = np.where(quoted, self._quote(next_ + 1) + 1, ends)
        next_ = np.where(quoted, next_ + 2, next_)
        deep = np.flatnonzero((first == _BRACE) | (first == _BRACKET)) if frame.is_nested else _NOWHERE
        if following is not None and len(deep):
            ends[deep] = begins[deep] + self._lengths(begins[deep], deep, following)
            next_[deep] = np.searchsorted(lines.quotes, ends[deep])
        is_plain = ~quoted
        is_plain[deep] = False
        is_wrong = (ends - begins < 1 + quoted) | (ends > lines.ends) | (is_plain & (limits < ends))
        if is_wrong.any():
            return None
        self._bounds[:, 2 * number], self._bounds[:, 2 * number + 1] = begins + quoted, ends - quoted
        self._quoted.append(quoted)
        self._next = next_
        return ends

    def _are_there(self, part: bytes, at: np.ndarray) -> bool:
        """Whether the lines hold it at these places."""
        size = len(part)
        every = np.ndarray(len(self._lines.text) - size + 1, f"V{size}", self._lines.text, strides=(1,))
        return bool((every[at].view(np.uint8).reshape(-1, size) == np.frombuffer(part, np.uint8)).all())

    def _quote(self, numbers: np.ndarray) -> np.ndarray:
        """Where these quotes are."""
        found: np.ndarray = self._quotes[np.minimum(numbers, len(self._quotes) - 1)]
        return found

    def _lengths(self, begins: np.ndarray, rows: np.ndarray, following: bytes) -> np.ndarray:
        """How long documents are that end in front of the next frame, which none of them may hold; else -1."""
        bounds = np.column_stack((begins, self._lines.ends[rows]))
        rests = _pieces(self._lines.text, bounds).take(pa.array(np.arange(0, bounds.size, 2)))
        found: np.ndarray = pc.find_substring(rests, following.decode()).to_numpy()
        return found

    def _cells(self, pieces: pa.Array, number: int) -> Cells:
        rows, width = self._bounds.shape
        texts, quoted = pieces.take(pa.array(np.arange(rows) * width + 2 * number)), self._quoted[number]
        if not quoted.all():
            is_null = pc.and_(pc.equal(texts, _NULL), pa.array(~quoted))
            texts = pc.if_else(is_null, _ABSENT, texts)
        has_escapes = self._lines.has_escapes and pc.any(pc.match_substring(texts, "\\")).as_py() is True
        return Cells(texts, quoted, has_escapes)


_NOWHERE = np.empty(0, np.int64)


def _pieces(text: bytes, bounds: np.ndarray) -> pa.Array:
    """What is between all of these places, one after the other."""
    buffers = [None, pa.py_buffer(bounds.ravel().astype(np.int32)), pa.py_buffer(text)]
    return pa.Array.from_buffers(pa.string(), bounds.size - 1, buffers)
