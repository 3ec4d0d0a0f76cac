"""What is compared with what, and what was promised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tests.benchmarks.archive import LARGE, SMALL, STARTED, obstore_put, toolkit_push
from tests.benchmarks.changing import FIRST, SHARES, UNCHANGED, title, toolkit_few_changes
from tests.benchmarks.comparing import reladiff, select_all, toolkit_diff, toolkit_diff_columns
from tests.benchmarks.contenders import (
    Contender,
    db_to_sqlite,
    dlt,
    dump_and_restore,
    insert_select,
    load_data,
    nothing_to_do,
    pgloader,
    pgloader_of_mariadb,
    server_copy,
    start,
    toolkit,
)
from tests.benchmarks.fixtures import (
    alchemy_dump,
    django_load,
    toolkit_dump,
    toolkit_load,
    toolkit_load_again,
)
from tests.benchmarks.reflecting import (
    ALIKE,
    MODELS,
    REFLECTED,
    TABLES,
    toolkit_inspect,
    toolkit_into_nothing,
    toolkit_into_tables,
    toolkit_plan_many,
)
from tests.benchmarks.report import Limit, Target
from tests.benchmarks.waiting import toolkit_beside_application


@dataclass(frozen=True, slots=True)
class Group:
    """Contenders that run by turns."""

    name: str
    contenders: Sequence[Contender]
    least_runs: int = 1
    most_todos: int | None = None
    is_quick: bool = False
    """Whether it belongs to the quick mode, without the competitors."""

    def ours(self) -> Group:
        """The toolkit's own runs."""
        return replace(self, contenders=[c for c in self.contenders if c.is_ours])

    def quick(self) -> Group:
        """The toolkit's own runs, and the floor."""
        return replace(self, least_runs=1, contenders=[c for c in self.contenders if c.is_ours or c.is_floor])

    def todos(self, wanted: int) -> int:
        """How many of the wanted todos it is measured with."""
        return min(wanted, self.most_todos or wanted)


_LOAD, _START, _NOTHING = "SQLite → PostgreSQL", "start-up", "nothing to do"
_POSTGRES = "PostgreSQL → PostgreSQL"
_INTO_MARIADB, _FROM_MARIADB = "PostgreSQL → MariaDB", "MariaDB → PostgreSQL"
_DUMP, _LOAD_DATA, _LOAD_DATA_AGAIN = "dump", "load", "load again"
_DIFF, _DIFF_DUCKDB = "compare SQLite ↔ PostgreSQL", "compare PostgreSQL ↔ DuckDB, 6 columns"
_SMALL_FILES, _LARGE_FILES = "archive, small files", "archive, large files"
_INTO_TABLES, _INTO_NOTHING = "without models, into tables", "without models, into nothing"
_INSPECT, _MANY = "inspect", f"{TABLES} tables"
_ENGINES = ("SQLite", "PostgreSQL", "DuckDB")
_PAIRS = [(source, target) for source in _ENGINES for target in _ENGINES]


