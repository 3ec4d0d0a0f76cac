"""What an application tells its engines beside a URL is taken over, or refused by name: never left out in silence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, event

from tests.test_application_config import write
from toolkit.cli import run
from toolkit.config import Config, Database, load_config
from toolkit.engines import connect
from toolkit.errors import ConfigurationError, EngineOptionError, ToolkitError
from toolkit.operations.project import load_models
from toolkit.operations.sync import sync

ALCHEMY = """
from advanced_alchemy.config import EngineConfig, SQLAlchemyAsyncConfig, SQLAlchemySyncConfig
from sqlalchemy import NullPool, QueuePool, create_engine, event
from sqlalchemy.ext.asyncio import create_async_engine
def of(**options):
    return SQLAlchemySyncConfig(connection_string=URL, metadata=first, engine_config=EngineConfig(**options))
def made(**options):
    return SQLAlchemySyncConfig(engine_instance=create_engine(URL, **options), metadata=first)
"""
FLASK = """
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
db = SQLAlchemy(metadata=first)
def alchemy():
    made = Flask("made", instance_path=FOLDER)
    made.config.update(OPTIONS)
    db.init_app(made)
    return made
"""
TENANT = "connect_args={'options': '-c search_path=tenant'}"
# Where the application's rows are in `tenant`, though there is a table of the same name in `public`.
WAYS = {
    "connect_args": f"alchemy = of({TENANT})",
    "connect_args of an engine": f"alchemy = made({TENANT})",
    "connect_args of an engine without a pool": f"alchemy = made(poolclass=NullPool, {TENANT})",
    "server_settings of asyncpg": """
alchemy = SQLAlchemyAsyncConfig(
    connection_string=URL.replace("+psycopg", "+asyncpg"),
    metadata=first,
    engine_config=EngineConfig(connect_args={"server_settings": {"search_path": "tenant", "jit": "off"}, "timeout": 5}),
)""",
    "server_settings of an engine of asyncpg": """
alchemy = SQLAlchemyAsyncConfig(metadata=first, engine_instance=create_async_engine(
    URL.replace("+psycopg", "+asyncpg"), connect_args={"server_settings": {"search_path": "tenant"}}
))""",
    "the URL's parameters": "URL += '&options=-csearch_path%3Dtenant'\nalchemy = of()",
    "a function that makes engines": f"""
alchemy = of()
alchemy.create_engine_callable = lambda url, **options: create_engine(url, {TENANT})""",
    "a listener that changes arguments": """
alchemy = made()
@event.listens_for(alchemy.engine_instance, "do_connect")
def token(dialect, record, arguments, parameters):
    parameters["options"] = "-csearch_path=tenant"
""",
    "engine options of Flask-SQLAlchemy": FLASK.replace(
        "OPTIONS", f"SQLALCHEMY_DATABASE_URI=URL, SQLALCHEMY_ENGINE_OPTIONS=dict({TENANT})"
    ),
    "engine options of a bind of Flask-SQLAlchemy": FLASK.replace(
        "OPTIONS", f"SQLALCHEMY_BINDS={{'default': dict(url=URL, {TENANT})}}"
    )
    + """
class Author(db.Model):
    __bind_key__, __tablename__ = "default", "author"
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String)
""",
}


@pytest.fixture
def tenants(postgres_url: str) -> str:
    """A database in which `author` is in two schemas."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA tenant")
        for schema in ("public", "tenant"):
            connection.execute(f"CREATE TABLE {schema}.author (id integer PRIMARY KEY, name text)")
            connection.execute(f"INSERT INTO {schema}.author VALUES (1, '{schema}')")
    return postgres_url


@pytest.fixture
def every_engine() -> Iterator[None]:
    """A listener of an application's that is called for all engines, ours too."""

    def choose(connection: Any, _record: Any) -> None:
        if isinstance(connection, psycopg.Connection):
            connection.execute("SET search_path = tenant")
            connection.commit()

    event.listen(Engine, "connect", choose)
    yield
    event.remove(Engine, "connect", choose)


