"""Databases of MariaDB without models: their tables in every engine and back, on a real server."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from tests.operations.databases import execute
from tests.servers import mariadb as server
from toolkit.config import Config, load_config
from toolkit.core.plan import NOT_CARRIED
from toolkit.core.tables import select_tables
from toolkit.engines import connect
from toolkit.errors import MissingParentError, UnrepresentableValueError
from toolkit.operations.diff.compare import diff
from toolkit.operations.sync import sync
from toolkit.operations.transfer.options import Mode, Options

HERE = Path(__file__).parent


@pytest.fixture
def config(mariadb_server: str, mariadb_url: str, urls: dict[str, str], tmp_path: Path) -> Iterator[Config]:
    """A database `one` with tables of all that is MariaDB's own, an empty one of each engine, and `back`."""
    server.run(mariadb_url, f"ALTER DATABASE {mariadb_url.rpartition('/')[2]} COLLATE utf8mb4_general_ci")
    server.run_file(mariadb_url, HERE / "hostile_mariadb.sql")
    with server.database(mariadb_server) as back:
        named = {**urls, "one": mariadb_url, "back": back}
        yield load_config(tmp_path, {f"TOOLKIT_{name.upper()}_URL": url for name, url in named.items()})


# By column, what is written in another way afterwards: to the microsecond, as an interval of days, all of a double.
ANOTHER = {"stamp": "2024-01-01 00:00:00.000000", "woke": "23:59:59.999000", "lasted": "4 days 04:00:00"}
MORE = {
    "sqlite": {
        "f": "0.10000000149011612",
        "lasted": "1970-01-05 04:00:00.000000",
    }
}


@pytest.mark.slow
@pytest.mark.parametrize("other", ["sqlite", "duckdb", "postgres"])
def test_rows_of_every_type_come_back_from_another_engine(config: Config, other: str) -> None:
    assert sync(config, "one", other).verified
    assert not any(each.inserted or each.updated for each in sync(config, "one", other).tables)
    assert sync(config, other, "back").verified
    before, after = (_texts(config.database(name).address) for name in ("one", "back"))
    assert {name: text for name, text in after.items() if text != before[name]} == ANOTHER | MORE.get(other, {})


def _texts(url: str) -> dict[str, str | None]:
    """By column, the first row's values as MariaDB writes them."""
    cells = {name: f"`{name}` + 0" for name in ("bits", "one")}
    cells |= {name: f"HEX(`{name}`)" for name in ("raw", "fixed", "place")}
    names = [row[0] for row in server.run(url, "DESCRIBE customer")]
    listed = ", ".join(cells.get(name, f"CAST(`{name}` AS CHAR)") for name in names)
    (row,) = server.run(url, "SET time_zone = '+00:00'", f"SELECT {listed} FROM customer WHERE email = 'a@x'")
    return {name: None if value is None else str(value) for name, value in zip(names, row, strict=True)}


@pytest.mark.slow
def test_tables_for_another_database_of_its_kind_are_just_as_they_are(config: Config) -> None:
    found = sync(config, "one", "back")
    assert found.verified
    assert [(each.table, each.reason.split(":")[0]) for each in found.warnings if each.outcome == NOT_CARRIED] == [
        ("v", "view")
    ]
    one, back = (config.database(name).address for name in ("one", "back"))
    for table in ("customer", "order", "pair", "loose"):
        assert server.run(one, f"SHOW CREATE TABLE `{table}`") == server.run(back, f"SHOW CREATE TABLE `{table}`")


@pytest.mark.slow
def test_what_other_engines_do_not_have_is_told(config: Config) -> None:
    told = {(each.table, each.column, each.reason.split(":")[0]) for each in sync(config, "one", "postgres").warnings}
    assert told >= {
        ("customer", "level", "type tinyint(1)"),
        ("customer", "lasted", "type time"),
        ("customer", "stamp", "ON UPDATE CURRENT_TIMESTAMP"),
        ("customer", None, "index part"),
        ("customer", None, "index ft"),
        ("customer", None, "collation utf8mb4_general_ci of email, note, upp"),
        ("v", None, "view"),
    }


