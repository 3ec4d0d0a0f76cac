"""Texts of schemas in the SQL of another engine: what is written means the same there, the rest is refused."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from itertools import product
from typing import Any

import duckdb
import psycopg
import pytest

from toolkit.core.sql_terms import ColumnMeaning, Untranslatable
from toolkit.core.translated_defaults import translated_default
from toolkit.core.translated_sql import Translation
from toolkit.engines.duckdb.sql_dialect import SQL as DUCKDB
from toolkit.engines.postgresql.sql_dialect import SQL as POSTGRESQL
from toolkit.engines.sqlite.sql_dialect import SQL as SQLITE

DIALECTS = {"sqlite": SQLITE, "postgresql": POSTGRESQL, "duckdb": DUCKDB}
# Name, kind, and the types there.
COLUMNS = (
    ("n", "int64", "BIGINT", "BIGINT"),
    ("f", "float64", "DOUBLE", "DOUBLE PRECISION"),
    ("price", "decimal", "DECIMAL(10, 2)", "NUMERIC(10, 2)"),
    ("wide", "decimal", "NUMERIC", "NUMERIC(30, 10)"),
    ("t", "text", "TEXT", "TEXT"),
    ("nc", "text", "TEXT COLLATE NOCASE", "TEXT"),
    ("b", "bool", "BOOLEAN", "BOOLEAN"),
    ("d", "date", "DATE", "DATE"),
    ("ts", "timestamp", "DATETIME", "TIMESTAMP"),
    ("a b", "int64", "INT", "BIGINT"),
)
OPTIONS: dict[str, dict[str, Any]] = {
    "wide": {"is_wide": True},
    "price": {"is_numeric": True},
    "nc": {"collation": "NOCASE"},
}
VALUES: dict[str, tuple[str, ...]] = {
    "n": ("NULL", "-1", "0", "3"),
    "t": ("NULL", "''", "'a'", "'A%@'", "'Ä'", "'b'"),
    "nc": ("'OPEN'", "'ä'"),
    "b": ("NULL", "TRUE", "FALSE"),
    "d": ("NULL", "'2024-02-29'"),
}
FIXED = {"f": "0.5", "price": "-0.10", "wide": "-0.10", "ts": "'2024-01-01 00:00:00'", "a b": "2"}


def translation(source: str, target: str) -> Translation:
    meanings = {
        name: ColumnMeaning(name, kind, **(OPTIONS.get(name, {}) if source == "sqlite" or name != "nc" else {}))
        for name, kind, _, _ in COLUMNS
    }
    return Translation(DIALECTS[source], DIALECTS[target], meanings)


def outcome(translated: Callable[[], str]) -> str:
    """The text, or behind a mark why there is none."""
    try:
        return translated()
    except Untranslatable as error:
        return f"!{error}"


def names_and_rows() -> tuple[list[str], list[tuple[str, ...]]]:
    names = [name for name, *_ in COLUMNS]
    varied = list(VALUES)
    rows = []
    for values in product(*VALUES.values()):
        row = FIXED | dict(zip(varied, values, strict=True))
        rows.append(tuple(row[name] for name in names))
    return names, rows


Truths = Callable[[str, str], list[bool | None]]


@pytest.fixture(scope="module")
def truths(postgres_server: str) -> Iterator[Truths]:
    """What a condition is of each of many rows, in a real engine."""
    names, rows = names_and_rows()
    listed = ", ".join(f'"{name}"' for name in names)
    values = ", ".join(f"({index}, {', '.join(row)})" for index, row in enumerate(rows))
    with (
        closing(sqlite3.connect(":memory:")) as lite,
        duckdb.connect() as duck,
        psycopg.connect(postgres_server, autocommit=True) as post,
    ):
        connections: dict[str, Any] = {"sqlite": lite, "duckdb": duck, "postgresql": post}
        for engine, connection in connections.items():
            types = [(f'"{name}"', own if engine == "sqlite" else other) for name, _, own, other in COLUMNS]
            columns = ", ".join(f"{name} {type_}" for name, type_ in types)
            connection.execute(f"CREATE TEMPORARY TABLE r (i BIGINT, {columns})")
            connection.execute(f"INSERT INTO r (i, {listed}) VALUES {values}")

        def found(engine: str, condition: str) -> list[bool | None]:
            rows = connections[engine].execute(f"SELECT {condition}\nFROM r ORDER BY i").fetchall()
            return [None if value is None else bool(value) for (value,) in rows]

        yield found
    lite.close()
    duck.close()


# By the source: a condition, and what PostgreSQL (or, of PostgreSQL, SQLite) is given; `!` and a reason where none is.
CONDITIONS = [
    ("sqlite", "n > 0 and [a b] between 1 and 2", '("n" > 0) AND (("a b" >= 1) AND ("a b" <= 2))'),
    ("sqlite", "t IN ('a', \"ab\") or t isnull", "((\"t\" IN ('a', 'ab')) OR (\"t\" IS NULL))"),
    ("sqlite", "price > '0'", '("price" > 0)'),
    ("sqlite", "n > '0'", "!it compares int64 with text"),
    ("sqlite", "b IN (0, 1)", None),
    ("sqlite", "b = 1 and b between 0 and 1 and not b", None),
    ("sqlite", "n", '("n" <> 0)'),
    ("sqlite", "t", "!is not a boolean"),
    ("sqlite", "t LIKE '%@%'", "(\"t\" LIKE '%@%')"),
    ("sqlite", "t LIKE 'A%'", '(lower("t" COLLATE "C") LIKE \'a%\')'),
    ("sqlite", "t LIKE 'a\\_' ESCAPE '\\'", "!is not certain"),
    ("sqlite", "t >= 'a'", '("t" COLLATE "C" >= \'a\')'),
    ("sqlite", "nc = 'Open' and nc NOT IN ('Ä', 'X')", None),
    ("sqlite", "nc > 'a'", "!ordered there is not certain"),
    ("sqlite", "t = 'A%@' COLLATE NOCASE or t = nc COLLATE nocase", None),
    ("sqlite", "nc = 'open' COLLATE BINARY", "(\"nc\" = 'open')"),
    ("sqlite", "t = nc", '("t" = "nc")'),
    ("sqlite", "coalesce(nc, '') = 'open'", "(coalesce(\"nc\", '') = 'open')"),
    ("sqlite", "t = lower(t)", '("t" = lower("t" COLLATE "C"))'),
    ("sqlite", "(n IS NULL) + (t IS NULL) = 1", None),
    ("sqlite", "(n IS NULL) <> (t IS NULL)", '(("n" IS NULL) <> ("t" IS NULL))'),
    ("sqlite", "n IS 3 OR b IS NOT 0", None),
    ("sqlite", "t NOT LIKE '%@%' AND n NOT IN (3, 4) AND n NOT BETWEEN 7 AND 8 AND n NOTNULL AND t IS NOT ''", None),
    ("sqlite", "b IS NOT TRUE AND n IS NOT FALSE AND (n <> 3) IS NOT 1", None),
    ("sqlite", "b IS TRUE", '("b" IS TRUE)'),
    ("sqlite", "length(t) > 1 -- characters", '(length("t") > 1)'),
    ("sqlite", "CASE WHEN b THEN n > 0 ELSE t IS NULL END", None),
    ("sqlite", "nullif(n, 3) IS NULL AND abs(n) + 1 = 4", None),
    ("sqlite", "t || 'x' = 'ax'", "((\"t\" || 'x') = 'ax')"),
    ("sqlite", "d >= '2024-01-01'", "(\"d\" >= '2024-01-01')"),
    ("sqlite", "ts > d", "!it compares timestamp with date"),
    ("sqlite", "ts = ts", "!how values of timestamp are compared"),
    ("sqlite", "n / 2 > 1", "!is not certain"),
    ("sqlite", "n % 2 = 1 OR n % -2 = 0", "!is not certain"),
    ("sqlite", "n % 2 = 1 OR n % 2 = -1", '((("n" % 2) = 1) OR (("n" % 2) = -1))'),
    ("sqlite", "trim(t) <> '' AND substr(t, 1, 2) = 'A%'", None),
    ("sqlite", "substr(t, -1) = '@'", "!is not certain"),
    ("postgresql", "((TRIM(BOTH FROM t) <> ''::text) AND (TRIM(BOTH ' '::text FROM t) <> 'x'::text))", None),
    ("postgresql", "(TRIM(LEADING FROM t) <> ''::text)", "!is not certain"),
    ("duckdb", "(\"trim\"(t) != '')", "!is not certain"),
    ("sqlite", "price * n > 0", "!one of the engines calculates with decimals as doubles"),
    ("sqlite", "typeof(n) = 'integer'", "!is not certain"),
    ("sqlite", "t GLOB 'A*' OR t NOT GLOB '?'", "((\"t\" LIKE 'A%') OR (NOT (\"t\" LIKE '_')))"),
    ("sqlite", "t GLOB '[a-z]*'", "!there is no GLOB"),
    ("sqlite", "n > 0 IN (1)", "!not certain without brackets"),
    ("sqlite", "nowhere > 0", "!there is no column nowhere"),
    ("sqlite", "n IN (SELECT 1)", "!is not certain"),
    ("sqlite", "n >", "!it is not understood"),
    ("postgresql", "((t)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[]))", None),
    ("postgresql", "((t IS NOT NULL) AND (b IS NOT TRUE))", None),
    ("postgresql", "(t <> ALL (ARRAY['a'::text]))", "(\"t\" NOT IN ('a'))"),
    ("postgresql", "(price >= (0)::numeric)", '("price" >= 0)'),
    (
        "postgresql",
        "((f >= (0)::double precision) AND (f <= (1)::double precision))",
        '(CAST("f" AS REAL) >= 0) AND (CAST("f" AS REAL) <= 1)',
    ),
    ("postgresql", "NOT n IS NOT NULL", None),
    ("postgresql", "(n BETWEEN SYMMETRIC 3 AND 0)", "!is not certain"),
    ("postgresql", "((t !~~ '%@%'::text) AND (n <> ALL (ARRAY[0, 1])) AND (n IS NOT DISTINCT FROM 3))", None),
    ("postgresql", "(wide >= (0)::numeric)", '(CAST("wide" AS REAL) >= 0)'),
    ("postgresql", "(wide < (100)::numeric)", "!are stored as bytes there"),
    ("postgresql", "(t ~~ '%@%'::text)", "(\"t\" LIKE '%@%')"),
    ("postgresql", "(t ~~ 'A%'::text)", "(\"t\" GLOB 'A*')"),
    ("postgresql", "(t !~~ 'A_@'::text)", "(\"t\" NOT GLOB 'A?@')"),
    ("postgresql", "(t ~~ 'A[*]?%'::text)", "(\"t\" GLOB 'A[[][*]][?]*')"),
    ("postgresql", "(t > 'a'::text)", "!texts are ordered by a collation"),
    ("postgresql", "(lower(t) = t)", "!lower() changes other letters"),
    ("postgresql", "(t ~ '^a'::text)", "!is not certain"),
    ("postgresql", "(b AND (n IS DISTINCT FROM 3))", None),
    ("postgresql", "(b IS NOT TRUE)", '(NOT ("b" IS TRUE))'),
    ("postgresql", "(d > '2024-01-01'::date)", "(\"d\" > '2024-01-01')"),
    ("postgresql", "(ts > '2024-01-01 00:00:00'::timestamp without time zone)", "!is not certain"),
    ("duckdb", "((n NOT IN (1, 3)) AND (n NOT BETWEEN 5 AND 9) AND (t NOT LIKE '%@%') AND (b IS NOT NULL))", None),
    ("duckdb", "(n IN (1, 3))", '("n" IN (1, 3))'),
    ("duckdb", "((t != 'a') OR (t IS NULL))", '(("t" <> \'a\') OR ("t" IS NULL))'),
    ("duckdb", "(t ~~ '%@%')", "(\"t\" LIKE '%@%')"),
    ("duckdb", "(t > 'a')", "(\"t\" > 'a')"),
    ("duckdb", "CASE  WHEN (b) THEN ((n > 0)) ELSE CAST('f' AS BOOLEAN) END", None),
]


@pytest.mark.parametrize(("source", "text", "expected"), CONDITIONS, ids=[text for _, text, _ in CONDITIONS])
def test_a_condition_means_the_same_in_every_other_engine_or_is_refused_with_its_reason(
    truths: Truths, source: str, text: str, expected: str | None
) -> None:
    shown = "sqlite" if source != "sqlite" else "postgresql"
    for target in DIALECTS.keys() - {source}:
        found = outcome(partial(translation(source, target).condition, text))
        if not found.startswith("!"):
            assert truths(target, found) == truths(source, text)
        if target == shown and expected is not None:
            assert expected[1:] in found if expected.startswith("!") else found == expected
        else:
            assert found.startswith("!") <= (expected or "").startswith("!")


@pytest.mark.parametrize(
    ("text", "expected", "remark"),
    [
        ("b IN (0, 1) AND n > 0", '("n" > 0)', "without b IN (0, 1): it holds for every value of the types there"),
        (
            "n > 0 AND (typeof(n) = 'integer' AND t <> '')",
            '("n" > 0) AND ("t" <> \'\')',
            "without TYPEOF(n) = 'integer'",
        ),
        ("b IN (0, 1)", "!it holds for every value", None),
        ("n > 0 OR typeof(n) = 'integer'", "!is not certain", None),
    ],
)
def test_of_a_check_what_is_certain_is_kept_and_the_rest_is_said(text: str, expected: str, remark: str | None) -> None:
    found = translation("sqlite", "postgresql")
    condition = outcome(partial(found.check, text))
    assert expected[1:] in condition if expected.startswith("!") else condition == expected
    assert all(remark is not None and each.startswith(remark) for each in found.remarks)
    assert len(found.remarks) == (remark is not None)


@pytest.mark.parametrize(
    ("source", "text", "kind", "expected"),
    [
        ("sqlite", "CAST(f AS INTEGER)", "float64", "!is not certain"),
        ("sqlite", "CAST(price AS INTEGER)", "decimal", "!is not certain"),
        ("sqlite", "CAST(price AS DECIMAL(10, 1))", "decimal", "!is not certain"),
        ("sqlite", "f + CAST(1.5 AS INTEGER)", "float64", "!is not certain"),
        ("sqlite", "CAST(f AS REAL)", "float64", '"f"'),
        ("postgresql", "((price * (2)::numeric))::numeric(10,2)", "decimal", '("price" * 2)'),
        ("postgresql", "((f)::real)::double precision", "float64", "!is not certain"),
    ],
)
def test_a_cast_that_rounds_is_no_matter_of_the_column_that_is_generated(
    source: str, text: str, kind: str, expected: str
) -> None:
    found = outcome(lambda: translation(source, "duckdb").value(text, kind, (10, 2)))
    assert expected[1:] in found if expected.startswith("!") else found == expected


LITERALS = [
    ("sqlite", '"x"', "text", "'x'"),
    ("sqlite", "word", "text", "'word'"),
    ("sqlite", "'it''s :x 50%'", "text", "'it''s :x 50%'"),
    ("sqlite", "0", "text", "'0'"),
    # SQLite's TEXT makes 1.0, 2.5 and 1.23456789012346e+20 of these.
    ("sqlite", "1.0", "text", "'1.0'"),
    ("sqlite", "-2.50", "text", "'-2.5'"),
    ("sqlite", "123456789012345678901", "text", "!123456789012345678901 is not a value of text"),
    ("sqlite", "1e20", "int64", "!1e+20 is not a value of int64"),
    ("sqlite", "9e999", "float64", "!9e+999 is not a value of float64"),
    ("sqlite", "false", "bool", "FALSE"),
    ("sqlite", "'1'", "bool", "TRUE"),
    ("sqlite", "2", "bool", "!2 is not a value of bool"),
    ("sqlite", "'0'", "int32", "0"),
    ("sqlite", "1.5", "int32", "!1.5 is not a value of int32"),
    ("sqlite", "-1.50", "decimal", "-1.50"),
    ("sqlite", "''", "timestamp", "!'' is not a value of timestamp"),
    ("sqlite", "'2024-02-30'", "date", "!is not a value of date"),
    ("sqlite", "'{\"a\": 1}'", "json", "'{\"a\": 1}'"),
    ("sqlite", "'{'", "json", "!is not a value of json"),
    ("sqlite", "x'00ff'", "bytes", "'\\x00ff'::bytea"),
    ("sqlite", "NULL", "text", "NULL"),
    ("sqlite", "(char(65))", "text", "!is not certain"),
    ("sqlite", "(random())", "int64", "!is not certain"),
    ("sqlite", "datetime('now', 'localtime')", "timestamp", "!is not certain"),
    ("postgresql", "'a'::character varying", "text", "'a'"),
    ("postgresql", "'{}'::jsonb", "json", "'{}'"),
    ("postgresql", "'{}'::text[]", "array", "'[]'"),
    ("postgresql", "true", "bool", "1"),
    ("postgresql", "'-1'::integer", "int32", "-1"),
    ("postgresql", "'x'::public.mood", "enum", "'x'"),
    ("postgresql", "'2024-01-01 00:00:00'::timestamp without time zone", "timestamp", "'2024-01-01 00:00:00.000000'"),
    ("postgresql", "'00000000-0000-0000-0000-0000000000aa'::uuid", "uuid", "'000000000000000000000000000000aa'"),
    ("postgresql", "'1 day'::interval", "interval", "!is not certain"),
    ("postgresql", "(now() + '7 days'::interval)", "timestamp", "!is not certain"),
    ("duckdb", "CAST('t' AS BOOLEAN)", "bool", "1"),
    ("duckdb", "'\\x00\\xFF'", "bytes", "X'00ff'"),
]


@pytest.mark.parametrize(("source", "text", "kind", "expected"), LITERALS, ids=[text for _, text, _, _ in LITERALS])
def test_a_default_is_the_value_that_the_source_makes_of_it(source: str, text: str, kind: str, expected: str) -> None:
    target = "sqlite" if source != "sqlite" else "postgresql"
    found = outcome(partial(translated_default, translation(source, target), text, kind))
    assert expected[1:] in found if expected.startswith("!") else found == expected


DASHED = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
MILLISECONDS = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
# A default, the kind of its column, its type in SQLite and elsewhere, and what a new row's text is.
LIVING = [
    ("sqlite", "CURRENT_TIMESTAMP", "timestamp", "TIMESTAMP", r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d.*"),
    ("sqlite", "(datetime('now'))", "text", "TEXT", r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d"),
    ("sqlite", "(strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))", "text", "TEXT", MILLISECONDS),
    ("sqlite", "(date('now'))", "date", "DATE", r"20\d\d-\d\d-\d\d"),
    ("sqlite", "CURRENT_TIME", "time", "TIME", r"\d\d:\d\d:\d\d.*"),
    ("sqlite", "(strftime('%s', 'now'))", "int64", "BIGINT", r"\d{10}"),
    ("sqlite", "(unixepoch() * 1000)", "int64", "BIGINT", r"\d{10}000"),
    ("sqlite", "(lower(hex(randomblob(16))))", "text", "TEXT", "[0-9a-f]{32}"),
    ("sqlite", SQLITE.uuids["dashed"], "text", "TEXT", DASHED),
    ("sqlite", "(lower(hex(randomblob(16))))", "uuid", "UUID", DASHED),
    (
        "postgresql",
        "to_char((CURRENT_TIMESTAMP AT TIME ZONE 'UTC'::text), 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'::text)",
        "text",
        "TEXT",
        MILLISECONDS,
    ),
    ("postgresql", "(floor(EXTRACT(epoch FROM CURRENT_TIMESTAMP)))::bigint", "int64", "BIGINT", r"\d{10}"),
    ("postgresql", "replace((gen_random_uuid())::text, '-'::text, ''::text)", "text", "TEXT", "[0-9a-f]{32}"),
    ("duckdb", "strftime(timezone('UTC', CURRENT_TIMESTAMP), '%Y-%m-%dT%H:%M:%S.%gZ')", "text", "TEXT", MILLISECONDS),
    ("duckdb", "CAST(floor(epoch(CURRENT_TIMESTAMP)) AS BIGINT)", "int64", "BIGINT", r"\d{10}"),
    ("postgresql", "now()", "timestamptz", "TIMESTAMP", r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d.*"),
    ("postgresql", "timezone('utc'::text, now())", "timestamp", "TIMESTAMP", r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d.*"),
    ("postgresql", "('now'::text)::date", "date", "DATE", r"20\d\d-\d\d-\d\d"),
    ("postgresql", "(gen_random_uuid())::text", "text", "TEXT", DASHED),
    ("postgresql", "uuid_generate_v4()", "uuid", "TEXT", "[0-9a-f]{32}|" + DASHED),
    ("duckdb", "get_current_timestamp()", "timestamp", "TIMESTAMP", r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d.*"),
    ("duckdb", "main.gen_random_uuid()", "uuid", "TEXT", "[0-9a-f]{32}|" + DASHED),
]


@pytest.mark.parametrize(("source", "text", "kind", "type_", "form"), LIVING)
def test_a_default_of_the_present_moment_or_of_chance_gives_new_rows_the_same_form(
    postgres_server: str, source: str, text: str, kind: str, type_: str, form: str
) -> None:
    with (
        closing(sqlite3.connect(":memory:")) as lite,
        duckdb.connect() as duck,
        psycopg.connect(postgres_server) as post,
    ):
        connections: dict[str, Any] = {"sqlite": lite, "duckdb": duck, "postgresql": post}
        for target in DIALECTS.keys() - {source}:
            connection = connections[target]
            default = translated_default(translation(source, target), text, kind)
            connection.execute(f"CREATE TEMPORARY TABLE living (i INTEGER, c {type_} DEFAULT {default})")
            connection.execute("INSERT INTO living (i) VALUES (1)")
            (value,) = connection.execute("SELECT CAST(c AS TEXT) FROM living").fetchone()
            assert re.fullmatch(form, value), (target, default, value)
        post.rollback()


@pytest.mark.parametrize(
    ("source", "target", "is_unique", "expected"),
    [
        ("sqlite", "postgresql", True, 'lower("t" COLLATE "C")'),
        ("sqlite", "postgresql", False, 'lower("t")'),
        ("postgresql", "sqlite", True, 'lower("t")'),
        ("postgresql", "duckdb", True, DUCKDB.lowered and DUCKDB.lowered.format('"t"')),
    ],
)
def test_a_unique_index_over_lower_case_folds_no_letter_that_the_source_does_not(
    source: str, target: str, is_unique: bool, expected: str
) -> None:
    found = translation(source, target)
    assert found.indexed("lower(t)", is_unique=is_unique) == expected
    assert bool(found.remarks) == (is_unique and source != "sqlite")
