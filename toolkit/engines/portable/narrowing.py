"""Which values of a logical type a column of a narrower type would refuse or change, told without writing them.

The types' names are those of PostgreSQL and DuckDB, which have lengths and precisions; SQLite's columns hold anything.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from toolkit.core.decimals import parse_decimal
from toolkit.core.moments import DAY, INFINITE_TIMESTAMP
from toolkit.core.types import INTEGER_KINDS, Kind, LogicalType
from toolkit.engines.portable.lossy import BITS, bare

Mask = Any  # An Arrow array of booleans.
_DECIMAL = re.compile(r"(?:numeric|decimal)\((\d+),\s?(-?\d+)\)", re.IGNORECASE)
_MOMENT = re.compile(r"(?:timestamp|time)\((\d)\) with(?:out)? time zone")
_TEXT = re.compile(r"(character varying|character)\((\d+)\)")
# Of these, a column keeps every character, whatever it is told of their number.
_TEXTS = frozenset({"text", "character varying", "character", "name", "VARCHAR", "JSON", "json"})
_FRACTION_DIGITS = {"TIMESTAMP_S": 0, "TIMESTAMP_MS": 3}
_SINGLE = frozenset({"real", "FLOAT"})
_DATE = frozenset({"date", "DATE"})
_WHOLE = {
    **dict.fromkeys(("smallint", "SMALLINT"), (-(2**15), 2**15)),
    **dict.fromkeys(("integer", "INTEGER"), (-(2**31), 2**31)),
    "TINYINT": (-(2**7), 2**7),
    "UTINYINT": (0, 2**8),
    "USMALLINT": (0, 2**16),
    "UINTEGER": (0, 2**32),
}


class Narrower(Struct, frozen=True):
    """A check of values for a column of the type `actual`: where the mask is true, it would not keep them."""

    actual: str
    unkept: Callable[[pa.Array], Mask]
    is_doubtful: bool = True
    """Whether a value of the model's own type may be such, so that it is worth a look before anything is written."""
    is_listed: bool = False
    """Whether the type has just so many values."""

    def reason(self, database: str) -> str:
        """Why values are not kept."""
        if self.is_listed:
            return f"none of the labels of the type {self.actual} in {database}"
        return f"more than the type {self.actual} in {database} can keep"

    def rows(self, values: pa.Array) -> list[int]:
        """Which of these values it would not keep."""
        found: list[int] = pc.indices_nonzero(pc.fill_null(self.unkept(values), False)).to_pylist()
        return found


def rewrites(type_: LogicalType, actual: str) -> bool:
    """Whether a column of the type `actual` keeps what texts mean, and not each character (`jsonb`, `uuid`)."""
    return type_.is_text and bare(actual) not in _TEXTS


def listed(labels: Sequence[str], actual: str) -> Narrower:
    """The check of a column that takes these texts alone."""
    known = pa.array(labels, pa.string())

    def unkept(values: pa.Array) -> Mask:
        texts = values.cast(pa.string())
        return pc.and_(pc.is_valid(texts), pc.invert(pc.is_in(texts, known)))

    # Looked at only where a value was refused: mostly these are the model's own.
    return Narrower(actual, unkept, is_doubtful=False, is_listed=True)


def narrower(type_: LogicalType, declared_length: int | None, actual: str) -> Narrower | None:
    """The check of a column that has the type `actual`; None if it keeps all values of the logical type, or who knows.

    `declared_length` is how many characters a text of the model has, as far as it says so.
    """
    if type_.carrier in INTEGER_KINDS and (limits := _WHOLE.get(actual)):
        bits = BITS[type_.carrier]
        return Narrower(actual, _beyond(*limits)) if 2 ** (bits - 1) > limits[1] or limits[0] == 0 else None
    if found := _DECIMAL.fullmatch(actual):
        return _decimals(type_, actual, int(found[1]), int(found[2]))
    if type_.carrier is Kind.FLOAT64 and actual in _SINGLE:
        return Narrower(actual, _rounded)
    if type_.carrier in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.TIME):
        found = _MOMENT.fullmatch(actual)
        digits = int(found[1]) if found else _FRACTION_DIGITS.get(actual, 6)
        step = DAY if actual in _DATE and type_.carrier is not Kind.TIME else 10 ** (6 - digits)
        return Narrower(actual, _between(step)) if step > 1 else None
    if type_.is_text and (found := _TEXT.fullmatch(actual)):
        length, is_padded = int(found[2]), found[1] == "character"
        fits = declared_length is not None and declared_length <= length

        def unkept(values: pa.Array) -> Mask:
            is_long = pc.greater(pc.utf8_length(values), length)
            # Blanks at the end are the column's own, and read by nobody.
            return pc.or_(is_long, pc.ends_with(values, " ")) if is_padded else is_long

        return Narrower(actual, unkept, is_doubtful=not fits)
    if type_.is_text and (canonical := _NETWORKS.get(actual)):
        # Looked at only where a value was met that did not come back.
        return Narrower(actual, _unlike(canonical), is_doubtful=False)
    return None


