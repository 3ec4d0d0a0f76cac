"""How a column of rows looks in a fixture: Arrow arrays to JSON text and back, a batch at a time.

The rules are those of the types' adapters, value by value; common forms are done without Python objects, and every
other form is left to the rules for a single value, which also say what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import NoneType
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.core.types import LogicalType


def format_column(type_: LogicalType, values: pa.Array) -> pa.Array:
    """A column in the canonical schema as JSON text, one document a row; NULL as `null`."""
    return pc.fill_null(type_.adapter.format(values), "null")


def parse_column(type_: LogicalType, values: Sequence[Any]) -> pa.Array:
    """JSON values, as msgspec decodes them, as an array of the canonical type. None is NULL.

    Documents and decimals may come undecoded (`msgspec.Raw`), so that no number in them is rounded.

    Raises:
        ValueError, OverflowError, pyarrow.ArrowException: some value is none of this type; `parse_value` says which.
    """
    adapter = type_.adapter
    # Arrow itself would take 1.5 for an integer and True for a double.
    if adapter.plain is not None and set(map(type, values)) <= {adapter.plain, NoneType}:
        try:
            return adapter.parse(values)
        except (pa.ArrowException, ValueError, OverflowError):
            pass
    return pa.array([parse_value(type_, value) for value in values], type_.arrow)


def parse_value(type_: LogicalType, value: Any) -> Any:
    """One JSON value, as msgspec decodes it or undecoded, as what Arrow takes for the type.

    Raises:
        ValueError, OverflowError, pyarrow.ArrowException: it is no value of this type; a ValueError says what is
            expected.
    """
    if value is None:
        return None
    adapter = type_.adapter
    parsed = adapter.parse_raw(value) if isinstance(value, msgspec.Raw) else adapter.parse_json(value)
    if parsed is not None:
        adapter.require_fit(parsed)
    return parsed
