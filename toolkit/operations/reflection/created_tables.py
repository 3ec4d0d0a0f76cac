"""A target without any of the source's tables: what is made there, and what of the source's schema is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from msgspec import Struct, field

from toolkit.core.numbering import have_one_numbered
from toolkit.core.schema import Note, Schema
from toolkit.engines.contract import Engine, SchemaFeatures
from toolkit.engines.registry import engine_of_dialect
from toolkit.operations.migrations.statements import unconnected
from toolkit.operations.reflection.created_columns import TableMaking, columns_of, other_types
from toolkit.operations.reflection.created_keys import KeysMaking, foreign_keys
from toolkit.operations.reflection.created_names import Names
from toolkit.operations.reflection.created_numbers import numbered_key


class Made(Struct, frozen=True):
    """A schema as a target can have it, in the source's names; `renames` has the target's, where they are others.

    `types` tells of columns whose values it has as text, or documents.
    """

    schema: Schema
    renames: Mapping[str, str] = field(default_factory=dict)
    types: tuple[Note, ...] = ()


def made(schema: Schema, target: Engine) -> Made:
    """A schema as an engine can have it: texts in its SQL, keys that refuse no valid row; a note for all the rest."""
    features = features_of(schema)
    notes: list[Note] = []
    names = Names.of(schema.metadata, target.features, notes)
    metadata = sa.MetaData()
    making = [TableMaking(each, features, target.features, target, notes) for each in schema.metadata.tables.values()]
    taken = {each.table.fullname: _make(each, names, metadata) for each in making}
    dialect = unconnected(target).dialect
    types = (note for each in making for note in other_types(each, metadata.tables[each.table.fullname], dialect))
    for each in making:
        for key in foreign_keys(each, names, metadata, taken[each.table.fullname]):
            metadata.tables[each.table.fullname].append_constraint(key)
    places = {name: place for place, name in enumerate(schema.metadata.tables)}
    told = sorted(dict.fromkeys(notes), key=lambda note: places[note.table])
    result = replace(schema, dialect=target.dialect, metadata=metadata, notes=(*schema.notes, *told))
    return Made(result, dict(names.renames()), tuple(types))


def features_of(schema: Schema) -> SchemaFeatures:
    """What the engine has whose schema it is."""
    engine = engine_of_dialect(schema.dialect)
    return SchemaFeatures() if engine is None else engine.features


def _make(making: TableMaking, names: Names, metadata: sa.MetaData) -> set[str]:
    """A table without its foreign keys; the names of its constraints."""
    table, target = making.table, making.target
    numbered = None if target.numbers_any_column else numbered_key(making.table)
    options: dict[str, Any] = dict(target.numbered_options) if numbered is not None else {}
    made_table = sa.Table(
        table.name,
        metadata,
        *columns_of(making),
        schema=table.schema,
        comment=table.comment if target.has_comments else None,
        info=dict(table.info),
        **options,
    )
    if any(name.endswith("_partition_by") and value for name, value in table.dialect_kwargs.items()):
        making.note("partitions", "It is one table there.")
    keys = KeysMaking(making, names, made_table)
    keys.add()
    have_one_numbered(made_table)
    return keys.taken
