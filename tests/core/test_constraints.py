"""What a CREATE TABLE says, and how constraints of two tables compare."""

from __future__ import annotations

import pytest

from toolkit.core.constraints import Check, Constraints, ForeignKey, Missing, Stronger, UniqueKey, changes
from toolkit.core.sql_text import clauses, index_parts, normalized

TABLE = """
CREATE TABLE "odd, (name" ( -- a comment, with ( and CHECK (x)
    id INTEGER PRIMARY KEY, /* CHECK (y) */ "check" TEXT COLLATE NOCASE DEFAULT 'CHECK (z), ',
    [a (b] TEXT CHECK ([a (b] <> ')' AND (id > 0)), c TEXT DEFAULT (lower('A, B')) COLLATE "RTRIM" UNIQUE,
    p1 INTEGER REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED, p2 INTEGER REFERENCES p NOT DEFERRABLE,
    CONSTRAINT `positive` CHECK (id>0), CHECK(c IN ('a','b')),
    FOREIGN KEY (p1, p2) REFERENCES q (a, b) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
)
"""


def test_a_create_table_is_read_whatever_is_in_its_names_texts_and_comments() -> None:
    found = list(clauses(TABLE))
    assert [each.column for each in found] == ["id", "check", "a (b", "c", "p1", "p2", None, None, None]
    assert [each.collation for each in found if each.column] == [None, "NOCASE", None, "RTRIM", None, None]
    assert [check for each in found for check in each.checks] == [
        (None, "[a (b] <> ')' AND (id > 0)"),
        ("positive", "id > 0"),
        (None, "c IN ('a', 'b')"),
    ]
    assert [later for each in found for later in each.references] == [True, False, True]
    assert list(clauses("CREATE TABLE t")) == list(clauses("CREATE TABLE t (")) == []


@pytest.mark.parametrize(
    ("index", "listed", "condition"),
    [
        ("CREATE UNIQUE INDEX i ON t (a)", ["a"], None),
        (
            "create unique index i on t (lower(a), [b] COLLATE NOCASE desc) where a is not null",
            ["lower(a)", "[b] COLLATE NOCASE desc"],
            "a is not null",
        ),
        ("CREATE UNIQUE INDEX \"x (where\" ON t (coalesce(a, ')'))", ["coalesce(a, ')')"], None),
    ],
)
def test_a_create_index_is_read(index: str, listed: list[str], condition: str | None) -> None:
    assert index_parts(index) == (listed, condition)


def test_conditions_are_one_whatever_their_spaces_case_and_brackets() -> None:
    assert normalized('(("A">0) )') == normalized("[a] > 0") == normalized("`A`>0 -- comment")
    assert normalized("a = 'X'") != normalized("a = 'x'")
    assert normalized("a = '(X)'") == "a = '(X)'"


WHOLE = UniqueKey(("a",), "u")
PART = UniqueKey(("a",), "u", "b IS NULL")
LOWER = UniqueKey(("lower(a)",), "u", None, has_expressions=True)
CASCADE = ForeignKey(("a",), "P", ("ON DELETE CASCADE",))


@pytest.mark.parametrize(
    ("there", "made", "expected"),
    [
        ({"unique": (WHOLE,)}, {"unique": (WHOLE,)}, []),
        ({"unique": (WHOLE,)}, {}, [Missing("the unique key u (a)")]),
        ({"unique": (WHOLE,)}, {"unique": (UniqueKey(("A",)),)}, []),
        ({"unique": (WHOLE,)}, {"unique": (PART,)}, [Missing("the unique key u (a)")]),
        ({"unique": (UniqueKey(("b", "a")),)}, {"unique": (UniqueKey(("a", "b")),)}, []),
        (
            {"unique": (PART,)},
            {"unique": (WHOLE,)},
            [Stronger("the unique key u (a) over all rows", ("a",), condition="b IS NULL")],
        ),
        ({"unique": (PART,)}, {"unique": (UniqueKey(("a",), "u", "(b IS NULL)"),)}, []),
        ({"unique": (PART, WHOLE)}, {"unique": (WHOLE,)}, []),
        ({"unique": (PART,)}, {}, [Missing("the unique key u (a) where b IS NULL")]),
        ({"unique": (LOWER,)}, {}, [Missing("the unique key u (lower(a))")]),
        (
            {"unique": (LOWER,)},
            {"unique": (WHOLE,)},
            [Missing("the unique key u (lower(a))"), Stronger("the unique key u (a) over all rows", ("a",))],
        ),
        ({"unique": (LOWER,)}, {"unique": (UniqueKey(("lower(a::text)",), "u", None, has_expressions=True),)}, []),
        ({"unique": (WHOLE,)}, {"unique": (WHOLE, UniqueKey(("a", "b")))}, []),
        (
            {"unique": (UniqueKey(("a", "b")),)},
            {"unique": (WHOLE,)},
            [Stronger("the unique key u (a) over all rows", ("a",))],
        ),
        ({"foreign_keys": (CASCADE,)}, {"foreign_keys": (ForeignKey(("A",), "p", CASCADE.options),)}, []),
        (
            {"foreign_keys": (CASCADE,)},
            {"foreign_keys": (ForeignKey(("A",), "p"),)},
            [Missing("ON DELETE CASCADE of the foreign key (a) to P")],
        ),
        ({"foreign_keys": (CASCADE,)}, {"foreign_keys": ()}, [Missing("the foreign key (a) to P")]),
        ({"foreign_keys": (CASCADE,)}, {"foreign_keys": None}, []),
        ({"checks": (Check("a > 0", "c"),)}, {"checks": (Check("a>0 AND true", "c"),)}, []),
        ({"checks": (Check("a > 0", "c"),)}, {"checks": (Check("(A > 0)", "d"),)}, []),
        ({"checks": (Check("((a)::text > 0)", "c"),)}, {"checks": (Check("a > 0"),)}, []),
        ({"checks": (Check("a > 0"), Check("b > 0"))}, {"checks": (Check("a > 0"),)}, [Missing("the check (b > 0)")]),
        ({"checks": (Check("a > 0", "c"),)}, {"checks": (Check("b > 0", "d"),)}, [Missing("the check c (a > 0)")]),
        ({"not_null": frozenset("a")}, {}, [Missing("NOT NULL of a")]),
        ({}, {"not_null": frozenset("a")}, [Stronger("NOT NULL of a", ("a",), not_null=True)]),
        ({"key": frozenset("a")}, {"not_null": frozenset("A")}, []),
        ({"collations": {"a": "NOCASE"}}, {}, [Missing("the collation NOCASE of a")]),
        ({"collations": {"a": "NOCASE"}}, {"collations": {"A": "nocase"}}, []),
        ({"others": ("no_overlap",)}, {}, [Missing("no_overlap")]),
    ],
)
def test_what_is_missing_and_what_is_stronger_is_found_and_nothing_else(
    there: dict[str, object], made: dict[str, object], expected: list[object]
) -> None:
    assert list(changes(Constraints(**there), Constraints(**made))) == expected  # type: ignore[arg-type]
