"""How values are stored in SQLite, which knows only integers, doubles, text and bytes.

Forms are those of SQLAlchemy's and Advanced Alchemy's types, so applications read what we write. What SQLite would
change silently is stored as bytes of its text instead, and read back from there: a decimal that no double holds
(NUMERIC affinity rounds it), a bare JSON number like `1.10`, -0.0 (its sign is dropped) and NaN (becomes NULL).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from toolkit.core.decimals import parse_decimals
from toolkit.core.engine_type import EngineType
from toolkit.core.logical import json_encoded
from toolkit.core.tables import TableSpec
from toolkit.core.types import Kind
from toolkit.engines.portable.codec import Codec
from toolkit.engines.sqlite.adapter import SqliteAdapter, Vectorised, apart
from toolkit.engines.sqlite.any_storage_class import AnyClass
from toolkit.engines.sqlite.native import NATIVE, whole_addresses
from toolkit.engines.sqlite.numbers import (
    as_decimal,
    decimal_form,
    doubles,
    float_forms,
    json_form,
    require_doubles,
    require_single,
)
from toolkit.engines.sqlite.times import Date, Interval, Time, Timestamp
from toolkit.engines.sqlite.written_forms import AS_BYTES, TRUTHS, condition_of, form_of, uuid_texts

_DIALECT = sqlite.dialect()
# What `DateTime` can hold: years 1 to 9999, in microseconds and in days since 1970.
_UUID_BYTES = 16
# Up to here doubles are exact integers; and the longest text of an integer of 64 bits.
_WHOLE_DOUBLES, _INTEGER_TEXT = 2**53, 20
_TRUTHS = {
    **dict.fromkeys(("t", "T", "true", "True", "TRUE", "1"), True),
    **dict.fromkeys(("f", "F", "false", "False", "FALSE", "0"), False),
}
# How a JSON document begins; NaN and the infinities as Python writes them.
_DOCUMENT = r"^\s*[\[{\"tfnNI0-9-]"
_BARE_NUMBER = r"^\s*[-0-9]"
# What is declared so has TEXT affinity, and turns every number into text ("Datatypes In SQLite", section 3.1); of
# the names that come before, INT wins.
_TEXT_NAMES = ("CHAR", "CLOB", "TEXT")


def _makes_text(declared: str) -> bool:
    """Whether a column has TEXT affinity."""
    upper = declared.upper()
    return "INT" not in upper and any(part in upper for part in _TEXT_NAMES)


def _keeps_all(declared: str) -> bool:
    """Whether a column has no affinity, and converts nothing."""
    return not declared or "BLOB" in declared.upper()


class _Exact(Vectorised):
    """Integers and bytes: Arrow would cut 5.5 to 5 where an integer stands beside it, and make bytes of text."""

    exactly: ClassVar[type]
    """What the driver gives of them."""

    def _as_fetched(self, values: Sequence[Any]) -> pa.Array:
        # Not by the type that Arrow finds of values: to find any, it looks for `dateutil` on the disk each time.
        if not {type(value) for value in values} <= {self.exactly, type(None)}:
            raise ValueError(f"not {self.arrow}")
        return pa.array(values, self.arrow)


class _Text(Vectorised):
    """Texts, and bytes that are UTF-8."""

    classes: ClassVar[tuple[str, ...]] = ()

    def expressions(self, name: str) -> list[tuple[str, pa.DataType]]:
        # SQLite itself takes bytes for text in the encoding of its file.
        is_utf8 = f"typeof({name}) = 'blob' AND CAST('a' AS BLOB) = x'61'"
        return [(f"CASE WHEN {is_utf8} THEN CAST({name} AS TEXT) ELSE {name} END", self.arrow)]

    def _as_fetched(self, values: Sequence[Any]) -> pa.Array:
        # What is declared as STRING has SQLite turn texts of digits into integers.
        texts = [str(v) if type(v) is int else v.decode() if isinstance(v, bytes) else v for v in values]
        return pa.array(texts, self.arrow)

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        fetched[0].validate(full=True)
        return super().incoming(*fetched)

    def outgoing(self, values: pa.Array) -> pa.Array:
        return values.cast(pa.binary()) if form_of(self.declared) == AS_BYTES else values

    def lossy(self, declared: str, value: str) -> str | None:
        if _makes_text(declared):
            return None
        # Where nothing is converted, 5 and '5' are two values; so are a text and its bytes where none are expected.
        if _keeps_all(declared):
            return f"typeof({value}) IN ('integer', 'real')" if declared else f"typeof({value}) <> 'text'"
        return f"typeof({value}) IN ('real', 'blob')"

    def unlike_key(self, declared: str, value: str) -> str | None:
        return f"typeof({value}) = 'blob'"


class _Native(_Text):
    classes = ("text",)

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        values = super().incoming(*fetched)
        return whole_addresses(values) if isinstance(self.declared, postgresql.INET) else values

    def lossy(self, declared: str, value: str) -> str | None:
        return f"typeof({value}) <> 'text'"


class _Integer(_Exact):
    """Integers, and what is one but for its class: whole doubles, texts of the digits that SQLite writes."""

    arrow = pa.int64()
    exactly = int
    classes = ()

    def expressions(self, name: str) -> list[tuple[str, pa.DataType]]:
        whole = f"CAST({name} AS INTEGER)"
        exact = (
            f"(typeof({name}) = 'text' AND CAST({whole} AS TEXT) = {name} COLLATE BINARY OR "
            f"typeof({name}) = 'real' AND {name} BETWEEN -{_WHOLE_DOUBLES} AND {_WHOLE_DOUBLES} AND {whole} = {name})"
        )
        return [(f"CASE WHEN typeof({name}) <> 'integer' AND {exact} THEN {whole} ELSE {name} END", self.arrow)]

    def unlike_key(self, declared: str, value: str) -> str | None:
        # Every other affinity makes texts of digits numbers, or the number that is looked for a text.
        return f"typeof({value}) = 'text'" if _keeps_all(declared) else None

    def _as_fetched(self, values: Sequence[Any]) -> pa.Array:
        return super()._as_fetched([value if type(value) is int else self._integer(value) for value in values])

    def _integer(self, value: Any) -> Any:
        if isinstance(value, float) and value.is_integer() and abs(value) <= _WHOLE_DOUBLES:
            return int(value)
        is_whole = isinstance(value, str) and len(value) <= _INTEGER_TEXT and value.removeprefix("-").isdecimal()
        return int(value) if is_whole and str(int(value)) == value else value


class _Bool(_Integer):
    """0 and 1, and the texts that PostgreSQL and Python write of truth values."""

    def expressions(self, name: str) -> list[tuple[str, pa.DataType]]:
        cases = " ".join(f"WHEN '{text}' THEN {int(truth)}" for text, truth in _TRUTHS.items())
        known = f"CASE {name} COLLATE BINARY {cases} ELSE {name} END"
        return [(f"CASE WHEN typeof({name}) = 'text' THEN {known} ELSE {name} END", self.arrow)]

    def unlike_key(self, declared: str, value: str) -> str | None:
        return f"typeof({value}) = 'text'"

    def _integer(self, value: Any) -> Any:
        return int(_TRUTHS[value]) if isinstance(value, str) and value in _TRUTHS else value

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        (stored,) = fetched
        if not pc.all(pc.is_in(stored, pa.array([0, 1, None], pa.int64()))).as_py() and len(stored):
            raise ValueError("neither 0 nor 1")
        return stored.cast(pa.bool_())

    def outgoing(self, values: pa.Array) -> pa.Array:
        truths = TRUTHS.get(form_of(self.declared) or "")
        return values.cast(pa.int8()) if truths is None else pc.if_else(values, *truths)


class _Bytes(_Exact):
    arrow = pa.binary()
    exactly = bytes
    classes = ("blob",)

    def lossy(self, declared: str, value: str) -> str | None:
        return f"typeof({value}) <> 'blob'"


class _Uuid(Vectorised):
    """Sixteen bytes or 32 digits, by the column's own type."""

    arrow = pa.binary()
    classes = ("blob", "text")

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        (stored,) = fetched
        lengths = pc.min_max(pc.binary_length(stored)).as_py()
        if lengths["min"] in (16, None) and lengths["max"] in (16, None):
            return stored.cast(pa.binary(16))
        parsed = [
            None if value is None else value if len(value) == _UUID_BYTES else uuid.UUID(value.decode("ascii")).bytes
            for value in stored.to_pylist()
        ]
        return pa.array(parsed, pa.binary(16))

    def outgoing(self, values: pa.Array) -> pa.Array:
        # Of variable length, Arrow also makes Python values of them eight times faster.
        if self._is_binary:
            return values.cast(pa.binary())
        texts = pc.utf8_slice_codeunits(self.form.format(values), 1, -1)
        if isinstance(self.declared, EngineType) and self.declared.form:
            return uuid_texts(texts, self.declared.form, is_text=_makes_text(self.declared.definition))
        return texts if self._has_hyphens else pc.replace_substring(texts, "-", "")

    @property
    def written_form(self) -> str:
        if self._is_binary:
            return "UUIDs as 16 bytes"
        if form := form_of(self.declared):
            return f"UUIDs as {form}"
        return f"UUIDs with small letters, {'with' if self._has_hyphens else 'without'} hyphens"

    def unlike_written_key(self, value: str) -> str | None:
        if (form := form_of(self.declared)) and (condition := condition_of(Kind.UUID, form)):
            return f"({condition.replace('{c}', value)}) IS FALSE"
        if self._is_binary:
            return f"typeof({value}) <> 'blob'"
        length = 36 if self._has_hyphens else 32
        return f"typeof({value}) <> 'text' OR length({value}) <> {length} OR {value} GLOB '*[A-F]*'"

    @property
    def _has_hyphens(self) -> bool:
        """Whether there are hyphens between the digits: so it is never taken for a number, whatever the affinity."""
        return isinstance(self.declared, EngineType) and "(32)" not in self.declared.definition

    @property
    def _is_binary(self) -> bool:
        """Whether the column's type is stored as bytes (Advanced Alchemy's GUID), not as hexadecimal digits."""
        if self.declared is None:
            return True
        if isinstance(self.declared, EngineType):
            if self.declared.form:
                return self.declared.form == AS_BYTES
            return any(word in self.declared.definition.upper() for word in ("BLOB", "BINARY", "BYTE"))
        implementation = self.declared.dialect_impl(_DIALECT)
        if isinstance(implementation, sa.types.TypeDecorator):
            implementation = implementation.load_dialect_impl(_DIALECT)
        return isinstance(implementation, sa.BINARY | sa.LargeBinary)


