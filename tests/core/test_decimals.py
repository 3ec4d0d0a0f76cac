"""Numbers of any size are what they are, or are refused: none is rounded, and none takes the process along."""

from __future__ import annotations

import json
import time
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.core import canonical_json
from toolkit.core.canonical_json import canonical_document, canonical_documents
from toolkit.core.decimals import decimal_text, parse_decimal, parse_decimals
from toolkit.core.deep_json import render_deep
from toolkit.core.json_columns import format_column, parse_value
from toolkit.core.types import Kind, LogicalType
from toolkit.core.values import parse_json_value

PRICE = LogicalType(Kind.DECIMAL, 10, 2)
FREE = LogicalType(Kind.DECIMAL)
JSON = LogicalType(Kind.JSON)
BEYOND = [
    "1e-99999999",
    "1e999999",
    "1e9999999",
    "1e999999999999999999",
    f"1e{'9' * 400}",
    "1e131072",
    "1e-16384",
    "0e-16384",
    "-0e-999999999",
    "1" * 200_001,
]


@pytest.mark.parametrize("text", BEYOND)
@pytest.mark.parametrize("type_", [PRICE, FREE])
def test_a_number_that_no_engine_holds_is_refused_at_once(text: str, type_: LogicalType) -> None:
    began = time.monotonic()
    with pytest.raises(ValueError, match="131,072 digits before the point"):
        parse_json_value(type_, text)
    with pytest.raises(ValueError, match="131,072 digits before the point"):
        parse_decimals(type_, pa.array([text, "1"]))
    with pytest.raises(ValueError, match="digits"):
        decimal_text(text)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("text", ["1e131071", "1e-16383", "0e999999999", "9" * 5000, "0" * 140_000 + "1"])
def test_a_number_that_postgres_holds_is_taken(text: str) -> None:
    assert parse_decimals(FREE, pa.array([text])).to_pylist() == [text]
    assert Decimal(decimal_text(text)) == parse_decimal(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (f"1.{'0' * 77}", "1.00"),
        (f"1.23{'0' * 75}", "1.23"),
        ("0e999999999", "0.00"),
        (" 5 ", "5.00"),
        ("1e7", "10000000.00"),
        ("-0", "0.00"),
        (".5", "0.50"),
        ("0" * 5000 + "7", "7.00"),
    ],
)
def test_a_number_of_many_digits_is_exactly_what_it_says(text: str, value: str) -> None:
    """Arrow alone makes 0.00 of the first two, and ends the process for some."""
    assert parse_decimals(PRICE, pa.array([text])).to_pylist() == [Decimal(value)]
    assert parse_json_value(PRICE, text) == Decimal(value)


@pytest.mark.parametrize("text", ["1e-77", "0.001", "123456789", "1e9", "1" * 5000, "NaN", "Infinity"])
def test_a_number_that_its_column_does_not_hold_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"fit|data loss"):
        parse_decimals(PRICE, pa.array([text]))
    with pytest.raises(ValueError, match="does not fit into its column"):
        parse_json_value(PRICE, text)


@pytest.mark.parametrize("text", ["", "abc", "1_000", "sNaN", "NaN1", "-nan", "0x1", "٣", "1e", "1,5", "--1"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a decimal number"):
        parse_decimals(FREE, pa.array([text]))


@settings(deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**8) + 1, max_value=10**8 - 1))
def test_every_way_to_write_a_number_is_one_number(number: Decimal) -> None:
    texts = [str(number), format(number, "e"), f"{number:f}{'0' * 60}", f"  {number}"]
    assert set(parse_decimals(PRICE, pa.array(texts)).to_pylist()) == {number}


@pytest.mark.parametrize("text", ["1e400", '"1e400"', "-1e999999", "9" * 400])
def test_no_number_becomes_infinite(text: str) -> None:
    with pytest.raises((ValueError, OverflowError)):
        parse_value(LogicalType(Kind.FLOAT64), text.strip('"'))


# -- documents -------------------------------------------------------------------------------------------------------

WHOLE = "1" + "0" * 5000


@pytest.mark.parametrize(
    ("document", "canonical"),
    [
        (WHOLE, WHOLE),
        (f'{{"b": {WHOLE}, "a": [-0, 1e2]}}', f'{{"a": [0, 100], "b": {WHOLE}}}'),
        ("1e400", "1" + "0" * 400),
        ("1e1000000000", "1e1000000000"),
        ("[0e1000000000]", "[0]"),
        ("9" * 140_000, "9" * 140_000),
        ("[ " * 3000 + "1.50" + "]" * 3000, "[" * 3000 + "1.50" + "]" * 3000),
        ('{"b":1,"a":' * 1500 + "null" + "}" * 1500, '{"a": ' * 1500 + "null" + ', "b": 1}' * 1500),
    ],
)
def test_documents_of_any_size_have_a_canonical_form(document: str, canonical: str) -> None:
    assert canonical_document(document) == canonical


@pytest.mark.parametrize(
    "document",
    [
        "[" * 10**6,
        "[" * 1100 + '"' + '\\"' * 10**6,
        f"[{WHOLE}",
        f"[{WHOLE} 1]",
        f"- {WHOLE}",
        f"{WHOLE}x",
        f"[{WHOLE}.]",
        f"{{1: {WHOLE}}}",
        "[" * 1300 + "] []" + "]" * 1299,
        "[" * 1300 + "- []" + "]" * 1300,
        "[" * 30_000 + "]" * 30_000,
    ],
)
def test_what_is_no_document_is_found_out_at_once(document: str) -> None:
    began = time.monotonic()
    with pytest.raises(ValueError, match=r"JSON|truncated"):
        canonical_document(document)
    assert canonical_documents(pa.array([document])).to_pylist() == [document]
    assert time.monotonic() - began < 5


parts = st.recursive(
    st.none() | st.text(max_size=3) | st.integers().map(float),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(parts)
def test_both_ways_to_the_canonical_form_agree(document: object) -> None:
    text = json.dumps(document, indent=1)
    deep = render_deep(text, canonical_json._written_out, canonical_json._render)
    assert deep == canonical_json.without_duplicate_keys(text)


def test_no_document_is_dumped_that_could_not_be_loaded() -> None:
    assert format_column(JSON, pa.array(["[" * 500 + "]" * 500, None])).to_pylist()[1] == "null"
    with pytest.raises(ValueError, match="deeper than 500 levels"):
        format_column(JSON, pa.array(["[" * 501 + "]" * 501]))
