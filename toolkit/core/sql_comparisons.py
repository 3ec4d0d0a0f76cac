"""How values are compared in the SQL of two engines: numbers, texts by their collations, truth values, days."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from toolkit.core.sql_dialect import SqlDialect
from toolkit.core.sql_terms import (
    BOOLEAN,
    MOMENTS,
    NUMBERS,
    Term,
    Untranslatable,
    is_date,
    lower_ascii,
    number_of,
    number_term,
    text_literal,
    truth_term,
)
from toolkit.core.types import FLOAT_KINDS, INTEGER_KINDS, Kind

_EQUAL = ("=", "<>")
_BOUNDS, _BOUNDS_OF_ZERO = (">=", "<="), (">", "<")
_AS_GLOB = str.maketrans({"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"})
_AS_LIKE = str.maketrans({"*": "%", "?": "_"})
_WHOLE_DOUBLES = 2**53


class Comparing(Struct, frozen=True):
    """Comparisons of one engine's SQL in that of another; each method raises `Untranslatable` where one is not certain.

    Whose collation counts is said in SQLite's documentation, "Datatypes", section 7.1.
    """

    source: SqlDialect
    target: SqlDialect

    def compared(self, left: Term, right: Term, sign: str, word: str | None = None) -> Term:
        """Two terms compared by a sign, which is said by a word there."""
        own, other = self.alike(left, right, sign)
        return Term(f"({own} {word or sign} {other})", BOOLEAN)

    def alike(self, left: Term, right: Term, sign: str) -> tuple[str, str]:
        """Two terms as they are compared there."""
        for one, other, is_turned in ((left, right, False), (right, left, True)):
            if (literal := self._fitted(one, other, sign)) is not None:
                return (literal, one.sql) if is_turned else (one.sql, literal)
        if "null" in (left.kind, right.kind) or (left.kind in NUMBERS and right.kind in NUMBERS):
            self._require_exact(left, right)
            return self._double(left, right, sign), self._double(right, left, sign)
        if left.kind == right.kind == Kind.TEXT:
            return self._texts(left, right, sign)
        if left.kind != right.kind:
            raise Untranslatable(f"it compares {left.kind} with {right.kind}")
        in_order = (Kind.DATE,) if self.source.has_loose_types else MOMENTS
        if left.kind in in_order or (sign in _EQUAL and left.kind in (BOOLEAN, Kind.UUID, Kind.BYTES, Kind.ENUM)):
            return left.sql, right.sql
        raise Untranslatable(f"how values of {left.kind} are compared is not certain there")

    def _fitted(self, term: Term, literal: Term, sign: str) -> str | None:
        """A literal as one of the other's type, where the source takes it for that."""
        value = literal.literal
        if term.literal is not None or value is None:
            return None
        if term.kind == BOOLEAN and sign in _EQUAL and value in (0, 1) and literal.kind == Kind.INT64:
            return truth_term(bool(value)).sql
        if literal.kind != Kind.TEXT:
            return None
        if term.kind == Kind.ENUM and sign in _EQUAL:
            if term.column is not None and value not in (term.column.labels or (value,)):
                raise Untranslatable(f"{literal.sql} is none of the labels")
            return literal.sql
        if term.kind == Kind.DATE and is_date(str(value)):
            return literal.sql
        if term.kind in NUMBERS and term.column is not None and term.column.is_numeric:
            return number_term(number_of(str(value))).sql
        return None

    def _require_exact(self, left: Term, right: Term) -> None:
        """A float of four bytes is compared by engines as one of eight, or not."""
        for one, other in ((left, right), (right, left)):
            if one.kind == Kind.FLOAT32 and other.kind not in (*INTEGER_KINDS, "null"):
                raise Untranslatable(f"how {one.sql}, a float of four bytes, is compared is not certain there")

    def _double(self, term: Term, other: Term, sign: str) -> str:
        """A number as it is compared; what no double holds is stored as bytes there, and read as the nearest double.

        No number is on another side of a whole number then, though it may be that number, unless that is 0.
        """
        column = term.column
        is_stored_so = column is not None and (column.is_wide or term.kind in FLOAT_KINDS)
        if not self.target.stores_doubles_as_bytes or column is None or not is_stored_so:
            return term.sql
        limit = other.literal
        is_safe = isinstance(limit, Decimal) and limit == limit.to_integral_value() and abs(limit) < _WHOLE_DOUBLES
        if column.is_wide and not (is_safe and (sign in _BOUNDS or (limit == 0 and sign in _BOUNDS_OF_ZERO))):
            raise Untranslatable(f"some values of {term.sql} are stored as bytes there, as no double holds them")
        return f"CAST({term.sql} AS REAL)"

    def _texts(self, left: Term, right: Term, sign: str) -> tuple[str, str]:
        if not (left.is_plain and right.is_plain):
            raise Untranslatable("how its texts are compared there is not certain")
        # As SQLite documents it; elsewhere, both sides have the same, or one is named.
        ruling = next((each for each in (left, right) if each.is_collated), None)
        ruling = ruling or next((each for each in (left, right) if each.column is not None), left)
        if ruling.folds:
            if sign not in _EQUAL:
                raise Untranslatable("how its texts are ordered there is not certain")
            return self.lowered(left), self.lowered(right)
        if sign in _EQUAL:
            return left.sql, right.sql
        if self.target.in_bytes is None or not ruling.is_binary:
            raise Untranslatable("texts are ordered by a collation that is not carried")
        return self.target.in_bytes.format(left.sql), right.sql

    def lowered(self, term: Term) -> str:
        """A text with the letters of ASCII in lower case."""
        if isinstance(term.literal, str):
            return text_literal(lower_ascii(term.literal))
        if self.target.lowered is None:
            raise Untranslatable("its texts are compared without regard to case")
        return self.target.lowered.format(term.sql)

    def like(self, text: Term, pattern: Term, word: str) -> str:
        """A text held against a pattern."""
        value = pattern.literal
        if text.kind != Kind.TEXT or not text.is_plain or not isinstance(value, str) or "\\" in value:
            raise Untranslatable(f"the meaning of {text.sql} {word} {pattern.sql} is not certain there")
        folds = self.target.like_folds
        if "GLOB" in word:
            if any(each in "[%_" for each in value) or folds:
                raise Untranslatable("there is no GLOB")
            return f"({text.sql} {word.replace('GLOB', 'LIKE')} {text_literal(value.translate(_AS_LIKE))})"
        has_case = any(each.isalpha() and each.isascii() for each in value)
        if not has_case or self.source.like_folds == folds:
            return f"({text.sql} {word} {pattern.sql})"
        if self.target.has_glob:
            return f"({text.sql} {word.replace('LIKE', 'GLOB')} {text_literal(value.translate(_AS_GLOB))})"
        if folds or self.target.lowered is None:
            raise Untranslatable("LIKE ignores case in one of the engines alone")
        return f"({self.target.lowered.format(text.sql)} {word} {text_literal(lower_ascii(value))})"
