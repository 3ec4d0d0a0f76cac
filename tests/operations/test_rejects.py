"""`sync --rejects DIR`: rows that cannot be written, and those that depend on them, go into files; all else arrives."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import sqlalchemy as sa

from tests.operations.databases import connected, contents, create, execute
from toolkit.cli import run
from toolkit.config import Config
from toolkit.core.plan import SyncResult
from toolkit.errors import ConfigurationError, MisfitsError, ReferencedRowsError, RepeatedKeyError, ToolkitError
from toolkit.operations.diff.compare import diff
from toolkit.operations.fixtures.load import load_data
from toolkit.operations.sync import sync
from toolkit.operations.transfer import rejecting
from toolkit.operations.transfer.deletes import DeleteLimit
from toolkit.operations.transfer.options import Mode, Options
from toolkit.operations.transfer.watermarks import Since

METADATA = sa.MetaData()
sa.Table(
    "maker",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("founded", sa.Integer),
    sa.Column("boss_id", sa.ForeignKey("maker.id")),
)
sa.Table(
    "part",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("maker_id", sa.ForeignKey("maker.id")),
    sa.Column("weight", sa.Numeric(10, 4)),
)
sa.Table(
    "note",
    METADATA,
    sa.Column("code", sa.String, primary_key=True),
    sa.Column("part_id", sa.ForeignKey("part.id")),
)
CASELESS = sa.MetaData()
sa.Table("word", CASELESS, sa.Column("name", sa.Text, primary_key=True), sa.Column("size", sa.Integer))
sa.Table("use", CASELESS, sa.Column("id", sa.Integer, primary_key=True), sa.Column("word", sa.ForeignKey("word.name")))
PLAIN = {
    "maker": "id INTEGER PRIMARY KEY, name TEXT, founded INTEGER, boss_id INTEGER",
    "part": "id INTEGER PRIMARY KEY, maker_id INTEGER, weight DECIMAL(10,4)",
    "note": "code VARCHAR PRIMARY KEY, part_id INTEGER",
}
POINTERS = {"maker": ("boss_id", "maker"), "part": ("maker_id", "maker"), "note": ("part_id", "part")}
ROWS = (
    "INSERT INTO maker VALUES (1, 'a', 1990, NULL), (2, 'b', 1991, 1), (3, 'c', 1992, NULL), (4, 'd', 1993, 3)",
    "INSERT INTO part VALUES (10, 1, 1.5), (11, 2, 2.5), (12, 3, 3.5), (13, 4, 4.5), (14, NULL, 5.5)",
    "INSERT INTO note VALUES ('x', 10), ('y', 12), ('z', 13), ('w', NULL)",
)
BROKEN = ("UPDATE maker SET founded = 'long ago' WHERE id = 3",)
TARGETS = ["sqlite2", "postgres", "duckdb"]


@pytest.fixture
def space(config: Config, tmp_path: Path) -> Config:
    """A configuration of these tables, which have no migrations."""
    return replace(config, metadata=f"{__name__}:METADATA", migrations=tmp_path / "none")


def make(space: Config, database: str, /, *rows: str, constraint: str = "", **columns: str) -> None:
    """The tables, with foreign keys where the engine enforces them, and these rows."""
    is_enforcing = space.database(database).engine_name == "postgresql"
    made = []
    for table, plain in PLAIN.items():
        parts = [column.split(" ", 1) for column in plain.split(", ")]
        declared = [f"{column} {columns.get(column, type_)}" for column, type_ in parts]
        column, parent = POINTERS[table]
        declared += [f"FOREIGN KEY ({column}) REFERENCES {parent} (id)"] if is_enforcing else []
        declared += [constraint] if constraint and table == "part" else []
        made.append(f"CREATE TABLE {table} ({', '.join(declared)})")
    execute(space.database(database), *made, *rows)


def lines(directory: Path) -> dict[str, list[dict[str, Any]]]:
    """What the files hold, by table."""
    return {
        file.stem: [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        for file in sorted(directory.glob("*"))
    }


def keys(directory: Path) -> dict[str, list[Any]]:
    return {table: [row.get("id", row.get("code")) for row in rows] for table, rows in lines(directory).items()}


def rejected(result: SyncResult) -> dict[str, int]:
    return {each.table: each.rows for each in result.rejected}


def ids(space: Config, name: str) -> dict[str, list[Any]]:
    return {table: [row[0] for row in rows] for table, rows in contents(space.database(name), METADATA).items()}


@pytest.mark.slow
@pytest.mark.parametrize("target", ["postgres"])
def test_rows_that_do_not_fit_and_all_that_depend_on_them_are_left_out_and_the_rest_is_verified(
    space: Config, tmp_path: Path, target: str
) -> None:
    make(space, "sqlite", *ROWS, *BROKEN)
    make(space, target)
    with pytest.raises(ToolkitError):
        sync(space, "sqlite", target)

    result = sync(space, "sqlite", target, rejects=tmp_path / "out")

    assert rejected(result) == {"maker": 2, "part": 2, "note": 2}
    assert result.verified
    assert keys(tmp_path / "out") == {"maker": [3, 4], "part": [12, 13], "note": ["y", "z"]}
    assert ids(space, target) == {"maker": [1, 2], "part": [10, 11, 14], "note": ["w", "x"]}
    bad, child = lines(tmp_path / "out")["maker"]
    assert bad == {
        "id": 3,
        "name": "c",
        "founded": "long ago",
        "boss_id": None,
        "$rejected": "column 'founded' holds 'long ago', which is no int32",
        "$unread": {"founded": "long ago"},
    }
    assert child["$rejected"] == "boss_id points at a row of maker that is rejected"


@pytest.mark.slow
@pytest.mark.parametrize("target", ["postgres"])
def test_the_files_are_fixtures_that_load_data_takes_when_they_are_corrected(
    space: Config, tmp_path: Path, target: str
) -> None:
    make(space, "sqlite", *ROWS, *BROKEN)
    make(space, target)
    sync(space, "sqlite", target, rejects=tmp_path / "out")
    with pytest.raises(ToolkitError, match="long ago"):
        load_data(space, target, directory=tmp_path / "out")

    file = tmp_path / "out" / "maker.jsonl"
    file.write_text(file.read_text().replace('"long ago"', "1992", 1))
    load_data(space, target, directory=tmp_path / "out")

    execute(space.database("sqlite"), "UPDATE maker SET founded = 1992 WHERE id = 3")
    assert diff(space, "sqlite", target).equal


@pytest.mark.parametrize(("target", "mode"), [("postgres", Mode.REPLACE), ("sqlite2", Mode.UPSERT)])
def test_no_row_of_the_target_goes_whose_source_was_rejected(
    space: Config, tmp_path: Path, target: str, mode: Mode
) -> None:
    make(space, "sqlite", *ROWS, *BROKEN)
    make(space, target, *ROWS, "INSERT INTO maker VALUES (99, 'gone', 1, NULL)")
    options = Options(mode=mode, max_delete=DeleteLimit(1, 1))
    result = sync(space, "sqlite", target, options=options, rejects=tmp_path / "out")
    assert result.verified
    assert ids(space, target)["maker"] == [1, 2, 3, 4] + ([99] if mode is Mode.UPSERT else [])
    assert ids(space, target)["part"] == [10, 11, 12, 13, 14]
    assert {table.table: table.deleted for table in result.tables}["maker"] == (mode is Mode.REPLACE)


@pytest.mark.parametrize("target", ["sqlite2"])
def test_where_a_rejected_key_cannot_be_read_no_row_of_the_table_is_deleted(
    space: Config, tmp_path: Path, target: str
) -> None:
    make(space, "sqlite", *ROWS, "INSERT INTO note VALUES (CAST(x'ff' AS TEXT), NULL)")
    make(space, target, *ROWS, "INSERT INTO note VALUES ('gone', NULL)", "INSERT INTO part VALUES (99, NULL, 1)")
    options = Options(mode=Mode.REPLACE, max_delete=DeleteLimit(1, 1))
    result = sync(space, "sqlite", target, options=options, rejects=tmp_path / "out")
    assert {table.table: table.deleted for table in result.tables} == {"maker": 0, "part": 1, "note": 0}
    assert lines(tmp_path / "out")["note"][0]["code"] == "\\xff"


@pytest.mark.slow
def test_rows_that_the_target_would_not_keep_or_refuses_are_rejected(space: Config, tmp_path: Path) -> None:
    odd = ("UPDATE maker SET name = NULL WHERE id = 2", "UPDATE part SET weight = 1.2345 WHERE id = 14")
    refused = "UPDATE part SET weight = -1 WHERE id IN (10, 13)"
    make(space, "sqlite", *ROWS, *odd, refused)
    make(space, "postgres", constraint="CHECK (weight > 0)", name="TEXT NOT NULL", weight="NUMERIC(10,2)")
    result = sync(space, "sqlite", "postgres", rejects=tmp_path / "out")
    assert result.verified
    assert keys(tmp_path / "out") == {"maker": [2], "part": [14, 11, 10, 13], "note": ["x", "z"]}
    assert ids(space, "postgres") == {"maker": [1, 3, 4], "part": [12], "note": ["w", "y"]}
    assert "violates check constraint" in lines(tmp_path / "out")["part"][2]["$rejected"]


@pytest.mark.parametrize("target", ["postgres"])
def test_orphans_of_the_source_are_rejected_and_those_with_a_parent_in_the_target_are_not(
    space: Config, tmp_path: Path, target: str
) -> None:
    make(
        space, "sqlite", *ROWS, "INSERT INTO part VALUES (20, 77, 1), (21, 88, 1)", "INSERT INTO note VALUES ('o', 20)"
    )
    make(space, target, "INSERT INTO maker VALUES (88, 'there', 1, NULL)")
    result = sync(space, "sqlite", target, rejects=tmp_path / "out")
    assert rejected(result) == {"part": 1, "note": 1}
    assert keys(tmp_path / "out") == {"part": [20], "note": ["o"]}
    assert 21 in ids(space, target)["part"]


@pytest.mark.parametrize(("engine", "type_"), [("postgres", "NUMERIC"), ("duckdb", "DECIMAL(10,2)")])
def test_values_in_doubt_at_any_source_are_rejected_as_the_database_shows_them(
    space: Config, tmp_path: Path, engine: str, type_: str
) -> None:
    make(space, engine, *ROWS, "UPDATE maker SET founded = 5.25 WHERE id = 2", founded=type_)
    make(space, "sqlite")
    result = sync(space, engine, "sqlite", rejects=tmp_path / "out")
    assert result.verified
    assert lines(tmp_path / "out")["maker"][0]["founded"] == "5.25"
    assert ids(space, "sqlite")["maker"] == [1, 3, 4]


@pytest.mark.slow
@pytest.mark.parametrize(("target", "tables"), [("sqlite2", ()), ("postgres", ("part", "note")), ("sqlite3", ())])
def test_a_dry_run_counts_the_rows_without_a_parent_that_a_run_rejects(
    space: Config, tmp_path: Path, target: str, tables: tuple[str, ...]
) -> None:
    nothing = replace(space.database("sqlite"), name="sqlite3", address=f"sqlite:///{tmp_path}/nothing.sqlite")
    space = replace(space, databases={**space.databases, "sqlite3": nothing})
    orphans = ("UPDATE maker SET boss_id = 9 WHERE id = 1", "UPDATE note SET part_id = 99 WHERE code = 'w'")
    make(space, "sqlite", *ROWS, *orphans)
    if target == "sqlite2":
        make(space, target)
    found = []
    for dry_run in (True, False):
        done = sync(space, "sqlite", target, tables, dry_run=dry_run, rejects=tmp_path / f"out{dry_run}")
        found.append(({each.table: each.inserted for each in done.tables}, [(e.table, e.rows) for e in done.rejected]))
    assert found[0] == found[1]
    assert dict(found[0][1]) == ({"part": 4, "note": 4} if tables else {"maker": 2, "part": 2, "note": 2})


@pytest.mark.parametrize("dry_run", [True, False])
def test_rows_without_a_parent_that_are_there_already_are_none_that_a_run_rejects(
    space: Config, tmp_path: Path, dry_run: bool
) -> None:
    orphan = "UPDATE note SET part_id = 99 WHERE code = 'w'"
    make(space, "sqlite", *ROWS, orphan, "UPDATE maker SET name = 'other' WHERE id = 1")
    make(space, "sqlite2", *ROWS, orphan)
    result = sync(space, "sqlite", "sqlite2", dry_run=dry_run, rejects=tmp_path / "out")
    assert (rejected(result), {each.table: each.updated for each in result.tables}["maker"]) == ({}, 1)


def test_a_row_whose_parent_is_only_in_the_target_and_would_be_deleted_is_rejected(
    space: Config, tmp_path: Path
) -> None:
    make(space, "sqlite", *ROWS, "INSERT INTO part VALUES (21, 88, 1)")
    make(space, "sqlite2", *ROWS, "INSERT INTO maker VALUES (88, 'there', 1, NULL)")
    options = Options(mode=Mode.REPLACE, max_delete=DeleteLimit(1, 1))
    result = sync(space, "sqlite", "sqlite2", options=options, rejects=tmp_path / "out")
    assert rejected(result) == {"part": 1}
    assert ids(space, "sqlite2")["maker"] == [1, 2, 3, 4]


def test_rows_that_point_at_a_rejected_one_in_other_letters_are_rejected_where_the_key_has_no_case(
    space: Config, tmp_path: Path
) -> None:
    space = replace(space, metadata=f"{__name__}:CASELESS")
    for name in ("sqlite", "sqlite2"):
        execute(
            space.database(name),
            "CREATE TABLE word (name TEXT COLLATE NOCASE PRIMARY KEY, size INTEGER)",
            "CREATE TABLE use (id INTEGER PRIMARY KEY, word TEXT REFERENCES word (name))",
        )
    execute(
        space.database("sqlite"),
        "INSERT INTO word VALUES ('a', 1), ('b', 'big')",
        "INSERT INTO use VALUES (1, 'A'), (2, 'B')",
    )
    result = sync(space, "sqlite", "sqlite2", rejects=tmp_path / "out")
    assert rejected(result) == {"word": 1, "use": 1}
    assert [each["id"] for each in lines(tmp_path / "out")["use"]] == [2]


def test_without_misfits_no_file_is_written_and_a_dry_run_writes_none_either(space: Config, tmp_path: Path) -> None:
    make(space, "sqlite", *ROWS)
    make(space, "sqlite2")
    assert sync(space, "sqlite", "sqlite2", rejects=tmp_path / "none").rejected == ()
    execute(space.database("sqlite"), *BROKEN)
    dry = sync(space, "sqlite", "sqlite2", dry_run=True, rejects=tmp_path / "out")
    assert rejected(dry) == {"maker": 2, "part": 2, "note": 2}
    assert lines(tmp_path / "none") == lines(tmp_path / "out") == {}


@pytest.mark.slow
def test_what_no_row_is_the_cause_of_leaves_no_file(space: Config, tmp_path: Path) -> None:
    make(space, "sqlite", *ROWS, *BROKEN)
    make(space, "postgres")
    execute(
        space.database("postgres"),
        "CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql "
        "AS 'BEGIN NEW.name = upper(NEW.name); RETURN NEW; END'",
        "CREATE TRIGGER loud BEFORE INSERT ON maker FOR EACH ROW EXECUTE FUNCTION shout()",
    )
    with pytest.raises(ToolkitError):
        sync(space, "sqlite", "postgres", rejects=tmp_path / "out")
    assert lines(tmp_path / "out") == {}
    assert not any(contents(space.database("postgres"), METADATA).values())


def test_files_of_an_earlier_sync_are_not_written_over(space: Config, tmp_path: Path) -> None:
    make(space, "sqlite", *ROWS, *BROKEN)
    make(space, "sqlite2")
    sync(space, "sqlite", "sqlite2", rejects=tmp_path / "out")
    before = lines(tmp_path / "out")
    with pytest.raises(ConfigurationError, match=r"holds \w+\.jsonl already"):
        sync(space, "sqlite", "sqlite2", rejects=tmp_path / "out")
    assert lines(tmp_path / "out") == before


def test_rejecting_does_not_go_with_options_that_rest_on_the_rows(space: Config, tmp_path: Path) -> None:
    for others in ({"attachments": "store"}, {"match": {"maker": ["name"]}}):
        with pytest.raises(ConfigurationError, match="cannot be rejected in a sync with") as caught:
            sync(space, "sqlite", "sqlite2", rejects=tmp_path / "out", **others)
        assert f'--where-source "TABLE:CONDITION" goes with --{next(iter(others))}' in caught.value.advice


@pytest.mark.slow
@pytest.mark.parametrize("target", ["sqlite2"])
def test_a_sync_of_what_changed_looks_at_rejected_rows_again_until_they_are_corrected(
    space: Config, tmp_path: Path, target: str
) -> None:
    make(space, "sqlite", *ROWS, "UPDATE maker SET name = CAST(x'ff' AS TEXT) WHERE id = 3")
    make(space, target, name="TEXT")

    def run(number: int) -> SyncResult:
        return sync(space, "sqlite", target, since=Since("id"), rejects=tmp_path / str(number))

    assert rejected(run(1)) == {"maker": 2, "part": 2, "note": 2}
    execute(space.database("sqlite"), "INSERT INTO maker VALUES (5, 'e', 1994, NULL)")
    again = run(2)
    assert (again.verified, rejected(again)["maker"], again.tables[0].inserted) == (True, 2, 1)
    execute(space.database("sqlite"), "UPDATE maker SET name = 'c' WHERE id = 3")
    third = run(3)
    assert (third.rejected, third.tables[0].since) == ((), None)
    assert ids(space, target)["maker"] == [1, 2, 3, 4, 5]
    assert run(4).tables[0].since == "5"


@pytest.mark.slow
@pytest.mark.parametrize("target", ["postgres"])
def test_rows_of_a_sync_of_what_changed_that_the_target_refuses_are_rejected(
    space: Config, tmp_path: Path, target: str
) -> None:
    make(space, "sqlite", *ROWS)
    make(space, target, constraint="CHECK (weight > 0)")
    sync(space, "sqlite", target, since=Since("id"))
    # Of this, the watermark leaves nothing to be seen.
    execute(space.database("sqlite"), "UPDATE part SET weight = -1 WHERE id = 10")
    execute(space.database("sqlite"), "INSERT INTO part VALUES (15, 1, -1), (16, 77, 1), (17, 1, 1)")

    result = sync(space, "sqlite", target, since=Since("id"), rejects=tmp_path / "out")

    assert result.verified
    assert keys(tmp_path / "out") == {"part": [16, 15]} or keys(tmp_path / "out") == {"part": [15, 16]}
    assert ids(space, target)["part"] == [10, 11, 12, 13, 14, 17]


@pytest.mark.parametrize("target", ["postgres"])
def test_rejected_rows_of_tables_with_other_names_there_have_the_models_names(
    space: Config, tmp_path: Path, target: str
) -> None:
    make(space, "sqlite", *ROWS, *BROKEN, "UPDATE part SET weight = 123456.5 WHERE id = 10")
    make(space, target, *ROWS[:0])
    execute(
        space.database(target),
        "DROP TABLE note",
        "DROP TABLE part",
        "DROP TABLE maker",
        "CREATE TABLE firm (no INTEGER PRIMARY KEY, title TEXT, since INTEGER, boss_id INTEGER)",
        "CREATE TABLE part (id INTEGER PRIMARY KEY, maker_id INTEGER, mass NUMERIC(10,4) CHECK (mass < 1000))",
        "CREATE TABLE note (code VARCHAR PRIMARY KEY, part_id INTEGER)",
    )
    names = {"maker": "firm", "maker.id": "no", "maker.name": "title", "maker.founded": "since", "part.weight": "mass"}

    result = sync(space, "sqlite", target, rename=names, rejects=tmp_path / "out")

    assert (result.verified, rejected(result)) == (True, {"maker": 2, "part": 3, "note": 3})
    assert keys(tmp_path / "out") == {"maker": [3, 4], "part": [12, 13, 10], "note": ["y", "z", "x"]}
    bad = lines(tmp_path / "out")["maker"][0]
    assert (bad["name"], bad["$unread"]) == ("c", {"founded": "long ago"})
    assert bad["$rejected"] == "column 'founded' holds 'long ago', which is no int32"
    with connected(space.database(target)) as connection:
        assert [row[0] for row in connection.exec_driver_sql("SELECT no FROM firm ORDER BY no")] == [1, 2]


def test_the_command_says_what_was_rejected_and_exits_with_3(
    space: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make(space, "sqlite", *ROWS, *BROKEN, "UPDATE maker SET founded = 'x' WHERE id = 1")
    make(space, "sqlite2")
    databases = [f'{name} = "{space.database(name).address}"' for name in ("sqlite", "sqlite2")]
    settings = [f'metadata = "{space.metadata}"', 'migrations = "none"', "[databases]", *databases]
    (tmp_path / "toolkit.toml").write_text("\n".join(settings))
    monkeypatch.chdir(tmp_path)
    given = ["sync", "--from", "sqlite", "--to", "sqlite2"]

    assert run(given) == 1
    assert "2 values of 1 column do not fit." in capsys.readouterr().err
    assert run([*given, "--rejects", "out", "--json"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert document["rejected"][0] == {"table": "maker", "rows": 4, "file": "out/maker.jsonl"}
    assert document["verified"] is True
    assert run([*given, "--rejects", "again"]) == 3
    told = capsys.readouterr().out
    assert "Rejected: 4 rows of maker, into again/maker.jsonl" in told
    assert "but for the rejected" in told


def test_it_is_never_on_by_default(space: Config) -> None:
    make(space, "sqlite", *ROWS, *BROKEN, "UPDATE maker SET founded = 'x' WHERE id = 1")
    make(space, "sqlite2")
    with pytest.raises(MisfitsError):
        sync(space, "sqlite", "sqlite2")
    assert not any(contents(space.database("sqlite2"), METADATA).values())


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_all_rows_that_a_constraint_refuses_are_found_at_once(
    space: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    make(space, "sqlite", "INSERT INTO maker VALUES (1, 'a', 1, NULL)")
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)"
    execute(space.database("sqlite"), f"{numbers} INSERT INTO part SELECT i, 1, i % 10 - 1.5 FROM n")
    make(space, target, constraint="CHECK (weight > 0)")
    attempts = []
    monkeypatch.setattr(rejecting.Rejecting, "_reject_dependents", lambda _: attempts.append(1))
    result = sync(space, "sqlite", target, rejects=tmp_path / "out")
    assert result.verified
    assert rejected(result) == {"part": 10}
    assert sorted(ids(space, target)["part"]) == [number for number in range(1, 51) if number % 10 > 1]
    assert len(attempts) == 1


@pytest.mark.parametrize("target", ["postgres"])
def test_a_rejected_row_does_not_go_with_a_parent_that_the_source_lacks(
    space: Config, tmp_path: Path, target: str
) -> None:
    make(space, "sqlite", *ROWS, "UPDATE part SET weight = 'heavy' WHERE id = 12")
    make(space, target, *ROWS, "INSERT INTO maker VALUES (99, 'gone', 1, NULL)")
    if target == "postgres":
        execute(
            space.database(target),
            "ALTER TABLE part DROP CONSTRAINT part_maker_id_fkey",
            "ALTER TABLE part ADD FOREIGN KEY (maker_id) REFERENCES maker (id) ON DELETE CASCADE",
        )
    execute(space.database(target), "UPDATE part SET maker_id = 99 WHERE id = 12")
    options = Options(mode=Mode.REPLACE, max_delete=DeleteLimit(1, 1))
    before = contents(space.database(target), METADATA)
    with pytest.raises(ReferencedRowsError, match=r"1 row of part .* points at rows that would be deleted"):
        sync(space, "sqlite", target, options=options, rejects=tmp_path / "out")
    assert contents(space.database(target), METADATA) == before


def test_a_row_with_the_key_of_a_rejected_one_is_not_left_behind_without_a_word(space: Config, tmp_path: Path) -> None:
    make(space, "sqlite")
    twins = "SELECT 1 AS id, 'a' AS name, 'long ago' AS founded, NULL AS boss_id UNION ALL SELECT 1, 'b', 1990, NULL"
    execute(space.database("sqlite"), "DROP TABLE maker", f"CREATE TABLE maker AS {twins}")
    make(space, "sqlite2")
    with pytest.raises(RepeatedKeyError, match="maker: several rows of sqlite have one key, id"):
        sync(space, "sqlite", "sqlite2", rejects=tmp_path / "out")
    assert lines(tmp_path / "out") == {}


@pytest.mark.parametrize("target", ["sqlite2"])
def test_a_text_that_could_not_be_read_is_not_loaded_until_it_is_corrected(
    space: Config, tmp_path: Path, target: str
) -> None:
    make(space, "sqlite", *ROWS, "UPDATE maker SET name = CAST(x'61ff' AS TEXT) WHERE id = 3")
    make(space, target)
    sync(space, "sqlite", target, rejects=tmp_path / "out")
    file = tmp_path / "out" / "maker.jsonl"
    assert json.loads(file.read_text().splitlines()[0])["name"] == "a\\xff"
    with pytest.raises(ToolkitError, match=r"line 1: column 'name': .* is as it was rejected"):
        load_data(space, target, directory=tmp_path / "out")

    file.write_text(file.read_text().replace('"name":"a\\\\xff"', '"name":"ä"'))
    load_data(space, target, directory=tmp_path / "out")
    assert ids(space, target)["maker"] == [1, 2, 3, 4]


@pytest.mark.parametrize("target", ["sqlite2"])
def test_rows_that_share_a_unique_value_of_the_target_are_rejected_both(
    space: Config, tmp_path: Path, target: str
) -> None:
    make(space, "sqlite", *ROWS, "UPDATE part SET weight = 1.5 WHERE id = 13")
    make(space, target, constraint="UNIQUE (weight)")
    result = sync(space, "sqlite", target, rejects=tmp_path / "out")
    assert result.verified
    assert keys(tmp_path / "out") == {"part": [10, 13], "note": ["x", "z"]}
    assert "id=10 and id=13" in lines(tmp_path / "out")["part"][0]["$rejected"]


HARD_KEYS: dict[str, tuple[Any, str, str]] = {
    "a timestamp": (sa.DateTime(), "'2024-01-01 10:00:00.000000'", "'2024-01-02 10:00:00.500000'"),
    "an instant": (sa.DateTime(timezone=True), "'2024-01-01 10:00:00.000000'", "'2024-01-02 10:00:00.500000'"),
    "a time": (sa.Time(), "'10:00:00.000000'", "'10:00:00.500000'"),
    "a truth value": (sa.Boolean(), "0", "1"),
    "bytes": (sa.LargeBinary(), "x'00ff'", "x'01'"),
    "texts alike as far as they are shown": (sa.Text(), f"'{'x' * 90}1'", f"'{'x' * 90}2'"),
}


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_just_the_rows_that_are_refused_are_found_by_keys_of_any_type(
    space: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    models, there = sa.MetaData(), sa.MetaData()
    for key, (type_, *_) in HARD_KEYS.items():
        for metadata, checks in ((models, ()), (there, (sa.CheckConstraint("n > 0"),))):
            columns = (sa.Column('k "1"', type_, primary_key=True), sa.Column("k2", sa.Integer, primary_key=True))
            sa.Table(f'odd "{key}"', metadata, *columns, sa.Column("n", sa.Integer), *checks)
    monkeypatch.setattr(f"{__name__}.METADATA", models)
    create(space.database("sqlite"), models)
    create(space.database(target), there)
    for key, (_, one, other) in HARD_KEYS.items():
        rows = f"({one}, 1, 5), ({other}, 1, -5), ({one}, 2, -7), ({other}, 2, 8)"
        execute(space.database("sqlite"), f'INSERT INTO "odd ""{key}""" VALUES {rows}')

    result = sync(space, "sqlite", target, rejects=tmp_path / "out")

    assert result.verified
    found = {unquote(name): sorted(row["n"] for row in rows) for name, rows in lines(tmp_path / "out").items()}
    assert found == {name: [-7, -5] for name in models.tables}
    kept = {name: sorted(row[2] for row in rows) for name, rows in contents(space.database(target), models).items()}
    assert kept == {name: [5, 8] for name in models.tables}


