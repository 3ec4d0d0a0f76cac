"""Alembic for PostgreSQL, which rounds and cuts in silence where an assignment may, and elsewhere names no row."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DefaultClause,
    ForeignKeyConstraint,
    MetaData,
    Table,
    Text,
    TextClause,
    false,
    inspect,
    literal,
    literal_column,
    select,
    text,
    true,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.exc import DBAPIError, IntegrityError

from toolkit.core.values import shortened
from toolkit.engines.portable.changed_types import (
    instance_of,
    lost_as,
    require_none,
    require_not_null,
    require_parents,
)
from toolkit.engines.portable.kept_values import lost, require_members
from toolkit.engines.postgresql.alembic_enums import EnumeratingImpl
from toolkit.errors import MigrationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Index
    from sqlalchemy.types import TypeEngine

_DECLARED = text(
    "SELECT format_type(atttypid, atttypmod) FROM pg_attribute "
    "WHERE attrelid = to_regclass(:table) AND attname = :column AND NOT attisdropped"
)
_DEFAULT = text(
    "SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef AS d JOIN pg_attribute AS a "
    "ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE a.attrelid = to_regclass(:table) AND a.attname = :column"
)
_DEFAULT_OF_ANOTHER_TYPE = "42804"
_NO_CAST = frozenset({"42846", "42883", "42804"})
"""There is no cast, or what it gives cannot be compared."""
_REFUSED_VALUE = ("22", "23")
_TRUTHS = {"0": false(), "1": true()}
_JSON = frozenset({"json", "jsonb"})
_Way = Callable[[str], str]
# In pg_temp, and gone with the savepoint: each row is tried by itself, which takes long, so only when one fails.
_TRY_EACH = """
CREATE OR REPLACE FUNCTION pg_temp.toolkit_loses(toolkit_row {place}) RETURNS boolean LANGUAGE plpgsql AS $toolkit$
BEGIN
    RETURN (SELECT {condition} FROM (SELECT (toolkit_row).*) AS {table});
EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
    RETURN true;
END $toolkit$
"""


class PostgresqlImpl(EnumeratingImpl):
    """Changes a type where every value stays what it is, as text or by itself; names the first row that would not."""

    __dialect__ = "postgresql"

    def alter_column(
        self,
        table_name: str,
        column_name: str,
        *,
        nullable: bool | None = None,
        type_: TypeEngine[Any] | None = None,
        schema: str | None = None,
        **options: Any,
    ) -> None:
        """Look at the values before; who gives `postgresql_using` has said what they become."""
        type_, options["existing_type"] = instance_of(type_), instance_of(options.get("existing_type"))
        default, of = options.get("server_default"), type_ if type_ is not None else options["existing_type"]
        if isinstance(of, Boolean) and isinstance(default, str | TextClause):
            options["server_default"] = _with_truth(Column("a", of, server_default=default)).server_default
        if type_ is not None and not self.as_sql:
            type_ = self.prepare_values(table_name, column_name, type_, schema, options)
        options |= {"nullable": nullable, "type_": type_, "schema": schema}
        if self.as_sql:
            super().alter_column(table_name, column_name, **options)
            return
        change = _Change(self.connection, table_name, column_name, schema)
        with change.told():
            if type_ is not None and not options.get("postgresql_using"):
                options["postgresql_using"] = change.conversion(type_)
            if nullable is False:
                require_not_null(change.connection, change.table, column_name)
            try:
                with change.savepoint():
                    super().alter_column(table_name, column_name, **options)
            except DBAPIError as error:
                using = options.get("postgresql_using")
                if type_ is not None and using and _state(error).startswith(_REFUSED_VALUE):
                    change.require_convertible(using, type_)
                if type_ is None or _state(error) != _DEFAULT_OF_ANOTHER_TYPE:
                    raise
                with change.default_kept(type_, is_replaced=options.get("server_default", False) is not False):
                    super().alter_column(table_name, column_name, **options)

    def render_ddl_sql_expr(self, *arguments: Any, **options: Any) -> str:
        """An expression to be written into a migration: for every driver, and so without per cent signs doubled."""
        text = super().render_ddl_sql_expr(*arguments, **options)
        is_doubled = self.dialect.identifier_preparer._double_percents  # noqa: SLF001 - there is no public one
        return text.replace("%%", "%") if is_doubled else text

    def same_constants(self, left: str, right: str, type_: TypeEngine[Any]) -> bool:
        """Whether two texts are the same value of a type: PostgreSQL writes defaults down in its own form."""
        assert self.connection is not None
        texts = [sql_cast(sql_cast(literal(each, Text()), type_), Text()) for each in (left, right)]
        try:
            with self.connection.begin_nested():
                return bool(self.connection.scalar(select(texts[0] == texts[1])))
        except DBAPIError:
            return False

    def create_table(self, table: Table, **options: Any) -> None:
        """The table."""
        for column in table.columns:
            _with_truth(column)
        super().create_table(table, **options)

    def add_column(self, table_name: str, column: Column[Any], **options: Any) -> None:
        """The column."""
        super().add_column(table_name, _with_truth(column), **options)

    def add_constraint(self, const: Any, **options: Any) -> None:
        """The constraint; if rows are in its way, names the first."""
        with self._refused_rows(const.table, const):
            super().add_constraint(const, **options)

    def create_index(self, index: Index, **options: Any) -> None:
        """The index; if rows are in its way, names their values."""
        with self._refused_rows(index.table, None):
            super().create_index(index, **options)

    @contextmanager
    def _refused_rows(self, table: Table | None, constraint: Any) -> Iterator[None]:
        if self.as_sql or table is None:
            yield
            return
        change = _Change(self.connection, table.name, "", table.schema)
        try:
            with change.savepoint():
                yield
        except IntegrityError as error:
            if isinstance(constraint, ForeignKeyConstraint):
                require_parents(change.connection, change.table, constraint)
            said: Any = error.orig
            is_check = isinstance(constraint, CheckConstraint)
            place = change.table.fullname + (change.first_against(constraint) if is_check else "")
            detail = f" ({said.diag.message_detail.rstrip('.')})" if said.diag.message_detail else ""
            raise MigrationError(
                f"{place} does not fit the migration: {said.diag.message_primary}{detail}.",
                "Correct such rows in a migration before this one (op.execute).",
            ) from error


def _with_truth(column: Column[Any]) -> Column[Any]:
    """Let a truth value's default that was generated on SQLite, 0 or 1, be what PostgreSQL takes."""
    found = str(getattr(getattr(column.server_default, "arg", None), "text", "")).strip("() ")
    if isinstance(column.type, Boolean) and found in _TRUTHS:
        column.server_default = DefaultClause(_TRUTHS[found])
    return column


