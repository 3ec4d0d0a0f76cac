"""What is compared with what, and what was promised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.benchmarks.contenders import (
    Contender,
    db_to_sqlite,
    dlt,
    pgloader,
    server_copy,
    start,
    toolkit,
    toolkit_again,
)
from tests.benchmarks.report import Target


@dataclass(frozen=True, slots=True)
class Group:
    """Contenders that run by turns."""

    name: str
    contenders: Sequence[Contender]
    least_runs: int = 1


_LOAD, _AGAIN, _START = "SQLite → PostgreSQL", "SQLite → PostgreSQL, again", "start-up"
GROUPS = (
    Group(
        _LOAD,
        (
            toolkit("SQLite", "PostgreSQL"),
            toolkit("SQLite", "PostgreSQL", "--no-verify"),
            pgloader(),
            dlt("SQLite", "PostgreSQL", "replace"),
            server_copy(),
        ),
    ),
    Group(_AGAIN, (toolkit_again(),)),
    Group("SQLite → DuckDB", (toolkit("SQLite", "DuckDB"), dlt("SQLite", "DuckDB", "merge"))),
    Group("PostgreSQL → SQLite", (toolkit("PostgreSQL", "SQLite"), db_to_sqlite())),
    Group("PostgreSQL → DuckDB", (toolkit("PostgreSQL", "DuckDB"), dlt("PostgreSQL", "DuckDB", "merge"))),
    Group("DuckDB → PostgreSQL", (toolkit("DuckDB", "PostgreSQL"), dlt("DuckDB", "PostgreSQL", "replace"))),
    Group("DuckDB → SQLite", (toolkit("DuckDB", "SQLite"),)),
    Group(_START, (start(),), least_runs=20),
)
TARGETS = (
    Target(_LOAD, "toolkit sync", "pgloader", 2, faster=True),
    Target(_LOAD, "toolkit sync", "dlt replace", 5, faster=True),
    Target(_LOAD, "toolkit sync --no-verify", "pgloader", 2.5, faster=True),
    Target(_LOAD, "toolkit sync --no-verify", "COPY FROM file", 1.6),
    Target(_AGAIN, "nothing changed", "first sync", 1),
    Target(_AGAIN, "1 % changed", "nothing changed", 1.3),
    Target("SQLite → DuckDB", "toolkit sync", "dlt merge", 4, faster=True),
    Target("PostgreSQL → SQLite", "toolkit sync", "db-to-sqlite", 5, faster=True),
    Target("PostgreSQL → DuckDB", "toolkit sync", "dlt merge", 1, faster=True),
    Target("DuckDB → PostgreSQL", "toolkit sync", "dlt replace", 1, faster=True),
    Target(_START, "toolkit --help", "python -c 'import click'", 3),
)
