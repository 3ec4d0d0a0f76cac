"""An application's own configuration says which databases it has, whose models, and where its migrations are."""

from __future__ import annotations

import importlib
import itertools
import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from toolkit.cli import run
from toolkit.config import Config, load_config
from toolkit.errors import ConfigurationError
from toolkit.operations.project import load_models

_NUMBERS = itertools.count()

MODELS = """
import sqlalchemy as sa
first = sa.MetaData()
sa.Table("author", first, sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String))
second = sa.MetaData()
sa.Table("visit", second, sa.Column("id", sa.Integer, primary_key=True))
"""
ALCHEMY = """
from advanced_alchemy.config import AlembicSyncConfig, SQLAlchemySyncConfig
alchemy = SQLAlchemySyncConfig(
    connection_string="sqlite:///one.sqlite3",
    metadata=first,
    alembic_config=AlembicSyncConfig(script_location="history", version_table_name="versions"),
)
other = SQLAlchemySyncConfig(connection_string="sqlite:///two.sqlite3", metadata=second, bind_key="other")
"""
ASYNCHRONOUS = """
from advanced_alchemy.config import SQLAlchemyAsyncConfig
from sqlalchemy.ext.asyncio import create_async_engine
alchemy = SQLAlchemyAsyncConfig(engine_instance=create_async_engine("sqlite+aiosqlite:///one.sqlite3"), metadata=first)
"""
FRAMEWORK = """
from advanced_alchemy.config import AlembicSyncConfig
from advanced_alchemy.extensions.{framework} import {extension}, SQLAlchemySyncConfig
alchemy = SQLAlchemySyncConfig(
    connection_string="sqlite:///one.sqlite3",
    metadata=first,
    alembic_config=AlembicSyncConfig(script_location="history", version_table_name="versions"),
)
"""
LITESTAR = (
    FRAMEWORK.format(framework="litestar", extension="SQLAlchemyPlugin")
    + """
from litestar import Litestar
plugin = SQLAlchemyPlugin(config=alchemy)
def app():
    return Litestar(plugins=[plugin])
"""
)
FLASK = (
    FRAMEWORK.format(framework="flask", extension="AdvancedAlchemy")
    + """
from flask import Flask
def app():
    made = Flask("made")
    AdvancedAlchemy(alchemy, made)
    return made
"""
)
FASTAPI = (
    FRAMEWORK.format(framework="fastapi", extension="AdvancedAlchemy")
    + """
from fastapi import FastAPI
app = FastAPI()
extension = AdvancedAlchemy(config=alchemy, app=app)
"""
)
STARLETTE = (
    FRAMEWORK.format(framework="starlette", extension="AdvancedAlchemy")
    + """
from starlette.applications import Starlette
app = Starlette()
AdvancedAlchemy(config=alchemy, app=app)
"""
)
SANIC = (
    FRAMEWORK.format(framework="sanic", extension="AdvancedAlchemy")
    + """
from sanic import Sanic
app = Sanic(__name__)
extension = AdvancedAlchemy(sqlalchemy_config=alchemy, sanic_app=app)
"""
)
FLASK_SQLALCHEMY = """
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
db = SQLAlchemy(metadata=first)
class Visit(db.Model):
    __bind_key__ = "other"
    id = sa.Column(sa.Integer, primary_key=True)
def app():
    made = Flask("made", instance_path=FOLDER)
    made.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{FOLDER}/one.sqlite3"
    made.config["SQLALCHEMY_BINDS"] = {"other": f"sqlite:///{FOLDER}/two.sqlite3"}
    db.init_app(made)
    Migrate(made, db, directory="history")
    return made
"""

