"""What is stored in the columns of a table, on any engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from toolkit.core.schema import ColumnMeasure

if TYPE_CHECKING:
    from toolkit.engines.contract import Connection


def measured(connection: Connection, table: sa.Table) -> dict[str, ColumnMeasure]:
    """How many rows there are, and in how many of them each column is NULL."""
    columns = list(table.columns)
    counts = [sa.func.count(), *(sa.func.count(sa.column(each.name)) for each in columns)]
    with connection.translated():
        rows, *filled = connection.sqlalchemy.execute(sa.select(*counts).select_from(table)).one()
    return {each.name: ColumnMeasure(rows, rows - count) for each, count in zip(columns, filled, strict=True)}
