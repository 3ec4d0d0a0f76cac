"""PostgreSQL's tables as SQLAlchemy has them, by a few questions for all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from toolkit.core.numbering import Numbering, have_one_numbered, numbering_info
from toolkit.core.schema import Note, Schema, TypesBy
from toolkit.core.types import logical_type
from toolkit.core.verbatim import verbatim
from toolkit.engines.postgresql.schema import queries
from toolkit.engines.postgresql.schema.children import left_behind
from toolkit.engines.postgresql.schema.indexes import index
from toolkit.engines.postgresql.schema.notes import notes
from toolkit.engines.postgresql.schema.sequences import next_numbers
from toolkit.engines.postgresql.schema.stored import Stored
from toolkit.engines.postgresql.schema.types import Types
from toolkit.engines.postgresql.sql import quoted

if TYPE_CHECKING:
    from sqlalchemy.types import TypeEngine

    from toolkit.engines.catalogue import StoredTable
    from toolkit.engines.postgresql.session import PostgresSession

_KINDS = {"c": "check", "f": "foreign key", "p": "primary key", "u": "unique key"}
_ACTIONS = {"a": None, "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
_STORED = {"s": True, "v": False}
_UNREAD = (
    "This role may not read where it stands (GRANT SELECT ON SEQUENCE {} TO …): there, the next number is the one "
    "behind the greatest in the rows."
)
_UNENFORCED = "It is not enforced: carried only to PostgreSQL."
_ELEMENTS = "Elements of arrays are not checked there."
_OF_PERIODS = "It is of periods: carried only to PostgreSQL."
_OVERLAPS = "It is WITHOUT OVERLAPS: periods of one key may overlap there."


def schema_of(connection: PostgresSession, stored: Iterable[StoredTable], types: TypesBy) -> Schema:
    """These tables, and what there is beside them; for another engine (`TypesBy.VALUES`), with types for all values."""
    places = {_qualified(each.schema, each.name): each for each in stored if each.columns}
    ids = numbers_of(connection, list(places))
    metadata = sa.MetaData()
    with queries.within_place(connection):
        found = _Found(connection, list(ids.values()), types)
        tables = {id_: found.table(metadata, id_, places[place]) for place, id_ in ids.items()}
        lost = [note for id_, table in tables.items() for note in found.add_foreign_keys(table, id_, tables)]
        if types is not TypesBy.STORAGE:
            # Another database of PostgreSQL's gets them by their own statements.
            lost += [note for id_, table in tables.items() for note in found.of_its_own(table, id_)]
            lost += found.shared_sequences(tables)
        others = notes(connection, list(ids.values()), types)
        left = left_behind(connection, {id_: table.fullname for id_, table in tables.items()})
        unread = found.unread_sequences(tables)
        return Schema("postgresql", metadata, (*lost, *unread, *others), tuple(left))


def _qualified(schema: str | None, name: str) -> str:
    return quoted(name) if schema is None else f"{quoted(schema)}.{quoted(name)}"


def numbers_of(connection: PostgresSession, places: Sequence[str]) -> dict[str, int]:
    """The numbers (oid) of tables by their quoted names, as they are found now; without those that are gone."""
    with connection.translated():
        rows = connection.sqlalchemy.execute(sa.text(queries.PLACES), {"tables": list(places)}).all()
    return {row.name: row.id for row in rows if row.id is not None}


def by_table(rows: Iterable[Any]) -> Mapping[int, list[Any]]:
    """Rows of the catalogue by the numbers of their tables."""
    found: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.table].append(row)
    return found


class _Found:
    """What the catalogue says of all the tables, by their numbers."""

    def __init__(self, connection: PostgresSession, ids: Sequence[int], types: TypesBy) -> None:
        def ask(query: str) -> Sequence[Any]:
            return queries.rows(connection, query, ids)

        self._relations = {row.id: row for row in ask(queries.RELATIONS)}
        self._columns = by_table(ask(queries.COLUMNS))
        self._types = Types({row.id: row for row in ask(queries.TYPES)})
        self._stored = Stored()
        for id_, rows in self._columns.items():
            self._stored.look(connection, self._relations[id_].quoted, rows, self._types, types)
        self._constraints = by_table(ask(queries.CONSTRAINTS))
        self._indexes = by_table(ask(queries.INDEXES))
        sequences = ask(queries.SEQUENCES)
        self._identities = {(row.table, row.number): row for row in sequences if row.is_identity}
        self._sequences = {row.id: row for row in sequences}
        self._next = next_numbers(connection, sequences)
        self._sequence_of = {(row.table, row.number): row.sequence for row in ask(queries.DEFAULTS)}
        self._sequence_of |= {place: row.id for place, row in self._identities.items()}
        self._partitions = by_table(row for row in ask(queries.PARTITIONS) if row.has_rows)
        rows = [row.id for parts in self._partitions.values() for row in parts]
        self._constraints_of_partitions = by_table(queries.rows(connection, queries.CONSTRAINTS, rows) if rows else ())

    def table(self, metadata: sa.MetaData, id_: int, stored: StoredTable) -> sa.Table:
        """A table with all but its foreign keys."""
        relation = self._relations[id_]
        table = sa.Table(
            stored.name,
            metadata,
            *(self._column(each) for each in self._columns[id_]),
            schema=stored.schema,
            comment=relation.comment,
            **({"postgresql_partition_by": relation.partition_by} if relation.partition_by else {}),
        )
        indexes = {row.id: row for row in self._indexes[id_]}
        for row in self._constraints[id_]:
            if not row.is_enforced:
                continue
            if row.kind == "x":
                table.append_constraint(_exclusion(table, row, indexes[row.index_id]))
            elif (constraint := _constraint(table, row)) is not None:
                table.append_constraint(constraint)
        for row in indexes.values():
            if row.is_valid and not row.is_of_constraint:
                index(table, row)
        have_one_numbered(table)
        return table

    def _column(self, row: Any) -> sa.Column[Any]:
        place = row.table, row.number
        sequence = self._sequence_of.get(place)
        identity = self._identities.get(place)
        extra: list[Any] = []
        default = None
        if row.generated:
            extra.append(sa.Computed(verbatim(row.expression), persisted=_STORED[row.generated]))
        elif identity is not None:
            extra.append(_identity(identity, always=row.identity == "a"))
        elif row.expression is not None:
            default = verbatim(row.expression)
        type_ = self._stored.type_of(row, self._types)
        is_null = not row.is_required and not self._types.is_never_null(row.type)
        return sa.Column(
            row.name,
            type_,
            *extra,
            nullable=is_null,
            server_default=default,
            autoincrement=sequence is not None,
            comment=row.comment,
            info=self._stored.info(row) | ({} if sequence is None else self._numbering(sequence, type_)),
        )

    def _numbering(self, sequence: int, type_: TypeEngine[Any]) -> dict[str, object]:
        row = self._sequences[sequence]
        numbering = Numbering.of(logical_type(type_).kind, row.increment, row.minimum, row.maximum, cycles=row.cycles)
        return numbering_info(numbering, self._next.get(sequence))

    def unread_sequences(self, tables: Mapping[int, sa.Table]) -> Iterable[Note]:
        """That numbers which were given out may be given out again: GRANT SELECT ON ALL TABLES is of no sequence."""
        for (id_, _), sequence in self._sequence_of.items():
            row = self._sequences[sequence]
            if not row.is_readable:
                yield Note(tables[id_].fullname, f"sequence {row.quoted}", _UNREAD.format(row.quoted), is_of_made=True)

    def shared_sequences(self, tables: Mapping[int, sa.Table]) -> Iterable[Note]:
        """That columns have numbers of one sequence, so that no two of them have the same."""
        columns: dict[int, list[str]] = defaultdict(list)
        for id_, rows in self._columns.items():
            for row in rows:
                if id_ in tables and (sequence := self._sequence_of.get((row.table, row.number))) is not None:
                    columns[sequence].append(f"{tables[id_].fullname}.{row.name}")
        for sequence, names in columns.items():
            if len(names) > 1:
                what = f"sequence {self._sequences[sequence].quoted}"
                yield Note(
                    ", ".join(names), what, "It gives numbers to all of them: each has its own there.", is_of_made=True
                )

    def of_its_own(self, table: sa.Table, id_: int) -> Iterable[Note]:
        """The constraints that no other engine has."""
        for row in self._columns[id_]:
            if (demanded := self._types.demanded_of_elements(row.type)) is not None:
                yield Note(table.fullname, f"{demanded} of elements", _ELEMENTS, row.name, is_of_made=True)
        for row in self._constraints[id_]:
            what = f"{_KINDS[row.kind]} {row.name}" if row.kind in _KINDS else ""
            if row.kind == "f":
                what += f" of {', '.join(row.columns)}"
            if what and not row.is_enforced:
                yield Note(table.fullname, what, _UNENFORCED, is_of_made=True)
            elif what and row.has_period:
                reason = _OF_PERIODS if row.kind == "f" else _OVERLAPS
                yield Note(table.fullname, what, reason, is_of_made=True)

    def add_foreign_keys(self, table: sa.Table, id_: int, tables: Mapping[int, sa.Table]) -> Iterable[Note]:
        """Give a table its foreign keys to those that are there; the others are told."""
        own = [row for row in self._constraints[id_] if row.kind == "f" and not row.is_of_parent]
        for row in (*own, *self._of_all_partitions(id_, own, tables)):
            if not row.is_enforced:
                continue
            if row.has_period:
                # It is none of equal values.
                _write_after(table, tables.get(row.parent))
            elif row.parent in tables:
                table.append_constraint(_foreign_key(row, tables[row.parent]))
            else:
                what = f"foreign key {row.name} of {', '.join(row.columns)}"
                yield Note(table.fullname, what, f"{row.quoted_parent} is none of the tables that can be read.")
        for part in self._partitions[id_]:
            for row in self._constraints_of_partitions[part.id]:
                if row.kind == "f":
                    _write_after(table, tables.get(row.parent))

    def _of_all_partitions(self, id_: int, own: Sequence[Any], tables: Collection[int]) -> list[Any]:
        """The foreign keys that each partition of a table has by itself, so that all the table's rows have them."""
        each = [
            {_meaning(row): row for row in self._constraints_of_partitions[part.id] if row.kind == "f"}
            for part in self._partitions[id_]
        ]
        if not each:
            return []
        shared = set.intersection(*(set(keys) for keys in each)) - {_meaning(row) for row in own}
        return [row for meaning, row in each[0].items() if meaning in shared and row.parent in tables]


