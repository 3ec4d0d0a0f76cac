"""Templates: made once for each content, by one process for all; clones of killed processes are removed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from tests.pytest_plugin.conftest import Project, databases_of
from toolkit.config import Config, load_config
from toolkit.errors import ConfigurationError, ToolkitError
from toolkit.testing.pool import Pool
from toolkit.testing.seeds import Seed

TEST = """
    @pytest.mark.parametrize("number", range(2))
    def test_rows(toolkit_session, number):
        assert toolkit_session.scalar(text("SELECT count(*) FROM item")) == 2
        toolkit_session.execute(text("DELETE FROM item"))
        toolkit_session.commit()
"""


@pytest.mark.slow
def test_the_next_run_takes_the_same_template_until_the_content_changes(project: Project) -> None:
    project.test(TEST)
    project.run().assert_outcomes(passed=6)
    project.run().assert_outcomes(passed=6)
    assert len(project.created()) == 3
    project.fixture("item", {"id": 1, "name": "rice"}, {"id": 2, "name": "salt"})
    project.run().assert_outcomes(passed=6)
    assert len(project.created()) == 6
    assert len(project.databases()) == 2


@pytest.mark.slow
def test_processes_share_a_template_and_make_a_new_one_where_they_are_told_to(project: Project) -> None:
    project.test(TEST)
    # All files are templates in one way.
    project.settings("toolkit_databases = sqlite postgres")
    project.run("-k", "0").assert_outcomes(passed=2, deselected=2)
    result = project.pytester.runpytest_subprocess("-n", "2", "--toolkit-rebuild")
    result.assert_outcomes(passed=4)
    assert sorted(project.created()) == sorted(["postgresql", "sqlite"] * 2)
    assert [name.partition("_")[0] for name in project.databases()] == ["seed"]
    assert [path.suffix for path in project.files()] == [".json", ".template"]


@pytest.mark.slow
def test_what_a_killed_run_leaves_is_removed_by_the_next(project: Project) -> None:
    project.test(
        """
        import os, signal

        @pytest.mark.toolkit(databases=["sqlite"])
        def test_killed(toolkit_session, _toolkit_pool):
            from toolkit.testing.seeds import Seed

            config = _toolkit_pool.config
            _toolkit_pool.clone("postgres", Seed(config, config.fixtures))
            if os.environ["KILLED"] == "yes":
                os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    project.pytester._monkeypatch.setenv("KILLED", "yes")
    project.pytester.runpytest_subprocess()
    assert [name.partition("_")[0] for name in project.databases()] == ["run", "seed"]
    assert [path.name for path in project.files() if path.suffix != ".template"] == ["test.sqlite"]
    project.pytester._monkeypatch.setenv("KILLED", "no")
    project.run().assert_outcomes(passed=1)
    assert [name.partition("_")[0] for name in project.databases()] == ["seed"]
    assert [path.suffix for path in project.files()] == [".template"]


@pytest.mark.slow
def test_the_embedded_server_is_the_plugins_own_and_stops(project: Project) -> None:
    # Not under pytest's own directory: see `postgres_server`.
    cache = Path(tempfile.mkdtemp(prefix="tk-"))
    project.settings("toolkit_databases = postgres", f"cache_dir = {cache}", "toolkit_postgres_url = embedded")
    project.pytester._monkeypatch.delenv("TOOLKIT_TEST_POSTGRES_URL")
    project.pytester._monkeypatch.setenv("TOOLKIT_POSTGRES_URL", project.server)
    project.test(TEST)
    try:
        project.pytester.runpytest_subprocess().assert_outcomes(passed=2)
        cluster = cache / "d" / "toolkit" / "postgres"
        assert (cluster / "PG_VERSION").exists()
        assert not (cluster / "postmaster.pid").exists()
        assert (cluster / "toolkit.password").exists()
        assert "trust" not in (cluster / "pg_hba.conf").read_text()
        assert not (project.pytester.path / ".toolkit").exists()
        assert project.databases() == []
    finally:
        shutil.rmtree(cache)


@pytest.fixture
def own(project: Project) -> Config:
    """The project's configuration."""
    return load_config(project.pytester.path)


@pytest.fixture
def pool(project: Project, own: Config, tmp_path: Path) -> Iterator[Pool]:
    """Databases of the project, without a run of pytest."""
    pool = Pool(own, tmp_path / "pool", {"postgres": project.server})
    yield pool
    pool.close()


def test_clones_of_a_living_process_stay(project: Project, own: Config, pool: Pool, tmp_path: Path) -> None:
    seed = Seed(own, own.fixtures)
    clones = [pool.clone(name, seed) for name in ("sqlite", "postgres")]
    other = Pool(own, tmp_path / "pool", {"postgres": project.server})
    for name in ("sqlite", "postgres"):
        other.drop(other.clone(name, seed))
    other.close()
    for clone in clones:
        with clone.engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM item").scalar() == 2
        pool.drop(clone)