# The source, what is named of it, and what is there: databases, directory of migrations, version table.
WAYS = {
    "Advanced Alchemy": (ALCHEMY, "alchemy", ["default"], "history", "versions"),
    "a list": (ALCHEMY + "both = [alchemy, other]", "both", ["default", "other"], "history", "versions"),
    "asynchronous, by its engine": (ASYNCHRONOUS, "alchemy", ["default"], "migrations", "alembic_versions"),
    "Litestar's plugin": (LITESTAR, "plugin", ["default"], "history", "versions"),
    "a Litestar application": (LITESTAR, "app", ["default"], "history", "versions"),
    "a function that makes a Flask application": (FLASK, "app", ["default"], "history", "versions"),
    "a FastAPI application": (FASTAPI, "app", ["default"], "history", "versions"),
    "FastAPI's extension": (FASTAPI, "extension", ["default"], "history", "versions"),
    "a Starlette application": (STARLETTE, "app", ["default"], "history", "versions"),
    "a Sanic application": (SANIC, "app", ["default"], "history", "versions"),
    "Sanic's extension": (SANIC, "extension", ["default"], "history", "versions"),
    "Flask-SQLAlchemy with binds": (FLASK_SQLALCHEMY, "app", ["default", "other"], "history", None),
}


def write(directory: Path, source: str) -> str:
    """Write a module, of a name that no other test's has."""
    name = f"application_{next(_NUMBERS)}"
    (directory / f"{name}.py").write_text(f"FOLDER = {str(directory)!r}\n{MODELS}{source}")
    importlib.invalidate_caches()
    return name


def read(directory: Path, source: str, attribute: str = "alchemy") -> Config:
    return load_config(directory, {}, application=f"{write(directory, source)}:{attribute}")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("source", "attribute", "names", "migrations", "version_table"), WAYS.values(), ids=WAYS)
def test_databases_models_and_migrations_are_those_of_the_configuration(
    tmp_path: Path, source: str, attribute: str, names: list[str], migrations: str, version_table: str | None
) -> None:
    config = read(tmp_path, source, attribute)
    assert list(config.databases) == names
    files = ["one.sqlite3", "two.sqlite3"][: len(names)]
    assert [config.database(name).file for name in names] == [tmp_path / file for file in files]
    assert (config.default_database, config.migrations, config.version_table) == (
        "default",
        tmp_path / migrations,
        version_table,
    )
    tables = [set(load_models(config.of(name)).tables) for name in names]
    assert tables == [{"author"}, {"visit"}][: len(names)]


