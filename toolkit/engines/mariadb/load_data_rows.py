"""Rows as the text of a LOAD DATA: tabs between fields, a line for each row, a backslash before what is neither."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# What stands for each character that would end a field, a row or an escape; the backslash first.
_ESCAPES = {b"\\": b"\\\\", b"\t": b"\\t", b"\n": b"\\n", b"\r": b"\\r", b"\x00": b"\\0", b"\x1a": b"\\Z"}
_SPECIAL = np.zeros(256, bool)
_SPECIAL[[ord(each) for each in _ESCAPES]] = True
# Made once: Arrow takes 36 µs to make one of a Python value.
_NULL, _TAB, _LINE, _NOTHING = (pa.scalar(each, pa.large_binary()) for each in (b"\\N", b"\t", b"\n", b""))


def lines_of(columns: Sequence[pa.Array]) -> pa.Array:
    """The line of each row, of columns of texts and bytes."""
    fields = [_field(column.cast(pa.large_binary())) for column in columns]
    return pc.binary_join_element_wise(pc.binary_join_element_wise(*fields, _TAB), _LINE, _NOTHING)


def content_of(lines: pa.Array) -> memoryview:
    """All lines, one behind the other."""
    content: Any = _bytes(lines)
    return memoryview(content)


def _field(texts: pa.Array) -> pa.Array:
    escaped = texts
    if _SPECIAL[_bytes(texts)].any():
        for character, escape in _ESCAPES.items():
            escaped = pc.replace_substring(escaped, character, escape)
    return escaped.fill_null(_NULL) if escaped.null_count else escaped


def _bytes(texts: pa.Array) -> np.ndarray:
    _, bounds, data = texts.buffers()
    if data is None or not len(texts):
        return np.empty(0, np.uint8)
    ends = np.frombuffer(bounds, np.int64, len(texts) + 1, texts.offset * 8)
    return np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]
