"""DuckDB's catalogue of all tables at once: each look at it takes as long as for one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.core.constraints import Check, Constraints, ForeignKey, UniqueKey
from toolkit.core.tables import TableSpec
from toolkit.engines.catalogue import ColumnFacts, StoredTable, TableFacts
from toolkit.engines.duckdb.reflection import check_of, index_of, plain_column
from toolkit.engines.duckdb.schema import labels_of, sequences, sequences_of
from toolkit.engines.portable.constraints import reflected_index

if TYPE_CHECKING:
    from toolkit.engines.duckdb.session import DuckDBSession

Place = tuple[str | None, str]


class _Row(NamedTuple):
    kind: str
    columns: list[str]
    name: str
    expression: str
    parent: str


_TABLES = """
SELECT table_name, nullif(schema_name, current_schema()), list(column_name ORDER BY column_index)
FROM duckdb_tables() JOIN duckdb_columns() USING (database_name, schema_name, table_name)
WHERE database_name = current_database() AND NOT temporary GROUP BY ALL ORDER BY ALL
"""
_CONSTRAINTS = """
SELECT nullif(schema_name, current_schema()), table_name, constraint_type, constraint_column_names,
       constraint_name, expression, referenced_table
FROM duckdb_constraints() WHERE database_name = current_database() ORDER BY constraint_index
"""
_INDEXES = """
SELECT nullif(schema_name, current_schema()), table_name, index_name, CAST(expressions AS VARCHAR[])
FROM duckdb_indexes() WHERE database_name = current_database() AND is_unique ORDER BY index_name
"""


_COLUMNS = """
SELECT schema_name, table_name, column_name, data_type, is_generated, column_default,
       NOT is_nullable AND NOT is_generated AND coalesce(upper(column_default), 'NULL') = 'NULL'
FROM duckdb_columns() WHERE database_name = current_database() AND NOT internal
AND table_name IN (SELECT unnest(?)) ORDER BY column_index
"""
_KEYS = """
SELECT schema_name, table_name, constraint_column_names FROM duckdb_constraints()
WHERE database_name = current_database() AND constraint_type IN ('PRIMARY KEY', 'UNIQUE')
AND table_name IN (SELECT unnest(?))
UNION ALL
SELECT schema_name, table_name, CAST(expressions AS VARCHAR[]) FROM duckdb_indexes()
WHERE database_name = current_database() AND is_unique AND table_name IN (SELECT unnest(?))
"""


def table_facts(connection: DuckDBSession, specs: Sequence[TableSpec]) -> dict[str, TableFacts]:
    """What the catalogue says of these tables, by name; without those that are not there."""
    tables, default = [spec.table.name for spec in specs], connection.sqlalchemy.dialect.default_schema_name
    columns: dict[tuple[str, str], dict[str, ColumnFacts]] = defaultdict(dict)
    known: Mapping[Any, Any] = {}
    for schema, table, name, type_, is_generated, value, needed in connection.raw.execute(
        _COLUMNS, [tables]
    ).fetchall():
        numbers = _sequence(value or "")
        known = sequences(connection) if numbers and not known else known
        found = next((each for each in sequences_of(value, str(default), known) if not each.cycles), None)
        columns[schema, table][name] = ColumnFacts(
            type_,
            bool(is_generated),
            sequence=numbers,
            is_required=bool(needed),
            next_number=None if found is None else found.following,
            labels=labels_of(type_),
            descends=found is not None and found.increment < 0,
        )
    keys: dict[tuple[str, str], set[frozenset[str]]] = defaultdict(set)
    for schema, table, parts in connection.raw.execute(_KEYS, [tables, tables]).fetchall():
        names = [plain_column(part, {*columns[schema, table]}) for part in parts]
        # An expression is no column.
        keys[schema, table] |= set() if None in names else {frozenset(map(str, names))}
    places = {spec.name: (spec.table.schema or str(default), spec.table.name) for spec in specs}
    return {
        name: TableFacts(columns[place], frozenset(keys[place])) for name, place in places.items() if place in columns
    }


def _sequence(default: str) -> str | None:
    """The sequence that a column's default takes numbers from."""
    if not default.startswith("nextval("):
        return None
    return default.removeprefix("nextval('").removesuffix("')").replace("''", "'")


def stored_tables(connection: DuckDBSession) -> list[StoredTable]:
    """All tables but DuckDB's own."""
    rows = connection.raw.execute(_TABLES).fetchall()
    return [StoredTable(name, schema, tuple(columns), name) for name, schema, columns in rows]


def constraints(connection: DuckDBSession, specs: Sequence[TableSpec]) -> dict[str, Constraints]:
    """The constraints of these tables, without those that are views."""
    default = connection.sqlalchemy.dialect.default_schema_name
    columns = {(each.schema, each.name): set(each.columns) for each in stored_tables(connection)}
    rows: dict[Place, list[_Row]] = defaultdict(list)
    for schema, table, *row in connection.raw.execute(_CONSTRAINTS).fetchall():
        rows[schema, table].append(_Row(*row))
    indexes: dict[Place, list[UniqueKey]] = defaultdict(list)
    for schema, table, name, expressions in connection.raw.execute(_INDEXES).fetchall():
        if (schema, table) in columns:
            index: Any = index_of(name, True, expressions, columns[schema, table])
            indexes[schema, table].append(reflected_index(index))
    places = {
        spec.name: (None if spec.table.schema == default else spec.table.schema, spec.table.name) for spec in specs
    }
    return {name: _of(rows[place], indexes[place]) for name, place in places.items() if place in columns}


def _of(rows: Sequence[_Row], indexes: Sequence[UniqueKey]) -> Constraints:
    checks = (check_of(row.name, row.expression) for row in rows if row.kind == "CHECK")
    return Constraints(
        key=frozenset(name for row in rows if row.kind == "PRIMARY KEY" for name in row.columns),
        unique=(*(UniqueKey(tuple(row.columns)) for row in rows if row.kind in ("PRIMARY KEY", "UNIQUE")), *indexes),
        foreign_keys=tuple(ForeignKey(tuple(row.columns), row.parent) for row in rows if row.kind == "FOREIGN KEY"),
        checks=tuple(Check(each["sqltext"], each["name"]) for each in checks),
        not_null=frozenset(name for row in rows if row.kind == "NOT NULL" for name in row.columns),
    )
