"""Alembic for MariaDB: a changed column keeps what is not changed of it, and each of its values."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from alembic.ddl.mysql import MySQLImpl
from alembic.util import CommandError
from sqlalchemy import (
    Column,
    ForeignKeyConstraint,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    inspect,
    literal_column,
    select,
)
from sqlalchemy.exc import DBAPIError

from toolkit.core.implicit_names import implicit_name
from toolkit.core.verbatim import verbatim
from toolkit.engines.mariadb.alembic_session import accept
from toolkit.engines.mariadb.column_definition import Changes, ColumnDefinition, keyed_table
from toolkit.engines.mariadb.compared_types import is_same_type, usual_type
from toolkit.engines.mariadb.dialect import is_enforced
from toolkit.engines.mariadb.kept_column import keeping_values, locked
from toolkit.engines.mariadb.modes import MODES, STANDARD, set_mode
from toolkit.engines.portable.alembic_batch import identifiers
from toolkit.engines.portable.changed_types import instance_of, require_not_null, require_parents, require_unique
from toolkit.errors import MigrationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Inspector
    from sqlalchemy.types import TypeEngine

_NOT_HERE = "MariaDB is told all of a column to change it, which only the database knows: run it without --sql."


class MariaDBImpl(MySQLImpl):
    """Says all of a column that it changes, and lets go with a column what PostgreSQL does."""

    __dialect__ = "mysql"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.as_sql:
            accept(self.dialect)

    # -- columns -------------------------------------------------------------------------------------------

    def alter_column(
        self,
        table_name: str,
        column_name: str,
        *,
        nullable: bool | None = None,
        server_default: Any = False,
        name: str | None = None,
        type_: TypeEngine[Any] | None = None,
        schema: str | None = None,
        autoincrement: bool | None = None,
        comment: Any = False,
        **_: Any,
    ) -> None:
        """In place, by what the database itself says of the column, whatever the migration knows of it."""
        alter = f"ALTER TABLE {self._place(table_name, schema)}"
        if type_ is not None or nullable is not None or autoincrement is not None or comment is not False:
            column = ColumnDefinition(self._asked, table_name, column_name, schema)
            type_ = instance_of(type_)
            changes = Changes(type_, nullable, server_default, comment, autoincrement)
            statement = f"{alter} MODIFY {self._quoted(column_name)} {column.changed(changes)}"
            if nullable is False:
                require_not_null(self._asked, column.table, column_name)
            new = None if type_ is None else column.type_of(type_)
            if new is not None and column.is_changed(new):
                with keeping_values(self._asked, column, new):
                    self._run(statement)
            else:
                self._run(statement)
        elif server_default is not False:
            self._set_default(alter, table_name, column_name, server_default, schema)
        if name is not None and name != column_name:
            self._run(f"{alter} RENAME COLUMN {self._quoted(column_name)} TO {self._quoted(name)}")

    def _set_default(self, alter: str, table_name: str, column_name: str, default: Any, schema: str | None) -> None:
        if default is None:
            change = "DROP DEFAULT"
        else:
            made = ColumnDefinition(self._asked, table_name, column_name, schema).default_text(default, None)
            change = f"SET DEFAULT {made}"
        self._run(f"{alter} ALTER COLUMN {self._quoted(column_name)} {change}")

    def add_column(self, table_name: str, column: Column[Any], *, schema: str | None = None, **options: Any) -> None:
        """The column; one that has to have a value gets one where there are rows, which the server would make up."""
        has_value = column.nullable or column.server_default is not None or column.computed is not None
        if has_value or column.autoincrement is True:
            super().add_column(table_name, column, schema=schema, **options)
            return
        table = Table(table_name, MetaData(), schema=schema)
        with locked(self._asked, table):
            if self._asked.execute(select(literal_column("1")).select_from(table).limit(1)).first() is not None:
                raise MigrationError(
                    f"{table.fullname} has rows, which have no value for the new column {column.name}: it is NOT NULL.",
                    "Add it with a server_default, or as one that may be NULL, which later becomes NOT NULL.",
                )
            super().add_column(table_name, column, schema=schema, **options)

    def drop_column(
        self,
        table_name: str,
        column: Column[Any],
        *,
        schema: str | None = None,
        if_exists: bool | None = None,
        **_: Any,
    ) -> None:
        """The column, with the keys, indexes and checks that it is a part of: the server would shorten indexes."""
        if self.as_sql:
            raise CommandError(_NOT_HERE)
        there = inspect(self._asked)
        if if_exists and column.name not in {each["name"] for each in there.get_columns(table_name, schema)}:
            return
        parts = [
            f"DROP FOREIGN KEY {self._quoted(str(each['name']))}"
            for each in there.get_foreign_keys(table_name, schema)
            if column.name in each["constrained_columns"]
        ]
        kept = [
            each
            for each in there.get_foreign_keys(table_name, schema)
            if column.name not in each["constrained_columns"]
        ]
        for each in there.get_indexes(table_name, schema):
            if column.name in each["column_names"]:
                parts += self._without_index(there, table_name, schema, str(each["name"]), kept)
        parts += [
            f"DROP CONSTRAINT {self._quoted(str(each['name']))}"
            for each in there.get_check_constraints(table_name, schema)
            if each["name"] and column.name in _names_in(str(each["sqltext"]))
        ]
        parts.append(f"DROP COLUMN {self._quoted(str(column.name))}")
        self._run(f"ALTER TABLE {self._place(table_name, schema)} {', '.join(dict.fromkeys(parts))}")

    # -- constraints and indexes ---------------------------------------------------------------------------

    def add_constraint(self, const: Any, **options: Any) -> None:
        """The constraint; a row that is in its way is named, where it is one of a parent or of twins."""
        with self._refused_rows(const.table, const):
            super().add_constraint(const, **options)

    def drop_constraint(self, const: Any, **options: Any) -> None:
        """The constraint, also by the name that one without has elsewhere; a foreign key keeps the index it needs."""
        if self.as_sql or isinstance(const, PrimaryKeyConstraint):
            super().drop_constraint(const, **options)
            return
        table, schema, name = const.table.name, const.table.schema, str(const.name)
        there = inspect(self._asked)
        keys, uniques = there.get_foreign_keys(table, schema), there.get_unique_constraints(table, schema)
        for each in keys:
            if name in (each["name"], implicit_name(table, each["constrained_columns"], "fkey")):
                self._run(
                    f"ALTER TABLE {self._place(table, schema)} DROP FOREIGN KEY {self._quoted(str(each['name']))}"
                )
                return
        for unique in uniques:
            if name in (unique["name"], implicit_name(table, unique["column_names"], "key")):
                parts = self._without_index(there, table, schema, str(unique["name"]), keys)
                self._run(f"ALTER TABLE {self._place(table, schema)} {', '.join(parts)}")
                return
        self._run(f"ALTER TABLE {self._place(table, schema)} DROP CONSTRAINT {self._quoted(name)}")

    def create_index(self, index: Index, **options: Any) -> None:
        """The index, of columns whose types are known: of long ones it takes the beginnings."""
        if not self.as_sql:
            _with_types(index, self._asked)
        with self._refused_rows(index.table, index):
            super().create_index(index, **options)

    def drop_index(self, index: Index, **options: Any) -> None:
        """The index; a foreign key that needs it gets one of its own."""
        table = index.table
        if self.as_sql or table is None:
            super().drop_index(index, **options)
            return
        there = inspect(self._asked)
        known = {each["name"] for each in there.get_indexes(table.name, table.schema)}
        if options.get("if_exists") and index.name not in known:
            return
        keys = there.get_foreign_keys(table.name, table.schema)
        parts = self._without_index(there, table.name, table.schema, str(index.name), keys)
        self._run(f"ALTER TABLE {self._place(table.name, table.schema)} {', '.join(parts)}")

    def _without_index(self, there: Inspector, table: str, schema: str | None, name: str, keys: list[Any]) -> list[str]:
        """What drops an index, and makes those that foreign keys need in its place."""
        parts = [f"DROP INDEX {self._quoted(name)}"]
        indexes: dict[str, list[Any]] = {
            str(each["name"]): each["column_names"] for each in there.get_indexes(table, schema)
        }
        gone, rest = indexes.pop(name, []), [*indexes.values()]
        rest.append(there.get_pk_constraint(table, schema)["constrained_columns"])
        for each in keys:
            columns = each["constrained_columns"]
            if gone[: len(columns)] == columns and not any(own[: len(columns)] == columns for own in rest):
                listed = ", ".join(map(self._quoted, columns))
                parts.append(f"ADD INDEX {self._quoted(str(each['name']))} ({listed})")
                rest.append(columns)
        return parts

    @contextmanager
    def _refused_rows(self, table: Table | None, item: Any) -> Iterator[None]:
        """Name the rows that do not fit."""
        try:
            yield
        except DBAPIError:
            if self.as_sql or table is None:
                raise
            if isinstance(item, ForeignKeyConstraint):
                require_parents(self._asked, keyed_table(self._asked, table.name, table.schema), item)
            if isinstance(item, UniqueConstraint):
                item = Index(str(item.name), *item.columns, unique=True)
            if isinstance(item, Index):
                require_unique(self._asked, item)
            raise

    def _compare_index_unique(self, metadata_index: Index, reflected_index: Index) -> str | None:
        if is_enforced(metadata_index) == bool(reflected_index.unique):
            return None
        return super()._compare_index_unique(metadata_index, reflected_index)

    # -- scripts -------------------------------------------------------------------------------------------

    def start_migrations(self) -> None:
        """Of a script: how its SQL is understood, and that nothing of it is undone."""
        super().start_migrations()
        if self.as_sql:
            self.static_output("-- MariaDB commits each statement that changes a schema by itself: stop at an error.")
            self.static_output(set_mode(*MODES, *STANDARD) + self.command_terminator)

    # -- comparison ----------------------------------------------------------------------------------------

    def compare_type(self, inspector_column: Column[Any], metadata_column: Column[Any]) -> bool:
        """Whether the type is another than a table that is made has."""
        return not is_same_type(self.dialect, inspector_column, metadata_column)

    def usual_type(self, type_: TypeEngine[Any]) -> TypeEngine[Any]:
        """What every engine has in place of one that was read."""
        return usual_type(self.dialect, type_)

    # -- the database --------------------------------------------------------------------------------------

    @property
    def _asked(self) -> Connection:
        if self.as_sql or self.connection is None:
            raise CommandError(_NOT_HERE)
        return self.connection

    def _run(self, statement: str) -> None:
        """Run a statement as it is, but for percent signs that the dialect has doubled in names."""
        self._exec(verbatim(statement.replace("%%", "%")))

    def _place(self, table: str, schema: str | None) -> str:
        return str(self.dialect.identifier_preparer.format_table(Table(table, MetaData(), schema=schema)))

    def _quoted(self, name: str) -> str:
        return str(self.dialect.identifier_preparer.quote_identifier(name))


class NamedMariaDBImpl(MariaDBImpl):
    """The same for an application whose address says `mariadb`."""

    __dialect__ = "mariadb"


def _names_in(condition: str) -> set[str]:
    return identifiers(condition.replace("`", '"'))


def _with_types(index: Index, connection: Connection) -> None:
    """Give the columns of an index that is to be made the types that they have."""
    table = index.table
    if table is None:
        return
    there = {each["name"]: each["type"] for each in inspect(connection).get_columns(table.name, table.schema)}
    for column in table.columns:
        if column.name in there:
            column.type = there[column.name]
