"""Applications that write to the source or the target while a sync runs: neither is spoilt, and nobody waits long."""

from __future__ import annotations

import ast
import json
import sqlite3
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

import toolkit
from tests.operations.databases import connected, create, execute, postgres
from toolkit.cli.render import show_transfer
from toolkit.config import Config
from toolkit.core.plan import SyncResult
from toolkit.core.progress import Silent
from toolkit.engines.sqlite import copy as sqlite_copy
from toolkit.engines.sqlite import snapshot as sqlite_snapshot
from toolkit.errors import ChangedSincePlanError, DatabaseUnavailableError, ExistingRowsError, VerificationError
from toolkit.models.personal_data import ATTRIBUTE
from toolkit.operations.sync import sync
from toolkit.operations.transfer import attempts, planning
from toolkit.operations.transfer.deletes import DeleteLimit
from toolkit.operations.transfer.options import Mode, Options

MODULE = "items_of_a_test"
ROWS = 40
ALL = Options(mode=Mode.REPLACE, max_delete=DeleteLimit(0, 1.0))
JOURNALS = pytest.mark.parametrize("journal", ["delete", "wal"])
metadata = sa.MetaData()
sa.Table(
    "item",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("v", sa.Integer),
    sa.Column("code", sa.Integer, unique=True),
)
Row = tuple[int, int, int]


@pytest.fixture
def items(config: Config) -> Iterator[Config]:
    """The configuration for a table of `ROWS` rows in each database, whose v is 1 at the source and else 0."""
    module = types.ModuleType(MODULE)
    module.metadata = metadata  # type: ignore[attr-defined]
    sys.modules[MODULE] = module
    found = replace(config, metadata=f"{MODULE}:metadata", migrations=config.root / "none")
    for name, v in (("sqlite", 1), ("sqlite2", 0), ("postgres", 0)):
        create(found.database(name), metadata)
        values = ", ".join(f"({n}, {v}, {n})" for n in range(ROWS))
        execute(found.database(name), f"INSERT INTO item VALUES {values}")
    yield found
    sys.modules.pop(MODULE)


def set_journal(config: Config, name: str, mode: str) -> None:
    with connected(config.database(name)) as connection:
        connection.exec_driver_sql(f"PRAGMA journal_mode = {mode}")


def rows(config: Config, name: str, where: str = "true") -> list[Row]:
    with connected(config.database(name)) as connection:
        found = connection.exec_driver_sql(f"SELECT id, v, code FROM item WHERE {where} ORDER BY id")
        return [row._tuple() for row in found]


class Meanwhile(Silent):
    """An application that does something as steps of a sync begin whose names begin so, so many times at most."""

    def __init__(self, work: Callable[[], Any], *steps: str, times: int = 1000) -> None:
        self._work, self._steps, self._times = work, steps, times
        self.done = 0
        self.notes: list[str] = []

    def step(self, label: str, rows: int | None = None) -> None:
        if label.startswith(self._steps) and self.done < self._times:
            self._work()
            self.done += 1

    def note(self, message: str) -> None:
        self.notes.append(message)


def writer(file: Path, statement: str) -> Callable[[], None]:
    """Commits a statement with a new value, and does not wait for anybody."""
    numbers = iter(range(1000, 10_000))

    def write() -> None:
        connection = sqlite3.connect(file, isolation_level=None, timeout=0)
        connection.execute(statement.format(n=next(numbers)))
        connection.close()

    return write


# -- a SQLite source -----------------------------------------------------------------------------------------------


@JOURNALS
@pytest.mark.parametrize("target", ["sqlite2", "postgres", "duckdb"])
def test_the_application_of_a_sqlite_source_commits_at_every_step_and_the_target_has_the_first_moment(
    items: Config, tmp_path: Path, target: str, journal: str
) -> None:
    set_journal(items, "sqlite", journal)
    before = rows(items, "sqlite")
    application = Meanwhile(writer(tmp_path / "one.sqlite3", "UPDATE item SET v = {n}"), "compare", "merge", "load")
    assert sync(items, "sqlite", target, progress=application).verified
    assert application.done >= 2
    assert rows(items, target) == before
    assert rows(items, "sqlite") != before