@pytest.mark.slow
def test_tables_with_history_go_again_with_a_sync_that_fails_and_numbers_of_a_sequence_are_told(config: Config) -> None:
    one, back = (config.database(name).address for name in ("one", "back"))
    server.run(
        one,
        "CREATE SEQUENCE numbers",
        "CREATE TABLE versioned (id int PRIMARY KEY DEFAULT nextval(numbers)) WITH SYSTEM VERSIONING",
        "CREATE TABLE without (id int PRIMARY KEY, up int, FOREIGN KEY (up) REFERENCES without (id))",
        "INSERT INTO versioned VALUES (1)",
        "SET foreign_key_checks = 0",
        "INSERT INTO without VALUES (1, 2)",
    )
    with pytest.raises(MissingParentError, match="without"):
        sync(config, "one", "back")
    assert server.run(back, "SHOW TABLES") == []
    found = sync(config, "one", "back", exclude=("without",))
    assert ("versioned", "id") in {(each.table, each.column) for each in found.warnings if "nextval" in each.reason}


def test_a_default_of_a_sequence_does_not_take_numbers_from_the_database_it_came_from(config: Config) -> None:
    server.run(
        config.database("one").address,
        "CREATE SEQUENCE numbers",
        "CREATE TABLE counted (id int PRIMARY KEY DEFAULT nextval(numbers) COMMENT ' DEFAULT nextval(', "
        "b int DEFAULT 5, `o``d%d` int NOT NULL DEFAULT (nextval(numbers) + 1000), c varchar(9) DEFAULT 'nextval(')",
        "INSERT INTO counted () VALUES ()",
    )
    found = sync(config, "one", "back", tables=("counted",))
    assert {each.column for each in found.warnings if "Sequences are not carried" in each.reason} == {"id", "o`d%d"}
    defaults = "SELECT column_name, column_default FROM information_schema.columns WHERE table_schema = database()"
    assert {*server.run(config.database("back").address, defaults)} == {
        ("id", None),
        ("b", "5"),
        ("o`d%d", None),
        ("c", "'nextval('"),
    }


def test_what_keeps_periods_apart_is_told_and_a_key_does_not_end_with_when_a_row_did(config: Config) -> None:
    server.run(
        config.database("one").address,
        "CREATE TABLE stay (room int, begins date, ends date, PERIOD FOR taken (begins, ends), "
        "UNIQUE KEY apart (room, taken WITHOUT OVERLAPS), PRIMARY KEY (room, begins, ends))",
        "CREATE TABLE kept (id int PRIMARY KEY, v int, since timestamp(6) GENERATED ALWAYS AS ROW START, "
        "until timestamp(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (since, until)) WITH SYSTEM VERSIONING",
        "INSERT INTO kept (id, v) VALUES (1, 1)",
        "UPDATE kept SET v = 2",
    )
    told = {(each.table, each.reason) for each in sync(config, "one", "sqlite").warnings}
    assert ("stay", "index apart: It is WITHOUT OVERLAPS: periods of one key may overlap there.") in told
    with connect(config.database("sqlite")) as connection:
        assert connection.schema().metadata.tables["kept"].primary_key.columns.keys() == ["id"]
    table = sa.Table("kept", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("v", sa.Integer))
    (spec,) = select_tables(table.metadata)
    with connect(config.database("one"), write=True) as connection:
        assert connection.repository(spec).has_key()
        assert [batch.to_pylist() for batch in connection.repository(spec).read()] == [[{"id": 1, "v": 2}]]


def test_times_with_a_zone_are_told_to_be_without_one_there(config: Config) -> None:
    execute(config.database("postgres"), "CREATE TABLE event (id int PRIMARY KEY, at timestamptz)")
    (told,) = sync(config, "postgres", "back").warnings
    assert (told.table, told.column, told.reason) == (
        "event",
        "at",
        "type timestamptz: It is DATETIME(6) there, in UTC.",
    )


