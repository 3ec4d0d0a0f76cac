"""The forms in which SQLite keeps one value, and how values are written in each.

A form is called by what it looks like: a fixture's manifest has its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import product
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.core.types import Kind

if TYPE_CHECKING:
    import sqlalchemy as sa

AS_BYTES = "bytes"
DIGITS, HYPHENS = "digits", "digits and hyphens"
CAPITAL_DIGITS, CAPITAL_HYPHENS = DIGITS.upper(), HYPHENS.upper()
TRUTHS: Mapping[str, tuple[str, str]] = {
    f"{true}/{false}": (true, false)
    for true, false in (("t", "f"), ("true", "false"), ("True", "False"), ("TRUE", "FALSE"), ("T", "F"))
}
_SECOND = ":ss"
# None of a second's parts, all of them, three of them; or all where there are any, as Python's `isoformat` has it, or
# those up to the last that is not 0, as Go's driver has it.
_PARTS = ("", ".ffffff", ".fff", "[.ffffff]", "[.f]")
_ZONES = ("", "Z", "+00:00")
_TIMES = (*(f"hh:mm{_SECOND}{part}" for part in _PARTS), "hh:mm")
_DAY = "YYYY-MM-DD"
_MOMENTS = (*(f"{_DAY}{between}{time}" for between, time in product(" T", _TIMES)),)


def _globbed(form: str) -> str:
    """The condition of texts of a form of times."""
    before, _, rest = form.partition("[")
    parts, _, zone = map(_shape, rest.partition("]"))
    whole = f"{{c}} GLOB '{_shape(before)}{zone}'"
    if not parts:
        return whole
    if parts != _shape(".f"):
        exact = f"{{c}} GLOB '{_shape(before)}{parts}{zone}' AND {{c}} NOT GLOB '*.000000{zone}'"
    else:
        # Another offset ends in digits, too.
        others = "" if zone else " AND {c} NOT GLOB '*[-+]??:??'"
        exact = f"{{c}} GLOB '{_shape(before)}.*[1-9]{zone}'{others}"
    return f"({whole} OR {exact})"


def _shape(form: str) -> str:
    """The pattern of a part of a form. A zone that might stand behind the point would end in no digit, or be longer."""
    digits = re.sub(r"f+", lambda found: "?" * (len(found[0]) - 1) + "[0-9]", form)
    return re.sub(r"[YMDhms]", "?", digits)


def _uuid(length: int, letters: str) -> str:
    """The condition of UUIDs of so many characters; that they are some is known of a column of UUIDs."""
    return f"length({{c}}) = {length} AND {{c}} NOT GLOB '*[{letters}]*' AND typeof({{c}}) = 'text'"


def _texts(forms: Mapping[str, str]) -> dict[str, str]:
    return {name: f"typeof({{c}}) = 'text' AND {condition}" for name, condition in forms.items()}


_IS_BYTES = {AS_BYTES: "typeof({c}) = 'blob'"}
# Bytes of a number are one that no number here is, or it would be written as that.
_IS_NUMBER = "typeof({c}) <> 'blob' OR CAST(CAST(CAST({c} AS TEXT) AS NUMERIC) AS TEXT) <> CAST({c} AS TEXT)"
# Only such a column makes a number of a text. Of others, an integer would come back as a double, and -0.0 as bytes.
_MAKES_NUMBERS = "{c} = (CAST({c} AS TEXT) || '')"
_COMES_BACK = f"typeof({{c}}) NOT IN ('real', 'text') OR typeof({{c}}) = 'real' AND ({{c}} <> 0 OR {_MAKES_NUMBERS})"
_IS_ODD_DOUBLE = "typeof({c}) <> 'blob' OR CAST({c} AS TEXT) IN ('NaN', '-0.0')"
_IS_DOUBLE = f"({_IS_ODD_DOUBLE}) AND ({_COMES_BACK}) AND (typeof({{c}}) <> 'integer' OR {_MAKES_NUMBERS})"
# Larger ones are written as the bytes of their digits, and so are documents that are numbers, but for integers.
_IS_DECIMAL = f"({_IS_NUMBER}) AND ({_COMES_BACK}) AND (typeof({{c}}) <> 'real' OR {{c}} > -1e15 AND {{c}} < 1e15)"
_IS_DOCUMENT = (
    "typeof({c}) = 'text' OR typeof({c}) = 'integer' AND {c} BETWEEN -999999999999999999 AND 999999999999999999"
)
_ZONELESS = (*_MOMENTS, _DAY)
FORMS: Mapping[Kind, Mapping[str, str]] = {
    Kind.UUID: {
        HYPHENS: _uuid(36, "A-F"),
        DIGITS: _uuid(32, "A-F"),
        CAPITAL_HYPHENS: _uuid(36, "a-f"),
        CAPITAL_DIGITS: _uuid(32, "a-f"),
        AS_BYTES: "typeof({c}) = 'blob' AND length({c}) = 16",
    },
    Kind.TIMESTAMP: _texts({form: _globbed(form) for form in _ZONELESS}),
    Kind.TIMESTAMPTZ: _texts(
        {form: _globbed(form) for form in (*(f"{each}{zone}" for zone in _ZONES for each in _MOMENTS), _DAY)}
    ),
    Kind.TIME: _texts({form: _globbed(form) for form in _TIMES}),
    Kind.BOOL: {"": "typeof({c}) = 'integer'"}
    | {
        name: f"typeof({{c}}) = 'text' AND {{c}} COLLATE BINARY IN ('{one}', '{other}')"
        for name, (one, other) in TRUTHS.items()
    },
    Kind.DECIMAL: {"": _IS_DECIMAL},
    Kind.FLOAT64: {"": _IS_DOUBLE},
    Kind.TEXT: {"": "typeof({c}) <> 'blob'"} | _IS_BYTES,
    Kind.JSON: {"": _IS_DOCUMENT} | _IS_BYTES,
}
"""By kind and form, the condition, in SQL, of a value `{c}` that stands in it; the usual form has no name."""


def condition_of(kind: Kind, form: str) -> str | None:
    """The condition, in SQL, of what stands in a form; None where there is no such form."""
    return FORMS.get(kind, {}).get(form)


def uuid_texts(hyphens: pa.Array, form: str, *, is_text: bool) -> pa.Array:
    """UUIDs, which are given with hyphens, in a form; of digits that SQLite would take for a number, with hyphens."""
    texts = pc.ascii_upper(hyphens) if form in (CAPITAL_DIGITS, CAPITAL_HYPHENS) else hyphens
    if form not in (DIGITS, CAPITAL_DIGITS):
        return texts
    digits = pc.replace_substring(texts, "-", "")
    return digits if is_text else pc.if_else(pc.match_substring_regex(digits, r"^\d+([eE]\d+)?$"), texts, digits)


def time_texts(texts: pa.Array, form: str) -> pa.Array:
    """Times, which are given with all six digits of their microseconds, in a form; where it has no place, with more."""
    day, _, rest = form.partition("h")
    if form == _DAY:
        whole = pc.match_substring_regex(texts, r" 00:00:00\.000000$")
        return pc.if_else(whole, pc.utf8_slice_codeunits(texts, 0, len(_DAY)), texts)
    if day.endswith("T"):
        texts = pc.replace_substring(texts, " ", "T")
    if not rest.startswith(f"h:mm{_SECOND}"):
        texts = pc.replace_substring_regex(texts, r":00\.000000$", "")
    elif "[.f]" in rest:
        texts = pc.replace_substring_regex(texts, r"\.?0+$", "")
    elif ".ffffff" not in rest:
        texts = pc.replace_substring_regex(texts, r"000$", "") if ".fff" in rest else _without_parts(texts)
    elif "[" in rest:
        texts = _without_parts(texts)
    zone = next((each for each in _ZONES if each and form.endswith(each)), "")
    return pc.binary_join_element_wise(texts, zone, "") if zone else texts


def _without_parts(texts: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(texts, r"\.000000$", "")


def form_of(declared: sa.types.TypeEngine[object] | None) -> str | None:
    """The form that values of a column are written in, where one is said."""
    return getattr(declared, "form", None)
