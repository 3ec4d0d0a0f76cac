"""Keys that stand in another form than they are written in: one value to whoever reads them, another to SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolkit.core.tables import TableSpec
from toolkit.engines.contract import LossyCast
from toolkit.engines.portable.lossy import ONE_FORM, OTHER_KEY

if TYPE_CHECKING:
    from toolkit.engines.sqlite.snapshot import SqliteSnapshot


def condition_of_others(connection: SqliteSnapshot, spec: TableSpec, names: Sequence[str]) -> str | None:
    """The condition of the rows of which one of these columns is in another form; None if the table has none."""
    quote = connection.sqlalchemy.dialect.identifier_preparer.quote_identifier
    found = []
    for name in names:
        cell = quote(name)
        unlike = connection.codec.adapter(spec.column(name)).unlike_written_key(cell)
        # A column without a value is in no form, and this is never unknown.
        condition = f"{cell} IS NOT NULL AND ({unlike})"
        if unlike is not None and connection.has_rows(spec.table, condition):
            found.append(f"({condition})")
    return " OR ".join(found) or None


def casts_of_others(connection: SqliteSnapshot, spec: TableSpec) -> dict[str, LossyCast]:
    """By key column, the condition of those, as what cannot be written to."""
    found = {name: condition_of_others(connection, spec, [name]) for name in spec.key}
    casts = {}
    for name, condition in found.items():
        if condition is not None:
            form = connection.codec.adapter(spec.column(name)).written_form
            casts[name] = LossyCast("", condition, OTHER_KEY, ONE_FORM.format(form))
    return casts
