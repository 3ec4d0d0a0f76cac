"""Documents of few shapes, told to be JSON with no key twice by a regular expression for each shape: in C, undecoded.

Most documents of an application differ in their values alone. Of 1,000,000 with six values each that takes 0.3 s, where
to decode and to encode them again takes 1.9 s. What no expression tells is left to the caller. Arrow's expressions are
RE2's, which take time in proportion to the text, whatever is in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

# Of fewer, to decode each takes no longer than to make the expression.
_FEW = 16
# So many shapes are tried, as long as each is that of a share of what is left.
_MOST_SHAPES, _SHARE = 8, 1 / 16
# To make a longer expression (of some 200 values) takes longer than to decode 8,192 documents.
_LONGEST = 50_000
_MOST_LEVELS, _MOST_ELEMENTS = 20, 4

_SPACE = r"[ \t\n\r]*"
# Escapes but for U+0000 and halves of pairs, which not every engine takes.
_ESCAPES = r"[1-9a-cA-CefEF][0-9a-fA-F]{3}|0[1-9a-fA-F][0-9a-fA-F]{2}|00[1-9a-fA-F][0-9a-fA-F]|000[1-9a-fA-F]"
_STRING = rf'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u(?:{_ESCAPES})))*"'
_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"
_SCALAR = f"(?:{_STRING}|{_NUMBER}|true|false|null)"


class _UnusualError(ValueError):
    """A document without an expression."""


def of_no_shape(documents: pa.Array) -> pa.Array:
    """The row numbers of those that are not certainly documents that are the same to every engine, without NULL.

    `documents` are strings or their bytes. A key that comes twice, U+0000 or half of a pair is in none of the others.
    """
    rows = pc.indices_nonzero(documents.is_valid())
    try:
        # Of bytes this cast looks whether they are UTF-8, which an expression does not.
        rest = documents.cast(pa.binary()).cast(pa.string()).drop_null()
    except pa.ArrowInvalid:
        return rows
    for _ in range(_MOST_SHAPES):
        if len(rest) < _FEW or (pattern := _pattern(rest[0].as_py())) is None:
            break
        is_other = pc.invert(pc.match_substring_regex(rest, pattern))
        before, rows, rest = len(rows), rows.filter(is_other), rest.filter(is_other)
        if before - len(rows) < before * _SHARE:
            break
    return rows


def _pattern(document: str) -> str | None:
    """The expression of all documents of this one's shape; None where it has none, or one is long."""
    if len(document) > _LONGEST:
        return None
    try:
        return rf"\A{_SPACE}{_of(json.loads(document))}{_SPACE}\z"
    except (ValueError, RecursionError):
        return None


def _of(value: Any, level: int = 0) -> str:
    if level > _MOST_LEVELS:
        raise _UnusualError
    if isinstance(value, dict):
        members = (f"{_SPACE}{_key(key)}{_SPACE}:{_SPACE}{_of(each, level + 1)}{_SPACE}" for key, each in value.items())
        return rf"(?:\{{{','.join(_short(members)) or _SPACE}\}}|null)"
    if isinstance(value, list):
        distinct = dict.fromkeys(_of(each, level + 1) for each in value) or {_SCALAR: None}
        if len(distinct) > _MOST_ELEMENTS:
            raise _UnusualError
        element = f"(?:{'|'.join(_short(distinct))}){_SPACE}"
        return rf"(?:\[{_SPACE}(?:{element}(?:,{_SPACE}{element})*)?\]|null)"
    return _SCALAR


def _short(parts: Iterable[str]) -> Iterator[str]:
    """The same, as long as they are not too long together: with each list around it, an element stands there twice."""
    left = _LONGEST
    for part in parts:
        left -= len(part)
        if left < 0:
            raise _UnusualError
        yield part


def _key(key: str) -> str:
    # U+0000, and halves of pairs, are not: no other engine takes them.
    if not key.isprintable():
        raise _UnusualError
    return re.escape(json.dumps(key, ensure_ascii=False))
