"""PostgreSQL's indexes as SQLAlchemy has them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from toolkit.core.verbatim import verbatim

_DESCENDING, _NULLS_FIRST = 1, 2


def index(table: sa.Table, row: Any) -> sa.Index:
    """An index of a table, with what only PostgreSQL has of it as SQLAlchemy's options for it."""
    operators = {name: operator for name, operator in zip(row.columns, row.operators, strict=True) if name and operator}
    options: dict[str, Any] = {
        "using": None if row.method == "btree" else row.method,
        "where": None if row.condition is None else verbatim(row.condition),
        "include": list(row.included) or None,
        "ops": operators or None,
        "nulls_not_distinct": row.nulls_not_distinct or None,
    }
    parts = [
        _part(table, *each) for each in zip(row.columns, row.expressions, row.collations, row.options, strict=True)
    ]
    given = {f"postgresql_{name}": value for name, value in options.items() if value is not None}
    return sa.Index(row.name, *parts, unique=row.is_unique, _table=table, **given)


def _part(table: sa.Table, column: str | None, expression: str, collation: str | None, options: int) -> Any:
    """A column, or an expression; with its collation and order where they are not the usual ones."""
    part: Any = verbatim(expression) if column is None else table.c[column]
    if collation is not None:
        part = part.collate(collation) if column is not None else verbatim(f'{expression} COLLATE "{collation}"')
    is_descending, has_nulls_first = bool(options & _DESCENDING), bool(options & _NULLS_FIRST)
    if is_descending:
        part = sa.desc(part)
    if has_nulls_first is not is_descending:
        part = sa.nulls_first(part) if has_nulls_first else sa.nulls_last(part)
    return part
