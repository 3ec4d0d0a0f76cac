"""Migrations on MariaDB: what is said where statements commit by themselves, and what a changed column keeps."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pymysql
import pytest
import sqlalchemy as sa

from tests.operations.databases import connected
from tests.operations.test_migrate import write_revision
from tests.servers import mariadb as server
from toolkit.cli import run
from toolkit.config import Config, Database
from toolkit.engines.mariadb import alembic_session, kept_column
from toolkit.errors import (
    EXIT_INTERRUPTED,
    MigrationError,
    SchemaMismatchError,
    StatementError,
    ToolkitError,
    UnrepresentableValueError,
)
from toolkit.operations.migrations import history, migrate, revisions, schema


@pytest.fixture
def database(mariadb_url: str, tmp_path: Path) -> Database:
    """An empty database of MariaDB."""
    return Database("mariadb", mariadb_url, tmp_path)


@pytest.fixture
def project(config: Config, database: Database, tmp_path: Path) -> Config:
    """A project of its own, with an empty history and the models of another test's."""
    made = replace(
        config,
        databases={**config.databases, "mariadb": database},
        root=tmp_path,
        migrations=tmp_path / "migrations",
        metadata="tests.operations.test_migrate:FIRST",
    )
    history.init(made.migrations)
    return made


FIRST = """
def schema_upgrades():
    op.create_table(
        "parent",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("code", sa.String(20), nullable=False, server_default="a\\\\b", comment="it's"),
        sa.Column("folded", sa.String(20, collation="utf8mb4_general_ci"), server_default="x"),
        sa.Column("price", sa.Numeric(12, 3)),
        sa.Column("seen", sa.DateTime(), server_default=sa.func.now()),
        sa.Column("details", sa.JSON()),
        sa.CheckConstraint("price > 0 OR code <> 'a' || 'b'", name="positive"),
    )
    op.create_table(
        "child",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("parent_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text()),
        sa.ForeignKeyConstraint(["parent_id"], ["parent.id"], name="fk_child"),
        sa.UniqueConstraint("parent_id", "name", name="uq_child"),
    )
    op.create_index("ix_child", "child", ["name"])
def schema_downgrades():
    op.drop_table("child")
    op.drop_table("parent")
def data_upgrades(): ...
def data_downgrades(): ...
"""
NOTHING_MORE = "\ndef schema_downgrades(): ...\ndef data_upgrades(): ...\ndef data_downgrades(): ...\n"


def with_first(project: Config, *bodies: str) -> list[str]:
    """Write the first migration and these after it; their identifiers."""
    written = [write_revision(project, FIRST, "first")]
    written += [write_revision(project, body + NOTHING_MORE, f"later {n}") for n, body in enumerate(bodies)]
    return written


def columns(database: Database, table: str) -> dict[str, str]:
    """By name, the definitions of a table's columns in the server's words."""
    [(_, made)] = server.run(database.address, f"SHOW CREATE TABLE {table}")
    lines = (line.strip().rstrip(",") for line in made.splitlines())
    return {line.split("`")[1]: line.split("` ", 1)[1] for line in lines if line.startswith("`")}


def test_what_a_migration_that_fails_leaves_is_told_statement_by_statement(project: Config, database: Database) -> None:
    first, second, third = with_first(
        project,
        'def schema_upgrades():\n    op.create_table("done", sa.Column("id", sa.Integer(), primary_key=True))',
        """
def schema_upgrades():
    op.execute("INSERT INTO parent (code) VALUES ('kept')")
    op.add_column("parent", sa.Column("more", sa.Integer()))
    op.execute("UPDATE parent SET more = 1")
    op.add_column("nowhere", sa.Column("more", sa.Integer()))
""",
    )
    with pytest.raises(StatementError) as caught:
        migrate.upgrade(database, project)
    told = str(caught.value)
    assert f"Done and recorded: upgrade {first} (first), upgrade {second} (later 0)." in told
    assert server.run(database.address, "SELECT code, more FROM parent") == [("kept", 1)]
    # The update, too: the statement that failed has committed it.
    assert f"Of {third} this is committed, and nothing after it: (1) INSERT INTO parent " in told
    assert "('kept'); (2) ALTER TABLE parent ADD COLUMN more INTEGER; " in told
    assert "(3) UPDATE parent SET more = 1." in told
    assert f"alembic_versions records {second}." in told
    assert f"stamp-migration {third}" in told
    assert "line" in told
    assert revisions.current_revision(database, project) == second
    # By hand, as it was said.
    server.run(database.address, "DELETE FROM parent", "ALTER TABLE parent DROP more")
    assert "more" not in columns(database, "parent")
    server.run(database.address, "CREATE TABLE nowhere (id INT)")
    assert migrate.upgrade(database, project).after == third


