"""pytest plugin: a migrated, seeded database of its own for each test that asks for one.

pytest imports this module in every run of every project that has the toolkit installed: nothing heavy up here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pytest

from toolkit.testing.plugin import (
    DATABASES,
    config_of,
    directory_of,
    in_two_lines,
    path_of,
    prune,
    rebuild_of,
    servers_of,
    tell,
)

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
    from sqlalchemy.orm import Session

    from toolkit.config import Config, Database
    from toolkit.testing.asynchronous import AsyncDatabase
    from toolkit.testing.pool import Pool
    from toolkit.testing.seeds import Seed
    from toolkit.testing.session import SessionDatabase

# The fixtures that say which database a test has, and which one the session.
_OF_TEST, _OF_SESSION = "_toolkit_name", "_toolkit_session_name"
_ARGUMENTS = ("tables", "fixtures", "databases", "match", "mode", "exclude")
MARKER = (
    "toolkit(tables=[...], fixtures='directory', databases=[...], match={table: [columns]}, mode='upsert', "
    "exclude=[...]): what the toolkit_* fixtures of a test hold; tables=[] for a schema without rows."
)


# -- settings ----------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the settings."""
    parser.addini("toolkit_fixtures", "Directory of JSON fixtures (default: the toolkit's configuration).")
    names = ", ".join(DATABASES)
    parser.addini("toolkit_databases", f"Of {names}: a test runs on each.", "args", ["sqlite"])
    parser.addini(
        "toolkit_config", "MODULE:ATTR of the application's configuration (default: as the toolkit's settings)."
    )
    parser.addini("toolkit_metadata", "MODULE:ATTR of the tables (default: the toolkit's configuration).")
    parser.addini(
        "toolkit_postgres_url",
        "A PostgreSQL database on the server where databases for tests are made, or 'embedded' for one in pytest's "
        "cache. TOOLKIT_TEST_POSTGRES_URL goes before it.",
    )
    parser.addini(
        "toolkit_mariadb_url",
        "A MariaDB server where databases for tests are made. TOOLKIT_TEST_MARIADB_URL goes before it.",
    )
    parser.getgroup("toolkit").addoption(
        "--toolkit-rebuild",
        action="store_true",
        help="Make the databases that tests get a copy of again, whether or not what they are made from has changed.",
    )
    parser.getgroup("toolkit").addoption(
        "--toolkit-prune",
        nargs="?",
        const="remove",
        choices=("remove", "dry-run"),
        help="Remove these databases, and what killed runs have left of copies, and run no test; `dry-run`: only list.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker; refuse settings that no test could run with."""
    config.addinivalue_line("markers", MARKER)
    problem = _problem_with_databases(config.getini("toolkit_databases"))
    if problem:
        raise pytest.UsageError(f"toolkit_databases: {problem}")
    fixtures = config.getini("toolkit_fixtures")
    if fixtures and not path_of(config, fixtures).is_dir():
        raise pytest.UsageError(
            f"toolkit_fixtures: there is not a directory {fixtures} in {path_of(config, '')}.\n"
            "Make it, or name another one."
        )
    metadata = config.getini("toolkit_metadata")
    if metadata and not all(metadata.partition(":")):
        raise pytest.UsageError(
            f"toolkit_metadata: {metadata!r} is not of the form MODULE:ATTRIBUTE.\nWrite it like myapp.models:Base."
        )


def _problem_with_databases(names: Any) -> str | None:
    if isinstance(names, str) or not names:
        return f"{names!r} is not a list of databases.\nWrite it like {', '.join(DATABASES)}."
    unknown = [name for name in names if name not in DATABASES]
    return f"there is no database {unknown[0]!r}.\nKnown: {', '.join(DATABASES)}." if unknown else None


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Prune, in place of running tests."""
    if not config.getoption("toolkit_prune"):
        return None
    from _pytest.main import wrap_session

    # No processes of pytest-xdist for this.
    config.option.dist = "no"
    return int(wrap_session(config, prune))


# -- one test for each database ----------------------------------------------------------------------------


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let a test that asks for a database run on each of those wished for."""
    asked = metafunc.fixturenames
    names = [name for name in (_OF_TEST, _OF_SESSION) if name in asked]
    if names:
        is_async = not {"toolkit_async_url", "toolkit_session_async_engine"}.isdisjoint(asked)
        databases = _databases(metafunc.definition, is_async=is_async)
        # Not a test for each pair of them; those on one database after another, as each session has its own of each.
        scope: Literal["session"] | None = "session" if _OF_SESSION in names else None
        metafunc.parametrize(
            names, [[each] * len(names) for each in databases], ids=databases, indirect=True, scope=scope
        )
    if names == [_OF_SESSION] and (unheard := sorted({"tables", "fixtures"} & set(_marked(metafunc.definition)))):
        _fail(
            f"@pytest.mark.toolkit({unheard[0]}=…): {metafunc.definition.name} has the database of the whole session.\n"
            "Use toolkit_database, or the settings toolkit_fixtures and toolkit_metadata."
        )


def _databases(node: pytest.Item, *, is_async: bool) -> Sequence[str]:
    marked = _marked(node).get("databases")
    names: Sequence[str] = node.config.getini("toolkit_databases") if marked is None else marked
    problem = _problem_with_databases(names)
    if problem:
        _fail(f"@pytest.mark.toolkit(databases=…): {problem}")
    usable = [name for name in names if not is_async or _has_async_driver(name)]
    # What the project asks for in general is narrowed to what can be; what a test asks for has to be.
    if not usable or (marked is not None and len(usable) < len(names)):
        lacking = next(name for name in names if name not in usable)
        _fail(
            f"{node.name} asks for an asynchronous {lacking}, which has no asynchronous driver.\n"
            f"Use toolkit_session, or name others: @pytest.mark.toolkit(databases=['sqlite'])."
        )
    return usable


def _has_async_driver(name: str) -> bool:
    from toolkit.config.databases import TEST_DATABASES
    from toolkit.engines.registry import engine_of

    engine = engine_of(TEST_DATABASES[name])
    return engine is not None and engine.has_async_driver


def _marked(node: pytest.Item) -> dict[str, Any]:
    """The arguments of a test's markers; the nearest one says."""
    found: dict[str, Any] = {}
    for mark in node.iter_markers("toolkit"):
        unknown = [*map(repr, mark.args), *(set(mark.kwargs) - set(_ARGUMENTS))]
        if unknown:
            _fail(f"@pytest.mark.toolkit does not take {unknown[0]}.\nIt takes {', '.join(_ARGUMENTS)} by name.")
        found = {**mark.kwargs, **found}
    return found


def _fail(message: str) -> None:
    pytest.fail(message, pytrace=False)


# -- fixtures ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def _toolkit_pool(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    from toolkit.testing.pool import Pool

    with in_two_lines():
        pool = Pool(
            config_of(pytestconfig),
            directory_of(pytestconfig, tmp_path_factory),
            servers_of(pytestconfig),
            rebuild_of(pytestconfig),
        )
    yield pool
    pool.close()


@pytest.fixture
def _toolkit_name(request: pytest.FixtureRequest) -> str:
    if hasattr(request, "param"):
        return str(request.param)
    # Asked for by `getfixturevalue`, or in a unittest.TestCase: one test cannot become several any more.
    names = _databases(request.node, is_async=False)
    if len(names) > 1:
        _fail(f"{request.node.name} asks for a database at run time.\nMark it with one: databases=['{names[0]}'].")
    return names[0]


@pytest.fixture
def toolkit_database(request: pytest.FixtureRequest, _toolkit_name: str, _toolkit_pool: Pool) -> Iterator[Database]:
    """A migrated, seeded database of the test's own (`toolkit.Database`)."""
    with in_two_lines():
        database = _toolkit_pool.clone(_toolkit_name, _seed(request.node, _toolkit_pool.config))
    tell(request.node, _toolkit_pool)
    yield database
    _toolkit_pool.drop(database)


@pytest.fixture
def toolkit_empty_database(_toolkit_name: str, _toolkit_pool: Pool) -> Iterator[Database]:
    """A database of the test's own with nothing in it, for tests of migrations."""
    with in_two_lines():
        database = _toolkit_pool.new(_toolkit_name)
    yield database
    _toolkit_pool.drop(database)


@pytest.fixture
def toolkit_empty_engine(toolkit_empty_database: Database) -> Engine:
    """An SQLAlchemy engine on `toolkit_empty_database`."""
    return toolkit_empty_database.engine


@pytest.fixture
def toolkit_url(toolkit_database: Database) -> URL:
    """The SQLAlchemy URL of `toolkit_database`, with a synchronous driver."""
    return toolkit_database.url


@pytest.fixture
def toolkit_engine(toolkit_database: Database) -> Engine:
    """An SQLAlchemy engine on `toolkit_database`."""
    return toolkit_database.engine


@pytest.fixture
def toolkit_session(toolkit_engine: Engine) -> Iterator[Session]:
    """An SQLAlchemy session on `toolkit_database`."""
    from sqlalchemy.orm import Session

    with Session(toolkit_engine) as session:
        yield session


@pytest.fixture
def toolkit_async_url(toolkit_database: Database) -> URL:
    """The SQLAlchemy URL of `toolkit_database`, with an asynchronous driver."""
    from toolkit.testing.asynchronous import async_url

    with in_two_lines():
        return async_url(toolkit_database)


@pytest.fixture
def _toolkit_async(toolkit_async_url: URL) -> AsyncDatabase:
    from toolkit.testing.asynchronous import AsyncDatabase

    return AsyncDatabase(toolkit_async_url)


@pytest.fixture
def toolkit_async_engine(_toolkit_async: AsyncDatabase) -> AsyncEngine:
    """An asynchronous SQLAlchemy engine on `toolkit_database`, for whichever event loop the test runs in."""
    return _toolkit_async.engine


@pytest.fixture
def toolkit_async_session(_toolkit_async: AsyncDatabase) -> Iterator[AsyncSession]:
    """An asynchronous SQLAlchemy session on `toolkit_database`."""
    with _toolkit_async.session() as session:
        yield session


# -- of the session ----------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def _toolkit_session_name(request: pytest.FixtureRequest) -> str:
    if hasattr(request, "param"):
        return str(request.param)
    names: Sequence[str] = request.config.getini("toolkit_databases")
    if len(names) > 1:
        _fail(f"The session's database is asked for at run time.\nLet there be one: toolkit_databases = {names[0]}.")
    return names[0]


@pytest.fixture(scope="session")
def _toolkit_session(
    request: pytest.FixtureRequest, _toolkit_session_name: str, _toolkit_pool: Pool
) -> Iterator[SessionDatabase]:
    from toolkit.testing.seeds import Seed
    from toolkit.testing.session import SessionDatabase

    config = _toolkit_pool.config
    with in_two_lines():
        database = _toolkit_pool.clone(_toolkit_session_name, Seed(config, config.fixtures))
    tell(request.node, _toolkit_pool)
    yield SessionDatabase(database)
    _toolkit_pool.drop(database)


@pytest.fixture(scope="session")
def toolkit_session_database(_toolkit_session: SessionDatabase) -> Database:
    """A migrated, seeded database for all tests of the session (of each process), as `toolkit_database` is for one."""
    return _toolkit_session.database


@pytest.fixture(scope="session")
def toolkit_session_engine(_toolkit_session: SessionDatabase) -> Engine:
    """An SQLAlchemy engine on `toolkit_session_database`; see `toolkit_rollback`."""
    return _toolkit_session.engine


@pytest.fixture(scope="session")
def toolkit_session_async_engine(_toolkit_session: SessionDatabase) -> AsyncEngine:
    """An asynchronous SQLAlchemy engine on `toolkit_session_database`, for whichever event loops tests run in."""
    with in_two_lines():
        return _toolkit_session.asynchronous.engine


@pytest.fixture
def toolkit_rollback(_toolkit_session: SessionDatabase) -> Iterator[None]:
    """Undo at the test's end what it wrote through the session's engines, what was committed included."""
    with in_two_lines(), _toolkit_session.rollback():
        yield


def _seed(node: pytest.Item, config: Config) -> Seed:
    from toolkit.config.loading import LOAD_MODES
    from toolkit.testing.seeds import Seed

    marked = _marked(node)
    tables, fixtures, mode = marked.get("tables"), marked.get("fixtures"), marked.get("mode")
    if mode not in (None, *LOAD_MODES):
        _fail(f"@pytest.mark.toolkit(mode=…): there is no mode {mode!r}.\nKnown: {', '.join(LOAD_MODES)}.")
    return Seed(
        config,
        path_of(node.config, fixtures) if fixtures else config.fixtures,
        None if tables is None else tuple(sorted(set(tables))),
        tuple(sorted((table, tuple(columns)) for table, columns in marked.get("match", {}).items())),
        mode,
        tuple(sorted(set(marked.get("exclude", ())))),
    )
