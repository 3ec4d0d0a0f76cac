"""`dump-data`: what it writes, in which order, and what is left of the old files when it does not get to its end."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import time
from pathlib import Path

import pytest

from tests.operations.databases import create, execute, insert
from tests.operations.example import fill
from tests.operations.outcomes import files_in
from tests.operations.processes import toolkit
from tests.operations.shop import Category, metadata
from tests.servers.swift import S3Server
from toolkit.cli import run
from toolkit.config import Config, Store
from toolkit.core.fixture_manifest import MANIFEST
from toolkit.core.progress import Silent
from toolkit.errors import (
    ConditionError,
    FixtureError,
    LockLostError,
    StoreError,
    UnknownNameError,
    UnrepresentableValueError,
)
from toolkit.operations.fixtures.dump import dump_data
from toolkit.operations.fixtures.load import load_data
from toolkit.stores.directories import LocalDirectory, directory_at
from toolkit.stores.fixture_files import FileForm, file_name, table_of
from toolkit.stores.fixture_writer import STAGING, FixtureWriter
from toolkit.stores.objects import ObjectStore

AT = "'2024-01-01 00:00:00.000000'"
KILLS = 5


def rows(directory: Path, table: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads((directory / f"{table}.json").read_bytes())
    return found


@pytest.fixture
def filled(shop: Config) -> Config:
    fill(shop.database("sqlite"))
    return shop


def test_all_tables_are_dumped_with_their_number_of_rows_size_and_hash(filled: Config, tmp_path: Path) -> None:
    import hashlib

    result = dump_data(filled, "sqlite", directory=tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / MANIFEST).read_bytes())
    assert set(manifest["tables"]) == set(metadata.tables) == {table.table for table in result.tables}
    for table, listed in manifest["tables"].items():
        content = (tmp_path / "out" / listed["file"]).read_bytes()
        assert listed["rows"] == len(json.loads(content))
        assert listed["bytes"] == len(content)
        assert listed["sha256"] == hashlib.sha256(content).hexdigest()
        assert content.endswith(b"]\n"), table


def test_an_unchanged_database_changes_no_byte(filled: Config, tmp_path: Path) -> None:
    dump_data(filled, "sqlite", directory=tmp_path / "out")
    before = files_in(tmp_path / "out")
    dump_data(filled, "sqlite", directory=tmp_path / "out")
    assert files_in(tmp_path / "out") == before


def test_one_changed_row_is_one_changed_line(filled: Config, tmp_path: Path) -> None:
    dump_data(filled, "sqlite", directory=tmp_path / "out")
    before = (tmp_path / "out" / "customer.json").read_text().splitlines()
    execute(filled.database("sqlite"), "UPDATE customer SET name = 'changed' WHERE id = 1")
    dump_data(filled, "sqlite", directory=tmp_path / "out")
    after = (tmp_path / "out" / "customer.json").read_text().splitlines()
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 1


@pytest.mark.parametrize("engine", ["sqlite", "postgres", "duckdb"])
def test_a_condition_narrows_a_table(shop: Config, tmp_path: Path, engine: str) -> None:
    create(shop.database(engine), metadata)
    insert(shop.database(engine), Category, [{"id": n, "name": f"c{n}%"} for n in range(1, 6)])
    conditions = {"category": "id > 2 AND name LIKE 'c%' OR name = ':x' -- all of them"}
    dump_data(shop, engine, directory=tmp_path / "out", where=conditions)
    assert [row["id"] for row in rows(tmp_path / "out", "category")] == [3, 4, 5]


def test_a_condition_of_sqlite_holds_for_any_number_but_zero_also_where_rows_are_counted(
    shop: Config, tmp_path: Path
) -> None:
    create(shop.database("sqlite"), metadata)
    insert(shop.database("sqlite"), Category, [{"id": n, "name": f"c{n}"} for n in range(1, 8)])
    for dry_run in (True, False):
        result = dump_data(
            shop, "sqlite", ["category"], directory=tmp_path / "out", where={"category": "id & 2"}, dry_run=dry_run
        )
        assert [table.rows for table in result.tables] == [4]
    both = dump_data(shop, "sqlite", ["category"], directory=tmp_path, where={"category": ["id & 2", "id & 4"]})
    assert [table.rows for table in both.tables] == [2]


@pytest.mark.parametrize("engine", ["sqlite", "postgres", "duckdb"])
def test_a_wrong_condition_is_an_error_and_changes_nothing(shop: Config, tmp_path: Path, engine: str) -> None:
    create(shop.database(engine), metadata)
    dump_data(shop, engine, directory=tmp_path / "out")
    before = files_in(tmp_path / "out")
    conditions: list[str | list[str]] = [
        ["1=1) OR (1=1", "id > 0"],
        ["(id > 0", "id > 0)"],
        "no_such_column = 1",
        "1=1); DROP TABLE category; --",
        "id >",
        "1=1) OR (1=1",
        "1=1; DROP TABLE category",
        "1=1); DROP TABLE category; SELECT (1",
        "1=1) --",
        "1=1 ORDER BY id",
        "1=1 /*",
        "1=1) OR (1=1 /*",
    ]
    for condition in conditions:
        with pytest.raises(ConditionError):
            dump_data(shop, engine, directory=tmp_path / "out", where={"category": condition})
    assert files_in(tmp_path / "out") == before
    dump_data(shop, engine, directory=tmp_path / "out")
    assert files_in(tmp_path / "out") == before


def test_a_table_can_be_left_out_and_its_old_file_stays(filled: Config, tmp_path: Path) -> None:
    dump_data(filled, "sqlite", directory=tmp_path / "out")
    before = files_in(tmp_path / "out")
    execute(filled.database("sqlite"), "UPDATE customer SET name = 'changed'")
    result = dump_data(filled, "sqlite", directory=tmp_path / "out", exclude=["customer"], keep_others=True)
    assert [(each.outcome, each.table) for each in result.warnings] == [("older file kept", "customer")]
    assert files_in(tmp_path / "out") == before
    dump_data(filled, "sqlite", ["customer"], directory=tmp_path / "out")
    assert {name for name, content in files_in(tmp_path / "out").items() if content != before[name]} == {
        "customer.json",
        MANIFEST,
    }


def test_what_an_older_dump_wrote_of_other_tables_goes_unless_it_was_changed_since(
    filled: Config, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for is_changed in (False, True):
        dump_data(filled, "sqlite", directory=out)
        if is_changed:
            (out / "customer.json").write_bytes((out / "customer.json").read_bytes() + b" ")
        (out / "own.json").write_text("[]")
        before = files_in(out)
        told = dump_data(filled, "sqlite", directory=out, exclude=["customer"], dry_run=True).warnings
        assert files_in(out) == before
        assert dump_data(filled, "sqlite", directory=out, exclude=["customer"]).warnings == told
        outcome = "older file kept" if is_changed else "older file removed"
        assert [(each.outcome, each.table) for each in told] == [(outcome, "customer")]
        gone = set() if is_changed else {"customer.json"}
        assert set(files_in(out)) == set(before) - gone
        assert "customer" not in json.loads((out / MANIFEST).read_bytes())["tables"]


def test_a_dry_run_counts_and_writes_nothing(filled: Config, tmp_path: Path) -> None:
    result = dump_data(filled, "sqlite", directory=tmp_path / "out", dry_run=True)
    assert {table.table: table.rows for table in result.tables}["customer"] > 0
    assert not (tmp_path / "out").exists()


def test_another_form_takes_the_place_of_the_old_one(filled: Config, tmp_path: Path) -> None:
    from toolkit.operations.fixtures.dump import Compression, Format

    dump_data(filled, "sqlite", directory=tmp_path / "out")
    dump_data(filled, "sqlite", directory=tmp_path / "out", form=FileForm(Format.JSONL, Compression.ZSTD))
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".zst", ".json"}
    assert [path.name for path in (tmp_path / "out").glob("*.json")] == [MANIFEST]


@pytest.mark.parametrize(("where", "exclude"), [({"custmer": "1=1"}, []), ({}, ["custmer"])])
def test_an_unknown_table_is_told_with_the_nearest(
    filled: Config, tmp_path: Path, where: dict[str, str], exclude: list[str]
) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'customer'"):
        dump_data(filled, "sqlite", directory=tmp_path / "out", where=where, exclude=exclude)


def test_a_column_that_holds_no_json_is_named_with_its_row(config: Config, tmp_path: Path) -> None:
    load_data(config, "sqlite")
    execute(config.database("sqlite"), "UPDATE todo SET details = '{broken' WHERE item = 'Repair the bicycle'")
    with pytest.raises(UnrepresentableValueError, match=r"details.*is not valid JSON"):
        dump_data(config, "sqlite", directory=tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.json"))


def test_ciphertext_is_dumped_as_it_is_stored(config: Config, tmp_path: Path) -> None:
    load_data(config, "sqlite")
    dump_data(config, "sqlite", directory=tmp_path / "out", attachments=True)
    assert files_in(tmp_path / "out") == files_in(config.fixtures)


# -- names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "table",
    [
        "todo",
        "a/b",
        "../x",
        ".hidden",
        "manifest",
        "MANIFEST",
        "Ünïcode",
        "a\x00b",
        "x%41",
        "con",
        "a.json",
        "sales.order",
        "tab\there",
        'q"uote',
    ],
)
def test_a_table_s_name_makes_a_harmless_file_name_and_comes_back(table: str) -> None:
    name = file_name(table, FileForm())
    assert "/" not in name
    assert not name.startswith(".")
    assert name.lower() != MANIFEST
    assert table_of(name) == (table, FileForm())


# -- failures ----------------------------------------------------------------------------------------------


def many(config: Config, count: int, name: str) -> None:
    """Many customers, all of that name."""
    execute(
        config.database("sqlite"),
        "DELETE FROM customer",
        f"WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count}) "
        f"INSERT INTO customer SELECT n, n || '@x', '{name}', {AT}, {AT} FROM n",
    )


def settings(config: Config, directory: Path) -> Path:
    database = config.database("sqlite").address
    (directory / "toolkit.toml").write_text(
        f'metadata = "{config.metadata}"\nmigrations = "none"\nfixtures = "out"\n[databases]\nsqlite = "{database}"\n'
    )
    return directory


@pytest.mark.slow
def test_a_dump_killed_at_any_moment_leaves_a_whole_set_old_or_new(shop: Config, tmp_path: Path) -> None:
    create(shop.database("sqlite"), metadata)
    many(shop, 5000, "old")
    project = settings(shop, tmp_path)
    # The first of all processes waits for what the others are forked from.
    assert toolkit(project, "dump-data").end() == 0
    began = time.monotonic()
    assert toolkit(project, "dump-data").end() == 0
    usual = time.monotonic() - began
    random.seed(5)
    seen = set()
    for round_ in range(KILLS):
        many(shop, 5000, f"round {round_}")
        running = toolkit(project, "dump-data")
        time.sleep(random.uniform(0, usual))
        running.process.kill()
        running.process.join()
        # A reader first completes what was written whole.
        directory = directory_at(tmp_path / "out")
        from toolkit.stores.fixture_writer import complete

        complete(directory)
        names = {row["name"] for row in rows(tmp_path / "out", "customer")}
        assert len(names) == 1
        assert len(rows(tmp_path / "out", "customer")) == 5000
        seen |= names
        load_data(shop, "sqlite2", directory=tmp_path / "out")
    assert toolkit(project, "dump-data").end() == 0
    assert {row["name"] for row in rows(tmp_path / "out", "customer")} == {f"round {KILLS - 1}"}
    assert not (tmp_path / "out" / STAGING).exists()


@pytest.mark.parametrize("moved", range(4))
def test_a_set_that_was_written_but_not_moved_to_its_end_is_completed_by_the_next_reader(
    filled: Config, tmp_path: Path, moved: int
) -> None:
    directory = tmp_path / "out"
    dump_data(filled, "sqlite", directory=directory)
    execute(filled.database("sqlite"), "UPDATE customer SET name = 'changed'", "UPDATE category SET name = 'changed'")

    class Interrupted(LocalDirectory):
        moves = 0

        def move(self, source: str, target: str) -> None:
            if self.moves == moved:
                raise KeyboardInterrupt
            self.moves += 1
            super().move(source, target)

    from toolkit.core.tables import select_tables
    from toolkit.engines import connect

    writer = FixtureWriter(Interrupted(directory), FileForm())
    with connect(filled.database("sqlite")) as origin:
        for spec in select_tables(metadata):
            writer.write(spec, origin.repository(spec).read())
    with pytest.raises(KeyboardInterrupt):
        writer.finish(None)

    load_data(filled, "sqlite2", directory=directory)

    assert {row["name"] for row in rows(directory, "customer")} == {"changed"}
    assert not (directory / STAGING).exists()
    dump_data(filled, "sqlite2", directory=tmp_path / "again")
    assert files_in(tmp_path / "again") == files_in(directory)


@pytest.mark.slow
@pytest.mark.parametrize("temporary", [("", ""), ("a", "b")], ids=["", "without common temporary files"])
def test_two_dumps_into_one_directory_never_mix(shop: Config, tmp_path: Path, temporary: tuple[str, str]) -> None:
    for name, count in (("sqlite", 3000), ("sqlite2", 10)):
        create(shop.database(name), metadata)
        execute(
            shop.database(name),
            f"WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count}) "
            f"INSERT INTO customer SELECT n, n || '@x', '{name}', {AT}, {AT} FROM n",
            f"INSERT INTO category VALUES (1, NULL, '{name}')",
        )
    project = settings(shop, tmp_path)
    folders = [tmp_path / name if name else None for name in temporary]
    for folder in filter(None, folders):
        folder.mkdir()
    for _ in range(3):
        running = [
            toolkit(project, "dump-data", "--from", shop.database(name).address, temporary=folder)
            for name, folder in zip(("sqlite", "sqlite2"), folders, strict=True)
        ]
        assert [each.end() for each in running] == [0, 0]
        (category,) = rows(tmp_path / "out", "category")
        assert {row["name"] for row in rows(tmp_path / "out", "customer")} == {category["name"]}
        assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".toolkit")]


@pytest.mark.slow
def test_a_dump_into_a_prefix_where_another_writes_is_refused(
    filled: Config, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    s3_server.create_bucket("busy")
    place = "s3://busy/prefix"
    with directory_at(place).alone(), pytest.raises(StoreError, match="another dump is being written there") as caught:
        dump_data(filled, "sqlite", directory=place)
    assert f"process {os.getpid()}" in caught.value.fact
    assert "locks/dump-" in caught.value.advice
    dump_data(filled, "sqlite", directory=place)
    assert not list(ObjectStore(Store("", place)).list("locks"))


def test_the_lock_of_a_dump_is_renewed_while_it_is_held(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("toolkit.stores.archive_locks._RENEWED_SECONDS", 0.01)
    s3_server.create_bucket("renewed")
    store = ObjectStore(Store("", "s3://renewed/prefix"))
    with directory_at("s3://renewed/prefix").alone():
        (lock,) = store.list("locks")
        assert any(found and found.last_modified > lock.last_modified for found in map(store.info, [lock.key] * 20_000))


@pytest.mark.slow
def test_a_dump_whose_lock_was_taken_for_void_leaves_the_old_set(
    filled: Config, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    s3_server.create_bucket("lost")
    place = "s3://lost/prefix"
    dump_data(filled, "sqlite", directory=place)
    store = ObjectStore(Store("", place))

    class Thief(Silent):
        def step(self, label: str, rows: int | None = None) -> None:
            store.delete([lock.key for lock in store.list("locks")])

    def whole_files() -> dict[str, bytes]:
        return {o.key: b"".join(store.read(o.key)) for o in store.list() if not o.key.startswith(STAGING)}

    before = whole_files()
    execute(filled.database("sqlite"), "UPDATE category SET name = 'changed'")
    with pytest.raises(LockLostError):
        dump_data(filled, "sqlite", directory=place, progress=Thief())
    assert whole_files() == before
    dump_data(filled, "sqlite", directory=place)
    assert whole_files() != before


def test_a_full_disk_is_told_and_leaves_the_old_set(shop: Config, tmp_path: Path) -> None:
    create(shop.database("sqlite"), metadata)
    many(shop, 100, "old")
    project = settings(shop, tmp_path)
    dump_data(shop, "sqlite", directory=tmp_path / "out")
    before = files_in(tmp_path / "out")
    many(shop, 20_000, "new")

    done = toolkit(project, "dump-data", largest_file=500_000)
    assert done.end() == 1, done.err
    assert "Traceback" not in done.err
    assert "File too large" in done.err
    assert files_in(tmp_path / "out") == before


def test_a_directory_that_may_not_be_written_to_is_told(filled: Config, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(StoreError, match="out"):
        dump_data(filled, "sqlite", directory=tmp_path / "out")


def test_tables_of_two_revisions_do_not_share_a_directory(config: Config, tmp_path: Path) -> None:
    load_data(config, "sqlite")
    dump_data(config, "sqlite", directory=tmp_path / "out")
    manifest = tmp_path / "out" / MANIFEST
    manifest.write_text(manifest.read_text().replace('"revision": "', '"revision": "x'))
    with pytest.raises(FixtureError, match="but the database is at"):
        dump_data(config, "sqlite", ["todo"], directory=tmp_path / "out")
    dump_data(config, "sqlite", directory=tmp_path / "out")


# -- object stores -----------------------------------------------------------------------------------------


def test_a_set_in_an_object_store_is_dumped_and_loaded(filled: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    from obstore.store import MemoryStore

    store = MemoryStore()
    monkeypatch.setattr("obstore.store.MemoryStore", lambda: store)
    dump_data(filled, "sqlite", directory="memory://")
    execute(filled.database("sqlite"), "UPDATE customer SET name = 'changed'")
    dump_data(filled, "sqlite", directory="memory://")
    load_data(filled, "duckdb", directory="memory://")
    assert not directory_at("memory://").files(STAGING)
    result = load_data(filled, "sqlite", directory="memory://")
    assert not sum(table.inserted + table.updated for table in result.tables)
    # What lies in a folder there is told, as it is on a disk.
    store.put("sub/customer.csv", b"id,name\n1,other\n")
    store.put("sub/deeper/price.csv", b"id\n1\n")
    assert directory_at("memory://").folders() == {"sub"}
    result = load_data(filled, "sqlite", directory="memory://")
    assert ["sub/customer.csv is left out: folders are not read" in each.reason for each in result.warnings] == [True]


@pytest.mark.slow
def test_a_set_in_s3_is_dumped_changed_and_loaded(
    filled: Config, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from toolkit.operations.fixtures.dump import Compression, Format

    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    s3_server.create_bucket("fixtures")
    place = "s3://fixtures/a/prefix"
    dump_data(filled, "sqlite", directory=place)
    execute(filled.database("sqlite"), "UPDATE customer SET name = 'changed'")
    dump_data(filled, "sqlite", directory=place, form=FileForm(Format.JSONL, Compression.ZSTD))
    assert directory_at(place).files() == {MANIFEST, *(f"{name}.jsonl.zst" for name in metadata.tables)}
    assert not directory_at(place).files(STAGING)
    load_data(filled, "duckdb", directory=place)
    with directory_at(place).create("sub/customer.csv") as file:
        file.write(b"id,name\n1,other\n")
    assert (directory_at(place).folders(), directory_at("s3://fixtures").folders()) == (
        frozenset({"sub"}),
        frozenset({"a"}),
    )
    result = load_data(filled, "sqlite", directory=place)
    assert [each.table for each in result.warnings] == ["customer"]
    assert not sum(table.inserted + table.updated for table in result.tables)


def test_a_store_that_lets_nobody_in_is_told_without_the_secret(
    filled: Config, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**s3_server.environment, "AWS_SECRET_ACCESS_KEY": "wrong-secret"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreError) as caught:
        dump_data(filled, "sqlite", directory="s3://fixtures/other")
    assert "wrong-secret" not in str(caught.value)


def test_a_wrong_address_of_a_store_is_told(filled: Config, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(StoreError):
        dump_data(filled, "sqlite", directory="nowhere://bucket/prefix")


# -- the command line --------------------------------------------------------------------------------------


def test_the_command_tells_each_file(
    filled: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(settings(filled, tmp_path))
    assert run(["dump-data", "customer", "--where", "customer:id = 1", "--compress", "gz", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(table["table"], table["rows"], table["file"]) for table in told["tables"]] == [
        ("customer", 1, "customer.json.gz")
    ]
    assert run(["dump-data", "--where", "nonsense"]) == 2


@pytest.mark.parametrize("form", [["--format", "json"], ["--format", "jsonl"]])
def test_one_table_goes_through_standard_output_and_input(
    filled: Config,
    tmp_path: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
    form: list[str],
) -> None:
    monkeypatch.chdir(settings(filled, tmp_path))
    assert run(["dump-data", "customer", "--from", "sqlite", "--dir", "-", *form]) == 0
    shown = capfdbinary.readouterr()
    assert b"customer" in shown.err
    run(["dump-data", "customer", "--from", "sqlite", "--dir", "d", *form])
    (file,) = Path("d").glob("customer.*")
    assert shown.out == file.read_bytes()
    assert not Path("-").exists()
    capfdbinary.readouterr()
    content = io.BytesIO(b"\xef\xbb\xbf \n" + shown.out)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(content))
    execute(filled.database("sqlite"), "UPDATE customer SET name = 'changed' WHERE id = 1")
    assert run(["load-data", "customer", "--to", "sqlite", "--dir", "-"]) == 0
    assert capfdbinary.readouterr().out.startswith(b"standard input -> sqlite\n")
    run(["dump-data", "customer", "--from", "sqlite", "--dir", "again", *form])
    assert files_in(Path("again")) == files_in(Path("d"))


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("csv", b"id,name\n1,by text\n"),
        ("tsv", b"id\tname\n1\tby text\n"),
        ("yaml", b"- id: 1\n  name: by text\n"),
        ("json", b'[{"id": 1, "name": "by text"}]'),
        ("jsonl", b'{"id": 1, "name": "by text"}\n'),
    ],
)
def test_standard_input_is_of_the_format_that_is_said(
    filled: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, text: bytes
) -> None:
    monkeypatch.chdir(settings(filled, tmp_path))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert run(["load-data", "customer", "--to", "sqlite", "--dir", "-", "--format", form]) == 0
    run(["dump-data", "customer", "--from", "sqlite", "--dir", "d", "--where", "customer:id = 1"])
    assert rows(tmp_path / "d", "customer")[0]["name"] == "by text"


def test_compressed_standard_input_is_told(
    filled: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(settings(filled, tmp_path))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(b"[]"))))
    assert run(["load-data", "customer", "--to", "sqlite", "--dir", "-"]) == 2
    assert "gzip -dc | toolkit load-data" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["load-data", "customer", "--format", "csv"], "a file's name says its format"),
        (["dump-data", "customer", "--dir", "-", "--closure"], "a closure needs a directory"),
        (["dump-data", "--closure"], "none were chosen"),
        (["dump-data", "--dir", "-"], "toolkit dump-data TABLE --dir -"),
        (["dump-data", "customer", "--dir", "-", "--json"], "leave out --json"),
        (["load-data", "customer", "category", "--dir", "-"], "toolkit load-data TABLE --dir -"),
        (["load-data", "--dir", "d/customer.json"], "toolkit load-data customer --dir d"),
        (["load-data", "d/customer.csv.gz"], "toolkit load-data customer --dir d"),
        (["dump-data", "customer", "--dir", "d/customer.json"], "toolkit dump-data customer --dir d"),
        (["dump-data", "customer", "--dir", "/dev/null"], "--dir - is standard output"),
    ],
)
def test_a_file_in_place_of_a_directory_is_answered_with_what_to_write(
    filled: Config,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    told: str,
) -> None:
    monkeypatch.chdir(settings(filled, tmp_path))
    assert run([*arguments, "--to" if "load-data" in arguments else "--from", "sqlite"]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "d").exists()
