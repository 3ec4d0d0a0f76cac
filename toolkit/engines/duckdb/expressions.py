"""Expressions as DuckDB's catalogue shows them."""

from __future__ import annotations


def as_given(expression: str, type_: str) -> str:
    """What a column is computed by, without the cast that DuckDB adds, and one more with each table made of it."""
    while expression.startswith("CAST(") and expression.endswith(f" AS {type_})"):
        expression = expression.removeprefix("CAST(").removesuffix(f" AS {type_})")
    return expression
