"""Rows decoded from JSON, each member given once: of two of one name, msgspec would take the last and say nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec


class RowDecoder:
    """Decodes rows into a structure, one or many at a time.

    Names are followed by colons: only where there are not as many as members, a row is looked at member by member.
    """

    def __init__(self, row: type[msgspec.Struct]) -> None:
        self._one = msgspec.json.Decoder(row).decode
        self._many = msgspec.json.Decoder(list[row]).decode  # type: ignore[valid-type]
        self._fields = row.__struct_fields__

    def one(self, text: bytes) -> Any:
        """A row.

        Raises:
            msgspec.MsgspecError: it is none, or gives a member twice.
        """
        row = self._one(text)
        if self._members([row]) != _colons(text) and given_twice(text):
            raise msgspec.ValidationError("a member is given twice")
        return row

    def many(self, text: bytes) -> list[Any]:
        """The rows of an array.

        Raises:
            msgspec.MsgspecError: one of them is none, or may give a member twice.
        """
        rows = self._many(text)
        if self._members(rows) != _colons(text):
            raise msgspec.ValidationError("a member may be given twice")
        return rows

    def _members(self, rows: Sequence[Any]) -> int:
        """How many members these rows have, with those that undecoded values have within."""
        found = 0
        for field in self._fields:
            values = [getattr(row, field) for row in rows]
            found += len(values) - values.count(msgspec.UNSET)
            found += sum(_colons(bytes(value)) for value in values if type(value) is msgspec.Raw)
        return found


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
