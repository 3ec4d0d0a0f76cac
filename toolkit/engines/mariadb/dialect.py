"""A SQLAlchemy dialect for MariaDB, for URLs that begin with `mysql+toolkit://`.

It is that of PyMySQL, but for column types that hold every value exactly: microseconds, texts of any length, decimals
of all digits; and for a collation that tells apart whatever differs, spaces at the end too, so that no key of another
engine is taken for a second one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, ForeignKeyConstraint, UniqueConstraint
from sqlalchemy import types as sqltypes
from sqlalchemy.dialects.mysql.base import MySQLDDLCompiler, MySQLTypeCompiler
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql
from sqlalchemy.exc import DBAPIError, NoSuchTableError
from sqlalchemy.sql.elements import UnaryExpression

from toolkit.core.types import INTEGER_KINDS, Kind, logical_type
from toolkit.engines.portable.foreign_types import ForeignTypes

if TYPE_CHECKING:
    from sqlalchemy import Table
    from sqlalchemy.schema import CreateIndex

CHARSET = "utf8mb4"
COLLATION = "utf8mb4_nopad_bin"
"""What new tables have: texts are equal if all their bytes are."""
MOST_DIGITS, MOST_FRACTION = 65, 30
"""Of a decimal that was declared without any number of them."""
_MOST_SCALE = 38
# Of an index of InnoDB, and of a character.
_INDEX_BYTES, _CHARACTER = 3072, 4
# No other part of an index has more.
_OTHER_PART = 16
# A row has at most 65,535 bytes beside its long texts.
_LONGEST_VARCHAR = 16_000
_MICROSECONDS = 6
_NO_TABLE = 1146


def unique_together(table: Table) -> Iterator[list[Column[Any]]]:
    """The columns of each key and unique index that the table will have, and of what points at others."""
    yield list(table.primary_key.columns)
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint | ForeignKeyConstraint):
            yield list(constraint.columns)
    for index in table.indexes:
        if is_enforced(index):
            yield [each for each in index.expressions if isinstance(each, Column)]


def room_of(column: Column[Any], together: Sequence[Column[Any]]) -> int:
    """How many characters of a column of any length there is room for in an index of these columns."""
    room, several = _INDEX_BYTES, 0
    for each in together:
        length = getattr(each.type, "length", None)
        if not _is_long(each.type):
            room -= _OTHER_PART
        elif length is None or each is column:
            several += 1
        else:
            room -= length * _CHARACTER
    return max(1, room // _CHARACTER // max(1, several))


def _is_own(type_: Any) -> bool:
    return type(type_).__module__.startswith("sqlalchemy.dialects.mysql")


class TypeCompiler(ForeignTypes, MySQLTypeCompiler):  # type: ignore[misc]  # of one attribute, two types
    """Column types that hold what the models' types do; those of MySQL's own are as they are."""

    own_dialects = ("mysql", "mariadb")
    has_arrays = False

    def nearest(self, type_: Any) -> Any:
        """The type itself, or what stands for it; an enum of PostgreSQL's is one."""
        is_foreign = isinstance(type_, sqltypes.Enum) and not self.has(type_)
        return sqltypes.Enum(*type_.enums) if is_foreign else super().nearest(type_)

    def _indexed(self, column: Column[Any] | None) -> int | None:
        """How many characters a column may have that is in a key or is unique; None if it is neither."""
        if column is None or getattr(column, "table", None) is None:
            return None
        return longest(column)

    def _text(self, type_: Any, type_expression: Any) -> str:
        length = getattr(type_, "length", None) or self._indexed(type_expression)
        collation = getattr(type_, "collation", None)
        made = "LONGTEXT" if length is None or length > _LONGEST_VARCHAR else f"VARCHAR({length})"
        return f"{made} COLLATE {collation}" if collation else made

    def visit_TEXT(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """A text of any length; in an index one of as many characters as that has room for."""
        if _is_own(type_):
            return super().visit_TEXT(type_, **kw)
        return self._text(type_, kw.get("type_expression"))

    visit_CLOB: Any = visit_TEXT  # noqa: N815

    def visit_VARCHAR(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """The same where no length was said."""
        if _is_own(type_):
            return super().visit_VARCHAR(type_, **kw)
        return self._text(type_, kw.get("type_expression"))

    visit_NVARCHAR: Any = visit_VARCHAR  # noqa: N815

    def visit_NCHAR(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """The same: all texts are of Unicode."""
        return super().visit_NCHAR(type_, **kw) if _is_own(type_) else super().visit_CHAR(type_, **kw)

    def visit_large_binary(self, type_: Any, **kw: Any) -> str:
        """Bytes of any number."""
        return self.visit_BLOB(type_, **kw)

    def visit_BLOB(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """Bytes of any number; in an index as many as that has room for."""
        if _is_own(type_):
            return super().visit_BLOB(type_, **kw)
        indexed = self._indexed(kw.get("type_expression"))
        return "LONGBLOB" if indexed is None else f"VARBINARY({type_.length or indexed})"

    def visit_DATETIME(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """To the microsecond."""
        return super().visit_DATETIME(type_, **kw) if _is_own(type_) else f"DATETIME({_MICROSECONDS})"

    def visit_TIMESTAMP(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """Of all years: a TIMESTAMP ends with 2038."""
        return super().visit_TIMESTAMP(type_, **kw) if _is_own(type_) else f"DATETIME({_MICROSECONDS})"

    def visit_TIME(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """To the microsecond; with its offset, as text."""
        if _is_own(type_):
            return super().visit_TIME(type_, **kw)
        return self._text(sqltypes.Text(), kw.get("type_expression")) if type_.timezone else f"TIME({_MICROSECONDS})"

    def visit_FLOAT(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """A double, unless the model's is a single."""
        if _is_own(type_):
            return super().visit_FLOAT(type_, **kw)
        return "FLOAT" if logical_type(type_).kind == Kind.FLOAT32 else "DOUBLE"

    def visit_REAL(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """A single; MySQL's own is a double."""
        return super().visit_REAL(type_, **kw) if _is_own(type_) else self.visit_FLOAT(type_, **kw)

    def visit_DOUBLE(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """A double."""
        return super().visit_DOUBLE(type_, **kw) if _is_own(type_) else self.visit_FLOAT(type_, **kw)

    visit_DOUBLE_PRECISION: Any = visit_FLOAT  # noqa: N815

    def visit_NUMERIC(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """All digits that were declared; without a number, as many as there can be."""
        if _is_own(type_) and type_.precision is not None:
            return super().visit_NUMERIC(type_, **kw)
        if type_.precision is None:
            return f"DECIMAL({MOST_DIGITS}, {MOST_FRACTION})"
        scale = type_.scale or 0
        if type_.precision > MOST_DIGITS or not 0 <= scale <= min(_MOST_SCALE, type_.precision):
            return self._text(sqltypes.Text(), kw.get("type_expression"))
        return f"DECIMAL({type_.precision}, {scale})"

    visit_DECIMAL: Any = visit_NUMERIC  # noqa: N815


def _is_long(type_: Any) -> bool:
    """Whether values of a type are long in an index."""
    kind = logical_type(type_)
    if isinstance(type_, sqltypes.Enum):
        return False
    return kind.is_text or kind.is_document or kind.carrier is Kind.BYTES


class DDLCompiler(MySQLDDLCompiler):
    """Makes tables that take part in transactions, and whose texts are compared by their bytes."""

    def get_column_specification(self, column: Column[Any], **kw: Any) -> str:
        """A column; SQLAlchemy takes a decimal or a float that is the key for one that numbers itself: an integer."""
        made: str = super().get_column_specification(column, **kw)
        is_integer = logical_type(column.type).carrier in INTEGER_KINDS
        return made if is_integer else made.removesuffix(" AUTO_INCREMENT")

    def get_column_default_string(self, column: Column[Any]) -> str | None:
        """The default; the present moment to the microsecond, as the column is."""
        found = super().get_column_default_string(column)
        is_moment = (found or "").lower() in ("now()", "current_timestamp", "current_timestamp()")
        kind = logical_type(column.type).kind
        is_exact = is_moment and not _is_own(column.type) and kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ)
        return f"current_timestamp({_MICROSECONDS})" if is_exact else found

    def define_constraint_deferrability(self, constraint: Any) -> str:
        """Nothing: each row is checked as it is written."""
        return ""

    def post_create_table(self, table: Table) -> str:
        """What the table is made of, where the model does not say it."""
        given = {key.partition("_")[2].upper() for key in table.kwargs if key.startswith(f"{self.dialect.name}_")}
        more = [] if "ENGINE" in given else ["ENGINE=InnoDB"]
        if not given & {"COLLATE", "CHARSET", "DEFAULT_CHARSET", "CHARACTER_SET", "DEFAULT_CHARACTER_SET"}:
            more.append(f"CHARSET={CHARSET} COLLATE {COLLATION}")
        return " ".join(filter(None, (super().post_create_table(table), *more)))

    def visit_create_index(self, create: CreateIndex, **kw: Any) -> str:  # type: ignore[override]
        """An index; one with a condition is of all rows, and so cannot be unique. Of long texts, their beginnings."""
        index, long = create.element, beginnings(create.element)
        if is_enforced(index) or not long:
            made: str = super().visit_create_index(create, **kw)
            return made if is_enforced(index) else made.replace("CREATE UNIQUE INDEX", "CREATE INDEX", 1)
        parts = ", ".join(self._part(each, long) for each in index.expressions)
        assert index.table is not None
        name, table = self._prepared_index_name(index), self.preparer.format_table(index.table)
        return f"CREATE INDEX {name} ON {table} ({parts})"

    def _part(self, part: Any, long: Mapping[str, int]) -> str:
        column = part.element if isinstance(part, UnaryExpression) else part
        text: str = self.sql_compiler.process(part, include_table=False, literal_binds=True)
        name = getattr(column, "name", "")
        if name not in long:
            return text
        quoted = self.preparer.quote(name)
        return text.replace(quoted, f"{quoted}({long[name]})", 1)


def beginnings(index: Any) -> dict[str, int]:
    """By name, the columns of an index that are too long for it, and how many characters there is room for."""
    columns = [part.element if isinstance(part, UnaryExpression) else part for part in index.expressions]
    found = [each for each in columns if isinstance(each, Column) and _is_long(each.type)]
    rest = _INDEX_BYTES - _OTHER_PART * (len(columns) - len(found))
    room = max(1, rest // _CHARACTER // max(1, len(found)))
    return {each.name: room for each in found if (longest(each) or room + 1) > room}


def longest(column: Column[Any]) -> int | None:
    """How many characters a column has at most; None if there may be any number."""
    declared: int | None = getattr(column.type, "length", None)
    together = [each for each in unique_together(column.table) if column in each]
    return declared or min((room_of(column, each) for each in together), default=None)


def is_enforced(index: Any) -> bool:
    """Whether a unique index is unique here, too: one with a condition is not, as there are none."""
    options = index.dialect_kwargs.items()
    return bool(index.unique) and not any(key.endswith("_where") and value is not None for key, value in options)


def show_create_table(
    dialect: Any,
    connection: Any,
    table: Any = None,
    _charset: str | None = None,
    full_name: str | None = None,
    **_: Any,
) -> str:
    """A table's definition in the words that SQLAlchemy takes apart, whatever the session's are."""
    name = full_name or dialect.identifier_preparer.format_table(table)
    try:
        found = connection.exec_driver_sql(
            f"SET STATEMENT sql_mode = '', sql_quote_show_create = 1 FOR SHOW CREATE TABLE {name}",
            execution_options={"skip_user_error_events": True},
        )
    except DBAPIError as error:
        if dialect._extract_error_code(error.orig) == _NO_TABLE:  # noqa: SLF001 - as SQLAlchemy's own does
            raise NoSuchTableError(name) from error
        raise
    return str(found.first()[1]).strip()


class Dialect(MySQLDialect_pymysql):
    """MariaDB by PyMySQL."""

    supports_statement_cache = True
    is_mariadb = True
    ddl_compiler = DDLCompiler
    type_compiler_cls = TypeCompiler

    def _detect_ansiquotes(self, _: Any) -> None:
        """Whatever the server's mode is: each session has one of the toolkit's, and backticks are names in all."""

    def has_type(self, *_: Any, **__: Any) -> bool:
        """Nothing makes a type of PostgreSQL's, though this has enums, too: each column's is its own."""
        return True

    def do_executemany(self, cursor: Any, statement: Any, parameters: Any, context: Any = None) -> None:
        """One statement for many rows; PyMySQL doubles a percent sign in a name behind the values."""
        if "%%" not in statement:
            super().do_executemany(cursor, statement, parameters, context)
            return
        for each in parameters:
            cursor.execute(statement, each)

    def connect(self, *arguments: Any, **options: Any) -> Any:
        """A connection that never loses rows that are still to be read."""
        from toolkit.engines.mariadb.driver import Connection

        return Connection(*arguments, **options)


DIALECT = Dialect()
"""For types and names, where nothing is connected."""
