"""PgBouncer in transaction mode: each transaction may be on another session, which others have used before."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.operations.databases import contents, create, execute
from tests.operations.example import fill
from tests.operations.kills import everything_in, kill_often, project_of
from tests.operations.processes import Toolkit, toolkit
from tests.operations.shop import metadata
from tests.operations.test_faults_postgres import (
    ALL,
    require_convergence,
    require_nothing_left,
    socket_of,
)
from tests.servers import pgbouncer
from tests.servers.tcp_proxy import in_front_of
from toolkit.config import Config, Database
from toolkit.engines import connect
from toolkit.errors import DatabaseUnavailableError
from toolkit.operations.diff.compare import diff
from toolkit.operations.fixtures.dump import dump_data
from toolkit.operations.fixtures.load import load_data
from toolkit.operations.migrations.migrate import check, downgrade, upgrade
from toolkit.operations.status import State, status
from toolkit.operations.sync import sync
from toolkit.operations.transfer.options import Options

# Of the server, for each database: two processes at once need two each.
SESSIONS = 4


@pytest.fixture(scope="module")
def port(postgres_server: str) -> Iterator[int]:
    """A pooler before the server of all tests that takes its sessions in turn, so that none is a client's own."""
    socket = postgres_server.rpartition("host=")[2] + "/.s.PGSQL.5432"
    with pgbouncer.running(socket, default_pool_size=SESSIONS, server_round_robin=1) as port:
        yield port


@pytest.fixture
def pooled(shop: Config, port: int) -> Config:
    """The shop's configuration, PostgreSQL by way of the pooler."""
    return through(shop, port)


def through(config: Config, port: int, parameters: str = "") -> Config:
    """The same databases, PostgreSQL by way of a pooler."""
    there = config.database("postgres")
    address = f"postgresql://postgres:@127.0.0.1:{port}/{there.url.database}{parameters}"
    return replace(config, databases={**config.databases, "postgres": Database("postgres", address, there.root)})


@contextmanager
def every_session(config: Config) -> Iterator[list[psycopg.Connection[Any]]]:
    """A transaction in each of the pooler's sessions."""
    address = config.database("postgres").address
    with ExitStack() as stack:
        found = [stack.enter_context(psycopg.connect(address, prepare_threshold=None)) for _ in range(SESSIONS)]
        for each in found:
            each.execute("SELECT 1")
        yield found


def use_as_others_do(config: Config) -> None:
    """Leave in every session what a client leaves there that takes it for its own."""
    with every_session(config) as sessions:
        for each in sessions:
            each.execute("DEALLOCATE ALL")
            for number in range(20):
                each.execute(f"PREPARE _pg3_{number} AS SELECT 'not yours'".encode())
            for setting in ("extra_float_digits = -15", "IntervalStyle = sql_standard", "bytea_output = escape"):
                each.execute(f"SET {setting}".encode())


# PgBouncer itself gives each session the application's name of whoever uses it.
_LEFT = """
SELECT statement FROM pg_prepared_statements WHERE statement !~ 'not yours'
UNION ALL SELECT name FROM pg_settings WHERE source = 'session'
    AND name NOT IN ('extra_float_digits', 'IntervalStyle', 'bytea_output', 'application_name')
UNION ALL SELECT 'lock' FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
"""


def require_sessions_as_they_were(config: Config) -> None:
    with every_session(config) as sessions:
        assert [row for each in sessions for row in each.execute(_LEFT).fetchall()] == []


@pytest.mark.slow
def test_whatever_is_done_through_a_pooler_neither_uses_nor_leaves_anything_in_its_sessions(
    config: Config, port: int, tmp_path: Path
) -> None:
    pooled = through(config, port)
    database = pooled.database("postgres")
    for work in (
        lambda: upgrade(database, pooled),
        lambda: downgrade(database, pooled, "base"),
        lambda: load_data(pooled, "postgres"),
        lambda: load_data(pooled, "postgres"),
        lambda: sync(pooled, "postgres", "sqlite"),
        lambda: dump_data(pooled, "postgres", directory=tmp_path / "dump"),
    ):
        use_as_others_do(pooled)
        work()
        require_sessions_as_they_were(pooled)
    execute(database, "UPDATE todo SET item = 'other'", "DELETE FROM todo_tag")
    assert sync(pooled, "sqlite", "postgres").verified
    assert diff(pooled, "sqlite", "postgres").equal
    assert check(database, pooled).changes == ()
    assert status(pooled, ["postgres"]).databases[0].state is State.READY
    require_sessions_as_they_were(pooled)


