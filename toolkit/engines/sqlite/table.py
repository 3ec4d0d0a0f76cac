"""One table of SQLite: reads through ADBC straight into Arrow, writes sorted rows through one prepared upsert."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from itertools import chain, islice
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from toolkit.core.batches import BATCH_BYTES, BATCH_ROWS, gathered, has_fixed_width, parts, sized
from toolkit.core.digest import TableDigest
from toolkit.core.sifted import Sifted
from toolkit.core.tables import ColumnSpec
from toolkit.core.types import Kind
from toolkit.engines.contract import PART_BYTES, LossyCast, Part
from toolkit.engines.portable.codec import MISFITS
from toolkit.engines.portable.long_expressions import combined
from toolkit.engines.portable.other_forms import among_others
from toolkit.engines.portable.refusals import undone
from toolkit.engines.portable.sifting import Doubt
from toolkit.engines.portable.table import TableRepository
from toolkit.engines.sqlite.catalogue import is_strict
from toolkit.engines.sqlite.definitions import advance
from toolkit.engines.sqlite.keys import find_collation_duplicates, folding_collations
from toolkit.engines.sqlite.measures import known
from toolkit.engines.sqlite.misfits import any_text, first_misfit, unlike_bytes
from toolkit.engines.sqlite.other_forms import casts_of_others, condition_of_others
from toolkit.engines.sqlite.parts import cut
from toolkit.engines.sqlite.snapshot import SqliteSnapshot
from toolkit.engines.sqlite.stage import Stage
from toolkit.errors import (
    CancelledError,
    CollationConflictError,
    StatementError,
    ToolkitError,
    UnnamedRowError,
)

_ANY = "ANY"
_UNLIKE = (
    "A view: leave it out, or make a table of it. A table: an index of it is damaged; see PRAGMA integrity_check, then "
    "run REINDEX."
)
_DAY = "[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]"
_MOMENT = f"{_DAY}[ T][0-2][0-9]:[0-5][0-9]:[0-5][0-9]*"
_NO_TEXT = "Could not decode to UTF-8"
# Rows are sorted so many at a time: in order, random keys are inserted several times faster.
_SORTED_ROWS = 32_768
_SORTED_BYTES = 2 * BATCH_BYTES
# Of rows that are too wide for whole batches, so many times fewer are read at a time; of the widest, one.
_FEWER = 64
# The values of a first row that fixes each column's type: ADBC infers types from the first rows it meets, and one
# that starts with NULLs would be an integer for good.
_SAMPLES = {pa.binary(): "x''", pa.int64(): "0", pa.float64(): "0.0", pa.string(): "''"}


class SqliteRepository(TableRepository):
    """One table of a SQLite file."""

    connection: SqliteSnapshot
    staged_rows: ClassVar[int] = _SORTED_ROWS
    """Loads of more go by a stage, and build indexes last."""

    def parts(self, size: int = PART_BYTES) -> Sequence[Part]:
        """The table in ranges of row numbers."""
        return cut(self.connection, self.spec, self._name, size)

    def lossy_casts(self) -> dict[str, LossyCast]:
        """Columns that may hold what the Arrow reader would change: numbers among bytes, doubles among texts."""
        declared = self._declared_types()
        adapter = self.connection.codec.adapter
        looked = known(self.connection, self.spec.name)
        found: dict[str, LossyCast] = {}
        for column in self.spec.columns:
            # What was looked at for its type is not looked at again: 0.4 s of 1,000,000 rows with two columns of bytes.
            if looked is not None and adapter(column).classes == (looked.classes.get(column.name),):
                continue
            type_, value = declared.get(column.name, ""), self._quoted(column.name)
            # What is read as a key's value, but not found by it, would be taken for another row.
            unlike = adapter(column).unlike_key(type_, value) if column.name in self.spec.key else None
            beside = self._beside_texts(value) if column.type.kind == Kind.TEXT and "BLOB" in type_.upper() else None
            conditions = [each for each in (adapter(column).lossy(type_, value), unlike, beside) if each is not None]
            if conditions:
                found[column.name] = LossyCast(type_, " OR ".join(conditions), is_raw=True)
        return found

    def in_utc(self, column: str) -> str | None:
        """A column of times, some of which have another zone or no seconds: as texts, these are not in their order.

        What is no time with its day is NULL.
        """
        cell = self._quoted(column)
        other = f"{cell} NOT GLOB '{_MOMENT}' OR substr({cell}, 12) GLOB '*[-+]*' AND {cell} NOT GLOB '*+00:00'"
        compared = f"CASE WHEN {cell} GLOB '{_DAY}*' THEN datetime({cell}) END"
        return compared if self.connection.has_rows(self.spec.table, other) else None

    def unlike_keys(self) -> dict[str, LossyCast]:
        """Keys in other forms: a row that is written would be added to the one that is there."""
        return casts_of_others(self.connection, self.spec)

    def _declared_types(self) -> dict[str, str]:
        """The words of each column's type; none where they make nothing of values."""
        facts = self.connection.facts(self.spec)
        declared = {} if facts is None else {name: column.type for name, column in facts.columns.items()}
        if _ANY in declared.values() and is_strict(self.connection, self.spec):
            return {name: "" if type_ == _ANY else type_ for name, type_ in declared.items()}
        return declared

    def _beside_texts(self, value: str) -> str:
        """The condition of bytes in a column of bytes that has texts, too: as text, the two could not be told apart."""
        table = f"(SELECT {value} FROM {self._name})"
        return f"typeof({value}) = 'blob' AND EXISTS (SELECT 1 FROM {table} WHERE typeof({value}) = 'text')"

    def doubts(self) -> dict[str, Doubt]:
        """Beside those that reading would change, bytes where the model has none: the driver gives them for text."""
        return {**unlike_bytes(self), **super().doubts()}

    def sifted(self) -> Iterator[Sifted]:
        """All rows, taken apart; text that is no UTF-8 is read, too, as text with surrogates in it."""
        with any_text(self.connection.driver):
            yield from super().sifted()

    def read(self, batch_rows: int = BATCH_ROWS, keys: pa.Table | None = None) -> Iterator[pa.RecordBatch]:
        """The rows (or those with these keys) in the canonical schema, in no particular order.

        A connection that writes reads through its own transaction, so that it sees what it wrote.
        """
        try:
            yield from self._read(batch_rows, keys)
        except StatementError as error:
            if _NO_TEXT not in error.fact:
                raise
            raise first_misfit(self) or error from error

    def _read(self, batch_rows: int, keys: pa.Table | None) -> Iterator[pa.RecordBatch]:
        if keys is not None:
            yield from super().read(batch_rows, keys)
            return
        self.connection.lock_tables([self.spec])
        yield from sized(self._by_width(batch_rows), self._fitting_rows(batch_rows), self.batch_bytes)

    def _by_width(self, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """The rows, narrow ones first: both drivers read a number of rows, however wide these are.

        Each scan leaves rows of other widths to the next, and the number of rows says whether there is a next: for
        usual tables there is none. Nobody else's write comes in between, here as in one statement.

        Raises:
            StatementError: a view that gives other rows at each reading, or a table with rows that an index lacks.
        """
        scan = self._scan_own if self.connection.reader is None else self._scan
        left = self.count()
        for condition, rows in self._widths(self._fitting_rows(batch_rows)):
            for batch in scan(condition, rows):
                left -= batch.num_rows
                yield batch
            if not left:
                return
        fact = f"{self.spec.name} returns different rows each time that it is read"
        raise StatementError(self.connection.name, fact, _UNLIKE)

    def _widths(self, rows: int) -> Iterator[tuple[str, int]]:
        """Conditions of which each row meets one, with how many of its rows fit into a batch."""
        # Of texts and bytes that are stored apart, the first function needs only the length; it is of SQLite 3.43.
        form = "length(CAST({0} AS BLOB))" if self.connection.reader is None else "octet_length({0})"
        names = [self._quoted(n) for n in self.spec.column_names if not has_fixed_width(self.stored_type(n).arrow)]
        width = combined("+", [f"ifnull({form.format(name)}, 0)" for name in names]) or "0"
        fewer = max(1, rows // _FEWER)
        narrow, wide = self.batch_bytes // rows, self.batch_bytes // fewer
        yield f"{width} <= {narrow}", rows
        yield f"{width} > {narrow} AND {width} <= {wide}", fewer
        yield f"{width} > {max(narrow, wide)}", 1

    def _scan(self, condition: str, rows: int) -> Iterator[pa.RecordBatch]:
        with self.connection.translated(), self.connection.reader.cursor() as cursor:
            cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(rows)})
            cursor.execute(self._statement(condition))
            stream = cursor.fetch_record_batch()
            self._check_types(stream.schema)
            yield from self._decoded(stream)

    def _scan_own(self, condition: str, rows: int) -> Iterator[pa.RecordBatch]:
        """The rows as this transaction sees them, by the driver alone: SQLAlchemy's rows take half as long again."""
        fetch = self.connection.codec.adapter
        names = ", ".join(fetch(column).fetch(self._quoted(column.name)) for column in self.spec.columns)
        with self.connection.translated(), closing(self.connection.sqlalchemy.connection.cursor()) as cursor:
            cursor.execute(f"SELECT {names} FROM {self.source(self._name)} WHERE {condition}")
            while fetched := cursor.fetchmany(rows):
                yield self.connection.codec.decode(self.spec, list(zip(*fetched, strict=True)))

    def _fetched_columns(self, query: Any, width: sa.Label[int], most: int) -> Iterator[Sequence[Sequence[Any]]]:
        """The rows of a query, not sorted: SQLite computes each when it is asked for."""
        with self.connection.translated(), closing(self.connection.sqlalchemy.execute(query)) as result:
            for rows in parts(result, most, lambda row: int(row[-1]), self.batch_bytes):
                *columns, _ = zip(*rows, strict=True)
                yield columns

    def _conditions(self, keys: pa.Table | None) -> Iterator[Any]:
        """WHERE clauses of the rows with these values: as they are written, and in whatever form some stand there."""
        other = None if keys is None else condition_of_others(self.connection, self.spec, keys.column_names)
        if keys is None or other is None:
            yield from super()._conditions(keys)
            return
        written = super()._conditions(keys)
        yield from among_others(self.connection, self.table, self.spec, keys, written, other)

    @property
    def _name(self) -> str:
        return sqlite.dialect().identifier_preparer.format_table(self.table)

    def _quoted(self, name: str) -> str:
        return sqlite.dialect().identifier_preparer.quote_identifier(name)

    def _told_apart(self, cell: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """A column without its collation, which may take different values for one."""
        return sa.collate(sa.type_coerce(cell, sa.String), "BINARY")

    def collated_key(self) -> dict[str, str]:
        """The key columns of which SQLite takes different values for one, each with what makes it do so."""
        if not any(self.stored_type(name).is_text for name in self.spec.key):
            return {}
        found = folding_collations(self.connection, self.spec, self.spec.key)
        return {name: f"the collation {collation}" for name, collation in found.items()}

    def require_distinct(self, keys: Iterable[pa.RecordBatch]) -> None:
        """Check that these keys, of rows to insert, are different to SQLite too, from one another and its own."""
        collations = folding_collations(self.connection, self.spec, self.spec.key)
        twins = find_collation_duplicates(self.connection, self.spec, self.spec.key, self.spec.key, collations, keys)
        if twins:
            rows = [self.show_row(key) for key in twins]
            raise CollationConflictError(self.connection.name, self.spec.name, rows, self.collated_key())

    def conflict(self, batch: pa.RecordBatch) -> ToolkitError | None:
        """Why a batch was refused, also where SQLite takes two different unique values for one."""
        return super().conflict(batch) or self._first_conflict(lambda columns: self._folded(batch, columns))

    def _folded(self, batch: pa.RecordBatch, columns: tuple[str, ...]) -> tuple[str, str, str] | None:
        collations = folding_collations(self.connection, self.spec, columns)
        names = tuple(dict.fromkeys((*columns, *self.spec.shown_key)))
        twins = collations and find_collation_duplicates(
            self.connection, self.spec, columns, names, collations, [batch.select(names)]
        )
        if not twins:
            return None
        one, other = (dict(zip(names, row, strict=True)) for row in twins)
        value = " and ".join(", ".join(str(row[name]) for name in columns) for row in (one, other))
        causes = ", ".join(f"the collation {collation}" for collation in collations.values())
        first, second = (self.show_row([row[name] for name in self.spec.shown_key]) for row in (one, other))
        return f"{value} (one value to {causes})", first, second

    def advance_sequences(self, at_least: Mapping[str, int] | None = None) -> None:
        """Let AUTOINCREMENT go on from the number of another database; past its own rows, it goes by itself."""
        for name, number in (at_least or {}).items():
            if self.spec.key == (name,) and number > 0:
                advance(self.connection, self.spec.table.name, number)

    def upsert_many(self, batches: Iterable[pa.RecordBatch]) -> int:
        """Insert or update rows, sorted by key as far as memory allows."""
        return super().upsert_many(self._sorted(batches))

    def load(self, batches: Iterable[pa.RecordBatch], rows: int) -> int:
        """Fill an empty table: many rows by way of a stage; its plain indexes are built afterwards."""
        stage: Stage | None = None
        incoming = iter(batches)
        if rows > self.staged_rows and (first := next(incoming, None)) is not None:
            incoming = chain([first], incoming)
            size = rows * first.nbytes // max(1, first.num_rows)
            stage = self.connection.new_stage(self.spec, self._declared_types(), size)
        if stage is None:
            return self.upsert_many(incoming)
        try:
            with self.connection.translated(), self.connection.savepoint():
                self._load_by(stage, incoming)
        except StatementError as error:
            if isinstance(error.__cause__, self._refusals):
                raise UnnamedRowError(self.connection.name, self.connection.reason(error.__cause__)) from error
            raise
        return stage.rows

    def _load_by(self, stage: Stage, batches: Iterable[pa.RecordBatch]) -> None:
        dropped = self._drop_indexes()
        stage.fill(self._sorted(batches))
        # Arrow would keep what the batches took, beside the pages that SQLite takes now.
        pa.default_memory_pool().release_unused()
        stage.begin_digest()
        storage = self.connection.codec.storage_table(self.spec)
        names = self.spec.column_names
        for part in stage.parts():
            staged = sa.select(*(sa.literal_column(self._quoted(name)) for name in names))
            staged = staged.select_from(sa.text(stage.name)).where(sa.text(part))
            copy = self._or_update(self.connection.insert(storage).from_select(names, staged))
            self.connection.sqlalchemy.execute(copy)
        with self.connection.sorting():
            for statement in dropped:
                self.connection.sqlalchemy.exec_driver_sql(statement)

    def why_refused(self, batches: Iterable[pa.RecordBatch], error: UnnamedRowError) -> ToolkitError | None:
        """Why these rows could not fill the empty table: the first that the driver could not write by itself."""
        try:
            with undone(self.connection):
                self.upsert_many(batches)
        except ToolkitError as named:
            return named
        return None

    def stored_digest(self) -> TableDigest:
        """The digest of all rows as they are stored; of those that are just what came by a stage, the stage's."""
        stage = self.connection.stage_of(self.spec)
        if stage is not None and self.spec.where is None and stage.equals(self._name):
            digest = stage.digest()
            if digest is not None:
                return digest
        return super().stored_digest()

    def _drop_indexes(self) -> list[str]:
        """Drop the indexes that are no constraints; the statements that make them again."""
        execute = self.connection.sqlalchemy.execute
        quote = sqlite.dialect().identifier_preparer.quote_identifier
        with self.connection.translated():
            rows = execute(
                sa.text("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = :table AND sql <> ''"),
                {"table": self.table.name},
            ).all()
            rows = [row for row in rows if not row.sql.upper().startswith("CREATE UNIQUE")]
            for row in rows:
                self.connection.sqlalchemy.exec_driver_sql(f"DROP INDEX {quote(row.name)}")
        return [row.sql for row in rows]

    def _sorted(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return chain.from_iterable(map(self._by_key, gathered(batches, _SORTED_ROWS, _SORTED_BYTES)))

    def _by_key(self, rows: pa.Table) -> list[pa.RecordBatch]:
        order = [(name, "ascending") for name in self.spec.key]
        # Arrow sorts no lists, and says so by either; the order only makes it faster.
        with suppress(pa.ArrowNotImplementedError, pa.ArrowTypeError):
            rows = rows.take(pc.sort_indices(rows, sort_keys=order)) if order else rows
        batches: list[pa.RecordBatch] = rows.combine_chunks().to_batches()
        return batches

    def _execute_many(self, statement: Any, columns: Sequence[Sequence[Any]]) -> None:
        """One prepared statement for all rows, past SQLAlchemy's work on every single one of them."""
        compiled = statement.compile(dialect=sqlite.dialect(paramstyle="qmark"))
        order = [int(name.removeprefix("p")) for name in compiled.positiontup]
        cursor = self.connection.sqlalchemy.connection.cursor()
        try:
            cursor.executemany(str(compiled), list(zip(*(columns[i] for i in order), strict=True)))
        except sqlite3.IntegrityError as error:
            raise sa.exc.IntegrityError(str(compiled), None, error) from error
        finally:
            cursor.close()

    def _statement(self, condition: str) -> str:
        """The query of the rows that meet a condition, behind a first row that fixes each column's type."""
        expressions, samples = [], []
        for column in self.spec.columns:
            for expression, type_ in self._expressions(column):
                expressions.append(expression)
                samples.append(_SAMPLES[type_])
        rows = f"SELECT {', '.join(expressions)} FROM {self.source(self._name)} WHERE {condition}"
        return f"SELECT {', '.join(samples)} UNION ALL {rows}"

    def _expressions(self, column: ColumnSpec) -> list[tuple[str, pa.DataType]]:
        return self.connection.codec.adapter(column).expressions(self._quoted(column.name))

    def _check_types(self, schema: pa.Schema) -> None:
        """The first rows may already hold what is not of the column's type; ADBC then widens the column."""
        wanted = [type_ for column in self.spec.columns for _, type_ in self._expressions(column)]
        if [field.type for field in schema] != wanted:
            odd = StatementError(self.connection.name, f"{self.spec.name} has columns of unexpected types")
            raise first_misfit(self) or odd

    def _decoded(self, stream: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        first = True
        while True:
            try:
                batch = stream.read_next_batch()
            except StopIteration:
                return
            except (pa.ArrowException, OSError) as error:
                known = self.connection.known_error(str(error))
                raise known if isinstance(known, CancelledError) else first_misfit(self) or known from error
            yield self._decoded_batch(batch.slice(1) if first else batch)
            first = False

    def _decoded_batch(self, stored: pa.RecordBatch) -> pa.RecordBatch:
        columns, fetched = [], iter(stored.columns)
        for column in self.spec.columns:
            values = list(islice(fetched, len(self._expressions(column))))
            try:
                columns.append(self.connection.codec.adapter(column).incoming(*values))
            except MISFITS as error:
                raise first_misfit(self) or error from error
        return pa.record_batch(columns, schema=self.spec.schema)
