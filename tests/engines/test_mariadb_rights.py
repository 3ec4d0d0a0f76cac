"""Roles of MariaDB that may only read: the catalogue hides from them what is to be carried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

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
    assert not [each for each in result.warnings if each.reason.startswith("grants")]
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
    (told,) = [each.reason for each in result.warnings]
    assert told.startswith("grants: This role has rights on single tables. Others, of which the server tells it")


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