def test_rows_that_a_migration_wrote_before_an_error_of_its_own_are_undone_and_not_told(
    project: Config, database: Database
) -> None:
    first, second = with_first(
        project, "def schema_upgrades():\n    op.execute(\"INSERT INTO parent (code) VALUES ('x')\")\n    {}['missing']"
    )
    with pytest.raises(MigrationError, match="KeyError") as caught:
        migrate.upgrade(database, project)
    assert f"Of {second} nothing is committed." in str(caught.value)
    assert f"records {first}" in str(caught.value)
    assert server.run(database.address, "SELECT * FROM parent") == []
    with pytest.raises(MigrationError, match="The database is as before"):
        migrate.upgrade(database, project)


def test_a_downgrade_that_fails_says_what_is_to_be_recorded_after_the_rest(project: Config, database: Database) -> None:
    body = """
def schema_upgrades(): ...
def schema_downgrades():
    op.drop_table("child")
    op.drop_table("nowhere")
def data_upgrades(): ...
def data_downgrades(): ...
"""
    first = write_revision(project, FIRST, "first")
    second = write_revision(project, body, "second")
    migrate.upgrade(database, project)
    with pytest.raises(StatementError) as caught:
        migrate.downgrade(database, project)
    assert f"Of {second} this is committed, and nothing after it: (1) DROP TABLE child." in str(caught.value)
    assert f"records {second}" in str(caught.value)
    assert f"stamp-migration {first}" in str(caught.value)


def test_migrations_that_make_other_tables_than_the_models_are_told_to_stand(
    project: Config, database: Database
) -> None:
    (first,) = with_first(project)
    with pytest.raises(SchemaMismatchError, match="make no table item") as caught:
        schema.ensure_schema(database, project)
    assert "Nothing was changed" not in str(caught.value)
    assert f"Done and recorded: upgrade {first} (first)." in str(caught.value)
    assert revisions.current_revision(database, project) == first


def test_tables_that_cannot_all_be_dropped_are_told_one_by_one(project: Config, database: Database) -> None:
    history.make_migrations(project.database("sqlite"), project, "first")
    migrate.upgrade(database, project)
    server.run(database.address, "CREATE TABLE others (id INT REFERENCES owner (id))")
    with pytest.raises(StatementError) as caught:
        migrate.drop_all(database, project)
    assert "this is committed, and nothing after it: (1) DROP TABLE item." in str(caught.value)
    server.run(database.address, "DROP TABLE others")
    assert "owner" in migrate.drop_all(database, project).tables
    assert server.run(database.address, "SHOW TABLES") == []


def test_two_upgrades_of_one_database_wait_for_one_another(project: Config, database: Database) -> None:
    (first,) = with_first(project)
    waiting = "SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'SELECT GET_LOCK(_toolkit migr%'"
    with ThreadPoolExecutor() as pool:
        with connected(database) as other:
            database.kind.lock_migrations(other)
            ours = pool.submit(migrate.upgrade, database, project)
            deadline = time.monotonic() + 60
            while server.run(database.address, waiting) != [(1,)] and time.monotonic() < deadline:
                time.sleep(0.01)
            assert server.run(database.address, waiting) == [(1,)]
            assert not sa.inspect(other).has_table("parent")
        assert ours.result(60).after == first


