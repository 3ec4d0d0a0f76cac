"""A database's tables by SQLAlchemy's reflection, for engines whose own catalogue is not asked for them."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from toolkit.core.schema import Note, Schema
from toolkit.engines.catalogue import StoredTable
from toolkit.engines.portable.unknown_types import types_unknown


def reflected_schema(connection: sa.Connection, tables: Iterable[StoredTable]) -> Schema:
    """These tables, without foreign keys to tables or columns that are not among them."""
    metadata, names = sa.MetaData(), [(each.schema, each.name) for each in tables]
    for schema in dict.fromkeys(schema for schema, _ in names):
        only = [name for place, name in names if place == schema]
        with types_unknown():
            metadata.reflect(connection, schema, only=only, resolve_fks=False)
    return Schema(connection.dialect.name, metadata, tuple(without_lost_parents(metadata)))


def without_lost_parents(metadata: sa.MetaData) -> list[Note]:
    """Take away foreign keys to what is not there, which SQLAlchemy could not resolve; each is told."""
    notes = []
    for table in metadata.tables.values():
        for key in sorted(table.foreign_key_constraints, key=lambda each: list(each.column_keys)):
            try:
                for element in key.elements:
                    _ = element.column
            except (sa.exc.NoReferencedTableError, sa.exc.NoReferencedColumnError):
                _remove(table, key)
                columns, parent = ", ".join(key.column_keys), key.elements[0].target_fullname
                notes.append(Note(table.fullname, f"foreign key of {columns}", f"There is no {parent}."))
    return notes


def _remove(table: sa.Table, key: sa.ForeignKeyConstraint) -> None:
    table.constraints.discard(key)
    for element in key.elements:
        table.foreign_keys.discard(element)
        element.parent.foreign_keys.discard(element)
