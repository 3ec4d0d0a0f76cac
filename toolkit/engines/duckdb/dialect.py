"""A SQLAlchemy dialect for DuckDB on top of duckdb-engine's, for URLs that begin with `duckdb+toolkit://`.

duckdb-engine presents DuckDB as PostgreSQL. Where that is not so, this dialect differs: it reflects from
DuckDB's own catalog, it makes tables that DuckDB accepts, and it gives column types that hold every value
exactly. Foreign keys are left out of tables: DuckDB refuses `ON DELETE CASCADE`, and with plain ones no
parent row could be updated.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import duckdb_engine
import sqlalchemy
from sqlalchemy import schema
from sqlalchemy import types as sqltypes
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql.base import RESERVED_WORDS, PGCompiler, PGIdentifierPreparer, PGTypeCompiler
from sqlalchemy.engine import Inspector
from sqlalchemy.sql import compiler

from toolkit.core.engine_type import EngineType
from toolkit.core.types import Kind, logical_type
from toolkit.engines.duckdb.kept_results import ExecutionContext
from toolkit.engines.duckdb.reflection import CatalogReflection, label_check
from toolkit.engines.portable.foreign_types import ForeignTypes, without_cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Column, Index, Sequence, Table, UniqueConstraint

# DuckDB has no decimal without limits, and would take DECIMAL(18, 3) for one. This is the widest, with a
# usual scale.
UNLIMITED_NUMERIC = "DECIMAL(38, 10)"
# Settings that are DuckDB's own in all of its versions. Which others are is asked by duckdb-engine, of a DuckDB that it
# opens for this alone: a quarter of the time that a process takes until its first file is open.
_OWN_SETTINGS = frozenset(("enable_external_access", "autoinstall_known_extensions", "autoload_known_extensions"))
_PLACE = frozenset(("database", "read_only"))
_USER_AGENT = f"duckdb_engine/{duckdb_engine.__version__}(sqlalchemy/{sqlalchemy.__version__})"


def is_enforced(index: Index) -> bool:
    """Whether a unique index is unique in DuckDB too: a partial one is not, as DuckDB knows none."""
    options = index.dialect_kwargs.items()
    return bool(index.unique) and not any(key.endswith("_where") and value is not None for key, value in options)


def implied_sequence(column: Column[Any]) -> Sequence | None:
    """The sequence behind a column that numbers itself; None when it does not, or names a sequence itself.

    It is named as PostgreSQL names it for SERIAL, so that a later sequence of the models' own is the same.
    """
    if getattr(column, "table", None) is None:
        return None
    numbered = (
        column is column.table.autoincrement_column
        and column.server_default is None
        and (column.default is None or (isinstance(column.default, schema.Sequence) and column.default.optional))
    )
    if column.identity is None and not numbered:
        return None
    options = column.identity
    return schema.Sequence(
        f"{column.table.name}_{column.name}_seq",
        schema=column.table.schema,
        start=options.start if options else None,
        increment=options.increment if options else None,
        minvalue=options.minvalue if options else None,
        maxvalue=options.maxvalue if options else None,
        cycle=options.cycle if options else None,
    )


def next_value(preparer: compiler.IdentifierPreparer, sequence: Sequence) -> str:
    """The expression that takes the next value of a sequence."""
    return "nextval('{}')".format(preparer.format_sequence(sequence).replace("'", "''"))


class DDLCompiler(compiler.DDLCompiler):
    """Makes tables that DuckDB accepts. Starts from the generic compiler, not from PostgreSQL's options."""

    def visit_create_table(self, create: schema.CreateTable, **kw: Any) -> str:
        """The table, between the sequences that number its rows and its named unique constraints."""
        table = create.element
        sequences = [each for column in table.columns if (each := implied_sequence(column)) is not None]
        return ";\n".join(
            [
                *(self.process(schema.CreateSequence(each, if_not_exists=True), **kw) for each in sequences),
                super().visit_create_table(create, **kw).rstrip(),  # type: ignore[no-untyped-call]
                *(self._unique_index(each, create.if_not_exists) for each in self._named_unique(table)),
            ]
        )

    def visit_drop_table(self, drop: schema.DropTable, **kw: Any) -> str:
        """The table, and the sequences that numbered its rows."""
        sequences = [each for column in drop.element.columns if (each := implied_sequence(column)) is not None]
        return ";\n".join(
            [
                super().visit_drop_table(drop, **kw),  # type: ignore[no-untyped-call]
                *(self.process(schema.DropSequence(each, if_exists=True), **kw) for each in sequences),
            ]
        )

    def get_column_specification(self, column: Column[Any], **kw: Any) -> str:
        """A column, which may be NOT NULL unless it is computed: DuckDB constrains no computed column."""
        specification: str = super().get_column_specification(column, **kw)  # type: ignore[no-untyped-call]
        return specification if column.computed is None else specification.removesuffix(" NOT NULL")

    def get_column_default_string(self, column: Column[Any]) -> str | None:
        """The default, which for a column that numbers itself is the next value of its sequence."""
        sequence = implied_sequence(column)
        if sequence is None:
            return without_cast(super().get_column_default_string(column))
        return next_value(self.preparer, sequence)

    def visit_foreign_key_constraint(self, constraint: schema.ForeignKeyConstraint, **_: Any) -> str:
        """Nothing: see the module."""
        return None  # type: ignore[return-value]  # how the generic compiler is told to leave a constraint out

    def visit_unique_constraint(self, constraint: UniqueConstraint, **kw: Any) -> str:
        """Only a nameless one belongs into the table: DuckDB would forget the name."""
        if self._name_of(constraint) is not None:
            return None  # type: ignore[return-value]
        return super().visit_unique_constraint(constraint, **kw)

    def visit_check_constraint(self, constraint: schema.CheckConstraint, **_: Any) -> str:
        """The condition, with the constraint's name in it."""
        condition = self.sql_compiler.process(constraint.sqltext, include_table=False, literal_binds=True)
        name = self._name_of(constraint)
        return f"CHECK ({condition if name is None else label_check(name, condition)})"

    visit_column_check_constraint = visit_check_constraint

    def visit_computed_column(self, generated: schema.Computed, **_: Any) -> str:
        """Computed when read: DuckDB stores no computed column."""
        expression = self.sql_compiler.process(generated.sqltext, include_table=False, literal_binds=True)
        return f"GENERATED ALWAYS AS ({expression}) VIRTUAL"

    def visit_create_index(self, create: schema.CreateIndex, **_: Any) -> str:  # type: ignore[override]
        """The index without PostgreSQL's options, and not unique when it is partial."""
        index: Index = create.element
        parts: list[Any] = list(index.expressions)
        columns = [self.sql_compiler.process(each, include_table=False, literal_binds=True) for each in parts]
        return "CREATE {}INDEX {}{} ON {} ({})".format(
            "UNIQUE " if is_enforced(index) else "",
            "IF NOT EXISTS " if create.if_not_exists else "",
            self._prepared_index_name(index, include_schema=False),
            self.preparer.format_table(index.table),  # type: ignore[arg-type]
            ", ".join(columns),
        )

    def visit_drop_index(self, drop: schema.DropIndex, **_: Any) -> str:
        """The index by its qualified name."""
        condition = "IF EXISTS " if drop.if_exists else ""
        return f"DROP INDEX {condition}{self._prepared_index_name(drop.element, include_schema=True)}"

    def get_identity_options(self, identity_options: Any) -> str:
        """A sequence's options, without those that DuckDB has no word for."""
        parts = {
            "INCREMENT BY {}": identity_options.increment,
            "MINVALUE {}": identity_options.minvalue,
            "MAXVALUE {}": identity_options.maxvalue,
            "START WITH {}": identity_options.start,
        }
        texts = [part.format(value) for part, value in parts.items() if value is not None]
        return " ".join([*texts, "CYCLE"] if identity_options.cycle else texts)

    def _named_unique(self, table: Table) -> list[UniqueConstraint]:
        named = [
            each
            for each in table.constraints
            if isinstance(each, schema.UniqueConstraint) and self._name_of(each) is not None
        ]
        return sorted(named, key=lambda each: str(self._name_of(each)))

    def _unique_index(self, constraint: UniqueConstraint, if_not_exists: bool) -> str:
        return "CREATE UNIQUE INDEX {}{} ON {} ({})".format(
            "IF NOT EXISTS " if if_not_exists else "",
            self.preparer.format_constraint(constraint),
            self.preparer.format_table(constraint.table),
            ", ".join(self.preparer.format_column(column) for column in constraint.columns),
        )

    def _name_of(self, constraint: schema.Constraint) -> str | None:
        """The name, after naming conventions; None without one."""
        formatted = None if constraint.name is None else self.preparer.format_constraint(constraint)
        if formatted is None:
            return None
        return formatted[1:-1].replace('""', '"') if formatted.startswith('"') else str(formatted)


