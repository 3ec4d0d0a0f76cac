"""Of which type a column of SQLite is, by its declaration and by what is stored: the narrowest that holds all of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from shlex import quote as shell
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

from toolkit.core.schema import ColumnMeasure, Note
from toolkit.core.types import MAX_DECIMAL_DIGITS
from toolkit.engines.sqlite.declared import Declared, Family, text_type
from toolkit.engines.sqlite.documents import are_texts
from toolkit.engines.sqlite.measures import measured
from toolkit.engines.sqlite.structure import StoredStructure
from toolkit.engines.sqlite.undeclared import Documents, Undeclared
from toolkit.engines.sqlite.value_conditions import SOME_DECIMALS, SOME_DIGITS

if TYPE_CHECKING:
    from toolkit.engines.sqlite.snapshot import SqliteSnapshot

# A type, and where it is not what was declared, what is stored that made it so.
Chosen = tuple[TypeEngine[Any], str | None]
_WHOLE_DOUBLES = 2**53
# Defaults that say what a new row has.
_QUOTED = re.compile(r"'((?:[^']|'')*)'")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
_EPOCHS = "--convert {place}:epoch-s (or epoch-ms, epoch-us) makes times of them, into a column of times"
_MIXED = "It holds {classes}: what is no {type} is refused by row, unless --convert {place}:text or --rejects"
_WORDS = {
    "integer": ("integer", "integers"),
    "real": ("real", "reals"),
    "text": ("text", "texts"),
    "blob": ("value of bytes", "values of bytes"),
}
_AS_TEXT = "{held}; bytes that are UTF-8 are taken for text"


def types_by_values(
    connection: SqliteSnapshot, of: StoredStructure, looked: Undeclared
) -> tuple[Mapping[str, TypeEngine[Any]], list[Note]]:
    """The types of a table's columns, and notes of those that are not as declared."""
    columns = of.declared
    defaults = {column.name: column.default for column in of.columns if column.computed is None}
    odd = looked.columns
    measures = measured(connection.asking.row, of.name, {name: columns[name] for name in columns if name in odd}, odd)
    types: dict[str, TypeEngine[Any]] = {}
    notes = []
    for name, declared in columns.items():
        type_, reason = declared.type, None
        if name in odd:
            has_bytes = "blob" in measures[name].classes and declared.family in (Family.TEXT, Family.JSON)
            is_text = not has_bytes or are_texts(connection, of.name, name)
            type_, reason = fitting(declared, measures[name], bytes_are_text=is_text)
        type_, reason = _with_default(declared, defaults.get(name), type_) or (type_, reason)
        if isinstance(type_, sa.JSON) and looked.documents[name] is Documents.VALUES:
            type_ = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
        if declared.is_identity and _is_free_decimal(type_):
            type_ = _key_type(connection, of.name, name, declared)
        types[name] = type_
        if reason is not None:
            notes.append(_note(of.name, name, declared, reason.replace("{place}", shell(f"{of.name}.{name}")), type_))
    return types, notes


def _with_default(declared: Declared, default: str | None, type_: Any) -> Chosen | None:
    """A type that holds the column's default, too, where its own does not; no row may have it yet."""
    text = (default or "").strip("() ")
    if isinstance(type_, sa.String) and type_.length is not None and (quoted := _QUOTED.fullmatch(text)):
        length = len(quoted[1].replace("''", "'"))
        return (text_type(declared), f"Its default has {length:,} characters") if length > type_.length else None
    if not _NUMBER.fullmatch(text) or not isinstance(type_, sa.Numeric) or type_.precision is None:
        return None
    _, digits, exponent = Decimal(text).normalize().as_tuple()
    declared_scale = type_.scale or 0
    scale = max(declared_scale, -int(exponent))
    whole = max(type_.precision - declared_scale, len(digits) + int(exponent))
    if (whole, scale) == (type_.precision - declared_scale, declared_scale):
        return None
    fits = whole + scale <= MAX_DECIMAL_DIGITS
    return sa.Numeric(whole + scale, scale) if fits else sa.Numeric(), "Its default has more digits"


def _is_free_decimal(type_: Any) -> bool:
    return isinstance(type_, sa.Numeric) and not isinstance(type_, sa.Float) and type_.precision is None


def _note(table: str, column: str, declared: Declared, reason: str, type_: TypeEngine[Any]) -> Note:
    return Note(table, f"type {declared.text or 'none'}, made {_name(type_)}", f"{reason}.", column)


def _name(type_: TypeEngine[Any]) -> str:
    return str(type_.compile(postgresql.dialect())).partition(" COLLATE")[0].lower()  # type: ignore[no-untyped-call]


