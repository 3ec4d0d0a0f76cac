"""`--rename SOURCE=TARGET`: tables, schemas and columns that have other names in the target."""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from tests.operations.databases import connected, create, execute
from tests.operations.outcomes import counts
from tests.operations.test_hard_schemas import ALL, EVERY_TARGET, MODULE, Using, rows, using
from toolkit.cli import run
from toolkit.config import Config
from toolkit.errors import (
    ConfigurationError,
    MissingParentError,
    SchemaMismatchError,
    UnknownNameError,
    VerificationError,
)
from toolkit.operations.diff.compare import Status, diff
from toolkit.operations.diff.script import diff_sql
from toolkit.operations.project import Project
from toolkit.operations.sync import sync
from toolkit.operations.transfer.options import Options
from toolkit.operations.transfer.watermarks import Since

__all__ = ["using"]

NAMES = {"p": "parents", "t": "other", "t.id": "number", "t.p_id": "other.parent", "t.v": "t.value"}


def metadata() -> sa.MetaData:
    """A parent and a child that also points at its own table, with keys of several columns."""
    found = sa.MetaData()
    sa.Table("p", found, sa.Column("id", sa.Integer, primary_key=True), sa.Column("code", sa.String(9), unique=True))
    sa.Table(
        "t",
        found,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("p_id", sa.ForeignKey("p.id"), index=True),
        sa.Column("up", sa.ForeignKey("t.id")),
        sa.Column("v", sa.Text, nullable=False, server_default="x"),
        sa.Column("at", sa.DateTime),
        sa.UniqueConstraint("p_id", "v", name="once"),
        sa.CheckConstraint("id > 0", name="positive"),
    )
    return found


@pytest.fixture
def named(using: Using) -> Config:
    """Both tables with rows."""
    config = using(metadata())
    execute(
        config.database("sqlite"),
        "INSERT INTO p VALUES (1, 'a'), (2, 'b')",
        "INSERT INTO t VALUES (1, 1, 2, 'one', '2024-01-01 00:00:00.000000'), (2, 2, NULL, 'two', NULL)",
    )
    return config


def told(result: Any) -> dict[str, str]:
    return dict(result.renamed)


@pytest.mark.slow
@EVERY_TARGET
def test_tables_are_made_filled_updated_and_deleted_from_under_their_other_names(named: Config, target: str) -> None:
    result = sync(named, "sqlite", target, rename=NAMES)
    assert (counts(result), result.verified, result.created_schema) == (
        {"p": (2, 0, 0, 0), "t": (2, 0, 0, 0)},
        True,
        True,
    )
    assert told(result) == {
        "p": "parents",
        "t": "other",
        "t.id": "other.number",
        "t.p_id": "other.parent",
        "t.v": "other.value",
    }
    with connected(named.database(target)) as connection:
        assert {*sa.inspect(connection).get_table_names()} == {"parents", "other"}
    execute(
        named.database("sqlite"),
        "INSERT INTO t VALUES (3, 1, 1, 'three', NULL)",
        "UPDATE t SET v = 'changed' WHERE id = 1",
        "UPDATE t SET v = 'two too' WHERE id = 2",
    )
    assert sync(named, "sqlite", target, rename=NAMES, dry_run=True).tables[1].table == "t"
    result = sync(named, "sqlite", target, rename=NAMES, options=ALL)
    assert result.verified
    assert rows(named, target, "SELECT number, parent, value FROM other") == rows(
        named, "sqlite", "SELECT id, p_id, v FROM t"
    )
    again = sync(named, "sqlite", target, rename=NAMES, options=ALL)
    assert sum(t.inserted + t.updated + t.deleted for t in again.tables) == 0
    execute(named.database("sqlite"), "DELETE FROM t WHERE id = 3")
    assert counts(sync(named, "sqlite", target, rename=NAMES, options=ALL))["t"][3] == 1


def constrained() -> sa.MetaData:
    """A table with checks and indexes of all kinds over columns that will have other names."""
    found = sa.MetaData()
    t = sa.Table(
        "t",
        found,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("v", sa.String(20)),
        sa.Column("n", sa.Integer),
        sa.Column("kind", sa.Enum("a", "b", native_enum=False, create_constraint=True, name="kinds")),
        sa.CheckConstraint("n > 0 AND v <> 'n'", name="text_check"),
        sa.CheckConstraint("CAST(n AS n) > 0", name="unclear"),
    )
    t.append_constraint(sa.CheckConstraint(sa.and_(t.c.n < 100, t.c.v != "it's"), name="column_check"))
    sa.Index("by_lower", sa.func.lower(t.c.v), unique=True)
    sa.Index("some", t.c.n, unique=True, sqlite_where=t.c.n > 5, postgresql_where=t.c.n > 5)
    sa.Index("unclear_some", t.c.v, sqlite_where=sa.text("n.x > 5"), postgresql_where=sa.text("n.x > 5"))
    return found


