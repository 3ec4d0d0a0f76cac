"""`--convert`: a source whose columns are read as what they really hold, and given on as the model's types.

What is compared, written and verified is what the conversions make; the target is never converted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from shlex import quote as shell
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from msgspec import Struct, field

from toolkit.core.batches import BATCH_ROWS
from toolkit.core.conversion_columns import converted_column
from toolkit.core.conversions import Conversion, shown_stored
from toolkit.core.digest import DIGEST_FIELD, TableDigest, digest_batches, digest_schema, keyed_digests, row_digests
from toolkit.core.plan import CONVERTED, TransferWarning
from toolkit.core.sifted import BadRow, BadValue, Sifted
from toolkit.core.streams import ended, only, others
from toolkit.core.tables import ColumnSpec, TableSpec
from toolkit.core.types import Kind, LogicalType
from toolkit.core.values import shortened
from toolkit.engines.portable.sifting import bad_row
from toolkit.errors import ConfigurationError, UnrepresentableValueError

if TYPE_CHECKING:
    from toolkit.core.progress import Progress
    from toolkit.engines.contract import Connection

_STORED = LogicalType(Kind.STORED)


class Conversions(Struct, frozen=True):
    """By table and column, how stored values become the model's; `given` are tables that this very run was told of."""

    by_table: Mapping[str, Mapping[str, Conversion]] = field(default_factory=dict)
    given: frozenset[str] = frozenset()

    def stored(self, spec: TableSpec) -> TableSpec:
        """The table with columns to be converted as they are stored."""
        converted = self.of(spec)
        if not converted:
            return spec
        columns = [as_stored(column) if column.name in converted else column for column in spec.columns]
        return replace(spec, columns=tuple(columns))

    def of(self, spec: TableSpec) -> dict[str, Conversion]:
        """The conversions of those columns that the table, or a part of it, has."""
        found = self.by_table.get(spec.name, {})
        return {name: each for name, each in found.items() if name in spec.column_names}

    def require_in_run(self, specs: Sequence[TableSpec]) -> None:
        """Check that what this very run was told of are tables of it.

        Raises:
            ConfigurationError: one is not.
        """
        names = [spec.name for spec in specs]
        for name in sorted(self.given.difference(names)):
            raise ConfigurationError(
                f"--convert names {name}, which is not among the tables of this run: {', '.join(names)}.",
                f"Leave that out, or have {name} in the run, too. In the configuration, convert may name any table: it "
                "holds for the runs that have it.",
            )

    def require_unasked(self, specs: Sequence[TableSpec], since: str | None = None) -> None:
        """Check that no condition on two databases asks for what the source has other values of.

        Raises:
            ConfigurationError: one does.
        """
        for spec in specs:
            for name, each in self.of(spec).items():
                asked = [c for c in spec.conditions if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", c, re.IGNORECASE)]
                if asked or name == since:
                    option = f"The condition {shortened(asked[0])!r}" if asked else f"--since {name}"
                    raise ConfigurationError(
                        f"{option} asks {spec.name} for {name}, of which the databases hold different values: it is "
                        f"converted ({each.name}).",
                        "Narrow the table by another column.",
                    )

    def require_taken(
        self, origin: Connection, specs: Iterable[TableSpec], progress: Progress
    ) -> tuple[TransferWarning, ...]:
        """Convert all values once, and say of each column how many of them lose something.

        Raises:
            UnrepresentableValueError: the first value that its conversion cannot take.
        """
        found: list[TransferWarning] = []
        for spec in specs:
            if self.of(spec):
                progress.step(f"convert {spec.name}")
                found += self._told(spec, self._rows(origin, spec).lost())
        return tuple(found)

    def told_without(
        self, origin: Connection, specs: Iterable[TableSpec], left_out: Mapping[str, pa.Table]
    ) -> tuple[TransferWarning, ...]:
        """The same of all rows but those with these keys, by table, which may hold what no conversion takes."""
        found: list[TransferWarning] = []
        for spec in specs:
            if self.of(spec):
                nothing = (spec.key_schema if spec.key else digest_schema(spec)).empty_table()
                found += self._told(spec, self._rows(origin, spec).lost(left_out.get(spec.name, nothing)))
        return tuple(found)

    def _rows(self, origin: Connection, spec: TableSpec) -> ConvertedRows:
        # Rows without a key are known by all of their values.
        return ConvertedRows(origin, spec.project((*spec.key, *self.of(spec))) if spec.key else spec, self)

    def _told(self, spec: TableSpec, lost: Counter[str]) -> Iterator[TransferWarning]:
        for column, each in self.of(spec).items():
            if lost[column]:
                reason = f"changed by --convert {shell(spec.name)}.{shell(column)}:{each.name}"
                yield TransferWarning(CONVERTED, spec.name, reason, column, lost[column])


def as_stored(column: ColumnSpec) -> ColumnSpec:
    """The column with its values as they are stored, of whatever class."""
    return replace(column, type=_STORED, declared=sa.types.NullType())


class _Converted(Struct, frozen=True):
    """Rows after their conversion: what lost something by column, what could not be converted by column and row."""

    batch: pa.RecordBatch
    lost: Mapping[str, pa.Array]
    refused: Mapping[str, Mapping[int, BadValue]]

    @property
    def first(self) -> tuple[int, BadValue] | None:
        """The first row that could not, and why."""
        found = ((row, value) for values in self.refused.values() for row, value in values.items())
        return min(found, key=lambda each: each[0], default=None)

    @property
    def whole(self) -> pa.Array:
        """Which rows could."""
        mask = np.ones(self.batch.num_rows, bool)
        for values in self.refused.values():
            mask[list(values)] = False
        return pa.array(mask)


class ConvertedRows:
    """One table's `rows` after the conversion of some columns."""

    def __init__(self, origin: Connection, spec: TableSpec, conversions: Conversions) -> None:
        self.rows = origin.repository(conversions.stored(spec))
        self._converted = conversions.of(spec)
        self.spec = spec
        self.batch_bytes = self.rows.batch_bytes

    def count(self) -> int:
        """Number of rows."""
        return self.rows.count()

    def read(self, batch_rows: int = BATCH_ROWS, keys: pa.Table | None = None) -> Iterator[pa.RecordBatch]:
        """The rows, or those with these keys.

        Raises:
            UnrepresentableValueError: a value that its conversion cannot take.
        """
        if keys is not None and self._converted.keys() & set(keys.column_names):
            # The database knows them by other values.
            return only(self.read(batch_rows), keys)
        return self._read(self.rows.read(batch_rows, keys=keys))

    def _read(self, stored: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with ended(stored):
            for batch in stored:
                yield self._taken(batch).batch

    def sifted(self) -> Iterator[Sifted]:
        """All rows, taken apart into those that are converted and carried whole and those that cannot be."""
        for each in self.rows.sifted():
            found = self._convert(each.batch)
            refused = sorted({row for values in found.refused.values() for row in values})
            bad = [BadRow(self.spec.name, "", (), _cells(each.batch, row)) for row in refused]
            yield Sifted(found.batch.filter(found.whole), tuple(map(self._bad_row, (*each.bad, *bad))))

    def lost(self, left_out: pa.Table | None = None) -> Counter[str]:
        """By column, how many values lose something, of all rows; or of those that can be converted, without these.

        Raises:
            UnrepresentableValueError: a value that its conversion cannot take, where all rows are asked for.
        """
        counts: Counter[str] = Counter()
        with ended(batches := self._stored(sifted=left_out is not None)):
            for batch in batches:
                found = self._taken(batch) if left_out is None else self._convert(batch)
                counted = found.whole if left_out is None else pc.and_(found.whole, self._others(found.batch, left_out))
                for name, mask in found.lost.items():
                    counts[name] += pc.sum(pc.and_(mask, counted)).as_py() or 0
        return counts

    def _others(self, batch: pa.RecordBatch, left_out: pa.Table) -> pa.Array:
        """Which rows are not among those that are left out."""
        if self.spec.key:
            return others(batch, left_out)
        return pc.invert(pc.is_in(row_digests(self.spec, batch), left_out.column(DIGEST_FIELD).combine_chunks()))

    def _stored(self, *, sifted: bool) -> Iterator[pa.RecordBatch]:
        return (each.batch for each in self.rows.sifted()) if sifted else self.rows.read()

    def stored_type(self, column: str) -> LogicalType:
        """What a column holds in the database."""
        return _STORED if column in self._converted else self.rows.stored_type(column)

    def row_digests(self) -> Iterator[pa.RecordBatch]:
        """Key columns and digest of every row."""
        return (keyed_digests(self.spec, batch) for batch in self.read())

    def digest(self) -> TableDigest:
        """The digest of all rows."""
        return digest_batches(self.spec, self.read())

    def width(self, keys: pa.Table) -> int:
        """The bytes of the rows with these keys, about."""
        return sum(batch.nbytes for batch in self.read(keys=keys))

    def maximum(self, column: str) -> int | None:
        """The greatest value of a column of integers; None without any."""
        if column not in self._converted:
            return self.rows.maximum(column)
        found = [pc.max(batch.column(column)).as_py() for batch in self.read()]
        return max((each for each in found if each is not None), default=None)

    def _taken(self, batch: pa.RecordBatch) -> _Converted:
        """Rows that can all be converted.

        Raises:
            UnrepresentableValueError: the first that cannot.
        """
        found = self._convert(batch)
        if found.first is not None:
            row, value = found.first
            error = UnrepresentableValueError(
                self.spec.name, self._key(_cells(batch, row)), value.column, value.problem, value.advice
            )
            error.value = value.value
            raise error
        return found

    def _convert(self, batch: pa.RecordBatch) -> _Converted:
        columns, lost, refused = [], {}, {}
        for column in self.spec.columns:
            stored = batch.column(column.name)
            if (how := self._converted.get(column.name)) is None:
                columns.append(stored)
                continue
            found = converted_column(how, column.type, stored)
            columns.append(found.values)
            lost[column.name] = found.lost
            refused[column.name] = {
                row: self._refused(column.name, how, stored[row], why) for row, why in found.refused.items()
            }
        return _Converted(pa.record_batch(columns, schema=self.spec.schema), lost, refused)

    def _refused(self, column: str, how: Conversion, stored: pa.Scalar, why: str) -> BadValue:
        whole = _STORED.adapter.to_python(stored.as_py())
        shown, reason = shown_stored(whole), f"which the conversion {how.name} does not take: it {why}"
        advice = (
            "Correct the values at the source, convert the column in another way, or leave the rows out: "
            f"sync --rejects DIR, or --where {shell(self.spec.name)}:CONDITION by another column."
        )
        return BadValue(column, shown, f"holds {shown}, {reason}", reason, advice, whole)

    def _bad_row(self, row: BadRow) -> BadRow:
        """A row as it is stored, with what cannot be converted in addition to what could not be read."""
        cells, values = dict(row.cells), list(row.values)
        for name, how in self._converted.items():
            if name in row.cells:
                stored = row.cells[name]
                found = converted_column(how, self.spec.column(name).type, stored)
                cells[name] = found.values
                if found.refused:
                    del cells[name]
                    values.append(self._refused(name, how, stored[0], found.refused[0]))
        return bad_row(self.spec, values, cells)

    def _key(self, cells: Mapping[str, pa.Array]) -> str:
        return self._bad_row(BadRow(self.spec.name, "", (), cells)).key


def _cells(batch: pa.RecordBatch, row: int) -> dict[str, pa.Array]:
    return {name: batch.column(name).slice(row, 1) for name in batch.schema.names}
