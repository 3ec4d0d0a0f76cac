"""Database files of somebody else: what is in them reaches nothing outside of them; ordinary ones work as ever."""

from __future__ import annotations

import sqlite3
import sys
import types
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
import sqlalchemy as sa

from tests.operations.databases import contents
from toolkit.config import Config, load_config
from toolkit.core.progress import Silent
from toolkit.core.tables import select_tables
from toolkit.engines import connect
from toolkit.engines.sqlite.connection import SqliteConnection
from toolkit.errors import StatementError
from toolkit.operations.diff.compare import Status, diff
from toolkit.operations.fixtures.dump import dump_data
from toolkit.operations.sync import sync

MODULE = "notes_of_a_test"


class Heard(Silent):
    """What was worth a line of its own."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        """Keep it."""
        self.notes.append(message)


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A table of notes, and databases that it may be in."""
    metadata = sa.MetaData()
    sa.Table("note", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("text", sa.Text))
    module = types.ModuleType(MODULE)
    module.metadata = metadata  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, MODULE, module)
    (tmp_path / "toolkit.toml").write_text(
        f'metadata = "{MODULE}:metadata"\n'
        '[databases]\nmine = "sqlite:///mine.db"\ntheirs = "duckdb:///theirs.duckdb"\nother = "sqlite:///other.db"\n'
        'trusted = {url = "duckdb:///theirs.duckdb", external_access = true}\n'
    )
    (tmp_path / "private.csv").write_text("private\nof mine\n")
    return load_config(tmp_path, {})


def metadata_of(config: Config) -> sa.MetaData:
    """The tables of the test."""
    found: sa.MetaData = sys.modules[config.metadata.partition(":")[0]].metadata
    return found


@pytest.mark.parametrize(
    "query",
    [
        "SELECT content AS text FROM read_text('{file}')",
        "SELECT column0 AS text FROM read_csv('{file}', header = false)",
        "SELECT private AS text FROM '{file}'",
        "SELECT file AS text FROM glob('{folder}/*')",
        "SELECT content::VARCHAR AS text FROM read_blob('{file}')",
    ],
)
def test_a_view_in_a_duckdb_file_reads_nothing_outside_of_it(notes: Config, tmp_path: Path, query: str) -> None:
    select = query.format(file=tmp_path / "private.csv", folder=tmp_path)
    with duckdb.connect(str(tmp_path / "theirs.duckdb")) as theirs:
        theirs.execute(f"CREATE VIEW note AS SELECT 1 AS id, text FROM ({select})")
    [spec] = select_tables(metadata_of(notes))
    with connect(notes.database("theirs")) as connection, pytest.raises(StatementError) as told:
        list(connection.repository(spec).read())
    assert f"reads what is outside of {tmp_path}/theirs.duckdb" in told.value.fact
    assert "external_access = true" in told.value.advice
    assert "of mine" not in told.value.fact
    # Whoever says so may have it.
    with connect(notes.database("trusted")) as connection:
        assert sum(batch.num_rows for batch in connection.repository(spec).read())


def test_views_that_rows_are_read_from_are_named(notes: Config, tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "theirs.duckdb")) as theirs:
        theirs.execute("CREATE VIEW note AS SELECT 1 AS id, 'x' AS text")
    told = "theirs: note is a view, not a table: the rows are what a query there gives."
    heard = Heard()
    result = sync(notes, "theirs", "mine", progress=heard)
    assert told in heard.notes
    assert [(each.outcome, each.table) for each in result.warnings] == [("view", "note")]
    for run in (
        lambda heard: dump_data(notes, "theirs", directory=tmp_path / "dump", progress=heard),
        lambda heard: diff(notes, "mine", "theirs", progress=heard),
    ):
        heard = Heard()
        run(heard)
        assert heard.notes == [told]
    heard = Heard()
    assert sync(notes, "mine", "other", progress=heard).warnings == ()
    assert not [note for note in heard.notes if "view" in note]


@pytest.mark.parametrize("write", [False, True])
def test_expressions_in_a_sqlite_file_call_only_harmless_functions(notes: Config, tmp_path: Path, write: bool) -> None:
    with closing(sqlite3.connect(tmp_path / "mine.db")) as file:
        file.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT)")
        file.execute("CREATE VIEW schemas AS SELECT name FROM pragma_table_info('note')")
    with connect(notes.database("mine"), write=write) as connection:
        assert isinstance(connection, SqliteConnection)
        told, queries = [], ("SELECT * FROM schemas", "SELECT load_extension('x')")
        for query in queries:
            with pytest.raises(sa.exc.OperationalError) as error:
                connection.sqlalchemy.exec_driver_sql(query)
            told.append(str(error.value.orig))
        assert told == ['unsafe use of virtual table "pragma_table_info"', "not authorized"]
        if connection.reader is None:
            return
        for query, reason in zip(queries, ("unsafe use", "not authorized"), strict=True):
            with connection.reader.cursor() as cursor, pytest.raises(Exception, match=reason):  # noqa: PT012
                cursor.execute(query)
                cursor.fetchall()


ORDINARY = {
    "generated columns, indexes, checks, triggers and views": """
        CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT CHECK (length(text) < 100 AND json_valid('[]')),
            size INTEGER GENERATED ALWAYS AS (length(text)) STORED, upper TEXT GENERATED ALWAYS AS (upper(text)));
        CREATE INDEX by_lower ON note (lower(text)) WHERE text LIKE 'a%';
        CREATE TABLE seen (id INTEGER, day TEXT DEFAULT (strftime('%Y', 'now')));
        CREATE TRIGGER seeing AFTER INSERT ON note BEGIN INSERT INTO seen (id) SELECT value FROM json_each('[1]'); END;
    """,
    "a full-text index": """
        CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT);
        CREATE VIRTUAL TABLE words USING fts5(text, content = note, content_rowid = id);
        CREATE TRIGGER indexing AFTER INSERT ON note
            BEGIN INSERT INTO words (rowid, text) VALUES (new.id, new.text); END;
    """,
    "functions that SQLAlchemy defines": """
        CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT CHECK (text REGEXP '^[a-z]+$'),
            half INTEGER GENERATED ALWAYS AS (floor(id / 2.0)));
    """,
}


@pytest.mark.parametrize("schema", ORDINARY.values(), ids=ORDINARY)
def test_ordinary_sqlite_files_are_read_and_written_as_ever(notes: Config, tmp_path: Path, schema: str) -> None:
    # Not by SQLAlchemy: the functions that it defines are no others' either.
    rows = [(1, "abc"), (2, "b")]
    for name in ("mine", "other"):
        with closing(sqlite3.connect(tmp_path / f"{name}.db")) as file:
            file.create_function("regexp", 2, lambda *_: True, deterministic=True)
            file.executescript(schema)
            if name == "mine":
                file.executemany("INSERT INTO note (id, text) VALUES (?, ?)", rows)
                file.commit()
    assert sync(notes, "mine", "other").verified
    assert diff(notes, "mine", "other").tables[0].status is Status.SAME
    assert contents(notes.database("other"), metadata_of(notes)) == {"note": rows}
