"""Syncs of a table of which a few rows changed, scattered or together, beside the one with nothing changed.

The target's rows are changed, so that each sync makes it like its source again, and the next share begins from there.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

import duckdb
import psycopg

from tests.benchmarks.contenders import Contender, Samples, Stage, sync
from tests.benchmarks.machine import TOOLKIT, measure

SHARES = (0.00001, 0.001, 0.01, 0.1, 0.5)
FIRST, UNCHANGED = "first sync", "nothing changed"


def title(share: float, together: bool) -> str:
    """What a measurement of so many changed rows is called."""
    return f"{share:.3%} changed, {'together' if together else 'scattered'}"


def toolkit_few_changes(source: str, target: str) -> Contender:
    """A first sync, one with nothing changed, and one for each share of changed todos."""

    def run(stage: Stage) -> Samples:
        with stage.new(target) as url:
            measure([*TOOLKIT, "database", "upgrade", "--database", url])
            yield FIRST, sync(stage, stage.sources[source], url)
            yield UNCHANGED, sync(stage, stage.sources[source], url, wanted=(0, 0))
            for share in SHARES:
                for together in (False, True):
                    changed = change(url, stage.todos, max(1, round(share * stage.todos)), together)
                    yield title(share, together), sync(stage, stage.sources[source], url, wanted=(0, changed))

    return Contender("toolkit sync", run, is_ours=True)


def change(url: str, todos: int, wanted: int, together: bool) -> int:
    """Give so many todos of a database another text; their number."""
    if url.startswith("sqlite"):
        chosen = f"rowid <= {wanted}" if together else f"rowid % {max(todos // wanted, 1)} = 0"
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as file, file:
            return file.execute(f"UPDATE todo SET item = item || '.' WHERE {chosen}").rowcount
    order = "created_at, id" if together else "md5(CAST(id AS VARCHAR))"
    statement = f"UPDATE todo SET item = item || '.' WHERE id IN (SELECT id FROM todo ORDER BY {order} LIMIT {wanted})"
    if url.startswith("duckdb"):
        with duckdb.connect(url.removeprefix("duckdb:///")) as connection:
            return int(connection.execute(statement).fetchall()[0][0])
    with psycopg.connect(url) as server:
        return server.execute(statement.encode()).rowcount
