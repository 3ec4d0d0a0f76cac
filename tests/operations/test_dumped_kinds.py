"""Dumps without models tell what their texts are: bytes, documents and text come back as what they were."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.operations.databases import connected, execute
from tests.servers import mariadb as server
from toolkit import dump_data, load_data
from toolkit.config import Config, load_config
from toolkit.errors import FixtureError, MisfitsError

TABLE = "CREATE TABLE t (id INTEGER PRIMARY KEY, untyped, bytes BLOB, document JSON, word TEXT)"
# Each could be another by its text: 'abcd' is base64, and '"x"' a document.
ROWS = "INSERT INTO t VALUES (1, x'61', 'abcd', '{a', '\"x\"'), (2, x'62', 'efgh', 'b', '{}')"
STORED = "SELECT typeof(untyped), hex(untyped), typeof(bytes), bytes, document, word FROM t ORDER BY id"


@pytest.fixture
def dumped(config: Config, tmp_path: Path) -> Config:
    """The configuration of the databases, without models, and with a dump of a file of SQLite."""
    bare = replace(config, metadata="", migrations=config.root / "none", fixtures=tmp_path / "dump")
    execute(bare.database("sqlite"), TABLE, ROWS)
    dump_data(bare, "sqlite")
    return bare


def test_texts_come_back_as_what_they_were(dumped: Config) -> None:
    """In a file whose columns hold anything, by the manifest: of their own types they would be read as base64."""
    wanted = stored(dumped)
    execute(dumped.database("sqlite"), "DELETE FROM t")
    load_data(dumped, "sqlite")
    assert stored(dumped) == wanted


def test_a_dumps_manifest_is_not_taken_for_the_file_of_a_table_of_its_name(config: Config, tmp_path: Path) -> None:
    bare = replace(config, metadata="", migrations=config.root / "none", fixtures=tmp_path / "dump")
    execute(
        bare.database("sqlite"), "CREATE TABLE manifest (id INTEGER PRIMARY KEY)", "INSERT INTO manifest VALUES (1)"
    )
    dump_data(bare, "sqlite")
    result = load_data(bare, "sqlite")
    assert ([table.unchanged for table in result.tables], result.warnings) == ([1], ())


@pytest.mark.parametrize(("column", "type_"), [("bytes", "bytea"), ("word", "jsonb"), ("untyped", "text")])
def test_a_column_of_another_kind_is_refused(dumped: Config, column: str, type_: str) -> None:
    """Text is no base64, and no document, in a database whose columns are strict; nor are bytes text."""
    types = {"untyped": "bytea", "bytes": "text", "document": "text", "word": "text", column: type_}
    columns = ", ".join(f"{name} {each}" for name, each in types.items())
    execute(dumped.database("postgres"), f"CREATE TABLE t (id bigint PRIMARY KEY, {columns})")
    with pytest.raises(FixtureError, match=rf"t\.json: holds {column} as "):
        load_data(dumped, "postgres")


def test_arrays_of_arrays_come_back_into_columns_that_are_declared_as_plain_ones(
    config: Config, tmp_path: Path
) -> None:
    """An empty table does not tell that its arrays hold others, or do not begin at 1; the dump does."""
    bare = replace(config, metadata="", migrations=config.root / "none", fixtures=tmp_path / "dump")
    values = ["{1}", "{{1,2},{3,4}}", "[0:1]={5,NULL}"]
    execute(bare.database("postgres"), "CREATE TABLE a (id integer PRIMARY KEY, v integer[])")
    execute(bare.database("postgres"), *(f"INSERT INTO a VALUES ({n}, '{v}')" for n, v in enumerate(values)))
    dump_data(bare, "postgres")
    execute(bare.database("postgres"), "TRUNCATE a")
    assert load_data(bare, "postgres").verified
    with connected(bare.database("postgres")) as connection:
        found = connection.exec_driver_sql("SELECT v::text FROM a ORDER BY id").scalars().all()
    assert found == values


def test_uneven_lists_of_duckdb_come_back_into_a_table_without_rows(config: Config, tmp_path: Path) -> None:
    """Of no rows it is not known that they are uneven; the dump says it."""
    bare = replace(config, metadata="", migrations=config.root / "none", fixtures=tmp_path / "dump")
    execute(bare.database("duckdb"), "CREATE TABLE a (id INTEGER PRIMARY KEY, v INTEGER[][], even INTEGER[][])")
    execute(bare.database("duckdb"), "INSERT INTO a VALUES (1, [[1], [2, 3], NULL], [[1], [2]])")
    dump_data(bare, "duckdb")
    execute(bare.database("duckdb"), "DELETE FROM a")
    assert load_data(bare, "duckdb").verified
    with connected(bare.database("duckdb")) as connection:
        found = connection.exec_driver_sql("SELECT v::VARCHAR, even::VARCHAR FROM a").all()
    assert [tuple(row) for row in found] == [("[[1], [2, 3], NULL]", "[[1], [2]]")]


def test_columns_that_a_file_leaves_out_get_the_database_s_defaults_as_its_catalogue_spells_them(
    config: Config,
) -> None:
    """PostgreSQL's are casts: their colons were sent with what keeps SQLAlchemy from taking them for parameters."""
    bare = replace(config, metadata="", migrations=config.root / "none", fixtures=config.root / "written")
    columns = "id integer PRIMARY KEY, word varchar(9) DEFAULT 'a:b', at date DEFAULT '2020-01-02', doc jsonb"
    execute(bare.database("postgres"), f"CREATE TABLE d ({columns}, n integer NOT NULL DEFAULT 5)")
    bare.fixtures.mkdir()
    (bare.fixtures / "d.json").write_text('[{"id": 1, "doc": {"a": 1}}]')
    assert load_data(bare, "postgres").verified
    with connected(bare.database("postgres")) as connection:
        (found,) = connection.exec_driver_sql("SELECT word, at::text, n FROM d").all()
    assert tuple(found) == ("a:b", "2020-01-02", 5)
    # What is wrong is told alone: the default is none of it.
    (bare.fixtures / "d.json").write_text('[{"id": 2, "doc": {"a": 1, "a": 2}}, {"id": 3, "doc": {"b": 1, "b": 2}}]')
    with pytest.raises(MisfitsError) as refused:
        load_data(bare, "postgres")
    assert {each.column for each in refused.value.misfits} == {"doc"}


