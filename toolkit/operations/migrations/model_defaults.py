"""Defaults of the models' columns that are another engine's SQL, as those of models that were reflected from it.

They are translated where their meaning is certain; else the table is made without, and it is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from msgspec import Struct

from toolkit.core.plan import NOT_CARRIED, TransferWarning
from toolkit.core.sql_terms import Untranslatable
from toolkit.core.translated_defaults import translated_default
from toolkit.core.translated_sql import Translation
from toolkit.core.verbatim import text_of, verbatim
from toolkit.engines.registry import ENGINES
from toolkit.operations.migrations.revisions import exists
from toolkit.operations.reflection.created_columns import meaning_of
from toolkit.operations.reflection.created_numbers import NEXT_VALUE, is_numbered

if TYPE_CHECKING:
    from toolkit.config import Database

_PROBE = "toolkit_probe"


class MadeDefault(Struct, frozen=True):
    """A column's default that the database does not take as it is: `sql` is what is made of it, None for nothing."""

    column: sa.Column[Any]
    sql: str | None
    reason: str | None
    """What is to be told of it; None where it means the same."""

    @property
    def warning(self) -> TransferWarning | None:
        """What is to be told of it."""
        if self.reason is None:
            return None
        default = f"default {_text(self.column)}: {self.reason}"
        return TransferWarning(NOT_CARRIED, self.column.table.fullname, default, self.column.name)


def made_defaults(database: Database, tables: Iterable[sa.Table]) -> list[MadeDefault]:
    """Of the defaults of these tables, which are yet to be made, those that the database does not take as they are."""
    columns = [column for table in tables for column in table.columns if _text(column) is not None]
    found = []
    for column in _refused(database, columns) if columns else ():
        made = _made(database, column)
        if made is not None:
            found.append(made)
    return found


@contextmanager
def with_made(found: Sequence[MadeDefault]) -> Iterator[None]:
    """Have the columns of the models with these defaults for the block."""
    before = [each.column.server_default for each in found]
    for each in found:
        each.column.server_default = None if each.sql is None else sa.DefaultClause(verbatim(each.sql))
    try:
        yield
    finally:
        for each, default in zip(found, before, strict=True):
            each.column.server_default = default


def _text(column: sa.Column[Any]) -> str | None:
    """The SQL of a default that was written as such."""
    given: Any = column.server_default
    clause = given.arg if isinstance(given, sa.DefaultClause) else None
    return text_of(clause) if isinstance(clause, sa.TextClause) else None


def _made(database: Database, column: sa.Column[Any]) -> MadeDefault | None:
    """What another engine's default is here; None for one that is nobody's, which the database is to refuse."""
    text = _text(column) or ""
    if re.fullmatch(NEXT_VALUE, text):
        numbers = is_numbered(column) and column is column.table.autoincrement_column
        return MadeDefault(column, None, None if numbers else "Left out: there is no such sequence.")
    reason = None
    for entry in ENGINES:
        kind = entry.load()
        if kind is database.kind:
            continue
        meanings = {each.name: meaning_of(each, kind.features) for each in column.table.columns}
        translation = Translation(kind.features.sql, database.kind.features.sql, meanings)
        try:
            found = translated_default(translation, text, meanings[column.name].kind)
        except Untranslatable as error:
            reason = reason or f"Left out: {error}."
            continue
        remarks = "; ".join(dict.fromkeys(translation.remarks))
        return MadeDefault(column, found, f"Made, but {remarks}." if remarks else None)
    # A server may have functions of the application's own by then.
    return MadeDefault(column, None, reason) if database.file is not None else None


def _refused(database: Database, columns: Sequence[sa.Column[Any]]) -> list[sa.Column[Any]]:
    """Those that the database does not take: tried in one in memory, or as temporary tables, of which nothing stays."""
    is_file = database.file is not None
    if not exists(database) and not is_file:
        return []
    probed = database.at(f"{database.kind.name}:///:memory:") if is_file else database
    engine = probed.unpooled_engine()
    database.kind.accept_types(engine)
    try:
        with suppress(sa.exc.OperationalError), engine.connect() as connection:
            tables = {column.table: [each for each in columns if each.table is column.table] for column in columns}
            # Mostly all are taken: then one question a table is enough.
            doubtful = [each for own in tables.values() if not _takes(connection, own, fills=is_file) for each in own]
            return [
                each
                for each in doubtful
                if not _takes(connection, [each], fills=is_file)
                and _takes(connection, [each], fills=is_file, default=False)
            ]
    finally:
        engine.dispose()
    return []


def _takes(connection: sa.Connection, columns: Sequence[sa.Column[Any]], *, fills: bool, default: bool = True) -> bool:
    """Whether a table of these columns alone can be made, and where it is nobody's, be filled by their defaults."""

    def probed(column: sa.Column[Any]) -> sa.Column[Any]:
        given: Any = column.server_default
        return sa.Column(column.name, column.type, server_default=given.arg if default else None)

    table = sa.Table(_PROBE, sa.MetaData(), *map(probed, columns), prefixes=["TEMPORARY"])
    try:
        table.create(connection)
        if fills:
            connection.exec_driver_sql(f"INSERT INTO {_PROBE} DEFAULT VALUES")
    except sa.exc.SQLAlchemyError:
        return False
    finally:
        connection.rollback()
        if fills:
            # SQLite's driver commits what makes tables.
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {_PROBE}")
            connection.commit()
    return True
