"""What is left when a sync is killed, interrupted, cut off or run twice at once, on real databases."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.operations.databases import connected, contents, create, execute, postgres
from tests.operations.example import fill
from tests.operations.processes import Toolkit, toolkit
from tests.operations.shop import metadata
from toolkit.config import Config
from toolkit.core.progress import Silent
from toolkit.core.tables import select_tables
from toolkit.engines import connect
from toolkit.engines.postgresql.table import PostgresRepository
from toolkit.errors import DatabaseUnavailableError
from toolkit.operations.sync import sync
from toolkit.operations.transfer.options import Options

TARGETS = ["sqlite2", "postgres", "duckdb"]
EVERY_TARGET = pytest.mark.parametrize("target", TARGETS)
ROWS = 1000
BATCH = 200
KILLS = 3


@pytest.fixture
def project(shop: Config, tmp_path: Path) -> Path:
    """The directory of a project whose settings are those of `shop`, for processes of their own."""
    return _write_settings(shop, tmp_path, f'metadata = "{shop.metadata}"\nmigrations = "none"')


def _write_settings(config: Config, directory: Path, first: str) -> Path:
    lines = [first]
    for name, database in config.databases.items():
        lines += [f"[databases.{name}]", f'url = "{database.address}"']
    (directory / "toolkit.toml").write_text("\n".join(lines))
    return directory


def start(project: Path, target: str, *options: str, before: Callable[[], None] | None = None) -> Toolkit:
    return toolkit(project, "sync", "--from", "sqlite", "--to", target, "--json", *options, before=before)


def _fill_many(config: Config) -> None:
    """Many customers in one category: enough for a sync to take a while."""
    create(config.database("sqlite"), metadata)
    values = (
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {rows}) "
        "INSERT INTO {table} SELECT {columns} FROM n"
    )
    at = "'2024-01-01 00:00:00.000000'"
    execute(
        config.database("sqlite"),
        values.format(rows=ROWS, table="customer", columns=f"n, n || '@x', 'new', {at}, {at}"),
        values.format(rows=ROWS, table="category", columns="n, NULL, 'new'"),
    )


_NAMES = "SELECT name, count(*) AS rows FROM {table} GROUP BY name"


def _state(config: Config, target: str) -> dict[str, dict[str, int]]:
    """How many rows of each table have which name."""
    with connected(config.database(target)) as connection:
        return {
            table: {row.name: row.rows for row in connection.exec_driver_sql(_NAMES.format(table=table))}
            for table in ("customer", "category")
        }


def _wait_for_the_server(config: Config) -> None:
    """Wait until PostgreSQL has seen that its client is gone."""
    with postgres(config) as connection:
        for _ in range(500):
            others = connection.execute(
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
                "AND backend_type = 'client backend'"
            ).fetchall()
            if not others:
                return
            time.sleep(0.01)
    pytest.fail("a server process goes on without its client")


def _usual_seconds(config: Config, project: Path, target: str, *options: str) -> float:
    """How long a sync of all rows takes, once they are there."""
    assert start(project, target, *options).end() == 0
    _rename(config, "round 0")
    began = time.monotonic()
    assert start(project, target, *options).end() == 0
    return time.monotonic() - began


def _rename(config: Config, name: str) -> None:
    """Change every row of the source."""
    execute(
        config.database("sqlite"),
        f"UPDATE customer SET name = '{name}'",
        f"UPDATE category SET name = '{name}'",
    )


def _leftovers(config: Config, target: str) -> list[str]:
    """Tables of the target that nobody asked for."""
    from sqlalchemy import inspect

    with connected(config.database(target)) as connection:
        names = set(inspect(connection).get_table_names())
    if target == "postgres":
        with postgres(config) as other:
            names |= {
                name
                for (name,) in other.execute("SELECT relname FROM pg_class WHERE relname LIKE 'toolkit%'").fetchall()
            }
    return sorted(names - set(metadata.tables))


def _digests(config: Config, name: str) -> dict[str, str]:
    with connect(config.database(name)) as connection:
        return {spec.name: connection.repository(spec).digest().text for spec in select_tables(metadata)}


@pytest.mark.slow
@EVERY_TARGET
def test_killed_between_commits_the_target_holds_whole_batches(shop: Config, project: Path, target: str) -> None:
    """Without commits in between, it is all rows or none: test_faults_kill.py."""
    _fill_many(shop)
    options, moments = ("--commit-every", f"{BATCH}"), random.Random(target)
    usual = _usual_seconds(shop, project, target, *options)
    kills = number = 0
    while number < KILLS or not kills:
        number += 1
        _rename(shop, f"round {number}")
        running = start(project, target, *options)
        time.sleep(usual * moments.uniform(0.1, 1.0))
        running.process.kill()
        if running.end() == -signal.SIGKILL:
            kills += 1
        else:
            # It was faster than when it was timed.
            usual /= 2
        if target == "postgres":
            _wait_for_the_server(shop)
        for table, names in _state(shop, target).items():
            new = names.get(f"round {number}", 0)
            assert new in (range(0, ROWS + 1, BATCH) if table == "customer" else (0, ROWS))
            assert sum(names.values()) == ROWS
    assert start(project, target, *options).end() == 0
    assert _digests(shop, target) == _digests(shop, "sqlite")
    assert _leftovers(shop, target) == []


_INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
_CONSTRAINTS = (
    "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype IN ('p', 'u', 'f') ORDER BY 1"
)


@pytest.mark.slow
def test_killed_while_it_fills_empty_tables_of_postgres_every_key_is_still_there(shop: Config, project: Path) -> None:
    """With more rows than `rebuild_rows`, so that keys and indexes are dropped and made again meanwhile."""
    create(shop.database("postgres"), metadata)
    _fill_many(shop)
    moments = random.Random(1)
    usual = 0.0
    with postgres(shop) as connection:
        keys = [connection.execute(query).fetchall() for query in (_INDEXES, _CONSTRAINTS)]
        for number in range(KILLS + 2):
            connection.execute("TRUNCATE customer, category CASCADE")
            began = time.monotonic()
            running = start(project, "postgres", before=_let_rows_be_many)
            if number > 1:
                time.sleep(usual * moments.uniform(0.1, 1.0))
                running.process.kill()
            running.end()
            usual = usual if number > 1 else time.monotonic() - began
            connection.execute("SELECT pg_advisory_lock(x'746f6f6c6b6974'::bigint)")
            connection.execute("SELECT pg_advisory_unlock_all()")
            assert [connection.execute(query).fetchall() for query in (_INDEXES, _CONSTRAINTS)] == keys
            assert connection.execute("SELECT count(*) FROM customer").fetchall() in ([(0,)], [(ROWS,)])
        connection.execute("TRUNCATE customer, category CASCADE")
    assert start(project, "postgres", before=_let_rows_be_many).end() == 0
    assert _digests(shop, "postgres") == _digests(shop, "sqlite")


def _let_rows_be_many() -> None:
    PostgresRepository.rebuild_rows = ROWS


@pytest.mark.slow
@EVERY_TARGET
def test_killed_while_it_makes_the_tables_the_next_run_completes(config: Config, tmp_path: Path, target: str) -> None:
    _write_settings(config, tmp_path, (tmp_path / "toolkit.toml").read_text())
    for delay in (0.1, 0.3):
        running = toolkit(tmp_path, "load-data", "--to", target)
        time.sleep(delay)
        running.process.kill()
        running.end()
    running = toolkit(tmp_path, "load-data", "--to", target, "--json")
    assert running.end() == 0, running.err
    assert sum(table["inserted"] + table["unchanged"] for table in running.result["tables"]) == 90


@pytest.mark.slow
def test_what_a_killed_process_waits_for_on_the_server_ends_with_it(shop: Config, project: Path) -> None:
    fill(shop.database("sqlite"))
    create(shop.database("postgres"), metadata)
    # A server that does not look for its client waits on, and keeps what it has locked, as long as it may.
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation'"
    with postgres(shop) as connection, connection.transaction():
        connection.execute("LOCK TABLE customer")
        running = start(project, "postgres")
        while connection.execute(waiting).fetchall() == [(0,)]:
            assert running.process.is_alive(), running.err
            time.sleep(0.01)
        running.process.kill()
        running.end()
        until = time.monotonic() + 20
        while connection.execute(waiting).fetchall() != [(0,)]:
            assert time.monotonic() < until, "the server waits on"
            time.sleep(0.1)


# -- Ctrl-C ------------------------------------------------------------------------------------------------


@pytest.mark.slow
@EVERY_TARGET
def test_ctrl_c_rolls_back_and_is_exit_code_130(shop: Config, project: Path, target: str) -> None:
    _fill_many(shop)
    usual = _usual_seconds(shop, project, target)
    codes: list[int] = []
    for number, share in enumerate((0.8, 0.5, 0.3, 0.1)):
        if len(codes) > 1 and 130 in codes:
            break
        # The later ones are for a process that was faster than when it was timed.
        before = _state(shop, target)
        _rename(shop, f"round {number + 1}")
        running = start(project, target)
        time.sleep(usual * share)
        running.interrupt()
        codes.append(running.end(20))
        after = {table: {f"round {number + 1}": ROWS} for table in ("customer", "category")}
        assert codes[-1] in (0, 130), running.err
        assert _state(shop, target) in ((after,) if codes[-1] == 0 else (before, after))
        if codes[-1] == 130:
            assert "nterrupted" in running.err
            assert "what was not committed is rolled back." in running.err
            assert "Traceback" not in running.err
    assert 130 in codes


@pytest.mark.slow
def test_ctrl_c_is_heard_while_another_writer_is_waited_for(shop: Config, project: Path, tmp_path: Path) -> None:
    fill(shop.database("sqlite"))
    for target in ("sqlite2", "postgres"):
        create(shop.database(target), metadata)
    file = sqlite3.connect(tmp_path / "two.sqlite3", isolation_level=None)
    file.execute("BEGIN IMMEDIATE")
    with psycopg.connect(shop.database("postgres").address) as server:
        server.execute("LOCK TABLE customer")
        waiting = [start(project, target) for target in ("sqlite2", "postgres")]
        time.sleep(0.5)
        for each in waiting:
            each.interrupt()
        assert [each.end(10) for each in waiting] == [130, 130]
    file.close()


# -- two at once -------------------------------------------------------------------------------------------


class Companion(Silent):
    """Starts a second sync at a step of the first, which then goes on slowly."""

    def __init__(self, begin: Callable[[], Toolkit], label: str) -> None:
        self.begin = begin
        self.label = label
        self.second: Toolkit | None = None
        self.labels: list[str] = []

    def step(self, label: str, rows: int | None = None) -> None:
        self.labels.append(label)
        if label == self.label:
            self.second = self.begin()
            time.sleep(0.4)

    def advance(self, rows: int) -> None:
        if self.second is not None:
            time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["sqlite2", "postgres"])
@pytest.mark.parametrize(("label", "commit_every"), [("compare customer", None), ("load customer", 100)])
def test_a_second_sync_waits_until_the_first_has_ended(
    shop: Config, project: Path, target: str, commit_every: int | None, label: str
) -> None:
    _fill_many(shop)
    execute(
        shop.database("sqlite"),
        "DELETE FROM customer WHERE id > 400",
        "DELETE FROM category WHERE id > 400",
    )
    create(shop.database(target), metadata)
    companion = Companion(lambda: start(project, target), label)
    options = Options(commit_every=commit_every, batch_rows=50)
    first = sync(shop, "sqlite", target, options=options, progress=companion)
    assert sum(table.inserted for table in first.tables) == 800
    assert companion.second is not None
    assert companion.second.end() == 0, companion.second.err
    # Had it come in between, it would have found a part of the rows, or none.
    assert sum(table["unchanged"] for table in companion.second.result["tables"]) == 800
    assert _digests(shop, target) == _digests(shop, "sqlite")


@pytest.mark.slow
def test_a_second_sync_into_duckdb_stops_with_the_process_that_has_it(shop: Config, project: Path) -> None:
    fill(shop.database("sqlite"))
    create(shop.database("duckdb"), metadata)
    companion = Companion(lambda: start(project, "duckdb"), "load product")
    sync(shop, "sqlite", "duckdb", progress=companion)
    assert companion.second is not None
    assert companion.second.end() == 1
    assert f"one.duckdb is open in {sys.executable}" in companion.second.err or str(os.getpid()) in companion.second.err
    assert _digests(shop, "duckdb") == _digests(shop, "sqlite")


@pytest.mark.slow
@EVERY_TARGET
def test_two_syncs_that_begin_together_with_a_target_without_tables_do_not_disturb_each_other(
    config: Config, tmp_path: Path, target: str
) -> None:
    _write_settings(config, tmp_path, (tmp_path / "toolkit.toml").read_text())
    both = [toolkit(tmp_path, "load-data", "--to", target, "--json") for _ in range(2)]
    codes = [each.end() for each in both]
    if target == "duckdb":
        assert sorted(codes) in ([0, 0], [0, 1])
        assert all("is open in" in each.err for each, code in zip(both, codes, strict=True) if code)
    else:
        assert codes == [0, 0], [each.err for each in both]
        inserted = [sum(table["inserted"] for table in each.result["tables"]) for each in both]
        assert sorted(inserted) == [0, 90]


class Intruder(Silent):
    """Tries at every step to write to a SQLite file from another process."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.answers: list[tuple[str, str]] = []

    def step(self, label: str, rows: int | None = None) -> None:
        code = (
            "import sqlite3, sys\n"
            "try: sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None).execute('BEGIN IMMEDIATE')\n"
            "except sqlite3.OperationalError as error: print(error)\n"
            "else: print('came in')"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(self.file)],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        self.answers.append((label.split(maxsplit=1)[0], done.stdout.strip()))


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_nobody_else_can_write_to_a_sqlite_target_from_the_first_row_to_the_commit(
    shop: Config, tmp_path: Path, journal: str
) -> None:
    """A second SQLite library in this process, as ADBC brings one, would give up the lock of the first.

    Before that, while both sides are compared and rows are read, everybody may.
    """
    fill(shop.database("sqlite"))
    fill(shop.database("sqlite2"))
    execute(shop.database("sqlite2"), f"PRAGMA journal_mode = {journal}")
    execute(shop.database("sqlite"), "UPDATE customer SET name = 'x'", "UPDATE product SET price = 1")
    intruder = Intruder(tmp_path / "two.sqlite3")
    sync(shop, "sqlite", "sqlite2", progress=intruder)
    came, refused = "came in", "database is locked"
    written = [("merge", refused)] * 2 + [("commit", refused)]
    assert intruder.answers == [("compare", came)] * 4 + [("read", came)] * 2 + written


