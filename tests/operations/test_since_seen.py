"""`sync --since`: what was read before and did not change, and what a transaction of the source commits late."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from tests.operations.databases import contents, execute, postgres
from tests.operations.test_since import METADATA, SINCE, counts, item, items, put
from toolkit.config import Config
from toolkit.engines import connect
from toolkit.operations.transfer import watermark_texts
from toolkit.operations.transfer.watermark_texts import Kept
from toolkit.operations.transfer.watermarks import Since

__all__ = ["items"]

PAIRS = [("sqlite", "postgres"), ("postgres", "duckdb"), ("duckdb", "sqlite2")]
EXACT = Since(overlap=dt.timedelta(0))
VERSION = Since("version")


def names(config: Config, name: str) -> dict[int, str]:
    return {row[0]: row[1] for row in contents(config.database(name), METADATA)["item"]}


@pytest.mark.slow
@pytest.mark.parametrize(("source", "target"), [("postgres", "duckdb")])
def test_a_row_that_did_not_change_at_the_source_is_not_written_over_a_newer_one(
    items: Config, source: str, target: str
) -> None:
    put(items, source, item(1, 9), item(2, 10), item(3, None), item(4, 8))
    put(items, target)
    assert counts(items, source, target) == (4, 0, 0)
    put(items, target, item(1, 11, "newer"), item(3, 12, "newer"))
    execute(items.database(target), "DELETE FROM item WHERE id = 4")
    assert counts(items, source, target) == (0, 0, 4)
    put(items, source, item(2, 11, "changed"))
    assert counts(items, source, target) == (0, 1, 3)
    assert names(items, target) == {1: "newer", 2: "changed", 3: "newer"}
    # A change at the source counts, whatever time it has.
    put(items, source, item(1, 9, "corrected"))
    assert counts(items, source, target) == (0, 1, 3)
    put(items, target, item(1, 13, "newer"))
    assert counts(items, source, target) == (0, 0, 4)
    assert names(items, target) == {1: "newer", 2: "changed", 3: "newer"}


def test_a_row_that_changed_and_changed_back_is_written_each_time(items: Config) -> None:
    put(items, "sqlite", item(1, 10, "a"))
    put(items, "sqlite2")
    for name in ("a", "b", "a"):
        put(items, "sqlite", item(1, 10, name))
        counts(items, "sqlite", "sqlite2")
        assert names(items, "sqlite2") == {1: name}


def test_of_more_rows_than_are_kept_in_mind_all_are_compared(items: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watermark_texts, "SEEN_ROWS", 1)
    put(items, "sqlite", item(1, 9), item(2, 10))
    put(items, "sqlite2")
    counts(items, "sqlite", "sqlite2")
    put(items, "sqlite2", item(1, 11, "newer"))
    assert counts(items, "sqlite", "sqlite2") == (0, 1, 1)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["sqlite2", "postgres"])
def test_thousands_of_rows_are_kept_in_mind_in_the_table_that_there_was(items: Config, target: str) -> None:
    put(items, "sqlite", item(1, 10))
    put(items, target)
    rows = "WITH RECURSIVE n(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM n LIMIT 2000)"
    columns = "name, updated_at, local, day, version, price"
    execute(items.database("sqlite"), f"INSERT INTO item {rows} SELECT n, {columns} FROM n, item WHERE id = 1")
    assert counts(items, "sqlite", target) == (2001, 0, 0)
    execute(items.database(target), "UPDATE item SET name = 'newer' WHERE id > 1000")
    execute(items.database("sqlite"), "UPDATE item SET name = 'changed' WHERE id = 1500")
    assert counts(items, "sqlite", target) == (0, 1, 2000)
    assert counts(items, "sqlite", target) == (0, 0, 2001)


def test_a_row_that_comes_to_lie_in_an_older_window_was_not_seen(items: Config) -> None:
    """The row that was furthest goes, so that the next window begins before what the last sync looked at."""
    put(items, "sqlite", item(1, 10), item(2, 100))
    put(items, "sqlite2")
    counts(items, "sqlite", "sqlite2")
    put(items, "sqlite", item(3, 9, "late"))
    execute(items.database("sqlite"), "DELETE FROM item WHERE id = 2")
    counts(items, "sqlite", "sqlite2")
    counts(items, "sqlite", "sqlite2")
    assert names(items, "sqlite2")[3] == "late"


def test_what_is_kept_comes_back_as_it_was(items: Config) -> None:
    found = Kept(5, 9, frozenset({"v3/12", "x99"}), frozenset(f"{n:011}" for n in range(20)))
    texts = found.texts("a = 1") | Kept(7).texts("") | {"old": "3"}
    assert Kept.read("a = 1", texts) == found
    assert (Kept.read("", texts), Kept.read("b = 1", texts)) == (Kept(7), Kept())
    assert max(map(len, texts.values())) <= 64


def test_a_watermark_stays_until_a_sync_has_seen_what_was_waited_for() -> None:
    first, second = frozenset({"v1"}), frozenset({"v2"})
    waiting = Kept(5).reaching(9, first, is_over=True)
    assert waiting == Kept(5, 9, first)
    assert waiting.reaching(12, first | second, is_over=False) == waiting
    assert waiting.reaching(12, second, is_over=True) == Kept(9, 12, second)
    assert waiting.reaching(12, frozenset(), is_over=True) == Kept(12)


# -- transactions that run beside the snapshot -------------------------------------------------------------------------


@contextmanager
def transaction(config: Config, **options: Any) -> Iterator[psycopg.Connection[Any]]:
    """One that is open, and rolled back at the end if it was not committed."""
    with psycopg.connect(config.database("postgres").address, **options) as connection:
        yield connection
        connection.rollback()


INSERT = "INSERT INTO item (id, name, updated_at, version) VALUES (%s, 'late', %s, %s)"


def at(minutes: int) -> dt.datetime:
    value = item(0, minutes)["updated_at"]
    assert isinstance(value, dt.datetime)
    return value


@pytest.mark.slow
@pytest.mark.parametrize(
    ("since", "first"), [(EXACT, True), (VERSION, False)], ids=["times, first sync", "numbers, later sync"]
)
def test_what_a_transaction_that_was_open_commits_later_is_not_lost(items: Config, since: Since, first: bool) -> None:
    put(items, "postgres", item(1, 10))
    put(items, "duckdb")
    if not first:
        counts(items, "postgres", "duckdb", since)
    with transaction(items) as slow:
        slow.execute(INSERT, (2, at(20), 20))
        put(items, "postgres", item(3, 30))
        counts(items, "postgres", "duckdb", since)
        put(items, "postgres", item(4, 40))
        # The same transaction is still waited for.
        counts(items, "postgres", "duckdb", since)
        slow.commit()
    counts(items, "postgres", "duckdb", since)
    assert set(names(items, "duckdb")) == {1, 2, 3, 4}
    # Nothing is waited for any more.
    counts(items, "postgres", "duckdb", since)
    assert counts(items, "postgres", "duckdb", since) == (0, 0, 1)


@pytest.mark.slow
def test_one_that_has_only_read_may_still_write_times_but_no_numbers_that_were_given(items: Config) -> None:
    put(items, "postgres", item(1, 10), item(3, 30))
    put(items, "duckdb")
    put(items, "sqlite")
    with transaction(items) as slow:
        slow.execute("SELECT now()")
        counts(items, "postgres", "duckdb", EXACT)
        counts(items, "postgres", "sqlite", VERSION)
        # For the times all rows are looked at again, of the numbers those from the watermark on.
        assert counts(items, "postgres", "duckdb", EXACT) == (0, 0, 2)
        assert counts(items, "postgres", "sqlite", VERSION) == (0, 0, 1)
        slow.execute(INSERT, (2, at(20), 40))
        slow.commit()
    assert counts(items, "postgres", "duckdb", EXACT)[0] == 1
    assert counts(items, "postgres", "sqlite", VERSION)[0] == 1


@pytest.mark.slow
def test_one_that_the_overlap_spans_holds_up_nothing(items: Config) -> None:
    put(items, "postgres", item(1, 10), item(3, 100))
    put(items, "duckdb")
    with transaction(items) as short:
        short.execute(INSERT, (2, at(99), 20))
        counts(items, "postgres", "duckdb", SINCE)
        assert counts(items, "postgres", "duckdb", SINCE) == (0, 0, 1)
        short.commit()
    assert counts(items, "postgres", "duckdb", SINCE)[0] == 1


def test_one_whose_age_this_role_may_not_see_is_waited_for(items: Config) -> None:
    role = f"reader_{uuid.uuid4().hex[:8]}"
    put(items, "postgres", item(1, 10))
    with postgres(items) as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN".encode())
        admin.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}".encode())
        owner = admin.info.user
    database = items.database("postgres")
    limited = replace(database, name="limited", address=database.address.replace(f"//{owner}", f"//{role}"))
    try:
        with transaction(items) as slow, connect(limited) as reader:
            slow.execute("SELECT now()")
            hidden = [each for each in reader.running_transactions() if each.age is None]
            assert [each.writes for each in hidden] == [False]
    finally:
        execute(database, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_transactions_of_another_database_are_none_of_the_sources(items: Config) -> None:
    put(items, "postgres", item(1, 10))
    other = items.database("postgres").address.replace(f"/{items.database('postgres').url.database}", "/postgres")
    with psycopg.connect(other) as elsewhere, connect(items.database("postgres")) as reader:
        elsewhere.execute("CREATE TABLE of_a_test (id int)")
        assert list(reader.running_transactions()) == []
        elsewhere.rollback()
