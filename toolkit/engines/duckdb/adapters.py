"""How values stand in DuckDB: the expressions that read and write each logical type, and its literals."""

from __future__ import annotations

from typing import Any, ClassVar

import pyarrow as pa

from toolkit.core.moments import DAY, NO_LENGTH
from toolkit.core.types import Kind
from toolkit.engines.duckdb import lossy
from toolkit.engines.duckdb.dialect import Dialect
from toolkit.engines.portable.adapters import Adapter, MisfitError
from toolkit.engines.portable.codec import Codec
from toolkit.engines.portable.literals import dates, each, plain, replaced_text
from toolkit.engines.portable.lossy import ANY_VALUE, BOOL_TEXT, INTEGER_TEXT, TIMESTAMP_TEXT, TIMESTAMPTZ_TEXT

# An interval with months has no length in microseconds; this stands for it until the row can be named.
_MONTHS = -(2**63)


class DuckDBAdapter(Adapter):
    """A type of DuckDB's that Arrow has too."""

    sql: ClassVar[str]
    """DuckDB's type for the canonical values."""
    exact: ClassVar[frozenset[str]] = frozenset()
    """DuckDB's types whose every value the logical type holds."""
    text_pattern: ClassVar[str | None] = None
    """How texts are written that a cast to the type takes as they are."""
    is_cast: ClassVar[bool] = True
    """Whether a value is stored by a cast, so that a value that is refused may be one that cannot be cast."""

    @property
    def sql_type(self) -> str:
        """DuckDB's type for the canonical values."""
        return self.sql

    def read(self, value: str) -> str:
        """The expression whose Arrow form is the canonical one, or becomes it by `incoming`."""
        return f"CAST({value} AS {self.sql_type})"

    def write(self, value: str, actual: str) -> str:
        """The expression that turns an incoming value into the column's type in the database."""
        return f"CAST({value} AS {actual})"

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        """What DuckDB's Arrow reader gave for `read`."""
        (values,) = fetched
        return (values.storage if isinstance(values, pa.ExtensionArray) else values).cast(self.type.arrow)

    def literals(self, values: pa.Array) -> list[str]:
        """For `duckdb`."""
        return plain(self.type, values)

    def lossy(self, actual: str, value: str) -> str | None:
        """The condition that values of the type `actual` meet if reading them changes them; None if none does.

        `actual` is what DuckDB's catalog calls the column's type; `value` is quoted already.
        """
        if actual in self.exact:
            return None
        if actual == "VARCHAR" and self.text_pattern is not None:
            matches = f"regexp_matches({value}, '{self.text_pattern}')"
            return f"(NOT {matches} OR TRY_CAST({value} AS {self.sql_type}) IS NULL)"
        return lossy.changed(value, actual, self.sql_type)


class _Text(DuckDBAdapter):
    sql = "VARCHAR"

    def literals(self, values: pa.Array) -> list[str]:
        return each(values, lambda text: replaced_text(text, "chr"))

    def lossy(self, actual: str, value: str) -> str | None:
        return lossy.changed(value, actual, self.sql) if lossy.is_nested(actual) else None


class _Json(_Text):
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

    def read(self, value: str) -> str:
        return f"CAST(CAST({value} AS UUID) AS BLOB)"

    def write(self, value: str, actual: str) -> str:
        return f"CAST(CAST({value} AS UUID) AS {actual})"


class _Bytes(DuckDBAdapter):
    sql = "BLOB"
    exact = frozenset({"BLOB"})

    def literals(self, values: pa.Array) -> list[str]:
        return each(values, lambda raw: f"from_hex('{raw.hex()}')")


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

    def read(self, value: str) -> str:
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

    def read(self, value: str) -> str:
        return f"list_transform({value}, lambda part: {self.element.read('part')})"

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


class DuckDBCodec(Codec[DuckDBAdapter]):
    """Between DuckDB's values and canonical batches."""

    adapters = ADAPTERS
    dialect = Dialect()
