"""PostgreSQL: binary COPY in, ADBC out, digests computed inside the server."""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from psycopg import errors as pg

from toolkit.core.digest import TableDigest, digest_schema
from toolkit.core.segments import SegmentTotals
from toolkit.core.tables import ColumnSpec, TableSpec
from toolkit.core.types import INTEGER_KINDS, JSON_KINDS, TEXT_KINDS, Kind
from toolkit.errors import (
    ChangedSincePlanError,
    CollationConflictError,
    DatabaseUnavailableError,
    ToolkitError,
    UnrepresentableValueError,
)
from toolkit.repositories.base import (
    BATCH_ROWS,
    Capabilities,
    DatabaseConnection,
    TableRepository,
    batch_key,
    refuse_schema,
    stranger,
)
from toolkit.repositories.codecs import Codec
from toolkit.repositories.postgres_conflicts import (
    find_duplicates,
    find_orphans,
    find_refused,
    find_twins,
    folding_columns,
)
from toolkit.repositories.postgres_errors import known_error, refused_row, row_of_copy
from toolkit.repositories.postgres_indexes import Indexes
from toolkit.repositories.postgres_sql import (
    VALUE,
    UncarriedValueError,
    canonical_batch,
    digest_word,
    encoder,
    fetch_expression,
    key_documents,
    literal,
    qualified,
    quoted,
    row_digest_expression,
    same_wire,
    segment_expression,
    wire_array,
    wire_schema,
    wire_type,
    wrapped,
)

if TYPE_CHECKING:
    from toolkit.repositories.scripts import Script

# Whoever writes with the toolkit holds this advisory lock of the database ("toolkit" in ASCII).
_WRITE_LOCK = int.from_bytes(b"toolkit", "big")
_KEYS_A_QUERY = 10_000
_READ_BYTES = 4_000_000

# What the canonical forms rest on, whatever the role or the database have set.
_SETTINGS = (
    "SET LOCAL client_encoding = 'UTF8'",
    "SET LOCAL TimeZone = 'UTC'",
    "SET LOCAL DateStyle = 'ISO, YMD'",
    "SET LOCAL extra_float_digits = 1",
    "SET LOCAL standard_conforming_strings = on",
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
    # As in pg_dump: rows that a policy hides are an error, or they would be taken for rows that are not there.
    "SET LOCAL row_security = off",
)


