"""The verbs on a lake: from and to other engines, as it was, by two at once, and what it does not have."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from deltalake import DeltaTable, write_deltalake

from tests.contracts import schema
from tests.operations import databases, example, shop
from tests.servers import unreliable
from tests.servers.swift import S3Server
from toolkit.config import Config, Database
from toolkit.core.digest import digest_batches
from toolkit.core.progress import Silent
from toolkit.core.tables import select_tables
from toolkit.engines import connect
from toolkit.engines.contract import RewritesFiles
from toolkit.engines.delta import files as files_module
from toolkit.engines.delta import log
from toolkit.engines.delta.connection import LakeConnection
from toolkit.engines.delta.place import Place
from toolkit.engines.delta.tables import LakeTable
from toolkit.engines.portable.keys import require_keys
from toolkit.errors import (
    ConfigurationError,
    ContentionError,
    DatabaseUnavailableError,
    SchemaMismatchError,
    StatementError,
    ToolkitError,
    UniqueConflictError,
    UnnamedRowError,
    UnrepresentableValueError,
)
from toolkit.operations.diff.compare import diff
from toolkit.operations.fixtures.dump import dump_data
from toolkit.operations.fixtures.load import load_data
from toolkit.operations.migrations.migrate import upgrade
from toolkit.operations.status import status
from toolkit.operations.sync import sync
from toolkit.operations.transfer.options import Mode, Options
from toolkit.operations.vacuum import vacuum


class Noted(Silent):
    """Keeps what is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def shopping(config: Config, tmp_path: Path) -> Config:
    """A configuration of the shop's tables, with two lakes, and the example's rows in SQLite."""
    lakes = {name: Database(name, f"delta+file://{tmp_path}/{name}") for name in ("lake", "lake2")}
    named = replace(
        config,
        metadata="tests.operations.shop:metadata",
        migrations=Path("none"),
        databases={**config.databases, **lakes},
    )
    example.fill(named.database("sqlite"))
    return named


@pytest.mark.slow
def test_a_lake_is_made_by_a_sync_compared_and_read_back(shopping: Config, tmp_path: Path) -> None:
    made = sync(shopping, "sqlite", "lake")
    assert (made.created_schema, made.verified) == (True, True)
    assert version(shopping.database("lake"), "category") == 0
    assert not any(table.inserted + table.updated for table in sync(shopping, "sqlite", "lake").tables)
    assert diff(shopping, "sqlite", "lake").equal

    databases.execute(shopping.database("sqlite"), "UPDATE category SET name = 'other' WHERE id = 9")
    databases.execute(shopping.database("sqlite"), "DELETE FROM purchase_line WHERE amount = 3")
    found = diff(shopping, "sqlite", "lake")
    assert {t.table: (t.changed, t.added + t.removed) for t in found.tables if t.changed + t.added + t.removed} == {
        "category": (1, 0),
        "purchase_line": (0, 1),
    }
    told = Noted()
    assert sync(shopping, "sqlite", "lake", options=Options(mode=Mode.REPLACE), dry_run=True, progress=told).dry_run
    assert [note.partition(", of")[0] for note in told.notes if "again" in note] == [
        "lake: category: files written again: 1",
        "lake: purchase_line: files written again: 1",
    ]
    again = sync(shopping, "sqlite", "lake", options=Options(mode=Mode.REPLACE))
    assert again.verified
    assert {t.table: (t.updated, t.deleted) for t in again.tables if t.updated + t.deleted} == {
        "category": (1, 0),
        "purchase_line": (0, 1),
    }
    assert sync(shopping, "lake", "postgres").verified
    expected = databases.contents(shopping.database("sqlite"), shop.metadata)
    assert databases.contents(shopping.database("postgres"), shop.metadata) == expected


@pytest.mark.slow
def test_without_models_tables_keep_their_keys_and_types_through_a_lake(shopping: Config) -> None:
    plain = replace(shopping, metadata="")
    assert sync(plain, "sqlite", "lake").verified
    assert sync(plain, "lake", "duckdb").verified
    assert diff(plain, "sqlite", "duckdb").equal
    with connect(plain.database("duckdb")) as there, connect(plain.database("lake")) as lake:
        for connection in (there, lake):
            tables = connection.schema().metadata.tables
            assert [column.name for column in tables["purchase_line"].primary_key] == ["customer_id", "product_id"]


