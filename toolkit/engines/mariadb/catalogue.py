"""What MariaDB's own catalogue says of tables, in a few questions for all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from toolkit.core.tables import TableSpec
from toolkit.engines.catalogue import ColumnFacts, StoredTable, TableFacts
from toolkit.engines.mariadb.dialect import CHARSET
from toolkit.engines.mariadb.types import BYTES, FLOATS, INTEGERS, LABELS, MOMENTS, TEXTS, actual_type, labels_of

# Of the types without characters, those to which bytes and their character set say the same.
_OF_BYTES = frozenset({*BYTES, *INTEGERS, *FLOATS, *MOMENTS, "decimal", "date", "time"})

ROW_END = "ROW END"
"""How the column is generated that says when a row of a table with history ended."""
_ALIKE = "(@@lower_case_table_names OR BINARY {0} {1})"


def named(column: str, what: str) -> str:
    """The condition of a table's name: tables may differ by case alone, which the catalogue takes for one name."""
    return f"{column} {what} AND {_ALIKE.format(column, what)}"


_COLUMNS = f"""
SELECT c.table_name AS place, c.column_name AS name, c.column_type AS type, c.is_nullable AS nullable,
       c.column_default AS standard, c.extra AS extra, c.is_generated AS computed, c.generation_expression AS expression
FROM information_schema.columns AS c
WHERE c.table_schema = coalesce(:schema, database()) AND {named("c.table_name", "IN :tables")}
ORDER BY c.table_name, c.ordinal_position
"""
# An index of the first characters of a column, or one that is not used, is nothing that an upsert can rest on.
_KEYS = f"""
SELECT s.table_name AS place, s.index_name AS name, s.column_name AS part, s.sub_part AS sub_part
FROM information_schema.statistics AS s
WHERE s.table_schema = coalesce(:schema, database()) AND {named("s.table_name", "IN :tables")} AND s.non_unique = 0
ORDER BY s.table_name, s.index_name, s.seq_in_index
"""
_TABLES = """
SELECT t.table_name AS name, c.column_name AS part
FROM information_schema.tables AS t JOIN information_schema.columns AS c
ON c.table_schema = t.table_schema AND BINARY c.table_name = BINARY t.table_name
WHERE t.table_schema = database() AND t.table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')
ORDER BY BINARY t.table_name, c.ordinal_position
"""
MOVED = f"""
SELECT c.column_name AS name FROM information_schema.columns AS c
WHERE c.table_schema = coalesce(:schema, database()) AND {named("c.table_name", "= :table")}
AND c.extra LIKE '%on update%'
"""
_CHARACTERS = f"""
SELECT c.column_name AS name, c.data_type AS type, c.character_set_name AS charset
FROM information_schema.columns AS c
WHERE c.table_schema = coalesce(:schema, database()) AND {named("c.table_name", "= :table")}
"""
_NEXT = f"""
SELECT t.table_name AS place, t.auto_increment AS following, t.engine AS engine
FROM information_schema.tables AS t
WHERE t.table_schema = coalesce(:schema, database()) AND {named("t.table_name", "IN :tables")}
"""

# Those of Unicode, and those in which each byte is a character: tried, byte by byte, with MariaDB 10.11.
_WHOLE = (
    *("utf8mb4", "utf8mb3", "utf8", "ucs2", "utf16", "utf16le", "utf32"),
    *("latin1", "latin2", "latin5", "latin7", "koi8r", "koi8u", "cp850", "cp852", "cp866", "keybcs2", "macroman"),
    "macce",
)
_DOUBTFUL = """
SELECT c.table_name AS place, c.column_name AS name, c.character_set_name AS charset
FROM information_schema.columns AS c
WHERE c.table_schema = coalesce(:schema, database()) AND c.character_set_name NOT IN :tables
"""


class Names(dict[str, str]):
    """By a table's name as the catalogue has it, that of its model: some servers write all of them small."""

    def __missing__(self, place: str) -> str:
        return next(own for name, own in self.items() if name.lower() == place.lower())


def rows(connection: sa.Connection, query: str, **values: Any) -> Sequence[Any]:
    """The rows of a question to the catalogue."""
    text = sa.text(query)
    if "tables" in values:
        text = text.bindparams(sa.bindparam("tables", expanding=True))
    return connection.execute(text, values).all()


