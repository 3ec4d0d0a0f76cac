"""Values that do not fit: all of them are told in one report, before anything is written, by table, row and column."""

from __future__ import annotations

import json
import re
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.operations.databases import connected, contents, execute
from toolkit.cli import run
from toolkit.config import Config
from toolkit.engines.portable.table import TableRepository
from toolkit.errors import (
    MisfitsError,
    RepeatedKeyError,
    SchemaMismatchError,
    ToolkitError,
    UnrepresentableValueError,
    VerificationError,
)
from toolkit.operations.fixtures.dump import dump_data
from toolkit.operations.fixtures.load import load_data
from toolkit.operations.sync import sync
from toolkit.operations.transfer.watermarks import Since

METADATA = sa.MetaData()
sa.Table(
    "part",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("amount", sa.Integer),
    sa.Column("label", sa.Text),
    sa.Column("made", sa.DateTime),
)
sa.Table(
    "price",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("net", sa.Numeric(10, 4)),
    sa.Column("ratio", sa.Float),
    sa.Column("code", sa.String),
)
PLAIN = {
    "part": "id INTEGER PRIMARY KEY, amount INTEGER, label TEXT, made TIMESTAMP",
    "price": "id INTEGER PRIMARY KEY, net DECIMAL(10,4), ratio DOUBLE PRECISION, code VARCHAR",
}
GOOD = {"part": "1, 'fine', '2024-01-01 10:00:00'", "price": "1.5, 0.5, 'a'"}
FIT = range(1, 10)


@pytest.fixture
def space(config: Config, tmp_path: Path) -> Config:
    """A configuration of these tables, which have no migrations."""
    return replace(config, metadata=f"{__name__}:METADATA", migrations=tmp_path / "none")


def make(space: Config, name: str, rows: Sequence[str] = (), **columns: str) -> None:
    """The tables in a database, with good rows and these statements; some columns of other types."""
    made = []
    for table, plain in PLAIN.items():
        parts = [column.split(" ", 1) for column in plain.split(", ")]
        declared = ", ".join(f"{column} {columns.get(column, type_)}" for column, type_ in parts)
        made.append(f"CREATE TABLE {table} ({declared})")
    execute(space.database(name), *made, *rows)


def good_rows() -> list[str]:
    return [f"INSERT INTO {table} VALUES ({number}, {GOOD[table]})" for table in PLAIN for number in FIT]


def found(error: ToolkitError) -> dict[str, tuple[int, list[str]]]:
    """By column, how many values and their keys."""
    assert isinstance(error, MisfitsError)
    return {f"{m.table}.{m.column}": (m.count, [row.key for row in m.rows]) for m in error.misfits}


def test_all_misfits_of_all_tables_are_told_in_one_report_whether_source_or_target_cannot_hold_them(
    space: Config,
) -> None:
    bad = [
        "UPDATE part SET amount = 'x' WHERE id IN (2, 5)",
        "UPDATE part SET amount = 3000000000 WHERE id = 6",
        "UPDATE part SET label = CAST(x'ff41' AS TEXT) WHERE id = 3",
        "UPDATE part SET made = 1701013012345 WHERE id > 3",
        "UPDATE price SET ratio = 0.1 WHERE id = 4",
        "UPDATE price SET net = 1.2345 WHERE id IN (7, 8)",
        "UPDATE price SET code = 'too long' WHERE id = 9",
    ]
    make(space, "sqlite", [*good_rows(), *bad])
    make(space, "postgres", net="NUMERIC(10,2)", ratio="REAL", code="VARCHAR(5)")

    for dry_run in (True, False):
        with pytest.raises(MisfitsError) as caught:
            sync(space, "sqlite", "postgres", dry_run=dry_run)
        assert found(caught.value) == {
            "part.amount": (3, ["id=2", "id=5", "id=6"]),
            "part.label": (1, ["id=3"]),
            "part.made": (6, [f"id={number}" for number in range(4, 10)]),
            "price.net": (2, ["id=7", "id=8"]),
            "price.ratio": (1, ["id=4"]),
            "price.code": (1, ["id=9"]),
        }
        lines = caught.value.facts
        assert lines[0] == "14 values of 6 columns do not fit."
        sentences = caught.value.advice.split(". ")
        assert len(sentences) == len({*sentences}) > 2
        assert "part.amount: 3 values, no int32: 'x' (id=2), 'x' (id=5), 3000000000 (id=6)" in lines
        assert "part.label: 1 value, no text: b'\\xffA' (id=3)" in lines
        net = "price.net: 2 values, more than the type numeric(10,2) in postgres can keep: 1.2345 (id=7), 1.2345 (id=8)"
        assert net in lines
        assert not any(contents(space.database("postgres"), METADATA).values())