@pytest.mark.slow
def test_a_dump_is_loaded_into_another_lake_and_status_counts_its_rows(shopping: Config, tmp_path: Path) -> None:
    sync(shopping, "sqlite", "lake")
    dump_data(shopping, "lake", directory=tmp_path / "dump")
    assert load_data(shopping, "lake2", directory=tmp_path / "dump").verified
    assert diff(shopping, "lake", "lake2").equal
    (found,) = status(shopping, ["lake2"]).databases
    assert {table.table: table.rows for table in found.tables}["purchase_line"] == 3


@pytest.mark.slow
def test_a_lake_is_read_as_it_was_by_version_and_by_time_and_not_written_then(shopping: Config) -> None:
    lake = shopping.database("lake")
    sync(shopping, "sqlite", "lake")
    before = version(lake, "category")
    at = time.time()
    time.sleep(0.01)
    moment = dt.datetime.fromtimestamp(at + 0.005, dt.UTC).isoformat()
    databases.execute(shopping.database("sqlite"), "UPDATE category SET name = 'later' WHERE id = 9")
    sync(shopping, "sqlite", "lake")
    for then in (f"lake@{before}", f"lake@{moment}"):
        found = diff(shopping, then, "lake", ["category"])
        assert [(table.table, table.changed) for table in found.tables] == [("category", 1)]
    with pytest.raises(ToolkitError, match="written into the past"):
        sync(shopping, "sqlite", f"lake@{before}", ["category"])
    with pytest.raises(ConfigurationError, match="has no version 99"):
        diff(shopping, "lake@99", "lake", ["category"])
    with pytest.raises(ConfigurationError, match="keeps no versions"):
        shopping.database("sqlite@1")
    with pytest.raises(ConfigurationError, match="neither a version"):
        connect(shopping.database("lake@yesterday")).__enter__()


def test_a_table_without_the_version_that_is_asked_for_is_not_left_out_without_a_word(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_deltalake(str(tmp_path / "lake" / name), pa.table({"id": [1]}))
    write_deltalake(str(tmp_path / "lake" / "two"), pa.table({"id": [2]}), mode="append")
    with connect(Database("lake", f"delta+file://{tmp_path}/lake?at=1")) as lake:
        told = lake.schema()
    assert [*told.metadata.tables] == ["two"]
    assert [(note.table, note.reason, note.is_unread) for note in told.notes] == [
        ("one", "It cannot be used: it has no version 1.", True)
    ]


@pytest.mark.parametrize(
    ("name", "told"),
    [("delta.constraints.few", r"delta.constraints.few \(id < 3\)"), ("delta.appendOnly", "appendOnly")],
)
def test_what_others_have_made_a_condition_of_writing_is_not_passed_over(tmp_path: Path, name: str, told: str) -> None:
    lake = Database("lake", f"delta+file://{tmp_path}/lake")
    databases.create(lake, NUMBERS)
    with connect(lake, write=True) as connection:
        connection.repository(SPEC).upsert_many([rows(0, 2)])
        connection.commit()
    table = DeltaTable(str(tmp_path / "lake" / "number"))
    if name == "delta.appendOnly":
        table.alter.set_table_properties({name: "true"})
    else:
        table.alter.add_constraint({"few": "id < 3"})
    with connect(lake, write=True) as connection:
        connection.repository(SPEC).upsert_many([rows(0, 5, "m")])
        with pytest.raises(StatementError, match=told):
            connection.commit()
    assert version(lake, "number") == table.version()


def test_a_feature_that_is_not_written_here_is_told_as_such_and_not_as_the_commit_of_another(tmp_path: Path) -> None:
    lake = Database("lake", f"delta+file://{tmp_path}/lake")
    databases.create(lake, NUMBERS)
    first = tmp_path / "lake" / "number" / "_delta_log" / f"{0:020}.json"
    protocol = {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["rowTracking"]}
    told = [json.loads(line) for line in first.read_text().splitlines()]
    told = [{"protocol": protocol} if "protocol" in each else each for each in told]
    first.write_text("".join(f"{json.dumps(each)}\n" for each in told))
    with connect(lake, write=True) as connection:
        connection.repository(SPEC).upsert_many([rows(0, 2)])
        with pytest.raises(StatementError, match="RowTracking"):
            connection.commit()


def test_a_table_of_others_without_a_key_is_told_the_way_that_a_lake_has(tmp_path: Path) -> None:
    write_deltalake(str(tmp_path / "lake" / "number"), pa.table({"id": [1]}))
    with (
        pytest.raises(SchemaMismatchError, match="no primary key") as told,
        connect(Database("lake", f"delta+file://{tmp_path}/lake"), write=True) as lake,
    ):
        require_keys(lake, [SPEC])
    assert "CREATE" not in (told.value.advice or "")


def test_migrations_of_a_lake_are_refused_and_its_tables_are_made_from_the_models(
    config: Config, shopping: Config
) -> None:
    lake = shopping.database("lake")
    with_history = replace(config, databases={**config.databases, "lake": lake})
    with pytest.raises(ConfigurationError, match="has no migrations"):
        upgrade(lake, with_history)
    upgrade(config.database("duckdb"), config)
    assert sync(with_history, "duckdb", "lake").created_schema


NUMBERS = sa.MetaData()
NUMBER = sa.Table(
    "number",
    NUMBERS,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text, unique=True),
    sa.Column("day", sa.Date),
)
OTHER = sa.Table("other", NUMBERS, sa.Column("id", sa.Integer, primary_key=True, autoincrement=False))
SPECS = {spec.name: spec for spec in select_tables(NUMBERS)}
SPEC = SPECS["number"]