def test_a_changed_column_keeps_all_that_is_not_changed_of_it(project: Config, database: Database) -> None:
    first, second = with_first(
        project,
        """
def schema_upgrades():
    with op.batch_alter_table("parent") as batch_op:
        batch_op.alter_column("code", existing_type=sa.String(20), type_=sa.String(40))
        batch_op.alter_column("folded", existing_type=sa.String(20), nullable=False)
        batch_op.alter_column("seen", existing_type=sa.DateTime(), nullable=False)
        batch_op.alter_column("details", existing_type=sa.JSON(), comment="of what")
        batch_op.alter_column("id", existing_type=sa.Integer(), type_=sa.BigInteger())
        batch_op.alter_column("price", new_column_name="cost", existing_type=sa.Numeric(12, 3))
    op.drop_constraint("fk_child", "child", type_="foreignkey")
    op.alter_column("child", "parent_id", type_=sa.BigInteger(), existing_type=sa.Integer())
""",
    )
    migrate.upgrade(database, project, first)
    before = columns(database, "parent")
    with pytest.raises(StatementError, match="used in a foreign key"):
        migrate.upgrade(database, project)
    server.run(database.address, "ALTER TABLE child DROP FOREIGN KEY fk_child")
    path = next(each.path for each in history.revisions(project) if each.revision == second)
    path.write_text(path.read_text().replace('    op.drop_constraint("fk_child", "child", type_="foreignkey")\n', ""))
    after = columns(database, "parent")
    assert {name for name in before if before[name] != after.get(name)} == {"code", "folded", "seen", "details"}
    migrate.upgrade(database, project)
    after = columns(database, "parent")
    assert after["code"] == before["code"].replace("varchar(20)", "varchar(40)")
    assert r"DEFAULT 'a\\b' COMMENT 'it''s'" in after["code"]
    assert "general_ci NOT NULL DEFAULT 'x'" in after["folded"]
    assert after["seen"] == "datetime(6) NOT NULL DEFAULT current_timestamp(6)"
    assert after["details"].endswith("COMMENT 'of what' CHECK (json_valid(`details`))")
    assert after["id"] == before["id"].replace("int(11)", "bigint(20)")
    assert "AUTO_INCREMENT" in after["id"]
    assert (after["cost"], "price" in after) == (before["price"], False)
    insert = "INSERT INTO parent (code, cost) VALUES ('ab', -1)"
    with pytest.raises(pymysql.err.OperationalError, match="positive"):
        server.run(database.address, insert)


def test_a_changed_column_keeps_what_only_mariadb_has(project: Config, database: Database) -> None:
    server.run(
        database.address,
        "CREATE TABLE parent (id INT PRIMARY KEY)",
        "CREATE TABLE t (id INT PRIMARY KEY, moved TIMESTAMP NULL DEFAULT NULL ON UPDATE current_timestamp(), "
        "hidden INT INVISIBLE DEFAULT 7, kept INT AS (id * 2) STORED, own INT CHECK (own > 0), remark INT COMMENT 'x', "
        "details JSON, `a%b` INT, parent INT, FOREIGN KEY (parent) REFERENCES parent (id), "
        "CONSTRAINT remark CHECK (id < 100)) COLLATE utf8mb4_general_ci",
        "INSERT INTO t (id, own) VALUES (1, 1)",
    )
    same = ("moved", "hidden", "kept", "own", "a%b")
    lines = [
        *(f"op.alter_column('t', {name!r}, comment='m')" for name in same),
        "op.alter_column('t', 'own', type_=sa.BigInteger(), nullable=False)",
        "op.alter_column('t', 'remark', comment=None)",
        "op.alter_column('t', 'details', type_=sa.Text())",
        "op.drop_constraint('t_parent_fkey', 't', type_='foreignkey')",
        "op.drop_index('nothing', 't', if_exists=True)",
    ]
    before = columns(database, "t")
    body = "".join(f"    {line}\n" for line in lines)
    write_revision(project, f"def schema_upgrades():\n{body}{NOTHING_MORE}", "n")
    migrate.upgrade(database, project)
    after = columns(database, "t")
    expected = {name: f"{before[name]} COMMENT 'm'" for name in same}
    expected["own"] = "bigint(20) NOT NULL COMMENT 'm' CHECK (`own` > 0)"
    assert {name: after[name] for name in same} == expected
    assert after["remark"] == "int(11) DEFAULT NULL"
    assert after["details"] == "longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL"
    [(_, made)] = server.run(database.address, "SHOW CREATE TABLE t")
    assert "FOREIGN KEY" not in made
    assert "CONSTRAINT `remark` CHECK (`id` < 100)" in made


