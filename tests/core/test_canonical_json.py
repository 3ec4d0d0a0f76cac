"""What is told of JSON texts without reading them."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from toolkit.engines.postgresql.json import holds_null_character


@pytest.mark.parametrize("before", ["", "a", "\\", "\\\\", 'quote"\\', "\x00", "\n"])
@pytest.mark.parametrize("character", ["\x00", "\\u0000", "u0000"])
def test_only_the_character_itself_is_taken_for_one(before: str, character: str) -> None:
    value = before + character
    texts = pa.array([json.dumps(value), json.dumps({value: 1}), json.dumps([[value]]), None])
    assert holds_null_character(texts).to_pylist() == [*["\x00" in value] * 3, None]