def test_a_nul_and_what_a_good_row_of_the_same_table_is_refused_for_are_told_together(space: Config) -> None:
    make(space, "sqlite", [*good_rows(), "UPDATE part SET label = 'a' || char(0) WHERE id IN (2, 4)"])
    make(space, "postgres", amount="INTEGER CHECK (amount > 0)", label="TEXT NOT NULL")
    execute(space.database("sqlite"), "UPDATE part SET label = NULL WHERE id = 3")

    with pytest.raises(MisfitsError) as caught:
        sync(space, "sqlite", "postgres")

    counts = {each.reason: each.count for each in caught.value.misfits}
    nul = "holds the character U+0000, which postgres cannot keep"
    assert counts == {nul: 2, "which postgres does not allow": 1}


@pytest.mark.parametrize("target", ["sqlite2"])
def test_of_a_sync_of_what_changed_all_misfits_among_these_rows_are_told_together(space: Config, target: str) -> None:
    make(space, "sqlite", good_rows())
    make(space, target)
    sync(space, "sqlite", target, since=Since("id"))
    execute(
        space.database("sqlite"),
        "UPDATE part SET amount = 'not looked at' WHERE id = 2",
        "INSERT INTO part VALUES (20, 'x', 'fine', NULL), (21, 'y', 'fine', 'soon'), (22, 1, 'fine', NULL)",
        "INSERT INTO price VALUES (20, 'dear', 0.5, 'a')",
    )

    for dry_run in (True, False):
        with pytest.raises(MisfitsError) as caught:
            sync(space, "sqlite", target, since=Since("id"), dry_run=dry_run)
        assert found(caught.value) == {
            "part.amount": (2, ["id=20", "id=21"]),
            "part.made": (1, ["id=21"]),
            "price.net": (1, ["id=20"]),
        }


@pytest.mark.parametrize("target", ["sqlite2"])
def test_misfits_of_tables_with_other_names_there_are_told_by_the_models_names(space: Config, target: str) -> None:
    bad = "UPDATE part SET amount = 'x', made = 'soon' WHERE id IN (2, 3)"
    make(space, "sqlite", [*good_rows(), bad, "UPDATE part SET amount = 70000 WHERE id = 4"])
    make(space, target)
    execute(
        space.database(target),
        "DROP TABLE part",
        "CREATE TABLE piece (no INTEGER PRIMARY KEY, quantity SMALLINT, label TEXT, made TIMESTAMP)",
    )
    names = {"part": "piece", "part.id": "no", "part.amount": "quantity"}

    with pytest.raises(MisfitsError) as caught:
        sync(space, "sqlite", target, rename=names)

    amounts = ["id=2", "id=3", *([] if target == "sqlite2" else ["id=4"])]
    assert found(caught.value)["part.made"] == (2, ["id=2", "id=3"])
    told = [(row.key, each.column) for each in caught.value.misfits for row in each.rows if each.column != "made"]
    assert told == [(key, "amount") for key in amounts]


@pytest.mark.parametrize(
    ("engine", "type_", "values"),
    [("postgres", "NUMERIC", "5.5, 6.5"), ("duckdb", "DECIMAL(10,2)", "5.5, 6.5"), ("duckdb", "HUGEINT", "3e9, 4e9")],
)
def test_values_that_the_models_type_cannot_hold_are_counted_at_every_source(
    space: Config, tmp_path: Path, engine: str, type_: str, values: str
) -> None:
    one, two = values.split(", ")
    rows = [f"UPDATE part SET amount = {one} WHERE id = 2", f"UPDATE part SET amount = {two} WHERE id IN (8, 9)"]
    make(space, engine, [*good_rows(), *rows], amount=type_)
    make(space, "sqlite")

    for attempt in (
        lambda: sync(space, engine, "sqlite"),
        lambda: dump_data(space, engine, directory=tmp_path / "dump"),
    ):
        with pytest.raises(MisfitsError) as caught:
            attempt()
        assert found(caught.value) == {"part.amount": (3, ["id=2", "id=8", "id=9"])}


