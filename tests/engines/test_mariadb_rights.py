"""Roles of MariaDB that may only read: the catalogue hides from them what is to be carried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest

from tests.operations.databases import execute
from tests.servers import mariadb as server
from toolkit.config import Config, Database
from toolkit.engines import connect
from toolkit.errors import SchemaMismatchError, StatementError
from toolkit.operations.diff.compare import diff
from toolkit.operations.sync import sync
from toolkit.operations.transfer.options import Mode, Options


@pytest.fixture
def reader(config: Config, mariadb_url: str) -> Iterator[tuple[Config, str]]:
    """A configuration with a role without rights as `reader`, and the beginning of a GRANT for it."""
    name = mariadb_url.rpartition("/")[2]
    role = f"{name[:20]}@'127.0.0.1'"
    server.run(
        mariadb_url,
        "CREATE TABLE parent (id int PRIMARY KEY, secret text)",
        "CREATE TABLE child (id int PRIMARY KEY, parent int NOT NULL REFERENCES parent (id) ON DELETE CASCADE)",
        "INSERT INTO parent VALUES (1, 'x')",
        "INSERT INTO child VALUES (1, 1)",
        f"CREATE USER {role}",
    )
    database = Database("reader", mariadb_url.replace("root@", f"{name[:20]}@"))
    yield (
        replace(
            config, metadata="", migrations=config.root / "none", databases={**config.databases, "reader": database}
        ),
        role,
    )
    server.run(mariadb_url, f"DROP USER {role}")


def test_foreign_keys_are_carried_by_a_role_that_may_only_read(reader: tuple[Config, str], mariadb_url: str) -> None:
    config, role = reader
    # Rights may be given for all databases of which the names are alike.
    pattern = mariadb_url.rpartition("/")[2][:20].replace("_", "\\_") + "%"
    server.run(mariadb_url, f"GRANT SELECT ON `{pattern}`.* TO {role}")
    server.run(mariadb_url, "CREATE VIEW seen AS SELECT id FROM child")
    result = sync(config, "reader", "sqlite")
    assert ("seen", "view: Only tables are carried.") in {(each.table, each.reason) for each in result.warnings}
    (told,) = [each.reason for each in result.warnings if each.reason.startswith("grants")]
    assert told == (
        "grants: This role lacks TRIGGER, EXECUTE, EVENT: of the database's triggers, routines, events the server may "
        "tell it nothing. Only tables are carried."
    )
    with connect(config.database("sqlite")) as connection:
        (key,) = connection.schema().metadata.tables["child"].foreign_key_constraints
    assert (key.referred_table.name, key.ondelete) == ("parent", "CASCADE")


def test_columns_and_tables_that_a_role_may_not_read_are_refused_until_they_are_left_out(
    reader: tuple[Config, str], mariadb_url: str
) -> None:
    config, role = reader
    name = mariadb_url.rpartition("/")[2]
    server.run(
        mariadb_url,
        f"GRANT SELECT (id) ON {name}.parent TO {role}",
        f"GRANT INSERT ON {name}.child TO {role}",
        f"CREATE TABLE {name}.open (id int PRIMARY KEY)",
        f"GRANT SELECT ON {name}.open TO {role}",
    )
    for attempt in (sync, diff):
        with pytest.raises(SchemaMismatchError) as refused:
            attempt(config, "reader", "sqlite" if attempt is sync else "reader")
        assert refused.value.fact == (
            "reader may have rows in child, and this role may not read all of it; reader may have rows in parent, and "
            "this role may not read all of it."
        )
    assert "GRANT SELECT ON child TO …" in refused.value.advice
    result = sync(config, "reader", "sqlite", exclude=("parent", "child"))
    assert [each.table for each in result.tables] == ["open"]
    # Nor does the server say whether there are others.
    told, _ = [each.reason for each in result.warnings]
    assert told.startswith("grants: This role has rights on single tables. Others, of which the server tells it")


@pytest.mark.parametrize(
    ("grants", "told"),
    [
        (["SELECT ON *.*"], ["lacks TRIGGER, EVENT:"]),
        (["SELECT, TRIGGER ON `test\\_%`.*"], ["lacks EXECUTE, EVENT:"]),
        # The closest pattern alone counts.
        (["SELECT, EVENT ON {name}.*", "TRIGGER, EXECUTE ON `test%`.*"], ["lacks TRIGGER, EXECUTE:"]),
        (
            ["SELECT, TRIGGER, ALTER ROUTINE, EVENT ON `test\\_other`.*"],
            ["on single", "lacks TRIGGER, EXECUTE, EVENT:"],
        ),
        # It may read what others may do, which is not what it may do.
        (["SELECT ON mysql.*"], ["on single tables", "lacks TRIGGER, EVENT:"]),
        (["SELECT, TRIGGER, CREATE ROUTINE, EVENT ON *.*"], []),
        (["ALL ON {name}.*"], []),
    ],
)
@pytest.mark.parametrize("is_by_role", [False, True])
def test_what_a_role_is_not_told_of_is_said_once_whether_its_rights_are_its_own_or_a_roles(
    reader: tuple[Config, str], mariadb_url: str, grants: list[str], told: list[str], is_by_role: bool
) -> None:
    config, user = reader
    name = mariadb_url.rpartition("/")[2]
    role = f"{name[:20]}_role"
    run = partial(server.run, mariadb_url)
    run(f"GRANT SELECT ON {name}.parent TO {user}", f"GRANT SELECT ON {name}.child TO {user}")
    try:
        if is_by_role:
            inner = f"{role}_inner"
            run(f"CREATE ROLE {role}", f"CREATE ROLE {inner}", f"GRANT {inner} TO {role}", f"GRANT {role} TO {user}")
            run(f"SET DEFAULT ROLE {role} FOR {user}")
        run(*(f"GRANT {each.format(name=name)} TO {inner if is_by_role else user}" for each in grants))
        with connect(config.database("reader")) as connection:
            notes = [note.reason for note in connection.schema().notes if note.what == "grants"]
    finally:
        run(f"DROP ROLE IF EXISTS {role}, {role}_inner")
    assert len(notes) == len(told)
    assert all(expected in note for expected, note in zip(told, notes, strict=True))


@pytest.mark.parametrize("action", ["", "ON DELETE CASCADE"])
def test_rows_that_a_role_cannot_see_do_not_lose_their_parents_untold(
    config: Config, mariadb_server: str, mariadb_url: str, action: str
) -> None:
    """They are in another database, and the catalogue does not tell that they point here."""
    name = mariadb_url.rpartition("/")[2]
    role = f"{name[:20]}@'127.0.0.1'"
    with server.database(mariadb_server) as elsewhere:
        server.run(
            mariadb_url,
            "CREATE TABLE parent (id int PRIMARY KEY)",
            "INSERT INTO parent VALUES (1), (2)",
            f"CREATE TABLE {elsewhere.rpartition('/')[2]}.child (id int PRIMARY KEY, "
            f"parent int REFERENCES {name}.parent (id) {action})",
            f"INSERT INTO {elsewhere.rpartition('/')[2]}.child VALUES (1, 1), (2, 2)",
            f"CREATE USER {role}",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON {name}.* TO {role}",
        )
        databases = {**config.databases, "writer": Database("writer", mariadb_url.replace("root@", f"{name[:20]}@"))}
        config = replace(config, metadata="", migrations=config.root / "none", databases=databases)
        execute(
            config.database("sqlite"), "CREATE TABLE parent (id integer PRIMARY KEY)", "INSERT INTO parent VALUES (2)"
        )
        replacing = Options(mode=Mode.REPLACE)
        if action:
            assert sync(config, "sqlite", "writer", options=replacing).verified
        else:
            with pytest.raises(StatementError, match="a foreign key constraint fails"):
                sync(config, "sqlite", "writer", options=replacing)
        rows = server.run(
            elsewhere, f"SELECT c.id, p.id FROM child AS c LEFT JOIN {name}.parent AS p ON p.id = c.parent"
        )
        assert sorted(rows) == ([(2, 2)] if action else [(1, 1), (2, 2)])
        server.run(mariadb_url, f"DROP USER {role}")


@pytest.mark.parametrize("nullable", ["NULL", "NOT NULL"])
def test_rows_that_a_role_cannot_see_keep_their_parents_where_it_sees_other_rows_that_point_there(
    config: Config, mariadb_server: str, mariadb_url: str, nullable: str
) -> None:
    """Rows that go may point at one another, in a ring too."""
    name = mariadb_url.rpartition("/")[2]
    role = f"{name[:20]}@'127.0.0.1'"
    with server.database(mariadb_server) as elsewhere:
        server.run(
            mariadb_url,
            "SET foreign_key_checks = 0",
            f"CREATE TABLE parent (id int PRIMARY KEY, boss int {nullable} REFERENCES parent (id), "
            "best int REFERENCES seen (id))",
            "CREATE TABLE seen (id int PRIMARY KEY, parent int NOT NULL REFERENCES parent (id))",
            "INSERT INTO parent VALUES (1, 3, 1), (2, 2, 2), (3, 1, NULL), (4, 1, NULL)",
            "INSERT INTO seen VALUES (1, 1), (2, 2), (3, 4)",
            f"CREATE TABLE {elsewhere.rpartition('/')[2]}.child (id int PRIMARY KEY, "
            f"parent int NOT NULL REFERENCES {name}.parent (id))",
            f"INSERT INTO {elsewhere.rpartition('/')[2]}.child VALUES (1, 1), (2, 2)",
            f"CREATE USER {role}",
            f"GRANT SELECT, INSERT, UPDATE, DELETE, REFERENCES ON {name}.* TO {role}",
        )
        databases = {**config.databases, "writer": Database("writer", mariadb_url.replace("root@", f"{name[:20]}@"))}
        config = replace(config, metadata="", migrations=config.root / "none", databases=databases)
        execute(
            config.database("sqlite"),
            "CREATE TABLE parent (id integer PRIMARY KEY, boss integer, best integer)",
            "CREATE TABLE seen (id integer PRIMARY KEY, parent integer NOT NULL)",
            "INSERT INTO parent VALUES (2, 2, 2)",
            "INSERT INTO seen VALUES (2, 2), (3, 2)",
        )
        replacing = Options(mode=Mode.REPLACE)
        read = ("SELECT id, boss, best FROM parent ORDER BY id", "SELECT id, parent FROM seen ORDER BY id")
        before = [server.run(mariadb_url, each) for each in read]
        refusal = "a foreign key constraint fails" if nullable == "NULL" else "pointed at by others to delete"
        with pytest.raises(StatementError, match=refusal):
            sync(config, "sqlite", "writer", options=replacing)
        assert [server.run(mariadb_url, each) for each in read] == before
        server.run(elsewhere, "DELETE FROM child WHERE id = 1")
        if nullable == "NOT NULL":
            # The server would not delete them one by one. What it tells the role of all databases lets it.
            server.run(mariadb_url, f"GRANT SELECT ON *.* TO {role}")
        assert sync(config, "sqlite", "writer", options=replacing).verified
        assert [server.run(mariadb_url, each) for each in read] == [[(2, 2, 2)], [(2, 2), (3, 2)]]
        server.run(mariadb_url, f"DROP USER {role}")
