"""Databases for tests on a MariaDB server: copied, each test's own, gone at the end."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pymysql
import pytest

from tests.pytest_plugin.conftest import Project
from tests.pytest_plugin.test_asynchronous import TESTS
from tests.pytest_plugin.test_templates import TEST
from tests.servers import mariadb as server
from toolkit.config import Database, load_config
from toolkit.errors import ConfigurationError
from toolkit.testing.pool import Pool
from toolkit.testing.seeds import Seed


@pytest.fixture
def address(mariadb_server: str, project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server for tests that the project names, and databases of no other."""
    monkeypatch.setenv("TOOLKIT_TEST_MARIADB_URL", mariadb_server)
    project.settings("toolkit_databases = mariadb")
    yield mariadb_server
    for name in databases(mariadb_server, project.pytester.path):
        server.run(mariadb_server, f"DROP DATABASE toolkit_{prefix_of(project.pytester.path)}_{name}")


def prefix_of(root: Path) -> str:
    """What tells a project's databases apart."""
    return hashlib.sha256(f"{root}\n".encode()).hexdigest()[:8]


def databases(address: str, root: Path) -> list[str]:
    """The project's, without what they all begin with."""
    start = f"toolkit_{prefix_of(root)}_"
    rows = server.run(address, "SELECT schema_name FROM information_schema.schemata ORDER BY 1")
    return [name.removeprefix(start) for (name,) in rows if name.startswith(start)]


def kinds(address: str, project: Project) -> list[str]:
    """Whether they are templates or clones."""
    return [name.partition("_")[0] for name in databases(address, project.pytester.path)]


def test_a_template_that_is_being_made_is_waited_for(project: Project, address: str, tmp_path: Path) -> None:
    root, begun = project.pytester.path, Event()
    made: list[int] = []
    waiting = (
        "SELECT count(*) FROM information_schema.processlist WHERE state = 'User lock' "
        f"AND info LIKE '%toolkit!_{prefix_of(root)}!_%' ESCAPE '!'"
    )

    def fill(_: str) -> list[str]:
        made.append(threading.get_ident())
        begun.set()
        deadline = time.monotonic() + 60
        while len(made) == 1 and server.run(address, waiting) != [(1,)] and time.monotonic() < deadline:
            time.sleep(0.02)
        return ["noted"]

    database = Database("mariadb", address, root)
    one, other = (database.kind.templates(database, tmp_path, None) for _ in range(2))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(one.ensure, "key", fill)
        assert begun.wait(60)
        second = pool.submit(other.ensure, "key", fill)
        assert [list(each.result()) for each in (first, second)] == [["noted"]] * 2
    one.close()
    other.close()
    assert len(made) == 1


@pytest.mark.slow
def test_a_template_is_made_again_where_the_content_changes_or_it_is_asked_for(project: Project, address: str) -> None:
    project.test(TEST)
    project.run().assert_outcomes(passed=2)
    project.run().assert_outcomes(passed=2)
    assert project.created() == ["mysql"]
    project.run("--toolkit-rebuild").assert_outcomes(passed=2)
    assert project.created() == ["mysql"] * 2
    project.fixture("item", {"id": 1, "name": "rice"}, {"id": 2, "name": "salt"})
    project.run().assert_outcomes(passed=2)
    assert project.created() == ["mysql"] * 3
    assert kinds(address, project) == ["seed", "seed"]
    result = project.run("--toolkit-prune")
    result.stdout.fnmatch_lines(["Removed toolkit_*_seed_*."])
    assert kinds(address, project) == []


