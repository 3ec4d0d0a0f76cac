"""Schemas that resist: no keys, trees, cycles, triggers, generated columns, views, partitions, tables nobody knows."""

from __future__ import annotations

import json
import sys
import types
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import duckdb
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from msgspec import structs
from sqlalchemy.dialects.postgresql import JSONB

from tests.operations.databases import connected, contents, create, execute, postgres
from tests.operations.outcomes import counts
from toolkit.cli.diff import diff as diff_command
from toolkit.cli.load import load_data as load_command
from toolkit.cli.sync import sync as sync_command
from toolkit.config import Config
from toolkit.core.progress import Silent
from toolkit.engines import connect
from toolkit.engines.duckdb.connection import DuckDBConnection
from toolkit.errors import (
    ConfigurationError,
    DatabaseUnavailableError,
    FixtureError,
    MissingParentError,
    ReferencedRowsError,
    SchemaMismatchError,
    ScriptError,
    StatementError,
    ToolkitError,
    UnrepresentableValueError,
    VerificationError,
)
from toolkit.operations.diff.compare import diff
from toolkit.operations.diff.script import diff_sql
from toolkit.operations.fixtures.dump import dump_data
from toolkit.operations.fixtures.load import load_data
from toolkit.operations.status import State, status
from toolkit.operations.sync import sync
from toolkit.operations.transfer.deletes import DeleteLimit
from toolkit.operations.transfer.options import Mode, Options

TARGETS = ["sqlite2", "postgres", "duckdb"]
EVERY_TARGET = pytest.mark.parametrize("target", TARGETS)
ALL = Options(mode=Mode.REPLACE, max_delete=DeleteLimit(0, 1.0), batch_rows=2)
MODULE = "schema_of_a_test"

Using = Callable[[sa.MetaData], Config]


@pytest.fixture
def using(config: Config) -> Iterator[Using]:
    """The configuration for some tables, which the source has already."""

    def configured(metadata: sa.MetaData) -> Config:
        module = types.ModuleType(MODULE)
        module.metadata = metadata  # type: ignore[attr-defined]
        sys.modules[MODULE] = module
        create(config.database("sqlite"), metadata)
        return replace(config, metadata=f"{MODULE}:metadata", migrations=config.root / "none")

    yield configured
    sys.modules.pop(MODULE, None)


def rows(config: Config, name: str, query: str) -> list[tuple[Any, ...]]:
    with connected(config.database(name)) as connection:
        return sorted(tuple(row) for row in connection.exec_driver_sql(query).all())


def plain(name: str, *columns: Any) -> sa.MetaData:
    """A table with a number for its key."""
    metadata = sa.MetaData()
    sa.Table(name, metadata, sa.Column("id", sa.Integer, primary_key=True, autoincrement=False), *columns)
    return metadata


# -- types -----------------------------------------------------------------------------------------------------


class Wrapped(sa.TypeDecorator[str]):
    """An enum within a type of the user's own."""

    impl = sa.Enum("A", "C", name="kind")
    cache_ok = True


SEVERAL = sa.ARRAY(sa.Enum("A", "C", name="kind")).with_variant(sa.JSON(), "sqlite", "duckdb")


@pytest.mark.parametrize(
    ("other", "dry_run"),
    [(sa.Enum("A", "C", name="kind"), True), (Wrapped(), False), (SEVERAL, False)],
    ids=["own", "wrapped", "many"],
)
def test_two_enums_of_one_name_are_refused_before_postgres_makes_one_type_of_them(
    using: Using, other: Any, dry_run: bool
) -> None:
    metadata = plain("one", sa.Column("kind", sa.Enum("A", "B", name="kind")))
    sa.Table("two", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("sort", other))
    config = using(metadata)
    execute(config.database("sqlite"), "INSERT INTO one VALUES (1, 'B')")
    with pytest.raises(ConfigurationError, match=r"one\.kind \(A, B\) and two\.sort \(A, C\)") as caught:
        sync(config, "sqlite", "postgres", dry_run=dry_run)
    assert "name='two_sort'" in caught.value.advice
    with connected(config.database("postgres")) as connection:
        assert sa.inspect(connection).get_table_names() == []
    for target in () if dry_run else ("sqlite2", "duckdb"):
        assert counts(sync(config, "sqlite", target))["one"] == (1, 0, 0, 0)


def test_enums_that_share_a_name_with_good_reason_are_accepted(using: Using) -> None:
    metadata = plain("one", sa.Column("kind", sa.Enum("A", "B", name="kind")))
    sa.Table(
        "two",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("same", sa.Enum("A", "B", name="kind")),
        sa.Column("text", sa.Enum("A", "C", name="kind", native_enum=False)),
    )
    assert sync(using(metadata), "sqlite", "postgres").created_schema


# -- keys ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["duckdb"])
def test_a_unique_key_stands_in_for_a_primary_key(using: Using, target: str) -> None:
    metadata = sa.MetaData()
    sa.Table("keyed", metadata, sa.Column("code", sa.Text, unique=True, nullable=False), sa.Column("v", sa.Text))
    config = using(metadata)
    create(config.database(target), metadata)
    execute(config.database("sqlite"), "INSERT INTO keyed VALUES ('a', '1'), ('b', '2')")
    assert counts(sync(config, "sqlite", target, ["keyed"])) == {"keyed": (2, 0, 0, 0)}
    execute(config.database("sqlite"), "UPDATE keyed SET v = '3' WHERE code = 'a'", "DELETE FROM keyed WHERE v = '2'")
    assert counts(sync(config, "sqlite", target, ["keyed"], options=ALL)) == {"keyed": (0, 1, 0, 1)}
    assert rows(config, target, "SELECT * FROM keyed") == [("a", "3")]


