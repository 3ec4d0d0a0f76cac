"""The readers of what others wrote, each as a function of bytes that must end in rows or in an error of ours.

Whatever a reader of fixtures takes must stay what it is: written out and read again, and through the forms in which
SQLite and PostgreSQL are given it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pyarrow as pa

from tests.fuzz.tables import CHILD
from toolkit.core.digest import digest_batches
from toolkit.core.problems import Problems
from toolkit.engines.postgresql.adapters import CODEC
from toolkit.engines.postgresql.sql import copy_schema, encoder
from toolkit.engines.sqlite.adapters import SqliteCodec
from toolkit.errors import FixtureProblemsError, UnrepresentableValueError
from toolkit.stores.fixture_files import FileForm, Format
from toolkit.stores.fixture_reader import FixtureReader
from toolkit.stores.fixture_writer import format_rows

_CODEC = SqliteCodec()
_WIRES = {column.name: CODEC.adapter(column).wire_for("jsonb") for column in CHILD.columns}


def read_json(content: bytes, size: int = 1 << 20) -> int:
    """An array; the number of rows that were read."""
    return _read(content, size, Format.JSON)


def read_lines(content: bytes, size: int = 1 << 20) -> int:
    """JSON lines."""
    return _read(content, size, Format.JSONL)


def read_csv(content: bytes, size: int = 1 << 20) -> int:
    """A header and rows."""
    return _read(content, size, Format.CSV)


def _read(content: bytes, size: int, form: Format) -> int:
    batches = _rows(content, size, form)
    for batch in batches:
        # A row without a key gets one later.
        _require_same(batch.filter(batch.column("id").is_valid()))
    return sum(batch.num_rows for batch in batches)


def _rows(content: bytes, size: int, form: Format) -> list[pa.RecordBatch]:
    """The rows, without what was noted of them; none if there is anything wrong."""
    problems = Problems()
    chunks: Iterator[bytes] = (content[at : at + size] for at in range(0, len(content), size))
    try:
        batches = list(FixtureReader(CHILD, "child", problems).batches(chunks, FileForm(form)))
        problems.raise_if_any()
    except FixtureProblemsError:
        return []
    return [batch.select(list(CHILD.column_names)) for batch in batches]


def _require_same(batch: pa.RecordBatch) -> None:
    digest = digest_batches(CHILD, [batch])
    with suppress(UnrepresentableValueError):
        text = "\n".join(format_rows(CHILD, batch).to_pylist()).encode()
        assert digest_batches(CHILD, _rows(text, 1 << 20, Format.JSONL)) == digest, "written and read again"
    with suppress(UnrepresentableValueError):
        stored = _CODEC.encode(CHILD, batch, "sqlite")
        assert digest_batches(CHILD, [_CODEC.decode(CHILD, stored)]) == digest, "as SQLite keeps it"
    wire = pa.record_batch(CODEC.outgoing(CHILD, batch, "postgres").columns, schema=copy_schema(CHILD))
    wires = encoder(CHILD, _WIRES)
    wires.write_header()
    wires.write_batch(wire)
