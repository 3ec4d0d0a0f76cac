"""`--convert TABLE.COLUMN:HOW`: what the model's type cannot hold becomes a value that it can, by the user's word."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.conftest import ENGINES
from tests.operations.databases import connected
from toolkit.config import Config, load_config
from toolkit.core.plan import SyncResult
from toolkit.errors import (
    EXIT_USAGE,
    ConfigurationError,
    MisfitsError,
    ToolkitError,
    UnknownNameError,
    UnrepresentableValueError,
)
from toolkit.operations.diff.compare import diff
from toolkit.operations.diff.script import diff_sql
from toolkit.operations.fixtures.dump import dump_data
from toolkit.operations.fixtures.load import load_data
from toolkit.operations.sync import sync
from toolkit.operations.transfer.options import Mode, Options
from toolkit.operations.transfer.watermarks import Since

INT, NUM, BOOL, DATE, TEXT, JSON = "Integer", "Numeric(10, 2)", "Boolean", "Date", "String", "JSON"
NAIVE, ZONED = "DateTime", "DateTime(timezone=True)"

# HOW, the model's type, the engine, its column's type, values in its SQL, what DuckDB or SQLite then holds, and how
# many of them lost something.
CASES: list[tuple[str, str, str, str, list[str], list[str], int]] = [
    ("epoch-s", ZONED, "sqlite", "integer", ["1700000000", "-1.0"], ["2023-11-14 22:13:20", "1969-12-31 23:59:59"], 0),
    ("epoch-ms", NAIVE, "sqlite", "", ["1701013012345"], ["2023-11-26 15:36:52.345"], 0),
    ("epoch-us", NAIVE, "postgres", "bigint", ["1701013012345678"], ["2023-11-26 15:36:52.345678"], 0),
    ("epoch-s", DATE, "duckdb", "BIGINT", ["1700006400"], ["2023-11-15"], 0),
    ("epoch-us", "Interval", "sqlite", "bigint", ["5400000000", "1"], ["01:30:00", "00:00:00.000001"], 0),
    (
        "truncate-microseconds",
        NAIVE,
        "duckdb",
        "TIMESTAMP_NS",
        ["'2024-01-01 10:00:00.123456789'", "'2024-01-01 10:00:00.5'"],
        ["2024-01-01 10:00:00.123456", "2024-01-01 10:00:00.5"],
        1,
    ),
    (
        "truncate-microseconds",
        ZONED,
        "sqlite",
        "text",
        ["'1969-01-01T10:00:00.1234567Z'", "'1969-01-01 10:00:00.123456000'"],
        ["1969-01-01 10:00:00.123456", "1969-01-01 10:00:00.123456"],
        1,
    ),
    ("round", INT, "sqlite", "real", ["5.5", "6.5", "-0.5", "7.0"], ["6", "6", "0", "7"], 3),
    ("round", NUM, "postgres", "numeric", ["1.005", "1.015", "2.5"], ["1.00", "1.02", "2.50"], 2),
    ("round", NUM, "duckdb", "DOUBLE", ["1.005", "2.5"], ["1.00", "2.50"], 1),
    ("empty-as-null", INT, "sqlite", "text", ["''", "'12'"], ["NULL", "12"], 1),
    ("empty-as-null", DATE, "postgres", "text", ["''", "'2024-01-01'"], ["NULL", "2024-01-01"], 1),
    ("zero-date-as-null", DATE, "sqlite", "text", ["'0000-00-00'", "'2024-01-01'"], ["NULL", "2024-01-01"], 1),
    ("empty-as-null", TEXT, "duckdb", "VARCHAR", ["''", "' '"], ["NULL", " "], 1),
    ("text", TEXT, "sqlite", "", ["5", "'x'", "0.1", "x'78'"], ["5", "x", "0.1", "x"], 0),
    ("text", TEXT, "postgres", "integer[]", ["'{1,2}'"], ["{1,2}"], 0),
    ("utf-8", TEXT, "sqlite", "BLOB", ["x'41'", "'A'"], ["A", "A"], 0),
    ("json", JSON, "sqlite", "text", ["'{\"a\":1}'", "'{a}'", "7"], ['{"a":1}', '"{a}"', "7"], 0),
    ("json", JSON, "postgres", "text", ["'NaN'", "'[1]'"], ['"NaN"', "[1]"], 0),
    ("last-duplicate-key", JSON, "sqlite", "text", ['\'{"a":1,"a":2}\'', "'[1]'"], ['{"a": 2}', "[1]"], 1),
    ("bool", BOOL, "sqlite", "", ["'Yes'", "0", "'OFF'", "1.0"], ["true", "false", "false", "true"], 0),
    ("bool", BOOL, "duckdb", "VARCHAR", ["'y'", "'n'"], ["true", "false"], 0),
    (
        "utc-from:Europe/Berlin",
        ZONED,
        "sqlite",
        "text",
        ["'2024-07-01 12:00:00'", "'2024-01-01T12:00:00+05:00'"],
        ["2024-07-01 10:00:00", "2024-01-01 07:00:00"],
        0,
    ),
    ("utc-from:UTC", NAIVE, "sqlite", "text", ["'2024-01-01T10:00:00+02:00'"], ["2024-01-01 08:00:00"], 0),
    ("date", DATE, "postgres", "timestamp", ["'2024-01-01 00:00'"], ["2024-01-01"], 0),
    ("date", DATE, "sqlite", "text", ["'2024-01-01T00:00:00.000Z'", "'2024-01-02'"], ["2024-01-01", "2024-01-02"], 0),
    ("utf-8", TEXT, "postgres", "bytea", ["'\\xc3a4'"], ["ä"], 0),
    ("utf-8", TEXT, "duckdb", "BLOB", ["'\\xC3\\xA4'::BLOB"], ["ä"], 0),
    ("utf-8", TEXT, "sqlite", "text", ["x'c3a4'"], ["ä"], 0),
]

# HOW, the model's type, SQLite's value, and what the message says of it.
REFUSED = [
    ("epoch-s", NAIVE, "1.5", "is not a whole number"),
    ("epoch-s", NAIVE, "1701013012345", "is beyond the years 1 to 9999"),
    ("epoch-s", NAIVE, "'soon'", "timestamp"),
    ("epoch-s", DATE, "1700000000", "is not midnight"),
    ("truncate-microseconds", NAIVE, "'x'", "timestamp"),
    ("round", INT, "'x'", "is not a decimal number"),
    ("round", INT, "1e10", "does not fit"),
    ("round", INT, "9e999", "is not finite"),
    ("round", "Numeric(4, 2)", "99.996", "does not fit"),
    ("empty-as-null", INT, "'x'", "is not a decimal number"),
    ("text", TEXT, "x'ff'", "is no UTF-8"),
    ("last-duplicate-key", JSON, "'{a}'", "is not valid JSON"),
    ("bool", BOOL, "2", "is none of t, true"),
    ("utc-from:Europe/Berlin", ZONED, "'2024-03-31 02:30:00'", "showed never"),
    ("utc-from:Europe/Berlin", ZONED, "'2024-10-27 02:30:00'", "showed twice"),
    ("utc-from:Europe/Berlin", ZONED, "'2024-10-27 01:30:00.1234567'", "at most six digits"),
    ("date", DATE, "'2024-01-01 10:00:00'", "is neither a date nor midnight"),
    ("date", DATE, "'2024-01-01 00:00:00+02:00'", "is neither a date nor midnight"),
]


def fill(config: Config, name: str, type_: str, values: Sequence[str], table: str = "t") -> None:
    """Make a table of keys from 1 on and a column `v` of the database's own type, with these values in its own SQL."""
    with connected(config.database(name)) as connection:
        raw: Any = connection.connection.driver_connection
        raw.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, v {type_})")
        for number, value in enumerate(values, 1):
            raw.execute(f"INSERT INTO {table} VALUES ({number}, {value})")


