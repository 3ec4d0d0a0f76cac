"""What a logical type is, and what its adapter says of it; which ones there are is said in `toolkit.core.types`.

A value travels at storage level: a UUID as its 16 bytes, an enum by its stored name, JSON as its text, an encrypted
column as its ciphertext. `infinity` dates and times travel as the largest and smallest integer (DuckDB's encoding).
"""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, TypeGuard
from weakref import WeakKeyDictionary

import msgspec
import pyarrow as pa
from msgspec.structs import replace
from sqlalchemy import types as sqltypes
from sqlalchemy.dialects import postgresql

if TYPE_CHECKING:
    from sqlalchemy.types import TypeEngine

    from toolkit.core.canonical_bytes import Part

MAX_DECIMAL_DIGITS = 38


class Kind(StrEnum):
    """The names of the logical types that every engine has adapters for; others are carried as one of them."""

    UUID = "uuid"
    TIMESTAMP = "timestamp"
    TIMESTAMPTZ = "timestamptz"
    DATE = "date"
    TIME = "time"
    INTERVAL = "interval"
    BOOL = "bool"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    DECIMAL = "decimal"
    TEXT = "text"
    BYTES = "bytes"
    JSON = "json"
    ENUM = "enum"
    ARRAY = "array"
    NESTED = "nested array"
    TIMETZ = "timetz"
    CALENDAR_INTERVAL = "calendar interval"
    NATIVE = "native"
    STORED = "stored"
    CIPHERTEXT = "ciphertext"
    FILE = "file"


TEXT_KINDS = frozenset({Kind.TEXT, Kind.ENUM, Kind.CIPHERTEXT})
JSON_KINDS = frozenset({Kind.JSON, Kind.FILE})
INTEGER_KINDS = frozenset({Kind.INT16, Kind.INT32, Kind.INT64})
FLOAT_KINDS = frozenset({Kind.FLOAT32, Kind.FLOAT64})
AS_TEXT = frozenset({Kind.TEXT, Kind.BYTES, Kind.JSON})
"""Kinds of which one text in a fixture may be, each time another value."""


class LogicalType(msgspec.Struct, frozen=True):
    """What a column holds. `precision` and `scale` belong to decimals, `element` to arrays."""

    kind: str
    precision: int | None = None
    scale: int | None = None
    element: LogicalType | None = None

    def __str__(self) -> str:
        """The type for a message: `decimal(10, 2)`, `array of int32`."""
        if self.element is not None:
            return f"{self.kind} of {self.element}"
        return f"{self.kind}({self.precision}, {self.scale})" if self.precision is not None else str(self.kind)

    @property
    def adapter(self) -> TypeAdapter:
        """What its values look like."""
        return _adapter(self)

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type of the canonical schema."""
        return self.adapter.arrow

    @property
    def carrier(self) -> Kind:
        """The type of every engine's in whose form the values stand where nothing else is said."""
        return _ADAPTERS[self.kind].carrier

    @property
    def carried(self) -> LogicalType:
        """The carrier, with this type's details: what an engine that has no adapter for this type takes it for."""
        return replace(self, kind=self.carrier)

    @property
    def is_text(self) -> bool:
        """Whether the values are texts to every engine."""
        return self.carrier is Kind.TEXT

    @property
    def is_document(self) -> bool:
        """Whether the values are JSON to every engine."""
        return self.carrier is Kind.JSON

    @property
    def is_free_decimal(self) -> bool:
        """Whether this is a decimal without a fixed precision: equal values may differ as texts (1.5 and 1.500)."""
        return self.kind is Kind.DECIMAL and self.precision is None


