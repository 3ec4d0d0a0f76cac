"""Which values a narrower column would refuse or change, at the edges of each type."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from toolkit.core.moments import DAY, INFINITE_TIMESTAMP
from toolkit.core.types import Kind, LogicalType
from toolkit.engines.portable.narrowing import narrower

PRICE, FREE = LogicalType(Kind.DECIMAL, 10, 2), LogicalType(Kind.DECIMAL)
AT, UTC, TIME = LogicalType(Kind.TIMESTAMP), LogicalType(Kind.TIMESTAMPTZ), LogicalType(Kind.TIME)
INT16, INT32, INT64 = (LogicalType(kind) for kind in (Kind.INT16, Kind.INT32, Kind.INT64))
TEXT, DOUBLE = LogicalType(Kind.TEXT), LogicalType(Kind.FLOAT64)

# The type of the model and that of the column; values that it keeps, and others that it does not.
EDGES: list[tuple[LogicalType, str, list[Any], list[Any]]] = [
    (INT32, "smallint", [-(2**15), 2**15 - 1, None], [-(2**15) - 1, 2**15]),
    (INT64, "INTEGER", [-(2**31), 2**31 - 1], [-(2**31) - 1, 2**31]),
    (INT16, "TINYINT", [-128, 127], [-129, 128]),
    (INT16, "UINTEGER", [0, 2**15 - 1], [-1]),
    (INT16, "UTINYINT", [0, 255], [-1, 256]),
    (INT32, "numeric(9,0)", [999_999_999, -999_999_999], [10**9]),
    (PRICE, "numeric(9,2)", [Decimal("9999999.99"), Decimal(0)], [Decimal(10_000_000)]),
    (PRICE, "DECIMAL(12,1)", [Decimal("1.2"), Decimal("1.20")], [Decimal("1.25")]),
    (FREE, "numeric(5,2)", ["999.99", "1.000", "NaN", None], ["1000", "1.001", "Infinity", "-Infinity"]),
    (FREE, "numeric(3,-2)", ["99900", "-100"], ["100000", "12345"]),
    (DOUBLE, "real", [0.5, float("nan"), float("inf"), None], [0.1, 1e300]),
    (AT, "timestamp(3) without time zone", [1_000, -1_000, INFINITE_TIMESTAMP, -INFINITE_TIMESTAMP], [1_001, -1_001]),
    (AT, "TIMESTAMP_S", [1_000_000], [1_000_001, 100_000]),
    (AT, "TIMESTAMP_MS", [1_000], [100]),
    (UTC, "date", [DAY, -DAY, None], [DAY + 1]),
    (TIME, "time(0) without time zone", [1_000_000], [500_000]),
    (TEXT, "character varying(3)", ["abc", "äöü", None], ["abcd"]),
    (TEXT, "character(3)", ["abc", " ab"], ["ab ", "abcd"]),
]
ALL_KEPT: list[tuple[LogicalType, str]] = [
    (INT16, "smallint"),
    (INT32, "integer"),
    (INT32, "numeric(10,0)"),
    (PRICE, "numeric(10,2)"),
    (PRICE, "numeric(11,3)"),
    (TEXT, "numeric(5,2)"),
    (AT, "timestamp(6) without time zone"),
    (TIME, "date"),
    (LogicalType(Kind.FLOAT32), "real"),
    (TEXT, "text"),
]


@pytest.mark.parametrize(("type_", "actual", "kept", "lost"), EDGES, ids=[f"{t} {a}" for t, a, _, _ in EDGES])
def test_a_narrower_type_keeps_what_it_has_room_for_and_nothing_else(
    type_: LogicalType, actual: str, kept: list[Any], lost: list[Any]
) -> None:
    check = narrower(type_, None, actual)
    assert check is not None
    assert check.rows(pa.array([*kept, *lost], type_.arrow)) == list(range(len(kept), len(kept) + len(lost)))


@pytest.mark.parametrize(("type_", "actual"), ALL_KEPT)
def test_a_type_with_room_for_all_values_of_the_models_needs_no_look_at_them(type_: LogicalType, actual: str) -> None:
    assert narrower(type_, None, actual) is None


def test_a_text_of_the_model_is_in_doubt_unless_its_own_length_fits() -> None:
    found = [narrower(TEXT, length, "character varying(3)") for length in (None, 4, 3)]
    assert [each is not None and each.is_doubtful for each in found] == [True, True, False]
