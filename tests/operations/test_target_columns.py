"""Columns that only the target has: their default, what `--set` gives them, and those that need something."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.operations.clients import run_script
from tests.operations.databases import connected, create, execute
from tests.operations.outcomes import counts
from tests.operations.test_hard_schemas import EVERY_TARGET, Using, plain, rows, using
from toolkit.config import Config
from toolkit.errors import ConfigurationError, RefusedRowError, SchemaMismatchError, UnknownNameError
from toolkit.operations.diff.compare import diff
from toolkit.operations.diff.script import diff_sql
from toolkit.operations.fixtures.load import load_data
from toolkit.operations.sync import sync
from toolkit.operations.transfer.options import Options

__all__ = ["using"]


def wider(using: Using, target: str, columns: str) -> Config:
    """A table of which the target has more columns, with a row that is there, and one that is not."""
    config = using(plain("t", sa.Column("v", sa.Text)))
    execute(config.database("sqlite"), "INSERT INTO t VALUES (1, 'new'), (2, 'more')")
    execute(config.database(target), f"CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, {columns})")
    return config


@pytest.mark.parametrize("target", ["sqlite2", "duckdb"])
def test_what_only_the_target_has_gets_its_default_and_keeps_what_it_has(using: Using, target: str) -> None:
    config = wider(using, target, "a INTEGER NOT NULL DEFAULT 7, b TEXT")
    execute(config.database(target), "INSERT INTO t VALUES (1, 'old', 3, 'own')")
    result = sync(config, "sqlite", target)
    assert (counts(result), result.verified) == ({"t": (1, 1, 0, 0)}, True)
    assert rows(config, target, "SELECT id, v, a, b FROM t") == [(1, "new", 3, "own"), (2, "more", 7, None)]


@pytest.mark.parametrize(
    ("target", "there", "every"),
    [
        ("sqlite2", False, 1),
        ("postgres", True, 1),
        ("postgres", False, None),
        ("duckdb", True, None),
    ],
)
def test_a_column_that_needs_a_value_is_named_before_anything_is_written_and_given_one(
    using: Using, target: str, there: bool, every: int | None
) -> None:
    config = wider(using, target, '"the tenant" TEXT NOT NULL, day DATE NOT NULL, free TEXT')
    if there:
        execute(config.database(target), "INSERT INTO t VALUES (1, 'old', 'mine', '2020-01-01', NULL)")
    before = rows(config, target, "SELECT * FROM t")
    options = Options(commit_every=every)
    for dry_run in (True, False):
        with pytest.raises(SchemaMismatchError) as refused:
            sync(config, "sqlite", target, options=options, dry_run=dry_run)
        assert refused.value.problems == tuple(
            f"{target}.t.{name} is NOT NULL and has no default, and only {target} has it"
            for name in ("the tenant", "day")
        )
        assert "--set 't.the tenant'=VALUE --set t.day=VALUE" in refused.value.advice
    assert rows(config, target, "SELECT * FROM t") == before
    values = {"t.the tenant": "it's 5 %", "t.day": "2024-02-29"}
    result = sync(config, "sqlite", target, set_values=values, options=options)
    assert (counts(result), result.verified) == ({"t": (1, 1, 0, 0) if there else (2, 0, 0, 0)}, True)
    own = ("mine", "2020-01-01") if there else ("it's 5 %", "2024-02-29")
    found = [tuple(map(str, row)) for row in rows(config, target, "SELECT * FROM t")]
    assert found == [("1", "new", *own, "None"), ("2", "more", "it's 5 %", "2024-02-29", "None")]
    assert counts(sync(config, "sqlite", target, set_values=values, options=options)) == {"t": (0, 0, 2, 0)}


@pytest.mark.parametrize("there", [True, False], ids=["merge", "load"])
def test_a_column_that_a_trigger_does_not_give_its_value_is_told_as_such_and_set(using: Using, there: bool) -> None:
    config = wider(using, "postgres", "tenant TEXT NOT NULL")
    execute(
        config.database("postgres"),
        "CREATE FUNCTION own() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := NEW.v; RETURN NEW; END $$",
        "CREATE TRIGGER own BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION own()",
        *(["INSERT INTO t VALUES (1, 'old', 'mine')"] if there else []),
    )
    with pytest.raises(RefusedRowError, match=r"t id=[12] is refused: tenant, which only postgres has") as caught:
        sync(config, "sqlite", "postgres")
    assert caught.value.advice == "Say what rows that are inserted get there: --set t.tenant=VALUE."
    assert sync(config, "sqlite", "postgres", set_values={"t.tenant": "x"}).verified


@pytest.mark.parametrize(
    ("target", "trigger"),
    [
        ("sqlite2", "BEFORE INSERT ON t BEGIN SELECT 1; END"),
        ("postgres", "AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"),
        ("postgres", "BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"),
    ],
)
def test_a_trigger_that_can_give_no_value_leaves_a_needed_column_to_be_named_before_anything_is_written(
    using: Using, target: str, trigger: str
) -> None:
    config = wider(using, target, "tenant TEXT NOT NULL")
    execute(config.database(target), f"CREATE TRIGGER other {trigger}")
    with pytest.raises(SchemaMismatchError, match="tenant is NOT NULL"):
        sync(config, "sqlite", target)


def test_a_trigger_of_postgres_that_gives_a_needed_column_its_value_is_left_to_do_so(using: Using) -> None:
    config = wider(using, "postgres", "tenant TEXT NOT NULL")
    execute(
        config.database("postgres"),
        "CREATE FUNCTION own() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.tenant := 'x'; RETURN NEW; END $$",
        "CREATE TRIGGER own BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION own()",
    )
    with pytest.raises(SchemaMismatchError, match="tenant is NOT NULL"):
        sync(config, "sqlite", "postgres", options=Options(hold_triggers=True))
    assert sync(config, "sqlite", "postgres").verified


@pytest.mark.parametrize(
    "columns",
    [
        "n INTEGER GENERATED ALWAYS AS IDENTITY NOT NULL",
        "n SERIAL NOT NULL",
        "n code NOT NULL",
        "n INT NOT NULL GENERATED ALWAYS AS (id + 1) STORED",
    ],
    ids=["identity", "serial", "domain", "generated"],
)
def test_what_postgres_fills_by_itself_needs_nothing(using: Using, columns: str) -> None:
    config = using(plain("t", sa.Column("v", sa.Text)))
    execute(config.database("sqlite"), "INSERT INTO t VALUES (1, 'new')")
    execute(
        config.database("postgres"),
        "CREATE DOMAIN code AS int DEFAULT 2",
        f"CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, {columns})",
    )
    assert sync(config, "sqlite", "postgres").verified


_TYPES: dict[str, dict[str, tuple[str, Any]]] = {
    "sqlite2": {"BOOLEAN": ("t", 1), "NUMERIC(6, 2)": ("1.25", 1.25), "TIMESTAMP": ("2024-01-02T03:04:05", None)},
    "postgres": {
        "boolean": ("true", True),
        "numeric(6, 2)": ("1.25", Decimal("1.25")),
        "timestamptz": ("2024-01-02T03:04:05+02:00", dt.datetime(2024, 1, 2, 1, 4, 5, tzinfo=dt.UTC)),
        "jsonb": ('{"a": [1]}', {"a": [1]}),
        "int[]": ("[1, 2]", [1, 2]),
        "kind": ("B", "B"),
        "inet": ("10.0.0.1/8", None),
        "uuid": ("12345678123456781234567812345678", None),
    },
    "duckdb": {"BOOLEAN": ("false", False), "DECIMAL(6, 2)": ("1.25", Decimal("1.25")), "INTEGER[]": ("[1]", [1])},
}


@EVERY_TARGET
def test_a_value_is_taken_as_the_columns_own_type(using: Using, target: str) -> None:
    if target == "postgres":
        execute(using(sa.MetaData()).database(target), "CREATE TYPE kind AS ENUM ('A', 'B')")
    columns = {f"x{number}": type_ for number, type_ in enumerate(_TYPES[target])}
    config = wider(using, target, ", ".join(f"{name} {type_} NOT NULL" for name, type_ in columns.items()))
    values = {f"t.{name}": _TYPES[target][type_][0] for name, type_ in columns.items()}
    assert sync(config, "sqlite", target, set_values=values).verified
    for name, type_ in columns.items():
        with connected(config.database(target)) as connection:
            found: list[Any] = [*connection.exec_driver_sql(f"SELECT DISTINCT {name} FROM t").scalars()]
        assert len(found) == 1
        assert _TYPES[target][type_][1] in (None, found[0]), type_


@pytest.mark.parametrize(
    ("target", "type_", "value"),
    [
        ("postgres", "integer", "twelve"),
        ("postgres", "smallint", "70000"),
        ("postgres", "numeric(6, 2)", "1.255"),
        ("duckdb", "DECIMAL(6, 2)", "1.255"),
        ("duckdb", "DATE", "2024-02-30"),
        ("sqlite2", "INTEGER", "12x"),
        ("sqlite2", "DATE", "today"),
        ("postgres", "boolean", ""),
    ],
)
def test_a_value_that_does_not_fit_its_column_is_refused_before_anything_is_written(
    using: Using, target: str, type_: str, value: str
) -> None:
    config = wider(using, target, f"x {type_} NOT NULL")
    with pytest.raises(ConfigurationError, match=rf"--set t\.x: '{value}' .* type .* in {target}"):
        sync(config, "sqlite", target, set_values={"t.x": value}, dry_run=True)


def test_only_a_column_of_the_target_alone_is_set(using: Using) -> None:
    config = wider(using, "sqlite2", "x INTEGER, y INTEGER GENERATED ALWAYS AS (id + 1)")
    for place, error, message in (
        ("t.v", ConfigurationError, "t.v is a column of the models"),
        ("t.nothing", UnknownNameError, "There is no column 'nothing' in sqlite2.t"),
        ("u.x", UnknownNameError, "There is no table 'u'"),
        ("t.y", ConfigurationError, "sqlite2.t computes y itself"),
    ):
        with pytest.raises(error, match=message):
            sync(config, "sqlite", "sqlite2", set_values={place: "1"})
    with pytest.raises(ConfigurationError, match="have no column but theirs"):
        sync(config, "sqlite", "duckdb", set_values={"t.x": "1"})
    with connected(config.database("duckdb")) as connection:
        assert sa.inspect(connection).get_table_names() == []


def test_fixtures_are_loaded_into_a_wider_table(using: Using, tmp_path: Path) -> None:
    config = wider(using, "postgres", "tenant INTEGER NOT NULL")
    (tmp_path / "t.json").write_text(json.dumps([{"id": 1, "v": "new"}]))
    assert load_data(config, "postgres", directory=tmp_path, set_values={"t.tenant": "5"}).verified
    assert rows(config, "postgres", "SELECT id, tenant FROM t") == [(1, 5)]


def test_a_parent_in_the_same_table_is_found_where_a_value_is_set(using: Using) -> None:
    metadata = plain("t", sa.Column("parent", sa.ForeignKey("t.id")))
    config = using(metadata)
    create(config.database("postgres"), metadata)
    execute(config.database("postgres"), "ALTER TABLE t ADD COLUMN x int NOT NULL")
    execute(config.database("sqlite"), "INSERT INTO t VALUES (1, 2), (2, NULL)")
    assert sync(config, "sqlite", "postgres", set_values={"t.x": "1"}).verified


@pytest.mark.parametrize("target", ["postgres"])
def test_a_script_gives_inserted_rows_what_is_set_and_is_refused_without(
    using: Using, target: str, tmp_path: Path
) -> None:
    config, script = wider(using, target, '"the tenant" TEXT NOT NULL, n INTEGER'), tmp_path / "script.sql"
    execute(config.database(target), "INSERT INTO t VALUES (1, 'old', 'mine', 3)")
    with pytest.raises(SchemaMismatchError, match="the tenant is NOT NULL"):
        diff_sql(config, "sqlite", target, script)
    assert not script.exists()
    with pytest.raises(ConfigurationError, match=r"t\.v is a column of the models"):
        diff_sql(config, "sqlite", target, script, set_values={"t.v": "x"})

    diff_sql(config, "sqlite", target, script, set_values={"t.the tenant": 'it\'s "5 %"', "t.n": "7"})

    assert run_script(config.database(target), script).returncode == 0
    assert rows(config, target, "SELECT * FROM t") == [(1, "new", "mine", 3), (2, "more", 'it\'s "5 %"', 7)]
    # Of rows that are there already, nothing is needed.
    execute(config.database("sqlite"), "UPDATE t SET v = 'again'")
    diff_sql(config, "sqlite", target, script)
    assert run_script(config.database(target), script).returncode == 0
    assert diff(config, "sqlite", target).equal
