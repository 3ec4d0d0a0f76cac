"""A lending library: references of every sort, for what comes along with rows and how rows are named."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, ForeignKeyConstraint, Integer, MetaData, String, Table, UniqueConstraint

from tests.operations.databases import connected
from toolkit.config import Database

metadata = MetaData()
author = Table(
    "author",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("email", String(40), nullable=False, unique=True),
    Column("mentor_id", ForeignKey("author.id")),
)
book = Table(
    "book",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("author_id", ForeignKey("author.id"), nullable=False),
    Column("title", String(40), nullable=False),
    UniqueConstraint("author_id", "title"),
)
# A key of a reference and a number, and what points at it.
volume = Table(
    "volume",
    metadata,
    Column("book_id", ForeignKey("book.id"), primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
)
shelved = Table(
    "shelved",
    metadata,
    Column("place", String(10), primary_key=True),
    Column("book_id", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    ForeignKeyConstraint(["book_id", "number"], ["volume.book_id", "volume.number"]),
)
# Points at a unique column that is no key.
note = Table(
    "note",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("author_email", ForeignKey("author.email")),
    Column("text", String(40), nullable=False),
)
tag = Table(
    "tag",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("slug", String(40), nullable=False, unique=True),
)
# Without any key.
book_tag = Table(
    "book_tag",
    metadata,
    Column("book_id", ForeignKey("book.id")),
    Column("tag_id", ForeignKey("tag.id")),
)
# A cycle, and a name that leads through it.
country = Table(
    "country",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("code", String(2), nullable=False, unique=True),
    Column("capital_id", ForeignKey("city.id", use_alter=True, name="fk_country_capital")),
)
city = Table(
    "city",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("country_id", ForeignKey("country.id"), nullable=False),
    Column("name", String(40), nullable=False),
    UniqueConstraint("country_id", "name"),
)
ROWS: dict[str, list[tuple[Any, ...]]] = {
    "author": [(1, "a@x", None), (2, "b@x", 1), (3, "c@x", 2), (4, "d@x", None)],
    "book": [(1, 3, "One"), (2, 3, "Two"), (3, 4, "One")],
    "volume": [(1, 1), (1, 2), (3, 1)],
    "shelved": [("A1", 1, 2), ("B1", 3, 1)],
    "note": [(1, "b@x", "first"), (2, None, "of nobody"), (3, "d@x", "other")],
    "tag": [(1, "red"), (2, "blue"), (3, "unused")],
    "book_tag": [(1, 1), (1, 1), (1, 2), (1, None), (3, 2), (None, None)],
    "country": [(1, "aa", None), (2, "bb", None)],
    "city": [(1, 1, "Capital"), (2, 1, "Other"), (3, 2, "Capital")],
}
CAPITALS = {1: 1, 2: 3}


def fill(database: Database, offset: int = 0) -> None:
    """Make the tables with these rows, all surrogate keys moved by so much."""
    with connected(database) as connection:
        metadata.create_all(connection, checkfirst=False)
        for name, rows in ROWS.items():
            table = metadata.tables[name]
            moved = [_moved(table, row, offset) for row in rows]
            connection.execute(sa.insert(table), moved)
        for key, capital in CAPITALS.items():
            moved_by = {"capital_id": capital + offset}
            connection.execute(sa.update(country).where(country.c.id == key + offset).values(moved_by))


def _moved(table: Table, row: tuple[Any, ...], offset: int) -> dict[str, Any]:
    named = dict(zip(table.columns.keys(), row, strict=True))
    return {n: v + offset if v is not None and n.rpartition("_")[2] == "id" else v for n, v in named.items()}
