"""SQL of a database's own as SQLAlchemy's: word for word."""

from __future__ import annotations

from sqlalchemy import TextClause, text


def verbatim(sql: str) -> TextClause:
    """A text in which no colon begins a parameter."""
    return text(sql.replace(":", "\\:"))
