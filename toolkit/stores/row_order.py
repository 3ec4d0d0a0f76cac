"""The order of a table's rows in a fixture: by their key, or without one by all columns, as far as that is of use."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.core.batches import has_fixed_width
from toolkit.core.digest import DIGEST, DIGEST_FIELD, row_digests

if TYPE_CHECKING:
    from toolkit.core.tables import TableSpec

# Of texts and bytes without a key so much counts: what is sorted stays small, however wide the rows are.
_PREFIX = 64

Order = tuple[pa.Schema, Callable[[pa.RecordBatch], list[pa.Array]]]


def row_order(spec: TableSpec) -> Order:
    """What rows are ordered by: its schema, and the function that gives it of a batch.

    Without a key, rows that are equal so far are in the order of their digests: only equal rows are in none.
    """
    if spec.key:
        return spec.key_schema, lambda batch: [batch.column(name) for name in spec.key]
    names = [field.name for field in spec.schema if has_fixed_width(field.type) or _has_prefix(field.type)]
    fields = [spec.schema.field(name) for name in names]
    schema = pa.schema([*fields, pa.field(DIGEST_FIELD, DIGEST)])
    return schema, lambda batch: [*(_begin(batch.column(name)) for name in names), row_digests(spec, batch)]


def _has_prefix(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_binary(type_))


def _begin(values: pa.Array) -> pa.Array:
    if pa.types.is_string(values.type):
        return pc.utf8_slice_codeunits(values, 0, _PREFIX)
    return pc.binary_slice(values, 0, _PREFIX) if pa.types.is_binary(values.type) else values
