"""A column converted at once: values in their usual form by Arrow, all others one by one, with the same result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from toolkit.core.conversions import EMPTY, NO_DATE, TRUTHS, UNITS, ZERO_DATE, Conversion
from toolkit.core.decimals import parse_decimals
from toolkit.core.exact_texts import BITS, MOMENT_KINDS
from toolkit.core.moments import DAY, FOUR_DIGIT_YEARS
from toolkit.core.types import INTEGER_KINDS, Kind, LogicalType

_STORED = LogicalType(Kind.STORED)
_WHOLE = r"^-?[0-9]{1,18}$"
_EPOCH = r"^-?[0-9]{1,18}(\.0{1,18})?$"
_NUMBER = r"^-?[0-9]{1,18}(\.[0-9]{1,18})?$"
# What `_NUMBER` has room for, with a digit more, which rounding may need.
_WIDE, _SCALE = pa.decimal128(38, 18), 18
_DAY = r"[0-9]{4}-(0[1-9]|1[0-2])-[0-9]{2}"
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?"
_OFFSET = r"(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
_MIDNIGHT = r"[Tt ]00:00(:00(\.0+)?)?([Zz]|[+-]00(:?00)?)?$"
# Texts that a type takes as they are.
_PLAIN_TEXTS = frozenset({Kind.TEXT, Kind.ENUM, Kind.NATIVE, Kind.CIPHERTEXT})


class ConvertedColumn(Struct, frozen=True):
    """The values, which of them lost something, and by row why some cannot be converted, which are NULL."""

    values: pa.Array
    lost: pa.Array
    refused: Mapping[int, str]


def converted_column(how: Conversion, type_: LogicalType, stored: pa.Array) -> ConvertedColumn:
    """A column of stored values as the conversion makes it."""
    values, lost = _at_once(how, type_, stored)
    is_done = pc.or_(pc.or_(values.is_valid(), lost), stored.is_null())
    rest = pc.indices_nonzero(pc.invert(is_done))
    if not len(rest):
        return ConvertedColumn(values, lost, {})
    found = one_by_one(how, type_, stored.take(rest))
    place = np.arange(len(stored))
    place[rest.to_numpy()] = len(stored) + np.arange(len(rest))
    refused = {rest[row].as_py(): why for row, why in found.refused.items()}
    return ConvertedColumn(_replaced(values, found.values, place), _replaced(lost, found.lost, place), refused)


def one_by_one(how: Conversion, type_: LogicalType, stored: pa.Array) -> ConvertedColumn:
    """The same, slowly: what it means."""
    values, lost, refused = [], [], {}
    for row, each in enumerate(_STORED.adapter.to_pythons(stored)):
        value, loses = None, False
        if each is not None:
            try:
                value, loses = how.value(type_, each)
            except ValueError as error:
                refused[row] = str(error)
        values.append(value)
        lost.append(loses)
    return ConvertedColumn(pa.array(values, type_.arrow), pa.array(lost, pa.bool_()), refused)


def _replaced(values: pa.Array, others: pa.Array, place: np.ndarray) -> pa.Array:
    return pa.concat_arrays([values, others]).take(pa.array(place))


Masked = tuple[pa.Array, pa.Array | None]


def _at_once(how: Conversion, type_: LogicalType, stored: pa.Array) -> tuple[pa.Array, pa.Array]:
    """What Arrow converts, NULL where it does not, and what of that lost something."""
    way = _WAYS.get(how.name)
    try:
        found: Masked = (pa.nulls(len(stored), type_.arrow), None) if way is None else way(type_, _texts(stored))
    except (pa.ArrowException, ValueError):
        # Such as the 30th of February: one by one, it is told which it is.
        found = pa.nulls(len(stored), type_.arrow), None
    values, lost = found
    none = pa.array(np.zeros(len(stored), bool))
    return values, none if lost is None else pc.fill_null(lost, False)


def _texts(stored: pa.Array) -> pa.Array:
    """The texts; NULL where bytes are stored."""
    return _where(pc.starts_with(stored, "t"), pc.utf8_slice_codeunits(stored, 1))


def _where(mask: pa.Array, values: pa.Array) -> pa.Array:
    return pc.if_else(mask, values, pa.scalar(None, values.type))


def _matching(texts: pa.Array, pattern: str) -> pa.Array:
    return _where(pc.match_substring_regex(texts, pattern), texts)


def _between(numbers: pa.Array, least: int, most: int) -> pa.Array:
    return _where(pc.and_(pc.greater_equal(numbers, least), pc.less_equal(numbers, most)), numbers)


# -- the ways ------------------------------------------------------------------------------------------------------


def _epoch(units: int) -> Callable[[LogicalType, pa.Array], Masked]:
    factor = 1_000_000 // units
    limits = -(-FOUR_DIGIT_YEARS[0] // factor), FOUR_DIGIT_YEARS[1] // factor

    def convert(type_: LogicalType, texts: pa.Array) -> Masked:
        if type_.kind not in MOMENT_KINDS:
            return pa.nulls(len(texts), type_.arrow), None
        whole = pc.replace_substring_regex(_matching(texts, _EPOCH), r"\..*$", "").cast(pa.int64())
        microseconds = pc.multiply(_between(whole, *limits), factor)
        if type_.kind != Kind.DATE:
            return microseconds.cast(pa.timestamp("us")).view(type_.arrow), None
        days = pc.divide(microseconds, DAY)
        is_midnight = pc.equal(pc.multiply(days, DAY), microseconds)
        return _where(is_midnight, days).cast(pa.int32()).view(type_.arrow), None

    return convert


def _truncated(type_: LogicalType, texts: pa.Array) -> Masked:
    cut = pc.replace_substring_regex(texts, r"(\.[0-9]{6})[0-9]+", r"\1")
    values = _moments(type_, cut)
    lost = pc.match_substring_regex(texts, r"\.[0-9]{6}[0-9]*[1-9]")
    return values, pc.and_(lost, values.is_valid())


def _rounded(type_: LogicalType, texts: pa.Array) -> Masked:
    if type_.kind not in INTEGER_KINDS and (type_.scale or 0) > _SCALE:
        return pa.nulls(len(texts), type_.arrow), None
    exact = _matching(texts, _NUMBER).cast(_WIDE)
    rounded = pc.round(exact, type_.scale or 0, "half_to_even").cast(_WIDE)
    if type_.kind in INTEGER_KINDS:
        values = _fitting(type_, rounded.cast(pa.int64()))
    else:
        whole_digits = (type_.precision or 0) - (type_.scale or 0)
        limit = pa.scalar(Decimal(10) ** min(whole_digits, _SCALE + 1), _WIDE)
        values = _where(pc.less(pc.abs(rounded), limit), rounded).cast(type_.arrow)
    return values, pc.and_(pc.not_equal(exact, rounded), values.is_valid())


def _emptied(type_: LogicalType, texts: pa.Array) -> Masked:
    is_empty = pc.equal(texts, "")
    return _exact(type_, _where(pc.invert(is_empty), texts)), is_empty


def _without_zero_dates(type_: LogicalType, texts: pa.Array) -> Masked:
    is_none = pc.match_substring_regex(texts, f"^{NO_DATE}$")
    return _exact(type_, _where(pc.invert(is_none), texts)), is_none


def _as_text(_: LogicalType, texts: pa.Array) -> Masked:
    return texts, None


def _as_bool(_: LogicalType, texts: pa.Array) -> Masked:
    words = pa.array(TRUTHS.keys(), pa.string())
    return pa.array(TRUTHS.values(), pa.bool_()).take(pc.index_in(pc.ascii_lower(texts), value_set=words)), None


def _as_date(type_: LogicalType, texts: pa.Array) -> Masked:
    return _moments(type_, pc.replace_substring_regex(texts, _MIDNIGHT, "")), None


_WAYS: Mapping[str, Callable[[LogicalType, pa.Array], Masked]] = {
    **{name: _epoch(units) for name, units in UNITS.items()},
    "truncate-microseconds": _truncated,
    "round": _rounded,
    EMPTY: _emptied,
    ZERO_DATE: _without_zero_dates,
    "text": _as_text,
    "utf-8": _as_text,
    "bool": _as_bool,
    "date": _as_date,
}

# -- texts as the values that they stand for -------------------------------------------------------------------------


def _exact(type_: LogicalType, texts: pa.Array) -> pa.Array:
    """Texts read as `toolkit.core.exact_texts` does; NULL where that is not for Arrow."""
    if type_.kind in _PLAIN_TEXTS:
        return texts
    if type_.kind in INTEGER_KINDS:
        return _fitting(type_, _matching(texts, _WHOLE).cast(pa.int64()))
    if type_.kind in (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
        return _moments(type_, texts)
    if type_.kind == Kind.DECIMAL and not type_.is_free_decimal:
        return parse_decimals(type_, _matching(texts, _NUMBER))
    return pa.nulls(len(texts), type_.arrow)


def _fitting(type_: LogicalType, numbers: pa.Array) -> pa.Array:
    limit = 2 ** (BITS[type_.kind] - 1)
    return _between(numbers, -limit, limit - 1).cast(type_.arrow)


def _moments(type_: LogicalType, texts: pa.Array) -> pa.Array:
    """Dates and times of years of four digits, of which there is no 0000."""
    if type_.kind == Kind.TIME:
        # Arrow reads no times of day but with a day before them.
        dated = pc.binary_join_element_wise("1970-01-01", _matching(texts, f"^{_CLOCK}$"), " ")
        return dated.cast(pa.timestamp("us")).cast(type_.arrow)
    dated = _where(pc.invert(pc.starts_with(texts, "0000")), texts)
    if type_.kind == Kind.DATE:
        return _matching(dated, f"^{_DAY}$").cast(type_.arrow)
    local = _matching(dated, f"^{_DAY}[T ]{_CLOCK}$").cast(pa.timestamp("us"))
    if type_.kind == Kind.TIMESTAMP:
        return local
    zoned = _matching(dated, f"^{_DAY}[T ]{_CLOCK}{_OFFSET}$").cast(type_.arrow)
    return pc.coalesce(zoned, local.view(pa.int64()).view(type_.arrow))
