"""Keys that look alike, or that engines compare each in its own way, from and into every engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest

from tests.contracts.test_matrix import RING
from tests.operations import hard_keys
from tests.operations.databases import create
from tests.operations.outcomes import counts
from toolkit.compute import changes
from toolkit.config import Config, Database, load_config
from toolkit.engines import connect
from toolkit.operations.sync import sync
from toolkit.operations.transfer.deletes import DeleteLimit
from toolkit.operations.transfer.options import Mode, Options

# Between two servers of PostgreSQL rows go as they are sent.
PAIRS = [*RING, ("postgres", "postgres2")]
REPLACE = Options(mode=Mode.REPLACE, max_delete=DeleteLimit(0, 1.0), batch_rows=7)


@pytest.fixture
def pair(config: Config, request: pytest.FixtureRequest, target: str) -> Config:
    """Databases of each engine, two of PostgreSQL too if they are needed."""
    if target != "postgres2":
        return config
    second = Database("postgres2", request.getfixturevalue("second_postgres_url"), config.root)
    return replace(config, databases={**config.databases, "postgres2": second})


def write(database: Database, batches: Mapping[str, pa.RecordBatch]) -> None:
    """Put rows there."""
    with connect(database, write=True) as connection:
        for spec in hard_keys.specs():
            connection.repository(spec).upsert_many([batches[spec.name]])
        connection.commit()


def digests(database: Database) -> dict[str, str]:
    with connect(database) as connection:
        return {spec.name: connection.repository(spec).digest().text for spec in hard_keys.specs()}


def changed(batch: pa.RecordBatch, row: int) -> pa.RecordBatch:
    """One row of a batch, with another value."""
    one = batch.slice(row, 1)
    return one.set_column(one.num_columns - 1, one.schema.field("value"), pa.array(["changed"]))


# Many rows are compared by DuckDB, few without.
COMPARED = [*((*pair, 1_000) for pair in PAIRS), ("postgres", "sqlite", 0)]


@pytest.mark.slow
@pytest.mark.parametrize(("source", "target", "few_rows"), COMPARED)
def test_of_look_alike_keys_only_what_changed_is_written_and_only_what_went_is_deleted(
    pair: Config, monkeypatch: pytest.MonkeyPatch, source: str, target: str, few_rows: int
) -> None:
    monkeypatch.setattr(changes, "_FEW_ROWS", few_rows)
    config = replace(pair, metadata="tests.operations.hard_keys:metadata", migrations=pair.root / "none")
    ends = config.database(source), config.database(target)
    batches = hard_keys.rows()
    for database in ends:
        create(database, hard_keys.metadata)
    write(ends[0], batches)
    first = counts(sync(config, source, target, options=Options(batch_rows=7)))
    assert first == {name: (batch.num_rows, 0, 0, 0) for name, batch in batches.items()}
    assert digests(ends[0]) == digests(ends[1])

    with connect(ends[0], write=True) as connection:
        for spec in hard_keys.specs():
            repository, batch = connection.repository(spec), batches[spec.name]
            repository.upsert_many([changed(batch, 1)])
            keys = pa.Table.from_batches([batch.slice(0, 1)]).select(list(spec.key))
            assert repository.delete_many(keys) == 1
        connection.commit()
    second = counts(sync(config, source, target, options=REPLACE))
    assert second == {name: (0, 1, batch.num_rows - 2, 1) for name, batch in batches.items()}
    assert digests(ends[0]) == digests(ends[1])


def test_documents_that_are_keys_are_found_by_what_they_say(
    tmp_path: Path, postgres_url: str, second_postgres_url: str
) -> None:
    urls = {"TOOLKIT_ONE_URL": postgres_url, "TOOLKIT_TWO_URL": second_postgres_url}
    for url, value in zip(urls.values(), ("new", "old"), strict=True):
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("CREATE TABLE t (id jsonb PRIMARY KEY, v text)")
            for document in ('{"aa": [1.50], "b": "\\""}', "2", '"text"'):
                connection.execute("INSERT INTO t VALUES (%s, %s)", (document, value))
    config = load_config(tmp_path, urls)
    (result,) = sync(config, "one", "two").tables
    assert (result.updated, result.verified) == (3, True)
