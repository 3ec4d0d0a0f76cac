"""Alembic for PostgreSQL's types that list their values: each made once, given values, gone with its last column."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from alembic.ddl.postgresql import PostgresqlImpl as AlembicPostgresqlImpl
from sqlalchemy import Column, MetaData, Table, text
from sqlalchemy.sql.dml import UpdateBase

from toolkit.engines.postgresql.enums import change_values, drop_unused, native_enum, require_type, types_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.dialects import postgresql
    from sqlalchemy.types import TypeEngine

_DECLARED = text(
    "SELECT format_type(atttypid, atttypmod) FROM pg_attribute "
    "WHERE attrelid = to_regclass(:table) AND attname = :column AND NOT attisdropped"
)


class EnumeratingImpl(AlembicPostgresqlImpl):
    """Carries out what migrations leave unsaid of such types."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Types whose column went in the migration that is run: at its end, so that it may drop them itself.
        self._left: dict[str, postgresql.ENUM] = {}

    # -- types that list their values --------------------------------------------------------------------------

    def create_table(self, table: Table, **options: Any) -> None:
        """The table; a type that another table has is there already."""
        with self._types_made(*(each.type for each in table.columns)):
            super().create_table(table, **options)

    def add_column(self, table_name: str, column: Column[Any], **options: Any) -> None:
        """The column, and its type before."""
        with self._types_made(column.type):
            super().add_column(table_name, column, **options)

    def drop_table(self, table: Table, **options: Any) -> None:
        """The table; its types go with their last columns."""
        self._leave_types(table.name, table.schema)
        super().drop_table(table, **options)

    def drop_column(self, table_name: str, column: Column[Any], *, schema: str | None = None, **options: Any) -> None:
        """The column; its type goes with its last column."""
        self._leave_types(table_name, schema, column.name)
        super().drop_column(table_name, column, schema=schema, **options)

    def _exec(self, construct: Any, *arguments: Any, **options: Any) -> Any:
        """Executes it; where it records that a migration is done, what nothing uses any more goes."""
        found = super()._exec(construct, *arguments, **options)
        table = getattr(construct, "table", None) if isinstance(construct, UpdateBase) else None
        if getattr(table, "name", None) == self.context_opts.get("version_table", "alembic_version"):
            left, self._left = self._left, {}
            for each in left.values():
                assert self.connection is not None
                drop_unused(self.connection, each)
        return found

    @contextmanager
    def _types_made(self, *types: TypeEngine[Any]) -> Iterator[None]:
        """Make what is lacking, and let SQLAlchemy make none."""
        found = [enum for each in types if (enum := native_enum(each, self.dialect)) is not None]
        if self.as_sql or self.connection is None:
            yield
            return
        made = [(each, each.create_type) for each in found]
        for each in found:
            require_type(self.connection, each)
            each.create_type = False
        try:
            yield
        finally:
            for each, creates in made:
                each.create_type = creates

    def _leave_types(self, table_name: str, schema: str | None, column_name: str | None = None) -> None:
        if self.as_sql or self.connection is None:
            return
        place = self.dialect.identifier_preparer.format_table(Table(table_name, MetaData(), schema=schema))
        for each in types_of(self.connection, place, column_name):
            self._left[f"{each.schema}.{each.name}"] = each

    def compare_type(self, inspector_column: Column[Any], metadata_column: Column[Any]) -> bool:
        """Also the values that a type lists."""
        old, new = (native_enum(each.type, self.dialect) for each in (inspector_column, metadata_column))
        if old is not None and new is not None and old.enums != new.enums:
            return True
        return super().compare_type(inspector_column, metadata_column)

    def prepare_values(
        self, table_name: str, column_name: str, type_: TypeEngine[Any], schema: str | None, options: dict[str, Any]
    ) -> TypeEngine[Any] | None:
        """Let the type list what it is to list; the type that the column itself has to be given then, if any."""
        self._leave_types(table_name, schema, column_name)
        enum = native_enum(type_, self.dialect)
        if enum is None or self.connection is None:
            return type_
        require_type(self.connection, enum)
        change_values(self.connection, enum)
        place = self.dialect.identifier_preparer.format_table(Table(table_name, MetaData(), schema=schema))
        declared = self.connection.scalar(_DECLARED, {"table": place, "column": column_name})
        wanted = self.dialect.type_compiler_instance.process(type_)
        if str(declared).lower() == wanted.lower():
            return None
        column = self.dialect.identifier_preparer.quote(column_name)
        options.setdefault("postgresql_using", f"{column}::text::{wanted}")
        return type_
