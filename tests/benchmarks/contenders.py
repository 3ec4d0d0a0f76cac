"""What is measured: one program, once, into a fresh database, and a check that it did its work."""

from __future__ import annotations

import itertools
import json
import shlex
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks import competitors
from tests.benchmarks.machine import ROOT, TOOLKIT, CommandFailedError, Sample, measure, wait_until_quiet
from tests.benchmarks.mariadb import MariaDB
from tests.benchmarks.postgres import Postgres

_DLT_COPY = Path(__file__).with_name("dlt_copy.py")
# pgloader's own 100,000 fills its heap of 1 GB with this data; fewer make it no faster.
_PGLOADER_PREFETCH = 25_000
FLOOR = "floor:"
"""How the names of those begin that show what the engine itself needs."""
_TABLES = ("user_account", "role", "user_role", "tag", "todo", "todo_tag")
_INSERT_SELECT = {
    "SQLite": f"""
import sys, sqlite3
target = sqlite3.connect(sys.argv[1], isolation_level=None)
target.execute("ATTACH ? AS source", (sys.argv[2],))
target.execute("BEGIN")
for table in {_TABLES}:
    names = ", ".join(row[1] for row in target.execute(f"PRAGMA source.table_info({{table}})"))
    target.execute(f"INSERT INTO main.{{table}} ({{names}}) SELECT {{names}} FROM source.{{table}} ORDER BY id")
target.execute("COMMIT")
print(target.execute("SELECT count(*) FROM main.todo").fetchone()[0])
""",
    "DuckDB": f"""
import sys, duckdb
target = duckdb.connect(sys.argv[1])
target.execute(f"ATTACH '{{sys.argv[2]}}' AS source (READ_ONLY)")
target.execute("BEGIN")
for table in {_TABLES}:
    target.execute(f"INSERT INTO {{table}} BY NAME SELECT * FROM source.{{table}}")
target.execute("COMMIT")
print(target.execute("SELECT count(*) FROM todo").fetchone()[0])
""",
}
# The toolkit builds indexes with this much memory, so the floor may, too.
_INDEX_MEMORY = "256MB"


@dataclass(frozen=True)
class Stage:
    """The same rows in all three engines, to be read only, and a server to write to."""

    todos: int
    directory: Path
    server: Postgres
    mariadb: MariaDB
    _numbers: Iterator[int] = field(default_factory=itertools.count, repr=False)

    @property
    def sqlite(self) -> Path:
        """The file that generate.py made."""
        return self.directory / f"{self.todos}.sqlite3"

    @property
    def duckdb(self) -> Path:
        """Its rows in DuckDB."""
        return self.directory / f"{self.todos}.duckdb"

    @property
    def database(self) -> str:
        """Its rows in PostgreSQL."""
        return f"todos_{self.todos}"

    @property
    def sources(self) -> Mapping[str, str]:
        """The URL of each engine's rows."""
        return {
            "SQLite": f"sqlite:///{self.sqlite}",
            "PostgreSQL": self.server.url(self.database),
            "DuckDB": f"duckdb:///{self.duckdb}",
        }

    def rows(self, engine: str) -> str:
        """The URL of an engine's rows; MariaDB has them from when they are first asked for."""
        return self.mariadb.rows(self) if engine == "MariaDB" else self.sources[engine]

    def prepare(self) -> None:
        """Make the data once; every run reads it."""
        generate = (sys.executable, "-m", "tests.benchmarks.generate", str(self.todos))
        measure([*generate, str(self.sqlite)])
        self.server.create(self.database)
        for engine in ("PostgreSQL", "DuckDB"):
            measure([*TOOLKIT, "sync", "--from", self.sources["SQLite"], "--to", self.sources[engine]])
        self.server.run("VACUUM ANALYZE", self.database)

    def measure(
        self, command: list[str], environment: Mapping[str, str] | None = None, directory: Path = ROOT
    ) -> tuple[Sample, str]:
        """Run a command once everything before it is written out and the machine is quiet."""
        self.server.run("CHECKPOINT")
        wait_until_quiet()
        return measure(command, [self.server.process, *self.mariadb.processes], environment, directory)

    @contextmanager
    def new(self, engine: str) -> Iterator[str]:
        """The URL of an empty database of a server, or of a file that is not there yet, for the block."""
        if engine == "PostgreSQL":
            with self.server.database() as name:
                yield self.server.url(name)
            return
        if engine == "MariaDB":
            with self.mariadb.database() as url:
                yield url
            return
        suffix = engine.lower()
        file = self.directory / f"run{next(self._numbers)}.{suffix}"
        yield f"{suffix}:///{file}"
        file.unlink()

    def require_shape(self, database: str) -> None:
        """Refuse a PostgreSQL database that has not all rows, indexes and foreign keys."""
        require(self.server.shape(self.database), self.server.shape(database))