# Besides what looks the same in every engine's JSON.
_LISTED = frozenset({Kind.DECIMAL, Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.TIME, Kind.BYTES, Kind.JSON})


def _always(definition: str) -> Any:
    def visit(_: TypeCompiler, __: Any, **___: Any) -> str:
        return definition

    return visit


class TypeCompiler(ForeignTypes, PGTypeCompiler):
    """One spelling for each of DuckDB's types, the same for a model's type and for the reflected one.

    DuckDB stores no lengths: `VARCHAR(10)` holds any text, and says so when asked.
    """

    own_dialects = ("duckdb", "postgresql")

    def has(self, type_: sqltypes.TypeEngine[Any]) -> bool:
        """PostgreSQL's types that DuckDB has by the same name, and what SQLAlchemy has for all engines."""
        if isinstance(type_, EngineType) or (isinstance(type_, postgresql.BIT) and not type_.varying):
            return True
        lacks = isinstance(type_, postgresql.MONEY | postgresql.OID | postgresql.DOMAIN)
        return super().has(type_) and not lacks and logical_type(type_).kind != Kind.NATIVE

    visit_VARCHAR = visit_CHAR = visit_NVARCHAR = visit_NCHAR = visit_TEXT = visit_CLOB = _always("VARCHAR")
    visit_enum = visit_ENUM = _always("VARCHAR")
    visit_CITEXT = visit_INET = visit_CIDR = visit_MACADDR = visit_MACADDR8 = _always("VARCHAR")
    visit_large_binary = visit_BLOB = visit_BINARY = visit_VARBINARY = visit_BYTEA = _always("BLOB")
    # DuckDB's FLOAT has 4 bytes. What SQLAlchemy and PostgreSQL call Float has 8.
    visit_FLOAT = visit_DOUBLE = visit_DOUBLE_PRECISION = visit_double = visit_float = _always("DOUBLE")
    visit_REAL = _always("REAL")
    visit_JSON = visit_JSONB = _always("JSON")
    visit_INTERVAL = _always("INTERVAL")
    visit_BIT = _always("BIT")

    def visit_NUMERIC(self, type_: sqltypes.Numeric[Any], **_: Any) -> str:
        """A decimal with a scale, always: DuckDB's own default is 3. What has more digits is kept as text."""
        if not type_.precision:
            return UNLIMITED_NUMERIC
        known = logical_type(type_)
        return "VARCHAR" if known.precision is None else f"DECIMAL({known.precision}, {known.scale or 0})"

    visit_DECIMAL = visit_NUMERIC

    def visit_TIMESTAMP(self, type_: Any, **_: Any) -> str:
        """Microseconds, with or without a time zone: a precision would choose another type."""
        return "TIMESTAMP WITH TIME ZONE" if type_.timezone else "TIMESTAMP"

    visit_DATETIME = visit_TIMESTAMP

    def visit_ARRAY(self, type_: sqltypes.ARRAY[Any], **_: Any) -> str:
        """A list; of what lists of DuckDB's would not give back, of texts."""
        element = logical_type(type_.item_type)
        is_kept = element.adapter.in_arrays or element.kind in _LISTED
        item = "VARCHAR" if element.is_free_decimal or not is_kept else self.process(type_.item_type)
        return f"{item}{'[]' * (type_.dimensions or 1)}"

    def visit_TIME(self, type_: Any, **_: Any) -> str:
        """Microseconds, with or without an offset."""
        return "TIME WITH TIME ZONE" if type_.timezone else "TIME"


