"""A table of changes of schema, each of one table with rows: before, after, and the operations between, both ways.

`BEFORE` and `AFTER` are all of them at once: what a migration is generated from, on any engine.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Any

import sqlalchemy as sa
from advanced_alchemy.types import GUID
from sqlalchemy.schema import SchemaItem

Row = tuple[Any, ...]
Items = Callable[[], list[SchemaItem]]

CONVENTION = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


@dataclass(frozen=True)
class Change:
    """A table before and after, without its column `id`, and its rows; `up` and `down` are operations of a batch.

    `becomes` and `returns` are the rows after the way up and the way back, where they are others. `is_generated`: it is
    what autogeneration makes of the two; a renaming is not.
    """

    name: str
    before: Items
    after: Items
    up: str
    down: str
    rows: Sequence[Row]
    becomes: Sequence[Row] | None = None
    returns: Sequence[Row] | None = None
    options: tuple[tuple[str, Any], ...] = ()
    new_options: tuple[tuple[str, Any], ...] | None = None
    is_generated: bool = True

    def table(self, metadata: sa.MetaData, *, is_after: bool) -> sa.Table:
        """The table in some metadata."""
        items = self.after() if is_after else self.before()
        options = self.new_options if is_after and self.new_options is not None else self.options
        return sa.Table(self.name, metadata, sa.Column("id", sa.Integer, primary_key=True), *items, **dict(options))

    def rows_at(self, stage: str) -> list[Row]:
        """What the table holds at first, `after` the way up, and `back` again."""
        found = {"first": None, "after": self.becomes, "back": self.returns}[stage]
        return [*(self.rows if found is None else found)]


def column(name: str, type_: Any, *args: Any, **options: Any) -> Items:
    """A table of one column."""
    return lambda: [sa.Column(name, type_() if isinstance(type_, type) else type_, *args, **options)]


def columns(*made: Callable[[], SchemaItem]) -> Items:
    """A table of several columns, constraints and indexes."""
    return lambda: [make() for make in made]


def of(kind: Callable[..., SchemaItem], *args: Any, **options: Any) -> Callable[[], SchemaItem]:
    """Something that each table needs one of for itself."""
    return partial(kind, *args, **options)


def retyped(name: str, old: Any, new: Any, rows: Sequence[Any], becomes: Sequence[Any] | None = None) -> Change:
    """A column `x` that gets another type."""
    texts = [f"sa.{each!r}" for each in (old, new)]
    up, down = (
        f"batch.alter_column('x', existing_type={a}, type_={b}, existing_nullable=True)"
        for a, b in (texts, [*reversed(texts)])
    )
    first, after = ([*enumerate(values)] for values in (rows, becomes or rows))
    return Change(name, column("x", old), column("x", new), up, down, first, after)


A_DAY, A_MOMENT = dt.date(1999, 12, 31), dt.datetime(1999, 12, 31)
AN_ID = uuid.UUID("0123abcd-0000-4000-8000-000000000001")
INT = sa.Integer
NUMBERS: list[Row] = [(1, 5), (2, 7)]
PAIRS: list[Row] = [(1, 5, "five"), (2, 7, "seven")]
X, Y = of(sa.Column, "x", INT), of(sa.Column, "y", sa.String(20))
TWO = columns(X, Y)

CHANGES = (
    # -- types ------------------------------------------------------------------------------------------------
    retyped("date_time", sa.Date(), sa.DateTime(), [A_DAY, None], [A_MOMENT, None]),
    retyped("time_date", sa.DateTime(), sa.Date(), [A_MOMENT, None], [A_DAY, None]),
    retyped("longer", sa.String(5), sa.String(50), ["12345", "", "é'%:x", None]),
    retyped("unlimited", sa.String(30), sa.Text(), ["a" * 30, None]),
    replace(
        retyped("type_by_its_class", sa.String(30), sa.Text(), ["a" * 30, None]),
        up="batch.alter_column('x', existing_type=sa.String, type_=sa.Text)",
    ),
    retyped("bigger", sa.Integer(), sa.BigInteger(), [2**31 - 1, -1, None]),
    retyped("small", sa.SmallInteger(), sa.Integer(), [-32768, None]),
    retyped("whole_decimal", sa.Integer(), sa.Numeric(12, 2), [12, None], [Decimal("12.00"), None]),
    retyped("digits", sa.Numeric(8, 2), sa.Numeric(12, 4), [Decimal("1.25"), None], [Decimal("1.2500"), None]),
    retyped("bytes", sa.LargeBinary(10), sa.LargeBinary(), [b"\x00\xff", None]),
    retyped("text_number", sa.String(20), sa.Integer(), ["12", "-7", None], [12, -7, None]),
    retyped("text_truth", sa.String(5), sa.Boolean(), ["true", "false", None], [True, False, None]),
    retyped("text_id", sa.String(36), GUID(length=16), [str(AN_ID), None], [AN_ID, None]),
    retyped("text_document", sa.Text(), sa.JSON(), ['{"a": [1, null]}', None], [{"a": [1, None]}, None]),
    retyped("number_truth", sa.Integer(), sa.Boolean(), [1, 0, None], [True, False, None]),
    # -- columns ----------------------------------------------------------------------------------------------
    Change(
        "add_nullable",
        columns(X),
        TWO,
        "batch.add_column(sa.Column('y', sa.String(20)))",
        "batch.drop_column('y')",
        NUMBERS,
        [(*row, None) for row in NUMBERS],
    ),
    Change(
        "add_required",
        columns(X),
        columns(X, of(sa.Column, "y", sa.String(20), nullable=False, server_default="see :x, 5%, 'it'")),
        "batch.add_column(sa.Column('y', sa.String(20), nullable=False, server_default=\"see :x, 5%, 'it'\"))",
        "batch.drop_column('y')",
        NUMBERS,
        [(*row, "see :x, 5%, 'it'") for row in NUMBERS],
    ),
    Change(
        "add_boolean",
        columns(X),
        columns(X, of(sa.Column, "y", sa.Boolean(), nullable=False, server_default=sa.false())),
        "batch.add_column(sa.Column('y', sa.Boolean(), nullable=False, server_default=sa.false()))",
        "batch.drop_column('y')",
        NUMBERS,
        [(*row, False) for row in NUMBERS],
    ),
    Change(
        "add_json",
        columns(X),
        columns(X, of(sa.Column, "y", sa.JSON(), nullable=False, server_default='{"mail":true,"limit":10}')),
        "batch.add_column(sa.Column('y', sa.JSON(), nullable=False, server_default='{\"mail\":true,\"limit\":10}'))",
        "batch.drop_column('y')",
        NUMBERS,
        [(*row, {"mail": True, "limit": 10}) for row in NUMBERS],
    ),
    Change(
        "drop_column",
        TWO,
        columns(X),
        "batch.drop_column('y')",
        "batch.add_column(sa.Column('y', sa.String(20)))",
        PAIRS,
        NUMBERS,
        [(*row, None) for row in NUMBERS],
    ),
    Change(
        "drop_indexed",
        columns(X, of(sa.Column, "y", sa.String(20), index=True)),
        columns(X),
        "batch.drop_index('ix_drop_indexed_y')\n    batch.drop_column('y')",
        "batch.add_column(sa.Column('y', sa.String(20)))\n    batch.create_index('ix_drop_indexed_y', ['y'])",
        PAIRS,
        NUMBERS,
        [(*row, None) for row in NUMBERS],
    ),
    Change(
        "rename_column",
        TWO,
        columns(X, of(sa.Column, "z", sa.String(20))),
        "batch.alter_column('y', new_column_name='z')",
        "batch.alter_column('z', new_column_name='y')",
        PAIRS,
        is_generated=False,
    ),
    Change(
        "rename_indexed",
        columns(X, Y, of(sa.Index, "ix_rename_indexed", "y", unique=True), of(sa.CheckConstraint, "x > 0", name="low")),
        columns(
            X,
            of(sa.Column, "z", sa.String(20), nullable=False),
            of(sa.Index, "ix_rename_indexed", "z", unique=True),
            of(sa.CheckConstraint, "x > 0", name="low"),
        ),
        "batch.alter_column('y', new_column_name='z', existing_type=sa.String(20), nullable=False)",
        "batch.alter_column('z', new_column_name='y', existing_type=sa.String(20), nullable=True)",
        PAIRS,
        is_generated=False,
    ),
    Change(
        "required",
        TWO,
        columns(X, of(sa.Column, "y", sa.String(20), nullable=False)),
        "batch.alter_column('y', existing_type=sa.String(20), nullable=False)",
        "batch.alter_column('y', existing_type=sa.String(20), nullable=True)",
        PAIRS,
    ),
    Change(
        "required_indexed",
        columns(X, of(sa.Column, "y", sa.String(20), index=True)),
        columns(X, of(sa.Column, "y", sa.String(20), index=True, nullable=False)),
        "batch.alter_column('y', existing_type=sa.String(20), nullable=False)",
        "batch.alter_column('y', existing_type=sa.String(20), nullable=True)",
        PAIRS,
    ),
    Change(
        "default",
        columns(of(sa.Column, "x", INT, server_default="7")),
        columns(of(sa.Column, "x", INT, server_default="8")),
        "batch.alter_column('x', existing_type=sa.Integer(), server_default='8')",
        "batch.alter_column('x', existing_type=sa.Integer(), server_default='7')",
        NUMBERS,
    ),
    Change(
        "no_default",
        columns(X, of(sa.Column, "y", sa.String(20), server_default="10:30 \"%s\" it''s")),
        TWO,
        "batch.alter_column('y', existing_type=sa.String(20), server_default=None)",
        "batch.alter_column('y', existing_type=sa.String(20), server_default=\"10:30 \\\"%s\\\" it''s\")",
        PAIRS,
    ),
    Change(
        "moment_default",
        columns(X, of(sa.Column, "y", sa.DateTime(timezone=True))),
        columns(X, of(sa.Column, "y", sa.DateTime(timezone=True), server_default=sa.func.now())),
        "batch.alter_column('y', existing_type=sa.DateTime(timezone=True), server_default=sa.func.now())",
        "batch.alter_column('y', existing_type=sa.DateTime(timezone=True), server_default=None)",
        [(1, 5, None)],
    ),
    # -- constraints ------------------------------------------------------------------------------------------
    Change(
        "unique",
        TWO,
        columns(X, Y, of(sa.UniqueConstraint, "x", name="uq_unique_x")),
        "batch.create_unique_constraint('uq_unique_x', ['x'])",
        "batch.drop_constraint('uq_unique_x', type_='unique')",
        PAIRS,
    ),
    Change(
        "not_unique",
        columns(X, Y, of(sa.UniqueConstraint, "y", "x", name="uq_not_unique")),
        TWO,
        "batch.drop_constraint('uq_not_unique', type_='unique')",
        "batch.create_unique_constraint('uq_not_unique', ['y', 'x'])",
        PAIRS,
    ),
    Change(
        "check",
        TWO,
        columns(X, Y, of(sa.CheckConstraint, "x > 0 AND y <> 'a:b%'", name="positive")),
        "batch.create_check_constraint('positive', \"x > 0 AND y <> 'a:b%'\")",
        "batch.drop_constraint(op.f('ck_check_positive'), type_='check')",
        PAIRS,
        is_generated=False,
    ),
    Change(
        "no_check",
        columns(X, Y, of(sa.CheckConstraint, "x > 0", name="positive"), of(sa.CheckConstraint, "x < 99", name="low")),
        columns(X, Y, of(sa.CheckConstraint, "x < 99", name="low")),
        "batch.drop_constraint(op.f('ck_no_check_positive'), type_='check')",
        "batch.create_check_constraint('positive', 'x > 0')",
        PAIRS,
        is_generated=False,
    ),
    Change(
        "foreign_key",
        TWO,
        columns(X, Y, of(sa.ForeignKeyConstraint, ["x"], ["parent.id"], ondelete="CASCADE")),
        "batch.create_foreign_key('fk_foreign_key_x_parent', 'parent', ['x'], ['id'], ondelete='CASCADE')",
        "batch.drop_constraint('fk_foreign_key_x_parent', type_='foreignkey')",
        PAIRS,
    ),
    Change(
        "cascading",
        columns(X, Y, of(sa.ForeignKeyConstraint, ["x"], ["parent.id"])),
        columns(X, Y, of(sa.ForeignKeyConstraint, ["x"], ["parent.id"], ondelete="SET NULL")),
        "batch.drop_constraint('fk_cascading_x_parent', type_='foreignkey')\n"
        "    batch.create_foreign_key('fk_cascading_x_parent', 'parent', ['x'], ['id'], ondelete='SET NULL')",
        "batch.drop_constraint('fk_cascading_x_parent', type_='foreignkey')\n"
        "    batch.create_foreign_key('fk_cascading_x_parent', 'parent', ['x'], ['id'])",
        PAIRS,
    ),
    # -- indexes ----------------------------------------------------------------------------------------------
    Change(
        "index",
        TWO,
        columns(X, Y, of(sa.Index, "ix_index", "y", "x")),
        "batch.create_index('ix_index', ['y', 'x'])",
        "batch.drop_index('ix_index')",
        PAIRS,
    ),
    Change(
        "unique_index",
        columns(X, Y, of(sa.Index, "ix_unique_index", "y")),
        columns(X, Y, of(sa.Index, "ix_unique_index", "y", unique=True)),
        "batch.drop_index('ix_unique_index')\n    batch.create_index('ix_unique_index', ['y'], unique=True)",
        "batch.drop_index('ix_unique_index')\n    batch.create_index('ix_unique_index', ['y'])",
        PAIRS,
    ),
    Change(
        "expression",
        columns(X, Y, of(sa.Index, "ix_expression", sa.text("lower(y)"))),
        columns(
            X, of(sa.Column, "y", sa.String(20), nullable=False), of(sa.Index, "ix_expression", sa.text("lower(y)"))
        ),
        "batch.alter_column('y', existing_type=sa.String(20), nullable=False)",
        "batch.alter_column('y', existing_type=sa.String(20), nullable=True)",
        PAIRS,
    ),
    # -- tables -----------------------------------------------------------------------------------------------
    Change(
        "computed",
        columns(X, of(sa.Column, "y", INT, sa.Computed("x * 2"))),
        columns(of(sa.Column, "x", INT, nullable=False), of(sa.Column, "y", INT, sa.Computed("x * 2"))),
        "batch.alter_column('x', existing_type=sa.Integer(), nullable=False)",
        "batch.alter_column('x', existing_type=sa.Integer(), nullable=True)",
        [(1, 5, 10), (2, 7, 14)],
    ),
    Change(
        "enumerated",
        columns(of(sa.Column, "x", sa.Enum("A", "B", name="enumerated", native_enum=False, create_constraint=True)), Y),
        columns(
            of(sa.Column, "x", sa.Enum("A", "B", name="enumerated", native_enum=False, create_constraint=True)),
            of(sa.Column, "y", sa.String(20), nullable=False),
        ),
        "batch.alter_column('y', existing_type=sa.String(20), nullable=False)",
        "batch.alter_column('y', existing_type=sa.String(20), nullable=True)",
        [(1, "A", "a"), (2, "B", "b"), (3, None, "")],
    ),
    Change(
        "identified",
        columns(of(sa.Column, "x", sa.Uuid()), Y),
        columns(of(sa.Column, "x", sa.Uuid(), nullable=False), of(sa.Column, "y", sa.String(30))),
        "batch.alter_column('x', existing_type=sa.Uuid(), nullable=False)\n"
        "    batch.alter_column('y', existing_type=sa.String(20), type_=sa.String(30))",
        "batch.alter_column('x', existing_type=sa.Uuid(), nullable=True)\n"
        "    batch.alter_column('y', existing_type=sa.String(30), type_=sa.String(20))",
        [(1, AN_ID, "a")],
    ),
    Change(
        "several",
        columns(X, Y, of(sa.Column, "z", sa.Float), of(sa.Index, "ix_several", "x"), of(sa.UniqueConstraint, "y")),
        columns(
            of(sa.Column, "x", sa.BigInteger, nullable=False, server_default="1"),
            Y,
            of(sa.Column, "w", sa.Time),
            of(sa.Index, "ix_several", "y", "x"),
            of(sa.UniqueConstraint, "y"),
        ),
        "batch.drop_index('ix_several')\n"
        "    batch.alter_column('x', type_=sa.BigInteger(), nullable=False, server_default='1')\n"
        "    batch.drop_column('z')\n"
        "    batch.add_column(sa.Column('w', sa.Time()))\n"
        "    batch.create_index('ix_several', ['y', 'x'])",
        "batch.drop_index('ix_several')\n"
        "    batch.drop_column('w')\n"
        "    batch.add_column(sa.Column('z', sa.Float()))\n"
        "    batch.alter_column('x', type_=sa.Integer(), nullable=True, server_default=None)\n"
        "    batch.create_index('ix_several', ['x'])",
        [(1, 5, "a", 1.5), (2, 6, "b", None)],
        [(1, 5, "a", None), (2, 6, "b", None)],
        [(1, 5, "a", None), (2, 6, "b", None)],
    ),
    Change(
        "commented",
        TWO,
        columns(of(sa.Column, "x", INT, comment="it's 5% of :x"), of(sa.Column, "y", sa.String(20), nullable=False)),
        "batch.alter_column('x', existing_type=sa.Integer(), comment=\"it's 5% of :x\")\n"
        "    batch.alter_column('y', existing_type=sa.String(20), nullable=False)",
        "batch.alter_column('x', existing_type=sa.Integer(), comment=None, existing_comment=\"it's 5% of :x\")\n"
        "    batch.alter_column('y', existing_type=sa.String(20), nullable=True)",
        PAIRS,
    ),
    Change(
        'hostile "%s" :t',
        columns(of(sa.Column, 'a"b %s :c', INT), of(sa.Column, "select", sa.String(20), index=True)),
        columns(of(sa.Column, 'a"b %s :c', INT), of(sa.Column, "select", sa.String(30), index=True, nullable=False)),
        "batch.alter_column('select', existing_type=sa.String(20), type_=sa.String(30), nullable=False)",
        "batch.alter_column('select', existing_type=sa.String(30), type_=sa.String(20), nullable=True)",
        PAIRS,
    ),
)


def metadata_of(*, is_after: bool) -> sa.MetaData:
    """All tables, and the one that some of them point at."""
    metadata = sa.MetaData(naming_convention=CONVENTION)
    sa.Table("parent", metadata, sa.Column("id", sa.Integer, primary_key=True))
    for change in CHANGES:
        change.table(metadata, is_after=is_after)
    return metadata


BEFORE, AFTER = metadata_of(is_after=False), metadata_of(is_after=True)
PARENTS = [(5,), (7,)]


def batches(way: str) -> str:
    """The body of a function of a migration: all changes, one way, in batches."""
    made = CHANGES if way == "up" else CHANGES[::-1]
    return "\n".join(
        f"with op.batch_alter_table({change.name!r}) as batch:\n    {getattr(change, way)}" for change in made
    )
