"""What a commit tells of the rows as they are stored: their digest, and beside it the totals of segments."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from toolkit.compute.segments import SegmentTotals, segment_count, segment_numbers
from toolkit.core.digest import TableDigest, row_digests
from toolkit.core.streams import ended
from toolkit.core.tables import TableSpec

if TYPE_CHECKING:
    from toolkit.engines.delta.storage import Files

SEGMENTS = 1 << 16
"""How many are kept: fewer are sums of these."""
FOLDER = "_toolkit"
"""Where they are beside a table's files; readers of lakes pass over names that begin so."""


def fingerprint(spec: TableSpec) -> str:
    """What a digest is of: the columns, and how their values are digested."""
    columns = [(column.name, str(column.type)) for column in spec.columns]
    return hashlib.sha256(json.dumps([columns, list(spec.key)]).encode()).hexdigest()[:16]


def whole(spec: TableSpec) -> TableSpec:
    """The same table without the conditions that narrow it."""
    return replace(spec, conditions=())


def totals_of(spec: TableSpec, batches: Iterable[pa.RecordBatch]) -> SegmentTotals:
    """The totals of these rows."""
    totals = SegmentTotals.empty(SEGMENTS)
    with ended(batches):
        for batch in batches:
            digests = row_digests(spec, batch)
            totals.add(segment_numbers(digests, SEGMENTS), digests)
    return totals


def changed(totals: SegmentTotals, removed: SegmentTotals, added: SegmentTotals) -> SegmentTotals:
    """The totals without some rows and with others."""
    return SegmentTotals(totals.rows - removed.rows + added.rows, totals.totals - removed.totals + added.totals)


def fewer(totals: SegmentTotals, count: int) -> SegmentTotals:
    """The same rows in fewer segments: those whose numbers end alike are one."""
    shape = (SEGMENTS // count, count)
    return SegmentTotals(totals.rows.reshape(shape).sum(axis=0), totals.totals.reshape(shape).sum(axis=0))


def written(files: Files, spec: TableSpec, totals: SegmentTotals) -> Mapping[str, Any]:
    """The receipt of a table with these totals, which are kept beside it where it is worth while."""
    digest = totals.digest
    told: dict[str, Any] = {"fields": fingerprint(spec), "rows": digest.rows, "total": f"{digest.total:016x}"}
    if segment_count(digest.rows) > 1:
        told["segments"] = f"{FOLDER}/{uuid.uuid4().hex}.arrow"
        table = pa.table({"rows": totals.rows, "totals": totals.totals})
        stream = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.ipc.new_file(stream, table.schema, options=options) as writer:
            writer.write_table(table)
        files.put(told["segments"], stream.getvalue())
    return told


def known_digest(receipt: Mapping[str, Any], spec: TableSpec) -> TableDigest | None:
    """The digest that a commit tells, if it is of these columns."""
    if receipt.get("fields") != fingerprint(spec):
        return None
    return TableDigest(int(receipt["rows"]), int(receipt["total"], 16))


def known_totals(files: Files, receipt: Mapping[str, Any], spec: TableSpec) -> SegmentTotals | None:
    """The totals that a commit tells, if they are of these columns, and add up to its digest."""
    digest, path = known_digest(receipt, spec), receipt.get("segments")
    if digest is None or path is None:
        return None
    try:
        with pa.ipc.open_file(files.get(path)) as reader:
            table = reader.read_all()
    except (OSError, pa.ArrowException):
        return None
    rows, totals = (table.column(name).to_numpy() for name in ("rows", "totals"))
    found = SegmentTotals(rows.astype(np.int64), totals.astype(np.uint64))
    return found if len(rows) == SEGMENTS and found.digest == digest else None
