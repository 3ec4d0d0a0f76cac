"""What a column of SQLite was meant to hold, by the type that it was declared with: SQLite itself takes any word."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, auto
from typing import Any

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.types import TypeEngine

from toolkit.core.types import MAX_DECIMAL_DIGITS

_PARTS = re.compile(r"\s*([^()]*?)\s*(?:\(([^)]*)\)\s*(.*))?", re.DOTALL)
# No other engine's type of texts takes a greater length: who wrote varchar(2147483647) meant none.
_LONGEST = 10_485_760
_TRUTHS = frozenset({"true", "false"})


class Family(Enum):
    """What values are meant to be."""

    INTEGER = auto()
    BOOLEAN = auto()
    REAL = auto()
    DECIMAL = auto()
    TEXT = auto()
    BYTES = auto()
    TIMESTAMP = auto()
    DATE = auto()
    TIME = auto()
    JSON = auto()
    UUID = auto()
    ANY = auto()
    """No type, or one that nobody knows."""


# Whole names, in capitals; what follows is asked of the others, in this order: parts of names.
_NAMES: dict[str, Family] = {
    **dict.fromkeys(("BOOL", "BOOLEAN", "LOGICAL", "BIT", "YESNO"), Family.BOOLEAN),
    **dict.fromkeys(("DATE",), Family.DATE),
    **dict.fromkeys(("TIME", "TIME WITHOUT TIME ZONE"), Family.TIME),
    **dict.fromkeys(("JSON", "JSONB"), Family.JSON),
    **dict.fromkeys(("UUID", "GUID", "UNIQUEIDENTIFIER"), Family.UUID),
    **dict.fromkeys(("NUMERIC", "DECIMAL", "DEC", "NUMBER", "MONEY", "SMALLMONEY", "CURRENCY"), Family.DECIMAL),
    **dict.fromkeys(("BYTEA", "BYTES", "BINARY", "VARBINARY", "LONG VARBINARY", "IMAGE", "RAW"), Family.BYTES),
    **dict.fromkeys(("STRING", "CITEXT", "ENUM", "LONGSTRING"), Family.TEXT),
    **dict.fromkeys(("SERIAL", "BIGSERIAL", "LONG"), Family.INTEGER),
    **dict.fromkeys(("INTERVAL", "POINT", "TIMETZ", "TIME WITH TIME ZONE", "ANY", ""), Family.ANY),
}
_BEGINNINGS = (
    ("TIMESTAMP", Family.TIMESTAMP),
    ("DATETIME", Family.TIMESTAMP),
    ("SMALLDATETIME", Family.TIMESTAMP),
)
_AFFINITIES = (
    (("INT",), Family.INTEGER),
    (("CHAR", "CLOB", "TEXT"), Family.TEXT),
    (("BLOB",), Family.BYTES),
    (("REAL", "FLOA", "DOUB"), Family.REAL),
)


class Declared(Struct, frozen=True):
    """A column's declaration: its words, what they mean, and the numbers in their brackets."""

    text: str
    family: Family
    arguments: tuple[int, ...] = ()
    has_zone: bool = False
    collation: str | None = None
    is_required: bool = False
    """Whether it never is NULL."""
    is_identity: bool = False
    """Whether it is part of the primary key."""
    is_strict: bool = False
    """Whether the table is: then ANY makes nothing of values."""

    @property
    def affinity(self) -> Family:
        """What SQLite makes of values if it can; `DECIMAL` for NUMERIC, `ANY` for BLOB ("Datatypes", section 3.1)."""
        upper = self.text.upper()
        found = next((family for parts, family in _AFFINITIES if any(part in upper for part in parts)), Family.DECIMAL)
        is_kept = not upper.strip() or (self.is_strict and upper == "ANY")
        return Family.ANY if is_kept or found is Family.BYTES else found

    @property
    def length(self) -> int | None:
        """How many characters a text may have."""
        if self.family is not Family.TEXT or not self.arguments or not 0 < self.arguments[0] <= _LONGEST:
            return None
        return self.arguments[0]

    @property
    def precision(self) -> int | None:
        """How many digits a decimal may have; None for any number."""
        if self.family is not Family.DECIMAL or not self.arguments:
            return None
        if not 0 < self.arguments[0] <= MAX_DECIMAL_DIGITS:
            return None
        return self.arguments[0]

    @property
    def scale(self) -> int:
        """How many of the digits are behind the point."""
        return self.arguments[1] if len(self.arguments) > 1 else 0

    @property
    def type(self) -> TypeEngine[Any]:
        """The type of SQLAlchemy's that applications mean."""
        return _TYPES[self.family](self)


def declared(
    text: str,
    default: str | None = None,
    collation: str | None = None,
    *,
    is_required: bool = False,
    is_identity: bool = False,
    is_strict: bool = False,
) -> Declared:
    """What the words of a column's type mean. A `numeric DEFAULT false` is a truth value, as Go's GORM writes them."""
    found = _PARTS.fullmatch(text)
    head, arguments, rest = found.groups("") if found else (text, "", "")
    name = " ".join(f"{head} {rest}".upper().split())
    family = _family(name)
    is_flag = name == "TINYINT" and arguments.strip() == "1"
    if is_flag or (family is Family.DECIMAL and (default or "").lower() in _TRUTHS):
        family = Family.BOOLEAN
    numbers = [each.strip() for each in arguments.split(",")]
    has_zone = name.endswith(("TZ", "OFFSET", "WITH TIME ZONE"))
    return Declared(
        text,
        family,
        tuple(map(int, numbers)) if all(each.isdecimal() and each.isascii() for each in numbers) else (),
        has_zone,
        collation,
        is_required,
        is_identity,
        is_strict,
    )


def _family(name: str) -> Family:
    if name in _NAMES:
        return _NAMES[name]
    begun = next((family for start, family in _BEGINNINGS if name.startswith(start)), None)
    if begun is not None:
        return begun
    return next((family for parts, family in _AFFINITIES if any(part in name for part in parts)), Family.ANY)


def text_type(of: Declared, length: int | None = None) -> sa.String:
    """A text with the column's collation."""
    return sa.Text(collation=of.collation) if length is None else sa.String(length, collation=of.collation)


def _decimal(of: Declared) -> TypeEngine[Any]:
    return sa.Numeric() if of.precision is None else sa.Numeric(max(of.precision, of.scale), of.scale)


_TYPES: dict[Family, Callable[[Declared], TypeEngine[Any]]] = {
    Family.INTEGER: lambda _: sa.BigInteger(),
    Family.BOOLEAN: lambda _: sa.Boolean(),
    Family.REAL: lambda _: sa.Double(),
    Family.DECIMAL: _decimal,
    Family.TEXT: lambda of: text_type(of, of.length),
    Family.BYTES: lambda _: sa.LargeBinary(),
    Family.TIMESTAMP: lambda of: sa.DateTime(timezone=of.has_zone),
    Family.DATE: lambda _: sa.Date(),
    Family.TIME: lambda _: sa.Time(),
    Family.JSON: lambda _: sa.JSON(),
    Family.UUID: lambda _: sa.UUID(),
    Family.ANY: lambda of: sa.Numeric() if of.affinity is Family.DECIMAL else sa.types.NullType(),
}
