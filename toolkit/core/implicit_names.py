"""The names of constraints that were given none: those of PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable

_LONGEST = 63


def implicit_name(table: str, columns: Iterable[str], label: str) -> str:
    """What PostgreSQL calls a constraint without a name, as its `makeObjectName` does; `label` is `key` or `fkey`."""
    first, second = table.encode(), "_".join(columns).encode()
    room = _LONGEST - len(label) - 2
    while len(first) + len(second) > room:
        if len(first) > len(second):
            first = first[:-1]
        else:
            second = second[:-1]
    return "_".join([*(each.decode(errors="ignore") for each in (first, second)), label])
