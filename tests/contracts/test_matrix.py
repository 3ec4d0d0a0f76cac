"""Every logical type over every ordered pair of engines: copied exactly, and one changed value is seen."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from tests.contracts import schema
from tests.operations.databases import create
from toolkit.config import Config, Database
from toolkit.core.canonical_json import canonical_documents
from toolkit.core.progress import Silent
from toolkit.core.tables import TableSpec
from toolkit.core.types import JSON_KINDS
from toolkit.engines import connect
from toolkit.operations.transfer.execution import execute
from toolkit.operations.transfer.options import Options
from toolkit.operations.transfer.planning import plan_table

ENGINES = ("sqlite", "postgres", "duckdb", "lake")
# What goes from one engine to another is in the canonical form: the matrix shows that for every value and every pair.
# What does not depend on the pair is shown with each engine as the source once and as the target once.
RING = [("sqlite", "postgres"), ("postgres", "duckdb"), ("duckdb", "sqlite")]


@pytest.fixture(name="config")
def _config(config: Config, tmp_path: Path) -> Config:
    """The tests' databases, and two lakes."""
    lakes = {name: Database(name, f"delta+file://{tmp_path}/{name}") for name in ("lake", "lake2")}
    return replace(config, databases={**config.databases, **lakes})


def write(config: Config, name: str, spec: TableSpec, batch: pa.RecordBatch) -> None:
    """Create the table in a database and put rows there."""
    create(config.database(name), spec.table.metadata)
    with connect(config.database(name), write=True) as connection:
        connection.repository(spec).upsert_many([batch])
        connection.commit()


def read(config: Config, name: str, spec: TableSpec) -> pa.Table:
    """All rows of a table, ordered by key."""
    with connect(config.database(name)) as connection:
        batches = list(connection.repository(spec).read())
    return pa.Table.from_batches(batches, spec.schema).sort_by(spec.key[0])


def exact(values: pa.Array) -> list[object]:
    """Values such that equal means equal: floats by their digits, -0.0 and NaN included."""
    return [value.hex() if isinstance(value, float) else value for value in values.to_pylist()]


def copy(config: Config, source: str, target: str, spec: TableSpec) -> tuple[int, int, int]:
    """Sync one table; rows inserted, updated, unchanged."""
    with connect(config.database(source)) as origin, connect(config.database(target), write=True) as destination:
        plan = plan_table(origin.repository(spec), destination.repository(spec), spec, Silent())
        (result,) = execute([plan], origin, destination, Options(batch_rows=4), Silent())
        destination.commit()
    return result.inserted, result.updated, result.unchanged


@pytest.mark.parametrize("source", ENGINES)
def test_every_value_arrives_exactly_in_each_engine_and_a_second_run_writes_nothing(
    config: Config, second_postgres_url: str, source: str
) -> None:
    spec, batch = schema.spec(), schema.batch()
    write(config, source, spec, batch)
    expected = pa.Table.from_batches([batch]).sort_by("key")
    for engine in ENGINES:
        target = engine if engine != source else second_postgres_url if engine == "postgres" else f"{engine}2"
        write(config, target, spec, batch.slice(0, 0))

        assert copy(config, source, target, spec) == (batch.num_rows, 0, 0), engine

        arrived = read(config, target, spec)
        for column in spec.columns:
            sent, got = expected.column(column.name), arrived.column(column.name)
            if column.type.kind in JSON_KINDS and "postgres" in (source, engine):
                # jsonb keeps the document, not its text.
                sent, got = (canonical_documents(each.combine_chunks()) for each in (sent, got))
            assert exact(got) == exact(sent), (engine, column.name)
        assert copy(config, source, target, spec) == (0, 0, batch.num_rows), engine


def rows_of_one_value(spec: TableSpec, columns: Sequence[str]) -> pa.RecordBatch:
    """A row for each column of the table, with a value in this one if it is among `columns`; and a row of NULLs."""
    arrays = [pa.array([uuid.UUID(int=row).bytes for row in range(len(spec.columns))], spec.key_schema.field(0).type)]
    for number, column in enumerate(spec.columns[1:]):
        cells = [None] * len(spec.columns)
        if column.name in columns:
            cells[number] = schema.VALUES[column.name][0]
        arrays.append(pa.array(cells, column.type.arrow))
    return pa.record_batch(arrays, schema=spec.schema)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_single_changed_value_is_an_update_of_that_row(config: Config, engine: str) -> None:
    spec = schema.spec()
    columns = spec.column_names[1:]
    write(config, "sqlite2", spec, rows_of_one_value(spec, columns))
    write(config, engine, spec, rows_of_one_value(spec, ()))

    with connect(config.database("sqlite2")) as origin, connect(config.database(engine)) as destination:
        planned = plan_table(origin.repository(spec), destination.repository(spec), spec, Silent()).changes
    assert planned is not None
    changed = {uuid.UUID(bytes=key).int for key in planned.column("key").to_pylist()}
    assert [name for row, name in enumerate(columns) if row not in changed] == []
    assert copy(config, "sqlite2", engine, spec) == (0, len(columns), 1)
    assert copy(config, "sqlite2", engine, spec) == (0, 0, len(columns) + 1)