@pytest.mark.slow
def test_what_is_text_there_and_what_has_a_length_or_none_is_told(config: Config, mariadb_url: str) -> None:
    execute(
        config.database("postgres"),
        "CREATE TABLE t (k text PRIMARY KEY, b bytea UNIQUE, free text, v varchar(9) UNIQUE, "
        "lasted interval, at timetz, wide numeric(80, 2))",
    )
    told = {each.column: each.reason for each in sync(config, "postgres", "back").warnings}
    assert told == {
        "k": "type text: It is VARCHAR(768) there, where a key or an index has it: nothing longer is taken.",
        "b": "type bytes: It is VARBINARY(768) there, where a key or an index has it: nothing longer is taken.",
        "lasted": "type calendar interval: It is LONGTEXT there.",
        "at": "type timetz: It is LONGTEXT there.",
        "wide": "type decimal: It is LONGTEXT there.",
    }
    server.run(
        mariadb_url,
        "CREATE TABLE made (id int unsigned PRIMARY KEY, n int, tiny tinyint unsigned, lasted time)",
        "INSERT INTO made VALUES (1, -1, 1, '99:00:00')",
    )
    reasons = {each.reason for each in sync(config, "one", "sqlite", tables=("made",)).warnings}
    assert reasons >= {
        "unsigned of id, tiny: Negative numbers are taken there, too.",
        "type interval: It is DATETIME there, from 1970 on.",
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("other", "moment"),
    [("sqlite", "TIMESTAMP WITH TIME ZONE"), ("sqlite", "DATETIME"), ("postgres", "TIMESTAMP WITH TIME ZONE")],
)
def test_what_came_once_is_the_same_the_next_time(config: Config, other: str, moment: str) -> None:
    zone = "2024-01-02T03:04:05Z"
    execute(
        config.database(other),
        f"CREATE TABLE moment (id INTEGER PRIMARY KEY, at {moment}, u UUID, d TIMESTAMP)",
        f"INSERT INTO moment VALUES (1, '{zone}', '00112233-4455-6677-8899-aabbccddeeff', '2024-01-02 03:04:05.5')",
        "INSERT INTO moment VALUES (2, '2024-01-02 03:04:05+02:00', NULL, NULL)",
    )
    assert sync(config, other, "back").verified
    again = sync(config, other, "back")
    assert [(each.inserted, each.updated) for each in again.tables] == [(0, 0)]
    assert [(each.column, each.reason) for each in again.warnings] == [
        ("at", "type timestamptz: It is datetime(6) there, in UTC.")
    ]
    assert diff(config, other, "back").equal
    execute(config.database(other), "UPDATE moment SET at = '2024-01-02T03:04:06Z' WHERE id = 1")
    assert [(each.inserted, each.updated) for each in sync(config, other, "back").tables] == [(0, 1)]
    url = config.database("back").address
    assert server.run(url, "SELECT id, CAST(at AS CHAR), u FROM moment") == [
        (1, "2024-01-02 03:04:06.000000", "00112233-4455-6677-8899-aabbccddeeff"),
        (2, "2024-01-02 01:04:05.000000", None),
    ]


@pytest.mark.slow
def test_whole_numbers_of_duckdb_beyond_64_bits_are_numbers_there(config: Config) -> None:
    least, greatest, most = -(2**127) + 1, 2**64 - 1, 2**128 - 1
    execute(
        config.database("duckdb"),
        "CREATE TABLE t (u ubigint PRIMARY KEY, h hugeint, w uhugeint)",
        f"INSERT INTO t VALUES ({greatest}, {least}, {most}), (0, NULL, 0), (5, 7, 10)",
    )
    assert [sync(config, "duckdb", "back").tables[0].inserted for _ in range(2)] == [3, 0]
    assert diff(config, "duckdb", "back").equal
    rows = server.run(config.database("back").address, "SELECT * FROM t ORDER BY u")
    assert rows == [(0, None, 0), (5, 7, 10), (greatest, least, most)]


@pytest.mark.slow
def test_uuids_of_sqlite_come_into_columns_of_their_digits(config: Config) -> None:
    execute(
        config.database("sqlite"),
        "CREATE TABLE t (id INTEGER PRIMARY KEY, u UUID)",
        "INSERT INTO t VALUES (1, '00112233-4455-6677-8899-aabbccddeeff')",
    )
    url = config.database("back").address
    server.run(url, "CREATE TABLE t (id int PRIMARY KEY, u char(32))")
    assert [sync(config, "sqlite", "back").tables[0].inserted for _ in range(2)] == [1, 0]
    assert server.run(url, "SELECT u FROM t") == [("00112233445566778899aabbccddeeff",)]


