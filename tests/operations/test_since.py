"""`sync --since`: only what changed since the last time is looked at, and nothing that could have changed is missed."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from msgspec import structs

from tests.operations.databases import connected, contents, execute
from toolkit.cli import run
from toolkit.config import Config
from toolkit.errors import ConfigurationError, ToolkitError
from toolkit.operations.diff.compare import diff
from toolkit.operations.sync import sync
from toolkit.operations.transfer import planning, watermarks
from toolkit.operations.transfer.options import Mode, Options
from toolkit.operations.transfer.watermarks import Since

METADATA = sa.MetaData()
ITEM = sa.Table(
    "item",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("updated_at", sa.DateTime(timezone=True)),
    sa.Column("local", sa.DateTime),
    sa.Column("day", sa.Date),
    sa.Column("version", sa.BigInteger),
    sa.Column("price", sa.Numeric(10, 2)),
)
PLAIN = sa.Table("plain", METADATA, sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))


class Moment(sa.types.TypeDecorator[dt.datetime]):
    """A timestamp in PostgreSQL, seconds since 1970 elsewhere."""

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        return dialect.type_descriptor(sa.DateTime() if dialect.name == "postgresql" else sa.BigInteger())

    def process_bind_param(self, value: dt.datetime | None, dialect: sa.Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return int(value.replace(tzinfo=dt.UTC).timestamp())

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return dt.datetime.fromtimestamp(value, dt.UTC).replace(tzinfo=None)


OF_THEIR_OWN = sa.MetaData()
EVENT = sa.Table("event", OF_THEIR_OWN, sa.Column("id", sa.Integer, primary_key=True), sa.Column("updated_at", Moment))
START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
ENGINES = ["sqlite", "postgres", "duckdb"]
SINCE = Since()


@pytest.fixture
def items(shop: Config) -> Config:
    return replace(shop, metadata=f"{__name__}:METADATA")


def item(key: int, minutes: int | None, name: str = "old") -> dict[str, Any]:
    at = None if minutes is None else START + dt.timedelta(minutes=minutes, microseconds=123)
    return {
        "id": key,
        "name": name,
        "updated_at": at,
        "local": at and at.replace(tzinfo=None),
        "day": at and at.date() + dt.timedelta(days=minutes or 0),
        "version": minutes,
        "price": 1,
    }


def put(config: Config, name: str, *rows: dict[str, Any]) -> None:
    """Insert rows, in place of those of the same keys."""
    with connected(config.database(name)) as connection:
        if not sa.inspect(connection).get_table_names():
            METADATA.create_all(connection, checkfirst=False)
        for row in rows:
            connection.execute(ITEM.delete().where(ITEM.c.id == row["id"]))
        if rows:
            connection.execute(ITEM.insert(), rows)


def counts(config: Config, source: str, target: str, since: Since = SINCE, **options: Any) -> tuple[int, int, int]:
    """Inserted, updated and unchanged items of a sync."""
    result = sync(config, source, target, ["item"], since=since, **options)
    return next((t.inserted, t.updated, t.unchanged) for t in result.tables)


@pytest.mark.slow
@pytest.mark.parametrize(("source", "target"), [("postgres", "duckdb"), ("duckdb", "sqlite")])
def test_a_second_sync_looks_only_at_rows_from_the_watermark_less_the_overlap_on(
    items: Config, source: str, target: str
) -> None:
    put(items, source, *(item(key, 10 * key) for key in range(1, 6)), item(6, None))
    put(items, target)
    assert counts(items, source, target) == (6, 0, 0)
    # Row 5 itself, and the row without a time.
    assert counts(items, source, target) == (0, 0, 2)
    put(items, source, item(7, 60, "new"), item(1, 70, "changed"), item(6, None, "changed"), item(2, 20, "unseen"))
    assert counts(items, source, target) == (1, 2, 1)
    found = {row[0]: row[1] for row in contents(items.database(target), METADATA)["item"]}
    assert found == {1: "changed", 2: "old", 3: "old", 4: "old", 5: "old", 6: "changed", 7: "new"}
    assert counts(items, source, target) == (0, 0, 2)
    # A full comparison is one option less away.
    assert sync(items, source, target).tables[0].updated == 1
    assert diff(items, source, target).equal


@pytest.mark.slow
def test_how_far_a_sync_by_one_column_went_says_nothing_of_another(items: Config) -> None:
    version = Since("version", overlap=0)
    put(items, "sqlite", *(item(key, 10 * key) for key in range(1, 6)))
    put(items, "duckdb")
    assert counts(items, "sqlite", "duckdb", version) == (5, 0, 0)
    # Late by its time, early by its version: a mark of the other column would hide one of the two.
    put(items, "sqlite", item(6, 60, "new") | {"version": 1}, item(7, 5, "new") | {"version": 70})
    assert counts(items, "sqlite", "duckdb", Since(overlap=dt.timedelta(0))) == (2, 0, 5)
    put(items, "sqlite", item(8, 1, "new") | {"version": 60})
    assert counts(items, "sqlite", "duckdb", version)[0] == 1


@pytest.mark.slow
@pytest.mark.parametrize("source", ENGINES)
def test_the_overlap_reaches_so_far_back_in_every_type_of_column(items: Config, source: str) -> None:
    put(items, source, *(item(key, 10 * key) for key in range(1, 6)))
    put(items, "sqlite2")
    looked_at = {
        Since(overlap=dt.timedelta(minutes=15)): {4, 5},
        Since("local", dt.timedelta(0)): {5},
        Since("local", dt.timedelta(minutes=25)): {3, 4, 5},
        Since("day", dt.timedelta(days=20)): {3, 4, 5},
        Since("version"): {5},
        Since("version", 10): {4, 5},
    }
    # Each column gets a watermark of its own.
    for since in {each.column: each for each in looked_at}.values():
        counts(items, source, "sqlite2", since)
    for since, rows in looked_at.items():
        assert counts(items, source, "sqlite2", since) == (0, 0, len(rows)), since


@pytest.mark.slow
@pytest.mark.parametrize("target", ["postgres"])
def test_a_condition_of_any_length_has_a_watermark_and_an_overlap_may_reach_before_the_calendar(
    items: Config, target: str
) -> None:
    put(items, "sqlite", item(1, 10))
    put(items, target)
    conditions = [f"id IN ({', '.join(map(str, range(length)))})" for length in (2000, 2001)]
    ages = Since(overlap=dt.timedelta(days=999_999))
    for condition in conditions:
        result = sync(items, "sqlite", target, ["item"], since=SINCE, where={"item": condition})
        assert result.tables[0].since is None
    again = [
        sync(items, "sqlite", target, ["item"], since=since, where={"item": conditions[0]}).tables[0]
        for since in (SINCE, ages, structs.replace(ages, column="day"))
    ]
    assert [table.since for table in again] == ["2024-01-01 00:05:00", "0001-01-01 00:00:00", None]
    last = sync(
        items, "sqlite", target, ["item"], since=structs.replace(ages, column="day"), where={"item": conditions[0]}
    )
    assert [(table.since, table.unchanged) for table in last.tables] == [("0001-01-01", 1)]


def test_a_row_that_was_committed_late_is_not_lost(items: Config) -> None:
    put(items, "sqlite", item(1, 10), item(2, 20))
    put(items, "postgres")
    counts(items, "sqlite", "postgres")
    put(items, "sqlite", item(3, 16, "late"))
    assert counts(items, "sqlite", "postgres") == (1, 0, 1)


@pytest.mark.parametrize("source", ["sqlite"])
def test_a_time_still_to_come_does_not_hide_the_rows_before_it(items: Config, source: str) -> None:
    put(items, source, item(1, 10), {**item(2, 0), "updated_at": dt.datetime(2999, 1, 1, tzinfo=dt.UTC)})
    if source != "sqlite":
        execute(items.database(source), "INSERT INTO item (id, updated_at) VALUES (9, 'infinity')")
    put(items, "sqlite2" if source == "sqlite" else "duckdb2" if source == "duckdb" else "duckdb")
    target = {"sqlite": "sqlite2", "duckdb": "duckdb2", "postgres": "duckdb"}[source]
    counts(items, source, target)
    put(items, source, item(3, 20, "new"))
    assert counts(items, source, target)[0] == 1


@pytest.mark.slow
def test_a_time_of_another_zone_in_a_text_of_sqlite_s_hides_no_row(items: Config) -> None:
    at = "2024-01-01 {:02}:00:00-05:00"
    rows = ", ".join(f"({hour}, 'old', '{at.format(hour)}')" for hour in range(9, 13))
    bare = replace(items, metadata="", migrations=items.root / "none")
    table = "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, updated_at TIMESTAMP)"
    execute(bare.database("sqlite"), table, f"INSERT INTO item VALUES {rows}")
    sync(bare, "sqlite", "duckdb", since=SINCE)
    execute(bare.database("sqlite"), f"UPDATE item SET name = 'new', updated_at = '{at.format(13)}' WHERE id = 9")
    (found,) = sync(bare, "sqlite", "duckdb", since=SINCE).tables
    assert (found.updated, found.unchanged) == (1, 1)
    assert diff(bare, "sqlite", "duckdb").equal


@pytest.mark.slow
@pytest.mark.parametrize("first", [-90, 120], ids=["rows before", "no row before"])
def test_a_clock_that_is_put_back_hides_no_row_and_neither_does_one_that_was_ahead(
    items: Config, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    def at(minutes: int) -> tuple[int, int, int]:
        monkeypatch.setattr(watermarks, "clock", lambda: START + dt.timedelta(minutes=minutes))
        return counts(items, "sqlite", "postgres")

    put(items, "sqlite", item(1, first), item(2, 120))
    put(items, "postgres")
    assert at(121) == (2, 0, 0)
    # An hour back: what is written from now on is before the watermark.
    assert at(61) == (0, 0, 2)
    put(items, "sqlite", item(3, 62, "new"), item(1, 63, "changed"))
    assert at(124)[:2] == (1, 1)
    assert diff(items, "sqlite", "postgres").equal
    # And so far ahead, for once.
    put(items, "sqlite", item(5, 1000))
    assert at(1001)[0] == 1
    put(items, "sqlite", item(6, 130))
    assert at(131)[0] == 1
    # As usual again: the last row, and the one that is still to come.
    assert at(132) == (0, 0, 2)


@pytest.mark.slow
def test_a_failed_sync_a_dry_run_and_another_condition_leave_the_watermark_where_it_was(items: Config) -> None:
    put(items, "sqlite", item(1, 10))
    put(items, "postgres")
    counts(items, "sqlite", "postgres")
    put(items, "sqlite", item(2, 100, "new"))
    assert counts(items, "sqlite", "postgres", dry_run=True)[0] == 1
    execute(items.database("postgres"), "ALTER TABLE item ADD CHECK (name <> 'new')")
    with pytest.raises(ToolkitError):
        counts(items, "sqlite", "postgres")
    execute(items.database("postgres"), "ALTER TABLE item DROP CONSTRAINT item_name_check")
    assert counts(items, "sqlite", "postgres", where={"item": "id > 5"}) == (0, 0, 0)
    put(items, "sqlite", item(3, 200, "third"))
    assert counts(items, "sqlite", "postgres")[0] == 2


def test_a_target_that_was_emptied_is_filled_whole(items: Config) -> None:
    put(items, "sqlite", item(1, 10), item(2, 1000))
    put(items, "duckdb")
    counts(items, "sqlite", "duckdb")
    execute(items.database("duckdb"), "DELETE FROM item")
    assert counts(items, "sqlite", "duckdb") == (2, 0, 0)


def test_tables_without_the_column_are_compared_whole_and_many_changed_rows_too(
    items: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(items, "sqlite", *(item(key, 10) for key in range(1, 30)))
    put(items, "postgres")
    execute(items.database("sqlite"), "INSERT INTO plain VALUES (1, 'one')")
    sync(items, "sqlite", "postgres", since=SINCE)
    execute(items.database("sqlite"), "UPDATE plain SET name = 'two'", "UPDATE item SET name = 'x' WHERE id > 5")
    monkeypatch.setattr(planning, "_LOOKED_UP_ROWS", 3)
    result = {table.table: table for table in sync(items, "sqlite", "postgres", since=SINCE).tables}
    assert (result["plain"].updated, result["item"].updated, result["item"].unchanged) == (1, 24, 5)
    assert (result["plain"].since, result["item"].since) == (None, "2024-01-01 00:05:00")
    assert diff(items, "sqlite", "postgres").equal


@pytest.mark.parametrize(
    ("since", "fact"),
    [
        (Since("nothing"), "None of the tables has a column 'nothing'"),
        (Since("name"), "item.name holds text, which does not grow"),
        (Since("updated_at", 5), "item.updated_at holds timestamptz"),
        (Since("version", dt.timedelta(1)), "item.version holds int64"),
    ],
)
def test_a_column_that_cannot_serve_is_refused(items: Config, since: Since, fact: str) -> None:
    put(items, "sqlite")
    put(items, "sqlite2")
    with pytest.raises(ConfigurationError, match=fact):
        sync(items, "sqlite", "sqlite2", since=since)


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_column_that_cannot_serve_is_refused_before_a_new_target_is_made(items: Config, dry_run: bool) -> None:
    put(items, "sqlite", item(1, 10))
    with pytest.raises(ConfigurationError, match=r"item\.name holds text"):
        sync(items, "sqlite", "duckdb", since=Since("name"), dry_run=dry_run)
    file = items.database("duckdb").file
    assert file is not None
    assert not file.exists()


def test_deleting_needs_a_full_comparison(items: Config) -> None:
    with pytest.raises(ConfigurationError, match="do not show which are gone"):
        sync(items, "sqlite", "sqlite2", since=SINCE, options=Options(mode=Mode.REPLACE))


@pytest.mark.slow
def test_the_command_takes_a_column_and_an_overlap(
    items: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put(items, "sqlite", item(1, 10), item(2, 100))
    put(items, "duckdb")
    urls = "\n".join(f'{name} = "{items.database(name).address}"' for name in ("sqlite", "duckdb"))
    (tmp_path / "toolkit.toml").write_text(f'metadata = "{items.metadata}"\nmigrations = "none"\n[databases]\n{urls}\n')
    monkeypatch.chdir(tmp_path)
    command = ["sync", "item", "--from", "sqlite", "--to", "duckdb", "--json"]
    for options in (["--since"], ["--since", "--overlap", "2h"]):
        assert run([*command, *options]) == 0
        rows = json.loads(capsys.readouterr().out)["tables"][0]
    assert (rows["unchanged"], rows["since"]) == (2, "2023-12-31 23:40:00")
    assert run([*command[:-1], "--since"]) == 0
    assert "Nothing to write: every row changed since the last such sync is there" in capsys.readouterr().out
    assert run([*command, "--overlap", "5m"]) == 2
    assert run([*command, "--since", "--overlap", "soon"]) == 2
    assert run([*command, "--since", "--delete"]) == 2


@pytest.mark.parametrize("source", ["sqlite"])
def test_a_column_that_the_source_holds_in_a_form_of_the_application_s_own_hides_no_row(
    items: Config, source: str
) -> None:
    own = replace(items, metadata=f"{__name__}:OF_THEIR_OWN")
    target = "duckdb" if source == "sqlite" else "sqlite"
    with connected(own.database(source)) as connection:
        OF_THEIR_OWN.create_all(connection)
        connection.execute(EVENT.insert(), [{"id": n, "updated_at": dt.datetime(2024, 1, n)} for n in (1, 2, 3)])
    assert sync(own, source, target, since=SINCE).tables[0].inserted == 3
    with connected(own.database(source)) as connection:
        connection.execute(EVENT.update().where(EVENT.c.id < 3).values(updated_at=dt.datetime(2025, 1, 1)))
    (table,) = sync(own, source, target, since=SINCE).tables
    # PostgreSQL itself tells which rows are new; of the others, all are looked at.
    assert (table.updated, table.unchanged) == (2, 1)
    assert diff(own, source, target).equal