@EVERY_TARGET
@pytest.mark.parametrize("names", [{"t": "other"}, {"t": "other", "t.n": "the number", "t.v": "w", "t.kind": "sort"}])
def test_checks_and_indexes_are_made_over_the_other_names_or_told(
    using: Using, target: str, names: dict[str, str]
) -> None:
    config = using(constrained_without_unclear())
    execute(config.database("sqlite"), "INSERT INTO t VALUES (1, 'one', 9, 'a')")
    if len(names) > 1:
        using(constrained())

    for dry_run in (True, False):
        result = sync(config, "sqlite", target, rename=names, dry_run=dry_run)
        told = [each.reason for each in result.warnings if each.outcome == "constraint missing"]
        assert [each for each in told if "may refer to what has another name" in each] == [
            f"{target} is made without {what} of the models: it may refer to what has another name there."
            for what in (("the check unclear", "the index unclear_some") if len(names) > 1 else ())
        ]

    assert result.verified
    n, v, kind = (names.get(f"t.{name}", name) for name in ("n", "v", "kind"))
    insert = f'INSERT INTO other (id, "{n}", "{v}", "{kind}") VALUES '
    refused = ["(2, 0, 'x', 'a')", "(2, 5, 'n', 'a')", "(2, 100, 'x', 'a')", "(2, 5, 'it''s', 'a')", "(2, 5, 'x', 'c')"]
    for values in [*refused, *(["(2, 9, 'x', 'a')", "(2, 5, 'ONE', 'a')"] if target != "duckdb" else [])]:
        with pytest.raises(sa.exc.DBAPIError):
            execute(config.database(target), insert + values)
    execute(config.database(target), f"{insert}(2, 5, 'x', 'b')", f"{insert}(3, 5, 'y', 'b')")


def constrained_without_unclear() -> sa.MetaData:
    """The table as it can be made under its own names."""
    found = constrained()
    table = found.tables["t"]
    table.constraints -= {each for each in table.constraints if each.name == "unclear"}
    table.indexes -= {each for each in table.indexes if each.name == "unclear_some"}
    return found


def test_other_names_are_told_in_the_order_in_which_they_were_given(named: Config) -> None:
    given = {"t.v": "a", "t.at": "b", "t.up": "c", "t.p_id": "d", "t.id": "e"}
    assert list(sync(named, "sqlite", "duckdb", rename=given).renamed) == list(given)


@pytest.mark.parametrize("target", ["postgres"])
def test_a_schema_that_is_lacking_is_made_where_tables_are(named: Config, target: str) -> None:
    names = {"p": "stage.p", "t": "odd stage.t"}
    assert sync(named, "sqlite", target, rename=names).verified
    assert rows(named, target, 'SELECT count(*) FROM "odd stage".t') == [(2,)]
    execute(named.database("sqlite"), "UPDATE p SET code = 'new' WHERE id = 1")
    assert counts(sync(named, "sqlite", target, rename=names))["p"] == (0, 1, 1, 0)
    with pytest.raises(ConfigurationError, match=r"sqlite2 has no schemas, and so no stage\.p"):
        sync(named, "sqlite", "sqlite2", rename=names)


def test_a_schema_of_the_models_is_another_one_or_none_in_the_target(using: Using) -> None:
    found = sa.MetaData()
    sa.Table("t", found, sa.Column("id", sa.Integer, primary_key=True), sa.Column("v", sa.Text), schema="stage")
    config = using(sa.MetaData())
    sys.modules[MODULE].metadata = found  # type: ignore[attr-defined]
    execute(
        config.database("postgres"),
        "CREATE SCHEMA stage",
        "CREATE TABLE stage.t (id int PRIMARY KEY, v text)",
        "INSERT INTO stage.t VALUES (1, 'a')",
    )
    assert sync(config, "postgres", "sqlite2", rename={"stage.t": "t"}).verified
    assert rows(config, "sqlite2", "SELECT * FROM t") == [(1, "a")]
    assert sync(config, "postgres", "duckdb", rename={"stage.t": "main.t", "stage.t.v": "stage.t.w"}).verified
    assert rows(config, "duckdb", "SELECT w FROM main.t") == [("a",)]