def _key_type(connection: SqliteSnapshot, table: str, name: str, declared: Declared) -> TypeEngine[Any]:
    """A key's numbers with all of their digits: engines differ in decimals without a precision."""
    measure = measured(connection.asking.row, table, {name: declared}, {name})[name]
    if measure.classes.keys() <= {"integer"}:
        return sa.BigInteger()
    return sa.Numeric(MAX_DECIMAL_DIGITS, measure.scale) if measure.scale is not None else sa.Numeric()


def fitting(declared: Declared, measure: ColumnMeasure, *, bytes_are_text: bool = True) -> Chosen:
    """The type for a column of which some value is not just as declared, or about which nothing was."""
    if not measure.classes:
        return (text_type(declared), None) if declared.family is Family.ANY else (declared.type, None)
    if _only(measure, "blob") and not bytes_are_text:
        return _by_classes(declared, measure)
    choose = _BY_FAMILY.get(declared.family)
    chosen = None if choose is None else choose(declared, measure)
    return chosen or _by_classes(declared, measure)


def _by_classes(declared: Declared, measure: ColumnMeasure) -> Chosen:
    """What holds all values as they are stored."""
    classes = frozenset(measure.classes)
    held = _held(measure)
    if classes == {"integer"}:
        return sa.BigInteger(), held
    if classes <= {"integer", "real"}:
        is_double = "integer" not in classes or _are_doubles(measure)
        return (sa.Double() if is_double else sa.Numeric()), held
    if classes == {"text"}:
        return text_type(declared), held
    if classes == {"blob"}:
        return sa.LargeBinary(), held
    if declared.affinity is Family.DECIMAL and classes == {"integer", "text"} and declared.family is Family.ANY:
        return text_type(declared), f"{held}, which are taken for their digits"
    # A number is another value than its digits: whatever is not of the type is refused, and named by its row.
    has_no_bytes = declared.family is Family.BYTES and "blob" not in classes
    type_ = text_type(declared) if declared.family is Family.ANY or has_no_bytes else declared.type
    reason = _MIXED.format(classes=_listed(measure), type=_name(type_), place="{place}")
    return type_, _AS_TEXT.format(held=reason) if isinstance(type_, sa.String) and "blob" in classes else reason


def _are_doubles(measure: ColumnMeasure) -> bool:
    """Whether all numbers are doubles: integers only up to 2^53."""
    ends = [abs(Decimal(each)) for each in (measure.least, measure.greatest) if each is not None]
    return bool(ends) and all(each <= _WHOLE_DOUBLES for each in ends)


def _held(measure: ColumnMeasure) -> str:
    return f"It holds {_listed(measure)}"


def _listed(measure: ColumnMeasure) -> str:
    counted = [(count, *_WORDS[each]) for each, count in measure.classes.items()]
    return " and ".join(f"{count:,} {one if count == 1 else more}" for count, one, more in counted)


def _all(measure: ColumnMeasure, *forms: str) -> bool:
    return sum(measure.forms.get(form, 0) for form in forms) == measure.rows - measure.nulls


def _some(measure: ColumnMeasure, *forms: str) -> bool:
    return any(measure.forms.get(form) for form in forms)


def _only(measure: ColumnMeasure, *classes: str) -> bool:
    return measure.classes.keys() <= {*classes}


def _any(declared: Declared, measure: ColumnMeasure) -> Chosen | None:
    """Of a column that was declared as nothing, nothing is expected."""
    return (_by_classes(declared, measure)[0], None) if len(measure.classes) == 1 else None


def _boolean(declared: Declared, measure: ColumnMeasure) -> Chosen | None:
    return (declared.type, None) if _all(measure, "boolean") else None


def _moment(declared: Declared, measure: ColumnMeasure) -> Chosen | None:
    """A timestamp, with its zone if any value has one; or a date."""
    if not _only(measure, "text"):
        return _number_of_moment(measure)
    zoned, local = measure.forms.get("timestamp with zone", 0), measure.forms.get("timestamp", 0)
    if declared.family is Family.DATE and not zoned and not local and _some(measure, "date"):
        return declared.type, _unlike(measure, "date")
    if not _some(measure, "timestamp with zone", "timestamp", "date"):
        return text_type(declared), "It holds no times that are known as such"
    is_date = declared.family is Family.DATE
    reason = _unlike(measure, "timestamp", "timestamp with zone", "date")
    if zoned and not declared.has_zone:
        mixed = measure.rows - measure.nulls - zoned
        reason = reason or (f"{mixed:,} of its values have no zone: they count as UTC" if mixed else None)
        return sa.DateTime(timezone=True), reason
    return sa.DateTime(timezone=declared.has_zone), reason or ("It holds times of the day" if is_date else None)


