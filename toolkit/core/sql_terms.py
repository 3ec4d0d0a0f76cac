"""Parts of an expression in SQL, each with what it holds."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Sequence
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from toolkit.core.types import FLOAT_KINDS, INTEGER_KINDS, Kind

NUMBERS = frozenset({*INTEGER_KINDS, *FLOAT_KINDS, Kind.DECIMAL})
MOMENTS = frozenset({Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ})
BOOLEAN = Kind.BOOL
_NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*")
_WHOLE = re.compile(r"-?\d+")
_INT64 = 2**63


class Untranslatable(Exception):  # noqa: N818 - it is no fault, but an answer
    """A text does not mean the same in another engine for certain; why, as part of a sentence."""


class ColumnMeaning(Struct, frozen=True):
    """A column: its name in the target, and what it holds; `labels` are those of an enum."""

    name: str
    kind: str
    collation: str | None = None
    is_padded: bool = False
    """It is a CHAR(n)."""
    is_wide: bool = False
    """Its decimals may have more digits than a double holds."""
    is_numeric: bool = False
    """What looks like a number and is compared with it becomes one."""
    labels: tuple[str, ...] = ()


class Term(Struct, frozen=True):
    """A part in the target's SQL; `kind` is that of a logical type, or `null`.

    Texts are compared without regard to case (`folds`), or in a way that is not known (not `is_plain`); their order is
    that of their bytes (`is_binary`). Blanks at their end count in one of the engines alone (`is_padded`). A truth that
    no value breaks `is_trivial`.
    """

    sql: str
    kind: str
    literal: str | Decimal | bool | None = None
    column: ColumnMeaning | None = None
    folds: bool = False
    is_plain: bool = True
    is_padded: bool = False
    is_binary: bool = True
    is_trivial: bool = False
    is_collated: bool = False
    """A collation is named with it, which counts before that of any column."""
    has_ascii_case: bool = False
    """No letters but those of ASCII have another case."""

    def result(self, sql: str) -> Term:
        """What a function makes of it: no column and no literal; a collation that is named goes with it."""
        return replace(self, sql=sql, literal=None, column=None, folds=self.folds and self.is_collated)


def text_literal(text: str) -> str:
    """A text as SQL writes it."""
    if "\0" in text:
        raise Untranslatable("it has a text with U+0000")
    return "'{}'".format(text.replace("'", "''"))


def text_term(text: str) -> Term:
    """A literal of text."""
    return Term(text_literal(text), Kind.TEXT, literal=text)


def text_of(sql: str, terms: Sequence[Term]) -> Term:
    """A text that is one of these, or made of them: a collation that is named goes with it."""
    ruling = next((each for each in terms if each.is_collated), None)
    if ruling is not None:
        return replace(ruling.result(sql), kind=Kind.TEXT)
    are_plain, are_binary = all(each.is_plain for each in terms), all(each.is_binary for each in terms)
    return Term(sql, Kind.TEXT, is_plain=are_plain, is_binary=are_binary)


def truth_term(truth: bool) -> Term:
    """TRUE or FALSE."""
    return Term("TRUE" if truth else "FALSE", BOOLEAN, literal=truth)


def number_of(text: str) -> Decimal:
    """The number that a text is."""
    if _NUMBER.fullmatch(text) is None:
        raise Untranslatable(f"{text!r} is no number")
    return Decimal(text.strip())


def number_term(number: Decimal) -> Term:
    """A literal number, with the digits that it was written with."""
    text = str(number)
    if _WHOLE.fullmatch(text):
        is_small = -_INT64 <= int(text) < _INT64
        return Term(text, Kind.INT64 if is_small else Kind.DECIMAL, literal=number)
    return Term(text, Kind.FLOAT64 if "E" in text else Kind.DECIMAL, literal=number)


def lower_ascii(text: str) -> str:
    """A text with the letters of ASCII, and no others, in lower case."""
    return "".join(each.lower() if each.isascii() else each for each in text)


def is_date(text: str) -> bool:
    """Whether it is a day as ISO 8601 writes it."""
    try:
        return dt.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def quoted(name: str) -> str:
    """A name as SQL writes any."""
    return '"{}"'.format(name.replace('"', '""'))


def widest(kinds: Collection[str]) -> str:
    """Of kinds of numbers, the one that holds them all."""
    order = (Kind.FLOAT64, Kind.FLOAT32, Kind.DECIMAL, Kind.INT64, Kind.INT32, Kind.INT16)
    return next(each for each in order if each in kinds)
