"""A SQLite file's tables as SQLAlchemy's, with the types that they are given, and notes of what they are without."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from msgspec import Struct, field
from sqlalchemy.types import TypeEngine

from toolkit.core.schema import Note
from toolkit.core.sql_terms import quoted
from toolkit.engines.sqlite.catalogue import WITH_INDEX, module
from toolkit.engines.sqlite.structure import StoredColumn, StoredForeignKey, StoredIndex, StoredStructure

if TYPE_CHECKING:
    from toolkit.engines.sqlite.snapshot import SqliteSnapshot

# Virtual tables keep their index in tables beside their own.
_OTHERS = r"""
SELECT type, name, tbl_name AS "table", sql FROM sqlite_schema
WHERE type IN ('view', 'trigger') OR sql LIKE 'CREATE VIRTUAL TABLE%' ORDER BY type, name
"""


class Identity(Struct, frozen=True):
    """How a table's rows are told apart: its primary key, if no row has a NULL in it, or what is unique instead."""

    has_primary_key: bool = True
    key: tuple[str, ...] | None = None
    """Columns that are unique and might be NULL, and are in no row."""


class TableMaker(Struct, frozen=True):
    """Makes tables of structures; `types` are those of the columns, by table and name."""

    structures: Sequence[StoredStructure]
    types: Mapping[str, Mapping[str, TypeEngine[Any]]]
    identities: Mapping[str, Identity] = field(default_factory=dict)
    metadata: sa.MetaData = field(default_factory=sa.MetaData)
    notes: list[Note] = field(default_factory=list)

    def make(self) -> sa.MetaData:
        """All tables; a foreign key that points at nothing is left out with a note."""
        for each in self.structures:
            self._make(each)
        by_name = {each.name.lower(): each for each in self.structures}
        for each in self.structures:
            for key in each.foreign_keys:
                self._point(each, key, by_name.get(key.parent.lower()))
        return self.metadata

    def _make(self, of: StoredStructure) -> None:
        identity = self.identities.get(of.name, Identity())
        columns = [self._column(of, each, identity) for each in of.columns]
        table = sa.Table(
            of.name,
            self.metadata,
            *columns,
            *_keys(of, identity),
            *(sa.CheckConstraint(as_text(check), name=name) for name, check in of.checks),
            sqlite_autoincrement="autoincrement" in of.options,
            sqlite_with_rowid="without_rowid" not in of.options,
            sqlite_strict="strict" in of.options,
            info={} if identity.key is None else {"key": identity.key},
        )
        for index in of.indexes:
            _add_index(table, index)

    def _column(self, of: StoredStructure, column: StoredColumn, identity: Identity) -> sa.Column[Any]:
        is_key = of.key is not None and column.name in of.key.columns and identity.has_primary_key
        computed = None if column.computed is None else sa.Computed(as_text(column.computed), column.is_stored)
        return sa.Column(
            column.name,
            self.types[of.name][column.name],
            *([] if computed is None else [computed]),
            nullable=column.nullable and not is_key,
            autoincrement="auto" if is_key and of.is_row_number else False,
            server_default=None if column.default is None or computed is not None else as_text(column.default),
            info={"declared": column.declared.text, "meant": column.declared.type},
            sqlite_on_conflict_not_null=column.on_conflict,
        )

    def _point(self, of: StoredStructure, key: StoredForeignKey, parent: StoredStructure | None) -> None:
        problem, pointed = _pointed(key, parent)
        if problem is not None or parent is None:
            self.notes.append(Note(of.name, f"foreign key of {', '.join(key.columns)}", str(problem)))
            return
        table = self.metadata.tables[parent.name]
        self.metadata.tables[of.name].append_constraint(
            sa.ForeignKeyConstraint(
                [of.spelled(name) or name for name in key.columns],
                [table.c[name] for name in pointed],
                name=key.name,
                onupdate=key.on_update,
                ondelete=key.on_delete,
                deferrable=True if key.is_deferrable else None,
                initially="DEFERRED" if key.is_deferred else None,
            )
        )


def _keys(of: StoredStructure, identity: Identity) -> Iterator[sa.Constraint]:
    if of.key is not None:
        kind: Callable[..., sa.Constraint] = (
            sa.PrimaryKeyConstraint if identity.has_primary_key else sa.UniqueConstraint
        )
        yield kind(*of.key.columns, name=of.key.name, sqlite_on_conflict=of.key.on_conflict)
    for each in of.unique:
        yield sa.UniqueConstraint(*each.columns, name=each.name, sqlite_on_conflict=each.on_conflict)


def _add_index(table: sa.Table, index: StoredIndex) -> None:
    parts: list[Any] = []
    for column, text, descends in index.parts:
        if column is None:
            parts.append(as_text(text))
        else:
            parts.append(table.c[column].desc() if descends else table.c[column])
    options: dict[str, Any] = {} if index.condition is None else {"sqlite_where": as_text(index.condition)}
    sa.Index(index.name, *parts, unique=index.is_unique, _table=table, **options)


def _pointed(key: StoredForeignKey, parent: StoredStructure | None) -> tuple[str | None, tuple[str, ...]]:
    """What is wrong with a foreign key, or the columns that it points at."""
    if parent is None:
        return f"There is no table {key.parent}.", ()
    names = key.pointed or (parent.key.columns if parent.key is not None else ())
    pointed = tuple(parent.spelled(name) or "" for name in names)
    if "" in pointed:
        lost = names[pointed.index("")]
        return f"There is no column {parent.name}.{lost}.", ()
    own = [] if parent.key is None else [parent.key.columns]
    unique = [frozenset(each) for each in (*own, *parent.candidates)]
    if len(pointed) != len(key.columns) or frozenset(pointed) not in unique:
        at = ", ".join(names) or "no columns"
        return f"It points at {at} of {parent.name}, which is no key of it.", ()
    return None, pointed


def as_text(sql: str) -> sa.TextClause:
    """A text of SQL in which no colon is a parameter."""
    return sa.text(sql.replace(":", "\\:"))


def left_out(connection: SqliteSnapshot) -> Iterator[Note]:
    """Notes of the views, triggers and virtual tables, which are made from no table."""
    with connection.translated():
        rows = connection.sqlalchemy.execute(sa.text(_OTHERS)).all()
    for row in rows:
        if row.type == "trigger":
            yield Note(row.table, f"trigger {row.name}", "Triggers are not copied: make it again where it is wanted.")
        elif row.type == "view":
            yield Note(row.name, "view", "Views are not copied: make it again where it is wanted.")
        else:
            yield Note(row.name, "virtual table", _of_virtual(connection, row.name, module(row.name, row.sql)))


def _of_virtual(connection: SqliteSnapshot, name: str, kind: str) -> str:
    """What of a virtual table is not carried: an index alone, texts that it has itself, or what its module shows."""
    if kind not in WITH_INDEX:
        return f"Its rows are what the module {kind} of SQLite's shows: make it again where it is wanted."
    held = next((each.rows_in for each in connection.stored_tables() if each.name == name), None)
    if held is None or connection.asking.row(f"SELECT 1 FROM {quoted(held)} LIMIT 1") is None:
        return "It is an index of SQLite's, with tables of its own: make it again where it is wanted."
    # A tree's own table has the number of each row already.
    is_text = held.endswith("_content")
    columns = "rowid AS id, *" if is_text else "*"
    copy = f"CREATE TABLE {quoted(f'{name}_rows')} AS SELECT {columns} FROM {quoted(name)}"
    what = "texts" if is_text else "values"
    return f"It has {what} of its own, which stay behind unless another table has them: to have them carried, {copy}."