class PostgresConnection(DatabaseConnection):
    """One transaction on a PostgreSQL database. Whoever writes waits for the one toolkit writer before it."""

    capabilities = Capabilities(enforces_foreign_keys=True, keeps_text_of_json=False, loads_without_key=True)
    codec = Codec()

    _reader: Any = None
    _is_pooled: bool | None = None
    _deferred: Sequence[TableSpec] = ()
    _held: tuple[str, ...] = ()

    def run(self, statement: str, parameter: str | None = None) -> psycopg.Cursor[Any]:
        """Run a statement with at most one value, bound at `VALUE`; a percent sign in a name stays one."""
        if parameter is None:
            return self.raw.execute(statement)
        return self.raw.execute(statement.replace("%", "%%").replace(VALUE, "%s"), (parameter,))

    @property
    def raw(self) -> psycopg.Connection[Any]:
        """The psycopg connection underneath SQLAlchemy's; both share the transaction."""
        connection = self.sqlalchemy.connection.driver_connection
        assert isinstance(connection, psycopg.Connection)
        return connection

    def _begin(self) -> None:
        if not self.write:
            # Hardly any statement is run twice, and a pooler's session may have prepared others under their names.
            self.raw.prepare_threshold = None
            self.sqlalchemy.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        for setting in self._settings:
            self.sqlalchemy.exec_driver_sql(setting)
        if self.write and self._is_pooled is None:
            self._look_at_server()
            # Of the transaction: behind a pooler, a session's lock outlives its client. After the commit nobody writes
            # any more, unless the turn is kept.
            self.sqlalchemy.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITE_LOCK})")
        if self._held:
            self.run(_lock(self._held))

    def keep_turn(self) -> None:
        """Let no other toolkit write in between the commits of this connection; call it before the first of them."""
        if self._is_pooled:
            raise DatabaseUnavailableError(
                self.name, "commits in between need one session, and a pooler such as PgBouncer stands before the "
                "server", "Connect to the server itself, or leave out --commit-every.",
            )
        with self.translated():
            self.run(f"SELECT pg_advisory_lock({_WRITE_LOCK})")

    def _look_at_server(self) -> None:
        """See whether it can be written to, and how it is reached, before anything is read.

        A standby is told from a role that may not write, for which the server has one error. A pooler gives its
        clients process ids of its own making.
        """
        row = self.run(
            "SELECT pg_backend_pid(), pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'"
        ).fetchone()
        assert row is not None
        process_id, is_standby, is_read_only = row
        self._is_pooled = process_id != self.raw.info.backend_pid
        if self._is_pooled:
            self.raw.prepare_threshold = None
        if is_standby:
            raise DatabaseUnavailableError(
                self.name, "the server is a standby, which is read-only", "Write to the primary server."
            )
        if is_read_only:
            raise DatabaseUnavailableError(
                self.name, "its transactions are read-only (default_transaction_read_only is on)",
                "Turn that off where it is set (the role, the database, the server or the URL), or write as another "
                "role.",
            )

    @property
    def _settings(self) -> tuple[str, ...]:
        return (*_SETTINGS, f"SET LOCAL lock_timeout = {self.database.lock_seconds * 1000:.0f}")

    def repository(self, spec: TableSpec) -> PostgresRepository:
        """Access to one table."""
        return PostgresRepository(self, spec)

    def script(self) -> Script:
        """How a script for the engine's own client is written."""
        from toolkit.repositories.postgres_script import PostgresScript

        return PostgresScript(self)

    def hold(self, specs: Sequence[TableSpec]) -> None:
        """Keep these tables from being altered, emptied or dropped while they are worked on; call it first of all.

        A table that is rewritten or truncated looks empty to every older snapshot, so the lock comes before the
        snapshot, as in pg_dump; what cannot be locked (a foreign table) is left.
        """
        with self.translated():
            self._held = tuple(name for name in (qualified(spec.table) for spec in specs) if self._locked(name))

    def _locked(self, table: str) -> bool:
        try:
            with self.raw.transaction():
                self.run(_lock([table]))
        except (pg.UndefinedTable, pg.InvalidSchemaName, pg.WrongObjectType, pg.InsufficientPrivilege):
            return False
        return True

    def reader(self) -> Any:
        """The ADBC connection that all tables are read through; a connection that only reads shares its snapshot."""
        if self._reader is None:
            import adbc_driver_postgresql.dbapi

            snapshot = None if self.write else self.run("SELECT pg_export_snapshot()").fetchone()
            url = self.database.url.set(drivername="postgresql").update_query_dict(self.database.keepalives)
            uri = url.render_as_string(hide_password=False)
            self._reader = adbc_driver_postgresql.dbapi.connect(uri)
            with self._reader.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                if snapshot:
                    cursor.execute(f"SET TRANSACTION SNAPSHOT {literal(snapshot[0])}")
                for setting in self._settings:
                    cursor.execute(setting)
                if self._held:
                    # Whoever waits to alter a table stands between two connections of which one alone has its lock.
                    cursor.execute(_lock(self._held))
        return self._reader

    @property
    def is_reading(self) -> bool:
        """Whether the reading connection is open."""
        return self._reader is not None

    def stop_reading(self) -> None:
        """Close the reading connection, whose locks would hold up a change of indexes."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn errors of psycopg and ADBC into this package's."""
        import adbc_driver_manager

        try:
            yield
        except sa.exc.DBAPIError as error:
            raise known_error(self.database, error.orig or error) from error
        except (psycopg.Error, adbc_driver_manager.Error) as error:
            raise known_error(self.database, error) from error

    def _is_broken(self) -> bool:
        return self.sqlalchemy.closed or self.sqlalchemy.invalidated or self.raw.broken

    def immediate_foreign_keys(self, specs: Sequence[TableSpec]) -> list[tuple[str, str]]:
        """The foreign keys of these tables that cannot be deferred: quoted names of table and constraint."""
        query = sa.text(
            "SELECT conname FROM pg_constraint WHERE conrelid = to_regclass(:table) "
            "AND contype = 'f' AND NOT condeferrable AND conparentid = 0 ORDER BY conname"
        )
        with self.translated():
            return [
                (table, quoted(name))
                for table in (qualified(spec.table) for spec in specs)
                for (name,) in self.sqlalchemy.execute(query, {"table": table})
            ]

    @contextmanager
    def defer_foreign_keys(self, specs: Sequence[TableSpec]) -> Iterator[None]:
        """Make the foreign keys of these tables deferred for the block; they are checked and restored at its end."""
        found = self.immediate_foreign_keys(specs)
        with self.translated():
            for table, name in found:
                self.run(f"ALTER TABLE {table} ALTER CONSTRAINT {name} DEFERRABLE INITIALLY DEFERRED")
            # Those that were deferrable before, but not deferred.
            self.run("SET CONSTRAINTS ALL DEFERRED")
        self._deferred = specs
        yield
        self.check_parents(specs)
        with self.translated():
            for table, name in found:
                self.run(f"ALTER TABLE {table} ALTER CONSTRAINT {name} NOT DEFERRABLE")
        self._deferred = ()

    def check_parents(self, specs: Sequence[TableSpec]) -> None:
        """Let the server check what it has deferred.

        Raises:
            MissingParentError: with the number of rows and the first key.
        """
        with self.translated():
            try:
                with self.savepoint():
                    self.run("SET CONSTRAINTS ALL IMMEDIATE")
            except pg.ForeignKeyViolation as error:
                found = (find_orphans(self, spec, qualified(spec.table)) for spec in specs)
                raise next(filter(None, found), None) or known_error(self.database, error) from error

    def strangers(self, spec: TableSpec) -> tuple[TableSpec, ...]:
        """Tables unknown to the model that the database lets point at this one, by the columns that point."""
        with self.translated():
            rows = self.sqlalchemy.execute(sa.text(_FOREIGN_KEYS), {"table": qualified(spec.table)}).all()
        known = spec.table.metadata.tables
        return tuple(
            stranger(spec, row.name, list(zip(row.columns, row.parent_columns, strict=True)), row.schema)
            for row in rows if not {row.name, f"{row.schema}.{row.name}"} & known.keys()
        )

    def fires_triggers(self, specs: Sequence[TableSpec]) -> bool:
        """Whether a write to one of these tables may run somebody's trigger or rule."""
        query = sa.text(
            "SELECT EXISTS (SELECT 1 FROM pg_trigger WHERE tgrelid = ANY(CAST(:tables AS regclass[])) "
            "AND NOT tgisinternal) "
            "OR EXISTS (SELECT 1 FROM pg_rewrite WHERE ev_class = ANY(CAST(:tables AS regclass[])))"
        )
        with self.translated():
            tables = [qualified(spec.table) for spec in specs]
            return bool(self.sqlalchemy.execute(query, {"tables": tables}).scalar_one())

    def follows_updates(self, spec: TableSpec) -> bool:
        """Whether the database changes rows of the table by itself when what they point at is changed."""
        query = sa.text(
            "SELECT EXISTS (SELECT 1 FROM pg_constraint WHERE conrelid = to_regclass(:table) "
            "AND contype = 'f' AND confupdtype IN ('c', 'n', 'd'))"
        )
        with self.translated():
            return bool(self.sqlalchemy.execute(query, {"table": qualified(spec.table)}).scalar_one())

    def checks_later(self, spec: TableSpec) -> bool:
        """Whether foreign keys from or to the table are not to be touched: rows may lack their parents for now."""
        parents = {foreign_key.parent for deferred in self._deferred for foreign_key in deferred.foreign_keys}
        return spec in self._deferred or spec.name in parents


