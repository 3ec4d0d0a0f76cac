"""`--hold-triggers`: the application's triggers do not fire for the rows written, and are as they were afterwards."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from msgspec import structs

from tests.operations.databases import create, execute, postgres
from tests.operations.outcomes import counts
from tests.operations.test_hard_schemas import ALL, MODULE, Using, plain, rows, using
from toolkit.cli import run
from toolkit.cli.render import show_transfer
from toolkit.config import Config, Database
from toolkit.errors import (
    ChangedSincePlanError,
    ConfigurationError,
    MissingParentError,
    PrivilegeError,
    ToolkitError,
    VerificationError,
)
from toolkit.operations.fixtures.load import load_data
from toolkit.operations.sync import sync
from toolkit.operations.transfer import other_rows
from toolkit.operations.transfer.deletes import DeleteLimit
from toolkit.operations.transfer.options import Mode, Options
from toolkit.operations.transfer.watermarks import Since

__all__ = ["using"]

BOTH = pytest.mark.parametrize("target", ["sqlite2", "postgres"])
HELD = Options(hold_triggers=True)
_LATER = "2030-01-01"
_TOUCH = {
    "sqlite2": (
        f"CREATE TRIGGER \"touch it\" AFTER UPDATE ON t BEGIN UPDATE t SET at = '{_LATER}' WHERE id = new.id; END",
        f"create trigger touch2  after insert on T begin update t set at = '{_LATER}' where id = new.id; end",
    ),
    "postgres": (
        f"""CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN NEW.at := '{_LATER}'; RETURN NEW; END $$""",
        'CREATE TRIGGER "touch it" BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch()',
        "CREATE TRIGGER touch2 BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION touch()",
    ),
}
_STATES = {
    "sqlite2": "SELECT rowid - (SELECT min(rowid) FROM sqlite_schema WHERE type = 'trigger'), name, tbl_name, sql "
    "FROM sqlite_schema WHERE type = 'trigger'",
    "postgres": "SELECT tgrelid::regclass::text, tgname, tgenabled, pg_get_triggerdef(oid) FROM pg_trigger",
}


def _beside_each_row_of_two(change: str) -> dict[str, list[str]]:
    """By target, a trigger that does something as a row comes into table `two`."""
    return {
        "sqlite2": [f"CREATE TRIGGER odd AFTER INSERT ON two BEGIN {change}; END"],
        "postgres": [
            f"CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {change}; RETURN NULL; END $$",
            "CREATE TRIGGER odd AFTER INSERT ON two FOR EACH ROW EXECUTE FUNCTION odd()",
        ],
    }


def triggers(config: Config, target: str) -> list[tuple[Any, ...]]:
    """All triggers of a database, with their order or their state."""
    return rows(config, target, _STATES[target])


def touched(using: Using, target: str) -> Config:
    """A table whose triggers set a column to another time, with a row to insert and one to update."""
    metadata = plain("t", sa.Column("v", sa.Text), sa.Column("at", sa.Text))
    config = using(metadata)
    create(config.database(target), metadata)
    execute(config.database("sqlite"), "INSERT INTO t VALUES (1, 'new', '2020-01-01'), (2, 'more', '2020-01-02')")
    execute(config.database(target), "INSERT INTO t VALUES (1, 'old', '2019-01-01')", *_TOUCH[target])
    return config


@BOTH
def test_a_table_whose_triggers_set_a_column_is_refused_with_the_option_that_holds_them_and_verified_with_it(
    using: Using, target: str
) -> None:
    config = touched(using, target)
    before = triggers(config, target)
    with pytest.raises(VerificationError) as refused:
        sync(config, "sqlite", target)
    assert refused.value.advice.startswith("--hold-triggers keeps what fires there from doing so (touch it, touch2).")
    result = sync(config, "sqlite", target, options=HELD)
    assert (counts(result), result.verified) == ({"t": (1, 1, 0, 0)}, True)
    assert [(each.outcome, each.table, each.reason) for each in result.warnings] == [
        ("triggers held", "t", "held, so as not to fire for the rows that are written: touch it, touch2.")
    ]
    assert triggers(config, target) == before
    assert counts(sync(config, "sqlite", target, options=HELD)) == {"t": (0, 0, 2, 0)}
    execute(config.database(target), "UPDATE t SET v = 'own' WHERE id = 1")
    assert rows(config, target, "SELECT v, at FROM t") == [("more", "2020-01-02"), ("own", _LATER)]


@pytest.mark.parametrize("target", ["postgres"])
def test_a_trigger_on_one_table_that_changes_another_is_refused_with_the_option(using: Using, target: str) -> None:
    metadata = plain("one", sa.Column("v", sa.Text))
    sa.Table("two", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("v", sa.Text))
    config = using(metadata)
    create(config.database(target), metadata)
    execute(config.database("sqlite"), "INSERT INTO one VALUES (1, 'a')", "INSERT INTO two VALUES (1, 'a')")
    execute(config.database(target), *_beside_each_row_of_two("UPDATE one SET v = 'odd'")[target])
    with pytest.raises(VerificationError, match="by a trigger, a foreign key or others") as refused:
        sync(config, "sqlite", target)
    assert "--hold-triggers" in refused.value.advice
    assert sync(config, "sqlite", target, options=HELD).verified


def test_triggers_are_held_where_rows_are_only_deleted(using: Using) -> None:
    config = using(plain("t"))
    execute(config.database("sqlite"), "INSERT INTO t (id) VALUES (1)")
    told = "CREATE TABLE told (id INTEGER)"
    trigger = "CREATE TRIGGER tell AFTER DELETE ON t BEGIN INSERT INTO told VALUES (old.id); END"
    create(config.database("sqlite2"), plain("t"))
    execute(config.database("sqlite2"), told, trigger, "INSERT INTO t (id) VALUES (1), (2)")
    options = structs.replace(HELD, mode=Mode.REPLACE, max_delete=DeleteLimit(0, 1.0))
    assert counts(sync(config, "sqlite", "sqlite2", options=options)) == {"t": (0, 0, 1, 1)}
    assert rows(config, "sqlite2", "SELECT id FROM told") == []


def test_a_trigger_that_leaves_many_rows_alone_does_no_harm(using: Using) -> None:
    config = using(plain("t", sa.Column("v", sa.Text)))
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
    execute(config.database("sqlite"), f"INSERT INTO t {numbers} SELECT i, 'x' FROM n")
    create(config.database("sqlite2"), sys.modules[MODULE].metadata)
    log = "CREATE TRIGGER noted AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.id); END"
    execute(config.database("sqlite2"), "CREATE TABLE log (id INTEGER)", log)
    assert sync(config, "sqlite", "sqlite2").verified
    assert rows(config, "sqlite2", "SELECT count(*) FROM log") == [(2000,)]


@pytest.mark.parametrize(
    ("table", "others", "options", "target"),
    [
        ("one", 0, Options(), "sqlite2"),
        ("one", 0, Options(), "postgres"),
        ("two", 0, Options(), "sqlite2"),
        ("two", 1, Options(), "postgres"),
        ("two", 0, ALL, "sqlite2"),
        ("two", 0, Options(commit_every=1), "postgres"),
    ],
    ids=["same table", "same table-postgres", "another", "beside rows of the target", "deleting", "in parts"],
)
def test_a_trigger_that_changes_a_row_that_was_equal_is_caught(
    using: Using, target: str, table: str, others: int, options: Options
) -> None:
    """The row may be of a table that nothing is written to, or another than those that are written."""
    metadata = plain("one", sa.Column("v", sa.Text))
    key = sa.Column("id", sa.Integer, primary_key=True, autoincrement=False)
    sa.Table("two", metadata, key, sa.Column("v", sa.Text))
    config = using(metadata)
    create(config.database(target), metadata)
    for name, last in (("sqlite", "(2, 'b')"), (target, "(3, 'c')")):
        execute(config.database(name), f"INSERT INTO one VALUES (1, 'a'), {last}", "INSERT INTO two VALUES (1, 'a')")
    change, when = f"UPDATE {table} SET v = 'odd' WHERE id = 1", "AFTER INSERT ON one"
    fires = {
        "sqlite2": [f"CREATE TRIGGER odd {when} BEGIN {change}; END"],
        "postgres": [
            f"CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {change}; RETURN NULL; END $$",
            f"CREATE CONSTRAINT TRIGGER odd {when} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION odd()",
        ],
    }
    execute(config.database(target), *[f"INSERT INTO {table} VALUES (9, 'own')"] * others, *fires[target])
    with pytest.raises(VerificationError, match=r"First: id=1: v 'a' was sent, 'odd' is there"):
        sync(config, "sqlite", target, options=options)
    if options.commit_every is None:
        assert rows(config, target, f"SELECT v FROM {table} WHERE id = 1") == [("a",)]


@pytest.mark.parametrize(
    ("filled", "change", "shown"),
    [
        (True, "DELETE FROM one WHERE id = 1", "id=1 was sent and is not there"),
        (False, "INSERT INTO one VALUES (9, 'odd')", "id=9 is there and was not sent"),
    ],
    ids=["goes", "comes"],
)
def test_a_row_that_goes_or_comes_by_a_trigger_of_another_table_is_caught(
    using: Using, filled: bool, change: str, shown: str
) -> None:
    metadata = plain("one", sa.Column("v", sa.Text))
    sa.Table("two", metadata, sa.Column("id", sa.Integer, primary_key=True))
    config = using(metadata)
    create(config.database("sqlite2"), metadata)
    execute(config.database("sqlite"), "INSERT INTO one VALUES (1, 'a')", "INSERT INTO two VALUES (1)")
    there = ["INSERT INTO one VALUES (1, 'a')"] if filled else []
    execute(config.database("sqlite2"), *there, f"CREATE TRIGGER odd AFTER INSERT ON two BEGIN {change}; END")
    with pytest.raises(VerificationError, match=f"First: {shown}"):
        sync(config, "sqlite", "sqlite2")


def _both_with_a_row_of_one(using: Using, target: str) -> Config:
    """An equal row of `one` on both sides, and one of `two` to be written."""
    metadata = plain("one", sa.Column("v", sa.Text))
    sa.Table("two", metadata, sa.Column("id", sa.Integer, primary_key=True))
    config = using(metadata)
    create(config.database(target), metadata)
    for name in ("sqlite", target):
        execute(config.database(name), "INSERT INTO one VALUES (1, 'a')")
    execute(config.database("sqlite"), "INSERT INTO two VALUES (1)")
    return config


@pytest.mark.parametrize(
    ("own", "target"),
    [(0, "sqlite2"), (1, "postgres")],
    ids=["equal", "beside rows of the target"],
)
def test_a_row_that_comes_by_a_trigger_into_a_table_that_was_not_empty_is_caught(
    using: Using, target: str, own: int
) -> None:
    config = _both_with_a_row_of_one(using, target)
    fires = _beside_each_row_of_two("INSERT INTO one VALUES (9, 'odd')")
    execute(config.database(target), *["INSERT INTO one VALUES (7, 'own')"] * own, *fires[target])
    shown = rf"how many rows there are as others were written \({2 + own} rows, not {1 + own}\)"
    with pytest.raises(VerificationError, match=shown) as refused:
        sync(config, "sqlite", target)
    assert "--hold-triggers" in refused.value.advice
    assert sync(config, "sqlite", target, options=HELD).verified
    assert rows(config, target, "SELECT count(*) FROM one") == [(1 + own,)]


def test_of_a_row_that_a_trigger_puts_into_a_table_that_was_empty_the_trigger_is_named(using: Using) -> None:
    metadata = plain("one")
    sa.Table("two", metadata, sa.Column("id", sa.Integer, primary_key=True))
    config = using(metadata)
    create(config.database("postgres"), metadata)
    execute(config.database("sqlite"), "INSERT INTO one VALUES (1)", "INSERT INTO two VALUES (1)")
    fires = _beside_each_row_of_two("INSERT INTO two VALUES (9)")["postgres"]
    execute(config.database("postgres"), *(each.replace("ON two", "ON one") for each in fires))
    with pytest.raises(ChangedSincePlanError) as refused:
        sync(config, "sqlite", "postgres")
    assert refused.value.advice.startswith("--hold-triggers keeps what fires there from doing so (odd).")
    assert sync(config, "sqlite", "postgres", options=HELD).verified


@pytest.mark.parametrize(("row", "target"), [(7, "sqlite2"), (8, "postgres")], ids=["of the target", "none"])
def test_that_a_trigger_changes_a_row_that_only_the_target_has_is_told(
    using: Using, target: str, row: int, capsys: pytest.CaptureFixture[str]
) -> None:
    config = _both_with_a_row_of_one(using, target)
    fires = _beside_each_row_of_two(f"UPDATE one SET v = 'odd' WHERE id = {row}")
    execute(config.database(target), "INSERT INTO one VALUES (7, 'own')", *fires[target])
    found = sync(config, "sqlite", target)
    assert found.verified
    told = [(each.table, each.outcome, "--hold-triggers" in each.reason) for each in found.warnings]
    assert told == [("one", "changed by a trigger", True)] * (row == 7)
    show_transfer(found)
    assert ("Changed by a trigger: rows of one: Of the 1 that only" in capsys.readouterr().out) is (row == 7)
    assert rows(config, target, "SELECT v FROM one WHERE id = 7") == [("odd" if row == 7 else "own",)]


@BOTH
@pytest.mark.parametrize("mode", [Mode.UPSERT, Mode.REPLACE])
def test_that_a_trigger_changes_a_row_outside_of_the_condition_is_told(using: Using, target: str, mode: Mode) -> None:
    config = _both_with_a_row_of_one(using, target)
    fires = _beside_each_row_of_two("UPDATE one SET v = 'odd' WHERE id >= 7")
    execute(config.database(target), "INSERT INTO one VALUES (7, 'own'), (8, 'own')", *fires[target])
    found = sync(config, "sqlite", target, where={"one": "id < 8"}, options=Options(mode=mode))
    assert found.verified
    (told,) = [each for each in found.warnings if each.is_of_trigger]
    # Row 7 is deleted, or stays.
    assert (told.table, told.reason.startswith(f"Of the {1 if mode is Mode.REPLACE else 2} that")) == ("one", True)
    assert "--hold-triggers" in told.reason


def test_that_a_trigger_inserts_a_row_outside_of_the_condition_is_told(using: Using) -> None:
    config = _both_with_a_row_of_one(using, "sqlite2")
    fires = _beside_each_row_of_two("INSERT INTO one VALUES (9, 'odd')")
    execute(config.database("sqlite2"), *fires["sqlite2"])
    found = sync(config, "sqlite", "sqlite2", where={"one": "id < 8"})
    (told,) = [each for each in found.warnings if each.is_of_trigger]
    assert (told.table, told.reason.startswith("Outside of the condition, 1 came into sqlite2")) == ("one", True)


@BOTH
@pytest.mark.parametrize("dry_run", [True, False])
def test_with_since_it_is_told_that_it_is_not_looked_what_triggers_change(
    using: Using, target: str, dry_run: bool
) -> None:
    config = touched(using, target)
    execute(config.database("sqlite"), f"UPDATE t SET at = '{_LATER}'")
    sync(config, "sqlite", target, since=Since("id"))
    execute(config.database("sqlite"), f"INSERT INTO t VALUES (3, 'c', '{_LATER}')")
    found = sync(config, "sqlite", target, since=Since("id"), dry_run=dry_run)
    assert [each.table for each in found.warnings if each.is_of_unseen] == ["t"]
    assert "--since" in found.warnings[0].reason
    held = sync(config, "sqlite", target, since=Since("id"), dry_run=dry_run, options=HELD)
    assert not any(each.is_of_unseen for each in held.warnings)
    assert not sync(config, "sqlite", target, since=Since("id")).warnings[1:]


@BOTH
def test_it_is_told_where_it_is_not_looked_whether_a_trigger_changes_rows_that_only_the_target_has(
    using: Using, target: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(other_rows, "_MOST_ROWS", 0)
    config = touched(using, target)
    execute(config.database(target), "DELETE FROM t WHERE id = 1", "INSERT INTO t VALUES (7, 'own', NULL)")
    execute(config.database("sqlite"), f"UPDATE t SET at = '{_LATER}'")
    show_transfer(sync(config, "sqlite", target))
    told = "Not looked at: rows of t: Of the 1 that only"
    assert told in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("target", ["postgres"])
def test_a_row_that_only_the_target_has_and_that_a_trigger_deletes_is_caught(using: Using, target: str) -> None:
    """It was told to be left as it is: what was there then was the source's, and its digest."""
    config = _both_with_a_row_of_one(using, target)
    fires = _beside_each_row_of_two("DELETE FROM one WHERE id = 7")
    execute(config.database(target), "INSERT INTO one VALUES (7, 'own')", *fires[target])
    with pytest.raises(VerificationError, match=r"how many rows there are .* \(1 rows, not 2\)"):
        sync(config, "sqlite", target)
    assert rows(config, target, "SELECT count(*) FROM one") == [(2,)]


