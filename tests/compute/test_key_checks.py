"""Keys that are twice the same or point nowhere are found alike among few rows and many."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.compute import key_checks
from toolkit.compute.key_checks import KeyChecks, are_ascending

TYPES: dict[pa.DataType, list[Any]] = {
    pa.int64(): [0, 1, -1, 2**62],
    pa.string(): ["", "a", "A", "ä"],
    pa.binary(16): [bytes(16), b"\x01" * 16],
    pa.timestamp("us", "UTC"): [dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(1, 1, 1, tzinfo=dt.UTC)],
    pa.date32(): [dt.date(2026, 1, 1), dt.date(9999, 12, 31)],
    pa.decimal128(10, 2): [Decimal("1.10"), Decimal("-1.10")],
    pa.bool_(): [True, False],
    pa.float64(): [0.0, -0.0, 1.5, float("nan")],
}


@st.composite
def keys(draw: st.DrawFn) -> tuple[list[pa.DataType], list[list[Any]], list[list[Any]]]:
    """Types of one or two columns, and two tables' values of them."""
    types = draw(st.lists(st.sampled_from(list(TYPES)), min_size=1, max_size=2))
    row = st.tuples(*(st.sampled_from([None, *TYPES[type_]]) for type_ in types)).map(list)
    return types, draw(st.lists(row, max_size=8)), draw(st.lists(row, max_size=4))


def batches(types: list[pa.DataType], rows: list[list[Any]], lines: bool) -> Iterator[pa.RecordBatch]:
    """Batches of three rows, from the last line to the first."""
    numbered = [[*row, len(rows) - n] for n, row in enumerate(rows)] if lines else rows
    fields = [*types, pa.int64()] if lines else types
    for first in range(0, len(rows), 3):
        part = numbered[first : first + 3]
        columns = [pa.array([row[i] for row in part], type_) for i, type_ in enumerate(fields)]
        yield pa.RecordBatch.from_arrays(columns, names=[f"n{i}" for i in range(len(fields))])


@pytest.mark.slow
@settings(deadline=None, max_examples=20)  # DuckDB's first query takes as long as the machine is busy.
@given(data=keys())
def test_few_rows_and_many_are_checked_alike(data: Any) -> None:
    types, children, parents = data
    found = []
    for few_rows in (key_checks.FEW_ROWS, -1):
        with pytest.MonkeyPatch.context() as patch, KeyChecks() as checks:
            patch.setattr(key_checks, "FEW_ROWS", few_rows)
            twice = checks.duplicates(batches(types, children, lines=True), 100)
            lost = checks.orphans(batches(types, children, lines=True), batches(types, parents, lines=False), 100)
            found.append((twice, [(repr(row[:-1]), row[-1]) for row in lost]))
    assert found[0] == found[1]


@pytest.mark.parametrize("few_rows", [key_checks.FEW_ROWS, 3])
def test_what_is_twice_and_what_points_nowhere_is_told_with_its_lines(
    monkeypatch: pytest.MonkeyPatch, few_rows: int
) -> None:
    monkeypatch.setattr(key_checks, "FEW_ROWS", few_rows)
    rows: list[list[Any]] = [[value] for value in ("a", "b", None, "a", "c", None, "a", "b")]
    parents: list[list[Any]] = [["b"], [None]]
    text = [pa.string()]
    with KeyChecks() as checks:
        assert checks.duplicates(batches(text, rows, lines=True), 9) == [(1, 7), (2, 8)]
        assert checks.duplicates(batches(text, rows, lines=True), 1) == [(1, 7)]
        lost = checks.orphans(batches(text, rows, lines=True), batches(text, parents, lines=False), 9)
        assert lost == [("a", 2), ("c", 4)]
        assert checks.orphans(batches(text, rows, lines=True), iter(()), 1) == [("b", 1)]


@pytest.mark.slow
@given(data=keys())
def test_rows_that_ascend_are_all_different_and_those_in_order_ascend(data: Any) -> None:
    types, rows, _ = data
    given_ = [tuple(row) for row in rows if None not in row]
    for found in (rows, sorted(set(given_))):
        if are_ascending(batches(types, [list(row) for row in found], lines=False)):
            assert len({repr(row) for row in found}) == len(found)
            with KeyChecks() as checks:
                assert checks.duplicates(batches(types, [list(row) for row in found], lines=True), 9) == []
    if pa.float64() not in types:
        assert are_ascending(batches(types, [list(row) for row in sorted(set(given_))], lines=False))


@pytest.mark.parametrize(
    "rows", [[["a", 1], ["a", 1]], [["a", 1], ["a", 2], ["b", 1], ["a", 2]], [["a", None], ["b", None], ["b", 1]]]
)
def test_rows_that_do_not_ascend_are_looked_at(rows: list[list[Any]]) -> None:
    assert not are_ascending(batches([pa.string(), pa.int64()], rows, lines=False))
