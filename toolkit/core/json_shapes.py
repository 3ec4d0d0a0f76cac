"""JSON documents of few shapes, all brought to the canonical form at once.

Of an application's documents most differ in their values alone. What is left of one without them, its shape, is made
canonical once, by `render`; then the values are put where they go. On 8,192 documents of six values each that takes a
third of the time that one after the other takes. A document that is not of the plain kind (see `_plain`, `_Values`)
is left to the caller: one with an escape, a number below zero that may be zero, or that is no document at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

# Fewer documents of a shape are made one by one as fast.
_FEW = 8
# A shape with more values is left alone: each costs a column.
_MOST_VALUES = 200
# The longest number that is taken as it is written, and its range is known.
_MOST_DIGITS = 1000
# Stands for a value in a shape; no document has it outside of its strings.
_VALUE = 1
_VALUE_MARK = chr(_VALUE)
# No key has them in the shapes that are taken.
_MARK = "\ue000"
_MARKED = re.compile(f'"{_MARK}([0-9]+){_MARK}"')
_SPACED_COLON = re.compile(r"[ \t\r\n]:")

# Outside of strings: what is between values, what may be part of any of them, and what no whole number has.
_BETWEEN, _PART, _LETTER = 0, 1, 2
_KINDS = np.full(256, _LETTER, np.uint8)
_KINDS[list(b'"0123456789')] = _PART
_KINDS[list(b"{}[]:, \t\r\n")] = _BETWEEN
_QUOTE, _BACKSLASH, _BRACE, _BRACKET, _COLON, _MINUS, _POINT, _ZERO, _NINE = b'"\\{[:-.09'
_FIRST_PRINTED = 32


def shaped_documents(texts: pa.Array, render: Callable[[str], str]) -> pa.Array:
    """By `render`, of each text the canonical form; NULL for those that are to be rendered one by one.

    `texts` are strings without NULL. What `render` makes of a document must not depend on its strings and numbers.
    """
    plain = _plain(texts)
    found = _Documents(texts if plain.all() else texts.filter(pa.array(plain))).rendered(render)
    if plain.all():
        return found
    places = np.where(plain, np.cumsum(plain) - 1, 0)
    return found.take(pa.array(places, mask=~plain)) if len(found) else _none(len(texts))


def _bytes(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """The bytes of strings without NULL, and where each begins; the last number is where the last ends."""
    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, np.int32, len(texts) + 1, texts.offset * 4)
    if data is None:
        return np.empty(0, np.uint8), bounds - bounds[0]
    return np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]], bounds - bounds[0]


def _plain(texts: pa.Array) -> np.ndarray:
    """Which begin and end as objects and lists do, have no escapes, and an end of each string."""
    data, bounds = _bytes(texts)
    if not len(data):
        return np.zeros(len(texts), bool)
    starts, ends = bounds[:-1], bounds[1:]
    first, last = data[np.minimum(starts, len(data) - 1)], data[ends - 1]
    plain: np.ndarray = (ends > starts) & ((first == _BRACE) | (first == _BRACKET)) & (last == first + 2)
    quotes = np.searchsorted(np.flatnonzero(data == _QUOTE), bounds)
    plain &= np.diff(quotes) % 2 == 0
    plain[np.searchsorted(ends, np.flatnonzero(data == _BACKSLASH), side="right")] = False
    return plain


class _Runs(Struct, frozen=True):
    """Parts of the bytes, from `starts` to before `ends`."""

    starts: np.ndarray
    ends: np.ndarray

    def where(self, mask: np.ndarray) -> _Runs:
        return _Runs(self.starts[mask], self.ends[mask])

    def is_same(self, other: _Runs) -> bool:
        return bool(np.array_equal(self.starts, other.starts) and np.array_equal(self.ends, other.ends))

    @property
    def lengths(self) -> np.ndarray:
        found: np.ndarray = self.ends - self.starts
        return found


class _Documents:
    """Plain documents: their values apart from their shapes."""

    def __init__(self, texts: pa.Array) -> None:
        self._texts, self._count = texts, len(texts)
        self._data, self._bounds = _bytes(texts)
        self._kinds = _KINDS.take(self._data)
        quotes = self._data == _QUOTE
        # From the opening quote of a string to before its closing one: there are no escapes.
        self._inside = _between(quotes)
        places = np.flatnonzero(quotes)
        self._strings = _Runs(places[::2], places[1::2] + 1)

    def rendered(self, render: Callable[[str], str]) -> pa.Array:
        """The canonical forms; NULL for those of shapes that are rare or none, and with odd values."""
        tokens = self._tokens() if self._count else None
        if tokens is None:
            return _none(self._count)
        odd = self._odd(tokens)
        values = tokens.where(self._data[tokens.ends] != _COLON)
        first = np.searchsorted(values.starts, self._bounds)
        shapes, texts = self._shapes(values, first), None
        places, made = [], []
        for shape, members in _groups(shapes.dictionary_encode(), odd):
            if (template := _Template.of(shape, render)) is None:
                continue
            if template.is_canonical:
                made.append(self._documents(members))
            else:
                texts = self._written(values) if texts is None else texts
                made.append(template.filled(texts, first[members]))
            places.append(members)
        if len(made) == 1 and len(places[0]) == self._count:
            return made[0]
        return _placed(pa.concat_arrays(made), np.concatenate(places), self._count) if made else _none(self._count)

    def _documents(self, members: np.ndarray) -> pa.Array:
        return self._texts if len(members) == self._count else self._texts.take(pa.array(members))

    def _tokens(self) -> _Runs | None:
        """Strings with their quotes, and words and numbers; None where something stands right beside a string."""
        is_token = (self._kinds | self._inside) != _BETWEEN
        edges = np.flatnonzero(is_token[1:] != is_token[:-1]) + 1
        # A plain document begins and ends with structure.
        tokens = _Runs(edges[::2], edges[1::2])
        strings = tokens.where(self._data[tokens.starts] == _QUOTE)
        return tokens if strings.is_same(self._strings) else None

    def _odd(self, tokens: _Runs) -> np.ndarray:
        """Which documents have tokens that are no string, number or word, or may have another canonical form."""
        first = self._data[tokens.starts]
        is_known = (first == _QUOTE) | self._words(tokens, first) | self._numbers(tokens, first)
        controls = np.flatnonzero((self._data < _FIRST_PRINTED) & (self._inside == 1))
        odd, ends = np.zeros(self._count, bool), self._bounds[1:]
        for places in (tokens.starts[~is_known], controls):
            odd[np.searchsorted(ends, places, side="right")] = True
        return odd

    def _words(self, tokens: _Runs, first: np.ndarray) -> np.ndarray:
        found = np.zeros(len(first), bool)
        for word in (b"true", b"false", b"null"):
            likely = np.flatnonzero((first == word[0]) & (tokens.lengths == len(word)))
            letters = self._data[tokens.starts[likely, None] + np.arange(len(word))]
            found[likely[(letters == list(word)).all(axis=1)]] = True
        return found

    def _numbers(self, tokens: _Runs, first: np.ndarray) -> np.ndarray:
        """Which tokens are digits with at most one point among them, and behind a sign not zero."""
        data, starts, lengths = self._data, tokens.starts, tokens.lengths
        second = data[starts + 1]
        is_negative = (first == _MINUS) & (second > _ZERO) & (second <= _NINE)
        is_padded = (first == _ZERO) & (lengths > 1) & (second != _POINT)
        letters = np.flatnonzero((self._kinds == _LETTER) & (self._inside == 0))
        of = np.searchsorted(starts, letters, side="right") - 1
        is_sign = is_negative[of] & (letters == starts[of])
        is_point = (data[letters] == _POINT) & (letters > starts[of]) & (letters < tokens.ends[of] - 1)
        points = np.bincount(of[is_point], minlength=len(starts))
        wrong = np.bincount(of[~(is_point | is_sign)], minlength=len(starts))
        is_number: np.ndarray = (first != _QUOTE) & ~is_padded & (points <= 1) & (wrong == 0)
        return is_number & (lengths < _MOST_DIGITS)

    def _shapes(self, values: _Runs, first: np.ndarray) -> pa.Array:
        """The documents with a mark in place of each value."""
        marked, is_rest = self._data.copy(), ~self._are_values(values)
        marked[values.starts], is_rest[values.starts] = _VALUE, True
        lengths = np.concatenate(([0], np.cumsum(values.lengths)))
        return _strings(np.compress(is_rest, marked), self._bounds - lengths[first] + first)

    def _written(self, values: _Runs) -> pa.Array:
        """The values as they are written."""
        lengths = np.concatenate(([0], np.cumsum(values.lengths)))
        return _strings(np.compress(self._are_values(values), self._data), lengths)

    def _are_values(self, values: _Runs) -> np.ndarray:
        is_edge = np.zeros(len(self._data), bool)
        is_edge[values.starts] = is_edge[values.ends] = True
        return _between(is_edge).view(bool)


def _between(edges: np.ndarray) -> np.ndarray:
    """1 from each odd edge to before the next: whether the number of edges so far is odd.

    64 of them at once, each word shifted upon itself, which takes a ninth of the time of a cumulative sum.
    """
    packed = np.zeros(-(-len(edges) // 64), "<u8")
    packed.view(np.uint8)[: -(-len(edges) // 8)] = np.packbits(edges, bitorder="little")
    for bits in (1, 2, 4, 8, 16, 32):
        packed ^= packed << np.uint64(bits)
    carried = np.bitwise_xor.accumulate(packed >> np.uint64(63))
    packed[1:][carried[:-1] == 1] ^= np.uint64(2**64 - 1)
    return np.unpackbits(packed.view(np.uint8), bitorder="little", count=len(edges))


def _strings(data: np.ndarray, bounds: np.ndarray) -> pa.Array:
    buffers = [None, pa.py_buffer(bounds.astype(np.int32)), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.string(), len(bounds) - 1, buffers)


def _none(count: int) -> pa.Array:
    return pa.nulls(count, pa.string())


def _groups(shapes: pa.DictionaryArray, odd: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Each shape that many have, and who has it."""
    codes = shapes.indices.to_numpy().copy()
    codes[odd] = -1
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(shapes.dictionary) + 1))
    for code in np.flatnonzero(np.diff(bounds) >= _FEW):
        yield shapes.dictionary[int(code)].as_py(), order[bounds[code] : bounds[code + 1]]


