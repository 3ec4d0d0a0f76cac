"""Why a column gets the type that it gets in another engine, as far as that is not plain."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from toolkit.core.engine_type import EngineType
from toolkit.core.schema import ColumnMeasure
from toolkit.core.types import FLOAT_KINDS, Kind, logical_type


def reason(declared: str, column: sa.Column[Any], found: str, measure: ColumnMeasure, title: str | None) -> str:
    """Why a column that was `declared` so gets the type `found`, in a sentence; '' where both say the same.

    `title` is the target's engine, where what was declared says what the values are.
    """
    if _plain(declared) == _plain(found):
        return ""
    found = _by_values(declared, column, measure) if title is None else _by_type(declared, column, title)
    return f"{found[0].upper()}{found[1:]}." if found else ""


def _by_type(declared: str, column: sa.Column[Any], title: str) -> str:
    if isinstance(column.type, EngineType) and column.type.like is None:
        return f"the text of {declared}, which {title} does not have"
    type_ = logical_type(column.type)
    return f"the text of {declared}" if type_.kind == Kind.NATIVE else f"{title}'s for {type_}"


def _by_values(declared: str, column: sa.Column[Any], measure: ColumnMeasure) -> str:
    """Of a column that may hold anything."""
    values, kind = measure.rows - measure.nulls, logical_type(column.type).kind
    if not values:
        return "by its declaration: it holds no values" if declared else "it holds no values"
    of_classes, of_forms = _told(measure.classes, values), _told(measure.forms, values)
    if kind == Kind.INT64:
        return "integers have up to 64 bits" if measure.classes.keys() <= {"integer"} else of_classes
    if kind in FLOAT_KINDS:
        return "floats have 64 bits"
    if kind == Kind.TEXT and (size := _length(declared)) and (measure.longest or 0) > size:
        return f"the longest has {measure.longest:,} characters"
    if kind == Kind.DECIMAL and measure.precision is not None:
        return f"the digits of all values: {measure.precision}, {measure.scale} of them behind the point"
    return of_forms or of_classes


def _told(counts: Mapping[str, int], values: int) -> str:
    """`all are timestamp`, `3 are text, 40 are integer`."""
    given = {name: count for name, count in counts.items() if count}
    if len(given) == 1 and sum(given.values()) == values:
        return f"all are {next(iter(given))}"
    return ", ".join(f"{count:,} are {name}" for name, count in given.items())


def _length(declared: str) -> int | None:
    found = re.search(r"\(\s*(\d+)\s*\)", declared)
    return None if found is None else int(found[1])


def _plain(type_: str) -> str:
    return re.sub(r"\s", "", type_).lower()
