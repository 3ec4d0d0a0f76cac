"""Rows that share a key: where the database does not keep it unique, though the models or the user say so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce
from itertools import islice
from shlex import quote as shell
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.compute.key_checks import KeyChecks
from toolkit.core.batches import BATCH_ROWS, copied
from toolkit.core.digest import row_digests
from toolkit.core.values import python_scalar, show_key
from toolkit.engines.portable.connection import batch_key
from toolkit.errors import RepeatedKeyError, UnrepresentableValueError

if TYPE_CHECKING:
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Connection
    from toolkit.operations.transfer.sources import Source

_COUNT = "count_all"


def require_given_keys(specs: Iterable[TableSpec], source: Source, name: str) -> None:
    """Check that no two rows of a side share a key that the table does not have by itself, and that no part is NULL.

    Raises:
        RepeatedKeyError, UnrepresentableValueError: the first table of which that is not so.
    """
    for spec in specs:
        if not spec.key or spec.has_own_key:
            continue
        with KeyChecks() as checks:
            if checks.duplicates(_numbered(spec, source, name), 1):
                raise repeated_key(source, spec, name) or RepeatedKeyError(name, spec.name, ", ".join(spec.key))


def _numbered(spec: TableSpec, source: Source, name: str) -> Iterator[pa.RecordBatch]:
    """The digest of each row's key, by which rows are compared, and a number."""
    narrow, first = spec.project(spec.key), 0
    for batch in source.repository(narrow).read(BATCH_ROWS):
        for column in spec.key:
            if batch.column(column).null_count:
                raise UnrepresentableValueError(
                    spec.name,
                    batch_key(spec, batch, pc.index(batch.column(column).is_null(), True).as_py()),
                    column,
                    f"is NULL in {name}, and part of the key, by which rows are told apart",
                    f"Name columns that are never NULL: --key {shell(spec.name)}:COL,COL; or leave the table out: "
                    f"--exclude {shell(spec.name)}.",
                )
        numbers = pa.array(range(first, first + batch.num_rows), pa.int64())
        yield pa.record_batch([row_digests(narrow, batch), numbers], names=["key", "number"])
        first += batch.num_rows


def repeated_key(source: Source | Connection, spec: TableSpec, name: str) -> RepeatedKeyError | None:
    """The first key that several rows have; None if none is."""
    if not spec.key:
        return None
    repository, names = source.repository(spec), list(spec.key)
    keys = pa.Table.from_batches([copied(batch, names) for batch in repository.read(BATCH_ROWS)], spec.key_schema)
    counts = keys.group_by(names, use_threads=False).aggregate([([], _COUNT)])
    several = counts.filter(pc.greater(counts.column(_COUNT), 1)).slice(0, 1)
    if not several.num_rows:
        return None
    # Not read by their key: a database may have it in two forms, and finds neither of them by a third.
    rows = islice(_of_key(repository.read(BATCH_ROWS), several), 2)
    shown = [_shown(spec, batch) for batch in rows]
    key = batch_key(spec, several.to_batches()[0], 0)
    return RepeatedKeyError(name, spec.name, key, several.column(_COUNT)[0].as_py(), shown)


def _of_key(batches: Iterable[pa.RecordBatch], key: pa.Table) -> Iterator[pa.RecordBatch]:
    """The rows with this key, each by itself."""
    for batch in batches:
        equal = (pc.equal(batch.column(name), key.column(name)[0]) for name in key.column_names if name != _COUNT)
        for row in pc.indices_nonzero(reduce(pc.and_, equal)).to_pylist():
            yield batch.slice(row, 1)


def _shown(spec: TableSpec, batch: pa.RecordBatch) -> str:
    types = tuple(column.type for column in spec.columns)
    return show_key(spec.column_names, types, tuple(python_scalar(batch.column(n)[0]) for n in spec.column_names))
