"""Copy a database with dlt, in its own environment: `python dlt_copy.py SOURCE TARGET DISPOSITION DIRECTORY`.

Its pyarrow backend with all that it chooses by default. Only keys of 16 bytes need a rule, as with pgloader:
SQLAlchemy reflects SQLite's BINARY(16) as a number, and dlt's CSV files for PostgreSQL cannot hold bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import dlt
import duckdb
import pyarrow as pa
import sqlalchemy as sa
from dlt.sources.sql_database import sql_database


def main(source: str, target: str, disposition: str, directory: str) -> None:
    to_postgres = target.startswith("postgresql")
    destination = dlt.destinations.postgres(target) if to_postgres else dlt.destinations.duckdb(target)
    if source.startswith("duckdb:///"):
        data = _from_duckdb(source.removeprefix("duckdb:///"))
    elif to_postgres:
        data = sql_database(
            source,
            backend="pyarrow",
            table_adapter_callback=_keys_as_text,
            query_adapter_callback=_select_hex,
        )
    else:
        data = sql_database(source, backend="pyarrow", table_adapter_callback=_keys_as_bytes)
    pipeline = dlt.pipeline("copy", destination=destination, dataset_name="copy", pipelines_dir=directory)
    pipeline.run(data, write_disposition=disposition).raise_on_failed_jobs()


def _is_key(column: sa.Column[Any]) -> bool:
    return isinstance(column.type, sa.Numeric)


def _keys_as_bytes(table: sa.Table) -> None:
    for column in filter(_is_key, table.columns):
        column.type = sa.LargeBinary()


def _keys_as_text(table: sa.Table) -> None:
    for column in filter(_is_key, table.columns):
        column.type = sa.String()
        column.info["is_bytes"] = True


def _select_hex(query: sa.Select[Any], table: sa.Table) -> sa.Select[Any]:
    """Let SQLite write the bytes out, which costs dlt less than a Python function for each value would."""

    def selected(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
        if "is_bytes" not in column.info:
            return column
        return sa.func.hex(column, type_=sa.String()).label(column.name)

    return query.with_only_columns(*map(selected, table.columns))


def _from_duckdb(file: str) -> list[Any]:
    """DuckDB cannot be reflected through SQLAlchemy, but it hands out Arrow itself."""
    connection = duckdb.connect(file, read_only=True)
    tables = connection.sql("SELECT table_name, estimated_size FROM duckdb_tables()").fetchall()
    return [dlt.resource(_batches(connection, name), name=name) for name, rows in tables if rows]


def _batches(connection: duckdb.DuckDBPyConnection, table: str) -> Iterator[pa.RecordBatch]:
    columns = connection.sql(f'DESCRIBE "{table}"').fetchall()
    fields = (
        f'"{name}"::VARCHAR AS "{name}"' if type_ in {"UUID", "JSON"} else f'"{name}"' for name, type_, *_ in columns
    )
    yield from connection.cursor().sql(f'SELECT {", ".join(fields)} FROM "{table}"').to_arrow_reader(50_000)


if __name__ == "__main__":
    main(*sys.argv[1:])