def test_generated_columns_are_stored_there_or_computed_as_they_were(config: Config, mariadb_url: str) -> None:
    server.run(
        mariadb_url,
        "CREATE TABLE made (id int PRIMARY KEY, kept int AS (id + 1) STORED, told int AS (id + 2) VIRTUAL)",
        "INSERT INTO made (id) VALUES (1)",
    )
    assert sync(config, "one", "sqlite", tables=("made",)).verified
    with connect(config.database("sqlite")) as connection:
        hidden = connection.sqlalchemy.exec_driver_sql("SELECT name, hidden FROM pragma_table_xinfo('made')").all()
        assert connection.sqlalchemy.exec_driver_sql("SELECT * FROM made").one() == (1, 2, 3)
    # 2 is VIRTUAL, 3 is STORED ("PRAGMA table_xinfo" of SQLite's manual).
    assert {each.name: each.hidden for each in hidden} == {"id": 0, "kept": 3, "told": 2}


@pytest.mark.slow
def test_tables_whose_names_differ_by_case_alone_are_tables_of_their_own(
    mariadb_server: str, mariadb_url: str, tmp_path: Path, urls: dict[str, str]
) -> None:
    server.run(
        mariadb_url,
        "CREATE TABLE T (id int PRIMARY KEY, a varchar(9), b int UNIQUE)",
        "CREATE TABLE t (id int PRIMARY KEY, z double, moved timestamp ON UPDATE CURRENT_TIMESTAMP)",
        "CREATE TABLE u (id int PRIMARY KEY, own int, CONSTRAINT one FOREIGN KEY (own) REFERENCES t (id))",
        "CREATE TABLE U (id int PRIMARY KEY, own int, CONSTRAINT two FOREIGN KEY (own) REFERENCES T (id))",
        "INSERT INTO T VALUES (1, 'x', 3)",
        "INSERT INTO t VALUES (2, 2.5, '2024-01-01')",
        "INSERT INTO u VALUES (1, 2)",
        "INSERT INTO U VALUES (1, 1)",
    )
    with server.database(mariadb_server) as back:
        named = {"sqlite": urls["sqlite"], "one": mariadb_url, "back": back}
        config = load_config(tmp_path, {f"TOOLKIT_{name.upper()}_URL": url for name, url in named.items()})
        assert sync(config, "one", "back").verified
        server.run(mariadb_url, "UPDATE t SET z = 3", "UPDATE T SET a = 'y'", "UPDATE U SET own = NULL")
        assert sync(config, "one", "back", options=Options(mode=Mode.REPLACE)).verified
        for table in "TtuU":
            query = f"SELECT * FROM {table}"
            assert server.run(back, query) == server.run(mariadb_url, query)
    # Of an engine that takes both names for one.
    assert sync(config, "one", "sqlite").verified
    with connect(config.database("sqlite")) as connection:
        assert {*connection.schema().metadata.tables} == {"T", "t_2", "U", "u_2"}


def test_tables_of_other_storage_engines_can_be_written_to_in_another_database_of_its_kind(config: Config) -> None:
    one, back = (config.database(name).address for name in ("one", "back"))
    server.run(
        one,
        "CREATE TABLE old (id int AUTO_INCREMENT PRIMARY KEY, a text, FULLTEXT KEY ft (a)) ENGINE=MyISAM",
        "CREATE TABLE within (kind char(1), `n%``o` int AUTO_INCREMENT, PRIMARY KEY (kind, `n%``o`)) ENGINE=MyISAM",
        "INSERT INTO within (kind) VALUES ('a'), ('a'), ('b')",
        "CREATE TABLE `o``d%d` (id int PRIMARY KEY) ENGINE=Aria TRANSACTIONAL=1 ROW_FORMAT=PAGE COMMENT='ENGINE=Aria'",
        "INSERT INTO old VALUES (7, 'x')",
        "INSERT INTO `o``d%d` VALUES (1)",
    )
    told = sync(config, "one", "back", tables=("old", "within", "o`d%d")).warnings
    assert {(each.table, each.reason.partition(":")[0]) for each in told} == {
        ("old", "ENGINE=MyISAM"),
        ("within", "ENGINE=MyISAM"),
        ("within", "AUTO_INCREMENT"),
        ("o`d%d", "ENGINE=Aria"),
    }
    kept = "SELECT table_name, engine, auto_increment FROM information_schema.tables WHERE table_schema = database()"
    assert {*server.run(back, kept)} == {("o`d%d", "InnoDB", None), ("old", "InnoDB", 8), ("within", "InnoDB", 3)}
    assert server.run(back, "SELECT * FROM within") == [("a", 1), ("a", 2), ("b", 1)]


