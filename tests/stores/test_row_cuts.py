"""Rows that are cut into columns at once are what they are when each is decoded, and refused as these are."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import Any

import msgspec
import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql

from toolkit.core.json_columns import parse_column
from toolkit.core.problems import Problems
from toolkit.core.tables import TableSpec, select_tables, table_spec
from toolkit.core.types import logical_type
from toolkit.errors import FixtureProblemsError
from toolkit.stores.cut_columns import ColumnCutter
from toolkit.stores.fixture_files import FileForm, Format
from toolkit.stores.fixture_reader import LINE, FixtureReader
from toolkit.stores.members import RowDecoder
from toolkit.stores.row_cuts import RowCutter

metadata = sa.MetaData()
note = sa.Table(
    "note",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("title", sa.String(12), nullable=False),
    sa.Column("facts", sa.JSON),
    sa.Column("kind", sa.Enum("HIGH", "LOW", name="kind")),
    sa.Column("at", sa.DateTime(timezone=True)),
    sa.Column("size", sa.Integer),
    sa.Column("more", postgresql.ARRAY(sa.Integer)),
    sa.Column("price", sa.Numeric(6, 2)),
    sa.Column("is_done", sa.Boolean),
)
NAMES = [column.name for column in note.columns]
# Whatever looks like what is between values, and what stands for other characters.
texts = st.text(st.sampled_from('ab",:{}[]\\\n é🎉'), max_size=12) | st.just('","facts":')
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts | st.sampled_from([*NAMES, "$json"]), inner),
    max_leaves=5,
)
moments = st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30), timezones=st.just(dt.UTC))
rows = st.fixed_dictionaries(
    {
        "id": st.uuids().map(str),
        "title": texts | st.text(st.sampled_from("abé"), min_size=1, max_size=12),
        "facts": documents,
        "kind": st.sampled_from(["HIGH", "LOW", None, "MIDDLE"]),
        "at": st.none() | moments.map(dt.datetime.isoformat),
        "size": st.none() | st.integers(-(2**31), 2**31 - 1) | st.just(2**31),
        "more": st.none() | st.lists(st.integers(0, 9), max_size=3),
        "price": st.none() | st.decimals(-999, 999, places=2).map(str),
        "is_done": st.none() | st.booleans(),
    }
)


def spec() -> TableSpec:
    return select_tables(metadata)[0]


def written(found: list[dict[str, Any]], format_: Format, separators: tuple[str, str], *, ascii_: bool) -> bytes:
    lines = [json.dumps(row, separators=separators, ensure_ascii=ascii_).encode() for row in found]
    return b"\n".join(lines) + b"\n" if format_ is Format.JSONL else b"[\n" + b",\n".join(lines) + b"\n]\n"


def outcome(content: bytes, format_: Format, size: int) -> tuple[list[Any], tuple[str, ...]]:
    """The rows of a file and what is wrong with it."""
    problems = Problems()
    reader = FixtureReader(spec(), "note", problems)
    try:
        chunks = (content[at : at + size] for at in range(0, len(content), size))
        found = [row for batch in reader.batches(chunks, FileForm(format_)) for row in batch.to_pylist()]
        problems.raise_if_any()
    except FixtureProblemsError as error:
        return [], error.problems
    return found, ()


def outcome_one_by_one(content: bytes, format_: Format, size: int) -> tuple[list[Any], tuple[str, ...]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ColumnCutter, "cut", lambda *_: None)
        return outcome(content, format_, size)


layouts = {
    "format_": st.sampled_from([Format.JSON, Format.JSONL]),
    "separators": st.sampled_from([(",", ":"), (", ", ": "), (",", ": ")]),
    "ascii_": st.booleans(),
    "size": st.sampled_from([64, 1000, 1 << 20]),
}


@pytest.mark.slow
@given(found=st.lists(rows, min_size=1, max_size=8), **layouts)
@settings(max_examples=40, deadline=None)
def test_rows_are_the_same_cut_as_decoded_one_by_one(
    found: list[dict[str, Any]], format_: Format, separators: tuple[str, str], ascii_: bool, size: int
) -> None:
    content = written(found, format_, separators, ascii_=ascii_)
    assert outcome(content, format_, size) == outcome_one_by_one(content, format_, size)


@pytest.mark.slow
@given(
    found=st.lists(rows, min_size=2, max_size=5),
    changes=st.lists(
        st.tuples(st.integers(0, 10**6), st.sampled_from([*b'"\\,:{}[] 1an\n\t\xc3', -1])), min_size=1, max_size=4
    ),
    **layouts,
)
@settings(max_examples=60, deadline=None)
def test_damaged_rows_are_refused_as_they_are_one_by_one(
    found: list[dict[str, Any]],
    changes: list[tuple[int, int]],
    format_: Format,
    separators: tuple[str, str],
    ascii_: bool,
    size: int,
) -> None:
    content = bytearray(written(found, format_, separators, ascii_=ascii_))
    for place, byte in changes:
        at = place % len(content)
        content[at : at + 1] = b"" if byte < 0 else bytes([byte])
    assert outcome(bytes(content), format_, size) == outcome_one_by_one(bytes(content), format_, size)


@pytest.mark.parametrize(
    "line", [b'{"a": 1"x", "b": 2}', b'{"a":"x","b": "y}', b'{"a":"x"y,"b":1}', b'{"a":"x","b":1]']
)
def test_a_line_of_another_form_is_not_cut(line: bytes) -> None:
    good = b'{"a":"x","b":1}'
    cutter = RowCutter(["a", "b"], [])
    assert cutter.cut(b"\n".join([good, good]), b"\n") is not None
    assert cutter.cut(b"\n".join([good, line, good]), b"\n") is None


@pytest.mark.parametrize(
    "facts",
    [
        ["1,2", "[1", "2]"],
        ['"a"', "[1", "2]", "3,4"],
        ["  [", "]", "1, 2"],
        ["1", "2,3"],
        ["1 ", "2"],
        ["nul", "1"],
        ['"\\x"', "1"],
    ],
)
def test_documents_that_are_some_only_together_are_refused(facts: list[str]) -> None:
    """One more value in a cell and one less in two others are as many as there are cells."""
    cutter = ColumnCutter([spec().column("facts"), spec().column("size")])
    lines = [f'{{"facts":{each},"size":1}}'.encode() for each in ["{}", *facts]]
    assert cutter.cut(b"\n".join([lines[0], lines[0]]), b"\n") is not None
    assert cutter.cut(b"\n".join(lines), b"\n") is None


@pytest.mark.parametrize("size", ["1,2", "1}", "01", "", "tru", "1.5", '"1"', " ", "{}", "2147483648", "[1", '1"2'])
def test_a_number_that_is_none_is_refused(size: str) -> None:
    cutter = ColumnCutter([spec().column("size")])
    lines = [b'{"size":1}', f'{{"size":{size}}}'.encode(), b'{"size":1}']
    assert cutter.cut(lines[0], b"\n") is not None
    assert cutter.cut(b"\n".join(lines), b"\n") is None


@pytest.mark.parametrize("tiny", ["1e-400", "-0." + "0" * 330 + "7", "2E-0324"])
@pytest.mark.parametrize("type_", [sa.Double(), sa.REAL()])
def test_a_number_that_would_become_zero_is_refused_and_a_small_one_is_read(type_: sa.Float[float], tiny: str) -> None:
    table = sa.Table("t", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("a b", type_))
    column = table_spec(table).column("a b")
    assert ColumnCutter([column]).cut(f'{{"a b":{tiny}}}'.encode(), b"\n") is None
    row = msgspec.defstruct("Row", [("f0", int | float | str), ("f1", msgspec.Raw)], rename={"f0": "a", "f1": "b"})
    decoder = RowDecoder(row)
    for written in (tiny, "1e-300", "0e-400", "0." + "0" * 400):
        text = f'{{"a": {written}, "b": {tiny}}}'.encode()
        if written == tiny:
            with pytest.raises(msgspec.ValidationError):
                decoder.one(text)
            with pytest.raises(msgspec.ValidationError):
                decoder.many(b"[" + text + b"]")
        else:
            assert decoder.one(text).f0 == float(written)


@pytest.mark.parametrize("title", [b"\xff", b"\xe9a", b"\\", b"\\ud800", b"a\tb", b'a"b'])
def test_a_text_that_is_none_is_refused(title: bytes) -> None:
    cutter = ColumnCutter([spec().column("title")])
    lines = [b'{"title":"a"}', b'{"title":"%b"}' % title, b'{"title":"a"}']
    assert cutter.cut(b"\n".join(lines), b"\n") is None


def test_what_a_dump_writes_is_cut() -> None:
    """A file of the usual form must not fall back to the slow way unseen."""
    values = {"id": "0" * 8 + "-0000-0000-0000-" + "0" * 12, "title": 'a "\\', "facts": {"size": 1}, "kind": None}
    row = {**values, "at": "2024-01-01T00:00:00+00:00", "size": 1, "more": [1], "price": "1.50", "is_done": True}
    text = msgspec.json.encode(row)
    found = ColumnCutter(spec().columns).cut(text + b",\n" + text, b",\n")
    assert found is not None
    assert found[1].to_pylist() == ['a "\\', 'a "\\']


def test_a_large_text_is_cut_in_two_whose_rows_are_on_their_lines() -> None:
    lines = [
        {"id": str(uuid.UUID(int=number)), "title": f"t{number}"} | dict.fromkeys(NAMES[2:]) for number in range(2500)
    ]
    content = b"[\n" + b",\n".join(map(msgspec.json.encode, lines)) + b"\n]\n"
    found, problems = outcome(content, Format.JSON, 4 << 20)
    assert not problems
    assert [(row["title"], row[LINE]) for row in found] == [(f"t{number}", number + 2) for number in range(2500)]


def test_times_with_a_zone_and_intervals_are_brought_to_one_form_in_columns_too() -> None:
    """As texts they would not be found equal to what PostgreSQL has."""
    assert parse_column(logical_type(sa.Time(timezone=True)), ["12:00:00"]) == pa.array(["12:00:00+00"])
    assert parse_column(logical_type(postgresql.INTERVAL()), ["P1M2D"]) == pa.array(["1 mon 2 days"])