@pytest.mark.slow
def test_behind_a_pooler_commits_in_between_are_refused_and_all_else_is_done(shop: Config, pooled: Config) -> None:
    fill(shop.database("sqlite"))
    create(shop.database("postgres"), metadata)
    parts = Options(commit_every=1)
    with pytest.raises(DatabaseUnavailableError, match="a pooler such as PgBouncer") as caught:
        sync(pooled, "sqlite", "postgres", options=parts)
    assert "leave out --commit-every" in caught.value.advice
    assert sync(pooled, "sqlite", "postgres", options=parts, dry_run=True).tables[0].inserted == 4
    assert not any(contents(shop.database("postgres"), metadata).values())
    require_convergence(pooled, "sqlite", "postgres")
    # A network alone is no pooler.
    with in_front_of(socket_of(shop)) as proxy:
        sync(through(shop, proxy.port, "?sslmode=disable"), "sqlite", "postgres", options=parts)


@pytest.mark.slow
def test_of_two_who_write_through_a_pooler_one_waits_for_the_other_and_no_turn_outlives_its_transaction(
    shop: Config, pooled: Config
) -> None:
    fill(shop.database("sqlite"))
    create(shop.database("postgres"), metadata)
    impatient = replace(pooled.database("postgres"), lock_seconds=0.1)
    with connect(impatient, write=True):
        with pytest.raises(DatabaseUnavailableError, match="another toolkit"), connect(impatient, write=True):
            pass
        waiting = threading.Thread(target=sync, args=(pooled, "sqlite", "postgres"), kwargs={"options": ALL})
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
    waiting.join(60)
    assert contents(shop.database("postgres"), metadata) == contents(shop.database("sqlite"), metadata)
    with connect(impatient, write=True):
        pass


@pytest.mark.slow
def test_killed_behind_a_pooler_a_sync_leaves_all_or_nothing_and_no_session_at_work(
    shop: Config, pooled: Config, tmp_path: Path
) -> None:
    fill(shop.database("sqlite"))
    create(shop.database("postgres"), metadata)
    project = project_of(pooled, tmp_path)

    def start() -> Toolkit:
        return toolkit(project, "sync", "--from", "sqlite", "--to", "postgres", temporary=project / "temporary")

    def look() -> Any:
        require_idle(shop)
        return everything_in(shop.database("postgres"))

    kill_often(start, look, lambda: execute(shop.database("postgres"), "TRUNCATE customer, category CASCADE"), 4)


def require_idle(config: Config) -> None:
    """No session of the pooler is in a transaction, once it has seen that its clients are gone."""
    with psycopg.connect(config.database("postgres").address, autocommit=True) as connection:
        for _ in range(5000):
            if not connection.execute(
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
                "AND backend_type = 'client backend' AND state <> 'idle'"
            ).fetchall():
                return
    pytest.fail("a session is at work for nobody")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "parameters", "fact", "advice"),
    [
        (
            {"default_pool_size": 1, "query_wait_timeout": 1},
            "",
            "no connection to the server free in time",
            "default_pool_size",
        ),
        ({}, "?options=-csearch_path%3Dapp", "refuses the connection (unsupported startup parameter", "ALTER ROLE"),
        (
            {"ignore_startup_parameters": "options"},
            "?options=-c%20statement_timeout%3D9%20-c%20search_path%3Dapp",
            'leaves out the connection\'s options: search_path is "$user", public, not app',
            "ALTER ROLE",
        ),
    ],
    ids=["too few connections", "options refused", "options left out"],
)
def test_what_a_pooler_does_not_do_is_told_with_a_way_out(
    shop: Config, settings: dict[str, str | int], parameters: str, fact: str, advice: str
) -> None:
    fill(shop.database("postgres"))
    with pgbouncer.running(socket_of(shop), **settings) as port:
        pooled = through(shop, port, parameters)
        with pytest.raises(DatabaseUnavailableError) as caught:
            sync(pooled, "postgres", "sqlite")
    assert fact in caught.value.fact
    assert advice in caught.value.advice
    require_nothing_left(shop)


def test_a_session_that_has_what_the_options_ask_for_is_taken_without_a_pooler(shop: Config) -> None:
    url = shop.database("postgres").address
    execute(shop.database("postgres"), 'CREATE SCHEMA "my app"')
    options = "&options=-c%20search_path%3Dnowhere%20--search-path%3D%22my%5C%20app%22"
    with connect(Database("postgres", url + options, shop.root)) as connection:
        assert connection.sqlalchemy.exec_driver_sql("SELECT current_schema()").scalar() == "my app"
