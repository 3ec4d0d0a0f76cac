"""`diff --sql`: after the engine's own client has run the script, nothing differs."""

from __future__ import annotations

import math
import random
import re
import sqlite3
import stat
import struct
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contracts import schema
from tests.contracts.test_matrix import RING, exact, read, write
from tests.operations.clients import for_clients, run_script
from tests.operations.databases import connected, contents, create, execute
from tests.operations.example import fill
from tests.operations.shop import Cyclic, metadata
from toolkit.cli import run
from toolkit.config import Config, Database
from toolkit.core.canonical_json import canonical_documents
from toolkit.core.tables import select_tables
from toolkit.core.types import JSON_KINDS
from toolkit.engines.portable.table import TableRepository
from toolkit.engines.sqlite.literals import sqlite_literal
from toolkit.errors import ReferencedRowsError, ScriptError, StoreError, ToolkitError, UnrepresentableValueError
from toolkit.operations.diff import script as module
from toolkit.operations.diff import statements
from toolkit.operations.diff.compare import diff
from toolkit.operations.diff.script import diff_sql
from toolkit.operations.sync import sync

ENGINES = ("sqlite", "postgres", "duckdb")
SOURCE = "sqlite2"


@pytest.fixture
def _readable(config: Config) -> None:
    """Let the client of DuckDB open the files."""
    for_clients(config)


def of(config: Config, name: str) -> Config:
    """The configuration of a metadata, which has no migrations."""
    return replace(config, metadata=name, migrations=Path("none"))


def made_equal(config: Config, target: str, script: Path, source: str = SOURCE, **options: Any) -> str:
    """Write the script, let the client run it, and see that nothing differs any more; the script."""
    diff_sql(config, source, target, script, **options)
    ran = run_script(config.database(target), script)
    text = script.read_bytes().decode()
    assert (ran.returncode, ran.stderr, ran.stdout) == (0, "", ""), text
    assert diff(config, source, target, **options).equal, text
    return text


def changed_lines(script: str) -> list[str]:
    """What a script does between its beginning and its end, one statement a line."""
    return [line for line in script.splitlines() if re.match(r"(INSERT INTO \"|UPDATE|DELETE|\()", line)]


# -- values --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("_readable")
@pytest.mark.parametrize(("source", "target"), RING)
def test_every_value_is_written_exactly(config: Config, tmp_path: Path, source: str, target: str) -> None:
    spec, batch = schema.spec(), schema.batch()
    config = of(config, "tests.contracts.schema:metadata")
    # In the target: half of the rows, each with the values of the next, and some that are to go.
    rows = batch.num_rows // 2
    moved = [batch.column(0)[:rows], *(column.slice(1, rows) for column in batch.columns[1:])]
    others = pa.array([uuid.UUID(int=n).bytes for n in range(3)], pa.binary(16))
    gone = [others, *(column.slice(0, 3) for column in batch.columns[1:])]
    write(config, source, spec, batch)
    parts = [pa.record_batch(part, schema=spec.schema) for part in (moved, gone)]
    write(config, target, spec, pa.concat_batches(parts))

    found = diff(config, source, target).tables[0]
    assert (found.added, found.changed, found.removed) == (batch.num_rows - rows, rows, 3)
    made_equal(config, target, tmp_path / "script.sql", source)

    expected, arrived = (read(config, name, spec) for name in (source, target))
    for column in spec.columns:
        sent, got = (side.column(column.name).combine_chunks() for side in (expected, arrived))
        if column.type.kind in JSON_KINDS:
            sent, got = canonical_documents(sent), canonical_documents(got)
        assert exact(got) == exact(sent), column.name


