"""Alembic for SQLite, with what SQLAlchemy's reflection loses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from alembic.ddl.sqlite import SQLiteImpl as AlembicSQLiteImpl
from sqlalchemy import BINARY, VARBINARY, Connection, text

from toolkit.repositories.alembic_batch import follow_columns

if TYPE_CHECKING:
    from alembic.operations.batch import ApplyBatchImpl
    from sqlalchemy import Inspector, Table

_BINARY_TYPES: dict[str, type[BINARY | VARBINARY]] = {"BINARY": BINARY, "VARBINARY": VARBINARY}
_DECLARED = re.compile(r"(BINARY|VARBINARY)(?:\((\d+)\))?", re.IGNORECASE)


class SQLiteImpl(AlembicSQLiteImpl):
    """Sees binary columns (Advanced Alchemy's UUIDs) as what they are; renames columns that a CHECK names.

    Reflected as SQLAlchemy does, `BINARY(16)` is `NUMERIC(16)`: every comparison would find a difference, and
    a table that batch mode copies would be made with that type.
    """

    __dialect__ = "sqlite"

    def prep_table_for_batch(self, batch_impl: ApplyBatchImpl, table: Table) -> None:
        """Let CHECKs and indexes follow the columns."""
        follow_columns(batch_impl, table)

    def autogen_column_reflect(self, inspector: Inspector, table: Table, column_info: dict[str, Any]) -> None:
        """Replace the type by the declared one."""
        super().autogen_column_reflect(inspector, table, column_info)
        query = text("SELECT type FROM pragma_table_xinfo(:table, :schema) WHERE name = :column")
        parameters = {"table": table.name, "schema": table.schema or "main", "column": column_info["name"]}
        assert isinstance(inspector.bind, Connection)
        declared = _DECLARED.fullmatch(inspector.bind.scalar(query, parameters) or "")
        if declared:
            length = int(declared[2]) if declared[2] else None
            column_info["type"] = _BINARY_TYPES[declared[1].upper()](length)
