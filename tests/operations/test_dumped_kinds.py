"""Dumps without models tell what their texts are: bytes, documents and text come back as what they were."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.operations.databases import connected, execute
from toolkit import dump_data, load_data
from toolkit.config import Config
from toolkit.errors import FixtureError

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


@pytest.mark.parametrize(("column", "type_"), [("bytes", "bytea"), ("word", "jsonb"), ("untyped", "text")])
def test_a_column_of_another_kind_is_refused(dumped: Config, column: str, type_: str) -> None:
    """Text is no base64, and no document, in a database whose columns are strict; nor are bytes text."""
    types = {"untyped": "bytea", "bytes": "text", "document": "text", "word": "text", column: type_}
    columns = ", ".join(f"{name} {each}" for name, each in types.items())
    execute(dumped.database("postgres"), f"CREATE TABLE t (id bigint PRIMARY KEY, {columns})")
    with pytest.raises(FixtureError, match=rf"t\.json: holds {column} as "):
        load_data(dumped, "postgres")


def stored(config: Config) -> list[tuple[str, ...]]:
    """The values with their storage classes."""
    with connected(config.database("sqlite")) as connection:
        return [tuple(row) for row in connection.exec_driver_sql(STORED)]
