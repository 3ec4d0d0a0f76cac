"""The columns of rows that were cut: each parsed at once, by the rules that values have that are decoded one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.core.json_columns import parse_column
from toolkit.core.tables import ColumnSpec
from toolkit.core.types import FLOAT_KINDS, Kind
from toolkit.core.workers import both
from toolkit.stores.enum_members import text_of_enum
from toolkit.stores.members import TINY
from toolkit.stores.relative_times import RELATIVE_KINDS, Now
from toolkit.stores.row_cuts import Cells, RowCutter, decoded_cells

# Less is cut before a thread has begun.
_LARGE = 1 << 18
Block: TypeAlias = list[pa.Array]
"""Some rows by column."""
REFUSED = (msgspec.MsgspecError, ValueError, OverflowError, TypeError, pa.ArrowException, RecursionError)
"""What tells that a value is none of its column."""


class ColumnCutter:
    """Makes columns of rows that give each of these, and nothing else."""

    def __init__(self, columns: Sequence[ColumnSpec]) -> None:
        self._columns = columns
        nested = [str(column.name) for column in columns if column.type.adapter.is_nested]
        self._cutter = RowCutter([str(column.name) for column in columns], nested)

    def cut(self, text: bytes, between: bytes) -> Block | None:
        """The values of rows, each of them a line; None if some are to be looked at one by one.

        What is large is cut in two threads: nearly all of the work is done by native code without Python's lock.
        """
        middle = text.find(between, len(text) // 2) if len(text) >= _LARGE else -1
        if middle < 0:
            return self._block(text, between)
        begin, end = text[:middle], text[middle + len(between) :]
        first, second = both(lambda: self._block(begin, between), lambda: self._block(end, between))
        if first is None or second is None:
            return None
        # What is done with a batch costs as much for each as for a thousand rows.
        return [pa.concat_arrays(halves) for halves in zip(first, second, strict=True)]

    def _block(self, text: bytes, between: bytes) -> Block | None:
        try:
            cells = self._cutter.cut(text, between)
            return None if cells is None else [_parsed(column, cells[column.name]) for column in self._columns]
        except REFUSED:
            return None


def decoded_type(column: ColumnSpec) -> Any:
    """What a column's values are decoded to."""
    given = column.type.adapter.json_type
    if column.type.kind in RELATIVE_KINDS:
        given |= Now
    # An undecoded value may be null already.
    return given if given is msgspec.Raw else given | None


def _parsed(column: ColumnSpec, cells: Cells) -> pa.Array:
    adapter = column.type.adapter
    if adapter.plain is str and cells.are_texts:
        return adapter.parse_texts(cells.texts)
    written = cells.written()
    values = decoded_cells(written, decoded_type(column))
    if column.type.kind in FLOAT_KINDS and pc.any(pc.match_substring_regex(written, TINY)).as_py():
        raise ValueError("some numbers may be too small")
    if adapter.plain is msgspec.Raw:
        return adapter.parse_texts(written)
    if column.type.kind is Kind.ENUM:
        values = list(map(text_of_enum, values))
    return parse_column(column.type, values)
