"""Tables without a key: compared as multisets of rows, of which those that one side has more often are shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa

from toolkit.compute.multisets import compare_multisets
from toolkit.compute.sorting import in_key_order
from toolkit.core.batches import BATCH_ROWS
from toolkit.core.changes import Changes
from toolkit.core.digest import digest_schema, row_digests
from toolkit.stores.fixture_writer import format_rows
from toolkit.stores.row_order import row_order

if TYPE_CHECKING:
    from toolkit.core.tables import TableSpec
    from toolkit.operations.transfer.sources import RowSource

_ROW = msgspec.json.Decoder(dict[str, msgspec.Raw])


def compare_keyless(spec: TableSpec, source: RowSource, target: RowSource) -> Changes:
    """The rows that either side has more often than the other; equal tables are compared where they are."""
    ours, theirs = source.digest(), target.digest()
    if ours == theirs:
        nothing = digest_schema(spec).empty_table()
        return Changes(nothing, nothing, ours.rows, 0, nothing, ours, theirs)
    return compare_multisets(source.row_digests(), target.row_digests())


def surplus_rows(spec: TableSpec, side: RowSource, digests: pa.Table) -> Iterator[dict[str, str]]:
    """The rows of one side with these digests, each as often, as JSON texts by column; ordered by all columns."""
    schema, order = row_order(spec)
    lines = ((order(batch), format_rows(spec, batch, "", "\n")) for batch in _taken(spec, side, digests))
    for part in in_key_order(schema, lines):
        for line in part.splitlines():
            yield {name: bytes(text).decode() for name, text in _ROW.decode(line).items()}


def _taken(spec: TableSpec, side: RowSource, digests: pa.Table) -> Iterator[pa.RecordBatch]:
    left = Counter(digests.column(0).to_pylist())
    for batch in side.read(BATCH_ROWS):
        rows = []
        for row, digest in enumerate(row_digests(spec, batch).to_pylist()):
            if left[digest] > 0:
                left[digest] -= 1
                rows.append(row)
        if rows:
            yield batch.take(pa.array(rows, pa.int64()))
