"""What a table is described as: data columns, key, unique keys, order."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from toolkit.core.engine_type import EngineType
from toolkit.core.tables import in_cycle, select_tables, table_spec
from toolkit.core.types import Kind, logical_type
from toolkit.errors import UnknownNameError
from toolkit.models.todo import metadata


def test_the_orms_sentinel_and_generated_columns_are_no_data() -> None:
    made = sa.Table(
        "t",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("twice", sa.Integer, sa.Computed("id * 2")),
        sa.Column("sa_orm_sentinel", sa.Integer),
    )
    assert table_spec(made).column_names == ("id",)
    todo = next(spec for spec in select_tables(metadata) if spec.name == "todo")
    assert "sa_orm_sentinel" not in todo.column_names
    assert "sa_orm_sentinel" in metadata.tables["todo"].c


def test_parents_come_before_their_children() -> None:
    names = [spec.name for spec in select_tables(metadata)]
    for spec in select_tables(metadata):
        assert all(names.index(fk.parent) < names.index(spec.name) for fk in spec.foreign_keys)
    assert in_cycle(select_tables(metadata)) == frozenset()


def test_tables_that_point_at_each_other_are_a_cycle() -> None:
    made = sa.MetaData()
    sa.Table("a", made, sa.Column("id", sa.Integer, primary_key=True), sa.Column("b", sa.ForeignKey("b.id")))
    sa.Table("b", made, sa.Column("id", sa.Integer, primary_key=True), sa.Column("a", sa.ForeignKey("a.id")))
    sa.Table("c", made, sa.Column("id", sa.Integer, primary_key=True), sa.Column("c", sa.ForeignKey("c.id")))
    assert len(in_cycle(select_tables(made)) & {"a", "b"}) == 1
    assert "c" not in in_cycle(select_tables(made))


def test_a_unique_key_serves_a_table_without_a_primary_key() -> None:
    made = sa.Table(
        "t",
        sa.MetaData(),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("x", sa.Text),
        sa.UniqueConstraint("code"),
        sa.UniqueConstraint("x"),
    )
    assert table_spec(made).key == ("code",)


def test_a_table_without_any_key_has_an_empty_one_unless_one_is_named() -> None:
    made = sa.Table("log", sa.MetaData(), sa.Column("line", sa.Text, unique=True), sa.Column("n", sa.Integer))
    assert (table_spec(made).key, table_spec(made).shown_key) == ((), ("line", "n"))
    assert table_spec(made, ["n"]).key == ("n",)
    made.info["key"] = ("line",)
    assert (table_spec(made).key, table_spec(made).has_own_key) == (("line",), False)


def test_partial_and_functional_unique_indexes_are_no_unique_keys() -> None:
    made = sa.Table("t", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("a", sa.Text))
    sa.Index("partial", made.c.a, unique=True, postgresql_where=made.c.id > 5)
    sa.Index("lower", sa.func.lower(made.c.a), unique=True)
    assert table_spec(made).unique_keys == ()


def test_an_unknown_table_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'todo'"):
        select_tables(metadata, ["todos"])


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        (sa.types.NullType(), Kind.NATIVE),
        (postgresql.INET(), Kind.NATIVE),
        (postgresql.DOMAIN("posint", sa.Integer()), Kind.INT32),
        (EngineType("duckdb", "UTINYINT", like=sa.SmallInteger()), Kind.INT16),
        (EngineType("duckdb", "BIT"), Kind.NATIVE),
        (sa.ARRAY(sa.Text), Kind.ARRAY),
        (sa.ARRAY(sa.Text, dimensions=2), Kind.NESTED),
        (sa.ARRAY(sa.Numeric), Kind.NESTED),
        (postgresql.INTERVAL(), Kind.CALENDAR_INTERVAL),
        (sa.Interval(), Kind.INTERVAL),
        (sa.Time(timezone=True), Kind.TIMETZ),
        (postgresql.MONEY(), Kind.DECIMAL),
    ],
)
def test_every_type_has_a_form_in_which_it_travels(type_: sa.types.TypeEngine[object], kind: Kind) -> None:
    assert logical_type(type_).kind == kind
