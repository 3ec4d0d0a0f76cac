"""Columns with values and tables with rows that no model knows are told; what holds no data of its own is not."""

from __future__ import annotations

import json
import sys
import types
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from tests.operations.clients import run_script
from tests.operations.databases import create, execute, postgres
from toolkit import diff, dump_data, load_data, status, sync
from toolkit.cli import run
from toolkit.config import Config
from toolkit.core.plan import TransferWarning
from toolkit.engines import connect
from toolkit.operations.diff.script import diff_sql
from toolkit.operations.status import State

ENGINES = ("sqlite", "postgres", "duckdb")
EVERY_ENGINE = pytest.mark.parametrize("engine", ENGINES)
MODULE = "schema_of_this_test"

METADATA = sa.MetaData()
sa.Table("thing", METADATA, sa.Column("id", sa.Integer, primary_key=True, autoincrement=False), sa.Column("a", sa.Text))
sa.Table("other", METADATA, sa.Column("id", sa.Integer, primary_key=True, autoincrement=False))

MORE = (
    'ALTER TABLE thing ADD COLUMN "Old note" TEXT',
    "ALTER TABLE thing ADD COLUMN unused TEXT",
    "INSERT INTO thing (id, a) VALUES (1, 'a'), (2, 'b'), (3, NULL)",
    """UPDATE thing SET "Old note" = 'precious' WHERE id = 2""",
    'CREATE TABLE "Gone" (x INTEGER)',
    'INSERT INTO "Gone" VALUES (1)',
    "CREATE TABLE never_used (x INTEGER)",
    "CREATE TABLE alembic_version (version_num TEXT)",
    "INSERT INTO alembic_version VALUES ('abc')",
    "CREATE TABLE toolkit_sync_state (source TEXT)",
    "INSERT INTO toolkit_sync_state VALUES ('abc')",
    'CREATE TABLE "__EFMigrationsHistory" (x TEXT)',
    """INSERT INTO "__EFMigrationsHistory" VALUES ('abc')""",
    "CREATE VIEW seen AS SELECT * FROM thing",
)


