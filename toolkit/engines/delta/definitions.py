"""What defines a table: the statements that it was made by, kept among its properties, or what its own schema says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from toolkit.engines.delta import log
from toolkit.engines.delta.tables import quoted
from toolkit.engines.delta.types import TYPE, file_type, type_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from toolkit.engines.delta.tables import LakeTable

_SQL = "SELECT sql FROM duckdb_{}() WHERE database_name = current_database()"
_TYPES = """
SELECT type_name FROM duckdb_types() WHERE database_name = current_database() AND NOT internal AND labels IS NOT NULL
"""
# A row's parent is not where the row passes the other constraints; it is looked for in the files, before the commit.
_FOREIGN_KEY = re.compile(r", FOREIGN KEY \((?:[^()]|\([^)]*\))*\) REFERENCES [^(]*\([^)]*\)")
_KEYS = """
SELECT constraint_column_names FROM duckdb_constraints()
WHERE database_name = current_database() AND table_name = ? AND constraint_type = ? ORDER BY constraint_index
"""


def definition_of(name: str, snapshot: log.Snapshot) -> list[str]:
    """The statements that define a table: those it was made by, else what its own schema says.

    Raises:
        ValueError: a column's type is not known.
    """
    if text := snapshot.properties.get(log.DEFINITION):
        return [str(each) for each in json.loads(text)]
    columns = []
    for each in snapshot.schema:
        told = (each.metadata or {}).get(TYPE.encode())
        type_ = told.decode() if told else type_of(each.type)
        if type_ is None or file_type(type_) is None:
            raise ValueError(f"its column {each.name} is of a type that is not understood here: {each.type}")
        columns.append(f"{quoted(each.name)} {type_}{'' if each.nullable else ' NOT NULL'}")
    return [f"CREATE TABLE {quoted(name)}({', '.join(columns)})"]


def properties(raw: DuckDBPyConnection, table: LakeTable) -> Mapping[str, str]:
    """What of a definition Delta has no place for."""

    def keys(kind: str) -> list[list[str]]:
        return [list(columns) for (columns,) in raw.execute(_KEYS, [table.name, kind]).fetchall()]

    return {
        log.DEFINITION: json.dumps(list(_definition(raw, table))),
        log.KEY: json.dumps(keys("PRIMARY KEY")),
        log.UNIQUE: json.dumps(keys("UNIQUE")),
    }


def _definition(raw: DuckDBPyConnection, table: LakeTable) -> Iterable[str]:
    """The statements that define a table once more, with the types and sequences that it rests on."""
    types = set(table.types.values())
    for schema_type, shown in _named_types(raw):
        if any(actual.startswith(shown) for actual in types):
            yield f"CREATE TYPE {schema_type} AS {shown}"
    ((made,),) = raw.execute(f"{_SQL.format('tables')} AND table_name = ?", [table.name]).fetchall()
    sequences = raw.execute("SELECT sequence_name, sql FROM duckdb_sequences()").fetchall()
    yield from (str(sql) for sequence, sql in sequences if sequence in made)
    yield _FOREIGN_KEY.sub("", str(made))
    indexes = f"{_SQL.format('indexes')} AND table_name = ? AND is_unique ORDER BY index_name"
    yield from (str(sql) for (sql,) in raw.execute(indexes, [table.name]).fetchall())


def _named_types(raw: DuckDBPyConnection) -> list[tuple[str, str]]:
    names = raw.execute(_TYPES).fetchall()
    found = [(quoted(name), raw.execute(f"SELECT typeof(NULL::{quoted(name)})").fetchall()) for (name,) in names]
    return [(name, str(rows[0][0])) for name, rows in found]