def read(directory: Path, url: str, source: str, **environ: str) -> Config:
    url = url.replace("postgresql:", "postgresql+psycopg:")
    module = write(directory, f"URL = {url!r}\n{ALCHEMY}{source}")
    return load_config(directory, environ, application=f"{module}:alchemy")


def names(config: Config) -> list[Any]:
    """What a copy has of the application's table."""
    copy = Database("copy", f"sqlite:///{config.root}/copy.sqlite3", config.root)
    sync(config, "default", copy.address)
    with connect(copy) as connection:
        table = load_models(config.of("default")).tables["author"]
        return [row.name for row in connection.sqlalchemy.execute(table.select())]


@pytest.mark.parametrize("source", WAYS.values(), ids=WAYS)
def test_the_rows_are_those_of_the_schema_that_the_application_reads(tmp_path: Path, tenants: str, source: str) -> None:
    assert names(read(tmp_path, tenants, source)) == ["tenant"]


@pytest.mark.usefixtures("every_engine")
def test_a_listener_of_all_engines_holds_for_every_connection_to_the_database(tmp_path: Path, tenants: str) -> None:
    assert names(read(tmp_path, tenants, "alchemy = made()")) == ["tenant"]


SECRET = "hunter2"
REFUSED = {
    "a pool": ("alchemy = of(pool=QueuePool(lambda: None))", "a function of the application's .pool."),
    "creator of an engine": (
        "alchemy = made(creator=lambda: None)",
        "a function of the application's .creator or pool",
    ),
    "schemas": (
        "alchemy = of(execution_options={'schema_translate_map': {None: 'tenant'}})",
        r"uses schema_translate_map .no schema -> tenant.*options is -csearch_path=tenant",
    ),
    "schemas of an engine": (
        "alchemy = made(execution_options={'schema_translate_map': {'a': 'b', 'c': 'c'}})",
        r"schema_translate_map \(a -> b\).*--metadata MODULE:ATTR",
    ),
    "certificates": (
        "import ssl\nalchemy = of(connect_args={'ssl': ssl.create_default_context()})",
        "given ssl as SSLContext.*with sslmode, sslrootcert",
    ),
    "unknown": (f"alchemy = of(connect_args={{'tunnel': '{SECRET}'}})", "is given tunnel, which cannot be taken over"),
    "a listener": (
        """
alchemy = made()
@event.listens_for(alchemy.engine_instance, "connect", insert=True)
def choose(connection, record):
    connection.execute("SET search_path = tenant")
""",
        "calls application_.*:choose on its connections",
    ),
    "a listener of each use": (
        """
alchemy = made()
@event.listens_for(alchemy.engine_instance, "checkout")
def choose(connection, record, proxy):
    connection.execute("SET search_path = tenant")
""",
        "calls application_.*:choose on its connections",
    ),
    "a listener of transactions": (
        """
alchemy = made()
@event.listens_for(alchemy.engine_instance, "begin")
def choose(connection):
    connection.exec_driver_sql("SET LOCAL ROLE tenant")
""",
        "calls application_.*:choose on its connections",
    ),
    "a listener that is an object": (
        """
alchemy = made()
class Choose:
    def __call__(self, connection, record):
        connection.execute("ATTACH 'tenant.db' AS tenant")
event.listen(alchemy.engine_instance, "connect", Choose())
""",
        "calls application_.* on its connections",
    ),
    "a listener that connects": (
        'alchemy = made()\nevent.listen(alchemy.engine_instance, "do_connect", lambda *_: object())',
        "a listener of do_connect",
    ),
}


