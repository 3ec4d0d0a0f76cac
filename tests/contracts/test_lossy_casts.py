"""A column of another type than the model's: each value arrives as it is, or is refused with its row."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from tests.conftest import ENGINES
from tests.operations.databases import connected
from toolkit.config import Config, Database
from toolkit.core.digest import digest_batches
from toolkit.core.json_columns import format_column, parse_column
from toolkit.core.progress import Silent
from toolkit.core.tables import select_tables, table_spec
from toolkit.engines import connect
from toolkit.engines.portable.lossy import require_exact
from toolkit.errors import UnrepresentableValueError, VerificationError
from toolkit.operations.diff.compare import Status, diff
from toolkit.operations.fixtures.dump import dump_data
from toolkit.operations.sync import sync
from toolkit.operations.transfer.execution import execute
from toolkit.operations.transfer.options import Options
from toolkit.operations.transfer.planning import plan_table

Type = sa.types.TypeEngine[Any] | type[sa.types.TypeEngine[Any]]
INTEGERS = sa.ARRAY(sa.Integer)

# Engine, the column's type there, a value in the engine's own SQL, the model's type, and what the message shows.
LOSSY: list[tuple[str, str, str, Type, str]] = [
    ("postgres", "timetz", "'12:00+02'", sa.Time, "12:00:00+02"),
    ("postgres", "text", "'1:00+02'", sa.Time(timezone=True), "1:00+02"),
    ("postgres", "int[]", "'{{1,2},{3,4}}'", INTEGERS, "{{1,2},{3,4}}"),
    ("postgres", "int[]", "'[0:1]={1,2}'", INTEGERS, "[0:1]={1,2}"),
    ("postgres", "numeric[]", "'{1.5}'", INTEGERS, "{1.5}"),
    ("postgres", "bigint[]", "'{3000000000}'", INTEGERS, "{3000000000}"),
    ("postgres", "int[]", "'{1,2}'", sa.JSON, "{1,2}"),
    ("postgres", "text", "'{{1,2}'", sa.JSON, "{{1,2}"),
    ("postgres", "interval", "'36:00:00'", sa.Interval, "36:00:00"),
    ("postgres", "interval", "'-1 hour'", sa.Interval, "-01:00:00"),
    ("postgres", "interval", "'1 mon'", sa.Interval, "1 mon"),
    ("postgres", "numeric", "5.5", sa.Integer, "5.5"),
    ("postgres", "numeric", "'NaN'", sa.Integer, "NaN"),
    ("postgres", "numeric", "9223372036854775808", sa.BigInteger, "9223372036854775808"),
    ("postgres", "double precision", "9223372036854775808", sa.BigInteger, "9.22"),
    ("postgres", "real", "0.5", sa.SmallInteger, "0.5"),
    ("postgres", "oid", "4294967295", sa.Integer, "4294967295"),
    ("postgres", "bigint", "9999999999", sa.Integer, "9999999999"),
    ("postgres", "text", "'007'", sa.Integer, "007"),
    ("postgres", "text", "'9999999999'", sa.Integer, "9999999999"),
    ("postgres", "boolean", "true", sa.BigInteger, "true"),
    ("postgres", "integer", "2", sa.Boolean, "2"),
    ("postgres", "timestamp", "'2024-01-01 10:00'", sa.Date, "2024-01-01 10:00:00"),
    ("postgres", "timestamptz", "'2024-01-01 00:00+02'", sa.Date, "2023-12-31 22:00:00+00"),
    ("postgres", "timestamp", "'2024-01-01 10:00'", sa.Time, "2024-01-01 10:00:00"),
    ("postgres", "text", "'2024-01-01 10:00'", sa.Date, "2024-01-01 10:00"),
    ("postgres", "text", "'2024-01-01 10:00:00.1234567'", sa.DateTime, "2024-01-01 10:00:00.1234567"),
    ("postgres", "text", "'2024-01-01 10:00+02'", sa.DateTime, "2024-01-01 10:00+02"),
    ("postgres", "numeric", "1.005", sa.Numeric(10, 2), "1.005"),
    ("postgres", "numeric(12,2)", "1234567890.12", sa.Numeric(10, 2), "1234567890.12"),
    ("postgres", "numeric", "'NaN'", sa.Numeric(10, 2), "NaN"),
    ("postgres", "money", "'123456789.34'", sa.Numeric(10, 2), "123,456,789.34"),
    ("postgres", "double precision", "0.12345678901234567", sa.Numeric, "0.1234567890123456"),
    ("postgres", "text", "'1.500'", sa.Numeric(10, 2), "1.500"),
    ("postgres", "text", "'0.10'", sa.Double, "0.10"),
    ("postgres", "numeric", "1.00000000000000000001", sa.Double, "1.00000000000000000001"),
    ("postgres", "numeric", "1e400", sa.Double, "1000"),
    ("postgres", "double precision", "0.1", sa.REAL, "0.1"),
    ("postgres", "double precision", "1e300", sa.REAL, "1e+300"),
    ("postgres", "bigint", "9007199254740993", sa.Double, "9007199254740993"),
    ("postgres", "integer", "16777217", sa.REAL, "16777217"),
    ("postgres", "text", "'a'", sa.LargeBinary, "a"),
    ("duckdb", "TIMETZ", "'12:00:00+02'", sa.Time, "12:00:00+02"),
    ("duckdb", "TIME_NS", "'12:00:00.123456789'", sa.Time, "12:00:00.123456789"),
    ("duckdb", "DECIMAL(18,4)", "1.0050", sa.Numeric(10, 2), "1.0050"),
    ("duckdb", "DOUBLE", "1.005", sa.Numeric(10, 2), "1.005"),
    ("duckdb", "VARCHAR", "'1.500'", sa.Numeric(10, 2), "1.500"),
    ("duckdb", "VARCHAR", "'1.005'", sa.Numeric(10, 2), "1.005"),
    ("duckdb", "DOUBLE", "5.5", sa.Integer, "5.5"),
    ("duckdb", "UBIGINT", "18446744073709551615", sa.BigInteger, "18446744073709551615"),
    ("duckdb", "HUGEINT", "9223372036854775808", sa.BigInteger, "9223372036854775808"),
    ("duckdb", "VARCHAR", "'5.5'", sa.Integer, "5.5"),
    ("duckdb", "TIMESTAMP", "'2024-01-01 10:00'", sa.Date, "2024-01-01 10:00:00"),
    ("duckdb", "TIMESTAMP_NS", "'2024-03-31 02:30:00.123456789'", sa.DateTime, "2024-03-31 02:30:00.123456789"),
    ("duckdb", "TIMESTAMP_NS", "'2024-03-31 02:30:00.123456789'", sa.DateTime(timezone=True), "02:30:00.123456789"),
    ("duckdb", "VARCHAR", "'2024-03-31 02:30:00.123456789'", sa.DateTime, "2024-03-31 02:30:00.123456789"),
    ("duckdb", "INTERVAL", "'1 month'", sa.Interval, "1 month"),
    ("duckdb", "INTERVAL", "INTERVAL 36 HOURS", sa.Interval, "36:00:00"),
    ("duckdb", "BIGINT", "9007199254740993", sa.Double, "9007199254740993"),
    ("duckdb", "DOUBLE", "0.1", sa.REAL, "0.1"),
    ("duckdb", "INTEGER", "2", sa.Boolean, "2"),
    ("duckdb", "INTEGER[][]", "[[1, 2], [3]]", INTEGERS, "[[1, 2], [3]]"),
    ("duckdb", "DOUBLE[]", "[1.5]", INTEGERS, "[1.5]"),
    ("duckdb", "VARCHAR", "'{{1'", sa.JSON, "{{1"),
    ("duckdb", "INTEGER[]", "[1]", sa.JSON, "[1]"),
    ("sqlite", "BLOB", "'text'", sa.LargeBinary, "text"),
    ("sqlite", "BLOB", "1.5", sa.LargeBinary, "1.5"),
    ("sqlite", "DATETIME", "0.12345678901234567", sa.String, "0.1234567890123456"),
    ("sqlite", "BLOB", "''", sa.LargeBinary, "holds '', of type BLOB"),
    ("sqlite", "", "x'31'", sa.String, "holds b'1', of no type"),
]

# The same without what is shown: such a value is carried, whatever the types.
EXACT: list[tuple[str, str, str, Type]] = [
    ("postgres", "timetz", "'12:00+00'", sa.Time),
    ("postgres", "time", "'24:00'", sa.Time),
    ("postgres", "time with time zone", "'00:00-00:00:01'", sa.Time(timezone=True)),
    ("postgres", "text", "'12:00:00.5+05:30'", sa.Time(timezone=True)),
    ("postgres", "time", "'12:00'", sa.Time(timezone=True)),
    ("postgres", "money", "'12.34'", sa.Numeric(19, 2)),
    ("postgres", "int[]", "'{}'", INTEGERS),
    ("postgres", "smallint[]", "'{1,NULL}'", INTEGERS),
    ("postgres", "jsonb", "'{\"a\": [1]}'", sa.JSON),
    ("postgres", "text", "'{\"a\": [1]}'", sa.JSON),
    ("postgres", "interval", "'1 day'", sa.Interval),
    ("postgres", "interval", "'-1 day 23:00'", sa.Interval),
    ("postgres", "numeric", "5", sa.Integer),
    ("postgres", "double precision", "-2147483648", sa.Integer),
    ("postgres", "oid", "7", sa.Integer),
    ("postgres", "bigint", "-2147483648", sa.Integer),
    ("postgres", "text", "'-7'", sa.Integer),
    ("postgres", "timestamp", "'2024-01-01'", sa.Date),
    ("postgres", "timestamp", "'infinity'", sa.Date),
    ("postgres", "timestamptz", "'2024-01-01 00:00+02'", sa.DateTime),
    ("postgres", "numeric", "1.005", sa.Numeric(10, 3)),
    ("postgres", "double precision", "19.99", sa.Numeric(10, 2)),
    ("postgres", "real", "19.99", sa.Numeric(10, 2)),
    ("postgres", "text", "'1.50'", sa.Numeric(10, 2)),
    ("postgres", "numeric", "0.1", sa.Double),
    ("postgres", "double precision", "'NaN'", sa.REAL),
    ("postgres", "double precision", "1.401298464324817e-45", sa.REAL),
    ("postgres", "double precision", "'-Infinity'", sa.REAL),
    ("postgres", "bigint", "9007199254740994", sa.Double),
    ("postgres", "inet", "'10.0.0.1/8'", sa.String),
    ("postgres", "timetz", "'12:00+02'", sa.String),
    ("postgres", "int[]", "'[0:1]={1,2}'", sa.String),
    ("duckdb", "TIMETZ", "'12:00:00+00'", sa.Time),
    ("duckdb", "DECIMAL(18,4)", "1.0500", sa.Numeric(10, 2)),
    ("duckdb", "DOUBLE", "19.99", sa.Numeric(10, 2)),
    ("duckdb", "VARCHAR", "'1.50'", sa.Numeric(10, 2)),
    ("duckdb", "DOUBLE", "5.0", sa.Integer),
    ("duckdb", "TIMESTAMP", "'2024-01-01'", sa.Date),
    ("duckdb", "TIMESTAMP_NS", "'2024-03-31 02:30:00.123456'", sa.DateTime),
    ("duckdb", "INTERVAL", "'3 days 4 hours'", sa.Interval),
    ("duckdb", "INTERVAL", "to_days(-1) + to_hours(23)", sa.Interval),
    ("duckdb", "BIGINT", "9007199254740992", sa.Double),
    ("duckdb", "INTEGER[2]", "[1, 2]", INTEGERS),
    ("duckdb", "VARCHAR", "'{}'", sa.JSON),
    ("duckdb", "STRUCT(a INTEGER)", "{'a': 1}", sa.String),
    ("sqlite", "TEXT", "'text'", sa.String),
    ("sqlite", "STRING", "123", sa.String),
    ("sqlite", "REAL", "9007199254740992", sa.Double),
]

# Values of SQLite that are found as they are read: the column's declaration says nothing of what it holds.
SQLITE_LOSSY: list[tuple[str, str, Type]] = [
    ("decimal(10)", "1.25", sa.Numeric(10)),
    ("decimal(10,2)", "1230.995", sa.Numeric(10, 2)),
    ("number(10)", "1.25", sa.Numeric(10, 0)),
    ("text", "'1.255'", sa.Numeric(10, 2)),
    ("integer", "9007199254740993", sa.Double),
    ("text", "'1.00000000000000000001'", sa.Double),
    ("datetime", "1701013012345", sa.DateTime),
    ("datetime", "1701013012345", sa.DateTime(timezone=True)),
    ("datetime", "'2024-01-01 10:00:00.123456789'", sa.DateTime),
    ("date", "'2024-01-01 10:00:00'", sa.Date),
    ("time", "'12:00+02'", sa.Time),
    ("integer", "5.5", sa.Integer),
    ("boolean", "'yes'", sa.Boolean),
    ("boolean", "2", sa.Boolean),
    ("text", "'012'", sa.Integer),
    ("", "'12 '", sa.Integer),
    ("text", "'9223372036854775808'", sa.BigInteger),
    ("real", "1e17", sa.BigInteger),
    ("datetime", "'2024-01-01T10:00:00Z'", sa.DateTime),
    ("text", "x'c3'", sa.String),
]

# Values of SQLite of another class or form than the column's, which nothing is lost of, and what they are.
SQLITE_CARRIED: list[tuple[str, str, Type, Any]] = [
    ("boolean", "'t'", sa.Boolean, True),
    ("boolean", "'False'", sa.Boolean, False),
    ("text", "1", sa.Boolean, True),
    ("text", "'12'", sa.Integer, 12),
    ("", "'-12'", sa.BigInteger, -12),
    ("real", "12.0", sa.SmallInteger, 12),
    ("text", "x'c3a4'", sa.String, "ä"),
    ("datetime", "'2024-01-01T10:00:00Z'", sa.DateTime(timezone=True), dt.datetime(2024, 1, 1, 10, tzinfo=dt.UTC)),
    (
        "text",
        "'2024-01-01T10:00:00.5+02:00'",
        sa.DateTime(timezone=True),
        dt.datetime(2024, 1, 1, 8, 0, 0, 500_000, tzinfo=dt.UTC),
    ),
    ("text", "'2024-01-01T10:00:00'", sa.DateTime, dt.datetime(2024, 1, 1, 10)),
]


COLUMN = 'v"%s :x'
QUOTED = '"v""%s :x"'


def models(types: Sequence[Type]) -> sa.MetaData:
    """Tables t0, t1 and so on, each with one value of a type."""
    metadata = sa.MetaData()
    for number, type_ in enumerate(types):
        sa.Table(f"t{number}", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column(COLUMN, type_))
    return metadata


def fill(database: Database, columns: Sequence[tuple[str, str | None]]) -> None:
    """Tables of the same names with columns of the database's own types, and the value, in its own SQL, under key 7."""
    with connected(database) as connection:
        raw: Any = connection.connection.driver_connection
        for number, (type_, value) in enumerate(columns):
            raw.execute(f"CREATE TABLE t{number} (id INTEGER PRIMARY KEY, {QUOTED} {type_})")
            if value is not None:
                raw.execute(f"INSERT INTO t{number} VALUES (7, {value})")
                raw.execute(f"INSERT INTO t{number} VALUES (8, NULL)")