class _Array(SqliteAdapter):
    """A JSON list."""

    classes = ()

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        parse = self.form.parse_json
        parsed = [None if text is None else parse(json.loads(text)) for text in fetched[0].to_pylist()]
        return pa.array(parsed, self.type.arrow)

    def encode(self, values: pa.Array) -> list[Any]:
        form = self.form.json_value
        return [None if value is None else json_encoded(form(value)) for value in values.to_pylist()]


class _Split(SqliteAdapter):
    """Doubles beside text: read as two columns, as no driver here returns mixed ones."""

    classes = ()

    def expressions(self, name: str) -> list[tuple[str, pa.DataType]]:
        return [
            (f"CASE WHEN typeof({name}) = 'real' THEN {name} END", pa.float64()),
            (f"CASE WHEN typeof({name}) <> 'real' THEN CAST({name} AS TEXT) END", pa.string()),
        ]

    def decode(self, values: Sequence[Any]) -> pa.Array:
        try:
            only_texts = pa.array(values, pa.string())
        except pa.ArrowException:
            pass
        else:
            return self.incoming(pa.nulls(len(values), pa.float64()), only_texts)
        numbers = [v if isinstance(v, float) else None for v in values]
        texts = [
            None if v is None or isinstance(v, float) else v if isinstance(v, str | bytes) else str(v) for v in values
        ]
        return self.incoming(pa.array(numbers, pa.float64()), pa.array(texts, pa.string()))

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        numbers, texts = fetched
        if numbers.null_count != len(numbers):
            as_text = [None if number is None else self._number_text(number) for number in numbers.to_pylist()]
            texts = pc.coalesce(pa.array(as_text, pa.string()), texts)
        return self._parsed(texts)

    def _number_text(self, number: float) -> str:
        return repr(number)

    def _parsed(self, texts: pa.Array) -> pa.Array:
        texts.validate(full=True)
        return texts.cast(self.type.arrow)