def rows(start: int, stop: int, sign: str = "n") -> pa.RecordBatch:
    numbers = range(start, stop)
    columns = [pa.array(numbers, pa.int32()), [f"{sign}{n}" for n in numbers], pa.nulls(len(numbers), pa.date32())]
    return pa.record_batch(columns, schema=SPEC.schema)


def others(start: int, stop: int) -> pa.RecordBatch:
    return pa.record_batch([pa.array(range(start, stop), pa.int32())], schema=SPECS["other"].schema)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of 10,000 numbers in three files, to be copied."""
    path = tmp_path_factory.mktemp("numbers") / "lake"
    found = Database("lake", f"delta+file://{path}")
    databases.create(found, NUMBERS)
    for start in (0, 4_000, 7_000):
        with connect(found, write=True) as connection:
            connection.repository(SPEC).upsert_many([rows(start, min(start + 4_000, 10_000))])
            connection.commit()
    return path


@pytest.fixture
def lake(tmp_path: Path, numbers: Path) -> Database:
    """A lake of 10,000 numbers in three files."""
    shutil.copytree(numbers, tmp_path / "lake")
    return Database("lake", f"delta+file://{tmp_path}/lake")


def seen(lake: Database, name: str) -> LakeTable:
    """What a connection sees of a table."""
    with connect(lake) as connection:
        assert isinstance(connection, LakeConnection)
        return connection.lake.table(name)


def version(lake: Database, name: str) -> int:
    base = seen(lake, name).base
    assert base is not None
    return base.version


def files(lake: Database) -> set[str]:
    return {each.path for each in seen(lake, "number").files}


def receipt_of(commit: Path) -> dict[str, Any]:
    """What a commit tells."""
    (told,) = (each for each in map(json.loads, commit.read_text().splitlines()) if "commitInfo" in each)
    receipt: dict[str, Any] = json.loads(told["commitInfo"]["toolkit"])
    return receipt


def stored(lake: Database) -> set[str]:
    return {each.name for each in (Path(lake.place) / "number").glob("*.parquet")}


@pytest.mark.slow
def test_of_two_that_commit_at_once_one_is_refused_and_the_other_is_there_whole(lake: Database) -> None:
    ready, found, before = Barrier(2), [], stored(lake)

    def write(sign: str) -> None:
        with connect(lake, write=True) as connection:
            connection.repository(SPEC).upsert_many([rows(0, 10, sign)])
            ready.wait()
            try:
                connection.commit()
            except ContentionError as error:
                found.append(error.fact)
            else:
                found.append(sign)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, ["x", "y"]))
    (won,) = [each for each in found if len(each) == 1]
    assert "somebody else has committed to the table number" in next(each for each in found if len(each) > 1)
    with connect(lake) as connection:
        assert connection.repository(SPEC).digest() == digest_batches(SPEC, [rows(0, 10, won), rows(10, 10_000)])
    # What the other wrote is removed; what was rewritten stays, for those who read it as it was.
    assert len(stored(lake) - before) == 1
    assert before < stored(lake)


@pytest.mark.slow
def test_what_others_commit_between_two_commits_of_one_connection_is_not_lost(lake: Database) -> None:
    with connect(lake, write=True) as first:
        first.repository(SPEC).upsert_many([rows(0, 5, "x")])
        first.commit()
        with connect(lake, write=True) as second:
            second.repository(SPEC).upsert_many([rows(10_000, 10_005)])
            second.commit()
        first.repository(SPEC).upsert_many([rows(5, 10, "x")])
        with pytest.raises(ContentionError):
            first.commit()
    with connect(lake) as connection:
        expected = digest_batches(SPEC, [rows(0, 5, "x"), rows(5, 10_005)])
        assert connection.repository(SPEC).digest() == expected


@pytest.mark.slow
def test_what_fails_between_two_tables_is_told_and_the_next_run_completes_it(lake: Database) -> None:
    with connect(lake, write=True) as first, connect(lake, write=True) as second:
        first.repository(SPEC).upsert_many([rows(0, 5, "x")])
        first.repository(SPECS["other"]).upsert_many([others(0, 5)])
        second.repository(SPECS["other"]).upsert_many([others(5, 6)])
        second.commit()
        with pytest.raises(StatementError, match=r"1 of 2 tables were committed \(number\), but not other") as told:
            first.commit()
    assert "run again, which completes the rest" in told.value.advice
    with connect(lake, write=True) as again:
        assert again.repository(SPEC).digest() == digest_batches(SPEC, [rows(0, 5, "x"), rows(5, 10_000)])
        again.repository(SPECS["other"]).upsert_many([others(0, 5)])
        again.commit()
    with connect(lake) as connection:
        assert connection.repository(SPECS["other"]).count() == 6


@pytest.mark.slow
def test_comparing_with_an_unchanged_table_reads_none_of_its_files(lake: Database, config: Config) -> None:
    databases.create(config.database("sqlite"), NUMBERS)
    with connect(config.database("sqlite"), write=True) as connection:
        connection.repository(SPEC).upsert_many([rows(0, 10_000)])
        connection.commit()
    named = replace(config, metadata=f"{__name__}:NUMBERS", databases={**config.databases, "lake": lake})
    for path in Path(lake.place).glob("number/*.parquet"):
        path.write_bytes(b"nobody reads this")
    assert diff(named, "sqlite", "lake", ["number"]).equal
    assert not any(table.inserted + table.updated for table in sync(named, "sqlite", "lake", ["number"]).tables)
    with connect(lake) as connection, pytest.raises(ToolkitError):
        list(connection.repository(SPEC).read())


def test_an_upsert_writes_only_files_that_hold_its_keys_and_tells_so_before(lake: Database) -> None:
    before = files(lake)
    with connect(lake, write=True) as connection:
        table = connection.repository(SPEC)
        assert isinstance(table, RewritesFiles)
        changed = rows(7_000, 7_010, "x")
        assert table.rewritten(pa.Table.from_batches([changed]).select(["id"]))[0] == 1
        table.upsert_many([changed])
        assert table.digest() == digest_batches(SPEC, [rows(0, 7_000), changed, rows(7_010, 10_000)])
        connection.commit()
    assert len(before & files(lake)) == len(before) - 1
    with connect(lake) as connection:
        # It was not read again, but added up: the sum is that of what is read.
        table = connection.repository(SPEC)
        assert table.digest() == digest_batches(SPEC, table.read())


def test_a_log_is_read_when_its_table_is_used_and_once(lake: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    (Path(lake.place) / "no table").mkdir()
    read, asked = log.read, []

    def noting(place: Place, name: str) -> log.Snapshot | None:
        asked.append(name)
        return read(place, name)

    monkeypatch.setattr("toolkit.engines.delta.log.read", noting)
    with connect(lake) as connection:
        assert sa.inspect(connection.sqlalchemy).get_table_names() == ["number", "other"]
        assert not asked
        for _ in range(2):
            connection.look_up([SPEC])
            assert connection.repository(SPEC).count() == 10_000
        assert asked == ["number"]
        narrow = replace(SPEC, conditions=("id >= (SELECT count(*) FROM OTHER)",))
        assert digest_batches(SPEC, connection.repository(narrow).read()) == connection.repository(SPEC).digest()
        assert asked == ["number", "other"]
        assert {table.name for table in connection.stored_tables()} == {"number", "other"}
    # What a transaction that is rolled back has read is there afterwards, too, as nothing was.
    with connect(lake, write=True) as connection:
        twice = rows(20_000, 20_001).set_column(1, SPEC.schema.field(1), pa.array(["n5"]))
        with pytest.raises(UniqueConflictError), connection.savepoint():
            connection.repository(SPEC).upsert_many([twice])
        connection.repository(SPEC).upsert_many([rows(10_000, 10_003)])
        connection.commit()
        assert connection.repository(SPECS["other"]).count() == 0
    with connect(lake) as connection:
        assert connection.repository(SPEC).count() == 10_003


def test_rows_of_another_writer_are_read_and_no_digest_is_told_of_them(lake: Database) -> None:
    from deltalake import write_deltalake

    path = Path(lake.place) / "number"
    # A commit that changes no row leaves what was told.
    DeltaTable(path).alter.set_table_description("numbers")
    base = seen(lake, "number").base
    assert base is not None
    assert base.receipt["rows"] == 10_000
    more = rows(10_000, 10_003)
    write_deltalake(path, pa.Table.from_batches([more]), mode="append")
    with connect(lake) as connection:
        assert connection.repository(SPEC).count() == 10_003
        assert connection.repository(SPEC).digest() == digest_batches(SPEC, [rows(0, 10_000), more])
    DeltaTable(path).update(updates={"name": "'theirs'"}, predicate="id = 10001")
    with connect(lake) as connection:
        own = connection.repository(SPEC)
        assert own.digest() == digest_batches(SPEC, own.read()) != digest_batches(SPEC, [rows(0, 10_000), more])
    write_deltalake(Path(lake.place) / "theirs", pa.table({"a": [1, None], "b": ["x", "y"], "c": [[1.5], None]}))
    with connect(lake) as connection:
        (table,) = (t for t in connection.schema().metadata.tables.values() if t.name == "theirs")
        (spec,) = select_tables(table.metadata, ["theirs"])
        found = pa.Table.from_batches(connection.repository(spec).read()).to_pydict()
    assert found["a"] == [1, None]


@pytest.mark.slow
def test_what_a_lake_cannot_hold_or_keep_apart_is_refused_by_row(lake: Database) -> None:
    def written(batch: pa.RecordBatch) -> None:
        with connect(lake, write=True) as connection:
            connection.repository(SPEC).upsert_many([batch])
            connection.commit()

    infinite = pa.array([None, 2**31 - 1], pa.int32()).view(pa.date32())
    with pytest.raises(UnrepresentableValueError, match="number id=1: column 'day' holds infinity"):
        written(rows(0, 2).set_column(2, SPEC.schema.field(2), infinite))
    with pytest.raises(UniqueConflictError, match=r"unique name = n5 belongs to different rows: id=\d+ and id=\d+"):
        written(pa.record_batch([pa.array([20_000], pa.int32()), ["n5"], infinite.slice(0, 1)], schema=SPEC.schema))
    # A load checks what is in the files by then.
    twice = [rows(0, 130_000), rows(5, 6)]
    with connect(lake, write=True) as connection:
        table = connection.repository(SPEC)
        table.delete_all()
        with pytest.raises(UnnamedRowError) as told:
            table.load(iter(twice), 130_001)
        connection.sqlalchemy.rollback()
        assert "5" in str(connection.repository(SPEC).why_refused(iter(twice), told.value))
    with connect(lake) as connection:
        assert connection.repository(SPEC).digest() == digest_batches(SPEC, [rows(0, 10_000)])


def test_files_are_read_by_others(tmp_path: Path) -> None:
    """pyarrow and DuckDB read the same values, and field metadata says what is of a type that Delta lacks."""
    lake = Database("lake", f"delta+file://{tmp_path}/lake")
    databases.create(lake, schema.metadata)
    batch = schema.batch()
    with connect(lake, write=True) as connection:
        connection.repository(schema.spec()).upsert_many([batch])
        connection.commit()
    folder = Path(seen(lake, schema.every_type.name).place.table(schema.every_type.name))
    own = DeltaTable(folder)
    found = pq.read_table(own.file_uris()[0]).sort_by("key")
    sent = pa.Table.from_batches([batch]).sort_by("key")
    for name in ("key", "uuid"):
        assert found.schema.field(name).type == pa.binary()
        assert pa.schema(own.schema()).field(name).metadata[b"toolkit.type"] == b"UUID"
        assert found.column(name).to_pylist() == sent.column(name).to_pylist()
    for name in ("timestamp", "timestamptz", "date", "int64", "decimal", "bytes", "json", schema.TEXT):
        assert found.column(name).to_pylist() == sent.column(name).to_pylist()
    assert [str(value) for value in found.column("float64").to_pylist()] == [
        str(value) for value in sent.column("float64").to_pylist()
    ]
    assert found.column("time").to_pylist() == sent.column("time").cast(pa.int64()).to_pylist()
    with duckdb.connect() as other:
        query = 'SELECT sum(int16), count("interval".days), max("decimal") FROM read_parquet(?)'
        (sums,) = other.execute(query, [[str(each) for each in own.file_uris()]]).fetchall()
    assert sums[0] == sum(filter(None, sent.column("int16").to_pylist()))
    assert sums[1] == len(sent.column("interval").drop_null())
    assert sums[2] == max(filter(None, sent.column("decimal").to_pylist()))


@pytest.mark.slow
def test_a_lake_in_an_object_store_and_its_refusal_where_two_would_lose_commits(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3_server.create_bucket("lakes")
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    found = Database("lake", "delta+s3://lakes/a/prefix")
    # Swift itself lets in all that make an object before the first of them has written.
    with pytest.raises(DatabaseUnavailableError, match="lets several writers make one object"):
        databases.create(found, NUMBERS)
    with unreliable.elsewhere(s3_server.endpoint) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT", endpoint)
        databases.create(found, NUMBERS)
        with connect(found, write=True) as connection, connect(found, write=True) as second:
            for each, sign in ((connection, "n"), (second, "x")):
                each.repository(SPEC).upsert_many([rows(0, 5_000, sign)])
            connection.commit()
            with pytest.raises(ContentionError):
                second.commit()
        with connect(found) as connection:
            assert connection.repository(SPEC).digest() == digest_batches(SPEC, [rows(0, 5_000)])
            assert len(list(connection.repository(SPEC).row_digests())) == 1
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
        with pytest.raises(DatabaseUnavailableError) as told, connect(found):
            pass
        assert "wrong-secret" not in str(told.value)


@pytest.mark.slow
def test_files_of_earlier_versions_are_removed_after_a_week_and_not_before(
    lake: Database, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, path = replace(config, databases={**config.databases, "lake": lake}), Path(lake.place) / "number"
    monkeypatch.setattr(log, "now", lambda: files_module.now() - 8 * 24 * 3_600_000)
    with connect(lake, write=True) as connection:
        connection.repository(SPEC).upsert_many([rows(0, 5, "x")])
        connection.commit()
    monkeypatch.undo()
    with pytest.raises(ConfigurationError, match="Files of the last 168 hours are kept"):
        vacuum(named, "lake", keep_hours=1)
    with pytest.raises(ConfigurationError, match="keeps none of earlier versions"):
        vacuum(named, "sqlite")
    # Removed by the first upsert of the fixture just now, and by this one a week ago and more.
    there = stored(lake)
    # Beside: totals of three versions, of which the first was the last one more than a week ago; and two runs.
    commits = sorted((path / "_delta_log").iterdir())
    told = [receipt_of(each)["segments"] for each in commits[2:]]
    for run in ("old", "young"):
        (path / "_toolkit" / "runs" / run).mkdir(parents=True)
        (path / "_toolkit" / "runs" / run / "about.json").write_text("{}")
    for each in (path / "_toolkit" / "runs" / "old" / "about.json", *(path / name for name in told)):
        os.utime(each, (0, 0))
    for each in commits[:4]:
        each.write_text(re.sub('"commitInfo":{"timestamp":[0-9]+', '"commitInfo":{"timestamp":1000', each.read_text()))
    would = {each.table: each.files for each in vacuum(named, "lake", dry_run=True).tables}
    assert (would["number"], stored(lake)) == (3, there)
    assert {each.table: each.files for each in vacuum(named, "lake").tables} == would
    assert len(stored(lake)) == len(there) - 1
    assert [(path / name).exists() for name in told] == [False, True, True]
    assert [file.parent.name for file in (path / "_toolkit").rglob("about.json")] == ["young"]
    base = seen(lake, "number").base
    assert base is not None
    assert base.receipt["rows"] == 10_000


@pytest.mark.slow
def test_a_lost_file_and_a_damaged_one_are_told_and_no_value_of_theirs_is_verified(
    shopping: Config, tmp_path: Path
) -> None:
    sync(shopping, "sqlite", "lake")
    (file,) = (tmp_path / "lake" / "customer").glob("*.parquet")
    whole = file.read_bytes()
    chunk = pq.ParquetFile(file).metadata.row_group(0).column(1)
    # The last byte of the first page: the whole of it lies before the next column's.
    place = (chunk.dictionary_page_offset or chunk.data_page_offset) + 40
    file.write_bytes(whole[:place] + bytes([whole[place] ^ 64]) + whole[place + 1 :])
    with pytest.raises(ToolkitError, match=r"checksum verification failed|corrupt|Deserializing page"):
        sync(shopping, "lake", "duckdb")
    file.unlink()
    for attempt in (lambda: sync(shopping, "lake", "duckdb"), lambda: diff(shopping, "sqlite", "lake")):
        with pytest.raises(ConfigurationError, match="a file that its log names is not there"):
            attempt()
    file.write_bytes(whole)
    assert sync(shopping, "lake", "duckdb").verified


def _mapped(directory: Path) -> None:
    """A table whose files call its columns otherwise, as Spark's do after a column was renamed."""
    (directory / "_delta_log").mkdir(parents=True)
    pq.write_table(pa.table({"col-1": [1, 2]}), directory / "f.parquet")
    of_column = {"delta.columnMapping.id": 1, "delta.columnMapping.physicalName": "col-1"}
    schema = {"type": "struct", "fields": [{"name": "v", "type": "long", "nullable": True, "metadata": of_column}]}
    mapping = {"delta.columnMapping.mode": "name", "delta.columnMapping.maxColumnId": "1"}
    size = (directory / "f.parquet").stat().st_size
    actions = [
        {"protocol": {"minReaderVersion": 2, "minWriterVersion": 5}},
        {
            "metaData": {
                "id": "1",
                "format": {"provider": "parquet", "options": {}},
                "schemaString": json.dumps(schema),
                "partitionColumns": [],
                "configuration": mapping,
            }
        },
        {"add": {"path": "f.parquet", "partitionValues": {}, "size": size, "modificationTime": 1, "dataChange": True}},
    ]
    (directory / "_delta_log" / f"{0:020}.json").write_text("\n".join(map(json.dumps, actions)))