@pytest.mark.slow
@pytest.mark.parametrize("driver", ["asyncmy", "aiomysql"])
def test_sessions_of_asynchronous_drivers_need_not_be_closed(
    project: Project, address: str, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOLKIT_TEST_MARIADB_URL", address.replace("mariadb:", f"mysql+{driver}:"))
    project.test(TESTS.replace("{drivers}", str((driver,))))
    result = project.run("-rA")
    result.assert_outcomes(passed=4)
    result.stdout.no_fnmatch_line("*Exception terminating*")
    assert kinds(address, project) == ["seed"]


def test_what_a_test_of_the_session_wrote_is_undone(project: Project, address: str) -> None:
    project.test(
        """
        @pytest.mark.parametrize("number", [1, 2])
        def test_it(toolkit_session_engine, toolkit_rollback, number):
            with toolkit_session_engine.begin() as connection:
                connection.execute(text("DELETE FROM item WHERE id = 1"))
            with toolkit_session_engine.connect() as connection:
                assert connection.scalar(text("SELECT count(*) FROM item")) == 1
        """
    )
    project.run().assert_outcomes(passed=2)


@pytest.mark.slow
def test_what_a_killed_run_leaves_is_removed_by_the_next(project: Project, address: str) -> None:
    project.test(
        """
        import os, signal

        def test_killed(toolkit_session):
            assert toolkit_session.scalar(text("SELECT count(*) FROM item")) == 2
            if os.environ["KILLED"] == "yes":
                os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    project.pytester._monkeypatch.setenv("KILLED", "yes")
    project.pytester.runpytest_subprocess()
    assert kinds(address, project) == ["run", "seed"]
    project.pytester._monkeypatch.setenv("KILLED", "no")
    project.run().assert_outcomes(passed=1)
    assert kinds(address, project) == ["seed"]


def test_clones_and_templates_of_a_living_process_stay_and_others_go_after_a_week(
    project: Project, address: str, tmp_path: Path
) -> None:
    root = project.pytester.path
    config = load_config(root, {"TOOLKIT_MARIADB_URL": address})
    living, other = (Pool(config, tmp_path / "pool", {"mariadb": address}) for _ in range(2))
    clone = living.clone("mariadb", Seed(config, config.fixtures))
    [template] = [name for name in databases(address, root) if name.startswith("seed")]
    assert other.prune("mariadb", dry_run=False) == []
    old = f"UPDATE toolkit_{prefix_of(root)}_{template}.toolkit_uses SET day = '2020-01-01'"
    server.run(address, old)
    other.drop(other.clone("mariadb", Seed(config, config.fixtures, ())))
    assert template in databases(address, root)
    # Somebody who is still connected to it keeps nobody.
    with clone.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM item").scalar() == 2
        living._of("mariadb").drop(clone.address)
        connection.invalidate()
    living.close()
    other.close()
    server.run(address, old)
    last = Pool(config, tmp_path / "pool", {"mariadb": address})
    last.drop(last.clone("mariadb", Seed(config, config.fixtures, ("item",))))
    last.close()
    assert template not in databases(address, root)


def test_no_database_is_made_on_a_server_that_is_not_named_for_tests(
    project: Project, mariadb_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOLKIT_MARIADB_URL", mariadb_server.replace("root@", "root:secret@") + "app")
    config = load_config(project.pytester.path)
    with pytest.raises(ConfigurationError, match="No server is named for tests of mariadb") as caught:
        Pool(config, tmp_path).clone("mariadb", Seed(config, config.fixtures))
    assert "TOOLKIT_TEST_MARIADB_URL" in caught.value.advice
    assert "secret" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="The server for tests is not MariaDB: sqlite:"):
        Pool(config, tmp_path, {"mariadb": "sqlite:///x"}).clone("mariadb", Seed(config, config.fixtures))
    assert "test_mariadb" not in config.databases


def test_a_clone_has_all_that_its_template_has_or_is_refused(project: Project, address: str, tmp_path: Path) -> None:
    root = project.pytester.path
    database = Database("mariadb", address, root)
    templates = database.kind.templates(database, tmp_path, None)

    def failing(_: str) -> list[str]:
        raise KeyError("no such fixture")

    def fill(made: str) -> list[str]:
        server.run(
            made,
            f"ALTER DATABASE {made.rpartition('/')[2]} CHARACTER SET latin2 COLLATE latin2_bin",
            "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO', foreign_key_checks = 0",
            "CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT, b INT REFERENCES z (id), c INT AS (b + 1) STORED)",
            "CREATE TABLE z (id INT PRIMARY KEY, own INT REFERENCES a (id))",
            "INSERT INTO z VALUES (7, 5)",
            "INSERT INTO a (id, b) VALUES (0, 7), (5, 7)",
        )
        return []

    with pytest.raises(KeyError):
        templates.ensure("key", failing)
    assert databases(address, root) == []
    templates.ensure("key", fill)
    clone = templates.clone("key")
    assert server.run(clone, "SELECT a.id, z.id, c FROM a JOIN z ON z.id = b") == [(0, 7, 8), (5, 7, 8)]
    assert server.run(clone, "SELECT @@collation_database") == [("latin2_bin",)]
    with pytest.raises(pymysql.err.IntegrityError):
        server.run(clone, "INSERT INTO a (b) VALUES (8)")
    assert databases(address, root)[0].startswith("run_")
    template = next(name for name in databases(address, root) if name.startswith("seed"))
    server.run(f"{address}toolkit_{prefix_of(root)}_{template}", "CREATE VIEW seen AS SELECT id FROM a")
    with pytest.raises(ConfigurationError, match="without views, triggers and routines, and it has 'seen'"):
        templates.clone("key")
    templates.close()
    assert databases(address, root) == [template]


def test_clones_have_sequences_of_their_own(project: Project, address: str, tmp_path: Path) -> None:
    """The server writes the template's name before that of a default's sequence."""

    def fill(made: str) -> list[str]:
        server.run(
            made,
            "CREATE SEQUENCE `it's` START WITH 5 INCREMENT BY 2",
            "CREATE TABLE a (id INT PRIMARY KEY DEFAULT nextval(`it's`), b INT)",
            "INSERT INTO a (b) VALUES (1)",
        )
        return []

    database = Database("mariadb", address, project.pytester.path)
    templates = database.kind.templates(database, tmp_path, None)
    templates.ensure("key", fill)
    added = ("INSERT INTO a (b) VALUES (2)", "SELECT id, b FROM a ORDER BY b")
    first, second = (server.run(templates.clone("key"), *added) for _ in range(2))
    templates.close()
    assert first == second
    assert first[0] == (5, 1)
