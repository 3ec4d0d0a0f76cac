"""Exprs in the SQL of one engine, written in that of another where their meaning there is certain.

sqlglot takes a text apart. What of it is written again is a list of what is known to mean the same: whatever is not
on it is refused with its reason. Operands are in brackets wherever engines might bind them differently.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from toolkit.core.sql_dialect import SqlDialect
from toolkit.core.sql_nodes import (
    COMPARISONS,
    INTEGER_TYPES,
    NUMBER_TYPES,
    TEXT_TYPES,
    WIDE_NUMBERS,
    casts_to,
    conjuncts,
    listed,
    literal_cast,
    parsed,
    require_known,
    shown,
    tight,
)
from toolkit.core.sql_terms import (
    BOOLEAN,
    NUMBERS,
    ColumnMeaning,
    Term,
    Untranslatable,
    number_of,
    number_term,
    quoted,
    text_of,
    text_term,
    truth_term,
    widest,
)
from toolkit.core.translated_texts import TextParts
from toolkit.core.types import FLOAT_KINDS, INTEGER_KINDS, JSON_KINDS, Kind

if TYPE_CHECKING:
    from sqlglot.expressions import Expr

_ARITHMETIC = {"add": "+", "sub": "-", "mul": "*"}


class Translation(TextParts):
    """From one engine's SQL to another's, over the columns of a table.

    `remarks` say how the meaning differs a little, `used` are the columns that were named.

    Each of its methods raises `Untranslatable` where the meaning is not certain.
    """

    def __init__(self, source: SqlDialect, target: SqlDialect, columns: Mapping[str, ColumnMeaning]) -> None:
        super().__init__(source, target)
        self.columns = columns
        self.used: set[str] = set()
        self._by_case = {name.lower(): each for name, each in columns.items()}

    def condition(self, text: str) -> str:
        """What a partial index is of."""
        return _joined([self._truth(each) for each in conjuncts(self.parsed(text))])

    def check(self, text: str) -> str:
        """What a CHECK demands; of several conditions, those that are certain, and `remarks` of the others."""
        kept, reasons = [], []
        for each in conjuncts(self.parsed(text)):
            try:
                term = self._truth(each)
            except Untranslatable as error:
                reasons.append(f"without {self.shown(each)}: {error}")
                continue
            if term.is_trivial:
                reasons.append(f"without {self.shown(each)}: it holds for every value of the types there")
            else:
                kept.append(term)
        if not kept:
            raise Untranslatable("; ".join(each.partition(": ")[2] for each in reasons))
        self.remarks += reasons
        return _joined(kept)

    def value(self, text: str, kind: str, digits: tuple[int | None, int | None] = (None, None)) -> str:
        """What a generated column of a kind, of so many digits before and behind the point, holds."""
        node = self.parsed(text)
        while node.key == "paren" or casts_to(node, kind, digits):
            # What a column holds is of its type, without a word.
            node = node.this
        term = self.term(node)
        if kind == Kind.BOOL:
            return self._as_truth(term).sql
        if term.kind != kind and not (term.kind in INTEGER_KINDS and kind in INTEGER_KINDS):
            raise Untranslatable(f"it gives {term.kind} for a column of {kind}")
        return term.sql

    def indexed(self, text: str, *, is_unique: bool) -> str:
        """What an index has in place of a column. Of a unique one no more rows are equal than to the source."""
        self._folds = "less" if is_unique else "as named"
        try:
            term = self.term(self.parsed(text))
        finally:
            self._folds = None
        return self._comparing.lowered(term) if term.folds else term.sql

    def parsed(self, text: str) -> Expr:
        """A text taken apart."""
        return parsed(text, self.source.grammar)

    def term(self, node: Expr) -> Term:
        """A node in the target's SQL."""
        key = node.key
        require_known(node)
        if key in COMPARISONS:
            return self._comparison(node, COMPARISONS[key])
        if key in _ARITHMETIC:
            return self._arithmetic(node, _ARITHMETIC[key])
        visit = getattr(self, f"_visit_{key}", None)
        if visit is None:
            raise self.unsure(node)
        found: Term = visit(node)
        return found

    # -- leaves ----------------------------------------------------------------------------------------------------

    def _visit_null(self, _: Expr) -> Term:
        return Term("NULL", "null")

    def _visit_boolean(self, node: Expr) -> Term:
        return truth_term(bool(node.this))

    def _visit_literal(self, node: Expr) -> Term:
        return text_term(node.this) if node.args["is_string"] else number_term(number_of(node.this))

    def _visit_column(self, node: Expr) -> Term:
        name: str = node.name
        found = self.columns.get(name) or self._by_case.get(name.lower())
        if found is None:
            if self.source.has_loose_names and node.this.args.get("quoted"):
                return text_term(name)
            raise Untranslatable(f"there is no column {name}")
        self.used.add(found.name)
        collation = (found.collation or "").upper()
        is_known = not collation or collation in self.source.byte_collations | self.source.folding_collations
        is_padded = found.is_padded and self.source.pads_chars != self.target.pads_chars
        return Term(
            quoted(found.name),
            found.kind,
            column=found,
            folds=collation in self.source.folding_collations,
            is_plain=is_known and not is_padded,
            is_padded=is_padded,
            is_binary=collation in self.source.byte_collations if collation else self.source.orders_by_bytes,
        )

    def _visit_paren(self, node: Expr) -> Term:
        return self.term(node.this)

    def _visit_hexstring(self, node: Expr) -> Term:
        return Term(self.target.bytes.format(node.this), Kind.BYTES)

    def _visit_unhex(self, node: Expr) -> Term:
        if node.this.key != "literal":
            raise self.unsure(node)
        return self._visit_hexstring(node.this)

    # -- truth -----------------------------------------------------------------------------------------------------

    def _truth(self, node: Expr) -> Term:
        return self._as_truth(self.term(node))

    def _as_truth(self, term: Term) -> Term:
        if term.kind in (BOOLEAN, "null"):
            return term
        if term.kind in NUMBERS and self.source.has_loose_types:
            return Term(f"({term.sql} <> 0)", BOOLEAN)
        raise Untranslatable(f"{term.sql} is not a boolean there")

    def _visit_and(self, node: Expr) -> Term:
        return Term(f"({self._truth(node.this).sql} AND {self._truth(node.expression).sql})", BOOLEAN)

    def _visit_or(self, node: Expr) -> Term:
        terms = self._truth(node.this), self._truth(node.expression)
        is_trivial = any(each.is_trivial for each in terms)
        return Term(f"({terms[0].sql} OR {terms[1].sql})", BOOLEAN, is_trivial=is_trivial)

    def _visit_not(self, node: Expr) -> Term:
        inner = node.this
        if inner.key == "is" and inner.expression.key == "null" and not inner.args.get("negate"):
            return Term(f"({self.term(tight(inner.this)).sql} IS NOT NULL)", BOOLEAN)
        if inner.key == "in":
            return self._membership(inner.this, inner.expressions, "NOT IN", inner)
        return Term(f"(NOT {self._truth(inner).sql})", BOOLEAN)

    def _visit_is(self, node: Expr) -> Term:
        inner, other = tight(node.this), node.expression
        if other.key not in ("null", "boolean"):
            raise Untranslatable(f"the meaning of {shown(node)} is not certain there")
        held = self.term(inner) if other.key == "null" else self._truth(inner)
        sign = "IS NOT" if node.args.get("negate") else "IS"  # Of PostgreSQL's SQL; of others' a NOT is around it.
        return Term(f"({held.sql} {sign} {other.sql()})", BOOLEAN)

    # -- comparisons -----------------------------------------------------------------------------------------------

    def _comparison(self, node: Expr, sign: str) -> Term:
        left, right = tight(node.this), tight(node.expression)
        if right.key == "any" and sign == "=":
            return self._membership(left, listed(right.this), "IN", node)
        if right.key == "anonymous" and right.name.upper() == "ALL" and sign == "<>":
            return self._membership(left, listed(right.expressions[0]), "NOT IN", node)
        return self._comparing.compared(self.term(left), self.term(right), sign)

    def _visit_nullsafeeq(self, node: Expr) -> Term:
        found = self._comparing.compared(
            self.term(tight(node.this)), self.term(tight(node.expression)), "=", self.target.same
        )
        return replace(found, is_trivial=False)

    def _visit_nullsafeneq(self, node: Expr) -> Term:
        return Term(f"(NOT {self._visit_nullsafeeq(node).sql})", BOOLEAN)

    def _visit_between(self, node: Expr) -> Term:
        terms = [self.term(tight(each)) for each in (node.this, node.args["low"], node.args["high"])]
        if [each.kind for each in terms] == [BOOLEAN, *[Kind.INT64] * 2]:
            return self._membership(node.this, [node.args["low"], node.args["high"]], "IN", node)
        low, high = (
            self._comparing.compared(terms[0], each, sign) for each, sign in zip(terms[1:], (">=", "<="), strict=True)
        )
        return Term(f"({low.sql} AND {high.sql})", BOOLEAN)

    def _visit_in(self, node: Expr) -> Term:
        return self._membership(node.this, node.expressions, "IN", node)

    def _membership(self, left: Expr, listed: Iterable[Expr], word: str, node: Expr) -> Term:
        inner, others = self.term(tight(left)), [self.term(tight(each)) for each in listed]
        if not others:
            raise self.unsure(node)
        # Of texts, the collation of the left side counts.
        others = [replace(each, folds=False, is_collated=False) for each in others]
        pairs = [self._comparing.alike(inner, each, "=") for each in others]
        if len({own for own, _ in pairs}) > 1:
            raise Untranslatable(f"{self.shown(node)} compares values of several types")
        values = {each.literal for each in others}
        is_trivial = word == "IN" and inner.kind == BOOLEAN and {0, 1} <= values
        return Term(f"({pairs[0][0]} {word} ({', '.join(each for _, each in pairs)}))", BOOLEAN, is_trivial=is_trivial)

    # -- values ----------------------------------------------------------------------------------------------------

    def _number(self, term: Term) -> Term:
        if term.kind == BOOLEAN and self.source.has_loose_types:
            return Term(f"CAST({term.sql} AS INTEGER)", Kind.INT64)
        if term.kind not in NUMBERS:
            raise Untranslatable(f"it calculates with {term.kind}")
        return term

    def _arithmetic(self, node: Expr, sign: str) -> Term:
        left, right = self._number(self.term(node.this)), self._number(self.term(node.expression))
        kinds = {left.kind, right.kind}
        is_exact = not (self.source.has_loose_types or self.target.has_loose_types)
        if kinds <= INTEGER_KINDS:
            kind: str = Kind.INT64
        elif kinds & FLOAT_KINDS and Kind.FLOAT32 not in kinds and (is_exact or Kind.DECIMAL not in kinds):
            kind = Kind.FLOAT64
        elif is_exact and Kind.DECIMAL in kinds and Kind.FLOAT32 not in kinds:
            kind = Kind.DECIMAL
        else:
            raise Untranslatable("one of the engines calculates with decimals as doubles")
        return Term(f"({left.sql} {sign} {right.sql})", kind)

    def _visit_mod(self, node: Expr) -> Term:
        left, right = self._number(self.term(node.this)), self.term(node.expression)
        is_whole = isinstance(right.literal, Decimal) and right.kind in INTEGER_KINDS and right.literal > 0
        if left.kind not in INTEGER_KINDS or not is_whole:
            raise self.unsure(node)
        return Term(f"({left.sql} % {right.sql})", Kind.INT64)

    def _visit_anonymous(self, node: Expr) -> Term:
        if node.name.upper() != "JSON_VALID" or len(node.expressions) != 1:
            raise self.unsure(node)
        term = self.term(node.expressions[0])
        if term.kind not in JSON_KINDS:
            raise self.unsure(node)
        # Where nothing but documents is in the column.
        return Term(f"({term.sql} IS NOT NULL OR NULL)", BOOLEAN, is_trivial=True)

    def _visit_neg(self, node: Expr) -> Term:
        term = self._number(self.term(node.this))
        if isinstance(term.literal, Decimal):
            return number_term(-term.literal)
        return Term(f"(- {term.sql})", term.kind)

    def _visit_abs(self, node: Expr) -> Term:
        term = self._number(self.term(node.this))
        return Term(f"abs({term.sql})", term.kind)

    def _visit_coalesce(self, node: Expr) -> Term:
        terms = [self.term(each) for each in (node.this, *node.expressions)]
        return self._one_of(terms, f"coalesce({', '.join(each.sql for each in terms)})")

    def _visit_nullif(self, node: Expr) -> Term:
        own, other = self.term(node.this), self.term(node.expression)
        if own.kind == "null" or own.folds or other.folds:
            raise self.unsure(node)
        left, right = self._comparing.alike(own, other, "=")
        found = own.result(f"nullif({left}, {right})")
        return replace(found, kind=widest({own.kind, other.kind})) if {own.kind, other.kind} <= NUMBERS else found

    def _visit_case(self, node: Expr) -> Term:
        if node.this is not None:
            raise self.unsure(node)
        default = node.args.get("default")
        results = [self.term(each.args["true"]) for each in node.args["ifs"]]
        last = self.term(default) if default is not None else Term("NULL", "null")
        when = [
            f"WHEN {self._truth(each.this).sql} THEN {result.sql}"
            for each, result in zip(node.args["ifs"], results, strict=True)
        ]
        return self._one_of([*results, last], f"CASE {' '.join(when)} ELSE {last.sql} END")

    def _one_of(self, terms: list[Term], sql: str) -> Term:
        """An expression of which one of these terms is the result."""
        kinds = {each.kind for each in terms} - {"null"}
        numbers = kinds <= NUMBERS and not (kinds & FLOAT_KINDS and Kind.DECIMAL in kinds)
        if not kinds or (len(kinds) > 1 and not numbers) or any(each.is_padded for each in terms):
            raise Untranslatable(f"it gives values of several types: {', '.join(sorted(kinds))}")
        kind = next(iter(kinds)) if len(kinds) == 1 else widest(kinds)
        return replace(text_of(sql, terms), kind=kind)

    def _visit_cast(self, node: Expr) -> Term:
        inner, wanted = node.this, node.args["to"]
        name = getattr(wanted.this, "name", str(wanted.this)).upper()
        term = self.term(inner)
        if term.kind == "null":
            return term
        if isinstance(term.literal, str):
            return literal_cast(term, name, node)
        if name in TEXT_TYPES and not wanted.expressions and term.kind in (Kind.TEXT, Kind.ENUM):
            return term if term.is_plain else replace(term, is_plain=False)
        is_double = term.kind in FLOAT_KINDS or (term.kind == Kind.DECIMAL and self.source.has_loose_types)
        rounds = name == "FLOAT" and term.kind != Kind.FLOAT32 and self.source.has_short_floats
        if is_double and name in ("FLOAT", "DOUBLE") and not wanted.expressions and not rounds:
            return term
        if term.kind in NUMBERS and (name in WIDE_NUMBERS or (term.literal is not None and name in NUMBER_TYPES)):
            is_whole = name not in INTEGER_TYPES or term.kind in INTEGER_KINDS
            if is_whole and not (wanted.expressions and term.literal is None):
                return term
        raise self.unsure(node)


def _joined(terms: Sequence[Term]) -> str:
    return " AND ".join(each.sql for each in terms)
