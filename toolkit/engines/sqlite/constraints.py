"""Which constraint of SQLAlchemy a clause in a table's definition is."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy import CheckConstraint, Constraint, ForeignKeyConstraint, PrimaryKeyConstraint, UniqueConstraint

from toolkit.engines.sqlite.definition import TableDefinition, normalised

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from toolkit.engines.sqlite.definition import Clause, ColumnDefinition

_KINDS: dict[type[Constraint], str] = {
    CheckConstraint: "CHECK",
    ForeignKeyConstraint: "FOREIGN",
    PrimaryKeyConstraint: "PRIMARY",
    UniqueConstraint: "UNIQUE",
}


def stands_for(clause: Clause, column_: ColumnDefinition | None, constraint: Any) -> bool:
    """Whether it is this one."""
    if clause.name is not None:
        return constraint.name is not None and clause.name.lower() == str(constraint.name).lower()
    if clause.kind != _KINDS.get(type(constraint)):
        return False
    if isinstance(constraint, CheckConstraint):
        condition = str(clause).partition("(")[2].rpartition(")")[0]
        return normalised(condition) == normalised(str(constraint.sqltext))
    columns = (column_.name,) if column_ else clause.columns
    return columns == tuple(each.name.lower() for each in constraint.columns)


def described(constraint: Any) -> tuple[str, tuple[str, ...]]:
    """What tells a constraint without a name from others: its kind and columns."""
    columns = getattr(constraint, "columns", ())
    return _KINDS.get(type(constraint), ""), tuple(str(each.key) for each in columns)


def constraint_names(connection: Connection, schema: str, table: str) -> set[str]:
    """The names that a table's definition has for constraints, in small letters; none if it cannot be taken apart."""
    found = _definition(connection, schema, table)
    return set() if found is None else {each.name.lower() for _, each, _ in found.clauses() if each.name is not None}


def is_strict(connection: Connection, schema: str, table: str) -> bool:
    """Whether a table is a STRICT one."""
    found = _definition(connection, schema, table)
    return found is not None and found.is_strict


def _definition(connection: Connection, schema: str, table: str) -> TableDefinition | None:
    quoted = connection.dialect.identifier_preparer.quote_identifier(schema)
    query = f"SELECT sql FROM {quoted}.sqlite_master WHERE type = 'table' AND lower(name) = lower(?)"
    with suppress(ValueError):
        return TableDefinition.parsed(str(connection.exec_driver_sql(query, (table,)).scalar()))
    return None
