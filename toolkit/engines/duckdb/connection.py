"""DuckDB: one transaction on a file, and its tables as the catalogue has them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import sqlalchemy as sa

from toolkit.core.constraints import Constraints
from toolkit.core.schema import ColumnMeasure, Schema, TypesBy
from toolkit.core.tables import TableSpec
from toolkit.engines.catalogue import StoredTable, TableFacts
from toolkit.engines.duckdb.catalogue import constraints, stored_tables, table_facts
from toolkit.engines.duckdb.definitions import definitions
from toolkit.engines.duckdb.dialect import is_enforced
from toolkit.engines.duckdb.referenced import ReferencedRepository, is_referenced, referenced_tables
from toolkit.engines.duckdb.schema import schema_of
from toolkit.engines.duckdb.table import DuckDBRepository
from toolkit.engines.portable.connection import unmapped_child
from toolkit.engines.portable.measures import measured
from toolkit.engines.portable.table import TableRepository

if TYPE_CHECKING:
    from toolkit.engines.portable.script import Script

from toolkit.engines.duckdb.session import DuckDBSession


class DuckDBConnection(DuckDBSession):
    """One transaction on a DuckDB file, which only one process at a time may have open for writing."""

    @cached_property
    def _referenced(self) -> frozenset[tuple[str, str]]:
        return referenced_tables(self)

    def repository(self, spec: TableSpec) -> TableRepository:
        """Access to one table; of a file that is not there, too."""
        is_connected = hasattr(self, "sqlalchemy")
        kind = (
            ReferencedRepository if is_connected and is_referenced(self, spec, self._referenced) else DuckDBRepository
        )
        return kind(self, spec)

    def script(self) -> Script:
        """How a script for the engine's own client is written."""
        from toolkit.engines.duckdb.script import DuckDBScript

        return DuckDBScript(self)

    def stored_tables(self) -> list[StoredTable]:
        """All tables with rows of somebody's; not those of DuckDB itself."""
        with self.translated():
            return stored_tables(self)

    def schema(self, types: TypesBy = TypesBy.DECLARATION) -> Schema:
        """All of `stored_tables` by DuckDB's own catalogue, in a few questions."""
        with self.translated():
            return schema_of(self, stored_tables(self), types)

    def definitions(self, tables: Sequence[sa.Table]) -> Sequence[str]:
        """The statements that make these tables once more, with all that they rest on, just as they are."""
        with self.translated():
            return definitions(self, tables)

    def measures(self, table: sa.Table) -> dict[str, ColumnMeasure]:
        """What is stored in each column, by one pass over the rows."""
        return measured(self, table, sa.func.octet_length)

    def _read_facts(self, specs: Sequence[TableSpec]) -> dict[str, TableFacts]:
        with self.translated():
            return table_facts(self, specs)

    def constraints(self, specs: Sequence[TableSpec]) -> dict[str, Constraints]:
        """The constraints that these tables have in this database, by name; without those that are views there."""
        with self.translated():
            return constraints(self, specs)

    def _keeps_unique(self, index: sa.Index) -> bool:
        return is_enforced(index)

    def unmapped_children(self, spec: TableSpec) -> tuple[TableSpec, ...]:
        """Tables unknown to the model that the database lets point at this one, by the columns that point."""
        with self.translated():
            rows = self.raw.execute(
                "SELECT table_name, schema_name, constraint_column_names, referenced_column_names "
                "FROM duckdb_constraints() WHERE constraint_type = 'FOREIGN KEY' AND referenced_table = ? "
                "AND database_name = current_database() AND schema_name = coalesce(?, current_schema()) ORDER BY ALL",
                [spec.table.name, spec.table.schema],
            ).fetchall()
        known = spec.table.metadata.tables
        return tuple(
            unmapped_child(spec, name, list(zip(ours, theirs, strict=True)), spec.table.schema and schema)
            for name, schema, ours, theirs in rows
            if not {name, f"{schema}.{name}"} & known.keys()
        )
