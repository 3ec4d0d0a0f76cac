"""PostgreSQL's side of the canonical form: SQL expressions, COPY encoders and what reads come back as.

Each logical type has one expression to fetch it, one for its canonical value in a digest (see `toolkit.core.digest`)
and one Arrow form for the binary COPY.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from pgpq import ArrowToPostgresBinaryEncoder
from pgpq.encoders import StringEncoderBuilder
from pgpq.schema import Jsonb
from psycopg.sql import Identifier

from toolkit.core.canonical_bytes import postgres_date, postgres_timestamp
from toolkit.core.decimals import parse_decimals
from toolkit.core.moments import DAY, NO_LENGTH
from toolkit.core.tables import ColumnSpec, TableSpec
from toolkit.core.types import (
    FLOAT_KINDS,
    INFINITE_DATE,
    INFINITE_TIMESTAMP,
    INTEGER_KINDS,
    JSON_KINDS,
    TEXT_KINDS,
    Kind,
    LogicalType,
)
from toolkit.core.values import parse_json_value, shortened
from toolkit.engines.portable.codec import MISFITS

# An interval with months has no length in microseconds; this stands for it until the row can be named.
MONTHS = -(2**63)
_INTERVAL = pa.binary(16)
_EPOCH_SHIFT = 946_684_800_000_000
# `infinity` and `-infinity` as ADBC returns them: PostgreSQL's largest and smallest integers, moved from the epoch
# 2000 to 1970 and wrapped round. No real value comes near: PostgreSQL's earliest is 4713 BC.
_WRAPPED_TIMESTAMP = -(2**63) + _EPOCH_SHIFT - 1
_WRAPPED_DATE = -(2**31) + 10957 - 1
_EARLIEST_TIMESTAMP = -210_866_803_200_000_000


# Where a statement takes its value. No identifier can hold this character, as one can `%s` or `$1`.
VALUE = "\x00"


def quoted(name: str) -> str:
    """A quoted identifier."""
    # psycopg's own quoting: SQLAlchemy's also doubles percent signs, for statements that take parameters.
    return Identifier(name).as_string(None)


def qualified(table: sa.Table) -> str:
    """A table's quoted name, with its schema."""
    return f"{quoted(table.schema)}.{quoted(table.name)}" if table.schema else quoted(table.name)


def literal(text: str) -> str:
    """A string as a quoted literal; `standard_conforming_strings` must be on."""
    return "'" + text.replace("'", "''") + "'"


def fetch_expression(column: ColumnSpec, name: str) -> str:
    """What to select so that ADBC returns the column exactly. `name` is quoted already."""
    kind = column.type.kind
    if kind is Kind.INTERVAL:
        return _interval_expression(name, f"({MONTHS})::bigint")
    if kind is Kind.UUID or kind in TEXT_KINDS or kind in JSON_KINDS:
        return f"{name}::uuid" if kind is Kind.UUID else f"{name}::text"
    if kind is Kind.DECIMAL:
        return f"{name}::text"
    if kind is Kind.ARRAY:
        return name if _reads_natively(column.type) else f"to_jsonb({name})::text"
    return f"{name}::{_WIRE[kind]}"


def _interval_expression(name: str, otherwise: str) -> str:
    """The microseconds of an interval; what has months, or more microseconds than 64 bits count, is `otherwise`."""
    whole = f"extract(epoch FROM {name}) * 1000000"
    return (
        f"CASE WHEN date_trunc('month', {name}) <> '0'::interval OR abs({whole}) > {2**63 - 1} "
        f"THEN {otherwise} ELSE ({whole})::bigint END"
    )


def _reads_natively(array: LogicalType) -> bool:
    """Whether ADBC returns an array of this type as a list of the canonical element type."""
    assert array.element is not None
    return array.element.kind in INTEGER_KINDS | FLOAT_KINDS | {Kind.BOOL, Kind.TEXT}


