"""PostgreSQL that ends a connection in every phase of a sync, restarts in the midst of it, or is cut off."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from msgspec import structs

from tests.operations.databases import Rows, contents, create, execute, postgres
from tests.operations.example import fill
from tests.operations.processes import toolkit
from tests.operations.shop import metadata
from tests.servers.postgres import Server, running
from tests.servers.tcp_proxy import Proxy, in_front_of
from toolkit.config import Config, Database
from toolkit.core.progress import Silent
from toolkit.core.tables import select_tables
from toolkit.engines import connect
from toolkit.engines.postgresql.connection import PostgresConnection
from toolkit.engines.postgresql.table import PostgresRepository
from toolkit.errors import DatabaseUnavailableError
from toolkit.operations.sync import sync
from toolkit.operations.transfer.deletes import DeleteLimit
from toolkit.operations.transfer.options import Mode, Options

# A cursor of a server that is gone cannot be closed.
pytestmark = pytest.mark.filterwarnings("ignore:.*ServerCursor:ResourceWarning")

ALL = Options(mode=Mode.REPLACE, max_delete=DeleteLimit(0, 1.0), batch_rows=1)
AT = "'2024-01-01 00:00:00+00'"
_KEYS = """
    SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid::regclass::text IN ('customer', 'purchase_line')
    UNION ALL SELECT pg_get_constraintdef(oid) || condeferrable FROM pg_constraint WHERE contype IN ('p', 'u', 'f')
    ORDER BY 1
"""
_LEFT = """
    SELECT relname FROM pg_class WHERE relname LIKE 'toolkit%'
    UNION ALL SELECT 'lock ' || pid FROM pg_locks WHERE locktype = 'advisory'
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL SELECT 'busy ' || query FROM pg_stat_activity
        WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


