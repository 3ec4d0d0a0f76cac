"""Alembic's differences between a database and the models, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import DefaultClause
from sqlalchemy.types import TypeEngine

from toolkit.operations.migrations.generic import stored_type

if TYPE_CHECKING:
    from collections.abc import Callable


def describe_change(change: Any) -> str:
    """One line for what the next migration would do."""
    if isinstance(change, list):
        return "; ".join(describe_change(each) for each in change)
    action, *details = change
    verb, _, kind = action.partition("_")
    describe: dict[str, Callable[..., str]] = {
        "table": _table,
        "column": _column,
        "index": _named,
        "constraint": _named,
        "fk": _named,
        "table_comment": _table,
        "sequence": lambda sequence: str(sequence.name),
    }
    if verb == "modify":
        schema, table, column, _, old, new = details
        return f"change {kind} of {_qualified(schema, table)}.{column} from {_value(old)} to {_value(new)}"
    if kind not in describe:
        return str(action).replace("_", " ")
    return f"{verb} {kind.replace('_', ' ').replace('fk', 'foreign key')} {describe[kind](*details)}"


def _value(value: Any) -> str:
    """A type as what is stored of it: its own repr may hold a key; a default as its SQL."""
    match value:
        case TypeEngine():
            return repr(stored_type(value))
        case DefaultClause():
            return repr(value.arg) if isinstance(value.arg, str) else str(value.arg)
    return repr(value)


def _table(table: Any, *_: Any) -> str:
    return str(table.fullname)


def _column(schema: str | None, table: str, column: Any) -> str:
    return f"{_qualified(schema, table)}.{column.name}"


def _named(item: Any) -> str:
    columns = ", ".join(column.name for column in item.columns)
    return f"{item.name or 'without a name'} on {item.table.fullname} ({columns})"


def _qualified(schema: str | None, table: str) -> str:
    return f"{schema}.{table}" if schema else table
