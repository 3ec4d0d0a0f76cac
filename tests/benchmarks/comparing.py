"""Comparing equal tables: the toolkit beside a plain SELECT of all columns, and beside reladiff."""

from __future__ import annotations

import json
import sys

from tests.benchmarks import competitors
from tests.benchmarks.contenders import Contender, Samples, Stage, database_name, require
from tests.benchmarks.machine import TOOLKIT

_COLUMNS = ("user_id", "item", "created_at", "updated_at", "is_deleted")
# Every row to Python, as an application's driver gives it.
_PSYCOPG = """
import sys, psycopg
with psycopg.connect(sys.argv[1]) as connection, connection.cursor("all", binary=True) as cursor:
    cursor.itersize = 10_000
    cursor.execute("SELECT * FROM todo")
    print(sum(1 for _ in cursor))
"""
_SQLITE3 = """
import sys, sqlite3
print(sum(1 for _ in sqlite3.connect(sys.argv[1]).execute("SELECT * FROM todo")))
"""


def toolkit_diff(one: str, other: str, columns: tuple[str, ...] = ()) -> Contender:
    """All todos on both sides, which are equal."""

    def run(stage: Stage) -> Samples:
        only = [word for column in columns for word in ("--columns", column)]
        pair = ["--from", stage.sources[one], "--to", stage.sources[other]]
        sample, output = stage.measure([*TOOLKIT, "diff", "todo", *pair, *only, "--json"])
        require(stage.todos, json.loads(output)["tables"][0]["unchanged"])
        yield "toolkit diff", sample

    return Contender("toolkit diff", run, is_ours=True)


def toolkit_diff_columns() -> Contender:
    """The columns that reladiff is given."""
    return toolkit_diff("PostgreSQL", "DuckDB", _COLUMNS)


def select_all() -> Contender:
    """What each side needs to give all its rows to a Python program, and PostgreSQL's own client to print them."""

    def run(stage: Stage) -> Samples:
        server = stage.sources["PostgreSQL"]
        psql = str(stage.server.programs / "psql")
        to_null = ["-X", "--set", "FETCH_COUNT=10000", "-o", "/dev/null", "-c", "SELECT * FROM todo", server]
        yield "SELECT, psql", stage.measure([psql, *to_null])[0]
        for title, code, place in (("psycopg", _PSYCOPG, server), ("sqlite3", _SQLITE3, str(stage.sqlite))):
            sample, output = stage.measure([sys.executable, "-c", code, place])
            require(stage.todos, int(output))
            yield f"SELECT, {title}", sample

    return Contender("SELECT", run)


def reladiff() -> Contender:
    """reladiff over five columns, its statistics only."""

    def run(stage: Stage) -> Samples:
        program = str(competitors.environment("reladiff") / "reladiff")
        host = stage.server.socket.replace("/", "%2F")
        server = f"postgresql://postgres:any@{host}/{database_name(stage.sources['PostgreSQL'])}"
        only = [word for column in _COLUMNS for word in ("-c", column)]
        command = [program, server, "todo", stage.sources["DuckDB"], "todo", "-k", "id", *only, "--stats"]
        sample, output = stage.measure(command)
        require(True, f"{stage.todos} rows unchanged" in output)
        yield "reladiff", sample

    return Contender("reladiff", run)
