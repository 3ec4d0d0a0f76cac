"""What the command line offers where a name is wanted, and where one is misspelled."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from toolkit.cli import run, toolkit


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a database and a store of its own names."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toolkit.toml").write_text(
        'metadata = "toolkit.models.todo:metadata"\n'
        '[databases]\nstaging = "sqlite:///staging.sqlite3"\n[stores]\noffsite = "elsewhere"\n'
    )
    return tmp_path


def offered(*words: str) -> list[str]:
    """What a shell would offer for the last of these words."""
    shell = ShellComplete(toolkit, {}, "toolkit", "_TOOLKIT_COMPLETE")
    return [item.value for item in shell.get_completions(list(words[:-1]), words[-1])]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("sy",), ["sync"]),
        (("sync", "--from", ""), ["duckdb", "postgres", "sqlite", "staging"]),
        (("sync", "--to", "st"), ["staging"]),
        (("status", "d"), ["duckdb"]),
        (("database", "check", "--database", "p"), ["postgres"]),
        (("archive", "push", "--store", "o"), ["offsite"]),
        (("dump-data", "todo"), ["todo", "todo_tag"]),
        (("--metadata", "tests.operations.shop:Base", "sync", "cu"), []),
        (("--metadata", "no.such.module:x", "sync", ""), []),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_shell_is_offered_the_names_of_the_project(words: tuple[str, ...], expected: list[str]) -> None:
    assert offered(*words) == expected


def test_a_settings_file_that_cannot_be_read_offers_nothing_in_the_middle_of_a_line(project: Path) -> None:
    (project / "toolkit.toml").write_text("[databases\n")
    assert offered("sync", "--from", "") == []


@pytest.mark.parametrize(
    ("words", "meant"), [(["snc"], "sync"), (["database", "upgrad"], "upgrade"), (["archive", "verfy"], "verify")]
)
def test_a_misspelled_command_is_told_with_the_one_that_was_meant(
    words: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    assert f"No such command {words[-1]!r}. Did you mean {meant!r}?" in capsys.readouterr().err
    assert run(["quite-another"]) == 2
    assert "Did you mean" not in capsys.readouterr().err
