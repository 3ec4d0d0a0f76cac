"""A table in parts: each row is in one of them, and their receipts add up to the whole, in any order."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import reduce
from itertools import pairwise
from operator import add

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts import schema
from tests.executors import forked
from tests.executors.here import open_here
from tests.operations.databases import connected
from tests.operations.parted import ITEM, ROWS, SPEC, asked, fill, only, parts_of
from toolkit.compute.receipts import Receipt
from toolkit.compute.segments import SegmentTotals
from toolkit.config import Config, Database
from toolkit.core.digest import TableDigest
from toolkit.engines import connect
from toolkit.engines.contract import Part, ReadsInParts
from toolkit.errors import ChangedWhileReadError, SnapshotLostError
from toolkit.operations.diff.compare import Status, diff
from toolkit.operations.parts.crew import WorkerOptions
from toolkit.operations.parts.work import digest_part, sent
from toolkit.operations.sync import sync


@pytest.fixture
def full(database: Database) -> Database:
    fill(database)
    return database


def receipts(database: Database, size: int) -> list[Receipt]:
    with parts_of(database, size) as (place, parts):
        return [digest_part(asked(place, part), {database.name: database})[1] for part in parts]


@pytest.mark.slow
def test_receipts_of_the_parts_of_a_table_add_up_to_its_digest(full: Database) -> None:
    with connect(full) as connection:
        whole = connection.repository(SPEC).digest()
    assert whole.rows == ROWS
    counts = set()
    for size in (1 << 30, 100_000, 20_000):
        found = receipts(full, size)
        random.shuffle(found)
        assert reduce(add, (each.digest for each in found)) == whole
        totals = SegmentTotals.empty(64)
        for each in found:
            totals.add_all(each.totals)
        assert totals.digest == whole
        counts.add(len(found))
    # DuckDB cuts along row groups, of which these rows are one.
    assert len(counts) == (1 if full.engine_name == "duckdb" else 3)


@given(st.data())
def test_any_cut_of_rows_in_any_order_gives_the_digest_of_the_whole(data: st.DataObject) -> None:
    words = data.draw(st.lists(st.integers(0, 2**64 - 1), max_size=40))
    whole = sum((TableDigest(1, word) for word in words), TableDigest())
    cut = data.draw(st.lists(st.integers(0, 5), min_size=len(words), max_size=len(words)))
    parts = [
        sum((TableDigest(1, w) for w, c in zip(words, cut, strict=True) if c == n), TableDigest()) for n in range(6)
    ]
    assert sum(data.draw(st.permutations(parts)), TableDigest()) == whole


def test_each_row_is_in_one_part_wherever_blocks_are_cut(config: Config) -> None:
    """Cuts are drawn: PostgreSQL's own are even, and those of an engine that knows others are not."""
    database = config.database("postgres")
    fill(database, 500)

    with connect(database) as connection:
        table = connection.repository(SPEC)
        assert isinstance(table, ReadsInParts)
        whole = table.digest()

        @given(st.lists(st.integers(0, 60), max_size=6, unique=True).map(sorted), st.randoms())
        def holds(bounds: list[int], order: random.Random) -> None:
            ends = [None, *bounds, None]
            parts = [Part(i, _between(low, high)) for i, (low, high) in enumerate(pairwise(ends))]
            order.shuffle(parts)
            found = (table.part(part).digest() for part in parts)
            assert sum(found, TableDigest()) == whole

        holds()


def _between(low: int | None, high: int | None) -> str:
    above = "true" if low is None else f"ctid >= '({low},0)'::tid"
    return above if high is None else f"{above} AND ctid < '({high},0)'::tid"


@pytest.mark.slow
def test_parts_see_the_snapshot_that_was_shared_whatever_others_commit_meanwhile(config: Config) -> None:
    database = config.database("postgres")
    fill(database)
    with ExitStack() as stack:
        place, parts = stack.enter_context(parts_of(database, 20_000))
        with connect(database) as connection:
            before = connection.repository(SPEC).digest()
        found = TableDigest()
        for number, part in enumerate(parts):
            with psycopg.connect(database.address) as other:
                # Keys move, rows go to other blocks, the table grows beyond its last one, old rows could be cleared.
                moved = (10_000_000 * (number + 1), number % 7)
                other.execute("UPDATE item SET id = id + %s WHERE mod(id, 7) = %s", moved)
                other.execute("DELETE FROM item WHERE mod(id, 11) = %s", (number % 11,))
                new = 5_000_000 + number * 1000
                other.execute("INSERT INTO item SELECT i FROM generate_series(%s::int, %s) i", (new, new + 500))
            found += digest_part(asked(place, part), {database.name: database})[1].digest
    assert found == before
    assert len(parts) > 3


def test_a_partitioned_table_is_cut_across_its_partitions_and_a_view_is_not(config: Config) -> None:
    database = config.database("postgres")
    with connected(database) as connection:
        for statement in (
            "CREATE TABLE item (id bigint, label text, amount numeric(20,4)) PARTITION BY RANGE (id)",
            "CREATE TABLE low PARTITION OF item FOR VALUES FROM (0) TO (300)",
            "CREATE TABLE high PARTITION OF item DEFAULT",
            "INSERT INTO item SELECT i, repeat('x', 200), i FROM generate_series(1, 3000) i",
            "CREATE VIEW seen AS SELECT * FROM item",
        ):
            connection.execute(sa.text(statement))
    with connect(database) as connection:
        whole = connection.repository(SPEC).digest()
        view = connection.repository(replace(SPEC, table=ITEM.to_metadata(sa.MetaData(), name="seen")))
        assert isinstance(view, ReadsInParts)
        assert len(view.parts(1)) == 1
    found = receipts(database, 100_000)
    assert len(found) > 3
    assert sum((each.digest for each in found), TableDigest()) == whole