@pytest.mark.slow
def test_a_column_takes_what_its_type_holds_though_it_has_held_less_so_far(config: Config) -> None:
    one, back = (config.database(name).address for name in ("one", "back"))
    table = "CREATE TABLE wide (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, few tinyint(1), lasted time)"
    server.run(one, table, "INSERT INTO wide VALUES (1, 1, '10:00:00')")
    assert sync(config, "one", "back", tables=("wide",)).verified
    server.run(one, "INSERT INTO wide VALUES (18446744073709551614, 7, '-100:00:00')")
    assert sync(config, "one", "back", tables=("wide",)).verified
    rows = "SELECT id, few, CAST(lasted AS CHAR) FROM wide"
    assert server.run(back, rows) == [(1, 1, "10:00:00"), (18446744073709551614, 7, "-100:00:00")]


@pytest.mark.slow
def test_unsigned_keys_that_number_themselves_do_elsewhere_if_their_numbers_fit(config: Config) -> None:
    key = "id bigint unsigned AUTO_INCREMENT PRIMARY KEY"
    server.run(
        config.database("one").address,
        f"CREATE TABLE post ({key})",
        "CREATE TABLE more (id bigint unsigned PRIMARY KEY, FOREIGN KEY (id) REFERENCES post (id))",
        "CREATE TABLE extra (id bigint unsigned PRIMARY KEY, FOREIGN KEY (id) REFERENCES more (id))",
        f"CREATE TABLE great ({key})",
        "CREATE TABLE half (id double AUTO_INCREMENT PRIMARY KEY)",
        "INSERT INTO post VALUES (41)",
        "INSERT INTO more VALUES (41)",
        "INSERT INTO extra VALUES (41)",
        "INSERT INTO great VALUES (18446744073709551610)",
    )
    found = sync(config, "one", "postgres")
    assert found.verified
    told = {(each.table, each.column) for each in found.warnings if each.reason.startswith("AUTO_INCREMENT")}
    assert told == {("great", "id"), ("half", "id")}
    with connect(config.database("postgres"), write=True) as connection:
        types = {name: str(each.c[0].type) for name, each in connection.schema().metadata.tables.items()}
        assert connection.sqlalchemy.scalar(sa.text("INSERT INTO post DEFAULT VALUES RETURNING id")) == 42
    assert {types[name] for name in ("post", "more", "extra")} == {"BIGINT"}


def test_tables_of_aria_are_read_and_that_a_column_is_invisible_is_told(
    mariadb_url: str, tmp_path: Path, urls: dict[str, str]
) -> None:
    server.run(
        mariadb_url,
        "CREATE TABLE one (id int PRIMARY KEY, a int INVISIBLE DEFAULT 7) ENGINE=Aria",
        "CREATE TABLE two (id int PRIMARY KEY)",
        "INSERT INTO one (id) VALUES (1), (2)",
    )
    named = {"sqlite": urls["sqlite"], "one": mariadb_url}
    config = load_config(tmp_path, {f"TOOLKIT_{name.upper()}_URL": url for name, url in named.items()})
    result = sync(config, "one", "sqlite")
    assert result.verified
    assert [each.reason for each in result.warnings if each.table == "one"] == [
        "INVISIBLE: It is a column like others there."
    ]
    with connect(config.database("sqlite")) as connection:
        assert sorted(connection.sqlalchemy.execute(sa.text("SELECT * FROM one"))) == [(1, 7), (2, 7)]


def test_defaults_of_bytes_that_are_no_text_and_of_zero_dates_are_the_same_there(
    mariadb_server: str, mariadb_url: str, tmp_path: Path, urls: dict[str, str]
) -> None:
    """The server's own statement has them as bytes, and is no text that it would take."""
    server.run(
        mariadb_url,
        "SET sql_mode = ''",
        "CREATE TABLE one (id int PRIMARY KEY, day date NOT NULL DEFAULT '0000-00-00', "
        "a varbinary(9) DEFAULT x'005C27ff0a3f', b varbinary(9) DEFAULT 'é', "
        "c varchar(9) DEFAULT 'it''s')",
    )
    with server.database(mariadb_server) as back:
        named = {"sqlite": urls["sqlite"], "one": mariadb_url, "back": back}
        config = load_config(tmp_path, {f"TOOLKIT_{name.upper()}_URL": url for name, url in named.items()})
        assert sync(config, "one", "back").verified
        rows = server.run(back, "INSERT INTO one (id, day) VALUES (1, '2024-01-01')", "SELECT a, b, c FROM one")
        assert server.run(back, "SELECT DEFAULT(day) = 0 FROM one") == [(1,)]
        assert rows == [(bytes.fromhex("005C27ff0a3f"), "é".encode(), "it's")]
    told = {(each.column, each.reason.partition(":")[0]) for each in sync(config, "one", "sqlite").warnings}
    assert told >= {("a", "default '\\0\\\\''?\\n?'"), ("b", "default 'é'")}


