"""Arrays of fixtures: every digit stays, and what is no element of the type is refused, in one dimension as in two."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa
import pytest
import sqlalchemy as sa

from toolkit.core.json_columns import parse_value
from toolkit.core.types import logical_type

LONG = "1.12345678901234567890123"
KEPT = [
    (sa.Numeric(), f"[{LONG}, 12345678901234567890123, 1.10, 1e3, -0.0, null]",
     f'["{LONG}", "12345678901234567890123", "1.10", "1000", "0.0", null]'),
    (sa.Numeric(10, 2), '[1.1, "2", "NaN"]', '["1.10", "2.00", "NaN"]'),
    (sa.JSON(), f'[{{"a": 1.10, "b": {LONG}}}, "{{\\"c\\":1}}"]',
     f'["{{\\"a\\": 1.10, \\"b\\": {LONG}}}", "{{\\"c\\":1}}"]'),
    (sa.DateTime(timezone=True), '["2020-01-01T01:00:00.50+01:00", "infinity", "0044-03-15 00:00:00+00 BC"]',
     '["2020-01-01 00:00:00.5+00", "infinity", "0044-03-15 00:00:00+00 BC"]'),
    (sa.LargeBinary(), '["\\\\x00ff"]', '["\\\\x00ff"]'),
    (sa.ARRAY(sa.REAL(), dimensions=2), '[[0.1, -0.0, "NaN", 300000000000000000000000000000000000000]]',
     '[[0.1, "-0", "NaN", 300000000000000000000000000000000000000]]'),
    (sa.ARRAY(sa.Integer(), dimensions=2), '{"[0:0][1:2]": [[1, null]]}', '{"[0:0][1:2]": [[1, null]]}'),
]  # fmt: skip
REFUSED = [
    (sa.Numeric(10, 2), "[1.005]"),
    (sa.Numeric(), '["one"]'),
    (sa.JSON(), '["{"]'),
    (sa.LargeBinary(), '["AP8="]'),
    (sa.Date(), "[20200101]"),
    (sa.REAL(), "[1e39]"),
    (sa.REAL(), "[1e-46]"),
    (sa.Double(), '["1e-400"]'),
    (sa.ARRAY(sa.REAL(), dimensions=2), "[[1e39]]"),
    (sa.ARRAY(sa.REAL(), dimensions=2), "[[1e-46]]"),
    (sa.ARRAY(sa.REAL(), dimensions=2), "[[16777217]]"),
    (sa.ARRAY(sa.Integer(), dimensions=2), "[[1.5]]"),
    (sa.ARRAY(sa.Integer(), dimensions=2), "[[2147483648]]"),
    (sa.ARRAY(sa.Integer(), dimensions=2), "[" * 200 + "]" * 200),
]


def parsed(element: Any, given: str) -> Any:
    """What a fixture's value becomes in a column of such an array."""
    type_ = element if isinstance(element, sa.ARRAY) else sa.ARRAY(element)
    return parse_value(logical_type(type_), msgspec.Raw(given.encode()))


@pytest.mark.parametrize(("element", "given", "kept"), KEPT)
def test_elements_keep_their_digits_and_stand_as_postgresql_writes_them(element: Any, given: str, kept: str) -> None:
    assert parsed(element, given) == kept
    assert parsed(element, kept) == kept


@pytest.mark.parametrize(("element", "given"), REFUSED)
def test_what_an_element_would_be_changed_into_is_refused(element: Any, given: str) -> None:
    with pytest.raises((ValueError, OverflowError, pa.ArrowException)):
        parsed(element, given)


def test_lists_of_drivers_values_are_taken_by_their_texts() -> None:
    values = [Decimal(LONG), None]
    assert logical_type(sa.ARRAY(sa.Numeric())).adapter.parse_json(values) == f'["{LONG}", null]'
    moments = [dt.datetime(2020, 1, 1, tzinfo=dt.UTC)]
    found = logical_type(sa.ARRAY(sa.DateTime(timezone=True))).adapter.parse_json(moments)
    assert found == '["2020-01-01 00:00:00+00"]'


def test_a_single_that_would_become_zero_is_refused() -> None:
    for values in (["1e-46"], [1e-46]):
        with pytest.raises((ValueError, OverflowError)):
            parse_value(logical_type(sa.REAL()), values[0])
    assert parse_value(logical_type(sa.REAL()), 1e-45) == 1e-45
