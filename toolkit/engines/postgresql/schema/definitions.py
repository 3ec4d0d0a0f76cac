"""The statements that make PostgreSQL's tables once more, as they are, in another database: as `pg_dump` would."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from toolkit.core.schema import AfterRows
from toolkit.engines.postgresql.schema import queries
from toolkit.engines.postgresql.schema.objects import Object, ordered
from toolkit.engines.postgresql.schema.reflected import by_table, numbers_of
from toolkit.engines.postgresql.schema.sequences import values
from toolkit.engines.postgresql.sql import literal, qualified

if TYPE_CHECKING:
    from toolkit.engines.postgresql.session import PostgresSession

_KEYS = ("p", "u", "x")
_ROUTINES_UNCHECKED = "SET LOCAL check_function_bodies = off"
# Where tables without a schema's name are to lie, if that is where they are looked for in the other database, too.
_PLACE = """
SELECT 'DO ' || quote_literal(format('BEGIN IF %L = ANY (SELECT btrim(part) FROM unnest(string_to_array('
       'current_setting(''search_path''), '','')) AS part) THEN CREATE SCHEMA IF NOT EXISTS %s; END IF; END',
       quote_ident(current_schema()), quote_ident(current_schema())))
WHERE current_schema() <> 'public'
"""


def definitions(connection: PostgresSession, tables: Sequence[sa.Table]) -> list[str]:
    """The statements in an order that works: what tables rest on, tables, their keys, indexes, and foreign keys last.

    With the partitions, and with each sequence standing where it stands here.
    """
    ids = list(numbers_of(connection, [qualified(each) for each in tables]).values())
    with queries.within_place(connection):
        ids += [row.id for row in queries.rows(connection, queries.PARTITIONS, ids)]
        found = _Found(connection, ids)
        return [
            *(statement for (statement,) in connection.run(_PLACE)),
            _ROUTINES_UNCHECKED,
            *ordered(connection, ids, found.tables()),
            *found.parts(),
            *found.keys(),
            *found.comments(),
            *found.foreign_keys(),
            *values(connection, found.sequences),
            *found.unproven(),
        ]


class _Found:
    """What the catalogue says of all the tables, and their partitions."""

    def __init__(self, connection: PostgresSession, ids: Sequence[int]) -> None:
        def ask(query: str) -> Sequence[Any]:
            return queries.rows(connection, query, ids)

        self._relations = ask(queries.RELATIONS)
        self._names = {row.id: row.quoted for row in self._relations}
        self._columns = by_table(ask(queries.COLUMNS))
        self._constraints = by_table(ask(queries.CONSTRAINTS))
        self._indexes = by_table(ask(queries.INDEXES))
        self.sequences = ask(queries.SEQUENCES)
        self._identities = {(row.table, row.number): row for row in self.sequences if row.is_identity}

    def tables(self) -> dict[Object, list[str]]:
        """By table and sequence, the statements that make them."""
        sequences = {("pg_class", row.id): [_sequence(row)] for row in self.sequences if not row.is_identity}
        return {**sequences, **{("pg_class", row.id): [self._table(row)] for row in self._relations}}

    def _table(self, relation: Any) -> str:
        constraints = [row for row in self._constraints[relation.id] if row.is_valid]
        required = {row.columns[0]: row for row in constraints if row.kind == "n"}
        parts = [self._column(row, required.get(row.name)) for row in self._columns[relation.id]]
        parts += [f"CONSTRAINT {row.quoted} {row.definition}" for row in constraints if row.kind == "c"]
        persistence = "UNLOGGED " if relation.is_unlogged else ""
        partition = f" PARTITION BY {relation.partition_by}" if relation.partition_by else ""
        return f"CREATE {persistence}TABLE {relation.quoted} ({', '.join(parts)}){partition}{_options(relation)}"

    def _column(self, row: Any, required: Any) -> str:
        # How many dimensions an array has is remembered, though not shown.
        parts = [row.quoted, row.shown + "[]" * (row.dimensions - 1 if row.shown.endswith("[]") else 0)]
        if row.quoted_collation:
            parts.append(f"COLLATE {row.quoted_collation}")
        identity = self._identities.get((row.table, row.number))
        if row.generated:
            parts.append(f"GENERATED ALWAYS AS ({row.expression}) {'STORED' if row.generated == 's' else 'VIRTUAL'}")
        elif identity is not None:
            how = "ALWAYS" if row.identity == "a" else "BY DEFAULT"
            parts.append(f"GENERATED {how} AS IDENTITY (SEQUENCE NAME {identity.quoted} {_numbering(identity)})")
        elif row.expression is not None:
            parts.append(f"DEFAULT {row.expression}")
        if required is not None:
            inherited = " NO INHERIT" if required.definition.endswith(" NO INHERIT") else ""
            parts.append(f"CONSTRAINT {required.quoted} NOT NULL{inherited}")
        elif row.is_required and not self._is_unproven(row):
            parts.append("NOT NULL")
        return " ".join(parts)

    def _is_unproven(self, column: Any) -> bool:
        """Whether its NOT NULL is a constraint that was never held against the rows."""
        return any(row.kind == "n" and row.columns == [column.name] for row in self._constraints[column.table])

    def parts(self) -> Iterator[str]:
        """What makes partitions of tables, sequences those of columns."""
        for row in self._relations:
            if row.bound is not None:
                yield f"ALTER TABLE ONLY {row.parent} ATTACH PARTITION {row.quoted} {row.bound}"
        for row in self.sequences:
            if not row.is_identity and row.owner is not None:
                yield f"ALTER SEQUENCE {row.quoted} OWNED BY {row.owner}"

    def unproven(self) -> Iterator[str]:
        """The checks that rows may be against, which were there before them; those of a table reach its partitions."""
        found = [row for row in self._all(self._constraints) if row.kind in "cn" and not row.is_valid]
        added = [*self._added((row for row in found if not row.is_inherited), only="")]
        yield from map(AfterRows, (*added, *chain.from_iterable(map(self._comment_of, found))))

    def keys(self) -> Iterator[str]:
        """The keys and the indexes; those of partitions become parts of those of their tables."""
        yield from self._added(row for row in self._all(self._constraints) if row.kind in _KEYS)
        indexes = [row for row in self._all(self._indexes) if row.is_valid]
        for row in indexes:
            if not row.is_of_constraint:
                rest = row.definition.removeprefix(row.head + row.full_table)
                assert rest != row.definition, row.definition
                yield f"{row.head}{row.quoted_table}{rest}"
        for row in indexes:
            if row.parent is not None:
                yield f"ALTER INDEX {row.parent} ATTACH PARTITION {row.quoted}"

    def foreign_keys(self) -> Iterator[str]:
        """Those between the tables; what partitions have of their tables' comes of itself."""
        there = {row.id for row in self._relations}
        keys = (row for row in self._all(self._constraints) if row.kind == "f" and row.parent in there)
        yield from self._added((row for row in keys if not row.is_of_parent), only="")

    def comments(self) -> Iterator[str]:
        """Of tables, columns, constraints, indexes and sequences."""
        for row in self._relations:
            yield from _comment("TABLE", row.quoted, row.comment)
        for row in self._all(self._columns):
            yield from _comment("COLUMN", f"{self._names[row.table]}.{row.quoted}", row.comment)
        for row in self._all(self._constraints):
            # Those of foreign keys, and of what was never proven, come with them.
            if row.kind != "f" and (row.is_valid or row.kind not in "cn"):
                yield from self._comment_of(row)
        for row in self._all(self._indexes):
            if row.is_valid:
                yield from _comment("INDEX", row.quoted, row.comment)
        for row in self.sequences:
            yield from _comment("SEQUENCE", row.quoted, row.comment)

    def _added(self, constraints: Iterable[Any], only: str = "ONLY ") -> Iterator[str]:
        for row in constraints:
            yield f"ALTER TABLE {only}{self._names[row.table]} ADD CONSTRAINT {row.quoted} {row.definition}"
            if row.kind == "f":
                yield from self._comment_of(row)

    def _comment_of(self, constraint: Any) -> Iterator[str]:
        name = f"{constraint.quoted} ON {self._names[constraint.table]}"
        yield from _comment("CONSTRAINT", name, constraint.comment)

    def _all(self, rows: Any) -> Iterator[Any]:
        for relation in self._relations:
            yield from rows[relation.id]


def _sequence(row: Any) -> str:
    return f"CREATE {'UNLOGGED ' if row.is_unlogged else ''}SEQUENCE {row.quoted} AS {row.type} {_numbering(row)}"


def _numbering(row: Any) -> str:
    return (
        f"START WITH {row.start} INCREMENT BY {row.increment} MINVALUE {row.minimum} MAXVALUE {row.maximum} "
        f"CACHE {row.cache}{' CYCLE' if row.cycles else ''}"
    )


def _options(relation: Any) -> str:
    """What a table is stored with, such as its fillfactor."""
    pairs = (each.partition("=") for each in relation.options or ())
    found = ", ".join(f"{name} = {literal(value)}" for name, _, value in pairs)
    return f" WITH ({found})" if found else ""


def _comment(kind: str, name: str, text: str | None) -> Iterator[str]:
    if text is not None:
        yield f"COMMENT ON {kind} {name} IS {literal(text)}"