@pytest.fixture(autouse=True, scope="module")
def _what_is_there_already() -> None:
    """It is no garbage: to look through it after each test takes a quarter of a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _cursors_of_servers_that_are_gone() -> Iterator[None]:
    """They go here: left to themselves, they may go within another test, which knows of none."""
    yield
    gc.collect()


def behind(database: Database) -> None:
    """The shop as a sync finds it that has rows to insert, to update and to delete, and an empty table to fill."""
    fill(database)
    execute(
        database,
        "DELETE FROM purchase_line",
        "DELETE FROM customer WHERE id = 40",
        "UPDATE customer SET name = 'old'",
        f"INSERT INTO customer VALUES (77, 'only@target', 'goes', {AT}, {AT})",
        "INSERT INTO category VALUES (50, 1, 'goes')",
    )


def state(config: Config) -> tuple[Rows, list[tuple[Any, ...]]]:
    """All rows of PostgreSQL, and all its keys and indexes."""
    with postgres(config) as connection:
        return contents(config.database("postgres"), metadata), connection.execute(_KEYS).fetchall()


def require_nothing_left(config: Config) -> None:
    """No staging table, no lock, no busy server process, once the server has seen that its clients are gone."""
    with postgres(config) as connection:
        for _ in range(2000):
            if not (left := connection.execute(_LEFT).fetchall()):
                return
    pytest.fail(str(left))


def digests(config: Config, name: str) -> dict[str, str]:
    with connect(config.database(name)) as connection:
        return {spec.name: connection.repository(spec).digest().text for spec in select_tables(metadata)}


def require_convergence(config: Config, source: str, target: str) -> None:
    """A run completes the work, and the one after it finds none."""
    sync(config, source, target, options=ALL)
    assert digests(config, source) == digests(config, target)
    again = sync(config, source, target, options=ALL)
    assert not sum(table.inserted + table.updated + table.deleted for table in again.tables)


def terminate(config: Config, which: slice = slice(None)) -> None:
    """End server processes of the database, in the order in which they began."""
    with postgres(config) as connection:
        found = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND backend_type = 'client backend' ORDER BY backend_start"
        ).fetchall()
        for (pid,) in found[which]:
            connection.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


class Once(Silent):
    """Does something when a step begins, the first time."""

    def __init__(self, label: str, act: Callable[[], None]) -> None:
        self.label = label
        self.act: Callable[[], None] | None = act

    def step(self, label: str, rows: int | None = None) -> None:
        if label == self.label and self.act is not None:
            act, self.act = self.act, None
            act()


# -- server processes that are ended ---------------------------------------------------------------------------

_SUICIDE = """
    CREATE OR REPLACE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN coalesce(NEW, OLD); END $$;
    CREATE OR REPLACE FUNCTION die(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
        $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN n; END $$;
"""
# Where in its own work a server process ends itself.
PLACES = {
    "merge": "CREATE TRIGGER die BEFORE UPDATE ON customer FOR EACH ROW WHEN (NEW.id = 2) EXECUTE FUNCTION die()",
    "insert of a load": "CREATE TRIGGER die BEFORE INSERT ON purchase_line FOR EACH ROW EXECUTE FUNCTION die()",
    "index built anew": "CREATE INDEX mortal ON purchase_line (die(amount))",
    "delete": "CREATE TRIGGER die BEFORE DELETE ON category FOR EACH ROW EXECUTE FUNCTION die()",
    "deferred check": "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON customer DEFERRABLE INITIALLY DEFERRED "
    "FOR EACH ROW EXECUTE FUNCTION die()",
}


@pytest.mark.slow
@pytest.mark.usefixtures("small_rebuilds")
def test_a_server_process_that_ends_in_the_midst_of_a_statement_leaves_everything_as_it_was(shop: Config) -> None:
    fill(shop.database("sqlite"))
    behind(shop.database("postgres"))
    for place, statement in PLACES.items():
        execute(shop.database("postgres"), _SUICIDE, statement)
        before = state(shop)
        with pytest.raises(DatabaseUnavailableError, match=r"postgres: the .*connection") as caught:
            sync(shop, "sqlite", "postgres", options=ALL)
        assert "Run again" in caught.value.advice
        assert state(shop) == before, place
        require_nothing_left(shop)
        execute(shop.database("postgres"), "DROP FUNCTION die() CASCADE", "DROP FUNCTION die(int) CASCADE")
    require_convergence(shop, "sqlite", "postgres")


BEFORE: tuple[tuple[type, str], ...] = (
    (PostgresRepository, "load"),
    (PostgresRepository, "upsert_many"),
    (PostgresRepository, "delete_many"),
    (PostgresRepository, "digest"),
    (PostgresConnection, "check_parents"),
    (PostgresRepository, "advance_sequences"),
    (PostgresConnection, "commit"),
)


@pytest.mark.slow
@pytest.mark.usefixtures("small_rebuilds")
def test_a_server_process_that_ends_between_statements_leaves_everything_as_it_was(
    shop: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(shop.database("sqlite"))
    behind(shop.database("postgres"))
    before = state(shop)
    for kind, name in BEFORE:
        original = getattr(kind, name)

        def cut_off(*arguments: Any, original: Any = original, **options: Any) -> Any:
            terminate(shop)
            return original(*arguments, **options)

        with monkeypatch.context() as patch:
            patch.setattr(kind, name, cut_off)
            with pytest.raises(DatabaseUnavailableError, match=r"postgres: the .*connection"):
                sync(shop, "sqlite", "postgres", options=ALL)
        assert state(shop) == before, name
        require_nothing_left(shop)
    require_convergence(shop, "sqlite", "postgres")


@pytest.mark.slow
@pytest.mark.parametrize("label", ["compare product", "load purchase_line"])
def test_a_source_that_loses_either_of_its_connections_leaves_everything_as_it_was(shop: Config, label: str) -> None:
    fill(shop.database("postgres"))
    behind(shop.database("duckdb"))
    before = contents(shop.database("duckdb"), metadata)
    for needed in (label, "delete category", "merge customer") if label == "compare product" else ():
        cut = Once(needed, lambda: terminate(shop, slice(1, None)))
        with pytest.raises(DatabaseUnavailableError, match=r"postgres: the .*connection"):
            sync(shop, "postgres", "duckdb", options=ALL, progress=cut)
        assert contents(shop.database("duckdb"), metadata) == before, needed
        require_nothing_left(shop)
    # Rows are read by the other, and counted in advance.
    sync(shop, "postgres", "duckdb", options=ALL, progress=Once(label, lambda: terminate(shop, slice(0, 1))))
    assert contents(shop.database("duckdb"), metadata) != before
    require_nothing_left(shop)
    require_convergence(shop, "postgres", "duckdb")


# -- a server of its own ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that these tests may disturb."""
    with running() as server:
        yield server


@pytest.fixture
def own(shop: Config, server: Server) -> Config:
    """The configuration with a database of that server."""
    database = replace(shop.database("postgres"), address=server.database("own"))
    return replace(shop, databases={**shop.databases, "postgres": database})


@pytest.mark.slow
@pytest.mark.usefixtures("small_rebuilds")
def test_a_server_that_restarts_in_mid_sync_has_everything_as_it_was(own: Config, server: Server) -> None:
    fill(own.database("sqlite"))
    behind(own.database("postgres"))
    before = state(own)
    for mode, label in (("fast", "compare product"), ("immediate", "merge customer"), ("fast", "load purchase_line")):
        restart = Once(label, partial(server.restart, mode))
        with pytest.raises(DatabaseUnavailableError, match=r"postgres: the .*connection"):
            sync(own, "sqlite", "postgres", options=ALL, progress=restart)
        assert state(own) == before, label
        require_nothing_left(own)
    require_convergence(own, "sqlite", "postgres")


@pytest.mark.slow
def test_a_commit_whose_answer_is_lost_is_an_error_and_the_next_run_finds_it_done(own: Config, server: Server) -> None:
    """PostgreSQL has committed, and waits for a standby that never comes, when its process is ended."""
    fill(own.database("sqlite"))
    behind(own.database("postgres"))
    server.configure(synchronous_standby_names="nobody")
    ended = threading.Event()

    def end_the_wait() -> None:
        with postgres(own) as connection:
            while not ended.is_set():
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
                )

    watcher = threading.Thread(target=end_the_wait)
    watcher.start()
    try:
        with pytest.raises(DatabaseUnavailableError, match=r"postgres: the .*connection"):
            sync(own, "sqlite", "postgres", options=ALL)
    finally:
        ended.set()
        watcher.join()
        server.configure(synchronous_standby_names="")
    require_nothing_left(own)
    again = sync(own, "sqlite", "postgres", options=ALL)
    assert not sum(table.inserted + table.updated + table.deleted for table in again.tables)


