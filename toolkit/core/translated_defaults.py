"""Defaults of columns in another engine's SQL: literals, the present moment, random UUIDs, and no more."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from toolkit.core.sql_dialect import SqlDialect
from toolkit.core.sql_nodes import shown
from toolkit.core.sql_terms import (
    NUMBERS,
    Term,
    Untranslatable,
    is_date,
    number_of,
    number_term,
    text_literal,
    truth_term,
)
from toolkit.core.translated_sql import Translation
from toolkit.core.types import INTEGER_KINDS, JSON_KINDS, Kind

if TYPE_CHECKING:
    from sqlglot.expressions import Expr

_NOW = frozenset({"NOW", "TRANSACTION_TIMESTAMP", "STATEMENT_TIMESTAMP", "CLOCK_TIMESTAMP", "GET_CURRENT_TIMESTAMP"})
_UUIDS = frozenset({"UUID_GENERATE_V4", "GEN_RANDOM_UUID", "UUID", "UUIDV4"})
_TIMES = {"currenttimestamp": "timestamp", "currentdate": "date", "currenttime": "time", "localtimestamp": "timestamp"}
_UTC = {"utctimestamp": "timestamp", "utcdate": "date", "utctime": "time"}
_PARTS = {"DATETIME": "timestamp", "TIME": "time", "UNIXEPOCH": "seconds"}
_IN_UTC = "it is taken in UTC there, not in the zone of a session"
_FORMATS = {"timestamp": "%Y-%m-%d %H:%M:%S", "date": "%Y-%m-%d", "time": "%H:%M:%S"}
_CAST_PARTS = {"TIMESTAMP": "timestamp", "TIMESTAMPNTZ": "timestamp", "TIMESTAMPTZ": "timestamp", "DATE": "date"}
# What SQLite's random identifiers are made of.
_RANDOM = frozenset(
    {"lowerhex", "hex", "lower", "dpipe", "substring", "mod", "add", "abs", "paren", "literal", "neg", "rand"}
)
_RANDOM_CALLS = frozenset({"RANDOMBLOB", "RANDOM"})
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)")
_TIME = re.compile(r"\d\d:\d\d(:\d\d(\.\d{1,6})?)?")
_BYTES = re.compile(r"\\x((?:[0-9a-fA-F]{2})*)|((?:\\x[0-9a-fA-F]{2})*)")
_UUID_BYTES = "16"
_INT64 = 2**63
# Of doubles within these, and of as many digits, all ways to write them are one.
_LEAST_PLAIN, _PLAIN_DOUBLES, _DIGITS = Decimal("0.001"), 10**15, 15
# As frameworks wrote booleans that their engine has no type for, and as they are read from the rows.
_TRUTHS = {"t": True, "true": True, "f": False, "false": False}


class _Moment(Struct, frozen=True):
    """The present, as `timestamp`, `date`, `time` or `seconds`, in UTC or the session's zone; as text by a format."""

    part: str
    in_utc: bool
    format: str | None = None
    factor: str = ""


def translated_default(translation: Translation, text: str, kind: str) -> str:
    """A default in the target's SQL, for a column of a kind.

    Raises:
        Untranslatable: its meaning there is not certain.
    """
    node = _bare(translation.parsed(text))
    if node.key == "column" and translation.source.has_loose_names:
        # A word that is no keyword, and a quoted name, are texts.
        return _fitted(translation, Term("", Kind.TEXT, literal=node.name), kind)
    if (moment := _moment(node, translation)) is not None:
        return _spelled(translation, moment, kind, node)
    if (form := _random(node)) is not None:
        return _uuid(translation, form, kind, node)
    if kind == Kind.ARRAY and _is_empty_array(node):
        return _known(translation.target.arrays, node)
    if node.key == "cast" and kind in (Kind.BYTES, *JSON_KINDS, Kind.UUID, Kind.TIMESTAMP, Kind.TIME):
        # What it is cast to is what the column is.
        node = _bare(node.this)
    return _fitted(translation, translation.term(node), kind)


def _bare(node: Expr) -> Expr:
    while node.key == "paren":
        node = node.this
    return node


def _known(text: str | None, node: Expr) -> str:
    if text is None:
        raise Untranslatable(f"there is no {shown(node)}")
    return text


