"""`sync --match`: rows recognised by other columns than their key; the target's keys are kept, and pointed at."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from itertools import chain
from shlex import quote as shell
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from toolkit.compute.changes import compare_rows
from toolkit.core.batches import BATCH_ROWS, copied
from toolkit.core.digest import TableDigest, digest_batches, keyed_digests
from toolkit.core.streams import only
from toolkit.core.tables import POINTS, ForeignKeySpec, TableSpec
from toolkit.core.types import INTEGER_KINDS, Kind
from toolkit.core.values import show_key
from toolkit.engines.portable.connection import batch_key
from toolkit.errors import AmbiguousMatchError, ConfigurationError, UnknownNameError

if TYPE_CHECKING:
    from toolkit.engines.contract import Connection, Table
    from toolkit.operations.transfer.converting import ConvertedRows
    from toolkit.operations.transfer.sources import RenamedRows, RowSource, SourceTables

Key = tuple[Any, ...]


class KeyMap(Struct, frozen=True):
    """Keys of the source and those that the same rows have in the target, row by row; only where they differ."""

    old: pa.Table
    new: pa.Table

    def applied(self, columns: Sequence[pa.Array]) -> list[pa.Array]:
        """These columns of keys, or of what points at keys, with the target's in place of the source's."""
        if len(columns) == 1:
            (values,), old, new = columns, self.old.column(0).combine_chunks(), self.new.column(0).combine_chunks()
            # A foreign key may be of a narrower type than what it points at.
            wide = values.cast(old.type)
            return [pc.coalesce(new.take(pc.index_in(wide, value_set=old)), wide).cast(values.type)]
        found = dict(zip(_rows(self.old), _rows(self.new), strict=True))
        rows = [found.get(row, row) for row in zip(*(column.to_pylist() for column in columns), strict=True)]
        return [pa.array([row[number] for row in rows], column.type) for number, column in enumerate(columns)]


class MatchedSource:
    """A source whose rows have the keys that the target knows them by.

    Raises:
        AmbiguousMatchError: several rows of one side have the same values in the columns to match by.
        ConfigurationError: the columns to match by, or the keys, leave it open which row is which.
    """

    def __init__(
        self,
        origin: SourceTables,
        target: Connection,
        specs: Sequence[TableSpec],
        match: Mapping[str, Sequence[str]],
    ) -> None:
        self._origin = origin
        self._specs = {spec.name: spec for spec in _pointing(specs, origin)}
        self._maps: dict[str, KeyMap] = {}
        waiting = {
            name: spec for name, spec in self._specs.items() if name in match and set(match[name]) != set(spec.key)
        }
        while waiting:
            known = (each for each in waiting.values() if not _waits(each, (*each.key, *match[each.name]), waiting))
            spec = next(known, next(iter(waiting.values())))
            _require_known_parents(spec, match[spec.name], waiting)
            keys = self._keys(spec, tuple(match[spec.name]), target)
            del waiting[spec.name]
            if keys.old.num_rows:
                self._maps[spec.name] = keys

    def repository(self, spec: TableSpec) -> RowSource:
        """One table's rows."""
        rows = self._origin.repository(spec)
        if not self._rewrites(spec, spec.column_names):
            return rows
        return MatchedRows(rows, lambda columns: self._rewritten(spec, columns))

    def _rewrites(
        self, spec: TableSpec, names: Collection[str], child: str = "", seen: frozenset[ForeignKeySpec] = frozenset()
    ) -> bool:
        """Whether any of these columns may be rewritten, which those of `child` point at."""
        key = set(self._maps[spec.name].old.column_names) if spec.name in self._maps else set()
        if child and key & set(names) and not key <= set(names):
            raise ConfigurationError(
                f"{child} points at a part of the key of {spec.name}, which is matched by other columns.",
                "Sync without --match for this table, or leave the table out that points there.",
            )
        own = bool(key) and key <= set(names)
        return any(
            [
                own,
                *(
                    self._rewrites(self._specs[fk.parent], fk.parent_columns, spec.name, seen | {fk})
                    for fk in self._followed(spec, names, seen)
                ),
            ]
        )

    def _followed(
        self, spec: TableSpec, names: Collection[str], seen: frozenset[ForeignKeySpec]
    ) -> Iterator[ForeignKeySpec]:
        for fk in self._specs[spec.name].foreign_keys:
            if fk not in seen and fk.parent in self._specs and set(fk.columns) <= set(names):
                yield fk

    def _rewritten(
        self, spec: TableSpec, columns: Mapping[str, pa.Array], seen: frozenset[ForeignKeySpec] = frozenset()
    ) -> dict[str, pa.Array]:
        """These columns as the target has them: they go with what they point at, through any number of tables.

        What points elsewhere comes first: the keys of the map, where they hold such columns, have the target's.
        """
        found = dict(columns)
        for fk in self._followed(spec, columns.keys(), seen):
            pairs = list(zip(fk.columns, fk.parent_columns, strict=True))
            theirs = {there: columns[here] for here, there in pairs}
            after = self._rewritten(self._specs[fk.parent], theirs, seen | {fk})
            found |= {here: after[there] for here, there in pairs if after[there] is not theirs[there]}
        keys = self._maps.get(spec.name)
        if keys is not None and set(keys.old.column_names) <= found.keys():
            names = keys.old.column_names
            found |= zip(names, keys.applied([found[name] for name in names]), strict=True)
        return found

    def _keys(self, spec: TableSpec, by: tuple[str, ...], target: Connection) -> KeyMap:
        names = tuple(dict.fromkeys((*spec.key, *by)))
        # A foreign key of several columns is rewritten only as a whole.
        pointing = (fk.columns for fk in spec.foreign_keys if set(fk.columns) & set(names))
        wide, narrow = (spec.project(each) for each in ((*names, *chain.from_iterable(pointing)), names))
        rows, held = self.repository(wide), target.repository(replace(narrow, conditions=()))

        def source() -> Iterator[pa.RecordBatch]:
            return (copied(batch, names) for batch in rows.read(BATCH_ROWS))

        by_value = replace(narrow, key=by)
        changes = compare_rows(
            by_value, _without_null(by_value, source()), _without_null(by_value, held.read(BATCH_ROWS))
        )
        _require_distinct(by_value, changes.new.select(list(by)))
        if any(spec.column(name).nullable for name in by):
            _require_free_keys(narrow, by, source(), held)
        values = changes.changed.select(list(by))
        ours, theirs = (_by_value(by_value, spec.key, side, values) for side in (source(), held.read(BATCH_ROWS)))
        taken = _taken(spec, only(source(), changes.new.select(list(by))), held)
        fresh = _fresh_keys(spec, len(taken), self._origin.repository(spec), target.repository(spec))
        old = [*ours.values(), *taken]
        new = [*(theirs[value] for value in ours), *fresh]
        return KeyMap(_table(spec, old), _table(spec, new))


