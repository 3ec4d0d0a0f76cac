"""Texts within expressions, in the SQL of another engine: joined, measured, in lower case, by a collation."""

from __future__ import annotations

from decimal import Decimal
from string import ascii_lowercase, ascii_uppercase
from typing import TYPE_CHECKING

from msgspec.structs import replace

from toolkit.core.sql_comparisons import Comparing
from toolkit.core.sql_dialect import SqlDialect
from toolkit.core.sql_nodes import shown, tight
from toolkit.core.sql_terms import BOOLEAN, Term, Untranslatable, text_of
from toolkit.core.types import Kind

if TYPE_CHECKING:
    from sqlglot.expressions import Expr


class TextParts:
    """What of an expression is text; `term` has all of it."""

    def __init__(self, source: SqlDialect, target: SqlDialect) -> None:
        self.source, self.target = source, target
        self.remarks: list[str] = []
        self._comparing = Comparing(source, target)
        # How letters outside of ASCII may be treated: `less` than they are, or `as named`.
        self._folds: str | None = None

    def term(self, node: Expr) -> Term:
        """A node in the target's SQL."""
        raise NotImplementedError

    def shown(self, node: Expr) -> str:
        """A node, for a message."""
        return shown(node, self.source.grammar)

    def unsure(self, node: Expr) -> Untranslatable:
        """What to raise where a node may have another meaning."""
        return Untranslatable(f"the meaning of {self.shown(node)} is not certain there")

    def _visit_collate(self, node: Expr) -> Term:
        term, name = self.term(node.this), node.expression.name.upper()
        if node.this.key not in ("column", "paren", "literal"):
            raise Untranslatable(f"what {self.shown(node)} belongs to is not certain without brackets")
        if term.kind != Kind.TEXT or name not in self.source.byte_collations | self.source.folding_collations:
            raise Untranslatable(f"there is no collation {name}")
        is_binary = name in self.source.byte_collations
        return replace(
            term,
            folds=not is_binary,
            is_binary=is_binary,
            is_plain=True,
            is_collated=True,
            has_ascii_case=is_binary and self.source.cases_by_collation,
        )

    def _visit_like(self, node: Expr) -> Term:
        text, pattern = self.term(tight(node.this)), self.term(tight(node.expression))
        word = f"{'NOT ' if node.args.get('negate') else ''}{node.key.upper()}"
        return Term(self._comparing.like(text, pattern, word), BOOLEAN)

    _visit_glob = _visit_like

    def _visit_dpipe(self, node: Expr) -> Term:
        terms = [self.term(each) for each in (node.this, node.expression)]
        if any(each.kind != Kind.TEXT or each.is_padded for each in terms):
            raise Untranslatable("it concatenates values that are not text")
        sql = f"({terms[0].sql} || {terms[1].sql})"
        return text_of(sql, terms)

    def _visit_length(self, node: Expr) -> Term:
        term = self.term(node.this)
        if term.kind != Kind.TEXT or term.is_padded:
            raise Untranslatable(f"it takes the length of {term.kind}")
        return Term(self.target.length.format(term.sql), Kind.INT64)

    def _visit_substring(self, node: Expr) -> Term:
        term, places = self.term(node.this), [node.args.get("start"), node.args.get("length")]
        numbers = [self.term(each).literal for each in places if each is not None]
        are_plain = all(isinstance(each, Decimal) and each >= 1 for each in numbers)
        if term.kind != Kind.TEXT or term.is_padded or not are_plain:
            raise self.unsure(node)
        sql = f"substr({', '.join([term.sql, *map(str, numbers)])})"
        return term.result(sql)

    def _visit_trim(self, node: Expr) -> Term:
        term, letters = self.term(node.this), node.args.get("expression")
        is_of_spaces = self.source.trims_spaces if letters is None else self.term(letters).literal == " "
        is_whole = node.args.get("position") in (None, "BOTH")
        if term.kind != Kind.TEXT or term.is_padded or not (is_of_spaces and is_whole):
            raise self.unsure(node)
        return term.result(self.target.trimmed.format(term.sql))

    def _visit_lower(self, node: Expr) -> Term:
        return self._case(node, "lower", self.target.lowered)

    def _visit_upper(self, node: Expr) -> Term:
        return self._case(node, "upper", self.target.raised)

    def _case(self, node: Expr, name: str, of_ascii: str | None) -> Term:
        term = self.term(node.this)
        is_exact = self.source.folds_ascii_alone or term.has_ascii_case
        if term.kind != Kind.TEXT or not term.is_plain:
            raise self.unsure(node)
        if self._folds == "as named" and not term.has_ascii_case:
            return term.result(f"{name}({term.sql})")
        if of_ascii is None or not (is_exact or self._folds):
            raise Untranslatable(f"{name}() changes other letters there")
        if not is_exact:
            self.remarks.append("texts that differ by the case of letters outside of ASCII are different there")
        return term.result(of_ascii.format(term.sql))

    def _visit_translate(self, node: Expr) -> Term:
        letters = node.args["from_"].name, node.args["to"].name
        if letters == (ascii_uppercase, ascii_lowercase):
            return self._of_ascii(node, self.target.lowered)
        if letters == (ascii_lowercase, ascii_uppercase):
            return self._of_ascii(node, self.target.raised)
        raise self.unsure(node)

    def _of_ascii(self, node: Expr, form: str | None) -> Term:
        term = self.term(node.this)
        if term.kind != Kind.TEXT or not term.is_plain or form is None:
            raise self.unsure(node)
        return term.result(form.format(term.sql))
