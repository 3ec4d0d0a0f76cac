"""Fixtures: the toolkit's dump and load beside `alchemy dump-data` and Django's `loaddata`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.benchmarks import competitors
from tests.benchmarks.contenders import Contender, Samples, Stage, database_name, require, transferred
from tests.benchmarks.machine import ROOT, TOOLKIT, measure

_ALCHEMY = ("-m", "advanced_alchemy", "--config", "tests.benchmarks.alchemy_config.config")
_BUNDLED = ROOT / "fixtures"
# Each of its tables after those that it refers to, whose foreign keys are not deferrable.
_DJANGO_MODELS = ("User", "Tag", "Todo", "TodoTag")


def toolkit_dump() -> Contender:
    """All todos as one file; the other tables are left out, to do what `alchemy dump-data` does."""

    def run(stage: Stage) -> Samples:
        with tempfile.TemporaryDirectory(dir=stage.directory) as directory:
            command = [*TOOLKIT, "dump-data", "todo", "--from", stage.sources["SQLite"], "--dir", directory]
            yield "toolkit dump-data", stage.measure(command)[0]
            _require_todos(stage, directory)

    return Contender("toolkit dump-data", run, is_ours=True)


def alchemy_dump() -> Contender:
    """Advanced Alchemy's own command with the bundled models."""

    def run(stage: Stage) -> Samples:
        python = str(competitors.environment("advanced-alchemy") / "python")
        with tempfile.TemporaryDirectory(dir=stage.directory) as directory:
            command = [python, *_ALCHEMY, "dump-data", "--table", "todo", "--dir", directory]
            yield "alchemy dump-data", stage.measure(command, {"ALCHEMY_URL": stage.sources["SQLite"]})[0]
            _require_todos(stage, directory)

    return Contender("alchemy dump-data", run)


def toolkit_load() -> Contender:
    """A first load of every table into a database with the schema and no rows."""

    def run(stage: Stage) -> Samples:
        directory = stage.directory / f"fixtures-{stage.todos}"
        if not directory.exists():
            measure([*TOOLKIT, "dump-data", "--from", stage.sources["PostgreSQL"], "--dir", str(directory)])
        with stage.new("PostgreSQL") as url:
            measure([*TOOLKIT, "database", "upgrade", "--database", url])
            sample, output = stage.measure(_load(url, directory))
            require((stage.todos, 0), transferred(output)["todo"])
            yield "toolkit load-data", sample
            stage.require_shape(database_name(url))

    return Contender("toolkit load-data", run)


def django_load() -> Contender:
    """Django's `loaddata` of its own dump of the same rows, into the same tables."""

    def run(stage: Stage) -> Samples:
        file = stage.directory / f"django-{stage.todos}.json"
        if not file.exists():
            models = (f"django_todo.{model}" for model in _DJANGO_MODELS)
            dump = _django("dumpdata", *models, "--output", str(file))
            measure(dump, environment=_connection(stage, stage.database))
        with stage.new("PostgreSQL") as url:
            measure([*TOOLKIT, "database", "upgrade", "--database", url])
            database = database_name(url)
            yield "Django loaddata", stage.measure(_django("loaddata", str(file)), _connection(stage, database))[0]
            stage.require_shape(database)

    return Contender("Django loaddata", run)


def toolkit_load_again(engine: str) -> Contender:
    """The bundled fixtures, unchanged, into a database that has been loaded from them before."""

    def run(stage: Stage) -> Samples:
        with stage.new(engine) as url:
            measure([*TOOLKIT, "database", "upgrade", "--database", url])
            measure(_load(url, _BUNDLED))
            sample, output = stage.measure(_load(url, _BUNDLED))
            written = {table: rows for table, rows in transferred(output).items() if any(rows)}
            require({}, written)
            yield engine, sample

    return Contender(f"toolkit load-data, {engine}", run)


def _load(url: str, directory: Path) -> list[str]:
    return [*TOOLKIT, "load-data", "--to", url, "--dir", str(directory), "--json"]


def _django(*arguments: str) -> list[str]:
    program = str(competitors.environment("django") / "django-admin")
    return [program, *arguments, "--pythonpath", str(Path(__file__).parent), "--settings", "django_todo.settings"]


def _connection(stage: Stage, database: str) -> dict[str, str]:
    return {"PGHOST": stage.server.socket, "PGDATABASE": database}


def _require_todos(stage: Stage, directory: str) -> None:
    """Refuse a dump that has not all todos; by its text, piece by piece, as this process has to stay small."""
    key, count, text = b'"is_deleted":', 0, b""
    with (Path(directory) / "todo.json").open("rb") as file:
        while piece := file.read(1 << 20):
            text = text[1 - len(key) :] + piece
            count += text.count(key)
    require(stage.todos, count)
