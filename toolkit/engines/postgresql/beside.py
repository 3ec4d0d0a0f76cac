"""Rows of one table on their way into another of the same database: one statement, and no value leaves the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.engines.postgresql.adapters import CODEC
from toolkit.engines.postgresql.conflicts import guarded
from toolkit.engines.postgresql.copy import RowCopy
from toolkit.engines.postgresql.sql import quoted

if TYPE_CHECKING:
    import pyarrow as pa

    from toolkit.engines.postgresql.table import PostgresRepository


def lies_beside(source: PostgresRepository, target: PostgresRepository) -> bool:
    """Whether a table is another of the same database, with columns of the same types: nothing is cast."""
    if source.connection.database != target.connection.database or source.name == target.name:
        return False
    there, here = source.connection.facts(source.spec), target.connection.facts(target.spec)
    if there is None or here is None or source.spec.where is not None:
        return False
    types = [(there.columns.get(name), here.columns.get(name)) for name in target.spec.column_names]
    return all(a and b and (a.type, a.cast) == (b.type, b.cast) for a, b in types)


def write_from(
    source: PostgresRepository, target: PostgresRepository, conflict: str = "", keys: pa.Table | None = None
) -> None:
    """Insert a table's rows, or those with these keys, into another, with this clause.

    In one statement: rows may point at one another. A row that is refused is looked for among the source's.

    Raises:
        RefusedRowError, UniqueConflictError, MissingParentError: named with the rows concerned.
    """
    connection, spec = target.connection, target.spec
    names = ", ".join(map(quoted, spec.column_names))
    stage, chosen = ("", "true") if keys is None else _chosen(target, keys)
    insert = (
        f"INSERT INTO {target.name} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM {source.name} AS s "
        f"WHERE {chosen}"
    )
    guarded(connection, spec, insert + conflict, source.name, lambda rows: f"{insert} AND {rows}{conflict}")
    if stage:
        with connection.translated():
            connection.run(f"DROP TABLE {stage}")


def _chosen(target: PostgresRepository, keys: pa.Table) -> tuple[str, str]:
    """The quoted name of a new table with these keys, and what is true of the rows of `s` that have one of them."""
    spec, types = target.spec.project(target.spec.key), target.column_types()
    stage, _ = RowCopy(target.connection, spec, types).staged(keys.to_batches())
    matches = []
    for column in spec.columns:
        name = quoted(column.name)
        cell, type_ = CODEC.adapter(column).matched(f"s.{name}", types[column.name])
        matches.append(f"{cell} = k.{name}::{type_}")
    return stage, f"EXISTS (SELECT FROM {stage} AS k WHERE {' AND '.join(matches)})"