def _unlike(measure: ColumnMeasure, *forms: str) -> str | None:
    """What is in the way where only most values are of a form."""
    count = measure.rows - measure.nulls - sum(measure.forms.get(form, 0) for form in forms)
    return f"{count:,} of its values {'is' if count == 1 else 'are'} none, and refused by row" if count else None


def _number_of_moment(measure: ColumnMeasure) -> Chosen | None:
    if _only(measure, "integer"):
        return sa.BigInteger(), f"It holds {_listed(measure)}: {_EPOCHS}"
    return None


def _time(declared: Declared, measure: ColumnMeasure) -> Chosen | None:
    if not _only(measure, "text"):
        return _number_of_moment(measure)
    if not _some(measure, "time"):
        return text_type(declared), "It holds no times of the day that are known as such"
    return declared.type, _unlike(measure, "time")


def _json(declared: Declared, measure: ColumnMeasure) -> Chosen | None:
    held = _AS_TEXT.format(held=_held(measure)) if "blob" in measure.classes else None
    if _all(measure, "json"):
        return declared.type, held
    count = measure.rows - measure.nulls - measure.forms.get("json", 0)
    return text_type(declared), held or f"{count:,} of its values {'is' if count == 1 else 'are'} no JSON"


def _uuid(declared: Declared, measure: ColumnMeasure) -> Chosen | None:
    return (declared.type, None) if _all(measure, "uuid") else None


def _real(declared: Declared, measure: ColumnMeasure) -> Chosen | None:
    return (declared.type, f"{_held(measure)}, which are taken for digits") if _has_digits(measure, "real") else None


def _has_digits(measure: ColumnMeasure, *classes: str) -> bool:
    """Whether there are bytes, beside these classes, and all of them the digits of a number."""
    count = measure.classes.get("blob")
    return count is not None and _only(measure, *classes, "blob") and measure.forms.get("decimal") == count


def _decimal(declared: Declared, measure: ColumnMeasure) -> Chosen | None:
    """As many digits as declared, or as the values need."""
    if _has_digits(measure, "integer", "real"):
        return declared.type, f"{_held(measure)}, which are taken for digits"
    if not _only(measure, "integer", "real"):
        return None
    if declared.precision is None:
        if _fits(measure, SOME_DIGITS, SOME_DECIMALS):
            return declared.type, None
        type_ = sa.Double() if _are_doubles(measure) or _only(measure, "real") else sa.Numeric()
        return type_, "It holds reals of more digits than every decimal has"
    if measure.precision is None or measure.scale is None:
        return sa.Numeric(), "It holds more digits than a decimal has"
    scale = max(declared.scale, measure.scale)
    whole = max(declared.precision - declared.scale, measure.precision - measure.scale)
    if (scale, whole) == (declared.scale, declared.precision - declared.scale):
        return declared.type, None
    fits = whole + scale <= MAX_DECIMAL_DIGITS
    return sa.Numeric(whole + scale, scale) if fits else sa.Numeric(), "It holds numbers of more digits"


def _text(declared: Declared, measure: ColumnMeasure) -> Chosen | None:
    """As long as declared, or without a limit."""
    longest = measure.longest or 0
    is_long = declared.length is not None and longest > declared.length
    reason = f"It holds texts of up to {longest:,} characters" if is_long else None
    if _only(measure, "text"):
        return text_type(declared, None if is_long else declared.length), reason
    if declared.affinity is Family.DECIMAL and _only(measure, "text", "integer"):
        # What is declared as STRING has SQLite turn texts of digits into integers.
        return text_type(declared), f"{_held(measure)}, which are taken for their digits"
    return text_type(declared), _AS_TEXT.format(held=_held(measure))


def _fits(measure: ColumnMeasure, whole: int, scale: int) -> bool:
    """Whether no number has more digits than that before and behind the point."""
    if measure.precision is None or measure.scale is None:
        return False
    return measure.scale <= scale and measure.precision - measure.scale <= whole


_BY_FAMILY: dict[Family, Callable[[Declared, ColumnMeasure], Chosen | None]] = {
    Family.BOOLEAN: _boolean,
    Family.TIMESTAMP: _moment,
    Family.DATE: _moment,
    Family.TIME: _time,
    Family.JSON: _json,
    Family.UUID: _uuid,
    Family.REAL: _real,
    Family.DECIMAL: _decimal,
    Family.TEXT: _text,
    Family.ANY: _any,
}
