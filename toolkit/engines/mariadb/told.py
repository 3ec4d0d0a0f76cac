"""Rows as the server tells them, each as one value: PyMySQL takes longer for each value than Arrow for the whole row.

The fields of a row have separators between them; one of characters of any kind has a mark before it. `n` is NULL.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.core.tables import ColumnSpec
from toolkit.engines.mariadb.adapter import SEPARATOR
from toolkit.engines.mariadb.adapters import CODEC

_TEXT, _DIGITS = b"t", b"h"
# Arrow takes 36 µs to make one of these of a Python value.
_NULL, _NONE = pa.scalar(b"n", pa.large_binary()), pa.scalar(None, pa.large_binary())


def row_expression(columns: Sequence[tuple[ColumnSpec, str]]) -> str:
    """The expression of a whole row, of columns with their quoted names; NULL of one that is too long to be told.

    What is longer than max_allowed_packet becomes NULL, a single field, too: whether a value is NULL is asked of
    itself, and one field that is NULL makes all of the row so.
    """
    fields = (f"IF({name} IS NULL, 'n', {CODEC.adapter(column).told(name)})" for column, name in columns)
    separated = ", x'1f', ".join(fields)
    return f"CAST(CONCAT({separated}) AS BINARY)"


def batch_of(columns: Sequence[ColumnSpec], rows: Sequence[bytes], schema: pa.Schema) -> pa.RecordBatch:
    """Rows that were told, in the canonical schema.

    Raises:
        ValueError, pyarrow.ArrowException: a value is none of its column's type.
    """
    parts = pc.split_pattern(pa.array(rows, pa.large_binary()), SEPARATOR.encode())
    if pc.any(pc.not_equal(pc.list_value_length(parts), len(columns))).as_py():
        raise ValueError("rows of several forms")
    fields = parts.flatten()
    found = []
    for place, column in enumerate(columns):
        own = fields.take(np.arange(place, len(fields), len(columns)))
        found.append(CODEC.adapter(column).incoming(_texts(own)))
    return pa.record_batch(found, schema=schema)


def _texts(fields: pa.Array) -> pa.Array:
    """One column's fields without their marks, NULLs as such."""
    told = pc.if_else(pc.equal(fields, _NULL), _NONE, fields)
    if pc.any(pc.starts_with(told, _DIGITS)).as_py():
        plain = [None if each is None else _unmarked(each) for each in told.to_pylist()]
        return pa.array(plain, pa.large_binary()).cast(pa.string())
    texts = told.cast(pa.string())
    # Not by bytes: Arrow 26.0 takes one off what has none, too, and fails.
    return pc.utf8_slice_codeunits(texts, 1) if pc.any(pc.starts_with(told, _TEXT)).as_py() else texts


def _unmarked(field: bytes) -> bytes:
    return bytes.fromhex(field[1:].decode()) if field[:1] == _DIGITS else field[1:]
