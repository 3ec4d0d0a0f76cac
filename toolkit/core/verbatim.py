"""SQL of a database's own as SQLAlchemy's: word for word."""

from __future__ import annotations

from typing import Any

from sqlalchemy import TextClause, text


def verbatim(sql: str) -> TextClause:
    """A text in which no colon begins a parameter."""
    return text(sql.replace(":", "\\:"))


def text_of(clause: Any) -> str:
    """The SQL of a text of a schema, as its database has it."""
    return clause.text.replace("\\:", ":") if isinstance(clause, TextClause) else str(clause)
