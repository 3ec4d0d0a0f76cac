"""JSON documents that are certainly what they are to every engine, found many at a time, in C."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.core.json_patterns import of_no_shape

# So many documents at a time: of more, Python's own looks for what nobody uses any more take longer than the rest.
_AT_ONCE = 512
REFUSED = re.compile(rb"\\u(?:0000|[dD])")
"""What PostgreSQL's jsonb refuses: U+0000, and halves of pairs that may stand alone."""
# And a colon that is written otherwise, which would not be counted.
_UNCERTAIN = re.compile(REFUSED.pattern + rb"|\\u003[aA]")
_BITS = 62
_UNDECODED = msgspec.json.Decoder(list[msgspec.Raw])


def doubtful(documents: pa.Array, are_certain: Callable[[pa.Array], bool]) -> Iterator[pa.Array]:
    """The row numbers of those of no common shape, some hundred at a time, where not all of these are certain.

    `documents` are strings or their bytes; NULL is left out. It is `are_plain` that says so, or `are_documents`.
    """
    rows = of_no_shape(documents)
    for start in range(0, len(rows), _AT_ONCE):
        some = rows.slice(start, _AT_ONCE)
        if not are_certain(documents.take(some)):
            yield some


def are_plain(documents: pa.Array) -> bool:
    """Whether these, as strings or their bytes without NULL, are certainly documents, with no key twice in one."""
    # Between two of them a number that none can have foreseen: where all are, no row had two, or half of one.
    between = secrets.randbits(_BITS)
    joined = _listed(documents, f",{between},")
    if _UNCERTAIN.search(joined):
        return False
    try:
        values: list[Any] = msgspec.json.decode(joined)
    except (ValueError, RecursionError):
        return False
    if len(values) != 2 * len(documents) - 1 or values[1::2].count(between) != len(documents) - 1:
        return False
    return _has_all_keys(values[::2], joined.count(b":"))


def are_documents(documents: pa.Array) -> bool:
    """Whether these are certainly documents; undecoded that takes a fifth of the time."""
    joined = _listed(documents, ",")
    try:
        # Of what is not decoded, whether it is UTF-8 is not looked at.
        joined.decode()
        lengths: list[int] = pc.binary_length(documents).to_pylist()
        return list(map(len, _UNDECODED.decode(joined))) == lengths
    except (ValueError, RecursionError):
        return False


def _listed(documents: pa.Array, between: str) -> bytes:
    """All as the members of one list, with something between each two: no Python object for each."""
    texts = documents.cast(pa.binary())
    one = pc.binary_join(pa.ListArray.from_arrays([0, len(texts)], texts), between.encode())
    text: bytes = one[0].as_py()
    return b"[" + text + b"]"


def _has_all_keys(values: Sequence[Any], colons: int) -> bool:
    """Whether no key was in an object twice: every key has a colon behind it, and no other is left out."""
    # No object within another, no text with a colon: to encode them all again takes seven times as long.
    if sum(len(each) for each in values if type(each) is dict) == colons:
        return True
    return msgspec.json.encode(values).count(b":") == colons
