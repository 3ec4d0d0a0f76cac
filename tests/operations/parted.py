"""A table of many rows in each engine, and its parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal

import pyarrow as pa
import sqlalchemy as sa

from tests.operations.databases import connected
from toolkit.config import Config, Database
from toolkit.core.tables import TableSpec, select_tables
from toolkit.engines import connect
from toolkit.engines.contract import Part, ReadsInParts, SharesSnapshot
from toolkit.operations.parts.work import DigestPart, Place, sent

METADATA = sa.MetaData()
ITEM = sa.Table(
    "item",
    METADATA,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("label", sa.Text),
    sa.Column("amount", sa.Numeric(20, 4)),
)
SPEC = select_tables(METADATA)[0]
ROWS = 4000


def fill(database: Database, rows: int = ROWS, *, first: int = 0) -> None:
    """Make the table, with rows in an order that is not that of their keys."""
    with connected(database) as connection:
        METADATA.create_all(connection)
    numbers = range(first, first + rows)
    columns = [
        [(i * 7919) % 1_000_003 for i in numbers],
        [f"item {i} " + "x" * (i % 90) for i in numbers],
        [Decimal(f"{i}.0100") for i in numbers],
    ]
    arrays = [pa.array(each, field.type) for each, field in zip(columns, SPEC.schema, strict=True)]
    with connect(database, write=True) as writing:
        writing.repository(SPEC).upsert_many([pa.record_batch(arrays, schema=SPEC.schema)])
        writing.commit()


def only(config: Config) -> Config:
    """The same databases without models."""
    return Config(config.root, config.databases)


@contextmanager
def parts_of(database: Database, size: int, spec: TableSpec = SPEC) -> Iterator[tuple[Place, Sequence[Part]]]:
    """A table cut into parts of about so many bytes, which others can read meanwhile."""
    with connect(database) as connection:
        assert isinstance(connection, SharesSnapshot)
        connection.lock_tables([spec])
        shared = connection.share()
        table = connection.repository(spec)
        assert isinstance(table, ReadsInParts)
        yield Place(database.name, None, shared), table.parts(size)
        connection.require_shared()


def asked(place: Place, part: Part, spec: TableSpec = SPEC, segments: int = 64) -> DigestPart:
    """What a worker is asked to do."""
    return DigestPart(place, sent(spec), part, segments)
