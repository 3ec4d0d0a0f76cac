"""`toolkit database …`: what it prints, where, and its exit codes."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from toolkit.cli.database import database as group
from toolkit.config import Config, Database
from toolkit.engines.contract import EngineSettings
from toolkit.errors import DatabaseUnavailableError, MigrationError, RevisionMismatchError, UnknownNameError

BEFORE, AFTER = sa.MetaData(), sa.MetaData()
for each in (BEFORE, AFTER):
    sa.Table("thing", each, sa.Column("id", sa.Integer, primary_key=True))
AFTER.tables["thing"].append_column(sa.Column("name", sa.String(20)))
LOWER = sa.MetaData()
AFTER.tables["thing"].to_metadata(LOWER)
sa.Index("ix_lower", sa.func.lower(LOWER.tables["thing"].c.name))


@pytest.fixture
def files(tmp_path: Path) -> Config:
    """Configure an empty project with two databases in files and one that cannot be reached."""
    urls = {
        "sqlite": f"sqlite:///{tmp_path}/one.sqlite3",
        "duckdb": f"duckdb:///{tmp_path}/one.duckdb",
    }
    databases = {name: Database(name, url, tmp_path, EngineSettings()) for name, url in urls.items()}
    return Config(tmp_path, databases, metadata=f"{__name__}:BEFORE", migrations=tmp_path / "migrations")


def run(config: Config, *arguments: str, **options: Any) -> Result:
    """Run a command that has to succeed."""
    result = invoke(config, *arguments, **options)
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def invoke(config: Config, *arguments: str, **options: Any) -> Result:
    """Run a command."""
    return CliRunner().invoke(group, list(arguments), obj=config, **options)


@pytest.fixture
def project(files: Config) -> Config:
    """Make the project's migrations directory and its first migration."""
    run(files, "init")
    run(files, "make-migrations", "-m", "first")
    return files


def test_from_nothing_to_head_and_back(files: Config) -> None:
    made = run(files, "init", "--json")
    assert [Path(each).name for each in json.loads(made.stdout)["files"]] == ["env.py", "script.py.mako"]
    written = json.loads(run(files, "make-migrations", "-m", "first", "--json").stdout)
    assert Path(written["path"]).name == f"{written['revision']}_first.py"
    upgraded = run(files, "upgrade")
    assert upgraded.stdout == f"sqlite: no revision -> {written['revision']}\n"
    assert upgraded.stderr == f"sqlite: upgrade {written['revision']} (first)\n"
    assert run(files, "upgrade", "--no-prompt").stdout == f"sqlite: at {written['revision']}, nothing to do\n"
    assert run(files, "show-current-revision").stdout == f"sqlite: {written['revision']} (head)\n"
    assert run(files, "downgrade", "-1", "--no-prompt").stdout == f"sqlite: {written['revision']} -> no revision\n"
    run(files, "upgrade")
    assert json.loads(run(files, "downgrade", "base", "--no-prompt", "--json").stdout) == {
        "schema_version": 1,
        "database": "sqlite",
        "before": written["revision"],
        "after": None,
        "steps": [f"downgrade {written['revision']} (first)"],
        "sql": None,
    }


def test_all_databases(project: Config) -> None:
    assert len(run(project, "upgrade", "--all").stdout.splitlines()) == 2
    found = json.loads(run(project, "show-current-revision", "--all", "--json").stdout)
    assert [each["database"] for each in found] == ["sqlite", "duckdb"]
    assert run(project, "check", "--all").stdout == "sqlite: no differences\nduckdb: no differences\n"
    dropped = run(project, "drop-all", "--all", "--no-prompt").stdout
    assert dropped == "sqlite: dropped alembic_versions, thing\nduckdb: dropped alembic_versions, thing\n"