@pytest.mark.parametrize("target", ["postgres"])
def test_of_rows_with_keys_that_look_alike_those_with_one_unique_value_are_rejected(
    space: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    def metadata(*, unique: bool) -> sa.MetaData:
        found = sa.MetaData()
        sa.Table(
            "t", found, sa.Column("k", sa.String(200), primary_key=True), sa.Column("u", sa.DateTime, unique=unique)
        )
        return found

    monkeypatch.setattr(f"{__name__}.METADATA", metadata(unique=True))
    create(space.database("sqlite"), metadata(unique=False))
    create(space.database(target), METADATA)
    times = ["2020-01-01 00:00:00.000000", "2020-01-03 00:00:00.000000", "2020-01-01 00:00:00.000000"]
    rows = ", ".join(f"('{'x' * 90}{number}', '{time}')" for number, time in enumerate(times))
    execute(space.database("sqlite"), f"INSERT INTO t VALUES {rows}")

    result = sync(space, "sqlite", target, rejects=tmp_path / "out")

    assert result.verified
    assert [row["k"][-1] for row in lines(tmp_path / "out")["t"]] == ["0", "2"]


@pytest.mark.parametrize("target", ["sqlite2", "postgres"])
def test_refused_rows_are_looked_for_as_rows_are_written_with_what_is_set_and_without_triggers(
    space: Config, tmp_path: Path, target: str
) -> None:
    make(space, "sqlite", *ROWS, "UPDATE part SET weight = -1 WHERE id = 12")
    make(space, target, constraint="CHECK (weight > 0)")
    triggers = {
        "sqlite2": ["CREATE TRIGGER no BEFORE INSERT ON part BEGIN SELECT RAISE(ABORT, 'no'); END"],
        "postgres": [
            "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE check_violation; END'",
            "CREATE TRIGGER no BEFORE INSERT ON part FOR EACH ROW EXECUTE FUNCTION no()",
        ],
    }
    tenant = "ALTER TABLE part ADD COLUMN tenant TEXT" + (" CHECK (tenant IS NOT NULL)" if target != "duckdb" else "")
    execute(space.database(target), tenant, *triggers.get(target, []))
    options = Options(hold_triggers=True)

    result = sync(
        space, "sqlite", target, rejects=tmp_path / "out", options=options, set_values={"part.tenant": "it's me"}
    )

    assert result.verified
    assert keys(tmp_path / "out") == {"part": [12], "note": ["y"]}
    assert ids(space, target)["part"] == [10, 11, 13, 14]


@pytest.mark.slow
@pytest.mark.parametrize("target", ["postgres"])
def test_a_row_whose_watermark_cannot_be_read_is_told_or_rejected_until_it_is_corrected(
    space: Config, tmp_path: Path, target: str
) -> None:
    make(space, "sqlite", *ROWS, *BROKEN, "UPDATE maker SET name = CAST(x'ff' AS TEXT) WHERE id = 4")
    with pytest.raises(MisfitsError, match="2 values of 2 columns do not fit"):
        sync(space, "sqlite", target, since=Since("founded"))

    results = [
        sync(space, "sqlite", target, since=Since("founded"), rejects=tmp_path / name) for name in ("first", "again")
    ]

    assert [(result.verified, rejected(result)["maker"]) for result in results] == [(True, 2)] * 2
    execute(space.database("sqlite"), "UPDATE maker SET founded = 5, name = 'x' WHERE id IN (3, 4)")
    assert sync(space, "sqlite", target, since=Since("founded")).verified
    assert ids(space, target)["maker"] == [1, 2, 3, 4]


MADE = sa.MetaData()
sa.Table(
    "crate",
    MADE,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("size", sa.Integer, sa.CheckConstraint("size > 0")),
    sa.Column("label", sa.Text),
)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["sqlite2", "duckdb"])
def test_a_first_sync_that_fails_with_rejects_leaves_no_tables_and_one_that_does_not_makes_them(
    space: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    monkeypatch.setattr(f"{__name__}.METADATA", MADE)
    execute(
        space.database("sqlite"),
        "CREATE TABLE crate (id INTEGER PRIMARY KEY, size INTEGER, label TEXT)",
        "INSERT INTO crate VALUES (1, 5, 'a'), (2, -1, 'b'), (3, -2, 'c'), (4, 1, 'd')",
    )
    with monkeypatch.context() as failing:
        failing.setattr(rejecting.Rejecting, "_reject_dependents", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            sync(space, "sqlite", target, rejects=tmp_path / "out")
    with connected(space.database(target)) as connection:
        assert "crate" not in sa.inspect(connection).get_table_names()

    result = sync(space, "sqlite", target, rejects=tmp_path / "out")

    assert (result.verified, result.schema_from) == (True, "the models")
    assert keys(tmp_path / "out") == {"crate": [2, 3]}
    assert [row[0] for row in contents(space.database(target), MADE)["crate"]] == [1, 4]


@pytest.mark.parametrize("target", TARGETS)
def test_a_row_that_tables_which_are_yet_to_be_made_refuse_is_named(
    space: Config, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    monkeypatch.setattr(f"{__name__}.METADATA", MADE)
    execute(
        space.database("sqlite"),
        "CREATE TABLE crate (id INTEGER PRIMARY KEY, size INTEGER, label TEXT)",
        "INSERT INTO crate VALUES (1, 5, 'a'), (2, -1, 'b')",
    )
    with pytest.raises(ToolkitError, match="crate id=2 is refused"):
        sync(space, "sqlite", target)


def test_a_dry_run_says_that_it_does_not_count_what_only_a_constraint_refuses(space: Config, tmp_path: Path) -> None:
    make(space, "sqlite", *ROWS)
    make(space, "sqlite2", constraint="CHECK (weight > 5)")
    dry = sync(space, "sqlite", "sqlite2", dry_run=True, rejects=tmp_path / "out")
    assert [(each.outcome, each.database) for each in dry.warnings] == [("not tried", "sqlite2")]
    assert sync(space, "sqlite", "sqlite2", rejects=tmp_path / "out").warnings == ()


@pytest.mark.parametrize("target", ["postgres"])
def test_of_rows_without_a_key_that_look_alike_none_is_rejected_for_another(
    space: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    models = sa.MetaData()
    sa.Table("t", models, *(sa.Column(name, sa.Integer) for name in "abc"), sa.Column("u", sa.String(9)))
    monkeypatch.setattr(f"{__name__}.METADATA", models)
    for name in ("sqlite", target):
        create(space.database(name), models)
    execute(space.database(target), "CREATE UNIQUE INDEX one ON t (lower(u))")
    execute(space.database("sqlite"), "INSERT INTO t VALUES (1, 1, 1, 'x'), (1, 1, 1, 'y'), (2, 2, 2, 'X')")
    assert sync(space, "sqlite", target, rejects=tmp_path / "out").verified
    assert [row["u"] for row in lines(tmp_path / "out")["t"]] == ["X"]
    assert sorted(row[-1] for row in contents(space.database(target), models)["t"]) == ["x", "y"]
