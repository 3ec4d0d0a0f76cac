"""Arrays: lists of one dimension of what looks the same in every engine's JSON, and all others as documents."""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec
import pyarrow as pa
from sqlalchemy import types as sqltypes

from toolkit.core.adapters.built_in import BuiltIn
from toolkit.core.adapters.documents import JsonAdapter
from toolkit.core.canonical_bytes import OID_TEXT, Part, variable
from toolkit.core.canonical_json import canonical_document
from toolkit.core.logical import (
    FLOAT_KINDS,
    Kind,
    LogicalType,
    TypeAdapter,
    decoded,
    json_encoded,
    logical_type,
)

# From here on Python writes a double with an exponent.
_EXPONENT = 1e16
# The only member of the document of an array that does not begin at 1: PostgreSQL's own text for its bounds.
_BOUNDS = re.compile(r"(\[[+-]?\d+:[+-]?\d+\])+")


class ArrayAdapter(BuiltIn):
    """A list."""

    kind = Kind.ARRAY
    carrier = Kind.ARRAY

    @classmethod
    def recognise(cls, declared: sqltypes.TypeEngine[Any]) -> LogicalType | None:
        """`ARRAY` of one dimension, as far as is known, of elements that have one form in JSON."""
        element = _element(declared)
        is_flat = element is not None and element.adapter.in_arrays and _dimensions(declared) == 1
        return LogicalType(cls.kind, element=element) if is_flat else None

    @property
    def element(self) -> TypeAdapter:
        """What is in it."""
        assert self.type.element is not None
        return self.type.element.adapter

    @property
    def arrow(self) -> pa.DataType:
        """A list."""
        return pa.list_(self.element.arrow)

    def json_value(self, value: Any) -> Any:
        """A list."""
        return [None if part is None else self.element.json_value(part) for part in value]

    def parse_json(self, value: Any) -> Any:
        """A list."""
        if not isinstance(value, list):
            raise ValueError("is not a list")  # noqa: TRY004 - as every other value that is none
        return [None if part is None else self.element.parse_json(part) for part in value]

    def from_python(self, value: Any) -> Any:
        """A list."""
        return [None if part is None else self.element.from_python(part) for part in value]

    def to_python(self, value: Any) -> Any:
        """A list."""
        return [None if part is None else self.element.to_python(part) for part in value]

    def canonical(self, values: pa.Array) -> list[Part]:
        """The JSON document that PostgreSQL's `to_jsonb` makes of it."""
        is_float = self.element.carrier in FLOAT_KINDS
        documents: list[str | None] = []
        for value in values.to_pylist():
            if value is None:
                documents.append(None)
                continue
            parts = [without_point(part) for part in value] if is_float else value
            documents.append(canonical_document(json_encoded(self.json_value(parts))))
        return variable(OID_TEXT, pa.array(documents, pa.string()))


def without_point(value: float | None) -> float | int | None:
    """A whole double as PostgreSQL prints it: 1, not 1.0; a great one has no point, but an exponent."""
    is_whole = value is not None and math.isfinite(value) and value.is_integer() and abs(value) < _EXPONENT
    return int(value) if is_whole and value is not None else value


class NestedAdapter(JsonAdapter):
    """An array of several dimensions, or of elements of any other type, as a JSON document.

    Elements that `in_arrays` says have one form in JSON stand in it, all others as strings: PostgreSQL's own text of
    the value. An array that does not begin at 1 is an object: `{"[0:1]": [1, 2]}`.
    """

    kind = Kind.NESTED

    @classmethod
    def recognise(cls, declared: sqltypes.TypeEngine[Any]) -> LogicalType | None:
        """Every other `ARRAY`."""
        element = _element(declared)
        return None if element is None else LogicalType(cls.kind, element=element)

    def parse_json(self, value: Any) -> Any:
        """A list, or an object of one under its bounds."""
        listed = value
        if isinstance(value, dict) and len(value) == 1 and _BOUNDS.fullmatch(next(iter(value))):
            (listed,) = value.values()
        if not isinstance(listed, list):
            raise ValueError("is not a list")  # noqa: TRY004 - as every other value that is none
        return canonical_document(super().parse_json(value))

    def is_odd(self, texts: pa.Array) -> pa.Array:
        """All of them."""
        return texts.is_valid()

    def parse_raw(self, raw: msgspec.Raw) -> Any:
        """The same; `null` is SQL's NULL."""
        value = decoded(raw)
        return None if value is None else self.parse_json(value)


def _element(declared: sqltypes.TypeEngine[Any]) -> LogicalType | None:
    return logical_type(declared.item_type) if isinstance(declared, sqltypes.ARRAY) else None


def _dimensions(declared: sqltypes.TypeEngine[Any]) -> int:
    """As declared; PostgreSQL itself knows no number of them."""
    return int(getattr(declared, "dimensions", None) or 1)