# A check, a value that SQLite takes, and one that it refuses; without the latter, the check is left out with a note.
CHECKS = (
    ("TEXT", "length(x) <= 2", "üü", "abc"),
    ("TEXT", "length(trim(x)) > 0", "a", "  "),
    ("REAL", "x > 0", 0.5, -1),
    ("NUMERIC", "x BETWEEN 0 AND 1", 0.5, 2),
    ("TEXT", "x LIKE '%@%'", "a@b", "ab"),
    ("TEXT", "x GLOB 'A*'", "Ab", "ab"),
    ("TEXT", "x LIKE 'A%'", "ab", None),
)


def test_checks_of_sqlite_take_and_refuse_what_they_did(config: Config) -> None:
    tables = [f"CREATE TABLE t{n} (x {type_} CHECK ({check}))" for n, (type_, check, *_) in enumerate(CHECKS)]
    execute(config.database("sqlite"), *tables)
    told = {each.table for each in sync(config, "sqlite", "back").warnings}
    assert told == {f"t{n}" for n, (*_, refused) in enumerate(CHECKS) if refused is None}
    url = config.database("back").address
    for number, (*_, taken, refused) in enumerate(CHECKS):
        server.run(url, f"INSERT INTO t{number} VALUES ({taken!r})")
        if refused is not None:
            with pytest.raises(pymysql.OperationalError):
                server.run(url, f"INSERT INTO t{number} VALUES ({refused!r})")


@pytest.mark.slow
def test_what_a_collation_takes_for_one_is_not_compared_by_bytes_elsewhere(
    mariadb_url: str, tmp_path: Path, urls: dict[str, str]
) -> None:
    folds, exact = "varchar(9) COLLATE utf8mb4_general_ci", "varchar(9) COLLATE utf8mb4_nopad_bin"
    server.run(
        mariadb_url,
        f"CREATE TABLE t (id int PRIMARY KEY, a {folds} CHECK (a IN ('open', 'shut')), b {folds} CHECK (b LIKE 'o%'), "
        f"c {exact} CHECK (c LIKE 'o%'), d {folds} CHECK (char_length(d) > 1), "
        f"g {exact} AS (CASE WHEN a = 'open' THEN 'y' ELSE 'n' END) STORED)",
        "INSERT INTO t (id, a, b, c, d) VALUES (1, 'OPEN ', 'Öl', 'o', 'ab')",
    )
    named = {"one": mariadb_url, **{name: urls[name] for name in ("sqlite", "duckdb", "postgres")}}
    config = load_config(tmp_path, {f"TOOLKIT_{name.upper()}_URL": url for name, url in named.items()})
    for name in ("sqlite", "duckdb", "postgres"):
        result = sync(config, "one", name)
        assert result.verified
        left = [each.reason for each in result.warnings if each.reason.startswith(("check", "generated"))]
        assert [reason.partition(":")[0] for reason in left] == [
            "generated as case when `a` = 'open' then 'y' else 'n' end",
            "check (`a` in ('open','shut'))",
            "check (`b` like 'o%')",
        ]
        for column, refused in (("c", "Ol"), ("d", "a")):
            with pytest.raises(sa.exc.DatabaseError):
                execute(config.database(name), f"UPDATE t SET {column} = '{refused}'")


def test_actions_of_foreign_keys_that_innodb_does_not_have_are_told(config: Config) -> None:
    parent = "REFERENCES p (id) ON DELETE SET DEFAULT DEFERRABLE INITIALLY DEFERRED"
    execute(
        config.database("sqlite"),
        "CREATE TABLE p (id INTEGER PRIMARY KEY)",
        f"CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER DEFAULT 1 {parent})",
    )
    told = [each.reason.partition(": ")[2] for each in sync(config, "sqlite", "back").warnings]
    assert told == [
        "It is checked as each row is written there, not at the end of a transaction.",
        "It is made without ON DELETE SET DEFAULT.",
    ]