@pytest.mark.parametrize("target", ["duckdb"])
def test_a_table_that_is_refused_stops_no_command_that_does_without_it(
    using: Using, tmp_path: Path, target: str
) -> None:
    metadata = plain("keyed", sa.Column("v", sa.Text))
    sa.Table("loose", metadata, sa.Column("id", sa.Numeric, primary_key=True))
    config = using(metadata)
    execute(config.database("sqlite"), "INSERT INTO keyed VALUES (1, 'a')", "INSERT INTO loose VALUES (1)")
    found = status(config, ["sqlite"])
    assert found.tables == ("keyed",)
    assert [refusal.partition(" is a key of decimals")[0] for refusal in found.refusals] == ["loose.id"]
    assert found.databases[0].state is State.READY

    with pytest.raises(ConfigurationError, match=r"loose\.id is a key of decimals"):
        dump_data(config, "sqlite", directory=tmp_path / "out")
    dump_data(config, "sqlite", exclude=["loose"], directory=tmp_path / "out")
    for tables in ([], ["keyed"]):
        loaded = load_data(config, target, tables, directory=tmp_path / "out")
        assert [table.table for table in loaded.tables] == ["keyed"]
    assert rows(config, target, "SELECT v FROM keyed") == [("a",)]
    (tmp_path / "out" / "loose.json").write_text('[{"id": "1"}]')
    with pytest.raises(ConfigurationError, match=r"loose\.id is a key of decimals"):
        load_data(config, target, directory=tmp_path / "out")
    loaded = load_data(config, target, directory=tmp_path / "out", exclude=["loose"])
    assert counts(loaded) == {"keyed": (0, 0, 1, 0)}
    (tmp_path / "out" / "loose.json").unlink()
    with pytest.raises(FixtureError, match="no file for any table"):
        load_data(config, target, directory=tmp_path / "out", exclude=["keyed"])


@pytest.mark.slow
@pytest.mark.parametrize("target", ["postgres"])
def test_all_tables_but_one_are_synced_and_compared(using: Using, tmp_path: Path, target: str) -> None:
    metadata = plain("parent", sa.Column("v", sa.Text))
    sa.Table(
        "child",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("parent_id", sa.ForeignKey("parent.id")),
    )
    sa.Table("log", metadata, sa.Column("parent_id", sa.ForeignKey("parent.id")))
    config = using(metadata)
    create(config.database(target), metadata)
    execute(
        config.database("sqlite"),
        "INSERT INTO parent VALUES (1, 'a'), (2, 'b')",
        "INSERT INTO child VALUES (1, 1)",
        "INSERT INTO log VALUES (1)",
    )
    with pytest.raises(MissingParentError, match=r"child\.parent_id: 1 row points at parent"):
        sync(config, "sqlite", target, exclude=["log", "parent"])
    assert counts(sync(config, "sqlite", target, exclude=["log"])) == {"parent": (2, 0, 0, 0), "child": (1, 0, 0, 0)}
    found = diff(config, "sqlite", target, exclude=["log"])
    assert found.equal
    assert [table.table for table in found.tables] == ["parent", "child"]
    assert rows(config, target, "SELECT * FROM log") == []

    execute(config.database(target), "INSERT INTO log VALUES (2)")
    execute(config.database("sqlite"), "DELETE FROM parent WHERE id = 2")
    with pytest.raises(ReferencedRowsError, match=r"1 row of log .*\n.*Include log too"):
        sync(config, "sqlite", target, exclude=["log"], options=ALL)
    with pytest.raises(ReferencedRowsError, match="1 row of log "):
        diff_sql(config, "sqlite", target, tmp_path / "script.sql", exclude=["log"])
    execute(config.database(target), "DELETE FROM log")
    assert counts(sync(config, "sqlite", target, exclude=["log"], options=ALL)) == {
        "parent": (0, 0, 1, 1),
        "child": (0, 0, 1, 0),
    }


@pytest.mark.slow
def test_the_commands_take_tables_to_exclude(using: Using) -> None:
    metadata = plain("keyed", sa.Column("v", sa.Text))
    sa.Table("loose", metadata, sa.Column("v", sa.Text))
    config = using(metadata)
    execute(config.database("sqlite"), "INSERT INTO keyed VALUES (1, 'a')")

    def run(command: click.Command, *options: str) -> str:
        result = CliRunner().invoke(
            command,
            ["--from", "sqlite", "--to", "duckdb", *options, "--exclude", "loose"],
            obj=config,
            standalone_mode=False,
            catch_exceptions=False,
        )
        assert result.return_value == 0
        return result.stdout

    assert "Verified" in run(sync_command)
    for command, options in (
        (sync_command, ("--verify-only",)),
        (diff_command, ()),
        (diff_command, ("--json-lines",)),
        (diff_command, ("--sql", "-")),
    ):
        shown = run(command, *options)
        assert ("loose" in shown, bool(shown)) == (False, True)