# -- literals ----------------------------------------------------------------------------------------------------------


def _fitted(translation: Translation, term: Term, kind: str) -> str:
    """A value as one of the column's kind, as the source itself makes it one."""
    value = term.literal
    if term.kind == "null":
        return "NULL"
    if isinstance(value, bool):
        return _truth(translation, value, kind)
    if isinstance(value, Decimal):
        return _number(translation, value, kind)
    if isinstance(value, str) and term.kind in (Kind.TEXT, kind):
        return _text(translation, value, kind)
    if term.kind == kind or (term.kind in NUMBERS and kind in NUMBERS):
        return term.sql
    raise Untranslatable(f"it gives {term.kind} for a column of {kind}")


def _truth(translation: Translation, truth: bool, kind: str) -> str:
    if kind == Kind.BOOL and not translation.target.has_loose_types:
        return truth_term(truth).sql
    if kind == Kind.BOOL or (kind in NUMBERS and translation.source.has_loose_types):
        return str(int(truth))
    raise Untranslatable(f"a boolean is not a {kind} there")


def _number(translation: Translation, number: Decimal, kind: str) -> str:
    is_loose = translation.source.has_loose_types
    if kind == Kind.BOOL and is_loose and number in (0, 1):
        return _truth(translation, bool(number), kind)
    is_whole = number == number.to_integral_value()
    if kind in INTEGER_KINDS and is_whole and -_INT64 <= number < _INT64:
        return str(int(number))
    if kind in NUMBERS and kind not in INTEGER_KINDS and math.isfinite(float(number)):
        return number_term(number).sql
    text = _as_text(number) if is_loose else None
    if text is not None and (kind == Kind.TEXT or (kind in JSON_KINDS and is_whole)):
        return text_literal(text.removesuffix(".0") if kind in JSON_KINDS else text)
    raise Untranslatable(f"{number:g} is not a value of {kind} there")


def _as_text(number: Decimal) -> str | None:
    """A number as a column of texts has it where types are loose, if all versions write it so."""
    text = str(number)
    if re.fullmatch(r"-?\d+", text):
        return str(int(number)) if -_INT64 <= number < _INT64 else None
    is_plain = "E" not in text and len(number.as_tuple().digits) <= _DIGITS
    return repr(float(number)) if is_plain and _LEAST_PLAIN <= abs(number) < _PLAIN_DOUBLES else None


def _text(translation: Translation, text: str, kind: str) -> str:
    target = translation.target
    if kind in (Kind.TEXT, Kind.ENUM):
        return text_literal(text)
    if kind == Kind.BOOL and translation.source.has_loose_types and (truth := _TRUTHS.get(text.lower())) is not None:
        return _truth(translation, truth, kind)
    if kind in NUMBERS or (kind == Kind.BOOL and translation.source.has_loose_types):
        return _number(translation, number_of(text), kind)
    if kind in JSON_KINDS and _is_json(text):
        return text_literal(text)
    if kind == Kind.UUID and (found := _as_uuid(text)) is not None:
        return text_literal(found.hex if target.has_loose_types else str(found))
    if kind == Kind.BYTES and not translation.source.has_loose_types and (digits := _BYTES.fullmatch(text)):
        return target.bytes.format((digits[1] or digits[2] or "").replace("\\x", "").lower())
    if kind == Kind.TIMESTAMP and (moment := _MOMENT.fullmatch(text)) and is_date(moment[1]):
        # As applications' SQLAlchemy writes them.
        form = "%Y-%m-%d %H:%M:%S.%f" if target.has_loose_types else None
        parsed = dt.datetime.fromisoformat(f"{moment[1]} {moment[2]}")
        return text_literal(parsed.strftime(form).rjust(26, "0") if form else parsed.isoformat(" "))
    if (kind == Kind.DATE and is_date(text)) or (kind == Kind.TIME and _TIME.fullmatch(text)):
        return text_literal(text)
    raise Untranslatable(f"{text!r} is not a value of {kind} there, or not for certain")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _as_uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _is_empty_array(node: Expr) -> bool:
    while node.key in ("cast", "paren"):
        node = node.this
    return (node.key == "array" and not node.expressions) or (node.key == "literal" and node.this == "{}")


# -- the present moment ------------------------------------------------------------------------------------------------


