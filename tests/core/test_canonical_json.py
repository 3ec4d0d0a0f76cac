"""What is told of JSON texts: whether they hold U+0000, and whether an object in them has a key twice."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from toolkit.core.canonical_json import canonical_document, has_duplicate_keys, without_duplicate_keys
from toolkit.engines.postgresql.json import holds_null_character

DUPLICATES = {
    r'{"a":1,"a":2}': True,
    r'[{"b":{"a":1,"\u0061":2}}]': True,
    r'{"a":1,"a":"\u003a"}': True,
    r'{"a":1,"a":"\\\u003A:"}': True,
    r'{"a":{"b":1},"c":[{"a":1},{"a":1}]}': False,
    r'{"a":"\u003a","b":"x\\u003a","c":"\\\u003a\u003A"}': False,
    r'{"a":"\u005cu003a","\\\\u003a":1}': False,
    "[" * 1500 + '{"a":1,"a":2}' + "]" * 1500: True,
    "[" * 1500 + '{"a":1,"b":":"}' + "]" * 1500: False,
}
"""By document, whether an object in it has a key twice; with colons in texts, and written as escapes."""


@pytest.mark.parametrize("before", ["", "a", "\\", "\\\\", 'quote"\\', "\x00", "\n"])
@pytest.mark.parametrize("character", ["\x00", "\\u0000", "u0000"])
def test_only_the_character_itself_is_taken_for_one(before: str, character: str) -> None:
    value = before + character
    texts = pa.array([json.dumps(value), json.dumps({value: 1}), json.dumps([[value]]), None])
    assert holds_null_character(texts).to_pylist() == [*["\x00" in value] * 3, None]


@pytest.mark.parametrize(("document", "is_twice"), DUPLICATES.items())
def test_a_document_with_a_key_twice_is_told_and_stays_as_it_is_written(document: str, *, is_twice: bool) -> None:
    assert has_duplicate_keys(document) == is_twice
    assert canonical_document(document) == (document if is_twice else without_duplicate_keys(document))
    with_null = rf'{{"n": "\\\u0000" , "d": {document}}}'
    assert canonical_document(with_null) == with_null
    assert not has_duplicate_keys(without_duplicate_keys(document))
