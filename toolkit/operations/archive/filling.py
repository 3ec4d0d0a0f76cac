"""`restore --fill-from-older`: what the snapshot lacks, from the snapshots before it that have it."""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING

from toolkit.operations.archive.lacking import Lacked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.core.archive_manifest import FileEntry
    from toolkit.operations.archive.restore_run import RestoreRun


def fill(run: RestoreRun, lacks: Sequence[Lacked]) -> list[Lacked]:
    """Put into the restore's catalogue what older snapshots have of it; what none has is returned."""
    held = sorted((each for each in lacks if each.holder), key=lambda each: str(each.holder))
    left = [each for each in lacks if not each.holder]
    for holder, group in groupby(held, key=lambda each: str(each.holder)):
        wanted = list(group)
        by_row: dict[str, list[Lacked]] = {}
        for each in wanted:
            by_row.setdefault(_row(each.file.table, each.file.column, each.file.key), []).append(each)
        met = set()
        for entry in run.archive.entries(holder):
            for each in by_row.get(_row(entry.table, entry.column, entry.key), []):
                if each.is_met_by(entry):
                    _put(run, each, entry)
                    met.add(id(each))
                    break
        if met:
            run.filled[holder] = len(met)
        left += [each for each in wanted if id(each) not in met]
    return left


def _put(run: RestoreRun, lacked: Lacked, entry: FileEntry) -> None:
    """A file of another snapshot, in place of what this one has in its stead."""
    key, index = json.dumps(entry.key, ensure_ascii=False), lacked.file.index
    if lacked.file.path is None:
        index = entry.index
    row = entry.table, entry.column, key, index
    run.catalogue.run("DELETE FROM entry WHERE tbl = ? AND col = ? AND key = ? AND idx IS ?", *row)
    run.catalogue.run("INSERT INTO entry (tbl, col, key, idx, line) VALUES (?, ?, ?, ?, ?)", *row, entry.document)


def _row(table: str, column: str, key: object) -> str:
    return json.dumps([table, column, key], ensure_ascii=False, sort_keys=True)
