"""What a user named of the tables to work on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct, field


class Wanted(Struct, frozen=True):
    """What the user named: tables to work on (all for none), tables and columns to leave out, names of the target.

    `convert` are the conversions, as they were given.
    """

    tables: Sequence[str] = ()
    exclude: Collection[str] = ()
    exclude_columns: Collection[str] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, Sequence[str]] = field(default_factory=dict)
    convert: Sequence[str] = ()
    makes_missing: bool = False
    """Whether tables that were named, and that the target lacks, are made there beside those that it has."""
