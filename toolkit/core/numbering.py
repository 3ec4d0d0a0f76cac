"""How columns number themselves, where that is not from 1 on, one by one."""

from __future__ import annotations

import sqlalchemy as sa
from msgspec import Struct

from toolkit.core.logical import Kind

NEXT_NUMBER = "next_number"
"""In a column's `info`: the number that a column that numbers itself gives out next, where it is known."""
NUMBERED = "numbered"
"""In a column's `info`: it numbers itself, beside another of its key, of which alone SQLAlchemy knows."""
NUMBERING = "numbering"
"""In a column's `info`: its `Numbering`, where that is not the usual one."""

_LARGEST: dict[str, int] = {Kind.INT16: (1 << 15) - 1, Kind.INT32: (1 << 31) - 1, Kind.INT64: (1 << 63) - 1}


class Numbering(Struct, frozen=True):
    """By which steps a column numbers itself, and within which bounds, where these are not the usual ones."""

    increment: int = 1
    minimum: int | None = None
    maximum: int | None = None
    cycles: bool = False

    @classmethod
    def of(cls, kind: str, increment: int, minimum: int, maximum: int, *, cycles: bool) -> Numbering:
        """That of a sequence whose numbers are for a column of this type."""
        largest = _LARGEST.get(kind, _LARGEST[Kind.INT64])
        # Descending, the bounds are those of ascending numbers with another sign, and one more below.
        first, last = (minimum, maximum) if increment > 0 else (-maximum, -minimum)
        begins, ends = (None if first == 1 else first), (None if last in _USUAL or last >= largest else last)
        if increment > 0:
            return cls(increment, begins, ends, cycles)
        return cls(increment, None if ends is None else -ends, None if begins is None else -begins, cycles)


_USUAL = {number + more for number in _LARGEST.values() for more in (0, 1)}
USUAL = Numbering()


def last_of_64_bits(number: int) -> int:
    """The number, or the last there is where it is beyond: who gave out that one, or had more bits, has none left."""
    return min(number, _LARGEST[Kind.INT64])


def is_beyond(number: int) -> bool:
    """Whether no integer of any engine is of this size."""
    return not -_LARGEST[Kind.INT64] - 1 <= number <= _LARGEST[Kind.INT64]


def have_one_numbered(table: sa.Table) -> None:
    """Of a key whose columns number themselves, let SQLAlchemy know of the first: it takes no more."""
    for column in [each for each in table.primary_key if each.autoincrement is True][1:]:
        column.autoincrement = False
        column.info[NUMBERED] = True


def numbering_info(numbering: Numbering, following: int | None) -> dict[str, object]:
    """What a column's `info` has of it."""
    found: dict[str, object] = {} if following is None else {NEXT_NUMBER: following}
    return found if numbering == USUAL else found | {NUMBERING: numbering}