@pytest.mark.slow
@pytest.mark.parametrize("target", ["postgres"])
def test_diff_and_its_script_speak_of_the_models_names_and_the_targets_in_turn(named: Config, target: str) -> None:
    sync(named, "sqlite", target, rename=NAMES)
    assert diff(named, "sqlite", target, rename=NAMES).equal
    execute(
        named.database("sqlite"), "UPDATE t SET v = 'new' WHERE id = 1", "INSERT INTO t VALUES (5, 1, 1, 'z', NULL)"
    )
    found = diff(named, "sqlite", target, rename=NAMES, rows=None)
    assert [(t.table, t.status, t.added, t.changed) for t in found.tables] == [
        ("p", Status.SAME, 0, 0),
        ("t", Status.DIFFERS, 1, 1),
    ]
    assert [(row.table, row.kind, row.key) for row in found.tables[1].rows] == [
        ("t", "changed", {"id": 1}),
        ("t", "added", {"id": 5}),
    ]
    assert found.tables[1].rows[0].columns == {"v": ("one", "new")}
    assert told(found)["t"] == "other"
    script = named.root / "script.sql"
    diff_sql(named, "sqlite", target, script, rename=NAMES)
    statements = [s for s in script.read_text().split(";\n") if s.startswith(("UPDATE", "INSERT INTO"))]
    statements = [each for each in statements if "toolkit_checks" not in each]
    assert len(statements) == 2
    assert all('"other"' in each and '"value"' in each for each in statements)
    assert [t.status for t in diff(named, "sqlite", target, ["t"], columns=["v"], rename=NAMES).tables] == [
        Status.DIFFERS
    ]


@pytest.mark.parametrize(("source", "target"), [("postgres", "sqlite2")])
def test_a_script_that_inserts_nothing_is_written_where_the_key_has_another_name(
    named: Config, source: str, target: str
) -> None:
    sync(named, "sqlite", source)
    sync(named, source, target, rename=NAMES)
    execute(named.database(source), "UPDATE t SET v = 'new' WHERE id = 2")
    script = named.root / "script.sql"
    diff_sql(named, source, target, script, rename=NAMES)
    assert [each[:14] for each in script.read_text().split(";\n") if "'new'" in each] == ['UPDATE "other"']


@pytest.mark.slow
@pytest.mark.parametrize("target", ["postgres"])
def test_it_goes_with_match_since_set_where_source_and_commits_in_between(named: Config, target: str) -> None:
    sync(named, "sqlite", target, rename=NAMES)
    execute(named.database(target), "ALTER TABLE other ADD COLUMN tenant TEXT")
    execute(named.database("sqlite"), "INSERT INTO t VALUES (6, 2, 1, 'six', '2024-02-01 00:00:00.000000')")
    result = sync(
        named,
        "sqlite",
        target,
        rename=NAMES,
        since=Since("at", dt.timedelta(0)),
        set_values={"t.tenant": "acme"},
        where_source={"t": "v <> 'two'"},
        options=Options(commit_every=1),
    )
    assert (counts(result)["t"], result.verified) == ((1, 0, 1, 0), True)
    assert rows(named, target, "SELECT value FROM other WHERE tenant = 'acme'") == [("six",)]
    execute(named.database("sqlite"), "UPDATE t SET v = 'seven', at = '2024-03-01 00:00:00.000000' WHERE id = 6")
    result = sync(named, "sqlite", target, rename=NAMES, since=Since("at"), where_source={"t": "v <> 'two'"})
    assert counts(result)["t"][1] == 1
    execute(named.database("sqlite"), "UPDATE p SET code = 'c' WHERE id = 2")
    execute(named.database("sqlite"), "INSERT INTO p VALUES (9, 'd')")
    assert sync(named, "sqlite", target, ["p"], rename=NAMES, match={"p": ["code"]}).verified


