"""An empty table of a lake filled by workers: one commit that names what was read back, or none."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler
from msgspec import structs
from pyarrow.fs import PyFileSystem

from tests.executors import forked
from tests.executors.here import open_here
from tests.operations.parted import SPEC, fill, only
from tests.servers import unreliable
from tests.servers.swift import S3Server
from toolkit.config import Config, Database, load_config
from toolkit.core.digest import TableDigest, digest_batches
from toolkit.core.progress import Silent
from toolkit.engines import connect
from toolkit.engines.contract import Part
from toolkit.engines.delta import files as files_module
from toolkit.engines.delta import log
from toolkit.engines.delta.connection import LakeConnection
from toolkit.engines.delta.runs import LakeRun
from toolkit.engines.delta.storage import DirectoryFiles
from toolkit.engines.delta.table import LakePart, LakeRepository
from toolkit.engines.delta.tables import LakeTable
from toolkit.errors import (
    ConfigurationError,
    ContentionError,
    DatabaseUnavailableError,
    PartFailedError,
    RunError,
    StatementError,
    ToolkitError,
    UniqueConflictError,
    VerificationError,
    WorkersError,
)
from toolkit.executors.contract import done, task
from toolkit.operations.diff.compare import diff
from toolkit.operations.parts.checking import check_workers
from toolkit.operations.parts.crew import WorkerOptions
from toolkit.operations.parts.loading import load_in_parts
from toolkit.operations.sync import sync

WORKERS = WorkerOptions("local:2", part_bytes=220_000)
MANY = 5000
"""So many that a commit tells the totals of segments, too."""


@pytest.fixture
def processes() -> Iterator[None]:
    """Workers that can be killed."""
    with forked.workers():
        yield


@pytest.fixture(autouse=True)
def _here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are this process."""
    if "processes" not in request.fixturenames:
        monkeypatch.setattr("toolkit.operations.parts.crew.open_executor", open_here)


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


def runs(config: Config) -> Path:
    """Where the ledgers of runs are."""
    return folder(config) / "_toolkit" / "runs"


def left_over(config: Config) -> list[Path]:
    """The ledgers that were not ended."""
    return list(runs(config).iterdir())


def left(config: Config) -> str:
    """The one run that was not ended."""
    (found,) = left_over(config)
    return found.name


def noted(config: Config) -> set[str]:
    """The files that ledgers have."""
    notes = [json.loads(each.read_text()) for each in runs(config).glob("*/part-*")]
    return {file["path"] for note in notes for file in note["files"]}