def test_excluding_every_table_is_no_way_to_do_nothing(using: Using, tmp_path: Path) -> None:
    config = using(plain("keyed"))
    with pytest.raises(ConfigurationError, match="all of them are excluded"):
        sync(config, "sqlite", "duckdb", exclude=["keyed"])
    with pytest.raises(ConfigurationError, match="all of them are excluded"):
        dump_data(config, "sqlite", exclude=["keyed"], directory=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not (config.root / "one.duckdb").exists()


def _family() -> sa.MetaData:
    """A parent with children that have no key, or point at what is not its key, or that the model does not know."""
    metadata = plain("parent", sa.Column("code", sa.Text, unique=True))
    to_key, to_code = (sa.ForeignKey(f"parent.{name}", ondelete="CASCADE") for name in ("id", "code"))
    sa.Table("log", metadata, sa.Column("parent_id", to_key))
    sa.Table("by_code", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("code", to_code))
    return metadata


@pytest.mark.parametrize(
    ("child", "insert"),
    [
        ("log", "INSERT INTO log VALUES (2)"),
        ("by_code", "INSERT INTO by_code VALUES (7, 'b')"),
        ("public.unknown", "INSERT INTO unknown VALUES (2)"),
    ],
)
def test_no_cascade_takes_rows_of_a_table_that_has_no_key_or_points_at_another_or_is_unknown(
    using: Using, child: str, insert: str
) -> None:
    metadata = _family()
    config = using(metadata)
    create(config.database("postgres"), metadata)
    execute(config.database("sqlite"), "INSERT INTO parent VALUES (1, 'a')")
    execute(
        config.database("postgres"),
        "CREATE TABLE unknown (parent_id INT REFERENCES parent ON DELETE CASCADE)",
        "INSERT INTO parent VALUES (1, 'a'), (2, 'b'), (3, NULL)",
        insert,
    )
    with pytest.raises(ReferencedRowsError, match=rf"parent: 1 row of {child} in postgres points at rows") as caught:
        sync(config, "sqlite", "postgres", ["parent"], options=ALL)
    is_known = child in metadata.tables
    assert ("know no table public.unknown" in caught.value.advice) is not is_known
    assert (f"Include {child} too" in caught.value.advice) is is_known
    assert rows(config, "postgres", f"SELECT count(*) FROM {child}") == [(1,)]
    execute(config.database("postgres"), f"DELETE FROM {child}")
    assert counts(sync(config, "sqlite", "postgres", ["parent"], options=ALL)) == {"parent": (0, 0, 1, 2)}


@pytest.mark.parametrize(("column", "target"), [("id", "sqlite2"), ("code", "postgres"), ("id", "duckdb")])
def test_rows_of_a_table_that_nobody_knows_keep_the_rows_that_they_point_at(
    using: Using, target: str, column: str
) -> None:
    metadata = plain("parent", sa.Column("code", sa.Integer, unique=True))
    config = using(metadata)
    create(config.database(target), metadata)
    execute(config.database("sqlite"), "INSERT INTO parent VALUES (1, 11)")
    named = "" if column == "id" else "(code)"
    execute(
        config.database(target),
        "INSERT INTO parent VALUES (1, 11), (2, 12)",
        f'CREATE TABLE "un known" (id INTEGER, "a" INTEGER REFERENCES parent{named})',
        f'INSERT INTO "un known" VALUES (7, {2 if column == "id" else 12})',
    )
    with pytest.raises(ReferencedRowsError, match=r"parent: 1 row of (public\.)?un known in"):
        sync(config, "sqlite", target, options=ALL)
    assert rows(config, target, "SELECT id FROM parent") == [(1,), (2,)]
    execute(config.database(target), 'DELETE FROM "un known"')
    assert counts(sync(config, "sqlite", target, options=ALL)) == {"parent": (0, 0, 1, 1)}


# -- what PostgreSQL does by itself, or hides --------------------------------------------------------------------


@pytest.mark.parametrize(("options", "to_itself"), [(Options(), True), (Options(commit_every=1), False)])
def test_an_update_that_cascades_to_rows_that_stay_is_undone(using: Using, options: Options, to_itself: bool) -> None:
    """What `child` points at is another row's by now: ON UPDATE CASCADE would take it along to where it never was."""
    metadata = plain(
        "parent",
        sa.Column("code", sa.Text, unique=True, nullable=False),
        *([sa.Column("like_code", sa.ForeignKey("parent.code", onupdate="CASCADE"))] if to_itself else []),
    )
    code = sa.ForeignKey("parent.code", onupdate="CASCADE")
    sa.Table("child", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("code", code))
    config = using(metadata)
    create(config.database("postgres"), metadata)
    own = (", NULL", ", 'bb'") if to_itself else ("", "")
    for name, codes in (("sqlite", ("aa-old", "aa", "cc")), ("postgres", ("aa", "bb", "aa-old"))):
        third = own[1].replace("bb", "aa")
        values = ", ".join(f"({key}, '{value}'{own[0] if key < 3 else third})" for key, value in enumerate(codes, 1))
        execute(config.database(name), f"INSERT INTO parent VALUES {values}", "INSERT INTO child VALUES (1, 'aa')")
    with pytest.raises(ScriptError, match="would follow the values of code that change in parent"):
        diff_sql(config, "sqlite", "postgres", config.root / "script.sql")
    assert counts(sync(config, "sqlite", "postgres", options=options))["child"] == (0, 0, 1, 0)
    assert contents(config.database("postgres"), metadata) == contents(config.database("sqlite"), metadata)
    assert all(not t.updated for t in sync(config, "sqlite", "postgres").tables)


@pytest.mark.parametrize(
    ("ours", "theirs", "found"),
    [("(1, 'b'), (2, 'a')", "(1, 'a'), (2, 'b')", "'b'"), ("(2, 'x')", "(1, 'a'), (2, 'x')", "NULL")],
    ids=["update", "delete"],
)
def test_a_row_that_a_foreign_key_unknown_to_the_models_changes_is_caught_and_nothing_is_kept(
    using: Using, ours: str, theirs: str, found: str
) -> None:
    metadata = plain("parent", sa.Column("code", sa.Text, unique=True, nullable=False))
    key = sa.Column("id", sa.Integer, primary_key=True, autoincrement=False)
    sa.Table("child", metadata, key, sa.Column("code", sa.Text))
    config = using(metadata)
    create(config.database("postgres"), metadata)
    for name, parents in (("sqlite", ours), ("postgres", theirs)):
        execute(config.database(name), f"INSERT INTO parent VALUES {parents}", "INSERT INTO child VALUES (1, 'a')")
    actions = "FOREIGN KEY (code) REFERENCES parent (code) ON UPDATE CASCADE ON DELETE SET NULL"
    execute(config.database("postgres"), f"ALTER TABLE child ADD {actions}")
    with pytest.raises(VerificationError, match=f"First: id=1: code 'a' was sent, {found} is there"):
        sync(config, "sqlite", "postgres", options=ALL)
    assert rows(config, "postgres", "SELECT * FROM child") == [(1, "a")]


def test_a_trigger_that_changes_a_row_as_a_cascade_is_undone_is_caught_and_nothing_is_kept(using: Using) -> None:
    metadata = plain("parent", sa.Column("code", sa.Text, unique=True, nullable=False))
    code = sa.ForeignKey("parent.code", onupdate="CASCADE")
    key = sa.Column("id", sa.Integer, primary_key=True, autoincrement=False)
    sa.Table("child", metadata, key, sa.Column("code", code), sa.Column("v", sa.Text))
    config = using(metadata)
    create(config.database("postgres"), metadata)
    for name, codes in (("sqlite", "(1, 'b'), (2, 'a')"), ("postgres", "(1, 'a'), (2, 'b')")):
        execute(config.database(name), f"INSERT INTO parent VALUES {codes}", "INSERT INTO child VALUES (1, 'a', 'x')")
    execute(
        config.database("postgres"),
        "CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := 'odd'; RETURN NEW; END $$",
        "CREATE TRIGGER odd BEFORE UPDATE ON child FOR EACH ROW EXECUTE FUNCTION odd()",
    )
    with pytest.raises(VerificationError, match=r"First: id=1: v 'x' was sent, 'odd' is there"):
        sync(config, "sqlite", "postgres")
    assert rows(config, "postgres", "SELECT * FROM child") == [(1, "a", "x")]


def test_rows_that_a_policy_hides_are_not_taken_for_rows_that_are_gone(using: Using) -> None:
    metadata = plain("parent")
    config = using(metadata)
    create(config.database("postgres"), metadata)
    execute(
        config.database("postgres"),
        "INSERT INTO parent VALUES (1), (2)",
        "CREATE ROLE half_blind LOGIN",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON parent TO half_blind",
        "ALTER TABLE parent ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY half ON parent USING (id > 1)",
    )
    try:
        url = config.database("postgres").url.set(username="half_blind").render_as_string(hide_password=False)
        execute(config.database("sqlite"), "INSERT INTO parent VALUES (1), (2)")
        for source, target in ((url, "sqlite"), ("sqlite", url)):
            with pytest.raises(DatabaseUnavailableError, match="row-level security") as caught:
                sync(config, source, target, options=ALL)
            # To grant more on the table would change nothing.
            assert "BYPASSRLS" in str(caught.value.advice)
        assert rows(config, "sqlite", "SELECT id FROM parent") == [(1,), (2,)]
        assert diff(config, url, "sqlite").failed
    finally:
        execute(config.database("postgres"), "DROP OWNED BY half_blind", "DROP ROLE half_blind")


@pytest.mark.parametrize("hidden", ["ALTER TABLE child ENABLE ROW LEVEL SECURITY", "REVOKE SELECT ON child FROM half"])
def test_tables_beside_one_that_a_role_may_not_read_are_compared_and_it_alone_is_named(
    using: Using, hidden: str
) -> None:
    metadata = plain("parent")
    sa.Table("child", metadata, sa.Column("id", sa.Integer, primary_key=True))
    config = using(metadata)
    postgres, url = config.database("postgres"), config.database("postgres").url.set(username="half")
    for name in ("postgres", "sqlite"):
        create(config.database(name), metadata)
        execute(config.database(name), "INSERT INTO parent VALUES (1)", "INSERT INTO child VALUES (1)")
    execute(postgres, "CREATE ROLE half LOGIN", "GRANT SELECT ON parent, child TO half", hidden)
    try:
        found = diff(config, url.render_as_string(hide_password=False), "sqlite")
        told = {each.table: each.reason or "" for each in found.tables}
        assert told["parent"] == ""
        assert "child" in told["child"]
    finally:
        execute(postgres, "DROP OWNED BY half", "DROP ROLE half")


# -- trees and cycles ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["postgres"])
def test_a_tree_is_turned_over_while_rows_come_and_go(using: Using, target: str) -> None:
    """Every parent changes: the root becomes a leaf, and leaves whose parents go hang under new ones."""
    metadata = plain("node", sa.Column("parent_id", sa.ForeignKey("node.id", ondelete="CASCADE")))
    config = using(metadata)
    execute(
        config.database("sqlite"),
        "INSERT INTO node VALUES (1, NULL), (2, 1), (3, 1), (4, 2), (5, 2), (6, 5), (7, 6)",
    )
    sync(config, "sqlite", target)
    execute(
        config.database("sqlite"),
        "DELETE FROM node WHERE id IN (2, 6)",
        "INSERT INTO node VALUES (9, 7), (0, 9)",
        "UPDATE node SET parent_id = 9 WHERE id = 1",
        "UPDATE node SET parent_id = 1 WHERE id IN (4, 5)",
        "UPDATE node SET parent_id = NULL WHERE id = 7",
    )
    assert counts(sync(config, "sqlite", target, options=ALL)) == {"node": (2, 4, 1, 2)}
    assert contents(config.database(target), metadata) == contents(config.database("sqlite"), metadata)


@pytest.mark.parametrize("target", ["postgres"])
def test_tables_that_refer_to_each_other_are_updated_and_lose_rows_together(using: Using, target: str) -> None:
    metadata = sa.MetaData()
    for one, other in (("team", "person"), ("person", "team")):
        key = sa.ForeignKey(f"{other}.id", name=f"fk_{one}", use_alter=True)
        sa.Table(one, metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column(f"{other}_id", key))
    config = using(metadata)
    execute(
        config.database("sqlite"),
        "INSERT INTO team VALUES (1, 1), (2, 2), (3, 3)",
        "INSERT INTO person VALUES (1, 1), (2, 2), (3, 3)",
    )
    sync(config, "sqlite", target)
    execute(
        config.database("sqlite"),
        "DELETE FROM team WHERE id = 3",
        "DELETE FROM person WHERE id = 3",
        "UPDATE team SET person_id = 4 WHERE id = 1",
        "UPDATE person SET team_id = 1 WHERE id = 2",
        "INSERT INTO person VALUES (4, 2)",
    )
    result = counts(sync(config, "sqlite", target, options=ALL))
    assert result == {"team": (0, 1, 1, 1), "person": (1, 1, 1, 1)}
    assert contents(config.database(target), metadata) == contents(config.database("sqlite"), metadata)


# -- triggers --------------------------------------------------------------------------------------------------

_KEEPS_ROWS = {
    "sqlite2": "CREATE TRIGGER keep BEFORE DELETE ON t BEGIN SELECT RAISE(IGNORE); END",
    "postgres": """CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
        CREATE TRIGGER keep BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION keep()""",
}
_WRITES_A_LOG = {
    "sqlite2": """CREATE TRIGGER note AFTER {} ON t BEGIN INSERT INTO note VALUES ('{}'); END""",
    "postgres": """CREATE OR REPLACE FUNCTION note() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN INSERT INTO note VALUES (lower(TG_OP)); RETURN NULL; END $$;
        CREATE TRIGGER note_{1} AFTER {0} ON t FOR EACH ROW EXECUTE FUNCTION note()""",
}
BOTH = pytest.mark.parametrize("target", ["sqlite2", "postgres"])


@pytest.mark.parametrize(("verify", "target"), [(True, "postgres"), (False, "sqlite2")])
def test_a_trigger_that_keeps_rows_from_being_deleted_is_caught_and_nothing_is_kept(
    using: Using, target: str, verify: bool
) -> None:
    metadata = plain("t", sa.Column("v", sa.Text))
    config = using(metadata)
    create(config.database(target), metadata)
    execute(config.database("sqlite"), "INSERT INTO t VALUES (1, 'new')")
    execute(config.database(target), "INSERT INTO t VALUES (1, 'old'), (2, 'stays')", _KEEPS_ROWS[target])
    with pytest.raises(VerificationError, match="t: row count differs: 2 rows, but 1 should be"):
        sync(config, "sqlite", target, options=structs.replace(ALL, verify=verify))
    assert rows(config, target, "SELECT * FROM t") == [(1, "old"), (2, "stays")]


@pytest.mark.parametrize("target", ["postgres"])
def test_an_audit_trigger_of_the_target_sees_every_write(using: Using, target: str) -> None:
    metadata = plain("t", sa.Column("v", sa.Text))
    config = using(metadata)
    create(config.database(target), metadata)
    execute(config.database("sqlite"), "INSERT INTO t VALUES (1, 'new'), (3, 'x')")
    execute(
        config.database(target),
        "CREATE TABLE note (what TEXT)",
        "INSERT INTO t VALUES (1, 'old'), (2, 'goes')",
        *(
            _WRITES_A_LOG[target].format(event, event.lower()).replace("TRIGGER note A", f"TRIGGER {event}_note A")
            for event in ("INSERT", "UPDATE", "DELETE")
        ),
    )
    assert counts(sync(config, "sqlite", target, options=ALL)) == {"t": (1, 1, 0, 1)}
    assert rows(config, target, "SELECT what FROM note") == [("delete",), ("insert",), ("update",)]


@pytest.mark.parametrize("event", ["INSERT", "UPDATE"])
def test_a_rule_of_postgres_that_swallows_rows_is_told_and_nothing_is_kept(using: Using, event: str) -> None:
    metadata = plain("t", sa.Column("v", sa.Text))
    config = using(metadata)
    create(config.database("postgres"), metadata)
    execute(config.database("sqlite"), "INSERT INTO t VALUES (1, 'new')")
    execute(
        config.database("postgres"),
        "INSERT INTO t VALUES (1, 'old')",
        f"CREATE RULE swallow AS ON {event} TO t DO INSTEAD NOTHING",
    )
    with pytest.raises((StatementError, VerificationError)):
        sync(config, "sqlite", "postgres")
    assert rows(config, "postgres", "SELECT * FROM t") == [(1, "old")]


# -- columns that the target fills itself ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "kind"), [("sqlite2", "VIRTUAL"), ("postgres", "STORED"), ("postgres", "VIRTUAL"), ("duckdb", "VIRTUAL")]
)
def test_generated_columns_are_not_written_and_are_right_afterwards(using: Using, target: str, kind: str) -> None:
    twice = sa.Column("twice", sa.Integer, sa.Computed("a * 2"))
    metadata = plain("t", sa.Column("a", sa.Integer), twice, sa.Column("z", sa.Text))
    config = using(metadata)
    execute(
        config.database(target),
        f"CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, twice INTEGER GENERATED ALWAYS AS (a * 2) {kind}, z TEXT)",
    )
    execute(config.database("sqlite"), "INSERT INTO t (id, a, z) VALUES (1, 10, 'x'), (2, 20, 'y')")
    assert counts(sync(config, "sqlite", target)) == {"t": (2, 0, 0, 0)}
    execute(config.database("sqlite"), "UPDATE t SET a = 11 WHERE id = 1")
    assert counts(sync(config, "sqlite", target)) == {"t": (0, 1, 1, 0)}
    assert rows(config, target, "SELECT id, a, twice, z FROM t") == [(1, 11, 22, "x"), (2, 20, 40, "y")]
    execute(config.database(target), "UPDATE t SET a = 12 WHERE id = 1")
    assert counts(sync(config, target, "sqlite")) == {"t": (0, 1, 1, 0)}
    assert rows(config, "sqlite", "SELECT twice FROM t WHERE id = 1") == [(24,)]


