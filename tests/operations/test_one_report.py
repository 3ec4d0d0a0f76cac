"""What does not fit into an application's tables is told in one report, with the option that gets past."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from tests.operations.databases import connected, execute
from toolkit import sync
from toolkit.cli import run
from toolkit.config import Config
from toolkit.core.types import Kind, LogicalType
from toolkit.engines.portable.narrowing import narrower
from toolkit.errors import MisfitsError


@pytest.fixture
def bare(config: Config) -> Config:
    """The configuration of the databases, without models."""
    return replace(config, metadata="", migrations=config.root / "none")


def test_rows_without_a_parent_are_told_with_values_that_do_not_fit_and_what_keeps_no_json(bare: Config) -> None:
    execute(
        bare.database("sqlite"),
        "CREATE TABLE j (id INTEGER PRIMARY KEY, d JSON)",
        "CREATE TABLE k (id INTEGER PRIMARY KEY, j INTEGER REFERENCES j (id))",
        "INSERT INTO j VALUES (1, '{}'), (2, '{a}')",
        "INSERT INTO k VALUES (1, 1), (2, 98), (3, 99)",
    )
    execute(
        bare.database("postgres"),
        "CREATE TABLE j (id bigint PRIMARY KEY, d jsonb)",
        "CREATE TABLE k (id bigint PRIMARY KEY, j bigint REFERENCES j (id))",
    )
    with pytest.raises(MisfitsError) as refused:
        sync(bare, "sqlite", "postgres")
    assert list(refused.value.facts) == [
        "3 values of 2 columns do not fit.",
        "j.d: 1 value, holds invalid JSON, which postgres cannot keep: '{a}' (id=2)",
        "k.j: 2 values, no row of j that it points at: … (id=2), …",
    ]
    assert "Or have it converted as the source is read: --convert j.d:json." in refused.value.advice
    execute(bare.database("sqlite"), "DELETE FROM k WHERE id > 1")
    assert sync(bare, "sqlite", "postgres", convert=["j.d:json"]).verified


def test_tables_of_schemas_are_told_by_their_own_names_where_others_have_none(bare: Config) -> None:
    execute(
        bare.database("postgres"),
        "CREATE SCHEMA app",
        "CREATE TABLE app.j (id int PRIMARY KEY, at timestamptz)",
        "CREATE TABLE app.k (id int PRIMARY KEY, j int, at timestamp)",
        "INSERT INTO app.j VALUES (1, 'infinity')",
        "INSERT INTO app.k VALUES (1, 1, '-infinity'), (2, 98, NULL)",
        "ALTER TABLE app.k ADD FOREIGN KEY (j) REFERENCES app.j NOT VALID",
    )
    with pytest.raises(MisfitsError) as refused:
        sync(bare, "postgres", "sqlite")
    assert list(refused.value.facts) == [
        "3 values of 3 columns do not fit.",
        "app.j.at: 1 value, which sqlite cannot keep: 'infinity' (id=1)",
        "app.k.at: 1 value, which sqlite cannot keep: '-infinity' (id=1)",
        "app.k.j: 1 value, no row of app.j that it points at: … (id=2)",
    ]


def test_addresses_that_postgres_writes_in_another_way_are_told_by_value(bare: Config) -> None:
    execute(
        bare.database("sqlite"),
        "CREATE TABLE n (id INTEGER PRIMARY KEY, ip TEXT, net TEXT, mac TEXT)",
        "INSERT INTO n VALUES (1, '10.0.0.1', '10.0.0.0/8', '08:00:2b:01:02:03')",
        "INSERT INTO n VALUES (2, '::0001', '10/8', '08-00-2B-01-02-03')",
    )
    execute(bare.database("postgres"), "CREATE TABLE n (id bigint PRIMARY KEY, ip inet, net cidr, mac macaddr)")
    with pytest.raises(MisfitsError) as refused:
        sync(bare, "sqlite", "postgres")
    assert [(each.column, each.rows[0].value) for each in refused.value.misfits] == [
        ("ip", "'::0001/128'"),
        ("net", "'10/8'"),
        ("mac", "'08-00-2B-01-02-03'"),
    ]
    execute(bare.database("sqlite"), "DELETE FROM n WHERE id = 2")
    assert sync(bare, "sqlite", "postgres").verified


def test_addresses_as_postgres_writes_them_are_none_of_those(bare: Config) -> None:
    given = [
        "::1",
        "::",
        "::ffff:1.2.3.4/120",
        "1:0:0:2::",
        "::1.2.3.4",
        "FE80::1/64",
        "10.1.2.3/8",
        "10.1.2.3",
        "::5:6",
    ]
    with connected(bare.database("postgres")) as connection:
        for type_, texts in {"inet": given, "cidr": [each for each in given if "/" not in each]}.items():
            written = [connection.exec_driver_sql(f"SELECT '{each}'::{type_}::text").scalar_one() for each in texts]
            check = narrower(LogicalType(Kind.TEXT), None, type_)
            assert check is not None
            assert check.rows(pa.array(written)) == []


def test_inspect_takes_conversions(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    execute(
        config.database("sqlite"),
        "CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME)",
        "INSERT INTO t VALUES (1, 1700000000)",
    )
    assert run(["inspect", config.database("sqlite").address, "--for", "postgres", "--convert", "t.at:epoch-s"]) == 0
    shown = capsys.readouterr().out
    assert "TIMESTAMP WITHOUT TIME ZONE" in shown
    assert "Its values are converted." in shown


@pytest.mark.slow
@pytest.mark.parametrize("target", ["postgres", "duckdb"])
def test_all_values_that_are_no_label_of_an_enum_are_told_at_once_in_a_dry_run_too(bare: Config, target: str) -> None:
    execute(
        bare.database("sqlite"),
        "CREATE TABLE n (id INTEGER PRIMARY KEY, mood TEXT)",
        "INSERT INTO n VALUES (1, 'it''s'), (2, 'bad'), (3, 'worse'), (4, NULL), (5, 'ok')",
    )
    execute(
        bare.database(target),
        "CREATE TYPE mood AS ENUM ('it''s', 'ok')",
        "CREATE TABLE n (id BIGINT PRIMARY KEY, mood mood)",
    )
    for dry_run in (False, True):
        with pytest.raises(MisfitsError) as refused:
            sync(bare, "sqlite", target, dry_run=dry_run)
        (misfit,) = refused.value.misfits
        assert (misfit.column, [row.value for row in misfit.rows]) == ("mood", ["'bad'", "'worse'"])
        assert "none of the labels of the type" in str(refused.value)
    execute(bare.database("sqlite"), "DELETE FROM n WHERE id IN (2, 3)")
    assert sync(bare, "sqlite", target).verified
