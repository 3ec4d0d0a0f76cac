"""What a run would write beside the rows that differ, where rows are in files that are written as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from toolkit.engines.contract import RewritesFiles

if TYPE_CHECKING:
    from toolkit.core.plan import TablePlan
    from toolkit.core.progress import Progress
    from toolkit.engines.contract import Connection


def tell_rewritten(plans: Sequence[TablePlan], target: Connection, progress: Progress) -> None:
    """Tell how many files hold rows that are updated or deleted."""
    for plan in plans:
        table = target.repository(plan.spec)
        if not isinstance(table, RewritesFiles) or not plan.spec.key:
            continue
        found = [each.select(list(plan.spec.key)) for each in (plan.changes, plan.removals) if each is not None]
        keys = pa.concat_tables(found) if found else None
        files, size = table.rewritten(keys) if keys else (0, 0)
        if files:
            progress.note(f"{target.name}: {plan.spec.name}: files written again: {files}, of {size:,} bytes together.")
