"""Rows taken apart: those that can be carried whole, and of the others each value that cannot."""

from __future__ import annotations

from collections.abc import Mapping
from shlex import quote as shell
from typing import Any

import pyarrow as pa
from msgspec import Struct

from toolkit.errors import UnrepresentableValueError


class BadValue(Struct, frozen=True):
    """A value that cannot be carried: `problem` says all of it, `reason` what it has in common with others."""

    column: str
    value: str
    problem: str
    reason: str
    advice: str = ""
    whole: Any = None
    """As it is stored, where it could not be read: of any length."""


class BadRow(Struct, frozen=True):
    """A row with such values; `cells` has the others, one to an array."""

    table: str
    key: str
    values: tuple[BadValue, ...]
    cells: Mapping[str, pa.Array]

    @property
    def error(self) -> UnrepresentableValueError:
        """The first of them as an error."""
        return as_error(self.table, self.key, self.values[0])


class Sifted(Struct, frozen=True):
    """Some rows of a table."""

    batch: pa.RecordBatch
    bad: tuple[BadRow, ...] = ()


def as_error(table: str, key: str, value: BadValue) -> UnrepresentableValueError:
    """One value as an error of its own."""
    leave = f" Or leave the table out: --exclude {shell(table)}."
    error = UnrepresentableValueError(table, key, value.column, value.problem, value.advice and value.advice + leave)
    error.value = value.value
    return error
