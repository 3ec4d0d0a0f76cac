"""One database for all tests of a session: what a test writes through its engines is gone at its end."""

from __future__ import annotations

import pytest

from tests.pytest_plugin.conftest import Project

SYNC = """
    import threading

    from sqlalchemy import event
    from sqlalchemy.exc import IntegrityError
    from sqlalchemy.orm import Session
    from toolkit.errors import ConfigurationError

    heard = []

    @pytest.fixture(scope="session")
    def app(toolkit_session_engine):
        event.listen(toolkit_session_engine, "connect", lambda *_: heard.append("connect"))
        return toolkit_session_engine

    def names(app):
        with Session(app) as session:
            return session.scalars(text("SELECT name FROM item ORDER BY id")).all()

    def write(app, number):
        with app.begin() as connection:
            connection.execute(text(f"INSERT INTO item VALUES ({number}, 'new')"))

    @pytest.mark.parametrize("number", [1, 2])
    def test_commits_errors_and_savepoints(app, toolkit_session_database, toolkit_rollback, number):
        assert names(app) == ["bread", "salt"]
        with Session(app) as session:
            session.execute(text("INSERT INTO item VALUES (3, 'soap')"))
            session.commit()
            with pytest.raises(IntegrityError):
                session.execute(text("INSERT INTO item VALUES (3, 'again')"))
            session.rollback()
            with session.begin_nested():
                session.execute(text("INSERT INTO item VALUES (4, 'rice')"))
            with pytest.raises(ZeroDivisionError), session.begin_nested():
                session.execute(text("INSERT INTO item VALUES (5, 'gone')"))
                1 / 0
            session.commit()
            session.execute(text("DELETE FROM item"))
            session.rollback()
        with app.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("CREATE TABLE other (id INTEGER)"))
            connection.execute(text("UPDATE item SET name = 'flour' WHERE id = 1"))
            with pytest.raises(IntegrityError):
                connection.execute(text("INSERT INTO item VALUES (3, 'again')"))
        thread = threading.Thread(target=write, args=(app, 6))
        thread.start()
        thread.join()
        app.dispose()
        assert names(app) == ["flour", "salt", "soap", "rice", "new"]

    def test_transactions_that_overlap(app, toolkit_rollback):
        with Session(app) as reads, Session(app) as writes:
            assert reads.scalar(text("SELECT count(*) FROM item")) == 2
            writes.execute(text("INSERT INTO item VALUES (3, 'soap')"))
            write(app, 4)
            writes.commit()
            assert reads.scalar(text("SELECT count(*) FROM item")) == 4
            with pytest.raises(IntegrityError):
                reads.execute(text("INSERT INTO item VALUES (3, 'again')"))
            reads.rollback()
            assert names(app) == ["bread", "salt", "soap", "new"]
            reads.execute(text("DELETE FROM item"))
            write(app, 5)
            reads.rollback()
            with pytest.raises(ConfigurationError, match="both are undone"):
                names(app)

    @pytest.mark.toolkit(databases=["postgres"])
    def test_constraints_that_wait_for_the_commit(app, toolkit_rollback):
        def run(*statements):
            with app.begin() as connection:
                for statement in statements:
                    connection.execute(text(statement))

        child, parent = "INSERT INTO child VALUES (7)", "INSERT INTO item VALUES (7, 'x')"
        run("CREATE TABLE child (id INTEGER REFERENCES item (id) DEFERRABLE INITIALLY DEFERRED)")
        with pytest.raises(IntegrityError):
            run(child)
        run(child, parent)
        with pytest.raises(IntegrityError):
            run("DELETE FROM item WHERE id = 7")
        run("DELETE FROM item WHERE id = 7", parent)
        assert names(app) == ["bread", "salt", "x"]

    def test_what_cannot_be_undone_is_told(request, app):
        with Session(app) as before:
            before.execute(text("SELECT 1"))
            request.getfixturevalue("toolkit_rollback")
            with pytest.raises(ConfigurationError, match="opened before toolkit_rollback"):
                before.commit()

    def test_at_last(app):
        assert names(app) == ["bread", "salt"]
        assert 1 <= len(heard) <= 3

    def test_committed_by_the_driver(app, toolkit_rollback):
        with app.connect() as connection:
            connection.connection.commit()
"""