Samples = Iterator[tuple[str, Sample]]


@dataclass(frozen=True, slots=True)
class Contender:
    """A program to measure; `run` yields what it measured, each under the name that the report gives it."""

    name: str
    run: Callable[[Stage], Samples]
    is_ours: bool = False
    is_floor: bool = False


# -- the toolkit ---------------------------------------------------------------------------------------------


def toolkit(source: str, target: str, *options: str) -> Contender:
    """A first sync into a database with the schema and no rows."""
    title = " ".join(("toolkit sync", *options))

    def run(stage: Stage) -> Samples:
        with stage.new(target) as url:
            rows = stage.rows(source)
            measure([*TOOLKIT, "database", "upgrade", "--database", url])
            yield title, sync(stage, rows, url, *options)
            if target == "MariaDB":
                require(stage.mariadb.shape(stage.rows(target)), stage.mariadb.shape(url))
            if target == "PostgreSQL":
                stage.require_shape(database_name(url))

    return Contender(title, run, is_ours=True)


def sync(stage: Stage, source: str, target: str, *options: str, wanted: tuple[int, int] | None = None) -> Sample:
    """Sync and check how many todos were inserted and updated; all are inserted unless said otherwise."""
    sample, output = stage.measure([*TOOLKIT, "sync", "--from", source, "--to", target, "--json", *options])
    require(wanted or (stage.todos, 0), transferred(output)["todo"])
    return sample


def transferred(output: str) -> dict[str, tuple[int, int]]:
    """By table, how many rows the toolkit says that it inserted and updated."""
    return {table["table"]: (table["inserted"], table["updated"]) for table in json.loads(output)["tables"]}


# -- the others ----------------------------------------------------------------------------------------------


def pgloader() -> Contender:
    """pgloader, with its own schema: every key, index and foreign key that it found in the file."""

    def run(stage: Stage) -> Samples:
        program = competitors.program("pgloader")
        with stage.new("PostgreSQL") as url:
            script = stage.directory / "pgloader.load"
            script.write_text(
                f"LOAD DATABASE FROM sqlite:///{stage.sqlite}\n"
                f"INTO postgresql://postgres@unix:{stage.server.socket}:5432/{database_name(url)}\n"
                "WITH create tables, create indexes, foreign keys, reset sequences, "
                f"prefetch rows = {_PGLOADER_PREFETCH}\n"
                # As its manual recommends; by default it takes a tenth longer.
                "SET work_mem to '64MB', maintenance_work_mem to '512MB'\n"
                "CAST type binary to bytea drop typemod;\n"
            )
            command = [program, "--root-dir", str(stage.directory / "pgloader"), str(script)]
            yield "pgloader", stage.measure(command)[0]
            stage.require_shape(database_name(url))

    return Contender("pgloader", run)