def test_no_check_and_no_stored_value_rests_on_a_number_of_the_server_or_a_foreign_keys_action(config: Config) -> None:
    execute(
        config.database("sqlite"),
        "CREATE TABLE p (id INTEGER PRIMARY KEY CHECK (id > 0), twice INTEGER AS (id * 2) STORED)",
        """CREATE TABLE c (
            id INTEGER NOT NULL PRIMARY KEY CHECK (id <> up),
            up INTEGER REFERENCES p (id) ON DELETE SET NULL,
            held INTEGER REFERENCES p (id) ON DELETE CASCADE CHECK (held > 0),
            moved INTEGER REFERENCES p (id) ON UPDATE CASCADE,
            after_up INTEGER AS (up + 1) STORED, after_moved INTEGER AS (moved + 1) STORED,
            after_held INTEGER AS (held + 1) STORED,
            CHECK (up > 0), CHECK (moved > 0 OR held > 1)
        )""",
        "INSERT INTO p VALUES (1)",
        "INSERT INTO c VALUES (7, 1, 1, 1)",
    )
    found = sync(config, "sqlite", "back", tables=("p", "c"))
    assert found.verified
    told = [(each.table, each.column, each.reason.split(":")[0]) for each in found.warnings]
    assert sorted(told, key=str) == [
        ("c", "after_moved", "generated stored"),
        ("c", "after_up", "generated stored"),
        ("c", None, "check (id <> up)"),
        ("c", None, "check (moved > 0 OR held > 1)"),
        ("c", None, "check (up > 0)"),
        ("p", "twice", "generated stored"),
        ("p", None, "check (id > 0)"),
    ]
    back = config.database("back").address
    assert server.run(back, "SELECT after_up, after_moved, after_held FROM c") == [(2, 2, 2)]
    with pytest.raises(pymysql.OperationalError):
        server.run(back, "UPDATE c SET held = 0")
    server.run(back, "DELETE FROM c", "INSERT INTO p () VALUES ()")
    assert server.run(back, "SELECT id, twice FROM p") == [(1, 2), (2, 4)]


@pytest.mark.slow
def test_defaults_of_the_present_keep_their_zone_or_it_is_told_that_they_are_in_utc(
    config: Config, mariadb_url: str
) -> None:
    server.run(
        mariadb_url,
        "CREATE TABLE living (id int PRIMARY KEY, here datetime DEFAULT now(), today date DEFAULT (curdate()), "
        "utc datetime(6) DEFAULT (utc_timestamp(6)), utc_day date DEFAULT (utc_date()), "
        "word varchar(30) DEFAULT now())",
    )
    found = {other: sync(config, "one", other, tables=("living",)) for other in ("sqlite", "postgres", "duckdb")}
    in_utc = {
        other: {each.column for each in result.warnings if "in UTC" in each.reason} for other, result in found.items()
    }
    assert in_utc == {"sqlite": {"here", "today", "word"}, "postgres": {"word"}, "duckdb": {"word"}}
    # The server of the tests is three hours ahead, and so is a session that says so.
    execute(config.database("sqlite"), "INSERT INTO living (id) VALUES (1)")
    execute(config.database("postgres"), "SET timezone = 'Asia/Riyadh'", "INSERT INTO living (id) VALUES (1)")
    ahead = {}
    for other in ("sqlite", "postgres"):
        with connect(config.database(other)) as connection:
            row = connection.sqlalchemy.exec_driver_sql("SELECT here, utc, word FROM living").one()
        here, utc, word = (dt.datetime.fromisoformat(str(each)) for each in row)
        assert abs(word - utc) < dt.timedelta(minutes=1)
        ahead[other] = round((here - utc) / dt.timedelta(hours=1))
    assert ahead == {"sqlite": 0, "postgres": 3}


