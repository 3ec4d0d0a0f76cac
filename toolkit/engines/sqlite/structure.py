"""The tables of a SQLite file as its own catalogue has them: what is in each, but for the types of columns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from msgspec import Struct, field

from toolkit.core.sql_text import index_parts
from toolkit.engines.sqlite.declared import Declared, declared
from toolkit.engines.sqlite.definition import Clause, TableDefinition, identifiers

if TYPE_CHECKING:
    from toolkit.engines.sqlite.snapshot import SqliteSnapshot

BINARY = "BINARY"
_TABLES = "SELECT name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY name"
# To ask for the columns of a virtual table wants its module, or its tokenizer, which may be its application's own.
_COLUMNS = """
SELECT t.name AS place, x.name, x.type, x."notnull" AS is_required, x.dflt_value AS "default", x.pk, x.hidden
FROM sqlite_schema AS t CROSS JOIN pragma_table_xinfo(t.name) AS x
WHERE t.type = 'table' AND t.sql NOT LIKE 'CREATE VIRTUAL TABLE%' ORDER BY t.name, x.cid
"""
_INDEXES = """
SELECT t.name AS place, i.name, i."unique" AS is_unique, i.origin, s.sql, x.name AS "column", x."desc" AS descends,
       upper(x.coll) AS collation
FROM sqlite_schema AS t CROSS JOIN pragma_index_list(t.name) AS i CROSS JOIN pragma_index_xinfo(i.name) AS x
LEFT JOIN sqlite_schema AS s ON s.type = 'index' AND s.name = i.name
WHERE t.type = 'table' AND x.key ORDER BY t.name, i.seq DESC, x.seqno
"""
_FOREIGN_KEYS = """
SELECT t.name AS place, f.id, f."table" AS parent, f."from" AS "column", f."to" AS pointed, f.on_update, f.on_delete
FROM sqlite_schema AS t CROSS JOIN pragma_foreign_key_list(t.name) AS f WHERE t.type = 'table'
ORDER BY t.name, f.id DESC, f.seq
"""
# How `table_xinfo` marks generated columns, virtual and stored, and what a virtual table hides.
_STORED, _VIRTUAL, _HIDDEN = 3, 2, 1
_NO_ACTION = "NO ACTION"


class StoredColumn(Struct, frozen=True):
    """A column: its declaration, its default as written, what it is computed by, and what is done with a wrong NULL."""

    name: str
    declared: Declared
    nullable: bool
    default: str | None = None
    computed: str | None = None
    is_stored: bool = False
    on_conflict: str | None = None


class StoredKey(Struct, frozen=True):
    """A primary key or unique constraint."""

    columns: tuple[str, ...]
    name: str | None = None
    on_conflict: str | None = None


class StoredIndex(Struct, frozen=True):
    """An index: each part a column, by name, or an expression in SQL; and whether it descends."""

    name: str
    parts: tuple[tuple[str | None, str, bool], ...]
    """A column where it is indexed by its own collation, the part as SQL, whether it descends."""
    is_unique: bool
    condition: str | None = None

    @property
    def key(self) -> tuple[str, ...] | None:
        """The columns that it keeps unique, as a constraint would."""
        names = tuple(column for column, _, _ in self.parts if column is not None)
        return names if self.is_unique and self.condition is None and len(names) == len(self.parts) else None


class StoredForeignKey(Struct, frozen=True):
    """A foreign key; without `pointed` columns it points at the parent's key."""

    columns: tuple[str, ...]
    parent: str
    pointed: tuple[str, ...]
    name: str | None = None
    on_update: str | None = None
    on_delete: str | None = None
    is_deferrable: bool = False
    is_deferred: bool = False


