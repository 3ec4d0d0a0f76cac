"""Alembic for PostgreSQL, which rounds and cuts in silence where an assignment may."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from alembic.ddl.postgresql import PostgresqlImpl as AlembicPostgresqlImpl
from sqlalchemy import Column, MetaData, Table, inspect, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError, NoSuchTableError
from sqlalchemy.sql.dml import UpdateBase

from toolkit.engines.portable.changed_types import require_round_trip
from toolkit.engines.postgresql.enums import change_values, drop_unused, native_enum, require_type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.types import TypeEngine

_DECLARED = text(
    "SELECT format_type(atttypid, atttypmod) FROM pg_attribute "
    "WHERE attrelid = to_regclass(:table) AND attname = :column AND NOT attisdropped"
)


class PostgresqlImpl(AlembicPostgresqlImpl):
    """Refuses a change of a type by which a value would change: a time cut to its date, a number rounded."""

    __dialect__ = "postgresql"

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
        with suppress(NoSuchTableError):
            for each in inspect(self.connection).get_columns(table_name, schema):
                enum = native_enum(each["type"], self.dialect)
                if enum is not None and column_name in (None, each["name"]):
                    self._left[str(enum.name)] = enum

    def compare_type(self, inspector_column: Column[Any], metadata_column: Column[Any]) -> bool:
        """Also the values that a type lists."""
        old, new = (native_enum(each.type, self.dialect) for each in (inspector_column, metadata_column))
        if old is not None and new is not None and old.enums != new.enums:
            return True
        return super().compare_type(inspector_column, metadata_column)

    # -- values ------------------------------------------------------------------------------------------------

    def alter_column(
        self,
        table_name: str,
        column_name: str,
        *,
        type_: TypeEngine[Any] | None = None,
        schema: str | None = None,
        **options: Any,
    ) -> None:
        """Look at the values before; who gives `postgresql_using` has said what they become."""
        enum = native_enum(type_, self.dialect)
        if type_ is not None and not self.as_sql:
            self._leave_types(table_name, schema, column_name)
        if enum is not None and type_ is not None and self.connection is not None and not self.as_sql:
            require_type(self.connection, enum)
            change_values(self.connection, enum)
            wanted = self.dialect.type_compiler_instance.process(type_)
            if (self._declared(table_name, column_name, schema) or "").lower() == wanted.lower():
                type_ = None
            else:
                column = self.dialect.identifier_preparer.quote(column_name)
                options.setdefault("postgresql_using", f"{column}::text::{wanted}")
        if type_ is not None and not self.as_sql and not options.get("postgresql_using"):
            self._require_exact(table_name, column_name, type_, schema)
        super().alter_column(table_name, column_name, type_=type_, schema=schema, **options)

    def render_ddl_sql_expr(self, *arguments: Any, **options: Any) -> str:
        """An expression to be written into a migration: for every driver, and so without per cent signs doubled."""
        text = super().render_ddl_sql_expr(*arguments, **options)
        is_doubled = self.dialect.identifier_preparer._double_percents  # noqa: SLF001 - there is no public one
        return text.replace("%%", "%") if is_doubled else text

    def _declared(self, table_name: str, column_name: str, schema: str | None) -> str | None:
        assert self.connection is not None
        name = self.dialect.identifier_preparer.format_table(Table(table_name, MetaData(), schema=schema))
        found: str | None = self.connection.scalar(_DECLARED, {"table": name, "column": column_name})
        return found

    def _require_exact(self, table_name: str, column_name: str, type_: TypeEngine[Any], schema: str | None) -> None:
        assert self.connection is not None
        old = self._declared(table_name, column_name, schema)
        new = self.dialect.type_compiler_instance.process(type_)
        if old is None or old.lower() == new.lower():
            return
        keys = inspect(self.connection).get_pk_constraint(table_name, schema)["constrained_columns"]
        table = Table(table_name, MetaData(), *(Column(key, primary_key=True) for key in keys), schema=schema)
        try:
            # In an autocommit block there is no transaction that an error could end, and so no savepoint.
            if self.connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
                require_round_trip(self.connection, table, column_name, (old, new))
            else:
                with self.connection.begin_nested():
                    require_round_trip(self.connection, table, column_name, (old, new))
        except DBAPIError:
            # It cannot be cast, or not compared: PostgreSQL itself will say so.
            return
