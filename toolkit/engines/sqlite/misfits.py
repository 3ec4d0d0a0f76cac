"""Which value of a table in SQLite, where any column holds anything, is none of its column's type."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from toolkit.core.conversions import conversion_advice
from toolkit.core.tables import ColumnSpec
from toolkit.engines.portable.codec import shown
from toolkit.engines.portable.table import TableRepository
from toolkit.engines.sqlite.snapshot import SqliteSnapshot
from toolkit.errors import ToolkitError, UnrepresentableValueError


def first_misfit(repository: TableRepository) -> ToolkitError | None:
    """The first value that is not of its column's type, found by reading row by row; None if there is none."""
    assert isinstance(repository.connection, SqliteSnapshot)
    with _any_text(repository.connection.driver):
        for column in repository.spec.columns:
            if found := _wrong_class(repository, column):
                return found
        try:
            for _ in TableRepository.read(repository):
                pass
        except ToolkitError as error:
            return error
    return None


@contextmanager
def _any_text(driver: sqlite3.Connection) -> Iterator[None]:
    """Read text that is no UTF-8, too, as text with surrogates in it, which can be shown."""
    driver.text_factory = lambda stored: stored.decode(errors="surrogateescape")
    try:
        yield
    finally:
        driver.text_factory = str


def _wrong_class(repository: TableRepository, column: ColumnSpec) -> UnrepresentableValueError | None:
    spec, table, connection = repository.spec, repository.table, repository.connection
    adapter = connection.codec.adapter(column)
    if not adapter.classes:
        return None
    cell = table.c[column.name]
    raw = [sa.type_coerce(table.c[name], sa.types.NullType()) for name in (*spec.key, column.name)]
    wrong = sa.func.typeof(cell).not_in(["null", *adapter.classes])
    row = connection.sqlalchemy.execute(sa.select(*raw).where(wrong).limit(1)).first()
    if row is None:
        return None
    key = connection.codec.key_text(spec, row[:-1])
    return UnrepresentableValueError(
        spec.name,
        key,
        column.name,
        f"holds {shown(row[-1])}, which is no {adapter.type.kind}",
        f"Correct the value at the source, then run again. {conversion_advice(spec, column.name, row[-1])}".rstrip(),
    )
