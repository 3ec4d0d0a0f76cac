"""The values that an engine's tables, which are yet to be made, could not hold."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from msgspec import structs

from toolkit.core.batches import BATCH_ROWS
from toolkit.core.inspection import MisfitCount
from toolkit.core.sifted import Sifted
from toolkit.core.streams import read_ahead
from toolkit.core.types import FLOAT_KINDS, INTEGER_KINDS, Kind
from toolkit.engines.database import Database
from toolkit.engines.portable.lossy import require_exact
from toolkit.errors import MissingParentError, UnrepresentableValueError
from toolkit.operations.transfer.misfits import Misfits, note_unkept, note_unread

if TYPE_CHECKING:
    from toolkit.core.schema import ColumnMeasure
    from toolkit.core.tables import TableSpec
    from toolkit.core.types import LogicalType
    from toolkit.engines.contract import Connection, Engine, Table

MASK = "***"
# To look for more of a table takes long, and they would not be told one by one.
_MOST = 10_000
_PLAIN = INTEGER_KINDS | FLOAT_KINDS | {Kind.BOOL, Kind.UUID}
# By storage classes. Types that are chosen by values have a place for all of them, but texts may be none of their type.
_CLASSES: dict[str, frozenset[str]] = {
    **dict.fromkeys((*INTEGER_KINDS, Kind.BOOL), frozenset({"integer"})),
    **dict.fromkeys((*FLOAT_KINDS, Kind.DECIMAL), frozenset({"integer", "real"})),
}


def unfit(
    connection: Connection,
    kind: Engine,
    spec: TableSpec,
    types: Mapping[str, str],
    measures: Mapping[str, ColumnMeasure],
    masked: Collection[str],
) -> tuple[MisfitCount, ...]:
    """What cannot be read as what it would be, what the columns of these types cannot hold, and what keys refuse.

    One pass over the rows, and one for each foreign key.
    """
    found = [*_orphans(connection, spec)]
    if kind.name != connection.database.engine_name:
        found = [*_values(connection, kind, spec, types, measures), *_nulls(spec, measures), *found]
    hides_keys = any(name in masked for name in spec.key)
    return tuple(
        structs.replace(
            each,
            first_key=MASK if hides_keys and each.first_key else each.first_key,
            first_value=MASK if each.column in masked else each.first_value,
        )
        for each in found
    )


def _values(
    connection: Connection,
    kind: Engine,
    spec: TableSpec,
    types: Mapping[str, str],
    measures: Mapping[str, ColumnMeasure],
) -> Iterator[MisfitCount]:
    is_strict = connection.capabilities.has_strict_types
    names = [c.name for c in spec.columns if not _fits(c.type, measures[c.name], is_strict=is_strict)]
    if not names:
        return
    narrow = spec.project((*spec.key, *names))
    target = kind.connection(Database(kind.title, f"{kind.dialect}://"), write=False)
    target.expect(narrow, types)
    rows, kept = connection.repository(narrow), target.repository(narrow)
    try:
        # Once through, as long as all can be read.
        require_exact(connection, [narrow])
        with read_ahead(rows.read(BATCH_ROWS)) as batches:
            found = _counted(map(Sifted, batches), narrow, kept)
    except UnrepresentableValueError:
        found = _counted(rows.sifted(), narrow, kept)
    is_all = found.count < _MOST
    for (_, column, reason), group in found.groups.items():
        first = group.rows[0]
        yield MisfitCount(column, reason, group.count, first.key, first.value, group.advice, is_all=is_all)


def _fits(type_: LogicalType, measure: ColumnMeasure, *, is_strict: bool) -> bool:
    """Whether all values are known to be what every engine has a type for, without a look at them."""
    if is_strict:
        return type_.kind in _PLAIN
    return measure.classes.keys() <= _CLASSES.get(type_.kind, frozenset())


def _counted(rows: Iterable[Sifted], spec: TableSpec, kept: Table) -> Misfits:
    found = Misfits()
    for sifted in rows:
        note_unread(found, spec, sifted)
        note_unkept(found, spec, sifted.batch, kept)
        if found.count >= _MOST:
            break
    return found


def _nulls(spec: TableSpec, measures: Mapping[str, ColumnMeasure]) -> Iterator[MisfitCount]:
    """SQLite lets keys be NULL."""
    for column in spec.table.columns:
        if not column.nullable and (count := measures[column.name].nulls):
            yield MisfitCount(column.name, "NULL, which its column is not to be", count, "", "NULL")


def _orphans(connection: Connection, spec: TableSpec) -> Iterator[MisfitCount]:
    for foreign_key in spec.foreign_keys:
        named = replace(spec, key=spec.key or foreign_key.columns)
        try:
            connection.repository(named).require_parents(foreign_key)
        except MissingParentError as error:
            reason = f"no row of {error.parent} that it points at"
            yield MisfitCount(error.column, reason, error.count, error.first, "", error.advice)
