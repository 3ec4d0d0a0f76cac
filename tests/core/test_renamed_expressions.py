"""Expressions over columns of other names: rewritten where a word is a column for certain, and nowhere else."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from toolkit.core.renamed_expressions import renamed_expression, renamed_text

NAMES = {"id": "number", "date": "day", "V": 'w "x"', "value": "price"}


@pytest.mark.parametrize(
    ("sql", "wanted"),
    [
        ("id > 0", '"number" > 0'),
        ("ID>0 and 5<Id", '"number">0 and 5<"number"'),
        ('length(id) = 3 AND "date" IS NOT NULL', 'length("number") = 3 AND "day" IS NOT NULL'),
        ("id::text = 'id' -- the id", "\"number\"::text = 'id' -- the id"),
        ("lower(V) in (`V`, [V])", 'lower("w ""x""") in ("w ""x""", "w ""x""")'),
        ("other = 5 OR x IN ('id', 'it''s id')", "other = 5 OR x IN ('id', 'it''s id')"),
        ("coalesce(date, other) between -id and x[1]", 'coalesce("day", other) between -"number" and x[1]'),
        ("CASE WHEN id THEN date ELSE v END", 'CASE WHEN "number" THEN "day" ELSE "w ""x""" END'),
        ("identity > 0 AND idle", "identity > 0 AND idle"),
        # It may be a type, a function, a part of syntax, a value, of another table, or of another grammar.
        ("CAST(other AS date)", None),
        ("date '2024-01-01' < x", None),
        ("date(other) > 5", None),
        ("extract(date from other)", None),
        ("t.id > 0", None),
        ("id.part > 0", None),
        ("other > 0 AND t . other < 9", None),
        ("x[id] = 1", None),
        ("value > 0", None),
        ('"v" > 0', None),
        ("id > (SELECT 1)", None),
        ("id = $$id$$", None),
        ("id = E'it\\'s id'", None),
    ],
)
def test_a_text_is_rewritten_where_it_is_certain_what_its_words_are(sql: str, wanted: str | None) -> None:
    assert renamed_text(sql, NAMES, "t") == wanted


def test_an_expression_of_columns_is_one_of_the_others() -> None:
    old = sa.Table(
        "t", sa.MetaData(), sa.Column("id", sa.Integer), sa.Column("V", sa.Text), sa.Column("other", sa.Text)
    )
    new = sa.Table(
        "n", sa.MetaData(), sa.Column("number", sa.Integer), sa.Column("w", sa.Text), sa.Column("other", sa.Text)
    )
    names = {"id": "number", "V": "w"}
    expression = sa.and_(old.c.id > 0, sa.func.lower(old.c["V"]) != old.c.other)

    found = renamed_expression(expression, names, old, new)

    assert str(found.compile(compile_kwargs={"literal_binds": True})) == "n.number > 0 AND lower(n.w) != n.other"
    assert renamed_expression(sa.and_(old.c.id > 0, sa.text("id < 9")), names, old, new) is None
