"""Rows of fixtures made complete: keys found or made, parents found by natural keys, defaults filled in.

A row without its primary key is recognised by a unique key. What a row does not give stays as it is in the database if
the row is there, and is filled in as the model would if it is new.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from toolkit.core.batches import copied
from toolkit.core.json_columns import parse_value
from toolkit.core.key_checks import KeyChecks, comparable
from toolkit.core.problems import LIMIT, Problems
from toolkit.core.tables import ColumnSpec, ForeignKeySpec, TableSpec
from toolkit.core.values import show_key
from toolkit.operations.defaults import Default, NoDefaultError, default_of
from toolkit.stores.fixture_reader import GIVEN, LINE, PARENTS, natural_names, read_schema
from toolkit.stores.spool import SpooledRows

if TYPE_CHECKING:
    from toolkit.repositories.base import DatabaseConnection

Key = tuple[Any, ...]
# Keys of parents that are looked for in the database; files that point at more rows outside of themselves are left to
# the database's own check.
_MANY = 100_000


@dataclass
class Completion:
    """Completes the rows of a set of files, each parent before its children, against the database to be loaded.

    `target` is None for a database that is yet to be made. `match` names, by table, the columns that recognise rows.
    """

    specs: Mapping[str, TableSpec]
    rows: dict[str, SpooledRows]
    files: Mapping[str, str]
    target: DatabaseConnection | None
    match: Mapping[str, tuple[str, ...]]
    folder: Path
    problems: Problems = field(default_factory=Problems)
    replaces: bool = False
    """Rows that are not in the files will go, so that nothing may point at them."""
    checked: bool = False
    """The same rows were checked before."""
    rekeyed: dict[str, dict[Key, Key]] = field(default_factory=dict)
    """By table, keys of the files that were given up for those that the rows have in the database."""

    def run(self) -> Self:
        """Replace in `rows` what has to be completed.

        Raises:
            FixtureProblemsError: everything that is wrong.
        """
        for late in (False, True):
            for name in list(self.rows):
                if self._is_incomplete(name, late):
                    self._complete(name, late)
        self.problems.raise_if_any()
        if not self.checked:
            self._check()
        return self

    def repository(self, spec: TableSpec) -> SpooledRows:
        """One table's rows: this is a source of rows."""
        return self.rows[spec.name]

    def is_late(self, child: str, foreign_key: ForeignKeySpec) -> bool:
        """Whether the parents are completed with or after the child, so that it can follow them only then."""
        order = {name: place for place, name in enumerate(self.rows)}
        return order.get(foreign_key.parent, -1) >= order[child]

    def _is_incomplete(self, name: str, late: bool) -> bool:
        spec = self.specs[name]
        if any(fk.parent in self.rekeyed and self.is_late(name, fk) == late for fk in spec.foreign_keys):
            return True
        if late:
            names_late = any(self.is_late(name, fk) for fk in natural_names(spec).values())
            return names_late and self._is_noted(name, PARENTS)
        return name in self.match or self._is_noted(name, GIVEN) or self._is_noted(name, PARENTS)

    def _is_noted(self, name: str, what: str) -> bool:
        return any(batch.column(what).null_count < batch.num_rows for batch in self.rows[name].whole())

    def _complete(self, name: str, late: bool) -> None:
        old = self.rows[name]
        table = _Table(self, self.specs[name], self.files[name], late)
        path = self.folder / f"{len(list(self.folder.iterdir()))}"
        self.rows[name] = SpooledRows(old.spec, path, map(table.completed, old.whole()), read_schema(old.spec))
        if table.rekeyed:
            self.rekeyed[name] = table.rekeyed

    # -- checks ----------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        with KeyChecks() as checks:
            for name in self.rows:
                self._check_keys(self.specs[name], checks)
            for name in self.rows:
                for foreign_key in self.specs[name].foreign_keys:
                    self._check_parents(self.specs[name], foreign_key, checks)
        self.problems.raise_if_any()

    def _check_keys(self, spec: TableSpec, checks: KeyChecks) -> None:
        lines = (copied(batch, [*spec.key, LINE]) for batch in self.rows[spec.name].whole())
        for first, last in checks.duplicates(lines, LIMIT):
            self.problems.add(self.files[spec.name], last, f"has the same {', '.join(spec.key)} as line {first}")

    def _check_parents(self, spec: TableSpec, foreign_key: ForeignKeySpec, checks: KeyChecks) -> None:
        pointing = (copied(batch, [*foreign_key.columns, LINE]) for batch in self.rows[spec.name].whole())
        parent = self.specs.get(foreign_key.parent)
        if parent is None:
            return
        own = self.rows.get(parent.name)
        parents = (copied(batch, foreign_key.parent_columns) for batch in own.whole()) if own else iter(())
        lost = checks.orphans(pointing, parents, LIMIT if self.replaces and own else _MANY)
        if lost and self.target is not None and not (self.replaces and own):
            keys = _key_table(parent, foreign_key.parent_columns, [row[:-1] for row in lost])
            found: set[Key] = set()
            for batch in self.target.repository(parent).read(keys=keys):
                values = comparable(batch.select(foreign_key.parent_columns))
                found.update(zip(*(column.to_pylist() for column in values.columns), strict=True))
            lost = [row for row in lost if row[:-1] not in found]
        types = tuple(spec.column(name).type for name in foreign_key.columns)
        for row in lost[: LIMIT + 1]:
            shown = show_key(foreign_key.columns, types, row[:-1])
            self.problems.add(self.files[spec.name], row[-1], f"{shown} points at no row of {parent.name}")

    # -- parents ---------------------------------------------------------------------------------------------------

    @cached_property
    def _known(self) -> dict[tuple[str, tuple[str, ...], tuple[str, ...]], dict[Key, Key | None]]:
        return {}

    def find(self, spec: TableSpec, by: tuple[str, ...], wanted: Sequence[Key], columns: tuple[str, ...]) -> list[Any]:
        """The values of `columns` in the rows that have these values in the columns `by`.

        Rows of the files count, then those of the database. None where there is no such row, `AMBIGUOUS` where there
        are several.
        """
        known = self._known.get((spec.name, by, columns))
        if known is None:
            known = self._known[spec.name, by, columns] = {}
            if spec.name in self.rows:
                _collect(known, self.rows[spec.name].read(8192), by, columns)
        lacking = list(dict.fromkeys(value for value in wanted if value not in known and None not in value))
        if lacking and self.target is not None:
            keys = _key_table(spec, by, lacking)
            _collect(known, self.target.repository(spec).read(keys=keys), by, columns)
        return [known.get(value) for value in wanted]