@EVERY_TARGET
def test_a_generated_column_that_is_never_null_is_made_on_every_engine(using: Using, target: str) -> None:
    """As `Mapped[int]` with `Computed` says it: DuckDB refuses any constraint of such a column."""
    twice = sa.Column("twice", sa.Integer, sa.Computed("a * 2", persisted=target != "sqlite"), nullable=False)
    metadata = plain("t", sa.Column("a", sa.Integer, nullable=False), twice)
    config = using(metadata)
    execute(config.database("sqlite"), "INSERT INTO t (id, a) VALUES (1, 10)")
    assert sync(config, "sqlite", target).created_schema
    assert rows(config, target, "SELECT a, twice FROM t") == [(10, 20)]


@pytest.mark.parametrize(("dry_run", "target"), [(True, "sqlite2"), (False, "postgres"), (False, "duckdb")])
def test_a_column_that_only_the_target_computes_and_a_view_in_place_of_a_table_are_refused_together(
    using: Using, target: str, dry_run: bool
) -> None:
    metadata = plain("t", sa.Column("a", sa.Integer), sa.Column("twice", sa.Integer))
    sa.Table("seen", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("a", sa.Integer))
    config = using(metadata)
    execute(
        config.database(target),
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, twice INTEGER GENERATED ALWAYS AS (a * 2) VIRTUAL)",
        "CREATE TABLE base (id INTEGER PRIMARY KEY, a INTEGER)",
        "CREATE VIEW seen AS SELECT id, a FROM base",
    )
    execute(config.database("sqlite"), "INSERT INTO seen VALUES (1, 2)")
    with pytest.raises(SchemaMismatchError) as caught:
        sync(config, "sqlite", target, dry_run=dry_run)
    assert set(caught.value.problems) == {
        f"{target}.t computes twice, but the model does not (Computed)",
        f"{target}.seen is a view, not a table",
    }
    with pytest.raises(SchemaMismatchError) as caught:
        sync(config, "sqlite", target, ["seen"], dry_run=dry_run)
    assert "--exclude" in caught.value.advice
    # To read from one is as good as from a table.
    execute(config.database(target), "INSERT INTO base VALUES (1, 3)")
    assert counts(sync(config, target, "sqlite", ["seen"])) == {"seen": (0, 1, 0, 0)}


