"""Tables that a migration makes anew keep their values and all that is said of them, or the migration is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.operations.databases import connected, execute
from toolkit.config import Config, Database
from toolkit.errors import MigrationError, ToolkitError, UnrepresentableValueError
from toolkit.operations.migrations import history, migrate

NONE = sa.MetaData()
sa.Table("unused", NONE, sa.Column("id", sa.Integer, primary_key=True))
STRICT = sa.MetaData()
sa.Table(
    "t",
    STRICT,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("a", sa.String(20), nullable=False),
    sa.Column("b", sa.BigInteger),
    sa.Column("c", sa.Numeric(9, 2)),
    sa.Column("d", sa.Date),
)
Migrate = Callable[[Database, str], None]
# The names of the migrations' files and how these begin, which is the same for each project: `change 0`, `change 1`, …
_HEADS: dict[int, tuple[str, str]] = {}


@pytest.fixture
def project(tmp_path: Path, config: Config) -> Config:
    """A project with a migrations directory of its own, and no models."""
    made = replace(config, root=tmp_path, migrations=tmp_path / "migrations", metadata=f"{__name__}:NONE")
    history.init(made.migrations)
    return made


@pytest.fixture
def sqlite(project: Config) -> Database:
    return project.database("sqlite")


@pytest.fixture
def run(project: Config) -> Migrate:
    """Run statements of Python as one more migration."""

    def run(database: Database, body: str) -> None:
        folder = project.migrations / "versions"
        number = len([*folder.glob("*.py")])
        if number not in _HEADS:
            made = history.make_migrations(database, project, f"change {number}", autogenerate=False)
            assert made is not None
            text = made.path.read_text()
            _HEADS[number] = made.path.name, text[: text.index("def schema_upgrades")]
        name, head = _HEADS[number]
        lines = "\n    ".join(body.strip().splitlines())
        empty = "\n\n\ndef {}():\n    pass"
        rest = "".join(map(empty.format, ("schema_downgrades", "data_upgrades", "data_downgrades")))
        (folder / name).write_text(f"{head}def schema_upgrades():\n    {lines}{rest}\n")
        migrate.upgrade(database, project)

    return run


def altered(arguments: str, table: str = "t") -> str:
    return f"with op.batch_alter_table({table!r}) as batch_op:\n    batch_op.alter_column({arguments})"


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    with connected(database) as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def definitions(database: Database) -> list[str]:
    query = "SELECT sql FROM sqlite_master WHERE name NOT LIKE 'alembic%' AND sql IS NOT NULL ORDER BY type, name"
    return [re.sub(r"\s+", " ", sql) for (sql,) in rows(database, query)]


FEDCBA = "fedcba9876544210800000ff00000a80"

# -- values ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "stored", "becomes", "after"),
    [
        ("DATE", "'1999-12-31'", "sa.DateTime()", "1999-12-31 00:00:00.000000"),
        ("DATETIME", "'2024-05-07 00:00:00.000000'", "sa.Date()", "2024-05-07"),
        ("VARCHAR(9)", "'-7'", "sa.Integer()", -7),
        ("VARCHAR(9)", "'1.5'", "sa.Float()", 1.5),
        ("INTEGER", "12", "sa.String(9)", "12"),
        ("INTEGER", "1", "sa.Boolean()", 1),
        ("INTEGER", "3", "sa.Numeric(10, 2)", 3),
        ("NUMERIC(10, 3)", "1.5", "sa.Numeric(10, 1)", 1.5),
        ("FLOAT", "2.0", "sa.Integer()", 2),
        ("TEXT", """'{"a": [1.10]}'""", "sa.JSON()", '{"a": [1.10]}'),
        ("JSON", "'{}'", "sa.Text()", "{}"),
        ("VARCHAR(36)", "'0123ABCD-0000-4000-8000-000000000001'", "sa.Uuid()", "0123abcd000040008000000000000001"),
        (
            "BINARY(16)",
            "x'0123456789abcdef0123456789abcdef'",
            "sa.GUID(length=16)",
            bytes.fromhex("0123456789abcdef" * 2),
        ),
        ("TEXT", "'FEDCBA98-7654-4210-8000-00ff00000a80'", "sa.GUID(length=16)", bytes.fromhex(FEDCBA)),
        ("BINARY(16)", f"x'{FEDCBA}'", "sa.String(36)", "fedcba98-7654-4210-8000-00ff00000a80"),
        ("DATETIME", "'2024-05-06 07:08:09.123456'", "sa.DateTimeUTC()", "2024-05-06 07:08:09.123456"),
        ("VARCHAR(1)", "'A'", "sa.Enum('A', 'BB', native_enum=False)", "A"),
        ("STRING", "'kept'", "sa.String(9)", "kept"),
        ("BINARY(16)", "x'0123456789abcdef0123456789abcdef'", "sa.Uuid()", "0123456789abcdef" * 2),
    ],
)
def test_a_value_stays_or_is_converted_exactly_when_its_type_changes_on_sqlite(
    sqlite: Database, run: Migrate, declared: str, stored: str, becomes: str, after: Any
) -> None:
    execute(
        sqlite,
        f"CREATE TABLE t (id INTEGER PRIMARY KEY, x {declared})",
        f"INSERT INTO t VALUES (1, {stored}), (2, NULL)",
    )
    run(sqlite, altered(f"'x', type_={becomes}"))
    assert rows(sqlite, "SELECT x FROM t ORDER BY id") == [(after,), (None,)]


@pytest.mark.parametrize(
    ("declared", "stored", "becomes"),
    [
        ("DATETIME", "'2024-05-06 07:08:09'", "sa.Date()"),
        ("DATE", "'31.12.1999'", "sa.DateTime()"),
        ("VARCHAR(9)", "'2024'", "sa.DateTime()"),
        ("VARCHAR(9)", "'x2'", "sa.Integer()"),
        ("VARCHAR(9)", "'007'", "sa.Integer()"),
        ("VARCHAR(30)", "'0.1000000000000000055'", "sa.Numeric(30, 20)"),
        ("INTEGER", "2", "sa.Boolean()"),
        ("INTEGER", "9007199254740993", "sa.Float()"),
        ("FLOAT", "1.5", "sa.Integer()"),
        ("NUMERIC(10, 3)", "1.125", "sa.Numeric(10, 2)"),
        ("VARCHAR(5)", "'1'", "sa.Boolean()"),
        ("TEXT", "'{'", "sa.JSON()"),
        ("TEXT", "'x'", "sa.LargeBinary()"),
        ("VARCHAR(36)", "'0123abcd-0000-4000-8000-00000000000g'", "sa.GUID(length=16)"),
        ("VARCHAR(36)", "'0123456789abcdef'", "sa.GUID(length=16)"),
        ("BINARY(16)", "x'0123'", "sa.String(36)"),
        ("BINARY(16)", "x'0123456789abcdef0123456789abcdef'", "sa.String(32)"),
        ("VARCHAR(2)", "'CC'", "sa.Enum('A', 'BB', native_enum=False)"),
        ("INTEGER", "NULL", "sa.Integer(), nullable=False"),
    ],
)
def test_a_value_that_its_new_type_would_change_is_named_and_stays_on_sqlite(
    sqlite: Database, run: Migrate, declared: str, stored: str, becomes: str
) -> None:
    execute(sqlite, f"CREATE TABLE t (k TEXT PRIMARY KEY, x {declared})", f"INSERT INTO t VALUES ('one', {stored})")
    before = rows(sqlite, "SELECT k, quote(x), typeof(x) FROM t"), definitions(sqlite)
    with pytest.raises(UnrepresentableValueError, match=r"t k=one: column 'x' holds .*\b(NOT NULL|as [A-Z]+)"):
        run(sqlite, altered(f"'x', type_={becomes}"))
    assert (rows(sqlite, "SELECT k, quote(x), typeof(x) FROM t"), definitions(sqlite)) == before


@pytest.mark.parametrize(
    ("old", "value", "new"),
    [
        ("TIMESTAMP", "'2024-05-06 07:08:09'", "sa.Date()"),
        ("NUMERIC(10, 3)", "1.125", "sa.Numeric(10, 2)"),
        ("NUMERIC(10, 3)", "1.125", "sa.Integer()"),
        ("TIMESTAMP", "'2024-05-06 07:08:09'", "sa.Time()"),
        ("VARCHAR(9)", "'x2'", "sa.Integer()"),
        ("VARCHAR(9)", "'3e2'", "sa.Numeric(10, 2)"),
        ("VARCHAR(10)", "'2024-02-30'", "sa.Date()"),
        ("VARCHAR(3)", "'C:x'", "sa.Enum('A', 'B%:x', native_enum=False)"),
        ("DATE", "'2024-05-06'", "sa.Integer()"),
        ("VARCHAR(9)", "'123456'", "sa.String(5)"),
        ("INTEGER", "123456", "sa.String(5)"),
        ("JSON", """'{"a": 1}'""", "sa.Integer()"),
    ],
)
def test_a_value_that_its_new_type_would_change_is_named_on_every_engine(
    database: Database, run: Migrate, old: str, value: str, new: str
) -> None:
    execute(database, f"CREATE TABLE t (id INTEGER PRIMARY KEY, x {old})", f"INSERT INTO t VALUES (3, {value})")
    before = rows(database, "SELECT * FROM t")
    with pytest.raises(UnrepresentableValueError, match="t id=3: column 'x' holds"):
        run(database, altered(f"'x', type_={new}"))
    assert rows(database, "SELECT * FROM t") == before


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (altered("'x', type_=sa.Integer()"), "t id=1: column 'x' holds 'a'"),
        ("op.execute('SELECT 1')\nop.execute('DROP TABLE nowhere')", "nowhere"),
        ("op.execute('SELECT 1')\n1 / 0", "ZeroDivisionError"),
    ],
)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_migration_that_fails_is_named_by_file_and_line(
    database: Database, run: Migrate, body: str, problem: str
) -> None:
    execute(database, "CREATE TABLE t (id INTEGER PRIMARY KEY, x VARCHAR(9))", "INSERT INTO t VALUES (1, 'a')")
    with pytest.raises(ToolkitError, match=problem) as caught:
        run(database, body)
    assert re.search(r"It happened in \w+_change_0\.py, line \d\d\.", caught.value.advice)


@pytest.mark.parametrize(
    ("old", "value", "new", "after"),
    [
        ("VARCHAR(9)", "'1.50'", "sa.Numeric(10, 2)", "1.5"),
        ("VARCHAR(9)", "'3'", "sa.Float()", "3.0"),
        ("VARCHAR(36)", "'0123ABCD-0000-4000-8000-000000000001'", "sa.Uuid()", "0123abcd000040008000000000000001"),
        ("BOOLEAN", "TRUE", "sa.String(5)", "true"),
    ],
)
def test_a_value_that_says_the_same_is_converted_on_every_engine(
    database: Database, run: Migrate, old: str, value: str, new: str, after: str
) -> None:
    execute(database, f"CREATE TABLE t (id INTEGER PRIMARY KEY, x {old})", f"INSERT INTO t VALUES (3, {value})")
    run(database, altered(f"'x', type_={new}"))
    ((found,),) = rows(database, "SELECT x FROM t")
    shown = str(found.normalize()) if isinstance(found, Decimal) else str(found)
    assert shown.replace("-", "") == after


# -- schema ------------------------------------------------------------------------------------------------------

EVERYTHING = (
    "CREATE TABLE p (id INTEGER PRIMARY KEY)",
    """CREATE TABLE t (
        id INTEGER PRIMARY KEY AUTOINCREMENT, -- numbered, never again
        a INTEGER,
        [b c] VARCHAR(20) COLLATE NOCASE NOT NULL ON CONFLICT IGNORE DEFAULT 'see :page' UNIQUE CHECK ([b c] <> 'x, ('),
        p_id INT REFERENCES p(id) ON DELETE SET NULL ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED,
        twice AS (a * 2) STORED, j JSON DEFAULT '{"mail":true}', m MONEY, raw,
        CHECK (a > 0 OR a < -5), CONSTRAINT "un named" UNIQUE (a, p_id) ON CONFLICT REPLACE
        CONSTRAINT own FOREIGN KEY (p_id) REFERENCES t(id) MATCH FULL
    )""",
    "CREATE UNIQUE INDEX lowered ON t (lower([b c]))",
    "CREATE INDEX descending ON t (a DESC, id) WHERE a > 10",
    "CREATE TRIGGER noted AFTER UPDATE OF a ON t BEGIN UPDATE t SET m = 1 WHERE id = new.id; END",
    "CREATE VIEW seen AS SELECT a, twice FROM t",
    "INSERT INTO t (id, a, [b c]) VALUES (1, 20, 'one'), (9, 30, 'nine')",
    "DELETE FROM t WHERE id = 9",
)


def test_what_a_migration_does_not_change_is_word_for_word_the_same_on_sqlite(sqlite: Database, run: Migrate) -> None:
    execute(sqlite, *EVERYTHING)
    before = definitions(sqlite)
    run(sqlite, altered("'a', nullable=False"))
    expected = [
        re.sub(
            r" -- numbered, never again| CONSTRAINT own",
            lambda found: "" if "--" in found[0] else ", CONSTRAINT own",
            each,
        )
        .replace("CREATE TABLE t ( ", 'CREATE TABLE "t" ( ')
        .replace("a INTEGER,", "a INTEGER NOT NULL,")
        .replace(" (t )", ")")
        for each in before
    ]
    assert definitions(sqlite) == expected
    execute(sqlite, "INSERT INTO t (a, [b c]) VALUES (40, 'next')", "UPDATE t SET a = 21 WHERE id = 1")
    assert rows(sqlite, "SELECT id, a, twice, m FROM t ORDER BY id") == [(1, 21, 42, 1), (10, 40, 80, None)]


def test_what_an_interrupted_migration_of_alembic_alone_left_is_named(sqlite: Database, run: Migrate) -> None:
    execute(sqlite, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)", "CREATE TABLE _alembic_tmp_t (id INTEGER)")
    with pytest.raises(
        MigrationError, match="there is a table _alembic_tmp_t, which a migration of Alembic alone leaves"
    ):
        run(sqlite, altered("'a', nullable=False"))
    assert rows(sqlite, "SELECT name FROM sqlite_master WHERE name LIKE '%t'") == [("t",), ("_alembic_tmp_t",)]


def test_a_table_strict_and_without_rowid_stays_so(sqlite: Database, run: Migrate) -> None:
    execute(sqlite, "CREATE TABLE t (k TEXT PRIMARY KEY, a INTEGER) STRICT, WITHOUT ROWID")
    run(sqlite, altered("'a', nullable=False"))
    assert definitions(sqlite) == ['CREATE TABLE "t" ( k TEXT PRIMARY KEY, a INTEGER NOT NULL ) STRICT, WITHOUT ROWID']


@pytest.mark.parametrize("more", ["", " WITHOUT ROWID"])
def test_what_analyze_found_out_stays_where_it_still_holds(sqlite: Database, run: Migrate, more: str) -> None:
    execute(
        sqlite,
        f"CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, c INTEGER, UNIQUE (c)){more}",
        "CREATE INDEX by_a ON t (a)",
        "CREATE INDEX by_b ON t (b, a)",
        "CREATE TABLE other (id INTEGER PRIMARY KEY, t INTEGER UNIQUE)",
        *(f"INSERT INTO t VALUES ({n}, {n // 3}, {n // 2}, {n})" for n in range(12)),
        "INSERT INTO other VALUES (1, 1)",
        "ANALYZE",
    )
    told = "SELECT * FROM sqlite_stat1 ORDER BY tbl, idx"
    before = rows(sqlite, told)
    run(sqlite, altered("'a', nullable=False, new_column_name='z'"))
    assert rows(sqlite, told) == before
    # An index that goes takes along what is known of it.
    run(sqlite, "with op.batch_alter_table('t') as batch:\n    batch.drop_index('by_b')\n    batch.drop_column('b')")
    assert rows(sqlite, told) == [each for each in before if each[1] != "by_b"]


def test_the_row_is_named_that_a_check_of_a_new_column_refuses(sqlite: Database, run: Migrate) -> None:
    execute(sqlite, "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER)", "INSERT INTO t VALUES (1, 1), (2, 9)")
    with pytest.raises(MigrationError, match="t id=2 does not fit the migration: CHECK constraint failed: c > a"):
        run(sqlite, "op.add_column('t', sa.Column('c', sa.Integer, sa.CheckConstraint('c > a'), server_default='7'))")
    assert definitions(sqlite) == ["CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER)"]


def test_a_strict_table_gets_the_types_that_it_takes(sqlite: Database, run: Migrate, project: Config) -> None:
    execute(
        sqlite,
        "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, a TEXT, b TEXT) STRICT",
        "INSERT INTO t VALUES (1, 'x', '7')",
    )
    run(sqlite, altered("'a', type_=sa.String(20), nullable=False"))
    run(sqlite, altered("'b', type_=sa.BigInteger()"))
    run(sqlite, "op.add_column('t', sa.Column('c', sa.Numeric(9, 2)))\nop.add_column('t', sa.Column('d', sa.Date()))")
    assert definitions(sqlite) == [
        'CREATE TABLE "t" ( id INTEGER NOT NULL PRIMARY KEY, a TEXT NOT NULL, b INTEGER, c ANY, d TEXT ) STRICT'
    ]
    assert rows(sqlite, "SELECT a, b, typeof(b) FROM t") == [("x", 7, "integer")]
    told = history.make_migrations(sqlite, replace(project, metadata=f"{__name__}:STRICT"), "none", autogenerate=True)
    assert told is None


@pytest.mark.parametrize("key", ["k TEXT PRIMARY KEY", "k TEXT", "k TEXT, rowid TEXT"])
def test_rows_keep_the_numbers_by_which_a_full_text_index_knows_them(sqlite: Database, run: Migrate, key: str) -> None:
    execute(
        sqlite,
        f"CREATE TABLE t ({key}, a TEXT)",
        "INSERT INTO t (k, a) VALUES ('z', 'apple'), ('y', 'banana'), ('x', 'cherry')",
        "DELETE FROM t WHERE k = 'z'",
        "CREATE VIRTUAL TABLE found USING fts5(a, content='t', content_rowid='_rowid_')",
        "INSERT INTO found (found) VALUES ('rebuild')",
    )
    run(sqlite, altered("'a', nullable=False"))
    assert rows(sqlite, "SELECT t._rowid_, k FROM t ORDER BY k DESC") == [(2, "y"), (3, "x")]
    assert rows(sqlite, "SELECT k FROM t WHERE _rowid_ IN (SELECT rowid FROM found('cherry'))") == [("x",)]


def test_rows_are_numbered_by_the_key_that_they_get(sqlite: Database, run: Migrate) -> None:
    execute(sqlite, "CREATE TABLE t (k VARCHAR(9) PRIMARY KEY)", "INSERT INTO t VALUES ('7'), ('5')")
    run(sqlite, altered("'k', type_=sa.Integer()"))
    assert rows(sqlite, "SELECT rowid, k FROM t ORDER BY k") == [(5, 5), (7, 7)]


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("k INTEGER", "with op.batch_alter_table('t') as batch_op:\n    batch_op.create_primary_key('pk', ['k'])"),
        ("k TEXT PRIMARY KEY", altered("'k', type_=sa.Integer()")),
    ],
)
def test_a_row_without_a_key_gets_no_number_for_one(sqlite: Database, run: Migrate, key: str, change: str) -> None:
    execute(sqlite, f"CREATE TABLE t ({key}, a TEXT)", "INSERT INTO t VALUES (7, 'a'), (NULL, 'b')")
    with pytest.raises(
        UnrepresentableValueError, match=r"t .*: column 'k' holds NULL, but becomes the number of its row"
    ):
        run(sqlite, change)
    assert rows(sqlite, "SELECT a FROM t WHERE k IS NULL") == [("b",)]


def test_operations_of_a_batch_change_what_they_name_and_nothing_else(sqlite: Database, run: Migrate) -> None:
    execute(
        sqlite,
        "CREATE TABLE p (id INTEGER PRIMARY KEY)",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INT, b TEXT COLLATE RTRIM, c TEXT UNIQUE, d INT DEFAULT 1, "
        "CHECK (length(b) > 1), CHECK (c <> d), CONSTRAINT short CHECK (a < 9), "
        "CONSTRAINT fk FOREIGN KEY (a) REFERENCES p (id))",
        "CREATE INDEX ix_a ON t (a)",
        "CREATE INDEX ix_c ON t (lower(c))",
        "CREATE TABLE child (t_b TEXT REFERENCES t (b))",
        "INSERT INTO p VALUES (2)",
        "INSERT INTO t VALUES (1, 2, 'bb', 'c', 3)",
    )
    run(
        sqlite,
        """