class MatchedRows:
    """One table's rows, with other keys in some columns."""

    def __init__(
        self,
        rows: Table | RenamedRows | ConvertedRows,
        rewritten: Callable[[Mapping[str, pa.Array]], Mapping[str, pa.Array]],
    ) -> None:
        self._rows = rows
        self._rewritten = rewritten
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
        columns = self._rewritten(dict(zip(batch.schema.names, batch.columns, strict=True)))
        return pa.record_batch([columns[name] for name in batch.schema.names], schema=batch.schema)


def matches(specs: Mapping[str, TableSpec], match: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """The columns to recognise rows by, as they were asked for.

    Raises:
        UnknownNameError: a table or a column that is not there.
        ConfigurationError: a table has no key that the target's rows could keep.
    """
    for table, columns in match.items():
        if table not in specs:
            raise UnknownNameError("table", table, specs)
        if not specs[table].key:
            names = ",".join(columns)
            raise ConfigurationError(
                f"{table} has no key, which rows that --match recognises would keep.",
                f"Name the columns that tell its rows apart as its key: --key {shell(f'{table}:{names}')}.",
            )
        for column in columns:
            if column not in specs[table].column_names:
                raise UnknownNameError("column", column, specs[table].column_names, table)
    return {table: tuple(dict.fromkeys(columns)) for table, columns in match.items()}


def _pointing(specs: Sequence[TableSpec], origin: SourceTables) -> Iterator[TableSpec]:
    """These tables, pointing where those of the source do, too: a target need not have its foreign keys."""
    whole = {origin.own(spec).name: spec for spec in specs}
    for spec in whole.values():
        found = [
            ForeignKeySpec(
                tuple(origin.renamed_column(spec, each) for each in key.columns),
                whole[key.parent].name,
                tuple(origin.renamed_column(whole[key.parent], each) for each in key.parent_columns),
            )
            for key in origin.own(spec).table.info.get(POINTS, ())
            if key.parent in whole
        ]
        known = {each.columns for each in spec.foreign_keys}
        more = (each for each in found if each.columns not in known and {*each.columns} <= {*spec.column_names})
        yield replace(spec, foreign_keys=(*spec.foreign_keys, *more))


def _waits(spec: TableSpec, names: Collection[str], waiting: Collection[str]) -> bool:
    """Whether one of these columns points at rows of another table of which it is not known yet which are which."""
    return any(
        fk.parent in waiting and fk.parent != spec.name and set(fk.columns) & set(names) for fk in spec.foreign_keys
    )


def _require_known_parents(spec: TableSpec, by: Sequence[str], waiting: Collection[str]) -> None:
    """Refuse to recognise rows by what points at rows of which it is not known yet which are which."""
    for fk in spec.foreign_keys:
        if fk.parent in waiting and set(fk.columns) & set(by):
            raise ConfigurationError(
                f"{spec.name} cannot be matched by {', '.join(fk.columns)}: it points at rows of {fk.parent}, "
                "which are to be matched themselves.",
                f"Name other columns: --match {shell(spec.name)}:COL,COL.",
            )


def _require_distinct(by_value: TableSpec, values: pa.Table) -> None:
    """Refuse new rows that share their values: the next sync could not tell them apart."""
    counts = values.group_by(list(by_value.key)).aggregate([([], "count_all")])
    several = counts.filter(pc.greater(counts.column("count_all"), 1)).select(list(by_value.key))
    if several.num_rows:
        raise _ambiguous(by_value, _rows(several.slice(0, 1))[0])


def _ambiguous(by_value: TableSpec, value: Key) -> AmbiguousMatchError:
    shown = show_key(by_value.key, tuple(by_value.column(name).type for name in by_value.key), value)
    return AmbiguousMatchError(by_value.name, shown, ", ".join(by_value.key))


def _require_free_keys(spec: TableSpec, by: Sequence[str], rows: Iterable[pa.RecordBatch], held: Table) -> None:
    """Refuse a row that has nothing to be recognised by, but the key of a row of the target that has."""
    for batch in rows:
        nameless = batch.filter(pc.invert(_complete(batch, by)))
        if not nameless.num_rows:
            continue
        for found in held.read(BATCH_ROWS, keys=pa.Table.from_batches([nameless]).select(list(spec.key))):
            others = found.filter(_complete(found, by))
            if others.num_rows:
                raise ConfigurationError(
                    f"{spec.name}: the source's row {batch_key(spec, others, 0)} has NULL in the columns to match by, "
                    "and another row of the target has its key.",
                    f"Give it a value in {', '.join(by)}, or match by columns without NULLs.",
                )


def _complete(batch: pa.RecordBatch, names: Sequence[str]) -> pa.Array:
    return reduce(pc.and_, (batch.column(name).is_valid() for name in names))


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
                raise _ambiguous(by_value, value)
    return found


def _taken(spec: TableSpec, rows: Iterable[pa.RecordBatch], held: Table) -> list[Key]:
    """The keys of those of these rows that another row of the target has."""
    keys = (pa.Table.from_batches([batch]).select(list(spec.key)) for batch in rows)
    return [
        key
        for wanted in keys
        for batch in held.read(BATCH_ROWS, keys=wanted)
        for key in _rows(batch.select(list(spec.key)))
    ]


def _fresh_keys(spec: TableSpec, count: int, source: Table | RenamedRows | ConvertedRows, target: Table) -> list[Key]:
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