def own_texts(database: Database, tables: Iterable[str]) -> list[Any]:
    """For each table the value as the engine itself writes it, with SQLite's storage class; None where it has none."""
    shown = f"typeof({QUOTED}) || ' ' || {QUOTED}" if database.engine_name == "sqlite" else f"CAST({QUOTED} AS VARCHAR)"
    with connected(database) as connection:
        raw: Any = connection.connection.driver_connection
        rows = [raw.execute(f"SELECT {shown} FROM {table} WHERE id = 7").fetchone() for table in tables]
    return [row and row[0] for row in rows]


def refusals(database: Database, metadata: sa.MetaData, read: bool = False) -> list[str]:
    """For each table why its value cannot be read; nothing where it can."""
    found = []
    with connect(database) as connection:
        for number in range(len(metadata.tables)):
            (spec,) = select_tables(metadata, [f"t{number}"])
            found.append("")
            try:
                require_exact(connection, [spec])
                for _ in connection.repository(spec).read() if read else ():
                    pass
            except UnrepresentableValueError as error:
                is_named = (error.table, error.key, error.column) == (f"t{number}", "id=7", COLUMN)
                found[-1] = error.fact if is_named else f"another row: {error.fact}"
    return found


@pytest.mark.parametrize("engine", ENGINES)
def test_a_value_that_the_models_type_would_change_is_refused_with_its_row_and_its_type(
    config: Config, engine: str
) -> None:
    cases = [case for case in LOSSY if case[0] == engine]
    fill(config.database(engine), [(column, value) for _, column, value, _, _ in cases])

    found = refusals(config.database(engine), models([type_ for _, _, _, type_, _ in cases]))

    assert [case for case, fact in zip(cases, found, strict=True) if case[-1] not in fact] == []