def test_looking_at_all_databases_tells_of_each_whatever_is_wrong_with_another(project: Config) -> None:
    head = json.loads(run(project, "heads", "--json").stdout)[0]["revision"]
    run(project, "upgrade", "--database", "duckdb")
    # A file that is no database, between two of which one is behind.
    (project.root / "odd.sqlite3").write_text("no database at all, but long enough to be looked at as one" * 9)
    odd = Database("odd", f"sqlite:///{project.root}/odd.sqlite3", project.root, EngineSettings())
    found = project.databases
    three = replace(project, databases={"sqlite": found["sqlite"], "odd": odd, "duckdb": found["duckdb"]})
    for as_json in ([], ["--json"]):
        checked = invoke(three, "check", "--all", *as_json)
        assert isinstance(checked.exception, DatabaseUnavailableError)
        assert f"Error: sqlite is at schema revision none, but {head} is needed.\n       Run: " in checked.stderr
        if as_json:
            (of_duckdb,) = json.loads(checked.stdout)
            assert (of_duckdb["database"], of_duckdb["changes"], of_duckdb["not_compared"]) == ("duckdb", [], [])
        else:
            assert checked.stdout == "duckdb: no differences\n"
    shown = invoke(three, "show-current-revision", "--all")
    assert isinstance(shown.exception, DatabaseUnavailableError)
    assert shown.stdout == f"sqlite: no revision (head: {head})\nduckdb: {head} (head)\n"


def test_what_is_wrong_with_all_databases_is_told_once(files: Config) -> None:
    found = invoke(files, "check", "--all")
    assert isinstance(found.exception, MigrationError)
    assert found.stderr == ""


def test_changing_all_databases_stops_at_the_first_error_and_says_what_was_done(project: Config) -> None:
    (project.root / "odd.sqlite3").write_text("no database at all, but long enough to be looked at as one" * 9)
    odd = Database("odd", f"sqlite:///{project.root}/odd.sqlite3", project.root, EngineSettings())
    found = project.databases
    three = replace(project, databases={"sqlite": found["sqlite"], "odd": odd, "duckdb": found["duckdb"]})
    stopped = invoke(three, "upgrade", "--all", "--json")
    assert isinstance(stopped.exception, DatabaseUnavailableError)
    assert [each["database"] for each in json.loads(stopped.stdout)] == ["sqlite"]
    assert stopped.stderr.endswith("Not tried: duckdb.\n")
    assert not (project.root / "one.duckdb").exists()


def test_an_index_that_sqlite_does_not_tell_is_compared_by_the_history_else_noted_in_one_line(files: Config) -> None:
    own = replace(files, metadata=f"{__name__}:LOWER")
    run(own, "init")
    assert run(own, "make-migrations", "-m", "first").stderr == ""
    run(own, "upgrade", "--all")
    for name in ("sqlite", "duckdb"):
        checked = run(own, "check", "--database", name)
        assert (checked.stdout, checked.stderr) == (f"{name}: no differences\n", "")
    with sqlite3.connect(own.root / "one.sqlite3") as connection:
        connection.execute("DROP INDEX ix_lower")
        connection.execute("CREATE INDEX ix_upper ON thing (upper(name))")
    connection.close()
    checked = invoke(own, "check")
    assert (checked.exit_code, checked.stdout) == (3, "sqlite: add index ix_lower on thing (name)\n")
    assert checked.stderr == (
        "sqlite: the index ix_upper is of an expression, which sqlite does not report: it is not compared, and left "
        "out of migrations made from here.\n"
    )


def test_other_warnings_stay_warnings(project: Config) -> None:
    script = json.loads(run(project, "heads", "--json").stdout)[0]["path"]
    with Path(script).open("a") as file:
        file.write("\nimport warnings\ndef data_upgrades(): warnings.warn('of the application', FutureWarning)\n")
    with pytest.warns(FutureWarning, match="of the application"):
        run(project, "upgrade")


def test_a_url_in_the_place_of_a_name(project: Config, tmp_path: Path) -> None:
    assert run(project, "upgrade", "--database", f"sqlite:///{tmp_path}/other.db").stdout.startswith("other.db: ")
    assert (tmp_path / "other.db").exists()


