"""Tables that are made from models that say less than the source's catalogue, or more: told, or refused before."""

from __future__ import annotations

import json
import sys
import types
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ExcludeConstraint

from tests.operations import club, shop
from tests.operations.databases import connected, create, execute
from toolkit import sync
from toolkit.cli import run
from toolkit.config import Config
from toolkit.core.plan import SyncResult
from toolkit.errors import MigrationError, SchemaMismatchError, StatementError
from toolkit.operations.migrations import migrate

ENGINES = ("sqlite", "postgres", "duckdb")
TARGETS = ("sqlite2", "postgres", "duckdb")
MODULE = "schema_that_is_made"

Using = Callable[[sa.MetaData], Config]


@pytest.fixture
def using(config: Config, monkeypatch: pytest.MonkeyPatch) -> Using:
    """The configuration for some tables, which have no migrations."""

    def configured(metadata: sa.MetaData) -> Config:
        module = types.ModuleType(MODULE)
        module.metadata = metadata  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, MODULE, module)
        return replace(config, metadata=f"{MODULE}:metadata", migrations=config.root / "none")

    return configured


def reflected(config: Config, name: str, *statements: str) -> sa.MetaData:
    """What SQLAlchemy's reflection finds in a database of these statements."""
    execute(config.database(name), *statements)
    metadata = sa.MetaData()
    with connected(config.database(name)) as connection, warnings.catch_warnings():
        warnings.simplefilter("ignore", sa.exc.SAWarning)
        metadata.reflect(connection)
    return metadata


def missing(result: SyncResult, outcome: str = "constraint missing") -> set[str]:
    """What is missing, in the words that tell it, without those around them."""
    reasons = [(each.table, each.reason) for each in result.warnings if each.outcome == outcome]
    return {f"{table}: {reason.partition(' without ')[2].partition(', which')[0]}" for table, reason in reasons}


LOSSY = (
    "CREATE TABLE p (id INTEGER PRIMARY KEY, email VARCHAR(255) NOT NULL UNIQUE, slug TEXT UNIQUE)",
    "CREATE TABLE lowered (id INTEGER PRIMARY KEY, name TEXT)",
    "CREATE UNIQUE INDEX name_lower ON lowered (lower(name))",
    "CREATE TABLE folded (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE UNIQUE, a TEXT)",
    "CREATE UNIQUE INDEX a_folded ON folded (a COLLATE RTRIM)",
    """CREATE TABLE c1 (
        id INTEGER PRIMARY KEY, a INTEGER REFERENCES p ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
        b INTEGER REFERENCES p (id), c INTEGER, CONSTRAINT fk FOREIGN KEY (c) REFERENCES p (id) ON DELETE SET NULL
    )""",
    "INSERT INTO p VALUES (1, 'a@b', 's')",
    "INSERT INTO lowered VALUES (1, 'A'), (2, 'a1')",
    "INSERT INTO folded VALUES (1, 'A', 'x')",
    "INSERT INTO c1 VALUES (1, 1, 1, 1)",
)


@pytest.mark.parametrize("target", TARGETS)
def test_what_reflection_loses_is_told_by_name_before_the_tables_are_made(
    config: Config, using: Using, target: str
) -> None:
    lossy = using(reflected(config, "sqlite", *LOSSY))
    expected = {
        "p: the unique key (email)",
        "lowered: the unique key name_lower (lower(name))",
        "folded: the collation NOCASE of name",
        "folded: the collation RTRIM of a",
        "c1: ON DELETE CASCADE and DEFERRABLE INITIALLY DEFERRED of the foreign key (a) to p",
    }
    if target == "duckdb":  # Its tables have no foreign keys.
        expected = {each for each in expected if "foreign" not in each}
    for dry_run in (True, False):
        result = sync(lossy, "sqlite", target, dry_run=dry_run)
        assert (missing(result), len(result.warnings)) == (expected, len(expected))
    assert sync(lossy, "sqlite", target).warnings == ()