def test_a_value_of_sqlite_that_the_models_type_would_change_is_refused_as_it_is_read(config: Config) -> None:
    database = config.database("sqlite")
    fill(database, [(column, value) for column, value, _ in SQLITE_LOSSY])
    metadata = models([type_ for _, _, type_ in SQLITE_LOSSY])

    found = refusals(database, metadata, read=True)
    with connect(database, write=True) as connection:
        for spec, fact in zip(select_tables(metadata), found, strict=True):
            with pytest.raises(UnrepresentableValueError):
                list(connection.repository(spec).read())
            assert COLUMN in fact


def test_a_value_of_sqlite_that_is_the_models_but_for_its_class_is_read_as_such_and_left_as_it_is(
    config: Config,
) -> None:
    database = config.database("sqlite")
    fill(database, [(column, value) for column, value, _, _ in SQLITE_CARRIED])
    specs = select_tables(models([type_ for _, _, type_, _ in SQLITE_CARRIED]))
    before = own_texts(database, [spec.name for spec in specs])

    for write in (False, True):
        with connect(database, write=write) as connection:
            require_exact(connection, specs)
            found = [pa.Table.from_batches(connection.repository(spec).read()).column(COLUMN)[0] for spec in specs]
        assert [value.as_py() for value in found] == [value for *_, value in SQLITE_CARRIED]
    assert own_texts(database, [spec.name for spec in specs]) == before