def test_a_snapshot_that_is_gone_is_told_as_such(config: Config) -> None:
    database = config.database("postgres")
    fill(database, 10)
    with parts_of(database, 1 << 30) as (place, parts):
        pass
    with pytest.raises(SnapshotLostError, match="has ended"):
        digest_part(asked(place, parts[0]), {database.name: database})


@pytest.mark.parametrize("has_log", [True, False], ids=["wal", "journal"])
def test_a_file_that_is_written_to_while_several_read_it_is_refused_or_read_from_a_copy(
    config: Config, has_log: bool
) -> None:
    database = config.database("sqlite")
    fill(database, 500)
    if has_log:
        with connected(database) as connection:
            connection.execute(sa.text("PRAGMA journal_mode = WAL"))
    with connect(database) as connection:
        before = connection.repository(SPEC).digest()
    with pytest.raises(ChangedWhileReadError) if has_log else ExitStack(), parts_of(database, 8_000) as (place, parts):
        first, *rest = parts
        found = digest_part(asked(place, first), {database.name: database})[1].digest
        with connected(database) as connection:
            connection.execute(sa.update(ITEM).values(label="changed"))
        for part in rest:
            found += digest_part(asked(place, part), {database.name: database})[1].digest
    assert (found == before) is not has_log


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_parts_of_a_lake_are_files_that_no_commit_changes(config: Config, workers: WorkerOptions) -> None:
    lake = Database("lake", f"delta+file://{config.root}/lake", config.root)
    both = replace(only(config), databases={**config.databases, "lake": lake})
    fill(config.database("postgres"))
    sync(both, "postgres", "lake", ["item"])
    fill(config.database("postgres"), 500, first=ROWS)
    sync(both, "postgres", "lake", ["item"])
    with connect(lake) as connection:
        before = connection.repository(SPEC).digest()
    with parts_of(lake, 10_000) as (place, parts):
        with connected(config.database("postgres")) as connection:
            connection.execute(sa.update(ITEM).values(label="changed"))
        sync(both, "postgres", "lake", ["item"])
        found = (digest_part(asked(place, part), {"lake": lake})[1].digest for part in parts)
        assert sum(found, TableDigest()) == before
    with connect(lake) as connection:
        table = connection.repository(SPEC)
        assert isinstance(table, ReadsInParts)
        assert [table.covers(each) for each in (parts, table.parts())] == [False, True]
    assert len(parts) > 1
    assert diff(both, "postgres", "lake", ["item"], workers=workers).equal


def test_tables_of_every_type_can_be_sent_to_a_worker() -> None:
    for spec in (schema.spec(), schema.decorated_spec()):
        again = pickle.loads(pickle.dumps(sent(spec)))
        assert again.columns == spec.columns
        assert again.table.c.keys() == spec.table.c.keys()


@pytest.fixture
def workers() -> WorkerOptions:
    return WorkerOptions("local:2", part_bytes=90_000)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process is started: what parts are asked for is the same."""
    monkeypatch.setattr("toolkit.operations.parts.crew.open_executor", open_here)


@pytest.fixture
def processes() -> Iterator[None]:
    """Workers that are processes, whose start takes little time."""
    with forked.workers():
        yield


# Whether other processes may open a file meanwhile, only processes show.
@pytest.mark.slow
@pytest.mark.parametrize(("source", "target", "is_here"), [("postgres", "sqlite", True), ("duckdb", "sqlite2", False)])
def test_a_diff_by_workers_finds_what_one_without_them_finds(
    request: pytest.FixtureRequest, config: Config, workers: WorkerOptions, source: str, target: str, is_here: bool
) -> None:
    request.getfixturevalue("here" if is_here else "processes")
    for name in (source, target):
        fill(config.database(name))
    assert diff(only(config), source, target, ["item"]).equal
    with connected(config.database(target)) as connection:
        connection.execute(sa.update(ITEM).where(ITEM.c.id == 7919).values(label="other"))
        connection.execute(sa.delete(ITEM).where(ITEM.c.id == 2 * 7919))
    alone, together = (diff(only(config), source, target, ["item"], rows=5, workers=each) for each in (None, workers))
    (one,), (other,) = alone.tables, together.tables
    assert (one.added, one.changed, one.removed, one.unchanged) == (1, 1, 0, ROWS - 2)
    assert (other.status, one.rows) == (Status.DIFFERS, other.rows)
    assert (one.source_digest, one.target_digest) == (other.source_digest, other.target_digest)
    assert (other.added, other.changed, other.removed, other.unchanged) == (1, 1, 0, ROWS - 2)


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_a_condition_holds_in_every_part(config: Config, workers: WorkerOptions) -> None:
    for name in ("postgres", "sqlite"):
        fill(config.database(name))
    with connected(config.database("sqlite")) as connection:
        connection.execute(sa.update(ITEM).where(ITEM.c.id >= 500_000).values(label="other"))
    where = {"item": "id < 1 OR id < 500000"}
    plain, found = (
        diff(only(config), "postgres", "sqlite", ["item"], where=where, workers=each) for each in (None, workers)
    )
    assert found.equal
    assert 0 < found.tables[0].unchanged < ROWS
    assert found.tables[0].source_digest == plain.tables[0].source_digest
