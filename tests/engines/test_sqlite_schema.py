"""A SQLite file's own catalogue as a schema: nothing of it is lost, types hold what is stored, what is left is told."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from toolkit.config import Config, load_config
from toolkit.core.schema import ColumnMeasure, Schema, TypesBy
from toolkit.core.tables import table_spec
from toolkit.engines import connect
from toolkit.engines.database import Database
from toolkit.engines.sqlite.connection import SqliteConnection
from toolkit.engines.sqlite.structure import structures
from toolkit.errors import SchemaMismatchError, StatementError
from toolkit.operations.sync import sync
from toolkit.operations.transfer.options import Mode, Options

MakeFile = Callable[..., Database]


@pytest.fixture
def made(tmp_path: Path) -> MakeFile:
    """Makes a file by a script."""

    def make(script: str, name: str = "app.sqlite") -> Database:
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            connection.executescript(script)
            connection.commit()
        return Database(name.partition(".")[0], f"sqlite:///{tmp_path / name}")

    return make


def schema_of(database: Database, types: TypesBy = TypesBy.VALUES) -> Schema:
    with connect(database) as connection:
        # As commands do first, which gives it connections to ask beside its own.
        connection.lock_tables(())
        return connection.schema(types)


def table_of(database: Database, name: str = "t", types: TypesBy = TypesBy.VALUES) -> sa.Table:
    return schema_of(database, types).metadata.tables[name]


def sql_of(table: sa.Table) -> str:
    """What SQLAlchemy would make of it, in one line."""
    dialect = sqlite.dialect()
    made = [CreateTable(table).compile(dialect=dialect), *(CreateIndex(i).compile(dialect=dialect) for i in _of(table))]
    return "; ".join(" ".join(str(each).split()) for each in made)


def _of(table: sa.Table) -> list[sa.Index]:
    return sorted(table.indexes, key=lambda index: str(index.name))


# ruff: noqa: E501 - statements, each beside what is made of it
STRUCTURES = {
    "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT)": "id BIGINT NOT NULL PRIMARY KEY AUTOINCREMENT",
    "CREATE TABLE t (a TEXT, b INT, PRIMARY KEY (b, a)) WITHOUT ROWID": "PRIMARY KEY (b, a) ) WITHOUT ROWID",
    "CREATE TABLE t (a TEXT, CONSTRAINT one PRIMARY KEY (a)) STRICT": "CONSTRAINT one PRIMARY KEY (a) ) STRICT",
    "CREATE TABLE t (a INT, b TEXT UNIQUE, c TEXT, CONSTRAINT u UNIQUE (c, a))": "UNIQUE (b), CONSTRAINT u UNIQUE (c, a)",
    "CREATE TABLE t (a TEXT UNIQUE ON CONFLICT REPLACE)": "UNIQUE (a) ON CONFLICT REPLACE",
    "CREATE TABLE t (a TEXT NOT NULL ON CONFLICT IGNORE)": "a TEXT NOT NULL ON CONFLICT IGNORE",
    "CREATE TABLE t (a TEXT DEFAULT (datetime('now')))": "a TEXT DEFAULT (datetime('now'))",
    "CREATE TABLE t (a TEXT DEFAULT 'x:y')": "a TEXT DEFAULT 'x:y'",
    "CREATE TABLE t (a INT NOT NULL DEFAULT -5)": "a BIGINT DEFAULT (-5) NOT NULL",
    "CREATE TABLE t (a INT, b INT GENERATED ALWAYS AS (a + (2)) STORED)": "b BIGINT GENERATED ALWAYS AS (a + (2)) STORED",
    "CREATE TABLE t (a INT, b INT AS (a * 2))": "b BIGINT GENERATED ALWAYS AS (a * 2)",
    "CREATE TABLE t (a INT CHECK (a > 0), CONSTRAINT b CHECK (a IN (1, 2)))": "CHECK (a > 0), CONSTRAINT b CHECK (a IN (1, 2))",
    "CREATE TABLE t (a TEXT COLLATE nocase)": 'a TEXT COLLATE "NOCASE"',
    "CREATE TABLE t (a INT); CREATE UNIQUE INDEX i ON t (a) WHERE a > 1": "CREATE UNIQUE INDEX i ON t (a) WHERE a > 1",
    "CREATE TABLE t (a INT); CREATE INDEX i ON t (a DESC)": "CREATE INDEX i ON t (a DESC)",
    "CREATE TABLE t (a TEXT); CREATE UNIQUE INDEX i ON t (lower(a))": "CREATE UNIQUE INDEX i ON t (lower(a))",
    "CREATE TABLE t (a TEXT); CREATE UNIQUE INDEX i ON t (a COLLATE NOCASE)": "CREATE UNIQUE INDEX i ON t (a COLLATE NOCASE)",
    "CREATE TABLE t (a INT, b INT REFERENCES T ON DELETE SET NULL, PRIMARY KEY (A))": "FOREIGN KEY(b) REFERENCES t (a) ON DELETE SET NULL",
    "CREATE TABLE P (Id INTEGER PRIMARY KEY); CREATE TABLE t (b INT CONSTRAINT f REFERENCES p (ID) ON UPDATE CASCADE "
    "DEFERRABLE INITIALLY DEFERRED)": 'CONSTRAINT f FOREIGN KEY(b) REFERENCES "P" ("Id") ON UPDATE CASCADE '
    "DEFERRABLE INITIALLY DEFERRED",
    'CREATE TABLE t ("a ""b" INT, [c d] TEXT, `e` REAL, "select" INT)': '"a ""b" BIGINT, "c d" TEXT, e DOUBLE, "select" BIGINT',
}


@pytest.mark.parametrize(("script", "expected"), STRUCTURES.items())
def test_what_the_file_says_of_a_table_is_in_its_schema(made: MakeFile, script: str, expected: str) -> None:
    assert expected in sql_of(table_of(made(script), types=TypesBy.DECLARATION))


def test_a_colon_in_an_expression_is_no_parameter(made: MakeFile) -> None:
    table = table_of(made("CREATE TABLE t (a TEXT CHECK (a <> ':x')); CREATE INDEX i ON t (a) WHERE a <> ':y'"))
    assert "CHECK (a <> ':x')" in sql_of(table)
    assert sql_of(table).endswith("WHERE a <> ':y'")


LOST = {
    "b INT REFERENCES nowhere (id)": "There is no table nowhere.",
    "b INT REFERENCES p (other)": "There is no column p.other.",
    "b INT REFERENCES p (plain)": "It points at plain of p, which is no key of it.",
}


@pytest.mark.parametrize(("column", "reason"), LOST.items())
def test_a_foreign_key_to_what_is_not_there_is_left_out_and_told(made: MakeFile, column: str, reason: str) -> None:
    schema = schema_of(made(f"CREATE TABLE p (id INTEGER PRIMARY KEY, plain INT); CREATE TABLE t ({column})"))
    assert not schema.metadata.tables["t"].foreign_key_constraints
    assert [(note.table, note.what, note.reason) for note in schema.notes] == [("t", "foreign key of b", reason)]


def test_views_triggers_and_virtual_tables_are_told_and_their_shadows_are_no_tables(made: MakeFile) -> None:
    schema = schema_of(
        made(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); CREATE VIRTUAL TABLE f USING fts5 (a);"
            "CREATE VIEW v AS SELECT a FROM t; CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM f; END;"
        )
    )
    assert [*schema.metadata.tables] == ["t"]
    assert {(note.table, note.what) for note in schema.notes} == {
        ("f", "virtual table"),
        ("t", "trigger g"),
        ("v", "view"),
    }


KEYS = {
    "a TEXT PRIMARY KEY": (("a",), None),
    "b INT, a TEXT UNIQUE": ((), ("a",)),
    "b INT, a TEXT NOT NULL UNIQUE": ((), None),
}


@pytest.mark.parametrize(("columns", "keys"), KEYS.items())
def test_a_key_that_may_be_null_is_one_while_no_row_has_null_there(
    made: MakeFile, columns: str, keys: tuple[tuple[str, ...], tuple[str, ...] | None]
) -> None:
    file = made(f"CREATE TABLE t ({columns}); INSERT INTO t (a) VALUES ('x')")
    table = table_of(file)
    assert (tuple(table.primary_key.columns.keys()), table.info.get("key")) == keys
    # A key that the table does not say is none may be NULL in the next row.
    assert table.c.a.nullable == (not keys[0] and keys[1] is not None)
    with closing(sqlite3.connect(str(file.file))) as connection:
        if table.c.a.info["declared"] == "TEXT" and keys[1] is None and not keys[0]:
            return
        connection.execute("INSERT INTO t (a) VALUES (NULL), (NULL)")
        connection.commit()
    schema = schema_of(file)
    table = schema.metadata.tables["t"]
    assert (tuple(table.primary_key.columns.keys()), table.info.get("key")) == ((), None)
    assert table.c.a.nullable
    assert [note.reason for note in schema.notes] == [
        "2 rows have NULL there: it is a unique constraint instead." for _ in keys[0]
    ]


# Declared type, stored values in SQL, the type that is chosen as PostgreSQL has it, whether there is a note.
CHOSEN = [
    ("INTEGER", "3000000000", "BIGINT", False),
    ("INT", "1.5", "DOUBLE PRECISION", True),
    ("INT", "1.5 | 9007199254740993", "NUMERIC", True),
    ("INTEGER", "'x'", "TEXT", True),
    ("INTEGER", "1 | 'x'", "BIGINT", True),
    ("REAL", "1 | 2.5", "DOUBLE PRECISION", False),
    ("FLOAT(24)", "0.1", "DOUBLE PRECISION", False),
    ("BOOLEAN", "0 | 1", "BOOLEAN", False),
    ("BOOLEAN", "'t' | 'false' | 1", "BOOLEAN", False),
    ("BOOLEAN", "0 | 2", "BIGINT", True),
    ("tinyint(1)", "0 | 1", "BOOLEAN", False),
    ("tinyint(1)", "0 | 3", "BIGINT", True),
    ("numeric DEFAULT false", "0 | 1", "BOOLEAN", False),
    ("DATETIME", "'2024-01-02 03:04:05'", "TIMESTAMP WITHOUT TIME ZONE", False),
    ("DATETIME", "'2024-01-02' | '2024-01-02T03:04:05.123'", "TIMESTAMP WITHOUT TIME ZONE", False),
    ("DATETIME", "'2024-01-02T03:04:05Z'", "TIMESTAMP WITH TIME ZONE", False),
    ("DATETIME", "'2024-01-02 03:04:05-05:00' | '2024-01-02 03:04:05'", "TIMESTAMP WITH TIME ZONE", True),
    ("TIMESTAMP", "1700000000", "BIGINT", True),
    ("DATETIME", "'soon'", "TEXT", True),
    ("DATETIME", "'' | '2024-01-02 03:04:05'", "TIMESTAMP WITHOUT TIME ZONE", True),
    ("DATE", "'2024-02-29'", "DATE", False),
    ("DATE", "'2024-02-29' | '2024-02-29 01:02:03'", "TIMESTAMP WITHOUT TIME ZONE", True),
    ("TIME", "'01:02:03.5'", "TIME WITHOUT TIME ZONE", False),
    ("JSON", "'{\"a\": 1}' | '[]'", "JSONB", False),
    ("JSON", "1 | '\"x\"'", "JSONB", False),
    ("JSON", '\'{"a": {"b": 1, "b": 2}}\'', "JSON", False),
    ("JSON", "'\"\\u0000\"'", "JSON", False),
    # A colon that is written as an escape makes up for that of the key that is lost.
    ("JSON", '\'{"a": 1, "a": {"b": "\\u003a"}}\'', "JSON", False),
    ("JSON", "'{' | '{}'", "TEXT", True),
    # Behind three others, as values are looked at in pieces of one, of two and of four: here of two halves, and two in one.
    ("JSON", "'{}' | '{}' | '{}' | '[1' | '2]' | '3,0,4'", "TEXT", True),
    ("JSON", "'[1,' || char(10) || '2]' | '{}'", "JSONB", False),
    ("JSON", "'\"' || char(10) || '\"' | '{}'", "TEXT", True),
    # Of 18,000 characters: long ones are looked at by themselves.
    ("JSON", """'{}' | '{"a": 1, "b": "' || hex(zeroblob(9000)) || '"}'""", "JSONB", False),
    ("JSON", """'{}' | '{"a": 1, "b": "' || hex(zeroblob(9000)) || '", "a": 2}'""", "JSON", False),
    ("JSON", """'{}' | '{"a": "' || hex(zeroblob(9000)) || '"'""", "TEXT", True),
    ("UUID", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11' | x'00112233445566778899AABBCCDDEEFF'", "UUID", False),
    ("UUID", "'x'", "TEXT", True),
    ("CHAR(36)", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "VARCHAR(36)", False),
    ("decimal(10,2)", "1 | 1.25", "NUMERIC(10, 2)", False),
    ("decimal(4,2)", "123.456", "NUMERIC(6, 3)", True),
    ("NUMBER(10)", "1.25", "NUMERIC(12, 2)", True),
    ("MONEY", "19.99", "NUMERIC", False),
    ("NUMERIC", "0.30000000000000004", "DOUBLE PRECISION", True),
    ("NUMERIC", "1 | x'312e35'", "NUMERIC", True),
    ("NUMERIC", "x'ff'", "BYTEA", True),
    ("REAL", "x'4e614e' | 1", "DOUBLE PRECISION", True),
    ("BLOB", "0.5 | 9223372036854775807", "NUMERIC", True),
    ("decimal(5,2)", "1e300", "NUMERIC", True),
    ("VARCHAR(3)", "'abc'", "VARCHAR(3)", False),
    ("VARCHAR(3)", "'abcd'", "TEXT", True),
    ("TEXT", "x'616263'", "TEXT", True),
    ("TEXT", "x'ff'", "BYTEA", True),
    ("STRING", "7 | 'x'", "TEXT", True),
    ("BLOB", "x'00'", "BYTEA", False),
    ("BLOB", "'x'", "TEXT", True),
    ("", "1 | 2", "BIGINT", False),
    ("", "1 | 2.5", "DOUBLE PRECISION", True),
    ("", "'x'", "TEXT", False),
    ("", "1 | 'x'", "TEXT", True),
    ("", "", "TEXT", False),
    ("INET", "'10.0.0.1'", "TEXT", False),
    ("TIMESTAMP WITH TIME ZONE", "", "TIMESTAMP WITH TIME ZONE", False),
]


@pytest.mark.parametrize(("declared", "values", "expected", "is_told"), CHOSEN)
def test_a_column_gets_the_type_that_its_declaration_and_its_values_make(
    made: MakeFile, declared: str, values: str, expected: str, is_told: bool
) -> None:
    rows = "".join(f"INSERT INTO t (v) VALUES ({value});" for value in values.split(" | ") if value)
    schema = schema_of(
        made(f"CREATE TABLE t (id INTEGER PRIMARY KEY, v {declared}); INSERT INTO t DEFAULT VALUES; {rows}")
    )
    type_: Any = schema.metadata.tables["t"].c.v.type
    assert type_.compile(postgresql.dialect()) == expected  # type: ignore[no-untyped-call]
    assert bool(schema.notes) is is_told


def test_bytes_that_were_looked_at_for_their_type_are_not_looked_at_again(made: MakeFile) -> None:
    file = made("CREATE TABLE t (id BINARY(16) PRIMARY KEY, b BLOB); INSERT INTO t VALUES (x'00', x'01'), (x'01', 'x')")
    with connect(file) as connection:
        connection.lock_tables(())
        assert isinstance(connection, SqliteConnection)
        table = connection.schema(TypesBy.DECLARATION).metadata.tables["t"]
        spec = table_spec(table)
        assert [*connection.repository(spec).lossy_casts()] == ["id", "b"]
        connection.schema(TypesBy.VALUES)
        # A text is among them.
        assert [*connection.repository(spec).lossy_casts()] == ["b"]
        connection.forget()
        assert [*connection.repository(spec).lossy_casts()] == ["id", "b"]


def test_a_decimal_key_without_digits_is_given_some(made: MakeFile) -> None:
    table = table_of(made("CREATE TABLE t (a NUMERIC PRIMARY KEY); INSERT INTO t VALUES (1), (2)"))
    assert isinstance(table.c.a.type, sa.BigInteger)


def test_measures_tell_classes_forms_and_ranges(made: MakeFile) -> None:
    file = made(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME, n INT, d DECIMAL, s TEXT NOT NULL);"
        "INSERT INTO t VALUES (1, '2024-01-02 03:04:05', 5, 1.25, 'ab'), (2, 1700000000, -1, 100, 'abc'),"
        "(3, '2024-01-02T03:04:05Z', 'x', NULL, '');"
    )
    with connect(file) as connection:
        found = connection.measures(connection.schema(TypesBy.VALUES).metadata.tables["t"])
    assert found["id"] == ColumnMeasure(3, 0, {"integer": 3}, {}, "1", "3")
    assert found["at"].classes == {"integer": 1, "text": 2}
    assert found["at"].forms == {"timestamp": 1, "timestamp with zone": 1}
    assert (found["at"].least, found["at"].greatest) == ("2024-01-02 03:04:05", "2024-01-02T03:04:05Z")
    assert (found["n"].classes, found["n"].least, found["n"].greatest) == ({"integer": 2, "text": 1}, "-1", "5")
    assert (found["d"].nulls, found["d"].precision, found["d"].scale) == (1, 5, 2)
    assert (found["s"].classes, found["s"].longest) == ({"text": 3}, 3)


def test_halves_of_a_document_and_two_in_one_are_not_measured_as_documents(made: MakeFile) -> None:
    values = ", ".join(f"('{each}')" for each in ("{}", "{}", "{}", "[1", "2]", "3,4"))
    with connect(
        made(f"CREATE TABLE t (id INTEGER PRIMARY KEY, v JSON); INSERT INTO t (v) VALUES {values}")
    ) as connection:
        found = connection.measures(connection.schema(TypesBy.DECLARATION).metadata.tables["t"])
    assert found["v"].forms == {"json": 3}


MOMENTS = {
    "2024-01-02 03:04:05.123456": False,
    "2024-01-02T03:04:05": False,
    "2024-01-02 03:04:05.1": False,
    "2024-01-02 03:04:05.1+0000": True,
    "2024-01-02 03:04:05-07": True,
    "2024-01-02T03:04:05.12345Z": True,
}


@pytest.mark.parametrize(("moment", "has_zone"), MOMENTS.items(), ids=MOMENTS)
def test_a_moment_has_a_zone_however_long_it_is_written(made: MakeFile, moment: str, has_zone: bool) -> None:
    type_ = table_of(made(f"CREATE TABLE t (v DATETIME); INSERT INTO t VALUES ('{moment}')")).c.v.type
    assert isinstance(type_, sa.DateTime)
    assert type_.timezone is has_zone


# It is not fetched together with others.
LONG = f"'[{'1, ' * 6_000}1]'"
ODD = ("'x'", "CAST(x'ff32' AS TEXT)", "2.5", "x'00'", "'2024-01-02 03:04:05Z'", "'[1]'", "9223372036854775807", LONG)


@pytest.mark.parametrize("log", ["DELETE", "WAL"])
def test_two_connections_of_one_snapshot_find_what_one_finds_alone(made: MakeFile, log: str) -> None:
    declared = ("INT", "BOOLEAN", "REAL", "DECIMAL(9,2)", "TEXT", "BLOB", "DATETIME", "DATE", "JSON", "UUID", "")
    columns = [f"c{number} {type_}" for number, type_ in enumerate(declared * len(ODD))]
    values = [value for value in ODD for _ in declared]
    file = made(
        f"PRAGMA journal_mode = {log}; CREATE TABLE t ({', '.join(columns)});"
        f"INSERT INTO t VALUES ({', '.join(values)}); INSERT INTO t (c0) VALUES (NULL), (7)"
    )
    found = []
    for is_alone in (True, False):
        with connect(file) as connection:
            assert isinstance(connection, SqliteConnection)
            connection.lock_tables(())
            assert connection.reader is not None
            if is_alone:
                connection._close_reader()
            table = connection.schema(TypesBy.VALUES).metadata.tables["t"]
            connection.forget()
            found.append(([repr(column.type) for column in table.columns], connection.measures(table)))
    assert found[0] == found[1]


def test_a_document_behind_thousands_of_long_ones_is_looked_at(made: MakeFile) -> None:
    file = made(
        "CREATE TABLE t (d JSON); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 8200) "
        """INSERT INTO t SELECT '{"a":"' || hex(zeroblob(600)) || '"}' FROM n; INSERT INTO t VALUES ('{"a":1,"a":2}')"""
    )
    with connect(file) as connection:
        connection.lock_tables(())
        assert type(connection.schema(TypesBy.VALUES).metadata.tables["t"].c.d.type).__name__ == "JSON"


def test_a_generated_column_may_call_what_only_one_of_the_two_connections_has(made: MakeFile, tmp_path: Path) -> None:
    file = made("PRAGMA user_version = 1")
    with closing(sqlite3.connect(tmp_path / "app.sqlite")) as connection:
        connection.create_function("regexp", 2, lambda a, b: a in b, deterministic=True)
        connection.executescript("CREATE TABLE t (a TEXT, b INT AS (a REGEXP 'x')); INSERT INTO t VALUES ('ax')")
    with connect(file) as opened:
        opened.lock_tables(())
        assert opened.measures(opened.schema().metadata.tables["t"])["b"].greatest == "1"


def test_a_table_is_made_again_just_as_it_is_with_its_indexes_and_the_number_that_comes_next(
    made: MakeFile, tmp_path: Path
) -> None:
    script = (
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a text /* kept */ COLLATE NOCASE DEFAULT ':x');"
        "CREATE TABLE other (a); CREATE INDEX i ON t (a DESC) WHERE a > ':y'; CREATE INDEX j ON other (a);"
    )
    file = made(script + "INSERT INTO t (id) VALUES (41); DELETE FROM t")
    with connect(file) as connection:
        schema = connection.schema(TypesBy.STORAGE)
        statements = connection.definitions([schema.metadata.tables["t"]])
    with closing(sqlite3.connect(tmp_path / "again.sqlite")) as again:
        for statement in statements:
            again.execute(statement)
        names = again.execute("SELECT name FROM sqlite_schema ORDER BY name").fetchall()
        assert names == [("i",), ("sqlite_sequence",), ("t",)]
        again.execute("INSERT INTO t (a) VALUES ('x')")
        assert again.execute("SELECT id FROM t").fetchone() == (42,)


def test_every_table_of_many_is_read_by_a_few_statements(made: MakeFile) -> None:
    file = made("".join(f"CREATE TABLE t{n} (a INTEGER PRIMARY KEY, b INT REFERENCES t{n});" for n in range(50)))
    asked: list[str] = []
    with connect(file) as connection:
        sa.event.listen(connection.sqlalchemy.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
        assert len(structures(connection)) == 50  # type: ignore[arg-type]
    assert len(asked) < 10


def test_a_table_whose_expressions_call_what_a_library_does_not_take_for_harmless_is_made_in_an_empty_file(
    made: MakeFile, tmp_path: Path
) -> None:
    # As json_extract() in SQLite 3.40; that of SQLAlchemy's own is harmless in no version.
    made("CREATE TABLE t (a TEXT CHECK (floor(length(a)) > 0 AND json_extract(a, '$') IS NOT 'x'))", "one.sqlite")
    urls = {f"TOOLKIT_{name.upper()}_URL": f"sqlite:///{tmp_path / name}.sqlite" for name in ("one", "two")}
    config = replace(load_config(tmp_path, urls), metadata="", migrations=tmp_path / "none")
    assert sync(config, "one", "two").verified
    assert [each.inserted for each in sync(config, "one", "two").tables] == [0]


@pytest.mark.parametrize("target", ["sqlite", "duckdb"])
def test_a_table_with_a_column_that_has_no_name_is_refused_until_it_is_left_out(
    config: Config, made: MakeFile, tmp_path: Path, target: str
) -> None:
    source = f"sqlite:///{tmp_path}/app.sqlite"
    script = 'CREATE TABLE t ("" INT, a INT); INSERT INTO t VALUES (1, 2); CREATE TABLE other (a INT)'
    made(script)
    bare = replace(config, metadata="", migrations=config.root / "none")
    with pytest.raises(SchemaMismatchError, match="rows in t, and a column of it has no name") as caught:
        sync(bare, source, target)
    assert 'RENAME COLUMN "" TO' in caught.value.advice
    assert "--exclude t" in caught.value.advice
    assert sync(bare, source, target, exclude=["t"]).verified


def _by_lower_case(one: str, other: str) -> int:
    return (one.lower() > other.lower()) - (one.lower() < other.lower())


def test_tables_with_a_collation_of_their_applications_own_are_copied_or_refused_by_name(
    config: Config, tmp_path: Path
) -> None:
    source, target = (f"sqlite:///{tmp_path}/cards.sqlite", f"duckdb:///{tmp_path}/cards.duckdb")
    bare = replace(config, metadata="", migrations=config.root / "none")
    with closing(sqlite3.connect(tmp_path / "cards.sqlite")) as file:
        file.create_collation("unicase", _by_lower_case)
        file.executescript(
            """
            CREATE TABLE deck (name TEXT PRIMARY KEY COLLATE unicase, size INT);
            CREATE TABLE card (id INTEGER PRIMARY KEY, deck TEXT COLLATE unicase REFERENCES deck (name));
            CREATE UNIQUE INDEX one_card ON card (deck);
            CREATE TABLE tag (tag TEXT NOT NULL PRIMARY KEY COLLATE unicase, used INT) WITHOUT ROWID;
            INSERT INTO deck VALUES ('Äpfel', 1), ('b', 2); INSERT INTO card VALUES (1, 'äpfel'), (2, 'B');
            INSERT INTO tag VALUES ('leech', 1);
            """
        )
        with pytest.raises(
            SchemaMismatchError, match="rows in tag, and it is WITHOUT ROWID and has the collation UNICASE"
        ):
            sync(bare, source, target)
        found = sync(bare, source, target, exclude=["tag", "card"])
        assert found.verified
        assert [each.inserted for each in found.tables] == [2]
        file.execute("UPDATE deck SET size = 3 WHERE name = 'B'")
        file.commit()
        assert [each.updated for each in sync(bare, source, target, exclude=["tag", "card"]).tables] == [1]
        # A table of the same definition cannot be written to.
        with pytest.raises(StatementError, match="the collation unicase is a function of its application's"):
            sync(bare, source, f"sqlite:///{tmp_path}/copy.sqlite", exclude=["tag", "card"])


def test_tables_with_a_function_of_their_applications_own_are_copied_or_refused_by_name(
    config: Config, tmp_path: Path
) -> None:
    source, target = (f"sqlite:///{tmp_path}/app.sqlite", f"duckdb:///{tmp_path}/app.duckdb")
    bare = replace(config, metadata="", migrations=config.root / "none")
    with closing(sqlite3.connect(tmp_path / "app.sqlite")) as file:
        file.create_function("slug", 1, str.lower, deterministic=True)
        file.executescript(
            """
            CREATE TABLE page (id INTEGER PRIMARY KEY, title TEXT, path TEXT AS (slug(title)));
            CREATE TABLE tag (id INTEGER PRIMARY KEY, name TEXT CHECK (slug(name) = name));
            INSERT INTO page (title) VALUES ('One'); INSERT INTO tag VALUES (1, 'a');
            """
        )
    with pytest.raises(SchemaMismatchError, match="rows in page, and a generated column of it calls the function slug"):
        sync(bare, source, target)
    found = sync(bare, source, target, exclude=["page"])
    assert [each.inserted for each in found.tables] == [1]
    # A table of the same definition cannot be written to.
    with pytest.raises(StatementError, match="SQLite has no function slug: it is one of the application's"):
        sync(bare, source, f"sqlite:///{tmp_path}/copy.sqlite", exclude=["page"])


def test_what_a_trigger_raises_on_a_deletion_is_told_as_its_refusal(config: Config, tmp_path: Path) -> None:
    bare = replace(config, metadata="", migrations=config.root / "none")
    for name, rows in (("source", "(1)"), ("target", "(1), (2)")):
        with closing(sqlite3.connect(tmp_path / f"{name}.sqlite")) as file:
            file.executescript(f"CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES {rows}")
    with closing(sqlite3.connect(tmp_path / "target.sqlite")) as file:
        file.execute("CREATE TRIGGER kept BEFORE DELETE ON t BEGIN SELECT RAISE(ABORT, 'no'); END")
    urls = [f"sqlite:///{tmp_path}/{name}.sqlite" for name in ("source", "target")]
    with pytest.raises(StatementError, match="a trigger refuses a row: no") as caught:
        sync(bare, *urls, options=Options(mode=Mode.REPLACE))
    assert "--hold-triggers" in caught.value.advice
