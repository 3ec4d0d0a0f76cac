"""SIGKILL while a sync inserts, updates and deletes: all or nothing, a re-run completes it, nothing stays behind."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData

from tests.operations.databases import Rows, connected, contents, create, execute
from tests.operations.kills import everything_in, kill_often, left_behind, project_of, wait_for_the_server
from tests.operations.processes import Toolkit, toolkit
from tests.operations.shop import metadata
from toolkit.compute.scratch import scratch_directory
from toolkit.config import Config

ROWS = 400
# Of each target.
KILLS = 3
# Of each command on each target: 9 of each command.
LOADS = 3
AT = "'2024-01-01 00:00:00.000000'"


def _start(project: Path, target: str) -> Toolkit:
    command = ("sync", "--from", "sqlite", "--to", target, "--json", "--delete", "--max-delete", "100%")
    return toolkit(project, *command, "--hold-triggers", temporary=project / "temporary")


def _change(config: Config, number: int) -> None:
    """Let rows come, go and change in two tables, of which one points at the other and both at themselves."""
    create(config.database("sqlite"), metadata)
    rows = f"WITH RECURSIVE n(n) AS (SELECT {number * 100} UNION ALL SELECT n + 1 FROM n LIMIT {ROWS})"
    execute(
        config.database("sqlite"),
        "DELETE FROM product",
        "DELETE FROM category",
        "DELETE FROM customer",
        f"INSERT INTO category {rows} SELECT n, NULLIF(n / 2 * 2, n), 'c{number}' FROM n",
        f"INSERT INTO product {rows} SELECT n, n, {number} FROM n",
        f"INSERT INTO customer {rows} SELECT n, n || '@x', 'k{number}', {AT}, {AT} FROM n",
    )


# Each would change what is written.
_TRIGGERS = {
    "sqlite2": ["CREATE TRIGGER odd AFTER UPDATE ON customer BEGIN UPDATE customer SET name = 'odd'; END"],
    "postgres": [
        "CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name = 'odd'; RETURN NEW; END $$",
        "CREATE TRIGGER odd BEFORE UPDATE ON customer FOR EACH ROW EXECUTE FUNCTION odd()",
    ],
    "duckdb": [],
}
_FIRING = {
    "sqlite2": "SELECT sql FROM sqlite_schema WHERE type = 'trigger'",
    "postgres": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'O'",
    "duckdb": "SELECT 1",
}


def _rows(config: Config, name: str) -> Rows:
    return contents(config.database(name), metadata)


def _fires(config: Config, name: str) -> bool:
    with connected(config.database(name)) as connection:
        return len(connection.exec_driver_sql(_FIRING[name]).all()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("target", ["sqlite2", "postgres", "duckdb"])
def test_killed_while_it_inserts_updates_and_deletes_it_leaves_all_or_nothing_and_no_trace(
    shop: Config, tmp_path: Path, target: str
) -> None:
    project = project_of(shop, tmp_path)
    moments = random.Random(target)
    _change(shop, 0)
    assert _start(project, target).end() == 0
    execute(shop.database(target), *_TRIGGERS[target])
    _change(shop, 1)
    began = time.monotonic()
    assert _start(project, target).end() == 0
    usual = time.monotonic() - began
    before, kills = _rows(shop, target), 0
    for number in range(2, KILLS + 2):
        _change(shop, number)
        running = _start(project, target)
        time.sleep(usual * moments.uniform(0.05, 1.0))
        running.process.kill()
        kills += running.end() == -signal.SIGKILL
        if target == "postgres":
            wait_for_the_server(shop)
        found = _rows(shop, target)
        assert found in (before, _rows(shop, "sqlite"))
        assert _fires(shop, target)
        before = found
    assert kills
    last = _start(project, target)
    assert last.end() == 0, last.err
    assert _rows(shop, target) == _rows(shop, "sqlite")
    again = _start(project, target)
    assert again.end() == 0
    assert not sum(t["inserted"] + t["updated"] + t["deleted"] for t in again.result["tables"])
    assert left_behind(shop, project, target, {".toolkit"}) == []
    # What was synced last is noted there.
    assert {path.name for path in (project / ".toolkit").iterdir()} == {"syncs.json"}


@pytest.mark.slow
@pytest.mark.parametrize("target", ["sqlite", "postgres", "duckdb"])
@pytest.mark.parametrize("command", ["database upgrade --database", "load-data --to"])
def test_an_upgrade_and_a_load_that_are_killed_leave_all_or_nothing_and_the_next_run_completes_them(
    config: Config, tmp_path: Path, command: str, target: str
) -> None:
    project, database = project_of(config, tmp_path), config.database(target)
    if "load" in command:
        assert toolkit(project, "database", "upgrade", "--database", target).end() == 0
    # A file that is there, though empty.
    create(database, MetaData())
    prepared = b"" if database.file is None else database.file.read_bytes()

    def start() -> Toolkit:
        return toolkit(project, *command.split(), target, temporary=project / "temporary")

    def look() -> Any:
        if target == "postgres":
            wait_for_the_server(config)
        return everything_in(database)

    def reset() -> None:
        if database.file is not None:
            database.file.write_bytes(prepared)
            # Killed as it closed its file, DuckDB has the rows there, where who only looks at them leaves them.
            database.file.with_name(f"{database.file.name}.wal").unlink(missing_ok=True)
        elif "load" in command:
            execute(database, "TRUNCATE user_account, role, tag CASCADE")
        else:
            execute(database, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")

    kill_often(start, look, reset, LOADS)
    assert left_behind(config, project, target, {".toolkit"}) == []
    assert _files(tmp_path / ".toolkit") == (_files(config.fixtures / "attachments") if "load" in command else set())


def _files(folder: Path) -> set[bytes]:
    """The contents of all files in a folder, of whatever name."""
    return {path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_files_of_a_process_that_was_killed_are_removed_and_those_of_one_at_work_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import subprocess
    import sys

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code = (
        "from toolkit.compute.scratch import scratch_directory\n"
        "with scratch_directory() as folder:\n"
        "    (folder / 'large').write_text('x'); print('ready', flush=True); input()"
    )
    programs = [
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)
    ]
    for program in programs:
        assert program.stdout is not None
        assert program.stdout.readline() == b"ready\n"
    assert len(list(tmp_path.rglob("large"))) == 2
    with programs[0]:
        programs[0].kill()
    with scratch_directory() as own:
        assert len(list(tmp_path.rglob("large"))) == 1
        assert not list(own.iterdir())
    with programs[1]:
        assert programs[1].stdin is not None
        programs[1].stdin.write(b"\n")
        programs[1].stdin.close()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
