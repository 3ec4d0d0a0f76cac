"""PostgreSQL and this process cut a table into the same segments with the same digests, whatever its key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contracts import schema
from tests.contracts.suite import SPEC, filled
from tests.operations.databases import create
from tests.servers.tcp_proxy import in_front_of
from toolkit.compute.changes import compare, compare_rows
from toolkit.compute.segments import SegmentedDigests, SpooledDigests, segment_count
from toolkit.config import Config, Database
from toolkit.core.digest import keyed_digests
from toolkit.core.tables import select_tables
from toolkit.engines import connect
from toolkit.engines.contract import Table
from toolkit.engines.postgresql.connection import PostgresConnection

METADATA = sa.MetaData()
sa.Table(
    "pair",
    METADATA,
    sa.Column("a", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("b", sa.Text, primary_key=True),
    sa.Column("v", sa.Text),
)
BATCH = schema.batch()
PAIR = select_tables(METADATA)[0]
KEYS = st.tuples(st.integers(-3, 3), st.sampled_from(["", "x", "X ", "é", "\U0001f41f"]))


@pytest.fixture
def postgres(config: Config) -> Database:
    return config.database("postgres")


@pytest.mark.parametrize("key", SPEC.column_names)
def test_rows_have_the_same_segments_whatever_the_type_of_the_key(postgres: Database, tmp_path: Path, key: str) -> None:
    create(postgres, schema.metadata)
    filled(postgres, "fast", BATCH)
    spec = replace(SPEC, key=(key,))
    ours = SpooledDigests(spec, [keyed_digests(spec, BATCH)], 64, tmp_path / "digests").totals
    with connect(postgres) as connection:
        repository = connection.repository(spec)
        assert isinstance(repository, SegmentedDigests)
        theirs = repository.segment_totals(64)
    assert not ours.differing(theirs)
    assert theirs.digest.rows == BATCH.num_rows == ours.digest.rows


def batch(rows: dict[tuple[int, str], str]) -> pa.RecordBatch:
    columns = [[key[0] for key in rows], [key[1] for key in rows], list(rows.values())]
    return pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, PAIR.schema, strict=True)], schema=PAIR.schema)


@contextmanager
def holding(database: Database, rows: dict[tuple[int, str], str]) -> Iterator[Table]:
    """A database that holds just these rows."""
    with connect(database, write=True) as connection:
        METADATA.create_all(connection.sqlalchemy)
        connection.sqlalchemy.execute(sa.delete(PAIR.table))
        connection.repository(PAIR).upsert_many([batch(rows)])
        connection.commit()
    with connect(database) as connection:
        yield connection.repository(PAIR)


@pytest.mark.parametrize(
    ("source", "target"), [("sqlite", "postgres"), ("postgres", "duckdb"), ("postgres", "postgres")]
)
@settings(deadline=None, max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.tuples(*[st.dictionaries(KEYS, st.sampled_from(["1", "2"]), max_size=30)] * 2))
def test_segments_find_what_a_comparison_of_all_rows_finds(
    config: Config, source: str, target: str, rows: tuple[dict[tuple[int, str], str], dict[tuple[int, str], str]]
) -> None:
    ours, theirs = rows
    with (
        patch("toolkit.compute.segments._FEWEST_SEGMENTS", 2),
        holding(config.database(source), ours) as left,
        holding(config.database(target), ours if source == target else theirs) as right,
    ):
        found = compare(PAIR, left, right, removed=True, segment_rows=1)
    expected = compare_rows(
        PAIR,
        [keyed_digests(PAIR, batch(ours))],
        [keyed_digests(PAIR, batch(ours if source == target else theirs))],
        removed=True,
    )
    for name in ("new", "changed", "removed"):
        one, other = (getattr(each, name).to_pylist() for each in (found, expected))
        assert sorted(map(repr, one)) == sorted(map(repr, other))
    assert (found.unchanged, found.source, found.target) == (expected.unchanged, expected.source, expected.target)


def test_segments_are_a_power_of_two_and_worth_their_while() -> None:
    assert [segment_count(rows) for rows in (0, 4095, 4096, 4160, 1_000_000, 10**9)] == [1, 1, 64, 128, 16384, 65536]


def test_equal_tables_move_less_than_a_byte_a_row_and_scattered_changes_little_more(
    config: Config, postgres_url: str
) -> None:
    """A row's key and digest alone would be 40 bytes. Connecting takes the same 190 kB for any table."""
    few, many = ({(number, "x"): "1" for number in range(count)} for count in (5_000, 40_000))
    changed = many | {(number, "x"): "2" for number in range(0, 40_000, 10_000)}
    directory, name = postgres_url.partition("host=")[2], postgres_url.partition("@/")[2].partition("?")[0]
    moved = []
    with in_front_of(f"{directory}/.s.PGSQL.5432") as proxy:
        far = config.database(f"postgresql://postgres@127.0.0.1:{proxy.port}/{name}")
        for ours, theirs in ((few, few), (many, many), (many, changed)):
            with holding(config.database("sqlite"), ours) as source, holding(config.database("postgres"), theirs):
                proxy.limit(None)
                with connect(far) as connection:
                    # Over a network, who is silent is asked whether it is there.
                    assert isinstance(connection, PostgresConnection)
                    assert connection.raw.info.get_parameters()["keepalives_idle"] == "30"
                    found = compare(PAIR, source, connection.repository(PAIR))
                moved.append(proxy.passed)
            assert found.changed.num_rows == (4 if theirs is changed else 0)
    assert moved[1] - moved[0] < 35_000
    # Of two segments for each changed row (as it was, as it is), 40 keys and digests; and two queries more.
    assert moved[2] - moved[1] < 2 * 4 * 40 * 45 + 4_000
