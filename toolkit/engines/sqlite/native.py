"""How values stand in SQLite that travel as text which PostgreSQL writes: times with an offset, durations, arrays."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from toolkit.core.types import Kind
from toolkit.engines.sqlite.adapter import SqliteAdapter
from toolkit.engines.sqlite.any_class import Stored


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


def _each(stored: pa.Array, parse: Callable[[Any], Any]) -> pa.Array:
    return pa.array([None if text is None else parse(text) for text in stored.to_pylist()], pa.string())


NATIVE: dict[str, type[SqliteAdapter]] = {
    Kind.TIMETZ: Parsed,
    Kind.CALENDAR_INTERVAL: Parsed,
    Kind.NESTED: Nested,
    Kind.STORED: Stored,
}