class StoredStructure(Struct, frozen=True, dict=True):
    """One table."""

    name: str
    columns: tuple[StoredColumn, ...]
    key: StoredKey | None
    is_row_number: bool
    """Whether the key is the row's own number: an INTEGER PRIMARY KEY."""
    unique: tuple[StoredKey, ...]
    indexes: tuple[StoredIndex, ...]
    foreign_keys: tuple[StoredForeignKey, ...]
    checks: tuple[tuple[str | None, str], ...]
    options: frozenset[str] = frozenset()
    """`autoincrement`, `strict`, `without_rowid`."""

    @cached_property
    def by_name(self) -> Mapping[str, StoredColumn]:
        """The columns by their names."""
        return {column.name: column for column in self.columns}

    @property
    def collations(self) -> frozenset[str]:
        """By which collations the texts of its columns are compared."""
        return frozenset((each.declared.collation or BINARY).upper() for each in self.columns)

    @property
    def declared(self) -> Mapping[str, Declared]:
        """What its columns are declared as."""
        return {column.name: column.declared for column in self.columns}

    def spelled(self, name: str) -> str | None:
        """A column's name as the table spells it."""
        return next((each.name for each in self.columns if each.name.lower() == name.lower()), None)

    @property
    def candidates(self) -> Iterator[tuple[str, ...]]:
        """What is unique beside the primary key."""
        yield from (each.columns for each in self.unique)
        yield from (index.key for index in self.indexes if index.key is not None)


def structures(connection: SqliteSnapshot) -> list[StoredStructure]:
    """All tables that `stored_tables` has, but for virtual ones."""
    return connection.remembered("structures", lambda: _structures(connection))


def _structures(connection: SqliteSnapshot) -> list[StoredStructure]:
    names = {table.name for table in connection.stored_tables() if table.columns}
    with connection.translated():
        execute = connection.sqlalchemy.execute
        tables, *others = (execute(sa.text(each)).all() for each in (_TABLES, _COLUMNS, _INDEXES, _FOREIGN_KEYS))
    columns, indexes, foreign_keys = (_by_place(rows) for rows in others)
    return [
        _Reader(row.name, TableDefinition.parsed(row.sql), columns[row.name], indexes[row.name]).structure(
            foreign_keys[row.name]
        )
        for row in tables
        if row.name in names
    ]


