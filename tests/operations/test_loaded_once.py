"""What one command opens, parses and loads: databases, models and `env.py` once, migrations only where they are run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import adbc_driver_sqlite.dbapi
import alembic.script
import pytest
import sqlalchemy as sa

from tests.operations.databases import execute
from tests.operations.example import fill
from toolkit.config import Config, Database
from toolkit.engines.postgresql import session as postgresql_session
from toolkit.engines.sqlite.connection import SqliteConnection
from toolkit.models import loader
from toolkit.operations.fixtures.dump import dump_data
from toolkit.operations.fixtures.load import load_data
from toolkit.operations.migrations import environments
from toolkit.operations.sync import sync
from toolkit.operations.transfer.options import Mode, Options

Opened = Callable[[Callable[[], Any]], Counter[str]]
ONCE = Counter({"models": 1, "env.py": 1})
# Where a database's rows are read.
READ = {
    # Whoever reads beside a rollback journal keeps the application from committing, so that a copy is read; beside its
    # driver's transaction, ADBC's on the same snapshot, which reads into Arrow many times faster.
    "sqlite": Counter({"sqlite": 1, "copy of sqlite": 1, "reader of sqlite": 2}),
    "sqlite2": Counter({"sqlite2": 1, "copy of sqlite2": 1, "reader of sqlite": 2}),
    # ADBC's connection has a session of its own, on the exported snapshot.
    "postgres": Counter({"postgres": 1, "reader of postgres": 1}),
    "duckdb": Counter({"duckdb": 1}),
}
# Where tables are made: by Alembic, in a transaction of its own that is committed before rows are written, and which
# reads the directory of migrations for itself once they were found to be the user's own.
MADE = {
    "sqlite": Counter({"sqlite": 2, "migrations": 2}),
    "sqlite2": Counter({"sqlite2": 2, "migrations": 2}),
    "duckdb": Counter({"duckdb": 2, "migrations": 2}),
    # A file that is not there has no tables; a server's database has to be looked at, to know that it has none.
    "postgres": Counter({"postgres": 3, "migrations": 2}),
}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    """How often a command connects to each database, and loads each thing."""
    done: Counter[str] = Counter()

    def counting(owner: Any, name: str, what: str) -> None:
        function = getattr(owner, name)

        @wraps(function)
        def counted(*arguments: Any, **options: Any) -> Any:
            done[what] += 1
            return function(*arguments, **options)

        monkeypatch.setattr(owner, name, counted)

    counting(loader, "require_models", "models")
    counting(environments, "_text_arguments", "env.py")
    counting(alembic.script.ScriptDirectory, "_load_revisions", "migrations")
    counting(postgresql_session, "open_connection", "reader of postgres")
    counting(adbc_driver_sqlite.dbapi, "connect", "reader of sqlite")
    unpooled_engine, known = Database.unpooled_engine, set[sa.Engine]()

    def with_counted_connections(database: Database, read_only: bool = False) -> sa.Engine:
        engine = unpooled_engine(database, read_only)
        is_copy = database.file is not None and database.file.name == "copy.sqlite3"
        what = f"copy of {database.name}" if is_copy else database.name
        if engine not in known:
            known.add(engine)
            sa.event.listen(engine, "connect", lambda *_: done.update([what]))
        return engine

    monkeypatch.setattr(Database, "unpooled_engine", with_counted_connections)

    def count(command: Callable[[], Any]) -> Counter[str]:
        done.clear()
        command()
        return Counter(done)

    return count


@pytest.mark.slow
@pytest.mark.parametrize(("source", "target"), [("sqlite", "postgres"), ("duckdb", "sqlite2")])
def test_each_database_is_opened_once_models_and_env_py_loaded_once_and_migrations_only_to_be_run(
    config: Config, tmp_path: Path, opened: Opened, source: str, target: str
) -> None:
    assert opened(lambda: load_data(config, source)) == ONCE + MADE[source]
    assert opened(lambda: sync(config, source, target)) == ONCE + READ[source] + MADE[target]
    assert opened(lambda: sync(config, source, target)) == ONCE + READ[source] + READ[target]
    assert opened(lambda: sync(config, source, target, dry_run=True)) == ONCE + READ[source] + READ[target]
    dumped = opened(lambda: dump_data(config, source, directory=tmp_path / "dump"))
    assert dumped == READ[source] + ONCE


@pytest.mark.slow
def test_a_sync_that_deletes_looks_at_the_revision_of_its_target_before_files_are_copied(
    config: Config, opened: Opened
) -> None:
    for name in ("duckdb", "sqlite"):
        load_data(config, name)
    replacing = opened(lambda: sync(config, "duckdb", "sqlite", options=Options(mode=Mode.REPLACE)))
    # Nobody is kept from writing to the target while files are on their way, so that it is closed until then.
    assert replacing == ONCE + READ["duckdb"] + READ["sqlite"] + Counter({"sqlite": 1})


def test_tables_that_come_from_the_models_need_no_connection_of_their_own(shop: Config, opened: Opened) -> None:
    fill(shop.database("duckdb"))
    assert opened(lambda: sync(shop, "duckdb", "sqlite")) == ONCE + Counter({"duckdb": 1, "sqlite": 1})


@pytest.mark.slow
def test_a_target_that_others_wrote_to_is_opened_again_and_nothing_is_loaded_again(
    config: Config, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("duckdb", "sqlite"):
        load_data(config, name)
    execute(config.database("duckdb"), "UPDATE todo SET item = 'another'")
    begin_writing = SqliteConnection.begin_writing
    answers = iter([False])
    monkeypatch.setattr(SqliteConnection, "begin_writing", lambda self: begin_writing(self) and next(answers, True))
    found = opened(lambda: sync(config, "duckdb", "sqlite"))
    assert found == ONCE + READ["duckdb"] + READ["sqlite"] + READ["sqlite"]
