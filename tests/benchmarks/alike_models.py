"""The bundled models with the types that their SQLite file declares: keys of bytes, times without a zone.

What a sync without models makes of that file has these types. Whatever it takes longer than with these is for want of
models, and not because indexes of bytes take PostgreSQL longer than those of UUIDs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from advanced_alchemy.types import GUID, DateTimeUTC, JsonB
from sqlalchemy.dialects import postgresql

from toolkit.models.todo import metadata as bundled

_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_DECLARED: dict[type[Any], Any] = {
    GUID: sa.LargeBinary(16),
    DateTimeUTC: sa.DateTime(),
    sa.Enum: sa.String(6),
    type(JsonB): _JSON,
}


def _copied() -> Iterator[sa.Table]:
    found = sa.MetaData()
    for table in bundled.sorted_tables:
        yield table.to_metadata(found)


def _alike() -> sa.MetaData:
    tables = [*_copied()]
    for column in (column for table in tables for column in table.columns):
        column.type = _DECLARED.get(type(column.type), column.type)
    return tables[0].metadata


metadata = _alike()