def _write_after(table: sa.Table, parent: sa.Table | None) -> None:
    """Have rows of a table written after its parent's, by a foreign key that SQLAlchemy has no word for."""
    if parent is not None and parent is not table and table not in parent._extra_dependencies:  # noqa: SLF001
        table.add_is_dependent_on(parent)


def _meaning(row: Any) -> tuple[Any, ...]:
    """What makes two foreign keys the same for the rows."""
    return (tuple(row.columns), row.parent, tuple(row.parent_columns), row.on_update, row.on_delete, row.match)


def _identity(row: Any, *, always: bool) -> sa.Identity:
    return sa.Identity(
        always=always,
        start=row.start,
        increment=row.increment,
        minvalue=row.minimum,
        maxvalue=row.maximum,
        cycle=row.cycles,
        cache=row.cache,
    )


def _timing(row: Any) -> dict[str, Any]:
    return {"deferrable": True, "initially": "DEFERRED" if row.is_deferred else None} if row.is_deferrable else {}


def _constraint(table: sa.Table, row: Any) -> sa.Constraint | None:
    """A constraint but foreign keys and NOT NULL, which are of columns."""
    if row.kind == "c":
        return sa.CheckConstraint(verbatim(row.expression), name=row.name, comment=row.comment)
    columns = [table.c[name] for name in row.columns]
    options: dict[str, Any] = {"name": row.name, "comment": row.comment, **_timing(row)}
    if row.included:
        options["postgresql_include"] = list(row.included)
    if row.kind == "p":
        return sa.PrimaryKeyConstraint(*columns, **options)
    if row.kind == "u":
        return sa.UniqueConstraint(*columns, **options, postgresql_nulls_not_distinct=row.nulls_not_distinct or None)
    return None


def _exclusion(table: sa.Table, row: Any, index: Any) -> sa.Constraint:
    parts = [
        (verbatim(expression) if name is None else table.c[name], operator)
        for name, expression, operator in zip(index.columns, index.expressions, row.operators, strict=True)
    ]
    return postgresql.ExcludeConstraint(
        *parts,
        name=row.name,
        using=index.method,
        where=None if index.condition is None else verbatim(index.condition),
        **_timing(row),
    )


def _foreign_key(row: Any, parent: sa.Table) -> sa.ForeignKeyConstraint:
    action = _ACTIONS[row.on_delete]
    if action and row.set_columns:
        action = f"{action} ({', '.join(map(quoted, row.set_columns))})"
    return sa.ForeignKeyConstraint(
        row.columns,
        [parent.c[name] for name in row.parent_columns],
        name=row.name,
        onupdate=_ACTIONS[row.on_update],
        ondelete=action,
        match="FULL" if row.match == "f" else None,
        comment=row.comment,
        **_timing(row),
    )