class _Change:
    """One column, and what it becomes."""

    def __init__(self, connection: Connection | None, table_name: str, column_name: str, schema: str | None) -> None:
        assert connection is not None
        self.connection, self._column = connection, column_name
        keys = inspect(connection).get_pk_constraint(table_name, schema)["constrained_columns"]
        self.table = Table(table_name, MetaData(), *(Column(key, primary_key=True) for key in keys), schema=schema)
        preparer = connection.dialect.identifier_preparer
        self._name, self._place = preparer.quote_identifier(column_name), preparer.format_table(self.table)

    def conversion(self, type_: TypeEngine[Any]) -> str | None:
        """The expression by which all values become what they are of the new type; None without anything to convert.

        Raises:
            UnrepresentableValueError: one does not.
            MigrationError: PostgreSQL knows no way.
        """
        old = self.connection.scalar(_DECLARED, {"table": self._place, "column": self._column})
        new = self._text(type_)
        require_members(self.connection, self.table, self._column, type_)
        if old is None or old.lower() == new.lower():
            return None
        if self._is_transactional:
            # As the change itself would: no row comes in between.
            self._run(f"LOCK TABLE {self._place} IN ACCESS EXCLUSIVE MODE")
        if {old, new.lower()} <= _JSON:
            return f"CAST({self._name} AS {new})"
        for way, changed in _ways(old, new):

            def shown_otherwise(value: str, way: _Way = way) -> str:
                return f"CAST({way(value)} AS TEXT) IS DISTINCT FROM CAST({value} AS TEXT)"

            if any(self._has_none(condition, old, new) for condition in (changed, shown_otherwise)):
                return way(self._name)
        raise MigrationError(
            f"{self.table.fullname}.{self._column}: PostgreSQL has no cast from {old} to {new}.",
            "Say how values are converted: batch_op.alter_column(…, postgresql_using='…').",
        )

    @contextmanager
    def default_kept(self, type_: TypeEngine[Any], *, is_replaced: bool) -> Iterator[None]:
        """Take the default away for the block, and give it back as one of the new type unless another came."""
        default = self.connection.scalar(_DEFAULT, {"table": self._place, "column": self._column})
        change = f"ALTER TABLE {self._place} ALTER COLUMN {self._name}"
        self._run(f"{change} DROP DEFAULT")
        yield
        if not is_replaced:
            self._run(f"{change} SET DEFAULT CAST({default} AS {self._text(type_)})")

    @contextmanager
    def told(self) -> Iterator[None]:
        """Say which column it is that PostgreSQL refuses to change, and all that it says."""
        try:
            yield
        except DBAPIError as error:
            said = getattr(error.orig, "diag", None)
            if said is None or said.message_primary is None:
                raise
            detail = f" ({said.message_detail.rstrip('.')})" if said.message_detail else ""
            raise MigrationError(
                f"{self.table.fullname}.{self._column} cannot be changed in this way: {said.message_primary}{detail}.",
                said.message_hint or "Change what prevents it earlier in the same migration.",
            ) from error

    def savepoint(self) -> Any:
        """In an autocommit block there is no transaction that an error could end."""
        return self.connection.begin_nested() if self._is_transactional else nullcontext()

    def first_against(self, check: CheckConstraint) -> str:
        """The key of the first row that breaks it, with a space before; empty if that cannot be told."""
        options = {"literal_binds": True, "include_table": False}
        compiled = str(check.sqltext.compile(dialect=self.connection.dialect, compile_kwargs=options))
        condition: Any = literal_column(f"NOT ({compiled.replace('%%', '%')})")
        keys = [*self.table.columns]
        found = None
        with suppress(DBAPIError), self.savepoint():
            found = self.connection.execute(select(*keys).where(condition).limit(1)).first() if keys else None
        if found is None:
            return ""
        return " " + ", ".join(f"{key.name}={shortened(str(each))}" for key, each in zip(keys, found, strict=True))

    def _has_none(self, condition: _Way, old: str, new: str) -> bool:
        name = self._name
        try:
            with self.savepoint():
                self._refuse(f"{name} IS NOT NULL AND {condition(name)}", new)
        except DBAPIError as error:
            if _state(error) in _NO_CAST:
                return False
            if not _state(error).startswith(_REFUSED_VALUE):
                raise
            self._try_each(f"{name} IS NOT NULL AND {condition(name)}", new)
            raise
        return True

    def _try_each(self, condition: str, new: str) -> None:
        table = self.connection.dialect.identifier_preparer.quote_identifier(self.table.name)
        with self.savepoint():
            self._run(_TRY_EACH.format(place=self._place, table=table, condition=condition))
            self._refuse(f"pg_temp.toolkit_loses({table}.*)", new)

    def require_convertible(self, using: str, type_: TypeEngine[Any]) -> None:
        """See that what a migration says a value becomes can be of the new type.

        Raises:
            UnrepresentableValueError: it cannot.
        """
        new = self._text(type_)
        # An aggregate, so that it is computed.
        self._try_each(f"count(CAST(({using}) AS {new})) < 0", new)

    def _refuse(self, condition: str, new: str) -> None:
        require_none(self.connection, self.table, self._column, condition, lost_as(new))

    @property
    def _is_transactional(self) -> bool:
        return self.connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT"

    def _run(self, statement: str) -> None:
        self.connection.exec_driver_sql(statement.replace("%", "%%"))

    def _text(self, type_: TypeEngine[Any]) -> str:
        return self.connection.dialect.type_compiler_instance.process(type_)


def _ways(old: str, new: str) -> Iterator[tuple[_Way, _Way]]:
    """How a value may become one of another type, and the condition of those that would not come back from it."""
    zones = [re.fullmatch(r"timestamp\b.*?(with time zone)?", each, re.IGNORECASE) for each in (old, new)]
    if zones[0] and zones[1] and bool(zones[0][1]) != bool(zones[1][1]):
        # Not by the session's zone, which may be another on each machine.
        yield (
            lambda value: f"CAST({value} AT TIME ZONE 'UTC' AS {new})",
            lambda value: f"CAST(CAST({value} AT TIME ZONE 'UTC' AS {new}) AT TIME ZONE 'UTC' AS {old}) <> {value}",
        )
        return

    def directly(value: str) -> str:
        return f"CAST({value} AS {new})"

    def by_its_text(value: str) -> str:
        return f"CAST(CAST({value} AS TEXT) AS {new})"

    yield directly, lambda value: lost(value, old, new, directly(value))
    yield by_its_text, lambda value: lost(value, old, new, by_its_text(value))


def _state(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", ""))