AMBIGUOUS: Key = ()


def _collect(
    known: dict[Key, Any], batches: Iterator[pa.RecordBatch], by: Sequence[str], columns: Sequence[str]
) -> None:
    for batch in batches:
        keys = zip(*(batch.column(name).to_pylist() for name in by), strict=True)
        found = zip(*(batch.column(name).to_pylist() for name in columns), strict=True)
        for key, value in zip(keys, found, strict=True):
            if None in key:
                continue
            known[key] = value if known.get(key, value) == value else AMBIGUOUS


def _key_table(spec: TableSpec, names: Sequence[str], values: Sequence[Key]) -> pa.Table:
    schema = pa.schema([spec.schema.field(name) for name in names])
    columns = zip(*values, strict=True)
    return pa.table([pa.array(each, field.type) for field, each in zip(schema, columns, strict=True)], schema=schema)


@dataclass
class _Table:
    """Completes the batches of one table.

    `late`: only its foreign keys to rows that were not completed before it: its own, and in a cycle others.
    """

    whole: Completion
    spec: TableSpec
    file: str
    late: bool
    rekeyed: dict[Key, Key] = field(default_factory=dict)
    _seen: dict[tuple[tuple[str, ...], Key], int] = field(default_factory=dict)
    _defaults: dict[str, Default] = field(default_factory=dict)
    _top: int | None = None
    _orphans: set[int] = field(default_factory=set)

    def completed(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The same rows, each with all columns."""
        columns = {name: batch.column(name) for name in self.spec.column_names}
        given = self._masks(batch)
        # In this order: a key that was found by a natural one is new already.
        self._follow_new_keys(columns)
        self._orphans = self._put_parents(batch, columns, given)
        if not self.late:
            self._fill(batch, columns, given)
        parents = pa.nulls(batch.num_rows, pa.string()) if self.late else batch.column(PARENTS)
        noted = [batch.column(LINE), pa.nulls(batch.num_rows, pa.binary()), parents]
        return pa.record_batch([*columns.values(), *noted], schema=batch.schema)

    def _problem(self, batch: pa.RecordBatch, row: int, problem: str) -> None:
        self.whole.problems.add(self.file, batch.column(LINE)[row].as_py(), problem)

    def _masks(self, batch: pa.RecordBatch) -> dict[str, np.ndarray]:
        """By column, which rows give it."""
        width = len(self.spec.columns)
        whole = b"\x01" * width
        masks = b"".join(mask or whole for mask in batch.column(GIVEN).to_pylist())
        table = np.frombuffer(masks, np.uint8).reshape(batch.num_rows, width).astype(bool)
        return {name: table[:, number].copy() for number, name in enumerate(self.spec.column_names)}

    # -- parents ---------------------------------------------------------------------------------------------------

    def _put_parents(
        self, batch: pa.RecordBatch, columns: dict[str, pa.Array], given: dict[str, np.ndarray]
    ) -> set[int]:
        """Set the foreign keys whose parents are named; the rows of the batch for which that was not possible."""
        lost: set[int] = set()
        if batch.column(PARENTS).null_count == batch.num_rows:
            return lost
        texts = batch.column(PARENTS).to_pylist()
        named: list[dict[str, Any] | None] = [None if text is None else msgspec.json.decode(text) for text in texts]
        for name, foreign_key in natural_names(self.spec).items():
            naturals = {row: parents[name] for row, parents in enumerate(named) if parents and name in parents}
            for column in foreign_key.columns:
                given[column][list(naturals)] = True
            if naturals and self.whole.is_late(self.spec.name, foreign_key) == self.late:
                lost |= self._put(batch, columns, foreign_key, naturals, name)
        return lost

    def _put(
        self,
        batch: pa.RecordBatch,
        columns: dict[str, pa.Array],
        foreign_key: ForeignKeySpec,
        named: dict[int, Any],
        name: str,
    ) -> set[int]:
        """Set a foreign key's columns to the keys of the parents that are named by other columns."""
        parent = self.whole.specs[foreign_key.parent]
        found: dict[int, Key] = {}
        by_names: dict[tuple[str, ...], dict[int, Key]] = {}
        for row, natural in named.items():
            if natural is None:
                if needed := [each for each in foreign_key.columns if not self.spec.column(each).nullable]:
                    self._problem(batch, row, f"{name!r} is null, but {', '.join(map(repr, needed))} may not be")
                else:
                    found[row] = (None,) * len(foreign_key.columns)
            elif (key := self._natural_key(batch, row, parent, natural, name)) is not None:
                by_names.setdefault(tuple(natural), {})[row] = key
        for names, wanted in by_names.items():
            keys = self.whole.find(parent, names, list(wanted.values()), foreign_key.parent_columns)
            for row, key in zip(wanted, keys, strict=True):
                if key is None or key == AMBIGUOUS:
                    many = "several rows" if key == AMBIGUOUS else "no row"
                    shown = msgspec.json.encode(named[row]).decode()
                    self._problem(batch, row, f"{name!r}: {shown} is {many} of {parent.name}")
                else:
                    found[row] = key
        for number, column in enumerate(foreign_key.columns):
            values = columns[column].to_pylist()
            for row, key in found.items():
                values[row] = key[number]
            columns[column] = pa.array(values, self.spec.column(column).type.arrow)
        return named.keys() - found.keys()

    def _natural_key(
        self, batch: pa.RecordBatch, row: int, parent: TableSpec, natural: Any, name: str
    ) -> Key | None:
        if not isinstance(natural, dict) or not natural:
            self._problem(batch, row, f"{name!r} is not an object of columns of {parent.name}")
            return None
        key = []
        for column, value in natural.items():
            if column not in parent.column_names:
                self._problem(batch, row, f"{name!r}: {parent.name} has no column {column!r}")
                return None
            type_ = parent.column(column).type
            try:
                key.append(pa.scalar(parse_value(type_, value), type_.arrow).as_py())
            except (ValueError, OverflowError, pa.ArrowException) as error:
                self._problem(batch, row, f"{name!r}, column {column!r}: {value!r} {error}")
                return None
        return tuple(key)

    def _follow_new_keys(self, columns: dict[str, pa.Array]) -> None:
        """Point at the keys that parents have in the database, where those of the files were given up for them."""
        for foreign_key in self.spec.foreign_keys:
            moved = self.whole.rekeyed.get(foreign_key.parent, {})
            parent = self.whole.specs[foreign_key.parent]
            if not moved or self.whole.is_late(self.spec.name, foreign_key) != self.late:
                continue
            if foreign_key.parent_columns != parent.key:
                continue
            old = list(zip(*(columns[name].to_pylist() for name in foreign_key.columns), strict=True))
            new = [moved.get(key, key) for key in old]
            for name, values in zip(foreign_key.columns, zip(*new, strict=True), strict=True):
                columns[name] = pa.array(values, self.spec.column(name).type.arrow)

    # -- keys and defaults -----------------------------------------------------------------------------------------

    def _fill(self, batch: pa.RecordBatch, columns: dict[str, pa.Array], given: dict[str, np.ndarray]) -> None:
        groups = self._recognised_by(batch, columns, given)
        existing, place = self._existing(batch, columns, groups)
        found = place >= 0
        if groups.keys() != {self.spec.key}:
            has_key = np.logical_and.reduce([given[name] for name in self.spec.key])
            self._keep_keys(columns, given, existing, place, has_key)
        for column in self.spec.columns:
            absent = ~given[column.name]
            if not absent.any():
                continue
            values = columns[column.name]
            if (absent & found).any():
                indices = pa.array(np.where(found, place, 0), mask=~found)
                values = pc.if_else(pa.array(absent & found), existing.column(column.name).take(indices), values)
            new = np.flatnonzero(absent & ~found)
            if len(new):
                values = self._with_defaults(batch, column, values, new)
            columns[column.name] = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values

    def _recognised_by(
        self, batch: pa.RecordBatch, columns: dict[str, pa.Array], given: dict[str, np.ndarray]
    ) -> dict[tuple[str, ...], np.ndarray]:
        """The columns by which rows are looked for in the database, with the numbers of the rows.

        Each row is by the first of these that it gives: what `--match` says, the primary key, a unique key.
        """
        chosen = self.whole.match.get(self.spec.name)
        groups: dict[tuple[str, ...], np.ndarray] = {}
        left = np.ones(batch.num_rows, bool)
        for by in (*([chosen] if chosen else []), self.spec.key, *self.spec.unique_keys):
            valid = [columns[name].is_valid().to_numpy(zero_copy_only=False) & given[name] for name in by]
            rows = left & np.logical_and.reduce(valid)
            if rows.any():
                groups.setdefault(by, np.flatnonzero(rows))
            left &= ~rows
        for row in np.flatnonzero(left).tolist():
            if row in self._orphans:
                continue
            self._problem(
                batch, row,
                f"lacks {', '.join(self.spec.key)}, and no unique key of {self.spec.name} is given to recognise it by "
                f"(--match {self.spec.name}:COLUMN chooses columns)",
            )
        return groups

    def _existing(
        self, batch: pa.RecordBatch, columns: dict[str, pa.Array], groups: Mapping[tuple[str, ...], np.ndarray]
    ) -> tuple[pa.Table, np.ndarray]:
        """The rows that are in the database already, and for each row its place among them or -1."""
        found = [self.spec.schema.empty_table()]
        place = np.full(batch.num_rows, -1)
        for by, rows in groups.items():
            wanted: dict[Key, list[int]] = {}
            values = [columns[name].take(pa.array(rows)).to_pylist() for name in by]
            for row, key in zip(rows.tolist(), zip(*values, strict=True), strict=True):
                wanted.setdefault(key, []).append(row)
            if by != self.spec.key:
                self._refuse_twice(batch, by, wanted)
            if self.whole.target is None:
                continue
            repository, keys = self.whole.target.repository(self.spec), _key_table(self.spec, by, list(wanted))
            read = pa.Table.from_batches(list(repository.read(keys=keys)), self.spec.schema)
            start = sum(map(len, found))
            for number, key in enumerate(zip(*(read.column(name).to_pylist() for name in by), strict=True)):
                if place[wanted[key][0]] >= 0:
                    shown = f"{self._shown(by, key)} is several rows of {self.spec.name} in the database"
                    self._problem(batch, wanted[key][0], shown)
                place[wanted[key]] = start + number
            found.append(read)
        return pa.concat_tables(found), place

    def _refuse_twice(self, batch: pa.RecordBatch, by: tuple[str, ...], wanted: Mapping[Key, Sequence[int]]) -> None:
        lines = batch.column(LINE).to_pylist()
        for key, rows in wanted.items():
            first = self._seen.setdefault((by, key), lines[rows[0]])
            for row in rows:
                if lines[row] != first:
                    self._problem(batch, row, f"{self._shown(by, key)} is in line {first} already")

    def _shown(self, names: tuple[str, ...], key: Key) -> str:
        return show_key(names, tuple(self.spec.column(name).type for name in names), key)

    def _keep_keys(
        self,
        columns: dict[str, pa.Array],
        given: dict[str, np.ndarray],
        existing: pa.Table,
        place: np.ndarray,
        has_key: np.ndarray,
    ) -> None:
        """Rows that are in the database keep the key they have there; new ones without a key are given one."""
        own = list(zip(*(columns[name].to_pylist() for name in self.spec.key), strict=True))
        theirs = list(zip(*(existing.column(name).to_pylist() for name in self.spec.key), strict=True))
        keys = [theirs[p] if p >= 0 else key for p, key in zip(place.tolist(), own, strict=True)]
        self.rekeyed.update(
            {old: new for old, new, has in zip(own, keys, has_key.tolist(), strict=True) if has and old != new}
        )
        for name, values in zip(self.spec.key, zip(*keys, strict=True), strict=True):
            columns[name] = pa.array(values, self.spec.column(name).type.arrow)
            given[name] |= place >= 0

    def _with_defaults(
        self, batch: pa.RecordBatch, column: ColumnSpec, values: Any, rows: np.ndarray
    ) -> pa.Array:
        try:
            made = pa.array(self._made(column, len(rows)), column.type.arrow)
        except (NoDefaultError, pa.ArrowException, ValueError, TypeError, OverflowError) as error:
            reason = str(error) if isinstance(error, NoDefaultError) else "whose default does not fit into it"
            for row in rows.tolist():
                self._problem(batch, row, f"lacks {column.name!r}, {reason}")
            return values
        array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
        places = np.arange(batch.num_rows)
        places[rows] = batch.num_rows + np.arange(len(rows))
        return pa.concat_arrays([array, made]).take(pa.array(places))

    def _made(self, column: ColumnSpec, count: int) -> list[Any]:
        """So many values for new rows."""
        counts_up = self.spec.table.autoincrement_column
        if counts_up is not None and counts_up.name == column.name and _is_counted(counts_up):
            return self._numbers(column, count)
        default = self._defaults.get(column.name)
        if default is None:
            default = self._defaults[column.name] = default_of(self.spec, column, self.whole.target)
        return default(count)

    def _numbers(self, column: ColumnSpec, count: int) -> list[int]:
        """Keys that neither the database nor the file has."""
        if self._top is None:
            tops = [pc.max(b.column(column.name)).as_py() for b in self.whole.rows[self.spec.name].whole()]
            self._top = max([0, *(top for top in tops if top is not None)])
        if self.whole.target is None:
            numbers = list(range(self._top + 1, self._top + 1 + count))
        else:
            numbers = self.whole.target.repository(self.spec).reserve_numbers(column.name, count, self._top)
        self._top = numbers[-1]
        return numbers


def _is_counted(column: sa.Column[Any]) -> bool:
    default: Any = column.default
    return default is None or bool(default.is_sequence)
