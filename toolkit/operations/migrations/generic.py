"""Types and defaults in words that every engine has."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any

import sqlalchemy as sa
from advanced_alchemy.types import GUID, EncryptedString, EncryptedText, JsonB, OneTimeCode, PasswordHash
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

_NOW = re.compile(
    r"\(*(now\(\)|current_timestamp(?:\(\d*\))?|get_current_timestamp\(\)|transaction_timestamp\(\))\)*", re.IGNORECASE
)
_CASTS = r"(?:::[\w\".]+(?: \w+)*(?:\(\d+(?:,\s*\d+)?\))?(?: \w+)*(?:\[\])?)+"
_CAST, _ANY_CAST = re.compile(_CASTS + "$"), re.compile(_CASTS)
_NEXT = re.compile(r"nextval\('\"?(\w+)\"?'(?:::regclass)?\)")
_TEXT = re.compile(r"'(?:[^']|'')*'")
_WRAPPED = re.compile(r"CAST\(('(?:[^']|'')*') AS [^']*\)", re.IGNORECASE)
_BOOLEANS = {
    **dict.fromkeys(("0", "f", "false"), sa.false),
    **dict.fromkeys(("1", "t", "true"), sa.true),
}
_UUID_BYTES = 16
_YARDSTICK: sa.Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]


def stored_type(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    """What is stored of a type, no more: the reprs of some hold the key, or need the libraries that encrypt."""
    match type_:
        case EncryptedText():
            return sa.Text()
        case EncryptedString():
            return sa.String()
        case PasswordHash():
            return sa.String(length=type_.length)
        case OneTimeCode():
            return JsonB
    return type_


def generic_type(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    """The type that every engine has for one that was read from a catalogue; the same where there is none."""
    match type_:
        case postgresql.JSONB() | sa.JSON():
            found: TypeEngine[Any] = JsonB if isinstance(type_, postgresql.JSONB) else sa.JSON()
            return found
        case postgresql.ENUM():
            return sa.Enum(*type_.enums, name=type_.name, schema=type_.schema)
        case sa.BINARY() if type_.length == _UUID_BYTES:
            return GUID()
        case sa.ARRAY():
            return sa.ARRAY(generic_type(type_.item_type), dimensions=type_.dimensions)
        case sa.TIMESTAMP():
            return sa.DateTime(timezone=type_.timezone)
    try:
        return type_.as_generic()
    except NotImplementedError:
        return type_


def generic_default(text: str, type_: TypeEngine[Any]) -> Any:
    """A default that was read from a catalogue, as every engine takes it; its own text where there is no such."""
    plain = _plain(text)
    if _NOW.fullmatch(plain):
        return sa.func.now()
    if numbers := _NEXT.fullmatch(plain):
        return sa.Sequence(numbers[1]).next_value()
    if isinstance(type_, sa.Boolean) and plain.lower().strip("'") in _BOOLEANS:
        return _BOOLEANS[plain.lower().strip("'")]()
    return sa.text(plain.replace(":", "\\:"))


def constant(text: str | None) -> str | None:
    """The value of a default that is one, as a text; None for an expression."""
    plain = None if text is None else _plain(text)
    if plain is None or not (_TEXT.fullmatch(plain) or re.fullmatch(r"[+-]?[\d.]+|true|false", plain)):
        return None
    return plain[1:-1].replace("''", "'") if plain[0] == "'" else plain


def same_default(left: str | None, right: str | None, type_: TypeEngine[Any]) -> bool:
    """Whether two texts of a default, as one engine has or takes them, mean the same in a column of this type."""
    if left is None or right is None:
        return left is right
    one, other = (_meaning(each, isinstance(type_, sa.Boolean)) for each in (left, right))
    if one == other:
        return True
    try:
        return Decimal(one) == Decimal(other)
    except InvalidOperation:
        return False


def _meaning(text: str, is_boolean: bool) -> str:
    plain = _plain(text)
    if _NOW.fullmatch(plain):
        return "now()"
    if is_boolean and plain.lower().strip("'") in _BOOLEANS:
        return _BOOLEANS[plain.lower().strip("'")].__name__
    if _TEXT.fullmatch(plain):
        return plain[1:-1]
    return "".join(
        token[0] if token[0][0] == "'" else re.sub(r'[\s"()]', "", token[0].lower())
        for token in re.finditer(r"'(?:[^']|'')*'|[^']+", _ANY_CAST.sub("", plain))
    )


def _plain(text: str) -> str:
    """Without what is around it: parentheses, and casts to the column's type."""
    plain = text.replace("\\:", ":").strip()
    while plain[:1] == "(" and _closes_last(plain):
        plain = plain[1:-1].strip()
    plain = _CAST.sub("", plain)
    wrapped = _WRAPPED.fullmatch(plain)
    return wrapped[1] if wrapped else plain


def _closes_last(text: str) -> bool:
    """Whether the first parenthesis is closed by the last character."""
    depth = 0
    for token in re.finditer(r"'(?:[^']|'')*'|[()]", text):
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if not depth:
            return token.end() == len(text)
    return False


def differs(declared: TypeEngine[Any], wanted: TypeEngine[Any]) -> bool:
    """Whether a type of the history is another than the models', by the engine that tells most of them apart.

    Those that are in the words of one engine are left to the comparison with what is there.
    """
    old, new = stored_type(declared), stored_type(wanted)
    if isinstance(old, sa.Enum) and isinstance(new, sa.Enum) and old.enums != new.enums:
        return True
    if any(type(each).__name__.isupper() for each in (old, new)):
        return False
    try:
        return old.compile(_YARDSTICK) != new.compile(_YARDSTICK)
    except (sa.exc.SQLAlchemyError, NotImplementedError, AttributeError):
        return False
