"""Columns that both databases generate: their values are sent by nobody, and are compared all the same."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
from msgspec import Struct

from toolkit.compute.changes import compare_rows
from toolkit.compute.multisets import compare_multisets
from toolkit.core.batches import BATCH_ROWS
from toolkit.core.digest import keyed_digests
from toolkit.core.plan import GENERATED_OTHERWISE, TransferWarning
from toolkit.core.streams import without
from toolkit.core.tables import ColumnSpec, TableSpec, generated_columns
from toolkit.errors import GeneratedOtherwiseError, UnrepresentableValueError
from toolkit.operations.transfer.missing_row import first_difference
from toolkit.operations.transfer.sources import rows_with_keys

if TYPE_CHECKING:
    from toolkit.engines.contract import Connection
    from toolkit.operations.transfer.sources import RowSource, Source, SourceTables


class GeneratedOtherwise(Struct, frozen=True):
    """A table of which so many rows have other values in generated columns; `first` is one of them, in words.

    Where the source's values cannot even be read as the models say, `rows` is None, and `first` says why.
    """

    table: str
    columns: tuple[str, ...]
    rows: int | None
    first: str

    def warning(self, database: str) -> TransferWarning:
        """What is told where the table was there before."""
        columns = ", ".join(self.columns)
        if self.rows is None:
            reason = f"Its values were not compared with those that {database} generates: {self.first}"
        else:
            reason = f"{database} generates other values than the source has. First: {self.first}."
        return TransferWarning(GENERATED_OTHERWISE, self.table, reason, columns, self.rows, database=database)

    def error(self, database: str) -> GeneratedOtherwiseError:
        """The same where the table was made just now."""
        return GeneratedOtherwiseError(database, self.table, self.columns, self.first)


def has_generated(specs: Iterable[TableSpec]) -> bool:
    """Whether any of these tables generates columns."""
    return any(generated_columns(spec.table) for spec in specs)


def generated_otherwise(
    specs: Iterable[TableSpec],
    names: SourceTables,
    source: Source,
    target: Connection,
    exclude: Collection[str] = (),
    unlike: pa.Table | None = None,
) -> Iterator[GeneratedOtherwise]:
    """The tables of which rows that both have differ in columns that the target generates, and the source has.

    `source` has the rows, `names` says how the source's database calls what it has; there, `exclude` names as
    `TABLE.COLUMN` what is not looked at. `unlike` has the keys of rows that differ in other columns, from which others
    are generated, too. Takes a pass over the key and these columns on both sides; nothing for tables without any.
    """
    for spec in specs:
        columns = _of_both(spec, names, target, exclude)
        if columns:
            yield from _differing(spec, columns, source, target, unlike)


def _of_both(
    spec: TableSpec, names: SourceTables, target: Connection, exclude: Collection[str]
) -> tuple[ColumnSpec, ...]:
    """The columns that the target generates and the source has, by the target's names."""
    own = names.own(spec)
    generated = [each for each in generated_columns(own.table) if f"{own.name}.{each.name}" not in exclude]
    if not generated:
        return ()
    here, there = names.connection.columns(own) or {}, target.columns(spec) or {}
    found = (replace(each, name=names.renamed_column(spec, each.name)) for each in generated if each.name in here)
    return tuple(each for each in found if there.get(each.name))


def _differing(
    spec: TableSpec, columns: Sequence[ColumnSpec], source: Source, target: Connection, unlike: pa.Table | None
) -> Iterator[GeneratedOtherwise]:
    # Rows of a table without a key are told apart by all that they have.
    beside = [column for column in spec.columns if column.name in spec.key or not spec.key]
    whole = replace(spec, columns=(*beside, *columns))
    rows, held, names = source.repository(whole), target.repository(whole), tuple(each.name for each in columns)
    try:
        if rows.digest() == held.digest():
            return
        keys = _changed(whole, rows, (keyed_digests(whole, batch) for batch in held.read()), unlike)
    except UnrepresentableValueError as error:
        yield GeneratedOtherwise(spec.name, names, None, error.fact)
        return
    if keys.num_rows and len(columns) > 1:
        for column in columns:
            yield from _differing(spec, [column], source, target, unlike)
    elif keys.num_rows:
        first = keys.slice(0, 1) if spec.key else None
        sent = partial(rows.read, BATCH_ROWS) if first is None else partial(rows_with_keys, rows, first)
        yield GeneratedOtherwise(spec.name, names, keys.num_rows, first_difference(sent, held, first).text)


def _changed(spec: TableSpec, rows: RowSource, held: Iterator[pa.RecordBatch], unlike: pa.Table | None) -> pa.Table:
    """The keys of the rows that both have, and that differ; without keys, the source's rows that are not there."""
    if not spec.key:
        return compare_multisets(rows.row_digests(), held).new
    found = compare_rows(spec, rows.row_digests(), held).changed.select(list(spec.key))
    if unlike is None or not unlike.num_rows:
        return found
    return pa.Table.from_batches(without(found.to_batches(), unlike.select(list(spec.key))), found.schema)
