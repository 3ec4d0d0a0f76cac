"""What depends on one another in a circle, and the order of tables that do."""

from __future__ import annotations

from itertools import product

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from toolkit.core.cycles import circles
from toolkit.core.tables import in_cycle, select_tables

GRAPHS = st.integers(1, 7).flatmap(
    lambda count: st.lists(st.sets(st.integers(0, count - 1)), min_size=count, max_size=count)
)


@given(GRAPHS)
def test_two_are_in_one_circle_if_each_is_reached_from_the_other(needs: list[set[int]]) -> None:
    reached = {each: {each} for each in range(len(needs))}
    for _ in needs:
        for each, others in enumerate(needs):
            reached[each] |= {more for other in others for more in reached[other]}
    found = circles(dict(enumerate(needs)))
    for one, other in product(reached, repeat=2):
        assert (found[one] == found[other]) == (one in reached[other] and other in reached[one])


def test_a_long_chain_takes_no_more_calls_than_python_allows() -> None:
    assert len(set(circles({n: {n + 1} for n in range(9_999)} | {9_999: set()}).values())) == 10_000


@pytest.mark.parametrize("order", ["abcd", "dcba", "bdac"])
def test_parents_of_tables_in_a_circle_come_first_and_their_children_later(order: str) -> None:
    """`b` and `c` point at one another; `a` is a parent of one of them, `d` a child of the other and of itself."""
    metadata, parents = sa.MetaData(), {"a": "", "b": "ac", "c": "b", "d": "cd"}
    for name in order:
        keys = (sa.Column(f"of_{each}", sa.Integer, sa.ForeignKey(f"{each}.id")) for each in parents[name])
        sa.Table(name, metadata, sa.Column("id", sa.Integer, primary_key=True), *keys)
    found = select_tables(metadata)
    place = {spec.name: number for number, spec in enumerate(found)}
    assert place["a"] < place["b"]
    assert place["c"] < place["d"]
    assert len(in_cycle(found)) == 1
