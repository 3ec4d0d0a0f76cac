"""How values stand in PostgreSQL: what fetches each logical type, what goes into a digest, what COPY is sent.

Each has one expression to fetch it, one for its canonical value in a digest (see `toolkit.core.digest`), and one Arrow
form for the binary COPY. The server itself digests, so what it computes is what the types' adapters compute.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy.dialects import postgresql

from toolkit.core.canonical_bytes import postgres_date, postgres_timestamp
from toolkit.core.decimals import parse_decimals
from toolkit.core.moments import DAY, NO_LENGTH
from toolkit.core.types import INFINITE_DATE, INFINITE_TIMESTAMP, Kind
from toolkit.engines.portable.adapters import Adapter, MisfitError
from toolkit.engines.portable.codec import Codec
from toolkit.engines.portable.literals import dates, each, plain
from toolkit.engines.portable.lossy import ANY_VALUE, bare
from toolkit.engines.postgresql import lossy
from toolkit.engines.postgresql.json import NULL_CHARACTER, holds_null_character, refused_documents
from toolkit.engines.postgresql.literals import postgres_text

# An interval with months has no length in microseconds; this stands for it until the row can be named.
_MONTHS = -(2**63)
_INTERVAL = pa.binary(16)
_EPOCH_SHIFT = 946_684_800_000_000
# `infinity` and `-infinity` as ADBC returns them: PostgreSQL's largest and smallest integers, moved from the epoch
# 2000 to 1970 and wrapped round. No real value comes near: PostgreSQL's earliest is 4713 BC.
_WRAPPED_TIMESTAMP = -(2**63) + _EPOCH_SHIFT - 1
_WRAPPED_DATE = -(2**31) + 10957 - 1
_EARLIEST_TIMESTAMP = -210_866_803_200_000_000

Misfits = Iterable[tuple[int, str]]


class PostgresAdapter(Adapter):
    """A type of PostgreSQL's that ADBC and pgpq have, too."""

    wire: ClassVar[str]
    """The type whose binary form is sent."""
    alike: ClassVar[frozenset[str]] = frozenset()
    """Other names of types that take the same bytes."""
    copied_as: ClassVar[pa.DataType | None] = None
    """The Arrow type whose pgpq encoding is the binary form, where it is not the canonical one."""
    is_short: ClassVar[bool] = True
    """Whether PostgreSQL never stores such values apart."""
    reads_lists: ClassVar[bool] = False
    """Whether ADBC returns an array of these as a list of the canonical type."""

    # -- out of the database ---------------------------------------------------------------------------------------

    def fetch(self, name: str) -> str:
        """What to select so that ADBC returns the column exactly. `name` is quoted already."""
        return f"{name}::{self.wire}"

    def digest(self, name: str) -> str:
        """The canonical value whose binary form goes into a row's digest. `name` is quoted already."""
        return self.fetch(name)

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        """What ADBC returned for `fetch`."""
        (values,) = fetched
        return self._canonical(values.storage if isinstance(values, pa.ExtensionArray) else values)

    def _canonical(self, values: pa.Array) -> pa.Array:
        return values.cast(self.type.arrow)

    def lossy(self, actual: str, value: str, version: int) -> str | None:
        """The condition that values of the type `actual` meet if reading them changes them; None if none does.

        `actual` is what `format_type` gives for the column, or for what its domain is made of; `value` is quoted
        already; `version` is the server's, such as 180004.
        """
        raise NotImplementedError

    # -- into the database -----------------------------------------------------------------------------------------

    def wire_for(self, actual: str) -> str:
        """The type whose binary form is sent to a column that has the type `actual` in the database.

        Anything but the column's own type goes through a staging table and a cast.
        """
        return self.wire

    def takes(self, actual: str) -> bool:
        """Whether a column of the type `actual` takes the bytes that are sent as they are."""
        return bare(actual) == self.wire_for(actual) or bare(actual) in self.alike

    @property
    def copy_type(self) -> pa.DataType:
        """The Arrow type of what `outgoing` makes."""
        return self.copied_as or self.type.arrow

    def store(self, name: str, actual: str) -> str:
        """A column of the staging table as the type that it has in the database. `name` is quoted already."""
        return f"{name}::{actual}"

    def unkeepable(self, values: pa.Array, wire: str) -> Misfits:
        """The rows that PostgreSQL would refuse without naming them, and why."""
        return ()

    def text(self, value: Any) -> str:
        """A value, which is not NULL, as `jsonb_to_recordset` turns it back into one of the type."""
        return str(value)

    def matched(self, name: str, actual: str) -> tuple[str, str]:
        """What of a column is compared with keys, and the type that these have. `name` is quoted already."""
        return name, actual

    def literals(self, values: pa.Array) -> list[str]:
        """For `psql`, whatever the column's own type: quoted literals have none."""
        return plain(self.type, values)