def test_rows_of_fixtures_that_the_target_cannot_keep_are_told_together(space: Config, tmp_path: Path) -> None:
    make(space, "postgres", net="NUMERIC(10,2)", code="CHAR(5)")
    rows = [{"id": 1, "net": "1.2345", "code": "ab"}, {"id": 2, "net": "1.5", "code": "ab "}]
    (tmp_path / "price.json").write_text(json.dumps([{**row, "ratio": 0.5} for row in rows]))
    with pytest.raises(MisfitsError) as caught:
        load_data(space, "postgres", directory=tmp_path)
    assert found(caught.value) == {"price.net": (1, ["id=1"]), "price.code": (1, ["id=2"])}


@pytest.mark.slow
def test_the_report_takes_twenty_lines_at_most_and_json_has_all_of_it(
    space: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"c{number}" for number in range(30)]
    columns = ", ".join(f'sa.Column("{name}", sa.Integer)' for name in names)
    table = f'sa.Table("t", md, sa.Column("id", sa.Integer, primary_key=True), {columns})'
    source = f"import sqlalchemy as sa\nmd = sa.MetaData()\n{table}"
    (tmp_path / "wide_models.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    execute(space.database("sqlite"), f"CREATE TABLE t (id INTEGER PRIMARY KEY, {', '.join(names)})")
    bad = ", ".join(["'bad'"] * len(names))
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150)"
    execute(space.database("sqlite"), f"{numbers} INSERT INTO t SELECT i, {bad} FROM n")
    monkeypatch.chdir(tmp_path)
    databases = [f'{name} = "{space.database(name).address}"' for name in ("sqlite", "duckdb")]
    settings = ['metadata = "wide_models:md"', 'migrations = "none"', "[databases]", *databases]
    (tmp_path / "toolkit.toml").write_text("\n".join(settings))

    assert run(["sync", "--from", "sqlite", "--to", "duckdb", "--json"]) == 1

    told = capsys.readouterr()
    assert len(told.err.splitlines()) <= 20
    assert "2,100 values in 14 more lines" in told.err
    document: dict[str, Any] = json.loads(told.out)
    assert {each["column"]: each["count"] for each in document["misfits"]} == dict.fromkeys(names, 150)
    assert {len(each["rows"]) for each in document["misfits"]} == {100}


