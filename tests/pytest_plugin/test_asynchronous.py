"""Asynchronous sessions, in whichever event loop, left open by the test: every warning is an error here."""

from __future__ import annotations

import pytest

from tests.pytest_plugin.conftest import Project
from toolkit.config import Database
from toolkit.errors import MissingDriverError
from toolkit.testing import asynchronous

TESTS = """
    import asyncio
    import gc

    @pytest.fixture(autouse=True)
    def nothing_is_left_open(toolkit_async_engine):
        yield
        gc.collect()

    @pytest.fixture
    def runner():
        with asyncio.Runner() as runner:
            yield runner

    async def check(session):
        assert await session.scalar(text("SELECT count(*) FROM item")) == 2
        await session.execute(text("DELETE FROM item"))

    def test_in_a_loop_that_is_closed(toolkit_async_session):
        asyncio.run(check(toolkit_async_session))

    def test_in_a_loop_that_stands_still(runner, toolkit_async_session):
        runner.run(check(toolkit_async_session))

    @pytest.mark.anyio
    @pytest.mark.parametrize("anyio_backend", ["asyncio"])
    async def test_in_the_loop_of_a_plugin(toolkit_async_session):
        await check(toolkit_async_session)
        await toolkit_async_session.commit()

    def test_driver(toolkit_async_engine, toolkit_async_url):
        assert toolkit_async_engine.driver == toolkit_async_url.drivername.partition("+")[2] in {drivers}
"""


@pytest.mark.slow
@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_sessions_need_not_be_closed(project: Project, driver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOLKIT_TEST_POSTGRES_URL", project.server.replace("postgresql:", f"postgresql+{driver}:"))
    project.test(TESTS.replace("{drivers}", str(("aiosqlite", driver))))
    result = project.run("-rA")
    # DuckDB, which the project asks for too, has no asynchronous driver.
    result.assert_outcomes(passed=8)
    result.stdout.no_fnmatch_line("*Exception terminating*")
    assert [name.partition("_")[0] for name in project.databases()] == ["seed"]


def test_an_asynchronous_duckdb_is_an_error(project: Project) -> None:
    project.test(
        """
        @pytest.mark.toolkit(databases=["duckdb", "sqlite"])
        def test_it(toolkit_async_session): pass
        """
    )
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["test_it asks for an asynchronous duckdb, which has no*", "Use toolkit_session, *"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asynchronous, "find_spec", lambda name: None)
    with pytest.raises(MissingDriverError, match="pip install aiosqlite"):
        asynchronous.async_url(Database("sqlite", "sqlite:///a.sqlite3"))