def test_a_copy_begins_anew_when_it_was_written_to_in_a_pause_and_is_given_up_when_that_goes_on(
    items: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of one moment beside those of another would be no database."""
    file = tmp_path / "one.sqlite3"
    execute(items.database("sqlite"), "CREATE TABLE filler AS SELECT randomblob(40000) AS a FROM item")
    monkeypatch.setattr(sqlite_copy, "HOLD_SECONDS", 0)
    monkeypatch.setattr(sqlite_copy, "_PAUSE_SECONDS", 0)
    monkeypatch.setattr(sqlite_copy, "_STEP_BYTES", 1 << 18)
    left = [2]
    write = writer(file, "UPDATE item SET v = {n}")

    def pause(_: float) -> None:
        if left[0]:
            left[0] -= 1
            write()

    monkeypatch.setattr(time, "sleep", pause)
    sync(items, "sqlite", "postgres")
    assert left == [0]
    assert rows(items, "postgres") == rows(items, "sqlite")
    left[0] = 1000
    with pytest.raises(DatabaseUnavailableError, match="written to all the time") as told:
        sync(items, "sqlite", "postgres")
    assert "PRAGMA journal_mode = WAL" in told.value.advice


@pytest.mark.parametrize("is_found_out_late", [False, True])
def test_without_room_for_a_copy_the_file_is_read_itself_and_that_is_told(
    items: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_found_out_late: bool
) -> None:
    def fill_disk(source: sqlite3.Connection, *_: object) -> None:
        source.rollback()
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    monkeypatch.setattr(sqlite_snapshot, "has_room", lambda *_: is_found_out_late)
    monkeypatch.setattr(sqlite_snapshot, "copy_file", fill_disk)

    def write() -> None:
        with suppress(sqlite3.OperationalError):
            writer(tmp_path / "one.sqlite3", "UPDATE item SET v = {n}")()

    application = Meanwhile(write, "compare", "merge")
    before = rows(items, "sqlite")
    sync(items, "sqlite", "postgres", progress=application)
    assert rows(items, "postgres") == before
    assert any("no room for a copy" in note and "TMPDIR" in note for note in application.notes)
    sync(items, "sqlite", "sqlite2")
    assert rows(items, "sqlite2") == before


_WRITES = """
import json, sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
print("ready", flush=True)
longest = number = 0
while not __import__("os").path.exists(sys.argv[3]):
    began = time.monotonic()
    number += 1
    for statement in ("BEGIN IMMEDIATE", sys.argv[2].format(n=number), "COMMIT"):
        connection.execute(statement)
    longest = max(longest, time.monotonic() - began)
    time.sleep(0.01)
print(json.dumps({"commits": number, "longest": longest}))
"""


@contextmanager
def application_of(file: Path, statement: str, told: dict[str, float]) -> Iterator[None]:
    """Another process that commits a statement a hundred times a second, and tells how long it waited at most."""
    end = file.with_name("ended")
    program = subprocess.Popen(
        [sys.executable, "-c", _WRITES, str(file), statement, str(end)], stdout=subprocess.PIPE, text=True
    )
    with program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        try:
            yield
        finally:
            end.touch()
            told |= json.loads(program.stdout.read())


@pytest.mark.slow
@pytest.mark.parametrize(("place", "journal"), [("sqlite", "delete"), ("sqlite2", "delete"), ("sqlite2", "wal")])
def test_an_application_in_another_process_waits_for_no_more_than_a_part_of_a_sync(
    items: Config, tmp_path: Path, journal: str, place: str
) -> None:
    """Of the source and of the target; both hold enough rows that comparing takes longer than anybody should wait."""
    for name in ("sqlite", "sqlite2"):
        set_journal(items, name, journal)
        execute(
            items.database(name),
            "WITH RECURSIVE n(n) AS (SELECT 1000 UNION ALL SELECT n + 1 FROM n WHERE n < 20000) "
            "INSERT INTO item SELECT n, 0, n FROM n",
        )
    told: dict[str, float] = {}
    seconds = []
    file = Path(items.database(place).url.database or "")
    with application_of(file, "UPDATE item SET v = {n} WHERE id = 1", told):
        for number in range(2):
            began = time.monotonic()
            execute(items.database("sqlite"), f"UPDATE item SET v = {number + 5} WHERE id = 2")
            result = sync(items, "sqlite", "sqlite2")
            # On a machine that compares for longer than the application can wait, it is told what is not proved.
            assert result.verified or result.is_overtaken
            seconds.append(time.monotonic() - began)
    assert told["commits"] > 10
    assert told["longest"] < max(seconds), (told, seconds)
    assert rows(items, "sqlite2", "id > 1") == rows(items, "sqlite", "id > 1")


# -- a SQLite target -----------------------------------------------------------------------------------------------


@JOURNALS
def test_the_application_of_a_sqlite_target_commits_until_rows_are_written_and_the_plan_is_made_again(
    items: Config, tmp_path: Path, journal: str
) -> None:
    """A row that was equal when it was compared, and is no more, is compared again; or it would not be as proved."""
    set_journal(items, "sqlite2", journal)
    execute(items.database("sqlite2"), "UPDATE item SET v = 1 WHERE id > 5")
    application = Meanwhile(
        writer(tmp_path / "two.sqlite3", "UPDATE item SET v = {n} WHERE id = 30"), "compare", "read", times=2
    )
    result = sync(items, "sqlite", "sqlite2", progress=application)
    assert application.done == 2
    assert [warning.outcome for warning in result.warnings] == ["compared again"]
    assert any("somebody else since the plan" in note and "3 times at most" in note for note in application.notes)
    assert (result.verified, result.tables[0].updated) == (True, 7)
    assert rows(items, "sqlite2") == rows(items, "sqlite")


@pytest.mark.parametrize("brief", [0.5, -1.0])
def test_of_a_sqlite_target_that_is_never_left_alone_all_is_proved_or_it_is_told_what_is_not(
    items: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], brief: float
) -> None:
    """A brief comparison is made under the lock in the end; one that takes longer keeps nobody waiting."""
    monkeypatch.setattr(attempts, "BRIEF_SECONDS", brief)
    execute(items.database("sqlite2"), "UPDATE item SET v = 1 WHERE id > 5")
    refused = []

    def write() -> None:
        try:
            writer(tmp_path / "two.sqlite3", f"UPDATE item SET v = v + 1 WHERE id IN (3, {ROWS - 1})")()
        except sqlite3.OperationalError as error:
            refused.append(str(error))

    result = sync(items, "sqlite", "sqlite2", progress=Meanwhile(write, "compare", "read"))
    outcomes = [warning.outcome for warning in result.warnings]
    if brief > 0:
        assert refused == ["database is locked"]
        assert outcomes == ["compared again"] * 2
        assert result.verified
        assert rows(items, "sqlite2") == rows(items, "sqlite")
    else:
        assert not refused
        assert outcomes == ["compared again", "compared again", "changed meanwhile"]
        assert not result.verified
        assert [(table.verified, table.target_digest) for table in result.tables] == [(False, None)]
        show_transfer(result)
        assert "Verified" not in capsys.readouterr().out
        assert rows(items, "sqlite2", f"id < {ROWS - 1}") == rows(items, "sqlite", f"id < {ROWS - 1}")
        assert not sync(items, "sqlite", "sqlite2").warnings
        assert rows(items, "sqlite2") == rows(items, "sqlite")


def test_an_empty_table_that_others_fill_whenever_it_was_compared_is_not_loaded(
    items: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "BRIEF_SECONDS", -1.0)
    execute(items.database("sqlite2"), "DELETE FROM item")
    fill, empty = "INSERT INTO item VALUES (5, 7, 5)", "DELETE FROM item"
    steps = iter(writer(tmp_path / "two.sqlite3", statement) for statement in (fill, empty, fill))

    def write() -> None:
        next(steps)()

    with pytest.raises(ChangedSincePlanError):
        sync(items, "sqlite", "sqlite2", progress=Meanwhile(write, "read"))
    assert rows(items, "sqlite2") == [(5, 7, 5)]


def test_rows_that_an_application_adds_to_a_sqlite_target_are_neither_overwritten_nor_left_behind(
    items: Config, tmp_path: Path
) -> None:
    """A number for a new row, rows that must not be there yet, an empty table, rows to delete: all looked at again."""
    two = tmp_path / "two.sqlite3"
    add = writer(two, "INSERT INTO item SELECT max(id) + 1, {n}, {n} FROM item")
    execute(items.database("sqlite"), "INSERT INTO item VALUES (100, 1, 100)")
    execute(items.database("sqlite2"), "INSERT INTO item VALUES (100, 7, 777)")
    application = Meanwhile(add, "compare", times=1)
    sync(items, "sqlite", "sqlite2", match={"item": ["code"]}, progress=application)
    assert [row[1:] for row in rows(items, "sqlite2", "id >= 100")] == [(7, 777), (1000, 1000), (1, 100)]

    execute(items.database("sqlite2"), "DELETE FROM item")
    taken = Meanwhile(writer(two, "INSERT INTO item VALUES (5, {n}, 5)"), "compare", times=1)
    with pytest.raises(ExistingRowsError):
        sync(items, "sqlite", "sqlite2", options=Options(mode=Mode.INSERT), progress=taken)
    assert rows(items, "sqlite2") == [(5, 1000, 5)]

    execute(items.database("sqlite2"), "DELETE FROM item")
    other = Meanwhile(writer(two, "INSERT INTO item VALUES (-1, {n}, -1)"), "read", times=1)
    sync(items, "sqlite", "sqlite2", progress=other)
    assert rows(items, "sqlite2") == [(-1, 1000, -1), *rows(items, "sqlite")]

    execute(items.database("sqlite"), "UPDATE item SET v = 2")
    again = Meanwhile(writer(two, "INSERT INTO item VALUES ({n}, {n}, {n})"), "read", times=1)
    assert sync(items, "sqlite", "sqlite2", options=ALL, progress=again).tables[0].deleted == 2
    assert rows(items, "sqlite2") == rows(items, "sqlite")


# -- a PostgreSQL target -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_deadlock_with_the_application_of_the_target_is_told_and_the_merge_made_again(items: Config) -> None:
    """The application holds the last row, and then wants the first, which the merge has by then."""
    url = items.database("postgres").address
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"

    def stand_in_the_way() -> None:
        with psycopg.connect(url) as connection, psycopg.connect(url, autocommit=True) as watch:
            connection.execute("SET deadlock_timeout = '1min'")
            connection.execute("UPDATE item SET v = 5 WHERE id = %s", (ROWS - 1,))
            held.set()
            while watch.execute(waiting).fetchone() == (0,):
                time.sleep(0.01)
            connection.execute("UPDATE item SET v = 5 WHERE id = 0")

    held = threading.Event()
    other = threading.Thread(target=stand_in_the_way)

    def begin() -> None:
        other.start()
        assert held.wait(30)

    application = Meanwhile(begin, "merge", times=1)
    result = sync(items, "sqlite", "postgres", progress=application)
    other.join(30)
    assert [warning.outcome for warning in result.warnings] == ["compared again"]
    assert "deadlock with another writer" in result.warnings[0].reason
    assert result.verified
    assert rows(items, "postgres") == rows(items, "sqlite")


@pytest.mark.parametrize("is_restless", [False, True])
def test_rows_that_the_application_of_postgres_adds_or_deletes_meanwhile_are_compared_again(
    items: Config, monkeypatch: pytest.MonkeyPatch, is_restless: bool
) -> None:
    """As rows are written, once, or whenever they were compared: then it has to wait for the last attempt."""
    execute(items.database("postgres"), "INSERT INTO item VALUES (900, 0, 900)")
    numbers, refused = iter(range(1000, 2000)), []

    def write(*_: object) -> None:
        number = next(numbers)
        with postgres(items) as connection:
            connection.execute("SET lock_timeout = 50")
            try:
                connection.execute(f"INSERT INTO item VALUES ({number}, 0, {number})")
                connection.execute("DELETE FROM item WHERE id = 7")
            except psycopg.errors.LockNotAvailable:
                refused.append(number)

    if is_restless:
        monkeypatch.setattr(planning, "guard", write)
    application = Meanwhile(write, "merge", times=0 if is_restless else 1)
    result = sync(items, "sqlite", "postgres", options=ALL, progress=application)
    assert result.verified
    assert rows(items, "postgres") == rows(items, "sqlite")
    assert len(result.warnings) == (2 if is_restless else 1)
    assert len(refused) == int(is_restless)
    assert "rows, but" in result.warnings[0].reason


@pytest.mark.slow
def test_an_application_of_postgres_that_writes_the_same_rows_waits_for_seconds_at_most(items: Config) -> None:
    ended, waited, errors = threading.Event(), [0.0], []

    def write() -> None:
        with postgres(items) as connection:
            number = 0
            while not ended.is_set():
                began, number = time.monotonic(), number + 1
                try:
                    with connection.transaction():
                        for row in (number % ROWS, (number * 7) % ROWS):
                            connection.execute("UPDATE item SET v = v + 1 WHERE id = %s", (row,))
                except psycopg.Error as error:
                    errors.append(error)
                waited[0] = max(waited[0], time.monotonic() - began)

    other = threading.Thread(target=write)
    other.start()
    results: list[SyncResult] = []
    try:
        for number in range(5):
            execute(items.database("sqlite"), f"UPDATE item SET v = {-number}")
            results.append(sync(items, "sqlite", "postgres"))
    finally:
        ended.set()
        other.join()
    assert all(result.verified for result in results)
    assert {type(error) for error in errors} <= {psycopg.errors.DeadlockDetected}
    assert waited[0] < 4


# -- what is said --------------------------------------------------------------------------------------------------


def test_what_a_trigger_changed_is_shown_unless_it_is_personal_and_no_retry_is_made_for_it(
    items: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(
        items.database("postgres"),
        "CREATE FUNCTION more() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.v := NEW.v + 41; RETURN NEW; END'",
        "CREATE TRIGGER more BEFORE UPDATE ON item FOR EACH ROW WHEN (NEW.id = 3) EXECUTE FUNCTION more()",
    )
    merges = Meanwhile(lambda: None, "merge")
    with pytest.raises(VerificationError) as told:
        sync(items, "sqlite", "postgres", progress=merges)
    assert "First: id=3: v '1' was sent, '42' is there." in told.value.fact
    assert told.value.advice.endswith("or leave the table out: --exclude item.")
    assert merges.done == 1
    assert rows(items, "postgres", "v <> 0") == []
    monkeypatch.setitem(metadata.tables["item"].info, ATTRIBUTE, ["v"])
    with pytest.raises(VerificationError, match=r"First: id=3: v differs from what was sent\."):
        sync(items, "sqlite", "postgres")
    with pytest.raises(VerificationError) as told:
        sync(items, "sqlite", "postgres", options=Options(commit_every=1))
    assert told.value.advice.endswith("Rows that were committed before, as --commit-every has it, stay.")
    assert rows(items, "postgres", "v <> 0") != []


def test_no_message_of_the_package_advises_to_switch_the_proof_off() -> None:
    """The option itself is declared in one place, with what it does."""
    package = Path(toolkit.__file__).parent
    found = [
        path.name
        for path in package.rglob("*.py")
        if "--no-verify" in (text := path.read_text(encoding="utf-8"))
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and "--no-verify" in str(node.value)
    ]
    assert set(found) <= {"options.py"}
