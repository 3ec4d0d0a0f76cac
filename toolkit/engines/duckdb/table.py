"""One table of DuckDB: Arrow in and out, one statement for each row group."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.core.batches import BATCH_BYTES, BATCH_ROWS, gathered, sized
from toolkit.core.decimals import fraction_digits, parse_decimal
from toolkit.core.digest import TableDigest
from toolkit.core.sifted import Sifted
from toolkit.core.tables import ColumnSpec
from toolkit.engines.contract import PART_BYTES, LossyCast, Part
from toolkit.engines.duckdb.adapter import DuckDBAdapter
from toolkit.engines.duckdb.equal_values import other_value
from toolkit.engines.duckdb.lossy import decimal_scale, told_of
from toolkit.engines.duckdb.parts import cut
from toolkit.engines.duckdb.sequences import statements_to_advance
from toolkit.engines.duckdb.streaming import INCOMING, StreamingRepository
from toolkit.engines.portable.adapters import MisfitError
from toolkit.engines.portable.connection import batch_key
from toolkit.engines.portable.literals import quoted_text as literal
from toolkit.engines.portable.lossy import ONE_FORM, OTHER_KEY
from toolkit.engines.portable.refusals import undone
from toolkit.engines.portable.sifting import Sieve, sifted_fields
from toolkit.errors import RefusedRowError, ToolkitError, UnnamedRowError, UnrepresentableValueError

# A row group of DuckDB's storage; smaller inserts leave half-filled ones.
_ROW_GROUP = 122_880
# What DuckDB reads at a time, whatever is asked for: it has all of these rows in memory.
_VECTOR = 2_048


def quoted(name: str) -> str:
    """A quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


_UNKNOWN_KEY = re.compile('foreign key constraint because key "(.*)" does not exist', re.DOTALL)
_SECOND_KEY = re.compile('[Dd]uplicate key "(.*)"', re.DOTALL)


