"""The copying of a table that is made anew, so that each row keeps the number that SQLite itself gave it.

Where no column is that number (`INTEGER PRIMARY KEY`), copied rows would be counted from 1: without the gaps of rows
that were deleted. A full-text index of such a table (FTS5 with `content=`) knows its rows by nothing else, and would
find others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Integer, MetaData, literal_column, select

from toolkit.engines.sqlite.definition import identifiers

if TYPE_CHECKING:
    from alembic.operations.batch import ApplyBatchImpl
    from sqlalchemy import Connection, Insert, Table

_NAMES = ("rowid", "_rowid_", "oid")


def copying(connection: Connection, batch: ApplyBatchImpl, old: Table, options: str) -> Insert:
    """The statement that fills the new table from the old one: Alembic's, and the rows' numbers.

    The new table is there by now; `options` are those of both.
    """
    assert batch.new_table is not None
    new = batch.new_table
    transfers: dict[str, Any] = {name: each["expr"] for name, each in batch.column_transfers.items() if "expr" in each}
    taken = {str(each.name).lower() for table in (old, new) for each in table.columns}
    number = next((name for name in _NAMES if name not in taken), None)
    if number is not None and _has_hidden_numbers(connection, new, options):
        new = new.to_metadata(MetaData())
        new.append_column(Column(number, Integer))
        transfers[number] = literal_column(number)
    return new.insert().inline().from_select([*transfers], select(*transfers.values()).select_from(old))


def _has_hidden_numbers(connection: Connection, table: Table, options: str) -> bool:
    """Whether rows have numbers, and in no column: then its primary key, if there is one, has an index of its own."""
    if "without" in identifiers(options):
        return False
    of = table.name, table.schema or "main"
    query = "SELECT count(*) FROM pragma_table_info(?, ?) WHERE pk"
    if not connection.exec_driver_sql(query, of).scalar():
        return True
    indexes = "SELECT count(*) FROM pragma_index_list(?, ?) WHERE origin = 'pk'"
    return bool(connection.exec_driver_sql(indexes, of).scalar())