def stored(config: Config) -> list[tuple[str, ...]]:
    """The values with their storage classes."""
    with connected(config.database("sqlite")) as connection:
        return [tuple(row) for row in connection.exec_driver_sql(STORED)]


def test_a_table_without_rows_takes_what_its_columns_held_where_they_were_dumped(
    mariadb_server: str, mariadb_url: str, tmp_path: Path
) -> None:
    """By their rows, they would be a key of 63 bits, a truth and a time of day."""
    columns = "id bigint unsigned AUTO_INCREMENT PRIMARY KEY, up bigint unsigned, few tinyint(1), lasted time"
    table = f"CREATE TABLE wide ({columns}, FOREIGN KEY (up) REFERENCES wide (id))"
    rows = "INSERT INTO wide VALUES (1, NULL, 1, '10:00:00'), (18446744073709551614, 1, 7, '-100:00:00')"
    with server.database(mariadb_server) as back:
        server.run(mariadb_url, table, rows)
        server.run(back, table)
        named = {"TOOLKIT_ONE_URL": mariadb_url, "TOOLKIT_BACK_URL": back}
        bare = replace(load_config(tmp_path, named), metadata="", fixtures=tmp_path / "dump")
        dump_data(bare, "one")
        assert load_data(bare, "back").verified
        found = server.run(back, "SELECT id, up, few, CAST(lasted AS CHAR) FROM wide")
    assert found == [(1, None, 1, "10:00:00"), (18446744073709551614, 1, 7, "-100:00:00")]


def test_a_decimal_with_digits_that_is_no_number_is_dumped_and_comes_back(config: Config, tmp_path: Path) -> None:
    bare = replace(config, metadata="", migrations=config.root / "none", fixtures=tmp_path / "dump")
    postgres = bare.database("postgres")
    made = "CREATE TABLE t (id int PRIMARY KEY, price numeric(10, 2) CHECK (price > 1), size numeric(5, 2), n numeric)"
    rows = "INSERT INTO t VALUES (1, 'NaN', 2.5, 'NaN'), (2, 1.5, 3, '-Infinity'), (3, NULL, NULL, NULL)"
    execute(postgres, made, rows)
    dump_data(bare, "postgres")
    assert '"price":"NaN","size":"2.50"' in (bare.fixtures / "t.json").read_text()
    execute(postgres, "DROP TABLE t", made)
    assert load_data(bare, "postgres").verified
    told = "SELECT price::text, size::text, n::text FROM t ORDER BY id"
    with connected(postgres) as connection:
        found = [tuple(row) for row in connection.exec_driver_sql(told)]
    assert found == [("NaN", "2.50", "NaN"), ("1.50", "3.00", "-Infinity"), (None, None, None)]
    assert [each.unchanged for each in load_data(bare, "postgres").tables] == [3]
