"""What `toolkit sync` and `toolkit load-data` show, and where."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cli.terminals import in_terminal
from toolkit.cli import run
from toolkit.config import load_config
from toolkit.operations.migrations.migrate import head_revision

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with files as databases, and the bundled fixtures and migrations."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toolkit.toml").write_text(
        f'metadata = "toolkit.models.todo:metadata"\nmigrations = "{ROOT}/migrations"\nfixtures = "{ROOT}/fixtures"\n'
    )
    return tmp_path


def command(*arguments: str, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "toolkit", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(environ or {})},
    )


def test_each_table_has_a_line_and_the_end_says_what_was_proved(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["load-data"]) == 0
    assert run(["sync", "--from", "sqlite", "--to", "duckdb"]) == 0
    out, err = capfd.readouterr()
    text = out[out.index("sqlite -> duckdb") :]
    assert [line.split()[:2] for line in text.splitlines() if line.startswith("todo ")] == [["todo", "40"]]
    assert text.splitlines()[-1] == "Verified: rows and digest of every table written are equal."
    assert err == ("sqlite had no tables: its schema was created.\nduckdb had no tables: its schema was created.\n")

    for options in ([], ["--dry-run"]):
        assert run(["sync", "--from", "sqlite", "--to", "duckdb", *options]) == 0
        assert capfd.readouterr().out.splitlines()[-1] == "Nothing to write: every row of the source is there already."


def test_files_go_to_the_store_of_their_backend_and_are_replaced_when_asked_for(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["load-data"]) == 0
    arguments = [*BETWEEN, "--attachments", "./all", "--attachments", "attachments=./a=b"]
    assert run(arguments) == 0
    place = here / "a=b/2024/02/design.pdf"
    content = place.read_bytes()
    assert not (here / "all").exists()
    place.write_bytes(bytes(len(content)))
    assert run(arguments) == 3
    assert run([*arguments, "--overwrite-attachments"]) == 0
    assert place.read_bytes() == content
    assert "1 copied to" in capfd.readouterr().out


def test_json_is_one_document_on_stdout_and_nothing_else_is(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["load-data", "--json"]) == 0
    loaded = json.loads(capfd.readouterr().out)
    assert {table["table"]: table["inserted"] for table in loaded["tables"]}["todo"] == 40
    assert run(["sync", "todo", "user_account", "--from", "sqlite", "--to", "duckdb", "--json", "--no-verify"]) == 0
    result = json.loads(capfd.readouterr().out)
    assert [table["table"] for table in result["tables"]] == ["user_account", "todo"]
    assert not any(table["verified"] for table in result["tables"])
    assert (result["source"], result["target"], result["dry_run"]) == ("sqlite", "duckdb", False)


def test_a_dry_run_shows_the_plan_and_leaves_no_file(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["load-data"]) == 0
    capfd.readouterr()
    assert run(["sync", "--from", "sqlite", "--to", "duckdb", "--dry-run", "--json"]) == 0
    planned = json.loads(capfd.readouterr().out)
    assert not (here / "toolkit.duckdb").exists()
    assert run(["sync", "--from", "sqlite", "--to", "duckdb", "--json"]) == 0
    done = json.loads(capfd.readouterr().out)
    counts = [[(t["table"], t["inserted"], t["updated"], t["unchanged"]) for t in r["tables"]] for r in (planned, done)]
    assert counts[0] == counts[1]
    assert planned["dry_run"]
    assert planned["schema_from"] == done["schema_from"]


def test_a_dry_run_says_what_would_make_the_tables(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["load-data", "--dry-run"]) == 0
    out = capfd.readouterr().out
    head = re.escape(head_revision(load_config(here)))
    assert re.search(
        rf"^sqlite has no tables: they would be created first, from \d+ migrations? to revision {head}\.$",
        out,
        re.MULTILINE,
    )
    assert list(here.iterdir()) == [here / "toolkit.toml"]


def test_without_verification_the_result_says_so(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["load-data", "--no-verify"]) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "Not verified."


def test_the_module_runs_as_a_program_and_shows_no_progress_when_piped(here: Path) -> None:
    result = command("load-data")
    assert result.returncode == 0
    # What takes seconds, as on a busy machine, is told step by step, a line each.
    assert result.stderr.endswith("sqlite had no tables: its schema was created.\n")
    assert not {"\x1b", "\r"} & {*result.stderr}
    assert "todo" in result.stdout


def test_a_terminal_sees_a_progress_bar(here: Path) -> None:
    code, lines = in_terminal(here, "load-data", columns=100, out=here / "out")
    assert code == 0
    assert "Verified" in (here / "out").read_text()
    shown = "\n".join(lines)
    assert "todo" in shown
    assert "\x1b[" in shown


BETWEEN = ["sync", "--from", "sqlite", "--to", "duckdb"]


def test_a_dry_run_in_a_terminal_asks_whether_to_write_and_shows_what_changes(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["load-data"]) == 0
    assert run([*BETWEEN]) == 0
    assert run(["database", "downgrade", "base", "--no-prompt", "--database", "duckdb"]) == 0
    for answer, rows in (("n", 0), ("y", 90)):
        code, shown = in_terminal(here, *BETWEEN, "--dry-run", columns=100, answer=answer)
        assert code == 0
        assert [line for line in shown if "Write this now?" in line]
        assert any("Verified" in line for line in shown) is bool(rows)
        capfd.readouterr()
        assert run(["status", "--json"]) == 0
        states = {each["name"]: each for each in json.loads(capfd.readouterr().out)["databases"]}
        assert sum(each["rows"] or 0 for each in states["duckdb"]["tables"]) == rows


@pytest.mark.parametrize(
    "arguments",
    [
        ["sync"],
        ["sync", "--from", "sqlite"],
        ["nonsense"],
        ["sync", "--from", "a", "--to", "b", "--batch-rows", "0"],
        [*BETWEEN, "--attachments", "./one", "--attachments", "./two"],
        [*BETWEEN, "--attachments", "pages=./one", "--attachments", "pages=./two"],
        [*BETWEEN, "--overwrite-attachments"],
    ],
)
def test_wrong_usage_is_exit_code_2(here: Path, arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    captured = capfd.readouterr()
    assert "Usage:" in captured.err
    assert captured.out == ""


def test_a_fixture_with_a_broken_row_is_refused_with_file_line_and_column(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = here / "own"
    folder.mkdir()
    rows = json.loads((ROOT / "fixtures" / "role.json").read_text())
    rows[1]["created_at"] = "yesterday"
    (folder / "role.json").write_text(json.dumps(rows))
    assert run(["load-data", "role", "--dir", "own"]) == 1
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "role.json, row 2 (line 1): column 'created_at': 'yesterday' is not an ISO 8601 timestamp\n" in captured.err
    assert run(["load-data", "tag", "--dir", "own"]) == 1
    assert "there is no file for tag" in capfd.readouterr().err


def test_the_metadata_may_be_chosen_before_or_behind_the_command(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    wrong = "nowhere.at_all:metadata"
    for arguments in (["--metadata", wrong, "load-data"], ["load-data", "--metadata", wrong]):
        assert run(arguments) == 2
        assert "nowhere" in capfd.readouterr().err


def test_of_an_unknown_table_it_is_said_whose_are_known(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["sync", "tod", "--from", "sqlite", "--to", "duckdb"]) == 2
    said = capfd.readouterr().err
    assert "There is no table 'tod'" in said
    assert "These are the tables of toolkit.models.todo:metadata; for those of the databases: --reflect." in said
