"""What people lost on the way from an application's SQLite file into PostgreSQL: it arrives, or one report tells it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from toolkit import Options, sync
from toolkit.config import Config
from toolkit.core.plan import SyncResult
from toolkit.errors import ToolkitError
from toolkit.operations.transfer.options import Mode

Query = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def bare(config: Config) -> Config:
    """The configuration of the databases, without models."""
    return replace(config, metadata="", migrations=config.root / "none")


@pytest.fixture
def query(postgres_url: str) -> Query:
    """What PostgreSQL gives for a statement, in UTC."""

    def run(statement: str) -> list[tuple[Any, ...]]:
        with closing(psycopg.connect(postgres_url, options="-c TimeZone=UTC")) as connection:
            found = connection.execute(statement.encode())
            rows = found.fetchall() if found.description else []
            connection.commit()
        return rows

    return run


def fill(config: Config, script: str) -> None:
    connection = sqlite3.connect(str(config.database("sqlite").file))
    connection.executescript(script)
    connection.close()


def refusal(config: Config, **given: Any) -> str:
    with pytest.raises(ToolkitError) as caught:
        sync(config, "sqlite", "postgres", **given)
    return "\n".join((*caught.value.facts, caught.value.advice))


def counts(result: SyncResult) -> dict[str, tuple[int, int, int]]:
    return {each.table: (each.inserted, each.updated, each.deleted) for each in result.tables}


# A default of SQLite's, the type before it, and what PostgreSQL makes of it in a new row.
DEFAULTS = [
    (
        "datetime",
        "(datetime('now'))",
        "{} BETWEEN (now() AT TIME ZONE 'UTC') - interval '9 s' AND (now() AT TIME ZONE 'UTC')",
    ),
    ("datetime(3)", "(STRFTIME('%Y-%m-%d %H:%M:%f', 'NOW'))", "{} > (now() AT TIME ZONE 'UTC') - interval '9 s'"),
    ("date", "(date('now'))", "{} = (now() AT TIME ZONE 'UTC')::date"),
    ("time", "CURRENT_TIME", "{} IS NOT NULL"),
    ("integer", "(unixepoch())", "{} > extract(epoch FROM now()) - 9"),
    ("bigint", "null", "{} IS NULL"),
    ("varchar(20)", '"x"', "{} = 'x'"),
    ("varchar(36)", "(lower(hex(randomblob(16))))", "{} ~ '^[0-9a-f]{{32}}$'"),
    ("boolean", "1", "{}"),
    ("boolean", "(FALSE)", "NOT {}"),
    ("boolean", "'t'", "{}"),
    ("bool", "'false'", "NOT {}"),
    ("tinyint(1)", "0", "NOT {}"),
    ("integer", "'5'", "{} = 5"),
    ("text", "''", "{} = ''"),
    ("json", "'{}'", "{} = '{{}}'::jsonb"),
    ("decimal(10,2)", "0.00", "{} = 0 AND pg_typeof({}) = 'numeric'::regtype"),
    ("float(8)", "'1.5'", "{} = 1.5"),
]


def test_defaults_mean_in_a_table_that_is_made_what_they_meant_in_the_file(bare: Config, query: Query) -> None:
    columns = [f"c{number} {type_} DEFAULT {default}" for number, (type_, default, _) in enumerate(DEFAULTS)]
    fill(bare, f"CREATE TABLE t (id integer PRIMARY KEY, {', '.join(columns)}); INSERT INTO t (id) VALUES (1)")
    result = sync(bare, "sqlite", "postgres")
    assert [warning.reason for warning in result.warnings] == []
    query("INSERT INTO t DEFAULT VALUES")
    tests = [holds.format(*[f"c{number}"] * 2) for number, (_, _, holds) in enumerate(DEFAULTS)]
    (found,) = query(f"SELECT {', '.join(tests)} FROM t WHERE id = 2")
    assert [case for case, holds in zip(DEFAULTS, found, strict=True) if holds is not True] == []


DECLARED = """
CREATE TABLE t (id INTEGER PRIMARY KEY, a REAL, b DOUBLE, c NUMBER(10), d MONEY, e DECIMAL(10,2), f varchar(5),
  g datetime2, h bit, i unsigned big int, j varbinary(10), k guid, l timestamptz, m nvarchar(10));
