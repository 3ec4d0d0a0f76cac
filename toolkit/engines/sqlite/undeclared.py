"""What a table of SQLite holds beside what its columns were declared for."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from msgspec import Struct


class Documents(IntEnum):
    """What JSON documents are; of a column, the worst that one of them is."""

    VALUES = 0
    """The same to an engine that keeps their values alone."""
    TEXTS = 1
    """Not the same: one has a key twice, or a character that is refused as a value."""
    NONE = 2
    """One is no document."""


class Undeclared(Struct, frozen=True):
    """The `columns` that hold what was not declared, or were declared as nothing; what JSON columns hold.

    `classes` are of the others those that every value of a column is of, where only one may be.
    """

    columns: frozenset[str]
    documents: Mapping[str, Documents]
    classes: Mapping[str, str]
