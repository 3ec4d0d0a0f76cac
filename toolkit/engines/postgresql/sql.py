"""PostgreSQL's side of the canonical form, by rows: digests, segments, COPY encoders, keys, and what reads give."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from pgpq import ArrowToPostgresBinaryEncoder
from pgpq.encoders import StringEncoderBuilder
from pgpq.schema import Jsonb
from psycopg.sql import Identifier

from toolkit.core.logical import INTEGER_KINDS, Kind
from toolkit.core.tables import ColumnSpec, TableSpec
from toolkit.core.values import shortened
from toolkit.engines.portable.adapters import MisfitError
from toolkit.engines.portable.codec import MISFITS
from toolkit.engines.postgresql.adapters import CODEC

# Where a statement takes its value. No identifier can hold this character, as one can `%s` or `$1`.
VALUE = "\x00"


# Keys by which other engines store rows, and that take little to compare: a collation's order is none of theirs.
_ORDERED = {Kind.UUID, Kind.BYTES, *INTEGER_KINDS}


def in_order(spec: TableSpec) -> str:
    """The order in which the rows of `t` are best read, if there is one."""
    keys = [spec.column(name) for name in spec.key if spec.is_read_by_key]
    if not keys or any(column.type.kind not in _ORDERED for column in keys):
        return ""
    return f" ORDER BY {', '.join(CODEC.adapter(each).fetch(f't.{quoted(each.name)}') for each in keys)}"


def quoted(name: str) -> str:
    """A quoted identifier."""
    # psycopg's own quoting: SQLAlchemy's also doubles percent signs, for statements that take parameters.
    return Identifier(name).as_string(None)


def qualified(table: sa.Table) -> str:
    """A table's quoted name, with its schema."""
    return f"{quoted(table.schema)}.{quoted(table.name)}" if table.schema else quoted(table.name)


def literal(text: str) -> str:
    """A string as a quoted literal; `standard_conforming_strings` must be on."""
    return "'" + text.replace("'", "''") + "'"


def row_digest_expression(spec: TableSpec, quoted: Callable[[str], str], version: int) -> str:
    """The hexadecimal MD5 of a row's canonical bytes, for a server of this version."""
    values = ", ".join(CODEC.adapter(column).digest(quoted(column.name), version) for column in spec.columns)
    return f"md5(record_send(ROW({values})))"


def digest_word(digest: str) -> str:
    """The first 64 bits of a hexadecimal digest, as a signed integer."""
    return f"('x' || left({digest}, 16))::bit(64)::bigint"


def wrapped(total: str) -> str:
    """A sum of any size as a signed integer of 64 bits, modulo 2**64."""
    return f"((({total} % {2**64}) + {2**64 + 2**63}) % {2**64} - {2**63})::bigint"


def segment_expression(digest: str, count: int) -> str:
    """The number of the segment, of so many, that a row of a digest belongs to (see `toolkit.compute.segments`)."""
    return f"('x' || left({digest}, 4))::bit(16)::int & {count - 1}"


def within_segments(digest: str, count: int, segments: Collection[int]) -> str:
    """The condition of the rows in these segments of so many.

    One bit for each segment, 8 KB at most: an array would be searched anew for each row, and one that comes as a
    parameter be parsed anew, too (1,000,000 rows in 1,000 of 16,384 segments: 40 s instead of 2 s).
    """
    chosen = np.zeros(count, np.uint8)
    chosen[list(segments)] = 1
    bitmap = np.packbits(chosen, bitorder="little").tobytes().hex()
    return f"get_bit('\\x{bitmap}'::bytea, {segment_expression(digest, count)}) = 1"


def copy_schema(spec: TableSpec) -> pa.Schema:
    """The Arrow schema of what the binary COPY is made of."""
    return pa.schema([pa.field(column.name, CODEC.adapter(column).copy_type) for column in spec.columns])


def encoder(spec: TableSpec, wires: dict[str, str]) -> ArrowToPostgresBinaryEncoder:
    """The binary COPY encoder of a table's rows."""
    schema = copy_schema(spec)
    encoders = {
        field.name: StringEncoderBuilder.new_with_output(field, Jsonb())
        if wires[field.name] == "jsonb"
        else ArrowToPostgresBinaryEncoder.infer_encoder(field)
        for field in schema
    }
    return ArrowToPostgresBinaryEncoder.new_with_encoders(schema, encoders)


def canonical_batch(spec: TableSpec, fetched: pa.RecordBatch) -> pa.RecordBatch:
    """A batch that ADBC returned for what the columns' adapters fetch, in the canonical schema.

    Raises:
        UncarriedValueError: a value that cannot travel.
    """
    columns = [_canonical(column, values) for column, values in zip(spec.columns, fetched.columns, strict=True)]
    return pa.record_batch(columns, schema=spec.schema)


def _canonical(column: ColumnSpec, values: pa.Array) -> pa.Array:
    adapter = CODEC.adapter(column)
    try:
        return adapter.incoming(values)
    except MisfitError as error:
        raise UncarriedValueError(error.row, column.name, error.problem) from error
    except MISFITS as error:
        for row in range(len(values)):
            try:
                adapter.incoming(values.slice(row, 1))
            except MISFITS:
                held = shortened(str(values[row]))
                raise UncarriedValueError(row, column.name, f"holds {held}, which is no {adapter.type.kind}") from error
        raise


class UncarriedValueError(ValueError):
    """A value of a fetched batch that has no canonical form: its row in the batch, its column, and why."""

    def __init__(self, row: int, column: str, problem: str) -> None:
        self.row, self.column, self.problem = row, column, problem
        super().__init__(f"row {row}, column {column}: {problem}")


def key_documents(spec: TableSpec, keys: pa.Table) -> list[dict[str, Any]]:
    """Keys as objects that `jsonb_to_recordset` turns back into typed columns, named k0, k1 and so on."""
    adapters = [CODEC.adapter(spec.column(name)) for name in keys.column_names]
    rows = zip(*(column.to_pylist() for column in keys.columns), strict=True)
    return [
        {f"k{i}": None if v is None else a.text(v) for i, (a, v) in enumerate(zip(adapters, row, strict=True))}
        for row in rows
    ]