def takes_bytes(connection: sa.Connection, spec: TableSpec) -> bool:
    """Whether each column takes the bytes of its text, or its own, for what they are.

    Not of another character set than what is sent, nor of a type that takes sixteen bytes for an address.
    """
    found = rows(connection, _CHARACTERS, schema=spec.table.schema, table=spec.table.name)
    return bool(found) and all(
        each.type in TEXTS and each.charset == CHARSET if each.charset else each.type in _OF_BYTES for each in found
    )


def doubtful_texts(connection: sa.Connection, schema: str | None) -> dict[tuple[str, str], str]:
    """By table and column, the character sets that have no character for some bytes."""
    found = rows(connection, _DOUBTFUL, schema=schema, tables=list(_WHOLE))
    return {(row.place, row.name): row.charset for row in found}


def table_facts(connection: sa.Connection, specs: Sequence[TableSpec]) -> dict[str, TableFacts]:
    """What there is of these tables, by name; without those that are not there."""
    found: dict[str, TableFacts] = {}
    for schema in dict.fromkeys(spec.table.schema for spec in specs):
        names = Names((spec.table.name, spec.name) for spec in specs if spec.table.schema == schema)
        asked = {"schema": schema, "tables": list(names)}
        columns: dict[str, dict[str, ColumnFacts]] = defaultdict(dict)
        ends: set[tuple[str, str]] = set()
        following = {row.place: row.following for row in rows(connection, _NEXT, **asked)}
        for row in rows(connection, _COLUMNS, **asked):
            columns[row.place][row.name] = _column(row, following.get(row.place))
            ends |= {(row.place, row.name)} if (row.expression or "").upper() == ROW_END else set()
        # When a row ended is the same of all that are: it tells none apart.
        keys = _keys([row for row in rows(connection, _KEYS, **asked) if (row.place, row.part) not in ends])
        found |= {names[place]: TableFacts(each, keys.get(place, frozenset())) for place, each in columns.items()}
    return found


def _column(row: Any, following: int | None) -> ColumnFacts:
    is_computed = row.computed == "ALWAYS"
    is_numbered = "auto_increment" in (row.extra or "").lower()
    has_value = row.nullable == "YES" or row.standard is not None or is_computed or is_numbered
    labels = labels_of(row.type) if actual_type(row.type).name in LABELS - {"set"} else None
    return ColumnFacts(
        row.type,
        is_computed=is_computed,
        cast=row.type,
        is_required=not has_value,
        next_number=following if is_numbered else None,
        labels=labels,
    )


def next_number(connection: sa.Connection, table: sa.Table) -> int | None:
    """The number that a table gives out next; None if it gives out none."""
    found = rows(connection, _NEXT, schema=table.schema, tables=[table.name])
    return next((row.following for row in found), None)


def _keys(found: Sequence[Any]) -> dict[str, frozenset[frozenset[str]]]:
    parts: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for row in found:
        parts[row.place, row.name].append(row)
    keys: dict[str, set[frozenset[str]]] = defaultdict(set)
    for (place, _), columns in parts.items():
        if all(column.sub_part is None and column.part is not None for column in columns):
            keys[place].add(frozenset(column.part for column in columns))
    return {place: frozenset(each) for place, each in keys.items()}


def stored_tables(connection: sa.Connection) -> Iterator[StoredTable]:
    """All tables of the database that the address names, with their columns; those that a view shows, not."""
    columns: dict[str, list[str]] = defaultdict(list)
    for row in rows(connection, _TABLES):
        columns[row.name].append(row.part)
    for name, parts in columns.items():
        yield StoredTable(name, None, tuple(parts), name)


def storage_engines(connection: sa.Connection, specs: Sequence[TableSpec]) -> dict[str, str]:
    """By table, what keeps its rows."""
    found: dict[str, str] = {}
    for schema in dict.fromkeys(spec.table.schema for spec in specs):
        names = Names((spec.table.name, spec.name) for spec in specs if spec.table.schema == schema)
        asked = rows(connection, _NEXT, schema=schema, tables=list(names))
        found |= {names[row.place]: str(row.engine) for row in asked if row.engine is not None}
    return found