def _few_changes(source: str, target: str) -> str:
    return f"few changes {source} → {target}"


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
        is_quick=True,
    ),
    Group(
        _POSTGRES,
        (
            toolkit("PostgreSQL", "PostgreSQL"),
            toolkit("PostgreSQL", "PostgreSQL", "--no-verify"),
            dump_and_restore(),
            server_copy(),
        ),
        is_quick=True,
    ),
    *(Group(_few_changes(*pair), (toolkit_few_changes(*pair),)) for pair in _PAIRS),
    Group(_INTO_TABLES, [toolkit_into_tables(way) for way in (MODELS, REFLECTED)]),
    Group(_INTO_NOTHING, [toolkit_into_nothing(way) for way in (MODELS, ALIKE, REFLECTED)]),
    Group(_INSPECT, (toolkit_inspect(),)),
    Group(_MANY, (toolkit_plan_many(),), most_todos=1000),
    Group("beside an application", (toolkit_beside_application(),)),
    Group(
        "SQLite → DuckDB",
        (toolkit("SQLite", "DuckDB"), dlt("SQLite", "DuckDB", "merge"), insert_select("DuckDB")),
        is_quick=True,
    ),
    Group(
        "PostgreSQL → SQLite",
        (toolkit("PostgreSQL", "SQLite"), db_to_sqlite(), insert_select("SQLite")),
        is_quick=True,
    ),
    Group(
        "PostgreSQL → DuckDB",
        (toolkit("PostgreSQL", "DuckDB"), dlt("PostgreSQL", "DuckDB", "merge"), insert_select("DuckDB")),
        is_quick=True,
    ),
    Group(
        "DuckDB → PostgreSQL",
        (toolkit("DuckDB", "PostgreSQL"), dlt("DuckDB", "PostgreSQL", "replace"), server_copy()),
        is_quick=True,
    ),
    Group(
        _INTO_MARIADB, (toolkit("PostgreSQL", "MariaDB"), toolkit("PostgreSQL", "MariaDB", "--no-verify"), load_data())
    ),
    Group(_FROM_MARIADB, (toolkit("MariaDB", "PostgreSQL"), pgloader_of_mariadb(), server_copy())),
    Group("DuckDB → SQLite", (toolkit("DuckDB", "SQLite"), insert_select("SQLite")), is_quick=True),
    Group(_DIFF, (toolkit_diff("SQLite", "PostgreSQL"), select_all()), is_quick=True),
    Group("compare SQLite ↔ DuckDB", (toolkit_diff("SQLite", "DuckDB"),), is_quick=True),
    Group(_DIFF_DUCKDB, (toolkit_diff_columns(), reladiff())),
    Group(_DUMP, (toolkit_dump(), alchemy_dump()), is_quick=True),
    # Django needs minutes for more.
    Group(_LOAD_DATA, (toolkit_load(), django_load()), most_todos=100_000),
    Group(_LOAD_DATA_AGAIN, [toolkit_load_again(engine) for engine in _ENGINES], least_runs=3, most_todos=1000),
    # 2,000 files of 4 KiB, and 20 of 50 MiB.
    Group(_SMALL_FILES, (toolkit_push(SMALL), obstore_put(SMALL)), most_todos=2000),
    Group(_LARGE_FILES, (toolkit_push(LARGE), obstore_put(LARGE)), most_todos=2000),
    Group(_START, (start(),), least_runs=20),
    Group(_NOTHING, (nothing_to_do(),), least_runs=10, most_todos=1000, is_quick=True),
)
TARGETS: tuple[Target | Limit, ...] = (
    Target(_LOAD, "toolkit sync", "pgloader", 2, faster=True),
    Target(_LOAD, "toolkit sync", "dlt replace", 5, faster=True),
    Target(_LOAD, "toolkit sync --no-verify", "pgloader", 2.5, faster=True),
    Target(_LOAD, "toolkit sync --no-verify", "floor: COPY FROM file", 1.2),
    Target(_LOAD, "toolkit sync", "floor: COPY FROM file", 1.55),
    Target(_POSTGRES, "toolkit sync", "pg_dump | pg_restore", 0.75),
    Target("SQLite → DuckDB", "toolkit sync", "floor: INSERT … SELECT", 1.3),
    Target("PostgreSQL → DuckDB", "toolkit sync", "floor: INSERT … SELECT", 1.3),
    Limit(_NOTHING, "toolkit sync, nothing to do", 0.45),
    Limit(_NOTHING, "toolkit status", 0.3),
    *(Target(_few_changes(*pair), UNCHANGED, FIRST, 1) for pair in _PAIRS),
    # Rows that lie together cost no less to be found and written than those that are scattered.
    *(
        Target(_few_changes(*pair), title(share, together=False), title(share, together=True), 1.3)
        for pair in _PAIRS
        for share in SHARES
    ),
    *(Target(_few_changes(*pair), title(0.001, together=False), UNCHANGED, 1.3) for pair in _PAIRS),
    Target(_INTO_TABLES, f"into tables, {REFLECTED}", f"into tables, {MODELS}", 1.1),
    Target(_INTO_NOTHING, f"into nothing, {REFLECTED}", f"into nothing, {ALIKE}", 1.1),
    Limit(_INSPECT, "toolkit inspect", 3),
    Limit(_MANY, "toolkit sync --dry-run", 2),
    Target(_INTO_MARIADB, "toolkit sync", "floor: LOAD DATA", 1.5),
    Target(_FROM_MARIADB, "toolkit sync", "pgloader", 1.5, faster=True),
    Target("SQLite → DuckDB", "toolkit sync", "dlt merge", 4, faster=True),
    Target("PostgreSQL → SQLite", "toolkit sync", "db-to-sqlite", 5, faster=True),
    Target("PostgreSQL → DuckDB", "toolkit sync", "dlt merge", 1, faster=True),
    Target("DuckDB → PostgreSQL", "toolkit sync", "dlt replace", 1, faster=True),
    Target(_DIFF, "toolkit diff", "SELECT, psycopg", 1.3),
    Target(_DIFF, "toolkit diff", "SELECT, psql", 1.3),
    Target(_DIFF_DUCKDB, "toolkit diff", "reladiff", 1, faster=True),
    Target(_DUMP, "toolkit dump-data", "alchemy dump-data", 10, faster=True),
    # Both load the same rows, so that this is the ratio of rows a second, too.
    Target(_LOAD_DATA, "toolkit load-data", "Django loaddata", 30, faster=True),
    *(Limit(_LOAD_DATA_AGAIN, engine, 1) for engine in _ENGINES),
    # At least 0.9 times as fast.
    *(
        target
        for files in (_SMALL_FILES, _LARGE_FILES)
        for start in ("", STARTED)
        for target in (
            Target(files, f"toolkit archive push{start}", f"obstore alone{start}", 1 / 0.9),
            Target(files, f"push again{start}", f"toolkit archive push{start}", 0.1),
        )
    ),
    Target(_START, "toolkit --help", "python -c 'import click'", 3),
)
