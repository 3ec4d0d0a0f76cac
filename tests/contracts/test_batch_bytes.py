"""Rows of any width are read whole, in batches of so many bytes, by every engine and by every way."""

from __future__ import annotations

import itertools

import pyarrow as pa
import pytest
import sqlalchemy as sa

from tests.contracts.suite import repository
from tests.operations.databases import create
from toolkit.compute.stored_digest import StoredDigest
from toolkit.config import Config, Database
from toolkit.core.digest import digest_batches
from toolkit.core.tables import TableSpec, select_tables
from toolkit.engines import connect
from toolkit.engines.duckdb.table import DuckDBRepository
from toolkit.engines.portable.table import TableRepository
from toolkit.engines.sqlite.table import SqliteRepository
from toolkit.errors import StatementError

METADATA = sa.MetaData()
sa.Table(
    "page",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("body", sa.Text),
    sa.Column("raw", sa.LargeBinary),
)
# 170 rows of three columns, as they count without their texts: of the widest row, fewer than one.
BYTES = 170 * 3 * 32


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TableRepository, "batch_bytes", BYTES)
    monkeypatch.setattr(DuckDBRepository, "group_bytes", BYTES)
    monkeypatch.setattr("toolkit.engines.sqlite.table._SORTED_BYTES", BYTES)


@pytest.fixture
def spec() -> TableSpec:
    (found,) = select_tables(METADATA)
    return found


@pytest.fixture
def page(database: Database, spec: TableSpec) -> pa.RecordBatch:
    """Rows as narrow as most, wide ones, and some wider than a batch, all mixed, in a database."""
    widths = [(0, 3, 150, 700, 3_000, 9_000, 40_000)[number * 5 % 7] for number in range(300)]
    bodies = [None if number % 11 == 5 else "é" * (width // 2) for number, width in enumerate(widths)]
    raws = [None if number % 13 == 5 else b"\0" * (width // 3) for number, width in enumerate(widths)]
    batch = pa.record_batch([pa.array(range(300), pa.int32()), bodies, raws], schema=spec.schema)
    create(database, METADATA)
    with connect(database, write=True) as connection:
        connection.repository(spec).load([batch], batch.num_rows)
        connection.commit()
    return batch


def test_every_row_is_read_in_batches_of_so_many_bytes(
    database: Database, spec: TableSpec, page: pa.RecordBatch
) -> None:
    every = pa.Table.from_batches([page.select(["id"])])
    for kind, writes, keys in itertools.product(["fast", "portable"], [False, True], [None, every]):
        with connect(database, write=writes) as connection:
            if writes:
                connection.stop_reading()
            batches = list(repository(connection, kind, spec).read(keys=keys))
        way = (kind, writes, keys is not None)
        assert pa.Table.from_batches(batches).sort_by("id").to_pylist() == page.to_pylist(), way
        assert all(batch.num_rows == 1 or batch.nbytes <= BYTES for batch in batches), way
        assert len(batches) < 200, way


def test_what_is_written_in_parts_is_all_there(database: Database, spec: TableSpec, page: pa.RecordBatch) -> None:
    with connect(database, write=True) as connection:
        own = connection.repository(spec)
        assert own.upsert_many([page.slice(0, 150), page.slice(150)]) == 300
        assert own.digest() == digest_batches(spec, [page])
        assert own.width(pa.table({"id": pa.array([4, 5], pa.int32())})) <= sum(page.slice(4, 2).nbytes for _ in "12")
        if connection.capabilities.keeps_text_of_json:
            with StoredDigest() as stored:
                assert own.stored_digest() == stored.of(page)


def test_a_scan_by_width_that_lacks_rows_is_refused(
    config: Config, spec: TableSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(config.database("sqlite"), METADATA)
    monkeypatch.setattr(SqliteRepository, "count", lambda _: 1)
    with connect(config.database("sqlite")) as connection, pytest.raises(StatementError, match="each time"):
        list(connection.repository(spec).read())
