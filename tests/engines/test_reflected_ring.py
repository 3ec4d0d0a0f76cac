"""Rows of PostgreSQL's types without models, through another engine and back: they are the same rows again."""

from __future__ import annotations

from pathlib import Path

import duckdb
import psycopg
import pytest

from toolkit.config import load_config
from toolkit.operations.sync import sync

TABLE = """
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', '100% :happy');
CREATE DOMAIN year AS integer CHECK (VALUE > 1900);
CREATE TYPE pair AS (x numeric, "Y" text);
CREATE TYPE span AS RANGE (SUBTYPE = numeric);
CREATE TABLE every (
    id bigint PRIMARY KEY, small smallint, flag boolean, single real, double double precision, amount numeric(12, 3),
    free numeric, odd numeric(3, -2), raw bytea, words text, short varchar(20), fixed char(5), bare bpchar,
    letter "char", day date, clock time, "at" timestamptz, local timestamp(3), lasts interval,
    months interval year to month, key uuid,
    doc json, data jsonb, flags bit(4), mask varbit, ip inet, net cidr, mac macaddr, price money, spot point, box box,
    found tsvector, query tsquery, feeling mood, feelings mood[], born year, years year[], place pair, places pair[],
    during span, days daterange, rounds int4multirange, tags text[], numbers integer[], matrix integer[][],
    amounts numeric(5, 2)[], moments timestamptz[], keys uuid[], flagged boolean[], raws bytea[], docs jsonb[]
);
INSERT INTO every VALUES (
    1, -5, true, 1.5, 0.1, 12345.678, 1.0123456789, 12300, '\\x00ff5c', 'a ''b'' %s :x \\ "q" é', '', 'ab', 'x  ', 'c',
    '2006-02-14', '23:59:59.999999', '2006-02-14 22:04:36.123456+02', '2006-02-14 22:04:36.123',
    '1 mon -2 days 03:04:05.6', '1 year 2 mons', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"b": 1, "a": 1.50}',
    '{"a": [1, null, "x"]}', '1010', '101', '10.0.0.1', '10.0.0.0/8', '08:00:2b:01:02:03', '$1,234.50', '(1.5,2)',
    '(2,2),(1,1)', 'a:1 b:2', 'a & b', 'it''s ok', '{sad,"100% :happy"}', 1999, '{1999,2000}', ROW(1.50, 'a,"b"'),
    ARRAY[ROW(1, NULL)::pair], '[1.5,2)', '[2020-01-01,)', '{[1,3),[5,7)}', '{a,NULL,"b,c"}', '{1,NULL}',
    '{{1,2},{3,4}}', '{1.50,2.25}', '{2006-02-14 22:04:36+00}', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}', '{t,f,NULL}',
    '{"\\\\x00ff"}', ARRAY['{"a": 1}'::jsonb]
);
INSERT INTO every (id) VALUES (2);
INSERT INTO every (id, words, tags, matrix) VALUES (3, '', '{}', '{}');
"""
# By column, what is of another form afterwards: a number for money; what is JSON in SQLite is a document from there on.
ANOTHER = {
    "duckdb": {"price": "1234.50"},
    "sqlite": {
        "price": "1234.50",
        "doc": '{"a": 1.50, "b": 1}',
        "feelings": '["sad", "100% :happy"]',
        "years": "[1999, 2000]",
        "tags": '["a", null, "b,c"]',
        "numbers": "[1, null]",
        "matrix": "[[1, 2], [3, 4]]",
        "amounts": '["1.50", "2.25"]',
        "moments": '["2006-02-14 22:04:36+00"]',
        "keys": '["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]',
        "flagged": "[true, false, null]",
        "raws": r'["\\x00ff"]',
        "docs": r'["{\"a\": 1}"]',
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("other", ["duckdb", "sqlite"])
def test_rows_of_every_type_come_back_from_another_engine(
    tmp_path: Path, postgres_url: str, second_postgres_url: str, other: str
) -> None:
    urls = {"ONE": postgres_url, "OTHER": f"{other}:///{tmp_path}/other.{other}", "BACK": second_postgres_url}
    config = load_config(tmp_path, {f"TOOLKIT_{name}_URL": url for name, url in urls.items()})
    with psycopg.connect(postgres_url) as connection:
        connection.execute(TABLE.encode())
    for source, target in (("one", "other"), ("other", "back")):
        assert sync(config, source, target).verified
        again = sync(config, source, target)
        assert [(table.inserted, table.updated, table.unchanged) for table in again.tables] == [(0, 0, 3)]
    before, after = _texts(postgres_url), _texts(second_postgres_url)
    assert {name: values[0] for name, values in after.items() if values != before[name]} == ANOTHER[other]


def _texts(url: str) -> dict[str, list[str | None]]:
    """By column, the rows' values as PostgreSQL writes them."""
    with psycopg.connect(url) as connection:
        columns = "SELECT attname::text FROM pg_attribute WHERE attrelid = 'every'::regclass AND attnum > 0"
        names = [row[0] for row in connection.execute(columns)]
        return {
            name: [row[0] for row in connection.execute(f'SELECT "{name}"::text FROM every ORDER BY id'.encode())]
            for name in names
        }


OF_DUCKDB = """
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', ', ');
CREATE TABLE every (
    id BIGINT PRIMARY KEY, tiny TINYINT, unsigned UBIGINT, big HUGEINT, amount DECIMAL(12, 3), raw BLOB, words VARCHAR,
    moment TIMESTAMPTZ, seconds TIMESTAMP_S, nanos TIMESTAMP_NS, zoned TIMETZ,
    lasts INTERVAL, key UUID, doc JSON, bits BIT, feeling mood, feelings mood[], pair STRUCT(a INTEGER, "b c" mood),
    either UNION(num INTEGER, str VARCHAR), pairs MAP(VARCHAR, INTEGER), three INTEGER[3], numbers INTEGER[],
    matrix INTEGER[][], uneven INTEGER[][], deep INTEGER[][][]
);
INSERT INTO every VALUES (
    1, -5, 18446744073709551615, 12345678901234567890, 12345.678, '\\x00\\xFF'::BLOB, 'a ''b'' %s :x "q" é',
    '2006-02-14 22:04:36.123456+02', '2006-02-14 22:04:36', '2006-02-14 22:04:36.123456789', '12:00:00+05:30',
    INTERVAL 3 DAY, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"b": 1, "a": 1.50}', '101', 'it''s ok', ['sad', ', '],
    {'a': 1, 'b c': 'sad'}, 5, MAP {'k': 1}, [1, 2, 3], [1, NULL], [[1, 2], [3, 4]], [[1], []], [[[1]], []]
);
INSERT INTO every (id) VALUES (2);
"""


@pytest.mark.slow
def test_rows_of_duckdbs_types_come_back_from_postgresql(tmp_path: Path, postgres_url: str) -> None:
    urls = {
        "ONE": f"duckdb:///{tmp_path}/one.duckdb",
        "OTHER": postgres_url,
        "BACK": f"duckdb:///{tmp_path}/back.duckdb",
    }
    config = load_config(tmp_path, {f"TOOLKIT_{name}_URL": url for name, url in urls.items()})
    with duckdb.connect(str(tmp_path / "one.duckdb")) as connection:
        connection.execute(OF_DUCKDB)
    for source, target in (("one", "other"), ("other", "back")):
        assert sync(config, source, target).verified
        again = sync(config, source, target)
        assert [(table.inserted, table.updated, table.unchanged) for table in again.tables] == [(0, 0, 2)]
    before, after = (_texts_of_duckdb(tmp_path / f"{name}.duckdb") for name in ("one", "back"))
    # The text of a UNION says which member it is.
    assert {name: values[0] for name, values in after.items() if values != before[name]} == {
        "either": "{'tag': num, 'value': 5}",
    }


def _texts_of_duckdb(file: Path) -> dict[str, list[str | None]]:
    """By column, the rows' values as DuckDB writes them."""
    with duckdb.connect(str(file), read_only=True) as connection:
        found = connection.execute("SELECT CAST(COLUMNS(*) AS VARCHAR) FROM every ORDER BY id")
        names = [each[0] for each in found.description]
        return dict(zip(names, map(list, zip(*found.fetchall(), strict=True)), strict=True))


@pytest.mark.slow
def test_numbers_of_any_size_arrive_where_decimals_have_38_digits(tmp_path: Path, postgres_url: str) -> None:
    config = load_config(
        tmp_path, {"TOOLKIT_ONE_URL": postgres_url, "TOOLKIT_OTHER_URL": f"duckdb:///{tmp_path}/other.duckdb"}
    )
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE numbers (id integer PRIMARY KEY, wide numeric, odd numeric, usual numeric)")
        connection.execute("INSERT INTO numbers VALUES (1, 1e-30, 'NaN', 1.5), (2, 1e40, '-Infinity', NULL)")
    assert sync(config, "one", "other").verified
    assert sync(config, "one", "other").tables[0].unchanged == 2
    with duckdb.connect(str(tmp_path / "other.duckdb"), read_only=True) as connection:
        rows = connection.execute("SELECT wide, odd, typeof(usual) FROM numbers ORDER BY id").fetchall()
    usual = "DECIMAL(38,10)"
    assert rows == [(f"0.{'0' * 29}1", "NaN", usual), (f"1{'0' * 40}", "-Infinity", usual)]
