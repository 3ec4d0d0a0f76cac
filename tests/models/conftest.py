"""Real databases with the bundled tables in them: a new one for each test and engine."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from advanced_alchemy.types.file_object import storages
from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.orm import Session

from tests.conftest import Databases
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


@pytest.fixture(scope="session")
def kept_engine(
    tmp_path_factory: pytest.TempPathFactory, postgres_databases: Databases
) -> Iterator[Callable[[str], Engine]]:
    """Databases of each engine that keep their tables, and no rows."""
    directory, name = tmp_path_factory.mktemp("kept"), postgres_databases.take()
    made: dict[str, Engine] = {}

    def kept(kind: str) -> Engine:
        if kind not in made:
            ways = {"sqlite": _sqlite, "duckdb": _duckdb}
            made[kind] = ways[kind](directory) if kind in ways else _postgres(postgres_databases.url(name))
        return made[kind]

    yield kept
    for engine in made.values():
        engine.dispose()
    postgres_databases.give_back(name)


@pytest.fixture(params=["sqlite", "postgres", "duckdb"])
def undone_session(request: pytest.FixtureRequest, kept_engine: Callable[[str], Engine]) -> Iterator[Session]:
    """Open a session on each engine, of which nothing stays, not even what it commits."""
    with kept_engine(request.param).connect() as connection, connection.begin() as transaction:
        with Session(connection, join_transaction_mode="rollback_only") as session:
            yield session
        # What is refused has undone it already.
        if transaction.is_active:
            transaction.rollback()


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
