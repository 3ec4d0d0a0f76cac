"""Arrays: lists of one dimension of what looks the same in every engine's JSON, and all others as documents."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pyarrow as pa
from sqlalchemy import types as sqltypes

from toolkit.core.adapters.built_in import BuiltIn
from toolkit.core.adapters.documents import JsonAdapter
from toolkit.core.adapters.elements import ElementForm, in_jsonb
from toolkit.core.canonical_bytes import OID_TEXT, Part, variable
from toolkit.core.canonical_json import canonical_document
from toolkit.core.logical import (
    FLOAT_KINDS,
    Kind,
    LogicalType,
    TypeAdapter,
    json_encoded,
    logical_type,
)

# More than any engine has; each is a call of a function.
_MOST_DIMENSIONS = 100
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

    def require_fit(self, parsed: Any) -> None:
        """Of each element: Arrow takes a number that is too large for infinite."""
        super().require_fit(parsed)
        for part in parsed if self.element.carrier is Kind.FLOAT32 else ():
            if part is not None:
                self.element.require_fit(part)

    def canonical(self, values: pa.Array) -> list[Part]:
        """The JSON document that PostgreSQL's `to_jsonb` makes of it."""
        found = [None if value is None else self._document(value) for value in values.to_pylist()]
        return variable(OID_TEXT, pa.array(found, pa.string()))

    def _document(self, value: list[Any]) -> str:
        listed = self.json_value(value)
        if self.element.carrier in FLOAT_KINDS:
            listed = [in_jsonb(part, self.element.carrier == Kind.FLOAT32) for part in listed]
        return canonical_document(json_encoded(listed))


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
        return self.parse_document(json.dumps(value, ensure_ascii=False, default=str))

    def parse_raw(self, raw: msgspec.Raw) -> Any:
        """The same with all digits of its numbers; `null` is SQL's NULL."""
        text = str(raw, "utf-8")
        return None if text == "null" else self.parse_document(text)

    def parse_document(self, text: str) -> str:
        """The same of the document's text.

        Raises:
            ValueError, OverflowError, pyarrow.ArrowException: it is no array of such elements.
        """
        text = text.strip()
        try:
            if text[:1] == "{":
                members = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
                if len(members) == 1 and _BOUNDS.fullmatch(next(iter(members))):
                    return canonical_document(
                        json_encoded({each: self._parts(str(part, "utf-8"), 1) for each, part in members.items()})
                    )
            elif text[:1] == "[":
                return canonical_document(json_encoded(self._parts(text, 1)))
        except msgspec.DecodeError as error:
            raise ValueError("is not JSON") from error
        raise ValueError("is not a list")

    def _parts(self, text: str, level: int, form: ElementForm | None = None) -> Any:
        """The elements of a list, or an element itself."""
        form = form or self._form
        if text[:1] != "[":
            return form.in_document(text)
        if level > _MOST_DIMENSIONS:
            raise ValueError(f"is nested deeper than {_MOST_DIMENSIONS} levels")
        parts = msgspec.json.decode(text, type=list[msgspec.Raw])
        return [self._parts(str(part, "utf-8"), level + 1, form) for part in parts]

    @property
    def _form(self) -> ElementForm:
        element = self.type.element
        while element is not None and element.element is not None:
            element = element.element
        assert element is not None
        return ElementForm(element)

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


def _element(declared: sqltypes.TypeEngine[Any]) -> LogicalType | None:
    return logical_type(declared.item_type) if isinstance(declared, sqltypes.ARRAY) else None


def _dimensions(declared: sqltypes.TypeEngine[Any]) -> int:
    """As declared; PostgreSQL itself knows no number of them."""
    return int(getattr(declared, "dimensions", None) or 1)
