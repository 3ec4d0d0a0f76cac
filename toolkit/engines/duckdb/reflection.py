"""What a DuckDB database contains, read from DuckDB's own catalog functions in SQLAlchemy's terms.

Two things DuckDB does not store, and how they are known all the same:

- the name of a unique constraint: the dialect makes a named one as a unique index, which has a name. It is
  reported as both, as MySQL's dialect does (`duplicates_index`).
- the name of a CHECK: the dialect writes it into the expression, `('name' IS NOT NULL) AND (…)`, which DuckDB
  also shows when a row violates it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy import types as sqltypes
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import default, reflection
from sqlalchemy.exc import NoSuchTableError

from toolkit.core.engine_type import EngineType
from toolkit.engines.duckdb.expressions import as_given
from toolkit.engines.portable.alembic_batch import unquoted_identifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy.engine import Connection
    from sqlalchemy.engine.interfaces import (
        ReflectedCheckConstraint,
        ReflectedColumn,
        ReflectedForeignKeyConstraint,
        ReflectedIndex,
        ReflectedPrimaryKeyConstraint,
        ReflectedTableComment,
        ReflectedUniqueConstraint,
    )
    from sqlalchemy.types import TypeEngine

_TYPES: dict[str, TypeEngine[Any]] = {
    "BIGINT": sqltypes.BIGINT(),
    "BLOB": sqltypes.BLOB(),
    "BOOLEAN": sqltypes.BOOLEAN(),
    "DATE": sqltypes.DATE(),
    "DOUBLE": sqltypes.DOUBLE(),
    "FLOAT": sqltypes.REAL(),
    "INTEGER": sqltypes.INTEGER(),
    "INTERVAL": postgresql.INTERVAL(),
    "JSON": sqltypes.JSON(),
    "SMALLINT": sqltypes.SMALLINT(),
    "TIME": sqltypes.TIME(),
    "TIME WITH TIME ZONE": sqltypes.TIME(timezone=True),
    "TIMESTAMP": sqltypes.TIMESTAMP(),
    "TIMESTAMP WITH TIME ZONE": sqltypes.TIMESTAMP(timezone=True),
    "UUID": sqltypes.UUID(),
    "VARCHAR": sqltypes.VARCHAR(),
    **{
        name: EngineType("duckdb", name, like=like)
        for name, like in (
            ("TINYINT", sqltypes.SmallInteger()),
            ("UTINYINT", sqltypes.SmallInteger()),
            ("USMALLINT", sqltypes.Integer()),
            ("UINTEGER", sqltypes.BigInteger()),
            ("TIMESTAMP_S", sqltypes.DateTime()),
            ("TIMESTAMP_MS", sqltypes.DateTime()),
        )
    },
}
# What keeps the text of other numbers elsewhere as a number.
_NUMBERS: dict[str, TypeEngine[Any]] = dict.fromkeys(("HUGEINT", "UHUGEINT"), sqltypes.Numeric(39, 0))
_NUMBERS |= {"UBIGINT": sqltypes.Numeric(20, 0), "BIGNUM": sqltypes.Numeric(), "BIT": postgresql.BIT(varying=True)}
_LISTED = frozenset(
    {"BIGINT", "BLOB", "BOOLEAN", "DATE", "DOUBLE", "FLOAT", "INTEGER", "JSON", "SMALLINT", "TIME", "TIMESTAMP"}
    | {"TIMESTAMP WITH TIME ZONE", "UUID", "VARCHAR"}
)
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_LABELLED = re.compile(r"\(\('((?:[^']|'')*)' IS NOT NULL\) AND (.*)\)", re.DOTALL)
_NEXTVAL = re.compile(r"nextval\('((?:[^']|'')*)'\)")
# Where the catalog functions are asked about one table, or all tables of one schema.
_IN_SCHEMA = """database_name = coalesce(:database, current_database())
                AND schema_name = coalesce(:schema, current_schema())"""


def parse_type(definition: str) -> TypeEngine[Any]:
    """The SQLAlchemy type for what `duckdb_columns()` calls `data_type`."""
    if definition in _TYPES:
        return _TYPES[definition]
    if decimal := _DECIMAL.fullmatch(definition):
        return sqltypes.NUMERIC(int(decimal[1]), int(decimal[2]))
    element, dimensions = definition, 0
    while element.endswith("[]"):
        element, dimensions = element[:-2], dimensions + 1
    # The elements of all others have a form of DuckDB's own inside a list.
    if dimensions and (element in _LISTED or _DECIMAL.fullmatch(element)):
        return sqltypes.ARRAY(parse_type(element), dimensions=dimensions)
    return EngineType("duckdb", definition, elsewhere=_NUMBERS.get(definition))


def sequence_of(default_text: str | None) -> str | None:
    """The sequence (as SQL text, quoted where needed) that a column's default takes its values from."""
    found = _NEXTVAL.fullmatch(default_text or "")
    return found[1].replace("''", "'") if found else None