@pytest.mark.slow
def test_a_standby_is_read_from_and_what_its_primary_does_meanwhile_is_told(own: Config, server: Server) -> None:
    """It does not wait for readers: what they hold is taken from them, at work or between two statements."""
    primary = own.database("postgres")
    fill(primary)

    def change() -> None:
        execute(primary, "ALTER TABLE purchase_line ALTER COLUMN amount SET DEFAULT 1")
        with psycopg.connect(primary.address) as writer, psycopg.connect(standby.address, autocommit=True) as reader:
            place = writer.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
            for _ in range(5000):
                if reader.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", place).fetchone() == (True,):
                    return
        pytest.fail("the standby does not follow")

    with server.standby(max_standby_streaming_delay="0") as url:
        standby = replace(primary, address=url.replace("/postgres?", "/own?"))
        config = replace(own, databases={**own.databases, "postgres": standby})
        for label in ("compare product", "load customer"):
            with pytest.raises(DatabaseUnavailableError, match="is a standby") as caught:
                sync(config, "postgres", "duckdb", progress=Once(label, change))
            assert "max_standby_streaming_delay" in caught.value.advice
        assert sync(config, "postgres", "duckdb").verified


# -- a network that fails --------------------------------------------------------------------------------------


def socket_of(config: Config) -> str:
    """The server's socket."""
    return f"{config.database('postgres').url.query['host']}/.s.PGSQL.5432"


@pytest.fixture
def proxy(shop: Config) -> Iterator[Proxy]:
    """A network between the toolkit and the server."""
    with in_front_of(socket_of(shop)) as proxy:
        yield proxy


def test_a_turn_to_write_ends_with_its_transaction_unless_it_is_kept(shop: Config) -> None:
    database = replace(shop.database("postgres"), lock_seconds=0.1)
    with connect(database, write=True) as first:
        with pytest.raises(DatabaseUnavailableError, match="another"), connect(database, write=True):
            pass
        first.commit()
        with connect(database, write=True) as second:
            second.hold_writer_lock()
            second.commit()
            # Whoever is done is not held up by the next.
            first.commit()
            with pytest.raises(DatabaseUnavailableError, match="another"), connect(database, write=True):
                pass
    with connect(database, write=True):
        pass