def _moment(node: Expr, translation: Translation) -> _Moment | None:
    node, in_utc = _bare(node), _is_in_utc(translation.source)
    if node.key in _TIMES:
        part = _TIMES[node.key]
        return _Moment(part, in_utc, _FORMATS[part] if translation.source.has_loose_types else None)
    if node.key in _UTC:
        return _Moment(_UTC[node.key], in_utc=True)
    if node.key == "date" and _is_now(node.this):
        return _Moment("date", in_utc, _FORMATS["date"])
    read = _READERS.get(node.key)
    return None if read is None else read(node, translation)


def _is_in_utc(source: SqlDialect) -> bool:
    """Whether its present is in UTC, as SQLite's is: it knows none in the zone of a session."""
    return source.has_loose_types and not source.session_moments


def _formatted(node: Expr, translation: Translation) -> _Moment | None:
    form = _text_of(node.args["format"])
    if translation.source.has_loose_types:
        part = "seconds" if form == "%s" else "timestamp"
        return _Moment(part, _is_in_utc(translation.source), form) if _is_now(node.this) else None
    inner = _moment(node.this, translation)
    if inner is None or inner.part != "timestamp" or not inner.in_utc:
        return None
    return replace(inner, format=_read_format(translation.source, form))


def _zoned(node: Expr, translation: Translation) -> _Moment | None:
    is_utc = _text_of(node.args["zone"]).upper() == "UTC"
    return _Moment("timestamp", in_utc=True) if is_utc and _moment(node.this, translation) else None


def _seconds(node: Expr, translation: Translation) -> _Moment | None:
    of = node.this if node.key == "timetounix" else node.expression
    is_epoch = node.key == "timetounix" or str(node.this).upper() == "EPOCH"
    return _Moment("seconds", in_utc=True) if is_epoch and _moment(of, translation) else None


def _whole(node: Expr, translation: Translation) -> _Moment | None:
    inner = _moment(node.this, translation)
    return inner if inner is not None and inner.part == "seconds" else None


def _milliseconds(node: Expr, translation: Translation) -> _Moment | None:
    inner, factor = _whole(node, translation), node.expression
    is_thousand = factor.key == "literal" and factor.this == "1000"
    return _Moment("seconds", in_utc=True, factor=" * 1000") if inner and is_thousand else None


def _called(node: Expr, translation: Translation) -> _Moment | None:
    name, arguments = node.name.upper(), node.expressions
    if name in _NOW and not arguments:
        return _Moment("timestamp", in_utc=False)
    if name == "TIMEZONE" and len(arguments) == 2 and _text_of(arguments[0]).upper() == "UTC":  # noqa: PLR2004
        return _Moment("timestamp", in_utc=True) if _moment(arguments[1], translation) else None
    if name in _PARTS and all(_is_now(each) for each in arguments):
        part = _PARTS[name]
        return _Moment(part, _is_in_utc(translation.source), _FORMATS.get(part))
    return None


def _cast(node: Expr, translation: Translation) -> _Moment | None:
    inner, name = _bare(node.this), str(getattr(node.args["to"].this, "name", "")).upper()
    found = _moment(inner, translation)
    if found is None and _text_of(inner).lower() == "now":
        found = _Moment("timestamp", in_utc=False)
    if found is not None and found.part == "seconds" and name in ("INT", "BIGINT"):
        return found
    if found is not None and found.part == "timestamp" and name in _CAST_PARTS:
        return _Moment(_CAST_PARTS[name], in_utc=found.in_utc)
    return None


_READERS: dict[str, Callable[[Expr, Translation], _Moment | None]] = {
    "anonymous": _called,
    "attimezone": _zoned,
    "cast": _cast,
    "dot": lambda node, translation: _moment(node.expression, translation),
    "extract": _seconds,
    "floor": _whole,
    "mul": _milliseconds,
    "timetostr": _formatted,
    "timetounix": _seconds,
}


def _is_now(node: Expr) -> bool:
    if node.key == "tsordstotimestamp":
        node = node.this
    return node.key == "currenttimestamp" or _text_of(node).lower() == "now"


def _text_of(node: Expr) -> str:
    while node.key in ("cast", "paren"):
        node = node.this
    return str(node.this) if node.key == "literal" and node.args["is_string"] else ""


