"""Values as an engine writes them, as text or bytes, read as a logical type where nothing of them is lost."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import numpy as np

from toolkit.core.decimals import parse_decimal
from toolkit.core.types import FLOAT_KINDS, INTEGER_KINDS, Kind, LogicalType

MOMENT_KINDS = frozenset({Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.DATE})
_UUID_BYTES = 16
BITS: dict[str, int] = {Kind.INT16: 16, Kind.INT32: 32, Kind.INT64: 64}


def exact_value(type_: LogicalType, stored: str | bytes) -> Any:
    """What Arrow takes for a stored value, which the type holds as it is.

    Raises:
        ValueError: it does not; the message says why, in words that follow the value.
    """
    if type_.carrier is Kind.BYTES or (type_.carrier is Kind.UUID and len(stored) == _UUID_BYTES):
        if isinstance(stored, bytes):
            return stored
        raise ValueError("is text, not bytes")
    stored = text_of(stored)
    if type_.is_text:
        return type_.adapter.from_python(stored)
    if type_.is_document:
        return _document(stored)
    if type_.kind in FLOAT_KINDS:
        return _exact_float(type_, stored)
    if type_.kind in INTEGER_KINDS:
        return _whole(type_, stored)
    if type_.kind in MOMENT_KINDS and stored.removeprefix("-").isdecimal():
        raise ValueError("is a number, whose unit and epoch are not known")
    return type_.adapter.parse_json(type_.adapter.from_csv(stored))


def text_of(stored: str | bytes) -> str:
    """A stored value as text.

    Raises:
        ValueError: bytes that are no UTF-8.
    """
    try:
        return stored if isinstance(stored, str) else stored.decode()
    except UnicodeDecodeError as error:
        raise ValueError("is no UTF-8") from error


def _document(text: str) -> str:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except msgspec.DecodeError as error:
        raise ValueError("is no JSON") from error
    return text


def _whole(type_: LogicalType, text: str) -> int:
    number = parse_decimal(text)
    if not number.is_finite() or number != number.to_integral_value():
        raise ValueError("is not a whole number")
    limit = 2 ** (BITS[type_.kind] - 1)
    if not -limit <= number < limit:
        raise ValueError(f"does not fit into {type_}")
    return int(number)


def _exact_float(type_: LogicalType, text: str) -> float:
    """A number of which a float has all digits, or that its shortest digits stand for."""
    digits = parse_decimal(text)
    number = float(text)
    if not digits.is_finite():
        return number
    is_single = type_.kind == Kind.FLOAT32
    with np.errstate(over="ignore"):  # It is infinite then, and so has other digits.
        single = np.float32(text)
    shortest, exact = (str(single), float(single)) if is_single else (repr(number), number)
    if digits not in (Decimal(shortest), Decimal(exact)):
        raise ValueError(f"has more digits than {type_}")
    return exact
