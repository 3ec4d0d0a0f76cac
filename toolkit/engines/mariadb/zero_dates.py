"""Dates that no calendar has (`0000-00-00`, `2024-00-10`, `2024-02-30`): they travel as the server's own text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.core.engine_type import EngineType
from toolkit.core.types import Kind
from toolkit.engines.mariadb.modes import MADE
from toolkit.engines.mariadb.types import MOMENTS, actual_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from sqlalchemy.types import TypeEngine

    from toolkit.core.tables import TableSpec

_OF_CALENDARS = frozenset({Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ})
DATES = MOMENTS | {"date"}
# The mode in which the server takes such dates: in any other it refuses them.
TAKING = (*MADE, "ALLOW_INVALID_DATES")


def is_text_of_dates(declared: TypeEngine[Any] | None) -> bool:
    """Whether a column of dates is read and written by the server's own text."""
    return isinstance(declared, EngineType) and actual_type(declared.definition).name in DATES


def has_texts_of_dates(spec: TableSpec) -> bool:
    """Whether a table has such a column."""
    return any(is_text_of_dates(column.declared) for column in spec.columns)


def conditions(spec: TableSpec, types: Mapping[str, str], quoted: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """By column of dates, what its values meet that no calendar has."""
    for column in spec.columns:
        if column.type.kind in _OF_CALENDARS and actual_type(types.get(column.name, "")).name in DATES:
            yield column.name, condition(quoted[column.name])


def condition(cell: str) -> str:
    """What a date meets that no calendar has."""
    is_day = f"dayofmonth({cell}) BETWEEN 1 AND dayofmonth(last_day({cell}))"
    return f"{cell} IS NOT NULL AND NOT coalesce({is_day}, 0)"


def text_of_dates(definition: str) -> Mapping[str, TypeEngine[Any]]:
    """By kind, the type of a column of dates that are read and written by the server's own text; none of others."""
    if actual_type(definition).name not in DATES:
        return {}
    return {Kind.NATIVE: EngineType("mysql", definition)}
