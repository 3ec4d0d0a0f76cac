"""`sync --match`: rows recognised by other columns than their key; the target's keys are kept, and pointed at."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.core.changes import compare_rows
from toolkit.core.digest import TableDigest, digest_batches, keyed_digests
from toolkit.core.streams import only
from toolkit.core.tables import TableSpec
from toolkit.core.types import INTEGER_KINDS, Kind
from toolkit.core.values import show_key
from toolkit.errors import AmbiguousMatchError, ConfigurationError, UnknownNameError
from toolkit.repositories.base import BATCH_ROWS

if TYPE_CHECKING:
    from toolkit.operations.transfer import RowSource
    from toolkit.repositories.base import DatabaseConnection, TableRepository

Key = tuple[Any, ...]


@dataclass(frozen=True)
class KeyMap:
    """Keys of the source and those that the same rows have in the target, row by row; only where they differ."""

    old: pa.Table
    new: pa.Table

    def applied(self, columns: Sequence[pa.Array]) -> list[pa.Array]:
        """These columns of keys with the target's in place of the source's."""
        if len(columns) == 1:
            (values,), old, new = columns, self.old.column(0).combine_chunks(), self.new.column(0).combine_chunks()
            return [pc.coalesce(new.take(pc.index_in(values, value_set=old)), values)]
        found = dict(zip(_rows(self.old), _rows(self.new), strict=True))
        rows = [found.get(row, row) for row in zip(*(column.to_pylist() for column in columns), strict=True)]
        return [
            pa.array([row[place] for row in rows], column.type) for place, column in enumerate(columns)
        ]


class MatchedSource:
    """A source whose rows have the keys that the target knows them by.

    Raises:
        AmbiguousMatchError: several rows of one side have the same values in the columns to match by.
    """

    def __init__(
        self,
        origin: DatabaseConnection,
        target: DatabaseConnection,
        specs: Sequence[TableSpec],
        match: Mapping[str, Sequence[str]],
    ) -> None:
        self._origin = origin
        self._maps: dict[str, KeyMap] = {}
        for spec in specs:
            if spec.name in match and set(match[spec.name]) != set(spec.key):
                keys = self._keys(spec, tuple(match[spec.name]), target)
                if keys.old.num_rows:
                    self._maps[spec.name] = keys

    def repository(self, spec: TableSpec) -> RowSource:
        """One table's rows."""
        rows = self._origin.repository(spec)
        pairs = tuple(
            (fk.columns, self._maps[fk.parent])
            for fk in spec.foreign_keys
            if fk.parent in self._maps and fk.parent_columns == tuple(self._maps[fk.parent].old.column_names)
        )
        if spec.name in self._maps:
            pairs = ((spec.key, self._maps[spec.name]), *pairs)
        return MatchedRows(rows, pairs) if pairs else rows

    def _keys(self, spec: TableSpec, by: tuple[str, ...], target: DatabaseConnection) -> KeyMap:
        names = tuple(dict.fromkeys((*spec.key, *by)))
        narrow = replace(spec, columns=tuple(spec.column(name) for name in names))
        source, held = self.repository(narrow), target.repository(replace(narrow, where=None))
        by_value = replace(narrow, key=by)
        changes = compare_rows(
            by_value, _without_null(by_value, source.read(BATCH_ROWS)), _without_null(by_value, held.read(BATCH_ROWS))
        )
        values = changes.changed.select(list(by))
        ours, theirs = (_by_value(by_value, spec.key, side.read(BATCH_ROWS), values) for side in (source, held))
        taken = _taken(spec, only(source.read(BATCH_ROWS), changes.new.select(list(by))), held)
        fresh = _fresh_keys(spec, len(taken), self._origin.repository(spec), target.repository(spec))
        old = [*ours.values(), *taken]
        new = [*(theirs[value] for value in ours), *fresh]
        return KeyMap(_table(spec, old), _table(spec, new))