@pytest.mark.slow
@pytest.mark.usefixtures("small_rebuilds")
def test_columns_that_postgres_numbers_itself_take_the_numbers_of_the_source(using: Using) -> None:
    metadata = sa.MetaData()
    sa.Table(
        "t", metadata, sa.Column("id", sa.Integer, sa.Identity(always=True), primary_key=True), sa.Column("v", sa.Text)
    )
    sa.Table(
        "aside",
        metadata,
        sa.Column("k", sa.Text, primary_key=True),
        sa.Column("n", sa.Integer),
        sa.Column("v", sa.Text),
    )
    config = using(metadata)
    execute(
        config.database("postgres"),
        "CREATE TABLE t (id INT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v TEXT)",
        "CREATE TABLE aside (k TEXT PRIMARY KEY, n INT GENERATED ALWAYS AS IDENTITY, v TEXT)",
    )
    execute(
        config.database("sqlite"),
        "INSERT INTO t VALUES (5, 'a'), (7, 'b')",
        "INSERT INTO aside VALUES ('x', 30, 'a'), ('y', 20, 'b')",
    )
    sync(config, "sqlite", "postgres")
    execute(config.database("sqlite"), "UPDATE t SET v = 'c' WHERE id = 5", "UPDATE aside SET v = 'c' WHERE k = 'x'")
    assert counts(sync(config, "sqlite", "postgres")) == {"t": (0, 1, 1, 0), "aside": (0, 1, 1, 0)}
    execute(config.database("postgres"), "INSERT INTO t (v) VALUES ('d')", "INSERT INTO aside VALUES ('z')")
    assert rows(config, "postgres", "SELECT * FROM t") == [(5, "c"), (7, "b"), (8, "d")]
    assert rows(config, "postgres", "SELECT k, n FROM aside") == [("x", 30), ("y", 20), ("z", 31)]
    # PostgreSQL itself never lets such a number be changed.
    execute(
        config.database("sqlite"), "UPDATE aside SET n = 99, v = 'd' WHERE k = 'x'", "DELETE FROM aside WHERE k = 'y'"
    )
    for attempt in (
        lambda: sync(config, "sqlite", "postgres", dry_run=True),
        lambda: diff_sql(config, "sqlite", "postgres", config.root / "script.sql"),
    ):
        with pytest.raises(UnrepresentableValueError) as refused:
            attempt()
        assert refused.value.fact == (
            "aside k=x: column 'n' is 99 at the source and 30 in postgres, which numbers it itself (GENERATED ALWAYS) "
            "and lets no one change it."
        )
    assert "ALTER TABLE aside ALTER COLUMN n SET GENERATED BY DEFAULT;" in refused.value.advice
    execute(config.database("postgres"), "ALTER TABLE aside ALTER COLUMN n SET GENERATED BY DEFAULT")
    assert sync(config, "sqlite", "postgres").verified