class _Float(_Split, Vectorised):
    places = 2

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        numbers, texts = fetched
        require_doubles(texts)
        merged = pc.coalesce(numbers, doubles(texts))
        narrow = merged.cast(self.type.arrow)
        # A double in a column declared single is rounded by every engine that has single floats.
        if self.type.carrier is Kind.FLOAT32 and not narrow.cast(pa.float64()).equals(merged):
            require_single(merged, narrow)
        return narrow

    def outgoing(self, values: pa.Array) -> pa.Array:
        return apart(*float_forms(values.cast(pa.float64())))


class _Decimal(_Split):
    def _number_text(self, number: float) -> str:
        return repr(number) if self.type.precision is None else str(as_decimal(self.type, repr(number)))

    def _parsed(self, texts: pa.Array) -> pa.Array:
        return parse_decimals(self.type, texts)

    def encode(self, values: pa.Array) -> list[Any]:
        is_text = isinstance(self.declared, EngineType) and isinstance(self.declared.elsewhere, sa.String)
        listed = values.to_pylist()
        return [None if value is None else decimal_form(self.type, value, becomes_text=is_text) for value in listed]

    @property
    def written_form(self) -> str:
        return "numbers without zeros at their end"

    def unlike_written_key(self, value: str) -> str | None:
        # Where a column makes texts of numbers; elsewhere no text is one.
        return f"typeof({value}) = 'text' AND CAST(CAST({value} AS NUMERIC) AS TEXT) <> {value}"