@pytest.mark.parametrize("target", ["duckdb"])
def test_a_sync_without_misfits_looks_for_none(space: Config, monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    make(space, "sqlite", good_rows())
    make(space, target)

    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(TableRepository, "sifted", refuse)
    monkeypatch.setattr(TableRepository, "unkeepable", refuse)
    assert sync(space, "sqlite", target).verified


def test_a_single_misfit_is_told_as_it_always_was(space: Config) -> None:
    make(space, "sqlite", [*good_rows(), "UPDATE part SET amount = 'x' WHERE id = 5"])
    make(space, "duckdb")
    with pytest.raises(UnrepresentableValueError) as caught:
        sync(space, "sqlite", "duckdb")
    assert caught.value.fact == "part id=5: column 'amount' holds 'x', which is no int32."


KEPT_OTHERWISE = {
    "a narrower numeric": ("net", "NUMERIC(10,2)", "net = 1.2345", "1.2345", "numeric(10,2)"),
    "single precision": ("ratio", "REAL", "ratio = 0.1", "0.1", "real"),
    "whole seconds": (
        "made",
        "TIMESTAMP(0)",
        "made = '2024-01-01 10:00:00.5'",
        "2024-01-01T10:00:00.5",
        "timestamp(0)",
    ),
    "a date": ("made", "DATE", "made = '2024-01-01 10:00:00'", "2024-01-01T10:00:00", "date"),
    "blanks that fill up": ("code", "CHAR(6)", "code = 'ab  '", "'ab  '", "character(6)"),
    "fewer characters": ("code", "VARCHAR(3)", "code = 'abcd'", "'abcd'", "character varying(3)"),
    "fewer bits": ("amount", "SMALLINT", "amount = 70000", "70000", "smallint"),
}


@pytest.mark.parametrize(
    ("case", "filled"),
    [*((case, False) for case in KEPT_OTHERWISE), ("a narrower numeric", True), ("fewer bits", True)],
)
def test_a_target_that_would_keep_another_value_is_told_by_row_value_and_type_before_it_is_written_to(
    space: Config, case: str, filled: bool
) -> None:
    column, type_, bad, value, actual = KEPT_OTHERWISE[case]
    table = "part" if column in ("made", "amount") else "price"
    rows = [row for row in good_rows() if "DATE" not in type_ or "part" not in row]
    make(space, "sqlite", [*rows, f"INSERT INTO {table} (id) VALUES (77)", f"UPDATE {table} SET {bad} WHERE id = 77"])
    make(space, "postgres", [f"INSERT INTO {table} (id) VALUES (77)"] if filled else [], **{column: type_})
    before = contents(space.database("postgres"), METADATA)

    for dry_run in (False,) if filled else (True, False):
        with pytest.raises(UnrepresentableValueError) as caught:
            sync(space, "sqlite", "postgres", [table], dry_run=dry_run)
        assert caught.value.fact.startswith(f"{table} id=77: column '{column}' holds {value}")
        assert f"which postgres cannot keep: the column's type there is {actual}" in caught.value.fact
    assert contents(space.database("postgres"), METADATA) == before


@pytest.mark.parametrize(
    ("type_", "sent", "there"),
    [
        ("JSONB", '{"b":1,"a":2}', '{"a": 2, "b": 1}'),
        ("UUID", "F47AC10B-58CC-4372-A567-0E02B2C3D479", "f47ac10b-58cc-4372-a567-0e02b2c3d479"),
    ],
)
def test_a_text_that_a_type_of_the_target_writes_in_its_own_way_is_told_with_the_type(
    space: Config, type_: str, sent: str, there: str
) -> None:
    make(space, "sqlite", [f"INSERT INTO part VALUES (1, 1, '{sent}', NULL)"])
    make(space, "postgres", label=type_)
    shown = f"label '{sent}' was sent, '{there}' is there (its type there is {type_.lower()})"

    with pytest.raises(VerificationError, match=re.escape(shown)) as caught:
        sync(space, "sqlite", "postgres", ["part"])

    assert caught.value.advice.startswith(f"Give label ({type_.lower()}) in postgres the type that the models have")


def test_an_interval_that_does_not_fit_is_shown_as_one(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = 'sa.Table("t", md, sa.Column("id", sa.Integer, primary_key=True), sa.Column("v", sa.Interval))'
    (tmp_path / "interval_models.py").write_text(f"import sqlalchemy as sa\nmd = sa.MetaData()\n{table}")
    monkeypatch.syspath_prepend(str(tmp_path))
    execute(
        config.database("duckdb"),
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTERVAL)",
        "INSERT INTO t VALUES (7, INTERVAL '4000000 days 30 minutes')",
    )
    space = replace(config, metadata="interval_models:md", migrations=tmp_path / "none")
    with pytest.raises(UnrepresentableValueError) as caught:
        sync(space, "duckdb", "sqlite")
    assert caught.value.fact.startswith("t id=7: column 'v' holds 4000000 days 00:30:00, which sqlite")


def test_a_column_of_a_type_to_which_nothing_can_be_cast_is_named_before_anything_is_written(space: Config) -> None:
    make(space, "sqlite", good_rows())
    make(space, "postgres", made="BOOLEAN")
    for dry_run in (True, False):
        with pytest.raises(
            SchemaMismatchError, match=r"postgres\.part\.made is of type boolean, to which no timestamp"
        ):
            sync(space, "sqlite", "postgres", dry_run=dry_run)


def test_integers_of_a_file_arrive_in_a_column_of_booleans_or_are_told_by_their_row(space: Config) -> None:
    make(space, "sqlite", good_rows())
    make(space, "postgres", amount="BOOLEAN")
    assert sync(space, "sqlite", "postgres", ["part"]).verified
    execute(space.database("sqlite"), "UPDATE part SET amount = 5 WHERE id = 6")
    with pytest.raises(VerificationError, match="id=6: amount '5' was sent, '1' is there"):
        sync(space, "sqlite", "postgres", ["part"])


@pytest.mark.parametrize(
    ("engine", "column", "reason"),
    [
        (
            "postgres",
            'sa.Column("v", sa.Boolean, server_default=sa.text("7"))',
            "t.v cannot be made*is of type boolean*",
        ),
        ("postgres", 'sa.Column("v", sa.Integer, sa.Computed("id", persisted=False))', "t.v cannot be made*"),
        ("postgres", 'sa.Column("v", sa.Integer), sa.CheckConstraint("json_valid(v)")', "t cannot be made*json_valid*"),
    ],
)
def test_a_table_that_cannot_be_made_from_the_models_is_named_with_its_column(
    space: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, column: str, reason: str
) -> None:
    table = f'sa.Table("t", md, sa.Column("id", sa.Integer, primary_key=True), {column})'
    (tmp_path / "unmade_models.py").write_text(f"import sqlalchemy as sa\nmd = sa.MetaData()\n{table}")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "unmade_models", raising=False)
    execute(space.database("sqlite"), "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)")
    with pytest.raises(ToolkitError) as caught:
        sync(replace(space, metadata="unmade_models:md"), "sqlite", engine)
    assert fnmatch(caught.value.fact, f"{engine}: {reason}")
    assert "migration" not in str(caught.value)


