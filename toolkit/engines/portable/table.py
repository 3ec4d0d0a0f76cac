"""The portable repository: right on every engine through SQLAlchemy. The fast ones override single methods."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import chain
from typing import Any, ClassVar

import pyarrow as pa
import sqlalchemy as sa

from toolkit.compute.stored_digest import StoredDigest
from toolkit.core.batches import BATCH_BYTES, BATCH_ROWS, fitting_rows, has_fixed_width, pieces, sized
from toolkit.core.digest import TableDigest, digest_batches, keyed_digests
from toolkit.core.streams import read_ahead
from toolkit.core.tables import ForeignKeySpec, bracketed
from toolkit.core.types import LogicalType
from toolkit.core.values import python_scalar, show_key
from toolkit.engines.contract import Part, Table
from toolkit.engines.portable.codec import MISFITS
from toolkit.engines.portable.long_expressions import added
from toolkit.engines.portable.selection import NUMBER, batches_to_bind, batches_to_unite, rows_of, rows_with
from toolkit.engines.portable.streamed import STREAMED
from toolkit.engines.portable.updated_table import UpdatedTable
from toolkit.errors import (
    ConditionError,
    MissingParentError,
    StatementError,
)


class TableRepository(UpdatedTable):
    """Upsert-capable access to one table of one database; takes and returns record batches."""

    batch_bytes: ClassVar[int] = BATCH_BYTES
    """What a batch of several rows takes at most."""

    @property
    def within(self) -> sa.ColumnElement[bool]:
        """The conditions that narrow the table, as their user wrote them."""
        # Of no type: SQLAlchemy would compare a boolean with 1 on SQLite, where every number but 0 is true.
        return sa.true() if self.spec.where is None else sa.literal_column(bracketed(self.spec.where))

    def source(self, name: str) -> str:
        """What to read from instead of the table, whose quoted name this is, when a condition narrows it."""
        return name if self.spec.where is None else f"(SELECT * FROM {name} WHERE {bracketed(self.spec.where)})"

    def covers(self, _parts: Sequence[Part]) -> bool:
        """Whether these hold all rows: the first and the last have no bounds."""
        return True

    def part(self, part: Part) -> Table:
        """The rows that meet a part's condition."""
        if part.condition is None:
            return self
        return self.connection.repository(replace(self.spec, conditions=(*self.spec.conditions, part.condition)))

    # -- reading ---------------------------------------------------------------------------------------------------

    def count(self) -> int:
        """Number of rows."""
        if self.spec.where is None and (known := self.connection.known_count(self.spec)) is not None:
            return known
        with self.connection.translated():
            counted = sa.select(sa.func.count()).select_from(self.table).where(self.within)
            ((rows,),) = self.connection.sqlalchemy.execute(counted).all()
        return int(rows)

    def maximum(self, column: str) -> int | None:
        """The greatest value of a column of whole numbers or times, as Arrow counts it; None if there is none.

        Raises:
            UnrepresentableValueError: it is none of the column's type.
        """
        spec = self.spec.column(column)
        greatest = sa.func.max(self.connection.codec.select(spec, self.table.c[column]))
        with self.connection.translated():
            ((value,),) = self.connection.sqlalchemy.execute(sa.select(greatest).where(self.within)).all()
        try:
            found = self.connection.codec.decode_column(spec, [value])
        except MISFITS:
            self.refuse_row_of(spec, value)
            raise
        whole = found.view(pa.int32()) if pa.types.is_date32(found.type) else found.cast(pa.int64())
        return None if value is None else int(whole[0].as_py())

    def stored_type(self, column: str) -> LogicalType:
        """What the database itself holds in a column: a type of the application's own may hold another there."""
        stored: LogicalType = self.connection.codec.adapter(self.spec.column(column)).type
        return stored

    def check_condition(self) -> None:
        """Have the database understand each condition that narrows the table, before anything is done by them.

        With brackets around it, what has none of its own is refused (`… LIMIT 1`); without, what would close them
        (`a = 1) OR (b = 1`): each condition is whole in itself, so that all of them hold together. The bound values
        keep it to one statement.

        Raises:
            ConditionError: it does not understand one of them.
        """
        for condition in self.spec.conditions:
            self._check_condition(condition)

    def _check_condition(self, condition: str) -> None:
        try:
            with self.connection.translated():
                for text in (bracketed(condition), f"{condition}\n"):
                    whole: sa.ColumnElement[bool] = sa.literal_column(text)
                    one = sa.select(sa.literal(1)).select_from(self.table).where(whole).limit(0)
                    self.connection.sqlalchemy.execute(one).all()
        except StatementError as error:
            reason, name = error.fact.removeprefix(f"{self.connection.name}: "), self.spec.name
            columns = [column.name for column in self.table.columns]
            raise ConditionError(self.connection.name, name, condition, reason, columns) from error

    def is_empty(self) -> bool:
        """Whether there is no row at all, whatever the condition that narrows the table."""
        with self.connection.translated():
            one = sa.select(sa.literal(1)).select_from(self.table).limit(1)
            # Fetched to the end: DuckDB does nothing else while a result is unfinished.
            return not self.connection.sqlalchemy.execute(one).all()

    def read(self, batch_rows: int = BATCH_ROWS, keys: pa.Table | None = None) -> Iterator[pa.RecordBatch]:
        """The rows (or those with these keys) in the canonical schema, in no particular order.

        Raises:
            UnrepresentableValueError: a value that is not of its column's type, named with its row.
        """
        rows = self._fitting_rows(batch_rows)
        cells = [self.connection.codec.select(c, self.table.c[c.name]) for c in self.spec.columns]
        width = self._width().label("toolkit_width")
        query = sa.select(*cells, width)
        found = (
            self.connection.codec.decode(self.spec, columns)
            for condition in self._conditions(keys)
            for columns in self._fetched_columns(query.where(condition, self.within), width, rows)
        )
        return sized(found, rows, self.batch_bytes)

    def _fetched_columns(self, query: Any, width: sa.Label[int], most: int) -> Iterator[Sequence[Sequence[Any]]]:
        """The rows of a query, whose last column is each one's width, in batches that are known to fit beforehand.

        A driver fetches by the number of rows: of those that are left, none is wider than the last one fetched.
        """
        rows = 1
        widest_first = query.order_by(width.desc()).execution_options(yield_per=most, **{STREAMED: True})
        with self.connection.translated(), closing(self.connection.sqlalchemy.execute(widest_first)) as result:
            while fetched := result.fetchmany(rows):
                *columns, widths = zip(*fetched, strict=True)
                yield columns
                rows = max(1, min(most, self.batch_bytes // max(1, widths[-1])))

    def _fitting_rows(self, batch_rows: int) -> int:
        return fitting_rows(len(self.spec.columns), batch_rows, self.batch_bytes)

    def _width(self) -> sa.ColumnElement[int]:
        """The characters and bytes of a row's values of any length."""
        columns = (c for c in self.spec.columns if not has_fixed_width(self.stored_type(c.name).arrow))
        return added([sa.func.coalesce(self.connection.codec.length(c, self.table.c[c.name]), 0) for c in columns])

    def width(self, keys: pa.Table) -> int:
        """The characters and bytes of all values of any length in the rows with these keys."""
        total = sa.select(sa.func.coalesce(sa.func.sum(self._width()), 0))
        with self.connection.translated():
            return sum(
                int(self.connection.sqlalchemy.execute(total.where(condition, self.within)).all()[0][0])
                for condition in self._conditions(keys)
            )

    def first_repeated(self, columns: Sequence[str]) -> str | None:
        """Values of these columns, none of them NULL, that several rows have, for a message; None if there are none."""
        specs = [self.spec.column(name) for name in columns]
        cells = [self.table.c[name] for name in columns]
        shown = (self.connection.codec.select(spec, cell) for spec, cell in zip(specs, cells, strict=True))
        several = (
            sa.select(*shown)
            .where(self.within, *(cell.is_not(None) for cell in cells))
            .group_by(*map(self._told_apart, cells))
            .having(sa.func.count() > 1)
            .limit(1)
        )
        with self.connection.translated():
            rows = self.connection.sqlalchemy.execute(several).all()
        if not rows:
            return None
        decoded = (self.connection.codec.decode_column(spec, [v]) for spec, v in zip(specs, rows[0], strict=True))
        types = tuple(spec.type for spec in specs)
        return show_key(tuple(columns), types, tuple(python_scalar(each[0]) for each in decoded))

    def _told_apart(self, cell: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """A column such that values that differ are not taken for one."""
        return cell

    def read_committed(self) -> Iterator[pa.RecordBatch]:
        """The rows as they were before this transaction wrote any."""
        return self.read()

    def has_key(self) -> bool:
        """Whether the database keeps the key unique, by an index that an upsert can rest on."""
        facts = self.connection.facts(self.spec)
        return facts is not None and frozenset(self.spec.key) in facts.keys

    def collated_key(self) -> dict[str, str]:
        """The key columns of which the database takes different values for one, each with what makes it do so."""
        return {}

    def require_distinct(self, keys: Iterable[pa.RecordBatch]) -> None:
        """Check that these keys, of rows to insert, are different to the database too, from one another and its own.

        Raises:
            CollationConflictError: two are not, and one row would be written over another.
        """

    def row_digests(self) -> Iterator[pa.RecordBatch]:
        """Key columns and digest of every row, before this transaction wrote any."""
        with read_ahead(self.read_committed()) as batches:
            for batch in batches:
                yield keyed_digests(self.spec, batch)

    def digest(self, keys: pa.Table | None = None) -> TableDigest:
        """The digest of all rows, or of those with these keys, as this transaction sees them."""
        with read_ahead(self.read(keys=keys)) as batches:
            return digest_batches(self.spec, batches)

    def stored_digest(self) -> TableDigest:
        """The digest of all rows as they are stored; comparable with `StoredDigest` of what was sent, and only that."""
        with StoredDigest() as digest, read_ahead(self.read()) as batches:
            return sum((digest.of(batch) for batch in batches), TableDigest())

    # -- writing ---------------------------------------------------------------------------------------------------

    def load(self, batches: Iterable[pa.RecordBatch], rows: int) -> int:
        """Fill the table, which must be empty, with about `rows` rows; the number written.

        Raises:
            RefusedRowError, UniqueConflictError, UnrepresentableValueError: named with the rows concerned.
            UnnamedRowError: `why_refused` finds the rows in a second reading.
        """
        return self.upsert_many(batches)

    def upsert_many(self, batches: Iterable[pa.RecordBatch]) -> int:
        """Insert rows, or update all other columns of the rows with the same keys; without a key, insert them.

        Returns the number written. Nothing fires on the way: neither defaults nor `onupdate`.

        Raises:
            RefusedRowError, UniqueConflictError, UnrepresentableValueError: named with the rows concerned.
        """
        statement = self.upsert_statement()

        def write(batch: pa.RecordBatch) -> None:
            self._execute_many(statement, self.connection.codec.encode(self.spec, batch, self.connection.name))

        written = 0
        rows = self._fitting_rows(BATCH_ROWS)
        for batch in chain.from_iterable(pieces(each, rows, self.batch_bytes) for each in batches):
            with self.connection.translated():
                try:
                    with self.connection.savepoint():
                        write(batch)
                except self._refusals as error:
                    raise self._refusal(batch, write) or error from error
            written += batch.num_rows
        return written

    def delete_many(self, keys: pa.Table) -> int:
        """Delete the rows with these keys; the number that were there."""
        deleted = 0
        with self.connection.translated():
            for condition in self._conditions(keys):
                deleted += self.connection.sqlalchemy.execute(sa.delete(self.table).where(condition)).rowcount
        return deleted

    def delete_all(self) -> int:
        """Delete all rows that meet the conditions that narrow the table; their number."""
        with self.connection.translated():
            return self.connection.sqlalchemy.execute(sa.delete(self.table).where(self.within)).rowcount

    def meet(self, keys: pa.Table) -> list[bool]:
        """Which keys meet the conditions that narrow the table, which are of the key, be there such rows or not."""
        found: list[bool] = []
        for batch in batches_to_unite(keys):
            values = self.connection.codec.encode(self.spec.project(keys.column_names), batch, self.connection.name)
            rows = rows_of(self.table, keys.column_names, values)
            with self.connection.translated():
                met = set(self.connection.sqlalchemy.execute(sa.select(rows.c[NUMBER]).where(self.within)).scalars())
            found += [number in met for number in range(batch.num_rows)]
        return found

    def advance_sequences(self, at_least: Mapping[str, int] | None = None) -> None:
        """Move the generators of key values past the highest value in the table."""

    def advance_statements(self, at_least: Mapping[str, int] | None = None) -> list[str]:
        """The statements that do so, of which each may be run at any time."""
        return []

    def reserve_numbers(self, column: str, count: int, above: int = 0) -> list[int]:
        """So many numbers that no row has in this column, all of them greater than `above`."""
        with self.connection.translated():
            ((top,),) = self.connection.sqlalchemy.execute(sa.select(sa.func.max(self.table.c[column]))).all()
        start = max(int(top or 0), above) + 1
        return list(range(start, start + count))

    def upsert_statement(self) -> Any:
        """`INSERT … ON CONFLICT (key) DO UPDATE` of every data column, the values bound in column order.

        Without a key, it inserts.
        """
        storage = self.connection.codec.storage_table(self.spec)
        names = self.spec.column_names
        statement = self.connection.insert(storage).values(
            {name: sa.bindparam(f"p{i}", type_=storage.c[name].type) for i, name in enumerate(names)}
        )
        return self._or_update(statement)

    def _or_update(self, statement: Any) -> Any:
        """The same, updating rows that are there; without a key, there are none."""
        if not self.spec.key:
            return statement
        return self.connection.or_update(statement, self.spec.key, self.spec.updated_names)

    def _execute_many(self, statement: Any, columns: Sequence[Sequence[Any]]) -> None:
        names = [f"p{i}" for i in range(len(columns))]
        rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
        self.connection.sqlalchemy.execute(statement, rows)

    # -- checks ----------------------------------------------------------------------------------------------------

    def require_parents(self, foreign_key: ForeignKeySpec) -> None:
        """Check that every row's parent is there.

        Raises:
            MissingParentError: with the number of rows and the first key.
        """
        execute, count = self.connection.sqlalchemy.execute, sa.select(sa.func.count())
        with self.connection.translated():
            ((lost,),) = execute(self._orphans(count, foreign_key, self._pointing(foreign_key))).all()
            if not lost:
                return
            child = self.table.alias("child")
            ((rows,),) = execute(self._orphans(count, foreign_key, child)).all()
            key = [self.connection.codec.select(self.spec.column(n), child.c[n]) for n in self.spec.shown_key]
            row = execute(self._orphans(sa.select(*key), foreign_key, child).order_by(*key).limit(1)).all()[0]
        raise MissingParentError(
            self.connection.name,
            self.spec.name,
            ", ".join(foreign_key.columns),
            foreign_key.parent,
            int(rows),
            self.show_row(row),
        )

    def _orphans(self, query: sa.Select[Any], foreign_key: ForeignKeySpec, child: sa.FromClause) -> sa.Select[Any]:
        """A query of those of `child` that have no parent."""
        parent = self.table.metadata.tables[foreign_key.parent].alias("parent")
        pairs = list(zip(foreign_key.columns, foreign_key.parent_columns, strict=True))
        # As a foreign key compares them: by the collation of what it points at, which stands first.
        joined = child.outerjoin(parent, sa.and_(*(parent.c[b] == child.c[a] for a, b in pairs)))
        lacks = parent.c[foreign_key.parent_columns[0]].is_(None)
        return query.select_from(joined).where(lacks, *(child.c[a].is_not(None) for a, _ in pairs))

    def _pointing(self, _foreign_key: ForeignKeySpec) -> sa.FromClause:
        """The columns of all rows that point at parents; of those with the same values, one is enough."""
        return self.table.alias("child")

    def _conditions(self, keys: pa.Table | None) -> Iterator[Any]:
        """WHERE clauses that together select the rows whose columns have these values."""
        if keys is None:
            yield sa.true()
            return
        for batch in batches_to_bind(keys):
            values = self.connection.codec.encode(self.spec.project(keys.column_names), batch, self.connection.name)
            yield rows_with(self.table, self.connection.codec.storage_table(self.spec), keys.column_names, values)