def _spelled(translation: Translation, moment: _Moment, kind: str, node: Expr) -> str:
    target = translation.target
    if moment.part == "seconds" and kind in NUMBERS:
        return f"({_known(target.seconds, node)}{moment.factor})" if moment.factor else _known(target.seconds, node)
    if kind == Kind.TEXT and moment.format is not None and target.moment_text is not None:
        if not moment.in_utc:
            translation.remarks.append(_IN_UTC)
        return target.moment_text.format(_format(target, moment.format))
    is_whole = moment.format is None or moment.format.startswith(("%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"))
    fits = {
        Kind.TIMESTAMPTZ: moment.part == "timestamp" and is_whole,
        Kind.TIMESTAMP: moment.part == "timestamp" and is_whole,
        Kind.DATE: moment.part == "date" or moment.format == _FORMATS["date"] or (is_whole and moment.part != "time"),
        Kind.TIME: moment.part == "time",
    }
    if moment.part == "seconds" or not fits.get(Kind(kind), False):
        raise Untranslatable(f"{shown(node, translation.source.grammar)} is not a value of {kind} there")
    if moment.in_utc or kind == Kind.TIMESTAMPTZ:
        return _known(target.moments.get(kind), node)
    if kind not in target.session_moments:
        translation.remarks.append(_IN_UTC)
        return _known(target.moments.get(kind), node)
    return target.session_moments[kind]


def _format(target: SqlDialect, form: str) -> str:
    codes, parts = target.moment_codes, re.findall(r"%.|[A-Za-z]+|[^%A-Za-z]+", form)
    if any(each.startswith("%") and each not in codes for each in parts):
        raise Untranslatable(f"the format {form!r} is not known there")
    words = (f'"{each}"' if target.moment_quotes and each.isalpha() else each for each in parts)
    return "".join(codes.get(each, each) for each in words).replace("'", "''")


def _read_format(source: SqlDialect, form: str) -> str:
    """A format of the source's in the codes of strftime."""
    codes = {said: code for code, said in source.moment_codes.items() if code != "%T"}
    known = "|".join(re.escape(each) for each in sorted(codes, key=len, reverse=True))
    text, place = "", 0
    while place < len(form):
        found = re.match(rf'({known})|"([^"]*)"|([^A-Za-z%"])|([A-Z])(?![A-Z])', form[place:])
        if found is None or (found[4] and source.moment_quotes):
            raise Untranslatable(f"the format {form!r} is not known there")
        text += codes[found[1]] if found[1] else found[2] or found[3] or found[4] or ""
        place += found.end()
    return text


# -- random identifiers ------------------------------------------------------------------------------------------------


def _random(node: Expr) -> str | None:
    """The form of a random UUID: `uuid`, or as text `dashed` or `hex`; `other` if it is another random text."""
    node = _bare(node.expression if node.key == "dot" else node)
    if node.key == "uuid" or (node.key == "anonymous" and node.name.upper() in _UUIDS and not node.expressions):
        return "uuid"
    if node.key == "cast" and _random(node.this) == "uuid":
        return "dashed"
    if node.key == "replace" and _random(node.this) == "dashed":
        is_hex = _text_of(node.expression) == "-" and not _text_of(node.args["replacement"])
        return "hex" if is_hex else "other"
    parts = list(node.walk())
    calls = [each for each in parts if each.key == "anonymous"]
    known = all(each.key in _RANDOM for each in parts if each.key != "anonymous")
    if not known or "RANDOMBLOB" not in {each.name.upper() for each in calls}:
        return None
    if not {each.name.upper() for each in calls} <= _RANDOM_CALLS:
        return None
    texts = [each.this for each in parts if each.key == "literal" and each.args["is_string"]]
    if any("-" in each for each in texts):
        return "dashed"
    sizes = [each.expressions[0].name for each in calls]
    return "hex" if node.key == "lowerhex" and sizes == [_UUID_BYTES] else "other"


def _uuid(translation: Translation, form: str, kind: str, node: Expr) -> str:
    if kind == Kind.UUID and form != "other":
        return _known(translation.target.uuids.get("uuid"), node)
    if kind == Kind.TEXT and form != "other":
        return _known(translation.target.uuids.get("dashed" if form == "uuid" else form), node)
    raise Untranslatable(f"the meaning of {shown(node, translation.source.grammar)} is not certain there")
