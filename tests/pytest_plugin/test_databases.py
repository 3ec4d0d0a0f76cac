"""What a test gets, on which engines, and that it has it for itself."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import psycopg
import pytest

from tests.pytest_plugin.conftest import Project

ROOT = Path(__file__).parents[2]
NAMES = "SELECT name FROM item ORDER BY id"


@pytest.mark.slow
def test_each_test_has_a_seeded_database_of_its_own_on_each_engine(project: Project) -> None:
    project.test(
        f"""
        @pytest.mark.parametrize("number", [1, 2])
        def test_rows(toolkit_session, toolkit_engine, toolkit_url, toolkit_database, number):
            assert toolkit_session.scalars(text("{NAMES}")).all() == ["bread", "salt"]
            assert toolkit_url.get_backend_name() == toolkit_engine.name == toolkit_database.engine_name
            toolkit_session.execute(text("DELETE FROM item"))
            toolkit_session.execute(text("CREATE TABLE other (id INTEGER)"))
            toolkit_session.commit()
        """
    )
    result = project.run("-v")
    result.assert_outcomes(passed=6)
    result.stdout.fnmatch_lines_random(["*test_rows[[]sqlite-1] PASSED*", "*[[]postgres-2] *", "*[[]duckdb-2] *"])
    assert sorted(project.created()) == ["duckdb", "postgresql", "sqlite"]
    # Templates stay, clones do not; and the configured database was not written to.
    assert [name.partition("_")[0] for name in project.databases()] == ["seed"]
    assert [path.suffix for path in project.files()] == [".template", ".template"]
    with psycopg.connect(project.server) as connection:
        assert connection.execute("SELECT FROM pg_tables WHERE schemaname = 'public'").fetchall() == []


def test_sqlite_is_the_default(project: Project) -> None:
    project.settings()
    project.test("def test_one(toolkit_url): assert toolkit_url.drivername == 'sqlite'")
    project.run().assert_outcomes(passed=1)
    assert project.databases() == []


def test_a_run_without_databases_makes_nothing(project: Project) -> None:
    project.test("def test_one(): pass")
    project.run().assert_outcomes(passed=1)
    assert (project.files(), project.databases()) == ([], [])


def test_the_nearest_marker_says(project: Project) -> None:
    project.pytester.mkdir("others")
    (project.pytester.path / "others" / "item.json").write_text('[{"id": 3, "name": "soap"}]')
    project.fixture("price", {"id": 7})
    project.test(
        """
        @pytest.mark.toolkit(tables=["price"], databases=["sqlite"])
        class TestPrices:
            def test_only(self, toolkit_session):
                assert toolkit_session.scalars(text("SELECT id FROM price")).all() == [7]
                assert toolkit_session.scalars(text("SELECT id FROM item")).all() == []

            @pytest.mark.toolkit(tables=[])
            def test_empty(self, toolkit_session):
                assert toolkit_session.scalars(text("SELECT id FROM price")).all() == []

            @pytest.mark.toolkit(tables=None, fixtures="others")
            def test_others(self, toolkit_session):
                assert toolkit_session.scalars(text("SELECT name FROM item")).all() == ["soap"]
        """
    )
    project.run().assert_outcomes(passed=3)


def test_a_test_that_cannot_be_parametrized_gets_the_one_database(project: Project) -> None:
    project.settings()
    project.test(
        """
        import unittest

        class TestOld(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def database(self, toolkit_session):
                self.session = toolkit_session

            def test_rows(self):
                assert len(self.session.scalars(text("SELECT id FROM item")).all()) == 2

        def test_at_run_time(request):
            assert request.getfixturevalue("toolkit_session").scalar(text("SELECT count(*) FROM item")) == 2
        """
    )
    project.run().assert_outcomes(passed=2)
    project.settings("toolkit_databases = sqlite duckdb")
    result = project.run("-k", "run_time")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["test_at_run_time asks for a database at run time.", "Mark it with one: *sqlite*"])


@pytest.mark.slow
def test_the_example_in_the_readme_runs(project: Project) -> None:
    """On the bundled schema: with its migrations."""
    for name in ("fixtures", "migrations"):
        link = project.pytester.path / ("bundled" if name == "fixtures" else name)
        link.symlink_to(ROOT / name)
    project.settings(
        "toolkit_databases = sqlite postgres",
        "toolkit_metadata = toolkit.models.todo:metadata",
        "toolkit_fixtures = bundled",
    )
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Seeding test databases")[2]
    example = re.findall(r"```python\n(.*?)```", section.partition("<details>")[0], re.DOTALL)[0]
    project.test(
        example + "\n@pytest.fixture\ndef anyio_backend(): return 'asyncio'\n"
        "\n\ndef test_migrated(toolkit_session):\n"
        "    assert toolkit_session.scalar(text('SELECT version_num FROM alembic_versions'))\n"
    )
    project.run().assert_outcomes(passed=6)


MYAPP = """
    from sqlalchemy import insert, func, select
    from sqlalchemy.orm import sessionmaker
    from shop import item

    Session = sessionmaker()

    def create_app(engine):
        async def app(method):
            async with engine.begin() as connection:
                if method == "post":
                    await connection.execute(insert(item).values(id=3))
                return await connection.scalar(select(func.count()).select_from(item))
        return app

    class FlaskApp:
        def __init__(self, engine):
            self.engine = engine
        def test_client(self):
            return self
        def post(self):
            with self.engine.begin() as connection:
                connection.execute(insert(item).values(id=3))
        def get(self):
            with self.engine.connect() as connection:
                return connection.scalar(select(func.count()).select_from(item))

    create_flask_app = FlaskApp
"""
# What the frameworks' own does with an application: all requests in the event loop of another thread.
TESTCLIENT = """
    from anyio.from_thread import start_blocking_portal

    class TestClient:
        __test__ = False
        def __init__(self, app):
            self.app = app
        def __enter__(self):
            self.portal = start_blocking_portal()
            self.call = self.portal.__enter__().call
            return self
        def __exit__(self, *error):
            self.portal.__exit__(*error)
        def post(self):
            return self.call(self.app, "post")
        def get(self):
            return self.call(self.app, "get")
"""
REQUESTS = """
    client.post()
    assert client.get() == 3
"""
# By the first words of a recipe.
USES = {
    "FastAPI": f"def test_it(client, number):{REQUESTS}",
    "Flask": f"def test_it(client, number):{REQUESTS}",
    "SQLAlchemy": """def test_it(number):
    with Session.begin() as session:
        session.execute(text("DELETE FROM item"))
    with Session() as session:
        assert session.scalar(text("SELECT count(*) FROM item")) == 0
""",
    "factory_boy": """def test_it(factories, number):
    assert ItemFactory._meta.sqlalchemy_session is PriceFactory.__session__ is factories
    factories.execute(text("DELETE FROM item WHERE id = 1"))
    factories.commit()
    assert factories.scalar(text("SELECT count(*) FROM item")) == 1
""",
    "pytest-alembic": """def test_it(alembic_engine, number):
    with alembic_engine.begin() as connection:
        connection.execute(text("CREATE TABLE item (id INTEGER)"))
""",
}


@pytest.mark.slow
def test_the_recipes_in_the_readme_run(project: Project) -> None:
    """With stand-ins for the frameworks, which do with an engine what these do."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("<summary>One database for all tests")[2]
    recipes = re.findall(r"```python\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
    names = [re.findall(r"[\w-]+", recipe)[0] for recipe in recipes]
    assert names == list(USES)
    factories = "class Made:\n    class _meta: pass\nItemFactory = PriceFactory = Made\n"
    sources = {"myapp/__init__.py": MYAPP, "myapp/factories.py": factories}
    sources |= {"fastapi/__init__.py": "", "fastapi/testclient.py": TESTCLIENT}
    for number, (name, recipe) in enumerate(zip(names, recipes, strict=True)):
        head = "from sqlalchemy import text\n"
        sources[f"test_{number}.py"] = f"{head}{recipe}\n@pytest.mark.parametrize('number', [1, 2])\n{USES[name]}"
    for path, source in sources.items():
        (project.pytester.path / path).parent.mkdir(exist_ok=True)
        (project.pytester.path / path).write_text(textwrap.dedent(source))
    project.settings("toolkit_databases = sqlite postgres", "pythonpath = .")
    project.run().assert_outcomes(passed=20)


def test_a_test_says_how_its_fixtures_are_loaded(project: Project) -> None:
    project.fixture("item", {"name": "bread"}, {"name": "salt"})
    project.fixture("price", {"id": 1})
    project.settings("toolkit_databases = sqlite")
    project.test("""
        @pytest.mark.toolkit(match={"item": ["name"]}, exclude=["price"], mode="insert")
        def test_rows(toolkit_session):
            rows = toolkit_session.execute(text("SELECT id, name FROM item ORDER BY id")).all()
            assert rows == [(1, "bread"), (2, "salt")]
            assert toolkit_session.scalar(text("SELECT count(*) FROM price")) == 0

        def test_no_match(toolkit_session):
            pass

        @pytest.mark.toolkit(mode="delete")
        def test_no_mode(toolkit_session):
            pass
    """)
    result = project.run()
    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines(
        ["*lacks id, and no unique key of item*", "*there is no mode 'delete'.", "Known: upsert, insert, replace."]
    )