# -- connections that are cut ------------------------------------------------------------------------------


class Terminator(Silent):
    """Ends every server process of the database at a step, or once so many rows of that step have been sent."""

    def __init__(self, config: Config, label: str, rows: int | None) -> None:
        self.config = config
        self.label = label
        self.rows = rows
        self.at_work = False

    def step(self, label: str, rows: int | None = None) -> None:
        self.at_work = label == self.label
        if self.at_work and self.rows is None:
            self._terminate()

    def advance(self, rows: int) -> None:
        if self.at_work and self.rows is not None:
            self.rows -= rows
            if self.rows <= 0:
                self.at_work = False
                self._terminate()

    def _terminate(self) -> None:
        with postgres(self.config) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


@pytest.mark.usefixtures("small_rebuilds")
@pytest.mark.parametrize(
    ("label", "rows"),
    [("compare product", None), ("load customer", None), ("load customer", 2), ("load purchase_line", 1)],
)
def test_a_server_process_that_is_ended_in_mid_sync_is_told_and_nothing_is_kept(
    shop: Config, label: str, rows: int | None
) -> None:
    fill(shop.database("sqlite"))
    create(shop.database("postgres"), metadata)
    terminator = Terminator(shop, label, rows)
    with pytest.raises(DatabaseUnavailableError) as caught:
        sync(shop, "sqlite", "postgres", options=Options(batch_rows=1), progress=terminator)
    assert "connection" in caught.value.fact
    assert "Run again" in caught.value.advice
    assert not any(contents(shop.database("postgres"), metadata).values())
    sync(shop, "sqlite", "postgres")
    assert _digests(shop, "postgres") == _digests(shop, "sqlite")


