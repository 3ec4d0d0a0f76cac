"""Types of PostgreSQL that list their values: made once, given values, and gone with their last column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from toolkit.errors import MigrationError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Dialect
    from sqlalchemy.types import TypeEngine

_LABELS = sa.text(
    "SELECT enumlabel FROM pg_enum JOIN pg_type t ON t.oid = enumtypid JOIN pg_namespace n ON n.oid = typnamespace "
    "WHERE typname = :name AND nspname = coalesce(:schema, current_schema()) ORDER BY enumsortorder"
)
# All columns of tables whose type it is, alone or in an array, with their defaults.
_COLUMNS = sa.text(
    "SELECT c.oid::regclass::text AS place, c.relname AS table_name, n.nspname AS schema, "
    "quote_ident(attname) AS name, attname, a.atttypid <> t.oid AS is_array, pg_get_expr(adbin, adrelid) AS value "
    "FROM pg_type t JOIN pg_namespace tn ON tn.oid = t.typnamespace "
    "JOIN pg_attribute a ON a.atttypid IN (t.oid, t.typarray) AND NOT attisdropped "
    "JOIN pg_class c ON c.oid = attrelid AND relkind IN ('r', 'p') JOIN pg_namespace n ON n.oid = c.relnamespace "
    "LEFT JOIN pg_attrdef ON adrelid = a.attrelid AND adnum = attnum "
    "WHERE typname = :name AND tn.nspname = coalesce(:schema, current_schema()) AND NOT c.relispartition "
    "ORDER BY place, attnum"
)
# Those that nothing uses but their own arrays.
_UNUSED = sa.text(
    "SELECT 1 FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace "
    "WHERE typname = :name AND nspname = coalesce(:schema, current_schema()) AND typtype = 'e' AND NOT EXISTS ("
    "SELECT 1 FROM pg_depend WHERE refclassid = 'pg_type'::regclass AND refobjid IN (t.oid, t.typarray) "
    "AND objid NOT IN (t.oid, t.typarray))"
)
_OF_TABLE = sa.text(
    "SELECT DISTINCT typname, nullif(nspname, current_schema()) FROM pg_attribute "
    "JOIN pg_type t ON atttypid IN (t.oid, t.typarray) AND typtype = 'e' JOIN pg_namespace n ON n.oid = typnamespace "
    "WHERE attrelid = to_regclass(:place) AND attname = coalesce(:column, attname) AND NOT attisdropped"
)
_BESIDE = "toolkit_new_"


def native_enum(type_: TypeEngine[Any] | None, dialect: Dialect) -> postgresql.ENUM | None:
    """The type of PostgreSQL's own that a column's type is, alone or in an array."""
    if isinstance(type_, sa.ARRAY):
        return native_enum(type_.item_type, dialect)
    found = None if type_ is None else type_.dialect_impl(dialect)
    if isinstance(found, sa.types.TypeDecorator):
        return native_enum(found.impl_instance, dialect)
    return found if isinstance(found, postgresql.ENUM) and found.name else None


def labels_of(connection: Connection, enum: postgresql.ENUM) -> list[str]:
    """What a type lists there; empty where there is none."""
    return list(connection.scalars(_LABELS, {"name": enum.name, "schema": enum.schema}))


def types_of(connection: Connection, place: str, column: str | None) -> list[postgresql.ENUM]:
    """Those of a table's columns, or of one of them, without their values; `place` is quoted."""
    found = connection.execute(_OF_TABLE, {"place": place, "column": column})
    return [postgresql.ENUM(name=name, schema=schema) for name, schema in found]


def require_type(connection: Connection, enum: postgresql.ENUM) -> None:
    """Make the type, unless it is there."""
    if enum.enums and not labels_of(connection, enum):
        made = postgresql.ENUM(*enum.enums, name=str(enum.name), schema=enum.schema)
        made.create(connection, checkfirst=False)


def drop_unused(connection: Connection, enum: postgresql.ENUM) -> None:
    """Let a type go that nothing uses any more."""
    if connection.scalar(_UNUSED, {"name": enum.name, "schema": enum.schema}):
        connection.exec_driver_sql(f"DROP TYPE {_quoted(connection, enum)}")


