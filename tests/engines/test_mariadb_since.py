"""`sync --since` from MariaDB and into it: as elsewhere, and what its transactions may still commit."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pymysql
import pytest

from tests.operations.test_since import SINCE, counts, item, put
from tests.operations.test_since_seen import EXACT, VERSION, at, names
from tests.servers import mariadb as server
from toolkit.config import Config, Database
from toolkit.engines import connect
from toolkit.engines.mariadb.running import running_transactions
from toolkit.engines.mariadb.session import MariaDBSession
from toolkit.errors import PrivilegeError
from toolkit.operations.diff.compare import diff
from toolkit.operations.sync import sync
from toolkit.operations.transfer.watermarks import Since

INSERT = "INSERT INTO item (id, name, updated_at, version) VALUES (%s, 'late', %s, %s)"


@pytest.fixture
def items(config: Config, mariadb_url: str, tmp_path: Path) -> Config:
    """Items in databases of all engines, without migrations."""
    database = Database("mariadb", mariadb_url, tmp_path)
    return replace(
        config,
        databases={**config.databases, "mariadb": database},
        metadata="tests.operations.test_since:METADATA",
        migrations=tmp_path / "no migrations",
    )


@contextmanager
def transaction(config: Config, *, autocommit: bool = False) -> Iterator[Any]:
    """One that is open, and rolled back at the end if it was not committed."""
    url = config.database("mariadb").url
    options: dict[str, Any] = {"host": url.host, "port": url.port, "user": url.username, "database": url.database}
    options["ssl_disabled"] = True
    with pymysql.connect(**options, autocommit=autocommit) as connection, connection.cursor() as cursor:
        yield cursor
        if not autocommit:
            connection.rollback()


@pytest.mark.slow
@pytest.mark.parametrize(("source", "target"), [("mariadb", "sqlite"), ("postgres", "mariadb")])
def test_a_second_sync_looks_only_at_rows_from_the_watermark_less_the_overlap_on(
    items: Config, source: str, target: str
) -> None:
    put(items, source, *(item(key, 10 * key) for key in range(1, 6)), item(6, None))
    put(items, target)
    assert counts(items, source, target) == (6, 0, 0)
    assert counts(items, source, target) == (0, 0, 2)
    put(items, source, item(7, 60, "new"), item(1, 70, "changed"), item(6, None, "changed"), item(2, 20, "unseen"))
    assert counts(items, source, target) == (1, 2, 1)
    # A target that is looked at whole has what was not seen.
    assert sync(items, source, target).tables[0].updated == 1
    assert diff(items, source, target).equal


@pytest.mark.slow
@pytest.mark.parametrize(
    ("since", "rows"),
    [
        (Since(overlap=dt.timedelta(minutes=15)), 2),
        (Since("local", dt.timedelta(minutes=25)), 3),
        (Since("day", dt.timedelta(days=20)), 3),
    ],
    ids=lambda value: value.column if isinstance(value, Since) else None,
)
def test_the_overlap_reaches_so_far_back_in_every_type_of_column(items: Config, since: Since, rows: int) -> None:
    put(items, "mariadb", *(item(key, 10 * key) for key in range(1, 6)))
    put(items, "sqlite")
    counts(items, "mariadb", "sqlite", since)
    assert counts(items, "mariadb", "sqlite", since) == (0, 0, rows)


@pytest.mark.slow
def test_what_a_sync_leaves_is_kept_with_its_rows_or_not_at_all(items: Config) -> None:
    put(items, "sqlite", item(1, 10))
    put(items, "mariadb")
    database = items.database("mariadb")
    condition = f"id IN ({', '.join(map(str, range(2000)))})"
    assert counts(items, "sqlite", "mariadb", where={"item": condition}) == (1, 0, 0)
    assert counts(items, "sqlite", "mariadb", where={"item": condition}) == (0, 0, 1)
    state = server.run(database.address, "SELECT table_name, narrowed_by FROM toolkit_sync_state")
    put(items, "sqlite", item(2, 90), item(3, 91))
    # One of them is refused after the other was written.
    server.run(database.address, "ALTER TABLE item ADD CONSTRAINT never CHECK (version <> 91)")
    with pytest.raises(Exception, match="never"):
        counts(items, "sqlite", "mariadb", where={"item": condition})
    assert server.run(database.address, "SELECT table_name, narrowed_by FROM toolkit_sync_state") == state
    assert server.run(database.address, "SELECT id FROM item") == [(1,)]
    server.run(database.address, "ALTER TABLE item DROP CONSTRAINT never")
    assert counts(items, "sqlite", "mariadb", where={"item": condition})[0] == 2


@pytest.mark.slow
@pytest.mark.parametrize("since", [EXACT, VERSION], ids=["times", "numbers"])
def test_what_a_transaction_that_was_open_commits_later_is_not_lost(items: Config, since: Since) -> None:
    put(items, "mariadb", item(1, 10))
    put(items, "duckdb")
    with transaction(items) as slow:
        slow.execute(INSERT, (2, at(20).replace(tzinfo=None), 20))
        put(items, "mariadb", item(3, 30))
        counts(items, "mariadb", "duckdb", since)
        put(items, "mariadb", item(4, 40))
        counts(items, "mariadb", "duckdb", since)
        assert set(names(items, "duckdb")) == {1, 3, 4}
        slow.connection.commit()
    counts(items, "mariadb", "duckdb", since)
    assert set(names(items, "duckdb")) == {1, 2, 3, 4}
    # Those of other tests' on the server may be waited for as well.
    deadline = time.monotonic() + 60
    while counts(items, "mariadb", "duckdb", since) != (0, 0, 1) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert counts(items, "mariadb", "duckdb", since)[:2] == (0, 0)


def test_what_a_transaction_is_known_by(items: Config) -> None:
    put(items, "mariadb", item(1, 10))
    database = items.database("mariadb")

    def seen(own: int) -> list[tuple[bool, bool]]:
        with connect(database) as reader:
            found = [each for each in reader.running_transactions() if any(f"s{own}@" in one for one in each.ids)]
            assert all(each.age is not None and dt.timedelta(0) < each.age < dt.timedelta(hours=1) for each in found)
            return [(each.writes, each.has_session) for each in found]

    with transaction(items) as slow:
        slow.execute("SELECT CONNECTION_ID()")
        [(own,)] = slow.fetchall()
        slow.execute("SELECT * FROM item")
        assert seen(own) == [(False, True)]
        slow.execute("DELETE FROM item")
        assert seen(own) == [(True, True)]


@pytest.mark.slow
def test_what_ends_while_the_snapshot_is_taken_is_known_too(items: Config) -> None:
    put(items, "mariadb", item(1, 10))
    address = items.database("mariadb").address
    change = "UPDATE item SET version = version + 1"

    def ids(begin: Callable[[], None]) -> set[str]:
        with connect(items.database("mariadb")) as reader:
            assert isinstance(reader, MariaDBSession)
            return {one for each in running_transactions(reader, begin) for one in each.ids}

    def write() -> None:
        server.run(address, change)

    with transaction(items) as slow:
        slow.execute("SELECT CONNECTION_ID()")
        [(own,)] = slow.fetchall()
        slow.execute(change)
        # It was committed behind the snapshot's moment, for all that is known.
        assert any(one.startswith(f"s{own}@") for one in ids(slow.connection.commit))
    # One that begins and ends then is seen by nothing but the number that is counted up.
    assert any(one.startswith("b") for one in ids(write))
    # Other tests write to the server, too, but not all the time.
    deadline = time.monotonic() + 60
    while any(one.startswith("b") for one in ids(lambda: None)):
        assert time.monotonic() < deadline


def test_one_that_was_prepared_and_has_no_session_may_be_any(items: Config) -> None:
    put(items, "mariadb", item(1, 10))
    database = items.database("mariadb")
    name = f"'{database.url.database}'"
    with transaction(items, autocommit=True) as gone:
        for statement in (f"XA START {name}", "DELETE FROM item", f"XA END {name}", f"XA PREPARE {name}"):
            gone.execute(statement)
    try:
        with connect(database) as reader:
            assert any(not each.has_session and each.writes for each in reader.running_transactions())
    finally:
        server.run(database.address, "SET autocommit = 1", f"XA ROLLBACK {name}")


def test_a_role_that_may_not_see_transactions_is_refused(items: Config) -> None:
    put(items, "mariadb", item(1, 10))
    put(items, "sqlite")
    database = items.database("mariadb")
    user = f"u{database.url.database}"[:30]
    server.run(database.address, f"CREATE USER {user}@'%'", f"GRANT ALL ON {database.url.database}.* TO {user}@'%'")
    try:
        limited = database.at(database.address.replace("//root@", f"//{user}@"))
        visiting = replace(items, databases={**items.databases, "mariadb": limited})
        with pytest.raises(PrivilegeError, match="PROCESS"):
            counts(visiting, "mariadb", "sqlite", SINCE)
    finally:
        server.run(database.address, f"DROP USER {user}@'%'")
