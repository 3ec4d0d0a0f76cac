"""Without models: the same sync, into tables that are there and into none; looking into a file; many tables."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.benchmarks.contenders import Contender, Samples, Stage, require, sync
from tests.benchmarks.machine import ROOT, TOOLKIT, measure, wait_until_quiet

MODELS, ALIKE, REFLECTED = "models", "models of the file's types", "without models"
_NOTHING = {MODELS: (), ALIKE: (), REFLECTED: ("--reflect",)}
_ALIKE = 'metadata = "tests.benchmarks.alike_models:metadata"\n'
TABLES = 300


def toolkit_into_tables(way: str) -> Contender:
    """A first sync into tables that are there, and empty."""

    def run(stage: Stage) -> Samples:
        with stage.new("PostgreSQL") as url:
            measure([*TOOLKIT, "database", "upgrade", "--database", url])
            yield f"into tables, {way}", sync(stage, stage.sources["SQLite"], url, *_NOTHING[way])

    return Contender(f"into tables, {way}", run, is_ours=True)


def toolkit_into_nothing(way: str) -> Contender:
    """The same, and the tables are made: by migrations, as models say, or from the file's own catalogue and values."""

    def run(stage: Stage) -> Samples:
        with stage.new("PostgreSQL") as url:
            pair = ["--from", stage.sources["SQLite"], "--to", url]
            directory = _project(stage) if way == ALIKE else ROOT
            command = [*TOOLKIT, "sync", *pair, "--json", *_NOTHING[way]]
            sample, output = stage.measure(command, {"PYTHONPATH": str(ROOT)}, directory)
            # Before it stands that the tables were made.
            document = json.loads(output[output.index("{") :])
            require(stage.todos, {each["table"]: each["inserted"] for each in document["tables"]}["todo"])
            yield f"into nothing, {way}", sample

    return Contender(f"into nothing, {way}", run, is_ours=True)


def _project(stage: Stage) -> Path:
    """Where the configured models are those that are alike, without migrations."""
    directory = stage.directory / "alike"
    directory.mkdir(exist_ok=True)
    (directory / "toolkit.toml").write_text(_ALIKE)
    return directory


def toolkit_inspect() -> Contender:
    """All that is in the largest table of a SQLite file, asked for where there are no models."""

    def run(stage: Stage) -> Samples:
        command = [*TOOLKIT, "inspect", stage.sources["SQLite"], "todo", "--json"]
        wait_until_quiet()
        sample, output = measure(command, directory=stage.directory)
        require(stage.todos, json.loads(output)["tables"][0]["rows"])
        yield "toolkit inspect", sample

    return Contender("toolkit inspect", run, is_ours=True)


def toolkit_plan_many() -> Contender:
    """A dry run of so many tables, each with two foreign keys, in cycles."""

    def run(stage: Stage) -> Samples:
        file = stage.directory / "many.sqlite3"
        if not file.exists():
            with closing(sqlite3.connect(file)) as connection, connection:
                for number in range(TABLES):
                    before, behind = (number - 1) % TABLES, (number + 1) % TABLES
                    connection.execute(
                        f"CREATE TABLE t{number} (id INTEGER PRIMARY KEY, v TEXT, "
                        f"a INTEGER REFERENCES t{before}, b INTEGER REFERENCES t{behind})"
                    )
        with stage.new("PostgreSQL") as url:
            command = [*TOOLKIT, "sync", "--from", f"sqlite:///{file}", "--to", url, "--reflect", "--json"]
            measure(command)
            sample, output = stage.measure([*command, "--dry-run"])
            require(TABLES, len(json.loads(output)["tables"]))
            yield "toolkit sync --dry-run", sample

    return Contender("toolkit sync --dry-run", run, is_ours=True)
