"""Rows decoded from JSON, each member given once: of two of one name, msgspec would take the last and say nothing."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec

# A number that may be below the smallest double, of which msgspec makes zero.
TINY = r"[eE]-0*[0-9]{3}|\.0{300}"
_TINY = re.compile(TINY.encode())


class RowDecoder:
    """Decodes rows into a structure, one or many at a time.

    Names are followed by colons: only where there are not as many as members, a row is looked at member by member.
    """

    def __init__(self, row: type[msgspec.Struct]) -> None:
        self._one = msgspec.json.Decoder(row).decode
        self._many = msgspec.json.Decoder(list[row]).decode  # type: ignore[valid-type]
        self._fields = row.__struct_fields__
        self._names = dict(zip(row.__struct_encode_fields__, row.__struct_fields__, strict=True))

    def one(self, text: bytes) -> Any:
        """A row.

        Raises:
            msgspec.MsgspecError: it is none, gives a member twice, or a number too small to be a double.
        """
        row = self._one(text)
        if _TINY.search(text):
            self._require_kept(row, text)
        if self._members([row]) != _colons(text) and given_twice(text):
            raise msgspec.ValidationError("a member is given twice")
        return row

    def many(self, text: bytes) -> list[Any]:
        """The rows of an array.

        Raises:
            msgspec.MsgspecError: one of them is none, or may give a member twice or a number that is too small.
        """
        rows = self._many(text)
        if self._members(rows) != _colons(text) or _TINY.search(text):
            raise msgspec.ValidationError("a member may be given twice, or too small")
        return rows

    def _require_kept(self, row: Any, text: bytes) -> None:
        written = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        for name, field in self._names.items():
            if name in written and became_zero(getattr(row, field), written[name]):
                raise msgspec.ValidationError("a number is too small")

    def _members(self, rows: Sequence[Any]) -> int:
        """How many members these rows have, with those that undecoded values have within."""
        found = 0
        for field in self._fields:
            values = [getattr(row, field) for row in rows]
            found += len(values) - values.count(msgspec.UNSET)
            found += sum(_colons(bytes(value)) for value in values if type(value) is msgspec.Raw)
        return found


def became_zero(value: Any, written: msgspec.Raw) -> bool:
    """Whether a float is zero of which a digit is none."""
    mantissa = bytes(written).lower().partition(b"e")[0]
    return type(value) is float and not value and any(digit in mantissa for digit in b"123456789")


def _colons(text: bytes) -> int:
    return text.count(b'":') + text.count(b'" :')


def given_twice(text: bytes, *, within: bool = False) -> list[str]:
    """The members that an object gives several times, and with `within` those of objects in it."""
    found: list[str] = []

    def note(pairs: list[tuple[str, Any]]) -> list[str]:
        names = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
        if within:
            found.extend(names)
        return names

    with suppress(ValueError, RecursionError):
        outermost = json.loads(text, object_pairs_hook=note, parse_int=str, parse_float=str)
        return found if within else outermost
    return []
