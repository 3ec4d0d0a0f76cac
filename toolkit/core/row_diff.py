"""One row that differs between two databases, or that a sync would write, as it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MASK = "***"
"""In place of a value of personal data."""


@dataclass(frozen=True, slots=True)
class RowDiff:
    """One row: `added` is in the source only, `removed` in the target only, `changed` has other values.

    `columns` holds the JSON values of those that differ: the target's (old) and the source's (new). A row of a table
    without a key has all of them, and no `key`.
    """

    table: str
    kind: str
    key: Mapping[str, Any]
    columns: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
