"""Arrays: lists of one dimension of what looks the same in every engine's JSON, and all others as documents."""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
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
# From here on each double, or single, is whole.
_WHOLE_DOUBLES, _WHOLE_SINGLES = 2.0**53, 2.0**24
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
        found = [None if value is None else self._document(value) for value in values.to_pylist()]
        return variable(OID_TEXT, pa.array(found, pa.string()))

    def _document(self, value: list[Any]) -> str:
        listed = self.json_value(value)
        if self.element.carrier in FLOAT_KINDS:
            listed = [in_jsonb(part, self.element.carrier == Kind.FLOAT32) for part in listed]
        return canonical_document(json_encoded(listed))


def in_jsonb(value: Any, is_single: bool) -> Any:
    """A double, or a single one, as PostgreSQL prints it in a document: 1, not 1.0; a great one by its exponent.

    Documents have no -0, so that it stands as a string there, as NaN does.
    """
    if not isinstance(value, float) or not math.isfinite(value):
        return value
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else 0
    if abs(value) >= (_WHOLE_SINGLES if is_single else _WHOLE_DOUBLES):
        return _great(value, is_single)
    return int(value) if value.is_integer() else value


def _great(value: float, is_single: bool) -> float | int:
    """The fewest digits that stand for it, but not those in the middle between two numbers, as Python has them there.

    Below, what lies in the middle between two has more digits than either.
    """
    own = float(np.float32(value)) if is_single else value
    middles = [Decimal(own) + Decimal(other) for other in _neighbours(own, is_single)]
    for digits in range(17):
        text = f"{own:.{digits}e}"
        found = float(np.float32(text)) if is_single else float(text)
        if found == own and Decimal(text) * 2 not in middles:
            break
    return int(Decimal(text)) if Decimal(text) != Decimal(repr(value)) or abs(value) < _EXPONENT else value


def _neighbours(value: float, is_single: bool) -> list[float]:
    if is_single:
        with np.errstate(over="ignore"):
            both = [float(np.nextafter(np.float32(value), np.float32(end))) for end in (math.inf, -math.inf)]
    else:
        both = [math.nextafter(value, end) for end in (math.inf, -math.inf)]
    return [each for each in both if math.isfinite(each)]


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
        return canonical_document(super().parse_json(self._with_numbers(value)))

    def canonical(self, values: pa.Array) -> list[Part]:
        """PostgreSQL's `jsonb::text`; of floats, one form of each number, however it is written."""
        if not self._is_of_floats:
            return super().canonical(values)
        found = (None if v is None else json_encoded(self._with_numbers(json.loads(v))) for v in values.to_pylist())
        return super().canonical(pa.array(found, pa.string()))

    @property
    def _is_of_floats(self) -> bool:
        return self.type.element is not None and self.type.element.carrier in FLOAT_KINDS

    def _with_numbers(self, value: Any) -> Any:
        """The same with each float `in_jsonb`."""
        if isinstance(value, list):
            return [self._with_numbers(part) for part in value] if self._is_of_floats else value
        if isinstance(value, dict):
            return {bounds: self._with_numbers(parts) for bounds, parts in value.items()}
        if not isinstance(value, int | float) or isinstance(value, bool):
            return value
        assert self.type.element is not None
        form = self.type.element.adapter
        return in_jsonb(form.json_value(form.from_python(value)), form.carrier == Kind.FLOAT32)

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