def held(config: Config, name: str, *tables: str) -> list[str]:
    """The values as their engine shows them."""
    shown = "SELECT coalesce(CAST(v AS VARCHAR), 'NULL') FROM {} ORDER BY id"
    with connected(config.database(name)) as connection:
        raw: Any = connection.connection.driver_connection
        return [str(row[0]) for table in tables or ("t",) for row in raw.execute(shown.format(table)).fetchall()]


def modelled(
    config: Config, folder: Path, monkeypatch: pytest.MonkeyPatch, types: Sequence[str], key: str = "Integer"
) -> Config:
    """The configuration under a model of tables `t0`, `t1` and so on, or of `t` alone, with columns of these types."""
    names = ["t"] if len(types) == 1 else [f"t{number}" for number in range(len(types))]
    module = f"converted_{uuid.uuid4().hex}"
    lines = [
        f"sa.Table('{name}', md, sa.Column('id', sa.{key}, primary_key=True), sa.Column('v', sa.{type_}))"
        for name, type_ in zip(names, types, strict=True)
    ]
    (folder / f"{module}.py").write_text("\n".join(["import sqlalchemy as sa", "md = sa.MetaData()", *lines]))
    monkeypatch.syspath_prepend(str(folder))
    return replace(config, metadata=f"{module}:md", migrations=folder / "none")


