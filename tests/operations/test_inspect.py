"""What is told of a database without any models, and of what would become of it in another engine's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from tests.operations.clients import run_script
from tests.operations.databases import connected
from toolkit.config import Config, load_config
from toolkit.core.inspection import InspectedColumn, InspectedTable
from toolkit.errors import UnknownNameError
from toolkit.operations.diff.compare import diff
from toolkit.operations.inspect import definitions, engine_named, inspect
from toolkit.operations.reflection.unrepresentable_values import MASK
from toolkit.operations.sync import sync

_ROW = "(1, 1234.5600, 'ab', '2006-01-02 03:04:05', '{raw}', 'a@b.c', 'nan', '[1]', true)"
_THING = (
    "CREATE TABLE thing (id integer PRIMARY KEY, price {decimal}, label varchar(9), made timestamp, raw {bytes}, "
    "owner_email varchar, ratio double precision, doc json, is_new boolean)"
)
_MEASURED = {
    "duckdb": (_THING.format(decimal="decimal(20, 6)", bytes="blob"), _ROW.format(raw=r"\xAB\xCD")),
    "postgres": (_THING.format(decimal="numeric", bytes="bytea"), _ROW.format(raw=r"\xabcd")),
}


@pytest.fixture
def bare(tmp_path: Path, urls: Mapping[str, str]) -> Config:
    """The same databases where no models are configured."""
    return load_config(tmp_path, {f"TOOLKIT_{name.upper()}_URL": url for name, url in urls.items()})


def execute(config: Config, name: str, *statements: str) -> None:
    with connected(config.database(name)) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


def one(config: Config, name: str, for_engine: str | None = None, *, show_pii: bool = False) -> InspectedTable:
    (table,) = inspect(config, name, for_engine=for_engine, show_pii=show_pii).tables
    return table


def columns(table: InspectedTable) -> dict[str, InspectedColumn]:
    return {column.name: column for column in table.columns}


@pytest.mark.parametrize("name", ["duckdb", "postgres"])
def test_columns_are_measured_by_range_length_digits_and_null(bare: Config, name: str) -> None:
    execute(
        bare,
        name,
        _MEASURED[name][0],
        f"INSERT INTO thing VALUES {_MEASURED[name][1]}",
        "INSERT INTO thing (id, price, label) VALUES (2, -7, 'longer'), (3, NULL, ''), (4, 0.0625, NULL)",
    )
    table = one(bare, name)
    found = {column.name: column.stored for column in table.columns}
    assert (table.rows, table.key) == (4, ("id",))
    assert (found["id"].least, found["id"].greatest, found["id"].nulls) == ("1", "4", 0)
    assert (found["price"].precision, found["price"].scale, found["price"].nulls) == (8, 4, 1)
    assert (found["label"].least, found["label"].greatest, found["label"].longest) == ("", "longer", 6)
    assert found["made"].least == found["made"].greatest == "2006-01-02 03:04:05"
    assert (found["raw"].longest, found["raw"].least) == (2, None)
    assert found["ratio"].greatest in ("NaN", "nan")
    assert (found["doc"].longest, found["is_new"].nulls) == (3, 3)
    assert [sum(each.classes.values()) for each in found.values()] == [4, 3, 3, 1, 1, 1, 1, 1, 1]


def test_values_of_columns_that_look_personal_are_masked_unless_they_are_asked_for(bare: Config) -> None:
    execute(bare, "duckdb", _MEASURED["duckdb"][0], f"INSERT INTO thing VALUES {_MEASURED['duckdb'][1]}")
    masked, shown = (columns(one(bare, "duckdb", show_pii=each))["owner_email"] for each in (False, True))
    assert (masked.stored.least, masked.stored.greatest, masked.is_masked) == (MASK, MASK, True)
    assert (shown.stored.least, shown.stored.greatest, shown.is_masked) == ("a@b.c", "a@b.c", False)
    assert columns(one(bare, "duckdb"))["label"].stored.least == "ab"


def test_columns_that_the_models_say_are_personal_are_masked_too(bare: Config, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import sqlalchemy as sa\n"
        "metadata = sa.MetaData()\n"
        "sa.Table('a', metadata, sa.Column('hobby', sa.Text), info={'__pii_columns__': ['hobby']})\n"
    )
    execute(bare, "duckdb", "CREATE TABLE a (hobby VARCHAR)", "INSERT INTO a VALUES ('chess')")
    assert columns(one(bare, "duckdb"))["hobby"].stored.least == "chess"
    assert columns(one(replace(bare, metadata="mine:metadata"), "duckdb"))["hobby"].stored.least == MASK


@pytest.mark.slow
def test_a_table_of_many_columns_is_measured_in_parts(bare: Config) -> None:
    names = [f"c{number}" for number in range(450)]
    execute(
        bare,
        "postgres",
        f"CREATE TABLE wide ({', '.join(f'{name} text' for name in names)})",
        f"INSERT INTO wide VALUES ({', '.join(repr(name) for name in names)})",
    )
    assert [(each.name, each.stored.greatest, each.stored.rows) for each in one(bare, "postgres").columns] == [
        (name, name, 1) for name in names
    ]


def test_of_another_engine_the_types_are_told_without_a_connection(bare: Config) -> None:
    execute(bare, "postgres", _MEASURED["postgres"][0])
    nowhere = "duckdb:///no/such/directory/file.duckdb"
    found = columns(one(bare, "postgres", nowhere))
    assert (found["raw"].declared, found["raw"].type, found["raw"].why) == ("BYTEA", "BLOB", "DuckDB's for bytes.")
    assert (found["is_new"].type, found["is_new"].why) == ("BOOLEAN", "")


def test_values_that_the_other_engine_cannot_hold_are_counted(bare: Config) -> None:
    execute(
        bare,
        "postgres",
        "CREATE TABLE day (id integer PRIMARY KEY, wake time, born date, n numeric)",
        "INSERT INTO day VALUES (1, '24:00', 'infinity', 1), (2, '24:00', '2000-01-01', 2), (3, '06:00', NULL, NULL)",
    )
    misfits = {each.column: each for each in one(bare, "postgres", "sqlite").misfits}
    assert {name: each.values for name, each in misfits.items()} == {"wake": 2, "born": 1}
    assert (misfits["wake"].first_key, misfits["wake"].first_value) == ("id=1", "'24:00:00'")
    assert one(bare, "postgres", "postgresql").misfits == ()


def test_decimals_with_more_digits_than_any_type_there_become_text(bare: Config) -> None:
    execute(
        bare,
        "postgres",
        "CREATE TABLE sum (id integer PRIMARY KEY, n numeric)",
        "INSERT INTO sum VALUES (1, 0.5), (2, 1.123456789012)",
    )
    found = one(bare, "postgres", "duckdb")
    assert not found.misfits
    assert {each.name: each.type for each in found.columns}["n"] == "VARCHAR"


def test_rows_that_a_key_would_refuse_are_counted_and_what_is_personal_in_them_is_masked(bare: Config) -> None:
    execute(
        bare,
        "sqlite",
        "CREATE TABLE person (email TEXT PRIMARY KEY, boss TEXT REFERENCES person (email))",
        "INSERT INTO person VALUES ('a', NULL), ('b', 'a'), ('c', 'gone'), ('d', 'gone')",
    )
    (misfit,) = one(bare, "sqlite", "duckdb").misfits
    assert (misfit.column, misfit.values, misfit.first_key) == ("boss", 2, MASK)
    assert "person" in misfit.reason


def _without_rows(table: InspectedTable) -> InspectedTable:
    shown = (structs.replace(each, stored=structs.replace(each.stored, nulls=0, classes={})) for each in table.columns)
    return structs.replace(table, columns=tuple(shown))


@pytest.mark.parametrize(
    ("source", "target", "other"),
    [
        ("duckdb", "sqlite", "sqlite2"),
        ("sqlite", "postgres", "second"),
        ("postgres", "duckdb", "duckdb2"),
    ],
)
def test_the_statements_make_the_tables_that_a_sync_makes(
    bare: Config, second_postgres_url: str, tmp_path: Path, source: str, target: str, other: str
) -> None:
    config = load_config(
        tmp_path,
        {
            **{f"TOOLKIT_{name.upper()}_URL": each.address for name, each in bare.databases.items()},
            "TOOLKIT_SECOND_URL": second_postgres_url,
        },
    )
    execute(
        config,
        source,
        "CREATE TABLE \"Odd %Name\" (id INTEGER PRIMARY KEY, note VARCHAR(40) DEFAULT 'a\\b%''c', n NUMERIC(8, 2))",
        'CREATE TABLE child (id INTEGER PRIMARY KEY, odd INTEGER REFERENCES "Odd %Name" (id), CHECK (id > 0))',
        "CREATE UNIQUE INDEX child_odd ON child (odd)",
    )
    sync(config, source, target)
    found = definitions(config, source, for_engine=target)
    script = tmp_path / "made.sql"
    script.write_text("".join(f"{each};\n" for each in found.statements))
    ran = run_script(config.database(other), script)
    assert (ran.returncode, ran.stderr) == (0, "")
    made, synced = (inspect(config, name).tables for name in (other, target))
    assert made
    assert [_without_rows(each) for each in made] == [_without_rows(each) for each in synced]


def test_a_dry_run_into_nothing_has_what_inspect_tells(bare: Config) -> None:
    execute(bare, "sqlite", "CREATE TABLE a (id INTEGER PRIMARY KEY, email TEXT)", "INSERT INTO a VALUES (1, 'x')")
    told = sync(bare, "sqlite", "duckdb", dry_run=True).inspection
    assert told == inspect(bare, "sqlite", for_engine="duckdb")
    sync(bare, "sqlite", "duckdb")
    assert sync(bare, "sqlite", "duckdb", dry_run=True).inspection is None


def test_a_dry_run_has_the_types_that_conversions_make(bare: Config) -> None:
    execute(
        bare, "sqlite", "CREATE TABLE a (id INTEGER PRIMARY KEY, at INTEGER)", "INSERT INTO a VALUES (1, 1700000000)"
    )
    told = sync(bare, "sqlite", "duckdb", convert=["a.at:epoch-s"], dry_run=True).inspection
    assert told is not None
    at = columns(told.tables[0])["at"]
    assert (at.type, at.why) == ("TIMESTAMP WITH TIME ZONE", "Its values are converted.")
    assert told.tables[0].misfits == ()


@pytest.mark.parametrize(
    ("name", "engine"),
    [
        ("postgres", "postgresql"),
        ("postgresql", "postgresql"),
        ("SQLite", "sqlite"),
        ("duckdb", "duckdb"),
        ("mine", "duckdb"),
        ("postgresql://user@nowhere.invalid/db", "postgresql"),
    ],
)
def test_an_engine_is_named_by_itself_or_by_a_database(tmp_path: Path, name: str, engine: str) -> None:
    assert engine_named(load_config(tmp_path, {"TOOLKIT_MINE_URL": "duckdb:///x.duckdb"}), name).name == engine


def test_a_name_of_no_engine_and_of_no_table_is_refused(bare: Config) -> None:
    execute(bare, "sqlite", "CREATE TABLE a (id INTEGER PRIMARY KEY)")
    with pytest.raises(UnknownNameError, match="oracle"):
        inspect(bare, "sqlite", for_engine="oracle")
    with pytest.raises(UnknownNameError, match="aa"):
        inspect(bare, "sqlite", ["aa"])


def test_without_models_diff_masks_what_looks_personal_and_says_so(bare: Config) -> None:
    for name, email in (("sqlite", "old"), ("duckdb", "new")):
        execute(
            bare,
            name,
            "CREATE TABLE a (id INTEGER PRIMARY KEY, email TEXT, n INTEGER)",
            f"INSERT INTO a VALUES (1, '{email}', {len(name)})",
        )
    masked, shown = (diff(bare, "sqlite", "duckdb", rows=1, show_pii=each) for each in (False, True))
    assert dict(masked.tables[0].rows[0].columns) == {"email": (MASK, MASK)}
    assert [(each.place, each.is_of_masking) for each in masked.warnings] == [("a.email", True)]
    assert dict(shown.tables[0].rows[0].columns) == {"email": ("new", "old")}
    assert shown.warnings == ()


def test_what_is_no_number_in_a_column_of_decimals_is_measured_by_its_class(tmp_path: Path) -> None:
    """Nor does the least integer of SQLite's, of which it calculates no absolute value, end the look."""
    bare = load_config(tmp_path, {"TOOLKIT_SQLITE_URL": "sqlite:///one.sqlite3"}, "")
    made = "CREATE TABLE t (id integer PRIMARY KEY, free numeric, fixed decimal(10, 2))"
    execute(bare, "sqlite", made, "INSERT INTO t (free, fixed) VALUES (1.5, 1.5), ('zz', -9223372036854775807 - 1)")
    (table,) = inspect(bare, "sqlite").tables
    found = [column.stored.classes for column in table.columns[1:]]
    assert found == [{"real": 1, "text": 1}, {"integer": 1, "real": 1}]
