"""`--convert`: a source whose columns are read as what they really hold, and given on as the model's types.

What is compared, written and verified is what the conversions make; the target is never converted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from toolkit.core.batches import BATCH_ROWS
from toolkit.core.conversions import Conversion, shown_stored
from toolkit.core.digest import TableDigest, digest_batches, keyed_digests
from toolkit.core.plan import CONVERTED, TransferWarning
from toolkit.core.streams import only
from toolkit.core.tables import ColumnSpec, TableSpec
from toolkit.core.types import Kind, LogicalType
from toolkit.core.values import python_scalar, shortened, show_value
from toolkit.errors import ConfigurationError, UnknownNameError, UnrepresentableValueError

if TYPE_CHECKING:
    from toolkit.core.progress import Progress
    from toolkit.engines.contract import Connection

_STORED = LogicalType(Kind.STORED)


@dataclass(frozen=True)
class Conversions:
    """By table and column, how stored values become the model's; `given` are tables that this very run was told of."""

    by_table: Mapping[str, Mapping[str, Conversion]] = field(default_factory=dict)
    given: frozenset[str] = frozenset()

    def stored(self, spec: TableSpec) -> TableSpec:
        """The table with columns to be converted as they are stored."""
        converted = self.of(spec)
        if not converted:
            return spec
        columns = [_as_stored(column) if column.name in converted else column for column in spec.columns]
        return replace(spec, columns=tuple(columns))

    def of(self, spec: TableSpec) -> dict[str, Conversion]:
        """The conversions of those columns that the table, or a part of it, has."""
        found = self.by_table.get(spec.name, {})
        return {name: each for name, each in found.items() if name in spec.column_names}

    def require_usable(self, specs: Sequence[TableSpec], since: str | None = None) -> None:
        """Check that these are tables of the run, and no condition asks for what the source has other values of.

        Raises:
            UnknownNameError, ConfigurationError: one is not, or does.
        """
        names = [spec.name for spec in specs]
        for name in sorted(self.given.difference(names)):
            raise UnknownNameError("table", name, names, "this run, to convert")
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
        found = []
        for spec in specs:
            if not (converted := self.of(spec)):
                continue
            progress.step(f"convert {spec.name}")
            rows = ConvertedRows(origin, spec.project((*spec.key, *converted)), self)
            for _ in rows.read(BATCH_ROWS):
                pass
            found += [_told(spec, name, each, rows.lost[name]) for name, each in converted.items() if rows.lost[name]]
        return tuple(found)


def _as_stored(column: ColumnSpec) -> ColumnSpec:
    return replace(column, type=_STORED, declared=sa.types.NullType())


def _told(spec: TableSpec, column: str, conversion: Conversion, rows: int) -> TransferWarning:
    reason = f"changed by --convert {spec.name}.{column}:{conversion.name}"
    return TransferWarning(CONVERTED, spec.name, reason, column, rows)


class ConvertedRows:
    """One table's rows after the conversion of some columns; `lost` counts the values that lost something by it."""

    def __init__(self, origin: Connection, spec: TableSpec, conversions: Conversions) -> None:
        self._rows = origin.repository(conversions.stored(spec))
        self._converted = conversions.of(spec)
        self.spec = spec
        self.batch_bytes = self._rows.batch_bytes
        self.lost: Counter[str] = Counter()

    def count(self) -> int:
        """Number of rows."""
        return self._rows.count()

    def read(self, batch_rows: int = BATCH_ROWS, keys: pa.Table | None = None) -> Iterator[pa.RecordBatch]:
        """The rows, or those with these keys.

        Raises:
            UnrepresentableValueError: a value that its conversion cannot take.
        """
        if keys is not None and self._converted.keys() & set(keys.column_names):
            # The database knows them by other values.
            return only(self.read(batch_rows), keys)
        return map(self._convert, self._rows.read(batch_rows, keys=keys))

    def stored_type(self, column: str) -> LogicalType:
        """What a column holds in the database."""
        return _STORED if column in self._converted else self._rows.stored_type(column)

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
            return self._rows.maximum(column)
        found = [pc.max(batch.column(column)).as_py() for batch in self.read()]
        return max((each for each in found if each is not None), default=None)

    def _convert(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = [
            self._column(batch, column, self._converted[column.name])
            if column.name in self._converted
            else batch.column(column.name)
            for column in self.spec.columns
        ]
        return pa.record_batch(columns, schema=self.spec.schema)

    def _column(self, batch: pa.RecordBatch, column: ColumnSpec, conversion: Conversion) -> pa.Array:
        stored = _STORED.adapter.to_pythons(batch.column(column.name))
        values: list[Any] = []
        lost = 0
        for row, each in enumerate(stored):
            if each is None:
                values.append(None)
                continue
            try:
                value, loses = conversion.value(column.type, each)
            except ValueError as error:
                raise self._refused(batch, row, column, conversion, each, str(error)) from error
            values.append(value)
            lost += loses
        self.lost[column.name] += lost
        return pa.array(values, column.type.arrow)

    def _refused(
        self,
        batch: pa.RecordBatch,
        row: int,
        column: ColumnSpec,
        conversion: Conversion,
        stored: str | bytes,
        why: str,
    ) -> UnrepresentableValueError:
        key = ", ".join(f"{name}={_shown_part(self._rows.spec, batch, name, row)}" for name in self.spec.key)
        error = UnrepresentableValueError(
            self.spec.name,
            key,
            column.name,
            f"holds {shown_stored(stored)}, which the conversion {conversion.name} does not take: it {why}",
            "Correct the value at the source, convert the column in another way, or leave the row out: --where "
            f"{self.spec.name}:CONDITION.",
        )
        error.value = shown_stored(stored)
        return error


def _shown_part(spec: TableSpec, batch: pa.RecordBatch, name: str, row: int) -> str:
    """A part of a key for a message; of a converted column, what is stored."""
    type_, value = spec.column(name).type, python_scalar(batch.column(name)[row])
    if type_ == _STORED and value is not None:
        return shown_stored(_STORED.adapter.to_python(value))
    return show_value(type_, value)
