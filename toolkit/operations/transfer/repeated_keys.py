"""Rows of a source that share a key: the database there does not keep it unique, though the models say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.core.batches import BATCH_ROWS, copied
from toolkit.core.values import python_scalar, show_key
from toolkit.engines.portable.connection import batch_key
from toolkit.errors import RepeatedKeyError

if TYPE_CHECKING:
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Connection


def repeated_key(source: Connection, spec: TableSpec) -> RepeatedKeyError | None:
    """The first key that several rows have; None if none is."""
    if not spec.key:
        return None
    repository, names = source.repository(spec), list(spec.key)
    keys = pa.Table.from_batches([copied(batch, names) for batch in repository.read(BATCH_ROWS)], spec.key_schema)
    counts = keys.group_by(names, use_threads=False).aggregate([([], "count_all")])
    several = counts.filter(pc.greater(counts.column("count_all"), 1)).slice(0, 1)
    if not several.num_rows:
        return None
    rows = pa.Table.from_batches(repository.read(keys=several.select(names)), spec.schema)
    shown = [_shown(spec, batch) for batch in rows.slice(0, 2).to_batches(max_chunksize=1)]
    key = batch_key(spec, rows.to_batches()[0], 0)
    return RepeatedKeyError(source.name, spec.name, key, several.column("count_all")[0].as_py(), shown)


def _shown(spec: TableSpec, batch: pa.RecordBatch) -> str:
    types = tuple(column.type for column in spec.columns)
    return show_key(spec.column_names, types, tuple(python_scalar(batch.column(n)[0]) for n in spec.column_names))
