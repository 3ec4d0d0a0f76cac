"""JSON documents that the decoder refuses though they are right: integers of thousands of digits, a thousand levels.

Python makes no integer of more than 4,300 digits from text, and the decoder goes no deeper than Python's stack has
room. So such a document is taken apart: its numbers, and what lies each hundred levels deep, are put aside, and for
each of them a number without meaning stands in what the decoder gets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

# PostgreSQL takes about half as many, unless it is given a larger stack.
MAX_LEVELS = 20_000
_LEVELS_AT_ONCE = 100
# A string, a number, or what opens or closes a level; a quote alone begins a string without an end. Possessive, as the
# memory of a way back would be a hundred times the string's.
_PART = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|-?\d[\d.eE+-]*+|[][{}"]', re.DOTALL | re.ASCII)
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?", re.ASCII)
_BRACKETS = {"[": 1, "{": 1, "]": -1, "}": -1}
# It reads the numbers that stand for what is put aside.
_DECODER = msgspec.json.Decoder(float_hook=lambda literal: msgspec.Raw(literal.encode()))


def levels(document: str) -> int:
    """How deep a document is nested."""
    depth = deepest = 0
    for found in _PART.finditer(document):
        depth += _BRACKETS.get(found[0], 0)
        deepest = max(deepest, depth)
    return deepest


def numbers(document: str) -> Iterator[str]:
    """The numbers of a valid document, as they are written."""
    parts = (found[0] for found in _PART.finditer(document))
    return (part for part in parts if part not in _BRACKETS and part[0] != '"')


def render_deep(document: str, number: Callable[[str], str], render: Callable[[Any], str]) -> str:
    """What `render` makes of a document's objects and lists, with its numbers as `number` writes them.

    Raises:
        ValueError: it is not valid JSON, or deeper than `MAX_LEVELS`.
    """
    aside: list[str] = []

    def put(part: str) -> str:
        aside.append(part)
        return f" {len(aside) - 1}.0 "

    def taken(found: re.Match[str]) -> str:
        return found[0] if found[0] in _BRACKETS or found[0][0] == '"' else aside[int(found[0][:-2])]

    def rendered(piece: list[str]) -> str:
        return _PART.sub(taken, render(_DECODER.decode("".join(piece))))

    pieces: list[list[str]] = [[]]
    depth = end = 0
    for found in _PART.finditer(document):
        part, step = found[0], _BRACKETS.get(found[0], 0)
        pieces[-1].append(document[end : found.start()])
        end = found.end()
        if step > 0 and depth and depth % _LEVELS_AT_ONCE == 0:
            pieces.append([])
        pieces[-1].append(part if step or part[0] == '"' else put(_checked(part, number)))
        depth += step
        if part == '"' or not 0 <= depth <= MAX_LEVELS:
            raise ValueError("is not valid JSON, or too deep")
        if step < 0 and depth and depth % _LEVELS_AT_ONCE == 0:
            pieces[-2].append(put(rendered(pieces.pop())))
    if depth:
        raise ValueError("is not valid JSON")
    return rendered([*pieces[-1], document[end:]])


def _checked(literal: str, number: Callable[[str], str]) -> str:
    if not _NUMBER.fullmatch(literal):
        raise ValueError("is not valid JSON")
    return number(literal)
