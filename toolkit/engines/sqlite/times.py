"""How dates and times stand in SQLite: as texts."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.core.engine_type import EngineType
from toolkit.core.moments import INFINITE_DATE, is_end_of_day
from toolkit.core.types import Kind
from toolkit.engines.portable.times import DATES, require_within, timestamp_texts
from toolkit.engines.sqlite.adapter import Vectorised
from toolkit.engines.sqlite.written_forms import condition_of, form_of, time_texts

_DIGIT = "[0-9]"
_SECONDS = "????-??-?? ??:??:??"


class Timestamp(Vectorised):
    """`2024-01-02 03:04:05.000000`, as SQLAlchemy writes it; or shorter, where no model says so."""

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        """What the Arrow reader gave."""
        (stored,) = fetched
        # Python and Arrow take 20240102 for a day: it is a number, or a text that nobody wrote for a time.
        if pc.any(pc.ascii_is_decimal(stored)).as_py():
            raise ValueError("a number, whose unit and epoch are not known")
        try:
            naive = stored.cast(pa.timestamp("us"))
        except pa.ArrowInvalid:
            # Forms other than SQLAlchemy's own, with an offset for one: slower, by Python.
            parse = self.form.parse_json
            return pa.array([None if text is None else parse(text) for text in stored.to_pylist()], self.type.arrow)
        return naive.view(pa.int64()).view(self.type.arrow)

    def outgoing(self, values: pa.Array) -> pa.Array:
        """An array as ADBC binds it."""
        texts = timestamp_texts(values)
        if form := form_of(self.declared):
            return time_texts(texts, form)
        if not self._is_bare:
            return texts
        return pc.binary_join_element_wise(pc.replace_substring_regex(texts, r"\.000000$", ""), self._zone, "")

    @property
    def written_form(self) -> str:
        """How a key is written."""
        if form := form_of(self.declared):
            return f"times as {form}"
        return f"times as 2024-01-02 03:04:05{'' if self._is_bare else '.000000'}{self._zone}"

    def unlike_written_key(self, value: str) -> str | None:
        """The condition of times that are written otherwise: with a `T`, with another zone, of fewer digits."""
        if (form := form_of(self.declared)) and (condition := condition_of(self.type.carrier, form)):
            return f"({condition.replace('{c}', value)}) IS FALSE"
        exact = f"{value} NOT GLOB '{_SECONDS}.{_DIGIT * 6}{self._zone}'"
        if not self._is_bare:
            return exact
        return f"{value} NOT GLOB '{_SECONDS}{self._zone}' AND ({exact} OR {value} GLOB '*.000000{self._zone}')"

    @property
    def _is_bare(self) -> bool:
        """Whether it is of no model: as SQLite's own functions write it, with the zone that the column is to have."""
        return isinstance(self.declared, EngineType)

    @property
    def _zone(self) -> str:
        return "+00:00" if self._is_bare and self.type.carrier == Kind.TIMESTAMPTZ else ""


class Date(Vectorised):
    """`2024-01-02`."""

    def outgoing(self, values: pa.Array) -> pa.Array:
        """An array as ADBC binds it."""
        require_within(values.view(pa.int32()), DATES, INFINITE_DATE)
        return values.cast(pa.string())


class Time(Vectorised):
    """`03:04:05.000000`."""

    @property
    def written_form(self) -> str:
        """How a key is written."""
        return f"times as {form_of(self.declared) or '03:04:05.000000'}"

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        """What the Arrow reader gave."""
        # Arrow parses no times, but timestamps: that of the first day of 1970 is its time.
        dated = pc.binary_join_element_wise("1970-01-01", *fetched, " ")
        return dated.cast(pa.timestamp("us")).view(pa.int64()).view(self.type.arrow)

    def outgoing(self, values: pa.Array) -> pa.Array:
        """An array as ADBC binds it."""
        if pc.any(is_end_of_day(values)).as_py():
            raise ValueError("24:00, which Python's time type cannot hold")
        texts, form = values.cast(pa.string()), form_of(self.declared)
        return time_texts(texts, form) if form else texts

    def unlike_written_key(self, value: str) -> str | None:
        """The condition of times of fewer digits."""
        if (form := form_of(self.declared)) and (condition := condition_of(self.type.carrier, form)):
            return f"({condition.replace('{c}', value)}) IS FALSE"
        return f"{value} NOT GLOB '??:??:??.{_DIGIT * 6}'"


class Interval(Vectorised):
    """A timestamp as far from 1970, as SQLAlchemy has it."""

    written_form = "intervals as 1970-01-01 03:04:05.000000"

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        """What the Arrow reader gave."""
        return fetched[0].cast(pa.timestamp("us")).view(pa.int64()).view(self.type.arrow)

    def outgoing(self, values: pa.Array) -> pa.Array:
        """An array as ADBC binds it."""
        return timestamp_texts(values)

    def unlike_written_key(self, value: str) -> str | None:
        """The condition of times of fewer digits, or with a `T`."""
        return f"{value} NOT GLOB '{_SECONDS}.{_DIGIT * 6}'"