INSERT INTO t VALUES (1, 1712345678.123456, 0.1, 1.25, 19.99, 1230.995, 'longer than five',
  '2024-01-02 03:04:05', 1, 9223372036854775807, x'00',
  'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '2024-01-01 00:00:00', 'ü');
"""
ARRIVED = (
    '(1,1712345678.123456,0.1,1.25,19.99,1230.995,"longer than five","2024-01-02 03:04:05",t,9223372036854775807,'
    '"\\\\x00",a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,"2024-01-01 00:00:00+00",ü)'
)


def test_no_declared_type_rounds_or_cuts_what_is_stored(bare: Config, query: Query) -> None:
    fill(bare, DECLARED)
    told = {warning.column for warning in sync(bare, "sqlite", "postgres").warnings}
    assert query("SELECT t::text FROM t") == [(ARRIVED,)]
    assert told == {"c", "e", "f"}


UNUSUAL = """
CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR(5) DEFAULT 'pending', b DECIMAL(5,2) DEFAULT 0.125, c DECIMAL(0),
  d VARCHAR(2147483647));
INSERT INTO t VALUES (1, 'x', 1, 2, 'y');
"""


def test_a_default_that_its_column_would_not_hold_widens_it_and_lengths_that_no_type_has_are_none(
    bare: Config, query: Query
) -> None:
    fill(bare, UNUSUAL)
    told = {warning.column: warning.reason for warning in sync(bare, "sqlite", "postgres").warnings}
    query("INSERT INTO t (id) VALUES (2)")
    assert query("SELECT a, b::text FROM t WHERE id = 2") == [("pending", "0.125")]
    assert {name: reason.partition(": ")[2] for name, reason in told.items() if name} == {
        "a": "Its default has 7 characters.",
        "b": "Its default has more digits.",
    }


def test_a_unique_constraint_with_a_collation_of_its_own_takes_for_one_what_it_did(bare: Config, query: Query) -> None:
    fill(
        bare,
        """CREATE TABLE t (a TEXT, b TEXT COLLATE NOCASE, UNIQUE (a COLLATE NOCASE), UNIQUE (b COLLATE BINARY));
        INSERT INTO t VALUES ('x', 'b'), ('y', 'B');""",
    )
    assert sync(bare, "sqlite", "postgres").verified
    with pytest.raises(psycopg.errors.UniqueViolation):
        query("INSERT INTO t VALUES ('X', 'c')")


CONSTRAINTS = """
CREATE TABLE Artist (ArtistId INTEGER PRIMARY KEY, Name NVARCHAR(120) COLLATE NOCASE UNIQUE);
CREATE TABLE album (id INTEGER PRIMARY KEY AUTOINCREMENT,
  artist INTEGER NOT NULL REFERENCES artist ON DELETE CASCADE ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED,
  gone INTEGER REFERENCES nowhere (id));