def pgloader_of_mariadb() -> Contender:
    """The same of a MariaDB database, whose tables it names by their database unless it is told otherwise."""

    def run(stage: Stage) -> Samples:
        program = competitors.program("pgloader")
        rows = stage.rows("MariaDB").replace("mariadb:", "mysql:")
        with stage.new("PostgreSQL") as url:
            script = stage.directory / "pgloader-mariadb.load"
            script.write_text(
                f"LOAD DATABASE FROM {rows}\n"
                f"INTO postgresql://postgres@unix:{stage.server.socket}:5432/{database_name(url)}\n"
                "WITH create tables, create indexes, foreign keys, reset sequences, "
                f"prefetch rows = {_PGLOADER_PREFETCH}\n"
                "SET work_mem to '64MB', maintenance_work_mem to '512MB'\n"
                f"ALTER SCHEMA '{rows.rpartition('/')[2]}' RENAME TO 'public';\n"
            )
            command = [program, "--root-dir", str(stage.directory / "pgloader"), str(script)]
            yield "pgloader", stage.measure(command)[0]
            require([(stage.todos,)], stage.server.run("SELECT count(*) FROM todo", database_name(url)))

    return Contender("pgloader", run)


def load_data() -> Contender:
    """The floor: MariaDB's server reads the rows from files of its own into tables with all of their indexes."""
    title = f"{FLOOR} LOAD DATA"

    def run(stage: Stage) -> Samples:
        with stage.new("MariaDB") as url:
            command = stage.mariadb.floor(stage, url)
            yield title, stage.measure(command)[0]
            require(stage.mariadb.shape(stage.rows("MariaDB")), stage.mariadb.shape(url))

    return Contender(title, run, is_floor=True)


def server_copy() -> Contender:
    """The floor: the server reads the rows from files of its own and builds the same keys and indexes."""

    def run(stage: Stage) -> Samples:
        with stage.new("PostgreSQL") as url:
            script = stage.directory / f"floor-{stage.todos}.sql"
            if not script.exists():
                script.write_text(_floor(stage))
            psql = str(stage.server.programs / "psql")
            command = [psql, "-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-f", str(script), url]
            yield f"{FLOOR} COPY FROM file", stage.measure(command)[0]
            stage.require_shape(database_name(url))

    return Contender(f"{FLOOR} COPY FROM file", run, is_floor=True)


def insert_select(engine: str) -> Contender:
    """The floor of an engine in a file: it inserts the rows of another file of its own into the same tables."""
    title = f"{FLOOR} INSERT … SELECT"

    def run(stage: Stage) -> Samples:
        source = {"SQLite": stage.sqlite, "DuckDB": stage.duckdb}[engine]
        with stage.new(engine) as url:
            measure([*TOOLKIT, "database", "upgrade", "--database", url])
            command = [sys.executable, "-c", _INSERT_SELECT[engine], url.partition(":///")[2], str(source)]
            sample, output = stage.measure(command)
            # Behind the bar that DuckDB draws.
            require(stage.todos, int(output.split()[-1]))
            yield title, sample

    return Contender(title, run, is_floor=True)


def dump_and_restore() -> Contender:
    """PostgreSQL's own way from one database to another: everything, in one pipe, not compressed."""

    def run(stage: Stage) -> Samples:
        with stage.new("PostgreSQL") as url:
            dump, restore = (shlex.quote(str(stage.server.programs / name)) for name in ("pg_dump", "pg_restore"))
            source, target = shlex.quote(stage.sources["PostgreSQL"]), shlex.quote(url)
            pipe = f"{dump} -Fc -Z0 -d {source} | {restore} -d {target}"
            yield "pg_dump | pg_restore", stage.measure(["sh", "-c", pipe])[0]
            stage.require_shape(database_name(url))

    return Contender("pg_dump | pg_restore", run)


def _floor(stage: Stage) -> str:
    """The tables, a COPY of each from a file that is made here, then the keys, indexes and foreign keys."""
    dump = [str(stage.server.programs / "pg_dump"), "--schema-only", "-d", stage.server.url(stage.database)]
    before, after = (measure([*dump, f"--section={part}"])[1] for part in ("pre-data", "post-data"))
    copies = []
    for (table,) in stage.server.run("SELECT relname FROM pg_stat_user_tables", stage.database):
        file = stage.server.data / f"{stage.todos}-{table}.bin"
        stage.server.run(f"COPY {table} TO '{file}' (FORMAT binary)", stage.database)
        copies.append(f"COPY public.{table} FROM '{file}' (FORMAT binary);\n")
    return f"{before}\n{''.join(copies)}\nSET maintenance_work_mem = '{_INDEX_MEMORY}';\n{after}"


