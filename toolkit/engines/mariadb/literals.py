"""Values as literals of MariaDB's SQL, in a session whose mode leaves a backslash to be an escape."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from pymysql.converters import escape_string

from toolkit.engines.mariadb.dialect import CHARSET
from toolkit.engines.portable.literals import CONTROL, quoted_text

_SPECIAL = re.compile("[\0\n\r\x1a\"'\\\\]")


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


def literals(values: Sequence[Any]) -> list[str]:
    """A column of values that an adapter gave, mostly of one class: to ask each for it takes half the time."""
    classes = {*map(type, values)} - {type(None)}
    if len(classes) > 1:
        return [literal(value) for value in values]
    write = _LITERALS[classes.pop()] if classes else literal
    if write is _text and _SPECIAL.search("".join(filter(None, values))) is None:
        return ["NULL" if value is None else f"'{value}'" for value in values]
    return ["NULL" if value is None else write(value) for value in values]


def script_literals(values: Sequence[Any]) -> list[str]:
    """The same for a script, in whose mode a backslash is none, and which the client reads line by line."""
    return [_script_text(value) if isinstance(value, str) else literal(value) for value in values]


def _script_text(text: str) -> str:
    return f"_{CHARSET} x'{text.encode().hex()}'" if "\\" in text or CONTROL.search(text) else quoted_text(text)