PARTIAL = (
    "CREATE TABLE u (id INTEGER PRIMARY KEY, name TEXT NOT NULL, gone TEXT)",
    "CREATE UNIQUE INDEX u_live ON u (name) WHERE gone IS NULL",
    "INSERT INTO u VALUES (1, 'x', NULL), (2, 'x', 'a'), (3, 'x', 'b'), (4, 'y', NULL)",
)


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_partial_key_that_would_hold_for_rows_that_break_it_is_refused_before_anything_is_made(
    config: Config, using: Using, dry_run: bool
) -> None:
    metadata = reflected(config, "sqlite", *PARTIAL)
    partial = using(metadata)
    with pytest.raises(SchemaMismatchError) as raised:
        sync(partial, "sqlite", "postgres", dry_run=dry_run)
    assert raised.value.fact == (
        "u: the models make the unique key u_live (name) over all rows, sqlite has it only where gone IS NULL, and "
        "several rows have name=x."
    )
    assert "Index(..., postgresql_where=...)" in raised.value.advice
    with connected(config.database("postgres")) as connection:
        assert sa.inspect(connection).get_table_names() == []
    (index,) = metadata.tables["u"].indexes
    index.dialect_options["postgresql"]["where"] = sa.text("gone IS NULL")
    result = sync(partial, "sqlite", "postgres", dry_run=dry_run)
    assert (result.warnings, result.tables[0].inserted) == ((), 4)


@pytest.mark.parametrize(
    ("target", "outcome", "reason"),
    [
        ("sqlite2", None, None),
        ("postgres", "constraint stronger", "over all rows, as the models say; sqlite has it only where gone IS NULL."),
        ("duckdb", "constraint missing", "without the unique key u_live (name) where gone IS NULL, which"),
    ],
)
def test_a_partial_key_is_kept_or_its_change_is_told_where_no_row_breaks_it(
    config: Config, using: Using, target: str, outcome: str | None, reason: str | None
) -> None:
    partial = using(reflected(config, "sqlite", *PARTIAL))
    found = sync(partial, "sqlite", target, where={"u": "id > 2"}).warnings
    assert [each.outcome for each in found] == ([outcome] if outcome else [])
    assert all(str(reason) in each.reason for each in found)


def test_a_partial_key_of_postgres_is_refused_where_sqlite_would_have_a_whole_one(config: Config, using: Using) -> None:
    partial = using(reflected(config, "postgres", *PARTIAL))
    with pytest.raises(SchemaMismatchError, match=r"only where \(gone IS NULL\), and several rows have name=x"):
        sync(partial, "postgres", "sqlite")


def thing(*constraints: sa.schema.SchemaItem) -> sa.MetaData:
    """A table as a user's models may have it."""
    metadata = sa.MetaData()
    sa.Table(
        "thing",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("a", sa.Text),
        sa.Column("b", sa.Text),
        *constraints,
    )
    return metadata


def test_two_values_that_sqlite_takes_for_one_are_not_one_elsewhere(config: Config, using: Using) -> None:
    execute(
        config.database("sqlite"),
        "CREATE TABLE thing (id INTEGER PRIMARY KEY, a TEXT COLLATE NOCASE, b TEXT)",
        "INSERT INTO thing VALUES (1, 'A', NULL), (2, 'a', NULL), (3, NULL, NULL), (4, NULL, NULL)",
    )
    result = sync(using(thing(sa.UniqueConstraint("a"))), "sqlite", "duckdb")
    assert {each.outcome for each in result.warnings} == {"constraint missing", "constraint stronger"}
    assert result.tables[0].inserted == 4


@pytest.mark.parametrize("engine", ENGINES)
def test_models_that_demand_more_than_rows_keep_are_refused_with_all_of_it(
    config: Config, using: Using, engine: str
) -> None:
    create(config.database(engine), thing())
    execute(config.database(engine), "INSERT INTO thing VALUES (1, 'x', 'y'), (2, 'x', NULL), (3, NULL, 'y')")
    stricter = thing(sa.UniqueConstraint("a"), sa.Index("both", "a", "b", unique=True))
    stricter.tables["thing"].c.b.nullable = False
    with pytest.raises(SchemaMismatchError) as raised:
        sync(using(stricter), engine, "duckdb2" if engine == "duckdb" else "duckdb")
    first, second = sorted(raised.value.problems)
    assert first.endswith(f"NOT NULL of b, {engine} does not have it, and some row has NULL there")
    assert second.endswith(f"(a) over all rows, {engine} does not have it, and several rows have a=x")


