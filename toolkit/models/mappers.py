"""The models of a schema's tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import MetaData
    from sqlalchemy.orm import Mapper


def mappers_of(metadata: MetaData) -> Iterator[Mapper[Any]]:
    """The mappers of a metadata's tables, or of tables of the same names, of every registry and in any module."""
    # No public name leads from a table to its models.
    from sqlalchemy.orm.mapper import _all_registries

    for registry in _all_registries():
        for mapper in registry.mappers:
            if any(getattr(table, "fullname", "") in metadata.tables for table in mapper.tables):
                yield mapper
