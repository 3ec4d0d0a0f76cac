"""A table with rows that several processes change: each writes some of its files anew, one commits them all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from toolkit.compute.segments import SegmentTotals
from toolkit.core.streams import read_ahead
from toolkit.engines.contract import Rewriting, WrittenPart
from toolkit.engines.delta import receipts
from toolkit.engines.delta.files import FILE_ROWS
from toolkit.engines.delta.filling import Sent, hand_over, require_seen
from toolkit.errors import ChangedSincePlanError

if TYPE_CHECKING:
    from toolkit.core.digest import TableDigest
    from toolkit.engines.contract import Table
    from toolkit.engines.delta.files import DataFile
    from toolkit.engines.delta.table import LakeRepository


def rewritings(table: LakeRepository, keys: pa.Table, size: int, workers: int) -> Sequence[Rewriting]:
    """The files that hold one of the keys, in groups, with these keys; and the keys that none holds."""
    hits = table.hits(keys)
    total = sum(file.size for file, _ in hits)
    cut = list(_grouped(hits, min(size, total // workers)))
    there = np.zeros(keys.num_rows, bool)
    for _, rows in hits:
        there[rows] = True
    (new,) = np.nonzero(~there)
    found = [Rewriting(number, keys.take(pa.array(rows)), files) for number, (files, rows) in enumerate(cut)]
    step = max(1, min(FILE_ROWS, -(-len(new) // workers)))
    starts = range(0, len(new), step)
    return [*found, *(Rewriting(len(cut) + i, keys.take(pa.array(new[s : s + step]))) for i, s in enumerate(starts))]


def _grouped(
    hits: Iterable[tuple[DataFile, np.ndarray]], size: int
) -> Iterable[tuple[tuple[DataFile, ...], np.ndarray]]:
    files: list[DataFile] = []
    rows: list[np.ndarray] = []
    for file, own in hits:
        if files and sum(each.size for each in files) + file.size > size:
            yield tuple(files), np.concatenate(rows)
            files, rows = [], []
        files.append(file)
        rows.append(own)
    if files:
        yield tuple(files), np.concatenate(rows)


def rewrite(table: LakeRepository, given: Rewriting, source: Table) -> WrittenPart:
    """Write these files anew with the source's rows, as an upsert of one process would if there were no others.

    Raises:
        ChangedSincePlanError: somebody else has written to the table.
        VerificationError: what was to stay of a file is not as it was.
    """
    lake = table.lake
    own = {file.path for file in given.files}
    if own - {file.path for file in lake.files}:
        raise ChangedSincePlanError(table.connection.name, table.spec.name)
    lake.files = list(given.files)
    lake.totals, lake.spec = SegmentTotals.empty(receipts.SEGMENTS), receipts.whole(table.spec)
    with read_ahead(source.read(keys=given.keys)) as batches:
        sent = Sent(table, batches)
        table.upsert_many(sent.batches)
    files = tuple(file for file in lake.files if file.path not in own)
    hand_over(table, files)
    return WrittenPart(given.part, sent.digest, lake.totals, files)


def merge(
    table: LakeRepository, before: SegmentTotals, given: Sequence[Rewriting], parts: Sequence[WrittenPart]
) -> TableDigest:
    """Let these be in place of the files that were written anew; the digest of all rows.

    Raises:
        UniqueConflictError: two rows have one unique value.
        VerificationError: files are not there as they were written.
    """
    lake = table.lake
    totals = SegmentTotals(before.rows.copy(), before.totals.copy())
    for part in parts:
        totals.add_all(part.totals)
    new = [file for part in parts for file in part.files]
    gone = {file.path for each in given for file in each.files}
    require_seen(table, new)
    table.merge([*(file for file in lake.files if file.path not in gone), *new], totals)
    return totals.digest