class _Text(PostgresAdapter):
    wire = "text"
    alike = frozenset({"character varying", "character"})
    is_short = False
    reads_lists = True

    def lossy(self, actual: str, value: str, version: int) -> str | None:
        return None

    def unkeepable(self, values: pa.Array, wire: str) -> Misfits:
        found = pc.match_substring(values, "\x00")
        return [(row, f"holds {NULL_CHARACTER}") for row in pc.indices_nonzero(found).to_pylist()]

    def literals(self, values: pa.Array) -> list[str]:
        return each(values, postgres_text)


class _Json(_Text):
    wire = "jsonb"
    alike = frozenset()
    reads_lists = False

    def fetch(self, name: str) -> str:
        return f"{name}::text"

    def digest(self, name: str) -> str:
        return f"{name}::jsonb::text"

    def lossy(self, actual: str, value: str, version: int) -> str | None:
        return lossy.json(actual, value, version)

    def wire_for(self, actual: str) -> str:
        return "json" if actual == "json" else self.wire

    def unkeepable(self, values: pa.Array, wire: str) -> Misfits:
        if wire == "json":
            return refused_documents(values)
        return [
            (row, f"holds {NULL_CHARACTER}") for row in pc.indices_nonzero(holds_null_character(values)).to_pylist()
        ]

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
        return str(self.type.adapter.json_value(value))

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

    def digest(self, name: str) -> str:
        return f"{name}::int8"

    def lossy(self, actual: str, value: str, version: int) -> str | None:
        return lossy.integer(self.type, actual, value)


class _Int16(_Int32):
    wire = "smallint"


class _Int64(_Int32):
    wire = "bigint"


class _Double(PostgresAdapter):
    wire = "double precision"
    reads_lists = True

    def digest(self, name: str) -> str:
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
        return f"{name}::text"

    def digest(self, name: str) -> str:
        return f"trim_scale({name}::numeric)::text"

    def _canonical(self, values: pa.Array) -> pa.Array:
        if self.type.precision is None:
            return super()._canonical(values)
        _require(pc.match_substring_regex(values, "^[-0-9.]+$"), "is not a finite number")
        return parse_decimals(self.type, values)

    def lossy(self, actual: str, value: str, version: int) -> str | None:
        return lossy.decimal(self.type, actual, value)

    def wire_for(self, actual: str) -> str:
        return "text" if self.type.precision is None else self.wire

    def takes(self, actual: str) -> bool:
        return super().takes(actual) or (self.type.precision is None and bare(actual) in _Text.alike)


class _Timestamp(PostgresAdapter):
    """As the integer that PostgreSQL counts in: pgpq itself refuses the infinities."""

    wire = "timestamp"
    alike = frozenset({"timestamp without time zone"})
    copied_as = pa.int64()

    def _canonical(self, values: pa.Array) -> pa.Array:
        whole = _unwrapped(values.view(pa.int64()), _WRAPPED_TIMESTAMP, INFINITE_TIMESTAMP, _EARLIEST_TIMESTAMP)
        return whole.view(self.type.arrow)

    def outgoing(self, values: pa.Array) -> pa.Array:
        return _renumbered(values.view(pa.int64()), postgres_timestamp)

    def lossy(self, actual: str, value: str, version: int) -> str | None:
        return lossy.timestamp(self.type, actual, value)

    def literals(self, values: pa.Array) -> list[str]:
        return dates(self.type, values, " BC", at_end=True)


class _Timestamptz(_Timestamp):
    wire = "timestamptz"
    alike = frozenset({"timestamp with time zone"})


class _Date(PostgresAdapter):
    """As the integer that PostgreSQL counts in."""

    wire = "date"
    copied_as = pa.int32()

    def _canonical(self, values: pa.Array) -> pa.Array:
        whole = _unwrapped(values.view(pa.int32()), _WRAPPED_DATE, INFINITE_DATE, _WRAPPED_DATE + 2)
        return whole.view(self.type.arrow)

    def outgoing(self, values: pa.Array) -> pa.Array:
        return _renumbered(values.view(pa.int32()), postgres_date)

    def lossy(self, actual: str, value: str, version: int) -> str | None:
        return lossy.date(actual, value)

    def literals(self, values: pa.Array) -> list[str]:
        return dates(self.type, values, " BC", at_end=True)


class _Time(PostgresAdapter):
    wire = "time"
    alike = frozenset({"time without time zone"})

    def lossy(self, actual: str, value: str, version: int) -> str | None:
        return lossy.time(actual, value)