def label_check(name: str, expression: str) -> str:
    """A CHECK's expression with its name in it."""
    return "('{}' IS NOT NULL) AND ({})".format(name.replace("'", "''"), expression)


def check_of(name: str, expression: str) -> ReflectedCheckConstraint:
    """A CHECK by the name that the dialect wrote into it, else by DuckDB's own."""
    labelled = _LABELLED.fullmatch(expression)
    if labelled is None:
        return {"name": name, "sqltext": expression}
    return {"name": labelled[1].replace("''", "'"), "sqltext": labelled[2]}


def label_of(expression: str) -> str | None:
    """The name in a CHECK's expression, if it has one."""
    found = _LABELLED.search(expression)
    return found[1].replace("''", "'") if found else None


class CatalogReflection:
    """The reflection half of the dialect; mixed in before duckdb-engine's, whose queries DuckDB refuses."""

    identifier_preparer: Any

    # PostgreSQL's versions of these ask pg_catalog for many tables at once; the default ones ask the methods
    # below.
    get_multi_pk_constraint = default.DefaultDialect.get_multi_pk_constraint
    get_multi_foreign_keys = default.DefaultDialect.get_multi_foreign_keys
    get_multi_unique_constraints = default.DefaultDialect.get_multi_unique_constraints
    get_multi_table_comment = default.DefaultDialect.get_multi_table_comment

    # `Table` reflection makes text() of what these return, and text() takes a colon for a parameter.
    def get_multi_columns(self, *args: Any, **kw: Any) -> Any:
        """The columns of many tables."""
        return _escaped(default.DefaultDialect.get_multi_columns(self, *args, **kw))  # type: ignore[arg-type, no-untyped-call]

    def get_multi_indexes(self, *args: Any, **kw: Any) -> Any:
        """The indexes of many tables."""
        return _escaped(default.DefaultDialect.get_multi_indexes(self, *args, **kw))  # type: ignore[arg-type, no-untyped-call]

    def get_multi_check_constraints(self, *args: Any, **kw: Any) -> Any:
        """The CHECKs of many tables."""
        return _escaped(default.DefaultDialect.get_multi_check_constraints(self, *args, **kw))  # type: ignore[arg-type, no-untyped-call]

    # -- names ---------------------------------------------------------------------------------------------

    @reflection.cache
    def get_schema_names(self, connection: Connection, **_: Any) -> list[str]:
        """Schemas of the current database, without DuckDB's own."""
        query = """SELECT schema_name FROM duckdb_schemas() WHERE database_name = current_database()
                   AND schema_name NOT IN ('information_schema', 'pg_catalog') ORDER BY ALL"""
        return list(connection.scalars(text(query)))

    @reflection.cache
    def get_table_names(self, connection: Connection, schema: str | None = None, **_: Any) -> list[str]:
        """Tables of one schema."""
        return self._names(connection, "table_name FROM duckdb_tables()", schema)

    @reflection.cache
    def get_view_names(self, connection: Connection, schema: str | None = None, **_: Any) -> list[str]:
        """Views of one schema, without DuckDB's own."""
        return self._names(connection, "view_name FROM duckdb_views()", schema, "AND NOT internal")

    @reflection.cache
    def get_sequence_names(self, connection: Connection, schema: str | None = None, **_: Any) -> list[str]:
        """Sequences of one schema."""
        return self._names(connection, "sequence_name FROM duckdb_sequences()", schema)

    @reflection.cache
    def get_temp_table_names(self, connection: Connection, **_: Any) -> list[str]:
        """Temporary tables of this connection."""
        return list(connection.scalars(text("SELECT table_name FROM duckdb_tables() WHERE temporary")))

    @reflection.cache
    def get_temp_view_names(self, connection: Connection, **_: Any) -> list[str]:
        """Temporary views of this connection."""
        query = "SELECT view_name FROM duckdb_views() WHERE temporary AND NOT internal"
        return list(connection.scalars(text(query)))

    def get_materialized_view_names(self, *_: Any, **__: Any) -> list[str]:
        """None: DuckDB has no materialized views."""
        return []

    @reflection.cache
    def get_view_definition(self, connection: Connection, view_name: str, schema: str | None = None, **_: Any) -> str:
        """The statement that made the view."""
        query = f"SELECT sql FROM duckdb_views() WHERE {_IN_SCHEMA} AND view_name = :name"
        found = connection.scalar(text(query), self._where(schema, view_name))
        if found is None:
            raise NoSuchTableError(view_name)
        return str(found)

    def has_schema(self, connection: Connection, schema: str, **kw: Any) -> bool:
        """Whether the current database has that schema."""
        return schema in self.get_schema_names(connection, **kw)

    @reflection.cache
    def has_table(self, connection: Connection, table_name: str, schema: str | None = None, **_: Any) -> bool:
        """Whether there is a table or a view of that name."""
        query = f"""SELECT 1 FROM duckdb_tables() WHERE {_IN_SCHEMA} AND table_name = :name
                    UNION ALL SELECT 1 FROM duckdb_views() WHERE {_IN_SCHEMA} AND view_name = :name"""
        return connection.execute(text(query), self._where(schema, table_name)).first() is not None

    @reflection.cache
    def has_sequence(self, connection: Connection, sequence_name: str, schema: str | None = None, **_: Any) -> bool:
        """Whether there is a sequence of that name."""
        return sequence_name in self._names(connection, "sequence_name FROM duckdb_sequences()", schema)

    def get_table_oid(self, connection: Connection, table_name: str, schema: str | None = None, **_: Any) -> int:
        """DuckDB's number for the table."""
        query = f"SELECT table_oid FROM duckdb_tables() WHERE {_IN_SCHEMA} AND table_name = :name"
        found = connection.scalar(text(query), self._where(schema, table_name))
        if found is None:
            raise NoSuchTableError(table_name)
        return int(found)

    # -- one table -----------------------------------------------------------------------------------------

    @reflection.cache
    def get_columns(
        self, connection: Connection, table_name: str, schema: str | None = None, **kw: Any
    ) -> list[ReflectedColumn]:
        """Columns in their order, with types that compile back to what DuckDB has."""
        query = f"""SELECT column_name, data_type, is_nullable, column_default, comment, is_generated,
                           generation_expression
                    FROM duckdb_columns() WHERE {_IN_SCHEMA} AND table_name = :name ORDER BY column_index"""
        return [_column(row) for row in self._asked(connection, query, table_name, schema, **kw)]

    @reflection.cache
    def get_pk_constraint(
        self, connection: Connection, table_name: str, schema: str | None = None, **kw: Any
    ) -> ReflectedPrimaryKeyConstraint:
        """The primary key, under DuckDB's own name."""
        rows = self._constraints(connection, "PRIMARY KEY", table_name, schema, **kw)
        if not rows:
            return {"constrained_columns": [], "name": None}
        return {"constrained_columns": rows[0].columns, "name": rows[0].name}

    @reflection.cache
    def get_unique_constraints(
        self, connection: Connection, table_name: str, schema: str | None = None, **kw: Any
    ) -> list[ReflectedUniqueConstraint]:
        """Unique indexes over plain columns, which is how named ones are made, and `UNIQUE` in a table."""
        named: list[ReflectedUniqueConstraint] = [
            {
                "name": index["name"],
                "column_names": [name for name in index["column_names"] if name is not None],
                "duplicates_index": index["name"],
            }
            for index in self.get_indexes(connection, table_name, schema, **kw)
            if index["unique"] and "expressions" not in index
        ]
        return named + [
            {"name": row.name, "column_names": row.columns}
            for row in self._constraints(connection, "UNIQUE", table_name, schema, **kw)
        ]

    @reflection.cache
    def get_check_constraints(
        self, connection: Connection, table_name: str, schema: str | None = None, **kw: Any
    ) -> list[ReflectedCheckConstraint]:
        """CHECKs with the names that the dialect wrote into them, else with DuckDB's own."""
        rows = self._constraints(connection, "CHECK", table_name, schema, **kw)
        return [check_of(row.name, row.expression) for row in rows]

    @reflection.cache
    def get_foreign_keys(
        self, connection: Connection, table_name: str, schema: str | None = None, **kw: Any
    ) -> list[ReflectedForeignKeyConstraint]:
        """Foreign keys of tables that were made without this dialect: it makes none itself."""
        return [
            {
                "name": row.name,
                "constrained_columns": row.columns,
                "referred_schema": schema,
                "referred_table": row.referenced_table,
                "referred_columns": row.referenced_columns,
                "options": {},
            }
            for row in self._constraints(connection, "FOREIGN KEY", table_name, schema, **kw)
        ]

    @reflection.cache
    def get_indexes(
        self, connection: Connection, table_name: str, schema: str | None = None, **kw: Any
    ) -> list[ReflectedIndex]:
        """Indexes made by `CREATE INDEX`, those of named unique constraints included."""
        # `expressions` is a list printed as text, which DuckDB's own cast reads back whatever is in it.
        query = f"""SELECT index_name, is_unique, CAST(expressions AS VARCHAR[]) FROM duckdb_indexes()
                    WHERE {_IN_SCHEMA} AND table_name = :name ORDER BY index_name"""
        rows = self._asked(connection, query, table_name, schema, **kw)
        names = {each["name"] for each in self.get_columns(connection, table_name, schema, **kw)} if rows else set()
        return [index_of(name, unique, expressions, names) for name, unique, expressions in rows]

    @reflection.cache
    def get_table_comment(
        self, connection: Connection, table_name: str, schema: str | None = None, **_: Any
    ) -> ReflectedTableComment:
        """The table's comment."""
        query = f"SELECT comment FROM duckdb_tables() WHERE {_IN_SCHEMA} AND table_name = :name"
        return {"text": connection.scalar(text(query), self._where(schema, table_name))}

    # -- queries -------------------------------------------------------------------------------------------

    def _where(self, schema: str | None, name: str | None = None) -> dict[str, str | None]:
        database, schema = self.identifier_preparer._separate(schema)  # noqa: SLF001 - duckdb-engine's `database.schema`
        return {"database": database, "schema": schema} | ({} if name is None else {"name": name})

    def _names(self, connection: Connection, source: str, schema: str | None, condition: str = "") -> list[str]:
        query = f"SELECT {source} WHERE {_IN_SCHEMA} {condition} ORDER BY ALL"
        return list(connection.scalars(text(query), self._where(schema)))

    def _constraints(
        self, connection: Connection, kind: str, table_name: str, schema: str | None, **kw: Any
    ) -> list[Any]:
        return [row for row in self._all_constraints(connection, table_name, schema, **kw) if row.kind == kind]

    @reflection.cache
    def _all_constraints(
        self, connection: Connection, table_name: str, schema: str | None = None, **kw: Any
    ) -> Sequence[Any]:
        query = f"""SELECT constraint_type AS kind, constraint_name AS name, expression,
                           constraint_column_names AS columns, referenced_table,
                           referenced_column_names AS referenced_columns
                    FROM duckdb_constraints() WHERE {_IN_SCHEMA} AND table_name = :name ORDER BY constraint_index"""
        return self._asked(connection, query, table_name, schema, **kw)

    def _asked(
        self, connection: Connection, query: str, table_name: str, schema: str | None, **kw: Any
    ) -> Sequence[Any]:
        rows = connection.execute(text(query), self._where(schema, table_name)).all()
        # Whether it is there at all is asked only then: it takes longer than what is asked of it.
        if not rows and not self.has_table(connection, table_name, schema, **kw):
            raise NoSuchTableError(table_name)
        return rows


