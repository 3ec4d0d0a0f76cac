"""Rows taken apart: what is good is kept whole, what is bad is named value by value."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from toolkit.core.tables import ColumnSpec, table_spec
from toolkit.engines.portable.sifting import Doubt, Sieve, misfits
from toolkit.engines.sqlite.adapters import SqliteCodec


def test_values_that_cannot_be_converted_are_found_by_their_rows() -> None:
    def convert(values: list[str]) -> list[int]:
        return [int(value) for value in values]

    assert list(misfits(convert, list("0x2x4xx7"))) == [1, 3, 5, 6]
    assert misfits(convert, []) == {}


def test_a_row_with_two_values_in_doubt_and_one_that_is_none_is_told_with_all_three() -> None:
    names = ("id", "a", "b", "c")
    columns = [sa.Column(name, sa.Integer, primary_key=name == "id") for name in names]
    spec = table_spec(sa.Table("t", sa.MetaData(), *columns))

    def convert(column: ColumnSpec, values: Any) -> pa.Array:
        return pa.array([None if value is None else int(value) for value in values], column.type.arrow)

    doubts = {name: Doubt("", f"holds {{}} in {name}", "no number") for name in ("a", "b")}
    sieve = Sieve(spec, SqliteCodec(), convert, doubts)
    found = sieve.sifted([[1, 2], [None, 5], [None, None], ["x", 7]], [["1.5", None], ["2.5", None]])
    assert found.batch.to_pylist() == [{"id": 2, "a": 5, "b": None, "c": 7}]
    (bad,) = found.bad
    assert (bad.key, [value.column for value in bad.values], list(bad.cells)) == ("id=1", ["a", "b", "c"], ["id"])