def test_sequences_of_duckdb_are_found_whatever_their_tables_are_called(using: Using) -> None:
    metadata = sa.MetaData()
    for name in ('a "b', "c.d", "e'f", "G h"):
        sa.Table(name, metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("v", sa.Text))
    config = using(metadata)
    create(config.database("duckdb"), metadata)
    with connected(config.database("sqlite")) as connection:
        for table in metadata.sorted_tables:
            connection.execute(table.insert().values(id=5, v="five"))
    sync(config, "sqlite", "duckdb")
    with connected(config.database("duckdb")) as connection:
        for table in metadata.sorted_tables:
            connection.execute(table.insert().values(v="six"))
    found = contents(config.database("duckdb"), metadata)
    assert found == {name: [(5, "five"), (6, "six")] for name in metadata.tables}
    # A number that was given once is not given again.
    execute(config.database("sqlite"), """INSERT INTO "c.d" VALUES (3, 'three')""")
    execute(config.database("duckdb"), 'DELETE FROM "c.d" WHERE id = 6')
    sync(config, "sqlite", "duckdb")
    execute(config.database("duckdb"), """INSERT INTO "c.d" (v) VALUES ('seven')""")
    assert rows(config, "duckdb", 'SELECT id FROM "c.d"') == [(3,), (5,), (7,)]


@pytest.mark.usefixtures("small_rebuilds")
def test_rows_of_a_partitioned_table_come_into_their_partitions_and_one_without_is_named(using: Using) -> None:
    metadata = plain("t", sa.Column("day", sa.Date, primary_key=True), sa.Column("v", sa.Text))
    config = using(metadata)
    execute(
        config.database("postgres"),
        "CREATE TABLE t (id INT, day DATE, v VARCHAR(5), PRIMARY KEY (id, day)) PARTITION BY RANGE (day)",
        "CREATE TABLE t24 PARTITION OF t FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')",
        "CREATE TABLE t25 PARTITION OF t FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')",
    )
    database = config.database("sqlite")
    execute(database, "INSERT INTO t VALUES (1, '2024-02-03', 'a'), (2, '2025-02-03', 'b'), (3, '2024-12-31', 'c')")
    assert counts(sync(config, "sqlite", "postgres")) == {"t": (3, 0, 0, 0)}
    execute(database, "UPDATE t SET v = 'x' WHERE id = 1", "UPDATE t SET day = '2025-12-31' WHERE id = 3")
    assert counts(sync(config, "sqlite", "postgres", options=ALL)) == {"t": (1, 1, 1, 1)}
    placed = rows(config, "postgres", "SELECT tableoid::regclass::text, id, v FROM t")
    assert placed == [("t24", 1, "x"), ("t25", 2, "b"), ("t25", 3, "c")]
    execute(database, "INSERT INTO t VALUES (4, '2030-01-01', 'd')")
    with pytest.raises(StatementError, match="t id=4, day=2030-01-01 is refused: no partition"):
        sync(config, "sqlite", "postgres")
    execute(database, "UPDATE t SET day = '2024-01-01', v = 'longer' WHERE id = 4")
    with pytest.raises(
        UnrepresentableValueError, match="t id=4, day=2024-01-01: column 'v' holds 'longer', which postgres cannot keep"
    ):
        sync(config, "sqlite", "postgres")
    assert rows(config, "postgres", "SELECT tableoid::regclass::text, id, v FROM t") == placed


