"""Rows of a source that are read before the target is locked, so that others wait for the writing alone."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from msgspec import Struct

from toolkit.compute.scratch import scratch_directory
from toolkit.core.plan import Action
from toolkit.core.streams import read_ahead
from toolkit.operations.transfer.sources import rows_with_keys
from toolkit.stores.spool import SpooledRows

if TYPE_CHECKING:
    from toolkit.core.plan import TablePlan
    from toolkit.core.progress import Progress
    from toolkit.core.tables import TableSpec
    from toolkit.operations.transfer.sources import RowSource, Source

# Others need some of the disk, too.
_SPARE_BYTES = 256 << 20
# The disk, a limit on the size of files, a quota.
_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


class PreparedSource(Struct, frozen=True):
    """A source of which the rows to be written lie in temporary files."""

    source: Source
    rows: Mapping[str, SpooledRows]

    def repository(self, spec: TableSpec) -> RowSource:
        """One table's rows: those that are to be written, where there are any."""
        return self.rows[spec.name].of(spec) if spec.name in self.rows else self.source.repository(spec)


def _while_room(batches: Iterator[pa.RecordBatch], folder: Path) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if shutil.disk_usage(folder).free < _SPARE_BYTES:
            raise OSError(errno.ENOSPC, "too little space would be left for others")
        yield batch


@contextmanager
def prepared(source: Source, plans: Sequence[TablePlan], batch_rows: int, progress: Progress) -> Iterator[Source]:
    """The source with the rows that the plans write read and decoded; they are kept until the end of the block."""
    with scratch_directory() as folder:
        rows = {}
        for number, plan in enumerate(plans):
            if plan.action is Action.NOTHING:
                continue
            progress.step(f"read {plan.spec.name}", plan.writes)
            spooled = _spooled(plan, source.repository(plan.spec), batch_rows, folder / str(number))
            if spooled is not None:
                rows[plan.spec.name] = spooled
        yield PreparedSource(source, rows)


def _spooled(plan: TablePlan, rows: RowSource, batch_rows: int, path: Path) -> SpooledRows | None:
    """The rows that a plan writes, in a file; None if there is no room: they are read when they are written."""
    keys = None if plan.changes is None else plan.changes.select(list(plan.spec.key))
    batches = rows.read(batch_rows) if keys is None else rows_with_keys(rows, keys, batch_rows)
    try:
        with read_ahead(batches) as ahead:
            return SpooledRows(plan.spec, path, _while_room(ahead, path.parent), plan.spec.schema)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        path.unlink()
        return None