@pytest.fixture
def things(config: Config, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The configuration for two small tables."""
    module = types.ModuleType(MODULE)
    module.metadata = METADATA  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, MODULE, module)
    return replace(config, metadata=f"{MODULE}:metadata", migrations=config.root / "none")


def filled(config: Config, name: str, *statements: str) -> None:
    """Make the tables in a database, and there what the statements say."""
    create(config.database(name), METADATA)
    execute(config.database(name), *(statements or MORE))


def places(warnings: tuple[TransferWarning, ...]) -> set[tuple[str | None, str]]:
    assert {each.outcome for each in warnings} <= {"not in the models"}
    return {(each.database, each.place) for each in warnings}


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["postgres"])
def test_what_only_the_source_has_is_told_by_all_that_read_it(things: Config, engine: str, tmp_path: Path) -> None:
    target = "sqlite2" if engine == "duckdb" else "duckdb"
    filled(things, engine)
    expected = {(engine, "Gone"), (engine, "thing.Old note")}
    for dry_run in (True, False):
        assert places(sync(things, engine, target, dry_run=dry_run).warnings) == expected
    compared = diff(things, engine, target)
    assert (compared.equal, places(compared.warnings)) == (True, expected)
    assert places(diff(things, target, engine).warnings) == expected
    assert places(dump_data(things, engine, directory=tmp_path).warnings) == expected
    (found,) = status(things, [engine]).databases
    assert (found.state, places(found.warnings)) == (State.READY, expected)
    assert status(things, [target]).databases[0].warnings == ()


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["sqlite"])
def test_tables_that_were_not_asked_for_and_rows_outside_of_a_condition_are_not_told(
    things: Config, engine: str, tmp_path: Path
) -> None:
    filled(things, engine)
    filled(things, "duckdb2", "INSERT INTO thing VALUES (1, 'a'), (2, 'b'), (3, NULL)")

    def told(*tables: str, **options: object) -> set[tuple[str | None, str]]:
        return places(diff(things, engine, "duckdb2", tables, **options).warnings)  # type: ignore[arg-type]

    assert told("other") == set()
    assert told("thing") == {(engine, "thing.Old note")}
    assert told(exclude=["thing"]) == {(engine, "Gone")}
    assert told("thing", where={"thing": "id <> 2"}) == set()
    assert told("thing", where={"thing": ["id <> 1", "id <> 3"]}) == {(engine, "thing.Old note")}
    assert told("thing", columns=["a"]) == set()
    assert places(sync(things, engine, "sqlite2", ["other"]).warnings) == set()
    assert places(dump_data(things, engine, exclude=["thing"], directory=tmp_path).warnings) == {(engine, "Gone")}


@EVERY_ENGINE
def test_what_a_database_computes_by_itself_is_no_value(things: Config, engine: str) -> None:
    kind = "VIRTUAL" if engine == "duckdb" else "STORED"
    execute(
        things.database(engine),
        f"CREATE TABLE thing (id INTEGER PRIMARY KEY, a TEXT, b TEXT GENERATED ALWAYS AS (a || '!') {kind})",
        "CREATE TABLE other (id INTEGER PRIMARY KEY)",
        "INSERT INTO thing (id, a) VALUES (1, 'a')",
    )
    assert sync(things, engine, "sqlite2").warnings == ()


def test_indexes_of_sqlite_are_no_data_but_what_is_nowhere_else_is(things: Config) -> None:
    filled(
        things,
        "sqlite",
        "CREATE VIRTUAL TABLE thing_index USING fts5(a, content='thing', content_rowid='id')",
        "INSERT INTO thing VALUES (1, 'a')",
        "INSERT INTO thing_index (thing_index) VALUES ('rebuild')",
        "CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT)",
        "INSERT INTO counted VALUES (1)",
        "DELETE FROM counted",
        "CREATE INDEX thing_a ON thing (a)",
        "ANALYZE",
    )
    assert sync(things, "sqlite", "sqlite2").warnings == ()
    execute(
        things.database("sqlite"),
        "CREATE VIRTUAL TABLE place USING rtree(id, x1, x2)",
        "INSERT INTO place VALUES (1, 1, 2)",
        "CREATE VIRTUAL TABLE note USING fts5(body)",
        "INSERT INTO note VALUES ('text')",
        "CREATE VIRTUAL TABLE empty USING fts5(body)",
        "CREATE TABLE thing_index_notes (x)",
        "INSERT INTO thing_index_notes VALUES (1)",
        # The indexes have none of these names: the texts are another table's, and no sizes are kept.
        "CREATE TABLE thing_index_content (x)",
        "INSERT INTO thing_index_content VALUES (1)",
        "CREATE VIRTUAL TABLE small USING fts5(a, columnsize=0)",
        "CREATE TABLE small_docsize (id INTEGER, x)",
        "INSERT INTO small_docsize VALUES (1, 1)",
    )
    own = ("note", "place", "thing_index_notes", "thing_index_content", "small_docsize")
    expected = {("sqlite", each) for each in own}
    assert places(sync(things, "sqlite", "sqlite2").warnings) == expected


def test_names_that_sqlite_takes_for_one_are_one(things: Config) -> None:
    execute(
        things.database("sqlite"),
        "CREATE TABLE Thing (id INTEGER PRIMARY KEY, a TEXT)",
        "CREATE TABLE OTHER (id INTEGER PRIMARY KEY)",
        "INSERT INTO thing VALUES (1, 'a')",
        "INSERT INTO other VALUES (1)",
    )
    assert sync(things, "sqlite", "sqlite2").warnings == ()


def test_of_postgres_partitions_children_and_what_may_not_be_read_are_not_told_and_other_schemas_are(
    things: Config,
) -> None:
    filled(
        things,
        "postgres",
        "CREATE TABLE parted (id INTEGER) PARTITION BY LIST (id)",
        "CREATE TABLE part PARTITION OF parted FOR VALUES IN (1)",
        "INSERT INTO parted VALUES (1)",
        "CREATE TABLE child () INHERITS (thing)",
        "INSERT INTO child VALUES (1, 'a')",
        "CREATE SCHEMA audit",
        "CREATE TABLE audit.log (x INTEGER)",
        "INSERT INTO audit.log VALUES (1)",
        "CREATE TABLE audit.thing (x INTEGER)",
        "INSERT INTO audit.thing VALUES (1)",
        "CREATE SCHEMA closed",
        "CREATE TABLE closed.log (x INTEGER)",
        "INSERT INTO closed.log VALUES (1)",
        "CREATE TABLE hidden (x INTEGER)",
        "INSERT INTO hidden VALUES (1)",
        "ALTER TABLE hidden ENABLE ROW LEVEL SECURITY",
    )
    expected = {("postgres", name) for name in ("parted", "audit.log", "audit.thing", "closed.log", "hidden")}
    assert places(diff(things, "postgres", "postgres").warnings) == expected
    role = "unmodelled_reader"
    with postgres(things) as connection:
        connection.execute(f"CREATE ROLE {role}")
        try:
            connection.execute(f"GRANT USAGE ON SCHEMA audit TO {role}")
            connection.execute(f"GRANT SELECT ON thing, other, parted, hidden, audit.log TO {role}")
            url = f"{things.database('postgres').address}&options=-crole%3D{role}"
            databases = {**things.databases, "role": replace(things.database(url), name="role")}
            as_role = replace(things, databases=databases)
            found = places(diff(as_role, "role", "role").warnings)
        finally:
            connection.execute(f"DROP OWNED BY {role}")
            connection.execute(f"DROP ROLE {role}")
    assert found == {("role", "parted"), ("role", "audit.log")}


def test_a_table_that_cannot_be_looked_at_stops_nothing(things: Config) -> None:
    filled(things, "postgres")
    database = replace(things.database("postgres"), lock_seconds=0.1)
    impatient = replace(things, databases={**things.databases, "postgres": database})
    with psycopg.connect(things.database("postgres").address) as other:
        other.execute('LOCK TABLE "Gone" IN ACCESS EXCLUSIVE MODE')
        result = sync(impatient, "postgres", "sqlite2")
    reasons = {each.place: each.reason for each in result.warnings}
    assert set(reasons) == {"Gone", "thing.Old note"}
    assert "whether it has rows cannot be determined" in reasons["Gone"]
    assert {table.table: table.inserted for table in result.tables} == {"thing": 3, "other": 0}


def test_whoever_alters_a_table_that_was_looked_at_does_not_wait(things: Config) -> None:
    filled(things, "postgres")
    with connect(things.database("postgres")) as reading, postgres(things) as other:
        assert reading.holds(sa.table("Gone"))
        other.execute("SET lock_timeout = 100")
        other.execute('ALTER TABLE "Gone" ADD COLUMN y INTEGER')


@pytest.mark.slow
def test_the_commands_tell_it_where_they_say_what_was_done(
    things: Config, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(things, "sqlite")
    (tmp_path / "toolkit.toml").write_text(f'metadata = "{MODULE}:metadata"\n')
    monkeypatch.chdir(tmp_path)
    one, other = (f"sqlite:///{things.database(name).file}" for name in ("sqlite", "sqlite2"))
    between = ["--from", one, "--to", other]

    def out(*arguments: str) -> str:
        assert run([*arguments]) == 0
        return capfd.readouterr().out

    left = "because it is not in the models: table Gone, column thing.Old note."
    assert f"Not copied, {left}" in out("sync", *between)
    assert f"Not dumped, {left}" in out("dump-data", "--from", one, "--dir", "d")
    assert "is not in the models: table Gone, column thing.Old note." in out("status", one)
    name = things.database(one).name
    unlike = f"because it is not in the models: table Gone of {name}, column thing.Old note of {name}."
    same = f"The same: every row of every table, except what is not compared, {unlike}\n"
    assert out("diff", *between).endswith(same)
    assert out("sync", *between, "--verify-only").endswith(same)
    assert out("diff", *between, "other").endswith("The same: every row of every table.\n")
    execute(things.database("sqlite2"), "DELETE FROM thing WHERE id = 1")
    assert run(["diff", *between]) == 3
    assert capfd.readouterr().out.endswith(f"\nNot compared, {unlike}\n")
    for command in (["sync", *between], ["diff", *between], ["dump-data", "--from", one, "--dir", "d"]):
        found = json.loads(out(*command, "--json"))["warnings"]
        assert [(each["table"], each["column"]) for each in found] == [("Gone", None), ("thing", "Old note")]
    lines = [json.loads(line) for line in out("diff", *between, "--json-lines").splitlines()]
    assert [line["table"] for line in lines if line.get("outcome") == "not in the models"] == ["Gone", "thing"]


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_script_says_what_it_leaves_alone_and_runs(things: Config, engine: str, tmp_path: Path) -> None:
    filled(things, engine, *MORE[:6], 'CREATE TABLE "odd\nname" (x INTEGER)', 'INSERT INTO "odd\nname" VALUES (1)')
    filled(things, "sqlite2", "INSERT INTO thing VALUES (1, 'b')")
    script = tmp_path / "script.sql"
    assert places(diff_sql(things, engine, "sqlite2", script).warnings) >= {(engine, "Gone")}
    assert '-- Not compared, because it is not in the models: "thing.Old note"\n' in script.read_text()
    assert run_script(things.database("sqlite2"), script).returncode == 0
    assert diff(things, engine, "sqlite2").equal


def test_more_than_can_be_read_are_counted(things: Config, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from toolkit.cli.render import show_transfer

    statements = [f"CREATE TABLE t{n:02} AS SELECT 1 AS x" for n in range(25)]
    filled(things, "sqlite", *statements)
    show_transfer(sync(things, "sqlite", "sqlite2"))
    assert "table t18, table t19, 5 more (--json lists all).\n" in capfd.readouterr().out


def test_files_that_are_not_loaded_are_in_the_document(things: Config, tmp_path: Path) -> None:
    for name, text in {"thing.json": "[]", "thing.csv": "id\n", "gone.json": "[]"}.items():
        (tmp_path / name).write_text(text)
    warnings = load_data(things, "sqlite", directory=tmp_path).warnings
    found = {each.table: (each.outcome, each.reason) for each in warnings}
    assert found == {
        "thing": ("file left out", "thing.csv is left out: thing.json is there for the same table."),
        "gone": ("file left out", "gone.json is left out: there is no table 'gone'"),
    }
    assert load_data(things, "sqlite", ["thing"], directory=tmp_path).warnings == ()
