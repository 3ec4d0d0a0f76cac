"""Tables that somebody made in a MariaDB database, and what the toolkit reads and writes there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from tests.servers import mariadb as server
from toolkit.config import Database
from toolkit.core.tables import TableSpec, select_tables
from toolkit.engines import connect
from toolkit.errors import UnnamedRowError


def made(database: Database, columns: str, *model: sa.Column[Any], options: str = "") -> TableSpec:
    """A table `t` that somebody made with these columns, and what a model says of it."""
    server.run(database.address, f"CREATE TABLE t ({columns}) {options}")
    return select_tables(sa.Table("t", sa.MetaData(), *model).metadata)[0]


def batch_of(spec: TableSpec, *rows: Sequence[Any]) -> pa.RecordBatch:
    """Rows in the canonical schema."""
    columns = zip(*rows, strict=True)
    arrays = [pa.array(values, c.type.arrow) for c, values in zip(spec.columns, columns, strict=True)]
    return pa.record_batch(arrays, schema=spec.schema)


def write(database: Database, spec: TableSpec, *rows: Sequence[Any]) -> None:
    """Upsert rows and commit."""
    with connect(database, write=True) as connection:
        connection.repository(spec).upsert_many([batch_of(spec, *rows)])
        connection.commit()


def load(database: Database, spec: TableSpec, *rows: Sequence[Any]) -> None:
    """Fill the table and commit; a row that is refused is looked for, as a sync does it."""
    with connect(database, write=True) as connection:
        own = connection.repository(spec)
        try:
            own.load([batch_of(spec, *rows)], len(rows))
        except UnnamedRowError as error:
            assert own.is_empty()
            raise own.why_refused([batch_of(spec, *rows)], error) or error from error
        connection.commit()


def read(database: Database, spec: TableSpec) -> list[Any]:
    """All values of the column behind the key, as Python has them, by key."""
    with connect(database) as connection:
        found = pa.Table.from_batches(connection.repository(spec).read(), spec.schema)
    listed: list[Any] = found.sort_by(spec.key[0]).column(1).to_pylist()
    return listed


def a_key() -> sa.Column[Any]:
    """A whole number."""
    return sa.Column("id", sa.Integer, primary_key=True)


def of_one_column(database: Database, definition: str, type_: Any) -> TableSpec:
    """A table of a key and one column `v`."""
    return made(database, f"id INT PRIMARY KEY, v {definition}", a_key(), sa.Column("v", type_))
