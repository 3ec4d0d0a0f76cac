"""Two schemas of all that engines tell in words of their own: types, defaults, enums, sequences, what has no name."""

from __future__ import annotations

import enum
from typing import Any

import sqlalchemy as sa
from advanced_alchemy.types import GUID, BigIntIdentity, DateTimeUTC, EncryptedString, EncryptedText, JsonB
from sqlalchemy.dialects import postgresql

KEY = "k" * 32


class Color(enum.Enum):
    """By names."""

    RED = "r"
    BLUE = "b"


class Money(sa.types.TypeDecorator[Any]):
    """Takes other arguments than the type that it is made of."""

    impl, cache_ok = sa.Numeric(12, 2), True

    def __init__(self, currency: str = "EUR") -> None:
        super().__init__()
        self.currency = currency


TYPES: dict[str, tuple[Any, Any]] = {
    "text": (sa.Text(), "it's 5% of :x"),
    "string": (sa.String(20), "'x'"),
    "unicode": (sa.Unicode(5), None),
    "char": (sa.CHAR(4), None),
    "small": (sa.SmallInteger(), "0"),
    "big": (sa.BigInteger(), sa.text("-5")),
    "identity": (BigIntIdentity, None),
    "float": (sa.Float(), "1.5"),
    "double": (sa.Double(), None),
    "decimal": (sa.Numeric(10, 2), "1.50"),
    "numeric": (sa.Numeric(), None),
    "real": (sa.REAL(), None),
    "yes": (sa.Boolean(), sa.true()),
    "no": (sa.Boolean(), sa.text("false")),
    "one": (sa.Boolean(), "1"),
    "date": (sa.Date(), "2020-01-01"),
    "today": (sa.Date(), sa.func.current_date()),
    "moment": (sa.DateTime(), sa.func.now()),
    "zoned": (sa.DateTime(timezone=True), sa.text("CURRENT_TIMESTAMP")),
    "utc": (DateTimeUTC(timezone=True), sa.func.now()),
    "time": (sa.Time(), None),
    "interval": (sa.Interval(), None),
    "guid": (GUID(), None),
    "uuid": (sa.Uuid(), None),
    "json": (sa.JSON(), '{"a": 1}'),
    "document": (JsonB, '{"b":1,"a":[]}'),
    "day": (sa.DateTime(), "2020-01-01"),
    "while": (sa.Interval(), None),
    "jsonb": (JsonB, sa.text("'[]'")),
    "variant": (sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), None),
    "bytes": (sa.LargeBinary(), None),
    "some_bytes": (sa.LargeBinary(16), None),
    "color": (sa.Enum(Color), "RED"),
    "letters": (sa.Enum("x", "yy", name="letters", native_enum=False, create_constraint=True), None),
    "secret": (EncryptedString(key=KEY), None),
    "long_secret": (EncryptedText(key=KEY), None),
    "money": (Money("USD"), None),
    "pickle": (sa.PickleType(), None),
}
LONG = "customer_relationship_management_contacts"
NUMBER = "external_identification_number"


def schema(*, is_after: bool) -> sa.MetaData:
    """Without the convention that would name what has no name, but for what gets too long a name by it."""
    metadata = sa.MetaData()
    made = [] if is_after else [sa.Column(n, t, server_default=default) for n, (t, default) in TYPES.items()]
    sa.Table("many", metadata, sa.Column("id", sa.Integer, primary_key=True), *made)
    kinds = ("A", "B", *(["CC"] if is_after else []))
    first, second = (sa.Enum(*kinds, name="kind"), sa.Enum("P", "Q", *(["R"] if is_after else []), name="plain"))
    second.native_enum, second.create_constraint = False, True
    item = sa.Table(
        "item",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("kind", first),
        sa.Column("plain", second),
        sa.Column("code", sa.String(9), unique=not is_after),
        sa.Column("name", sa.String(9), unique=is_after),
        sa.Column("owner", sa.Integer, *([] if is_after else [sa.ForeignKey("many.id")])),
        sa.Column("other", sa.Integer, *([sa.ForeignKey("many.id", ondelete="CASCADE")] if is_after else [])),
        sa.Column("low", sa.Integer),
        sa.CheckConstraint("low > 1" if is_after else "low > 0", name="low_enough"),
        comment="after" if is_after else "before",
    )
    sa.Index("ix_item_expression", sa.func.upper(item.c.name) if is_after else sa.func.lower(item.c.name))
    condition = sa.text("low > 5" if is_after else "low > 4")
    sa.Index("ix_item_part", item.c.low, postgresql_where=condition, sqlite_where=condition)
    sa.Index("ix_item_order", item.c.low.desc() if is_after else item.c.low)
    long = sa.MetaData(naming_convention={"uq": "uq_%(table_name)s_%(column_0_name)s"})
    columns = [sa.Column(NUMBER, sa.Integer, unique=True), sa.Column("id", sa.Integer, primary_key=True)]
    columns += [sa.Column("preferred_billing_account_identifier", sa.Integer, unique=True)] if is_after else []
    sa.Table(LONG, long, *columns).to_metadata(metadata)
    name = "new_numbers" if is_after else "old_numbers"
    numbers = sa.Sequence(name, start=100, metadata=metadata)
    numbered = sa.Column("id", sa.Integer, numbers, server_default=numbers.next_value(), primary_key=True)
    sa.Table("after_only" if is_after else "before_only", metadata, numbered, sa.Column("kind", first))
    if not is_after:
        key: sa.Column[int] = sa.Column("id", sa.ForeignKey("before_only.id"), primary_key=True)
        sa.Table("a_child", metadata, key, sa.Column("color", sa.Enum(Color)))
    return metadata


MANY_BEFORE, MANY_AFTER = schema(is_after=False), schema(is_after=True)
