"""The types of PostgreSQL, each with its adapter."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from toolkit.core.decimals import parse_decimals
from toolkit.core.types import Kind
from toolkit.engines.portable.codec import Codec
from toolkit.engines.portable.literals import each
from toolkit.engines.portable.lossy import ANY_VALUE, bare
from toolkit.engines.postgresql import lossy, times
from toolkit.engines.postgresql.adapter import Misfits, PostgresAdapter, require
from toolkit.engines.postgresql.json import (
    NULL_CHARACTER,
    canonical,
    holds_null_character,
    invalid_documents,
    refused_documents,
    unlike_documents,
)
from toolkit.engines.postgresql.literals import postgres_text
from toolkit.engines.postgresql.native import NATIVE, listed
from toolkit.engines.postgresql.texts import Text


class _Json(Text):
    wire = "jsonb"
    alike = frozenset()
    reads_lists = False

    def fetch(self, name: str) -> str:
        return f"{name}::text"

    def digest(self, name: str, version: int) -> str:
        return canonical(name, version)

    def lossy(self, actual: str, value: str, version: int) -> str | None:
        return lossy.json(actual, value, version)

    def wire_for(self, actual: str) -> str:
        return "json" if actual == "json" else self.wire

    def matched(self, name: str, actual: str) -> tuple[str, str]:
        # A key comes as text, which is a document of its own: a string.
        return f"{name}::jsonb::text", "text"

    def unkeepable(self, values: pa.Array, wire: str) -> Misfits:
        if wire == "json":
            return refused_documents(values)
        return [
            (row, f"holds {NULL_CHARACTER}") for row in pc.indices_nonzero(holds_null_character(values)).to_pylist()
        ]

    def refused(self, values: pa.Array, wire: str) -> Misfits:
        return invalid_documents(values) if wire == "json" else unlike_documents(values)

    def literals(self, values: pa.Array) -> list[str]:
        if pc.any(holds_null_character(values)).as_py():
            raise ValueError("the character U+0000")
        return super().literals(values)


class _Uuid(PostgresAdapter):
    wire = "uuid"

    def lossy(self, actual: str, value: str, version: int) -> str | None:
        return lossy.uuid(actual, value)

    def store(self, name: str, actual: str) -> str:
        # SQLAlchemy's own form of a UUID for engines without the type: 32 digits.
        return f"replace({name}::text, '-', '')" if actual == "bpchar" else super().store(name, actual)

    def text(self, value: Any) -> str:
        return str(self.form.json_value(value))

    def matched(self, name: str, actual: str) -> tuple[str, str]:
        # UUIDs in a column of characters are written in several ways.
        return (name, actual) if actual == "uuid" else (f"{name}::uuid", "uuid")


class _Bytes(PostgresAdapter):
    wire = "bytea"
    is_short = False

    def lossy(self, actual: str, value: str, version: int) -> str | None:
        return None if actual == "bytea" else ANY_VALUE

    def text(self, value: Any) -> str:
        return f"\\x{value.hex()}"

    def literals(self, values: pa.Array) -> list[str]:
        return each(values, lambda raw: f"E'\\\\x{raw.hex()}'")


class _Bool(PostgresAdapter):
    wire = "boolean"
    reads_lists = True

    def lossy(self, actual: str, value: str, version: int) -> str | None:
        return lossy.boolean(actual, value)


class _Int32(PostgresAdapter):
    wire = "integer"
    reads_lists = True

    def select(self, source: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return sa.cast(source, {"smallint": sa.SmallInteger, "integer": sa.Integer}.get(self.wire, sa.BigInteger))

    def digest(self, name: str, version: int) -> str:
        # By the type itself: PostgreSQL makes an integer of a boolean, and no other.
        return f"{name}::{self.wire}::int8"

    def lossy(self, actual: str, value: str, version: int) -> str | None:
        return lossy.integer(self.type, actual, value)


class _Int16(_Int32):
    wire = "smallint"


class _Int64(_Int32):
    wire = "bigint"


class _Double(PostgresAdapter):
    wire = "double precision"
    reads_lists = True

    def select(self, source: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        # psycopg reads a `real` by its shortest text, which is that of another double.
        return sa.cast(source, sa.Double if self.wire == "double precision" else sa.REAL)

    def digest(self, name: str, version: int) -> str:
        # NaN has many bit patterns in PostgreSQL and one in the canonical form.
        return f"CASE WHEN {name}::float8 = 'NaN' THEN 'NaN'::float8 ELSE {name}::float8 END"

    def lossy(self, actual: str, value: str, version: int) -> str | None:
        return lossy.floating(self.type, actual, value)


class _Single(_Double):
    wire = "real"


class _Decimal(PostgresAdapter):
    wire = "numeric"
    is_short = False

    def fetch(self, name: str) -> str:
        return f"{name}::numeric::text"

    def digest(self, name: str, version: int) -> str:
        return f"trim_scale({name}::numeric)::text"

    def _canonical(self, values: pa.Array) -> pa.Array:
        if self.type.precision is None:
            return super()._canonical(values)
        require(pc.match_substring_regex(values, "^[-0-9.]+$"), "is not a finite number")
        return parse_decimals(self.type, values)

    def lossy(self, actual: str, value: str, version: int) -> str | None:
        return lossy.decimal(self.type, actual, value)

    def wire_for(self, actual: str) -> str:
        return "text" if self.type.precision is None else self.wire

    def store(self, name: str, actual: str) -> str:
        # There is no cast from text to `money` but that of the locale's own form.
        return f"{name}::numeric::money" if actual == "money" else super().store(name, actual)

    def takes(self, actual: str) -> bool:
        return super().takes(actual) or (self.type.precision is None and bare(actual) in Text.alike)


class _Array(PostgresAdapter):
    """By its text, in which every element is quoted, so that none needs to be looked at."""

    wire = "text"
    alike = Text.alike
    copied_as = pa.string()
    is_short = False

    def fetch(self, name: str) -> str:
        # Elements of a type of the database's own, such as an enum, as what PostgreSQL itself has for them: a reader
        # may not know that type.
        return f"{name}::{self.element.wire}[]" if self.element.reads_lists else f"to_jsonb({name})::text"

    def select(self, source: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return sa.cast(source, sa.ARRAY(sa.Text)) if self._is_padded else super().select(source)

    def digest(self, name: str, version: int) -> str:
        return f"{listed(f'{name}::text[]' if self._is_padded else name, self.element.type)}::text"

    @property
    def _is_padded(self) -> bool:
        """Whether elements may be of `char(n)`, whose blanks at the end are none of the value."""
        return self.element.reads_lists and self.element.wire == "text"

    def _canonical(self, values: pa.Array) -> pa.Array:
        if self.element.reads_lists:
            return super()._canonical(values)
        parse = self.form.parse_json
        parsed = [None if v is None else parse(json.loads(v)) for v in values.to_pylist()]
        return pa.array(parsed, self.type.arrow)

    def outgoing(self, values: pa.Array) -> pa.Array:
        return pa.array([None if v is None else self.text(v) for v in values.to_pylist()], pa.string())

    def text(self, value: Any) -> str:
        return "{" + ",".join("NULL" if part is None else self._quoted(part) for part in value) + "}"

    def _quoted(self, part: Any) -> str:
        escaped = self.element.text(part).replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'

    def lossy(self, actual: str, value: str, version: int) -> str | None:
        """Arrays travel as flat lists, which begin at 1; of elements that are exactly the model's."""
        if not actual.endswith("[]") or self.element.lossy(actual.removesuffix("[]"), value, version) is not None:
            return ANY_VALUE
        return f"(array_ndims({value}) > 1 OR array_lower({value}, 1) <> 1)"

    def literals(self, values: pa.Array) -> list[str]:
        return each(self.outgoing(values), postgres_text)


ADAPTERS: dict[str, type[PostgresAdapter]] = {
    Kind.TEXT: Text,
    Kind.JSON: _Json,
    Kind.UUID: _Uuid,
    Kind.BYTES: _Bytes,
    Kind.BOOL: _Bool,
    Kind.INT16: _Int16,
    Kind.INT32: _Int32,
    Kind.INT64: _Int64,
    Kind.FLOAT32: _Single,
    Kind.FLOAT64: _Double,
    Kind.DECIMAL: _Decimal,
    Kind.TIMESTAMP: times.Timestamp,
    Kind.TIMESTAMPTZ: times.Timestamptz,
    Kind.DATE: times.Date,
    Kind.TIME: times.Time,
    Kind.INTERVAL: times.Interval,
    Kind.ARRAY: _Array,
    **NATIVE,
}


class PostgresCodec(Codec[PostgresAdapter]):
    """Between PostgreSQL's values and canonical batches."""

    adapters = ADAPTERS
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]


CODEC = PostgresCodec()