def test_of_rows_since_the_last_sync_a_trigger_changes_none_and_of_others_the_target_may_have_its_own(
    using: Using,
) -> None:
    metadata = plain("t", sa.Column("v", sa.Text), sa.Column("n", sa.Integer))
    config = using(metadata)
    create(config.database("sqlite2"), metadata)
    execute(config.database("sqlite"), "INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2)")
    sync(config, "sqlite", "sqlite2", since=Since("n"))
    fires = "AFTER INSERT ON t WHEN new.id = 5 BEGIN UPDATE t SET v = 'odd' WHERE id = 4; END"
    execute(config.database("sqlite2"), "UPDATE t SET v = 'own' WHERE id = 1", f"CREATE TRIGGER odd {fires}")
    execute(config.database("sqlite"), "INSERT INTO t VALUES (3, 'c', 3)")
    assert sync(config, "sqlite", "sqlite2", since=Since("n")).verified
    execute(config.database("sqlite2"), "INSERT INTO t VALUES (4, 'd', 4)")
    execute(config.database("sqlite"), "INSERT INTO t VALUES (4, 'd', 4), (5, 'e', 5)")
    with pytest.raises(VerificationError, match=r"First: id=4: v 'd' was sent, 'odd' is there"):
        sync(config, "sqlite", "sqlite2", since=Since("n"))