with op.batch_alter_table("t") as batch_op:
    batch_op.drop_constraint("short", type_="check")
    batch_op.drop_constraint("fk", type_="foreignkey")
    batch_op.create_foreign_key("fk", "p", ["a"], ["id"], ondelete="CASCADE")
    batch_op.create_check_constraint("long", "a > 1")
    batch_op.create_unique_constraint("uq", ["b", "a"])
    batch_op.drop_column("d")
    batch_op.drop_index("ix_c")
    batch_op.alter_column("b", new_column_name="named", nullable=False)
    batch_op.alter_column("a", server_default="7", type_=sa.BigInteger())
    batch_op.add_column(sa.Column("e", sa.String(5), server_default="see :x"), insert_after="a")
    batch_op.create_index("ix_e", ["e", "b"])
""",
    )
    table = next(each for each in definitions(sqlite) if each.startswith('CREATE TABLE "t"'))
    assert table == (
        "CREATE TABLE \"t\" ( id INTEGER PRIMARY KEY, a BIGINT DEFAULT '7', e VARCHAR(5) DEFAULT 'see :x', "
        '"named" TEXT COLLATE RTRIM NOT NULL, c TEXT UNIQUE, CHECK (length("named") > 1), '
        "CONSTRAINT fk FOREIGN KEY(a) REFERENCES p (id) ON DELETE CASCADE, CONSTRAINT long CHECK (a > 1), "
        'CONSTRAINT uq UNIQUE ("named", a) )'
    )
    assert definitions(sqlite)[:2] == ["CREATE INDEX ix_a ON t (a)", "CREATE INDEX ix_e ON t (e, named)"]
    assert 'CREATE TABLE child (t_b TEXT REFERENCES t ("named"))' in definitions(sqlite)
    assert rows(sqlite, "SELECT * FROM t") == [(1, 2, "see :x", "bb", "c")]


@pytest.mark.parametrize(
    ("depending", "named"),
    [
        ("CREATE VIEW seen AS SELECT gone FROM t", "the view seen"),
        ("CREATE TRIGGER tell AFTER DELETE ON t BEGIN INSERT INTO other VALUES (old.gone); END", "the trigger tell"),
        ("CREATE TRIGGER tell AFTER INSERT ON other BEGIN INSERT INTO t (gone) VALUES (1); END", "the trigger tell"),
        ("CREATE TRIGGER tell AFTER UPDATE OF gone ON t BEGIN SELECT 1; END", "the trigger tell"),
        ("CREATE TABLE child (of INT REFERENCES t (gone))", "the foreign key of child"),
    ],
)
def test_a_column_that_a_view_a_trigger_or_a_foreign_key_names_does_not_go(
    sqlite: Database, run: Migrate, depending: str, named: str
) -> None:
    execute(
        sqlite, "CREATE TABLE t (id INTEGER PRIMARY KEY, gone INT UNIQUE, a INT)", "CREATE TABLE other (x)", depending
    )
    execute(sqlite, "CREATE VIEW broken_before AS SELECT * FROM nowhere", "INSERT INTO t (gone) VALUES (5)")
    before = definitions(sqlite)
    with pytest.raises(MigrationError, match=f"t cannot be changed in this way: {named} "):
        run(sqlite, "with op.batch_alter_table('t') as batch_op:\n    batch_op.drop_column('gone')")
    assert definitions(sqlite) == before
    assert rows(sqlite, "SELECT gone FROM t") == [(5,)]


def test_a_column_is_renamed_wherever_it_is_named(sqlite: Database, run: Migrate) -> None:
    execute(
        sqlite,
        "CREATE TABLE p (id INTEGER PRIMARY KEY)",
        "CREATE TABLE c (p_id INTEGER REFERENCES p (id))",
        "CREATE VIEW seen AS SELECT id FROM p",
    )
    run(sqlite, altered("'id', new_column_name='key', existing_type=sa.Integer()", "p"))
    assert definitions(sqlite) == [
        'CREATE TABLE c (p_id INTEGER REFERENCES p ("key"))',
        'CREATE TABLE p ("key" INTEGER PRIMARY KEY)',
        'CREATE VIEW seen AS SELECT "key" FROM p',
    ]


def test_a_column_that_is_named_like_something_else_takes_only_itself_along(sqlite: Database, run: Migrate) -> None:
    execute(
        sqlite,
        "CREATE TABLE p (a INTEGER PRIMARY KEY)",
        "CREATE TABLE t (id INTEGER, a TEXT COLLATE nocase REFERENCES p (a) CHECK (length(a) > 1), "
        "length INT, nocase INT, p INT, ix INT)",
        "CREATE INDEX ix ON t (upper(a))",
    )
    gone = "".join(f"\n    batch_op.drop_column('{each}')" for each in ("length", "nocase", "p", "ix"))
    run(sqlite, f"with op.batch_alter_table('t') as batch_op:{gone}")
    assert definitions(sqlite) == [
        "CREATE INDEX ix ON t (upper(a))",
        "CREATE TABLE p (a INTEGER PRIMARY KEY)",
        'CREATE TABLE "t" ( id INTEGER, a TEXT COLLATE nocase REFERENCES p (a) CHECK (length(a) > 1) )',
    ]
    run(sqlite, altered("'a', new_column_name='b', nullable=False"))
    assert 'REFERENCES p (a) CHECK (length("b") > 1) NOT NULL' in definitions(sqlite)[-1]


@pytest.mark.parametrize(
    ("options", "operation", "lost"),
    [
        ("", "create_unique_constraint('uq', ['a'], sqlite_on_conflict='REPLACE')", "the number of rows of t .2."),
        ("", "drop_column('a')", r"the clause generated always as \( a \* 2 \) of t.z"),
        (
            "copy_from=sa.Table('t', sa.MetaData(), sa.Column('id', sa.Integer, primary_key=True))",
            "alter_column('id', server_default='1')",
            "the column a of t",
        ),
    ],
)
def test_what_a_rebuild_on_sqlite_would_lose_fails_it(
    sqlite: Database, run: Migrate, options: str, operation: str, lost: str
) -> None:
    execute(
        sqlite,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INT, z INT GENERATED ALWAYS AS (a * 2))",
        "INSERT INTO t (id, a) VALUES (1, 2), (2, 2)",
    )
    before = definitions(sqlite)
    with pytest.raises(MigrationError, match=f"t cannot be changed in this way: {lost}.* would be lost or changed"):
        run(sqlite, f"with op.batch_alter_table('t', {options}) as batch_op:\n    batch_op.{operation}")
    assert (definitions(sqlite), rows(sqlite, "SELECT * FROM t")) == (before, [(1, 2, 4), (2, 2, 4)])


@pytest.mark.parametrize(
    ("operation", "problem"),
    [
        ("create_check_constraint('low', 'a < 6')", "t id=2 does not fit the migration: CHECK .* low"),
        ("create_unique_constraint('uq', ['b'])", r"t id=2 does not fit the migration: UNIQUE .* t\.b"),
        ("add_column(sa.Column('z', sa.Integer, nullable=False))", r"t id=1 does not fit .*: NOT NULL .* t\.z"),
        ("create_index('uq', ['b'], unique=True)", "t: 2 rows have b=3, which uq is to keep unique"),
    ],
)
def test_a_row_that_a_migration_makes_wrong_is_named_on_sqlite(
    sqlite: Database, run: Migrate, operation: str, problem: str
) -> None:
    execute(
        sqlite, "CREATE TABLE t (id INTEGER PRIMARY KEY, a INT, b INT)", "INSERT INTO t VALUES (1, 5, 3), (2, 7, 3)"
    )
    with pytest.raises(MigrationError, match=problem):
        run(sqlite, f"with op.batch_alter_table('t') as batch_op:\n    batch_op.{operation}")
    assert rows(sqlite, "SELECT * FROM t") == [(1, 5, 3), (2, 7, 3)]


BIG = sa.MetaData()
sa.Table("t", BIG, sa.Column("id", sa.BigInteger, primary_key=True))


@pytest.mark.parametrize("autoincrement", ["", " AUTOINCREMENT"])
def test_sqlite_goes_on_numbering_rows_whose_key_becomes_bigger(
    project: Config, sqlite: Database, run: Migrate, autoincrement: str
) -> None:
    execute(
        sqlite,
        f"CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY{autoincrement})",
        f"INSERT INTO t VALUES ({2**60})",
    )
    run(sqlite, altered("'id', existing_type=sa.Integer(), type_=sa.BigInteger()"))
    execute(sqlite, "INSERT INTO t DEFAULT VALUES")
    assert rows(sqlite, "SELECT max(id) FROM t") == [(2**60 + 1,)]
    assert migrate.check(sqlite, replace(project, metadata=f"{__name__}:BIG")).changes == ()


def test_a_table_that_cannot_be_taken_apart_is_refused(sqlite: Database, run: Migrate) -> None:
    execute(sqlite, "CREATE VIRTUAL TABLE words USING fts5(a)")
    with pytest.raises(ToolkitError, match="words cannot be changed in this way: it is a virtual table"):
        run(sqlite, altered("'a', nullable=False", "words"))


ENUM = "name='kind', native_enum=False, create_constraint=True"
NAMED = "naming_convention={'uq': 'uq_%(table_name)s_%(column_0_name)s'}"


@pytest.mark.parametrize(
    ("declared", "options", "operation", "expected"),
    [
        ("a INT, c TEXT UNIQUE", NAMED, "drop_constraint('uq_t_c', type_='unique')", "a INT, c TEXT"),
        ("a INT, c INT, UNIQUE (c, a)", NAMED, "drop_constraint('uq_t_c', type_='unique')", "a INT, c INT"),
        (
            "a INT, b INT, c INT, PRIMARY KEY (a, b)",
            "",
            "drop_column('b')",
            "a INT, c INT, PRIMARY KEY (a)",
        ),
        (
            "a INTEGER NOT NULL PRIMARY KEY, b INT",
            "table_kwargs={'sqlite_autoincrement': True}",
            "alter_column('b', nullable=False)",
            "a INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, b INT NOT NULL",
        ),
        (
            "a INT CHECK (a > 0), b INT",
            "table_args=[sa.CheckConstraint('a > 0')]",
            "alter_column('b', server_default='5')",
            "a INT CHECK (a > 0), b INT DEFAULT '5'",
        ),
        (
            "k VARCHAR(1), CONSTRAINT kind CHECK (k IN ('A'))",
            "",
            f"alter_column('k', existing_type=sa.Enum('A', {ENUM}), type_=sa.Enum('A', 'CC', {ENUM}))",
            "k VARCHAR(2), CONSTRAINT kind CHECK (k IN ('A', 'CC'))",
        ),
        (
            "a INT, \"order\" TEXT DEFAULT (x'00' || 1), parent INT REFERENCES t (a) ON DELETE CASCADE",
            "recreate='always'",
            "alter_column('a', nullable=True)",
            "a INT, \"order\" TEXT DEFAULT (x'00' || 1), parent INT REFERENCES t (a) ON DELETE CASCADE",
        ),
        (
            "a INT, b INT",
            "",
            "create_primary_key('pk', ['a'])",
            "a INT, b INT, CONSTRAINT pk PRIMARY KEY (a)",
        ),
        (
            "k VARCHAR(1), CONSTRAINT kind CHECK (k IN ('A'))",
            "",
            f"alter_column('k', new_column_name='l', nullable=False, existing_type=sa.Enum('A', {ENUM}))",
            '"l" VARCHAR(1) NOT NULL, CONSTRAINT kind CHECK ("l" IN (\'A\'))',
        ),
        ("a INT, b INT DEFAULT 4", "", "alter_column('b', server_default=None)", "a INT, b INT"),
    ],
)
def test_a_definition_is_changed_where_the_operation_says(
    sqlite: Database, run: Migrate, declared: str, options: str, operation: str, expected: str
) -> None:
    execute(sqlite, f"CREATE TABLE t ({declared})")
    run(sqlite, f"with op.batch_alter_table('t', {options}) as batch_op:\n    batch_op.{operation}")
    assert definitions(sqlite)[-1] == f'CREATE TABLE "t" ( {expected} )'


def test_a_change_that_depends_on_the_rows_is_not_written_as_sql(
    project: Config, sqlite: Database, run: Migrate
) -> None:
    table = "sa.Table('t', sa.MetaData(), sa.Column('id', sa.Integer, primary_key=True), sa.Column('x', sa.String(9)))"
    execute(sqlite, "CREATE TABLE t (id INTEGER PRIMARY KEY, x VARCHAR(9))")
    run(sqlite, altered("'x', type_=sa.String(10)").replace("'t'", f"'t', copy_from={table}"))
    assert "VARCHAR(10)" in (migrate.upgrade(sqlite, project, "base:head", sql=True).sql or "")
    run(sqlite, altered("'x', type_=sa.Integer()").replace("'t'", f"'t', copy_from={table}"))
    with pytest.raises(MigrationError, match="Whether x can become INTEGER depends on the rows"):
        migrate.upgrade(sqlite, project, "base:head", sql=True)


def test_a_rebuild_on_duckdb_changes_the_comment_that_it_is_to_change(project: Config, run: Migrate) -> None:
    database = project.database("duckdb")
    execute(database, "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER)", "COMMENT ON TABLE t IS 'old'")
    run(database, altered("'a', nullable=False") + "\n    batch_op.create_table_comment('new', existing_comment='old')")
    assert rows(database, "SELECT comment FROM duckdb_tables() WHERE table_name = 't'") == [("new",)]


@pytest.mark.parametrize(
    ("declared", "operation", "lost"),
    [
        ("x INTEGER REFERENCES p (id)", "alter_column('a', nullable=False)", "without its foreign key"),
        ("x INTEGER UNIQUE", "alter_column('a', nullable=False)", "a foreign key .of c. references"),
        ("x INTEGER", "", "the column|the type of t.x .INTEGER."),
    ],
)
def test_what_a_rebuild_on_duckdb_would_lose_fails_it(
    project: Config, run: Migrate, declared: str, operation: str, lost: str
) -> None:
    database = project.database("duckdb")
    execute(
        database,
        "CREATE TABLE p (id INTEGER PRIMARY KEY)",
        f"CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, {declared})",
        *(["CREATE TABLE c (x INTEGER REFERENCES t (x))"] if "UNIQUE" in declared else []),
        "INSERT INTO t VALUES (1, 2, NULL)",
    )
    columns = "sa.Column('id', sa.Integer, primary_key=True), sa.Column('a', sa.Integer)"
    options = "" if operation else f", copy_from=sa.Table('t', sa.MetaData(), {columns})"
    change = operation or "alter_column('a', nullable=False)"
    with pytest.raises(MigrationError, match=f"t cannot be changed in this way: .*({lost})"):
        run(database, f"with op.batch_alter_table('t'{options}) as batch_op:\n    batch_op.{change}")
    assert rows(database, "SELECT * FROM t") == [(1, 2, None)]


@pytest.mark.parametrize("name", ["sqlite", "duckdb"])
def test_a_rebuild_that_fails_leaves_the_table_also_where_nothing_is_undone(
    project: Config, run: Migrate, name: str
) -> None:
    database = project.database(name)
    execute(database, "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, x INTEGER)", "INSERT INTO t VALUES (1, 2, 3)")
    columns = "sa.Column('id', sa.Integer, primary_key=True), sa.Column('a', sa.Integer)"
    change = altered("'a', nullable=False").replace("'t'", f"'t', copy_from=sa.Table('t', sa.MetaData(), {columns})")
    with pytest.raises(MigrationError, match="t cannot be changed in this way"):
        run(database, "with op.get_context().autocommit_block():\n    " + change.replace("\n", "\n    "))
    with connected(database) as connection:
        assert {*sa.inspect(connection).get_table_names()} <= {"t", "alembic_versions"}
    assert rows(database, "SELECT * FROM t") == [(1, 2, 3)]


def test_a_rebuild_on_duckdb_keeps_what_the_catalogue_has(project: Config, run: Migrate) -> None:
    database = project.database("duckdb")
    execute(
        database,
        "CREATE TYPE mood AS ENUM ('a', 'b')",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER DEFAULT 7 CHECK (a > 0), m mood, s STRUCT(x INTEGER), "
        "l INTEGER[], n TIMESTAMP_NS, h HUGEINT, UNIQUE (a, h), g INTEGER GENERATED ALWAYS AS (a * 2))",
        "CREATE INDEX i ON t (abs(a))",
        "COMMENT ON INDEX i IS 'it''s :x'",
        "COMMENT ON COLUMN t.a IS '5%'",
        "INSERT INTO t (id, a, m, s, l, n) VALUES (1, 5, 'a', {'x': 1}, [1, NULL], '2024-05-06 07:08:09.123456789')",
    )
    queries = (
        "SELECT id, a, CAST((m, s, l, n, g) AS VARCHAR) FROM t",
        "SELECT column_name, data_type, column_default, comment FROM duckdb_columns() WHERE table_name = 't'",
        "SELECT index_name, comment FROM duckdb_indexes() WHERE index_name = 'i'",
    )
    before = [rows(database, query) for query in queries]
    run(database, altered("'a', nullable=False"))
    assert [rows(database, query) for query in queries] == before
    with pytest.raises(sa.exc.DBAPIError, match="CHECK"):
        execute(database, "INSERT INTO t (id, a) VALUES (2, -1)")


@pytest.mark.parametrize(
    ("operation", "problem"),
    [
        ("create_check_constraint('low', 'a < 6')", "t does not fit the migration: .*CHECK .*low"),
        ("create_primary_key('pk', ['b'])", r"t does not fit the migration: .*duplicate key .3"),
        (
            "add_column(sa.Column('z', sa.Integer, nullable=False))",
            r"t does not fit .*: .*NOT NULL constraint failed: t\.z",
        ),
        ("create_index('uq', ['b'], unique=True)", "t: 2 rows have b=3, which uq is to keep unique"),
        ("drop_column('a')", "(?i)generated column"),
    ],
)
def test_what_makes_a_rebuild_on_duckdb_fail_is_not_hidden_by_its_transactions_end(
    project: Config, run: Migrate, operation: str, problem: str
) -> None:
    database = project.database("duckdb")
    execute(database, "CREATE TABLE t (a INTEGER, b INTEGER, g INTEGER GENERATED ALWAYS AS (a * 2))")
    execute(database, "INSERT INTO t VALUES (5, 3), (7, 3)")
    with pytest.raises(ToolkitError, match=problem):
        run(database, f"with op.batch_alter_table('t') as batch_op:\n    batch_op.{operation}")
    assert rows(database, "SELECT a, b FROM t") == [(5, 3), (7, 3)]


NUMBERED = sa.MetaData()
sa.Table("t", NUMBERED, sa.Column("id", sa.Integer, primary_key=True), sa.Column("a", sa.Integer))


@pytest.mark.parametrize("more", ["", ", existing_type=sa.Integer(), type_=sa.BigInteger()"])
def test_a_sequence_of_duckdb_follows_its_columns_name(project: Config, run: Migrate, more: str) -> None:
    database = project.database("duckdb")
    with connected(database) as connection:
        NUMBERED.create_all(connection)
        connection.exec_driver_sql("INSERT INTO t (a) VALUES (5)")
    run(database, altered(f"'id', new_column_name='key'{more}"))
    execute(database, "INSERT INTO t (a) VALUES (6)")
    assert rows(database, "SELECT key, a FROM t ORDER BY a") == [(1, 5), (2, 6)]
    assert rows(database, "SELECT sequence_name FROM duckdb_sequences()") == [("t_key_seq",)]
    run(database, "op.drop_table('t')")
    assert rows(database, "SELECT sequence_name FROM duckdb_sequences()") == []


def test_a_unique_index_of_an_expression_is_made_on_every_engine(database: Database, run: Migrate) -> None:
    execute(database, "CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR(9))", "INSERT INTO t VALUES (1, 'a')")
    run(database, "op.create_index('i', 't', [sa.literal_column('lower(a)')], unique=True)")
    with pytest.raises(sa.exc.DBAPIError, match=r"(?i)unique|duplicate"):
        execute(database, "INSERT INTO t VALUES (2, 'A')")


def test_a_check_on_duckdb_follows_and_goes_with_a_column_of_a_hostile_name(project: Config, run: Migrate) -> None:
    database = project.database("duckdb")
    execute(
        database,
        """CREATE TABLE t ("q""t" INTEGER UNIQUE, "x:y" INTEGER CHECK ("x:y" <> 1), z INTEGER CHECK (z <> 1),
        UNIQUE ("q""t", z))""",
    )
    gone = "\n    batch_op.drop_column('x:y')"
    run(database, altered("'z', new_column_name='a:b', existing_type=sa.Integer(), nullable=False") + gone)
    checks = "SELECT constraint_text FROM duckdb_constraints() WHERE constraint_type = 'CHECK'"
    assert rows(database, checks) == [("""CHECK((('t_z_check' IS NOT NULL) AND ("a:b" != 1)))""",)]
    indexes = "SELECT sql FROM duckdb_indexes() ORDER BY index_name"
    assert [sql.partition("ON ")[2] for (sql,) in rows(database, indexes)] == ['t("q""t");', 't("q""t", "a:b");']


# -- what depends on tables --------------------------------------------------------------------------------------

VIEW, CHILD = "CREATE VIEW seen AS SELECT a FROM t", "CREATE TABLE c (t_id INTEGER REFERENCES t (id))"


@pytest.mark.parametrize(
    ("name", "depending", "change", "broken"),
    [
        ("sqlite", VIEW, "op.drop_table('t')", "the view seen"),
        ("sqlite", CHILD, "op.drop_table('t')", "the foreign key of c"),
        ("duckdb", VIEW, "op.drop_table('t')", "the view seen"),
        ("duckdb", VIEW, "op.rename_table('t', 'u')", "the view seen"),
        ("duckdb", VIEW, "op.alter_column('t', 'a', new_column_name='b')", "the view seen"),
        ("duckdb", VIEW, "op.drop_column('t', 'a')", "the view seen"),
    ],
)
def test_a_migration_that_leaves_something_broken_behind_fails(
    project: Config, run: Migrate, name: str, depending: str, change: str, broken: str
) -> None:
    database = project.database(name)
    execute(database, "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER)", "CREATE TABLE gone (a INTEGER)")
    execute(database, depending, "CREATE VIEW no_more AS SELECT a FROM gone", "DROP TABLE gone")
    with pytest.raises(MigrationError, match=f"The migration to .* no longer works: {broken} "):
        run(database, change)
    assert rows(database, "SELECT a FROM t") == []


def test_what_only_an_applications_own_connections_know_is_not_broken(sqlite: Database, run: Migrate) -> None:
    execute(sqlite, "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER)", VIEW)
    made = (
        "CREATE VIEW own AS SELECT own_function(a) FROM t",
        "CREATE TRIGGER tell INSTEAD OF INSERT ON seen BEGIN INSERT INTO t (a) VALUES (own_function(new.a)); END",
        "CREATE TRIGGER through INSTEAD OF INSERT ON own BEGIN INSERT INTO t (a) VALUES (5); END",
    )
    run(sqlite, "\n".join(f"op.execute({each!r})" for each in made))
    run(sqlite, altered("'a', nullable=False"))
    assert {*made, VIEW} <= {*definitions(sqlite)}


def test_a_view_may_be_made_again_in_the_migration_that_changes_its_table(project: Config, run: Migrate) -> None:
    for database in (project.database("sqlite"), project.database("duckdb")):
        execute(database, "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER)", VIEW)
    run(
        project.database("sqlite"),
        "op.execute('DROP VIEW seen')\nop.rename_table('t', 'u')\nop.execute('CREATE VIEW seen AS SELECT a FROM u')",
    )
    migrate.upgrade(project.database("duckdb"), project)
    assert rows(project.database("duckdb"), "SELECT * FROM seen") == []


def test_a_collation_that_a_rebuild_on_duckdb_would_lose_is_told(project: Config, run: Migrate) -> None:
    database = project.database("duckdb")
    execute(database, """CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR COLLATE nocase, "collate" VARCHAR)""")
    with pytest.raises(MigrationError, match=r"t cannot be changed in this way: DuckDB .* a column's collation"):
        run(database, altered("'a', nullable=False"))
    execute(database, "CREATE TABLE u (id INTEGER PRIMARY KEY, \"collate\" VARCHAR DEFAULT ' collate ')")
    migrate.stamp(database, project, "head")
    run(database, altered("'collate', nullable=False", "u"))


@pytest.mark.parametrize("name", ["sqlite", "duckdb"])
def test_a_row_without_a_value_is_named_when_its_column_is_to_have_one(
    project: Config, run: Migrate, name: str
) -> None:
    database = project.database(name)
    execute(database, "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER)", "INSERT INTO t VALUES (1, 5), (2, NULL)")
    with pytest.raises(UnrepresentableValueError, match="t id=2: column 'a' holds NULL, but it becomes NOT NULL"):
        run(database, altered("'a', nullable=False"))


@pytest.mark.parametrize(
    ("old", "value", "new", "problem"),
    [
        ("INTEGER", "70000", "sa.SmallInteger()", "t id=3: column 'x' holds 70000, which would change as"),
        ("NUMERIC(10, 2)", "12345678.25", "sa.Numeric(5, 2)", "t id=3: column 'x' holds .*12345678.25"),
        ("BYTEA", r"'\xc3a9'", "sa.Text()", "t id=3: column 'x' holds"),
        ("POINT", "'(1, 2)'", "sa.Date()", "t id=3: column 'x' holds"),
        ("INTEGER", "NULL", "sa.Integer(), nullable=False", "t id=3: column 'x' holds NULL, but it becomes NOT NULL"),
    ],
)
def test_a_value_that_postgres_refuses_is_named_with_its_row(
    project: Config, run: Migrate, old: str, value: str, new: str, problem: str
) -> None:
    database = project.database("postgres")
    execute(database, f"CREATE TABLE t (id INTEGER PRIMARY KEY, x {old})", f"INSERT INTO t VALUES (3, {value})")
    with pytest.raises(UnrepresentableValueError, match=problem):
        run(database, altered(f"'x', type_={new}"))


@pytest.mark.parametrize(
    ("operation", "problem"),
    [
        (
            "create_check_constraint('low', \"a < 6 AND z <> '5%%'\")",
            "t id=2 does not fit the migration: .*low",
        ),
        (
            "create_unique_constraint('uq', ['b'])",
            r"t does not fit the migration: .*\(b\)=\(3\) is duplicated",
        ),
        ("create_index('uq', ['b'], unique=True)", r"t does not fit the migration: .*\(b\)=\(3\) is dupl"),
        ("create_foreign_key('fk', 't', ['b'], ['id'])", "t id=1: column 'b' holds 3, which no row of t has"),
    ],
)
def test_a_row_that_a_migration_makes_wrong_is_named_on_postgres(
    project: Config, run: Migrate, operation: str, problem: str
) -> None:
    database = project.database("postgres")
    execute(database, "CREATE TABLE t (id INTEGER PRIMARY KEY, a INT, b INT, z TEXT DEFAULT 'z')")
    execute(database, "INSERT INTO t VALUES (1, 5, 3), (2, 7, 3)")
    with pytest.raises(ToolkitError, match=problem):
        run(database, f"with op.batch_alter_table('t') as batch_op:\n    batch_op.{operation}")


@pytest.mark.parametrize(
    ("operations", "problem"),
    [
        ("create_check_constraint('low', \"a < 6 AND z <> '5%%'\")", "t id=2 does not fit .*: it breaks the check low"),
        ("alter_column('a', type_=sa.BigInteger())\n    batch_op.create_check_constraint('low', 'a < 6')", "low"),
        (
            "add_column(sa.Column('n', sa.Integer()))\n    batch_op.create_check_constraint('low', 'n IS NOT NULL')",
            "low",
        ),
    ],
    ids=["plain", "retyped", "new column"],
)
def test_a_row_that_breaks_a_new_check_is_named_on_duckdb(
    project: Config, run: Migrate, operations: str, problem: str
) -> None:
    database = project.database("duckdb")
    execute(database, "CREATE TABLE t (id INTEGER PRIMARY KEY, a INT, b INT, z TEXT DEFAULT 'z')")
    execute(database, "INSERT INTO t VALUES (1, 5, 3, 'z'), (2, 7, 3, 'z')")
    with pytest.raises(MigrationError, match=problem):
        run(database, f"with op.batch_alter_table('t') as batch_op:\n    batch_op.{operations}")
    assert rows(database, "SELECT * FROM t ORDER BY id") == [(1, 5, 3, "z"), (2, 7, 3, "z")]


def test_operations_outside_of_batches_do_the_same_on_every_engine(database: Database, run: Migrate) -> None:
    execute(database, "CREATE TABLE p (id INTEGER PRIMARY KEY)", "INSERT INTO p VALUES (5)")
    execute(database, "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, a VARCHAR(9), b INTEGER)")
    execute(database, "INSERT INTO t VALUES (1, '7', 5)")
    operations = (
        "alter_column('t', 'a', existing_type=sa.String(9), type_=sa.Integer(), nullable=False)",
        "create_check_constraint('low', 't', 'a < 9')",
        "create_unique_constraint('uq', 't', ['b'])",
        "create_foreign_key('fk', 't', 'p', ['b'], ['id'])",
        "alter_column('t', 'b', new_column_name='c')",
    )
    run(database, "\n".join(f"op.{each}" for each in operations))
    with connected(database) as connection:
        inspector = sa.inspect(connection)
        assert [each["nullable"] for each in inspector.get_columns("t")] == [False, False, True]
        assert "low" in {each["name"] for each in inspector.get_check_constraints("t")}
        assert ["c"] in [each["column_names"] for each in inspector.get_unique_constraints("t")]
    assert rows(database, "SELECT * FROM t") == [(1, 7, 5)]
    with pytest.raises(MigrationError, match=r"t(\.| has no column ')none"):
        run(database, "op.alter_column('t', 'none', type_=sa.Integer())")


def test_what_stands_in_the_way_of_a_change_on_postgres_is_named(project: Config, run: Migrate) -> None:
    database = project.database("postgres")
    execute(database, "CREATE TABLE t (id INTEGER PRIMARY KEY, x INTEGER)", "CREATE VIEW seen AS SELECT x FROM t")
    with pytest.raises(MigrationError, match=r"t\.x cannot be changed in this way: .*view seen depends on column"):
        run(database, altered("'x', type_=sa.BigInteger()"))


def test_a_default_goes_along_with_its_columns_type_on_postgres(project: Config, run: Migrate) -> None:
    database = project.database("postgres")
    execute(database, "CREATE TABLE t (id INTEGER PRIMARY KEY, x INTEGER DEFAULT 1)")
    run(database, altered("'x', type_=sa.Boolean()"))
    execute(database, "INSERT INTO t VALUES (1)")
    run(database, altered("'x', type_=sa.Integer(), server_default='7'"))
    execute(database, "INSERT INTO t VALUES (2)")
    assert rows(database, "SELECT x FROM t ORDER BY id") == [(1,), (7,)]


def test_a_moment_becomes_one_with_a_zone_as_of_utc_whatever_the_sessions_zone(project: Config, run: Migrate) -> None:
    database = project.database("postgres")
    moment = "2024-05-06 07:08:09"
    execute(database, "CREATE TABLE t (x TIMESTAMP)", f"INSERT INTO t VALUES ('{moment}')")
    run(database, "op.execute('SET TIME ZONE 3')\n" + altered("'x', type_=sa.DateTime(timezone=True)"))
    assert rows(database, f"SELECT x = '{moment}Z' FROM t") == [(True,)]
    run(database, "op.execute('SET TIME ZONE 3')\n" + altered("'x', type_=sa.DateTime()"))
    assert rows(database, f"SELECT x = '{moment}' FROM t") == [(True,)]


def test_what_becomes_of_a_value_may_be_said_on_postgres(project: Config, run: Migrate) -> None:
    database = project.database("postgres")
    execute(database, "CREATE TABLE t (id INTEGER PRIMARY KEY, x NUMERIC(5, 1))", "INSERT INTO t VALUES (1, 1.5)")
    run(database, "op.alter_column('t', 'x', type_=sa.Integer(), postgresql_using='floor(x)')")
    assert rows(database, "SELECT x FROM t") == [(1,)]
    run(database, "op.alter_column('t', 'x', type_=sa.String(5))")
    assert rows(database, "SELECT x FROM t") == [("1",)]


def test_a_value_that_a_migrations_own_conversion_does_not_take_is_named_on_postgres(
    project: Config, run: Migrate
) -> None:
    database = project.database("postgres")
    execute(database, "CREATE TABLE x (id INTEGER PRIMARY KEY, x VARCHAR(9))")
    execute(database, "INSERT INTO x VALUES (1, '5'), (2, NULL), (3, 'x2')")
    with pytest.raises(UnrepresentableValueError, match="x id=3: column 'x' holds 'x2', which would change as"):
        run(database, altered("'x', type_=sa.Integer(), postgresql_using='x::integer'", "x"))


KEYED = (
    "CREATE TABLE p (id INTEGER PRIMARY KEY, code TEXT UNIQUE)",
    'CREATE TABLE c (id INTEGER PRIMARY KEY, "p id" INTEGER, up INTEGER)',
    "INSERT INTO p VALUES (1, 'a')",
    "INSERT INTO c VALUES (1, 1, 2), (2, NULL, NULL), (3, 9, 1)",
)


DEFERRED = "op.create_foreign_key('fk', 'c', 'p', ['p id'], ['id'], deferrable=True, initially='DEFERRED')"
IN_A_BATCH = """
with op.batch_alter_table("c") as batch_op:
    batch_op.alter_column("up", new_column_name="p", existing_type=sa.Integer(), type_=sa.BigInteger())
    batch_op.create_foreign_key("fk", "p", ["p id"], ["id"])
