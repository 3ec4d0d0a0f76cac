"""Comparing keyed digests finds what is new, changed, equal, and only in the target; within its memory."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.compute import changes
from toolkit.compute.changes import compare_rows
from toolkit.core.digest import DIGEST, DIGEST_FIELD, TableDigest, digest_schema, sum_digests
from toolkit.core.tables import TableSpec, select_tables
from toolkit.errors import UnrepresentableValueError


def spec() -> TableSpec:
    """A table with a key of two columns."""
    metadata = sa.MetaData()
    sa.Table(
        "t",
        metadata,
        sa.Column("a", sa.BigInteger, primary_key=True),
        sa.Column("b", sa.Text, primary_key=True),
        sa.Column("v", sa.Text),
    )
    return select_tables(metadata)[0]


SPEC = spec()
sides = st.dictionaries(st.tuples(st.integers(0, 5), st.sampled_from("xyz")), st.integers(0, 2), max_size=12)


def digests(side: dict[tuple[int, str], int]) -> list[pa.RecordBatch]:
    """A side as batches of two rows."""
    rows = list(side.items())
    arrays = [
        pa.array([key[0] for key, _ in rows], pa.int64()),
        pa.array([key[1] for key, _ in rows], pa.string()),
        pa.array([bytes(15) + bytes([value]) for _, value in rows], DIGEST),
    ]
    batches: list[pa.RecordBatch] = pa.Table.from_arrays(arrays, schema=digest_schema(SPEC)).to_batches(max_chunksize=2)
    return batches


@pytest.mark.slow
@settings(deadline=None, max_examples=20)
@given(st.sampled_from([-1, 2, 1000]), sides, sides)
def test_every_row_is_in_the_place_it_belongs(
    few: int, source: dict[tuple[int, str], int], target: dict[tuple[int, str], int]
) -> None:
    """Whether few rows are compared without DuckDB, or none are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(changes, "_FEW_ROWS", few)
        found = compare_rows(SPEC, digests(source), digests(target), removed=True)
    assert found.removed is not None
    assert {tuple(row.values()) for row in found.removed.to_pylist()} == target.keys() - source.keys()
    new = {tuple(row.values())[:2] for row in found.new.to_pylist()}
    changed = {tuple(row.values())[:2] for row in found.changed.to_pylist()}
    assert new == source.keys() - target.keys()
    assert changed == {key for key in source.keys() & target.keys() if source[key] != target[key]}
    assert found.unchanged == len(source) - len(new) - len(changed)
    assert found.target_only == len(target.keys() - source.keys())
    assert all(row[DIGEST_FIELD][-1] == source[row["a"], row["b"]] for row in found.new.to_pylist())


@pytest.mark.parametrize("few", [-1, 1000])
def test_a_comparison_that_fails_ends_the_reading_of_both_sides_first(
    monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    """Else a thread would still read what is closed next."""
    monkeypatch.setattr(changes, "_FEW_ROWS", few)
    ended: list[str] = []

    def side(name: str, key: int | None) -> Iterator[pa.RecordBatch]:
        try:
            row = [pa.array([key], pa.int64()), pa.array(["x"]), pa.array([bytes(16)], DIGEST)]
            yield pa.RecordBatch.from_arrays(row, schema=digest_schema(SPEC))
            yield from digests({(number, "y"): 0 for number in range(9)})
        finally:
            ended.append(name)

    with pytest.raises(UnrepresentableValueError) as caught:
        compare_rows(SPEC, side("source", 1), side("target", None))
    assert (sorted(ended), caught.value.column) == (["source", "target"], "a")


@pytest.mark.slow
def test_more_than_fits_into_memory_goes_to_disk() -> None:
    count = 400_000
    schema = digest_schema(SPEC)
    arrays = [pa.array(range(count), pa.int64()), pa.array(["key"] * count), pa.array([bytes(16)] * count, DIGEST)]
    batches = pa.Table.from_arrays(arrays, schema=schema).to_batches(max_chunksize=50_000)
    found = compare_rows(SPEC, batches, batches[1:], memory="32MB")
    assert (found.new.num_rows, found.unchanged) == (50_000, count - 50_000)


@given(st.lists(st.binary(min_size=16, max_size=16), max_size=20), st.integers(0, 20))
def test_a_table_digest_is_a_sum_in_any_order_and_any_parts(values: list[bytes], split: int) -> None:
    whole = sum_digests(pa.array(values, DIGEST))
    parts = sum_digests(pa.array(values[::-1][:split], DIGEST)) + sum_digests(pa.array(values[::-1][split:], DIGEST))
    expected = sum(int.from_bytes(value[:8], "big", signed=True) for value in values)
    assert whole == parts == TableDigest(len(values), expected)
