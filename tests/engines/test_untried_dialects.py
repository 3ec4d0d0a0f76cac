"""Engines that no server was there of: what the portable code would send them is understood by their dialects.

The statements are those of the real repository, over the portable codec; each dialect has to write all of them. What
they do is shown on SQLite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql, oracle
from sqlalchemy_cockroachdb.base import CockroachDBDialect

from tests.engines import fourth
from tests.engines.stepped_table import SteppedTable
from tests.operations.databases import create
from toolkit.config import Database
from toolkit.core.tables import ForeignKeySpec, TableSpec, select_tables
from toolkit.engines import connect, registry
from toolkit.errors import UniqueConflictError, UnknownNameError

metadata = sa.MetaData()
sa.Table(
    'pa"ir',
    metadata,
    sa.Column("a", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("b", sa.String(9), primary_key=True),
    sa.Column("value", sa.Text),
    sa.Column("twin", sa.String(9), unique=True),
)
(SPEC,) = select_tables(metadata)


def spanner() -> Any:
    """Loaded by the one test that needs it: every process that collects tests would take a second for it."""
    from google.cloud.sqlalchemy_spanner.sqlalchemy_spanner import SpannerDialect

    return SpannerDialect()


DIALECTS: dict[str, Callable[[], Any]] = {
    "mssql": mssql.dialect,
    "oracle": oracle.dialect,
    "cockroachdb": CockroachDBDialect,
    "spanner": spanner,
}


def rows(*given: Sequence[Any]) -> pa.RecordBatch:
    columns = zip(*given, strict=True)
    arrays = [pa.array(values, c.type.arrow) for c, values in zip(SPEC.columns, columns, strict=True)]
    return pa.record_batch(arrays, schema=SPEC.schema)


class Asked:
    """What is asked of a connection, and no answer but that there is nothing."""

    rowcount = 0

    def __init__(self) -> None:
        self.statements: list[Any] = []

    def execute(self, statement: Any, _: Any = None) -> Asked:
        self.statements.append(statement)
        return self

    def all(self) -> list[tuple[Any, ...]]:
        return [(0,)] if "count(" in str(self.statements[-1]) else []

    def scalars(self) -> list[Any]:
        return []

    def fetchmany(self, _: int) -> list[Any]:
        return []

    def close(self) -> None:
        """Nothing is open."""

    @contextmanager
    def begin_nested(self) -> Iterator[None]:
        yield


@pytest.fixture
def asked(tmp_path: Path) -> list[Any]:
    """All kinds of statements that the portable repository sends."""
    connection: Any = fourth.FourthConnection(Database("fourth", f"fourth:///{tmp_path}/one.fourth"), False)
    connection.sqlalchemy, connection.translated = Asked(), nullcontext
    own = SteppedTable(connection, replace(SPEC, conditions=("a > 1",)))
    keys = pa.table({"a": pa.array([1, 2], pa.int32()), "b": ["x", "y"]})
    own.upsert_many([rows((1, "x", "v", "t"))])
    assert not list(own.read(keys=keys))
    assert not list(own.read())
    own.count()
    own.is_empty()
    own.first_repeated(["twin"])
    own.meet(keys)
    own.delete_many(keys)
    own.delete_all()
    own.update_many(pa.table({"a": pa.array([1], pa.int32()), "b": ["x"], "value": ["new"]}))
    own.compare_and_set("value", keys, ["old", None], pa.array(["new", "new"]))
    own.require_parents(ForeignKeySpec(("twin",), SPEC.name, ("b",)))
    found: list[Any] = connection.sqlalchemy.statements
    return found


@pytest.mark.parametrize("name", DIALECTS)
def test_every_statement_is_written_by_the_dialect(asked: list[Any], name: str) -> None:
    dialect = DIALECTS[name]()
    written = [str(statement.compile(dialect=dialect)) for statement in asked]
    kinds = {text.split()[0] for text in written}
    assert kinds == {"SELECT", "INSERT", "UPDATE", "DELETE"}
    assert not any("ON CONFLICT" in text or "DUPLICATE KEY" in text for text in written)
    if name not in ("cockroachdb", "spanner"):
        assert not any(" LIMIT " in text for text in written)
    assert sum("NOT (EXISTS" in text for text in written) == 1


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A database with rows."""
    monkeypatch.setattr(registry, "ENGINES", (*registry.ENGINES, fourth.ENTRY))
    made = Database("fourth", f"fourth:///{tmp_path}/one.fourth")
    create(made, metadata)
    upserted(made, SPEC, rows((1, "x", "old", "t"), (2, "y", None, "u")))
    return made


def upserted(database: Database, spec: TableSpec, batch: pa.RecordBatch) -> list[tuple[Any, ...]]:
    """All rows after some were upserted."""
    with connect(database, write=True) as connection:
        own = SteppedTable(connection, spec)  # type: ignore[arg-type]
        own.upsert_many([batch])
        connection.commit()
        found = pa.Table.from_batches(own.read(), spec.schema).sort_by("a")
        return [tuple(row.values()) for row in found.to_pylist()]


def test_rows_that_are_there_are_updated_and_others_inserted(database: Database) -> None:
    found = upserted(database, SPEC, rows((1, "x", "new", None), (1, "X", "v", "w")))
    assert sorted(map(repr, found)) == sorted(
        map(repr, [(1, "x", "new", None), (1, "X", "v", "w"), (2, "y", None, "u")])
    )


def test_a_unique_value_of_another_row_is_refused_and_nothing_is_changed(database: Database) -> None:
    with pytest.raises(UniqueConflictError, match="a=3"):
        upserted(database, SPEC, rows((1, "x", "new", "t"), (3, "z", None, "u")))
    assert upserted(database, SPEC, rows((2, "y", None, "u"))) == [(1, "x", "old", "t"), (2, "y", None, "u")]


@pytest.mark.parametrize("scheme", ["mssql+pyodbc", "oracle", "cockroachdb", "spanner"])
def test_an_address_of_one_says_what_was_tried_and_what_was_not(scheme: str) -> None:
    with pytest.raises(UnknownNameError) as told:
        _ = Database("other", f"{scheme}://user:secret@host/name").kind
    assert "no server" in told.value.advice
    assert "compiled" in told.value.advice
    assert "secret" not in told.value.fact + told.value.advice