def remote(config: Config, proxy: Proxy) -> Config:
    """The same databases, PostgreSQL also by way of the network, as `remote`."""
    url = config.database("postgres").url
    address = f"postgresql://postgres:@127.0.0.1:{proxy.port}/{url.database}?sslmode=disable&gssencmode=disable"
    return replace(config, databases={**config.databases, "remote": Database("remote", address, config.root)})


def fill_wide(database: Database) -> None:
    """Rows of which a batch fills many packets."""
    create(database, metadata)
    names = ", ".join(f"({n}, '{n}@x', '{chr(65 + n % 26) * 4000}', {AT}, {AT})" for n in range(150))
    execute(database, f"INSERT INTO customer VALUES {names}".replace("+00'", "'"))


@pytest.mark.slow
@pytest.mark.parametrize("command", ["sync", "dump-data"])
def test_ctrl_c_again_ends_what_waits_for_a_server_that_is_silent(
    shop: Config, proxy: Proxy, tmp_path: Path, command: str
) -> None:
    fill_wide(shop.database("postgres"))
    create(shop.database("sqlite"), metadata)
    config = remote(shop, proxy)
    urls = (f'{name} = "{config.database(name).address}"' for name in ("sqlite", "remote"))
    (tmp_path / "toolkit.toml").write_text("\n".join([f'metadata = "{shop.metadata}"', "[databases]", *urls]))
    to = {"sync": ["--to", "sqlite"], "dump-data": ["--dir", "out"]}[command]
    proxy.limit(150 * 4000 // 2, to_server=False, silent=True)
    running = toolkit(tmp_path, command, "--from", "remote", *to, before=_have_little_patience)
    while not proxy.is_exhausted and running.process.is_alive():
        running.process.join(0.1)
    for _ in range(300):
        running.interrupt()
        running.process.join(0.1)
        if not running.process.is_alive():
            break
    assert running.end() == 130
    assert running.err == "Interrupted at once; what was not committed is rolled back.\n"
    assert not any(contents(shop.database("sqlite"), metadata).values())
    proxy.limit(None)
    assert toolkit(tmp_path, command, "--from", "remote", *to).end() == 0


def _have_little_patience() -> None:
    pytest.MonkeyPatch().setattr("toolkit.cli._PATIENCE_SECONDS", 0.2)


@pytest.mark.slow
@pytest.mark.usefixtures("small_rebuilds")
def test_a_connection_that_is_cut_while_rows_are_sent_is_told_and_nothing_is_kept(shop: Config, proxy: Proxy) -> None:
    fill_wide(shop.database("sqlite"))
    create(shop.database("postgres"), metadata)
    config = remote(shop, proxy)
    for share in (0.2, 0.9):
        proxy.limit(int(150 * 4000 * share))
        with pytest.raises(DatabaseUnavailableError, match=r"remote: the .*connection"):
            sync(config, "sqlite", "remote", options=structs.replace(ALL, batch_rows=10))
        assert proxy.is_exhausted
        proxy.limit(None)
        assert not any(contents(shop.database("postgres"), metadata).values())
        require_nothing_left(shop)
    require_convergence(config, "sqlite", "remote")


@pytest.mark.slow
@pytest.mark.parametrize(("target", "share"), [("sqlite", 0.2), ("duckdb", 0.9)])
def test_a_connection_that_is_cut_while_rows_are_fetched_is_told_and_nothing_is_kept(
    shop: Config, proxy: Proxy, target: str, share: float
) -> None:
    fill_wide(shop.database("postgres"))
    create(shop.database(target), metadata)
    config = remote(shop, proxy)
    proxy.limit(int(150 * 4000 * share), to_server=False)
    with pytest.raises(DatabaseUnavailableError, match=r"remote: the .*connection"):
        sync(config, "remote", target)
    assert proxy.is_exhausted
    proxy.limit(None)
    assert not any(contents(shop.database(target), metadata).values())
    require_nothing_left(shop)
    require_convergence(config, "remote", target)
