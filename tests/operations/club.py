"""Tables for fixtures that are not whole: defaults of every sort, unique keys, references to the table itself."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from advanced_alchemy.base import BigIntBase, create_registry
from advanced_alchemy.types import GUID
from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    metadata = sa.MetaData()


class Rank(enum.Enum):
    """A value is longer than every name."""

    LOW = "the lowest of all ranks"
    HIGH = "h"


class Level(enum.IntEnum):
    FIRST = 1
    SECOND = 2


class Member(Base):
    """Has a default of every sort; its UUID is `sa.Uuid`, which SQLite keeps as 32 characters."""

    __tablename__ = "member"

    id: Mapped[uuid.UUID] = mapped_column(sa.Uuid, primary_key=True, default=uuid.uuid4)
    email: Mapped[str] = mapped_column(String(40), unique=True)
    name: Mapped[str | None] = mapped_column(String(10))
    rank: Mapped[Rank] = mapped_column(sa.Enum(Rank, native_enum=False), default=Rank.LOW)
    level: Mapped[Level | None] = mapped_column(sa.Enum(Level, native_enum=False))
    created_at: Mapped[dt.datetime] = mapped_column(sa.DateTime(timezone=True), default=lambda: dt.datetime.now(dt.UTC))
    joined_at: Mapped[dt.datetime] = mapped_column(sa.DateTime(timezone=True), server_default=sa.func.now())
    is_active: Mapped[bool] = mapped_column(server_default=sa.true())
    is_paid: Mapped[bool] = mapped_column(server_default=sa.text("false"))
    visits: Mapped[int] = mapped_column(server_default="3")
    fee: Mapped[Decimal] = mapped_column(sa.Numeric(10, 2), default=0.1)
    settings: Mapped[dict[str, Any]] = mapped_column(sa.JSON, default=dict)
    labels: Mapped[dict[str, Any]] = mapped_column(sa.JSON, server_default="{}")
    numbers: Mapped[list[int]] = mapped_column(
        sa.ARRAY(sa.Integer).with_variant(sa.JSON(), "sqlite"), default=lambda: [1, 2]
    )
    referrer_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("member.id"))


class Team(Base):
    """Its keys are counted up, by a sequence in PostgreSQL."""

    __tablename__ = "team"

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(40), unique=True)
    title: Mapped[str | None]
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("team.id"))


class Post(Base):
    """A key of Advanced Alchemy's GUID, and two references to one table."""

    __tablename__ = "post"
    __table_args__ = (UniqueConstraint("author_id", "title"),)

    id: Mapped[uuid.UUID] = mapped_column(GUID, primary_key=True, default=uuid.uuid4)
    title: Mapped[str] = mapped_column(String(40))
    author_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("member.id"))
    editor_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("member.id"))
    team_id: Mapped[int | None] = mapped_column(ForeignKey("team.id"))


metadata = Base.metadata


class Counted(BigIntBase, DeclarativeBase):
    """Advanced Alchemy's keys that a sequence of their own counts up."""

    __abstract__ = True
    registry = create_registry()


class Ticket(Counted):
    __tablename__ = "ticket"

    subject: Mapped[str] = mapped_column(String(40), unique=True)


class Types(DeclarativeBase):
    """Every logical type."""

    metadata = sa.MetaData()


class Everything(Types):
    __tablename__ = "everything"

    id: Mapped[int] = mapped_column(primary_key=True)
    c_uuid: Mapped[Any] = mapped_column(sa.Uuid, nullable=True)
    c_timestamp: Mapped[Any] = mapped_column(sa.DateTime, nullable=True)
    c_timestamptz: Mapped[Any] = mapped_column(sa.DateTime(timezone=True), nullable=True)
    c_date: Mapped[Any] = mapped_column(sa.Date, nullable=True)
    c_time: Mapped[Any] = mapped_column(sa.Time, nullable=True)
    c_interval: Mapped[Any] = mapped_column(sa.Interval, nullable=True)
    c_bool: Mapped[Any] = mapped_column(sa.Boolean, nullable=True)
    c_int16: Mapped[Any] = mapped_column(sa.SmallInteger, nullable=True)
    c_int32: Mapped[Any] = mapped_column(sa.Integer, nullable=True)
    c_int64: Mapped[Any] = mapped_column(sa.BigInteger, nullable=True)
    c_float32: Mapped[Any] = mapped_column(sa.REAL, nullable=True)
    c_float64: Mapped[Any] = mapped_column(sa.Double, nullable=True)
    c_decimal: Mapped[Any] = mapped_column(sa.Numeric(10, 2), nullable=True)
    c_free: Mapped[Any] = mapped_column(sa.Numeric, nullable=True)
    c_text: Mapped[Any] = mapped_column(sa.String(5), nullable=True)
    c_bytes: Mapped[Any] = mapped_column(sa.LargeBinary, nullable=True)
    c_enum: Mapped[Any] = mapped_column(sa.Enum(Rank, native_enum=False), nullable=True)
    c_array: Mapped[Any] = mapped_column(sa.ARRAY(sa.Integer).with_variant(sa.JSON(), "sqlite"), nullable=True)
    c_json: Mapped[Any] = mapped_column(sa.JSON, nullable=True)
