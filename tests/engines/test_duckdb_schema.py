"""DuckDB's tables by its own catalogue, without models: as they are reflected, and as they are made once more."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
import sqlalchemy as sa

from tests.engines.duckdb_catalogue import catalogue
from toolkit.config import Config, Database, load_config
from toolkit.core.numbering import NEXT_NUMBER, NUMBERING, Numbering
from toolkit.engines import connect
from toolkit.errors import DatabaseUnavailableError, StatementError, ToolkitError
from toolkit.operations.sync import sync

HOSTILE = Path(__file__).parent / "hostile_duckdb.sql"


@pytest.fixture
def pair(tmp_path: Path) -> Config:
    """Two files of DuckDB, the first with hostile tables and their rows, and no models."""
    with duckdb.connect(str(tmp_path / "one.duckdb")) as connection:
        connection.execute(HOSTILE.read_text(encoding="utf-8"))
    names = ("one", "two")
    return load_config(
        tmp_path, {f"TOOLKIT_{name.upper()}_URL": f"duckdb:///{tmp_path}/{name}.duckdb" for name in names}
    )


@pytest.mark.slow
def test_tables_in_another_file_are_the_same_again_by_duckdbs_own_catalogue(pair: Config, tmp_path: Path) -> None:
    result = sync(pair, "one", "two")
    assert result.created_schema
    assert result.verified
    with duckdb.connect(str(tmp_path / "one.duckdb")) as connection:
        connection.execute("DROP SEQUENCE unused")  # As no table takes numbers from it, it is told and not carried.
    assert catalogue(tmp_path / "two.duckdb") == catalogue(tmp_path / "one.duckdb")
    again = sync(pair, "one", "two")
    assert {table.unchanged for table in again.tables} == {2}
    assert sum(table.inserted + table.updated for table in again.tables) == 0


def test_what_is_beside_tables_is_told_and_the_rest_is_as_sqlalchemy_has_it(pair: Config) -> None:
    with connect(pair.database("one")) as connection:
        schema = connection.schema()
    told = {(note.table, note.what) for note in schema.notes}
    assert told == {("seen", "view"), ("plus_one", "macro"), ("unused", "sequence")}
    assert set(schema.metadata.tables) == {"Parent Table", 'Odd "schema".child', "a_child"}
    parent = schema.metadata.tables["Parent Table"]
    assert parent.c.id.info == {NEXT_NUMBER: 9, NUMBERING: Numbering(2, maximum=100, cycles=True)}
    assert str(parent.c["Mixed Name"].server_default.arg) == """'a:b %s ''q'' "d"'"""  # type: ignore[union-attr]
    feeling = parent.c.feeling.type
    assert isinstance(feeling, sa.Enum)
    assert (feeling.name, feeling.enums) == ("mood", ["sad", "it's ok", "100% :happy", "", ", "])
    assert parent.c.select.type.collation == "NOCASE"  # type: ignore[attr-defined]
    assert isinstance(parent.c.doubled.computed, sa.Computed)
    assert {each.name: each.unique for each in parent.indexes} == {"Index %": False, "unique_one": True}
    checks = {str(each.sqltext) for each in parent.constraints if isinstance(each, sa.CheckConstraint)}
    assert checks == {"""("Mixed Name" != ':x%')""", """((amount > 0) AND ("100%" !~~ '%:x'))"""}
    (key,) = schema.metadata.tables["a_child"].foreign_keys
    assert key.column is parent.c.id


@pytest.mark.slow
def test_a_foreign_key_from_a_table_to_itself_is_told_and_one_to_a_table_left_out_is_not_made(
    tmp_path: Path, pair: Config
) -> None:
    with duckdb.connect(str(tmp_path / "one.duckdb")) as connection:
        connection.execute("CREATE TABLE tree (id INTEGER PRIMARY KEY, above INTEGER REFERENCES tree (id), p INTEGER)")
        connection.execute("INSERT INTO tree VALUES (1, NULL, 5)")
        connection.execute("INSERT INTO tree VALUES (2, 1, 7)")
    with connect(pair.database("one")) as one:
        assert not any(note.table == "tree" for note in one.schema().notes), "another engine may have it"
        (alone,) = one.definitions([one.schema().metadata.tables["a_child"]])[-1:]
    assert alone == "CREATE TABLE a_child(id BIGINT PRIMARY KEY, parent INTEGER);"
    result = sync(pair, "one", "two")
    assert result.verified
    told = [(each.table, each.reason.partition(":")[0]) for each in result.warnings if each.table == "tree"]
    assert ("tree", "foreign key of above") in told
    with duckdb.connect(str(tmp_path / "two.duckdb")) as connection:
        keys = "SELECT constraint_text FROM duckdb_constraints() WHERE constraint_type = 'FOREIGN KEY'"
        assert connection.execute(keys).fetchall() == [('FOREIGN KEY (parent) REFERENCES "Parent Table"(id)',)]


@pytest.mark.slow
def test_a_row_that_others_point_at_is_updated_but_for_its_unique_values(pair: Config, tmp_path: Path) -> None:
    def run(*statements: str) -> None:
        with duckdb.connect(str(tmp_path / "one.duckdb")) as connection:
            for each in statements:
                connection.execute(each)

    run(
        "CREATE TABLE owner (id INTEGER PRIMARY KEY, email VARCHAR UNIQUE, name VARCHAR)",
        "CREATE TABLE pet (id INTEGER PRIMARY KEY, owner INTEGER REFERENCES owner (id))",
        "INSERT INTO owner VALUES (1, 'a', 'n'), (2, 'b', 'm')",
        "INSERT INTO pet VALUES (1, 1)",
    )
    sync(pair, "one", "two")
    run(
        "UPDATE owner SET name = 'other'",
        "INSERT INTO owner VALUES (3, 'c', 'l')",
        "UPDATE owner SET email = 'z' WHERE id = 2",
    )
    result = sync(pair, "one", "two", ["owner"])
    assert [(table.inserted, table.updated) for table in result.tables] == [(1, 2)]
    run("DELETE FROM pet", "UPDATE owner SET email = 'y' WHERE id = 1")
    with pytest.raises(ToolkitError, match="still referenced"):
        sync(pair, "one", "two", ["owner"])


def test_a_macro_that_a_table_calls_is_asked_for_by_name_and_used_where_it_is(tmp_path: Path) -> None:
    for name in ("one", "two"):
        with duckdb.connect(str(tmp_path / f"{name}.duckdb")) as connection:
            connection.execute("CREATE MACRO twice(x, y := 2) AS x * y")
    with duckdb.connect(str(tmp_path / "one.duckdb")) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER DEFAULT twice(3), CHECK (twice(id) > 0))")
        connection.execute("INSERT INTO t (id) VALUES (1)")
    with connect(Database("one", f"duckdb:///{tmp_path}/one.duckdb")) as one:
        statements = one.definitions([*one.schema().metadata.tables.values()])
    with (
        pytest.raises(StatementError, match="no function twice"),
        connect(Database("three", f"duckdb:///{tmp_path}/three.duckdb"), write=True) as three,
        three.translated(),
    ):
        three.sqlalchemy.exec_driver_sql(statements[-1])
    with (
        connect(Database("two", f"duckdb:///{tmp_path}/two.duckdb"), write=True) as two,
        two.translated(),
    ):
        two.sqlalchemy.exec_driver_sql(statements[-1])


def test_an_encrypted_file_is_told_as_such_with_the_way_past_it(tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET force_mbedtls_unsafe = 'true'")
        connection.execute(f"ATTACH '{tmp_path}/shut.duckdb' AS shut (ENCRYPTION_KEY 'secret')")
        connection.execute("CREATE TABLE shut.t (id INTEGER)")
    with (
        pytest.raises(DatabaseUnavailableError, match="is encrypted, and keys of files are not known here"),
        connect(Database("shut", f"duckdb:///{tmp_path}/shut.duckdb")),
    ):
        pass


@pytest.mark.slow
def test_sequences_go_on_from_where_they_stand_round_and_at_their_end(pair: Config, tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "one.duckdb")) as connection:
        for name, cycle in (("around", "CYCLE"), ("used_up", "")):
            connection.execute(f"CREATE SEQUENCE {name} MAXVALUE 2 {cycle}")
            connection.execute(f"CREATE TABLE t_{name} (id INTEGER PRIMARY KEY, n INTEGER DEFAULT nextval('{name}'))")
            connection.execute(f"INSERT INTO t_{name} (id) VALUES (1), (2)")
    assert sync(pair, "one", "two", ["t_around", "t_used_up"]).verified
    with duckdb.connect(str(tmp_path / "two.duckdb")) as connection:
        assert connection.execute("SELECT nextval('around')").fetchall() == [(1,)]
        with pytest.raises(duckdb.SequenceException):
            connection.execute("SELECT nextval('used_up')")