@pytest.mark.parametrize(
    ("definition", "value", "type_"),
    [
        ("DECIMAL(12, 3)", "1.125", "sa.Numeric(12, 2)"),
        ("DATETIME(6)", "'2024-01-01 00:00:00.5'", "sa.Date()"),
        ("DOUBLE", "0.1", "sa.REAL()"),
        ("BIGINT", "9007199254740993", "sa.Double()"),
        ("VARCHAR(20)", "' 7'", "sa.Integer()"),
        ("VARCHAR(20)", "'long text'", "sa.String(4)"),
        ("VARCHAR(20)", "'C'", "sa.Enum('A', 'B', name='kind')"),
        ("ENUM('a', 'B')", "'a'", "sa.Enum('A', 'B', name='kind')"),
        ("VARCHAR(20)", "'a '", "sa.CHAR(20)"),
    ],
)
def test_a_type_that_would_change_a_value_is_refused_by_row_before_anything_is_done(
    project: Config, database: Database, definition: str, value: str, type_: str
) -> None:
    server.run(
        database.address,
        f"CREATE TABLE t (id INT PRIMARY KEY, v {definition}) CHARSET=utf8mb4",
        f"INSERT INTO t VALUES (1, NULL), (7, {value})",
    )
    before = columns(database, "t")
    write_revision(
        project, f"def schema_upgrades():\n    op.alter_column('t', 'v', type_={type_})\n{NOTHING_MORE}", "n"
    )
    with pytest.raises(UnrepresentableValueError, match="t id=7: column 'v' holds"):
        migrate.upgrade(database, project)
    assert columns(database, "t") == before
    server.run(database.address, "DELETE FROM t WHERE id = 7")
    migrate.upgrade(database, project)
    assert columns(database, "t") != before