@EVERY_TARGET
def test_decimals_without_a_precision_arrive_by_value(using: Using, target: str) -> None:
    """Equal numbers may be written differently: DuckDB gives every one the three decimals of its column."""
    metadata = plain("t", sa.Column("n", sa.Numeric))
    config = using(metadata)
    execute(config.database("sqlite"), "INSERT INTO t VALUES (1, 1), (2, 1.5), (3, -100), (4, 0.125), (5, NULL)")
    assert counts(sync(config, "sqlite", target)) == {"t": (5, 0, 0, 0)}
    assert counts(sync(config, "sqlite", target)) == {"t": (0, 0, 5, 0)}
    found = [value and Decimal(value) for _, value in contents(config.database(target), metadata)["t"]]
    assert found == [1, Decimal("1.5"), -100, Decimal("0.125"), None]


@pytest.mark.parametrize(
    ("target", "type_", "value"),
    [
        ("duckdb", sa.Numeric(), "i * 0.5"),
        ("postgres", sa.JSON().with_variant(JSONB(), "postgresql"), """'{"b": 1,  "a": ' || i || '}'"""),
    ],
    ids=["decimals", "documents"],
)
def test_many_values_arrive_that_the_engine_writes_otherwise(using: Using, target: str, type_: Any, value: str) -> None:
    """So many rows of other types would be digested as the letters that they are written in."""
    config = using(plain("t", sa.Column("v", type_)))
    execute(
        config.database("sqlite"),
        "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) "
        f"SELECT i, {value} FROM n",
    )
    result = sync(config, "sqlite", target)
    assert (counts(result), result.verified) == ({"t": (2000, 0, 0, 0)}, True)


# -- DDL while a sync is at work -------------------------------------------------------------------------------

DDL = (
    "ALTER TABLE t DROP COLUMN v",
    "ALTER TABLE t ALTER v TYPE varchar(90) USING v || ''",
    "DROP TABLE t",
    "TRUNCATE t",
)


def test_a_key_of_decimals_without_a_precision_is_refused_by_name(using: Using) -> None:
    metadata = sa.MetaData()
    sa.Table("price", metadata, sa.Column("amount", sa.Numeric, primary_key=True))
    with pytest.raises(ConfigurationError, match=r"price\.amount is a key of decimals without a precision"):
        sync(using(metadata), "sqlite", "duckdb")


def test_a_column_that_its_table_knows_by_another_name_is_refused(using: Using) -> None:
    config = using(plain("t", sa.Column("name", sa.Text, key="other")))
    with pytest.raises(ConfigurationError, match=r"t\.name goes by the key 'other'"):
        sync(config, "sqlite", "duckdb")


@pytest.mark.parametrize("rows", [2, 1500])
def test_a_null_in_a_key_of_sqlite_is_refused_by_name(using: Using, rows: int) -> None:
    metadata = sa.MetaData()
    sa.Table("loose", metadata, sa.Column("code", sa.String(9), primary_key=True), sa.Column("v", sa.Text))
    config = using(metadata)
    for name in ("sqlite", "sqlite2"):
        create_again = ("DROP TABLE IF EXISTS loose", "CREATE TABLE loose (code TEXT PRIMARY KEY, v TEXT)")
        execute(
            config.database(name),
            *create_again,
            "INSERT INTO loose VALUES (NULL, 'x')",
            f"WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {rows}) "
            "INSERT INTO loose SELECT 'c' || n, 'y' FROM n",
        )
    with pytest.raises(UnrepresentableValueError, match="code=NULL"):
        sync(config, "sqlite", "sqlite2")


@EVERY_TARGET
def test_uuids_in_columns_of_32_characters_arrive_and_are_found_again(using: Using, target: str) -> None:
    metadata = sa.MetaData()
    table = sa.Table(
        "old",
        metadata,
        sa.Column("id", sa.Uuid(native_uuid=False), primary_key=True),
        sa.Column("code", sa.CHAR(4), unique=True),
    )
    config = using(metadata)
    keys = [uuid.UUID(int=number) for number in range(1, 5)]
    with connected(config.database("sqlite")) as connection:
        connection.execute(table.insert(), [{"id": key, "code": f"c{n}"} for n, key in enumerate(keys)])
    create(config.database(target), metadata)
    assert counts(sync(config, "sqlite", target)) == {"old": (4, 0, 0, 0)}
    update, delete = "UPDATE old SET code = 'x' WHERE code = 'c1'", "DELETE FROM old WHERE code = 'c2'"
    execute(config.database("sqlite"), update, delete)
    assert counts(sync(config, "sqlite", target, options=ALL)) == {"old": (0, 1, 2, 1)}
    assert counts(sync(config, "sqlite", target, options=ALL)) == {"old": (0, 0, 3, 0)}
    found = {row[0]: row[1].strip() for row in contents(config.database(target), metadata)["old"]}
    assert found == {keys[0]: "c0", keys[1]: "x", keys[3]: "c3"}


def test_a_duckdb_file_that_the_process_itself_has_open_is_told(using: Using) -> None:
    config = using(plain("t"))
    create(config.database("duckdb"), plain("t"))
    engine = config.database("duckdb").engine
    with engine.connect(), pytest.raises(DatabaseUnavailableError, match="is open in this process already") as caught:
        diff(config, "sqlite", "duckdb")
    engine.dispose()
    assert "dispose" in caught.value.advice


