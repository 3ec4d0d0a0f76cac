"""Which number comes next from PostgreSQL's sequences."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.engines.postgresql.session import PostgresSession

_AT_ONCE = 500


class State(Struct, frozen=True):
    """Where a sequence stands: `is_called` says that `last` has been given out."""

    last: int
    is_called: bool


def states(connection: PostgresSession, sequences: Sequence[Any]) -> dict[int, State]:
    """Where sequences stand that this role may read, by their numbers (oid)."""
    found: dict[int, State] = {}
    left = iter([row for row in sequences if row.is_readable])
    while batch := list(islice(left, _AT_ONCE)):
        parts = (f"SELECT {int(row.id)} AS id, last_value, is_called FROM {row.quoted}" for row in batch)
        found |= {id_: State(last, called) for id_, last, called in connection.run(" UNION ALL ".join(parts))}
    return found


def next_numbers(connection: PostgresSession, sequences: Sequence[Any]) -> dict[int, int]:
    """What each sequence gives out next, if there is a number left."""
    rows, found = {row.id: row for row in sequences}, dict[int, int]()
    for id_, state in states(connection, sequences).items():
        row = rows[id_]
        following = state.last + row.increment if state.is_called else state.last
        if row.minimum <= following <= row.maximum:
            found[id_] = following
        elif row.cycles:
            found[id_] = row.minimum if row.increment > 0 else row.maximum
    return found


def values(connection: PostgresSession, sequences: Sequence[Any]) -> Iterator[str]:
    """The statements that let sequences stand where they stand here."""
    names = {row.id: row.quoted for row in sequences}
    for id_, state in states(connection, sequences).items():
        name = "'" + names[id_].replace("'", "''") + "'"
        yield f"SELECT setval({name}, {state.last}, {str(state.is_called).lower()})"
