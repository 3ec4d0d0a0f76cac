"""Tables with files: one with an age, one of several files in a row and a key of two columns, one that has neither."""

from __future__ import annotations

import datetime as dt
from typing import Any

from advanced_alchemy.types import StoredObject
from sqlalchemy import DateTime, MetaData, String, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The gallery's tables."""

    metadata = MetaData()


class Photo(Base):
    """One file, which may be missing."""

    __tablename__ = "photo"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str | None] = mapped_column(String(100))
    file: Mapped[Any] = mapped_column(StoredObject(backend="attachments"), nullable=True)
    created_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True), default=func.now())
    updated_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True), default=func.now(), onupdate=func.now())


class Album(Base):
    """Several files."""

    __tablename__ = "album"

    owner: Mapped[str] = mapped_column(String(50), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    files: Mapped[Any] = mapped_column(StoredObject(backend="attachments", multiple=True), nullable=True)


class Note(Base):
    """No file."""

    __tablename__ = "note"

    id: Mapped[int] = mapped_column(primary_key=True)


metadata = Base.metadata
