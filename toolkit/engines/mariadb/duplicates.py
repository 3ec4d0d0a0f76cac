"""How an INSERT updates rows that are there, and only those of its own keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa


def on_duplicate(insert: Any, key: Sequence[str], others: Sequence[str]) -> Any:
    """Give rows with these keys that are there other values; one of another key would lose its key, which is refused.

    MariaDB takes any row for the duplicate that has some unique value in common, and keys for one that its collation
    does: they are compared by their bytes.
    """
    cells = insert.table.c
    # SQLAlchemy's own `inserted` doubles a percent sign in a name twice.
    given = {name: sa.func.VALUES(sa.column(name, sa.types.NullType())) for name in (*key, *others)}
    is_same = sa.and_(*(_raw(cells[name]).op("<=>")(_raw(given[name])) for name in key))
    own = getattr(sa.func, "if")(is_same, cells[key[0]], sa.null())
    return insert.on_duplicate_key_update({key[0]: own, **{name: given[name] for name in others}})


def _raw(cell: Any) -> Any:
    return sa.cast(sa.type_coerce(cell, sa.types.NullType()), sa.BINARY)