class _Interval(PostgresAdapter):
    """In PostgreSQL's binary form: microseconds, days and months (pgpq would send no days).

    As psycopg sends a `timedelta`, so that an interval is stored as the application itself stores it: less than one day
    in the microseconds, and none less than nothing.
    """

    wire = "interval"
    copied_as = _INTERVAL

    def fetch(self, name: str) -> str:
        return _microseconds(name, f"({_MONTHS})::bigint")

    def digest(self, name: str) -> str:
        # One value for all that cannot travel would make any two of them equal.
        return _microseconds(name, f"('x' || left(md5(interval_send({name})), 16))::bit(64)::bigint")

    def _canonical(self, values: pa.Array) -> pa.Array:
        _require(pc.not_equal(values, _MONTHS), NO_LENGTH)
        return values.view(self.type.arrow)

    def outgoing(self, values: pa.Array) -> pa.Array:
        whole = values.view(pa.int64())
        days, rest = np.divmod(whole.fill_null(0).to_numpy(zero_copy_only=False), DAY)
        cells = np.zeros(len(whole), [("microseconds", ">i8"), ("days", ">i4"), ("months", ">i4")])
        cells["microseconds"], cells["days"] = rest, days
        binary = pa.Array.from_buffers(_INTERVAL, len(whole), [None, pa.py_buffer(cells.tobytes())])
        return pc.if_else(whole.is_valid(), binary, pa.scalar(None, _INTERVAL)) if whole.null_count else binary

    def lossy(self, actual: str, value: str, version: int) -> str | None:
        return lossy.interval(actual, value)

    def literals(self, values: pa.Array) -> list[str]:
        return each(values.view(pa.int64()), lambda whole: "'{} days {} microseconds'".format(*divmod(whole, DAY)))


class _Array(PostgresAdapter):
    """By its text, in which every element is quoted, so that none needs to be looked at."""

    wire = "text"
    alike = _Text.alike
    copied_as = pa.string()
    is_short = False

    def fetch(self, name: str) -> str:
        return name if self.element.reads_lists else f"to_jsonb({name})::text"

    def digest(self, name: str) -> str:
        return f"to_jsonb({name})::text"

    def _canonical(self, values: pa.Array) -> pa.Array:
        if self.element.reads_lists:
            return super()._canonical(values)
        parse = self.type.adapter.parse_json
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
    Kind.TEXT: _Text,
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
    Kind.TIMESTAMP: _Timestamp,
    Kind.TIMESTAMPTZ: _Timestamptz,
    Kind.DATE: _Date,
    Kind.TIME: _Time,
    Kind.INTERVAL: _Interval,
    Kind.ARRAY: _Array,
}


class PostgresCodec(Codec[PostgresAdapter]):
    """Between PostgreSQL's values and canonical batches."""

    adapters = ADAPTERS
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]


CODEC = PostgresCodec()


def _microseconds(name: str, otherwise: str) -> str:
    """The microseconds of an interval; what has months, or more microseconds than 64 bits count, is `otherwise`."""
    whole = f"extract(epoch FROM {name}) * 1000000"
    return (
        f"CASE WHEN date_trunc('month', {name}) <> '0'::interval OR abs({whole}) > {2**63 - 1} "
        f"THEN {otherwise} ELSE ({whole})::bigint END"
    )


def _require(held: pa.Array, problem: str) -> None:
    if pc.any(pc.invert(held)).as_py():
        raise MisfitError(held.to_pylist().index(False), problem)


def _unwrapped(whole: pa.Array, wrapped: int, infinite: int, earliest: int) -> pa.Array:
    """Put back the infinities, and refuse what else was wrapped round."""
    lowest = pc.min(whole).as_py()
    if lowest is None or lowest >= earliest:
        return whole
    numbers = whole.fill_null(0).to_numpy(zero_copy_only=False).copy()
    upper, lower = numbers == wrapped, numbers == wrapped + 1
    beyond = (numbers < earliest) & ~upper & ~lower
    if beyond.any():
        raise MisfitError(int(beyond.argmax()), "lies beyond the year 294246")
    numbers[upper], numbers[lower] = infinite, -infinite
    return pa.array(numbers, whole.type, mask=whole.is_null().to_numpy(zero_copy_only=False))


def _renumbered(whole: pa.Array, renumber: Callable[[np.ndarray], np.ndarray]) -> pa.Array:
    numbers = renumber(whole.fill_null(0).to_numpy(zero_copy_only=False))
    mask = whole.is_null().to_numpy(zero_copy_only=False) if whole.null_count else None
    return pa.array(numbers, whole.type, mask=mask)