@pytest.mark.parametrize("engine", ENGINES)
def test_what_models_leave_out_is_told_whatever_the_engine_that_has_it(
    config: Config, using: Using, engine: str
) -> None:
    full = thing(
        sa.CheckConstraint("b <> ')'", "fine"),
        sa.CheckConstraint("id > 0 AND id < 9", "small"),
        sa.UniqueConstraint("a", "b"),
        sa.Index("one_b", "b", unique=True),
        sa.Index("lower_b", sa.text("lower(b)"), unique=True),
    )
    full.tables["thing"].c.a.nullable = False
    create(config.database(engine), full)
    kept = thing(sa.CheckConstraint("id>0 and (id < 9)"))
    result = sync(using(kept), engine, "sqlite2")
    # Each engine names and writes what is unique in its own way.
    told = {each.partition(" (")[0].partition(" key")[0] for each in missing(result)}
    assert told == {"thing: NOT NULL of a", "thing: the check fine", "thing: the unique"}
    assert len(result.warnings) == 5


def test_exclusion_constraints_of_postgres_are_told(config: Config, using: Using) -> None:
    columns = "id INTEGER PRIMARY KEY, a TEXT, b TEXT, CONSTRAINT apart EXCLUDE USING btree (b WITH =)"
    execute(config.database("postgres"), f"CREATE TABLE thing ({columns})")
    assert missing(sync(using(thing()), "postgres", "sqlite")) == {"thing: apart"}
    same = thing(ExcludeConstraint(("b", "="), name="apart"))
    assert sync(using(same), "postgres", "duckdb", dry_run=True).warnings == ()


@pytest.mark.slow
@pytest.mark.parametrize("source", ["postgres", "duckdb"])
def test_nothing_is_told_of_tables_that_were_made_from_the_same_models(
    config: Config, using: Using, source: str
) -> None:
    metadata = sa.MetaData()
    for each in (shop.metadata, shop.Cyclic.metadata, club.metadata):
        for table in each.tables.values():
            table.to_metadata(metadata)
    same = using(metadata)
    create(config.database(source), metadata)
    for target in {
        "sqlite": ("sqlite2", "postgres", "duckdb"),
        "postgres": ("sqlite", "duckdb"),
        "duckdb": ("duckdb2", "postgres", "sqlite"),
    }[source]:
        assert sync(same, source, target).warnings == ()


def test_only_what_is_synced_is_told_and_views_are_not_looked_at(config: Config, using: Using) -> None:
    metadata = reflected(
        config,
        "sqlite",
        *LOSSY,
        "CREATE TABLE v0 (id INTEGER, a TEXT, b TEXT)",
        "CREATE VIEW thing AS SELECT * FROM v0",
    )
    metadata.remove(metadata.tables["v0"])
    lossy = using(metadata)
    assert missing(sync(lossy, "sqlite", "duckdb", ["p"])) == {"p: the unique key (email)"}
    assert not any("folded" in each for each in missing(sync(lossy, "sqlite", "sqlite2", exclude=["folded"])))
    view = sync(using(thing()), "sqlite", "postgres", ["thing"])
    assert [warning.outcome for warning in view.warnings] == ["view"]


