"""How an INSERT becomes one that updates rows that are there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def on_conflict(insert: Any, key: Sequence[str], others: Sequence[str]) -> Any:
    """Give rows with these keys that are there other values in these columns: by `ON CONFLICT`."""
    if not others:
        return insert.on_conflict_do_nothing(index_elements=list(key))
    return insert.on_conflict_do_update(index_elements=list(key), set_={name: insert.excluded[name] for name in others})
