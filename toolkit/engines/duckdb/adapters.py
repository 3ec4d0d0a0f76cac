"""How values stand in DuckDB: the expressions that read and write each logical type, and its literals."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from toolkit.core.moments import DAY, NO_LENGTH
from toolkit.core.types import Kind
from toolkit.engines.duckdb import lossy
from toolkit.engines.duckdb.adapter import DuckDBAdapter, Text
from toolkit.engines.duckdb.dialect import Dialect
from toolkit.engines.duckdb.native import NATIVE
from toolkit.engines.portable.adapters import MisfitError
from toolkit.engines.portable.codec import Codec
from toolkit.engines.portable.literals import dates, each
from toolkit.engines.portable.lossy import ANY_VALUE, BOOL_TEXT, INTEGER_TEXT, TIMESTAMP_TEXT, TIMESTAMPTZ_TEXT

# An interval with months has no length in microseconds; this stands for it until the row can be named.
_MONTHS = -(2**63)


class _Json(Text):
    exact = frozenset({"JSON"})

    def lossy(self, actual: str, value: str) -> str | None:
        if actual in self.exact:
            return None
        return f"NOT json_valid({value})" if actual == "VARCHAR" else ANY_VALUE


class _Uuid(DuckDBAdapter):
    sql = "UUID"
    exact = frozenset({"UUID"})
    text_pattern = "."
    is_cast = False

    def read(self, value: str, actual: str) -> str:
        return f"CAST(CAST({value} AS UUID) AS BLOB)"

    def write(self, value: str, actual: str) -> str:
        return f"CAST(CAST({value} AS UUID) AS {actual})"


class _Bytes(DuckDBAdapter):
    sql = "BLOB"
    exact = frozenset({"BLOB"})

    def literals(self, values: pa.Array) -> list[str]:
        return each(values, lambda raw: f"from_hex('{raw.hex()}')")

    def lossy(self, actual: str, value: str) -> str | None:
        # DuckDB makes a document's string of any bytes, also of such as are a document: '1' becomes '"1"', and back.
        return ANY_VALUE if actual == "JSON" else super().lossy(actual, value)


class _Bool(DuckDBAdapter):
    sql = "BOOLEAN"
    exact = frozenset({"BOOLEAN"})
    text_pattern = BOOL_TEXT


class _Int16(DuckDBAdapter):
    sql = "SMALLINT"
    exact = frozenset({"TINYINT", "SMALLINT", "UTINYINT"})
    text_pattern = INTEGER_TEXT


class _Int32(_Int16):
    sql = "INTEGER"
    exact = _Int16.exact | {"INTEGER", "USMALLINT"}


class _Int64(_Int32):
    sql = "BIGINT"
    exact = _Int32.exact | {"BIGINT", "UINTEGER"}


class _Single(DuckDBAdapter):
    sql = "FLOAT"
    exact = frozenset({"FLOAT"})


class _Double(DuckDBAdapter):
    sql = "DOUBLE"
    exact = frozenset({"FLOAT", "DOUBLE", "TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER"})


class _Decimal(DuckDBAdapter):
    @property
    def sql_type(self) -> str:
        type_ = self.type
        return "VARCHAR" if type_.precision is None else f"DECIMAL({type_.precision}, {type_.scale})"

    def read(self, value: str, actual: str) -> str:
        """The number; of a column of a fixed scale, no zeros behind it that only the scale has put there."""
        number = super().read(value, actual)
        is_padded = self.type.precision is None and actual.startswith("DECIMAL(") and ",0)" not in actual
        return f"rtrim(rtrim({number}, '0'), '.')" if is_padded else number

    def lossy(self, actual: str, value: str) -> str | None:
        condition = lossy.decimal_condition(self.type, actual, value)
        return super().lossy(actual, value) if condition is None else condition or None


class _Timestamp(DuckDBAdapter):
    sql = "TIMESTAMP"
    exact = frozenset({"TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"})
    text_pattern = TIMESTAMP_TEXT

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        return fetched[0].view(pa.int64()).view(self.type.arrow)

    def literals(self, values: pa.Array) -> list[str]:
        return dates(self.type, values, " (BC)", at_end=False)


class _Timestamptz(_Timestamp):
    sql = "TIMESTAMPTZ"
    text_pattern = TIMESTAMPTZ_TEXT


class _Date(DuckDBAdapter):
    sql = "DATE"
    exact = frozenset({"DATE"})

    def literals(self, values: pa.Array) -> list[str]:
        return dates(self.type, values, " (BC)", at_end=False)


class _Time(DuckDBAdapter):
    sql = "TIME"
    exact = frozenset({"TIME"})


class _Interval(DuckDBAdapter):
    sql = "VARCHAR"
    is_cast = False

    def read(self, value: str, actual: str) -> str:
        months = f"date_part('year', {value}) * 12 + date_part('month', {value})"
        whole = f"CASE WHEN {value} IS NOT NULL THEN coalesce(TRY(epoch_us({value})), {_MONTHS}) END"
        return f"CASE WHEN {months} <> 0 THEN ({_MONTHS})::BIGINT ELSE {whole} END"

    def write(self, value: str, actual: str) -> str:
        # As a `timedelta` has it: days of either sign, and from none to less than one day more. DuckDB's own division
        # and remainder go towards zero.
        whole = f"epoch_us({value})"
        rest = f"(({whole} % {DAY}) + {DAY}) % {DAY}"
        return f"to_days(CAST(({whole} - {rest}) // {DAY} AS INTEGER)) + to_microseconds({rest})"

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        (values,) = fetched
        if (row := values.index(_MONTHS).as_py()) >= 0:
            raise MisfitError(row, NO_LENGTH)
        return values.view(pa.int64()).view(self.type.arrow)

    def literals(self, values: pa.Array) -> list[str]:
        # Days apart, as the toolkit itself stores it.
        return each(
            values.view(pa.int64()), lambda whole: "to_days({}) + to_microseconds({})".format(*divmod(whole, DAY))
        )

    def lossy(self, actual: str, value: str) -> str | None:
        return lossy.interval_condition(value) if actual == "INTERVAL" else ANY_VALUE


class _Array(DuckDBAdapter):
    sql = "VARCHAR"

    def read(self, value: str, actual: str) -> str:
        element = lossy.element_of(actual) or ""
        return f"list_transform({value}, lambda part: {self.element.read('part', element)})"

    def literals(self, values: pa.Array) -> list[str]:
        def literal(parts: list[Any]) -> str:
            return f"[{', '.join(self.element.literals(pa.array(parts, self.element.type.arrow)))}]"

        return each(values, literal)

    def lossy(self, actual: str, value: str) -> str | None:
        """Lists of elements that are exactly the model's."""
        found = lossy.element_of(actual)
        if found is None:
            return ANY_VALUE
        is_exact = found in self.element.exact or (self.element.type.is_text and not lossy.is_nested(found))
        return None if is_exact else ANY_VALUE


ADAPTERS: dict[str, type[DuckDBAdapter]] = {
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
    Kind.TIMESTAMP: _Timestamp,
    Kind.TIMESTAMPTZ: _Timestamptz,
    Kind.DATE: _Date,
    Kind.TIME: _Time,
    Kind.INTERVAL: _Interval,
    Kind.ARRAY: _Array,
    **NATIVE,
}


class DuckDBCodec(Codec[DuckDBAdapter]):
    """Between DuckDB's values and canonical batches."""

    adapters = ADAPTERS
    dialect = Dialect()