def test_the_command_tells_them_on_stderr_and_in_its_document(
    config: Config, using: Using, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = [f"CREATE TABLE t{n:02} (id INTEGER PRIMARY KEY, a TEXT COLLATE NOCASE)" for n in range(25)]
    using(reflected(config, "sqlite", *tables))
    (tmp_path / "toolkit.toml").write_text(f'metadata = "{MODULE}:metadata"\n')
    monkeypatch.chdir(tmp_path)
    assert run(["sync", "--from", f"sqlite:///{config.database('sqlite').file}", "--to", "sqlite", "--json"]) == 0
    shown = capfd.readouterr()
    assert len(json.loads(shown.out)["warnings"]) == 25
    lines = shown.err.splitlines()
    assert lines[0].startswith("t00: sqlite is made without the collation NOCASE of a, which ")
    assert lines[20] == "… and 5 more constraints: --json lists all."


def test_what_migrations_make_is_the_migrations_own(config: Config) -> None:
    migrate.upgrade(config.database("sqlite"), config)
    execute(config.database("sqlite"), "CREATE UNIQUE INDEX more ON todo (item)")
    assert sync(config, "sqlite", "sqlite2").warnings == ()
    assert missing(sync(replace(config, migrations=config.root / "none"), "sqlite", "duckdb")) == {
        "todo: the unique key more (item)"
    }


PG_DEFAULTS = (
    """CREATE TABLE person (id SERIAL PRIMARY KEY, bio TEXT NOT NULL DEFAULT '', kind VARCHAR(9) DEFAULT 'a',
           born TIMESTAMPTZ DEFAULT now(), uid UUID DEFAULT gen_random_uuid(), is_on BOOLEAN DEFAULT true,
           tags JSONB DEFAULT '{}'::jsonb, odd TEXT DEFAULT pg_client_encoding(), n INTEGER DEFAULT 7)""",
    "INSERT INTO person (bio) VALUES ('x')",
)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["sqlite2", "duckdb"])
def test_tables_made_of_models_that_were_reflected_have_the_defaults_whose_meaning_is_certain(
    using: Using, config: Config, target: str
) -> None:
    space = using(reflected(config, "postgres", *PG_DEFAULTS))

    told = [sync(space, "postgres", target, dry_run=dry_run).warnings for dry_run in (True, False)]

    assert told[0] == told[1]
    (left,) = [(each.table, each.column) for each in told[0] if "Left out" in each.reason]
    assert left == ("person", "odd")
    with connected(space.database(target)) as connection:
        connection.exec_driver_sql("INSERT INTO person (odd) VALUES ('y')")
        row = connection.exec_driver_sql(
            "SELECT id, bio, kind, born IS NULL, uid IS NULL, n FROM person WHERE odd = 'y'"
        ).one()
    assert (row[0], *row[1:]) == (2, "", "a", False, False, 7)


def test_tables_made_of_models_of_sqlites_have_its_defaults_in_postgresql(using: Using, config: Config) -> None:
    space = using(
        reflected(
            config,
            "sqlite",
            """CREATE TABLE person (id INTEGER PRIMARY KEY, is_on BOOLEAN DEFAULT 1,
                   born TIMESTAMP DEFAULT (datetime('now')), code TEXT DEFAULT (lower(hex(randomblob(16)))),
                   note TEXT DEFAULT 'x')""",
            "INSERT INTO person (id) VALUES (1)",
        )
    )
    assert sync(space, "sqlite", "postgres").verified
    with connected(space.database("postgres")) as connection:
        row = connection.exec_driver_sql(
            "INSERT INTO person (note) VALUES ('y') RETURNING id, is_on, born IS NULL, length(code)"
        ).one()
    assert tuple(row) == (2, True, False, 32)


def test_a_default_by_a_function_of_the_applications_own_is_left_as_the_models_say(
    using: Using, config: Config
) -> None:
    metadata = sa.MetaData()
    sa.Table("t", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("c", sa.Text))
    create(config.database("sqlite"), metadata)
    metadata.tables["t"].c.c.server_default = sa.DefaultClause(sa.text("ours()"))
    space = using(metadata)

    with pytest.raises(StatementError, match=r"t\.c cannot be made from the models"):
        sync(space, "sqlite", "postgres")
    execute(space.database("postgres"), "CREATE FUNCTION ours() RETURNS text LANGUAGE sql AS $$ SELECT 'us' $$")
    sync(space, "sqlite", "postgres")

    with connected(space.database("postgres")) as connection:
        assert connection.exec_driver_sql("INSERT INTO t (id) VALUES (1) RETURNING c").scalar() == "us"


def test_where_there_are_no_migrations_none_of_them_is_said_to_fail(using: Using, config: Config) -> None:
    metadata = sa.MetaData()
    sa.Table("t", metadata, sa.Column("id", sa.Integer, primary_key=True))
    create(config.database("sqlite"), metadata)

    def refuse(*_: object, **__: object) -> None:
        raise ValueError("not today")

    sa.event.listen(metadata, "before_create", refuse)
    with pytest.raises(MigrationError, match=r"The tables could not be made: ValueError: not today\."):
        sync(using(metadata), "sqlite", "duckdb")
