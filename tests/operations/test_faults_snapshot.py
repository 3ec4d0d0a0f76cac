"""Others at work meanwhile: money that moves between two tables of the source, and locks that pass."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from tests.operations.databases import connected, create, execute
from toolkit.config import Config
from toolkit.errors import DatabaseUnavailableError, ToolkitError
from toolkit.operations.sync import sync
from toolkit.operations.transfer.deletes import DeleteLimit
from toolkit.operations.transfer.options import Mode, Options

ALL = Options(mode=Mode.REPLACE, max_delete=DeleteLimit(0, 1.0), batch_rows=50)
MODULE = "accounts_of_a_test"
ROWS, EACH = 400, 100
BOTH = "SELECT sum(balance) FROM (SELECT * FROM giro UNION ALL SELECT * FROM savings) AS b"
GIRO = "SELECT sum(balance) FROM giro"
# Money goes one way, so that no state comes back, and an account is replaced by another.
MOVE = (
    "UPDATE giro SET balance = balance - 7",
    "UPDATE savings SET balance = balance + 7",
    "UPDATE savings SET id = (SELECT min(id) FROM savings) - 1 WHERE id = (SELECT max(id) FROM savings)",
)
metadata = sa.MetaData()
for _name in ("giro", "savings"):
    sa.Table(_name, metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("balance", sa.Integer))


@pytest.fixture
def accounts(config: Config) -> Iterator[Config]:
    """The configuration for two tables whose balances always have the same sum."""
    module = types.ModuleType(MODULE)
    module.metadata = metadata  # type: ignore[attr-defined]
    sys.modules[MODULE] = module
    yield replace(config, metadata=f"{MODULE}:metadata", migrations=config.root / "none")
    sys.modules.pop(MODULE)


def fill(config: Config, name: str) -> None:
    create(config.database(name), metadata)
    values = ", ".join(f"({n}, {EACH})" for n in range(ROWS))
    execute(config.database(name), *(f"INSERT INTO {table} VALUES {values}" for table in metadata.tables))


def total(config: Config, name: str, query: str) -> int:
    with connected(config.database(name)) as connection:
        return int(connection.exec_driver_sql(query).scalar_one())


_MOVES = """
import json, sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
print("ready", flush=True)
while True:
    for statement in ("BEGIN IMMEDIATE", *json.loads(sys.argv[2]), "COMMIT"):
        connection.execute(statement)
    # As long as a disk takes for a commit: of a file in memory ten thousand a second would be made.
    time.sleep(0.001)
"""


@contextmanager
def busy_sqlite(file: Path) -> Iterator[None]:
    """Another process that moves money hundreds of times a second."""
    program = subprocess.Popen([sys.executable, "-c", _MOVES, str(file), json.dumps(MOVE)], stdout=subprocess.PIPE)
    with program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"ready\n"
        try:
            yield
        finally:
            program.kill()


@contextmanager
def busy_postgres(config: Config) -> Iterator[None]:
    """Another session that moves money without a pause."""
    ended = threading.Event()

    def move() -> None:
        with psycopg.connect(config.database("postgres").address, autocommit=True) as connection:
            while not ended.is_set():
                with connection.transaction():
                    for statement in MOVE:
                        connection.execute(statement.encode())

    mover = threading.Thread(target=move)
    mover.start()
    try:
        yield
    finally:
        ended.set()
        mover.join()


@pytest.mark.slow
@pytest.mark.parametrize(("source", "target"), [("sqlite", "postgres"), ("postgres", "duckdb")])
def test_of_a_source_that_never_rests_the_target_has_one_moment_in_both_tables(
    accounts: Config, tmp_path: Path, source: str, target: str
) -> None:
    fill(accounts, source)
    with connected(accounts.database(source)) as connection:
        if source == "sqlite":
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    with busy_sqlite(tmp_path / "one.sqlite3") if source == "sqlite" else busy_postgres(accounts):
        for number in range(3):
            result = sync(accounts, source, target, options=ALL)
            assert number == 0 or all(table.updated + table.inserted for table in result.tables)
            assert total(accounts, target, BOTH) == 2 * ROWS * EACH
            seen = total(accounts, target, GIRO)
            while total(accounts, source, GIRO) == seen:
                pass
    sync(accounts, source, target, options=ALL)
    assert total(accounts, target, GIRO) == total(accounts, source, GIRO)


# -- SQLite that is busy ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("is_reader", [False, True])
def test_a_sqlite_lock_is_waited_for_as_long_as_it_may_take_and_no_longer(
    accounts: Config, tmp_path: Path, is_reader: bool
) -> None:
    """A writer stands in the way of the beginning, a reader in that of the commit."""
    fill(accounts, "sqlite")
    fill(accounts, "sqlite2")
    execute(accounts.database("sqlite"), "UPDATE giro SET balance = 1")
    other = sqlite3.connect(tmp_path / "two.sqlite3", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN" if is_reader else "BEGIN IMMEDIATE")
    other.execute("SELECT count(*) FROM giro").fetchall()
    impatient, patient = (
        replace(
            accounts,
            databases={**accounts.databases, "sqlite2": replace(accounts.database("sqlite2"), lock_seconds=seconds)},
        )
        for seconds in (0.2, 60)
    )
    with pytest.raises(DatabaseUnavailableError, match=r"two\.sqlite3 is locked .*waited 0\.2 s"):
        sync(impatient, "sqlite", "sqlite2")
    assert other.execute("SELECT sum(balance) FROM giro").fetchall() == [(ROWS * EACH,)]
    results: list[object] = []

    def run() -> None:
        try:
            results.append(sync(patient, "sqlite", "sqlite2"))
        except ToolkitError as error:  # told to the test, which runs in another thread
            results.append(error)

    waiting = threading.Thread(target=run)
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive(), results
    other.execute("COMMIT")
    other.close()
    waiting.join(60)
    assert not isinstance(results[0], ToolkitError), results
    assert total(accounts, "sqlite2", BOTH) == ROWS * (EACH + 1)
