"""A table with a column of every logical type, and rows full of awkward values."""

from __future__ import annotations

import datetime as dt
import enum
import math
import pickle
import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from advanced_alchemy.types import (
    GUID,
    BigIntIdentity,
    DateTimeUTC,
    EncryptedString,
    JsonB,
    StoredObject,
)
from sqlalchemy.dialects import postgresql

from toolkit.core.tables import TableSpec, select_tables

metadata = sa.MetaData()


class Colour(enum.Enum):
    """Stored by name; the values differ from the names on purpose."""

    RED = "r"
    GREEN = "g"


every_type = sa.Table(
    'every "type%s:x',
    metadata,
    sa.Column("key", GUID, primary_key=True),
    sa.Column("uuid", sa.Uuid),
    sa.Column("timestamp", sa.DateTime),
    sa.Column("timestamptz", DateTimeUTC),
    sa.Column("date", sa.Date),
    sa.Column("time", sa.Time),
    sa.Column("interval", sa.Interval),
    sa.Column("bool", sa.Boolean),
    sa.Column("int16", sa.SmallInteger),
    sa.Column("int32", sa.Integer),
    sa.Column("int64", BigIntIdentity),
    sa.Column("float32", sa.REAL),
    sa.Column("float64", sa.Double),
    sa.Column("decimal", sa.Numeric(38, 10)),
    sa.Column("money", sa.Numeric(12, 2)),
    sa.Column('te"xt %s :y', sa.Text),
    sa.Column("bytes", sa.LargeBinary),
    sa.Column("json", sa.JSON),
    sa.Column("jsonb", JsonB),
    sa.Column("enum", sa.Enum(Colour, native_enum=False)),
    sa.Column("native_enum", sa.Enum(Colour, name="colour")),
    sa.Column("array", sa.ARRAY(sa.Integer).with_variant(sa.JSON(), "sqlite")),
    sa.Column("text_array", sa.ARRAY(sa.Text).with_variant(sa.JSON(), "sqlite")),
    sa.Column("timetz", sa.Time(timezone=True)),
    sa.Column("calendar_interval", postgresql.INTERVAL().with_variant(sa.Text(), "sqlite")),
    sa.Column("grid", sa.ARRAY(sa.Integer, dimensions=2).with_variant(sa.JSON(), "sqlite")),
    sa.Column("moments", sa.ARRAY(sa.DateTime).with_variant(sa.JSON(), "sqlite")),
    sa.Column("range", postgresql.INT4RANGE().with_variant(sa.Text(), "sqlite")),
    sa.Column("ciphertext", EncryptedString(key="not used: values are never decrypted")),
    sa.Column("file", StoredObject(backend="nowhere")),
)
TEXT = 'te"xt %s :y'