def digest_expression(column: ColumnSpec, name: str) -> str:
    """The canonical value whose binary form goes into a row's digest. `name` is quoted already."""
    kind = column.type.kind
    if kind in TEXT_KINDS:
        return f"{name}::text"
    if kind in JSON_KINDS:
        return f"{name}::jsonb::text"
    if kind is Kind.ARRAY:
        return f"to_jsonb({name})::text"
    if kind is Kind.DECIMAL:
        return f"trim_scale({name}::numeric)::text"
    if kind in INTEGER_KINDS:
        return f"{name}::int8"
    if kind in FLOAT_KINDS:
        # NaN has many bit patterns in PostgreSQL and one in the canonical form.
        return f"CASE WHEN {name}::float8 = 'NaN' THEN 'NaN'::float8 ELSE {name}::float8 END"
    if kind is Kind.INTERVAL:
        # One value for all that cannot travel would make any two of them equal.
        return _interval_expression(name, digest_word(f"md5(interval_send({name}))"))
    return f"{name}::{_WIRE[kind]}"


def row_digest_expression(spec: TableSpec, quoted: Callable[[str], str]) -> str:
    """The hexadecimal MD5 of a row's canonical bytes."""
    values = ", ".join(digest_expression(column, quoted(column.name)) for column in spec.columns)
    return f"md5(record_send(ROW({values})))"


def digest_word(digest: str) -> str:
    """The first 64 bits of a hexadecimal digest, as a signed integer."""
    return f"('x' || left({digest}, 16))::bit(64)::bigint"


def wrapped(total: str) -> str:
    """A sum of any size as a signed integer of 64 bits, modulo 2**64."""
    return f"((({total} % {2**64}) + {2**64 + 2**63}) % {2**64} - {2**63})::bigint"


def segment_expression(spec: TableSpec, count: int, quoted: Callable[[str], str]) -> str:
    """The number of the segment, of so many, that a row belongs to (see `toolkit.compute.segments`)."""
    key = spec.project(spec.key)
    return f"('x' || left({row_digest_expression(key, quoted)}, 4))::bit(16)::int & {count - 1}"


def within_segments(spec: TableSpec, count: int, segments: Collection[int], quoted: Callable[[str], str]) -> str:
    """The condition of the rows in these segments of so many.

    One bit for each segment, 8 KB at most: an array would be searched anew for each row, and one that comes as a
    parameter be parsed anew, too (1,000,000 rows in 1,000 of 16,384 segments: 40 s instead of 2 s).
    """
    chosen = np.zeros(count, np.uint8)
    chosen[list(segments)] = 1
    bitmap = np.packbits(chosen, bitorder="little").tobytes().hex()
    return f"get_bit('\\x{bitmap}'::bytea, {segment_expression(spec, count, quoted)}) = 1"


_WIRE: dict[str, str] = {
    Kind.UUID: "uuid",
    Kind.TIMESTAMP: "timestamp",
    Kind.TIMESTAMPTZ: "timestamptz",
    Kind.DATE: "date",
    Kind.TIME: "time",
    Kind.INTERVAL: "interval",
    Kind.BOOL: "boolean",
    Kind.INT16: "smallint",
    Kind.INT32: "integer",
    Kind.INT64: "bigint",
    Kind.FLOAT32: "real",
    Kind.FLOAT64: "double precision",
    Kind.DECIMAL: "numeric",
    Kind.TEXT: "text",
    Kind.BYTES: "bytea",
    Kind.JSON: "jsonb",
    Kind.ENUM: "text",
    Kind.CIPHERTEXT: "text",
    Kind.FILE: "jsonb",
    Kind.ARRAY: "text",
}
# Types that take the same bytes as the one sent.
_ALIKE = {
    "text": ("text", "character varying", "character"),
    "timestamptz": ("timestamp with time zone",),
    "timestamp": ("timestamp without time zone",),
    "time": ("time without time zone",),
}


def wire_type(type_: LogicalType, actual: str) -> str:
    """The type whose binary form is sent for a column; `actual` is the type it has in the database.

    Anything but the column's own type goes through a staging table and a cast.
    """
    if type_.kind is Kind.ARRAY:
        return "text"
    if type_.kind is Kind.DECIMAL and type_.precision is None:
        return "text"
    if type_.kind in JSON_KINDS and actual == "json":
        return "json"
    return _WIRE[type_.kind]


