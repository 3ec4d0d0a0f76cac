"""Alembic for SQLite, with what SQLAlchemy's reflection and Alembic's batch mode lose."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from alembic.ddl.sqlite import SQLiteImpl as AlembicSQLiteImpl
from alembic.util import CommandError
from sqlalchemy import BINARY, INTEGER, VARBINARY, Connection, text
from sqlalchemy.exc import IntegrityError

from toolkit.engines.portable.alembic_batch import follow_columns
from toolkit.engines.portable.changed_types import require_unique
from toolkit.engines.sqlite.conversions import kind_of
from toolkit.engines.sqlite.rebuild import Rebuild
from toolkit.engines.sqlite.refused_copy import refused_copy

if TYPE_CHECKING:
    from alembic.operations.batch import ApplyBatchImpl, BatchOperationsImpl
    from sqlalchemy import Column, Index, Inspector, Table
    from sqlalchemy.types import TypeEngine

_BINARY_TYPES: dict[str, type[BINARY | VARBINARY]] = {"BINARY": BINARY, "VARBINARY": VARBINARY}
_DECLARED = re.compile(r"(BINARY|VARBINARY)(?:\((\d+)\))?", re.IGNORECASE)


class SQLiteImpl(AlembicSQLiteImpl):
    """Sees binary columns (Advanced Alchemy's UUIDs) as what they are; makes tables anew without losing anything.

    Reflected as SQLAlchemy does, `BINARY(16)` is `NUMERIC(16)`: every comparison would find a difference, and
    a table that batch mode copies would be made with that type.
    """

    __dialect__ = "sqlite"
    # The engines that this package gives to migrations begin a transaction before DDL, too.
    transactional_ddl = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rebuild: Rebuild | None = None
        self._dropped_indexes: set[str] = set()

    # -- batches -------------------------------------------------------------------------------------------

    def requires_recreate_in_batch(self, batch_op: BatchOperationsImpl) -> bool:
        """Whether the table has to be made anew."""
        if all(_is_renaming(*each) for each in batch_op.batch):
            return False
        if not any(map(_adds_required, batch_op.batch)) and not super().requires_recreate_in_batch(batch_op):
            return False
        if not self.as_sql:
            # Alembic looks for them in what was reflected, where indexes over expressions are not. It may ask twice.
            dropped = (arguments[0].name for operation, arguments, _ in batch_op.batch if operation == "drop_index")
            self._dropped_indexes.update(dropped)
            batch_op.batch = [each for each in batch_op.batch if each[0] != "drop_index"]
            for operation, _, options in batch_op.batch:
                if operation == "alter_column" and options.get("name"):
                    # Alembic would take away the CHECK of an enum, and count on the type to bring another.
                    options.pop("existing_type", None)
        return True

    def cast_for_batch_migrate(
        self, existing: Column[Any], existing_transfer: dict[str, Any], new_type: TypeEngine[Any]
    ) -> None:
        """Cast nothing: what has to be converted is, exactly, when the rows are known."""
        wanted = self.dialect.type_compiler_instance.process(new_type)
        if self.as_sql and kind_of(wanted) != kind_of(self.dialect.type_compiler_instance.process(existing.type)):
            raise CommandError(
                f"Whether {existing.name} can become {wanted} depends on the rows: run it without --sql."
            )

    def prep_table_for_batch(self, batch_impl: ApplyBatchImpl, table: Table) -> None:
        """Look whether the table can be made anew, before anything is."""
        if self.as_sql:
            follow_columns(batch_impl, table)
            return
        assert self.connection is not None
        dropped, self._dropped_indexes = self._dropped_indexes, set()
        self._rebuild = Rebuild(self.connection, batch_impl, table, dropped)

    def create_table(self, table: Table, **options: Any) -> None:
        """The table, or the new one of a rebuild."""
        if self._rebuild is not None and table is self._rebuild.new_table:
            self._rebuild.create()
        else:
            super().create_table(table, **options)

    def create_index(self, index: Index, **options: Any) -> None:
        """The index; if rows are in its way, names them."""
        try:
            super().create_index(index, **options)
        except IntegrityError:
            assert self.connection is not None
            require_unique(self.connection, index)
            raise

    def drop_table(self, table: Table, **options: Any) -> None:
        """The table; of a rebuild that failed, also all else that it did."""
        if self._rebuild is not None and table is self._rebuild.new_table:
            rebuild, self._rebuild = self._rebuild, None
            rebuild.undo()
            # Alembic calls this while it handles what stopped the copying.
            error = sys.exc_info()[1]
            if isinstance(error, IntegrityError):
                raise refused_copy(rebuild, error) from error
        else:
            super().drop_table(table, **options)

    def rename_table(self, old_table_name: str, new_table_name: str, schema: str | None = None) -> None:
        """The table; of a rebuild this is the last step."""
        if self._rebuild is not None and old_table_name == self._rebuild.new_table.name:
            rebuild, self._rebuild = self._rebuild, None
            rebuild.finish()
        else:
            super().rename_table(old_table_name, new_table_name, schema)

    # -- comparison ----------------------------------------------------------------------------------------

    def compare_type(self, inspector_column: Column[Any], metadata_column: Column[Any]) -> bool:
        """Whether a migration would change the type; a rebuild leaves the number of rows INTEGER, of whatever size."""
        is_number = isinstance(inspector_column.type, INTEGER) and [*inspector_column.table.primary_key] == [
            inspector_column
        ]
        wanted = self.dialect.type_compiler_instance.process(metadata_column.type)
        if is_number and kind_of(wanted) == "integer":
            return False
        return super().compare_type(inspector_column, metadata_column)

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


def _adds_required(each: tuple[str, tuple[Any, ...], dict[str, Any]]) -> bool:
    """Whether it adds a column that has to have a value, and has none; SQLite itself refuses it without rows, too."""
    operation, arguments, _ = each
    if operation != "add_column":
        return False
    column: Column[Any] = arguments[1]
    return not column.nullable and column.server_default is None and column.computed is None


def _is_renaming(operation: str, _: tuple[Any, ...], options: dict[str, Any]) -> bool:
    """Whether it only gives a column another name, which SQLite does by itself, wherever that stands."""
    if operation != "alter_column" or not options.get("name"):
        return False
    unchanged = {"nullable": None, "server_default": False, "type_": None, "autoincrement": None, "comment": False}
    return all(options.get(key, value) is value for key, value in unchanged.items())