def test_no_database_is_made_on_a_server_that_is_not_named_for_tests(
    project: Project, own: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = project.server.replace("//postgres:@", "//postgres:secret@")
    monkeypatch.setenv("TOOLKIT_POSTGRES_URL", secret)
    configured = load_config(project.pytester.path)
    with pytest.raises(ConfigurationError, match="No server is named for tests, and postgres is configured") as caught:
        Pool(configured, tmp_path).clone("postgres", Seed(configured, own.fixtures))
    assert "TOOLKIT_TEST_POSTGRES_URL" in caught.value.advice
    assert "secret" not in str(caught.value)
    assert project.databases() == []
    with pytest.raises(ConfigurationError, match="The server for tests is not PostgreSQL: sqlite:"):
        Pool(configured, tmp_path, {"postgres": "sqlite:///x"}).clone("postgres", Seed(configured, own.fixtures))
    # The variable is none of a database that commands know.
    assert "test_postgres" not in configured.databases


def test_the_variable_goes_before_the_setting(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.settings("toolkit_databases = postgres", "toolkit_postgres_url = postgresql://nowhere.invalid/x")
    project.test(TEST)
    project.run().assert_outcomes(passed=2)
    monkeypatch.delenv("TOOLKIT_TEST_POSTGRES_URL")
    project.settings("toolkit_databases = postgres", f"toolkit_postgres_url = {project.server}")
    project.run().assert_outcomes(passed=2)
    assert [name.partition("_")[0] for name in project.databases()] == ["seed"]


def test_templates_that_nobody_used_for_long_are_removed(
    project: Project, own: Config, pool: Pool, tmp_path: Path
) -> None:
    for name in ("sqlite", "postgres"):
        pool.drop(pool.clone(name, Seed(own, own.fixtures)))
    [template] = (tmp_path / "pool" / "sqlite").glob("*.template")
    os.utime(template, (0, 0))
    with psycopg.connect(project.server, autocommit=True) as connection:
        [(name,)] = databases_of(connection, project)
        connection.execute(f"COMMENT ON DATABASE {name} IS '2020-01-01'")
    # Whoever uses a template keeps it.
    pool.close()
    other = Pool(own, tmp_path / "pool", {"postgres": project.server})
    for name in ("sqlite", "postgres"):
        other.drop(other.clone(name, Seed(own, own.fixtures, ())))
    other.close()
    assert not template.exists()
    assert len(project.databases()) == 1


def test_a_template_is_not_half_made(project: Project, own: Config, pool: Pool) -> None:
    project.fixture("item", {"id": "one"})
    errors = []
    for _ in range(2):
        with pytest.raises(ToolkitError, match="is not an integer") as caught:
            pool.clone("postgres", Seed(own, own.fixtures))
        errors.append(caught.value)
    assert project.databases() == []
    # Not tried again for every test.
    assert errors[0] is errors[1]


def test_the_name_of_the_content(own: Config) -> None:
    seed = Seed(own, own.fixtures)
    database = own.database("sqlite")
    bundled = Seed(replace(own, metadata="toolkit.models.todo:metadata"), own.fixtures)
    versions = own.root / "migrations" / "versions"
    names = [seed.digest(database), Seed(own, own.fixtures, ()).digest(database), bundled.digest(database)]
    versions.mkdir(parents=True)
    (versions / "0001.py").write_text("")
    names.append(seed.digest(database))
    (own.fixtures / "price.json").write_text("[]")
    names.append(seed.digest(database))
    names.append(Seed(own, own.fixtures, ("price",)).digest(database))
    (own.fixtures / "item.json").write_text("[]")
    # A file that is not loaded does not count.
    assert Seed(own, own.fixtures, ("price",)).digest(database) == names[-1]
    assert len(set(names)) == len(names)


def test_a_role_that_may_not_create_databases_is_told(project: Project, own: Config, tmp_path: Path) -> None:
    with psycopg.connect(project.server, autocommit=True) as connection:
        connection.execute("CREATE ROLE visitor LOGIN")
    url = project.server.replace("//postgres:@", "//visitor@")
    visiting = Pool(own, tmp_path / "pool", {"postgres": url})
    with pytest.raises(ToolkitError, match="permission denied to create database"):
        visiting.clone("postgres", Seed(own, own.fixtures))
    visiting.close()
    with psycopg.connect(project.server, autocommit=True) as connection:
        connection.execute("DROP ROLE visitor")


def test_a_test_may_read_files_in_its_own_duckdb_database(own: Config, pool: Pool, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("7\n")
    clone = pool.clone("duckdb", Seed(own, own.fixtures))
    with clone.engine.connect() as connection:
        found = connection.exec_driver_sql(f"SELECT * FROM read_csv('{tmp_path}/rows.csv', header = false)").scalar()
    pool.drop(clone)
    assert found == 7
