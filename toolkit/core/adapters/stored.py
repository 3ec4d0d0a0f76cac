"""Values of any class in one column, as an engine keeps them in which any column holds anything."""

from __future__ import annotations

import binascii
import math
import re
from base64 import b64decode, b64encode
from typing import Any, ClassVar

import msgspec
import pyarrow as pa
from sqlalchemy import types as sqltypes

from toolkit.core.adapters.texts import TextAdapter
from toolkit.core.engine_type import StorageType
from toolkit.core.logical import Kind, LogicalType, decoded, json_encoded

_OF_CLASS: dict[frozenset[str], Kind] = {
    frozenset({"integer"}): Kind.INT64,
    frozenset({"real"}): Kind.FLOAT64,
    frozenset({"text"}): Kind.TEXT,
    frozenset({"blob"}): Kind.BYTES,
}
_BLOB, _TEXT, _REAL = "blob", "text", "real"
_NAMES = {math.inf: "Infinity", -math.inf: "-Infinity"}
_INFINITIES = {name: f"r{number!r}" for number, name in _NAMES.items()}
_EXPECTED = 'is not a number, a string, or {"blob": "base64"}'


class StoredAdapter(TextAdapter):
    """Whatever a column holds: a sign of its class, and its text.

    `i` is an integer, `r` a double by its shortest digits, `t` a text, or what an engine writes of any type of its
    own; `b` are the hexadecimal digits of bytes, `x` those of a text that is no UTF-8.
    """

    kind = Kind.STORED
    in_arrays = False
    json_type: ClassVar[Any] = msgspec.Raw
    # Each value is of a class of its own.
    plain: ClassVar[type | None] = None

    @classmethod
    def recognise(cls, declared: sqltypes.TypeEngine[Any]) -> LogicalType | None:
        """Values of several classes; those of a single one have its type."""
        if not isinstance(declared, StorageType):
            return None
        return LogicalType(cls.kind if declared.is_odd else _OF_CLASS.get(declared.classes, cls.kind))

    def from_python(self, value: Any) -> Any:
        """A number, a text, or bytes, as drivers have them."""
        if isinstance(value, bytes):
            return f"b{value.hex().upper()}"
        if isinstance(value, float):
            return f"r{value!r}"
        return f"i{value}" if isinstance(value, int) else f"t{value}"

    def to_python(self, value: Any) -> str | bytes:
        """What was stored, numbers as their text."""
        return bytes.fromhex(value[1:]) if value[0] in "bx" else str(value[1:])

    def json_value(self, value: Any) -> Any:
        """What was stored, for a message."""
        match value[0]:
            case "i":
                return int(value[1:])
            case "r":
                return float(value[1:])
            case "t":
                return value[1:]
        return f"x'{value[1:]}'"

    # -- in fixtures -----------------------------------------------------------------------------------------------

    @property
    def is_nested(self) -> bool:
        """A value may be an object."""
        return True

    def format(self, values: pa.Array) -> pa.Array:
        """Numbers, of which a double has a point or an exponent, strings, and objects for all else."""
        return pa.array([None if value is None else _written(value) for value in values.to_pylist()], pa.string())

    def parse_raw(self, raw: msgspec.Raw) -> Any:
        """A number by its digits: one with a point or an exponent is a double."""
        text = str(raw, "utf-8")
        value = _double(text) if text[:1] in "-0123456789" and text.strip("-0123456789") else decoded(raw)
        if isinstance(value, float) and not text.strip("-0123456789"):
            raise OverflowError
        return None if value is None else self.parse_json(value)

    def parse_json(self, value: Any) -> Any:
        """A number, a string, or an object that says of which class it is."""
        match value:
            case bool():
                raise ValueError(_EXPECTED)
            case int() if not -(2**63) <= value < 2**63:
                raise OverflowError
            case int() | float() | str():
                return self.from_python(value)
            case {"blob": str(content)} if len(value) == 1:
                return f"b{_digits(content)}"
            case {"text": str(content)} if len(value) == 1:
                return f"x{_digits(content)}"
            case {"real": str(name)} if len(value) == 1 and name in _INFINITIES:
                return _INFINITIES[name]
        raise ValueError(_EXPECTED)


def _written(value: str) -> str:
    content = value[1:]
    match value[0]:
        case "i":
            return content
        case "r":
            number = float(content)
            return content if math.isfinite(number) else json_encoded({_REAL: _NAMES.get(number, "NaN")})
        case "t":
            return msgspec.json.encode(content).decode()
    name = _BLOB if value[0] == "b" else _TEXT
    return json_encoded({name: b64encode(bytes.fromhex(content)).decode()})


def _double(text: str) -> float:
    number = float(text)
    if math.isinf(number) or (not number and re.search("[1-9]", text.lower().partition("e")[0])):
        raise OverflowError
    return number


def _digits(content: str) -> str:
    try:
        return b64decode(content, validate=True).hex().upper()
    except (binascii.Error, ValueError) as error:
        raise ValueError(_EXPECTED) from error
