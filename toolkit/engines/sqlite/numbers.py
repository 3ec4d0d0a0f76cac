"""Numbers in SQLite, whose columns hold doubles and text side by side, and change some of them without a word."""

from __future__ import annotations

import math
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.core.decimals import EXACT, parse_decimal
from toolkit.core.types import LogicalType

# Every integer of so many digits fits into 64 bits.
_SAFE_DIGITS = 18
_INT64 = range(-(2**63), 2**63)
# The bits of -0.0, as an integer.
_MINUS_ZERO = -(2**63)
# How many digits any double has room for; what has no more of them is not changed by becoming one.
_DOUBLE_DIGITS = 15


def doubles(texts: pa.Array) -> pa.Array:
    """Texts as doubles; Arrow makes infinity of a number that is too large."""
    numbers = texts.cast(pa.float64())
    if pc.any(pc.and_(pc.is_inf(numbers), pc.match_substring_regex(texts, "[0-9]"))).as_py():
        raise ValueError("beyond the largest double")
    return numbers


def as_decimal(type_: LogicalType, double: str) -> Decimal:
    """A double, given by its shortest text, as the decimal that it stands for.

    Sums of doubles end in digits that nobody wrote (0.1 + 0.2 is 0.30000000000000004): those behind the first 15, which
    SQLite does not show either, do not count.

    Raises:
        ValueError: it has more decimals than the column.
    """
    for number in (Decimal(double), Decimal(format(float(double), f".{_DOUBLE_DIGITS}g"))):
        rounded = _at_scale(type_, number)
        if rounded == number:
            return rounded
    raise ValueError(f"more than {type_.scale or 0} decimals")


def _at_scale(type_: LogicalType, number: Decimal) -> Decimal:
    if not number.is_finite():
        raise ValueError("not a finite decimal")
    return number.quantize(Decimal(1).scaleb(-(type_.scale or 0)), context=EXACT)


def require_doubles(texts: pa.Array) -> None:
    """Refuse numbers written with more digits than a double holds: integers are read as their text, too."""
    if texts.null_count == len(texts) or pc.max(pc.utf8_length(texts)).as_py() <= _DOUBLE_DIGITS:
        return
    for text in texts.to_pylist():
        if text is not None and len(text) > _DOUBLE_DIGITS and parse_decimal(text) != Decimal(repr(float(text))):
            raise ValueError(f"{text} is not a double-precision number")


def require_single(merged: pa.Array, narrow: pa.Array) -> None:
    """Refuse doubles that single precision changes."""
    for wide, single in zip(merged.to_pylist(), narrow.to_pylist(), strict=True):
        if wide is not None and not math.isnan(wide) and wide != single:
            raise ValueError(f"{wide} is not a single-precision number")


def float_forms(values: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Doubles, and the bytes of the text of those that SQLite would change, each with NULL in the other's place."""
    is_odd = pc.or_(pc.is_nan(values), pc.is_in(values.view(pa.int64()), pa.array([_MINUS_ZERO])))
    if not pc.any(is_odd).as_py():
        return values, pa.nulls(len(values), pa.binary())
    texts = pc.if_else(pc.is_nan(values), pa.scalar(b"NaN"), pa.scalar(b"-0.0"))
    return (
        pc.if_else(is_odd, pa.scalar(None, pa.float64()), values),
        pc.if_else(is_odd, texts, pa.scalar(None, pa.binary())),
    )


def decimal_form(type_: LogicalType, value: Decimal | str, *, becomes_text: bool = False) -> float | int | bytes:
    """A number where reading it back gives the same decimal, the bytes of its digits elsewhere.

    `becomes_text`: the column makes a text of it, of which SQLite writes no more than 15 digits.
    """
    number = parse_decimal(value) if isinstance(value, str) else value
    if not number.is_finite():
        raise ValueError("not a finite decimal")
    # Python takes more than a second to make an integer of a hundred thousand digits.
    if number.adjusted() <= _SAFE_DIGITS and number == number.to_integral_value():
        whole = int(number)
        if whole in _INT64 and (type_.precision is not None or str(whole) == str(value)):
            return whole
    double = float(number)
    back = Decimal(repr(double))
    if type_.precision is not None:
        if abs(number) < Decimal(10) ** 15 and _at_scale(type_, back) == number:
            return double
    elif becomes_text:
        if repr(double) == str(value) and len(number.as_tuple().digits) <= _DOUBLE_DIGITS:
            return double
    elif repr(double) == str(value) or (abs(number) < 1 and format(back, "f") == format(number, "f")):
        return double
    return str(value).encode() if isinstance(value, str) else format(number, "f").encode()


def json_form(value: str) -> str | bytes:
    """A document, or the bytes of a bare number that SQLite would change."""
    bare = value.strip()
    if not bare or not (bare[0].isdigit() or bare[0] == "-"):
        return value
    whole = bare.removeprefix("-")
    is_integer = value == bare and whole.isdigit() and len(whole) <= _SAFE_DIGITS
    return value if is_integer and str(int(bare)) == bare else value.encode()
