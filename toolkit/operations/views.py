"""Views in the place of tables: their rows are what somebody's query says, which is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.core.plan import TransferWarning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.core.progress import Progress
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Connection


def told_views(source: Connection, specs: Sequence[TableSpec], progress: Progress) -> tuple[TransferWarning, ...]:
    """Say which of these tables are views where their rows are read from, in a line and as warnings."""
    views = {schema: source.views(schema) for schema in {spec.table.schema for spec in specs}}
    names = [spec.name for spec in specs if spec.table.name in views[spec.table.schema]]
    if names:
        kind = "is a view, not a table" if len(names) == 1 else "are views, not tables"
        progress.note(f"{source.name}: {', '.join(names)} {kind}: the rows are what a query there gives.")
    reason = f"It is a view in {source.name}: the rows are what a query there gives."
    return tuple(TransferWarning("view", name, reason) for name in names)
