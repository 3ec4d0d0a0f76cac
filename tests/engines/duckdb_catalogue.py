"""Everything that DuckDB's own catalogue says of a file's tables and of what they rest on, to compare two files."""

from __future__ import annotations

from pathlib import Path

import duckdb


def catalogue(file: Path) -> list[str]:
    """One line for each object, without numbers (oid), and without the toolkit's own table."""
    found = []
    with duckdb.connect(str(file), read_only=True) as connection:
        for query in _QUERIES:
            found += [str(row) for row in connection.execute(query).fetchall()]
        names = connection.execute(
            """SELECT '"' || replace(schema_name, '"', '""') || '"."' || replace(type_name, '"', '""') || '"'
               FROM duckdb_types() WHERE NOT internal ORDER BY ALL"""
        ).fetchall()
        found += [f"{name} {connection.execute(f'SELECT typeof(NULL::{name})').fetchall()}" for (name,) in names]
    return [each for each in found if "toolkit_schema" not in each]


_QUERIES = (
    "SELECT schema_name FROM duckdb_schemas() WHERE NOT internal ORDER BY ALL",
    "SELECT schema_name, table_name, comment, sql FROM duckdb_tables() ORDER BY ALL",
    """SELECT schema_name, table_name, column_index, column_name, data_type, column_default, is_nullable, is_generated,
              generation_expression, comment
       FROM duckdb_columns() SEMI JOIN duckdb_tables() USING (schema_name, table_name)
       ORDER BY ALL""",
    """SELECT schema_name, table_name, constraint_type, constraint_name, constraint_text FROM duckdb_constraints()
       ORDER BY ALL""",
    "SELECT schema_name, index_name, is_unique, sql, comment FROM duckdb_indexes() ORDER BY ALL",
    """SELECT schema_name, sequence_name, coalesce(last_value + increment_by, start_value), min_value, max_value,
              increment_by, "cycle", comment FROM duckdb_sequences() ORDER BY ALL""",
    "SELECT schema_name, type_name, comment FROM duckdb_types() WHERE NOT internal ORDER BY ALL",
)
