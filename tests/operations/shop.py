"""Schemas that are not ours: plain SQLAlchemy 2.0 with integer keys, and tables that refer to each other."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, MetaData, Numeric, String, Text, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The shop's tables, in a metadata without naming conventions."""


class Customer(Base):
    """Its columns of times are filled by the application, and by `onupdate` on each of its updates."""

    __tablename__ = "customer"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(100), unique=True)
    name: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True), default=func.now())
    updated_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True), default=func.now(), onupdate=func.now())


class Category(Base):
    """A tree: each row may point at another of the same table."""

    __tablename__ = "category"

    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("category.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(50), index=True)


class Product(Base):
    """Its numbers come from an identity, and may be large."""

    __tablename__ = "product"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    category_id: Mapped[int] = mapped_column(ForeignKey("category.id"))
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2))


class PurchaseLine(Base):
    """A key of two columns, both of which point elsewhere."""

    __tablename__ = "purchase_line"

    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id", ondelete="CASCADE"), primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"), primary_key=True)
    amount: Mapped[int]


metadata = Base.metadata


class Cyclic(DeclarativeBase):
    """Two tables, each of which refers to the other, and a third that refers to one of them."""

    metadata = MetaData()


class Author(Cyclic):
    """Refers to a book."""

    __tablename__ = "author"

    id: Mapped[int] = mapped_column(primary_key=True)
    best_book_id: Mapped[int | None] = mapped_column(ForeignKey("book.id", name="fk_best_book", use_alter=True))


class Book(Cyclic):
    """Refers to its author, always."""

    __tablename__ = "book"

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id", name="fk_author"))


class Review(Cyclic):
    """Refers to a book, and stands outside the cycle."""

    __tablename__ = "review"

    id: Mapped[int] = mapped_column(primary_key=True)
    book_id: Mapped[int] = mapped_column(ForeignKey("book.id", name="fk_book"))
