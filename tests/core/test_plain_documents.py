"""What is said of many JSON documents at once is true of each."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.core.canonical_json import has_duplicate_keys
from toolkit.core.json_patterns import of_no_shape
from toolkit.core.plain_documents import REFUSED, are_documents, are_plain, doubtful

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES: Any = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('ab:"é\x00.*', max_size=2), inner, max_size=3),
    max_leaves=6,
)
SPACES = st.text(" \n\t", max_size=1)
# And what is none, or only together with its neighbours, or has a key twice.
PARTS = [
    *("", "{", "}", "[1", "2]", "3,0,4", "1,2", ",", "nul", "{} {}", "NaN", "01", "1.", "-", '"\\ud800"', '"\\x"'),
    *('"a', 'b"', '{"a":1,"a":2}', '{"b":[{"a":1,"a":2}]}', '"\t"', '{"a\\u0000":1}', '"\\u0000"', '"\\u0001"'),
]
ODD = st.sampled_from(PARTS) | VALUES.map(json.dumps)


@st.composite
def many(draw: st.DrawFn) -> list[str]:
    """Documents of one shape, written in their own ways, and among them something else."""
    keys = draw(st.lists(st.text('ab:é"\\ .*$', min_size=1, max_size=2), max_size=3, unique=True))
    is_ascii = draw(st.booleans())

    def one() -> str:
        colon, comma = draw(SPACES) + ":", "," + draw(SPACES)
        return json.dumps({key: draw(VALUES) for key in keys}, ensure_ascii=is_ascii, separators=(comma, colon))

    texts = [one() for _ in range(draw(st.integers(14, 20)))]
    for _ in range(draw(st.integers(0, 3))):
        texts.insert(draw(st.integers(0, len(texts))), draw(ODD))
    return texts


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