def test_nobody_writes_between_the_look_at_the_values_and_their_change(
    project: Config, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.run(database.address, "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9))", "INSERT INTO t VALUES (1, 'a')")
    write_revision(
        project, f"def schema_upgrades():\n    op.alter_column('t', 'v', type_=sa.String(1))\n{NOTHING_MORE}", "n"
    )
    look, writing = kept_column._require_same, []

    def write() -> None:
        server.run(database.address, "INSERT INTO t VALUES (2, 'long')")

    def looked(*given: Any) -> None:
        look(*given)
        writing.append(pool.submit(write))
        # Of somebody who has waited for a row, the change itself would wait.
        waiting = "SELECT 1 FROM information_schema.processlist WHERE db = database() AND info LIKE 'INSERT INTO t V%'"
        while not server.run(database.address, waiting):
            time.sleep(0.01)

    monkeypatch.setattr(kept_column, "_require_same", looked)
    with ThreadPoolExecutor() as pool:
        migrate.upgrade(database, project)
        with pytest.raises(pymysql.DataError, match="Data too long"):
            writing[0].result()
    assert server.run(database.address, "SELECT v FROM t") == [("a",)]


def test_keys_and_indexes_go_and_come_though_foreign_keys_rest_on_them(project: Config, database: Database) -> None:
    with_first(
        project,
        """
def schema_upgrades():
    op.drop_constraint("uq_child", "child", type_="unique")
    op.create_index("ix_parent", "child", ["parent_id"])
""",
        """
def schema_upgrades():
    op.drop_index("ix_parent", "child")
    op.create_unique_constraint("uq_child", "child", ["parent_id", "name"])
    op.drop_column("child", "name")
    op.create_unique_constraint(None, "parent", ["code"])
""",
        """
def schema_upgrades():
    op.drop_constraint("parent_code_key", "parent", type_="unique")
    op.drop_column("child", "parent_id")
    op.drop_column("parent", "price")
""",
    )
    migrate.upgrade(database, project)
    [(_, child)], [(_, parent)] = (
        server.run(database.address, f"SHOW CREATE TABLE {name}") for name in ("child", "parent")
    )
    assert "parent_id" not in child
    assert "KEY" not in child.replace("PRIMARY KEY", "")
    assert "positive" not in parent
    assert "UNIQUE" not in parent


def test_rows_in_the_way_of_a_constraint_are_named(project: Config, database: Database) -> None:
    bodies = [
        "op.create_unique_constraint('uq', 'parent', ['code'])",
        "op.create_foreign_key('fk', 'parent', 'child', ['id'], ['id'])",
        "op.alter_column('parent', 'folded', existing_type=sa.String(20), nullable=False)",
    ]
    (first,) = with_first(project)
    migrate.upgrade(database, project)
    server.run(database.address, "INSERT INTO parent (id, folded) VALUES (3, NULL), (4, 'x')")
    for number, (body, fact) in enumerate(zip(bodies, ("2 rows have code=", "id=3", "id=3"), strict=True)):
        made = write_revision(project, f"def schema_upgrades():\n    {body}\n{NOTHING_MORE}", f"n{number}")
        with pytest.raises(ToolkitError, match=fact):
            migrate.upgrade(database, project)
        next(each.path for each in history.revisions(project) if each.revision == made).unlink()
    assert revisions.current_revision(database, project) == first


def test_a_column_that_has_to_have_a_value_is_added_only_where_no_row_lacks_one(
    project: Config, database: Database
) -> None:
    change = "op.add_column('parent', sa.Column('more', sa.Integer(), nullable=False))"
    first, second = with_first(project, f"def schema_upgrades():\n    {change}")
    migrate.upgrade(database, project, first)
    server.run(database.address, "INSERT INTO parent (id) VALUES (3)")
    with pytest.raises(MigrationError, match="parent has rows, which have no value for the new column more"):
        migrate.upgrade(database, project)
    assert "more" not in columns(database, "parent")
    server.run(database.address, "DELETE FROM parent")
    assert migrate.upgrade(database, project).after == second


PARTLY = sa.MetaData()
sa.Table(
    "partly",
    PARTLY,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, unique=True),
    sa.Column("other", sa.Text, index=True),
    sa.Column("kind", sa.Enum("A", "B", name="kind")),
    sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now()),
    sa.Column("truth", sa.Boolean, server_default=sa.true()),
    sa.Index("part", "other", unique=True, postgresql_where=sa.text("id > 1"), sqlite_where=sa.text("id > 1")),
)


def test_what_mariadb_has_in_another_way_is_no_difference(project: Config, database: Database) -> None:
    partly = replace(project, metadata=f"{__name__}:PARTLY")
    history.make_migrations(partly.database("sqlite"), partly, "first")
    migrate.upgrade(database, partly)
    assert migrate.check(database, partly).changes == ()
    server.run(database.address, "ALTER TABLE partly MODIFY kind ENUM('A'), MODIFY at DATETIME, DROP INDEX part")
    found = "; ".join(sorted(migrate.check(database, partly).changes))
    assert sorted(each.partition(" from ")[0] for each in found.split("; ")) == [
        "add index part on partly (other)",
        "change default of partly.at",
        "change type of partly.at",
        "change type of partly.kind",
    ]


def test_a_script_says_how_it_is_understood_and_refuses_what_only_the_database_knows(
    project: Config, database: Database
) -> None:
    with_first(project)
    script = migrate.upgrade(database, project, sql=True).sql or ""
    assert script.startswith("-- MariaDB commits each statement")
    assert "ANSI_QUOTES" in script
    assert "BEGIN" not in script
    assert "CREATE TABLE parent" in script
    write_revision(
        project, f"def schema_upgrades():\n    op.alter_column('parent', 'code', nullable=True)\n{NOTHING_MORE}", "n"
    )
    with pytest.raises(MigrationError, match="run it without --sql"):
        migrate.upgrade(database, project, sql=True)
    assert server.run(database.address, "SHOW TABLES") == []


