"""How the rows of a SQLite table are told apart, which lets a primary key be NULL in any number of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy.dialects import sqlite

from toolkit.core.schema import Note
from toolkit.engines.sqlite.reflection import Identity
from toolkit.engines.sqlite.structure import StoredStructure

if TYPE_CHECKING:
    from toolkit.engines.sqlite.snapshot import SqliteSnapshot


def identity(connection: SqliteSnapshot, of: StoredStructure) -> tuple[Identity, list[Note]]:
    """The key by what is stored: the primary key, or else what is unique, if no row has a NULL there."""
    notes = []
    if of.key is not None:
        rows = _nulls(connection, of, of.key.columns)
        if not rows:
            return Identity(), []
        what = f"primary key of {', '.join(of.key.columns)}"
        number = f"{rows:,} rows have" if rows > 1 else "1 row has"
        notes.append(Note(of.name, what, f"{number} NULL there: it is a unique constraint instead."))
    for names in of.candidates:
        if all(not of.by_name[name].nullable for name in names):
            break
        if not _nulls(connection, of, names):
            return Identity(has_primary_key=False, key=names), notes
    return Identity(has_primary_key=False), notes


def _nulls(connection: SqliteSnapshot, of: StoredStructure, names: Sequence[str]) -> int:
    nullable = [name for name in names if of.by_name[name].nullable]
    if not nullable:
        return 0
    quote = sqlite.dialect().identifier_preparer.quote_identifier
    condition = " OR ".join(f"{quote(name)} IS NULL" for name in nullable)
    with connection.translated():
        return int(connection.driver.execute(f"SELECT count(*) FROM {quote(of.name)} WHERE {condition}").fetchone()[0])
