"""Different values that are equal to DuckDB, 0.0 and -0.0, a month and 30 days: its updates pass over what is equal.

NULL is no value in between: what is beneath it stays, and is passed over, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_STRUCT = "STRUCT("
# Which keep such values; of a list or a map, an update writes each value anew.
_EQUAL = re.compile(r"\b(?:FLOAT|DOUBLE|INTERVAL)\b")
_OTHERS = {"FLOAT": "1", "DOUBLE": "1", "INTERVAL": "{} + INTERVAL 1 DAY"}
_PART = re.compile(r""""(?:[^"]|"")*"|'(?:[^']|'')*'|.""", re.DOTALL)
_FIELD = re.compile(r"""("(?:[^"]|"")*"|\S+) (.*)""", re.DOTALL)


def other_value(type_: str, cell: str) -> str | None:
    """The expression of a value that is equal to neither of two such; None of types of which equal values are one."""
    if type_ in _OTHERS:
        return _OTHERS[type_].format(cell)
    if not (type_.startswith(_STRUCT) and type_.endswith(")") and _EQUAL.search(type_)):
        return None
    values = []
    for field in _fields(type_.removeprefix(_STRUCT)[:-1]):
        found = _FIELD.fullmatch(field)
        if found is None:
            return None
        part = f"({cell}).{found[1]}"
        values.append(other_value(found[2], part) or part)
    return f"CASE WHEN {cell} IS NOT NULL THEN CAST(ROW({', '.join(values)}) AS {type_}) END"


def _fields(inner: str) -> Iterator[str]:
    """A STRUCT's fields, each with its type."""
    depth, field = 0, ""
    for part in _PART.findall(inner):
        depth += {"(": 1, ")": -1}.get(part, 0)
        if part == "," and not depth:
            yield field.strip()
            field = ""
        else:
            field += part
    yield field.strip()