CREATE TABLE live (id INTEGER PRIMARY KEY, name TEXT NOT NULL, deleted_at DATETIME, big TEXT AS (name || '!') STORED);
CREATE UNIQUE INDEX live_name ON live (name) WHERE deleted_at IS NULL;
CREATE TABLE maybe (id TEXT PRIMARY KEY, v TEXT);
CREATE TABLE pair (a TEXT, b INTEGER, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE TABLE loop (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES loop (id));
CREATE VIRTUAL TABLE note_fts USING fts5(title);
CREATE VIEW recent AS SELECT * FROM live;
INSERT INTO Artist VALUES (1, 'A'); INSERT INTO album VALUES (1, 1, NULL), (9, 1, NULL);
DELETE FROM album WHERE id = 9;
INSERT INTO live (id, name, deleted_at) VALUES (1, 'x', NULL), (2, 'x', '2024-01-01 00:00:00');
INSERT INTO live (id, name, deleted_at) VALUES (3, 'x', '2024-01-02 00:00:00');
INSERT INTO maybe VALUES (NULL, 'no key'), ('k', 'v'), (NULL, 'nor here'); INSERT INTO pair VALUES ('k', 1);
INSERT INTO loop VALUES (1, 2), (2, 1), (3, 3); INSERT INTO note_fts VALUES ('hello');
"""
# A statement that PostgreSQL is to refuse as SQLite does, and the kind of the refusal.
FORBIDDEN = [
    ("""INSERT INTO "Artist" VALUES (2, 'a')""", psycopg.errors.UniqueViolation),
    ("INSERT INTO live VALUES (4, 'x', NULL)", psycopg.errors.UniqueViolation),
    ("INSERT INTO live (name) VALUES (NULL)", psycopg.errors.NotNullViolation),
    ("INSERT INTO maybe VALUES ('k', '')", psycopg.errors.UniqueViolation),
    ("INSERT INTO pair VALUES ('k', 1)", psycopg.errors.UniqueViolation),
    ("INSERT INTO loop VALUES (4, 5)", psycopg.errors.ForeignKeyViolation),
    ("INSERT INTO album (artist) VALUES (7)", psycopg.errors.ForeignKeyViolation),
]


def test_constraints_forbid_afterwards_what_they_did_and_allow_what_they_did(bare: Config, query: Query) -> None:
    fill(bare, CONSTRAINTS)
    told = {
        (warning.table, (warning.reason or "").partition(":")[0])
        for warning in sync(bare, "sqlite", "postgres").warnings
    }
    assert told == {
        ("Artist", "collation NOCASE"),
        ("album", "foreign key of gone"),
        ("maybe", "primary key of id"),
        ("note_fts", "virtual table"),
        ("recent", "view"),
    }
    assert query("INSERT INTO album (artist) VALUES (1) RETURNING id") == [(10,)]
    for statement, refused in FORBIDDEN:
        with pytest.raises(refused):
            query(statement)
    query("""UPDATE "Artist" SET "ArtistId" = 5; INSERT INTO live (name, deleted_at) VALUES ('x', '2024-01-03')""")
    assert query("SELECT DISTINCT artist FROM album") == [(5,)]
    assert query("SELECT big FROM live ORDER BY id") == [("x!",)] * 4
    query("""DELETE FROM "Artist" """)
    assert query("SELECT count(*) FROM album") == [(0,)]


def test_a_time_without_a_zone_is_in_utc_whatever_zone_the_server_has(bare: Config, query: Query) -> None:
    fill(bare, "CREATE TABLE t (id integer PRIMARY KEY, at datetime); INSERT INTO t VALUES (1, '2024-01-02 03:04:05')")
    zone = "format('ALTER DATABASE %I SET timezone = %L', current_database(), 'America/New_York')"
    query(f"DO $$ BEGIN EXECUTE {zone}; END $$")
    query("CREATE TABLE t (id serial PRIMARY KEY, at timestamptz)")
    sync(bare, "sqlite", "postgres")
    assert query("SELECT at::text FROM t") == [("2024-01-02 03:04:05+00",)]


# Two values of a file, the type of the application's column in PostgreSQL, what the one report says of it, the options
# that it names, and what arrives by them.
MISFITS: list[tuple[str, str, str, str, dict[str, Any], list[str | None]]] = [
    ("''", "5", "integer", "holds '', which is no int32", {"convert": ["t.v:empty-as-null"]}, [None, "5"]),
    ("9007199254740993", "5", "double precision", "holds 9007199254740993", {"rejects": "bad"}, ["5"]),
    ("'{\"device_id\": 1}'", "5", "bigint", "which is no int64", {"rejects": "bad"}, ["5"]),
    ("'a' || char(0) || 'b'", "'c'", "text", "holds the character U+0000", {"rejects": "bad"}, ["c"]),
    ("''", "'{\"b\":1}'", "json", "holds invalid JSON", {"rejects": "bad"}, ['{"b":1}']),
    ("'{\"a\": NaN}'", "''", "jsonb", "t.v: 2 values, holds invalid JSON", {"rejects": "bad"}, []),
    (
        "'2025-07-31 10:11:12.123456789+02:00'",
        "'0001-01-01 00:00:00Z'",
        "timestamptz",
        "which is no timestamptz",
        {"convert": ["t.v:truncate-microseconds"]},
        ["2025-07-31 08:11:12.123456+00", "0001-01-01 00:00:00+00"],
    ),
    (
        "1701013012345",
        "-1",
        "timestamp",
        "do not fit",
        {"convert": ["t.v:epoch-ms"]},
        ["2023-11-26 15:36:52.345", "1969-12-31 23:59:59.999"],
    ),
    ("5400000000", "1", "interval", "do not fit", {"convert": ["t.v:epoch-us"]}, ["01:30:00", "00:00:00.000001"]),
    ("'Yes'", "0", "boolean", "holds 'Yes'", {"convert": ["t.v:bool"]}, ["true", "false"]),
]


@pytest.mark.parametrize(
    ("first", "second", "type_", "said", "answer", "arrives"), MISFITS, ids=lambda each: str(each)[:20]
)
def test_what_cannot_arrive_by_itself_is_told_by_its_row_with_the_option_that_gets_past_it(
    bare: Config,
    query: Query,
    tmp_path: Path,
    first: str,
    second: str,
    type_: str,
    said: str,
    answer: dict[str, Any],
    arrives: Sequence[str | None],
) -> None:
    fill(bare, f"CREATE TABLE t (id integer PRIMARY KEY, v); INSERT INTO t VALUES (1, {first}), (2, {second})")
    query(f"CREATE TABLE t (id serial PRIMARY KEY, v {type_})")
    report = refusal(bare)
    assert said in report
    options = [f"--convert {each}" for each in answer.get("convert", ())] or ["--rejects DIR"]
    assert [each for each in options if each not in report] == []
    assert query("SELECT count(*) FROM t") == [(0,)]
    given = {**answer, "rejects": tmp_path / "bad"} if "rejects" in answer else answer
    assert sync(bare, "sqlite", "postgres", **given).verified
    assert query("SELECT v::text FROM t ORDER BY id") == [(each,) for each in arrives]


FILLED = """
CREATE TABLE "Config" ("Id" INTEGER PRIMARY KEY, "Key" TEXT NOT NULL{key}, "Value" TEXT NOT NULL);
CREATE TABLE "Movies" ("Id" INTEGER PRIMARY KEY, "Path" TEXT NOT NULL, "Config" INTEGER);
"""
SETTINGS = """
INSERT INTO "Config" VALUES (1, 'apikey', 'old'), (2, 'rss', '30');
INSERT INTO "Movies" VALUES (812, '/m/A', 2);
"""
FIRST_START = """INSERT INTO "Config" VALUES (1, 'rss', '15'), (2, 'apikey', 'new'), (3, 'extra', 'x')"""


@pytest.mark.parametrize(
    ("given", "settings"),
    [
        ({"options": Options(mode=Mode.REPLACE)}, ["(1,apikey,old)", "(2,rss,30)"]),
        ({"match": {"Config": ["Key"]}}, ["(1,rss,30)", "(2,apikey,old)", "(3,extra,x)"]),
    ],
    ids=["--delete", "--match"],
)
def test_rows_of_a_first_start_are_replaced_or_recognised(
    bare: Config, query: Query, given: dict[str, Any], settings: list[str]
) -> None:
    fill(bare, FILLED.format(key="") + SETTINGS)
    query(FILLED.format(key=" UNIQUE") + FIRST_START)
    assert sync(bare, "sqlite", "postgres", **given).verified
    assert query('SELECT c::text FROM "Config" c ORDER BY 1') == [(each,) for each in settings]
    assert query('SELECT m::text FROM "Movies" m') == [("(812,/m/A,2)",)]


KEYLESS = """
CREATE TABLE users (name TEXT, admin BOOL DEFAULT 0 NOT NULL, UNIQUE (name));
CREATE TABLE sent (id TEXT, origin TEXT, ts BIGINT, body bytea, UNIQUE (id, origin));
CREATE TABLE connections (key INTEGER PRIMARY KEY, user_id TEXT NOT NULL);
INSERT INTO users VALUES ('@a', 1), ('@b', 0);
INSERT INTO sent VALUES ('t1', 'o', 1494000000000, CAST('{"a": 1}' AS BLOB));
INSERT INTO connections VALUES (4, '@a'), (9, '@b');
CREATE VIRTUAL TABLE event_search USING fts4 (key, value); INSERT INTO event_search VALUES ('k', 'hello world');
"""
KEYLESS_TARGET = """
CREATE TABLE users (name TEXT, admin SMALLINT DEFAULT 0 NOT NULL, UNIQUE (name));
CREATE TABLE sent (id TEXT, origin TEXT, ts BIGINT, body bytea, UNIQUE (id, origin));
CREATE TABLE connections (key BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id TEXT NOT NULL);
CREATE TABLE event_search (key TEXT, vector tsvector);
"""


def test_unique_keys_numbers_that_are_always_generated_and_an_index_that_is_a_table_there(
    bare: Config, query: Query
) -> None:
    fill(bare, KEYLESS)
    query(KEYLESS_TARGET)
    expected = {"connections": (2, 0, 0), "sent": (1, 0, 0), "users": (2, 0, 0)}
    assert counts(sync(bare, "sqlite", "postgres")) == expected
    assert counts(sync(bare, "sqlite", "postgres")) == dict.fromkeys(expected, (0, 0, 0))
    assert query("SELECT u::text FROM users u ORDER BY 1") == [("(@a,1)",), ("(@b,0)",)]
    assert query("SELECT body FROM sent") == [(b'{"a": 1}',)]
    assert query("INSERT INTO connections (user_id) VALUES ('n') RETURNING key") == [(10,)]


ONE_SIDED = """
CREATE TABLE "user" (id TEXT PRIMARY KEY, banner TEXT); CREATE TABLE tag (id TEXT PRIMARY KEY);
CREATE TABLE session (id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES "user" (id), data BLOB);
INSERT INTO "user" VALUES ('u1', 'x'); INSERT INTO tag VALUES ('t');
INSERT INTO session VALUES ('s1', 'u1', x'c3a4'), ('s2', 'gone', NULL), ('s3', 'gone', NULL);
"""
ONE_SIDED_TARGET = """
CREATE TABLE "user" (id TEXT PRIMARY KEY, username TEXT, role TEXT NOT NULL DEFAULT 'pending', kind TEXT NOT NULL);
CREATE TABLE session (id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES "user" (id), data TEXT);
"""


@pytest.mark.slow
def test_what_only_one_side_has_and_orphans_are_answered_one_report_after_the_other(
    bare: Config, query: Query, tmp_path: Path
) -> None:
    fill(bare, ONE_SIDED)
    query(ONE_SIDED_TARGET)
    assert "--exclude tag --exclude-column user.banner" in refusal(bare)
    given: dict[str, Any] = {"exclude": ["tag"], "exclude_columns": ["user.banner"]}
    assert "--set user.kind=" in refusal(bare, **given)
    given["set_values"] = {"user.kind": "person"}
    report = refusal(bare, **given)
    assert "session.user_id: 2 rows point at user" in report
    assert "--rejects DIR" in report
    result = sync(bare, "sqlite", "postgres", **given, rejects=tmp_path / "bad")
    assert counts(result) == {"session": (1, 0, 0), "user": (1, 0, 0)}
    assert query('SELECT u::text FROM "user" u') == [("(u1,,pending,person)",)]
    assert query("SELECT data FROM session") == [("ä",)]
    assert query("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated") == [(1,)]
