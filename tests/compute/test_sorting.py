"""Lines come in the order of their keys, whether Arrow sorts them alone or DuckDB in many runs."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.compute import sorting
from toolkit.compute.sorting import in_key_order

TYPES: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "integer": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "text": (pa.string(), st.text(max_size=5)),
    "uuid": (pa.binary(16), st.uuids().map(lambda value: value.bytes)),
    "bytes": (pa.binary(), st.binary(max_size=5)),
    "time": (pa.timestamp("us"), st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 1, 1))),
    "date": (pa.date32(), st.dates()),
    "bool": (pa.bool_(), st.booleans()),
    "decimal": (pa.decimal128(9, 2), st.decimals(-9999, 9999, places=2)),
    "double": (pa.float64(), st.floats(allow_nan=False)),
}


def lines(schema: pa.Schema, keys: list[tuple[Any, ...]]) -> list[bytes]:
    """The lines, each of which is the number of its row, in batches of two rows."""
    batches = []
    for at in range(0, len(keys), 2):
        part = keys[at : at + 2]
        arrays = [pa.array([key[i] for key in part], field.type) for i, field in enumerate(schema)]
        batches.append((arrays, pa.array([f"{at + number}\n" for number in range(len(part))])))
    return b"".join(in_key_order(schema, batches)).splitlines()


@pytest.mark.slow
@settings(deadline=None, max_examples=20)
@given(st.data(), st.lists(st.sampled_from(sorted(TYPES)), min_size=1, max_size=2))
def test_one_run_and_many_come_in_the_same_order(data: st.DataObject, names: list[str]) -> None:
    schema = pa.schema([pa.field(f"a b{number}", TYPES[name][0]) for number, name in enumerate(names)])
    row = st.tuples(*(TYPES[name][1] for name in names))
    keys = data.draw(st.lists(row, unique_by=lambda key: tuple(0.0 if part == 0 else part for part in key), max_size=9))
    alone = lines(schema, keys)
    assert sorted(map(int, alone)) == list(range(len(keys)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorting, "_RUN_BYTES", 1)
        assert lines(schema, keys) == alone
    ordered = [tuple(_bytewise(part) for part in keys[int(number)]) for number in alone]
    assert ordered == sorted(ordered)


def _bytewise(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value


def test_rows_of_uuids_are_sorted_without_duckdb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorting, "_merged", None)
    keys = [(uuid.UUID(int=number).bytes,) for number in (3, 1, 2)]
    assert lines(pa.schema([("id", pa.binary(16))]), keys) == [b"1", b"2", b"0"]
    assert lines(pa.schema([("id", pa.binary(16))]), []) == []
