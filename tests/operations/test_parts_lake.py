"""An empty table of a lake filled by workers: one commit that names what was read back, or none."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from tests.executors import processes
from tests.operations.parted import SPEC, fill, only
from tests.servers import unreliable
from tests.servers.swift import S3Server
from toolkit.config import Config, Database
from toolkit.core.digest import TableDigest
from toolkit.engines import connect
from toolkit.engines.delta import log
from toolkit.engines.delta.connection import LakeConnection
from toolkit.engines.delta.tables import LakeTable
from toolkit.errors import (
    ContentionError,
    DatabaseUnavailableError,
    PartFailedError,
    RunError,
    StatementError,
    ToolkitError,
    VerificationError,
)
from toolkit.executors.contract import done, task
from toolkit.operations.diff.compare import diff
from toolkit.operations.parts.crew import WorkerOptions
from toolkit.operations.parts.loading import load_in_parts

WORKERS = WorkerOptions("local:2", part_bytes=60_000)
MANY = 5000
"""So many that a commit tells the totals of segments, too."""


@pytest.fixture
def two(config: Config, tmp_path: Path) -> Config:
    """A full table of PostgreSQL, and a lake without any."""
    lake = Database("lake", f"delta+file://{tmp_path}/lake")
    found = replace(only(config), databases={**config.databases, "lake": lake})
    fill(found.database("postgres"), MANY)
    return found


def load(config: Config, **options: Any) -> Any:
    return load_in_parts(config, "postgres", "lake", "item", options.pop("workers", WORKERS), **options)


def digest(config: Config, name: str) -> TableDigest:
    with connect(config.database(name)) as connection:
        return connection.repository(SPEC).digest()


def folder(config: Config) -> Path:
    return Path(config.database("lake").place) / "item"


def files(config: Config) -> set[str]:
    return {each.name for each in folder(config).glob("*.parquet")}


def named(config: Config) -> set[str]:
    """The files that the table's last version has."""
    return {Path(each).name for each in DeltaTable(folder(config)).file_uris()}