@pytest.mark.parametrize(("what", "target"), [("a row is refused", "postgres"), ("a parent is missing", "sqlite2")])
def test_after_a_failure_the_triggers_are_as_before(using: Using, target: str, what: str) -> None:
    metadata = plain("p", sa.Column("v", sa.Text))
    sa.Table(
        "t",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("p_id", sa.ForeignKey("p.id")),
        sa.Column("at", sa.Text),
    )
    config = using(metadata)
    create(config.database(target), metadata)
    execute(config.database(target), *_TOUCH[target], *(["CREATE UNIQUE INDEX once ON t (p_id)"]))
    parent = 9 if what == "a parent is missing" else 1
    execute(
        config.database("sqlite"),
        "INSERT INTO p VALUES (1, 'x')",
        f"INSERT INTO t VALUES (1, {parent}, 'x'), (2, 1, 'y')",
    )
    before = triggers(config, target)
    error = MissingParentError if what == "a parent is missing" else ToolkitError
    with pytest.raises(error):
        sync(config, "sqlite", target, options=HELD)
    assert triggers(config, target) == before
    assert rows(config, target, "SELECT id FROM t") == []


@BOTH
def test_fixtures_are_loaded_past_triggers(using: Using, target: str, tmp_path: Path) -> None:
    config = touched(using, target)
    (tmp_path / "t.json").write_text(json.dumps([{"id": 1, "v": "new", "at": "2020-01-01"}]))
    with pytest.raises(VerificationError, match="with other values"):
        load_data(config, target, directory=tmp_path)
    assert load_data(config, target, directory=tmp_path, options=HELD).verified