class IdentifierPreparer(duckdb_engine.DuckDBIdentifierPreparer):
    """Quotes every word that DuckDB takes for its own. duckdb-engine adds those that are reserved altogether."""

    # Keywords that name functions and types, not columns, and that PostgreSQL does not reserve.
    reserved_words = {  # noqa: RUF012 - SQLAlchemy's own attribute
        *RESERVED_WORDS,
        *("anti", "asof", "at", "by", "collation", "columns", "concurrently", "generated", "glob", "map"),
        *("positional", "semi", "struct", "tablesample", "try_cast", "tuple", "unpack"),
    }
    _is_complete = False

    def __init__(self, dialect: Any, **options: Any) -> None:
        """Have duckdb-engine ask DuckDB for its words once in a process, not for each engine, which takes 1 ms."""
        if IdentifierPreparer._is_complete:
            PGIdentifierPreparer.__init__(self, dialect, **options)
        else:
            super().__init__(dialect, **options)
            IdentifierPreparer._is_complete = True

    def _separate(self, name: str | None) -> tuple[None, str | None]:
        """Take a name for a schema's, whatever is in it: duckdb-engine takes what stands before a dot for a file's."""
        return None, name


class StatementCompiler(PGCompiler):
    """PostgreSQL's statements, as far as DuckDB has them."""

    def for_update_clause(self, select: Any, **_: Any) -> str:
        """Nothing: DuckDB locks no rows; of two transactions that write one, the second fails."""
        return ""


