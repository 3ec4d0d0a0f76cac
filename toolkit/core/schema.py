"""A database's tables as its own catalogue has them, without any model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from msgspec import Struct
from sqlalchemy import MetaData


class TypesBy(Enum):
    """What the types of columns are taken from, where an engine lets a column hold values of any type."""

    DECLARATION = auto()
    """What the table was made with: nothing is read."""
    VALUES = auto()
    """That, and what is stored, for a table that another engine is to make: all values fit."""
    STORAGE = auto()
    """What is stored, as it is stored, for another database of the same engine: nothing is interpreted."""


DECLARED, MEANT = "declared", "meant"
"""In a column's `info`: the words of its type, and the type that they mean, where it may hold values of others."""
TYPES_BY_KIND = "types by kind"
"""In a column's `info`: by kind, the types that it may have, where its values tell which: the last takes all."""
WIDER = "wider"
"""In a column's `info`: the type that takes all that it holds, where its own does not: it is read by that, not made."""


class Note(Struct, frozen=True):
    """What a table has that is not carried, or not as it is: `what` it is, and the `reason`, one sentence each."""

    table: str
    what: str
    reason: str
    column: str | None = None
    is_of_made: bool = False
    """It is a question only where tables are made."""
    remedy: str | None = None
    """It is a table with rows that are not read, and this is what lets them be."""

    @property
    def is_unread(self) -> bool:
        """Whether it is a table with rows that are not read."""
        return self.remedy is not None

    @property
    def is_of_type(self) -> bool:
        """Whether it says why a column has another type than was declared."""
        return self.column is not None and self.what.startswith("type ")


class LeftBehind(Struct, frozen=True):
    """A column with values that are not read, though its table's rows are, as those of the table `parent`."""

    table: str
    column: str
    parent: str


class AfterRows(str):
    """A statement of those that make tables which rows may be against that were there before it: it follows them."""

    __slots__ = ()


@dataclass(frozen=True)
class Schema:
    """The tables, as SQLAlchemy has them: types, keys, constraints, indexes, defaults, comments.

    What is text in them (defaults, checks, generated columns, the conditions and expressions of indexes) is in the SQL
    of `dialect`, as SQLAlchemy calls it. Each foreign key points at a table that is there, too.
    """

    dialect: str
    metadata: MetaData = field(repr=False)
    notes: tuple[Note, ...] = ()
    left_behind: tuple[LeftBehind, ...] = ()


class ColumnMeasure(Struct, frozen=True):
    """What is stored in a column, of so many rows.

    `classes` counts values by how they are stored (SQLite's storage classes; elsewhere the column's one type), without
    NULL; `forms` counts texts by what they can be read as (`date`, `timestamp`, `timestamp with zone`, `uuid`, `json`,
    `integer`, `decimal`, `boolean`, `empty`), as far as the declared type makes one ask. `longest` is in characters,
    or bytes of a column of bytes. `precision` and `scale` are the digits that decimals need.
    """

    rows: int
    nulls: int
    classes: Mapping[str, int] = {}
    forms: Mapping[str, int] = {}
    least: str | None = None
    greatest: str | None = None
    longest: int | None = None
    precision: int | None = None
    scale: int | None = None
