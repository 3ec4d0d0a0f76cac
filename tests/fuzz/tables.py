"""A table with a column of every type, and one that its rows may point at by a natural key."""

from __future__ import annotations

import enum

import sqlalchemy as sa
from advanced_alchemy.types import GUID, EncryptedString, StoredObject

from toolkit.core.tables import select_tables

metadata = sa.MetaData()


class Colour(enum.Enum):
    """Stored by name."""

    RED = "r"
    GREEN = "g"


sa.Table("parent", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("code", sa.String, unique=True))
sa.Table(
    "child",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("parent_id", sa.ForeignKey("parent.id")),
    sa.Column("uuid", GUID),
    sa.Column("timestamp", sa.DateTime),
    sa.Column("timestamptz", sa.DateTime(timezone=True)),
    sa.Column("date", sa.Date),
    sa.Column("time", sa.Time),
    sa.Column("interval", sa.Interval),
    sa.Column("bool", sa.Boolean),
    sa.Column("int16", sa.SmallInteger),
    sa.Column("int64", sa.BigInteger),
    sa.Column("float32", sa.REAL),
    sa.Column("float64", sa.Double),
    sa.Column("decimal", sa.Numeric(12, 2)),
    sa.Column("wide", sa.Numeric(38, 38)),
    sa.Column("free", sa.Numeric),
    sa.Column("text", sa.Text),
    sa.Column("short", sa.String(3)),
    sa.Column("bytes", sa.LargeBinary),
    sa.Column("json", sa.JSON),
    sa.Column("enum", sa.Enum(Colour, native_enum=False)),
    sa.Column("array", sa.ARRAY(sa.Integer).with_variant(sa.JSON(), "sqlite")),
    sa.Column("cipher", EncryptedString(key="not used")),
    sa.Column("file", StoredObject(backend="nowhere")),
)
PARENT, CHILD = select_tables(metadata)