@pytest.mark.parametrize("target", ["sqlite2"])
def test_two_rows_of_one_key_at_the_source_are_shown_whole(space: Config, target: str) -> None:
    make(space, "sqlite")
    make(space, target)
    rows = (
        "CREATE TABLE part AS SELECT 1 AS id, 5 AS amount, NULL AS label, NULL AS made UNION ALL SELECT 1, 6, 'x', NULL"
    )
    execute(space.database("sqlite"), "DROP TABLE part", rows)
    with pytest.raises(RepeatedKeyError) as caught:
        sync(space, "sqlite", target)
    shown = "(id=1, amount=5, label=NULL, made=NULL) and (id=1, amount=6, label=x, made=NULL)"
    assert caught.value.fact == f"part: 2 rows of sqlite have one key, id=1: {shown}."


def test_what_a_declaration_of_sqlite_says_refuses_no_value_for_sqlite_keeps_them_all(space: Config) -> None:
    odd = ["UPDATE price SET net = 1.2345, ratio = 0.1, code = 'too long'", "UPDATE part SET amount = 70000"]
    make(space, "postgres", [*good_rows(), *odd])
    make(space, "sqlite", net="DECIMAL(10,2)", ratio="real", code="CHAR(3)", amount="smallint")
    for dry_run in (True, False):
        assert sync(space, "postgres", "sqlite", dry_run=dry_run).verified != dry_run


@pytest.mark.parametrize("target", ["postgres"])
def test_a_null_that_only_the_model_forbids_is_carried(
    space: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    label = 'sa.Column("label", sa.Text, nullable=False)'
    table = f'sa.Table("part", md, sa.Column("id", sa.Integer, primary_key=True), {label})'
    (tmp_path / "strict_models.py").write_text(f"import sqlalchemy as sa\nmd = sa.MetaData()\n{table}")
    monkeypatch.syspath_prepend(str(tmp_path))
    make(space, "sqlite", ["INSERT INTO part VALUES (1, 5, NULL, NULL)"])
    make(space, target)
    for dry_run in (True, False):
        done = sync(replace(space, metadata="strict_models:md"), "sqlite", target, dry_run=dry_run)
        assert (done.tables[0].inserted, done.verified) == (1, not dry_run)


def test_a_dry_run_into_a_database_yet_to_be_made_finds_them_too(space: Config) -> None:
    make(space, "sqlite", [*good_rows(), "UPDATE part SET amount = 'x' WHERE id IN (2, 5)"])
    with pytest.raises(MisfitsError):
        sync(space, "sqlite", "duckdb", dry_run=True)
    file = space.database("duckdb").file
    assert file is not None
    assert not file.exists()


def test_a_type_that_sqlalchemy_does_not_know_is_no_warning_where_nulls_are_looked_at(space: Config) -> None:
    make(space, "sqlite", ["INSERT INTO part (id, label) VALUES (1, NULL)"])
    make(space, "postgres", label="XML")
    for dry_run in (True, False):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            sync(space, "sqlite", "postgres", ["part"], dry_run=dry_run)
        assert [str(each.message) for each in told if issubclass(each.category, sa.exc.SAWarning)] == []


def test_a_null_arrives_in_a_union_of_duckdb_as_one_and_a_text_as_one(space: Config) -> None:
    rows = "INSERT INTO price VALUES (1, 1, 1, NULL), (2, 1, 1, 'NULL'), (3, 1, 1, '5')"
    make(space, "sqlite", [rows])
    make(space, "duckdb", code="UNION(number INTEGER, text VARCHAR)")
    assert sync(space, "sqlite", "duckdb", ["price"]).verified
    with connected(space.database("duckdb")) as connection:
        query = "SELECT id FROM price WHERE code IS NULL OR union_tag(code) <> 'text' ORDER BY id"
        assert [row[0] for row in connection.exec_driver_sql(query)] == [1]
    execute(
        space.database("duckdb"),
        "DELETE FROM price WHERE id = 1",
        "INSERT INTO price VALUES (4, 1, 1, union_value(number := 5)), (5, 1, 1, union_value(text := NULL))",
    )
    # A text does not tell which member it was, nor whether that was NULL.
    with pytest.raises(MisfitsError) as caught:
        sync(space, "duckdb", "sqlite", ["price"])
    assert found(caught.value) == {"price.code": (2, ["id=4", "id=5"])}