def test_sqlite_reads_every_double_back_in_every_bit() -> None:
    generator = random.Random(1)
    doubles = [struct.unpack("d", generator.randbytes(8))[0] for _ in range(2_000)]
    doubles += [generator.random() * 10 ** generator.randrange(-5, 9) for _ in range(2_000)]
    doubles += [round(value, digits) for value in doubles[2_000:] for digits in (2, 6)]
    doubles += [
        0.0,
        5e-324,
        2.2250738585072014e-308,
        sys.float_info.max,
        2.0**53,
        2.0**63,
        1e22,
        1e23,
        math.inf,
        -math.inf,
    ]
    finite = [value for value in doubles if not math.isnan(value)]
    with closing(sqlite3.connect(":memory:")) as connection:
        found = [connection.execute(f"SELECT {sqlite_literal(value)}").fetchone()[0] for value in finite]
    assert [value.hex() for value in found] == [value.hex() for value in finite]


@pytest.mark.slow
@pytest.mark.usefixtures("_readable")
def test_infinite_dates_and_those_of_far_years_are_written_exactly(config: Config, tmp_path: Path) -> None:
    spec = schema.spec()
    config = of(config, "tests.contracts.schema:metadata")
    year = 31_556_952_000_000
    times = [2**63 - 1, -(2**63) + 1, -2000 * year, -4000 * year, 8100 * year + 123456, -1970 * year - 1]
    days = [2**31 - 1, -(2**31) + 1, -719_529, -1_500_000, 3_000_000, -719_163]
    cells: dict[str, pa.Array] = {
        "key": pa.array([bytes([n]) * 16 for n in range(len(times))], pa.binary(16)),
        "timestamp": pa.array(times, pa.timestamp("us")),
        "timestamptz": pa.array(times, pa.timestamp("us", "UTC")),
        "date": pa.array(days, pa.int32()).view(pa.date32()),
    }
    columns = [cells.get(c.name, pa.nulls(len(times), c.type.arrow)) for c in spec.columns]
    write(config, "postgres", spec, pa.record_batch(columns, schema=spec.schema))
    for source, target in (("postgres", "duckdb"), ("duckdb", "postgres")):
        write(config, target, spec, pa.record_batch(columns, schema=spec.schema).slice(0, 0))
        if target == "postgres":
            execute(config.database(target), 'DELETE FROM "every ""type%%s:x"')
        made_equal(config, target, tmp_path / "script.sql", source)
    # SQLite's types end at the years 1 and 9999: the row is named, and no script is there.
    write(config, "sqlite", spec, schema.batch().slice(0, 0))
    with pytest.raises(UnrepresentableValueError, match=r"key=00000000-.*'timestamp' holds 'infinity', which sqlite"):
        diff_sql(config, "duckdb", "sqlite", tmp_path / "none.sql")
    assert {file.name for file in tmp_path.glob("*none*")} == set()


notes = sa.MetaData()
sa.Table(
    "note",
    notes,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("body", sa.Text),
    sa.Column("document", sa.JSON),
)
AWKWARD = [
    "it's",
    "\\! touch x",
    "\n\\! touch x\n\\q\n",
    "'\n.quit\n'",
    "\n/\ngo\n;\n",
    ":x :'x' :\"x\"",
    "%s %% $1 ${x}",
    "E'\\n'",
    "$$ $a$",
    "--",
    "/* ",
    "*/",
    "\r\n",
    "\r",
    "\\",
    "\\n",
    "\\\n",
    "\\\\n\n~\n^\n|",
    "\\~^|\U00010000\n",
    "\x1a\x04\x1b\x7f\x85\u2028",
    "\ufeff",
    "\u202e",
    "é e\u0301 🎉",
    "{",
    "X'00'",
    "\t",
    " ",
    ";\n" * 50,
    "'" * 9,
]
texts = st.text(
    st.one_of(
        st.sampled_from("'\"\\\n\r\t.;:%$!/-*`~^|\x1a "),
        st.characters(exclude_characters="\x00", exclude_categories=["Cs"]),
    ),
    max_size=30,
)


def as_rows(bodies: Sequence[str | None]) -> pa.RecordBatch:
    (spec,) = select_tables(notes)
    numbers = pa.array(range(len(bodies)), pa.int32())
    return pa.record_batch(
        [numbers, pa.array(bodies, pa.string()), pa.nulls(len(bodies), pa.string())], schema=spec.schema
    )