def change_values(connection: Connection, enum: postgresql.ENUM) -> None:
    """Let a type list other values: in place where some are only added, else by a new type that takes its place.

    Raises:
        MigrationError: rows hold a value that is to go.
    """
    there, wanted = labels_of(connection, enum), list(enum.enums)
    if there == wanted:
        return
    if [each for each in wanted if each in there] == there:
        _add_values(connection, enum, there, wanted)
    else:
        _replace_type(connection, enum, [each for each in there if each not in wanted])


def _add_values(connection: Connection, enum: postgresql.ENUM, there: Sequence[str], wanted: Sequence[str]) -> None:
    name = _quoted(connection, enum)
    last = None
    for label in wanted:
        if label not in there:
            before = f"AFTER {_text(last)}" if last is not None else f"BEFORE {_text(there[0])}"
            connection.exec_driver_sql(
                f"ALTER TYPE {name} ADD VALUE {_text(label)} {before}", execution_options={"no_parameters": True}
            )
        last = label


def _replace_type(connection: Connection, enum: postgresql.ENUM, gone: Sequence[str]) -> None:
    columns = connection.execute(_COLUMNS, {"name": enum.name, "schema": enum.schema}).all()
    for column in columns:
        _require_none(connection, column, gone)
    new = postgresql.ENUM(*enum.enums, name=f"{_BESIDE}{enum.name}"[:63], schema=enum.schema)
    new.create(connection, checkfirst=False)
    target, old = _quoted(connection, new), _quoted(connection, enum)
    for column in columns:
        array = "[]" if column.is_array else ""
        alter = f"ALTER TABLE {column.place} ALTER COLUMN {column.name}"
        steps = [f"{alter} TYPE {target}{array} USING {column.name}::text{array}::{target}{array}"]
        if column.value is not None:
            # It names the old type; the column's new one takes the bare text.
            value = column.value.rpartition("::")[0] or column.value
            steps = [f"{alter} DROP DEFAULT", *steps, f"{alter} SET DEFAULT {value}::{target}{array}"]
        for step in steps:
            connection.exec_driver_sql(step, execution_options={"no_parameters": True})
    connection.exec_driver_sql(f"DROP TYPE {old}")
    renamed = connection.dialect.identifier_preparer.quote(str(enum.name))
    connection.exec_driver_sql(f"ALTER TYPE {target} RENAME TO {renamed}", execution_options={"no_parameters": True})


def _require_none(connection: Connection, column: Any, gone: Iterable[str]) -> None:
    listed = ", ".join(map(_text, gone))
    if not listed:
        return
    holds = f"{column.name}::text[] && ARRAY[{listed}]" if column.is_array else f"{column.name}::text IN ({listed})"
    keys = sa.inspect(connection).get_pk_constraint(column.table_name, column.schema)["constrained_columns"]
    quote = connection.dialect.identifier_preparer.quote
    shown = ", ".join([*map(quote, keys), f"{column.name}::text"])
    query = f"SELECT count(*) OVER (), {shown} FROM {column.place} WHERE {holds} ORDER BY {shown} LIMIT 1"
    row = connection.exec_driver_sql(query, execution_options={"no_parameters": True}).first()
    if row is None:
        return
    count, *key, value = row
    place = " ".join([column.place, *(f"{name}={each}" for name, each in zip(keys, key, strict=True))])
    rows = "1 row" if count == 1 else f"{count} rows"
    raise MigrationError(
        f"{place}: column {column.attname!r} holds {value!r}, which is removed from its type ({rows} in all).",
        "Give such rows another value in a migration before this one (op.execute). If it has another name now, "
        f"rename it there: ALTER TYPE ... RENAME VALUE {_text(str(value))} TO ...",
    )


def _quoted(connection: Connection, enum: postgresql.ENUM) -> str:
    preparer: Any = connection.dialect.identifier_preparer
    return str(preparer.format_type(enum))


def _text(label: str | None) -> str:
    escaped = str(label).replace("'", "''")
    return f"E'{escaped.replace(chr(92), chr(92) * 2)}'" if "\\" in escaped else f"'{escaped}'"
