"""How values stand in SQLite that travel as text which PostgreSQL writes: times with an offset, durations, arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.core.adapters.arrays import NestedAdapter
from toolkit.core.types import Kind
from toolkit.engines.sqlite.adapter import SqliteAdapter
from toolkit.engines.sqlite.any_storage_class import Stored


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
        assert isinstance(self.form, NestedAdapter)
        return _each(fetched[0], self.form.parse_document)


def whole_addresses(addresses: pa.Array) -> pa.Array:
    """Addresses with the length of their network, without which applications write them, and with which PostgreSQL."""
    bits = pc.if_else(pc.match_substring(addresses, ":"), "/128", "/32")
    is_bare = pc.match_substring_regex(addresses, r"^[0-9A-Fa-f.:]+$")
    return pc.if_else(is_bare, pc.binary_join_element_wise(addresses, bits, ""), addresses)


def _each(stored: pa.Array, parse: Callable[[Any], Any]) -> pa.Array:
    return pa.array([None if text is None else parse(text) for text in stored.to_pylist()], pa.string())


NATIVE: dict[str, type[SqliteAdapter]] = {
    Kind.TIMETZ: Parsed,
    Kind.CALENDAR_INTERVAL: Parsed,
    Kind.NESTED: Nested,
    Kind.STORED: Stored,
}