class Pickled(sa.types.TypeDecorator[Any]):
    """An application's own type: one of PostgreSQL's there, elsewhere a text that only it can read."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, native: sa.types.TypeEngine[Any]) -> None:
        super().__init__()
        self.native = native

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        # Not by the dialect's descriptor, which makes a NUMERIC of PostgreSQL's floats.
        return self.native if dialect.name == "postgresql" else sa.Text()

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        return value if value is None or dialect.name == "postgresql" else f"own {pickle.dumps(value).hex()}"

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return pickle.loads(bytes.fromhex(value.removeprefix("own ")))


# What a decorator may stand for; others have processors of their own, or forms of one document that Python forgets.
_NATIVE: dict[str, sa.types.TypeEngine[Any]] = {
    "key": sa.Uuid(),
    "interval": sa.Interval(),
    "timestamptz": sa.DateTime(timezone=True),
    "array": sa.ARRAY(sa.Integer),
    "text_array": sa.ARRAY(sa.Text),
}
_PLAIN = (
    *("json", "jsonb", "enum", "native_enum", "ciphertext", "file"),
    *("timetz", "calendar_interval", "grid", "moments", "range"),
)
decorated_metadata = sa.MetaData()
decorated_type = sa.Table(
    every_type.name,
    decorated_metadata,
    *(
        sa.Column(
            c.name,
            c.type if c.name in _PLAIN else Pickled(_NATIVE.get(c.name, c.type)),
            primary_key=c.primary_key,
        )
        for c in every_type.columns
    ),
)

MAXIMUM = Decimal("9999999999999999999999999999.9999999999")

# Column -> the values that must survive; every row takes one of each column.
VALUES: dict[str, Sequence[Any]] = {
    "uuid": [uuid.UUID(int=0).bytes, uuid.UUID(int=2**128 - 1).bytes, bytes(range(16))],
    "timestamp": [
        dt.datetime(1, 1, 1),
        dt.datetime(9999, 12, 31, 23, 59, 59, 999999),
        dt.datetime(1969, 12, 31, 23, 59, 59, 999999),
        dt.datetime(2024, 2, 29, 12, 0, 0, 1),
    ],
    "timestamptz": [
        dt.datetime(1, 1, 1, tzinfo=dt.UTC),
        dt.datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC),
        dt.datetime(1883, 11, 18, 12, 3, 58, tzinfo=dt.UTC),
        dt.datetime(2024, 3, 31, 1, 30, 0, 123456, tzinfo=dt.UTC),
    ],
    "date": [dt.date(1, 1, 1), dt.date(9999, 12, 31), dt.date(1969, 12, 31), dt.date(2000, 2, 29)],
    "time": [dt.time(0), dt.time(23, 59, 59, 999999), dt.time(12, 30)],
    "interval": [
        dt.timedelta(0),
        dt.timedelta(days=-1, microseconds=1),
        dt.timedelta(days=20000, seconds=86399, microseconds=999999),
        dt.timedelta(microseconds=-1),
    ],
    "bool": [True, False],
    "int16": [0, -(2**15), 2**15 - 1],
    "int32": [0, -(2**31), 2**31 - 1],
    "int64": [0, -(2**63), 2**63 - 1, 2**53 + 1],
    "float32": [0.0, -0.0, math.inf, -math.inf, math.nan, 1.5, 3.4028234663852886e38, 1.401298464324817e-45],
    "float64": [
        0.0,
        -0.0,
        math.inf,
        -math.inf,
        math.nan,
        0.1,
        1.7976931348623157e308,
        5e-324,
        1e22,
        2.0**53 + 2,
        1 / 3,
    ],
    "decimal": [
        MAXIMUM,
        MAXIMUM.copy_negate(),
        Decimal("0E-10"),
        Decimal("0.0000000001"),
        Decimal("12345678901234567.1"),
        Decimal("1.5"),
        Decimal(2**63),
        Decimal("0.1234567891"),
    ],
    "money": [Decimal("9999999999.99"), Decimal("-0.01"), Decimal(10), Decimal("0.10")],
    TEXT: [
        "",
        " ",
        "a'b\"c`d",
        "back\\slash \\N \\. \\n",
        "tab\tnew\nline\r\n",
        "🎉 e\u0301 é \u202e",
        "NULL",
        "%s $1 :x",
        "x" * 100_000,
        "\x01\x1f\x7f",
    ],
    "bytes": [b"", bytes(range(256)), b"\x00", b"\\x41"],
    "json": [
        "null",
        '{"b": 1, "a": {"z": [1.50, "é🎉\\n"], "y": null}}',
        "[]",
        "1.10",
        '"text"',
        "true",
        "12345678901234567890",
        "-0.5",
        '"1.5"',
        "[1e5]",
        r'{"path": "C:\\u0000dir"}',
    ],
    "jsonb": [
        "null",
        '{"a": {"y": null, "z": [1.50, "é🎉\\n"]}, "bb": 1}',
        "{}",
        "1.10",
        '"text"',
        "false",
        "12345678901234567890.123456789",
        "0",
        "9007199254740993",
        '"null"',
        r'"\\\\u0000"',
    ],
    "enum": ["RED", "GREEN"],
    "native_enum": ["GREEN", "RED"],
    "array": [[], [1, None, -(2**31)], [2**31 - 1]],
    "text_array": [[], ["a,b", 'q"\\', "", None, "NULL", "{}"], ["é🎉\n"]],
    "timetz": ["12:00:00+02", "00:00:00-15:59:59", "23:59:59.999999+05:30", "24:00:00+00"],
    "calendar_interval": ["00:00:00", "36:00:00", "1 day 12:00:00", "-1 years -2 mons +3 days -04:05:06.7", "1 mon"],
    "grid": ["[]", "[[1, 2], [3, null]]", "[[-2147483648], [2147483647]]"],
    "moments": ["[]", '["2024-02-29 12:00:00.000001", null]', '["0001-01-01 00:00:00"]'],
    "range": ["empty", "[1,5)", "(,)"],
    "ciphertext": ["gAAAAABmZGVjcnlwdGVk", ""],
    "file": ['{"backend": "nowhere", "filename": "a.txt", "metadata": {}, "to_filename": null}'],
}


def spec() -> TableSpec:
    """The table's description."""
    return select_tables(metadata)[0]


def decorated_spec() -> TableSpec:
    """The same table, of which most columns are of an application's own type."""
    return select_tables(decorated_metadata)[0]


def is_number(value: Any) -> bool:
    """Whether a value is no float that some engines do not have: infinite, none at all, or a negative zero."""
    return not isinstance(value, float) or (math.isfinite(value) and (value != 0 or math.copysign(1, value) > 0))


def batch(spec_: TableSpec | None = None, *, only_numbers: bool = False) -> pa.RecordBatch:
    """Rows that hold every value, and one of NULLs; `only_numbers`, without the floats that some engines lack."""
    spec_ = spec_ or spec()
    rows = max(len(values) for values in VALUES.values())
    columns = []
    for column in spec_.columns:
        if column.name == "key":
            cells: list[Any] = [uuid.UUID(int=2**100 + number).bytes for number in range(rows + 1)]
        else:
            values = [value for value in VALUES[column.name] if not only_numbers or is_number(value)]
            cells = [values[number % len(values)] for number in range(rows)] + [None]
        columns.append(pa.array(cells, column.type.arrow))
    return pa.record_batch(columns, schema=spec_.schema)