def _column(row: Any) -> ReflectedColumn:
    column: ReflectedColumn = {
        "name": row.column_name,
        "type": parse_type(row.data_type),
        "nullable": row.is_nullable,
        "default": None if row.is_generated else row.column_default,
        "autoincrement": sequence_of(row.column_default) is not None,
        "comment": row.comment,
    }
    if row.is_generated:
        column["computed"] = {
            "sqltext": as_given(row.generation_expression or "", row.data_type),
            "persisted": False,
        }
    return column


def index_of(name: str, unique: bool, expressions: Iterable[str], columns: set[str]) -> ReflectedIndex:
    """An index from what the catalogue lists of it; `columns` are those of its table."""
    found: list[str | None] = [plain_column(expression, columns) for expression in expressions]
    index: ReflectedIndex = {"name": name, "column_names": found, "unique": unique}
    if None in found:
        index["expressions"] = [
            column or _without_parentheses(expression) for column, expression in zip(found, expressions, strict=True)
        ]
    return index


def plain_column(expression: str, columns: set[str]) -> str | None:
    """The column that an expression of an index is; None if it is none of these."""
    if expression in columns:
        return expression
    unquoted = unquoted_identifier(expression)
    return unquoted if unquoted in columns else None


def _without_parentheses(expression: str) -> str:
    return expression[1:-1] if expression[:1] == "(" and expression[-1:] == ")" else expression


def _escaped(tables: Any) -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    for key, items in tables:
        yield key, [_with_escaped_colons(item) for item in items]


def _with_escaped_colons(item: dict[str, Any]) -> dict[str, Any]:
    item = dict(item)
    for name in ("default", "sqltext"):
        if isinstance(item.get(name), str):
            item[name] = item[name].replace(":", "\\:")
    if "computed" in item:
        item["computed"] = _with_escaped_colons(item["computed"])
    if "expressions" in item:
        item["expressions"] = [each.replace(":", "\\:") for each in item["expressions"]]
    return item
