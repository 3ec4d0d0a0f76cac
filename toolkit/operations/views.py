"""Views in the place of tables: their rows are what somebody's query says, which is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.core.plan import TransferWarning
from toolkit.engines.portable.connection import view_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.core.progress import Progress
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Connection


def told_views(source: Connection, specs: Sequence[TableSpec], progress: Progress) -> tuple[TransferWarning, ...]:
    """Say which of these tables are views where their rows are read from, in a line and as warnings."""
    names = view_names(source, specs)
    if names:
        kind = "is a view, not a table" if len(names) == 1 else "are views, not tables"
        progress.note(f"{source.name}: {', '.join(names)} {kind}: the rows are what a query there gives.")
    reason = f"It is a view in {source.name}: the rows are what a query there gives."
    return tuple(TransferWarning("view", name, reason) for name in names)