def same_wire(wire: str, actual: str) -> bool:
    """Whether a column of type `actual` takes the bytes of `wire` as they are."""
    bare = actual.partition("(")[0]
    return bare in _ALIKE.get(wire, (wire,))


def wire_array(type_: LogicalType, values: pa.Array) -> pa.Array:
    """A canonical column as the Arrow array whose pgpq encoding is the column's binary form.

    Dates and timestamps become the integers that PostgreSQL counts in: pgpq itself refuses their infinities.
    """
    kind = type_.kind
    if kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
        return _renumbered(values.view(pa.int64()), postgres_timestamp)
    if kind is Kind.DATE:
        return _renumbered(values.view(pa.int32()), postgres_date)
    if kind is Kind.INTERVAL:
        return _interval_bytes(values)
    if kind is Kind.ARRAY:
        return pa.array([None if v is None else _array_literal(type_, v) for v in values.to_pylist()], pa.string())
    return values


def _interval_bytes(values: pa.Array) -> pa.Array:
    """Intervals in PostgreSQL's binary form: microseconds, days and months (pgpq would send no days).

    As psycopg sends a `timedelta`, so that an interval is stored as the application itself stores it: less than one day
    in the microseconds, and none less than nothing.
    """
    whole = values.view(pa.int64())
    days, rest = np.divmod(whole.fill_null(0).to_numpy(zero_copy_only=False), DAY)
    cells = np.zeros(len(whole), [("microseconds", ">i8"), ("days", ">i4"), ("months", ">i4")])
    cells["microseconds"], cells["days"] = rest, days
    binary = pa.Array.from_buffers(_INTERVAL, len(whole), [None, pa.py_buffer(cells.tobytes())])
    return pc.if_else(whole.is_valid(), binary, pa.scalar(None, _INTERVAL)) if whole.null_count else binary


def wire_schema(spec: TableSpec) -> pa.Schema:
    """The Arrow schema of the arrays that `wire_array` makes."""
    fields = []
    for column in spec.columns:
        kind = column.type.kind
        type_ = column.type.arrow
        if kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
            type_ = pa.int64()
        elif kind is Kind.DATE:
            type_ = pa.int32()
        elif kind is Kind.INTERVAL:
            type_ = _INTERVAL
        elif kind is Kind.ARRAY:
            type_ = pa.string()
        fields.append(pa.field(column.name, type_))
    return pa.schema(fields)


def encoder(spec: TableSpec, wires: dict[str, str]) -> ArrowToPostgresBinaryEncoder:
    """The binary COPY encoder of a table's rows."""
    schema = wire_schema(spec)
    encoders = {
        field.name: StringEncoderBuilder.new_with_output(field, Jsonb())
        if wires[field.name] == "jsonb"
        else ArrowToPostgresBinaryEncoder.infer_encoder(field)
        for field in schema
    }
    return ArrowToPostgresBinaryEncoder.new_with_encoders(schema, encoders)


def canonical_batch(spec: TableSpec, fetched: pa.RecordBatch) -> pa.RecordBatch:
    """A batch that ADBC returned for `fetch_expression`s in the canonical schema.

    Raises:
        ValueError: `(row, column name, problem)` of a value that cannot travel.
    """
    columns = [_named(column, values) for column, values in zip(spec.columns, fetched.columns, strict=True)]
    return pa.record_batch(columns, schema=spec.schema)


def _named(column: ColumnSpec, values: pa.Array) -> pa.Array:
    try:
        return _canonical(column, values)
    except UncarriedValueError:
        raise
    except MISFITS as error:
        for row in range(len(values)):
            try:
                _canonical(column, values.slice(row, 1))
            except MISFITS:
                held = shortened(str(values[row]))
                raise UncarriedValueError(row, column.name, f"holds {held}, which is no {column.type.kind}") from error
        raise


