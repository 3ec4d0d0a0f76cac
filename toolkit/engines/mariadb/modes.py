"""How a session's SQL is understood, and what is refused in it."""

from __future__ import annotations

# Nothing is cut to size or made a zero date, and 0 in a column that numbers itself is 0.
MODES = (
    "STRICT_ALL_TABLES",
    "NO_ZERO_DATE",
    "NO_ZERO_IN_DATE",
    "ERROR_FOR_DIVISION_BY_ZERO",
    "NO_AUTO_VALUE_ON_ZERO",
    "NO_ENGINE_SUBSTITUTION",
)
# Of those, what tables of the server's own are made by: a zero date may be a column's default.
MADE = tuple(mode for mode in MODES if mode not in ("NO_ZERO_DATE", "NO_ZERO_IN_DATE"))
# Beside the first, while tables are made of other engines': checks and defaults are in the standard's quotes.
STANDARD = ("ANSI_QUOTES", "PIPES_AS_CONCAT", "NO_BACKSLASH_ESCAPES")


def set_mode(*modes: str) -> str:
    """The statement that has a session's SQL understood so."""
    return f"SET SESSION sql_mode = '{','.join(modes)}'"
