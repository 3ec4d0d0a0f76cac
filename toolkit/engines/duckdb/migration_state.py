"""What migrations of DuckDB have to know of its rows and numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import MetaData, Sequence, Table, inspect, text
from sqlalchemy.schema import DDL, CreateSequence, DropSequence

from toolkit.engines.duckdb.dialect import next_value
from toolkit.engines.duckdb.reflection import sequence_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Dialect

_STATE = text(
    "SELECT coalesce(last_value + increment_by, start_value), increment_by FROM duckdb_sequences() "
    "WHERE sequence_name = :name AND schema_name = coalesce(:schema, current_schema())"
)


def has_updates(connection: Connection, table: Table) -> bool:
    """Whether DuckDB 2.0 might fail to index the table's rows, as far as its catalogue shows.

    It does so where a column was updated ("outstanding updates"). Of an indexed column an update is a deletion and an
    insertion, after which a unique index finds the row twice; and an index on a new column meets an internal error for
    rows deleted before: of neither the catalogue tells.
    """
    name = connection.dialect.identifier_preparer.format_table(table)
    query = text("SELECT coalesce(bool_or(has_updates), false) FROM pragma_storage_info(:name)")
    return bool(connection.scalar(query, {"name": name}))


def owned_sequences(connection: Connection, table: Table) -> list[Sequence]:
    """Those that number the table's rows, by the names that the dialect gives them; none if there is no such table."""
    inspector = inspect(connection)
    if not inspector.has_table(table.name, table.schema):
        return []
    columns = inspector.get_columns(table.name, table.schema)
    named = [(Sequence(f"{table.name}_{each['name']}_seq", schema=table.schema), each) for each in columns]
    return [sequence for sequence, each in named if is_default(sequence, each["default"], connection.dialect)]


def is_default(sequence: Sequence, default: str | None, dialect: Dialect) -> bool:
    """Whether a column's default is the next number of a sequence."""
    return sequence_of(default) == dialect.identifier_preparer.format_sequence(sequence)


def follow_sequences(connection: Connection, table: Table, old_table: str, renamed: Mapping[str, str]) -> None:
    """Number rows by sequences of the names that the table and its columns have now; `renamed` are the old ones."""
    for column in inspect(connection).get_columns(table.name, table.schema):
        name = column["name"]
        new = Sequence(f"{table.name}_{name}_seq", schema=table.schema)
        for before in dict.fromkeys((f"{old_table}_{name}_seq", f"{table.name}_{renamed.get(name, name)}_seq")):
            old = Sequence(before, schema=table.schema)
            if before != new.name and is_default(old, column["default"], connection.dialect):
                _replace_sequence(connection, table.name, name, old, new)


def _replace_sequence(connection: Connection, table_name: str, column_name: str, old: Sequence, new: Sequence) -> None:
    """Let the column go on with another sequence where the old one is; DuckDB cannot rename one."""
    preparer = connection.dialect.identifier_preparer
    new.start, new.increment = connection.execute(_STATE, {"name": old.name, "schema": old.schema}).one()
    connection.execute(DropSequence(new, if_exists=True))
    connection.execute(CreateSequence(new))
    table = Table(table_name, MetaData(), schema=new.schema)
    # As DDL and not as text(), which takes a colon in a name for a parameter.
    names = {
        "of": preparer.format_table(table),
        "column": preparer.quote(column_name),
        "value": next_value(preparer, new),
    }
    statement = "ALTER TABLE %(of)s ALTER COLUMN %(column)s SET DEFAULT %(value)s"
    connection.execute(DDL(statement, context=names))  # type: ignore[no-untyped-call]
    connection.execute(DropSequence(old))
