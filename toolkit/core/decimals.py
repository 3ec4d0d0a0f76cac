"""Decimal numbers of any size: which are taken at all, and how their texts become Arrow's exactly.

No engine holds more digits than PostgreSQL's `numeric`. That is asked before a number is written out or given to
Arrow: written out, 1e999999999 is a gigabyte of zeros; and Arrow (26.0) reads past its table of powers of ten for more
than 38 digits behind the point, so that 1e-99999999 ends the process, and 1 with 77 zeros behind it becomes 0.
"""

from __future__ import annotations

import re
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, InvalidOperation

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.core.logical import MAX_DECIMAL_DIGITS, LogicalType

MAX_WHOLE_DIGITS = 131_072
MAX_FRACTION_DIGITS = 16_383
OUT_OF_RANGE = f"has more than {MAX_WHOLE_DIGITS:,} digits before the point, or {MAX_FRACTION_DIGITS:,} behind it"
# PostgreSQL refuses a larger exponent even of 0.
_MAX_EXPONENT = 1 << 30
# Of a longer text, not even the digits are counted: Python takes ten bytes for each.
_LONGEST = 200_000
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?inf(?:inity)?|nan", re.ASCII | re.IGNORECASE)
# What Arrow itself reads exactly, if it is no longer than the digits of its numbers.
_PLAIN = r"^-?[0-9]+(\.[0-9]+)?$"
# The usual context has 28 digits: it rounds what has more, or refuses it.
EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)


def parse_decimal(text: str) -> Decimal:
    """The number that a text stands for; also `NaN` and `Infinity`.

    Raises:
        ValueError: it is no number, or one that no engine holds; the message says which.
    """
    bare = text.strip()
    if not _NUMBER.fullmatch(bare):
        raise ValueError("is not a decimal number")
    if len(bare) > _LONGEST:
        raise ValueError(OUT_OF_RANGE)
    try:
        number = Decimal(bare)
    except InvalidOperation as error:
        raise ValueError(OUT_OF_RANGE) from error
    if not number.is_finite():
        return number
    exponent = _exponent(number)
    too_large = exponent >= _MAX_EXPONENT if number.is_zero() else number.adjusted() >= MAX_WHOLE_DIGITS
    if too_large or -exponent > MAX_FRACTION_DIGITS:
        raise ValueError(OUT_OF_RANGE)
    return Decimal(0) if number.is_zero() and exponent > 0 else number


def fraction_digits(number: Decimal) -> int:
    """How many digits behind the point a finite number needs."""
    return max(0, -_exponent(number.normalize(EXACT)))


def _exponent(number: Decimal) -> int:
    return int(number.as_tuple().exponent)


def decimal_text(value: Decimal | str) -> str:
    """Digits without an exponent and without zeros behind the last one: `trim_scale(value)::text`.

    Raises:
        ValueError: it is no number, or one that no engine holds.
    """
    try:
        number = Decimal(value)
    except InvalidOperation:
        number = parse_decimal(str(value))
    if not number.is_finite():
        return "NaN" if number.is_nan() else "Infinity" if number > 0 else "-Infinity"
    if abs(number.adjusted()) > MAX_FRACTION_DIGITS:
        number = parse_decimal(str(number))
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def at_scale(type_: LogicalType, number: Decimal) -> Decimal:
    """A number with as many decimals as its column has, exactly.

    Raises:
        ValueError: it has more, or more digits before the point.
    """
    assert type_.precision is not None
    scale = type_.scale or 0
    is_wide = bool(number) and number.adjusted() >= type_.precision - scale
    if not number.is_finite() or is_wide or fraction_digits(number) > scale:
        raise ValueError("does not fit into its column")
    return number.quantize(Decimal(1).scaleb(-scale), context=EXACT)


def parse_decimals(type_: LogicalType, texts: pa.Array) -> pa.Array:
    """Texts as an array of a column's canonical type, exactly; of one without a precision, the texts themselves.

    Raises:
        ValueError, pyarrow.ArrowException: some text is no number of this type.
    """
    texts.validate(full=True)
    if not pc.all(pc.match_substring_regex(texts, _PLAIN)).as_py() or _longest(texts) > MAX_DECIMAL_DIGITS:
        numbers = [None if text is None else parse_decimal(text) for text in texts.to_pylist()]
        if type_.precision is not None:
            return pa.array([None if n is None else at_scale(type_, n) for n in numbers], type_.arrow)
    return texts.cast(type_.arrow)


def _longest(texts: pa.Array) -> int:
    return pc.max(pc.binary_length(texts)).as_py() or 0
