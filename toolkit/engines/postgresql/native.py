"""How values stand in PostgreSQL that travel as its own text, and arrays that travel as documents."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from toolkit.core.canonical_json import canonical_document
from toolkit.core.types import FLOAT_KINDS, Kind, LogicalType
from toolkit.engines.portable.adapters import MisfitError
from toolkit.engines.portable.lossy import ANY_VALUE, bare
from toolkit.engines.postgresql import lossy
from toolkit.engines.postgresql.adapter import PostgresAdapter
from toolkit.engines.postgresql.json import NULL_CHARACTER, has_duplicate_keys
from toolkit.engines.postgresql.texts import Text


class Native(Text):
    """Any type, by its text: what it was written as comes back as the same value."""

    reads_lists = False

    def fetch(self, name: str) -> str:
        return f"{name}::text"


class Stored(Native):
    """Any value, by its text, and bytes as such."""

    has_own_form = True

    def select(self, source: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        is_bytes = sa.func.pg_typeof(source) == sa.literal_column("'bytea'::regtype")
        text = sa.cast(source, sa.Text)
        return sa.case((is_bytes, "b" + sa.func.substr(text, 3)), else_="t" + text)

    def fetch(self, name: str) -> str:
        # Both ways are made for every type: those of bytes are of the text, too.
        is_bytes = f"pg_typeof({name}) = 'bytea'::regtype"
        return f"CASE WHEN {is_bytes} THEN 'b' || substr({name}::text, 3) ELSE 't' || {name}::text END"

    def decode(self, values: Sequence[Any]) -> pa.Array:
        return pa.array(values, pa.string())


class Timetz(Native):
    """A time with its offset; a time without one is in UTC."""

    has_own_form = True

    def fetch(self, name: str) -> str:
        return f"{name}::timetz::text"

    def lossy(self, actual: str, value: str, version: int) -> str | None:
        return lossy.timetz(actual, value)


class CalendarInterval(Native):
    """An interval, by its text."""

    has_own_form = True

    def fetch(self, name: str) -> str:
        return f"{name}::interval::text"

    def lossy(self, actual: str, value: str, version: int) -> str | None:
        return None if actual.startswith("interval") else ANY_VALUE


def listed(array: str, element: LogicalType) -> str:
    """An array as a document, in which -0, that `jsonb` has no number for, stands as a string, as NaN does."""
    if element.carrier not in FLOAT_KINDS:
        return f"to_jsonb({array})"
    return f"""replace(replace(array_to_json({array})::text, '-0,', '"-0",'), '-0]', '"-0"]')::jsonb"""


class Nested(PostgresAdapter):
    """An array by its document: written as its text, in which every element is quoted."""

    wire = "text"
    is_short = False
    has_own_form = True

    def select(self, source: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        texts, plain = sa.cast(source, sa.Text), source
        if self._scaled is not None:
            plain = sa.cast(plain, sa.ARRAY(self._scaled))
        if not self.element.form.in_arrays:
            plain = sa.cast(plain, sa.ARRAY(sa.Text))
        document = self._listed(sa.type_coerce(plain, sa.types.NullType()))
        bounded = sa.func.jsonb_build_object(sa.func.split_part(texts, "=", 1), document)
        return sa.cast(sa.case((texts.like("[%"), bounded), else_=document), sa.Text)

    def _listed(self, array: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """The same as `listed`."""
        if self.element.type.carrier not in FLOAT_KINDS:
            return sa.func.to_jsonb(array)
        text = sa.cast(sa.func.array_to_json(array), sa.Text)
        quoted = sa.func.replace(sa.func.replace(text, "-0,", '"-0",'), "-0]", '"-0"]')
        return sa.cast(quoted, postgresql.JSONB)

    def decode(self, values: Sequence[Any]) -> pa.Array:
        return pa.array([None if value is None else canonical_document(value) for value in values], pa.string())

    def fetch(self, name: str) -> str:
        document = listed(self._plain(name), self.element.type)
        return (
            f"CASE WHEN left({name}::text, 1) = '[' THEN "
            f"jsonb_build_object(split_part({name}::text, '=', 1), {document}) ELSE {document} END::text"
        )

    def _plain(self, name: str) -> str:
        """The array, of elements that have one form in JSON, or of texts."""
        if self.element.type.is_document:
            return f"{name}::jsonb[]::text[]"
        if self._scaled is not None:
            return f"{name}::numeric({self._scaled.precision}, {self._scaled.scale})[]::text[]"
        return name if self.element.form.in_arrays else f"{name}::text[]"

    @property
    def _scaled(self) -> sa.Numeric[Any] | None:
        """What elements are read as that show so many digits wherever they are stored: 1.5000 is 1.50."""
        type_ = self.element.type
        if type_.kind is not Kind.DECIMAL or type_.precision is None:
            return None
        return sa.Numeric(type_.precision, type_.scale or 0)

    def takes(self, actual: str) -> bool:
        return False

    def lossy(self, actual: str, value: str, version: int) -> str | None:
        if not actual.endswith("[]"):
            return ANY_VALUE
        element = actual.removesuffix("[]")
        if self._scaled is not None and bare(element) == "numeric":
            changed = self.element.lossy(element, "d", version)
            return changed and f"EXISTS (SELECT FROM unnest({value}) AS e(d) WHERE d <> 'NaN' AND {changed})"
        if self.element.lossy(element, value, version) is not None:
            return ANY_VALUE
        # They are read as `jsonb`.
        unlike = has_duplicate_keys("d", version)
        return f"EXISTS (SELECT FROM unnest({value}) AS e(d) WHERE {unlike})" if actual == "json[]" else None

    def outgoing(self, values: pa.Array) -> pa.Array:
        return pa.array([None if v is None else _array_text(row, v) for row, v in enumerate(values.to_pylist())])

    def encode(self, values: pa.Array) -> list[Any]:
        listed: list[Any] = self.outgoing(values).to_pylist()
        return listed

    def text(self, value: Any) -> str:
        return _array_text(0, value)

    def literals(self, values: pa.Array) -> list[str]:
        return Text(self.type.carried).literals(self.outgoing(values))


def _array_text(row: int, document: str) -> str:
    """A document as the text of an array.

    Raises:
        MisfitError: it is none.
    """
    value = json.loads(document, parse_int=str, parse_float=str)
    bounds = ""
    if isinstance(value, dict):
        ((bounds, value),) = value.items()
    _require_regular(row, value)
    return f"{bounds}={_text(value)}" if bounds else _text(value)


def _require_regular(row: int, value: list[Any]) -> None:
    """All lists of one level are as long, and none but the outermost is empty: what PostgreSQL has as an array."""
    level: list[Any] = [value]
    while any(isinstance(part, list) for part in level):
        if not all(isinstance(part, list) for part in level) or any(len(a) != len(b) for a, b in pairwise(level)):
            raise MisfitError(row, "holds lists of different lengths, or NULL in place of one, which no array does")
        if level[0] == [] and level[0] is not value:
            raise MisfitError(row, "holds empty lists in a list, which no array does")
        level = [each for part in level for each in part]


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "{" + ",".join(map(_text, value)) + "}"
    if value is None:
        return "NULL"
    text = str(value).lower() if isinstance(value, bool) else value
    if "\x00" in text:
        raise ValueError(NULL_CHARACTER)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


NATIVE: dict[str, type[PostgresAdapter]] = {
    Kind.NATIVE: Native,
    Kind.TIMETZ: Timetz,
    Kind.CALENDAR_INTERVAL: CalendarInterval,
    Kind.NESTED: Nested,
    Kind.STORED: Stored,
}