def test_two_commands_bring_an_application_into_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    application = ["--config", f"{write(tmp_path, ALCHEMY + 'both = [alchemy, other]')}:both"]
    (tmp_path / "author.json").write_text('[{"id": 1, "name": "x"}]')
    assert run([*application, "load-data", "--dir", "."]) == 0
    assert run(["sync", *application, "--from", "default", "--to", "sqlite:///copy.sqlite3"]) == 0
    assert run([*application, "diff", "--from", "default", "--to", "sqlite:///copy.sqlite3"]) == 0
    capsys.readouterr()
    assert run([*application, "status", "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert [(each["name"], each["state"]) for each in status["databases"]] == [
        ("default", "ready"),
        ("other", "not there yet"),
    ]
    assert [(each["database"], each["tables"]) for each in status["schemas"]] == [
        ("default", ["author"]),
        ("other", ["visit"]),
    ]


def test_between_databases_with_models_of_their_own_it_is_to_be_said_whose(tmp_path: Path) -> None:
    config = read(tmp_path, ALCHEMY + "both = [alchemy, other]", "both")
    with pytest.raises(ConfigurationError, match="default and other have models of their own"):
        config.of("default", "other")
    assert config.with_metadata("a:b").of("default").metadata == "a:b"


def test_what_is_set_beside_it_holds_instead_and_other_databases_have_its_models(tmp_path: Path) -> None:
    module = write(tmp_path, ALCHEMY)
    (tmp_path / "toolkit.toml").write_text(
        f'config = "{module}.alchemy"\nmigrations = "elsewhere"\n'
        '[databases]\nlocal = "sqlite:///local.sqlite3"\ndefault = { tables_from = "models" }\n'
    )
    config = load_config(tmp_path, {"TOOLKIT_DEFAULT_URL": "sqlite:///environment.sqlite3"})
    assert [*config.databases] == ["default", "local"]
    assert config.database("default").file == tmp_path / "environment.sqlite3"
    assert (config.of("local").migrations, config.of("local").tables_from) == (tmp_path / "elsewhere", None)
    assert config.of("local", "default").tables_from == "models"
    assert set(load_models(config.of("local")).tables) == {"author"}


def test_the_environment_names_a_default_database_which_no_command_takes_unasked(tmp_path: Path) -> None:
    config = load_config(tmp_path, {"DATABASE_URL": "postgresql://somewhere/production"})
    assert config.database("default").address == "postgresql://somewhere/production"
    assert config.default_database == "sqlite"


def test_a_file_of_variables_is_read_only_if_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.delenv("DATABASE_URL")
    (tmp_path / ".env").write_text("DATABASE_URL='sqlite:///named.sqlite3'\n")
    for options, is_read in ((), False), (("--env-file", ".env"), True):
        assert run([*options, "status", "--json"]) == 0
        names = [each["name"] for each in json.loads(capsys.readouterr().out)["databases"]]
        assert ("default" in names) is is_read
    assert run(["--env-file", "none.env", "status"]) != 0
    assert "Name another with --env-file" in capsys.readouterr().err


WRONG = [
    ("alchemy = 1", "alchemy", "is of type int, which has no database configuration"),
    ("", "alchemy", "has no attribute 'alchemy'"),
    (ALCHEMY + "both = [alchemy, alchemy]", "both", "has 2 databases named 'default'"),
    ("def app(name): pass", "app", r"could not be called: TypeError: app\(\) missing 1"),
    (ALCHEMY + "alchemy.connection_string = None", "alchemy", "neither a connection_string nor an engine_instance"),
]


@pytest.mark.parametrize(("source", "attribute", "told"), WRONG)
def test_what_is_no_configuration_is_told_as_what_it_is(tmp_path: Path, source: str, attribute: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        read(tmp_path, source, attribute)


def test_what_a_module_prints_while_it_is_imported_is_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    module = write(tmp_path, "print('noise')")
    assert run(["--metadata", f"{module}:first", "status", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["tables"] == ["author"]
    assert "noise" in said.err


def test_an_attribute_that_fails_when_it_is_looked_at_is_passed_over(tmp_path: Path) -> None:
    source = """
    class Proxy:
        def __getattr__(self, name):
            raise RuntimeError("outside of its context")
    proxy = Proxy()
    """
    module = write(tmp_path, dedent(source))
    with pytest.raises(ConfigurationError, match="has no attribute 'base'") as caught:
        load_models(load_config(tmp_path, {}, metadata=f"{module}:base"))
    assert "With a schema there: first, second" in caught.value.advice


# What `python -m` runs, twice in one process: each takes two seconds to load.
CALLS = """
import json, os, sys
from {program}.cli import {group}
codes = []
for arguments in json.loads(sys.argv[1]):
    try:
        {group}.main(arguments)
    except SystemExit as ended:
        codes.append(ended.code)
os.write(2, json.dumps(codes).encode())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "group", "source"), [("flask", "cli", FLASK), ("litestar", "litestar_group", LITESTAR)]
)
def test_a_frameworks_own_command_line_has_the_commands_on_its_application(
    tmp_path: Path, program: str, group: str, source: str
) -> None:
    on_it = ["--app", f"{write(tmp_path, source)}:app", "toolkit"]
    calls = [
        [*on_it, "status", "--json"],
        [*on_it, "sync", "--from", "default", "--to", "postgres"],
        [*on_it, "sync", "--help"],
    ]
    command = [sys.executable, "-c", CALLS.format(program=program, group=group), json.dumps(calls)]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.stderr[-9:], ran.returncode) == ("[0, 2, 0]", 0), ran.stderr
    assert json.loads(ran.stdout.partition("Usage: ")[0])["tables"] == ["author"]
    assert "Traceback" not in ran.stderr
    assert "There is no database 'postgres'" in ran.stderr
    assert "given as a URL: embedded:.toolkit/postgres" in ran.stderr


def test_tables_are_made_from_the_models_where_that_is_said_though_there_are_migrations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["database", "init", "history"]) == 0
    (tmp_path / "history" / "versions" / "0001_first.py").write_text(
        "revision, down_revision = '0001', None\ndef upgrade(): raise ValueError('of another engine')\n"
    )
    (tmp_path / "author.json").write_text('[{"id": 1, "name": "x"}]')
    load = ["--config", f"{write(tmp_path, ALCHEMY)}:alchemy", "load-data", "--dir", "."]
    assert run(load) != 0
    assert "of another engine" in capsys.readouterr().err
    assert run([*load, "--tables-from", "models"]) == 0
