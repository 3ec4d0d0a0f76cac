"""JSON documents that are certainly what they are to every engine, found many at a time, in C."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import msgspec

AT_ONCE = 512
"""So many documents at a time: of more, Python's own looks for what nobody uses any more take longer than the rest."""
REFUSED = (b"\\u0000", b"\\ud", b"\\uD")
"""What PostgreSQL's jsonb refuses: U+0000, and halves of pairs that may stand alone."""
# A colon that is written otherwise would not be counted.
_COLONS = (b"\\u003a", b"\\u003A")
_ESCAPE = b"\\u"
_BITS = 62


def are_plain(documents: Sequence[bytes]) -> bool:
    """Whether these are certainly documents, and no key is in one of them twice."""
    # Between two of them a number that none can have foreseen: where all are, no row had two, or half of one.
    between = secrets.randbits(_BITS)
    joined = b"[" + (b",%d," % between).join(documents) + b"]"
    if _ESCAPE in joined and any(each in joined for each in (*_COLONS, *REFUSED)):
        return False
    try:
        values: list[Any] = msgspec.json.decode(joined)
    except (ValueError, RecursionError):
        return False
    if len(values) != 2 * len(documents) - 1 or values[1::2].count(between) != len(documents) - 1:
        return False
    return _has_all_keys(values[::2], joined.count(b":"))


def _has_all_keys(values: Sequence[Any], colons: int) -> bool:
    """Whether no key was in an object twice: every key has a colon behind it, and no other is left out."""
    # No object within another, no text with a colon: to encode them all again takes seven times as long.
    if sum(len(each) for each in values if type(each) is dict) == colons:
        return True
    return msgspec.json.encode(values).count(b":") == colons
