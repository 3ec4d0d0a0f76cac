"""SQLite's catalogue: `sqlite_schema` and its PRAGMAs, which know more than SQLAlchemy's reflection."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from toolkit.core.constraints import Check, Constraints, ForeignKey, UniqueKey
from toolkit.core.sql_text import clauses, index_parts
from toolkit.core.tables import TableSpec
from toolkit.engines.catalogue import ColumnFacts, StoredTable, TableFacts
from toolkit.engines.portable.constraints import option_texts
from toolkit.engines.sqlite.definitions import last_numbers

if TYPE_CHECKING:
    from toolkit.engines.sqlite.snapshot import SqliteSnapshot

# Without virtual tables, whose columns only their module knows, which may not be there.
_TABLES = r"""
SELECT t.name, t.sql LIKE 'CREATE VIRTUAL TABLE%' AS is_virtual, t.sql, (
    SELECT json_group_array(x.name)
    FROM pragma_table_xinfo(CASE WHEN t.sql LIKE 'CREATE VIRTUAL TABLE%' THEN '' ELSE t.name END) AS x
) AS columns FROM sqlite_schema AS t WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY t.name
"""
# What FTS3 to FTS5 and R*Tree keep in tables beside their own; of other names, such a table is somebody's.
_FTS4 = ("_content", "_docsize", "_segdir", "_segments", "_stat")
_RTREE = ("_rowid", "_node", "_parent")
_SHADOWS = {
    "fts3": _FTS4,
    "fts4": _FTS4,
    "fts5": ("_content", "_config", "_data", "_docsize", "_idx"),
    "rtree": _RTREE,
    "rtree_i32": _RTREE,
    "geopoly": _RTREE,
}
# Those of them that have a row for each.
_HELD_IN = ("_content", "_rowid")
WITH_INDEX = frozenset(_SHADOWS)
_MODULE = re.compile(r"\bUSING\s+[\"`\[]?(\w+)", re.IGNORECASE)
# How the columns of such tables begin: another of that name is an application's own. Not all make all of them:
# `content=…` of a full-text table leaves out `_content`, `columnsize=0` and `matchinfo=fts3` `_docsize`.
_BEGINNINGS = {
    "_content": r"(id|docid) c\d",
    "_config": "k v$",
    "_data": "id block$",
    "_docsize": "(id sz|docid size)",
    "_idx": "segid term pgno$",
    "_segdir": "level idx start_block",
    "_segments": "blockid block$",
    "_stat": "id value$",
    "_rowid": "rowid nodeno",
    "_node": "nodeno data$",
    "_parent": "nodeno parentnode$",
}

_BINARY = "BINARY"
_TABLE = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND lower(name) = lower(:table)"
_COLUMNS = 'SELECT name, pk, "notnull" FROM pragma_table_xinfo(:table)'
_UNIQUE = """
SELECT i.name AS "index", x.name AS "column", upper(x.coll) AS collation, s.sql
FROM pragma_index_list(:table) AS i JOIN pragma_index_xinfo(i.name) AS x
LEFT JOIN sqlite_schema AS s ON s.type = 'index' AND s.name = i.name
WHERE i."unique" AND i.origin <> 'pk' AND x.key ORDER BY i.seq, x.seqno
"""
_FOREIGN_KEYS = """
SELECT id, "table" AS parent, "from" AS "column", on_delete, on_update
FROM pragma_foreign_key_list(:table) ORDER BY id, seq
"""
# Of any number of tables, given as JSON: a name here, a table, a schema. Joined in this order, or some are not found.
_ALL = """
SELECT json_extract(given.value, '$[0]') AS place, x.name, x.type, x.hidden, x.pk,
       x."notnull" AND coalesce(upper(x.dflt_value), 'NULL') = 'NULL' AND x.hidden = 0
       AND NOT (x.pk AND upper(x.type) = 'INTEGER') AS is_required
FROM json_each(:tables) AS given
CROSS JOIN pragma_table_xinfo(json_extract(given.value, '$[1]'), json_extract(given.value, '$[2]')) AS x
WHERE x.hidden <> 1
"""
_KEYS = """
SELECT json_extract(given.value, '$[0]') AS place, i.name AS key, x.name FROM json_each(:tables) AS given
CROSS JOIN pragma_index_list(json_extract(given.value, '$[1]'), json_extract(given.value, '$[2]')) AS i
CROSS JOIN pragma_index_xinfo(i.name, json_extract(given.value, '$[2]')) AS x
WHERE i."unique" AND NOT i.partial AND x.key
"""
# How `table_xinfo` marks generated columns, virtual and stored.
_COMPUTED = (2, 3)


def stored_tables(connection: SqliteSnapshot) -> Iterator[StoredTable]:
    """All tables but SQLite's own and an index's; a full-text table only where the text itself is in it."""
    with connection.translated():
        rows = connection.sqlalchemy.execute(sa.text(_TABLES)).all()
    columns = {row.name: json.loads(row.columns) for row in rows}
    shadows = {row.name: [*_shadows(row, columns)] for row in rows if row.is_virtual}
    hidden = {name for each in shadows.values() for name in each}
    for row in rows:
        if not row.is_virtual and row.name not in hidden:
            yield StoredTable(row.name, None, tuple(columns[row.name]), row.name)
        held = next((name for name in shadows.get(row.name, ()) if name.endswith(_HELD_IN)), None)
        if held is not None:
            yield StoredTable(row.name, None, (), held)


def module(table: str, sql: str) -> str:
    """What a virtual table is one of, by the statement that made it."""
    found = _MODULE.search(sql.replace(table, "", 1))
    return found[1].lower() if found else ""


def _shadows(virtual: Any, columns: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The tables that a virtual one has beside it, of which an application never knows."""
    for suffix in _SHADOWS.get(module(virtual.name, virtual.sql), ()):
        name = f"{virtual.name}{suffix}"
        if name in columns and re.match(_BEGINNINGS[suffix], " ".join(columns[name])):
            yield name