def _canonical(column: ColumnSpec, values: pa.Array) -> pa.Array:
    type_, kind = column.type, column.type.kind
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    if kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
        return _unwrapped(column, values.view(pa.int64()), _WRAPPED_TIMESTAMP, INFINITE_TIMESTAMP, _EARLIEST_TIMESTAMP)
    if kind is Kind.DATE:
        return _unwrapped(column, values.view(pa.int32()), _WRAPPED_DATE, INFINITE_DATE, _WRAPPED_DATE + 2)
    if kind is Kind.INTERVAL:
        _require(column, pc.not_equal(values, MONTHS), NO_LENGTH)
        return values.view(pa.duration("us"))
    if kind is Kind.DECIMAL and type_.precision is not None:
        _require(column, pc.match_substring_regex(values, "^[-0-9.]+$"), "is not a finite number")
        return parse_decimals(type_, values)
    if kind is Kind.ARRAY and not _reads_natively(type_):
        parsed = [None if v is None else parse_json_value(type_, json.loads(v)) for v in values.to_pylist()]
        return pa.array(parsed, type_.arrow)
    return values.cast(type_.arrow)


def _require(column: ColumnSpec, held: pa.Array, problem: str) -> None:
    if pc.any(pc.invert(held)).as_py():
        raise UncarriedValueError(held.to_pylist().index(False), column.name, problem)


class UncarriedValueError(ValueError):
    """A value of a fetched batch that has no canonical form: its row in the batch, its column, and why."""

    def __init__(self, row: int, column: str, problem: str) -> None:
        self.row, self.column, self.problem = row, column, problem
        super().__init__(f"row {row}, column {column}: {problem}")


def _unwrapped(column: ColumnSpec, whole: pa.Array, wrapped: int, infinite: int, earliest: int) -> pa.Array:
    """Put back the infinities, and refuse what else was wrapped round."""
    lowest = pc.min(whole).as_py()
    if lowest is None or lowest >= earliest:
        return whole.view(column.type.arrow)
    numbers = whole.fill_null(0).to_numpy(zero_copy_only=False).copy()
    upper, lower = numbers == wrapped, numbers == wrapped + 1
    beyond = (numbers < earliest) & ~upper & ~lower
    if beyond.any():
        raise UncarriedValueError(int(beyond.argmax()), column.name, "lies beyond the year 294246")
    numbers[upper], numbers[lower] = infinite, -infinite
    mask = whole.is_null().to_numpy(zero_copy_only=False)
    return pa.array(numbers, whole.type, mask=mask).view(column.type.arrow)


def _renumbered(whole: pa.Array, renumber: Callable[[np.ndarray], np.ndarray]) -> pa.Array:
    numbers = renumber(whole.fill_null(0).to_numpy(zero_copy_only=False))
    mask = whole.is_null().to_numpy(zero_copy_only=False) if whole.null_count else None
    return pa.array(numbers, whole.type, mask=mask)


def _array_literal(type_: LogicalType, value: list[Any]) -> str:
    """The array's text form in PostgreSQL; every element is quoted, so none needs to be looked at."""
    assert type_.element is not None
    parts = []
    for part in value:
        if part is None:
            parts.append("NULL")
            continue
        text = _element_text(type_.element, part)
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        parts.append(f'"{escaped}"')
    return "{" + ",".join(parts) + "}"


def _element_text(type_: LogicalType, part: Any) -> str:
    if type_.kind is Kind.UUID:
        return str(uuid.UUID(bytes=part))
    if type_.kind is Kind.BYTES:
        return f"\\x{part.hex()}"
    return str(part)


def key_documents(spec: TableSpec, keys: pa.Table) -> list[dict[str, Any]]:
    """Keys as objects that `jsonb_to_recordset` turns back into typed columns, named k0, k1 and so on."""
    types = [spec.column(name).type for name in keys.column_names]
    rows = zip(*(column.to_pylist() for column in keys.columns), strict=True)
    return [
        {f"k{i}": None if v is None else _element_text(t, v) for i, (t, v) in enumerate(zip(types, row, strict=True))}
        for row in rows
    ]
