"""Arrays of one dimension, of elements whose form inside a JSON list is the same in every engine."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
from sqlalchemy import types as sqltypes

from toolkit.core.adapters.built_in import BuiltIn
from toolkit.core.canonical_bytes import OID_TEXT, variable
from toolkit.core.canonical_json import canonical_document
from toolkit.core.logical import (
    FLOAT_KINDS,
    Kind,
    LogicalType,
    TypeAdapter,
    UnportableTypeError,
    json_encoded,
    portable_type,
)

_ADVICE = "Store it as JSON, or leave its table out: --exclude TABLE."


class ArrayAdapter(BuiltIn):
    """A list."""

    kind = Kind.ARRAY
    carrier = Kind.ARRAY

    @classmethod
    def recognise(cls, declared: sqltypes.TypeEngine[Any]) -> LogicalType | None:
        """`ARRAY` of one dimension.

        Raises:
            UnportableTypeError: it has more, or its elements have no form that all engines share.
        """
        if not isinstance(declared, sqltypes.ARRAY):
            return None
        if declared.dimensions not in (None, 1):
            raise UnportableTypeError(f"is an array of {declared.dimensions} dimensions; only one is portable", _ADVICE)
        element = portable_type(declared.item_type)
        if not element.adapter.in_arrays:
            raise UnportableTypeError(
                f"is an array of {element.kind}, which has no form shared by all engines", _ADVICE
            )
        return LogicalType(cls.kind, element=element)

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

    def canonical(self, values: pa.Array) -> list[pa.Array]:
        """The JSON document that PostgreSQL's `to_jsonb` makes of it."""
        is_float = self.element.carrier in FLOAT_KINDS
        documents: list[str | None] = []
        for value in values.to_pylist():
            if value is None:
                documents.append(None)
                continue
            parts = [_without_point(part) for part in value] if is_float else value
            documents.append(canonical_document(json_encoded(self.json_value(parts))))
        return variable(OID_TEXT, pa.array(documents, pa.string()))


def _without_point(value: float | None) -> float | int | None:
    """A whole double as PostgreSQL prints it: 1, not 1.0."""
    return int(value) if value is not None and math.isfinite(value) and value.is_integer() else value