def test_check_exits_with_3_when_there_are_differences(project: Config) -> None:
    run(project, "upgrade")
    found = invoke(project, "check", "--metadata", f"{__name__}:AFTER")
    assert (found.exit_code, found.stdout) == (3, "sqlite: add column thing.name\n")
    found = invoke(project, "check", "--json", "--metadata", f"{__name__}:AFTER")
    assert (found.exit_code, json.loads(found.stdout)["changes"]) == (3, ["add column thing.name"])
    assert "no migration is needed" in run(project, "make-migrations").stderr
    assert json.loads(run(project, "make-migrations", "--json").stdout) is None


def test_drop_all_asks_and_names_no_password(project: Config) -> None:
    run(project, "upgrade")
    secret = Database("far", "postgresql://me:hunter2@localhost/x", project.root, EngineSettings())
    both = replace(project, databases={**project.databases, "far": secret})
    refused = invoke(both, "drop-all", "--all", input="n\n")
    assert refused.exit_code == 1
    assert "Drop all" not in refused.stdout
    assert "me:***@localhost" in refused.stderr
    assert "hunter2" not in refused.output
    assert run(project, "drop-all", input="y\n").stdout.endswith("sqlite: dropped alembic_versions, thing\n")


def test_a_downgrade_asks_before_anything_is_lost(project: Config) -> None:
    run(project, "upgrade")
    refused = invoke(project, "downgrade", "base", input="n\n")
    assert refused.exit_code == 1
    assert "Undo migrations down to base" in refused.stderr
    assert "(head)" in run(project, "show-current-revision").stdout
    # Nobody is there to answer.
    assert invoke(project, "downgrade", input="").exit_code == 1
    assert run(project, "downgrade", "base", input="y\n").stdout.startswith("sqlite: ")
    assert run(project, "show-current-revision").stdout.startswith("sqlite: no revision")


def test_sql_goes_to_stdout(project: Config) -> None:
    written = run(project, "upgrade", "--sql", "--all")
    assert written.stdout.count("CREATE TABLE thing") == 2
    assert (
        json.loads(run(project, "downgrade", "head:base", "--sql", "--json").stdout)["sql"].count("DROP TABLE thing")
        == 1
    )
    assert not (project.root / "one.sqlite3").exists()


def test_history_commands(project: Config) -> None:
    first = json.loads(run(project, "heads", "--json").stdout)[0]["revision"]
    for side in ("left", "right"):
        run(project, "make-migrations", "--no-autogenerate", "-m", side, "--head", first, "--splice")
    assert run(project, "branches").stdout == f"{first}  first (branch point)\n"
    left, right = (each["revision"] for each in json.loads(run(project, "heads", "--json").stdout))
    merged = json.loads(run(project, "merge-migrations", "-m", "join", "--json").stdout)
    assert set(merged["parents"]) == {left, right}
    assert run(project, "heads").stdout == f"{merged['revision']}  join (head, merge)\n"
    run(project, "stamp-migration", first)
    lines = run(project, "history", "--indicate-current").stdout.splitlines()
    assert (lines[0], lines[-1]) == (
        f"{merged['revision']}  join (head, merge)",
        f"{first}  first (current, branch point)",
    )
    assert run(project, "history", "-r", "current:", "--verbose").stdout.count("follows") == 4
    shown = run(project, "show", "current").stdout
    assert shown.startswith(f"{first}  first")
    assert "followed by" in shown


def test_errors_are_raised_for_the_top_level(project: Config) -> None:
    assert isinstance(invoke(project, "upgrade", "--database", "sqlit").exception, UnknownNameError)
    assert isinstance(invoke(project, "upgrade", "nonsense").exception, MigrationError)
    assert isinstance(invoke(project, "check").exception, RevisionMismatchError)
    assert isinstance(invoke(project, "init").exception, MigrationError)
    assert invoke(project, "upgrade", "--nonsense").exit_code == 2


def test_help_imports_nothing_heavy() -> None:
    script = """
import sys
import toolkit.cli.database
heavy = {"sqlalchemy", "alembic", "advanced_alchemy", "pyarrow", "duckdb", "rich", "psycopg"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parent.parent.parent)
