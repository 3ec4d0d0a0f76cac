"""The copying of a table that is made anew, so that each row keeps the number that SQLite itself gave it.

Where no column is that number (`INTEGER PRIMARY KEY`), copied rows would be counted from 1: without the gaps of rows
that were deleted. A full-text index of such a table (FTS5 with `content=`) knows its rows by nothing else, and would
find others. Where a column becomes it, SQLite would put a number in the place of NULL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Integer, MetaData, literal_column, select

from toolkit.engines.portable.changed_types import require_none
from toolkit.engines.sqlite.definition import identifiers

if TYPE_CHECKING:
    from alembic.operations.batch import ApplyBatchImpl
    from sqlalchemy import Connection, Insert, Table

_NAMES = ("rowid", "_rowid_", "oid")


def copying(connection: Connection, batch: ApplyBatchImpl, old: Table, options: str) -> Insert:
    """The statement that fills the new table from the old one: Alembic's, and the rows' numbers.

    The new table is there by now; `options` are those of both.

    Raises:
        UnrepresentableValueError: a row has no value in the column that becomes its number.
    """
    assert batch.new_table is not None
    new = batch.new_table
    transfers: dict[str, Any] = {name: each["expr"] for name, each in batch.column_transfers.items() if "expr" in each}
    if "without" not in identifiers(options):
        taken = {str(each.name).lower() for table in (old, new) for each in table.columns}
        number = next((name for name in _NAMES if name not in taken), None)
        column = _numbered(connection, new)
        if column is not None and column in old.columns:
            name = connection.dialect.identifier_preparer.quote_identifier(old.columns[column].name)
            require_none(connection, old, column, f"{name} IS NULL", "but becomes the number of its row")
        if column is None and number is not None:
            new = new.to_metadata(MetaData())
            new.append_column(Column(number, Integer))
            transfers[number] = literal_column(number)
    return new.insert().inline().from_select([*transfers], select(*transfers.values()).select_from(old))


def _numbered(connection: Connection, table: Table) -> str | None:
    """The column that is the number of each row, if one is: the primary key that has no index of its own."""
    of = table.name, table.schema or "main"
    if connection.exec_driver_sql("SELECT 1 FROM pragma_index_list(?, ?) WHERE origin = 'pk'", of).first() is not None:
        return None
    name: str | None = connection.exec_driver_sql("SELECT name FROM pragma_table_info(?, ?) WHERE pk", of).scalar()
    return name
