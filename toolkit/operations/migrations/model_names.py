"""Names of the models' constraints and indexes that a database does not take, because another has them.

SQLite and MySQL tell constraints of two tables apart, whatever they are called; in PostgreSQL unique keys share their
names with tables and indexes. Of two of one name, the second is made under another, and it is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.sql.elements import conv

from toolkit.core.plan import NOT_CARRIED, TransferWarning
from toolkit.core.schema import Note
from toolkit.operations.reflection.created_names import Names

if TYPE_CHECKING:
    from toolkit.engines.contract import SchemaFeatures

Named = sa.Constraint | sa.Index


class MadeName(Struct, frozen=True):
    """A constraint or an index, and what it is called in a database that has its name already."""

    part: Named
    name: str
    note: Note

    @property
    def warning(self) -> TransferWarning:
        """What is to be told of it."""
        return TransferWarning(NOT_CARRIED, self.note.table, f"{self.note.what}: {self.note.reason}")


def made_names(features: SchemaFeatures, tables: Sequence[sa.Table]) -> list[MadeName]:
    """Of the named parts of these tables, which are to be made in an empty database, those that get other names."""
    notes: list[Note] = []
    names = Names.of(_of(tables), features, [])
    names.notes = notes
    found = []
    for table in tables:
        taken: set[str] = set()
        for part, what in _parts(table):
            name = str(part.name)
            shared = isinstance(part, sa.Index) or (
                features.keys_share_names and isinstance(part, sa.PrimaryKeyConstraint | sa.UniqueConstraint)
            )
            if shared:
                chosen = names.relation(table, name, what)
                taken.add(chosen)
            elif features.tells_constraints_apart:
                chosen = names.constraint(table, name, what, taken)
            else:
                chosen = name
            if chosen != name:
                found.append(MadeName(part, chosen, notes[-1]))
    return found


@contextmanager
def with_names(found: Sequence[MadeName]) -> Iterator[None]:
    """Have the parts of the models under these names for the block."""
    before = [each.part.name for each in found]
    for each in found:
        each.part.name = conv(each.name)
    try:
        yield
    finally:
        for each, name in zip(found, before, strict=True):
            each.part.name = name


def _parts(table: sa.Table) -> Iterator[tuple[Named, str]]:
    """The constraints and indexes that have names of their own, always in the same order, and what each is."""
    shown = {
        sa.PrimaryKeyConstraint: "primary key",
        sa.UniqueConstraint: "unique key",
        sa.ForeignKeyConstraint: "foreign key",
        sa.CheckConstraint: "check",
    }
    for constraint in sorted(table.constraints, key=lambda each: each._creation_order):  # noqa: SLF001 - as SQLAlchemy
        if isinstance(constraint.name, str):
            what = next((text for kind, text in shown.items() if isinstance(constraint, kind)), "constraint")
            yield constraint, f"{what} {constraint.name}"
    for index in sorted(table.indexes, key=lambda each: str(each.name)):
        if isinstance(index.name, str):
            yield index, f"index {index.name}"


def _of(tables: Sequence[sa.Table]) -> sa.MetaData:
    """Tables of these names, and no others."""
    metadata = sa.MetaData()
    for table in tables:
        sa.Table(table.name, metadata, schema=table.schema)
    return metadata
