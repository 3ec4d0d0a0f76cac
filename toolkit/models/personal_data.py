"""Which columns hold personal data, as the models say: every model of the tables, wherever it is defined."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from toolkit.models.mappers import mappers_of

if TYPE_CHECKING:
    from sqlalchemy import MetaData
    from sqlalchemy.orm import Mapper

ATTRIBUTE = "__pii_columns__"
"""What a model, a mixin or a base names them in, by attribute or column; a table without a model in its `info`."""


def personal_columns(metadata: MetaData) -> dict[str, frozenset[str]]:
    """By table, the columns that its models, what they inherit from, or the table's `info` name as personal data."""
    found: dict[str, set[str]] = {
        name: _listed(table.info.get(ATTRIBUTE, ())) for name, table in metadata.tables.items()
    }
    for mapper in mappers_of(metadata):
        for table, column in _columns(mapper):
            if table in found:
                found[table].add(column)
    return {name: frozenset(columns) for name, columns in found.items()}


def _columns(mapper: Mapper[Any]) -> Iterator[tuple[str, str]]:
    """Tables and columns of what a model names: of a joined parent too."""
    for name in _named(mapper.class_):
        mapped = [mapper.columns[name]] if name in mapper.columns else []
        for column in (*mapped, *(table.columns[name] for table in mapper.tables if name in table.columns)):
            yield getattr(column.table, "fullname", ""), column.name


def _named(class_: type) -> set[str]:
    """What a class names, and each that it inherits from; a `declared_attr` is read of the model only."""
    plain = [vars(base).get(ATTRIBUTE) for base in class_.__mro__]
    named = [getattr(class_, ATTRIBUTE, ()), *(each for each in plain if isinstance(each, Collection))]
    return set().union(*map(_listed, named))


def _listed(names: Any) -> set[str]:
    return {names} if isinstance(names, str) else set(names)