def _unlike(canonical: Callable[[str], str | None]) -> Callable[[pa.Array], Mask]:
    def unkept(values: pa.Array) -> Mask:
        return pa.array([value is not None and canonical(value) != value for value in values.to_pylist()], pa.bool_())

    return unkept


def _address(text: str) -> str | None:
    """An address with the length of its network as PostgreSQL writes it; None for none."""
    try:
        found = ipaddress.ip_interface(text)
    except ValueError:
        return None
    return f"{_plain(found.packed)}/{found.network.prefixlen}"


def _network(text: str) -> str | None:
    """A network as PostgreSQL writes it; None for none."""
    try:
        found = ipaddress.ip_network(text)
    except ValueError:
        return None
    return f"{_plain(found.network_address.packed)}/{found.prefixlen}"


def _plain(packed: bytes) -> str:
    """An address; of those that stand for one of four parts, PostgreSQL shows the parts."""
    head, rest = packed[:12], packed[12:]
    if head == bytes(12) and any(rest[:2]):
        return f"::{ipaddress.IPv4Address(rest)}"
    if head == bytes(10) + b"\xff\xff":
        return f"::ffff:{ipaddress.IPv4Address(rest)}"
    return str(ipaddress.ip_address(packed))


def _hardware(parts: int) -> Callable[[str], str | None]:
    pattern = re.compile(f"[0-9a-f]{{2}}(:[0-9a-f]{{2}}){{{parts - 1}}}")
    return lambda text: text if pattern.fullmatch(text) else None


# Types that write texts in a way of their own, whatever way they were given in.
_NETWORKS = {"inet": _address, "cidr": _network, "macaddr": _hardware(6), "macaddr8": _hardware(8)}


def _decimals(type_: LogicalType, actual: str, precision: int, scale: int) -> Narrower | None:
    if type_.carrier is Kind.DECIMAL and type_.precision is not None:
        digits = type_.scale or 0
        if digits <= scale and type_.precision - digits <= precision - scale:
            return None
    elif type_.carrier in INTEGER_KINDS:
        if 10 ** (precision - scale) > 2 ** BITS[type_.carrier]:
            return None
    elif type_.carrier is not Kind.DECIMAL:
        return None

    def is_unkept(value: Any) -> bool:
        number = parse_decimal(value) if isinstance(value, str) else Decimal(value)
        if not number.is_finite():
            return number.is_infinite()
        exponent = number.normalize().as_tuple().exponent
        return number.adjusted() >= precision - scale or (isinstance(exponent, int) and -exponent > scale)

    def unkept(values: pa.Array) -> Mask:
        return pa.array([value is not None and is_unkept(value) for value in values.to_pylist()], pa.bool_())

    return Narrower(actual, unkept)


def _beyond(least: int, end: int) -> Callable[[pa.Array], Mask]:
    def unkept(values: pa.Array) -> Mask:
        wide = values.cast(pa.int64())
        return pc.or_(pc.less(wide, least), pc.greater_equal(wide, end))

    return unkept


def _rounded(values: pa.Array) -> Mask:
    single = values.cast(pa.float32(), safe=False).cast(pa.float64())
    return pc.and_(pc.not_equal(single, values), pc.invert(pc.is_nan(values)))


def _between(step: int) -> Callable[[pa.Array], Mask]:
    def unkept(values: pa.Array) -> Mask:
        whole = values.view(pa.int64())
        rest = pc.subtract(whole, pc.multiply(pc.divide(whole, step), step))
        infinities = pa.array([INFINITE_TIMESTAMP, -INFINITE_TIMESTAMP], pa.int64())
        return pc.and_(pc.not_equal(rest, 0), pc.invert(pc.is_in(whole, infinities)))

    return unkept
