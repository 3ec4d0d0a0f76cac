"""Two tables compared by receipts for their parts; the rows of segments that differ are looked for as ever."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Self, cast

from toolkit.compute.changes import compare_totals
from toolkit.compute.receipts import within
from toolkit.compute.segments import MOST_SEGMENTS, KeptTotals, SegmentTotals
from toolkit.errors import ConfigurationError, WorkersError
from toolkit.operations.parts.crew import hired
from toolkit.operations.parts.work import DigestPart, digest_part, sent
from toolkit.operations.transfer.converting import ConvertedRows
from toolkit.operations.transfer.sources import RenamedRows

if TYPE_CHECKING:
    import pyarrow as pa

    from toolkit.config import Config, Database
    from toolkit.core.changes import Changes
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Connection, SharesSnapshot, Table
    from toolkit.operations.parts.crew import Crew, WorkerOptions
    from toolkit.operations.parts.work import Place
    from toolkit.operations.transfer.sources import RowSource


class Parallel:
    """A comparison whose tables are digested by workers, on both sides at once, each as of one moment."""

    def __init__(self, config: Config, databases: Sequence[Database], options: WorkerOptions) -> None:
        self._config, self._databases, self._options = config, databases, options
        self._places: tuple[Place, Place] | None = None

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            self._crew = opening.enter_context(hired(self._config, self._databases, self._options))
            self._stack = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def share(self, source: Connection, target: Connection) -> None:
        """Let workers see what these see, before anything is read of them."""
        self._places = (self._crew.place(source), self._crew.place(target))

    def compare(self, spec: TableSpec, ours: RowSource, theirs: Table) -> Changes | None:
        """Which rows differ; None for rows without a key that are not all the same: these are to be counted.

        Raises:
            ConfigurationError: the rows are not those of the database, but made of them.
            ChangedWhileReadError: a database without common snapshots was written to meanwhile.
        """
        tables = (_beneath(ours), theirs)
        assert self._places is not None, "they are shared first"
        totals = totals_of(tables, self._crew, self._places)
        if not spec.key and totals[0].differing(totals[1]):
            return None
        source, target = ((found, partial(_within, rows)) for found, rows in zip(totals, (ours, theirs), strict=True))
        found = compare_totals(spec, source, target, removed=True)
        for table in tables:
            cast("SharesSnapshot", table.connection).require_shared()
        return found


def _beneath(rows: RowSource) -> Table:
    """The database's own table.

    Raises:
        ConfigurationError: its values are converted on the way, which workers are not told of.
    """
    found = rows.rows if isinstance(rows, RenamedRows) else rows
    if isinstance(found, ConvertedRows):
        raise ConfigurationError(
            f"{found.spec.name}: workers compare what is stored, and its values are to be converted.",
            "Leave out --workers, or --convert.",
        )
    return cast("Table", found)


def totals_of(tables: Sequence[Table], crew: Crew, places: Sequence[Place]) -> list[SegmentTotals]:
    """The totals of two tables, each from its place; of one beside whose rows they are kept, without reading it."""
    sides = range(len(tables))
    digests = [each.kept_digest() if isinstance(each, KeptTotals) else None for each in tables]
    found = {side: kept for side in sides if (kept := _kept_totals(tables[side])) is not None}
    found |= _counted(tables, crew, places, [side for side in sides if side not in found and digests[side] is None])
    for side, other in ((0, 1), (1, 0)):
        digest = digests[side]
        if side not in found and digest is not None:
            # Few rows: beside them, nothing but their digest is kept. It will do if the other side has the same.
            same = found[other].digest if other in found else digests[other]
            if same == digest:
                found[side] = found.get(other) or SegmentTotals.of_one(digest, MOST_SEGMENTS)
    found |= _counted(tables, crew, places, [side for side in sides if side not in found])
    return [found[side] for side in sides]


def _kept_totals(table: Table) -> SegmentTotals | None:
    return table.kept_totals(MOST_SEGMENTS) if isinstance(table, KeptTotals) else None


def _counted(
    tables: Sequence[Table], crew: Crew, places: Sequence[Place], sides: Sequence[int]
) -> dict[int, SegmentTotals]:
    """What workers find in these of the tables, which are read at the same time."""
    each = {side: tuple(_asked(side, tables[side], crew, places[side])) for side in sides}
    # In turn, so that neither server waits for the other's to be done.
    tasks = (task for task in chain.from_iterable(zip_longest(*each.values())) if task is not None)
    totals = {side: SegmentTotals.empty(MOST_SEGMENTS) for side in sides}
    missing = {(side, task.part.number) for side, tasks_of in each.items() for task in tasks_of}
    for side, receipt in crew.do(digest_part, tasks):
        # Raises if a part came twice, or one that was not asked for.
        missing.remove((side, receipt.part))
        totals[side].add_all(receipt.totals)
    if missing:
        raise WorkersError(f"{len(missing)} parts were asked for, and never came back.", "Run again.")
    return totals


def _asked(side: int, table: Table, crew: Crew, place: Place) -> Iterator[DigestPart]:
    spec = sent(table.spec)
    for part in crew.parts(table):
        yield DigestPart(place, spec, part, MOST_SEGMENTS, side)


def _within(side: RowSource, segments: Sequence[int]) -> Iterator[pa.RecordBatch]:
    return within(side, MOST_SEGMENTS, list(segments))
