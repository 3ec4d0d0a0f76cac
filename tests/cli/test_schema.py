"""`toolkit schema` says what the JSON documents of the commands hold, and what they do hold is that."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pytest

from toolkit.cli import run
from toolkit.cli.output import SCHEMA_VERSION
from toolkit.cli.schema import RESULTS, schema_of

ROOT = Path(__file__).parents[2]
MEMBERS = Path(__file__).parent / "schema_members.json"
"""The members of every document, as they were promised. Without --update-members nothing may go from it."""
SYNC = ["--from", "sqlite", "--to", "duckdb"]
# What is run, in this order.
COMMANDS: dict[str, list[str]] = {
    "load-data": ["--dir", str(ROOT / "fixtures")],
    "database upgrade": ["--database", "duckdb"],
    "sync": SYNC,
    "diff": [*SYNC, "--rows", "1"],
    "dump-data": ["--dir", "dump"],
    "inspect": ["sqlite", "--for", "duckdb"],
    "status": [],
    "database check": [],
    "database show-current-revision": [],
    "database stamp-migration": ["head"],
    "workers check": ["duckdb", "--workers", "local:1"],
    "archive push": [],
    "archive list": [],
    "archive show": ["latest"],
    "archive verify": ["--all"],
    "archive audit": [],
    "archive restore": ["latest"],
    "archive prune": ["--keep-last", "1"],
    "database downgrade": ["base", "--no-prompt"],
    "database drop-all": ["--no-prompt"],
}


def result_of(command: str) -> Any:
    module, _, name = RESULTS[command].partition(":")
    return getattr(import_module(module), name)


def members(command: str) -> dict[str, list[str]]:
    return {name: sorted(each.get("properties", ())) for name, each in schema_of(command)["$defs"].items()}


@pytest.mark.slow
def test_every_document_is_what_its_schema_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = f'metadata = "toolkit.models.todo:metadata"\nmigrations = "{ROOT / "migrations"}"\n'
    (tmp_path / "toolkit.toml").write_text(settings)
    for command, arguments in COMMANDS.items():
        capsys.readouterr()
        assert run([*command.split(), *arguments, "--json"]) in (0, 3), command
        document = json.loads(capsys.readouterr().out)
        assert document.pop("schema_version", None) == SCHEMA_VERSION, command
        assert set(document) <= set(members(command)[result_of(command).__name__])
        # Refuses what is of another type, and what lacks.
        msgspec.convert(document, result_of(command), dec_hook=lambda type_, value: type_(value))
    assert set(COMMANDS) == {each for each in RESULTS if each in COMMANDS}


def test_nothing_that_was_promised_is_gone_while_the_version_is_the_same() -> None:
    promised = json.loads(MEMBERS.read_text(encoding="utf-8"))
    assert promised["schema_version"] == SCHEMA_VERSION
    for command, definitions in promised["documents"].items():
        now = members(command)
        gone = [
            (name, each)
            for name, all_of_it in definitions.items()
            for each in all_of_it
            if each not in now.get(name, ())
        ]
        assert not gone, command
    assert set(promised["documents"]) == set(RESULTS), "a new command: run python -m tests.cli.test_schema"


def test_the_command_prints_one_or_all_and_knows_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema", "archive push"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "toolkit archive push --json"
    assert run(["schema"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == set(RESULTS)
    assert run(["schema", "push"]) == 2
    assert "archive push" in capsys.readouterr().err


if __name__ == "__main__":
    documents = {command: members(command) for command in RESULTS}
    MEMBERS.write_text(json.dumps({"schema_version": SCHEMA_VERSION, "documents": documents}, indent=1) + "\n")
