"""Expressions of a table's checks and indexes where its columns have other names.

What SQLAlchemy has as an expression is given the other columns. A text is given the other names where it is certain
that a word is a column; else there is no such expression, and whoever makes the table says so.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import visitors

from toolkit.core.sql_text import pieces, unquoted

# What stands before and behind a column in an expression; between other words it may be a type, or a part of syntax.
_SIGNS = re.compile(r"[<>=!|]+|[-+*/%,(]|[)]")
_OPERATORS = frozenset(
    {"AND", "OR", "NOT", "BETWEEN", "IN", "LIKE", "ILIKE", "GLOB", "REGEXP", "IS", "WHEN", "THEN", "ELSE"}
)
_BEFORE = _OPERATORS | {"CASE"}
_BEHIND = _OPERATORS | {"END", "COLLATE", "ASC", "DESC"}
# Words that are values, unless they are quoted.
_VALUES = frozenset(
    {
        *("TRUE", "FALSE", "NULL", "DEFAULT", "VALUE", "USER", "CURRENT_USER", "SESSION_USER"),
        *("CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP"),
    }
)
# Strings in which a quote does not end them, and other tables.
_OTHER_GRAMMAR = re.compile(r"\\|\$|\bSELECT\b", re.IGNORECASE)


def renamed_expression(expression: Any, names: Mapping[str, str], old: sa.Table, new: sa.Table) -> Any:
    """The same over the columns of another table, which has other `names` for some; None where that is not certain."""
    if isinstance(expression, str | sa.TextClause):
        text = expression if isinstance(expression, str) else expression.text
        others = frozenset(old.columns.keys()) - names.keys()
        found = renamed_text(text, names, None if old.fullname == new.fullname else old.name, others)
        return found if found is None or isinstance(expression, str) else sa.text(found)

    def column(element: Any, **_: Any) -> Any:
        is_own = isinstance(element, sa.Column) and element.table is old
        return new.c[names.get(element.name, element.name)] if is_own else None

    texts = (each for each in visitors.iterate(expression) if isinstance(each, sa.TextClause))
    if any(renamed_text(each.text, names, old.name) != each.text for each in texts):
        return None
    return visitors.replacement_traverse(expression, {}, column)


def renamed_text(
    sql: str, names: Mapping[str, str], table: str | None = None, others: Collection[str] = ()
) -> str | None:
    """An expression in SQL with other names of columns; None where a word may be one of them, or something else.

    Nor may the `table` be named that is called otherwise now. The `others` are columns that keep their names.
    """
    words = {name.lower(): name for name in names}
    if table is not None:
        words.setdefault(table.lower(), table)
    if not any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", sql, re.IGNORECASE) for word in words):
        return sql
    if _OTHER_GRAMMAR.search(sql):
        return None
    found = pieces(sql)
    places = [place for place, piece in enumerate(found) if not piece.is_blank]
    texts = [piece.text for piece in found]
    for number, place in enumerate(places):
        text = texts[place]
        if text != unquoted(text) and unquoted(text) in others:
            continue
        if text.startswith("'") or unquoted(text).lower() not in words:
            if text.startswith("[") and any(word in text.lower() for word in words):
                return None
            continue
        before, behind = (found[places[n]].text if 0 <= n < len(places) else "" for n in (number - 1, number + 1))
        name = unquoted(text) if text != unquoted(text) else words[text.lower()]
        if name not in names or text.upper() in _VALUES or not _is_column(before, behind):
            return None
        texts[place] = '"' + names[name].replace('"', '""') + '"'
    return "".join(texts)


def _is_column(before: str, behind: str) -> bool:
    """Whether what stands between these can be nothing else."""
    starts = not before or (before != ")" and _SIGNS.fullmatch(before)) or before.upper() in _BEFORE
    ends = not behind or (behind != "(" and _SIGNS.fullmatch(behind)) or behind.upper() in _BEHIND or behind == ":"
    return bool(starts and ends)