def _by_place(rows: Sequence[Any]) -> Mapping[str, Sequence[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.place].append(row)
    return found


class _Reader(Struct, frozen=True):
    """What the pragmas say of a table, beside the text of its CREATE TABLE."""

    name: str
    definition: TableDefinition
    columns: Sequence[Any]
    indexes: Sequence[Any]
    collations: dict[str, str] = field(default_factory=dict)

    def structure(self, foreign_keys: Sequence[Any]) -> StoredStructure:
        for column in self.columns:
            clauses = self._clauses(column.name, "COLLATE")
            self.collations[column.name] = clauses[-1].tokens[-1].identifier.upper() if clauses else BINARY
        key = tuple(row.name for row in sorted(self.columns, key=lambda row: row.pk) if row.pk)
        words = identifiers(self.definition.options)
        options = {"strict"} & words | ({"without_rowid"} if "rowid" in words else set())
        options |= {"autoincrement"} if self.definition.is_autoincrement else set()
        has_index = any(row.origin == "pk" for row in self.indexes)
        is_row_number = bool(key) and not has_index and "without_rowid" not in options
        never_null = set(key) if is_row_number or "without_rowid" in options or "strict" in words else set()
        return StoredStructure(
            self.name,
            tuple(self._column(row, never_null) for row in self.columns if row.hidden != _HIDDEN),
            self._named_key("PRIMARY", key) if key else None,
            is_row_number,
            tuple(self._unique()),
            tuple(self._plain_indexes()),
            tuple(self._foreign_keys(foreign_keys)),
            tuple((each.name, each.expression) for _, each, _ in self.definition.clauses() if each.kind == "CHECK"),
            frozenset(options),
        )

    def _clauses(self, column: str, kind: str) -> list[Clause]:
        found = self.definition.columns.get(column.lower())
        return [each for each in found.clauses if each.kind == kind] if found is not None else []

    def _column(self, row: Any, never_null: set[str]) -> StoredColumn:
        collation = self.collations[row.name]
        nullable = not row.is_required and row.name not in never_null
        meant = declared(
            row.type,
            row.default,
            None if collation == BINARY else collation,
            is_required=not nullable,
            is_identity=bool(row.pk),
            is_strict="strict" in identifiers(self.definition.options),
        )
        computed = None
        if row.hidden in (_STORED, _VIRTUAL):
            clauses = self._clauses(row.name, "GENERATED")
            computed = clauses[0].expression if clauses else "NULL"
        required = (_on_conflict(each) for each in self._clauses(row.name, "NOT"))
        on_conflict = next((each for each in required if each is not None), None)
        return StoredColumn(row.name, meant, nullable, row.default, computed, row.hidden == _STORED, on_conflict)

    def _named_key(self, kind: str, columns: tuple[str, ...]) -> StoredKey:
        """With the name that its clause has, and what it does on a conflict."""
        wanted = [name.lower() for name in columns]
        for _, clause, column in self.definition.clauses():
            if clause.kind == kind and wanted == ([column.name] if column is not None else list(clause.columns)):
                return StoredKey(columns, clause.name, _on_conflict(clause))
        return StoredKey(columns)

    def _unique(self) -> Iterator[StoredKey]:
        for _, rows in groupby(self.indexes, lambda row: row.name):
            parts = list(rows)
            if parts[0].origin == "u" and all(self._own(row) for row in parts):
                yield self._named_key("UNIQUE", tuple(row.column for row in parts))

    def _plain_indexes(self) -> Iterator[StoredIndex]:
        for name, rows in groupby(self.indexes, lambda row: row.name):
            parts = list(rows)
            if parts[0].origin == "u" and not all(self._own(row) for row in parts):
                yield self._collated_key(parts)
            if parts[0].origin != "c":
                continue
            listed, condition = index_parts(parts[0].sql)
            yield StoredIndex(
                name,
                tuple((self._own(row), text, bool(row.descends)) for row, text in zip(parts, listed, strict=True)),
                bool(parts[0].is_unique),
                condition,
            )

    def _collated_key(self, parts: Sequence[Any]) -> StoredIndex:
        """A unique constraint by other collations than those of its columns: an index may say them."""
        texts = ('"{}" COLLATE {}'.format(row.column.replace('"', '""'), row.collation) for row in parts)
        name = "_".join((self.name, *(row.column for row in parts), "key"))
        listed = tuple((self._own(row), text, False) for row, text in zip(parts, texts, strict=True))
        return StoredIndex(name, listed, is_unique=True)

    def _own(self, row: Any) -> str | None:
        """The column of an index's part that is compared as the column itself is."""
        is_own = row.column is not None and row.collation == self.collations[row.column]
        return row.column if is_own else None

    def _foreign_keys(self, rows: Sequence[Any]) -> Iterator[StoredForeignKey]:
        # SQLite numbers them from the last to the first, which is how they are ordered here.
        clauses = [each for _, each, _ in self.definition.clauses() if each.kind == "FOREIGN"]
        groups = [list(group) for _, group in groupby(rows, lambda row: row.id)]
        for number, parts in enumerate(groups):
            clause = clauses[number] if len(clauses) == len(groups) else None
            words = clause.words if clause is not None else ()
            is_deferrable = any(word == "DEFERRABLE" and words[place - 1] != "NOT" for place, word in enumerate(words))
            yield StoredForeignKey(
                tuple(row.column for row in parts),
                parts[0].parent,
                tuple(row.pointed for row in parts if row.pointed is not None),
                None if clause is None else clause.name,
                None if parts[0].on_update == _NO_ACTION else parts[0].on_update,
                None if parts[0].on_delete == _NO_ACTION else parts[0].on_delete,
                is_deferrable,
                is_deferrable and "DEFERRED" in words,
            )


def _on_conflict(clause: Clause) -> str | None:
    words = clause.words
    return next((words[n + 1] for n, word in enumerate(words[:-1]) if word == "CONFLICT"), None)
