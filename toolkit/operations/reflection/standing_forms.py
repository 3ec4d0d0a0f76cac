"""Values of an engine with strict types into one that keeps a value in several forms: in that of those that are there.

An application looks for a UUID in the form in which it writes one, and finds none in another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from toolkit.core.engine_type import EngineType
from toolkit.core.schema import DECLARED
from toolkit.core.tables import table_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from toolkit.engines.contract import Connection
    from toolkit.operations.reflection.matched_tables import Joined, Pair

# An application writes one form: of a million values the first say it as well as all, in a thousandth of the time.
_LOOKED_AT = 1_000


def take_standing_forms(found: Joined, target: Connection, tables: Collection[str]) -> None:
    """Have values of these tables, by the source's names, written as those that the target has, or their parents."""
    there: dict[str, Mapping[str, str | None]] = {}
    pairs = {pair.source.fullname: pair for pair in found.pairs}

    def forms(name: str) -> Mapping[str, str | None]:
        if name not in there:
            there[name] = _forms(pairs[name], found.metadata.tables[name], target) if name in pairs else {}
        return there[name]

    for name in (each for each in pairs if each in tables):
        for own, other in pairs[name].columns.items():
            column = found.metadata.tables[name].c[own]
            if form := _form(column, forms):
                _take(column, other, target, form)


def _forms(pair: Pair, joined: sa.Table, target: Connection) -> Mapping[str, str | None]:
    """By the source's name of a column, the form of what the target has in it."""
    theirs = {own: other.name for own, other in pair.columns.items()}
    columns: list[Any] = [sa.Column(other, joined.c[own].type) for own, other in theirs.items()]
    spec = table_spec(sa.Table(pair.target.name, sa.MetaData(), *columns, schema=pair.target.schema))
    found = target.written_forms(spec, _LOOKED_AT)
    return {own: found[other] for own, other in theirs.items() if other in found}


def _form(column: sa.Column[Any], forms: Callable[[str], Mapping[str, str | None]]) -> str | None:
    found = forms(column.table.fullname)
    if column.name in found:
        return found[column.name]
    parents = (forms(key.column.table.fullname).get(key.column.name) for key in column.foreign_keys)
    return next((form for form in parents if form), None)


def _take(column: sa.Column[Any], other: sa.Column[Any], target: Connection, form: str) -> None:
    type_ = column.type
    like = type_.like if isinstance(type_, EngineType) and type_.like is not None else type_
    column.type = EngineType(target.sqlalchemy.dialect.name, other.info.get(DECLARED) or "", like=like, form=form)
