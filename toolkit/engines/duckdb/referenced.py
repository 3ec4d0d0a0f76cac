"""A table of DuckDB that others point at by foreign keys of DuckDB's own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from shlex import quote as shell
from typing import TYPE_CHECKING

import pyarrow as pa

from toolkit.core.batches import gathered
from toolkit.core.tables import TableSpec
from toolkit.engines.duckdb.streaming import INCOMING
from toolkit.engines.duckdb.table import DuckDBRepository, quoted
from toolkit.errors import RefusedRowError, ToolkitError

if TYPE_CHECKING:
    from toolkit.engines.duckdb.session import DuckDBSession

_IS_REFERENCED = "is still referenced by a foreign key"
# A column that has lists in it: DuckDB does not update these in their place.
_WRITTEN_ANEW = re.compile(r"\[|\b(?:MAP|UNION)\(")
_PARENTS = """
SELECT DISTINCT schema_name, referenced_table FROM duckdb_constraints()
WHERE database_name = current_database() AND constraint_type = 'FOREIGN KEY'
"""
# Whatever an index is of, by the text of it.
_INDEXED = """
SELECT CAST(constraint_column_names AS VARCHAR) FROM duckdb_constraints()
WHERE database_name = current_database() AND constraint_type IN ('UNIQUE', 'FOREIGN KEY') AND table_name = $name
AND schema_name = coalesce($schema, current_schema())
UNION ALL
SELECT expressions FROM duckdb_indexes() WHERE database_name = current_database() AND table_name = $name
AND schema_name = coalesce($schema, current_schema())
"""


def referenced_tables(connection: DuckDBSession) -> frozenset[tuple[str, str]]:
    """Schema and name of the tables that foreign keys point at."""
    with connection.translated():
        return frozenset(connection.raw.execute(_PARENTS).fetchall())


def is_referenced(connection: DuckDBSession, spec: TableSpec, known: frozenset[tuple[str, str]]) -> bool:
    """Whether the table is one of these."""
    schema = spec.table.schema or str(connection.sqlalchemy.dialect.default_schema_name)
    return (schema, spec.table.name) in known


class ReferencedRepository(DuckDBRepository):
    """DuckDB refuses to name a column of an index in an update of such a row, even if the value stays as it is."""

    def upsert_many(self, batches: Iterable[pa.RecordBatch]) -> int:
        """Insert or update rows, by a second statement in columns of indexes, where they differ."""
        names = self.spec.updated_names if self.spec.key else ()
        indexed = [name for name in names if self._is_indexed(name)]
        if not indexed:
            return super().upsert_many(batches)
        others = [f"{quoted(name)} = excluded.{quoted(name)}" for name in names if name not in indexed]
        key = ", ".join(map(quoted, self.spec.key))
        action = f"UPDATE SET {', '.join(others)}" if others else "NOTHING"
        insert = f"{self._insert_statement()} ON CONFLICT ({key}) DO {action}"
        update, written = self._update_statement(indexed), 0
        for batch in gathered(batches, self.row_group, self.group_bytes):
            self._refuse_unlimited(batch)
            self._step_aside(batch, [name for name in names if name not in indexed])
            self._run_over(batch, insert)
            self._run_over(batch, update)
            written += batch.num_rows
        return written

    def _is_indexed(self, name: str) -> bool:
        with self.connection.translated():
            bound = {"name": self.table.name, "schema": self.table.schema}
            texts = self.connection.raw.execute(_INDEXED, bound).fetchall()
        return any(name.casefold() in text.casefold() for (text,) in texts)

    def _update_statement(self, names: Sequence[str]) -> str:
        types, places = self._types(), {name: place for place, name in enumerate(self.spec.column_names)}

        def incoming(name: str) -> str:
            return self._adapter(self.spec.column(name)).write(f"c{places[name]}", types[name])

        changes = ", ".join(f"{quoted(name)} = {incoming(name)}" for name in names)
        match = " AND ".join(f"t.{quoted(name)} = {incoming(name)}" for name in self.spec.key)
        differ = " OR ".join(f"t.{quoted(name)} IS DISTINCT FROM {incoming(name)}" for name in names)
        return f"UPDATE {self.name} AS t SET {changes} FROM {INCOMING} WHERE {match} AND ({differ})"

    def _why(self, batch: pa.RecordBatch, statement: str, reason: str) -> ToolkitError | None:
        """Why a batch was refused, with the row; and where DuckDB itself is in the way, how to get past it."""
        named = super()._why(batch, statement, reason)
        anew = [name for name, type_ in self._types().items() if _WRITTEN_ANEW.search(type_)]
        if not (isinstance(named, RefusedRowError) and _IS_REFERENCED in named.reason and anew):
            return named
        fact = f"others point at it, and DuckDB deletes such a row and inserts it again to change {' or '.join(anew)}"
        options = " ".join(f"--exclude-column {shell(f'{self.spec.name}.{name}')}" for name in anew)
        return RefusedRowError(
            self.connection.name,
            self.spec.name,
            named.key,
            fact,
            f"Leave out what would change ({options}), or sync into a new file.",
        )