@pytest.mark.slow
@pytest.mark.usefixtures("_readable")
@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(found=st.lists(texts, min_size=20, max_size=60))
def test_any_text_passes_through_the_clients(config: Config, tmp_path: Path, found: list[str]) -> None:
    (spec,) = select_tables(notes)
    config = of(config, f"{__name__}:notes")
    execute(config.database(SOURCE), "DROP TABLE IF EXISTS note")
    write(config, SOURCE, spec, as_rows([*AWKWARD, *found]))
    for target in ENGINES:
        write(config, target, spec, as_rows(["\n"] * 10))
        text = made_equal(config, target, tmp_path / "script.sql")
        # Clients read line by line: no line is one of the text's own.
        assert not set(text.splitlines()) & {"\\q", ".quit", "/", "go"}
        execute(config.database(target), "DELETE FROM note")


@pytest.mark.slow
@pytest.mark.usefixtures("_readable")
def test_the_character_of_number_zero_is_kept_where_it_can_be_and_refused_where_not(
    config: Config, tmp_path: Path
) -> None:
    (spec,) = select_tables(notes)
    config = of(config, f"{__name__}:notes")
    write(config, SOURCE, spec, as_rows(["a", "\x00a\x00\n\\0"]))
    for target in ENGINES:
        write(config, target, spec, as_rows(["a"]))
        if target != "postgres":
            made_equal(config, target, tmp_path / "script.sql")
            continue
        for change in ("SELECT 1", "UPDATE note SET body = NULL, document = '\"\\u0000\"' WHERE id = 1"):
            execute(config.database(SOURCE), change)
            with pytest.raises(UnrepresentableValueError, match=r"note id=1: column '(body|document)' holds"):
                diff_sql(config, SOURCE, target, tmp_path / "none.sql")
        execute(config.database(SOURCE), "UPDATE note SET body = char(0), document = NULL WHERE id = 1")
    assert not list(tmp_path.glob("*none*"))


