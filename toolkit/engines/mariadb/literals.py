"""Values as literals of MariaDB's SQL, in a session whose mode leaves a backslash to be an escape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from pymysql.converters import escape_string


def _text(value: str) -> str:
    return f"'{escape_string(value)}'"


def _bytes(value: bytes) -> str:
    return f"x'{value.hex()}'"


def _float(value: float) -> str:
    """With an exponent, or it would be a decimal."""
    text = repr(value)
    return text if "e" in text else f"{text}e0"


_LITERALS: Mapping[type, Callable[[Any], str]] = {
    str: _text,
    bytes: _bytes,
    int: str,
    float: _float,
    Decimal: lambda value: f"{value:f}",
    type(None): lambda _: "NULL",
}


def literal(value: Any) -> str:
    """A value that an adapter gave."""
    return _LITERALS[type(value)](value)