@pytest.mark.parametrize(
    ("declared", "key", "type_", "is_refused"),
    [
        ("", "'12'", sa.Integer, True),
        ("text", "'12'", sa.Integer, False),
        ("integer", "'12'", sa.Integer, False),
        ("text", "x'61'", sa.String, True),
    ],
)
def test_a_key_of_another_class_than_it_is_looked_up_by_is_refused(
    config: Config, declared: str, key: str, type_: Type, is_refused: bool
) -> None:
    with connected(config.database("sqlite")) as connection:
        connection.exec_driver_sql(f"CREATE TABLE t (id {declared} NOT NULL PRIMARY KEY)")
        connection.exec_driver_sql(f"INSERT INTO t VALUES ({key})")
    spec = table_spec(sa.Table("t", sa.MetaData(), sa.Column("id", type_, primary_key=True)))
    with connect(config.database("sqlite")) as connection:
        if is_refused:
            with pytest.raises(UnrepresentableValueError):
                require_exact(connection, [spec])
            return
        require_exact(connection, [spec])
        keys = pa.Table.from_batches(connection.repository(spec).read())
        assert [batch.num_rows for batch in connection.repository(spec).read(keys=keys)] == [1]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_value_that_the_models_type_holds_arrives_as_it_was_whatever_the_columns_type(
    config: Config, urls: Mapping[str, str], second_postgres_url: str, tmp_path: Path, engine: str
) -> None:
    cases = [case for case in EXACT if case[0] == engine]
    target = {"postgres": second_postgres_url}.get(engine, f"{engine}2")
    metadata = models([type_ for _, _, _, type_ in cases])
    fill(config.database(engine), [(column, value) for _, column, value, _ in cases])
    fill(config.database(target), [(column, None) for _, column, _, _ in cases])

    with connect(config.database(engine)) as origin, connect(config.database(target), write=True) as destination:
        specs = select_tables(metadata)
        require_exact(origin, specs)
        plans = [plan_table(origin.repository(s), destination.repository(s), s, Silent()) for s in specs]
        execute(plans, origin, destination, Options(), Silent())
        destination.commit()

    tables = [f"t{number}" for number in range(len(cases))]
    sent, arrived = (
        dict(zip(tables, own_texts(config.database(name), tables), strict=True)) for name in (engine, target)
    )
    assert arrived == sent
    assert refusals(config.database(target), metadata) == [""] * len(cases)