class _Json(_Split, Vectorised):
    places = 2

    def outgoing(self, values: pa.Array) -> pa.Array:
        """Text, except bare numbers, which the column's NUMERIC affinity would turn into one and round."""
        if pc.any(pc.invert(pc.match_substring_regex(values, _DOCUMENT))).as_py():
            raise ValueError("no JSON")
        if form_of(self.declared) == AS_BYTES:
            return apart(pa.nulls(len(values), pa.string()), values.cast(pa.binary()))
        if not pc.any(pc.match_substring_regex(values, _BARE_NUMBER)).as_py():
            return apart(values, pa.nulls(len(values), pa.binary()))
        forms = [None if text is None else json_form(text) for text in values.to_pylist()]
        return apart(
            pa.array([form if isinstance(form, str) else None for form in forms], pa.string()),
            pa.array([form if isinstance(form, bytes) else None for form in forms], pa.binary()),
        )


ADAPTERS: dict[str, type[SqliteAdapter]] = {
    Kind.TEXT: _Text,
    Kind.JSON: _Json,
    Kind.UUID: _Uuid,
    Kind.BYTES: _Bytes,
    Kind.BOOL: _Bool,
    Kind.INT16: _Integer,
    Kind.INT32: _Integer,
    Kind.INT64: _Integer,
    Kind.FLOAT32: _Float,
    Kind.FLOAT64: _Float,
    Kind.DECIMAL: _Decimal,
    Kind.TIMESTAMP: Timestamp,
    Kind.TIMESTAMPTZ: Timestamp,
    Kind.DATE: Date,
    Kind.TIME: Time,
    Kind.INTERVAL: Interval,
    Kind.ARRAY: _Array,
    Kind.NATIVE: _Native,
    **NATIVE,
}


class SqliteCodec(Codec[SqliteAdapter]):
    """Between SQLite's storage classes and canonical batches."""

    adapters = ADAPTERS
    dialect = _DIALECT

    def storage_table(self, spec: TableSpec) -> sa.Table:
        """With a type where what is bound is not yet what is stored."""
        table = super().storage_table(spec)
        for column in spec.columns:
            if column.type.kind == Kind.STORED:
                table.c[column.name].type = AnyClass()
        return table
