"""What `toolkit inspect` shows, and where."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from toolkit.cli import run

STATEMENTS = """
CREATE TABLE "odd
name" (id INTEGER PRIMARY KEY, "a\x1b[31m" TEXT DEFAULT 'x', "Email" VARCHAR(40), due DATETIME);
INSERT INTO "odd
name" VALUES (1, 'one', 'ann@example.org', '2024-01-02 03:04:05'), (2, 'three', NULL, NULL);
CREATE VIEW seen AS SELECT 1;
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without any settings, and a file of SQLite's in it."""
    monkeypatch.chdir(tmp_path)
    with closing(sqlite3.connect("app.sqlite")) as file:
        file.executescript(STATEMENTS)
    return tmp_path


def test_a_table_is_shown_by_lines_that_move_no_cursor(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", "sqlite:///app.sqlite", "--for", "postgres"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "app.sqlite (sqlite): 1 table, 2 rows; for postgresql"
    assert lines[2] == "odd\\nname: 2 rows, key id"
    assert all(line.isprintable() for line in lines)
    shown = {line.split()[0]: line for line in lines[4:8]}
    assert list(shown) == ["id", "a\\x1b[31m", "Email", "due"]
    assert "50.0 %" in shown["Email"]
    assert "2024-01-02 03:04:05" in shown["due"]
    assert "ann@example.org" not in "".join(lines)
    assert any(line.startswith("not carried: seen: view") for line in lines)


def test_values_that_look_personal_are_shown_where_that_was_asked_for(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect("app.sqlite")) as file:
        file.execute("CREATE TABLE birth (birth_date DATE PRIMARY KEY)")
        file.execute("INSERT INTO birth VALUES ('1970-05-06')")
        file.commit()
    for options, is_shown in (([], False), (["--show-pii"], True)):
        assert run(["inspect", "sqlite:///app.sqlite", "birth", *options]) == 0
        assert ("1970-05-06" in capsys.readouterr().out) is is_shown


def test_statements_are_all_that_is_on_stdout(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", "sqlite:///app.sqlite", "--ddl"]) == 0
    told = capsys.readouterr()
    assert "not carried: seen: view" in told.err
    with closing(sqlite3.connect("new.sqlite")) as file:
        file.executescript(told.out)
        made = file.execute("SELECT sql FROM sqlite_schema").fetchall()
    with closing(sqlite3.connect("app.sqlite")) as file:
        assert made == file.execute("SELECT sql FROM sqlite_schema WHERE type = 'table'").fetchall()


def test_a_document_has_all_of_it(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", "sqlite:///app.sqlite", "--for", "duckdb", "--json"]) == 0
    (table,) = json.loads(capsys.readouterr().out)["tables"]
    assert (table["name"], table["rows"], table["key"]) == ("odd\nname", 2, ["id"])
    assert table["columns"][0]["type"] == "BIGINT"
    assert run(["inspect", "sqlite:///app.sqlite", "--for", "duckdb", "--ddl", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["engine"] == "duckdb"


def test_the_same_text_is_the_head_of_a_dry_run_into_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", "sqlite:///app.sqlite", "--for", "duckdb"]) == 0
    told = capsys.readouterr().out
    assert run(["sync", "--from", "sqlite:///app.sqlite", "--to", "duckdb:///new.duckdb", "--dry-run"]) == 0
    head, _, plan = capsys.readouterr().out.partition("app.sqlite -> new.duckdb")
    assert head == f"{told}\n"
    assert "not carried" in told
    assert "not carried" not in plan.lower()
    assert not (here / "new.duckdb").exists()
