"""Real databases with the bundled tables in them: a new one for each test and engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from advanced_alchemy.types.file_object import storages
from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.orm import Session

from toolkit.models import todo


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


def _postgres(url: str) -> Engine:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    todo.metadata.create_all(engine)
    return engine


def _duckdb(directory: Path) -> Engine:
    engine = create_engine(f"duckdb+toolkit:///{directory / 'todo.duckdb'}")
    todo.metadata.create_all(engine)
    return engine