def test_each_trigger_of_postgres_gets_back_the_state_that_it_had_on_partitions_and_inheriting_tables_too(
    using: Using,
) -> None:
    config = using(plain("t", sa.Column("v", sa.Text), sa.Column("at", sa.Text)))
    names = ("o", "a", "r", "d")
    on = "BEFORE INSERT OR UPDATE ON"
    execute(config.database("sqlite"), *(f"INSERT INTO t VALUES ({id_}, 'new', '2020-01-01')" for id_ in (1, 2, 101)))
    execute(
        config.database("postgres"),
        "CREATE TABLE t (id int PRIMARY KEY, v text, at text) PARTITION BY RANGE (id)",
        'CREATE TABLE "a part" PARTITION OF t FOR VALUES FROM (0) TO (100)',
        "CREATE TABLE other PARTITION OF t FOR VALUES FROM (100) TO (200)",
        _TOUCH["postgres"][0],
        *(f"CREATE TRIGGER {name} {on} t FOR EACH ROW EXECUTE FUNCTION touch()" for name in names),
        f'CREATE TRIGGER own {on} "a part" FOR EACH ROW EXECUTE FUNCTION touch()',
        "ALTER TABLE t ENABLE ALWAYS TRIGGER a, ENABLE REPLICA TRIGGER r, DISABLE TRIGGER d",
        'ALTER TABLE "a part" DISABLE TRIGGER a, ENABLE ALWAYS TRIGGER own',
    )
    before = triggers(config, "postgres")
    result = sync(config, "sqlite", "postgres", options=HELD)
    assert (counts(result), result.verified) == ({"t": (3, 0, 0, 0)}, True)
    assert triggers(config, "postgres") == before
    assert {row[2] for row in before} == {"O", "A", "R", "D"}


