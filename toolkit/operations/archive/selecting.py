"""Which rows a condition means that stand in an archive, also those that the database has no more."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from msgspec import Struct

from toolkit.core.batches import BATCH_ROWS
from toolkit.core.condition_columns import condition_columns
from toolkit.core.sql_terms import Untranslatable
from toolkit.core.values import json_value
from toolkit.operations.archive.rows import keys_table

if TYPE_CHECKING:
    from toolkit.config import Database
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Connection

_AT_ONCE = 500


class Chosen(Struct, frozen=True):
    """A row that meets the conditions: there now, or (`gone`) by its key, which is all that is known of it."""

    key: str
    gone: bool


class Selection(Struct, frozen=True):
    """The rows of one table that meet its conditions. `untold`: why nobody knows which of those that are gone do."""

    database: Database
    connection: Connection
    spec: TableSpec

    @property
    def untold(self) -> str | None:
        """A condition that speaks of more than the key means nothing of a row that is gone."""
        known = {name.lower() for name in self.spec.key}
        for condition in self.spec.conditions:
            try:
                named = condition_columns(condition, self.database.kind.features.sql.grammar)
            except Untranslatable as error:
                return f"the condition cannot be looked at: {error}"
            others = {name for name in named if name.lower() not in known}
            if others:
                return f"the condition is of {', '.join(sorted(others))}, too"
        return None

    def of(self, keys: Iterable[str]) -> Iterator[Chosen]:
        """Those that meet the conditions, of these keys, as JSON."""
        decides_gone = self.untold is None
        waiting = iter(keys)
        while batch := list(islice(waiting, _AT_ONCE)):
            there = self._there(batch, replace(self.spec, conditions=()))
            meets = self._there(batch, self.spec)
            gone = [key for key in batch if _normal(key) not in there] if decides_gone else []
            yield from (Chosen(key, gone=False) for key in batch if _normal(key) in meets)
            yield from (Chosen(key, gone=True) for key in self._met(gone))

    def _there(self, keys: Sequence[str], spec: TableSpec) -> set[str]:
        """The keys of rows that are there and meet the conditions of `spec`."""
        wanted, _ = self._table(keys)
        found = set()
        if wanted is not None:
            columns = [spec.column(name) for name in spec.key]
            repository = self.connection.repository(spec.project(spec.key))
            for batch in repository.read(BATCH_ROWS, keys=wanted):
                values = [batch.column(column.name).to_pylist() for column in columns]
                for row in zip(*values, strict=True):
                    key = {c.name: json_value(c.type, value) for c, value in zip(columns, row, strict=True)}
                    found.add(_normal(key))
        return found

    def _met(self, keys: Sequence[str]) -> Iterator[str]:
        wanted, usable = self._table(keys)
        if wanted is not None:
            met = self.connection.repository(self.spec.project(self.spec.key)).meet(wanted)
            yield from (key for key, is_met in zip(usable, met, strict=True) if is_met)

    def _table(self, keys: Sequence[str]) -> tuple[pa.Table | None, list[str]]:
        """These keys to look rows up by, but those that the columns cannot hold: no row has them."""
        usable = []
        for key in keys:
            try:
                keys_table(self.spec, [json.loads(key)])
            except (ValueError, TypeError, AttributeError, OverflowError, pa.ArrowException):
                continue
            usable.append(key)
        return (keys_table(self.spec, map(json.loads, usable)) if usable else None), usable


def _normal(key: str | Mapping[str, Any]) -> str:
    return json.dumps(json.loads(key) if isinstance(key, str) else key, ensure_ascii=False, sort_keys=True)