def test_a_connection_is_given_back_as_it_was(database: Database) -> None:
    asked = "SELECT @@sql_mode, @@time_zone, @@foreign_key_checks"
    with database.unpooled_engine().connect() as connection:
        connection.exec_driver_sql("SET SESSION foreign_key_checks = 0")
        before = connection.exec_driver_sql(asked).all()
        connection.rollback()
        undo = database.kind.begin_migrations(connection, only_reads=False)
        connection.exec_driver_sql("CREATE TABLE a (\"b c\" INT DEFAULT (length('\\')))")
        assert [each["name"] for each in sa.inspect(connection).get_columns("a")] == ["b c"]
        alembic_session.lock(connection)
        undo()
        # The next upgrade would wait for an hour.
        free = f"SELECT IS_FREE_LOCK({alembic_session._lock_of(connection)})"
        assert connection.exec_driver_sql(free).scalar() == 1
        assert connection.exec_driver_sql(asked).all() == before
        text = sa.literal("\\").compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
        assert str(text) == r"'\\'"


def test_migrations_rest_on_nothing_that_a_session_has_set(database: Database) -> None:
    """Times in another zone, keys and checks that are not looked at, and a SELECT that gives one row."""
    asked = (
        "SELECT @@time_zone, @@foreign_key_checks, @@unique_checks, @@check_constraint_checks, @@sql_select_limit > 1"
    )
    with database.unpooled_engine().connect() as connection:
        connection.exec_driver_sql("SET SESSION time_zone = '+05:00', foreign_key_checks = 0, unique_checks = 0")
        connection.exec_driver_sql("SET SESSION check_constraint_checks = 0, sql_select_limit = 1")
        connection.rollback()
        undo = database.kind.begin_migrations(connection, only_reads=False)
        assert tuple(connection.exec_driver_sql(asked).one()) == ("+00:00", 1, 1, 1, 1)
        undo()
        assert tuple(connection.exec_driver_sql(asked).one()) == ("+05:00", 0, 0, 0, 0)


@pytest.mark.slow
def test_an_upgrade_that_has_waited_too_long_for_another_is_not_run(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alembic_session, "_LONG", 1)
    engine = database.unpooled_engine()
    with engine.connect() as first, engine.connect() as second:
        alembic_session.lock(first)
        with pytest.raises(MigrationError, match="Another upgrade"):
            alembic_session.lock(second)


def test_what_may_have_been_done_when_the_connection_was_lost_is_told_as_that(
    project: Config, database: Database
) -> None:
    first, second = with_first(
        project,
        """
def schema_upgrades():
    op.add_column("parent", sa.Column("more", sa.Integer()))
    op.execute("INSERT INTO parent (code) VALUES ('x')")
    op.execute("KILL CONNECTION_ID()")
""",
    )
    with pytest.raises(ToolkitError) as caught:
        migrate.upgrade(database, project)
    told = str(caught.value)
    assert f"Of {second} this is committed, and nothing after it: (1) ALTER TABLE parent ADD COLUMN more" in told
    assert "The connection was lost: whether this is done, look: INSERT INTO parent" in told
    assert f"records {first}" in told


def test_who_stops_a_migration_hears_what_it_leaves(
    project: Config, database: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = 'op.create_table("done", sa.Column("id", sa.Integer(), primary_key=True))\n    raise KeyboardInterrupt'
    _, second = with_first(project, f"def schema_upgrades():\n    {body}")
    settings = f'metadata = "{project.metadata}"\nmigrations = "migrations"\n'
    (project.root / "toolkit.toml").write_text(settings)
    monkeypatch.chdir(project.root)
    assert run(["database", "upgrade", "--database", database.address]) == EXIT_INTERRUPTED
    told = capsys.readouterr().err
    assert "Interrupted" in told
    assert f"Of {second} this is committed, and nothing after it: (1) CREATE TABLE done" in told