def is_strict(connection: SqliteSnapshot, spec: TableSpec) -> bool:
    """Whether a table keeps to its types, of which ANY makes nothing of values."""
    with connection.translated():
        found = connection.sqlalchemy.execute(sa.text(_TABLE), {"table": spec.table.name}).scalars().first()
    return found is not None and "strict" in found.rpartition(")")[2].lower()


def table_facts(connection: SqliteSnapshot, specs: Sequence[TableSpec]) -> dict[str, TableFacts]:
    """What the catalogue says of these tables, by name; without those that are not there."""
    # A table of another schema is not there, but to ask for that schema is an error.
    within = [spec for spec in specs if spec.table.schema in (None, "main")]
    names = [(spec.name, spec.table.name, "main") for spec in within]
    with connection.translated():
        bound = {"tables": json.dumps(names)}
        columns, indexed = (connection.sqlalchemy.exec_driver_sql(query, bound).all() for query in (_ALL, _KEYS))
    last = last_numbers(connection, [spec.table.name for spec in within])
    following = {spec.name: (last[spec.table.name] or 0) + 1 for spec in within if spec.table.name in last}
    found: dict[str, dict[str, ColumnFacts]] = defaultdict(dict)
    parts: dict[tuple[str, str], set[str | None]] = defaultdict(set)
    for row in columns:
        found[row.place][row.name] = ColumnFacts(
            row.type,
            row.hidden in _COMPUTED,
            is_required=bool(row.is_required),
            next_number=following.get(row.place) if row.pk else None,
        )
        if row.pk:
            # A key of one integer is the row's own number, and has no index.
            parts[row.place, ""].add(row.name)
    for row in indexed:
        parts[row.place, row.key].add(row.name)
    keys: dict[str, set[frozenset[str]]] = defaultdict(set)
    for (place, _), key in parts.items():
        # An expression has no name.
        keys[place] |= set() if None in key else {frozenset(map(str, key))}
    return {place: TableFacts(facts, frozenset(keys[place])) for place, facts in found.items()}


def constraints(connection: SqliteSnapshot, spec: TableSpec) -> Constraints | None:
    """All of a table, with what is only in the text of its CREATE TABLE: checks, collations, when keys are checked.

    None if it is a view.
    """
    sql, columns, indexes, foreign_keys = (
        connection.sqlalchemy.execute(sa.text(query), {"table": spec.table.name}).all()
        for query in (_TABLE, _COLUMNS, _UNIQUE, _FOREIGN_KEYS)
    )
    if not sql:
        return None
    parts = list(clauses(sql[0].sql))
    key = [column.name for column in sorted(columns, key=lambda column: column.pk) if column.pk]
    collations = {part.column: part.collation for part in parts if part.column and part.collation}
    collations |= {row.column: row.collation for row in indexes if row.column and row.collation != _BINARY}
    later = [each for part in parts for each in part.references]
    return Constraints(
        key=frozenset(key),
        unique=(*([UniqueKey(tuple(key))] if key else []), *_unique_keys(indexes)),
        foreign_keys=tuple(_foreign_keys(foreign_keys, later[::-1])),
        checks=tuple(Check(text, name) for part in parts for name, text in part.checks),
        not_null=frozenset(column.name for column in columns if column.notnull),
        collations={name: each for name, each in collations.items() if each.upper() != _BINARY},
    )


def _unique_keys(indexes: Sequence[Any]) -> Iterator[UniqueKey]:
    for name, group in groupby(indexes, lambda row: row.index):
        rows = list(group)
        if rows[0].sql is None:
            yield UniqueKey(tuple(row.column for row in rows))
            continue
        parts, condition = index_parts(rows[0].sql)
        columns = tuple(part if row.column is None else row.column for row, part in zip(rows, parts, strict=True))
        yield UniqueKey(columns, name, condition, any(row.column is None for row in rows))


def _foreign_keys(rows: Sequence[Any], later: Sequence[bool]) -> Iterator[ForeignKey]:
    """SQLite numbers them from the last that the table was declared with to the first, as `later` is."""
    for number, group in groupby(rows, lambda row: row.id):
        parts = list(group)
        options = {"ondelete": parts[0].on_delete, "onupdate": parts[0].on_update}
        options |= {"deferrable": later[number], "initially": "DEFERRED"} if number < len(later) else {}
        yield ForeignKey(tuple(part.column for part in parts), parts[0].parent, tuple(option_texts(options)))
