"""How the elements of an array stand in its JSON document: as in PostgreSQL's own, or as its text of them."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np

from toolkit.core.canonical_json import canonical_document
from toolkit.core.decimals import at_scale, parse_decimal
from toolkit.core.logical import FLOAT_KINDS, Kind, LogicalType
from toolkit.core.moments import timestamp_text

# From here on Python writes a double with an exponent.
_EXPONENT = 1e16
# From here on each double, or single, is whole.
_WHOLE_DOUBLES, _WHOLE_SINGLES = 2.0**53, 2.0**24
# PostgreSQL's text of bytes.
_HEXADECIMAL = re.compile(r"\\x(?:[0-9A-Fa-f]{2})*")

_MOMENTS = (Kind.TIMESTAMP, Kind.TIMESTAMPTZ)
# A text of anything else has a currency's sign: so PostgreSQL writes money.
_OF_NUMBERS = re.compile(r"[\w.+-]*", re.ASCII)


class ElementForm(msgspec.Struct, frozen=True):
    """The form of elements of one type."""

    type: LogicalType

    def in_document(self, given: str) -> Any:
        """An element, as JSON has it, as it stands in the document; None is NULL.

        Raises:
            ValueError, OverflowError, pyarrow.ArrowException: it is none of this type, or does not fit.
        """
        if given == "null":
            return None
        if self.type.adapter.in_arrays:
            return self._same(given)
        if self.type.is_document:
            return _document(given)
        if self.type.carrier is Kind.DECIMAL:
            return self._digits(given)
        if given[:1] != '"':
            raise ValueError("is not a list of strings")
        text = str(msgspec.json.decode(given))
        if self.type.carrier is Kind.BYTES and not _HEXADECIMAL.fullmatch(text):
            raise ValueError("is not a list of bytes by their digits, such as \\x00ff")
        return self._moment(text) if self.type.carrier in _MOMENTS else text

    def _moment(self, text: str) -> str:
        """In PostgreSQL's form; what Python does not know (years before Christ in words), as it is."""
        try:
            shown = timestamp_text(self.type.adapter.parse_json(text))
        except ValueError:
            return text
        if not shown[-1:].isdigit():
            return shown
        shown = shown.replace("T", " ")
        shown = shown.rstrip("0") if "." in shown else shown
        return f"{shown}+00" if self.type.carrier is Kind.TIMESTAMPTZ else shown

    def _same(self, given: str) -> Any:
        form, is_single = self.type.adapter, self.type.carrier is Kind.FLOAT32
        is_float = self.type.carrier in FLOAT_KINDS
        is_whole = is_float and given.removeprefix("-").isdecimal()
        parsed = form.parse_raw(msgspec.Raw(f"{given}.0".encode() if is_whole else given.encode()))
        form.require_fit(parsed)
        if not is_float:
            return form.json_value(parsed)
        shown = in_jsonb(form.json_value(parsed), is_single)
        # PostgreSQL fills up the digits of great ones with zeros, so that these are not exact either.
        kept = (int(Decimal(str(shown))), int(np.float32(parsed) if is_single else parsed)) if is_whole else ()
        if is_whole and int(given) not in kept:
            raise OverflowError
        return shown

    def _digits(self, given: str) -> str:
        is_text = given[:1] == '"'
        text = str(msgspec.json.decode(given)) if is_text else given
        if is_text and not _OF_NUMBERS.fullmatch(text):
            return text
        number = parse_decimal(text)
        if number.is_finite():
            number = number if self.type.precision is None else at_scale(self.type, number)
            number = number or abs(number)
        return format(number, "f")


def _document(given: str) -> str:
    """A string is the text of a document, and stays as it is."""
    if given[:1] != '"':
        return canonical_document(given)
    text = str(msgspec.json.decode(given))
    canonical_document(text)
    return text


def in_jsonb(value: Any, is_single: bool) -> Any:
    """A double, or a single one, as PostgreSQL prints it in a document: 1, not 1.0; a great one by its exponent.

    Documents have no -0, so that it stands as a string there, as NaN does.
    """
    if not isinstance(value, float) or not math.isfinite(value):
        return value
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else 0
    if abs(value) >= (_WHOLE_SINGLES if is_single else _WHOLE_DOUBLES):
        return _great(value, is_single)
    return int(value) if value.is_integer() else value


def _great(value: float, is_single: bool) -> float | int:
    """The fewest digits that stand for it, but not those in the middle between two numbers, as Python has them there.

    Below, what lies in the middle between two has more digits than either.
    """
    own = float(np.float32(value)) if is_single else value
    middles = [Decimal(own) + Decimal(other) for other in _neighbours(own, is_single)]
    for digits in range(17):
        text = f"{own:.{digits}e}"
        found = float(np.float32(text)) if is_single else float(text)
        if found == own and Decimal(text) * 2 not in middles:
            break
    return int(Decimal(text)) if Decimal(text) != Decimal(repr(value)) or abs(value) < _EXPONENT else value


def _neighbours(value: float, is_single: bool) -> list[float]:
    if is_single:
        with np.errstate(over="ignore"):
            both = [float(np.nextafter(np.float32(value), np.float32(end))) for end in (math.inf, -math.inf)]
    else:
        both = [math.nextafter(value, end) for end in (math.inf, -math.inf)]
    return [each for each in both if math.isfinite(each)]