class DuckDBRepository(StreamingRepository):
    """One table of a DuckDB file."""

    keeps_to_types = True
    row_group = _ROW_GROUP
    """Rows of one statement; loads of fewer are done in one piece."""
    group_bytes: ClassVar[int] = 8 * BATCH_BYTES
    """What the rows of one statement take at most, about."""

    @property
    def name(self) -> str:
        """The table's quoted name."""
        schema = f"{quoted(self.table.schema)}." if self.table.schema else ""
        return schema + quoted(self.table.name)

    def parts(self, size: int = PART_BYTES) -> Sequence[Part]:
        """The table in ranges of row groups."""
        return cut(self.connection, self.spec, self.name, size, self.row_group)

    @property
    def into(self) -> str:
        """The quoted name of what rows are inserted into."""
        return self.name

    def _adapter(self, column: ColumnSpec) -> DuckDBAdapter:
        return self.connection.codec.adapter(column)

    def _cell(self, column: ColumnSpec, name: str) -> str:
        return self._adapter(column).read(name, self._types().get(column.name, ""))

    def read(self, batch_rows: int = BATCH_ROWS, keys: pa.Table | None = None) -> Iterator[pa.RecordBatch]:
        """The rows (or those with these keys) in the canonical schema, in no particular order."""
        fields = ", ".join(f"{self._cell(c, f't.{quoted(c.name)}')} AS c{i}" for i, c in enumerate(self.spec.columns))
        with self.connection.translated(), self._incoming_keys(keys) as join:
            stream = self.connection.raw.sql(f"SELECT {fields} FROM {self.source(self.name)} AS t{join}")
            vectors = stream.to_arrow_reader(min(batch_rows, _VECTOR))
            yield from map(self._canonical, sized(vectors, self._fitting_rows(batch_rows), self.batch_bytes))

    def sifted(self) -> Iterator[Sifted]:
        """All rows, taken apart into those that can be carried whole and those that cannot."""
        doubts, width = self.doubts(), len(self.spec.columns)
        sieve = Sieve(self.spec, self.connection.codec, lambda c, values: self._adapter(c).incoming(values), doubts)
        read, text = lambda c: self._cell(c, quoted(c.name)), lambda name: f"CAST({quoted(name)} AS VARCHAR)"
        query = f"SELECT {sifted_fields(self.spec, doubts, read, text)} FROM {self.source(self.name)}"
        with self.connection.translated():
            for fetched in self.connection.raw.sql(query).to_arrow_reader(_VECTOR):
                yield sieve.sifted(fetched.columns[:width], fetched.columns[width:])

    def _converted(self, column: ColumnSpec, values: pa.Array) -> None:
        self._adapter(column).outgoing(values)

    def load(self, batches: Iterable[pa.RecordBatch], rows: int) -> int:
        """Fill an empty table; from a row group on in one streaming statement.

        One statement lets DuckDB write finished row groups out as it goes: 2.0 instead of 3.4 s and half the memory
        for a million todos. Its indexes stay: DuckDB fills them at the commit, and needs 2.6 s for those of a million
        todos, but 4.8 s for indexes that the same transaction dropped and made.
        """
        if rows < self.row_group or any(self.stored_type(c.name).is_free_decimal for c in self.spec.columns):
            return self._insert_all(batches, "")
        return self._insert_stream(batches)

    def stored_digest(self) -> TableDigest:
        """The digest of all rows as they are stored, computed by DuckDB."""
        if any(self._adapter(c).converts for c in self.spec.columns):
            return super().stored_digest()
        fields = ", ".join(self._cell(c, quoted(c.name)) for c in self.spec.columns)
        with self.connection.translated():
            ((rows, total),) = self.connection.raw.execute(
                f"SELECT count(*), coalesce(sum(hash({fields})), 0) FROM {self.source(self.name)}"
            ).fetchall()
        return TableDigest(int(rows), int(total))

    def upsert_many(self, batches: Iterable[pa.RecordBatch]) -> int:
        """Insert or update rows, one statement for each row group; without a key, insert them."""
        if not self.spec.key:
            return self._insert_all(batches, "")
        key = ", ".join(quoted(name) for name in self.spec.key)
        others = [quoted(name) for name in self.spec.updated_names]
        action = f"UPDATE SET {', '.join(f'{n} = excluded.{n}' for n in others)}" if others else "NOTHING"
        return self._insert_all(batches, f" ON CONFLICT ({key}) DO {action}")

    def update_many(self, rows: pa.Table) -> int:
        """Give rows that are there other values in some columns, in one statement."""
        types, number = self._types(), len(self.spec.key)
        others = [name for name in rows.column_names if name not in self.spec.key]
        values = rows.select([*self.spec.key, *others])
        changes = ", ".join(
            f"{quoted(name)} = {self._adapter(self.spec.column(name)).write(f'k.k{i}', types[name])}"
            for i, name in enumerate(others, number)
        )
        with self.connection.translated(), self._incoming_keys(values, number) as join:
            source = join.replace(" JOIN ", " FROM ", 1).replace(" ON ", " WHERE ", 1)
            ((updated,),) = self.connection.raw.execute(f"UPDATE {self.name} AS t SET {changes}{source}").fetchall()
        return int(updated)

    def delete_many(self, keys: pa.Table) -> int:
        """Delete the rows with these keys; the number that were there."""
        with self.connection.translated(), self._incoming_keys(keys) as join:
            using = join.replace(" JOIN ", " USING ", 1).replace(" ON ", " WHERE ", 1)
            ((deleted,),) = self.connection.raw.execute(f"DELETE FROM {self.name} AS t{using}").fetchall()
        return int(deleted)

    def advance_sequences(self, at_least: Mapping[str, int] | None = None) -> None:
        """Move the sequences behind integer columns past the highest value; never back."""
        statements = self.advance_statements(at_least)
        with self.connection.translated():
            for statement in statements:
                self.connection.raw.execute(statement).fetchall()

    def advance_statements(self, at_least: Mapping[str, int] | None = None) -> list[str]:
        """The statements that do so."""
        return list(statements_to_advance(self, self.name, at_least or {}))

    def lossy_casts(self) -> dict[str, LossyCast]:
        """By column, those whose type in the database has values that reading them as the model's would change."""
        actual = self._types()
        conditions = {
            c.name: self._adapter(c).lossy(actual[c.name], quoted(c.name))
            for c in self.spec.columns
            if c.name in actual
        }
        return {
            name: LossyCast(actual[name], found, *told_of(actual[name], self.spec.name, name))
            for name, found in conditions.items()
            if found is not None
        }

    def decimal_scale(self, column: str) -> int | None:
        """How many decimals a column of decimals keeps; None if it is none here."""
        return decimal_scale(self._types()[column])

    def _types(self) -> dict[str, str]:
        """The type of each data column, in DuckDB's words."""
        facts = self.connection.facts(self.spec)
        known = {} if facts is None else facts.columns
        return {name: known[name].type for name in self.spec.column_names if name in known}

    def _insert_statement(self) -> str:
        types = self._types()
        names = ", ".join(quoted(name) for name in self.spec.column_names)
        values = ", ".join(self._adapter(c).write(f"c{i}", types[c.name]) for i, c in enumerate(self.spec.columns))
        return f"INSERT INTO {self.into} ({names}) SELECT {values} FROM {INCOMING}"

    def _insert_stream(self, batches: Iterable[pa.RecordBatch]) -> int:
        statement = self._insert_statement()
        with self._streaming(batches) as count:
            self.connection.raw.execute(statement).fetchall()
        return count[0]

    def _insert_all(self, batches: Iterable[pa.RecordBatch], conflict: str) -> int:
        statement = self._insert_statement() + conflict
        written = 0
        for batch in gathered(batches, self.row_group, self.group_bytes):
            self._refuse_unlimited(batch)
            if conflict:
                self._step_aside(batch, self.spec.updated_names)
            self._run_over(batch, statement)
            written += batch.num_rows
        return written

    def _step_aside(self, batch: pa.Table, names: Iterable[str]) -> None:
        """Give rows another value where the new one differs, but is equal to DuckDB: an update would leave it then."""
        types, places = self._types(), {name: place for place, name in enumerate(self.spec.column_names)}

        def incoming(name: str) -> str:
            return self._adapter(self.spec.column(name)).write(f"c{places[name]}", types[name])

        match = " AND ".join(f"t.{quoted(name)} = {incoming(name)}" for name in self.spec.key)
        for name in names:
            cell, new, values = f"t.{quoted(name)}", incoming(name), batch.column(places[name])
            if (other := other_value(types.get(name, ""), cell)) is None:
                continue
            # Of numbers it is zero alone, with its sign.
            rows = batch.filter(pc.equal(values, 0)) if pa.types.is_floating(values.type) else batch
            if rows.num_rows:
                differ = f"{cell} = {new} AND CAST({cell} AS VARCHAR) <> CAST({new} AS VARCHAR)"
                changed = f"SET {quoted(name)} = {other} FROM {INCOMING} WHERE {match} AND {differ}"
                self._run_over(rows, f"UPDATE {self.name} AS t {changed}")

    def _run_over(self, batch: pa.Table, statement: str) -> None:
        """Run a statement that reads the incoming batch under its positional column names."""
        try:
            self._run(batch, statement)
        except self._refusals as error:
            named = self._why(batch.combine_chunks().to_batches()[0], statement, self.connection.reason(error))
            raise named or self.connection.known_error(error) from error
        except duckdb.Error as error:
            raise self.connection.known_error(error) from error

    def _run(self, batch: pa.Table | pa.RecordBatch, statement: str) -> list[tuple[Any, ...]]:
        raw = self.connection.raw
        raw.register(INCOMING, self._outgoing(batch).rename_columns([f"c{i}" for i in range(batch.num_columns)]))
        try:
            # Nothing can be unregistered in a transaction that has failed.
            with self.connection.savepoint():
                return raw.execute(statement).fetchall()
        finally:
            raw.unregister(INCOMING)

    def why_refused(self, batches: Iterable[pa.RecordBatch], error: UnnamedRowError) -> ToolkitError | None:
        """Why these rows could not fill the empty table."""
        if _SECOND_KEY.search(error.reason):
            return super().why_refused(batches, error)
        statement, groups = self._insert_statement(), gathered(batches, self.row_group, self.group_bytes)
        refused = (group.combine_chunks().to_batches()[0] for group in groups if self._refuses(group, statement))
        return next(filter(None, (self._why(rows, statement, error.reason) for rows in refused)), None)

    def _refuses(self, group: pa.Table, statement: str) -> bool:
        """Whether these rows are worth looking through: that takes ten times as long as to write them."""
        with undone(self.connection):
            try:
                self._run(group, statement)
            except self._refusals:
                return True
        return False

    def _why(self, batch: pa.RecordBatch, statement: str, reason: str) -> ToolkitError | None:
        """Why a batch was refused, with the row.

        The statement that failed took the transaction along, and with it the rows that were written before: what has
        to do with them is looked for by the value that DuckDB names, all else by writing halves.
        """
        if found := _UNKNOWN_KEY.search(reason):
            return self._without_parent(batch, found[1])

        def write(part: pa.RecordBatch) -> None:
            self._run(part, statement)

        named = self._uncastable(batch) or self._refusal(batch, write)
        if isinstance(named, RefusedRowError) and _UNKNOWN_KEY.search(named.reason):
            named = None  # Its parent was among the rows that are gone.
        second = None if named else _SECOND_KEY.search(reason)
        return self._second(batch, second[1], reason) if second else named

    def _without_parent(self, batch: pa.RecordBatch, value: str) -> ToolkitError | None:
        """The first row that points by a foreign key of DuckDB's at this value."""
        for foreign_key in self.enforcing().spec.foreign_keys:
            row = self._row_with(batch, foreign_key.columns, foreign_key.parent_columns, value)
            if row is not None:
                columns = ", ".join(foreign_key.columns)
                reason = f"{columns} points at a row that {foreign_key.parent} does not have ({value})"
                return RefusedRowError(self.connection.name, self.spec.name, batch_key(self.spec, batch, row), reason)
        return None

    def _second(self, batch: pa.RecordBatch, value: str, reason: str) -> ToolkitError | None:
        """The first row with this unique value, which a row written before has."""
        for columns in self.enforcing().spec.unique_keys:
            row = self._row_with(batch, columns, columns, value)
            if row is not None:
                return RefusedRowError(self.connection.name, self.spec.name, batch_key(self.spec, batch, row), reason)
        return None

    def _row_with(self, batch: pa.RecordBatch, columns: Sequence[str], labels: Sequence[str], value: str) -> int | None:
        """The first row whose columns have this value, as DuckDB's errors write it: with labels or without."""
        types = self._types()
        places = [(self.spec.column_names.index(name), name) for name in columns]
        texts = [
            f"CAST({self._adapter(self.spec.column(name)).write(f'c{i}', types[name])} AS VARCHAR)"
            for i, name in places
        ]
        plain = " || ', ' || ".join(texts)
        labelled = " || ', ' || ".join(f"{literal(f'{name}: ')} || {t}" for name, t in zip(labels, texts, strict=True))
        found = self._run(
            batch,
            "SELECT min(number) FROM (SELECT row_number() OVER () - 1 AS number, "
            f"{plain} AS plain, {labelled} AS labelled FROM {INCOMING}) WHERE {literal(value)} IN (plain, labelled)",
        )
        return None if found[0][0] is None else int(found[0][0])

    def _uncastable(self, batch: pa.RecordBatch) -> ToolkitError | None:
        """The first value that DuckDB cannot cast to its column's type."""
        types = self._types()
        for i, column in enumerate(self.spec.columns):
            if not self._adapter(column).is_cast:
                continue
            row = self._run(
                batch,
                f"SELECT number FROM (SELECT row_number() OVER () - 1 AS number, c{i} AS value FROM {INCOMING}) "
                f"WHERE value IS NOT NULL AND TRY_CAST(value AS {types[column.name]}) IS NULL LIMIT 1",
            )
            if row:
                key = batch_key(self.spec, batch, row[0][0])
                problem = f"is refused by {self.connection.name}: it is no {types[column.name]}"
                return UnrepresentableValueError(self.spec.name, key, column.name, problem)
        return None

    def _refuse_unlimited(self, batch: pa.Table) -> None:
        """DuckDB rounds a decimal to its column's scale without a word."""
        types = self._types()
        for column in self.spec.columns:
            if self.stored_type(column.name).is_free_decimal:
                self._require_scale(column, batch, types[column.name])

    def _require_scale(self, column: ColumnSpec, batch: pa.Table, actual: str) -> None:
        scale = decimal_scale(actual)
        for row, text in enumerate(self._outgoing(batch.select([column.name])).column(0).to_pylist()):
            value = None if text is None else parse_decimal(text)
            if value is None or scale is None:
                continue
            if not value.is_finite() or fraction_digits(value) > scale:
                key = batch_key(self.spec, batch.combine_chunks().to_batches()[0], row)
                problem = f"holds {text[:40]}, which {self.connection.name} ({actual}) cannot keep"
                raise UnrepresentableValueError(self.spec.name, key, column.name, problem)

    @contextmanager
    def _incoming_keys(self, keys: pa.Table | None, matched: int | None = None) -> Iterator[str]:
        """A join that leaves only the rows with these keys, or whose first `matched` columns are these."""
        if keys is None:
            yield ""
            return
        raw, types = self.connection.raw, self._types()
        raw.register(INCOMING, self._outgoing(keys).rename_columns([f"k{i}" for i in range(keys.num_columns)]))
        try:
            names = keys.column_names[:matched]
            written = [self._adapter(self.spec.column(n)).write(f"k.k{i}", types[n]) for i, n in enumerate(names)]
            match = " AND ".join(
                f"{self._matched(name, types[name])} = {value}" for name, value in zip(names, written, strict=True)
            )
            yield f" JOIN {INCOMING} AS k ON {match}"
        finally:
            raw.unregister(INCOMING)

    def _matched(self, name: str, actual: str) -> str:
        """What of a column is compared with keys as they are written."""
        cell = f"t.{quoted(name)}"
        return self._adapter(self.spec.column(name)).rewritten(cell, actual) or cell

    def unlike_keys(self) -> dict[str, LossyCast]:
        """Keys of characters in another form than they are written in."""
        types, found = self._types(), {}
        for name in self.spec.key:
            written = self._adapter(self.spec.column(name)).rewritten(quoted(name), types[name])
            if written is not None:
                form = ONE_FORM.format(f"as DuckDB casts {self.spec.column(name).type} to {types[name]}")
                found[name] = LossyCast(types[name], f"{written} IS DISTINCT FROM {quoted(name)}", OTHER_KEY, form)
        return found

    def _canonical(self, fetched: pa.RecordBatch) -> pa.RecordBatch:
        columns = []
        for column, values in zip(self.spec.columns, fetched.columns, strict=True):
            try:
                columns.append(self._adapter(column).incoming(values))
            except MisfitError as error:
                key = self.connection.codec.fetched_key(self.spec, fetched, error.row)
                raise UnrepresentableValueError(self.spec.name, key, column.name, error.problem) from error
        return pa.record_batch(columns, schema=self.spec.schema)