def dlt(source: str, target: str, disposition: str) -> Contender:
    """dlt's pyarrow backend as it runs by default: no keys, indexes or foreign keys at the end."""
    title = f"dlt {disposition}"

    def run(stage: Stage) -> Samples:
        python = str(competitors.environment("dlt") / "python")
        with stage.new(target) as url, tempfile.TemporaryDirectory(dir=stage.directory) as state:
            to = url
            if target == "PostgreSQL":
                # dlt wants a host and a password, which the server does not ask for.
                host = stage.server.socket.replace("/", "%2F")
                to = f"postgresql://postgres:any@{host}/{database_name(url)}"
            command = [python, str(_DLT_COPY), _psycopg2(stage.sources[source]), to, disposition, state]
            yield title, stage.measure(command, {"RUNTIME__DLTHUB_TELEMETRY": "false"})[0]
            if target == "PostgreSQL":
                copied = stage.server.run("SELECT count(*) FROM copy.todo", database_name(url))
                require([(stage.todos,)], copied)

    return Contender(title, run)


def db_to_sqlite() -> Contender:
    """db-to-sqlite, which fails on an empty table with a JSON column, so that one is left out."""

    def run(stage: Stage) -> Samples:
        program = str(competitors.environment("db-to-sqlite") / "db-to-sqlite")
        with stage.new("SQLite") as url:
            file = url.removeprefix("sqlite:///")
            command = [program, _psycopg2(stage.sources["PostgreSQL"]), file, "--all", "--skip", "attachment"]
            yield "db-to-sqlite", stage.measure(command)[0]
            with sqlite3.connect(file) as connection:
                require((stage.todos,), connection.execute("SELECT count(*) FROM todo").fetchone())
            connection.close()

    return Contender("db-to-sqlite", run)


def _psycopg2(url: str) -> str:
    """SQLAlchemy 2.1 takes another driver by default, which these do not bring along."""
    return url.replace("postgresql://", "postgresql+psycopg2://")


def database_name(url: str) -> str:
    """The database in one of `Stage.new`'s PostgreSQL URLs."""
    return url.partition("@/")[2].partition("?")[0]


def require(wanted: object, found: object) -> None:
    """Refuse a measurement whose result is not the whole."""
    if wanted != found:
        raise CommandFailedError(f"expected {wanted}, found {found}")


# -- starting ------------------------------------------------------------------------------------------------


def start() -> Contender:
    """How long the command line takes to say what it can do."""

    def run(_: Stage) -> Samples:
        yield "python -c 'import click'", measure([sys.executable, "-c", "import click"])[0]
        yield "toolkit --help", measure([*TOOLKIT, "--help"])[0]

    return Contender("toolkit --help", run)


def nothing_to_do() -> Contender:
    """A sync of the bundled 90 rows that are there already, and the state of all databases."""

    def run(stage: Stage) -> Samples:
        with stage.new("SQLite") as one, stage.new("PostgreSQL") as other:
            measure([*TOOLKIT, "database", "upgrade", "--database", one])
            measure([*TOOLKIT, "load-data", "--to", one])
            command = [*TOOLKIT, "sync", "--from", one, "--to", other, "--json"]
            measure(command)
            sample, output = measure(command)
            require({(0, 0)}, set(transferred(output).values()))
            yield "toolkit sync, nothing to do", sample
            named = {"TOOLKIT_SQLITE_URL": one, "TOOLKIT_POSTGRES_URL": other}
            yield "toolkit status", measure([*TOOLKIT, "status"], environment=named)[0]

    return Contender("nothing to do", run, is_ours=True)