class TimestampInUTC(sqltypes.DateTime):
    """Gives moments in UTC as `datetime.UTC`, not as the `pytz` zone that DuckDB's driver makes."""

    def result_processor(self, dialect: Any, coltype: Any) -> Callable[[datetime | None], datetime | None] | None:
        """Only for values with a zone."""
        if not self.timezone:
            return None
        return lambda value: value if value is None or value.tzinfo is None else value.astimezone(UTC)


class Dialect(CatalogReflection, duckdb_engine.Dialect):  # type: ignore[misc]
    """`duckdb+toolkit://`; its name stays `duckdb`."""

    driver = "toolkit"
    supports_statement_cache = True
    # PostgreSQL's is 63 bytes; DuckDB has no limit that anybody met.
    max_identifier_length = 1 << 16
    # Otherwise SQLAlchemy makes floats of decimals, on the way in and on the way out.
    supports_native_decimal = True
    # What a dialect without these does instead is what DuckDB needs: VARCHAR for enums, sequences for
    # identities, no statement for a foreign key.
    supports_native_enum = False
    supports_identity_columns = False
    supports_alter = False
    supports_constraint_comments = False
    # A backslash in a string is one: PostgreSQL's dialect writes two.
    _backslash_escapes = False
    inspector = Inspector  # type: ignore[assignment]
    execution_ctx_cls = ExecutionContext
    ddl_compiler = DDLCompiler  # type: ignore[assignment]
    type_compiler_cls = TypeCompiler
    statement_compiler = StatementCompiler
    preparer = IdentifierPreparer
    colspecs = {  # noqa: RUF012 - SQLAlchemy's own attribute
        **{key: value for key, value in duckdb_engine.Dialect.colspecs.items() if key is not sqltypes.Enum},
        sqltypes.DateTime: TimestampInUTC,
    }

    def connect(self, *args: Any, **kwargs: Any) -> Any:
        """Open the file; the session's time zone is UTC, so that no moment lies outside of Python's years."""
        connection = self._opened(**kwargs) or super().connect(*args, **kwargs)
        connection.execute("SET TimeZone = 'UTC'")
        return connection

    def _opened(self, config: Any = None, url_config: Any = None, **place: Any) -> Any:
        """What duckdb-engine opens; None where settings or options are among what is asked that it has to look up."""
        settings = {**(config or {}), **(url_config or {})}
        if not (settings.keys() <= _OWN_SETTINGS and place.keys() <= _PLACE):
            return None
        return duckdb_engine.ConnectionWrapper(
            duckdb.connect(**place, config={**settings, "custom_user_agent": _USER_AGENT})
        )

    def get_default_isolation_level(self, _: Any) -> Any:
        """DuckDB's transactions are snapshots, all of them."""
        return "SERIALIZABLE"

    def get_isolation_level(self, dbapi_connection: Any) -> Any:
        """AUTOCOMMIT when that was asked for."""
        return "AUTOCOMMIT" if dbapi_connection.autocommit else "SERIALIZABLE"

    def get_isolation_level_values(self, _: Any) -> Any:
        """What `isolation_level` may be."""
        return ["SERIALIZABLE", "AUTOCOMMIT"]

    def set_isolation_level(self, dbapi_connection: Any, level: str) -> None:
        """AUTOCOMMIT begins no transactions."""
        dbapi_connection.autocommit = level == "AUTOCOMMIT"

    def do_begin(self, connection: Any) -> None:
        """Begin a transaction, unless each statement is one."""
        if not connection.autocommit:
            super().do_begin(connection)

    def do_commit(self, connection: Any) -> None:
        """Commit, unless each statement was."""
        if not connection.autocommit:
            super().do_commit(connection)  # type: ignore[no-untyped-call]
