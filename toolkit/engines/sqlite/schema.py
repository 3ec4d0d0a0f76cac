"""A SQLite file's tables by its own catalogue, with types by what was declared, or what is stored."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from toolkit.core.numbering import NEXT_NUMBER
from toolkit.core.schema import ColumnMeasure, Note, Schema, TypesBy
from toolkit.core.sql_terms import quoted
from toolkit.engines.sqlite import measures as values
from toolkit.engines.sqlite.definitions import last_numbers
from toolkit.engines.sqlite.identities import identity
from toolkit.engines.sqlite.reflection import TableMaker, left_out
from toolkit.engines.sqlite.storage_types import types_by_storage
from toolkit.engines.sqlite.structure import BINARY, StoredStructure, structures
from toolkit.engines.sqlite.value_types import types_by_values

if TYPE_CHECKING:
    import sqlalchemy as sa
    from sqlalchemy.types import TypeEngine

    from toolkit.engines.sqlite.snapshot import SqliteSnapshot

_COPY = "Have the application copy it into a table without that"
_RENAME = 'Give it one (ALTER TABLE "{}" RENAME COLUMN "" TO …)'

# SQLite's own: others are functions of whoever opens the file (`PRAGMA collation_list` has the missing ones, too).
_COLLATIONS = frozenset((BINARY, "NOCASE", "RTRIM"))


def schema(connection: SqliteSnapshot, by: TypesBy) -> Schema:
    """All tables but virtual ones, and those that cannot be read, which is told."""
    every = structures(connection)
    unread = list(_unread(connection, every))
    names = {note.table for note in unread}
    found = [each for each in every if each.name not in names]
    types: dict[str, Mapping[str, TypeEngine[Any]]] = {}
    identities, notes = {}, list[Note]()
    looked = values.undeclared(connection, found) if by is TypesBy.VALUES else {}
    for each in found:
        identities[each.name], told = identity(connection, each)
        notes += told
        match by:
            case TypesBy.DECLARATION:
                types[each.name] = {column.name: column.declared.type for column in each.columns}
            case TypesBy.STORAGE:
                types[each.name] = types_by_storage(connection, each)
            case TypesBy.VALUES:
                types[each.name], told = types_by_values(connection, each, looked[each.name])
                notes += told
    maker = TableMaker(found, types, identities)
    metadata = maker.make()
    _add_numbers(connection, metadata)
    # Another file of SQLite's gets the statements themselves, with all that is in them.
    notes = list(_numbers_of_file(connection)) if by is TypesBy.STORAGE else [*notes, *maker.notes]
    return Schema("sqlite", metadata, (*notes, *unread, *left_out(connection)))


def _unread(connection: SqliteSnapshot, tables: Sequence[StoredStructure]) -> Iterator[Note]:
    """The tables whose rows cannot be read, each with what lets them be."""
    for table in tables:
        if "" in table.by_name:
            # Programs make them of CSV files with an empty cell in their first line; no other engine has such columns.
            remedy = _RENAME.format(table.name.replace('"', '""'))
            yield Note(table.name, "table", "A column of it has no name.", remedy=remedy)
        elif "without_rowid" in table.options and (unknown := table.collations - _COLLATIONS):
            what = f"the collation {min(unknown)}, which only its application has"
            reason = f"It is WITHOUT ROWID and has {what}: SQLite reads none of its rows without."
            yield Note(table.name, "table", reason, remedy=_COPY)
        elif (function := _unknown_function(connection, table)) is not None:
            reason = f"A generated column of it calls the function {function}, which only its application has."
            yield Note(table.name, "table", reason, remedy=_COPY)


def _unknown_function(connection: SqliteSnapshot, table: StoredStructure) -> str | None:
    """A function that a virtual column is computed by, and that SQLite does not have; it is looked up in preparing."""
    if not any(each.computed is not None and not each.is_stored for each in table.columns):
        return None
    try:
        connection.driver.execute(f"SELECT * FROM {quoted(table.name)} LIMIT 0").close()
    except sqlite3.OperationalError as error:
        if (found := re.match(r"(?:unknown|no such) function: ([^\s()]+)", str(error))) is not None:
            return found[1]
        raise
    return None


def _numbers_of_file(connection: SqliteSnapshot) -> Iterator[Note]:
    """What applications keep in the header of a file: the version of their schema, and what kind of file it is."""
    for name in ("user_version", "application_id"):
        row = connection.asking.row(f"PRAGMA {name}")
        if row and row[0]:
            statement = f"PRAGMA {name} = {row[0]}"
            yield Note(name, str(row[0]), f"Not of the rows: {statement} sets it there.", is_of_made=True)


def _add_numbers(connection: SqliteSnapshot, metadata: sa.MetaData) -> None:
    """Say which number comes next, where those of rows that are gone are not given again (AUTOINCREMENT)."""
    tables = [table for table in metadata.tables.values() if table.dialect_options["sqlite"]["autoincrement"]]
    last = last_numbers(connection, [table.name for table in tables])
    for table in tables:
        if (number := last.get(table.name)) is not None:
            for column in table.primary_key:
                column.info[NEXT_NUMBER] = number + 1


def measures(connection: SqliteSnapshot, table: sa.Table) -> dict[str, ColumnMeasure]:
    """What is stored in each column of a table, by one pass over it, and one beside that."""
    found = next(each for each in structures(connection) if each.name == table.name)
    columns = {column.name: column.declared for column in found.columns if column.name in table.columns}
    return values.measures(connection, found.name, columns)