def test_errors_are_in_the_targets_names(named: Config) -> None:
    sync(named, "sqlite", "postgres", rename=NAMES)
    execute(named.database("postgres"), "ALTER TABLE other DROP COLUMN value")
    with pytest.raises(SchemaMismatchError, match=r"postgres\.other lacks value"):
        sync(named, "sqlite", "postgres", rename=NAMES)
    execute(named.database("postgres"), "ALTER TABLE other ADD COLUMN value text")
    execute(named.database("sqlite"), "INSERT INTO t VALUES (7, 77, NULL, 'v', NULL)")
    with pytest.raises(MissingParentError, match=r"other\.parent: 1 row points at parents"):
        sync(named, "sqlite", "postgres", rename=NAMES)


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        ({"x": "y"}, UnknownNameError, "no table 'x'"),
        ({"t.x": "y"}, UnknownNameError, "no column 'x' in t"),
        ({"t": "p"}, ConfigurationError, "Two tables would have the name p"),
        ({"t.id": "v"}, ConfigurationError, "Two columns of t would have the name v"),
        ({"t.id": "p.n"}, ConfigurationError, "A column of t cannot be one of p"),
    ],
)
def test_a_name_that_is_none_or_is_taken_is_refused_before_anything_is_opened(
    named: Config, names: dict[str, str], error: type[Exception], message: str
) -> None:
    for verb in (sync, diff):
        call: Callable[..., Any] = verb
        with pytest.raises(error, match=message):
            call(named, "sqlite", "duckdb", rename=names)
    file = named.database("duckdb").file
    assert file is not None
    assert not file.exists()


def test_two_tables_may_exchange_their_names(named: Config) -> None:
    names = {"t": "p", "p": "t"}
    assert sync(named, "sqlite", "sqlite2", rename=names).verified
    assert rows(named, "sqlite2", "SELECT * FROM t") == [(1, "a"), (2, "b")]
    assert diff(named, "sqlite", "sqlite2", rename=names).equal


def test_personal_data_is_known_by_its_other_name_too(config: Config) -> None:
    create(config.database("sqlite"), Project(config).metadata)
    create(config.database("sqlite2"), Project(config).metadata)
    there = ("ALTER TABLE user_account RENAME TO person", "ALTER TABLE person RENAME COLUMN email TO mail")
    row = "INSERT INTO {} VALUES ({})"
    with connected(config.database("sqlite")) as connection:
        names = [column["name"] for column in sa.inspect(connection).get_columns("user_account")]
    known = {
        "joined_at": "'2024-01-01'",
        "id": "x'00000000000000000000000000000001'",
        "email": "'me@secret.example'",
        "name": "'n'",
    }
    values = [known.get(name, "'2024-01-01 00:00:00.000000'" if name.endswith("_at") else "1") for name in names]
    execute(config.database("sqlite"), row.format(f"user_account ({', '.join(names)})", ", ".join(values)))
    spoil = "CREATE TRIGGER odd AFTER INSERT ON person BEGIN UPDATE person SET mail = 'other@secret.example'; END"
    execute(config.database("sqlite2"), *there, spoil)
    own, rename = (
        replace(config, migrations=config.root / "none"),
        {"user_account": "person", "user_account.email": "mail"},
    )
    with pytest.raises(VerificationError) as refused:
        sync(own, "sqlite", "sqlite2", ["user_account"], rename=rename)
    assert "mail differs from what was sent" in refused.value.fact
    assert "secret.example" not in str(refused.value)


def test_the_command_line_tells_the_other_names(
    named: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(named.root)
    urls = ["--from", named.database("sqlite").address, "--to", named.database("sqlite2").address]
    options = ["--metadata", "tests.operations.test_rename:METADATA", *urls, "--rename", "t=u", "--rename", "t.v=w"]
    (named.root / "toolkit.toml").write_text('migrations = "none"\n')
    assert run(["sync", *options]) == 0
    assert "t is u, t.v is u.w." in capsys.readouterr().out
    assert run(["diff", *options, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["renamed"] == {"t": "u", "t.v": "u.w"}
    assert [table["table"] for table in document["tables"]] == ["p", "t"]


METADATA = metadata()


@pytest.mark.slow
@pytest.mark.parametrize("target", ["duckdb"])
def test_a_column_to_sync_since_is_named_as_in_the_models_whatever_the_target_calls_it(
    named: Config, target: str
) -> None:
    names = {"t": "other", "t.at": "changed"}
    with pytest.raises(ConfigurationError, match="None of the tables has a column 'changed'"):
        sync(named, "sqlite", target, rename=names, since=Since("changed"))
    assert counts(sync(named, "sqlite", target, rename=names, since=Since("at")))["t"] == (2, 0, 0, 0)
    execute(
        named.database("sqlite"),
        "INSERT INTO t VALUES (3, 1, 1, 'three', '2024-02-01 00:00:00.000000')",
        "UPDATE t SET v = 'not seen', at = '2000-01-01 00:00:00.000000' WHERE id = 1",
    )
    result = sync(named, "sqlite", target, rename=names, since=Since("at"))
    assert (counts(result)["t"][:2], result.tables[1].since) == ((1, 0), "2023-12-31 23:55:00")
    assert rows(named, target, "SELECT id, v FROM other") == [(1, "one"), (2, "two"), (3, "three")]