def test_no_setting_of_the_server_or_of_psql_changes_a_value(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, batch = schema.spec(), schema.batch()
    config = of(config, "tests.contracts.schema:metadata")
    write(config, SOURCE, spec, batch)
    write(config, "postgres", spec, batch.slice(0, 0))
    diff_sql(config, SOURCE, "postgres", tmp_path / "script.sql")
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    monkeypatch.setenv(
        "PGOPTIONS",
        "-c standard_conforming_strings=off -c DateStyle=SQL,DMY "
        "-c IntervalStyle=sql_standard -c TimeZone=Asia/Tokyo -c bytea_output=escape",
    )
    ran = run_script(config.database("postgres"), tmp_path / "script.sql")
    monkeypatch.undo()
    assert (ran.returncode, ran.stderr) == (0, "")
    assert diff(config, SOURCE, "postgres").equal


@pytest.mark.slow
def test_drivers_run_the_script_as_well_as_clients_do(config: Config, tmp_path: Path) -> None:
    spec, batch = schema.spec(), schema.batch()
    config = of(config, "tests.contracts.schema:metadata")
    write(config, SOURCE, spec, batch)
    for target in ENGINES:
        write(config, target, spec, batch.slice(0, 0))
        diff_sql(config, SOURCE, target, tmp_path / "script.sql")
        script = (tmp_path / "script.sql").read_bytes().decode()
        if target == "sqlite":
            file = sqlite3.connect(str(config.database(target).file))
            file.executescript(script)
            file.close()
        elif target == "duckdb":
            with duckdb.connect(str(config.database(target).file)) as engine:
                engine.execute(script)
        else:
            with psycopg.connect(config.database(target).address, autocommit=True) as server:
                server.execute(script)
        assert diff(config, SOURCE, target).equal


@pytest.mark.slow
@pytest.mark.usefixtures("_readable")
def test_types_that_go_through_their_own_processors_are_written_as_the_engine_stores_them(
    config: Config, tmp_path: Path
) -> None:
    from tests.contracts.test_decorated import ROWS, price

    config = of(config, "tests.contracts.test_decorated:metadata")
    for name in (SOURCE, *ENGINES):
        with connected(config.database(name)) as connection:
            price.metadata.create_all(connection)
            connection.execute(price.insert(), ROWS if name == SOURCE else [{"id": uuid.UUID(int=1), "amount": 7}])
    for target in ENGINES:
        text = made_equal(config, target, tmp_path / "script.sql")
        assert ("'400 ct'" in text) is (target != "postgres")


# -- names ---------------------------------------------------------------------------------------------------------

hostile = sa.MetaData()
NAME = "a\"b;--\n.quit\n\\! \\q :x %s '$$"
sa.Table(
    NAME,
    hostile,
    sa.Column('k"1\n.quit', sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("k2'; DROP TABLE x;--", sa.String(20), primary_key=True),
    sa.Column("select\n\\q", sa.Text),
    sa.Column("twice", sa.Integer, sa.Computed("1 + 1")),
)


@pytest.mark.slow
@pytest.mark.usefixtures("_readable")
def test_names_are_quoted_whatever_they_hold(config: Config, tmp_path: Path) -> None:
    (spec,) = select_tables(hostile)
    config = of(config, f"{__name__}:hostile")
    rows = [[1, 2, 3], ["a", "b'", "c\n"], ["x", "y", "z"]]
    others = [[2, 3, 4, 5], ["b'", "d", "e", "\n"], ["changed"] * 4]
    as_batch = [
        pa.record_batch([pa.array(v, t) for v, t in zip(side, spec.schema.types, strict=True)], schema=spec.schema)
        for side in (rows, others)
    ]
    write(config, SOURCE, spec, as_batch[0])
    for target in ENGINES:
        write(config, target, spec, as_batch[1])
        text = made_equal(config, target, tmp_path / "script.sql")
        assert "twice" not in text


# -- order ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("target", ["duckdb"])
def test_a_database_is_filled_emptied_and_filled_again(shop: Config, tmp_path: Path, target: str) -> None:
    fill(shop.database(SOURCE))
    create(shop.database(target), metadata)
    create(shop.database("duckdb2"), metadata)
    made_equal(shop, target, tmp_path / "script.sql")
    # The next row that an application inserts takes a number that is free.
    execute(shop.database(target), "INSERT INTO category (name) VALUES ('n')", "DELETE FROM category WHERE name = 'n'")
    made_equal(shop, target, tmp_path / "script.sql", "duckdb2")
    assert not any(contents(shop.database(target), metadata).values())
    made_equal(shop, target, tmp_path / "script.sql")


@pytest.mark.slow
@pytest.mark.parametrize("target", ["sqlite", "postgres"])
def test_tables_that_point_at_each_other_are_written_and_removed(cyclic: Config, tmp_path: Path, target: str) -> None:
    for name in (SOURCE, target, "duckdb2"):
        create(cyclic.database(name), Cyclic.metadata)
    execute(
        cyclic.database(SOURCE),
        "INSERT INTO author VALUES (1, 10), (2, 11)",
        "INSERT INTO book VALUES (10, 2), (11, 1)",
        "INSERT INTO review VALUES (1, 10)",
    )
    made_equal(cyclic, target, tmp_path / "script.sql")
    execute(
        cyclic.database(SOURCE),
        "UPDATE author SET best_book_id = 12 WHERE id = 1",
        "INSERT INTO book VALUES (12, 3)",
        "INSERT INTO author VALUES (3, 12)",
        "UPDATE review SET book_id = 12",
        "DELETE FROM book WHERE id = 10",
    )
    made_equal(cyclic, target, tmp_path / "script.sql")
    made_equal(cyclic, target, tmp_path / "script.sql", "duckdb2")
    if target == "postgres":
        # Foreign keys are what they were.
        execute(cyclic.database(SOURCE), "INSERT INTO review VALUES (9, 9)")
        with pytest.raises(ToolkitError, match="1 row points at"):
            sync(cyclic, SOURCE, target)
        with psycopg.connect(cyclic.database(target).address) as server:
            assert server.execute("SELECT count(*) FROM pg_constraint WHERE condeferrable").fetchone() == (0,)


@pytest.mark.parametrize("target", ["sqlite", "duckdb"])
def test_unique_values_move_between_rows_that_others_point_at(shop: Config, tmp_path: Path, target: str) -> None:
    for name in (SOURCE, target):
        fill(shop.database(name))
    # A ring of three, and one that takes the value of a row that goes.
    execute(
        shop.database(SOURCE),
        "UPDATE customer SET email = 'x' || id",
        "UPDATE customer SET email = CASE id "
        "WHEN 1 THEN 'c2@example.com' WHEN 2 THEN 'c40@example.com' WHEN 40 THEN 'c1@example.com' END "
        "WHERE id <> 3",
        "DELETE FROM customer WHERE id = 3",
        "INSERT INTO customer (id, email, created_at, updated_at) SELECT 99, 'c3@example.com', created_at, "
        "updated_at FROM customer WHERE id = 1",
    )
    text = made_equal(shop, target, tmp_path / "script.sql")
    assert sum(line.startswith('UPDATE "customer"') for line in text.splitlines()) == 6


@pytest.mark.parametrize("target", ["postgres"])
def test_a_row_goes_after_what_points_at_it_was_pointed_elsewhere(shop: Config, tmp_path: Path, target: str) -> None:
    for name in (SOURCE, target):
        fill(shop.database(name))
    # PostgreSQL would take the lines of customer 40 with it: they go to its successor, which has its e-mail address.
    execute(
        shop.database(SOURCE),
        "PRAGMA foreign_keys = OFF",
        "UPDATE customer SET email = 'old' WHERE id = 40",
        "INSERT INTO customer (id, email, created_at, updated_at) SELECT 41, 'c40@example.com', created_at, "
        "updated_at FROM customer WHERE id = 40",
        "UPDATE category SET parent_id = 2 WHERE id = 1",
        "DELETE FROM customer WHERE id = 40",
        "UPDATE product SET category_id = 2 WHERE category_id = 9",
        "UPDATE purchase_line SET customer_id = 41 WHERE customer_id = 40",
        "DELETE FROM category WHERE id = 9",
    )
    made_equal(shop, target, tmp_path / "script.sql")


fixed = sa.MetaData()
sa.Table(
    "seat",
    fixed,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("side", sa.Boolean, nullable=False),
    sa.UniqueConstraint("side"),
)


def test_unique_values_that_can_be_nothing_else_in_between_are_refused(config: Config, tmp_path: Path) -> None:
    config = of(config, f"{__name__}:fixed")
    for name, rows in ((SOURCE, "(1, false), (2, true)"), ("postgres", "(1, true), (2, false)")):
        create(config.database(name), fixed)
        execute(config.database(name), f"INSERT INTO seat VALUES {rows}")
    with pytest.raises(ScriptError, match="seat: unique values of side move between rows"):
        diff_sql(config, SOURCE, "postgres", tmp_path / "none.sql")
    assert not list(tmp_path.glob("*none*"))


def test_rows_that_a_table_left_out_points_at_are_not_deleted(shop: Config, tmp_path: Path) -> None:
    create(shop.database(SOURCE), metadata)
    fill(shop.database("postgres"))
    with pytest.raises(ReferencedRowsError, match="purchase_line"):
        diff_sql(shop, SOURCE, "postgres", tmp_path / "none.sql", ["customer"])
    assert not list(tmp_path.glob("*none*"))


# -- the script ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_script_names_only_what_differs_in_the_order_of_keys(
    shop: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (SOURCE, *ENGINES):
        create(shop.database(name), metadata)
    wanted, found = [(3, "c"), (1, "a"), (20, "t"), (4, "d")], [(5, "e"), (3, "old"), (40, "g"), (4, "d")]
    for name, rows in ((SOURCE, wanted), *((target, found) for target in ENGINES)):
        values = ", ".join(f"({number}, {text!r}, NULL)" for number, text in rows)
        execute(shop.database(name), f"INSERT INTO category (id, name, parent_id) VALUES {values}")
    for target in ENGINES:
        script = tmp_path / "script.sql"
        diff_sql(shop, SOURCE, target, script)
        first = script.read_text()
        overriding = " OVERRIDING SYSTEM VALUE" if target == "postgres" else ""
        assert changed_lines(first) == [
            'DELETE FROM "category" WHERE "id" IN (5,',
            'UPDATE "category" SET "name" = \'c\' WHERE "id" = 3;',
            f'INSERT INTO "category" ("id", "parent_id", "name"){overriding} VALUES',
            "(1, NULL, 'a'),",
            "(20, NULL, 't');",
        ]
        assert str(tmp_path) not in first
        diff_sql(shop, SOURCE, target, script)
        assert script.read_text() == first
        # Statements of one row each, and lookups of one key each, do the same.
        monkeypatch.setattr(statements, "_STATEMENT_ROWS", 1)
        monkeypatch.setattr(module, "BATCH_ROWS", 1)
        made_equal(shop, target, script)
        monkeypatch.setattr(module, "BATCH_ROWS", 8_192)
        monkeypatch.setattr(TableRepository, "batch_bytes", 1)
        made_equal(shop, target, script)
        monkeypatch.undo()
        text = made_equal(shop, target, script)
        assert "Nothing differs" in text
        assert changed_lines(text) == []


def _harm(config: Config, target: str) -> Iterator[tuple[str, str]]:
    """What may have happened to the target since, and what the client says then."""
    yield "UPDATE customer SET email = 'c77@example.com' WHERE id = 2", "(?i)unique|duplicate"
    if target != "postgres":
        yield "DELETE FROM category", "(?i)points at"
    if target == "sqlite":
        yield "DELETE FROM customer WHERE id = 1", "has changed since"
    if target == "duckdb":
        yield "ALTER TABLE customer DROP COLUMN name", "is not as it was"


@pytest.mark.parametrize("target", ENGINES)
def test_a_script_that_fails_changes_nothing_though_the_client_goes_on(
    shop: Config, tmp_path: Path, target: str
) -> None:
    fill(shop.database(SOURCE))
    execute(
        shop.database(SOURCE),
        "INSERT INTO customer (id, email, created_at, updated_at) SELECT 77, "
        "'c77@example.com', created_at, updated_at FROM customer WHERE id = 1",
        "INSERT INTO product VALUES (8, 9, 1)",
        "UPDATE customer SET name = 'new' WHERE id = 1",
    )
    fill(shop.database(target))
    script = tmp_path / "script.sql"
    diff_sql(shop, SOURCE, target, script)
    for harm, message in _harm(shop, target):
        with_harm = shop.database(target)
        before = _kept(with_harm)
        execute(with_harm, harm)
        harmed = _whole(with_harm)
        for stop in (False, True):
            ran = run_script(with_harm, script, stop=stop)
            assert re.search(message, ran.stderr), ran.stderr
            assert _whole(with_harm) == harmed
        assert ran.returncode
        _restore(with_harm, before)


def _kept(database: Database) -> bytes | None:
    return database.file.read_bytes() if database.file else None


def _restore(database: Database, content: bytes | None) -> None:
    if database.file and content is not None:
        database.file.write_bytes(content)


def _whole(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Every row as text, by whichever columns there are."""
    with connected(database) as connection:
        return {
            name: sorted(map(tuple, connection.exec_driver_sql(f"SELECT * FROM {name}")), key=repr)
            for name in metadata.tables
        }


def test_no_cascade_takes_rows_that_were_added_meanwhile(shop: Config, tmp_path: Path) -> None:
    for name in (SOURCE, "postgres"):
        fill(shop.database(name))
    execute(shop.database(SOURCE), "DELETE FROM customer WHERE id = 3")
    diff_sql(shop, SOURCE, "postgres", tmp_path / "script.sql")
    execute(shop.database("postgres"), "INSERT INTO purchase_line VALUES (3, 5, 1)")
    before = _whole(shop.database("postgres"))
    ran = run_script(shop.database("postgres"), tmp_path / "script.sql", stop=False)
    assert "purchase_line does not have 3 rows: the target has changed since" in ran.stderr
    assert _whole(shop.database("postgres")) == before


@pytest.mark.parametrize("target", ["sqlite"])
def test_a_condition_narrows_the_script_too(shop: Config, tmp_path: Path, target: str) -> None:
    for name in (SOURCE, target):
        fill(shop.database(name))
    # Row 1 meets the condition in the source only: it is there, and is updated.
    execute(
        shop.database(target),
        "UPDATE customer SET name = 'other', email = 'o' WHERE id = 1",
        "UPDATE customer SET name = 'x' WHERE id = 40",
    )
    text = made_equal(
        shop, target, tmp_path / "script.sql", tables=["customer"], where={"customer": "email <> 'o' AND id < 40"}
    )
    assert [line.partition(" SET ")[0] for line in changed_lines(text)] == ['UPDATE "customer"']
    assert not diff(shop, SOURCE, target).equal


# -- the command ---------------------------------------------------------------------------------------------------


@pytest.fixture
def project(shop: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A folder whose configuration names the shop's databases."""
    fill(shop.database("sqlite"))
    sync(shop, "sqlite", "duckdb")
    urls = "\n".join(f'{name} = "{shop.database(name).address}"' for name in ("sqlite", "duckdb"))
    (tmp_path / "toolkit.toml").write_text(f'metadata = "{shop.metadata}"\nmigrations = "none"\n[databases]\n{urls}\n')
    monkeypatch.chdir(tmp_path)
    return shop


@pytest.mark.slow
def test_the_command_writes_a_file_of_its_owner_s_or_stdout(
    project: Config, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    command = ["diff", "--from", "sqlite", "--to", "duckdb", "--sql"]
    assert run([*command, "same.sql"]) == 0
    assert b"The same" in capfdbinary.readouterr().out
    execute(project.database("duckdb"), "UPDATE customer SET name = 'other' WHERE id = 1")
    assert run([*command, "some.sql", "--rows", "1"]) == 3
    assert '"other" → '.encode() in capfdbinary.readouterr().out
    file = tmp_path / "some.sql"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert run([*command, "-"]) == 3
    assert capfdbinary.readouterr().out == file.read_bytes()
    file.chmod(0o640)
    assert run([*command, "some.sql"]) == 3
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    for wrong in (["x", "--columns", "name"], ["x", "--json-lines"], ["-", "--json"]):
        assert run([*command, *wrong]) == 2
    assert run([*command, "/dev/null"]) == 3
    assert Path("/dev/null").is_char_device()


@pytest.mark.slow
def test_no_script_is_left_of_what_cannot_be_compared_or_written(project: Config, tmp_path: Path) -> None:
    (tmp_path / "old.sql").write_text("old")
    execute(project.database("duckdb"), "UPDATE customer SET name = 'other' WHERE id = 1")
    for harm, message in (
        ("ALTER TABLE product DROP COLUMN price", "product: could not be compared"),
        ("DROP TABLE product", "product: is only in source"),
    ):
        execute(project.database("duckdb"), harm)
        for name in ("old.sql", "new.sql"):
            with pytest.raises(ScriptError, match=message):
                diff_sql(project, "sqlite", "duckdb", tmp_path / name)
            assert run(["diff", "--from", "sqlite", "--to", "duckdb", "--sql", name]) == 1
    with pytest.raises(StoreError, match="No such file or directory"):
        diff_sql(project, "sqlite", "duckdb", tmp_path / "nowhere" / "x.sql", ["customer"])
    assert (tmp_path / "old.sql").read_text() == "old"
    assert [file.name for file in tmp_path.rglob("*.sql")] == ["old.sql"]
