"""Tables that are called as PostgreSQL's own are not taken for these."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.operations.databases import connected, execute
from toolkit.config import Config
from toolkit.operations.sync import sync


@pytest.mark.slow
def test_rows_of_tables_that_are_called_as_the_server_s_own_arrive(config: Config) -> None:
    bare = replace(config, metadata="", migrations=config.root / "none")
    for name in ("pg_class", "pg_stat_activity"):
        execute(
            bare.database("sqlite"),
            f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, relname TEXT)",
            f"INSERT INTO {name} VALUES (1, 'a')",
        )
    found = sync(bare, "sqlite", "postgres")
    assert found.verified
    told = {each.table: each.reason for each in found.warnings}
    assert told["pg_class"] == "name: It is _pg_class there: names that begin with pg_ are not for tables."
    with connected(bare.database("postgres")) as connection:
        assert connection.exec_driver_sql("SELECT relname FROM _pg_class").scalar_one() == "a"
    execute(bare.database("sqlite"), "UPDATE pg_class SET relname = 'b'")
    again = sync(bare, "sqlite", "postgres")
    assert [(each.inserted, each.updated) for each in again.tables] == [(0, 1), (0, 0)]
    # And back: a table of that name in a schema of its own is read as that.
    execute(bare.database("postgres"), "CREATE TABLE public.pg_type (id int PRIMARY KEY)")
    execute(bare.database("postgres"), "INSERT INTO public.pg_type VALUES (7)")
    assert sync(bare, "postgres", "duckdb", tables=("public.pg_type",)).tables[0].inserted == 1
