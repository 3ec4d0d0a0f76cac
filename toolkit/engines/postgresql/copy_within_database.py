"""Rows of one table on their way into another of the same database: one statement, and no value leaves the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from toolkit.engines.postgresql.adapters import CODEC
from toolkit.engines.postgresql.conflicts import guarded
from toolkit.engines.postgresql.copy import RowCopy
from toolkit.engines.postgresql.sql import qualified, quoted

if TYPE_CHECKING:
    import pyarrow as pa

    from toolkit.core.tables import TableSpec
    from toolkit.engines.postgresql.session import PostgresSession


def is_within_database(source: PostgresSession, stage: TableSpec, target: PostgresSession, spec: TableSpec) -> bool:
    """Whether a table is another of the same database, with columns of the same types: nothing is cast."""
    if source.database != target.database or qualified(stage.table) == qualified(spec.table) or stage.where is not None:
        return False
    there, here = source.facts(stage), target.facts(spec)
    if there is None or here is None:
        return False
    types = [(there.columns.get(name), here.columns.get(name)) for name in spec.column_names]
    return all(a and b and (a.type, a.cast) == (b.type, b.cast) for a, b in types)


def write_from(connection: PostgresSession, stage: TableSpec, spec: TableSpec) -> None:
    """Insert all rows of another table.

    Raises:
        RefusedRowError, UniqueConflictError, MissingParentError: named with the rows concerned.
    """
    _write(connection, stage, spec, "true", "")


def merge_from(
    connection: PostgresSession,
    stage: TableSpec,
    spec: TableSpec,
    keys: pa.Table,
    types: Mapping[str, str],
    clause: str,
) -> None:
    """Insert the rows of another table that have these keys, with this clause for those that are there.

    In one statement: rows may point at one another.

    Raises:
        RefusedRowError, UniqueConflictError, MissingParentError: named with the rows concerned.
    """
    narrow = spec.project(spec.key)
    chosen, _ = RowCopy(connection, narrow, types).staged(keys.to_batches())
    matches = []
    for column in narrow.columns:
        name = quoted(column.name)
        cell, type_ = CODEC.adapter(column).matched(f"s.{name}", types[column.name])
        matches.append(f"{cell} = k.{name}::{type_}")
    _write(connection, stage, spec, f"EXISTS (SELECT FROM {chosen} AS k WHERE {' AND '.join(matches)})", clause)
    with connection.translated():
        connection.run(f"DROP TABLE {chosen}")


def _write(connection: PostgresSession, stage: TableSpec, spec: TableSpec, condition: str, clause: str) -> None:
    names, rows = ", ".join(map(quoted, spec.column_names)), qualified(stage.table)
    insert = (
        f"INSERT INTO {qualified(spec.table)} ({names}) OVERRIDING SYSTEM VALUE "
        f"SELECT {names} FROM {rows} AS s WHERE {condition}"
    )
    # A row that is refused is looked for among those of the stage.
    guarded(connection, spec, insert + clause, rows, lambda some: f"{insert} AND {some}{clause}")