class _Template(Struct, frozen=True):
    """The canonical form of a shape: what stands before each value and behind the last, and which value goes there."""

    between: list[str]
    order: list[int]
    is_canonical: bool
    """Whether documents of this shape are of that form as they are."""

    @classmethod
    def of(cls, shape: str, render: Callable[[str], str]) -> _Template | None:
        """None where the shape is no document's, or has too many values."""
        *parts, end = shape.split(_VALUE_MARK)
        if len(parts) > _MOST_VALUES or _MARK in shape or _SPACED_COLON.search(shape):
            return None
        text = "".join(f'{part}"{_MARK}{number}{_MARK}"' for number, part in enumerate(parts)) + end
        try:
            found = _MARKED.split(render(text))
        except ValueError:
            return None
        between, order = found[::2], [int(number) for number in found[1::2]]
        return cls(between, order, is_canonical=between == [*parts, end] and order == list(range(len(parts))))

    def filled(self, values: pa.Array, first: np.ndarray) -> pa.Array:
        """The documents whose first values these are."""
        if not self.order:
            return pa.repeat(self.between[0], len(first))
        parts: list[pa.Array | pa.Scalar] = [pa.scalar(self.between[0])]
        for number, behind in zip(self.order, self.between[1:], strict=True):
            parts += [values.take(pa.array(first + number)), pa.scalar(behind)]
        return pc.binary_join_element_wise(*parts, "")


def _placed(values: pa.Array, places: np.ndarray, count: int) -> pa.Array:
    """Each value in its place of so many; NULL elsewhere."""
    indices, absent = np.zeros(count, np.int64), np.ones(count, bool)
    indices[places], absent[places] = np.arange(len(places)), False
    return values.take(pa.array(indices, mask=absent))
