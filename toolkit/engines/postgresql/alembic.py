"""Alembic for PostgreSQL, which rounds and cuts in silence where an assignment may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alembic.ddl.postgresql import PostgresqlImpl as AlembicPostgresqlImpl
from sqlalchemy import Column, MetaData, Table, inspect, text
from sqlalchemy.exc import DBAPIError

from toolkit.engines.portable.changed_types import require_round_trip

if TYPE_CHECKING:
    from sqlalchemy.types import TypeEngine

_DECLARED = text(
    "SELECT format_type(atttypid, atttypmod) FROM pg_attribute "
    "WHERE attrelid = to_regclass(:table) AND attname = :column AND NOT attisdropped"
)


class PostgresqlImpl(AlembicPostgresqlImpl):
    """Refuses a change of a type by which a value would change: a time cut to its date, a number rounded."""

    __dialect__ = "postgresql"

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
        if type_ is not None and not self.as_sql and not options.get("postgresql_using"):
            self._require_exact(table_name, column_name, type_, schema)
        super().alter_column(table_name, column_name, type_=type_, schema=schema, **options)

    def render_ddl_sql_expr(self, *arguments: Any, **options: Any) -> str:
        """An expression to be written into a migration: for every driver, and so without per cent signs doubled."""
        text = super().render_ddl_sql_expr(*arguments, **options)
        is_doubled = self.dialect.identifier_preparer._double_percents  # noqa: SLF001 - there is no public one
        return text.replace("%%", "%") if is_doubled else text

    def _require_exact(self, table_name: str, column_name: str, type_: TypeEngine[Any], schema: str | None) -> None:
        assert self.connection is not None
        table = Table(table_name, MetaData(), schema=schema)
        name = self.dialect.identifier_preparer.format_table(table)
        old = self.connection.scalar(_DECLARED, {"table": name, "column": column_name})
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
