"""Many documents at once have the canonical form that each has by itself."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.core.canonical_json import canonical_document, canonical_documents
from toolkit.core.json_shapes import shaped_documents

# Enough of each shape that it is taken.
SOME = 9
ODD = [
    *(
        "true",
        "false",
        "null",
        "0",
        "-0",
        "1",
        "-1",
        "10",
        "01",
        "1.0",
        "1.",
        ".5",
        "-.5",
        "-0.5",
        "1.2.3",
        "1e2",
        "-5.50",
    ),
    *("9" * 999, "9" * 1000, "--1", "1-", "nul", "truE", "NaN", "Infinity", "1 2", "", '""', '" "', '"a:b"', '"{[,]}"'),
    *(
        '"é"',
        '"\ue0000\ue000"',
        '"\\n"',
        '"\\u0000"',
        '"\\\\"',
        '"\t"',
        '"\x01"',
        '"\x7f"',
        '"a""b"',
        '1"a"',
        '"a"1',
        '"',
    ),
]
SCALARS = st.sampled_from(ODD)
KEYS = st.sampled_from(
    ['"a"', '"b"', '"bb"', '"é"', '"a:"', '""', '"\\u0061"', '"\ue0001\ue000"', "1", '"a" ', '"\x01"']
)
SHAPES = st.recursive(
    st.just("{}"),
    lambda part: (
        st.lists(part, max_size=3).map(lambda parts: f"[{','.join(parts)}]")
        | st.lists(st.tuples(KEYS, part), max_size=3).map(
            lambda pairs: "{{" + ", ".join(f"{key}:{value}" for key, value in pairs) + "}}"
        )
        | part.map(lambda inner: f" {inner}\n")
    ),
    max_leaves=8,
)


def rendered(text: str) -> str:
    try:
        return canonical_document(text)
    except ValueError:
        return text


@settings(max_examples=50)
@given(st.data())
def test_documents_of_some_shapes_have_the_form_that_each_has_alone(data: st.DataObject) -> None:
    texts = []
    for shape in data.draw(st.lists(SHAPES, min_size=1, max_size=3)):
        slots = shape.replace("{{", "").replace("}}", "").count("{}")
        usual = data.draw(st.lists(SCALARS, min_size=slots, max_size=slots))
        for _ in range(SOME):
            values = [data.draw(SCALARS) if data.draw(st.integers(0, 5)) == 0 else value for value in usual]
            texts.append(shape.format(*values))
    texts = data.draw(st.permutations(texts))
    expected = [rendered(text) for text in texts]
    shaped = shaped_documents(pa.array(["", *texts]).slice(1), canonical_document).to_pylist()
    assert [found or one for found, one in zip(shaped, expected, strict=True)] == expected
    assert canonical_documents(pa.array([*texts, None] * 8)).to_pylist() == [*expected, None] * 8


@pytest.mark.parametrize(
    "shape",
    ['{{"bb": {0}, "a": [{1}, {{"c":{2}}}]}}', '{{"k":{0},"l":{1},"k":{2}}}', "[{0},{1},{2}]", '{{"a":[],"b":{0}}}'],
)
def test_plain_documents_are_not_left_to_be_done_one_by_one(shape: str) -> None:
    texts = [shape.format(number, f'"é {number}"', "-1.50" if number % 2 else "null") for number in range(100)]
    found = shaped_documents(pa.array(texts), canonical_document)
    assert found.to_pylist() == [canonical_document(text) for text in texts]


def test_what_is_odd_is_left_alone_and_the_rest_is_done() -> None:
    texts = [json.dumps({"b": number, "a": "x"}) for number in range(20)]
    odd = ['{"b":"\\n"}', "5", "", '{"b":1', '{"b" :1,"a":"x"}', "[1e5]"]
    found = shaped_documents(pa.array([*texts[:10], *odd, *texts[10:]]), canonical_document).to_pylist()
    assert found[10:16] == [None] * len(odd)
    assert found[:10] + found[16:] == [canonical_document(text) for text in texts]


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize(
    "shape", ["[{},{}]", '{{"b": {}, "a":[{}]}}', '{{"a" : {}, "b":[{}]}}', '{{"\ue0000\ue000":{},"a":{}}}', "[{}]]{}"]
)
def test_a_value_that_all_documents_of_a_shape_have_is_as_it_is_in_one(shape: str, value: str) -> None:
    texts = [shape.format(value, number) for number in range(SOME)]
    found = shaped_documents(pa.array(texts), canonical_document).to_pylist()
    for text, made in zip(texts, found, strict=True):
        assert made is None or made == rendered(text)
