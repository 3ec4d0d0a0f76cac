"""The types of columns that are to be converted, where a database that does not keep to types has others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from toolkit.core.conversions import AS_NULL, MADE, conversion
from toolkit.core.schema import Note, Schema
from toolkit.core.types import logical_type
from toolkit.operations.transfer.conversion_options import conversion_place

# The first that a conversion makes counts: what is counted since 1970 is an instant.
_MADE: Sequence[TypeEngine[Any]] = (sa.DateTime(timezone=True), sa.Date(), sa.Boolean(), sa.JSON(), sa.Text())


def with_converted(schema: Schema, options: Iterable[str]) -> Schema:
    """The schema, whose columns have types that their conversions make: as declared, if that is one of them.

    Raises:
        UnknownNameError, ConfigurationError: an option names nothing that is there.
    """
    changed = {place for option in options if (place := _converted(schema.metadata, option)) is not None}
    notes = (note for note in schema.notes if not (note.is_of_type and (note.table, note.column) in changed))
    return replace(schema, notes=tuple(notes))


def with_nulls(schema: Schema, options: Iterable[str]) -> Schema:
    """The schema of tables that are to be made: what becomes NULL there, by its conversion, may be NULL.

    Raises:
        UnknownNameError, ConfigurationError: an option names nothing that is there.
    """
    for table in schema.metadata.tables.values():
        for column in table.columns:
            if not (column.nullable or column.primary_key):
                column.info[MADE] = True
    return replace(schema, notes=(*schema.notes, *_nulls(schema.metadata, options)))


def _nulls(metadata: sa.MetaData, options: Iterable[str]) -> Iterator[Note]:
    for option in options:
        spec, name, how = conversion_place(metadata, option)
        column = metadata.tables[spec.name].columns[name]
        if how in AS_NULL and MADE in column.info:
            column.nullable = True
            yield Note(spec.name, "NOT NULL", f"It takes NULL there, which {how} makes.", name)


def _converted(metadata: sa.MetaData, option: str) -> tuple[str, str] | None:
    spec, name, how = conversion_place(metadata, option)
    column, wanted = metadata.tables[spec.name].columns[name], conversion(how)
    if wanted.fits(logical_type(column.type)):
        return None
    meant: list[TypeEngine[Any]] = [column.info["meant"]] if "meant" in column.info else []
    made = (type_ for type_ in (*meant, *_MADE) if wanted.fits(logical_type(type_)))
    column.type = next(made, column.type)
    return spec.name, name