@pytest.mark.parametrize(("source", "told"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_taken_over_is_refused_by_name_when_the_database_is_used(
    tmp_path: Path, source: str, told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"postgresql+psycopg://u:{SECRET}@nowhere.invalid/x?"
    module = write(tmp_path, f"URL = {url!r}\n{ALCHEMY}{source}")
    application = ["--config", f"{module}:alchemy"]
    config = load_config(tmp_path, {}, application=application[1])
    with pytest.raises(EngineOptionError, match=f"(?s){told}.*") as caught:
        sync(config, "default", "sqlite:///copy.sqlite3")
    assert "TOOLKIT_DEFAULT_URL" in caught.value.advice
    assert run([*application, "status", "--json"]) == 3
    said = capsys.readouterr()
    assert caught.value.fact in json.loads(said.out)["databases"][0]["problems"]
    assert SECRET not in said.out + said.err + str(caught.value)
    environ = {"TOOLKIT_DEFAULT_URL": "postgresql://elsewhere/x"}
    assert load_config(tmp_path, environ, application=application[1]).database("default").url.host == "elsewhere"


def test_who_connects_and_how_it_is_secured_is_said_to_libpq(tmp_path: Path) -> None:
    arguments = {
        "user": "writer", "password": SECRET, "host": ["one", "two"], "port": 5433, "database": "other", "ssl": True,
        "command_timeout": 3, "server_settings": {"application_name": "a b"},
    }  # fmt: skip
    config = read(tmp_path, "postgresql+asyncpg://u:p@h/x?ssl=require", f"alchemy = of(connect_args={arguments})")
    database = config.database("default")
    url = database.url
    assert (url.username, url.password, url.database, url.port) == ("writer", SECRET, "other", 5433)
    assert dict(url.query) == {
        "host": "one,two", "options": r"-capplication_name=a\ b", "sslmode": "verify-full", "sslrootcert": "system",
    }  # fmt: skip
    assert SECRET not in database.shown_url + repr(database)


def test_what_only_says_how_a_file_is_opened_is_no_hindrance(tmp_path: Path) -> None:
    options = "isolation_level='AUTOCOMMIT', connect_args={'timeout': 3, 'check_same_thread': False, 'uri': True}"
    for made in ("of", "made"):
        config = read(tmp_path, "sqlite:///one.sqlite3", f"alchemy = {made}({options})")
        assert config.database("default").file == tmp_path / "one.sqlite3"
        with pytest.raises(EngineOptionError, match="is given factory"):
            _ = read(
                tmp_path, "sqlite:///one.sqlite3", f"import sqlite3\nclass F(sqlite3.Connection): pass\n"
                f"alchemy = {made}(connect_args={{'factory': F}})"
            ).database("default").url  # fmt: skip


def test_settings_of_duckdb_hold_but_for_what_a_file_may_reach(tmp_path: Path) -> None:
    options = "connect_args={'config': {'threads': 3, 'enable_external_access': True}, 'read_only': False}"
    database = read(tmp_path, "duckdb:///one.duckdb", f"alchemy = made({options})").database("default")
    with connect(database, write=True) as connection:
        found = "SELECT current_setting('threads'), current_setting('enable_external_access')"
        assert [*connection.sqlalchemy.exec_driver_sql(found).one()] == [3, False]


def test_a_listener_that_chooses_no_schema_is_no_hindrance(tmp_path: Path) -> None:
    source = """
alchemy = made()
@event.listens_for(alchemy.engine_instance, "connect")
def enforce(connection, record):
    "Unlike SET search_path, it changes no place."
    connection.execute("PRAGMA foreign_keys = ON")
"""
    assert read(tmp_path, "sqlite:///one.sqlite3", source).database("default").file == tmp_path / "one.sqlite3"


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("sqlite+libsql://x.turso.io/?authToken=t", "names a host, and SQLite databases are files"),
        ("duckdb:///md:mine", "one of MotherDuck's"),
    ],
)
def test_hosted_databases_are_no_files(tmp_path: Path, address: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        _ = Database("hosted", address, tmp_path).file


def test_a_file_is_a_uri_only_where_the_url_says_so(tmp_path: Path) -> None:
    def file(address: str) -> Path | None:
        return Database("one", address, tmp_path).file

    assert file("sqlite:///file:a.db") == tmp_path / "file:a.db"
    assert file("sqlite:///file:a.db?uri=true&mode=ro") == tmp_path / "a.db"
    assert file("sqlite:///file:a?mode=memory&uri=true&cache=shared") is None
    with pytest.raises(ToolkitError):
        file("sqlite://host/a.db")
