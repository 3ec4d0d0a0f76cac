"""One table of PostgreSQL: binary COPY in, ADBC out, digests computed inside the server."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa

from toolkit.compute.segments import SegmentTotals
from toolkit.core.batches import BATCH_ROWS, sized
from toolkit.core.digest import TableDigest, digest_schema
from toolkit.core.sifted import Sifted
from toolkit.core.tables import ColumnSpec
from toolkit.engines.catalogue import ColumnFacts
from toolkit.engines.contract import PART_BYTES, LossyCast, Part
from toolkit.engines.portable.adapters import MisfitError
from toolkit.engines.portable.lossy import ANY_VALUE
from toolkit.engines.portable.sifting import Sieve, sifted_fields
from toolkit.engines.portable.table import TableRepository
from toolkit.engines.postgresql.adapters import CODEC
from toolkit.engines.postgresql.casts import is_castable
from toolkit.engines.postgresql.conflicts import find_collation_duplicates, folding_columns
from toolkit.engines.postgresql.copy import RowCopy
from toolkit.engines.postgresql.copy_within_database import is_within_database, merge_from, write_from
from toolkit.engines.postgresql.indexes import indexes_last
from toolkit.engines.postgresql.lossy_casts import lossy_casts, matched, unlike_keys
from toolkit.engines.postgresql.parts import cut
from toolkit.engines.postgresql.passthrough import are_alike, beside, send
from toolkit.engines.postgresql.refused_documents import unkept_document
from toolkit.engines.postgresql.sequences import next_numbers, statements_to_advance
from toolkit.engines.postgresql.sql import (
    VALUE,
    UncarriedValueError,
    canonical_batch,
    digest_word,
    in_order,
    key_documents,
    qualified,
    quoted,
    row_digest_expression,
    segment_expression,
    within_segments,
    wrapped,
)
from toolkit.errors import (
    ChangedSincePlanError,
    CollationConflictError,
    StatementError,
    ToolkitError,
    UnnamedRowError,
    UnrepresentableValueError,
)

if TYPE_CHECKING:
    from toolkit.engines.postgresql.session import PostgresSession

_KEYS_A_QUERY = 10_000
_READ_BYTES = 4_000_000


class PostgresRepository(TableRepository):
    """One table of a PostgreSQL database."""

    connection: PostgresSession
    keeps_to_types = True
    rebuild_rows: ClassVar[int] = 20_000
    """From so many rows it is faster to build an index anew than to keep it up to date row by row."""

    @property
    def name(self) -> str:
        """The table's quoted name."""
        return qualified(self.table)

    def parts(self, size: int = PART_BYTES) -> Sequence[Part]:
        """The table in ranges of blocks."""
        return cut(self.connection, self.spec, size)

    # -- reading ---------------------------------------------------------------------------------------------------

    def read(self, batch_rows: int = BATCH_ROWS, keys: pa.Table | None = None) -> Iterator[pa.RecordBatch]:
        """The rows (or those with these keys) in the canonical schema, in no particular order.

        A connection that writes reads through its own transaction, so that it sees what it wrote.
        """
        if self.connection.write and not self.connection.is_reading:
            yield from super().read(batch_rows, keys)
            return
        fields = ", ".join(CODEC.adapter(c).fetch(f"t.{quoted(c.name)}") for c in self.spec.columns)
        order = in_order(self.spec)
        found = (
            self._canonical(fetched)
            for condition, parameter in self._key_joins(keys)
            for fetched in self._fetch(
                f"SELECT {fields} FROM {self.source(self.name)} AS t{condition}{order}", parameter
            )
        )
        yield from sized(found, self._fitting_rows(batch_rows), self.batch_bytes)

    def sifted(self) -> Iterator[Sifted]:
        """All rows, taken apart into those that can be carried whole and those that cannot."""
        doubts, width = self.doubts(), len(self.spec.columns)
        # What cannot be cast at all cannot be asked for by a cast, though no row would need it.
        is_castable = all(doubt.condition != ANY_VALUE for doubt in doubts.values())
        if not is_castable or (self.connection.write and not self.connection.is_reading):
            yield from super().sifted()
            return
        sieve = Sieve(self.spec, CODEC, lambda column, values: CODEC.adapter(column).incoming(values), doubts)
        selected = sifted_fields(
            self.spec, doubts, lambda c: CODEC.adapter(c).fetch(quoted(c.name)), lambda name: f"{quoted(name)}::text"
        )
        for fetched in self._fetch(f"SELECT {selected} FROM {self.source(self.name)} AS t", None):
            yield sieve.sifted(fetched.columns[:width], fetched.columns[width:])

    def row_digests(self) -> Iterator[pa.RecordBatch]:
        """Key columns and digest of every row; the digests are computed by the server."""
        return self._keyed_digests()

    def digests_within(self, count: int, segments: Collection[int]) -> Iterator[pa.RecordBatch]:
        """Key columns and digest of the rows in these segments of so many."""
        if len(segments) == count:
            return self.row_digests()
        if not segments:
            return iter(())
        return self._keyed_digests(f" WHERE {within_segments('d.digest', count, segments)}")

    def _keyed_digests(self, condition: str = "") -> Iterator[pa.RecordBatch]:
        keys = "".join(f"{CODEC.adapter(self.spec.column(n)).fetch(f't.{quoted(n)}')}, " for n in self.spec.key)
        key_spec, schema = self.spec.project(self.spec.key), digest_schema(self.spec)
        if condition:
            query = f"SELECT {keys}decode(d.digest, 'hex') FROM {self._digested()}{condition}"
        else:
            digest = self._digest_of(self.spec.column_names)
            query = f"SELECT {keys}decode({digest}, 'hex') FROM {self.source(self.name)} AS t"
        for fetched in self._fetch(query, None):
            canonical = canonical_batch(key_spec, fetched.select(range(len(self.spec.key))))
            yield pa.record_batch([*canonical.columns, fetched.columns[-1].cast(schema[-1].type)], schema=schema)

    def _digest_of(self, columns: Sequence[str]) -> str:
        """The digest of these columns of a row of `t`, as SQL."""
        spec, version = self.spec.project(columns), self.connection.raw.info.server_version
        return row_digest_expression(spec, lambda name: f"t.{quoted(name)}", version)

    def _digested(self) -> str:
        """The rows, `t`, each with its digest, `d.digest`, which is computed once however often it is asked for."""
        digest = self._digest_of(self.spec.column_names)
        return f"{self.source(self.name)} AS t CROSS JOIN LATERAL unnest(ARRAY[{digest}]) AS d(digest)"

    def segment_totals(self, count: int) -> SegmentTotals:
        """The rows and digests of so many segments, computed by the server."""
        total = wrapped(f"sum({digest_word('d.digest')})")
        query = (
            f"SELECT {segment_expression('d.digest', count)}, count(*)::int, {total} FROM {self._digested()} GROUP BY 1"
        )
        totals = SegmentTotals.empty(count)
        # PostgreSQL takes the segments for as many as the rows, and would sort these on disk: 2.9 s instead of 1.5 s.
        with self.connection.reads_without_sorting():
            for fetched in self._fetch(query, None):
                segments = fetched.columns[0].to_numpy()
                totals.rows[segments] = fetched.columns[1].to_numpy()
                totals.totals[segments] = fetched.columns[2].to_numpy().view(np.uint64)
        return totals

    def digest(self, keys: pa.Table | None = None) -> TableDigest:
        """The digest of all rows, or of those with these keys, computed by the server within this transaction."""
        total = TableDigest()
        with self.connection.translated():
            for join, parameter in self._key_joins(keys):
                row = self.connection.run(self.digest_query(join), parameter).fetchone()
                assert row is not None
                total += TableDigest(*row)
        return total

    def digest_query(self, join: str = "") -> str:
        """What the server is asked for the number of rows and the sum of their digests."""
        total = wrapped(f"coalesce(sum({digest_word(self._digest_of(self.spec.column_names))}), 0)")
        return f"SELECT count(*), {total} FROM {self.source(self.name)} AS t{join}"

    def _fetch(self, query: str, parameter: str | None) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._fetched(query, parameter)
        except StatementError as error:
            raise (
                unkept_document(self.connection, self.spec, self.source(self.name), self.column_types()) or error
            ) from error

    def _fetched(self, query: str, parameter: str | None) -> Iterator[pa.RecordBatch]:
        with self.connection.translated(), self.connection.reader().cursor() as cursor:
            cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(_READ_BYTES)})
            cursor.execute(query.replace(VALUE, "$1"), None if parameter is None else (parameter,))
            try:
                yield from cursor.fetch_record_batch()
            except (pa.ArrowException, OSError) as error:
                raise self.connection.known_error(error) from error

    def _canonical(self, fetched: pa.RecordBatch) -> pa.RecordBatch:
        try:
            return canonical_batch(self.spec, fetched)
        except UncarriedValueError as error:
            key = CODEC.fetched_key(self.spec, fetched, error.row)
            raise UnrepresentableValueError(self.spec.name, key, error.column, error.problem) from error

    def _key_joins(self, keys: pa.Table | None) -> Iterator[tuple[str, str | None]]:
        """Join clauses that together select the rows with these keys, each with its one parameter."""
        if keys is None:
            yield "", None
            return
        types = self.column_types()
        fields, matches = [], []
        for i, name in enumerate(keys.column_names):
            version = self.connection.raw.info.server_version
            cell, type_ = matched(self.spec.column(name), f"t.{quoted(name)}", types[name], version)
            fields.append(f"k{i} {type_}")
            matches.append(f"{cell} = k.k{i}")
        for chunk in keys.to_batches(max_chunksize=_KEYS_A_QUERY):
            documents = json.dumps(key_documents(self.spec, pa.Table.from_batches([chunk])), ensure_ascii=False)
            given = f"jsonb_to_recordset({VALUE}::jsonb) AS k({', '.join(fields)})"
            yield f" JOIN {given} ON {' AND '.join(matches)}", documents

    def lossy_casts(self) -> dict[str, LossyCast]:
        """By column, those whose type in the database has values that reading them as the model's would change."""
        actual = {name: column.type for name, column in self._columns().items()}
        return lossy_casts(self.spec, actual, self.connection.raw.info.server_version)

    def unlike_keys(self) -> dict[str, LossyCast]:
        """Keys of characters in another form than they are written in."""
        return unlike_keys(self.spec, self.column_types(), self.connection.raw.info.server_version)

    def _converted(self, column: ColumnSpec, values: pa.Array) -> None:
        """Have values made into what is sent."""
        adapter = CODEC.adapter(column)
        types = self.column_types() or self.connection.expected.get(self.spec.name, {})
        wire = adapter.wire_for(types.get(column.name, adapter.wire))
        for row, problem in (*adapter.unkeepable(values, wire), *adapter.refused(values, wire)):
            raise MisfitError(row, problem)
        adapter.outgoing(values)

    def refused_types(self) -> dict[str, str]:
        """By column, the types there to which nothing of the model's type can be cast, or back."""
        types, refused = self.column_types(), super().refused_types()
        return {
            c.name: types[c.name]
            for c in self.spec.columns
            if c.name in types and (c.name in refused or not is_castable(self.connection, c, types[c.name]))
        }

    def column_types(self) -> dict[str, str]:
        """Each column's type in the database, as values are cast to it: without a length or precision."""
        return {name: column.cast for name, column in self._columns().items()}

    def _columns(self) -> Mapping[str, ColumnFacts]:
        facts = self.connection.facts(self.spec)
        return {} if facts is None else facts.columns

    # -- writing ---------------------------------------------------------------------------------------------------

    def load(self, batches: Iterable[pa.RecordBatch], rows: int) -> int:
        """Fill an empty table by COPY; from `rebuild_rows` rows its keys and indexes are built afterwards.

        More than a few go through a staging table, where the rows that a key refuses can be looked for.

        Raises:
            ChangedSincePlanError: somebody else has put rows there.
            UnnamedRowError: the server refused a row only after many more were sent; `why_refused` finds it.
        """
        copy = self._row_copy()
        with self._filled(rows) as are_dropped:
            return copy.fill(batches) if are_dropped else copy.few(batches)

    def can_pass_through(self, source: object) -> bool:
        """Whether the rows of a table can be sent on as its server sends them: both have the same types."""
        return isinstance(source, PostgresRepository) and (
            self._is_within_database(source)
            or are_alike(self.spec, source.connection.facts(source.spec), self.connection.facts(self.spec))
        )

    def can_copy_within(self, source: object) -> bool:
        """Whether the rows of a table need not leave the server; keys of one collation are told apart on the way."""
        return isinstance(source, PostgresRepository) and self._is_within_database(source) and not self.collated_key()

    def _is_within_database(self, source: PostgresRepository) -> bool:
        return is_within_database(source.connection, source.spec, self.connection, self.spec)

    def upsert_within(self, source: PostgresRepository, keys: pa.Table) -> int:
        """Merge the rows with these keys in one statement."""
        merge_from(self.connection, source.spec, self.spec, keys, self.column_types(), self._conflict)
        return int(keys.num_rows)

    def load_passthrough(
        self, source: PostgresRepository, rows: int, passed: Callable[[int], None], *, digest: bool
    ) -> TableDigest | None:
        """Fill an empty table with about `rows` rows of another; their digest, if it is wanted."""

        def fill() -> None:
            with self._filled(rows):
                if self._is_within_database(source):
                    write_from(self.connection, source.spec, self.spec)
                    return
                send(source.connection, source.source(source.name), self.connection, self.spec, passed)

        if digest:
            return beside(source.connection, source.digest_query(), fill)
        fill()
        return None

    @contextmanager
    def _filled(self, rows: int) -> Iterator[bool]:
        """Fill the table, which must be empty; whether its keys and indexes are built afterwards.

        Raises:
            ChangedSincePlanError: somebody else has put rows there.
        """
        self.connection.exclude_writers([self.spec])
        if not self.is_empty():
            raise ChangedSincePlanError(self.connection.name, self.spec.name)
        # While parents are still to come, a foreign key could not be built.
        rebuild = rows >= self.rebuild_rows and not self.connection.checks_later(self.spec)
        with indexes_last(self.connection, self.spec, rebuild) as are_dropped:
            yield are_dropped

    def why_refused(self, batches: Iterable[pa.RecordBatch], error: UnnamedRowError) -> ToolkitError | None:
        """Why these rows could not fill the empty table: they are sent again, by a staging table."""
        try:
            with self.connection.raw.transaction():
                self._row_copy().through_stage(batches)
        except ToolkitError as named:
            return named
        return None

    def upsert_many(self, batches: Iterable[pa.RecordBatch]) -> int:
        """Copy rows into a staging table and merge them in one statement; without a key, insert them."""
        return self._row_copy().through_stage(batches, self._conflict)

    @property
    def _conflict(self) -> str:
        """What becomes of rows whose key is there; nothing is said of it without a key."""
        if not self.spec.key:
            return ""
        key = ", ".join(quoted(name) for name in self.spec.key)
        kept = self._numbered()
        others = [quoted(name) for name in self.spec.updated_names if name not in kept]
        action = f"UPDATE SET {', '.join(f'{n} = EXCLUDED.{n}' for n in others)}" if others else "NOTHING"
        return f" ON CONFLICT ({key}) DO {action}"

    def _numbered(self) -> set[str]:
        """The columns that PostgreSQL numbers itself, always: it lets them be inserted, but never updated."""
        return {name for name, column in self._columns().items() if column.is_numbered}

    def _row_copy(self) -> RowCopy:
        return RowCopy(self.connection, self.spec, self.column_types())

    def collated_key(self) -> dict[str, str]:
        """The key columns of which PostgreSQL takes different values for one, each with what makes it do so."""
        with self.connection.translated():
            found = folding_columns(self.connection, self.spec, self.spec.key)
        return {name: folds.cause for name, folds in found.items()}

    def require_distinct(self, keys: Iterable[pa.RecordBatch]) -> None:
        """Check that these keys, of rows to insert, are different to PostgreSQL too, from one another and its own."""
        narrow = self.spec.project(self.spec.key)
        stage, _ = RowCopy(self.connection, narrow, self.column_types()).staged(keys)
        with self.connection.translated():
            twins = find_collation_duplicates(self.connection, self.spec, stage)
            self.connection.run(f"DROP TABLE {stage}")
        if twins:
            raise CollationConflictError(self.connection.name, self.spec.name, twins, self.collated_key())

    def delete_many(self, keys: pa.Table) -> int:
        """Delete the rows with these keys; the number that were there."""
        deleted = 0
        with self.connection.translated():
            for join, parameter in self._key_joins(keys):
                using = join.replace(" JOIN ", " USING ", 1).replace(" ON ", " WHERE ", 1)
                deleted += self.connection.run(f"DELETE FROM {self.name} AS t{using}", parameter).rowcount
        return deleted

    def advance_sequences(self, at_least: Mapping[str, int] | None = None) -> None:
        """Move the sequences of keys past the highest value; never back, and not for an empty table."""
        with self.connection.translated():
            for statement in self.advance_statements(at_least):
                self.connection.run(statement)

    def advance_statements(self, at_least: Mapping[str, int] | None = None) -> list[str]:
        """The statements that do so."""
        with self.connection.translated():
            return list(statements_to_advance(self.connection, self.spec, at_least or {}))

    def reserve_numbers(self, column: str, count: int, above: int = 0) -> list[int]:
        """So many numbers from the column's sequence, so that an application that writes meanwhile gets others.

        Without the right to write, numbers that it might give.
        """
        if not self.connection.write or self.connection.is_guest:
            return super().reserve_numbers(column, count, above)
        with self.connection.translated():
            numbers = next_numbers(self.connection, self.spec, column, count, above)
        return super().reserve_numbers(column, count, above) if numbers is None else numbers
