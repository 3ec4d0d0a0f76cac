"""Conditions of any shape: what of them is translated is as true of every row there as it is here."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.core.test_translated_sql import DIALECTS, Truths, outcome, translation, truths

__all__ = ["truths"]

SIGNS = ("=", "<>", "<", ">", "<=", ">=")
Part = st.SearchStrategy[str]


def filled(form: str, *parts: Part) -> Part:
    """A form with parts in its places."""
    return st.tuples(*parts).map(lambda found: form.format(*found))


def one(forms: Sequence[str], *parts: Part) -> Part:
    """Any of some forms."""
    return st.sampled_from(forms).flatmap(lambda form: filled(form, *parts))


def conditions(texts: Sequence[str], others: Sequence[str]) -> Part:
    """Conditions, with and without brackets; `texts` are those that an engine has, `others` its own forms."""
    number: Part = st.deferred(
        lambda: st.one_of(
            st.sampled_from(("n", "f", "price", "0", "1", "-1", "3", "0.5", "NULL")),
            one(("{} + {}", "{} - {}", "{} * {}", "coalesce({}, {})", "nullif({}, {})"), number, number),
            one(("-{}", "({})", "abs({})", "{} % 2"), number),
            filled("length({})", text),
            filled("CASE WHEN {} THEN {} ELSE {} END", condition, number, number),
        )
    )
    text: Part = st.deferred(
        lambda: st.one_of(
            st.sampled_from((*texts, "'a'", "''", "'A%@'", "'Open'", "NULL")),
            one(("lower({})", "upper({})", "({})", "substr({}, 1, 2)", "trim({})"), text),
            one(("{} || {}", "coalesce({}, {})", "nullif({}, {})"), text, text),
        )
    )
    signs = [f"{{}} {sign} {{}}" for sign in SIGNS]
    both = [*signs, "{} IS NOT DISTINCT FROM {}", "{} IN ({}, 'a')", "{} NOT IN ({}, NULL)", "{} BETWEEN {} AND 'b'"]
    condition: Part = st.deferred(
        lambda: st.one_of(
            st.sampled_from(("b", "b = TRUE", "b IS NOT FALSE", "d >= '2024-01-01'", "TRUE <> b", *others)),
            one([each.replace("'a'", "3").replace("'b'", "2") for each in both], number, number),
            one(both, text, text),
            one(("{} LIKE '%@%'", "{} NOT LIKE 'a%'", "{} LIKE 'Ä'", "{} IS NULL", "{} IS NOT NULL"), text),
            one(("{} AND {}", "{} OR {}", *signs[:2]), condition, condition),
            one(("NOT {}", "({})", "({}) IS TRUE", "({}) IS NULL"), condition),
        )
    )
    return condition


OF_ENGINES = {
    "sqlite": (("t", "nc", "t COLLATE NOCASE", "nc COLLATE BINARY"), ("n", "(b) + (n IS NULL) = 1", "n IS NOT 3")),
    "postgresql": (("t", 't COLLATE "C"', "'a'::text"), ("t = ANY (ARRAY['a'::text, 'b'::text])", "t !~~ '%@%'")),
    "duckdb": (("t", "CAST('a' AS VARCHAR)"), ("n BETWEEN CAST(0 AS BIGINT) AND 3",)),
}


@pytest.mark.parametrize("source", OF_ENGINES)
def test_a_random_condition_is_as_true_of_each_row_there_as_here(truths: Truths, source: str) -> None:
    def check(condition: str) -> None:
        try:
            here = truths(source, condition)
        except Exception:  # noqa: BLE001 - each engine refuses other ones, in errors of its own
            return
        for target in DIALECTS.keys() - {source}:
            there = outcome(lambda target=target: translation(source, target).condition(condition))  # type: ignore[misc]
            assert there.startswith("!") or truths(target, there) == here, there

    examples = settings(max_examples=15, suppress_health_check=list(HealthCheck), database=None)
    examples(given(conditions(*OF_ENGINES[source]))(check))()
