"""The first row that is not in the target as it was sent, and why as far as its catalogue says, for the error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct, field

from toolkit.compute.changes import compare_rows
from toolkit.compute.multisets import compare_multisets
from toolkit.core.digest import DIGEST_FIELD, TableDigest, digest_batches, keyed_digests, row_digests
from toolkit.core.streams import only
from toolkit.core.values import python_scalar, show_value
from toolkit.engines.portable.connection import batch_key
from toolkit.models.personal_data import personal_columns

if TYPE_CHECKING:
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Table

_SHOWN = 60


class Evidence(Struct, frozen=True):
    """A row in words, and by column that is another there, the type that made it so."""

    text: str = ""
    types: Mapping[str, str] = field(default_factory=dict)
    is_outside: bool = False
    """It is there, but does not meet the condition that both sides are asked."""

    def advice(self, database: str) -> str:
        """How the columns of these types keep what they are sent, or another way to narrow a table; '' without any."""
        if self.is_outside:
            return "Let the source alone be asked: --where-source in place of --where."
        if not self.types:
            return ""
        named = ", ".join(f"{name} ({type_})" for name, type_ in self.types.items())
        return f"Give {named} in {database} the type that the models have, or the models that of {database}."


def first_difference(
    rows: Callable[[], Iterable[pa.RecordBatch]], target: Table, keys: pa.Table | None = None
) -> Evidence:
    """What was sent and what is there of the first row in which these rows and the target's (of these keys) differ."""
    spec = target.spec
    if not spec.key:
        return Evidence(_surplus_row(rows, target))
    found = compare_rows(spec, _digests(spec, rows()), _digests(spec, target.read(keys=keys)), removed=True)
    assert found.removed is not None
    for differing in (found.changed, found.new, found.removed):
        if differing.num_rows:
            key = differing.select(list(spec.key)).slice(0, 1)
            return _told(target, _one(only(rows(), key)), _one(target.read(keys=key)))
    return Evidence(_found_by_digest(rows, target))


def _surplus_row(rows: Callable[[], Iterable[pa.RecordBatch]], target: Table) -> str:
    """The first row that was sent more often than it is there, or else is there more often, of a table without key."""
    spec = target.spec
    found = compare_multisets(_digests(spec, rows()), _digests(spec, target.read()))
    assert found.removed is not None
    for surplus, batches, told in (
        (found.new, rows(), "was sent and is not there"),
        (found.removed, target.read(), "is there and was not sent"),
    ):
        for batch in batches if surplus.num_rows else ():
            row = pc.index(row_digests(spec, batch), surplus.column(0)[0]).as_py()
            if row >= 0:
                return f"{batch_key(spec, batch, row)} {told}"
    return ""


def _found_by_digest(rows: Callable[[], Iterable[pa.RecordBatch]], target: Table) -> str:
    """The first row of another digest, which the database computes, where what is read of it is equal."""
    spec = target.spec
    for batch in rows():
        part = batch
        while _digest(spec, part) != target.digest(keys=_keys(spec, part)):
            if part.num_rows == 1:
                return f"{batch_key(spec, part, 0)} has another digest there than what was sent"
            half = part.num_rows // 2
            first = part.slice(0, half)
            is_first = _digest(spec, first) != target.digest(keys=_keys(spec, first))
            part = first if is_first else part.slice(half)
    return ""


def _digest(spec: TableSpec, batch: pa.RecordBatch) -> TableDigest:
    return digest_batches(spec, [batch])


def _keys(spec: TableSpec, batch: pa.RecordBatch) -> pa.Table:
    return pa.Table.from_batches([batch]).select(list(spec.key))


def _digests(spec: TableSpec, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    return (keyed_digests(spec, batch) for batch in batches)


def _one(batches: Iterable[pa.RecordBatch]) -> pa.RecordBatch | None:
    return next((batch.slice(0, 1) for batch in batches if batch.num_rows), None)


def _told(target: Table, sent: pa.RecordBatch | None, there: pa.RecordBatch | None) -> Evidence:
    spec = target.spec
    if there is None:
        return Evidence() if sent is None else _absent(target, sent)
    if sent is None:
        return Evidence(f"{batch_key(spec, there, 0)} is there and was not sent")
    types = _causing_types(target, sent)
    causes = {name: f" (its type there is {type_})" for name, type_ in types.items()} | _numbered(target)
    hidden = personal_columns(spec.table.metadata).get(spec.name, frozenset())
    differing = [name for name in spec.column_names if not _is_same(spec, sent, there, name)]
    values = (
        f"{name} differs from what was sent" + causes.get(name, "")
        if name in hidden
        else f"{name} {_shown(spec, sent, name)} was sent, {_shown(spec, there, name)} is there{causes.get(name, '')}"
        for name in differing
    )
    text = f"{batch_key(spec, sent, 0)}: {'; '.join(values)}"
    return Evidence(text, {name: types[name] for name in differing if name in types})


def _absent(target: Table, sent: pa.RecordBatch) -> Evidence:
    """Of a row that is not found: what a condition means may differ by engine, and a matched row keeps its own key."""
    spec = target.spec
    key, told = pa.Table.from_batches([sent]).select(list(spec.key)), batch_key(spec, sent, 0)
    if spec.where is not None and _one(target.connection.repository(spec.without_conditions()).read(keys=key)):
        return Evidence(f"{told} was sent and is there, but does not meet the condition there", is_outside=True)
    return Evidence(f"{told} was sent and is not there")


def _causing_types(target: Table, sent: pa.RecordBatch) -> dict[str, str]:
    """By column, the type there that keeps other values of a row than were sent."""
    facts = target.connection.facts(target.spec)
    known = {} if facts is None else facts.columns
    narrow = {value.column for _, value in target.unkeepable(sent)}
    return {name: column.type for name, column in known.items() if name in narrow} | dict(target.rewriting_types())


def _numbered(target: Table) -> dict[str, str]:
    """By column, that the database gives it its values; triggers and rules are not of one column."""
    facts = target.connection.facts(target.spec)
    known = {} if facts is None else facts.columns
    return {name: " (the database numbers it itself, always)" for name, c in known.items() if c.is_numbered}


def _is_same(spec: TableSpec, sent: pa.RecordBatch, there: pa.RecordBatch, name: str) -> bool:
    narrow = spec.project((*spec.key, name))
    names = list(narrow.column_names)
    one, other = (keyed_digests(narrow, batch.select(names)).column(DIGEST_FIELD)[0] for batch in (sent, there))
    return bool(one == other)


def _shown(spec: TableSpec, batch: pa.RecordBatch, name: str) -> str:
    value = python_scalar(batch.column(name)[0])
    text = "NULL" if value is None else repr(show_value(spec.column(name).type, value))
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
