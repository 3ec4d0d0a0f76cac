"""A MariaDB server for the benchmarks, with what its manual says for loading much, the same for all; and its floor."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psutil
import pymysql
from sqlalchemy import make_url

from tests.benchmarks import competitors
from tests.benchmarks.machine import TOOLKIT, measure
from tests.servers import mariadb as server

if TYPE_CHECKING:
    from tests.benchmarks.contenders import Stage

# A pool that holds all rows, a log that a load does not fill, and no waiting for the disk but once a second: "Bulk
# Insert Performance" and "InnoDB System Variables" of MariaDB's manual. The tests' own server has little of each.
SETTINGS = (
    "--innodb-buffer-pool-size=2G",
    "--innodb-log-file-size=2G",
    "--innodb-log-buffer-size=64M",
    "--innodb-flush-log-at-trx-commit=2",
    "--max-allowed-packet=64M",
    "--secure-file-priv=",
)
_TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_type = 'BASE TABLE'"
_SHAPE = """
SELECT (SELECT count(*) FROM todo),
       (SELECT count(DISTINCT table_name, index_name) FROM information_schema.statistics
        WHERE table_schema = database()),
       (SELECT count(*) FROM information_schema.referential_constraints WHERE constraint_schema = database())
"""


class MariaDB:
    """A server for a `with` block, started when it is first asked for."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._open, self._url = directory, ExitStack(), ""
        self._numbers = itertools.count(1)
        self._filled: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def processes(self) -> list[psutil.Process]:
        """Its own, if it runs."""
        if not self._url:
            return []
        [(number,)] = self.run("SELECT @@pid_file")
        return [psutil.Process(int(Path(number).read_text()))]

    @property
    def url(self) -> str:
        """The address without a database."""
        if not self._url:
            self._url = self._open.enter_context(server.running(self._directory, SETTINGS))
        return self._url

    def run(self, statement: str, database: str = "", *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement that commits by itself; its rows."""
        place = make_url(self.url)
        with (
            pymysql.connect(
                host=place.host, port=place.port or 0, user=place.username, database=database or None, autocommit=True
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(statement, values or None)
            return list(cursor.fetchall())

    @contextmanager
    def database(self) -> Iterator[str]:
        """The address of a new, empty database for the block."""
        name = f"run{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name}")
        try:
            yield self.url + name
        finally:
            self.run(f"DROP DATABASE {name}")

    def rows(self, stage: Stage) -> str:
        """The address of a stage's rows, copied when they are first asked for, and kept in files, too."""
        name = f"todos_{stage.todos}"
        if stage.todos not in self._filled:
            self.run(f"CREATE DATABASE {name}")
            measure([*TOOLKIT, "sync", "--from", stage.sources["PostgreSQL"], "--to", self.url + name])
            for (table,) in self.run(_TABLES, "", name):
                # pgloader 3.6.7 knows none of the collations that came after the first 255.
                self.run(f"ALTER TABLE {table} CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", name)
            self._filled.add(stage.todos)
        return self.url + name

    def shape(self, url: str) -> tuple[Any, ...]:
        """How many rows, indexes and foreign keys a database has."""
        [found] = self.run(_SHAPE, make_url(url).database or "")
        return found

    def floor(self, stage: Stage, url: str) -> list[str]:
        """The command that loads files of its own into tables like those of the stage, with all of their indexes."""
        rows = make_url(self.rows(stage)).database or ""
        [(data,)] = self.run("SELECT @@datadir")
        lines = ["SET foreign_key_checks = 0;"]
        loads = []
        for (table,) in self.run(_TABLES, "", rows):
            [(_, made)] = self.run(f"SHOW CREATE TABLE {table}", rows)
            file = Path(data) / f"{rows}.{table}"
            if not file.exists():
                self.run(f"SELECT * FROM {table} INTO OUTFILE '{file}' CHARACTER SET binary", rows)
            lines.append(f"{made};")
            loads.append(f"LOAD DATA INFILE '{file}' INTO TABLE {table} CHARACTER SET binary;")
        script = stage.directory / f"floor-{rows}.sql"
        script.write_text("\n".join([*lines, "BEGIN;", *loads, "COMMIT;"]), encoding="utf-8")
        place = make_url(url)
        client = [competitors.program("mariadb"), "--no-defaults", "--protocol=tcp", f"--host={place.host}"]
        client += [f"--port={place.port}", f"--user={place.username}", str(place.database)]
        return ["sh", "-c", f"{shlex.join(client)} < {shlex.quote(str(script))}"]