@pytest.mark.parametrize("engine", ["postgres", "duckdb"])
def test_what_two_databases_have_alike_but_not_the_model_arrives_as_it_is_stored(
    config: Config, second_postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    cases = [case for case in LOSSY if case[0] == engine]
    target = {"postgres": second_postgres_url}.get(engine, f"{engine}2")
    (tmp_path / f"alike_{engine}.py").write_text(
        "from tests.contracts.test_lossy_casts import *\n"
        f"md = models([type_ for name, _, _, type_, _ in LOSSY if name == '{engine}'])"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    config = replace(config, metadata=f"alike_{engine}:md", migrations=tmp_path / "none")
    fill(config.database(engine), [(column, value) for _, column, value, _, _ in cases])
    fill(config.database(target), [(column, None) for _, column, _, _, _ in cases])

    assert sync(config, engine, target).verified

    tables = {f"t{number}": case[1:3] for number, case in enumerate(cases)}
    sent, arrived = (
        dict(zip(tables.values(), own_texts(config.database(name), tables), strict=True)) for name in (engine, target)
    )
    assert arrived == sent
    # All others are equal, too.
    with connected(config.database(target)) as connection:
        connection.exec_driver_sql("DELETE FROM t0 WHERE id = 7")
    assert [table.table for table in diff(config, engine, target).tables if table.status is not Status.SAME] == ["t0"]


def test_a_table_that_is_made_of_the_model_takes_what_its_type_holds_in_the_engine_but_not_in_python(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "made_alike.py").write_text(
        "from tests.contracts.test_lossy_casts import *; md = models([INTEGERS, sa.Interval])"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    config = replace(config, metadata="made_alike:md", migrations=tmp_path / "none")
    fill(config.database("duckdb"), [("INTEGER[]", "[1]"), ("INTERVAL", "INTERVAL 36 HOURS")])

    assert sync(config, "duckdb", "duckdb2").verified

    assert own_texts(config.database("duckdb2"), ["t1"]) == ["36:00:00"]


@pytest.mark.parametrize("side", ["source", "target"])
def test_no_command_reads_a_value_that_it_would_change_on_either_side(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: str
) -> None:
    (tmp_path / "lossy_models.py").write_text("from tests.contracts.test_lossy_casts import *; md = models([sa.Time])")
    monkeypatch.syspath_prepend(str(tmp_path))
    config = replace(config, metadata="lossy_models:md", migrations=tmp_path / "none")
    odd, plain = ("postgres", "sqlite") if side == "source" else ("sqlite", "postgres")
    fill(config.database("postgres"), [("timetz", "'12:00+02'")])
    fill(config.database("sqlite"), [("time", "'12:00:00.000000'")])

    with pytest.raises(UnrepresentableValueError, match=r"12:00:00\+02, of type time with time zone in postgres"):
        sync(config, odd, plain)
    compared = diff(config, odd, plain).tables[0]
    assert compared.status is Status.FAILED
    assert "12:00:00+02" in str(compared.reason)
    with pytest.raises(UnrepresentableValueError):
        dump_data(config, "postgres", directory=tmp_path / "dump")
    assert own_texts(config.database("sqlite"), ["t0"]) == ["text 12:00:00.000000"]


def test_a_condition_leaves_out_what_cannot_be_read(config: Config) -> None:
    fill(config.database("postgres"), [("numeric", "5.5")])
    (spec,) = select_tables(models([sa.Integer]))
    with connect(config.database("postgres")) as connection:
        require_exact(connection, [replace(spec, conditions=("id <> 7",))])
        with pytest.raises(UnrepresentableValueError):
            require_exact(connection, [replace(spec, conditions=("id = 7",))])


def test_a_domain_counts_as_what_it_is_made_of(config: Config) -> None:
    with connected(config.database("postgres")) as connection:
        connection.exec_driver_sql("CREATE DOMAIN wide AS numeric(12,4)")
        connection.exec_driver_sql("CREATE DOMAIN wider AS wide CHECK (value > 0)")
    fill(config.database("postgres"), [("wider", "1.2345"), ("wider", "1.2345")])

    found = refusals(config.database("postgres"), models([sa.Numeric(12, 4), sa.Numeric(12, 2)]))

    assert found[0] == ""
    assert "1.2345, of type numeric(12,4)" in found[1]


def test_digits_that_only_a_sum_of_doubles_made_are_not_decimals_of_sqlite(config: Config) -> None:
    fill(config.database("sqlite"), [("decimal(10,2)", "0.1 + 0.2"), ("decimal(10,2)", "1.1 * 1.15")])
    metadata = models([sa.Numeric(10, 2)] * 2)
    with connect(config.database("sqlite")) as connection:
        specs = select_tables(metadata)
        batches = list(connection.repository(specs[0]).read())
        assert batches[0].column(COLUMN).to_pylist()[0] == Decimal("0.30")
        with pytest.raises(UnrepresentableValueError, match=r"1\.26"):
            list(connection.repository(specs[1]).read())


def test_the_end_of_the_day_is_a_time_of_its_own_or_refused(config: Config, tmp_path: Path) -> None:
    fill(config.database("postgres"), [("time", "'24:00'")])
    fill(config.database("duckdb"), [("TIME", None)])
    fill(config.database("sqlite"), [("time", None)])
    (spec,) = select_tables(models([sa.Time]))
    with connect(config.database("postgres")) as origin:
        (batch,) = origin.repository(spec).read()
    with connect(config.database("duckdb"), write=True) as target:
        target.repository(spec).upsert_many([batch])
        target.commit()
    with (
        connect(config.database("sqlite"), write=True) as target,
        pytest.raises(UnrepresentableValueError, match="24:00:00"),
    ):
        target.repository(spec).upsert_many([batch])

    assert own_texts(config.database("duckdb"), ["t0"]) == ["24:00:00"]
    written = format_column(spec.column(COLUMN).type, batch.column(COLUMN)).to_pylist()
    assert written == ['"24:00:00"', "null"]
    read = parse_column(spec.column(COLUMN).type, ["24:00:00", None])
    assert read.equals(batch.column(COLUMN))


def test_sqlite_keeps_no_text_that_is_no_json_in_a_column_of_json(config: Config) -> None:
    fill(config.database("sqlite"), [("json", None)])
    (spec,) = select_tables(models([sa.JSON]))
    rows = pa.record_batch([pa.array([7], pa.int32()), pa.array(["x{1,2}"])], schema=spec.schema)
    with (
        connect(config.database("sqlite"), write=True) as target,
        pytest.raises(UnrepresentableValueError, match=r"id=7: column .* holds 'x\{1,2\}'"),
    ):
        target.repository(spec).upsert_many([rows])


@pytest.mark.parametrize(
    ("options", "rows"), [(Options(), 3), (Options(commit_every=2), 3), (Options(), 3000)], ids=["one", "parts", "many"]
)
def test_a_target_that_keeps_another_value_than_it_was_sent_is_told_by_row_and_column(
    config: Config, options: Options, rows: int
) -> None:
    fill(config.database("duckdb"), [("DECIMAL(12,4)", None)])
    fill(config.database("postgres"), [("numeric(12,2)", None)])
    with connected(config.database("duckdb")) as connection:
        raw: Any = connection.connection.driver_connection
        raw.execute(f"INSERT INTO t0 SELECT i, CASE i WHEN 2 THEN 1.005 ELSE 1.5 END FROM range(1, {rows + 1}) AS t(i)")
    (spec,) = select_tables(models([sa.Numeric(12, 4)]))

    with connect(config.database("duckdb")) as origin, connect(config.database("postgres"), write=True) as target:
        plan = plan_table(origin.repository(spec), target.repository(spec), spec, Silent())
        with pytest.raises(VerificationError, match=r"First: id=2: .* '1\.0050' was sent, '1\.0[01]00' is there"):
            execute([plan], origin, target, options, Silent())
    assert own_texts(config.database("postgres"), ["t0"]) == [None]


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_that_are_sifted_are_those_that_are_read_and_what_is_refused_is_named_by_row_and_column(
    config: Config, engine: str
) -> None:
    exact = [(column, value, type_) for name, column, value, type_ in EXACT if name == engine]
    lossy = [(column, value, type_) for name, column, value, type_, _ in LOSSY if name == engine]
    fill(config.database(engine), [(column, value) for column, value, _ in (*exact, *lossy)])
    specs = select_tables(models([type_ for _, _, type_ in (*exact, *lossy)]))

    with connect(config.database(engine)) as connection:
        for spec, (column, value, _) in zip(specs, (*exact, *lossy), strict=True):
            sifted = list(connection.repository(spec).sifted())
            found = {(bad.key, each.column) for part in sifted for bad in part.bad for each in bad.values}
            whole = pa.Table.from_batches([part.batch for part in sifted], spec.schema)
            if spec in specs[: len(exact)]:
                assert not found, (column, value)
                read = digest_batches(spec, connection.repository(spec).read())
                assert digest_batches(spec, whole.to_batches()) == read
            else:
                assert found == {("id=7", COLUMN)}, (column, value)
                assert whole.column("id").to_pylist() == [8]