_FOREIGN_KEYS = """
SELECT nspname AS schema, relname AS name,
       ARRAY(SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS k(n, place)
             JOIN pg_attribute ON attrelid = conrelid AND attnum = n ORDER BY place) AS columns,
       ARRAY(SELECT attname::text FROM unnest(confkey) WITH ORDINALITY AS k(n, place)
             JOIN pg_attribute ON attrelid = confrelid AND attnum = n ORDER BY place) AS parent_columns
FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE confrelid = to_regclass(:table) AND contype = 'f' AND conparentid = 0 AND conrelid <> confrelid
ORDER BY nspname, relname, conname
"""


def _lock(tables: Iterable[str]) -> str:
    return f"LOCK TABLE {', '.join(tables)} IN ACCESS SHARE MODE"


class PostgresRepository(TableRepository):
    """One table of a PostgreSQL database."""

    connection: PostgresConnection
    rebuild_rows: ClassVar[int] = 20_000
    """From so many rows it is faster to build an index anew than to keep it up to date row by row."""

    @property
    def name(self) -> str:
        """The table's quoted name."""
        return qualified(self.table)

    # -- reading ---------------------------------------------------------------------------------------------------

    def read(self, batch_rows: int = BATCH_ROWS, keys: pa.Table | None = None) -> Iterator[pa.RecordBatch]:
        """The rows (or those with these keys) in the canonical schema, in no particular order.

        A connection that writes reads through its own transaction, so that it sees what it wrote.
        """
        if self.connection.write and not self.connection.is_reading:
            yield from super().read(batch_rows, keys)
            return
        fields = ", ".join(fetch_expression(c, f"t.{quoted(c.name)}") for c in self.spec.columns)
        for condition, parameter in self._key_joins(keys):
            for fetched in self._fetch(f"SELECT {fields} FROM {self.source(self.name)} AS t{condition}", parameter):
                batch = self._canonical(fetched)
                for start in range(0, batch.num_rows, batch_rows):
                    yield batch.slice(start, batch_rows)

    def row_digests(self) -> Iterator[pa.RecordBatch]:
        """Key columns and digest of every row; the digests are computed by the server."""
        return self._keyed_digests("", None)

    def digests_within(self, count: int, segments: Collection[int]) -> Iterator[pa.RecordBatch]:
        """Key columns and digest of the rows in these segments of so many."""
        if len(segments) == count:
            return self.row_digests()
        within = f" WHERE ({segment_expression(self.spec, count, quoted)}) = ANY({VALUE}::int[])"
        return self._keyed_digests(within, "{" + ",".join(map(str, segments)) + "}") if segments else iter(())

    def _keyed_digests(self, condition: str, parameter: str | None) -> Iterator[pa.RecordBatch]:
        keys = ", ".join(fetch_expression(self.spec.column(n), quoted(n)) for n in self.spec.key)
        digest = row_digest_expression(self.spec, quoted)
        key_spec = replace(self.spec, columns=tuple(self.spec.column(n) for n in self.spec.key))
        schema = digest_schema(self.spec)
        query = f"SELECT {keys}, decode({digest}, 'hex') FROM {self.source(self.name)} AS t{condition}"
        for fetched in self._fetch(query, parameter):
            canonical = canonical_batch(key_spec, fetched.select(range(len(self.spec.key))))
            yield pa.record_batch([*canonical.columns, fetched.columns[-1].cast(schema[-1].type)], schema=schema)

    def segment_totals(self, count: int) -> SegmentTotals:
        """The rows and digests of so many segments, computed by the server."""
        word = digest_word(row_digest_expression(self.spec, quoted))
        query = (
            f"SELECT {segment_expression(self.spec, count, quoted)}, count(*)::int, {wrapped(f'sum({word})')} "
            f"FROM {self.source(self.name)} AS t GROUP BY 1"
        )
        totals = SegmentTotals.empty(count)
        # PostgreSQL takes the segments for as many as the rows, and would sort these on disk: 2.9 s instead of 1.5 s.
        with self._without_sorting():
            for fetched in self._fetch(query, None):
                segments = fetched.columns[0].to_numpy()
                totals.rows[segments] = fetched.columns[1].to_numpy()
                totals.totals[segments] = fetched.columns[2].to_numpy().view(np.uint64)
        return totals

    @contextmanager
    def _without_sorting(self) -> Iterator[None]:
        with self.connection.translated(), self.connection.reader().cursor() as cursor:
            cursor.execute("SET LOCAL enable_sort = off")
            yield
            cursor.execute("SET LOCAL enable_sort TO DEFAULT")

    def digest(self, keys: pa.Table | None = None) -> TableDigest:
        """The digest of all rows, or of those with these keys, computed by the server within this transaction."""
        word = digest_word(row_digest_expression(self.spec, lambda name: f"t.{quoted(name)}"))
        total = TableDigest()
        with self.connection.translated():
            for join, parameter in self._key_joins(keys):
                query = f"SELECT count(*), coalesce(sum({word}), 0) FROM {self.source(self.name)} AS t{join}"
                row = self.connection.run(query, parameter).fetchone()
                assert row is not None
                total += TableDigest(int(row[0]), int(row[1]))
        return total

    def _fetch(self, query: str, parameter: str | None) -> Iterator[pa.RecordBatch]:
        with self.connection.translated(), self.connection.reader().cursor() as cursor:
            cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(_READ_BYTES)})
            cursor.execute(query.replace(VALUE, "$1"), None if parameter is None else (parameter,))
            try:
                yield from cursor.fetch_record_batch()
            except (pa.ArrowException, OSError) as error:
                raise known_error(self.connection.database, error) from error

    def _canonical(self, fetched: pa.RecordBatch) -> pa.RecordBatch:
        try:
            return canonical_batch(self.spec, fetched)
        except UncarriedValueError as error:
            key = ", ".join(f"{n}={fetched.columns[self.spec.column_names.index(n)][error.row]}" for n in self.spec.key)
            raise UnrepresentableValueError(self.spec.name, key, error.column, error.problem) from error

    def _key_joins(self, keys: pa.Table | None) -> Iterator[tuple[str, str | None]]:
        """Join clauses that together select the rows with these keys, each with its one parameter."""
        if keys is None:
            yield "", None
            return
        types = self.column_types()
        fields, matches = [], []
        for i, name in enumerate(keys.column_names):
            # UUIDs in a column of characters are written in several ways.
            as_uuid = "::uuid" if self.spec.column(name).type.kind is Kind.UUID and types[name] != "uuid" else ""
            fields.append(f"k{i} {'uuid' if as_uuid else types[name]}")
            matches.append(f"t.{quoted(name)}{as_uuid} = k.k{i}")
        for chunk in keys.to_batches(max_chunksize=_KEYS_A_QUERY):
            documents = json.dumps(key_documents(self.spec, pa.Table.from_batches([chunk])), ensure_ascii=False)
            given = f"jsonb_to_recordset({VALUE}::jsonb) AS k({', '.join(fields)})"
            yield f" JOIN {given} ON {' AND '.join(matches)}", documents

    def column_types(self) -> dict[str, str]:
        """Each column's type in the database, as `format_type` writes it, without a length or precision.

        A cast to `varchar(10)` would cut a longer text; an assignment refuses it.
        """
        with self.connection.translated():
            rows = self.connection.sqlalchemy.execute(
                sa.text("SELECT attname, format_type(atttypid, -1) FROM pg_attribute "
                        "WHERE attrelid = to_regclass(:table) AND attnum > 0 AND NOT attisdropped"),
                {"table": self.name},
            )
            return {row.attname: row.format_type for row in rows}

    # -- writing ---------------------------------------------------------------------------------------------------

    def load(self, batches: Iterable[pa.RecordBatch], rows: int) -> int:
        """Fill an empty table by COPY; from `rebuild_rows` rows its keys and indexes are built afterwards.

        Otherwise through a staging table, where the rows that a key or a foreign key refuses can be looked for.

        Raises:
            ChangedSincePlanError: somebody else has put rows there.
        """
        with self.connection.translated():
            self.connection.run(f"LOCK TABLE {self.name} IN SHARE ROW EXCLUSIVE MODE")
            if not self.is_empty():
                raise ChangedSincePlanError(self.connection.name, self.spec.name)
            # While parents are still to come, a foreign key could not be built.
            rebuild = rows >= self.rebuild_rows and not self.connection.checks_later(self.spec)
            indexes = Indexes.drop(self.connection, self.name) if rebuild else Indexes()
        written = self._fill(batches) if indexes.steps else self._through_stage(batches, "")
        for step in indexes.steps:
            self._guarded(step.sql, self.name)
        return written

    def upsert_many(self, batches: Iterable[pa.RecordBatch]) -> int:
        """Copy rows into a staging table and merge them in one statement."""
        key = ", ".join(quoted(name) for name in self.spec.key)
        kept = {*self.spec.key, *self._numbered()}
        others = [quoted(name) for name in self.spec.column_names if name not in kept]
        action = f"UPDATE SET {', '.join(f'{n} = EXCLUDED.{n}' for n in others)}" if others else "NOTHING"
        return self._through_stage(batches, f" ON CONFLICT ({key}) DO {action}")

    def _numbered(self) -> set[str]:
        """The columns that PostgreSQL numbers itself, always: it lets them be inserted, but never updated."""
        with self.connection.translated():
            rows = self.connection.run(
                f"SELECT attname FROM pg_attribute WHERE attrelid = to_regclass({literal(self.name)}) "
                "AND attidentity = 'a' AND NOT attisdropped"
            ).fetchall()
        return {str(name) for (name,) in rows}

    def has_key(self) -> bool:
        """Whether there is an index that an upsert can rest on: not deferrable, of all rows and of columns alone."""
        query = sa.text(
            "SELECT ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = indrelid "
            "AND attnum = ANY(indkey[0 : indnkeyatts - 1])), indimmediate FROM pg_index "
            "WHERE indrelid = to_regclass(:table) AND indisunique AND indisvalid AND indpred IS NULL "
            "AND indexprs IS NULL"
        )
        with self.connection.translated():
            rows = self.connection.sqlalchemy.execute(query, {"table": self.name}).all()
        # A deferrable one is refused even beside one that is not.
        usable = [is_immediate for columns, is_immediate in rows if set(columns) == set(self.spec.key)]
        return bool(usable) and all(usable)

    def folded_key(self) -> dict[str, str]:
        """The key columns of which PostgreSQL takes different values for one, each with what makes it do so."""
        with self.connection.translated():
            found = folding_columns(self.connection, self.spec, self.spec.key)
        return {name: folds.cause for name, folds in found.items()}

    def require_distinct(self, keys: Iterable[pa.RecordBatch]) -> None:
        """Check that these keys, of rows to insert, are different to PostgreSQL too, from one another and its own."""
        narrow = replace(self.spec, columns=tuple(self.spec.column(name) for name in self.spec.key))
        repository = PostgresRepository(self.connection, narrow)
        wires, _ = repository._wires()
        stage = self._create_stage(wires)
        repository._copy(stage, keys, wires)
        with self.connection.translated():
            twins = find_twins(self.connection, self.spec, stage)
            self.connection.run(f"DROP TABLE {stage}")
        if twins:
            raise CollationConflictError(self.connection.name, self.spec.name, twins, self.folded_key())

    def _through_stage(self, batches: Iterable[pa.RecordBatch], conflict: str) -> int:
        wires, types = self._wires()
        stage = self._create_stage(wires)
        written = self._copy(stage, batches, wires)
        insert = self._insert_statement(stage, types)
        self._guarded(insert + conflict, stage, lambda rows: f"{insert} WHERE {rows}{conflict}")
        with self.connection.translated():
            self.connection.run(f"DROP TABLE {stage}")
        return written

    def delete_many(self, keys: pa.Table) -> int:
        """Delete the rows with these keys; the number that were there."""
        deleted = 0
        with self.connection.translated():
            for join, parameter in self._key_joins(keys):
                using = join.replace(" JOIN ", " USING ", 1).replace(" ON ", " WHERE ", 1)
                deleted += self.connection.run(f"DELETE FROM {self.name} AS t{using}", parameter).rowcount
        return deleted

    def advance_sequences(self) -> None:
        """Move the sequences of keys past the highest value; never back, and not for an empty table."""
        with self.connection.translated():
            for statement in self.advance_statements():
                self.connection.run(statement)

    def advance_statements(self) -> list[str]:
        """The statements that do so."""
        with self.connection.translated():
            numbered = [c.name for c in self.spec.columns if c.type.kind in INTEGER_KINDS]
            sequences = {name: sequence for name in numbered if (sequence := self._sequence_of(name)) is not None}
        return [
            f"SELECT setval({literal(sequence)}, top) "
            f"FROM (SELECT max({quoted(name)}) AS top FROM {self.name}) AS highest, {sequence} AS s "
            "WHERE top > s.last_value OR (top = s.last_value AND NOT s.is_called)"
            for name, sequence in sequences.items()
        ]

    def _sequence_of(self, column: str) -> str | None:
        """The sequence of a serial or identity column, or the one that the model takes its values from."""
        run = self.connection.run
        owned = run(f"SELECT pg_get_serial_sequence({literal(self.name)}, {literal(column)})").fetchone()
        if owned and owned[0]:
            return str(owned[0])
        default = self.table.c[column].default
        if not isinstance(default, sa.Sequence):
            return None
        name = self.connection.sqlalchemy.dialect.identifier_preparer.format_sequence(default)
        found = run(f"SELECT to_regclass({literal(name)})::text").fetchone()
        return str(found[0]) if found and found[0] else None

    def reserve_numbers(self, column: str, count: int, above: int = 0) -> list[int]:
        """So many numbers from the column's sequence, so that an application that writes meanwhile gets others.

        Without the right to write, numbers that it might give.
        """
        if not self.connection.write:
            return super().reserve_numbers(column, count, above)
        with self.connection.translated():
            name = self._sequence_of(column)
            if name is None:
                return super().reserve_numbers(column, count, above)
            sequence = literal(name)
            self.connection.run(
                f"SELECT setval({sequence}, top) FROM (SELECT greatest({int(above)}, max({quoted(column)})) AS top "
                f"FROM {self.name}) AS highest, {name} AS s "
                "WHERE top > s.last_value OR (top = s.last_value AND NOT s.is_called)"
            )
            rows = self.connection.run(f"SELECT nextval({sequence}) FROM generate_series(1, {int(count)})").fetchall()
        return [int(row[0]) for row in rows]

    def _wires(self) -> tuple[dict[str, str], dict[str, str]]:
        types = self.column_types()
        if lacking := [name for name in self.spec.column_names if name not in types]:
            refuse_schema([f"{self.connection.name}.{self.spec.name} lacks {', '.join(lacking)} by now"])
        return {c.name: wire_type(c.type, types[c.name]) for c in self.spec.columns}, types

    def _fill(self, batches: Iterable[pa.RecordBatch]) -> int:
        wires, types = self._wires()
        if all(same_wire(wires[name], types[name]) for name in wires):
            return self._copy(self.name, batches, wires)
        return self._through_stage(batches, "")

    def _create_stage(self, wires: dict[str, str]) -> str:
        stage = quoted(f"toolkit_stage_{next(_STAGES)}")
        columns = ", ".join(f"{quoted(name)} {wire}" for name, wire in wires.items())
        with self.connection.translated():
            self.connection.run(f"CREATE TEMPORARY TABLE {stage} ({columns}) ON COMMIT DROP")
        return stage

    def _insert_statement(self, stage: str, types: dict[str, str]) -> str:
        names = ", ".join(quoted(name) for name in self.spec.column_names)
        values = ", ".join(self._stored(column, types[column.name]) for column in self.spec.columns)
        return f"INSERT INTO {self.name} ({names}) OVERRIDING SYSTEM VALUE SELECT {values} FROM {stage}"

    def _stored(self, column: ColumnSpec, actual: str) -> str:
        """A column of the staging table as the type that it has in the database."""
        name = quoted(column.name)
        if column.type.kind is Kind.UUID and actual == "bpchar":
            # SQLAlchemy's own form of a UUID for engines without the type: 32 digits.
            return f"replace({name}::text, '-', '')"
        return f"{name}::{actual}"

    def _copy(self, target: str, batches: Iterable[pa.RecordBatch], wires: dict[str, str]) -> int:
        """Send rows by binary COPY; an error that the server finds is told with the row's key."""
        columns = ", ".join(quoted(name) for name in self.spec.column_names)
        encode, schema = encoder(self.spec, wires), wire_schema(self.spec)
        # The server reports an error by row number, at most what the sockets hold later.
        recent: deque[tuple[int, pa.RecordBatch]] = deque(maxlen=4)
        written = 0
        statement = f"COPY {target} ({columns}) FROM STDIN (FORMAT BINARY)"
        try:
            with self.connection.raw.cursor() as cursor, cursor.copy(statement) as copy:
                copy.write(encode.write_header())
                for batch in batches:
                    self._refuse_null_characters(batch)
                    recent.append((written, batch))
                    arrays = [wire_array(c.type, batch.column(c.name)) for c in self.spec.columns]
                    copy.write(encode.write_batch(pa.record_batch(arrays, schema=schema)))
                    written += batch.num_rows
                copy.write(encode.finish())
        except (pg.DataError, pg.IntegrityError) as error:
            raise self._refused(error, recent) from error
        except psycopg.Error as error:
            raise known_error(self.connection.database, error) from error
        return written

    def _refused(self, error: psycopg.Error, recent: Iterable[tuple[int, pa.RecordBatch]]) -> ToolkitError:
        """The server's refusal of a copied row, with the row's key and column."""
        number, column = row_of_copy(error)
        for first, batch in recent:
            if number is not None and first < number <= first + batch.num_rows:
                key = batch_key(self.spec, batch, number - first - 1)
                return refused_row(self.connection.database, self.spec.name, key, column, error)
        return known_error(self.connection.database, error)

    def _refuse_null_characters(self, batch: pa.RecordBatch) -> None:
        for column in self.spec.columns:
            sign = "\x00" if column.type.kind in TEXT_KINDS else "\\u0000" if column.type.kind in JSON_KINDS else None
            if sign is None:
                continue
            values = batch.column(column.name)
            for row in pc.indices_nonzero(pc.match_substring(values, sign)).to_pylist():
                if sign == "\x00" or _decodes_to_null_character(values[row].as_py()):
                    raise UnrepresentableValueError(
                        self.spec.name, batch_key(self.spec, batch, row), column.name,
                        f"holds the character U+0000, which {self.connection.name} (PostgreSQL) cannot keep",
                    )

    def _guarded(self, statement: str, rows: str, only: Callable[[str], str] | None = None) -> None:
        """Run a statement that may find rows against a constraint; `rows` is the relation that holds them.

        `only` gives the same statement for some of them.
        """
        try:
            with self.connection.savepoint():
                self.connection.run(statement)
        except (pg.ForeignKeyViolation, pg.UniqueViolation) as error:
            find = find_orphans if isinstance(error, pg.ForeignKeyViolation) else find_duplicates
            named = find(self.connection, self.spec, rows)
            raise named or known_error(self.connection.database, error) from error
        except (pg.DataError, pg.IntegrityError) as error:
            found = only and find_refused(self.connection, self.spec, rows, only, error)
            raise found or known_error(self.connection.database, error) from error
        except (psycopg.Error, sa.exc.DBAPIError) as error:
            raise known_error(self.connection.database, getattr(error, "orig", None) or error) from error


# Numbers the staging tables of this process: two may live in one transaction.
_STAGES = itertools.count(1)


def _decodes_to_null_character(document: str) -> bool:
    try:
        return "\x00" in json.dumps(json.loads(document), ensure_ascii=False).replace("\\u0000", "\x00")
    except ValueError:
        return False
