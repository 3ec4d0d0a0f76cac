"""What is said of many JSON documents at once is true of each."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.core.canonical_json import has_duplicate_keys
from toolkit.core.json_patterns import of_no_shape
from toolkit.core.plain_documents import REFUSED, are_documents, are_plain, doubtful

TEXTS = st.text('ab:\x00\x01\x1f"\\é🎉', max_size=3)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES: Any = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=4,
)
SPACES = st.text(" \n\t", max_size=1)
# What is no value, or one only together with its neighbours, or has a key twice, or what not every engine takes.
PARTS = [
    *("", "{", "}", "[1", "2]", "3,0,4", "1,2", ",", "nul", "{} {}", "NaN", "01", "1.", "-", "+1", ".5", "0x1", "1e"),
    *('"a', 'b"', '{"a":1,"a":2}', '[{"b":[{"a":1,"a":2}]}]', '"\t"', '{"a\\u0000":1}', "[1,]", "{,}", "\x0b1"),
    *(f'"\\u{each}"' for each in ("0000", "0001", "0010", "0100", "1000", "d800", "dFFF", "D83C\\uDF89", "12", "x")),
    *('"\\x"', '"\\"', '"\x1f"', '"\x7f"', "tru", "True", "nulll", '"a" "b"', "1 2", "\ufeff1", "1}x", "1}\n"),
]
PARTS_OR_VALUES = st.sampled_from(PARTS) | VALUES.map(json.dumps)


@st.composite
def many(draw: st.DrawFn) -> list[str]:
    """Documents of one shape, written in their own ways; some have something else in the place of a value."""
    keys = draw(st.lists(st.text('ab:é" .*$', min_size=1, max_size=2), min_size=1, max_size=3, unique=True))
    is_ascii, values = draw(st.booleans()), [draw(VALUES) for _ in keys]

    def one(written: Sequence[str]) -> str:
        members = [f"{json.dumps(key, ensure_ascii=is_ascii)}:{each}" for key, each in zip(keys, written, strict=True)]
        return "{" + ("," + draw(SPACES)).join(members) + "}"

    usual = [json.dumps(value, ensure_ascii=is_ascii) for value in values]
    texts = [one(usual) for _ in range(14)]
    for _ in range(8):
        place = draw(st.integers(0, len(keys) - 1))
        other = one([draw(PARTS_OR_VALUES) if number == place else each for number, each in enumerate(usual)])
        texts.insert(draw(st.integers(1, len(texts))), other)
    return [draw(st.sampled_from(PARTS)), *texts] if draw(st.booleans()) else texts


def is_plain(text: str) -> bool:
    try:
        json.loads(text, parse_constant=_refuse)
    except ValueError:
        return False
    return REFUSED.search(text.encode()) is None and not has_duplicate_keys(text)


def _refuse(constant: str) -> None:
    raise ValueError(constant)


@given(many(), st.sampled_from([pa.string(), pa.binary()]))
def test_no_document_is_told_to_be_plain_by_its_shape_that_is_not(texts: list[str], type_: pa.DataType) -> None:
    written = [None, *texts, None]
    documents = pa.array(["before", *written, "behind"]).slice(1, len(written))
    rows = of_no_shape(documents.cast(type_)).to_pylist()
    assert rows == sorted(rows)
    told = [text for row, text in enumerate(written) if text is not None and row not in rows]
    assert [text for text in told if not is_plain(text)] == []


USUAL = ['{"a":1,".*":"x"}'] * 20
ODD = [
    *(f'{{"a":{part},".*":"x"}}' for part in PARTS),
    *("x" + USUAL[0], USUAL[0] + "x", USUAL[0] + USUAL[0], '{"a":1,"x":2,"x":"x"}', '{"a":1,".*":"x",}'),
    *('{"a":1".*":"x"}', '{"a":1,".*";"x"}', '["a":1,".*":"x"]', '{"a":1,".*":"x"', '{a:1,".*":"x"}'),
]


@pytest.mark.parametrize("odd", [each for each in ODD if not is_plain(each)])
def test_one_that_is_not_plain_is_found_among_those_of_its_shape(odd: str) -> None:
    assert of_no_shape(pa.array([*USUAL, odd, *USUAL])).to_pylist() == [20]


@pytest.mark.parametrize("key", ["\\u0000", "\\ud800", "\\u0061"])
def test_a_key_that_is_written_as_an_escape_makes_no_shape(key: str) -> None:
    assert len(of_no_shape(pa.array([f'{{"{key}":{number}}}' for number in range(20)]))) == 20


@given(many())
def test_rows_in_doubt_are_all_of_those_that_are_not_plain(texts: list[str]) -> None:
    documents = pa.array(texts)
    rows = {row for some in doubtful(documents, are_plain) for row in some.to_pylist()}
    assert {row for row, text in enumerate(texts) if not is_plain(text)} <= rows
    rows = {row for some in doubtful(documents, are_documents) for row in some.to_pylist()}
    assert all(is_document(text) for row, text in enumerate(texts) if row not in rows)


def is_document(text: str) -> bool:
    try:
        json.loads(text, parse_constant=_refuse)
    except ValueError:
        return False
    return True


COMMON = {
    "numbers": lambda n: json.dumps({"a": n, "b": n / 3, "c": -1e300 * n}),
    "escapes": lambda n: json.dumps({"a": f'é"\\\n{n}', "b": None}),
    "lists": lambda n: json.dumps({"a": [{"b": n, "c": [[1, "x"], []]}] * (n % 3), "d": {} if n % 2 else None}),
    "three shapes": lambda n: json.dumps({str(n % 3): n}),
    "with spaces": lambda n: json.dumps({"a": n, "b": [n, True]}, indent=n % 3),
    "bare values": str,
}


@pytest.mark.parametrize("common", COMMON.values(), ids=COMMON.keys())
def test_documents_that_differ_in_their_values_alone_are_told_by_their_shape(common: Callable[[int], str]) -> None:
    found = of_no_shape(pa.array([common(number) for number in range(200)])).to_pylist()
    # Too few are left to try another.
    assert len(found) < 16


@pytest.mark.parametrize("bad", [b'"\xff"', b'"\xed\xa0\x80"', b'"\xc3'])
def test_bytes_that_are_no_text_are_no_documents(bad: bytes) -> None:
    documents = pa.array([b'"a"'] * 100 + [bad, b'\xa9"'])
    for are_certain in (are_plain, are_documents):
        assert [row for some in doubtful(documents, are_certain) for row in some.to_pylist()][-2:] == [100, 101]


def test_lists_within_lists_take_no_more_memory_than_any_other_document() -> None:
    # Twice the expression for each list around it: eight gigabytes for a document of 700 bytes.
    inner = json.dumps({f"key{number}": number for number in range(60)})
    nested = "[" * 18 + inner + "]" * 18
    tracemalloc.start()
    left = of_no_shape(pa.array([nested] * 20))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(left) == 20
    assert most < 10 << 20
