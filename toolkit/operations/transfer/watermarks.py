"""`sync --since`: how far each table was synced the last time, kept in the target, and what has changed since.

What cannot be seen in this way: deleted rows, rows whose column was not set when they changed, rows that somebody
changed in the target, and rows committed later than the overlap after the time that they carry, as when a clock was put
back; unless the watermark is still to come when the next sync is run.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlalchemy as sa
from msgspec import Struct, field, structs

from toolkit.core.moments import date_text
from toolkit.core.tables import ColumnSpec, TableSpec
from toolkit.core.types import INTEGER_KINDS, Kind
from toolkit.errors import ConfigurationError
from toolkit.operations.transfer.meant_columns import as_meant, held
from toolkit.operations.transfer.watermark_state import STATE, lacking_state_right, naming_the_right, require_table
from toolkit.operations.transfer.watermark_texts import Kept, UnseenRows, is_of, seen_rows

if TYPE_CHECKING:
    from sqlalchemy import Dialect

    from toolkit.engines.catalogue import RunningTransaction
    from toolkit.engines.contract import Connection
    from toolkit.errors import PrivilegeError
    from toolkit.operations.transfer.sources import RowSource, Source, SourceTables

_TIMES = frozenset({Kind.TIMESTAMPTZ, Kind.TIMESTAMP, Kind.DATE})
_DEFAULT_OVERLAP = dt.timedelta(minutes=5)
_DAY = dt.timedelta(days=1)
# Of one statement: SQLite's old limit is 999 bound values.
_STATE_ROWS = 150


class Since(Struct, frozen=True):
    """Only rows with at least the greatest value that `column` had at the last sync, less the overlap, or NULL.

    `overlap`: a time for columns of times (default: 5 minutes), a number for columns of numbers (default: 0).
    """

    column: str = "updated_at"
    overlap: dt.timedelta | int | None = None


class Watermarks(Struct, frozen=True):
    """The watermarks of two databases, by table: those `stored`, as they hold now, and those that this sync leaves.

    `running` are the transactions that the source's snapshot does not show.
    """

    since: Since
    source: str
    dialect: Dialect
    running: Sequence[RunningTransaction] = ()
    stored: dict[str, Kept] = field(default_factory=dict)
    columns: dict[str, ColumnSpec] = field(default_factory=dict)
    """By table, the column as the target has it, which may give it another name."""
    cells: dict[str, str] = field(default_factory=dict)
    """By table, what the source compares."""
    previous: dict[str, Kept] = field(default_factory=dict)
    reached: dict[str, Kept] = field(default_factory=dict)

    @classmethod
    def between(
        cls,
        since: Since,
        source: SourceTables,
        target: Connection,
        specs: Sequence[TableSpec],
        running: Sequence[RunningTransaction] = (),
        staying: Collection[str] = (),
    ) -> Watermarks:
        """The watermarks of the last sync of a pair, and how far the source goes now.

        Tables that are `staying` are left where they were: the next sync is to look at the same rows again.

        Raises:
            PrivilegeError: the target's role may not keep what this sync will reach.
        """
        now = clock()
        marks = cls.last(since, source, target, specs, now, running)
        marks.reach(specs, source, now, staying)
        if target.write and marks.moved:
            require_table(target)
        return marks

    @classmethod
    def last(
        cls,
        since: Since,
        source: SourceTables,
        target: Connection,
        specs: Sequence[TableSpec],
        now: dt.datetime,
        running: Sequence[RunningTransaction] = (),
    ) -> Watermarks:
        """The watermarks of the last sync of a pair, as they hold now."""
        marks = cls(since, source.connection.database.place, source.connection.sqlalchemy.dialect, running)
        growing = []
        for spec in specs:
            if (column := _growing(spec, since.column, source)) is not None:
                marks.columns[spec.name] = column
                marks.cells[spec.name] = marks._compared(spec, source)
                growing.append(spec)
        with naming_the_right(target):
            marks.stored.update(marks._read(target, growing))
        marks.previous.update({spec.name: marks._past(spec, marks.stored[spec.name], now) for spec in growing})
        return marks

    def reach(
        self, specs: Sequence[TableSpec], source: SourceTables, now: dt.datetime, staying: Collection[str]
    ) -> None:
        """Note how far the source goes now; of tables that are staying, that what was seen is to be seen again."""
        for spec in specs:
            if spec.name in self.previous:
                again = structs.replace(self.previous[spec.name], seen=frozenset())
                self.reached[spec.name] = again if spec.name in staying else self._next(spec, source, now)

    @property
    def table(self) -> str:
        """The target's table that keeps them."""
        return STATE.name

    @property
    def moved(self) -> dict[str, Kept]:
        """What is to be kept: where it is not what is stored."""
        return {name: kept for name, kept in self.reached.items() if self.stored[name] != kept}

    def lacking_right(self, target: Connection) -> PrivilegeError | None:
        """What stops the target's role from keeping what this sync will reach, found without writing anything."""
        reason = target.lacking_right(STATE, ("SELECT", "INSERT", "DELETE")) if self.moved else None
        return None if reason is None else lacking_state_right(target, reason)

    def _read(self, target: Connection, specs: Sequence[TableSpec]) -> dict[str, Kept]:
        texts: dict[str, dict[str, str]] = defaultdict(dict)
        with target.translated():
            if sa.inspect(target.sqlalchemy).has_table(STATE.name):
                for row in target.sqlalchemy.execute(sa.select(STATE).where(*self._own())).all():
                    texts[row.table_name][row.narrowed_by] = row.watermark
        return {spec.name: Kept.read(_narrowing(spec), texts[spec.name]) for spec in specs}

    def _past(self, spec: TableSpec, kept: Kept, now: dt.datetime) -> Kept:
        """What holds now: nothing if it is still to come. Then the clock was put back, and rows have come before it."""
        if self._kind(spec) not in _TIMES:
            return kept
        last = _units(self._kind(spec), now)
        return Kept() if any(mark is not None and mark > last for mark in (kept.mark, kept.later)) else kept

    def _next(self, spec: TableSpec, source: SourceTables, now: dt.datetime) -> Kept:
        """How far the source goes, and no further than what may still be committed."""
        previous, mark = self.previous[spec.name], self._maximum(spec, source, now)
        if mark is not None:
            return previous.reaching(mark, self._holders(spec), is_over=self._is_over(previous.waits_for))
        if previous != self.stored[spec.name] and previous == Kept():
            # Without a row that is past, the next sync looks at all of them, too: the time may have come by then.
            return Kept(self._first(spec))
        return previous

    def _is_over(self, waits_for: frozenset[str]) -> bool:
        """Whether this snapshot has the rows of all these transactions."""
        return all(each.has_session and not each.ids & waits_for for each in self.running)

    def _holders(self, spec: TableSpec) -> frozenset[str]:
        """The transactions that may commit rows before the next window.

        Rows have the times of a transaction from its beginning on, which the overlap spans or not; numbers are given as
        it writes.
        """
        if self._kind(spec) in INTEGER_KINDS:
            found = [each for each in self.running if each.writes]
        else:
            found = [each for each in self.running if each.age is None or each.age > self._overlap_time]
        return frozenset(each for transaction in found for each in transaction.ids)

    def window(self, spec: TableSpec) -> str | None:
        """A further condition on the source's rows, in SQL that every engine understands; None for all of them."""
        kept = self.previous.get(spec.name)
        return None if kept is None or kept.mark is None else self._window(spec, kept.mark)

    def _window(self, spec: TableSpec, mark: int) -> str:
        cell = self.cells[spec.name]
        return f"({cell} >= {_literal(self._kind(spec), self._start(spec, mark))} OR {cell} IS NULL)"

    def _compared(self, spec: TableSpec, source: SourceTables) -> str:
        """The column as its values compare; what is no time there is looked at each time."""
        is_moment = self.columns[spec.name].type.kind in (Kind.TIMESTAMPTZ, Kind.TIMESTAMP)
        own = source.connection.repository(source.own(spec)) if is_moment else None
        return (own and own.in_utc(self.since.column)) or _quoted(self.since.column, self.dialect)

    def shown(self, spec: TableSpec) -> str:
        """From where on rows are looked at."""
        mark = self.previous[spec.name].mark
        assert mark is not None
        return _literal(self._kind(spec), self._start(spec, mark)).strip("'")

    def unseen(self, spec: TableSpec, rows: RowSource) -> UnseenRows:
        """The rows of a window that the last sync did not see as they are."""
        return UnseenRows(rows, self.previous[spec.name].seen)

    def see(self, specs: Sequence[TableSpec], source: Source) -> None:
        """Note what the next sync will look at again, of what this one looks at."""
        for spec in specs:
            kept = self.reached.get(spec.name)
            if kept is None or kept.mark is None:
                continue
            windows = (self.window(spec), self._window(spec, kept.mark))
            narrow = replace(spec, conditions=(*spec.conditions, *filter(None, windows)))
            self.reached[spec.name] = structs.replace(kept, seen=seen_rows(source.repository(narrow)))

    def _maximum(self, spec: TableSpec, source: SourceTables, now: dt.datetime) -> int | None:
        """How far the source goes; a time that is still to come does not count, for others come before it."""
        kind, bounds = self._kind(spec), list(spec.conditions)
        if kind in _TIMES:
            # Infinities are outside of these bounds, too.
            name, last = _quoted(self.since.column, self.dialect), _literal(kind, _units(kind, now))
            bounds.append(f"{name} <= {last} AND {name} >= '0001-01-01 00:00:00'")
        column = self.columns[spec.name]
        columns = tuple(column if each.name == column.name else each for each in spec.columns)
        rows = source.repository(replace(spec, columns=columns, conditions=tuple(bounds)))
        return rows.maximum(column.name)

    def write(self, target: Connection, specs: Sequence[TableSpec]) -> None:
        """Keep what was reached, in the transaction of the rows."""
        moved = self.moved
        if not moved:
            return
        require_table(target)
        with target.translated():
            for spec in specs:
                if spec.name in moved:
                    self._replace(target, spec, moved[spec.name])

    def _replace(self, target: Connection, spec: TableSpec, kept: Kept) -> None:
        execute, narrowing = target.sqlalchemy.execute, _narrowing(spec)
        own = [*self._own(), STATE.c.table_name == spec.name]
        there = [name for (name,) in execute(sa.select(STATE.c.narrowed_by).where(*own)).all()]
        ours = [name for name in there if is_of(name, narrowing)]
        for start in range(0, len(ours), _STATE_ROWS):
            execute(sa.delete(STATE).where(*own, STATE.c.narrowed_by.in_(ours[start : start + _STATE_ROWS])))
        rows = [
            {
                "source": _kept(self.source, STATE.c.source),
                "table_name": spec.name,
                "column_name": self.since.column,
                "narrowed_by": narrowed_by,
                "watermark": text,
            }
            for narrowed_by, text in kept.texts(narrowing).items()
        ]
        for start in range(0, len(rows), _STATE_ROWS):
            execute(sa.insert(STATE).values(rows[start : start + _STATE_ROWS]))

    def _own(self) -> list[sa.ColumnElement[bool]]:
        return [STATE.c.source == _kept(self.source, STATE.c.source), STATE.c.column_name == self.since.column]

    def _start(self, spec: TableSpec, mark: int) -> int:
        """From where on rows are looked at: a time not before the year 1, however far the overlap reaches."""
        start, kind = mark - self._overlap(spec), self._kind(spec)
        if kind in INTEGER_KINDS:
            return start
        return max(start, self._first(spec))

    def _first(self, spec: TableSpec) -> int:
        """Before all times that a column may hold."""
        return _units(self._kind(spec), dt.datetime.min.replace(tzinfo=dt.UTC))

    def _kind(self, spec: TableSpec) -> str:
        return self.columns[spec.name].type.kind

    @property
    def _overlap_time(self) -> dt.timedelta:
        return self.since.overlap if isinstance(self.since.overlap, dt.timedelta) else _DEFAULT_OVERLAP

    def _overlap(self, spec: TableSpec) -> int:
        overlap, kind = self.since.overlap, self._kind(spec)
        if kind in INTEGER_KINDS:
            return overlap if isinstance(overlap, int) else 0
        time = self._overlap_time
        return -(-time // _DAY) if kind == Kind.DATE else time // dt.timedelta(microseconds=1)


def looked_at(
    since: Since, source: SourceTables, target: Connection, specs: Sequence[TableSpec]
) -> tuple[TableSpec, ...]:
    """The tables, narrowed to the rows of the source that a sync looks at."""
    there = [spec for spec in specs if target.column_names(spec) is not None]
    marks, filled = Watermarks.last(since, source, target, there, clock()), target.filled(there)
    windows = {spec.name: marks.window(spec) if spec.name in filled else None for spec in specs}
    return tuple(
        spec if (window := windows[spec.name]) is None else replace(spec, conditions=(*spec.conditions, window))
        for spec in specs
    )


def clock() -> dt.datetime:
    """What this machine's clock says; it may be put back or forward between two runs."""
    return dt.datetime.now(dt.UTC)


def _growing(spec: TableSpec, column: str, source: SourceTables) -> ColumnSpec | None:
    """The column by which the source itself can tell which rows changed since; a type of its own may hide it."""
    name = source.renamed_column(spec, column)
    if name not in spec.column_names:
        return None
    found = spec.column(name)
    is_stored = source.repository(spec).stored_type(name) == found.type
    meant = as_meant(found)
    return meant if is_stored and meant.type.kind in _TIMES | INTEGER_KINDS else None


def require_column(since: Since, specs: Sequence[TableSpec]) -> None:
    """Check that rows of these tables can be told apart by the column.

    Raises:
        ConfigurationError: no table has the column, or it is of a type that does not grow, or the overlap of another.
    """
    columns = {spec.name: as_meant(spec.column(since.column)) for spec in specs if since.column in spec.column_names}
    if not columns:
        raise ConfigurationError(
            f"None of the tables has a column {since.column!r}.",
            "Name one that grows with every change: --since COLUMN.",
        )
    for table, column in columns.items():
        kind = column.type.kind
        if kind not in _TIMES | INTEGER_KINDS:
            raise ConfigurationError(
                f"{table}.{since.column} holds {held(column)}, which does not grow with every change.",
                "Name a column of times or numbers: --since COLUMN. Without --since, all rows are compared.",
            )
        if since.overlap is not None and isinstance(since.overlap, int) != (kind in INTEGER_KINDS):
            wanted = "a number, such as 100" if kind in INTEGER_KINDS else "a time, such as 5m"
            raise ConfigurationError(f"{table}.{since.column} holds {kind}.", f"Give the overlap as {wanted}.")


def _units(kind: str, moment: dt.datetime) -> int:
    """A moment as the number that a column of times counts."""
    if kind == Kind.DATE:
        return moment.date().toordinal() - dt.date(1970, 1, 1).toordinal()
    return int(pa.scalar(moment, pa.timestamp("us", "UTC")).cast(pa.int64()).as_py())


def _literal(kind: str, mark: int) -> str:
    """A watermark as every engine takes it for a column of this type.

    Times are cut to whole seconds, which some that SQLite holds are without a fraction.
    """
    if kind in INTEGER_KINDS:
        return str(mark)
    if kind == Kind.DATE:
        return f"'{date_text(mark)}'"
    moment: Any = dt.datetime(1970, 1, 1) + dt.timedelta(seconds=mark // 1_000_000)  # noqa: DTZ001 - sessions are UTC
    return f"'{moment.isoformat(' ', 'seconds')}'"


def _narrowing(spec: TableSpec) -> str:
    return _kept(spec.at_source.where or "", STATE.c.narrowed_by)


def _kept(text: str, column: sa.Column[str]) -> str:
    """A text as it is told apart from others: itself, or a hash of one that the column has no room for."""
    assert isinstance(column.type, sa.String)
    return text if len(text) <= (column.type.length or 0) else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _quoted(name: str, dialect: Dialect) -> str:
    """A column's name as the source is asked for it."""
    preparer: Any = dialect.identifier_preparer
    escaped = name.replace(preparer.escape_quote, preparer.escape_quote * 2)
    return f"{preparer.initial_quote}{escaped}{preparer.final_quote}"
