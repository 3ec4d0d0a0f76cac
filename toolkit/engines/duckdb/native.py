"""How values stand in DuckDB that travel as text: its own types by its own text, and arrays as documents."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from toolkit.core.adapters.elements import in_jsonb
from toolkit.core.adapters.native import duration_parts, duration_text
from toolkit.core.canonical_json import canonical_document
from toolkit.core.logical import json_encoded
from toolkit.core.types import FLOAT_KINDS, Kind
from toolkit.engines.duckdb import lossy
from toolkit.engines.duckdb.adapter import DuckDBAdapter, Text
from toolkit.engines.portable.adapters import MisfitError
from toolkit.engines.portable.literals import each, replaced_text
from toolkit.engines.portable.lossy import ANY_VALUE

_PARTS = pa.struct({"text": pa.string(), "months": pa.int64(), "days": pa.int64(), "microseconds": pa.int64()})
# Types whose text tells the value; of any other it is tried. That of a VARIANT does not say of which type it is.
_WRITTEN_OUT = frozenset(
    {
        *("BIT", "BIGNUM", "HUGEINT", "UHUGEINT", "UBIGINT", "ENUM", "TIME_NS"),
        *("TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE_NS", "TIMESTAMPTZ_NS"),
    }
)
# How PostgreSQL writes bytes.
_HEX = "\\x"
_MEMBER = re.compile(r'("(?:[^"]|"")+"|\w+) (.*)', re.DOTALL)


class Native(Text):
    """Any type, by its text: what it was written as comes back as the same value, or is refused with its row.

    The text of a UNION does not say of which member it is: it is written as that of a STRUCT of both, and where it is
    a part of something else, all of that as JSON, which says it.
    """

    def read(self, value: str, actual: str) -> str:
        if lossy.is_union(actual):
            texts = "".join(
                f" WHEN {replaced_text(name, 'chr')} THEN CAST({value}.{quoted} AS VARCHAR)"
                for name, quoted, _ in _members(actual)
            )
            whole = f"{{'tag': union_tag({value}), 'value': CASE union_tag({value}){texts} END}}"
            return f"CASE WHEN {value} IS NOT NULL THEN CAST({whole} AS VARCHAR) END"
        return f"CAST(to_json({value}) AS VARCHAR)" if _is_read_as_json(actual) else super().read(value, actual)

    def write(self, value: str, actual: str) -> str:
        if not lossy.is_union(actual):
            return super().write(f"CAST({value} AS JSON)" if _is_read_as_json(actual) else value, actual)
        whole = f"CAST({value} AS STRUCT(tag VARCHAR, value VARCHAR))"
        cases = "".join(
            f" WHEN {replaced_text(name, 'chr')} THEN CAST(union_value({quoted} := CAST({whole}.value AS {type_})) "
            f"AS {actual})"
            for name, quoted, type_ in _members(actual)
        )
        return f"CASE {whole}.tag{cases} END"

    def lossy(self, actual: str, value: str) -> str | None:
        if lossy.bare(actual) in _WRITTEN_OUT:
            return None
        return f"({self.write(self.read(value, actual), actual)}) IS DISTINCT FROM {value}"


def has_union(actual: str) -> bool:
    """Whether values of a type have members, which its text does not name."""
    return "UNION(" in actual


def _is_read_as_json(actual: str) -> bool:
    # DuckDB makes no BIT of JSON.
    return has_union(actual) and re.search(r"\bBIT\b", actual) is None


def _members(union: str) -> list[tuple[str, str, str]]:
    """The name, quoted name and type of each member of a UNION."""
    found, depth, start, text = [], 0, 0, union.removeprefix("UNION(").removesuffix(")")
    is_quoted = False
    for place, character in enumerate(f"{text},"):
        is_quoted ^= character in "\"'"
        depth += 0 if is_quoted else (character == "(") - (character == ")")
        if character == "," and depth == 0 and not is_quoted:
            member = _MEMBER.fullmatch(text[start:place].strip())
            assert member is not None, union
            found.append((member[1].strip('"').replace('""', '"'), member[1], member[2]))
            start = place + 1
    return found


class Stored(Text):
    """Any value, by its text, and bytes as such."""

    def read(self, value: str, actual: str) -> str:
        return f"'b' || hex({value})" if actual == "BLOB" else f"'t' || CAST({value} AS VARCHAR)"

    def lossy(self, actual: str, value: str) -> str | None:
        return None


class Timetz(Text):
    """A time with its offset; a time without one is in UTC."""

    def read(self, value: str, actual: str) -> str:
        return f"CAST(CAST({value} AS TIMETZ) AS VARCHAR)"

    def lossy(self, actual: str, value: str) -> str | None:
        if actual in ("TIME WITH TIME ZONE", "TIME"):
            return None
        return f"{self.read(value, actual)} IS DISTINCT FROM {value}" if actual == "VARCHAR" else ANY_VALUE


class CalendarInterval(Text):
    """An interval by its months, days and microseconds."""

    converts: ClassVar[bool] = True
    has_own_form = True

    def read(self, value: str, actual: str) -> str:
        if actual == "VARCHAR":
            return value
        months = f"date_part('year', {value}) * 12 + date_part('month', {value})"
        minutes = f"(date_part('hour', {value}) * 60 + date_part('minute', {value}))"
        return (
            f"CASE WHEN {value} IS NOT NULL THEN {{'months': CAST({months} AS BIGINT), "
            f"'days': CAST(date_part('day', {value}) AS BIGINT), "
            f"'microseconds': CAST({minutes} * 60000000 + date_part('microsecond', {value}) AS BIGINT)}} END"
        )

    def write(self, value: str, actual: str) -> str:
        if actual != "INTERVAL":
            return f"CAST({value}.text AS {actual})"
        return (
            f"to_months(CAST({value}.months AS INTEGER)) + to_days(CAST({value}.days AS INTEGER)) "
            f"+ to_microseconds({value}.microseconds)"
        )

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        (values,) = fetched
        if pa.types.is_string(values.type):
            return values
        parts = [None if v is None else duration_text(**v) for v in values.to_pylist()]
        return pa.array(parts, pa.string())

    def outgoing(self, values: pa.Array) -> pa.Array:
        parts = [
            None if text is None else dict(zip(_PARTS.names, (text, *duration_parts(text)), strict=True))
            for text in values.to_pylist()
        ]
        return pa.array(parts, _PARTS)

    def encode(self, values: pa.Array) -> list[Any]:
        form = "{} months {} days {} microseconds"
        return [None if text is None else form.format(*duration_parts(text)) for text in values.to_pylist()]

    def literals(self, values: pa.Array) -> list[str]:
        def literal(text: str) -> str:
            return "to_months({}) + to_days({}) + to_microseconds({})".format(*duration_parts(text))

        return each(values, literal)

    def lossy(self, actual: str, value: str) -> str | None:
        return None if actual in ("INTERVAL", "VARCHAR") else ANY_VALUE


class Nested(DuckDBAdapter):
    """A list of lists, or of anything, by its document."""

    sql = "VARCHAR"
    converts: ClassVar[bool] = True
    has_own_form = True
    is_cast = False

    def select(self, source: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return sa.cast(sa.func.to_json(source), sa.Text)

    def decode(self, values: Sequence[Any]) -> pa.Array:
        # NaN and the infinities are numbers to both.
        convert = self._json_value if self.element.type.carrier in FLOAT_KINDS else None
        found = [None if value is None else self._document(json.loads(value), convert) for value in values]
        return pa.array(found, pa.string())

    def read(self, value: str, actual: str) -> str:
        if self._has_json_form:
            return _of_each(value, actual, self.element.read)
        return f"CAST(to_json({_of_each(value, actual, self._text)}) AS VARCHAR)"

    def write(self, value: str, actual: str) -> str:
        element, levels = _levels(actual)
        texts = f"CAST(CAST({value} AS JSON) AS VARCHAR{'[]' * levels})"
        if self.element.type.carrier is Kind.BYTES and element == "BLOB":
            return _of_each(texts, actual, lambda part, _: f"from_hex({part}[3:])")
        return f"CAST({texts} AS {actual})"

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        (values,) = fetched
        if pa.types.is_string(values.type):
            found = [None if v is None else self._document(json.loads(v)) for v in values.to_pylist()]
        else:
            found = [None if v is None else self._document(v, self._json_value) for v in values.to_pylist()]
        return pa.array(found, pa.string())

    def outgoing(self, values: pa.Array) -> pa.Array:
        bounded = pc.fill_null(pc.starts_with(values, "{"), False)
        if pc.any(bounded).as_py():
            raise MisfitError(bounded.to_pylist().index(True), "holds an array that does not begin at 1")
        return values

    def literals(self, values: pa.Array) -> list[str]:
        return each(self.outgoing(values), lambda text: self._literal(json.loads(text, parse_float=str, parse_int=str)))

    def _literal(self, value: Any) -> str:
        if isinstance(value, list):
            return f"[{', '.join(map(self._literal, value))}]"
        if value is None:
            return "NULL"
        if self.element.type.carrier is Kind.BYTES:
            return f"from_hex('{value.removeprefix(_HEX)}')"
        return replaced_text(str(value), "chr")

    def lossy(self, actual: str, value: str) -> str | None:
        element, levels = _levels(actual)
        if not levels:
            return ANY_VALUE
        if element == "INTERVAL":
            return ANY_VALUE
        is_text = self.element.type.is_text or not self._has_json_form
        is_exact = element in self.element.exact or (element == "VARCHAR" and is_text)
        return None if is_exact or self.element.lossy(element, value) is None else ANY_VALUE

    @property
    def _has_json_form(self) -> bool:
        return self.element.form.in_arrays

    def _text(self, part: str, actual: str) -> str:
        """An element as PostgreSQL writes it."""
        if actual == "VARCHAR":
            return part
        if self.element.type.carrier is Kind.BYTES:
            return f"'\\x' || lower(hex({part}))"
        return f"CAST({self.element.read(part, actual)} AS VARCHAR)"

    def _json_value(self, value: Any) -> Any:
        return in_jsonb(self.element.form.json_value(value), self.element.type.carrier == Kind.FLOAT32)

    def _document(self, value: list[Any], convert: Callable[[Any], Any] | None = None) -> str:
        if convert is None and self.element.type.is_document:
            convert = canonical_document
        return canonical_document(json_encoded(value if convert is None else _mapped(value, convert)))


def _mapped(value: Any, convert: Callable[[Any], Any]) -> Any:
    if isinstance(value, list):
        return [_mapped(part, convert) for part in value]
    return None if value is None else convert(value)


def _levels(actual: str) -> tuple[str, int]:
    """The type of the elements of a list of lists, and how many levels it has."""
    levels = 0
    while (element := lossy.element_of(actual)) is not None:
        actual, levels = element, levels + 1
    return actual, levels


def _of_each(value: str, actual: str, convert: Callable[[str, str], str]) -> str:
    """A list of lists with each element converted."""
    element, levels = _levels(actual)
    expression = convert(f"p{levels}", element)
    for level in range(levels, 0, -1):
        outer = value if level == 1 else f"p{level - 1}"
        expression = f"list_transform({outer}, lambda p{level}: {expression})"
    return expression


NATIVE: dict[str, type[DuckDBAdapter]] = {
    Kind.NATIVE: Native,
    Kind.TIMETZ: Timetz,
    Kind.CALENDAR_INTERVAL: CalendarInterval,
    Kind.NESTED: Nested,
    Kind.STORED: Stored,
}
