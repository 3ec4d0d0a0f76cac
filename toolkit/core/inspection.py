"""What is in a database, and what would become of it in another engine's, as a value that is shown."""

from __future__ import annotations

from msgspec import Struct

from toolkit.core.schema import ColumnMeasure, Note


class InspectedColumn(Struct, frozen=True):
    """A column: its type in its database's words, what is stored, and the `type` that the target gets, with the reason.

    The least and the greatest value are masked where `is_masked`.
    """

    name: str
    declared: str
    is_nullable: bool
    stored: ColumnMeasure
    type: str | None = None
    why: str = ""
    is_masked: bool = False


class MisfitCount(Struct, frozen=True):
    """So many values of a column that the target cannot hold, or that cannot be read, with the first of them.

    `is_all`: there are no more; otherwise counting was given up.
    """

    column: str
    reason: str
    values: int
    first_key: str
    first_value: str
    advice: str = ""
    is_all: bool = True


class InspectedTable(Struct, frozen=True):
    """A table. Of its parts (keys, constraints, indexes, defaults) `carried` are those that the target gets too.

    `left` are those that it does not get, or in another form, with the reasons. `target` is the name there.
    """

    name: str
    rows: int
    key: tuple[str, ...]
    columns: tuple[InspectedColumn, ...]
    carried: tuple[str, ...]
    left: tuple[Note, ...] = ()
    misfits: tuple[MisfitCount, ...] = ()
    target: str | None = None


class Inspection(Struct, frozen=True):
    """What is in a database; `target` is the engine that it is looked at for, if any is.

    `left` is what is there, but not among the tables: views, and tables that are somebody else's work.
    """

    database: str
    engine: str
    target: str | None
    tables: tuple[InspectedTable, ...]
    left: tuple[Note, ...] = ()

    @property
    def rows(self) -> int:
        """Of all tables."""
        return sum(table.rows for table in self.tables)


class Definitions(Struct, frozen=True):
    """Statements that make a database's tables in an empty one of an engine, in this order; and what is left out."""

    database: str
    engine: str
    statements: tuple[str, ...]
    left: tuple[Note, ...] = ()
