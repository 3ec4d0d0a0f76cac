"""How an INSERT updates rows that are there, and only those of its own keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

# Two rows where one value is wanted: an error, wherever this is evaluated. To make the key NULL would be none in a
# column that may be, and another row would have lost its key.
REFUSAL = "(SELECT NULL FROM (SELECT 1 UNION ALL SELECT 2) AS toolkit_two)"
"""What a row gets in place of its key that another key's row was taken for: the statement is refused by it."""


def on_duplicate(insert: Any, key: Sequence[str], others: Sequence[str]) -> Any:
    """Give rows with these keys that are there other values; where one of another key would get them, it is refused.

    MariaDB takes any row for the duplicate that has some unique value in common, and keys for one that its collation
    does: they are compared by their bytes.
    """
    cells = insert.table.c
    # SQLAlchemy's own `inserted` doubles a percent sign in a name twice.
    given = {name: sa.func.VALUES(sa.column(name, sa.types.NullType())) for name in (*key, *others)}
    is_same = sa.and_(*(_raw(cells[name]).op("<=>")(_raw(given[name])) for name in key))
    own = getattr(sa.func, "if")(is_same, cells[key[0]], sa.literal_column(REFUSAL))
    return insert.on_duplicate_key_update({key[0]: own, **{name: given[name] for name in others}})


def _raw(cell: Any) -> Any:
    return sa.cast(sa.type_coerce(cell, sa.types.NullType()), sa.BINARY)