@dataclass(frozen=True)
class Example:
    """A table `t`, of whose column `v` only the source knows the type."""

    config: Config
    source: str
    target: str

    def fill(self, type_: str, values: Sequence[str], name: str | None = None) -> None:
        """Make the table in the source, with these values."""
        fill(self.config, name or self.source, type_, values)

    def run(self, *convert: str, **options: Any) -> SyncResult:
        """Sync them with these conversions."""
        return sync(self.config, self.source, self.target, convert=convert, **options)

    def held(self, name: str | None = None) -> list[str]:
        """The target's values as its engine shows them."""
        return held(self.config, name or self.target)


@pytest.fixture
def example(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Example]:
    """Two databases under a model of one column of a type."""

    def make(type_: str, source: str = "sqlite", target: str = "", key: str = "Integer") -> Example:
        changed = modelled(config, tmp_path, monkeypatch, [type_], key)
        return Example(changed, source, target or ("sqlite" if source == "duckdb" else "duckdb"))

    return make


def test_bytes_beside_texts_in_a_column_of_bytes_are_taken_for_texts_only_by_a_conversion(
    example: Callable[..., Example],
) -> None:
    made = example(TEXT)
    made.fill("BLOB", ["x'41'", "NULL", "x'c3a4'"])
    assert made.run().verified
    assert made.held() == ["A", "NULL", "ä"]
    with connected(made.config.database("sqlite")) as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (4, 'A')")
    with pytest.raises(ToolkitError, match=r"(?s)t\.v: 2 values.*--convert t\.v:text"):
        made.run()
    assert made.run("t.v:text").verified


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_what_a_conversion_makes_is_written_verified_counted_and_found_the_same_again(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    cases = [case for case in CASES if case[2] == engine]
    config = modelled(config, tmp_path, monkeypatch, [case[1] for case in cases])
    for number, case in enumerate(cases):
        fill(config, engine, case[3], [*case[4], "NULL"], f"t{number}")
    convert = [f"t{number}.v:{case[0]}" for number, case in enumerate(cases)]

    first, again = (sync(config, engine, "duckdb2", convert=convert) for _ in range(2))

    found = held(config, "duckdb2", *(f"t{number}" for number in range(len(cases))))
    shown = [text.removesuffix("+00") for text in found]
    assert shown == [text for case in cases for text in (*case[5], "NULL")]
    assert first.verified
    told = {each.place: each.rows for each in first.warnings if each.is_of_conversion}
    assert told == {f"t{number}.v": case[6] for number, case in enumerate(cases) if case[6]}
    assert [(each.inserted, each.updated) for each in again.tables] == [(0, 0)] * len(cases)
    assert diff(config, engine, "duckdb2", convert=convert).equal


@pytest.mark.parametrize(
    ("engine", "column", "value", "model"),
    [
        ("postgres", "numeric", "5.5", INT),
        ("duckdb", "TIMESTAMP_NS", "'2024-01-01 10:00:00.123456789'", NAIVE),
        ("sqlite", "", "'yes'", BOOL),
        ("sqlite", "", "1701013012345", ZONED),
        ("sqlite", "", "'2024-01-01T10:00:00Z'", NAIVE),
        ("sqlite", "", "''", DATE),
        ("sqlite", "", "5.5", TEXT),
    ],
)
def test_a_refusal_names_a_conversion_that_helps(
    example: Callable[..., Example], engine: str, column: str, value: str, model: str
) -> None:
    case = example(model, engine, "duckdb2")
    case.fill(column, [value])

    with pytest.raises(UnrepresentableValueError, match=r"--convert t\.v:") as caught:
        case.run()

    (advised,) = re.findall(r"--convert (\S+?)\.(?:\s|$)", caught.value.advice)
    assert case.run(advised).verified


@pytest.mark.parametrize(("how", "model", "value", "why"), REFUSED)
def test_a_value_that_a_conversion_cannot_take_is_refused_by_its_row(
    example: Callable[..., Example], how: str, model: str, value: str, why: str
) -> None:
    case = example(model)
    case.fill("", ["NULL", value])

    for dry_run in (True, False):
        with pytest.raises(UnrepresentableValueError) as caught:
            case.run(f"t.v:{how}", dry_run=dry_run)

    assert (caught.value.table, caught.value.key, caught.value.column) == ("t", "id=2", "v")
    assert why in caught.value.fact
    assert "\n" not in caught.value.fact


@pytest.mark.parametrize("engine", ["postgres"])
def test_all_values_that_conversions_cannot_take_are_told_in_one_report_with_all_others(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    config = modelled(config, tmp_path, monkeypatch, [INT, NAIVE, INT, "String(3)"])
    text = "" if engine == "sqlite" else "varchar"
    fill(config, engine, text, ["'1.5'", "'x'", "NULL", "'9e999'", "'y'"], "t0")
    fill(config, engine, text, ["'1700000000'", "'soon'"], "t1")
    fill(config, engine, text, ["'7'", "'seven'"], "t2")
    fill(config, engine, text, ["'abc'"], "t3")
    convert = ["t0.v:round", "t1.v:epoch-s", "t3.v:text"]

    for attempt in (
        lambda: sync(config, engine, "duckdb2", convert=convert, dry_run=True),
        lambda: sync(config, engine, "duckdb2", convert=convert),
        lambda: dump_data(config, engine, directory=tmp_path / "dump", convert=convert),
    ):
        with pytest.raises(MisfitsError) as caught:
            attempt()
        found = [(each.table, each.reason, [row.key for row in each.rows]) for each in caught.value.misfits]
        taken = "which the conversion {} does not take: it {}"
        assert found[:3] == [
            ("t0", taken.format("round", "is not a decimal number"), ["id=2", "id=5"]),
            ("t0", taken.format("round", "does not fit into int32"), ["id=4"]),
            ("t1", taken.format("epoch-s", "is not an ISO 8601 timestamp without offset"), ["id=2"]),
        ]
        assert [(table, keys) for table, _, keys in found[3:]] == [("t2", ["id=2"])]
        assert caught.value.misfits[0].rows[0].value == "'x'"
        assert "--rejects DIR" in caught.value.advice


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["sqlite"])
def test_what_a_conversion_cannot_take_is_rejected_like_any_other_row(
    example: Callable[..., Example], tmp_path: Path, engine: str
) -> None:
    case = example(INT, engine, "duckdb2")
    text = "" if engine == "sqlite" else "varchar"
    case.fill(text, ["'1.5'", "'it''s \"x\"'", "NULL", "'2'", "'3.5'", "'99.5'"])
    case.fill("INTEGER CHECK (v < 50)", [], "duckdb2")

    for dry_run, folder in ((True, "dry"), (False, "out")):
        result = case.run("t.v:round", rejects=tmp_path / folder, dry_run=dry_run)
        # What the target refuses is seen as it is written; what is left out does not count as changed.
        assert [each.rows for each in result.rejected] == [1 if dry_run else 2]
        assert [(each.place, each.rows) for each in result.warnings if each.is_of_conversion] == [
            ("t.v", 3 if dry_run else 2)
        ]

    assert result.verified
    assert case.held() == ["2", "NULL", "2", "4"]
    line, refused = (tmp_path / "out" / "t.jsonl").read_text().splitlines()
    row = json.loads(line)
    assert (json.loads(refused)["id"], json.loads(refused)["v"]) == (6, 100)
    assert (row["id"], row["v"], row["$unread"]) == (2, 'it\'s "x"', {"v": 'it\'s "x"'})
    assert "which the conversion round does not take: it is not a decimal number" in row["$rejected"]
    (tmp_path / "out" / "t.jsonl").write_text(line.replace('"v":"it\'s \\"x\\""', '"v":9', 1))
    load_data(case.config, "duckdb2", directory=tmp_path / "out")
    assert case.held() == ["2", "9", "NULL", "2", "4"]


def test_a_key_that_a_conversion_cannot_take_is_rejected_with_what_else_is_wrong_with_its_row(
    example: Callable[..., Example], tmp_path: Path
) -> None:
    case = example(INT, key="DateTime")
    with connected(case.config.database("sqlite")) as connection:
        connection.exec_driver_sql("CREATE TABLE t (id PRIMARY KEY, v)")
        connection.exec_driver_sql(
            "INSERT INTO t VALUES (1700000000, 1.5), ('soon', 'x'), (1700000001, 'y'), (0.5, 2.5)"
        )

    result = case.run("t.id:epoch-s", "t.v:round", rejects=tmp_path / "out")

    assert (result.verified, case.held()) == (True, ["2"])
    # What is left out does not count.
    assert [(each.place, each.rows) for each in result.warnings if each.is_of_conversion] == [("t.v", 1)]
    rows = [json.loads(line) for line in (tmp_path / "out" / "t.jsonl").read_text().splitlines()]
    assert {row["id"]: row["v"] for row in rows} == {"0.5": 2, "soon": "x", "2023-11-14T22:13:21": "y"}
    assert all(name in rows[0]["$rejected"] for name in ("column 'id'", "column 'v'"))


@pytest.mark.parametrize(
    ("convert", "error", "says"),
    [
        (["u.v:round"], UnknownNameError, "no table 'u'"),
        (["t.w:round"], UnknownNameError, "no column 'w' in t"),
        (["t.v:floor"], UnknownNameError, "no conversion 'floor'"),
        (["t.v:utc-from:Mars/Base"], ConfigurationError, "Mars/Base names no time zone"),
        (["t.v:round", "t.v:empty-as-null"], ConfigurationError, "Two conversions are given for t.v"),
        (["t.v:round", "t.v:round"], ConfigurationError, "Two conversions are given for t.v"),
        (["t.v:bool"], ConfigurationError, "makes booleans, but t.v is of type int32"),
        (["t.id:round"], ConfigurationError, "two rows could become one"),
        (["v:round"], ConfigurationError, "is not of the form"),
        (["t.v"], ConfigurationError, "is not of the form"),
    ],
)
def test_a_conversion_of_what_is_not_there_is_refused_before_anything_is_opened(
    example: Callable[..., Example], convert: list[str], error: type[ToolkitError], says: str
) -> None:
    case = example("Integer", "duckdb", "sqlite")

    with pytest.raises(error, match=says) as caught:
        case.run(*convert)

    assert "\n" not in caught.value.fact
    assert caught.value.advice
    assert not (case.config.root / "duckdb.duckdb").exists()


@pytest.mark.parametrize("engine", ["duckdb"])
def test_rows_are_compared_updated_and_deleted_by_what_the_conversion_makes(
    example: Callable[..., Example], engine: str
) -> None:
    case = example("Integer", engine, "duckdb2")
    case.fill("REAL" if engine == "sqlite" else "double precision", ["1.5", "2.5", "3", "4.5"])
    case.fill("INTEGER", ["2", "7", "3", "4", "5"], "duckdb2")

    result = case.run("t.v:round", options=Options(mode=Mode.REPLACE))

    table = result.tables[0]
    assert (table.inserted, table.updated, table.unchanged, table.deleted) == (0, 1, 3, 1)
    assert case.held() == ["2", "2", "3", "4"]
    assert result.verified


def test_what_is_configured_holds_unless_the_command_line_says_otherwise(
    example: Callable[..., Example], tmp_path: Path
) -> None:
    (tmp_path / "toolkit.toml").write_text('convert = ["t.v:epoch-s"]')
    case = example(NAIVE)
    case = replace(case, config=replace(case.config, convert=load_config(tmp_path, {}).convert))
    case.fill("integer", ["1700000000"])

    case.run()
    assert case.held() == ["2023-11-14 22:13:20"]
    case.run("t.v:epoch-us")
    assert case.held() == ["1970-01-01 00:28:20"]


def test_convert_in_the_configuration_is_a_list_of_strings(tmp_path: Path) -> None:
    (tmp_path / "toolkit.toml").write_text('convert = "t.v:epoch-s"')

    with pytest.raises(ConfigurationError, match="convert must be a list of strings"):
        load_config(tmp_path, {})


def test_a_condition_on_another_column_holds_and_one_on_a_converted_column_is_refused(
    example: Callable[..., Example], tmp_path: Path
) -> None:
    case = example("Integer")
    case.fill("real", ["1.5", "'x'", "2.5"])

    result = case.run("t.v:round", where={"t": "id <> 2"})

    assert result.verified
    assert case.held() == ["2", "2"]
    with pytest.raises(ConfigurationError, match="asks t for v"):
        case.run("t.v:round", where={"t": "id = 1 AND V > 1"})
    # Of one database, it is clear which values are meant.
    (dumped,) = dump_data(
        case.config, "sqlite", directory=tmp_path / "dump", convert=["t.v:round"], where={"t": "v < 2"}
    ).tables
    assert dumped.rows == 1
    with pytest.raises(ConfigurationError, match="--since v asks t for v"):
        case.run("t.v:round", since=Since("v"))


def test_a_key_that_is_converted_recognises_the_rows_that_it_was_given_before(
    example: Callable[..., Example],
) -> None:
    case = example("String", key="DateTime")
    with connected(case.config.database("sqlite")) as connection:
        connection.exec_driver_sql("CREATE TABLE t (id integer PRIMARY KEY, v text)")
        connection.exec_driver_sql("INSERT INTO t VALUES (1700000000, 'a'), (1700000001, 'b')")
    case.run("t.id:epoch-s")
    with connected(case.config.database("sqlite")) as connection:
        connection.exec_driver_sql("UPDATE t SET v = 'c' WHERE id = 1700000001")

    again = case.run("t.id:epoch-s")

    assert (again.tables[0].inserted, again.tables[0].updated) == (0, 1)
    assert case.held() == ["a", "c"]
    assert case.run("t.id:epoch-s", match={"t": ("v",)}).verified


def test_fixtures_and_scripts_hold_what_a_conversion_makes(example: Callable[..., Example], tmp_path: Path) -> None:
    case = example("Integer")
    case.fill("real", ["1.5", "2.5"])
    case.fill("integer", ["2", "3"], "duckdb")

    dumped = dump_data(case.config, "sqlite", directory=tmp_path / "dump", convert=["t.v:round"])
    compared = diff(case.config, "sqlite", "duckdb", convert=["t.v:round"], rows=None)
    written = diff_sql(case.config, "sqlite", "duckdb", tmp_path / "change.sql", convert=["t.v:round"])

    assert '"v":2}' in (tmp_path / "dump" / "t.json").read_text().replace(" ", "")
    assert [each.rows for each in dumped.warnings] == [2]
    assert [(row.key, row.columns) for row in compared.tables[0].rows] == [({"id": 2}, {"v": (3, 2)})]
    assert [each.rows for each in compared.warnings] == [2]
    assert written.tables[0].changed == 1
    assert 'SET "v" = 2' in (tmp_path / "change.sql").read_text()


def test_only_rows_that_changed_since_the_last_sync_are_converted_and_written(example: Callable[..., Example]) -> None:
    case = example("Integer", key="Integer")
    case.fill("real", ["1.5", "2.5"])
    case.run("t.v:round", since=Since("id"))
    with connected(case.config.database("sqlite")) as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (3, 7.5)")

    result = case.run("t.v:round", since=Since("id"))

    assert (result.tables[0].inserted, result.tables[0].updated, result.verified) == (1, 0, True)
    assert case.held() == ["2", "2", "8"]


def test_a_file_that_is_read_by_a_conversion_is_not_written_to(example: Callable[..., Example]) -> None:
    case = example("Integer")
    case.fill("real", ["1.5"])
    before = case.held("sqlite")

    case.run("t.v:round")

    assert case.held("sqlite") == before


def test_a_conversion_of_a_table_that_is_left_out_is_refused_unless_it_is_configured(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = modelled(config, tmp_path, monkeypatch, [INT, INT])
    fill(config, "sqlite", "integer", ["1"], "t0")

    assert sync(replace(config, convert=("t1.v:round",)), "sqlite", "duckdb", ["t0"]).verified
    for attempt in (
        lambda: sync(config, "sqlite", "duckdb", ["t0"], convert=["t1.v:round"]),
        lambda: diff(config, "sqlite", "duckdb", exclude=["t1"], convert=["t1.v:round"]),
        lambda: dump_data(config, "sqlite", ["t0"], directory=tmp_path / "dump", convert=["t1.v:round"]),
    ):
        with pytest.raises(ConfigurationError, match=r"names t1, which is not among .* this run: t0\.") as caught:
            attempt()
        assert "In the configuration, convert may name any table" in caught.value.advice
        assert caught.value.exit_code == EXIT_USAGE
    with pytest.raises(UnknownNameError, match="no table 't9'"):
        sync(replace(config, convert=("t9.v:round",)), "sqlite", "duckdb", ["t0"])


def test_names_with_points_and_colons_are_found(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "odd_names.py").write_text(
        "import sqlalchemy as sa\nmd = sa.MetaData()\n"
        "sa.Table('a.b', md, sa.Column('id', sa.Integer, primary_key=True), sa.Column('c:d.e', sa.Integer))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    odd = replace(config, metadata="odd_names:md", migrations=tmp_path / "none")
    with connected(odd.database("sqlite")) as connection:
        connection.execute(sa.text('CREATE TABLE "a.b" (id integer PRIMARY KEY, "c\\:d.e" real)'))
        connection.execute(sa.text('INSERT INTO "a.b" VALUES (1, 1.5)'))

    result = sync(odd, "sqlite", "duckdb", convert=["a.b.c:d.e:round"])

    assert [(each.place, each.rows) for each in result.warnings] == [("a.b.c:d.e", 1)]