@pytest.mark.slow
def test_tables_that_cannot_be_read_are_refused_by_name_until_they_are_left_out(config: Config, tmp_path: Path) -> None:
    rows = pa.table({"id": [1, 2], "v": ["x", "y"]})
    write_deltalake(tmp_path / "lake" / "plain", rows)
    write_deltalake(tmp_path / "lake" / "split", rows, partition_by=["v"])
    _mapped(tmp_path / "lake" / "mapped")
    lake = {"lake": Database("lake", f"delta+file://{tmp_path}/lake")}
    bare = replace(config, metadata="", migrations=Path("none"), databases={**config.databases, **lake})
    names = "names (column mapping)"
    for attempt in (
        lambda: sync(bare, "lake", "sqlite"),
        lambda: diff(bare, "lake", "lake"),
        lambda: dump_data(bare, "lake", directory=tmp_path / "dumped"),
    ):
        with pytest.raises(SchemaMismatchError) as refused:
            attempt()
        assert set(refused.value.fact.rstrip(".").split("; ")) == {
            "lake may have rows in split, and it cannot be used: it is partitioned",
            f"lake may have rows in mapped, and it cannot be used: its files call the columns by other {names}",
        }
    assert "--exclude" in refused.value.advice
    assert sync(bare, "lake", "sqlite", exclude=("split", "mapped")).verified
