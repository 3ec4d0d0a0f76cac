"""`sync --soft-delete`: rows that only the target has are marked, once, and only where there are columns for it."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from tests.operations.databases import connected, contents, execute
from toolkit.config import Config, Database
from toolkit.core.progress import Silent
from toolkit.errors import DeleteGuardError
from toolkit.operations.sync import sync
from toolkit.operations.transfer.deletes import DeleteLimit
from toolkit.operations.transfer.options import Mode, Options

METADATA = sa.MetaData()
TASK = sa.Table(
    "task",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("is_deleted", sa.Boolean, nullable=False),
    sa.Column("deleted_at", sa.DateTime(timezone=True)),
)
DATED = sa.Table("dated", METADATA, sa.Column("id", sa.Integer, primary_key=True), sa.Column("deleted_at", sa.DateTime))
FLAGGED = sa.Table(
    "flagged", METADATA, sa.Column("id", sa.Integer, primary_key=True), sa.Column("is_deleted", sa.Boolean)
)
# The name alone does not make a column one of these.
PLAIN = sa.Table(
    "plain",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("deleted_at", sa.Text),
    sa.Column("task_id", sa.ForeignKey("task.id", ondelete="CASCADE")),
)
EVERY_TARGET = pytest.mark.parametrize("target", ["sqlite2", "postgres", "duckdb"])
SOFT = Options(mode=Mode.SOFT_DELETE, max_delete=DeleteLimit(100, 1.0))


@pytest.fixture
def tasks(shop: Config) -> Config:
    return replace(shop, metadata=f"{__name__}:METADATA")


def put(config: Config, name: str, keys: range) -> None:
    with connected(config.database(name)) as connection:
        METADATA.create_all(connection)
        connection.execute(TASK.insert(), [{"id": key, "name": f"t{key}", "is_deleted": False} for key in keys])
        for table in (DATED, FLAGGED, PLAIN):
            connection.execute(table.insert(), [{"id": key} for key in keys])


def marked(config: Config, name: str) -> dict[str, list[Any]]:
    rows = contents(config.database(name), METADATA)
    return {
        "task": [row[0] for row in rows["task"] if row[2] and row[3] is not None],
        "dated": [row[0] for row in rows["dated"] if row[1] is not None],
        "flagged": [row[0] for row in rows["flagged"] if row[1]],
        "plain": [row[0] for row in rows["plain"] if row[1] is not None],
    }


class Notes(Silent):
    def __init__(self) -> None:
        self.found: list[str] = []

    def note(self, message: str) -> None:
        self.found.append(message)


@EVERY_TARGET
def test_rows_that_only_the_target_has_are_marked_and_a_second_run_writes_nothing(tasks: Config, target: str) -> None:
    put(tasks, "sqlite", range(1, 4))
    put(tasks, target, range(1, 6))
    execute(tasks.database(target), "UPDATE plain SET task_id = 5 WHERE id = 1")
    before = dt.datetime.now(dt.UTC).replace(tzinfo=None, microsecond=0)
    notes = Notes()
    result = sync(tasks, "sqlite", target, options=SOFT, progress=notes)
    (told,) = [note for note in notes.found if "to be marked" in note]
    assert told.startswith("plain: rows that only the target has stay there")
    assert {t.table: (t.marked, t.deleted, t.target_only) for t in result.tables} == {
        "task": (2, 0, 0),
        "dated": (2, 0, 0),
        "flagged": (2, 0, 0),
        "plain": (0, 0, 2),
    }
    assert marked(tasks, target) == {"task": [4, 5], "dated": [4, 5], "flagged": [4, 5], "plain": []}
    held = contents(tasks.database(target), METADATA)
    assert all(before <= row[3] <= dt.datetime.now(dt.UTC).replace(tzinfo=None) for row in held["task"] if row[3])
    again = sync(tasks, "sqlite", target, options=SOFT)
    assert [(t.inserted, t.updated, t.marked, t.target_only) for t in again.tables] == [(0, 0, 0, 2)] * 4
    assert contents(tasks.database(target), METADATA) == held


def test_a_row_that_the_application_marked_by_one_of_two_columns_is_left_as_it_is(tasks: Config) -> None:
    put(tasks, "sqlite", range(1, 2))
    put(tasks, "sqlite2", range(1, 3))
    execute(tasks.database("sqlite2"), "UPDATE task SET is_deleted = true WHERE id = 2")
    result = sync(tasks, "sqlite", "sqlite2", ["task"], options=SOFT)
    assert [(t.marked, t.target_only) for t in result.tables] == [(0, 1)]
    assert contents(tasks.database("sqlite2"), METADATA)["task"][1][2:] == (True, None)


@pytest.mark.parametrize(
    ("target", "type_"), [("postgres", "timestamp(0)"), ("duckdb", "TIMESTAMP_S"), ("mariadb", "DATETIME")]
)
def test_a_column_of_whole_seconds_takes_the_time_of_the_mark(
    tasks: Config, mariadb_url: str, target: str, type_: str
) -> None:
    databases = {**tasks.databases, "mariadb": Database("mariadb", mariadb_url, tasks.root)}
    config = replace(tasks, databases=databases)
    put(config, "sqlite", range(1, 3))
    execute(
        config.database(target),
        f"CREATE TABLE dated (id INTEGER PRIMARY KEY, deleted_at {type_})",
        "INSERT INTO dated (id) VALUES (1), (2), (3)",
    )
    assert [t.marked for t in sync(config, "sqlite", target, ["dated"], options=SOFT).tables] == [1]
    assert [t.marked for t in sync(config, "sqlite", target, ["dated"], options=SOFT).tables] == [0]


@pytest.mark.parametrize("target", ["sqlite2"])
def test_a_row_that_comes_back_at_the_source_is_no_longer_marked(tasks: Config, target: str) -> None:
    put(tasks, "sqlite", range(1, 3))
    put(tasks, target, range(1, 4))
    sync(tasks, "sqlite", target, options=SOFT)
    execute(tasks.database("sqlite"), "INSERT INTO task VALUES (3, 't3', false, NULL)")
    sync(tasks, "sqlite", target, options=SOFT)
    assert marked(tasks, target)["task"] == []


@pytest.mark.parametrize("target", ["postgres"])
def test_a_dry_run_counts_and_the_limit_holds(tasks: Config, target: str) -> None:
    put(tasks, "sqlite", range(1, 2))
    put(tasks, target, range(1, 6))
    held = contents(tasks.database(target), METADATA)
    planned = sync(tasks, "sqlite", target, options=SOFT, dry_run=True)
    assert [table.marked for table in planned.tables if table.table == "task"] == [4]
    with pytest.raises(DeleteGuardError, match="more than the limit of 3 rows"):
        sync(tasks, "sqlite", target, options=Options(mode=Mode.SOFT_DELETE, max_delete=DeleteLimit(3, 0)))
    assert contents(tasks.database(target), METADATA) == held


def test_a_trigger_that_takes_the_mark_away_is_found_and_nothing_kept(tasks: Config) -> None:
    put(tasks, "sqlite", range(1, 3))
    put(tasks, "sqlite2", range(1, 4))
    execute(
        tasks.database("sqlite2"),
        "CREATE TRIGGER undo AFTER UPDATE ON task BEGIN UPDATE task SET is_deleted = 0 WHERE id = new.id; END",
    )
    held = contents(tasks.database("sqlite2"), METADATA)
    with pytest.raises(Exception, match="task: rows that were marked as deleted"):
        sync(tasks, "sqlite", "sqlite2", options=SOFT)
    assert contents(tasks.database("sqlite2"), METADATA) == held


@pytest.mark.parametrize(
    ("target", "condition"), [("sqlite2", "id > 1"), ("postgres", "NOT is_deleted"), ("duckdb", "NOT is_deleted")]
)
def test_a_condition_may_be_of_the_column_that_marks(tasks: Config, target: str, condition: str) -> None:
    put(tasks, "sqlite", range(1, 4))
    put(tasks, target, range(1, 6))
    for expected in (2, 0):
        result = sync(tasks, "sqlite", target, ["task"], where={"task": condition}, options=SOFT)
        assert [t.marked for t in result.tables] == [expected]
        assert marked(tasks, target)["task"] == [4, 5]