"""
OF_ITSELF = """
op.execute("UPDATE c SET up = 7 WHERE id = 2")
op.create_foreign_key("fk", "c", "c", ["up"], ["id"])
"""


UNPARENTED_WAYS = {
    "plain": (
        DEFERRED.replace(", deferrable=True, initially='DEFERRED'", ""),
        "c id=3: column 'p id' holds 9, which no row of p",
    ),
    "deferred": (DEFERRED, "c id=3: column 'p id' holds 9, which no row of p has as id"),
    "batch": (IN_A_BATCH, "c id=3: column 'p id' holds 9, which no row of p has as id"),
    "self": (OF_ITSELF, "c id=2: column 'up' holds 7, which no row of c has as id"),
}


@pytest.mark.parametrize(
    ("engine", "way"),
    [
        *(("sqlite", way) for way in UNPARENTED_WAYS),
        *(("duckdb", way) for way in ("plain", "batch")),
        *(("postgres", way) for way in ("deferred", "self")),
    ],
)
def test_a_row_without_a_parent_is_named_when_it_is_to_have_one(
    project: Config, run: Migrate, engine: str, way: str
) -> None:
    change, told = UNPARENTED_WAYS[way]
    database = project.database(engine)
    execute(database, *KEYED)
    before = rows(database, 'SELECT id, "p id", up FROM c ORDER BY id')
    with pytest.raises(UnrepresentableValueError, match=told):
        run(database, change)
    assert rows(database, 'SELECT id, "p id", up FROM c ORDER BY id') == before
    # After the rows were corrected.
    (head,) = history.heads(project)
    fixed = "    op.execute('UPDATE c SET \"p id\" = NULL, up = NULL WHERE id > 1')\n    "
    text = head.path.read_text().replace('op.execute("UPDATE c SET up = 7 WHERE id = 2")', "pass")
    head.path.write_text(text.replace("():\n    ", f"():\n{fixed}", 1))
    migrate.upgrade(database, project)


UNPARENTED = "would hold .*, which no row of p has as id after the migration"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("op.execute('DELETE FROM p WHERE id = 1')", r"c id=2: column 'p' would hold 1, .* \(2 such rows\)"),
        ("op.get_bind().execute(sa.text('UPDATE p SET id = 5 WHERE id = 1'))", UNPARENTED),
        ("op.drop_table('p')\nop.create_table('p', sa.Column('id', sa.Integer, primary_key=True))", UNPARENTED),
        ("op.bulk_insert(sa.table('c', sa.column('id'), sa.column('p')), [{'id': 9, 'p': 9}])", UNPARENTED),
    ],
)
def test_a_migration_on_sqlite_that_leaves_rows_without_their_parents_fails(
    sqlite: Database, run: Migrate, change: str, told: str
) -> None:
    execute(
        sqlite,
        "CREATE TABLE p (id INTEGER PRIMARY KEY)",
        "CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p (id) ON DELETE CASCADE)",
        "INSERT INTO p VALUES (1), (2)",
        "INSERT INTO c VALUES (1, 7), (2, 1), (3, 1)",
    )
    before = rows(sqlite, "SELECT * FROM c"), rows(sqlite, "SELECT * FROM p")
    with pytest.raises(MigrationError, match=told):
        run(sqlite, change)
    assert (rows(sqlite, "SELECT * FROM c"), rows(sqlite, "SELECT * FROM p")) == before


@pytest.mark.parametrize("is_whole", [True, False], ids=["both", "parent"])
def test_a_parents_key_that_is_converted_needs_its_childrens_to_be(
    sqlite: Database, run: Migrate, is_whole: bool
) -> None:
    execute(
        sqlite,
        "CREATE TABLE p (id VARCHAR(36) PRIMARY KEY)",
        "CREATE TABLE c (id INTEGER PRIMARY KEY, p VARCHAR(36) REFERENCES p (id))",
        "CREATE TABLE other (id INTEGER PRIMARY KEY, c INTEGER REFERENCES c (id))",
        "INSERT INTO p VALUES ('0123abcd-0000-4000-8000-000000000001')",
        "INSERT INTO c SELECT 1, id FROM p",
        "INSERT INTO other VALUES (1, 9)",
    )
    parent, child = altered("'id', type_=sa.Uuid()", "p"), altered("'p', type_=sa.Uuid()", "c")
    if is_whole:
        run(sqlite, f"{parent}\n{child}")
    else:
        with pytest.raises(MigrationError, match=r"c id=1: column 'p' would hold '0123abcd-.*', which no row of p has"):
            run(sqlite, parent)
    assert rows(sqlite, "SELECT p.id = c.p, length(p.id) FROM p, c") == [(1, 32 if is_whole else 36)]


def test_rows_that_had_no_parents_before_stay_in_no_migrations_way(sqlite: Database, run: Migrate) -> None:
    execute(
        sqlite,
        "CREATE TABLE p (id INTEGER PRIMARY KEY, a TEXT)",
        "CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p (id), q TEXT REFERENCES p (a))",
        "INSERT INTO c VALUES (1, 7, NULL), (2, 1, 'not a key')",
    )
    run(sqlite, "op.execute('UPDATE c SET p = 8 WHERE id = 1')\nop.rename_table('c', 'd')")
    run(sqlite, "op.execute('INSERT INTO p (id) VALUES (8)')\nop.execute('DELETE FROM d WHERE id = 2')")
    assert rows(sqlite, "SELECT * FROM d") == [(1, 8, None)]


@pytest.mark.parametrize("is_batch", [True, False], ids=["in a batch", "outside"])
@pytest.mark.parametrize(
    ("operation", "column"),
    [
        ("add_column({}sa.Column('z', sa.Text, unique=True))", "z TEXT, CONSTRAINT t_z_key UNIQUE (z)"),
        (
            "add_column({}sa.Column('z', sa.Integer, sa.ForeignKey('t.id'), server_default='1', nullable=False))",
            "z INTEGER DEFAULT '1' NOT NULL, CONSTRAINT t_z_fkey FOREIGN KEY(z) REFERENCES t (id)",
        ),
        (
            "add_column({}sa.Column('z', sa.DateTime, server_default=sa.func.now(), nullable=False))",
            "z DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL",
        ),
        ("add_column({}sa.Column('z', sa.Text, server_default=sa.text('(hex(1))')))", "z TEXT DEFAULT (hex(1))"),
        (
            "add_column({}sa.Column('z', sa.Integer, sa.Computed('id * 2', persisted=True)))",
            "z INTEGER GENERATED ALWAYS AS (id * 2) STORED",
        ),
        (
            "add_column({}sa.Column('z', sa.Enum('a', name='en', native_enum=False, create_constraint=True)))",
            "z VARCHAR(1), CONSTRAINT en CHECK (z IN ('a'))",
        ),
        (
            "add_column({}sa.Column('z', sa.Boolean(create_constraint=True), server_default=sa.false()))",
            "z BOOLEAN DEFAULT 0, CHECK (z IN (0, 1))",
        ),
        ("drop_column({}'u')", ""),
        ("drop_column({}'i')", ""),
    ],
)
def test_a_column_that_sqlite_cannot_add_or_drop_itself_needs_no_batch(
    sqlite: Database, run: Migrate, operation: str, column: str, is_batch: bool
) -> None:
    others = {"drop_column({}'u')": "i INTEGER", "drop_column({}'i')": "u TEXT UNIQUE"}
    kept = others.get(operation, "u TEXT UNIQUE, i INTEGER")
    execute(
        sqlite,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE, i INTEGER)",
        "CREATE INDEX ix ON t (i)",
        "INSERT INTO t VALUES (1, 'a', 5), (2, 'b', 6)",
    )
    plain, batch = f"op.{operation.format(repr('t') + ', ')}", f"batch_op.{operation.format('')}"
    run(sqlite, f"with op.batch_alter_table('t') as batch_op:\n    {batch}" if is_batch else plain)
    made = f'CREATE TABLE "t" ( id INTEGER PRIMARY KEY, {kept}{", " if column else ""}{column} )'
    assert [each for each in definitions(sqlite) if "ix" not in each] == [made]
    assert rows(sqlite, "SELECT id FROM t ORDER BY id") == [(1,), (2,)]


@pytest.mark.parametrize("is_batch", [True, False], ids=["batch", "plain"])
def test_a_constraint_goes_by_its_name_however_that_is_quoted(sqlite: Database, run: Migrate, is_batch: bool) -> None:
    execute(
        sqlite,
        'CREATE TABLE t (id INTEGER PRIMARY KEY, a INT, CONSTRAINT "it\'s ""q""" UNIQUE (a, id), CONSTRAINT [br k] '
        'CHECK (a > 1), CONSTRAINT `tick s` UNIQUE (a), CONSTRAINT "f k" FOREIGN KEY (a) REFERENCES t (id), '
        'CONSTRAINT "c k.1" CHECK (a > 2), CONSTRAINT stays CHECK (a > 3))',
    )
    kinds = {"br k": "check", "tick s": "unique", 'it\'s "q"': "unique", "f k": "foreignkey", "c k.1": "check"}
    if is_batch:
        lines = [f"    batch_op.drop_constraint({name!r}, type_={kind!r})" for name, kind in kinds.items()]
        run(sqlite, "\n".join(["with op.batch_alter_table('t') as batch_op:", *lines]))
    else:
        run(sqlite, "\n".join(f"op.drop_constraint({name!r}, 't', type_={kind!r})" for name, kind in kinds.items()))
    assert definitions(sqlite) == ['CREATE TABLE "t" ( id INTEGER PRIMARY KEY, a INT, CONSTRAINT stays CHECK (a > 3) )']


def test_a_truth_values_default_that_alembic_wrote_on_sqlite_is_taken_by_every_engine(
    database: Database, run: Migrate
) -> None:
    key = 'sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False)'
    run(
        database,
        f"""
op.create_table("t", {key}, sa.Column("a", sa.Boolean(), server_default=sa.text("1"), nullable=False))
op.add_column("t", sa.Column("b", sa.Boolean(), server_default=sa.text("(0)")))
op.add_column("t", sa.Column("c", sa.Boolean(), server_default=sa.text("1")))
with op.batch_alter_table("t") as batch_op:
    batch_op.alter_column("c", existing_type=sa.Boolean(), server_default=sa.text("0"))
""",
    )
    execute(database, "INSERT INTO t (id) VALUES (1)")
    assert rows(database, "SELECT a, b, c FROM t") == [(True, False, False)]