class Noted(Silent):
    """Keeps what is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


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


@pytest.mark.slow
def test_the_files_of_all_workers_are_committed_once_with_the_digest_of_what_the_source_has(two: Config) -> None:
    result = load(two, workers=structs.replace(WORKERS, part_bytes=140_000))
    assert (result.verified, result.tables[0].inserted, result.created_schema) == (True, MANY, True)
    table = DeltaTable(folder(two))
    assert (table.version(), table.transaction_version("toolkit")) == (1, 2)
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


@pytest.mark.slow
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
    assert "--resume" in raised.value.advice
    assert DeltaTable(folder(two)).version() == 0
    assert files(two) == noted(two)


@pytest.mark.slow
def test_a_file_that_is_gone_behind_its_writers_back_is_not_committed(two: Config, here: Callable[..., None]) -> None:
    def lose() -> None:
        (folder(two) / min(files(two))).unlink()

    here(lose)
    with pytest.raises(VerificationError, match="files of workers are not there"):
        load(two)
    assert DeltaTable(folder(two)).version() == 0
    lost = noted(two) - files(two)
    told = Noted()
    here()
    assert load(two, resume=left(two), progress=told).verified
    assert len(lost) == 1
    assert [note for note in told.notes if "is not there as it was written: it is copied again" in note]
    assert digest(two, "lake") == digest(two, "postgres")


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_null_that_the_table_does_not_take_is_refused(two: Config, here: Callable[..., None]) -> None:
    here()
    make(two, "CREATE TABLE item (id BIGINT PRIMARY KEY, label VARCHAR, amount DECIMAL(20, 4) NOT NULL)")
    with psycopg.connect(two.database("postgres").address) as source:
        source.execute("UPDATE item SET amount = NULL WHERE id = 7919")
    with pytest.raises(ToolkitError, match="7919"):
        load(two)
    assert digest(two, "lake").rows == 0


@pytest.mark.slow
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


@pytest.mark.slow
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
    assert named(two) < files(two)
    here()
    found = load(two, restart=True).tables[0]
    assert (found.inserted, found.target_only, left_over(two)) == (MANY, 1, [])


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_dry_run_writes_nothing_and_the_past_is_not_written(two: Config) -> None:
    make(two, "CREATE TABLE item (id BIGINT PRIMARY KEY, label VARCHAR, amount DECIMAL(20, 4))")
    with pytest.raises(RunError, match="no interrupted run '0123456789' for item; there are: none"):
        load(two, resume="0123456789")
    assert load(two, dry_run=True).tables[0].inserted == MANY
    then = Database("then", f"{two.database('lake').address}?at=0")
    with pytest.raises(StatementError, match="written into the past"):
        load_in_parts(replace(two, databases={**two.databases, "then": then}), "postgres", "then", "item", WORKERS)
    assert not files(two)


@pytest.mark.slow
def test_a_lake_in_an_object_store_is_filled_by_a_stores_settings_and_is_one_place_whichever_machine_looks(
    two: Config, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    s3_server.create_bucket("filled")
    given = s3_server.environment
    for name in given:
        monkeypatch.delenv(name, raising=False)
    with unreliable.elsewhere(s3_server.endpoint) as endpoint:
        (tmp_path / "toolkit.toml").write_text(f"""
            [databases]
            lake = {{ url = "delta+s3://filled/prefix", store = "lakes" }}
            wrong = {{ url = "delta+s3://filled/prefix", store = "wrong" }}
            [stores.lakes]
            url = "s3://filled/archive"
            endpoint = "{endpoint}"
            allow_http = true
            region = "{given.get("AWS_REGION", "us-east-1")}"
            access_key_id = "{given["AWS_ACCESS_KEY_ID"]}"
            secret_access_key = "{given["AWS_SECRET_ACCESS_KEY"]}"
            [stores.wrong]
            url = "s3://filled/archive"
            endpoint = "{endpoint}"
            allow_http = true
            access_key_id = "{given["AWS_ACCESS_KEY_ID"]}"
            secret_access_key = "not-the-right-one"
            retries = 0
        """)
        found = load_config(tmp_path, {})
        lake = found.database("lake")
        assert given["AWS_SECRET_ACCESS_KEY"] not in repr(found.databases)
        stored = replace(two, databases={**two.databases, "lake": lake, "wrong": found.database("wrong")})
        assert load(stored, workers=structs.replace(WORKERS, part_bytes=200_000)).verified
        with connect(lake) as connection:
            here = connection.identity()
            assert connection.repository(SPEC).digest() == digest(two, "postgres")
        monkeypatch.setattr("platform.node", lambda: "another")
        with connect(lake) as connection:
            assert connection.identity() == here
        assert check_workers(stored, ["lake"], WORKERS).is_fine
        with pytest.raises(DatabaseUnavailableError) as raised:
            check_workers(stored, ["wrong"], WORKERS)
        assert "not-the-right-one" not in raised.value.fact
    (tmp_path / "toolkit.toml").write_text(
        '[databases]\nlake = { url = "delta+s3://b/p", store = "here" }\n[stores]\nhere = "directory"\n'
    )
    with pytest.raises(ConfigurationError, match=r"databases\.lake\.store is 'here', which is no store of S3"):
        load_config(tmp_path, {})


SMALL = structs.replace(WORKERS, part_bytes=60_000)
"""So small that workers have several parts each."""


@pytest.mark.slow
@pytest.mark.usefixtures("processes")
def test_a_worker_that_is_killed_costs_no_row_and_doubles_none(two: Config) -> None:
    with forked.at_hand_out(3, lambda executor: os.kill(executor.process_ids[0], signal.SIGKILL)):
        assert load(two, workers=SMALL).verified
    assert digest(two, "lake") == digest(two, "postgres")
    assert named(two) <= files(two)


@pytest.mark.slow
def test_a_run_whose_coordinator_was_killed_is_taken_up_and_what_it_has_written_is_not_written_again(
    two: Config,
) -> None:
    forked.load_until_killed(two, "lake", SMALL, 3)
    assert (digest(two, "lake").rows, DeltaTable(folder(two)).version()) == (0, 0)
    before = noted(two)
    run = left(two)
    with pytest.raises(RunError, match=r"was interrupted, and has written \d+ of \d+ parts of item") as raised:
        load(two, workers=SMALL)
    assert f"--resume {run}" in raised.value.advice
    # A row of a part that is written, which is then another part's, too. Which parts those are, workers decide.
    row = pq.read_table(folder(two) / min(before)).column("id")[0].as_py()
    with psycopg.connect(two.database("postgres").address) as source:
        source.execute("UPDATE item SET label = 'changed since' WHERE id = %s", (row,))
    told = Noted()
    assert load(two, workers=SMALL, resume=run, progress=told).verified
    again = [note for note in told.notes if "has changed since: it is copied again" in note]
    assert len(again) == 1
    assert before & files(two) == before & named(two)
    assert len(before & named(two)) >= len(before) - 2
    assert digest(two, "lake") == digest(two, "postgres")
    assert not left_over(two)


@pytest.mark.slow
def test_restart_removes_what_was_left_and_begins_again(two: Config, here: Callable[..., None]) -> None:
    left_behind(two, here)
    assert noted(two)
    assert load(two, restart=True).verified
    assert files(two) == named(two)
    assert not left_over(two)
    assert digest(two, "lake") == digest(two, "postgres")


def left_behind(config: Config, here: Callable[..., None]) -> None:
    """Let a run end before its commit, with all parts written."""

    def end() -> None:
        raise WorkersError("all workers are gone", "Run again.")

    here(end)
    with pytest.raises(WorkersError):
        load(config)
    here()


@pytest.mark.slow
def test_who_was_taken_for_dead_commits_nothing_and_takes_nothing_away(two: Config, here: Callable[..., None]) -> None:
    def meanwhile() -> None:
        here()
        assert load(two, resume=left(two)).verified

    here(meanwhile)
    with pytest.raises(ContentionError, match="somebody else has committed"):
        load(two)
    assert named(two) <= files(two)
    assert digest(two, "lake") == digest(two, "postgres")
    with connect(two.database("lake")) as lake:
        assert digest_batches(SPEC, lake.repository(SPEC).read()) == digest(two, "postgres")


@pytest.mark.slow
def test_who_was_taken_for_dead_commits_nothing_as_soon_as_another_has_the_run(
    two: Config, here: Callable[..., None]
) -> None:
    def meanwhile() -> None:
        with connect(two.database("lake"), write=True) as lake:
            assert isinstance(lake, LakeConnection)
            (run,) = lake.runs(SPEC)
            run.end_others()

    here(meanwhile)
    with pytest.raises(ContentionError, match="somebody else has committed"):
        load(two)
    assert digest(two, "lake").rows == 0
    here()
    assert load(two, resume=left(two)).verified


@pytest.mark.slow
def test_files_that_a_version_has_stay_though_the_ledger_of_their_run_was_left(
    two: Config, here: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    here()
    monkeypatch.setattr(LakeRun, "end", lambda _: None)
    load(two)
    monkeypatch.undo()
    with connect(two.database("lake"), write=True) as lake:
        lake.repository(SPEC).delete_all()
        lake.commit()
    here()
    with pytest.raises(RunError, match="somebody has committed to item since"):
        load(two, resume=left(two))
    assert load(two, restart=True).verified
    then = Database("then", f"{two.database('lake').address}?at=1")
    with connect(then) as lake:
        assert digest_batches(SPEC, lake.repository(SPEC).read()) == digest(two, "postgres")


# -- a table with rows -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_workers_write_what_differs_as_a_sync_without_them_does(
    two: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Many small files, of which some hold nothing that is changed.
    monkeypatch.setattr(files_module, "FILE_ROWS", 500)
    monkeypatch.setattr(files_module, "ROW_GROUP", 250)
    plain = replace(two, databases={**two.databases, "lake": Database("lake", f"delta+file://{tmp_path}/plain")})
    for each in (two, plain):
        sync(each, "postgres", "lake", ["item"])
        with connect(each.database("lake"), write=True) as lake:
            lake.repository(SPEC).upsert_many([pa.RecordBatch.from_pylist([{"id": -1}], SPEC.schema)])
            lake.commit()
    before = named(two)
    with psycopg.connect(two.database("postgres").address) as source:
        source.execute("UPDATE item SET amount = amount + 1 WHERE id % 1000003 BETWEEN 5000 AND 20000")
        source.execute("INSERT INTO item SELECT 2000000 + i, 'new ' || i, i FROM generate_series(1, 700) AS i")
    wanted = sync(plain, "postgres", "lake", ["item"]).tables[0]
    planned = load(two, dry_run=True).tables[0]
    found = load(two).tables[0]
    for each in (planned, found):
        assert (each.inserted, each.updated, each.unchanged, each.target_only) == (
            wanted.inserted,
            wanted.updated,
            wanted.unchanged,
            wanted.target_only,
        )
    assert (found.inserted, found.verified) == (700, True)
    assert found.updated > 0
    assert DeltaTable(folder(two)).version() == DeltaTable(folder(plain)).version()
    assert before & named(two)
    assert named(two) - before
    with connect(two.database("lake")) as lake, connect(plain.database("lake")) as other:
        rows = digest_batches(SPEC, lake.repository(SPEC).read())
        assert rows == lake.repository(SPEC).digest() == other.repository(SPEC).digest()
        assert rows.rows == MANY + 701
    assert load(two).tables[0].unchanged == MANY + 700


@pytest.mark.slow
def test_a_value_that_two_rows_have_behind_workers_is_refused_and_nothing_is_committed(
    two: Config, here: Callable[..., None]
) -> None:
    here()
    make(two, "CREATE TABLE item (id BIGINT PRIMARY KEY, label VARCHAR UNIQUE, amount DECIMAL(20, 4))")
    load(two)
    before = files(two), DeltaTable(folder(two)).version()
    with psycopg.connect(two.database("postgres").address) as source:
        other = "(SELECT label FROM item WHERE id = (4800 * 7919) % 1000003)"
        source.execute(f"UPDATE item SET label = {other} WHERE id = 0")
    # The other row is in a file that no worker has looked into.
    with pytest.raises(UniqueConflictError, match="item 4800"):
        load(two)
    assert (files(two), DeltaTable(folder(two)).version()) == before


@pytest.mark.slow
def test_a_rewritten_row_that_is_read_back_as_another_is_not_committed(
    two: Config, here: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    here()
    load(two)
    before = files(two), DeltaTable(folder(two)).version()
    with psycopg.connect(two.database("postgres").address) as source:
        source.execute("UPDATE item SET label = 'changed' WHERE id = 7919")
    write = LakeTable.write

    def spoilt(self: LakeTable, batches: Iterable[Any]) -> Any:
        def others() -> Iterator[Any]:
            for batch in batches:
                label = pc.if_else(pc.equal(batch.column("id"), 7919), "spoilt", batch.column("label"))
                yield batch.set_column(1, batch.schema.field(1), label)

        return write(self, others())

    monkeypatch.setattr(LakeTable, "write", spoilt)
    with pytest.raises(VerificationError, match="rows with digest"):
        load(two)
    assert (files(two), DeltaTable(folder(two)).version()) == before


@pytest.mark.slow
def test_a_table_that_a_lake_lacks_is_made_beside_its_others(two: Config, here: Callable[..., None]) -> None:
    here()
    make(two, "CREATE TABLE other (id BIGINT PRIMARY KEY)")
    with psycopg.connect(two.database("postgres").address) as source:
        source.execute("CREATE TABLE other (id bigint PRIMARY KEY)")
    with pytest.raises(RunError, match="lake has no table item yet"):
        load(two, dry_run=True)
    assert load(two).created_schema
    assert digest(two, "lake") == digest(two, "postgres")


# -- comparing ---------------------------------------------------------------------------------------------------------


class Counting(DeltaStorageHandler):
    """Files of a lake, as they are opened."""

    opened: ClassVar[list[str]] = []

    def open_input_file(self, path: str) -> pa.PythonFile:
        self.opened.append(path)
        return super().open_input_file(path)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [MANY, 300])
def test_no_file_of_an_unchanged_table_is_read_to_compare_it(
    two: Config, here: Callable[..., None], monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    with psycopg.connect(two.database("postgres").address) as source:
        source.execute("DELETE FROM item WHERE ctid NOT IN (SELECT ctid FROM item LIMIT %s)", (rows,))
    here()
    sync(two, "postgres", "lake", ["item"])
    counted = property(lambda self: PyFileSystem(Counting(self._root.as_uri())))
    monkeypatch.setattr(DirectoryFiles, "readable", counted)
    monkeypatch.setattr(Counting, "opened", [])
    for pair in (("postgres", "lake"), ("lake", "postgres")):
        assert diff(two, *pair, ["item"], workers=WORKERS).equal
        assert diff(two, *pair, ["item"]).equal
    assert sync(two, "postgres", "lake", ["item"]).tables[0].unchanged == rows
    assert not Counting.opened
    with psycopg.connect(two.database("postgres").address) as source:
        source.execute("UPDATE item SET label = 'changed' WHERE id = 0")
    asked: list[Part] = []
    part = LakeRepository.part

    def counting(self: LakeRepository, given: Part) -> LakePart:
        asked.append(given)
        return part(self, given)

    monkeypatch.setattr(LakeRepository, "part", counting)
    for workers in (WORKERS, None):
        assert diff(two, "postgres", "lake", ["item"], workers=workers).tables[0].changed == 1
    assert Counting.opened
    # Of many rows, the totals that are kept tell where they differ.
    assert bool(asked) == (rows != MANY)
