"""Every type of PostgreSQL and DuckDB: between two databases of one engine, and through each other engine and back."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa

from tests.operations.clients import run_script
from tests.operations.databases import connected, execute
from toolkit.config import Config, Database
from toolkit.errors import MisfitsError
from toolkit.operations.diff.compare import Status, diff
from toolkit.operations.diff.script import diff_sql
from toolkit.operations.fixtures.dump import dump_data
from toolkit.operations.fixtures.load import load_data
from toolkit.operations.migrations.revisions import opened
from toolkit.operations.sync import sync

_NUMBERS = itertools.count()
# The column's type, and values in the engine's own SQL.
Types = Sequence[tuple[str, Sequence[str]]]

POSTGRES_PRELUDE = (
    "CREATE DOMAIN posint AS integer CHECK (value > 0)",
    "CREATE DOMAIN price AS numeric(12,2)",
    "CREATE TYPE pair AS (a integer, b text)",
    "CREATE TYPE mood AS ENUM ('sad', 'it''s, ok')",
)
POSTGRES: Types = [
    ("oid", ["4294967295"]),
    ("regclass", ["'pg_class'"]),
    ("money", ["'-12.34'", "'92233720368547758.07'"]),
    ("bit(3)", ["B'101'"]),
    ("bit varying", ["B''", "B'0001'"]),
    ("inet", ["'10.0.0.1/8'", "'::1'"]),
    ("cidr", ["'10.0.0.0/8'"]),
    ("macaddr", ["'08:00:2b:01:02:03'"]),
    ("macaddr8", ["'08:00:2b:01:02:03:04:05'"]),
    ("tsvector", ["'a:1 b:2A'", "'''it''''s'':1'"]),
    ("tsquery", ["'a & !b'"]),
    ("int4range", ["'[1,5)'", "'empty'", "'(,3)'"]),
    ("int8range", ["'[1,)'"]),
    ("numrange", ["'[1.50,2.0]'"]),
    ("daterange", ["'[2024-01-01,2024-02-01)'"]),
    ("tsrange", ["'[2024-01-01 10:00,)'"]),
    ("tstzrange", ["'[2024-01-01 10:00+02,)'"]),
    ("int4multirange", ["'{[1,2),[5,6)}'"]),
    ("posint", ["7"]),
    ("price", ["1.50"]),
    ("pair", ["ROW(1, 'a,\"b')", "ROW(NULL, NULL)"]),
    ("pair[]", ["ARRAY[ROW(1, 'x')::pair]"]),
    ("mood", ["'it''s, ok'"]),
    ("mood[]", ["'{sad,NULL}'"]),
    ("bpchar", ["'a '"]),
    ("char(5)", ["'ab'"]),
    ('"char"', ["'x'"]),
    ("name", ["'n'"]),
    ("jsonpath", ["'$.a[*]'"]),
    ("point", ["'(0.1,-2)'"]),
    ("line", ["'{1,2,3}'"]),
    ("lseg", ["'[(1,2),(3,4)]'"]),
    ("box", ["'(3,4),(1,2)'"]),
    ("path", ["'((1,2),(3,4))'"]),
    ("polygon", ["'((1,2),(3,4),(5,6))'"]),
    ("circle", ["'<(1,2),3>'"]),
    ("pg_lsn", ["'16/B374D848'"]),
    ("xid8", ["'42'"]),
    ("timetz", ["'12:00+02'", "'24:00:00.000000-15:59:59'", "'00:00:00.5+05:30'"]),
    ("interval", ["'1 day'", "'24 hours'", "'1 mon -3 days +01:02:03.5'", "'-1 year'", "'0'", "'36:00:00'"]),
    ("interval year to month", ["'14 mons'"]),
    ("interval[]", ["'{1 mon,24:00:00}'"]),
    ("int[]", ["'{1,NULL}'", "'{}'"]),
    ("inet[]", ["'{10.0.0.1}'"]),
    ("numeric[]", ["'{1.50,NaN}'"]),
    ("numeric(6,2)[]", ["'{1.50}'"]),
    ("timestamp[]", ["'{2024-01-01 10:00:00.5,NULL}'"]),
    ("timestamptz[]", ["'{2024-01-01 10:00+02}'"]),
    ("time[]", ["'{10:00}'"]),
    ("bytea[]", ["ARRAY['\\x00ff'::bytea, '']"]),
    ("jsonb[]", ["ARRAY['{\"a\": [1, 2.50]}'::jsonb, 'null', NULL]"]),
    ("uuid[]", ["'{c0ffee00-0000-0000-0000-000000000000}'"]),
    ("float8[]", ["'{1,0.1,1e300,NaN}'"]),
    ("numeric(50,10)", ["'1234567890123456789012345678901234567890.0123456789'"]),
    ("numeric(5,-2)", ["12300"]),
    ("bytea", ["'\\x00ff'"]),
    ("jsonb", ["'{\"a\": 1.10}'", "'null'"]),
    ("time", ["'10:00:00.000001'"]),
    ("real", ["0.1"]),
]


DUCKDB_PRELUDE = ("CREATE TYPE mood AS ENUM ('sad', 'it''s, ok')",)
DUCKDB: Types = [
    ("TINYINT", ["-128"]),
    ("UTINYINT", ["255"]),
    ("USMALLINT", ["65535"]),
    ("UINTEGER", ["4294967295"]),
    ("UBIGINT", ["18446744073709551615"]),
    ("HUGEINT", ["-170141183460469231731687303715884105728"]),
    ("UHUGEINT", ["340282366920938463463374607431768211455"]),
    ("BIGNUM", ["'-12345678901234567890123456789012345678901234567890'"]),
    ("TIMESTAMP_S", ["'2024-03-31 02:30:00'"]),
    ("TIMESTAMP_MS", ["'2024-03-31 02:30:00.123'"]),
    ("TIMESTAMP_NS", ["'2024-03-31 02:30:00.123456789'"]),
    ("TIMESTAMPTZ_NS", ["'2024-03-31 02:30:00.123456789+02'"]),
    ("TIME_NS", ["'02:30:00.123456789'"]),
    ("GEOMETRY", ["'POINT(0.1 0.30000000000000004)'", "'POINT EMPTY'"]),
    ("TUPLE(INTEGER, VARCHAR)", ["row(1, 'x, ''y'' NULL')"]),
    # Of other types than texts values are refused (test_lossy_casts.py).
    ("VARIANT", ["'1'::VARIANT"]),
    ("TIMETZ", ["'12:00:00+02'", "'12:00:00.5-15:59:59'"]),
    ("BIT", ["'0101'"]),
    ("mood", ["'it''s, ok'"]),
    ('STRUCT(a INTEGER, "b c" VARCHAR)', ["{'a': 1, 'b c': 'x, \"y\" ''z'' }'}", "{'a': NULL, 'b c': 'NULL'}"]),
    ("MAP(VARCHAR, INTEGER)", ["MAP {'a=b': 1, '': NULL}", "MAP {}"]),
    (
        'UNION(i INTEGER, s VARCHAR, "d d" DECIMAL(4,2))',
        ["union_value(i := 1)", "union_value(s := '1')", "union_value(i := NULL)", "union_value(s := NULL)", "'NULL'"],
    ),
    (
        "UNION(i INTEGER, s VARCHAR)[]",
        ["[1, NULL]", "[union_value(s := '1'), union_value(i := NULL), union_value(s := NULL)]", "['NULL', 'it''s']"],
    ),
    ("UNION(i INTEGER, s VARCHAR)[2]", ["['1', '2']", "[1, NULL]"]),
    (
        "STRUCT(a UNION(i HUGEINT, s VARCHAR), b VARCHAR)",
        ["{'a': 1, 'b': '2'}", "{'a': union_value(s := '1'), 'b': NULL}"],
    ),
    (
        "MAP(VARCHAR, UNION(d DECIMAL(38,10), b BLOB))",
        ["MAP {'k': 1234567890123456789012345678.0123456789::DECIMAL(38,10)}"],
    ),
    ("STRUCT(a INTEGER)[]", ["[{'a': 1}, NULL]"]),
    ("HUGEINT[]", ["[170141183460469231731687303715884105727]"]),
    ("INTEGER[3]", ["[1, 2, NULL]"]),
    ("FLOAT[3]", ["[0.1, 2, 3]"]),
    ("INTEGER[][]", ["[[1, 2], [3, NULL]]", "[]"]),
    ("VARCHAR[][]", ["[['a', 'NULL'], [NULL, '']]"]),
    ("DOUBLE[][]", ["[[1.5, 'nan', 1e300, -3]]"]),
    ("DECIMAL(6,2)[]", ["[1.50]"]),
    ("TIMESTAMP[]", ["['2024-01-01 10:00:00.5', NULL]"]),
    ("TIMESTAMPTZ[]", ["['2024-01-01 10:00:00+02']"]),
    ("TIME[]", ["['10:00:00']"]),
    ("BLOB[]", ["['\\x00\\xFF'::BLOB, ''::BLOB]"]),
    ("JSON[]", ["['{\"a\": [1, 2.50]}', 'null', NULL]"]),
    ("INTERVAL", ["'1 month'", "'24 hours'", "'-1 month 3 days -01:02:03.5'", "INTERVAL '300000 hours'"]),
    ("INTERVAL[]", ["[INTERVAL '1 month']"]),
    ("UUID[]", ["['c0ffee00-0000-0000-0000-000000000000']"]),
    ("JSON", ["'{\"a\": 1.10}'"]),
    ("FLOAT", ["0.1"]),
]


@pytest.fixture
def every(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A configuration whose models are what the database `postgres` holds."""
    # Not by the directory's name: some versions of pytest give that of a test that passed to the next.
    name = f"models_of_test_{next(_NUMBERS)}"
    (tmp_path / f"{name}.py").write_text(
        "import os, warnings, sqlalchemy as sa\n"
        "md = sa.MetaData()\n"
        "with warnings.catch_warnings(action='ignore'):\n"
        "    md.reflect(sa.create_engine(os.environ['EVERY_TYPE_URL'], poolclass=sa.NullPool))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return replace(config, metadata=f"{name}:md", migrations=tmp_path / "none")


def fill(database: Database, prelude: Sequence[str], types: Types, *, rows: bool = True) -> None:
    """A table with a column of each type: their values under the keys 1, 2 and so on, and a row of NULLs."""
    execute(database, *prelude)
    columns = ", ".join(f"c{number} {type_}" for number, (type_, _) in enumerate(types))
    with connected(database) as connection:
        raw: Any = connection.connection.driver_connection
        raw.execute(f"CREATE TABLE t (id INTEGER PRIMARY KEY, {columns})")
        for key in range(max(len(values) for _, values in types) + 1 if rows else 0):
            cells = ", ".join(values[key] if key < len(values) else "NULL" for _, values in types)
            raw.execute(f"INSERT INTO t VALUES ({key}, {cells})")


def stored(database: Database, types: Types) -> dict[str, Sequence[object]]:
    """All values as the engine writes them, by type; of unions with the names of the members."""
    with connected(database) as connection:
        cells = {type_: f"c{number}" for number, (type_, _) in enumerate(types)}
        shown = {type_: f"to_json({cell})" if "UNION(" in type_ else cell for type_, cell in cells.items()}
        return {
            type_: connection.execute(sa.text(f"SELECT CAST({cell} AS VARCHAR) FROM t ORDER BY id")).scalars().all()
            for type_, cell in shown.items()
        }


# Written otherwise above, made for no column, or those that every engine has (tests/contracts/test_matrix.py).
ELSEWHERE = (
    {"ARRAY", "LIST", "ENUM", "TIME WITH TIME ZONE"}
    | {"NULL", "TYPE"}
    | {"BOOLEAN", "SMALLINT", "BIGINT", "DATE", "TIMESTAMP WITH TIME ZONE"}
)
CASES = {"postgres": (POSTGRES_PRELUDE, POSTGRES), "duckdb": (DUCKDB_PRELUDE, DUCKDB)}
WAYS = [
    (engine, through) for engine in CASES for through in (None, "sqlite", "postgres", "duckdb") if through != engine
]


def test_no_type_that_duckdb_has_is_left_out_here() -> None:
    with duckdb.connect() as connection:
        query = "SELECT DISTINCT logical_type FROM duckdb_types() WHERE database_name = 'system'"
        names = {name for (name,) in connection.execute(query).fetchall()}
    assert names - {re.split(r"[(\[]", type_)[0] for type_, _ in DUCKDB} == ELSEWHERE


@pytest.fixture
def second(second_postgres_url: str) -> dict[str, str]:
    """Another database of each engine."""
    return {"postgres": second_postgres_url, "duckdb": "duckdb2"}


def filled(every: Config, monkeypatch: pytest.MonkeyPatch, engine: str, second: str) -> dict[str, Sequence[object]]:
    """Fill the first database of an engine, and make the tables of the second; the values of the first."""
    prelude, types = CASES[engine]
    first = every.database(engine)
    monkeypatch.setenv("EVERY_TYPE_URL", first.url.render_as_string(hide_password=False))
    fill(first, prelude, types)
    fill(every.database(second), prelude, types, rows=False)
    return stored(first, types)


@pytest.mark.parametrize(("engine", "through"), WAYS)
def test_every_value_arrives_and_comes_back_as_it_was(
    every: Config, second: dict[str, str], monkeypatch: pytest.MonkeyPatch, engine: str, through: str | None
) -> None:
    sent = filled(every, monkeypatch, engine, second[engine])

    for source, target in itertools.pairwise([engine, *([through] if through else []), second[engine]]):
        assert sync(every, source, target).verified
        compared = diff(every, source, target).tables
        assert [each for each in compared if each.status is not Status.SAME] == []
    again = sync(every, source, target)
    assert sum(each.inserted + each.updated for each in again.tables) == 0
    assert stored(every.database(second[engine]), CASES[engine][1]) == sent


@pytest.mark.parametrize("engine", CASES)
def test_every_value_is_dumped_and_loaded(
    every: Config, second: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine: str
) -> None:
    sent = filled(every, monkeypatch, engine, second[engine])

    dump_data(every, engine, directory=tmp_path / "dump")
    load_data(every, second[engine], directory=tmp_path / "dump")

    assert stored(every.database(second[engine]), CASES[engine][1]) == sent


@pytest.mark.parametrize("engine", CASES)
def test_every_value_is_written_into_a_script(
    every: Config, second: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine: str
) -> None:
    sent = filled(every, monkeypatch, engine, second[engine])

    diff_sql(every, engine, second[engine], tmp_path / "script.sql")
    ran = run_script(every.database(second[engine]), tmp_path / "script.sql")
    assert (ran.returncode, ran.stderr) == (0, "")

    assert stored(every.database(second[engine]), CASES[engine][1]) == sent


@pytest.mark.parametrize("target", ["sqlite", "duckdb"])
def test_defaults_of_another_engines_types_are_made_and_excluded_tables_are_not(
    every: Config, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    source = every.database("postgres")
    monkeypatch.setenv("EVERY_TYPE_URL", source.url.render_as_string(hide_password=False))
    execute(
        source,
        "CREATE TABLE doc (id integer PRIMARY KEY, body jsonb DEFAULT '{}'::jsonb, n integer DEFAULT '-1'::integer,"
        " s varchar(5) DEFAULT 'it''s'::character varying)",
        "CREATE TABLE log (line inet)",
        "INSERT INTO doc VALUES (1)",
    )

    sync(every, "postgres", target, exclude=["log"])

    execute(every.database(target), "INSERT INTO doc (id) VALUES (2)")
    with connected(every.database(target)) as connection:
        rows = connection.exec_driver_sql("SELECT CAST(body AS VARCHAR), n, s FROM doc WHERE id = 2").all()
        names = sa.inspect(connection).get_table_names()
    assert ([tuple(row) for row in rows], names) == ([("{}", -1, "it's")], ["doc"])
    assert sync(every, "postgres", target, exclude=["log"]).tables[0].unchanged == 1


def test_an_array_that_does_not_begin_at_1_goes_through_sqlite_and_is_refused_by_duckdb(
    every: Config, second: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, again = every.database("postgres"), every.database(second["postgres"])
    monkeypatch.setenv("EVERY_TYPE_URL", source.url.render_as_string(hide_password=False))
    types: Types = [
        ("timestamp[]", ["'[0:1]={2024-01-01 10:00:00.5,NULL}'"]),
        ("numeric[]", ["'[-1:0][2:2]={{1},{2}}'"]),
    ]
    fill(source, (), types)
    fill(again, (), types, rows=False)

    assert sync(every, "postgres", "sqlite").verified
    assert sync(every, "sqlite", second["postgres"]).verified
    with pytest.raises(MisfitsError, match="does not begin at 1"):
        sync(every, "postgres", "duckdb")

    assert stored(again, types) == stored(source, types)


@pytest.mark.parametrize(
    ("type_", "key"), [("mood", "'sad'"), ("timetz", "'12:00+02'"), ("int4range", "'[1,5)'"), ("bit(3)", "B'101'")]
)
def test_a_row_is_found_by_a_key_of_any_type_beside_a_unique_column(
    every: Config, second: dict[str, str], monkeypatch: pytest.MonkeyPatch, type_: str, key: str
) -> None:
    source = every.database("postgres")
    monkeypatch.setenv("EVERY_TYPE_URL", source.url.render_as_string(hide_password=False))
    made = f"CREATE TABLE t (k {type_}, id integer, slug text UNIQUE, v integer, PRIMARY KEY (k, id))"
    execute(source, *POSTGRES_PRELUDE, made, f"INSERT INTO t VALUES ({key}, 1, 'x', 1)")
    execute(every.database(second["postgres"]), *POSTGRES_PRELUDE, made)
    sync(every, "postgres", second["postgres"])
    execute(source, "UPDATE t SET v = 5")

    assert sync(every, "postgres", second["postgres"]).tables[0].updated == 1
    assert diff(every, "postgres", second["postgres"]).equal


@pytest.mark.parametrize(("type_", "shown"), [(sa.Numeric(20, 4), "numeric"), (sa.Double(), "double precision")])
def test_a_key_of_decimals_or_floats_does_not_become_one_of_integers(
    config: Config, type_: sa.types.TypeEngine[Any], shown: str
) -> None:
    metadata = sa.MetaData()
    sa.Table("f", metadata, sa.Column("k", type_, primary_key=True))
    database = config.database("postgres")
    with opened(database) as engine, engine.begin() as connection:
        metadata.create_all(connection)
        query = "SELECT data_type, column_default FROM information_schema.columns WHERE table_name = 'f'"
        assert [tuple(row) for row in connection.exec_driver_sql(query)] == [(shown, None)]


@pytest.mark.parametrize("target", ["duckdb2", "sqlite2"])
def test_a_domain_of_the_models_is_made_as_what_it_rests_on(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    (tmp_path / f"domains_of_{target}.py").write_text(
        "import sqlalchemy as sa\n"
        "from sqlalchemy.dialects.postgresql import DOMAIN\n"
        "md = sa.MetaData()\n"
        "posint = DOMAIN('posint', sa.Integer(), check=sa.text('VALUE > 0'))\n"
        "sa.Table('d', md, sa.Column('id', sa.Integer, primary_key=True), sa.Column('v', posint))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    config = replace(config, metadata=f"domains_of_{target}:md", migrations=tmp_path / "none")
    execute(
        config.database("duckdb"), "CREATE TABLE d (id INTEGER PRIMARY KEY, v INTEGER)", "INSERT INTO d VALUES (1, 7)"
    )

    assert sync(config, "duckdb", target).verified

    with connected(config.database(target)) as connection:
        assert str(sa.inspect(connection).get_columns("d")[1]["type"]) == "INTEGER"


def test_a_key_of_arrays_is_carried_into_sqlite(every: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    source = every.database("postgres")
    monkeypatch.setenv("EVERY_TYPE_URL", source.url.render_as_string(hide_password=False))
    execute(
        source, "CREATE TABLE t (k integer[] PRIMARY KEY, v integer)", "INSERT INTO t VALUES ('{2}', 1), ('{1,3}', 2)"
    )

    assert sync(every, "postgres", "sqlite").verified
    assert sync(every, "postgres", "sqlite").tables[0].unchanged == 2
