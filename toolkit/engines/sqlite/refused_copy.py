"""Which row a table that is made anew does not take, as SQLite only says which constraint it breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, exists, select

from toolkit.core.values import shortened
from toolkit.errors import MigrationError

if TYPE_CHECKING:
    from sqlalchemy.exc import IntegrityError

    from toolkit.engines.sqlite.rebuild import Rebuild


def refused_copy(rebuild: Rebuild, error: IntegrityError) -> MigrationError:
    """What to say when copying the rows into the new table failed; that is undone by then."""
    name = rebuild.old.name
    reason = str(error.orig).replace(rebuild.new_table.name, name)
    row = _first_refused(rebuild)
    return MigrationError(
        f"{rebuild.old.fullname}{f' {row}' if row else ''} does not fit the migration: {reason}.",
        "Correct such rows in a migration before this one (op.execute).",
    )


def _first_refused(rebuild: Rebuild) -> str | None:
    """The key of the first row that is left out when the rows that break a constraint are; None without a key."""
    old, new = rebuild.old, rebuild.new_table
    keys = [each.name for each in old.primary_key.columns if each.name in new.columns]
    if not keys:
        return None
    rebuild.create()
    try:
        rebuild.connection.execute(rebuild.copying().prefix_with("OR IGNORE"))
        is_there = exists().where(and_(*(new.columns[each].is_(old.columns[each]) for each in keys)))
        found = rebuild.connection.execute(
            select(*(old.columns[each] for each in keys)).where(~is_there.correlate(old)).limit(1)
        ).first()
    finally:
        rebuild.undo()
    return (
        None
        if found is None
        else ", ".join(f"{key}={shortened(str(each))}" for key, each in zip(keys, found, strict=True))
    )
