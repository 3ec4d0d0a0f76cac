"""On a terminal: lines of its width, broken between words; tables without changes together; rows of a dry run."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.terminals import in_terminal
from toolkit.cli import run
from toolkit.cli.lines import broken, columns_of, count_lines, listed

TABLES = ("account", "invoice_of_customer", "note", "organisation_unit", "price", "settings_of_account", "warehouse")
BOTH = ("--from", "sqlite:///a.db", "--to", "sqlite:///b.db")


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two files, in whose first table one row is new, one has changed and one is gone."""
    monkeypatch.chdir(tmp_path)
    for name, rows in (("a.db", [(1, "a@x", 5), (2, "b@x", 5)]), ("b.db", [(2, "old@x", 5), (3, "c@x", 5)])):
        with closing(sqlite3.connect(name)) as file, file:
            for table in TABLES:
                file.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, email TEXT, amount INTEGER)")
                file.execute(f"INSERT INTO {table} VALUES (7, 'same@x', 1)")
            file.executemany("INSERT INTO account VALUES (?, ?, ?)", rows)
    return tmp_path


def require_width(lines: Sequence[str], columns: int) -> None:
    """A line that is wider than the terminal is a single word."""
    assert [line for line in lines if columns_of(line) > columns and " " in line.strip()] == []


@pytest.mark.slow
@pytest.mark.parametrize("columns", [60, 120])
def test_no_line_of_a_command_is_wider_than_the_terminal(pair: Path, columns: int) -> None:
    for arguments, code in (
        (["diff", *BOTH, "--rows", "2"], 3),
        (["sync", *BOTH, "--dry-run", "--delete", "--rows", "2"], 0),
        (["sync", *BOTH], 0),
        (["status", "sqlite:///a.db", "sqlite:///nowhere.db"], 3),
        (["sync", *BOTH, "--where", "nothing:id = 1"], 2),
    ):
        exit_code, lines = in_terminal(pair, *arguments, "-q", columns=columns, answer="n")
        assert exit_code == code, lines
        assert any(len(line) > columns // 2 for line in lines), "nothing to be seen"
        require_width(lines, columns)


@pytest.mark.slow
def test_tables_without_changes_have_one_line_on_a_terminal_and_each_its_own_elsewhere(
    pair: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (["diff", *BOTH], ["sync", *BOTH, "--dry-run"], ["sync", *BOTH]):
        run(command)
        piped = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in piped if line.split()[0] in TABLES] == list(TABLES)
        if command[-1] == "--dry-run" or command[0] == "diff":
            _, lines = in_terminal(pair, *command, "-q", columns=80, answer="n")
            folded = "6 tables without changes: invoice_of_customer, note, organisation_unit, price, …"
            assert folded in lines
            assert [line for line in lines if line.startswith(TABLES)] == [
                line for line in lines if line.startswith("account ")
            ]
    _, lines = in_terminal(pair, "sync", *BOTH, "-q", columns=120)
    assert f"7 tables without changes: {', '.join(TABLES)}" in lines
    assert any(line.startswith("total ") for line in lines)


def test_a_dry_run_shows_rows_of_each_kind_and_masks_personal_ones(
    pair: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["sync", *BOTH, "--dry-run", "--delete", "--rows", "1"]) == 0
    shown = capsys.readouterr().out
    assert '\n  + id=1\n      email: "***"\n      amount: 5\n  ~ id=2\n      email: "***" → "***"\n  - id=3\n' in shown
    assert "Masked, as they look personal: account.email. --show-pii shows them.\n" in shown
    assert run(["sync", *BOTH, "--dry-run", "--rows", "5", "--show-pii"]) == 0
    shown = capsys.readouterr().out
    assert '"old@x" → "b@x"' in shown
    assert "- id=3" not in shown
    assert "--show-pii" not in shown


def test_a_dry_run_into_a_new_database_shows_the_first_rows(pair: Path, capsys: pytest.CaptureFixture[str]) -> None:
    into = ("sync", "account", *BOTH[:2], "--to", "duckdb:///new.duckdb", "--dry-run")
    assert run([*into, "--rows", "2", "--json"]) == 0
    (table,) = json.loads(capsys.readouterr().out)["tables"]
    assert [(row["kind"], row["key"]) for row in table["rows"]] == [("added", {"id": 1}), ("added", {"id": 2})]
    assert run([*into, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tables"][0]["rows"] == []


def test_rows_of_a_table_without_a_key_are_those_that_come_and_go(
    pair: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, rows in (("a.db", "(1), (1), (2)"), ("b.db", "(1), (3)")):
        with closing(sqlite3.connect(name)) as file, file:
            file.execute("CREATE TABLE keyless (n INTEGER)")
            file.execute(f"INSERT INTO keyless VALUES {rows}")
    assert run(["sync", "keyless", *BOTH, "--dry-run", "--delete", "--rows", "1"]) == 0
    shown = capsys.readouterr().out
    assert "  + (a row without a key)\n      n: 1\n  - (a row without a key)\n      n: 3\n" in shown


def test_the_columns_of_a_table_are_closer_on_a_narrow_terminal_and_the_last_is_broken_beneath_its_head(
    pair: Path,
) -> None:
    _, lines = in_terminal(pair, "inspect", "sqlite:///a.db", "account", "--for", "duckdb", "-q", columns=52)
    require_width(lines, 52)
    head = next(line for line in lines if line.startswith("  column"))
    email = next(n for n, line in enumerate(lines) if line.startswith("  email"))
    assert "duckdb  NULL stored" in head
    assert lines[email + 1].startswith(" " * head.index("stored"))


def test_rows_need_a_dry_run_or_a_comparison(pair: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sync", *BOTH, "--rows", "1"]) == 2
    assert "--rows needs --dry-run" in capsys.readouterr().err
    assert run(["sync", *BOTH, "--verify-only", "--rows", "1"]) == 3
    assert "  + id=1\n" in capsys.readouterr().out


def test_a_line_is_broken_between_words_and_what_follows_is_indented() -> None:
    assert list(broken("one two three", 9)) == ["one two", "  three"]
    assert list(broken("  email: old → new", 14)) == ["  email: old →", "    new"]
    assert list(broken("Error: one two", 12)) == ["Error: one", "       two"]
    assert list(broken("see supercalifragilistic now", 10)) == ["see", "  supercalifragilistic", "  now"]
    assert list(broken("日本 日本語", 10)) == ["日本", "  日本語"]


def test_names_are_listed_as_far_as_there_is_room_and_numbers_are_as_wide_as_there_is() -> None:
    assert listed("3 tables:", ["a", "bb", "ccc"], 20) == "3 tables: a, bb, ccc"
    assert listed("3 tables:", ["a", "bb", "ccc"], 19) == "3 tables: a, bb, …"
    assert listed("3 tables:", ["a", "bb", "ccc"], 5) == "3 tables: a, …"
    head, rows = ("table", "new", "s"), [("note", "10", "0.5")]
    assert count_lines(head, rows, (5, 5), None, 1) == ["table    new     s", "note      10   0.5"]
    assert count_lines(head, rows, (5, 5), 17, 1) == ["table  new   s", "note    10 0.5"]
    assert count_lines(head, rows, (5, 5), 12, 1) == ["table  new", "note    10"]
