"""Batches keep every row and its order, and stay within their rows and bytes however wide the rows are."""

from __future__ import annotations

import io

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from toolkit.core.batches import CELL_BYTES, copied, fitting_rows, gathered, parts, pieces, sized

ROWS = st.lists(st.lists(st.integers(0, 300), max_size=9), max_size=6)
LIMITS = st.tuples(st.integers(1, 9), st.integers(1, 600))


def texts(widths: list[int]) -> pa.RecordBatch:
    """A batch of texts of these lengths."""
    return pa.record_batch([pa.array(["x" * width for width in widths], pa.string())], names=["t"])


def lengths(batch: pa.RecordBatch | pa.Table) -> list[int]:
    return [len(text) for text in batch.column("t").to_pylist()]


@given(ROWS, LIMITS)
def test_rows_of_any_width_come_in_batches_of_so_many_rows_and_bytes(lists: list[list[int]], limits: list[int]) -> None:
    rows, size = limits
    found = list(sized(map(texts, lists), rows, size))
    assert [width for batch in found for width in lengths(batch)] == [width for each in lists for width in each]
    assert all(batch.num_rows == 1 or (batch.num_rows <= rows and batch.nbytes <= size) for batch in found)
    assert all(batch.num_rows for batch in found)


def test_small_batches_are_put_together() -> None:
    assert [batch.num_rows for batch in sized([texts([1])] * 10, 4, 1_000)] == [4, 4, 2]


@given(st.lists(st.integers(0, 300), max_size=20), LIMITS)
def test_a_batch_is_cut_into_pieces_that_fit(widths: list[int], limits: tuple[int, int]) -> None:
    rows, size = limits
    found = list(pieces(texts(widths), rows, size))
    assert [width for piece in found for width in lengths(piece)] == widths
    assert all(piece.num_rows == 1 or (0 < piece.num_rows <= rows and piece.nbytes <= size) for piece in found)


@given(ROWS, LIMITS)
def test_batches_are_gathered_until_there_are_so_many_rows_or_bytes(
    lists: list[list[int]], limits: tuple[int, int]
) -> None:
    rows, size = limits
    found = list(gathered(map(texts, lists), rows, size))
    assert [width for table in found for width in lengths(table)] == [width for each in lists for width in each]
    assert all(table.num_rows >= rows or table.nbytes >= size for table in found[:-1])
    largest = max((texts(each).nbytes for each in lists), default=0)
    assert all(table.nbytes < size + largest + 1 for table in found)


@given(st.lists(st.integers(0, 300)), LIMITS)
def test_rows_are_taken_until_they_are_so_many_or_so_wide(widths: list[int], limits: tuple[int, int]) -> None:
    rows, size = limits
    found = list(parts(widths, rows, int, size))
    assert [width for part in found for width in part] == widths
    assert all(len(part) <= rows and sum(part[:-1]) < size for part in found)


def test_a_table_of_many_columns_is_read_in_fewer_rows() -> None:
    assert fitting_rows(2) == fitting_rows(32) == 8_192
    assert fitting_rows(300) * 300 * CELL_BYTES <= 8 << 20
    assert fitting_rows(100_000, 10, 1) == 1


def test_columns_that_are_copied_do_not_keep_the_rest_of_their_batch_in_memory() -> None:
    wide = pa.record_batch({"n": [1, 2], "t": ["x" * 5_000_000] * 2})
    file = io.BytesIO()
    with pa.ipc.new_stream(file, wide.schema) as stream:
        stream.write_batch(wide)
    before = pa.total_allocated_bytes()
    kept = [copied(batch.slice(1), ["n"]) for batch in pa.ipc.open_stream(file.getvalue())]
    assert kept[0].to_pydict() == {"n": [2]}
    assert pa.total_allocated_bytes() - before < 1_000_000
