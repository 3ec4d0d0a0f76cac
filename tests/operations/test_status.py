"""What `toolkit status` says of databases on every engine, and that it leaves everything as it is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.operations.databases import execute
from toolkit import load_data, status
from toolkit.cli import run
from toolkit.config import Config, Database
from toolkit.errors import MigrationError, UnknownNameError
from toolkit.operations.migrations import migrate
from toolkit.operations.status import DatabaseStatus, State

ENGINES = ("sqlite", "postgres", "duckdb")


def of(config: Config, name: str) -> DatabaseStatus:
    (found,) = status(config, [name]).databases
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sqlite", "postgres"])
def test_a_database_is_followed_from_its_absence_to_its_rows(config: Config, name: str) -> None:
    database = config.database(name)
    before = of(config, name)
    # A server's database is there from the beginning.
    assert before.state is (State.EMPTY if database.file is None else State.ABSENT)
    assert database.file is None or not database.file.exists()
    migrate.upgrade(database, config)
    assert (of(config, name).state, of(config, name).rows) == (State.READY, 0)
    load_data(config, name)
    found = of(config, name)
    assert (found.state, found.revision) == (State.READY, migrate.head_revision(config))
    assert {each.table: each.rows for each in found.tables}["todo"] == 40
    assert found.rows == sum(each.rows or 0 for each in found.tables) > 40
    migrate.downgrade(database, config, "base")
    assert of(config, name).state is State.EMPTY


@pytest.mark.parametrize("name", ["sqlite"])
def test_a_table_and_a_column_that_are_missing_are_named_with_what_to_do(config: Config, name: str) -> None:
    database = config.database(name)
    migrate.upgrade(database, config)
    execute(database, "DROP TABLE todo_tag")
    execute(database, "DROP TABLE attachment")
    execute(database, "CREATE TABLE attachment (id INTEGER, file TEXT)")
    found = of(config, name)
    assert (found.state, found.advice) == (State.LACKING, f"Run: toolkit database upgrade --database {name}")
    absent, lacking = sorted(found.problems)
    assert absent == f"{name} has no table 'todo_tag'"
    assert lacking.startswith(f"{name}.attachment lacks ")
    assert {each.table: each.rows for each in found.tables}["todo_tag"] is None


@pytest.mark.parametrize("name", ["sqlite"])
def test_another_revision_is_told_with_both(config: Config, name: str) -> None:
    migrate.upgrade(config.database(name), config)
    execute(config.database(name), "UPDATE alembic_versions SET version_num = 'elsewhere'")
    found = of(config, name)
    assert found.state is State.OTHER_REVISION
    assert all(word in found.problems[0] for word in ("elsewhere", str(migrate.head_revision(config))))


@pytest.mark.parametrize("name", ["postgres"])
def test_a_revision_that_is_recorded_elsewhere_is_told_and_nothing_is_migrated_again(config: Config, name: str) -> None:
    database, own = config.database(name), replace(config, version_table="ours")
    migrate.upgrade(database, own)
    found = of(config, name)
    assert (found.state, [each.table for each in found.warnings]) == (State.OTHER_RECORD, ["ours"])
    with pytest.raises(MigrationError, match="records a revision in ours, not in alembic_versions"):
        migrate.upgrade(database, config)
    assert of(own, name).state is State.READY
    migrate.stamp(database, config, "head")
    assert of(config, name).state is State.READY


def test_a_server_that_does_not_answer_is_one_line_among_the_others(config: Config) -> None:
    dead = Database("dead", "postgresql://somebody:hunter2@127.0.0.1:1/none", config.root)
    found = status(replace(config, databases={**config.databases, "dead": dead}))
    states = {each.name: each.state for each in found.databases}
    assert (states["dead"], states["sqlite"]) == (State.UNAVAILABLE, State.ABSENT)
    assert "127.0.0.1:1" in found.databases[-1].problems[0]
    assert "hunter2" not in repr(found)


def test_an_unknown_name_is_refused(config: Config) -> None:
    with pytest.raises(UnknownNameError, match="sqlit"):
        status(config, ["sqlit"])


@pytest.mark.slow
def test_the_command_makes_nothing_and_tells_by_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["status"]) == 0
    assert list(tmp_path.iterdir()) == []
    assert "not there yet" in capsys.readouterr().out
    assert run(["status", "sqlite"]) == 3
    bundled = ["--metadata", "toolkit.models.todo:metadata"]
    assert run(["load-data", "--dir", str(Path(__file__).parents[2] / "fixtures"), *bundled]) == 0
    capsys.readouterr()
    assert run(["status", "sqlite"]) == 0
    assert ["todo", "40"] in [line.split() for line in capsys.readouterr().out.splitlines()]
    assert run(["sync", "--from", "sqlite", "--to", "duckdb", *bundled]) == 0
    assert run(["sync", "--from", "sqlite", "--to", "duckdb", *bundled]) == 0
    capsys.readouterr()
    assert run(["status", "sqlite", "--json"]) == 0
    (last,) = json.loads(capsys.readouterr().out)["last_syncs"]
    assert [last[each] for each in ("source", "target", "written", "verified")] == ["sqlite", "duckdb", 0, True]
    (tmp_path / "toolkit.duckdb").unlink()
    (tmp_path / ".toolkit" / "syncs.json").write_text("{")
    monkeypatch.setenv("TOOLKIT_POSTGRES_URL", "postgresql://me:hunter2@127.0.0.1:1/none")
    assert run(["status", "--json"]) == 3
    out = capsys.readouterr().out
    assert {each["name"]: each["state"] for each in json.loads(out)["databases"]} == {
        "sqlite": "ready",
        "duckdb": "not there yet",
        "postgres": "not available",
    }
    assert "hunter2" not in out