class Here:
    """An executor of this process, so that what parts do can be spoilt; `meanwhile` is done before the last."""

    workers, is_local = 1, True

    def __init__(self, context: Any, meanwhile: Callable[[], None]) -> None:
        self._context, self._meanwhile = context, meanwhile

    def receipts(self, work: Any, parts: Iterable[Any], in_flight: int) -> Generator[Any, None, None]:
        for part in parts:
            yield done(task(work, part), self._context).result(part)
        self._meanwhile()


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let parts be done in this process."""

    def use(meanwhile: Callable[[], None] = lambda: None) -> None:
        @contextmanager
        def opened(address: str, context: Any = None, **_: Any) -> Iterator[Here]:
            yield Here(context, meanwhile)

        monkeypatch.setattr("toolkit.operations.parts.crew.open_executor", opened)

    return use


def test_the_files_of_all_workers_are_committed_once_with_the_digest_of_what_the_source_has(two: Config) -> None:
    result = load(two)
    assert (result.verified, result.tables[0].inserted, result.created_schema) == (True, MANY, True)
    table = DeltaTable(folder(two))
    assert (table.version(), table.transaction_version("toolkit")) == (1, 1)
    assert len(files(two)) > 3
    assert named(two) == files(two)
    assert all(each is not None for each in table.get_add_actions(flatten=True).column("min.id").to_pylist())
    source = digest(two, "postgres")
    with connect(two.database("lake")) as lake:
        assert isinstance(lake, LakeConnection)
        told = lake.lake.table("item").base
        assert told is not None
        assert (told.receipt["rows"], told.receipt["total"]) == (MANY, f"{source.total:016x}")
        assert "segments" in told.receipt
    assert diff(two, "postgres", "lake").equal


def test_a_value_that_is_written_as_another_is_not_committed(
    two: Config, here: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    here()
    write = LakeTable.write

    def spoilt(self: LakeTable, batches: Iterable[Any]) -> Any:
        def others() -> Iterator[Any]:
            for batch in batches:
                amount = pc.if_else(pc.equal(batch.column("id"), 7919 * 4321 % 1_000_003), None, batch.column("amount"))
                yield batch.set_column(2, batch.schema.field(2), amount)

        return write(self, others())

    monkeypatch.setattr(LakeTable, "write", spoilt)
    with pytest.raises(PartFailedError, match=r"rows with digest .* arrived") as raised:
        load(two)
    assert "toolkit vacuum" in raised.value.advice
    assert DeltaTable(folder(two)).version() == 0
    assert not files(two)


def test_a_file_that_is_gone_behind_its_writers_back_is_not_committed(two: Config, here: Callable[..., None]) -> None:
    def lose() -> None:
        (folder(two) / min(files(two))).unlink()

    here(lose)
    with pytest.raises(VerificationError, match="files of workers are not there"):
        load(two)
    assert DeltaTable(folder(two)).version() == 0
    assert not files(two)


def test_rows_that_have_one_unique_value_in_two_parts_are_refused_by_row(
    two: Config, here: Callable[..., None]
) -> None:
    here()
    make(two, "CREATE TABLE item (id BIGINT PRIMARY KEY, label VARCHAR UNIQUE, amount DECIMAL(20, 4))")
    with psycopg.connect(two.database("postgres").address) as source:
        source.execute("UPDATE item SET label = 'twice' WHERE id IN (0, (4800 * 7919) % 1000003)")
    with pytest.raises(ToolkitError, match="twice"):
        load(two)
    assert digest(two, "lake").rows == 0
    assert not files(two)


def test_a_null_that_the_table_does_not_take_is_refused(two: Config, here: Callable[..., None]) -> None:
    here()
    make(two, "CREATE TABLE item (id BIGINT PRIMARY KEY, label VARCHAR, amount DECIMAL(20, 4) NOT NULL)")
    with psycopg.connect(two.database("postgres").address) as source:
        source.execute("UPDATE item SET amount = NULL WHERE id = 7919")
    with pytest.raises(ToolkitError, match="7919"):
        load(two)
    assert digest(two, "lake").rows == 0
    assert not files(two)


def test_a_value_that_no_file_keeps_is_refused_by_row(two: Config, here: Callable[..., None]) -> None:
    here()
    with psycopg.connect(two.database("postgres").address) as source:
        source.execute("CREATE TABLE late (id int PRIMARY KEY, at timestamptz)")
        source.execute("INSERT INTO late SELECT i, now() FROM generate_series(1, 100) i")
        source.execute("INSERT INTO late VALUES (101, 'infinity')")
    with pytest.raises(PartFailedError, match=r"late id=101: column 'at' holds infinity"):
        load_in_parts(two, "postgres", "lake", "late", WORKERS)


def make(config: Config, statement: str) -> None:
    """Make a table in the lake."""
    with connect(config.database("lake"), write=True) as lake:
        lake.raw.execute(statement)  # type: ignore[attr-defined]
        lake.commit()


def test_who_commits_to_the_table_meanwhile_has_it_and_the_run_is_refused(
    two: Config, here: Callable[..., None]
) -> None:
    def meanwhile() -> None:
        one = pa.RecordBatch.from_pylist([{"id": 1}], SPEC.schema)
        with connect(two.database("lake"), write=True) as other:
            other.repository(SPEC).upsert_many([one])
            other.commit()

    here(meanwhile)
    with pytest.raises(ContentionError, match="somebody else has committed"):
        load(two)
    assert digest(two, "lake").rows == 1
    assert files(two) == named(two)
    with pytest.raises(RunError, match="item has rows"):
        load(two)


def test_files_of_a_commit_whose_answer_is_lost_stay_and_the_table_is_whole(
    two: Config, here: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    append = log.append

    def unanswered(*given: Any) -> None:
        append(*given)
        raise DatabaseUnavailableError("lake", "the store is silent", "Run again.")

    here()
    monkeypatch.setattr(log, "append", unanswered)
    with pytest.raises(DatabaseUnavailableError, match="silent") as raised:
        load(two)
    assert "Nothing was committed" not in raised.value.advice
    assert digest(two, "lake") == digest(two, "postgres")
    assert diff(two, "postgres", "lake").equal


def test_what_is_not_done_into_a_lake_is_refused_and_a_dry_run_writes_nothing(two: Config) -> None:
    make(two, "CREATE TABLE item (id BIGINT PRIMARY KEY, label VARCHAR, amount DECIMAL(20, 4))")
    for options in ({"resume": "0123456789"}, {"restart": True}):
        with pytest.raises(RunError, match="nothing is kept of an interrupted run"):
            load(two, **options)
    assert load(two, dry_run=True).tables[0].inserted == MANY
    then = Database("then", f"{two.database('lake').address}?at=0")
    with pytest.raises(StatementError, match="written into the past"):
        load_in_parts(replace(two, databases={**two.databases, "then": then}), "postgres", "then", "item", WORKERS)
    assert not files(two)


def test_a_lake_in_an_object_store_is_filled_and_is_one_place_whichever_machine_looks(
    two: Config, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3_server.create_bucket("filled")
    lake = Database("lake", "delta+s3://filled/prefix")
    stored = replace(two, databases={**two.databases, "lake": lake})
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    with unreliable.elsewhere(s3_server.endpoint) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT", endpoint)
        assert load(stored, workers=replace(WORKERS, part_bytes=200_000)).verified
        with connect(lake) as connection:
            here = connection.identity()
            assert connection.repository(SPEC).digest() == digest(two, "postgres")
        monkeypatch.setattr("platform.node", lambda: "another")
        with connect(lake) as connection:
            assert connection.identity() == here


@pytest.fixture
def many(two: Config) -> Config:
    """Enough rows that something can happen while they are written."""
    fill(two.database("postgres"), 12 * MANY, first=MANY)
    return two


SMALL = replace(WORKERS, part_bytes=300_000)


def wait_for_files(config: Config, count: int) -> None:
    for _ in range(8000):
        if len(files(config)) >= count:
            return
        time.sleep(0.005)
    raise AssertionError("no files are written")


def test_a_worker_that_is_killed_costs_no_row_and_doubles_none(many: Config) -> None:
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(load, many, workers=SMALL)
        wait_for_files(many, 2)
        processes.any_worker().kill()
        assert running.result(120).verified
    assert digest(many, "lake") == digest(many, "postgres")
    assert named(many) <= files(many)


def test_a_coordinator_that_is_killed_has_committed_nothing_and_the_next_run_fills_the_table(many: Config) -> None:
    script = f"""
from pathlib import Path
from toolkit.config import Config, Database
from toolkit.operations.parts.crew import WorkerOptions
from toolkit.operations.parts.loading import load_in_parts
databases = {{n: Database(n, a) for n, a in {[(n, many.database(n).address) for n in ("postgres", "lake")]!r}}}
load_in_parts(Config(Path(), databases), "postgres", "lake", "item", WorkerOptions("local:2", part_bytes=300_000))
"""
    with subprocess.Popen([sys.executable, "-c", script]) as process:
        wait_for_files(many, 3)
        process.kill()
    assert process.returncode == -9, "it was to be killed before its end"
    assert (digest(many, "lake").rows, DeltaTable(folder(many)).version()) == (0, 0)
    left = files(many)
    assert load(many, workers=SMALL).verified
    assert digest(many, "lake") == digest(many, "postgres")
    assert not named(many) & left
