"""Which columns a user's condition speaks of."""

from __future__ import annotations

from toolkit.core.sql_nodes import parsed
from toolkit.core.sql_terms import Untranslatable


def condition_columns(condition: str, grammar: str) -> frozenset[str]:
    """The names of its columns, as they are written; `grammar` is sqlglot's name of its SQL.

    Raises:
        Untranslatable: it is not understood, or asks other tables.
    """
    from sqlglot import expressions

    found = parsed(f"SELECT 1 WHERE ({condition}\n)", grammar)
    if len(list(found.find_all(expressions.Query))) != 1:
        raise Untranslatable("it reads other tables")
    return frozenset(column.name for column in found.find_all(expressions.Column))
