"""What engines differ in, as data."""

from __future__ import annotations

from msgspec import Struct


class Capabilities(Struct, frozen=True):
    """What an engine does by itself, so that callers need not ask which engine it is."""

    enforces_foreign_keys: bool
    """Rows without a parent are refused by the engine; elsewhere they are looked for before the commit."""
    keeps_text_of_json: bool
    """Rows come back as they were sent, to the letter, so that a load can be verified without reading JSON."""
    loads_without_key: bool
    """An empty table is filled without the index that an upsert rests on."""
    has_one_writer: bool = True
    """While a transaction writes, nobody else does."""
    writes_types_as_text: bool = False
    """A column holds values of its type alone, and the engine's text of a value is read back as the same."""
    has_dates_of_no_calendar: bool = False
    """Columns of dates may hold what is no day: `0000-00-00`."""
    keeps_foreign_keys: bool = True
    """Tables that are made have the foreign keys of their models."""
    takes_keys: bool = True
    """A table that is there can be given a key by a statement."""
    has_schemas: bool = True
    """Tables may lie in schemas."""
    has_strict_types: bool = True
    """A column holds values of its declared type alone, so that the type says what the values are."""
    keeps_moment: bool = False
    """A connection that reads sees one moment, also after another `lock_tables`: no lock has to come before it."""
    has_floats_beyond_numbers: bool = True
    """Floats may be infinite, no number at all, or a negative zero; elsewhere these are refused, row by row."""
    loads_by_key: bool = False
    """An empty table is filled sooner by rows in the order of their keys."""
