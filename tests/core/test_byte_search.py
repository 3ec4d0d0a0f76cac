"""Bytes are found in texts at once."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from toolkit.core.byte_search import may_hold

_TEXTS = st.lists(st.none() | st.text("a\x00b\\u", max_size=5), max_size=8)


@given(_TEXTS, st.integers(0, 8), st.integers(0, 8), st.sampled_from(["\x00", "\\u", "b"]))
def test_bytes_that_no_text_of_a_slice_holds_are_not_found_and_those_of_one_are(
    texts: list[str | None], start: int, length: int, part: str
) -> None:
    for of in (pa.string(), pa.binary(), pa.large_string()):
        values = pa.array([text and text.encode() for text in texts], pa.binary()).cast(of).slice(start, length)
        is_held = any(part in text for text in texts[start : start + length] if text)
        if is_held:
            assert may_hold(values, part.encode())
        elif of != pa.large_string() and not any(text is None for text in texts):
            joined = "".join(text or "" for text in texts[start : start + length])
            assert may_hold(values, part.encode()) == (part in joined)