class TypeAdapter(ABC):
    """What one logical type's values look like, the same for every engine: in Arrow, in fixtures, in digests.

    This one takes everything from its carrier: a type that adds nothing but its own name and form in fixtures needs
    `kind`, `carrier`, `recognise`, `json_value` and `parse_json`. How values stand in an engine is said by the engine's
    own adapters (`toolkit.engines.portable.adapters`), and for a type that it has none for, by that of the carrier.
    Whoever adds one whose canonical form is not its carrier's gives every engine an adapter that makes it.
    """

    kind: ClassVar[str]
    """The name, for messages, and the key in the tables of adapters."""
    carrier: ClassVar[Kind]
    """The type whose form the values have in Arrow, digests and engines, but for what an adapter says itself."""
    json_type: ClassVar[Any] = msgspec.Raw
    """What a fixture's values are decoded to; `Raw`, which no decoder rounds, comes to `parse_raw`."""
    plain: ClassVar[type | None] = None
    """The one class of decoded values that `parse` takes, if any; of `str` and `Raw`, `parse_texts` takes the texts."""

    in_arrays: ClassVar[bool] = False
    """Whether an array may hold such values: their form inside a JSON list is the same in every engine."""

    def __init__(self, type_: LogicalType) -> None:
        self.type = type_

    @classmethod
    @abstractmethod
    def recognise(cls, declared: TypeEngine[Any]) -> LogicalType | None:
        """The logical type of a SQLAlchemy type, if it is of this kind.

        A `TypeDecorator` that is recognised is taken for what it stores: its processors are never run.
        """

    # -- in Arrow --------------------------------------------------------------------------------------------------

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type in which the values travel."""
        return self._carried.arrow

    # -- in fixtures -----------------------------------------------------------------------------------------------

    @property
    def is_nested(self) -> bool:
        """Whether a CSV field of such a value holds JSON."""
        return self.carrier in (Kind.JSON, Kind.ARRAY)

    def json_value(self, value: Any) -> Any:
        """A value, as Arrow's `to_pylist` gives it and not None, as what the `json` module writes."""
        return self._carried.json_value(value)

    def parse_json(self, value: Any) -> Any:
        """What Arrow takes for a decoded JSON value that is not None.

        Raises:
            ValueError: it is no value of this type; the message says what is expected.
        """
        return self._carried.parse_json(value)

    def parse_raw(self, raw: msgspec.Raw) -> Any:
        """The same of an undecoded JSON value, which may be null."""
        value = decoded(raw)
        return None if value is None else self.parse_json(value)

    def from_csv(self, text: str) -> Any:
        """A CSV field that is not nested as JSON would have it."""
        return self._carried.from_csv(text)

    def format(self, values: pa.Array) -> pa.Array:
        """A column as JSON texts; NULL stays NULL."""
        texts = [None if v is None else json_encoded(self.json_value(v)) for v in values.to_pylist()]
        return pa.array(texts, pa.string())

    def parse(self, values: Sequence[Any]) -> pa.Array:
        """A column of decoded JSON values, all of them of the class `plain` or None, in common forms.

        Raises:
            ValueError, OverflowError, pyarrow.ArrowException: they are looked at one by one.
        """
        if self.plain is msgspec.Raw:
            values = [None if value is None else str(value, "utf-8") for value in values]
        return self.parse_texts(pa.array(values, pa.string())) if self.takes_texts else pa.array(values, self.arrow)

    @property
    def takes_texts(self) -> bool:
        """Whether `parse_texts` takes the values in common forms."""
        return self.plain in (str, msgspec.Raw)

    def parse_texts(self, texts: pa.Array) -> pa.Array:
        """A column of strings, or where `plain` is `Raw` of documents as they are written; NULL stays NULL.

        Raises:
            ValueError, pyarrow.ArrowException: they are looked at one by one.
        """
        return texts.cast(self.arrow)

    def require_fit(self, parsed: Any) -> None:
        """Check that what `parse_json` gave is a value of the Arrow type.

        Raises:
            OverflowError, pyarrow.ArrowException: it does not fit into a column of the type.
        """
        pa.array([parsed], self.arrow)

    # -- between Python's types and Arrow's ------------------------------------------------------------------------

    def from_python(self, value: Any) -> Any:
        """A Python value as drivers and models have it, not None, as what Arrow takes."""
        return self._carried.from_python(value)

    def to_python(self, value: Any) -> Any:
        """A value as Arrow's `to_pylist` gives it, not None, as drivers take it."""
        return self._carried.to_python(value)

    def to_pythons(self, values: pa.Array) -> list[Any]:
        """A column as drivers take it."""
        return [None if value is None else self.to_python(value) for value in values.to_pylist()]

    # -- in digests ------------------------------------------------------------------------------------------------

    def canonical(self, values: pa.Array) -> list[Part]:
        """The canonical bytes of each value, in pieces to be joined (see `toolkit.core.canonical_bytes`)."""
        return self._carried.canonical(values)

    @property
    def _carried(self) -> TypeAdapter:
        return self.type.carried.adapter


def is_of_alchemy(declared: TypeEngine[Any], *names: str) -> bool:
    """Whether it is one of these types of Advanced Alchemy's, which nobody has who has not loaded its package.

    It is not loaded to find that out: that takes longer than most commands work.
    """
    loaded = sys.modules.get("advanced_alchemy.types")
    return loaded is not None and isinstance(declared, tuple(getattr(loaded, name) for name in names))


# In the order in which they are asked whether a type is theirs.
_ADAPTERS: dict[str, type[TypeAdapter]] = {}


# What was found of each type, which is asked again and again: by column, for each statement and batch.
_recognised: WeakKeyDictionary[TypeEngine[Any], LogicalType | None] = WeakKeyDictionary()


def register(adapter: type[TypeAdapter]) -> None:
    """Make a logical type known. Of several that recognise a type, the one registered last has it."""
    _ADAPTERS[adapter.kind] = adapter
    _forget()


def unregister(adapter: type[TypeAdapter]) -> None:
    """Forget a logical type."""
    del _ADAPTERS[adapter.kind]
    _forget()


def _forget() -> None:
    _adapter.cache_clear()
    _recognised.clear()


def recognised(declared: TypeEngine[Any]) -> LogicalType | None:
    """The logical type of a SQLAlchemy type that some adapter knows."""
    try:
        return _recognised[declared]
    except KeyError:
        found = (adapter.recognise(declared) for adapter in reversed(_ADAPTERS.values()))
        return _recognised.setdefault(declared, next((type_ for type_ in found if type_ is not None), None))


@lru_cache(maxsize=4096)
def _adapter(type_: LogicalType) -> TypeAdapter:
    return _ADAPTERS[type_.kind](type_)


_POSTGRESQL = postgresql.dialect()  # type: ignore[no-untyped-call]


def is_unknown_decorator(type_: TypeEngine[Any]) -> TypeGuard[sqltypes.TypeDecorator[Any]]:
    """Whether a type has processors of its own that no adapter knows."""
    return isinstance(type_, sqltypes.TypeDecorator) and recognised(type_) is None


def logical_type(type_: TypeEngine[Any]) -> LogicalType:
    """The logical type of a SQLAlchemy type; a decorator that is not known counts as what it stores in PostgreSQL."""
    if (found := recognised(type_)) is not None:
        return found
    assert isinstance(type_, sqltypes.TypeDecorator), "every other type is some adapter's"
    return logical_type(type_.load_dialect_impl(_POSTGRESQL))


def decoded(raw: msgspec.Raw) -> Any:
    """A JSON value without care for its numbers.

    Raises:
        OverflowError: it has one that the decoder does not take.
    """
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        raise OverflowError from error


def json_encoded(value: Any) -> str:
    """What `json_value` gave as text."""
    return json.dumps(value, ensure_ascii=False)
