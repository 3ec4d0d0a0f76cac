"""What an engine brings to migrations."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, cast

import pytest
import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext

from tests.operations.databases import connected
from toolkit.config import Config
from toolkit.operations.migrations.environment import render_item
from toolkit.operations.migrations.migrate import upgrade

_WAITING = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")


def test_two_upgrades_of_one_postgres_database_wait_for_one_another(config: Config) -> None:
    database = config.database("postgres")
    with ThreadPoolExecutor() as pool:
        with connected(database) as other:
            database.kind.lock_migrations(other)
            ours = pool.submit(upgrade, database, config)
            deadline = time.monotonic() + 60
            while not other.execute(_WAITING).scalar_one() and time.monotonic() < deadline:
                time.sleep(0.01)
            assert other.execute(_WAITING).scalar_one() == 1
            assert not sa.inspect(other).has_table("todo")
        ours.result(60)
    with connected(database) as after:
        assert sa.inspect(after).has_table("todo")


@pytest.mark.parametrize(("name", "rendered"), [("duckdb", None), ("sqlite", False), ("postgres", False)])
def test_a_default_that_only_numbers_rows_is_left_out_where_the_engine_gives_it(
    config: Config, name: str, rendered: bool | None
) -> None:
    default = sa.DefaultClause(sa.text("nextval('todo_id_seq')"))
    context: Any = SimpleNamespace(dialect=config.database(name).unpooled_engine().dialect)
    assert render_item("server_default", default, cast("AutogenContext", context)) is rendered