@pytest.mark.parametrize(("side", "commit_every"), [("source", 1), ("target", None)])
def test_whoever_alters_a_table_of_postgres_waits_until_the_sync_has_ended(
    using: Using, side: str, commit_every: int | None
) -> None:
    """A table that is rewritten or emptied looks empty to an older snapshot, however many rows that has."""
    import psycopg

    metadata = plain("t", sa.Column("v", sa.Text))
    sa.Table("before", metadata, sa.Column("id", sa.Integer, primary_key=True))
    config = using(metadata)
    source, target = ("postgres", "sqlite") if side == "source" else ("sqlite", "postgres")
    create(config.database("postgres"), metadata)
    execute(config.database(source), "INSERT INTO before VALUES (1), (2)", "INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    refused = []

    class Altering(Silent):
        def step(self, label: str, rows: int | None = None) -> None:
            with postgres(config) as connection:
                connection.execute("SET lock_timeout = '5ms'")
                for statement in DDL:
                    with pytest.raises(psycopg.errors.LockNotAvailable):
                        connection.execute(statement.encode())
                refused.append(label)

    result = counts(sync(config, source, target, options=Options(commit_every=commit_every), progress=Altering()))
    assert result == {"before": (2, 0, 0, 0), "t": (2, 0, 0, 0)}
    assert len(refused) >= (4 if target == "postgres" else 6)
    assert refused[-1] == "commit"
    assert rows(config, target, "SELECT * FROM t") == [(1, "a"), (2, "b")]
    execute(config.database("postgres"), DDL[0])


@EVERY_TARGET
def test_a_schema_reflected_from_a_sqlite_file_is_made_in_every_engine(
    config: Config, using: Using, target: str
) -> None:
    execute(
        config.database("sqlite"),
        "CREATE TABLE [Old Track] ([Track Id] INTEGER PRIMARY KEY, a NVARCHAR(160), b NCHAR(2), c BLOB, d CLOB, "
        "e DATETIME, f DOUBLE, g NUMERIC(10,2))",
        "INSERT INTO [Old Track] VALUES (1, 'é', 'xy', x'00ff', 'text', '2024-02-29 01:02:03', 0.1, 9.99)",
    )
    metadata = sa.MetaData()
    with connected(config.database("sqlite")) as connection:
        metadata.reflect(connection)
    shop = using(metadata)
    assert counts(sync(shop, "sqlite", target)) == {"Old Track": (1, 0, 0, 0)}
    assert counts(sync(shop, "sqlite", target)) == {"Old Track": (0, 0, 1, 0)}
    assert diff(shop, "sqlite", target).equal


@EVERY_TARGET
def test_a_row_that_breaks_a_check_of_the_target_is_told_by_the_name_of_the_check(using: Using, target: str) -> None:
    metadata = sa.MetaData()
    thing = sa.Table("thing", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("size", sa.Integer))
    shop = using(metadata)
    execute(shop.database("sqlite"), "INSERT INTO thing VALUES (1, 1), (2, -1)")
    strict = thing.to_metadata(sa.MetaData())
    strict.append_constraint(sa.CheckConstraint("size > 0", name="it's positive"))
    create(shop.database(target), strict.metadata)
    with pytest.raises(StatementError, match="it's positive") as caught:
        sync(shop, "sqlite", target)
    assert caught.value.advice.startswith("Correct the row at the source, or the constraint in the target.")
    assert "IS NOT NULL" not in caught.value.fact
    assert not any(contents(shop.database(target), metadata).values())


class Notes(Silent):
    def __init__(self) -> None:
        self.found: list[str] = []

    def note(self, message: str) -> None:
        self.found.append(message)


@pytest.mark.parametrize(
    ("column", "value"), [("f", -0.0), ("f", float("nan")), ("n", Decimal("0.111111111111111111"))]
)
def test_numbers_that_sqlite_stores_as_bytes_are_told_where_they_are(using: Using, column: str, value: Any) -> None:
    metadata = sa.MetaData()
    columns = [sa.Column("f", sa.Float), sa.Column("n", sa.Numeric(38, 18))]
    thing = sa.Table("thing", metadata, sa.Column("id", sa.Integer, primary_key=True), *columns)
    shop = using(metadata)
    create(shop.database("postgres"), metadata)
    with connected(shop.database("postgres")) as connection:
        rows = [{"id": 1, "f": 0.5, "n": Decimal("1.5")}, {"id": 2, "f": 1, "n": 1, column: value}]
        connection.execute(thing.insert(), rows)
    notes = Notes()
    result = sync(shop, "postgres", "sqlite", progress=notes)
    assert any(f"thing.{column} 1. " in note and "bytes of their digits" in note for note in notes.found)
    (warning,) = result.warnings
    assert (warning.outcome, warning.table, warning.column, warning.rows) == ("stored as bytes", "thing", column, 1)
    notes.found.clear()
    assert not sync(shop, "postgres", "sqlite", progress=notes).warnings
    assert not notes.found


def test_the_documents_of_sync_and_load_have_the_warnings_that_are_told(using: Using, tmp_path: Path) -> None:
    metadata = sa.MetaData()
    thing = sa.Table("thing", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("f", sa.Float))
    shop = using(metadata)
    create(shop.database("duckdb"), metadata)
    with connected(shop.database("duckdb")) as connection:
        connection.execute(thing.insert(), [{"id": 1, "f": -0.0}])
    (tmp_path / "thing.json").write_text('[{"id": 2, "f": "NaN"}]')
    runs = (sync_command, ["--from", "duckdb"], 1), (load_command, ["--dir", str(tmp_path)], 2)
    for command, arguments, count in runs:
        told = CliRunner().invoke(command, [*arguments, "--to", "sqlite", "--json"], obj=shop)
        assert told.exit_code == 0, told.output
        (warning,) = json.loads(told.stdout)["warnings"]
        assert warning.pop("reason") == "The toolkit reads them exactly, SQLAlchemy's Numeric and Float do not."
        expected = {"outcome": "stored as bytes", "table": "thing", "column": "f", "rows": count, "database": None}
        assert warning == expected
        assert "bytes of their digits" in told.stderr


def test_a_disk_that_is_full_at_a_checkpoint_of_duckdb_is_told(config: Config) -> None:
    message = "FATAL Error: Failed to create checkpoint because of error: Could not write: No space left on device"
    with connect(config.database("duckdb"), write=True) as connection:
        assert isinstance(connection, DuckDBConnection)
        error = connection.known_error(duckdb.FatalException(message))
    assert isinstance(error, DatabaseUnavailableError)
    assert error.advice == "Make room, then run again."


@pytest.mark.parametrize("name", ["Other Id", "pg_sleep(9)", "a)=(b"])
def test_a_row_refused_by_a_foreign_key_that_only_postgres_has_is_named_whatever_its_column_is_called(
    using: Using, name: str
) -> None:
    config = using(plain("thing", sa.Column(name, sa.Integer)))
    execute(config.database("sqlite"), "INSERT INTO thing VALUES (1, NULL), (2, 7)")
    create(config.database("postgres"), plain("thing", sa.Column(name, sa.ForeignKey("thing.id"))))
    with pytest.raises(ToolkitError) as caught:
        sync(config, "sqlite", "postgres")
    named = "thing id=2" if ")=(" not in name else "thing: insert or update"
    assert caught.value.fact.startswith(f"postgres: {named}")
    assert "foreign key" in caught.value.fact