@pytest.mark.slow
@pytest.mark.parametrize("other", ["postgres", "sqlite", "duckdb"])
def test_zero_dates_that_may_not_be_null_become_null_where_the_table_is_made(
    config: Config, mariadb_url: str, other: str
) -> None:
    # As in WordPress.
    server.run(
        mariadb_url,
        "SET sql_mode = ''",
        "CREATE TABLE post (id int PRIMARY KEY, at datetime NOT NULL DEFAULT '0000-00-00', title text NOT NULL)",
        "INSERT INTO post (id, title) VALUES (1, 'a')",
    )
    way = "--convert post.at:zero-date-as-null"
    with pytest.raises(UnrepresentableValueError) as caught:
        sync(config, "one", other, tables=("post",))
    assert way in caught.value.advice
    found = sync(config, "one", other, tables=("post",), convert=[way.partition(" ")[2]])
    assert found.verified
    assert ("at", "NOT NULL") in {(each.column, (each.reason or "").partition(":")[0]) for each in found.warnings}
    again = sync(config, "one", other, tables=("post",), convert=[way.partition(" ")[2]])
    assert [(each.inserted, each.unchanged) for each in again.tables] == [(0, 1)]
    with pytest.raises(IntegrityError):
        execute(config.database(other), "INSERT INTO post (id, title) VALUES (2, NULL)")


def test_names_that_end_with_blanks_are_made_without_and_told(config: Config) -> None:
    execute(
        config.database("sqlite"),
        'CREATE TABLE "t " (id INTEGER PRIMARY KEY, "x " INT UNIQUE, x INT)',
        'INSERT INTO "t " VALUES (1, 2, 3)',
    )
    told = {each.reason for each in sync(config, "sqlite", "back").warnings}
    assert told == {f"name: It is {name} there: names do not end with blanks." for name in ("t", "x_2")}
    assert not any(each.inserted for each in sync(config, "sqlite", "back").tables)
    assert server.run(config.database("back").address, "SELECT id, x, x_2 FROM t") == [(1, 3, 2)]


def test_foreign_keys_of_several_columns_are_carried_and_those_to_another_database_told(
    mariadb_server: str, mariadb_url: str, tmp_path: Path, urls: dict[str, str]
) -> None:
    with server.database(mariadb_server) as other:
        elsewhere = other.rpartition("/")[2]
        server.run(
            mariadb_url,
            "CREATE TABLE `p``q` (a int, `b``c` int, PRIMARY KEY (a, `b``c`))",
            "CREATE TABLE same (id int PRIMARY KEY)",
            f"CREATE TABLE {elsewhere}.same (id int PRIMARY KEY)",
            "CREATE TABLE child (id int PRIMARY KEY, x int, `y``` int, z int, "
            "FOREIGN KEY (x, `y```) REFERENCES `p``q` (a, `b``c`) ON DELETE CASCADE ON UPDATE SET NULL, "
            f"FOREIGN KEY (z) REFERENCES {elsewhere}.same (id))",
            f"INSERT INTO {elsewhere}.same VALUES (5)",
            "INSERT INTO child VALUES (1, NULL, NULL, 5)",
        )
        named = {"sqlite": urls["sqlite"], "one": mariadb_url}
        config = load_config(tmp_path, {f"TOOLKIT_{name.upper()}_URL": url for name, url in named.items()})
        result = sync(config, "one", "sqlite")
        assert result.verified
        assert [each.reason for each in result.warnings] == ["foreign key of z: There is no same here."]
        with connect(config.database("sqlite")) as connection:
            (key,) = connection.schema().metadata.tables["child"].foreign_key_constraints
        assert (key.column_keys, [each.target_fullname for each in key.elements], key.ondelete, key.onupdate) == (
            ["x", "y`"],
            ["p`q.a", "p`q.b`c"],
            "CASCADE",
            "SET NULL",
        )


@pytest.mark.slow
def test_columns_that_differ_by_case_alone_get_names_that_the_server_takes(
    mariadb_url: str, tmp_path: Path, urls: dict[str, str]
) -> None:
    named = {"postgres": urls["postgres"], "one": mariadb_url}
    config = load_config(tmp_path, {f"TOOLKIT_{name.upper()}_URL": url for name, url in named.items()})
    execute(
        config.database("postgres"),
        'CREATE TABLE "T" (id integer PRIMARY KEY, a integer, "A" integer)',
        "CREATE TABLE t (id integer PRIMARY KEY)",
        'INSERT INTO "T" VALUES (1, 2, 3)',
    )
    for _ in range(2):
        assert sync(config, "postgres", "one", options=Options(mode=Mode.REPLACE)).verified
        assert server.run(mariadb_url, "SELECT id, a, a_2 FROM T") == [(1, 2, 3)]
    assert server.run(mariadb_url, "SELECT * FROM t_2") == []
