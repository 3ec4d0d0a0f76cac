"""A table's rows sifted: those that can be read whole, and of the others each value that cannot.

Slower than reading, so that it is done only of a table that is known to have such a value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pyarrow as pa
from msgspec import Struct, field
from msgspec.structs import replace

from toolkit.core.conversions import conversion_advice
from toolkit.core.sifted import BadRow, BadValue, Sifted
from toolkit.core.tables import ColumnSpec, TableSpec
from toolkit.core.values import python_scalar, shortened, show_value
from toolkit.engines.portable.adapters import MisfitError
from toolkit.engines.portable.codec import MISFITS, Codec, shown

# Raw columns are lists or Arrow arrays: both have a length and can be sliced.
Convert = Callable[[ColumnSpec, Any], pa.Array]


class Doubt(Struct, frozen=True):
    """Which values of a column cannot be carried though they could be read: a condition in the database's SQL.

    `problem` and `reason` are those of a value, which takes the place of `{}` in the former.
    """

    condition: str
    problem: str
    reason: str
    advice: str = ""
    is_raw: bool = False
    """Whether the value itself is shown, not the database's text of it."""

    def of(self, column: str, whole: Any) -> BadValue:
        """The value as one of them."""
        value = "''" if whole == "" else shown_plainly(whole)
        return BadValue(column, value, self.problem.replace("{}", value), self.reason, self.advice, whole)


def advised(spec: TableSpec, value: BadValue) -> BadValue:
    """The same with the conversion that would take it, if there is one."""
    advice = conversion_advice(spec, value.column, value.whole)
    return replace(value, advice=f"{value.advice} {advice}".strip())


class Sieve(Struct, frozen=True):
    """Takes fetched columns apart; what is in `doubts` comes as a text beside its column, which is NULL there."""

    spec: TableSpec
    codec: Codec[Any]
    convert: Convert
    doubts: Mapping[str, Doubt]
    _advice: dict[tuple[str, str], str] = field(default_factory=dict)

    def sifted(self, columns: Sequence[Any], doubted: Sequence[Any]) -> Sifted:
        """The fetched rows; `doubted` are the texts, in the order of `doubts`."""
        bad: dict[int, list[BadValue]] = {}
        for (name, doubt), texts in zip(self.doubts.items(), doubted, strict=True):
            for row, text in enumerate(_listed(texts)):
                if text is not None:
                    bad.setdefault(row, []).append(self._advised(doubt.of(name, text)))
        for column, values in zip(self.spec.columns, columns, strict=True):
            for row, error in misfits(partial(self.convert, column), values).items():
                found = self._bad_value(column, values[row : row + 1], error)
                bad.setdefault(row, []).append(self._advised(found))
        return Sifted(self._batch(columns, bad), tuple(self._bad_row(columns, row, bad[row]) for row in sorted(bad)))

    def _advised(self, value: BadValue) -> BadValue:
        """With the advice of the first value that is refused for this reason: to look for one takes long."""
        place = (value.column, value.reason)
        if place not in self._advice:
            self._advice[place] = advised(self.spec, value).advice
        return replace(value, advice=self._advice[place])

    def _batch(self, columns: Sequence[Any], bad: Mapping[int, object]) -> pa.RecordBatch:
        arrays = []
        good = [row for row in range(len(columns[0])) if row not in bad]
        for column, fetched in zip(self.spec.columns, columns, strict=True):
            values = fetched
            if bad:
                values = (
                    values.take(pa.array(good, pa.int64()))
                    if isinstance(values, pa.Array)
                    else [values[row] for row in good]
                )
            arrays.append(self.convert(column, values))
        return pa.record_batch(arrays, schema=self.spec.schema)

    def _bad_value(self, column: ColumnSpec, value: Any, error: Exception) -> BadValue:
        whole = _listed(value)[0]
        held = shown(whole)
        if isinstance(error, MisfitError):
            return BadValue(column.name, held, error.problem, error.reason, whole=whole)
        reason = f"no {self.codec.adapter(column).type}"
        return BadValue(
            column.name,
            held,
            f"holds {held}, which is {reason}",
            reason,
            "Correct the values, or give the columns types that have a place for them.",
            whole,
        )

    def _bad_row(self, columns: Sequence[Any], row: int, values: Sequence[BadValue]) -> BadRow:
        bad = {value.column for value in values}
        cells = {
            column.name: self.convert(column, raw[row : row + 1])
            for column, raw in zip(self.spec.columns, columns, strict=True)
            if column.name not in bad
        }
        return bad_row(self.spec, values, cells)


def sifted_fields(
    spec: TableSpec, doubts: Mapping[str, Doubt], fetch: Callable[[ColumnSpec], str], text: Callable[[str], str]
) -> str:
    """What to select of each column, and behind them the texts of what is in doubt, as SQL."""

    def of(column: ColumnSpec) -> str:
        doubt, cell = doubts.get(column.name), fetch(column)
        return cell if doubt is None else f"CASE WHEN ({doubt.condition}) THEN NULL ELSE {cell} END"

    texts = (f"CASE WHEN ({doubt.condition}) THEN {text(name)} END" for name, doubt in doubts.items())
    return ", ".join(f"{cell} AS c{i}" for i, cell in enumerate((*map(of, spec.columns), *texts)))


def misfits(convert: Callable[[Any], Any], values: Any, first: int = 0) -> dict[int, Exception]:
    """The rows that cannot be converted, each with the error, found by halves."""
    if not len(values):
        return {}
    try:
        convert(values)
    except MISFITS as error:
        half = len(values) // 2
        if not half:
            return {first: error}
        return misfits(convert, values[:half], first) | misfits(convert, values[half:], first + half)
    return {}


def bad_row(spec: TableSpec, values: Sequence[BadValue], cells: Mapping[str, pa.Array]) -> BadRow:
    """A row with such values, named by its key, even if a part of it is what cannot be carried."""
    shown = {value.column: value.value for value in values}
    shown |= {
        name: show_value(spec.column(name).type, python_scalar(cells[name][0]))
        for name in spec.shown_key
        if name in cells
    }
    return BadRow(spec.name, ", ".join(f"{name}={shown[name]}" for name in spec.shown_key), tuple(values), cells)


def shown_plainly(text: Any) -> str:
    """A text of the database's own for a value, for a message."""
    return shown(text) if isinstance(text, bytes) else shortened(str(text))


def _listed(values: Any) -> list[Any]:
    if not isinstance(values, pa.Array):
        return list(values)
    try:
        return list(values.to_pylist())
    except (OverflowError, ValueError):
        # Of a time beyond the years that Python has.
        return [python_scalar(value) for value in values]