class MatchedRows:
    """One table's rows, with other keys in some columns."""

    def __init__(self, rows: TableRepository, pairs: Sequence[tuple[Sequence[str], KeyMap]]) -> None:
        self._rows = rows
        self._pairs = pairs
        self.spec = rows.spec

    def count(self) -> int:
        """Number of rows."""
        return self._rows.count()

    def read(self, batch_rows: int, keys: pa.Table | None = None) -> Iterator[pa.RecordBatch]:
        """The rows, or those with these keys, which are the target's."""
        rows = map(self._matched, self._rows.read(batch_rows))
        return rows if keys is None else only(rows, keys)

    def row_digests(self) -> Iterator[pa.RecordBatch]:
        """Key columns and digest of every row."""
        return (keyed_digests(self.spec, batch) for batch in self.read(BATCH_ROWS))

    def digest(self) -> TableDigest:
        """The digest of all rows."""
        return digest_batches(self.spec, self.read(BATCH_ROWS))

    def _matched(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        for names, keys in self._pairs:
            if set(names) <= columns.keys():
                columns |= dict(zip(names, keys.applied([batch.column(name) for name in names]), strict=True))
        return pa.record_batch(list(columns.values()), schema=batch.schema)


def matches(specs: Mapping[str, TableSpec], match: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """The columns to recognise rows by, as they were asked for.

    Raises:
        UnknownNameError: a table or a column that is not there.
    """
    for table, columns in match.items():
        if table not in specs:
            raise UnknownNameError("table", table, specs)
        for column in columns:
            if column not in specs[table].column_names:
                raise UnknownNameError("column", column, specs[table].column_names, table)
    return {table: tuple(columns) for table, columns in match.items()}


def _without_null(spec: TableSpec, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        rows = batch
        for name in spec.key:
            rows = rows.filter(rows.column(name).is_valid())
        yield keyed_digests(spec, rows)


def _by_value(
    by_value: TableSpec, key: Sequence[str], batches: Iterable[pa.RecordBatch], values: pa.Table
) -> dict[Key, Key]:
    """The keys of the rows with these values, by the values."""
    found: dict[Key, Key] = {}
    if not values.num_rows:
        return found
    for batch in only(batches, values):
        rows, keys = (_rows(batch.select(list(names))) for names in (by_value.key, key))
        for value, own in zip(rows, keys, strict=True):
            if found.setdefault(value, own) != own:
                shown = show_key(by_value.key, tuple(by_value.column(name).type for name in by_value.key), value)
                raise AmbiguousMatchError(by_value.name, shown, ", ".join(by_value.key))
    return found


def _taken(spec: TableSpec, rows: Iterable[pa.RecordBatch], held: TableRepository) -> list[Key]:
    """The keys of those of these rows that another row of the target has."""
    keys = (pa.Table.from_batches([batch]).select(list(spec.key)) for batch in rows)
    return [key for wanted in keys for batch in held.read(BATCH_ROWS, keys=wanted)
            for key in _rows(batch.select(list(spec.key)))]


def _fresh_keys(spec: TableSpec, count: int, source: TableRepository, target: TableRepository) -> list[Key]:
    """Keys that nobody has, for rows that are new to the target where another row has their own."""
    if not count:
        return []
    kinds = [spec.column(name).type.kind for name in spec.key]
    if kinds == [Kind.UUID]:
        return [(uuid.uuid4().bytes,) for _ in range(count)]
    if len(kinds) == 1 and kinds[0] in INTEGER_KINDS:
        above = source.maximum(spec.key[0]) or 0
        return [(number,) for number in target.reserve_numbers(spec.key[0], count, above)]
    raise ConfigurationError(
        f"{spec.name}: {count} rows are new by the columns to match by, but the target has other rows of their keys.",
        f"Keys of {', '.join(spec.key)} cannot be made up: change them at the source.",
    )


def _table(spec: TableSpec, keys: Sequence[Key]) -> pa.Table:
    columns = zip(*keys, strict=True) if keys else [()] * len(spec.key)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, spec.key_schema, strict=True)]
    return pa.table(arrays, schema=spec.key_schema)


def _rows(table: pa.Table | pa.RecordBatch) -> list[Key]:
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))
