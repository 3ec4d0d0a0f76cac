"""Rows with unique keys of every type that can be one, of tables in a cycle, and of a table that extends another."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, UniqueConstraint

from tests.operations.databases import connected
from toolkit.config import Database


class Colour(enum.Enum):
    RED = "r"
    BLUE = "b"


metadata = MetaData()
KINDS: dict[str, sa.types.TypeEngine[Any]] = {
    "c_uuid": sa.Uuid(),
    "c_date": sa.Date(),
    "c_time": sa.Time(),
    "c_at": sa.DateTime(timezone=True),
    "c_naive": sa.DateTime(),
    "c_amount": sa.Numeric(10, 2),
    "c_flag": sa.Boolean(),
    "c_bytes": sa.LargeBinary(),
    "c_colour": sa.Enum(Colour, native_enum=False),
    "c_large": sa.BigInteger(),
    "c_text": String(40),
}
thing = Table(
    "thing",
    metadata,
    Column("id", Integer, primary_key=True),
    *(Column(name, type_, nullable=False) for name, type_ in KINDS.items()),
    UniqueConstraint(*KINDS),
)
part = Table("part", metadata, Column("place", String(9), primary_key=True), Column("thing_id", ForeignKey("thing.id")))
# Each points at the other, by a name that does not lead through the cycle.
person = Table(
    "person",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(20), nullable=False, unique=True),
    Column("desk_id", ForeignKey("desk.id", use_alter=True, name="fk_person_desk")),
)
desk = Table(
    "desk",
    metadata,
    Column("id", sa.Uuid, primary_key=True, default=uuid.uuid4),
    Column("label", String(20), nullable=False, unique=True),
    Column("owner_id", ForeignKey("person.id"), nullable=False),
)
manager = Table(
    "manager",
    metadata,
    Column("id", ForeignKey("person.id"), primary_key=True),
    Column("level", Integer, nullable=False),
)
AT = dt.datetime(2024, 2, 29, 12, 30, 15, 123456, dt.UTC)
VALUES = {
    "c_uuid": uuid.UUID(int=7),
    "c_date": AT.date(),
    "c_time": AT.time(),
    "c_at": AT,
    "c_naive": AT.replace(tzinfo=None),
    "c_amount": Decimal("1.50"),
    "c_flag": True,
    "c_bytes": b"\x00\xff",
    "c_colour": Colour.BLUE,
    "c_large": 2**62 + 1,
    "c_text": 'a "quoted"\\\nline',
}


def fill(database: Database) -> None:
    """Make the tables, with a few rows."""
    with connected(database) as connection:
        metadata.create_all(connection, checkfirst=False)
        connection.execute(sa.insert(thing), [{"id": 5, **VALUES}, {"id": 6, **VALUES, "c_flag": False}])
        connection.execute(sa.insert(part), [{"place": f"{n}", "thing_id": at} for n, at in enumerate((5, 6, 5, None))])
        connection.execute(sa.insert(person), [{"id": 8, "name": "Ada"}, {"id": 9, "name": "Bo"}])
        one, two = uuid.UUID(int=1), uuid.UUID(int=2)
        desks = [{"id": one, "label": "d1", "owner_id": 9}, {"id": two, "label": "d2", "owner_id": 9}]
        connection.execute(sa.insert(desk), desks)
        connection.execute(sa.update(person).where(person.c.id == 8).values(desk_id=one))
        connection.execute(sa.insert(manager), [{"id": 8, "level": 3}])
