"""One row that differs between two databases, or that a sync would write, as it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

MASK = "***"
"""In place of a value of personal data."""


class RowDiff(Struct, frozen=True):
    """One row: `added` is in the source only, `removed` in the target only, `changed` has other values.

    `columns` holds the JSON values of those that differ: the target's (old) and the source's (new). A row of a table
    without a key has all of them, and no `key`.
    """

    table: str
    kind: str
    key: Mapping[str, Any]
    columns: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