@pytest.mark.parametrize("label", ["compare product", "load customer", "load purchase_line"])
def test_a_source_that_is_cut_off_in_mid_sync_is_told_and_nothing_is_kept(shop: Config, label: str) -> None:
    fill(shop.database("postgres"))
    create(shop.database("duckdb"), metadata)
    with pytest.raises(DatabaseUnavailableError, match=r"postgres: the .*connection"):
        sync(shop, "postgres", "duckdb", progress=Terminator(shop, label, None))
    assert not any(contents(shop.database("duckdb"), metadata).values())


@contextmanager
def locked(config: Config, table: str) -> Iterator[int]:
    """A table that nobody else may read; the number of the process that sees to that."""
    with psycopg.connect(config.database("postgres").address, application_name="an upgrade") as connection:
        connection.execute(f"LOCK TABLE {table}".encode())
        yield connection.info.backend_pid


def test_a_source_that_somebody_has_locked_is_told_after_a_while(shop: Config) -> None:
    from dataclasses import replace

    fill(shop.database("postgres"))
    impatient = replace(shop.database("postgres"), lock_seconds=0.3)
    shop = replace(shop, databases={**shop.databases, "postgres": impatient})
    with locked(shop, "purchase_line") as holder, pytest.raises(DatabaseUnavailableError) as caught:
        sync(shop, "postgres", "duckdb")
    assert f"another session (process {holder}, user postgres, an upgrade, " in caught.value.fact
    assert "holds a lock on purchase_line; gave up after 0.3 s" in caught.value.fact