@pytest.mark.slow
def test_the_next_test_sees_nothing_of_what_was_written_through_the_sessions_engine(project: Project) -> None:
    project.settings("toolkit_databases = sqlite postgres")
    project.test(SYNC)
    result = project.run("-rE")
    result.assert_outcomes(passed=13, errors=2)
    result.stdout.fnmatch_lines(["What the test wrote could not be undone*", "Commit sessions *"])
    assert [name.partition("_")[0] for name in project.databases()] == ["seed"]


ASYNC = """
    import asyncio

    from sqlalchemy.exc import IntegrityError
    from sqlalchemy.ext.asyncio import AsyncSession
    from toolkit.errors import ConfigurationError

    pytestmark = pytest.mark.usefixtures("toolkit_rollback")

    @pytest.fixture(scope="session")
    def app(toolkit_session_async_engine):
        return toolkit_session_async_engine

    @pytest.fixture(scope="session")
    def runner():
        with asyncio.Runner() as runner:
            yield runner

    async def check(app):
        async with AsyncSession(app) as session, AsyncSession(app) as other:
            assert await session.scalar(text("SELECT count(*) FROM item")) == 2
            await session.execute(text("DELETE FROM item"))
            await session.commit()
            await session.execute(text("INSERT INTO item VALUES (1, 'soap')"))
            async with session.begin_nested():
                await session.execute(text("INSERT INTO item VALUES (2, 'rice')"))
            await session.commit()
            with pytest.raises(IntegrityError):
                await session.execute(text("INSERT INTO item VALUES (1, 'again')"))
            await session.rollback()
            assert await other.scalar(text("SELECT count(*) FROM item")) == 2
            await other.execute(text("DELETE FROM item WHERE id = 1"))
        assert [row.name for row in await asyncio.gather(one(app), one(app))] == ["soap", "soap"]
        return AsyncSession(app)

    async def one(app):
        async with app.connect() as connection:
            return (await connection.execute(text("SELECT name FROM item WHERE id = 1"))).one()

    def test_in_a_loop_that_is_closed(app):
        asyncio.run(check(app))
        with pytest.raises(ConfigurationError, match="two event loops"):
            asyncio.run(one(app))

    @pytest.mark.parametrize("number", [1, 2])
    def test_in_a_loop_that_goes_on(app, runner, number):
        runner.run(check(app))

    @pytest.mark.anyio
    @pytest.mark.parametrize("anyio_backend", ["asyncio"])
    @pytest.mark.parametrize("number", [1, 2])
    async def test_in_the_loop_of_a_plugin(app, number):
        left_open = await check(app)
        await left_open.execute(text("DELETE FROM item"))

    def test_two_engines(app, runner, toolkit_session_engine):
        with toolkit_session_engine.begin() as connection:
            connection.execute(text("DELETE FROM item"))
        with pytest.raises(ConfigurationError, match="Two engines"):
            runner.run(check(app))
"""


@pytest.mark.slow
@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_the_same_holds_of_the_asynchronous_engine_in_whichever_event_loop(
    project: Project, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOLKIT_TEST_POSTGRES_URL", project.server.replace("postgresql:", f"postgresql+{driver}:"))
    databases = "sqlite postgres duckdb" if driver == "psycopg" else "postgres"
    project.settings(f"toolkit_databases = {databases}")
    project.test(ASYNC)
    result = project.run("-rA")
    result.assert_outcomes(passed=6 * len(databases.split()[:2]))


@pytest.mark.slow
def test_what_a_sessions_database_cannot_be_is_said_in_two_lines(project: Project) -> None:
    project.settings("toolkit_databases = duckdb")
    project.test(
        """
        def test_rollback(toolkit_rollback): pass
        def test_without(toolkit_session_engine, toolkit_engine):
            assert toolkit_session_engine.url != toolkit_engine.url
            assert toolkit_session_engine.connect().scalar(text("SELECT count(*) FROM item")) == 2
        def test_at_run_time(request): request.getfixturevalue("toolkit_session_database")
        """
    )
    result = project.run()
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["DuckDB has no savepoints, *", "Use toolkit_database, *"])
    project.test("@pytest.mark.toolkit(tables=[])\ndef test_marked(toolkit_session_engine): pass")
    result = project.run()
    result.stdout.fnmatch_lines(["@pytest.mark.toolkit(tables=…): test_marked has *", "Use toolkit_database, *"])
