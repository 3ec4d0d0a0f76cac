"""The first row that is not in the target as it was sent, for the error that tells of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from toolkit.compute.changes import compare_rows
from toolkit.core.digest import DIGEST_FIELD, keyed_digests
from toolkit.core.streams import only
from toolkit.core.values import python_scalar, show_value
from toolkit.engines.portable.connection import batch_key
from toolkit.models.personal_data import personal_columns

if TYPE_CHECKING:
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Table

_SHOWN = 60


def first_difference(rows: Callable[[], Iterable[pa.RecordBatch]], target: Table, keys: pa.Table | None = None) -> str:
    """What was sent and what is there of the first row in which these rows and the target's (of these keys) differ."""
    spec = target.spec
    found = compare_rows(spec, _digests(spec, rows()), _digests(spec, target.read(keys=keys)), removed=True)
    assert found.removed is not None
    for differing in (found.changed, found.new, found.removed):
        if differing.num_rows:
            key = differing.select(list(spec.key)).slice(0, 1)
            return _told(spec, _one(only(rows(), key)), _one(target.read(keys=key)))
    return ""


def _digests(spec: TableSpec, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    return (keyed_digests(spec, batch) for batch in batches)


def _one(batches: Iterable[pa.RecordBatch]) -> pa.RecordBatch | None:
    return next((batch.slice(0, 1) for batch in batches if batch.num_rows), None)


def _told(spec: TableSpec, sent: pa.RecordBatch | None, there: pa.RecordBatch | None) -> str:
    if there is None:
        return "" if sent is None else f"{batch_key(spec, sent, 0)} was sent and is not there"
    if sent is None:
        return f"{batch_key(spec, there, 0)} is there and was not sent"
    hidden = personal_columns(spec.table.metadata).get(spec.name, frozenset())
    values = (
        f"{name} is another than was sent"
        if name in hidden
        else f"{name} {_shown(spec, sent, name)} was sent, {_shown(spec, there, name)} is there"
        for name in spec.column_names
        if not _is_same(spec, sent, there, name)
    )
    return f"{batch_key(spec, sent, 0)}: {'; '.join(values)}"


def _is_same(spec: TableSpec, sent: pa.RecordBatch, there: pa.RecordBatch, name: str) -> bool:
    narrow = spec.project((*spec.key, name))
    names = list(narrow.column_names)
    one, other = (keyed_digests(narrow, batch.select(names)).column(DIGEST_FIELD)[0] for batch in (sent, there))
    return bool(one == other)


def _shown(spec: TableSpec, batch: pa.RecordBatch, name: str) -> str:
    value = python_scalar(batch.column(name)[0])
    text = "NULL" if value is None else repr(show_value(spec.column(name).type, value))
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
