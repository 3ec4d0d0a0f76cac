"""One table of a database, as far as it has, or would not keep, values that do not fit."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, ClassVar

import pyarrow as pa
import sqlalchemy as sa

from toolkit.core.conversions import conversion_advice
from toolkit.core.sifted import BadValue, Sifted
from toolkit.core.tables import ColumnSpec
from toolkit.core.types import Kind
from toolkit.core.values import python_scalar, show_value
from toolkit.engines.catalogue import ColumnFacts
from toolkit.engines.contract import LossyCast
from toolkit.engines.portable.adapters import MisfitError
from toolkit.engines.portable.codec import shown
from toolkit.engines.portable.conflicts import ConflictFinder
from toolkit.engines.portable.lossy import ANY_VALUE, lossy_doubt
from toolkit.engines.portable.narrowing import Narrower, listed, narrower, rewrites
from toolkit.engines.portable.refusals import never_null
from toolkit.engines.portable.sifting import Doubt, Sieve, misfits

_SIFTED_ROWS = 1_000


class SiftedTable(ConflictFinder):
    """Reads around values that cannot be carried, and says which of given values the table would not keep."""

    keeps_to_types: ClassVar[bool] = False
    """Whether columns hold no more than their types say, in the words of PostgreSQL and DuckDB."""

    def lossy_casts(self) -> Mapping[str, LossyCast]:
        """By column, those whose type in the database has values that reading them as the model's would change."""
        return {}

    def texts_of_dates(self) -> frozenset[str]:
        """The columns with dates that no calendar has, and the engine's own text can say."""
        return frozenset()

    def in_utc(self, _column: str) -> str | None:
        """In SQL, a column of times whose texts have zones, to be compared; None where it compares by itself."""
        return None

    def unlike_keys(self) -> Mapping[str, LossyCast]:
        """By key column, those with values beside which the same, as they are written, would be another key."""
        return {}

    def doubts(self) -> Mapping[str, Doubt]:
        """By column, the values that reading would change, or take for others."""
        return {
            column: lossy_doubt(self.connection.name, self.spec.column(column).type, cast)
            for column, cast in self.lossy_casts().items()
        }

    def sifted(self) -> Iterator[Sifted]:
        """All rows, taken apart into those that can be carried whole and those that cannot."""
        codec, doubts = self.connection.codec, self.doubts()
        sieve = Sieve(self.spec, codec, codec.decode_column, doubts)
        cells: list[sa.ColumnElement[Any]] = []
        for column in self.spec.columns:
            cell = codec.select(column, self.table.c[column.name])
            doubt = doubts.get(column.name)
            if doubt is not None:
                # What cannot be cast at all is not asked for by a cast, though no row would need it.
                cell = sa.null() if doubt.condition == ANY_VALUE else sa.case((_met(doubt), sa.null()), else_=cell)
            cells.append(cell)
        texts = [
            sa.case((_met(doubt), self._raw(name) if doubt.is_raw else sa.cast(self._raw(name), sa.Text)))
            for name, doubt in doubts.items()
        ]
        width = self._width().label("toolkit_width")
        query = sa.select(*cells, *texts, width).where(self.within)
        for columns in self._fetched_columns(query, width, _SIFTED_ROWS):
            yield sieve.sifted(columns[: len(cells)], columns[len(cells) :])

    def refuse_row_of(self, column: ColumnSpec, value: Any) -> None:
        """Refuse the row with a stored value, if that is none of its column's type.

        Raises:
            UnrepresentableValueError: it is none.
        """
        codec, narrow = self.connection.codec, self.spec.project((*self.spec.key, column.name))
        cells = [codec.select(each, self.table.c[each.name]) for each in narrow.columns]
        is_it = self._raw(column.name) == sa.literal(value, sa.types.NullType())
        with self.connection.translated():
            rows = self.connection.sqlalchemy.execute(sa.select(*cells).where(self.within, is_it).limit(1)).all()
        codec.decode(narrow, list(zip(*rows, strict=True)))

    def _raw(self, name: str) -> sa.ColumnElement[Any]:
        return sa.type_coerce(self.table.c[name], sa.types.NullType())

    @property
    @abstractmethod
    def within(self) -> sa.ColumnElement[bool]:
        """The conditions that narrow the table, as their user wrote them."""

    @abstractmethod
    def _width(self) -> sa.ColumnElement[int]:
        """The characters and bytes of a row's values of any length."""

    @abstractmethod
    def _fetched_columns(self, query: Any, width: sa.Label[int], most: int) -> Iterator[Sequence[Sequence[Any]]]:
        """The rows of a query, whose last column is each one's width, in batches that fit, as columns."""

    # -- what would not be kept ------------------------------------------------------------------------------------

    def unkeepable(self, batch: pa.RecordBatch) -> Iterator[tuple[int, BadValue]]:
        """By row, the values of these rows that the table would refuse or change, as far as is known without writing.

        The table need not be there yet.
        """
        for column in self.spec.columns:
            values = batch.column(column.name)
            yield from self._nulls(column, values)
            found = misfits(partial(self._converted, column), values)
            yield from ((row, self._unkept(column, values[row], error)) for row, error in found.items())
            if check := self._narrower.get(column.name):
                yield from self._narrowed(column, values, check)

    def refused_types(self) -> Mapping[str, str]:
        """By column, the types there to which nothing of the model's type can be cast, or back."""
        return {name: cast.actual for name, cast in self.lossy_casts().items() if cast.condition == ANY_VALUE}

    def narrower_columns(self) -> tuple[str, ...]:
        """The columns whose type there has no place for all values of the model's."""
        return tuple(name for name, check in self._narrower.items() if check.is_doubtful)

    def rewriting_types(self) -> Mapping[str, str]:
        """By column, the types there that keep what a text means, and not each character: `jsonb`, `uuid`."""
        types = {name: column.type for name, column in self._known.items()}
        return {c.name: types[c.name] for c in self.spec.columns if c.name in types and rewrites(c.type, types[c.name])}

    def _converted(self, column: ColumnSpec, values: pa.Array) -> None:
        """Have values made into what is sent.

        Raises:
            ValueError, pyarrow.ArrowException: some cannot be stored.
        """
        self.connection.codec.adapter(column).encode(values)

    @property
    def _known(self) -> Mapping[str, ColumnFacts]:
        """The columns that hold no more than their types say."""
        facts = self.connection.facts(self.spec) if self.keeps_to_types else None
        return {} if facts is None else facts.columns

    @cached_property
    def _narrower(self) -> dict[str, Narrower]:
        types: Mapping[str, str] = {name: column.type for name, column in self._known.items()}
        if self.keeps_to_types and not types:
            types = self.connection.expected.get(self.spec.name, {})
        found = {
            c.name: narrower(c.type, getattr(c.declared, "length", None), types[c.name])
            for c in self.spec.columns
            if c.name in types
        }
        found |= {
            c.name: listed(facts.labels, facts.type)
            for c in self.spec.columns
            if (facts := self._known.get(c.name)) is not None and facts.labels and pa.types.is_string(c.type.arrow)
        }
        return {name: check for name, check in found.items() if check is not None}

    @cached_property
    def _never_null(self) -> frozenset[str]:
        """The columns that take no NULL in the database."""
        if self.connection.facts(self.spec) is None:
            return frozenset()
        with self.connection.translated():
            return never_null(sa.inspect(self.connection.sqlalchemy), self.spec)

    def _nulls(self, column: ColumnSpec, values: pa.Array) -> Iterator[tuple[int, BadValue]]:
        if not values.null_count or column.name not in self._never_null:
            return
        name = self.connection.name
        for row, is_null in enumerate(values.is_null().to_pylist()):
            if is_null:
                problem = f"is NULL, which {name} does not allow"
                yield row, BadValue(column.name, "NULL", problem, f"which {name} does not allow", _CORRECT)

    def _unkept(self, column: ColumnSpec, value: pa.Scalar, error: Exception) -> BadValue:
        held, name = _shown(column, value), self.connection.name
        if isinstance(error, MisfitError):
            problem, reason = (f"{said}, which {name} cannot keep" for said in (error.problem, error.reason))
            advice = error.advice
            if column.type.is_document:
                advice = conversion_advice(self.spec, column.name, python_scalar(value))
            return BadValue(column.name, held, problem, reason, f"{_CORRECT} {advice}".strip())
        reason = f"which {name} cannot keep"
        return BadValue(column.name, held, f"holds {held}, {reason}", reason, _CORRECT)

    def _narrowed(self, column: ColumnSpec, values: pa.Array, check: Narrower) -> Iterator[tuple[int, BadValue]]:
        name = self.connection.name
        for row in check.rows(values):
            held = _shown(column, values[row])
            problem = f"holds {held}, which {name} cannot keep: the column's type there is {check.actual}"
            reason = check.reason(name)
            advice = f"Correct the values, or give the columns in {name} the types that the models have."
            yield row, BadValue(column.name, held, problem, reason, advice)


_CORRECT = "Correct the values at the source."


def _shown(column: ColumnSpec, value: pa.Scalar) -> str:
    plain = python_scalar(value)
    is_plain = isinstance(plain, str | bytes) and column.type.carrier is not Kind.UUID
    return shown(plain) if is_plain else show_value(column.type, plain)


def _met(doubt: Doubt) -> sa.ColumnElement[bool]:
    return sa.literal_column(f"({doubt.condition})")