def test_triggers_of_a_table_that_inherits_are_held_with_those_of_the_one_it_inherits_from(using: Using) -> None:
    config = using(plain("t", sa.Column("v", sa.Text), sa.Column("at", sa.Text)))
    execute(config.database("sqlite"), "INSERT INTO t VALUES (1, 'new', '2020-01-01')")
    execute(
        config.database("postgres"),
        "CREATE TABLE t (id int PRIMARY KEY, v text, at text)",
        "CREATE TABLE heir () INHERITS (t)",
        _TOUCH["postgres"][0],
        "CREATE TRIGGER touch BEFORE DELETE ON heir FOR EACH ROW EXECUTE FUNCTION touch()",
        "INSERT INTO heir VALUES (2, 'goes', 'x')",
    )
    result = sync(config, "sqlite", "postgres", options=structs.replace(ALL, hold_triggers=True))
    assert (counts(result), result.verified) == ({"t": (1, 0, 0, 1)}, True)


def test_what_a_foreign_key_lets_be_changed_fires_nothing_either(using: Using) -> None:
    metadata = sa.MetaData()
    sa.Table("p", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("code", sa.Text, unique=True))
    sa.Table(
        "c",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("code", sa.ForeignKey("p.code", onupdate="CASCADE")),
    )
    config = using(metadata)
    create(config.database("postgres"), metadata)
    execute(config.database("sqlite"), "INSERT INTO p VALUES (1, 'new')", "INSERT INTO c VALUES (1, 'new')")
    execute(
        config.database("postgres"),
        "INSERT INTO p VALUES (1, 'old')",
        "INSERT INTO c VALUES (1, 'old')",
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'fired'; END $$",
        "CREATE CONSTRAINT TRIGGER fail AFTER UPDATE ON c DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION fail()",
    )
    with pytest.raises(ToolkitError, match="fired"):
        sync(config, "sqlite", "postgres")
    assert sync(config, "sqlite", "postgres", options=HELD).verified


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_role_that_does_not_own_the_table_is_refused_by_name_before_anything_is_written(
    using: Using, dry_run: bool
) -> None:
    config = touched(using, "postgres")
    with postgres(config) as connection:
        connection.execute("DROP ROLE IF EXISTS no_owner")
        connection.execute("CREATE ROLE no_owner LOGIN")
        connection.execute("GRANT ALL ON t TO no_owner")
        owner = connection.info.user
    database = config.database("postgres")
    other = replace(database, address=database.address.replace(f"//{owner}", "//no_owner"))
    config = replace(config, databases={**config.databases, "postgres": other})
    try:
        with pytest.raises(PrivilegeError) as refused:
            sync(config, "sqlite", "postgres", options=HELD, dry_run=dry_run)
    finally:
        execute(database, "DROP OWNED BY no_owner", "DROP ROLE no_owner")
    reason = f"only the owner of t, {owner}, may do that"
    assert refused.value.fact == f"postgres: the triggers of t cannot be held (touch it, touch2): {reason}"


