"""How values stand in SQLite that travel as text which PostgreSQL writes: times with an offset, durations, arrays."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.core.types import Kind
from toolkit.engines.sqlite.adapter import SqliteAdapter


class Parsed(SqliteAdapter):
    """A text that is written in several ways, and travels in one."""

    has_own_form = True

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        return _each(fetched[0], self.form.parse_json)


class Nested(SqliteAdapter):
    """An array by its document."""

    classes = ()
    has_own_form = True

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        return _each(fetched[0], lambda text: self.form.parse_json(json.loads(text)))


class Stored(SqliteAdapter):
    """Any value of any class; doubles by their shortest digits, which SQLite's own text may lack."""

    classes = ()
    has_own_form = True

    def expressions(self, name: str) -> list[tuple[str, pa.DataType]]:
        text = f"CASE typeof({name}) WHEN 'real' THEN NULL WHEN 'blob' THEN 'b' || hex({name}) ELSE 't' || {name} END"
        return [(f"CASE typeof({name}) WHEN 'real' THEN {name} END", pa.float64()), (text, pa.string())]

    def decode(self, values: Sequence[Any]) -> pa.Array:
        read = self.form.from_python
        texts = [None if value is None else read(value) for value in values]
        return self.incoming(pa.nulls(len(values), pa.float64()), pa.array(texts, pa.string()))

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        numbers, texts = fetched
        texts.validate(full=True)
        if numbers.null_count == len(numbers):
            return texts
        doubles = [None if number is None else f"t{number!r}" for number in numbers.to_pylist()]
        return pc.coalesce(pa.array(doubles, pa.string()), texts)


def _each(stored: pa.Array, parse: Callable[[Any], Any]) -> pa.Array:
    return pa.array([None if text is None else parse(text) for text in stored.to_pylist()], pa.string())


NATIVE: dict[str, type[SqliteAdapter]] = {
    Kind.TIMETZ: Parsed,
    Kind.CALENDAR_INTERVAL: Parsed,
    Kind.NESTED: Nested,
    Kind.STORED: Stored,
}