def test_a_rule_stays_as_it_is_and_is_told(using: Using) -> None:
    config = touched(using, "postgres")
    execute(config.database("postgres"), "CREATE RULE also AS ON DELETE TO t DO ALSO NOTHING")
    warnings = sync(config, "sqlite", "postgres", options=HELD, dry_run=True).warnings
    assert [each.outcome for each in warnings] == ["triggers held", "rules not held"]
    assert warnings[1].reason == "not held, because rules cannot be: also."


@pytest.mark.parametrize("command", [["sync", "--from", "sqlite", "--to", "postgres"], ["load-data"]])
def test_commits_in_between_do_not_go_with_it(command: Sequence[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command, "--hold-triggers", "--commit-every", "5"]) == 2
    assert "--hold-triggers needs one transaction" in capsys.readouterr().err
    with pytest.raises(ConfigurationError):
        Options(hold_triggers=True, commit_every=1)


def test_a_target_without_triggers_needs_none_held_and_says_nothing(using: Using) -> None:
    metadata = plain("t", sa.Column("v", sa.Text))
    config = using(metadata)
    execute(config.database("sqlite"), "INSERT INTO t VALUES (1, 'new')")
    result = sync(config, "sqlite", "duckdb", options=HELD)
    assert (result.verified, result.warnings) == (True, ())
    assert rows(config, "duckdb", "SELECT v FROM t") == [("new",)]


def test_of_mariadb_whose_triggers_cannot_be_held_it_is_advised_to_drop_them(using: Using, mariadb_url: str) -> None:
    config = using(plain("t", sa.Column("v", sa.Text)))
    database = Database("mariadb", mariadb_url, config.root)
    config = replace(config, databases={**config.databases, "mariadb": database})
    create(config.database("sqlite"), plain("t", sa.Column("v", sa.Text)))
    create(database, plain("t", sa.Column("v", sa.Text)))
    execute(config.database("sqlite"), "INSERT INTO t VALUES (1, 'a')")
    execute(database, "CREATE TRIGGER odd BEFORE INSERT ON t FOR EACH ROW SET new.v = 'odd'")
    with pytest.raises(VerificationError) as refused:
        sync(config, "sqlite", "mariadb")
    assert refused.value.advice.startswith("Drop what fires there for the time of the sync (odd).")
    with pytest.raises(PrivilegeError, match="MariaDB has no way") as refused_too:
        sync(config, "sqlite", "mariadb", options=HELD)
    assert "owner" not in refused_too.value.advice
