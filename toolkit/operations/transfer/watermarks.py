"""`sync --since`: how far each table was synced the last time, kept in the target, and what has changed since.

What cannot be seen in this way: deleted rows, rows whose column was not set when they changed, rows that somebody
changed in the target, and rows committed later than the overlap after the time that they carry, as when a clock was put
back; unless the watermark is still to come when the next sync is run.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from toolkit.core.moments import date_text
from toolkit.core.tables import TableSpec
from toolkit.core.types import INTEGER_KINDS, Kind
from toolkit.errors import ConfigurationError, PrivilegeError

if TYPE_CHECKING:
    from toolkit.engines.contract import Connection
    from toolkit.operations.transfer.sources import SourceTables

_TIMES = frozenset({Kind.TIMESTAMPTZ, Kind.TIMESTAMP, Kind.DATE})
_DEFAULT_OVERLAP = dt.timedelta(minutes=5)
_DAY = dt.timedelta(days=1)
# Its name keeps it out of migrations: see `revisions.is_bookkeeping`.
_STATE = sa.Table(
    "toolkit_sync_state",
    sa.MetaData(),
    sa.Column("source", sa.String(512), primary_key=True),
    sa.Column("table_name", sa.String(255), primary_key=True),
    sa.Column("column_name", sa.String(255), primary_key=True),
    sa.Column("narrowed_by", sa.String(1024), primary_key=True),
    sa.Column("watermark", sa.String(64), nullable=False),
)


@dataclass(frozen=True, slots=True)
class Since:
    """Only rows with at least the greatest value that `column` had at the last sync, less the overlap, or NULL.

    `overlap`: a time for columns of times (default: 5 minutes), a number for columns of numbers (default: 0).
    """

    column: str = "updated_at"
    overlap: dt.timedelta | int | None = None


@dataclass(frozen=True)
class Watermarks:
    """The watermarks of a pair of databases: those of the last sync, and those that this one leaves."""

    since: Since
    source: str
    previous: Mapping[str, int]
    reached: dict[str, int]

    @classmethod
    def between(cls, since: Since, source: SourceTables, target: Connection, specs: Sequence[TableSpec]) -> Watermarks:
        """The watermarks of the last sync of a pair, and how far the source goes now.

        Raises:
            PrivilegeError: the target's role may not keep what this sync will reach.
        """
        marks = cls(since, source.connection.database.place, {}, {})
        now = clock()
        growing = [spec for spec in specs if _grows(spec, since.column, source)]
        for spec in growing:
            marks._reach(spec, source, now)
        with _naming_the_right(target):
            previous = marks._read(target, growing)
        for spec in growing:
            marks._forget_future(spec, previous, now)
        marks = replace(marks, previous=previous)
        if target.write and marks.moved:
            _require_table(target)
        return marks

    @property
    def table(self) -> str:
        """The target's table that keeps them."""
        return _STATE.name

    @property
    def moved(self) -> dict[str, int]:
        """What is to be kept: the watermarks that are not where they were."""
        return {name: mark for name, mark in self.reached.items() if self.previous.get(name) != mark}

    def lacking_right(self, target: Connection) -> PrivilegeError | None:
        """What stops the target's role from keeping what this sync will reach, found without writing anything."""
        reason = target.lacking_right(_STATE, ("SELECT", "INSERT", "DELETE")) if self.moved else None
        return None if reason is None else _lacking_right(target, reason)

    def _read(self, target: Connection, specs: Sequence[TableSpec]) -> dict[str, int]:
        with target.translated():
            if not sa.inspect(target.sqlalchemy).has_table(_STATE.name):
                return {}
            rows = target.sqlalchemy.execute(sa.select(_STATE).where(*self._own())).all()
        wanted = {(spec.name, _narrowing(spec)) for spec in specs}
        return {row.table_name: int(row.watermark) for row in rows if (row.table_name, row.narrowed_by) in wanted}

    def _forget_future(self, spec: TableSpec, previous: dict[str, int], now: dt.datetime) -> None:
        """Look at all rows if the watermark is still to come: the clock was put back, and rows have come before it."""
        is_time = spec.column(self.since.column).type.kind in _TIMES
        if is_time and spec.name in previous and previous[spec.name] > _units(spec, self.since.column, now):
            del previous[spec.name]
            # Without a row that is past, the next sync looks at all of them, too: the time may have come by then.
            self.reached.setdefault(spec.name, self._first(spec))

    def window(self, spec: TableSpec) -> str | None:
        """A further condition on the source's rows, in SQL that every engine understands; None for all of them."""
        mark = self.previous.get(spec.name)
        if mark is None:
            return None
        name = _quoted(self.since.column)
        return f"({name} >= {_literal(spec, self.since.column, self._start(spec, mark))} OR {name} IS NULL)"

    def shown(self, spec: TableSpec) -> str:
        """From where on rows are looked at."""
        return _literal(spec, self.since.column, self._start(spec, self.previous[spec.name])).strip("'")

    def _reach(self, spec: TableSpec, source: SourceTables, now: dt.datetime) -> None:
        """Note how far the source goes; a time that is still to come does not count, for others come before it."""
        column = spec.column(self.since.column)
        bounds = list(spec.conditions)
        if column.type.kind in _TIMES:
            # Infinities are outside of these bounds, too.
            name = _quoted(column.name)
            last = _literal(spec, column.name, _units(spec, column.name, now))
            bounds.append(f"{name} <= {last} AND {name} >= '0001-01-01 00:00:00'")
        mark = source.repository(replace(spec, conditions=tuple(bounds))).maximum(column.name)
        if mark is not None:
            self.reached[spec.name] = mark

    def write(self, target: Connection, specs: Sequence[TableSpec]) -> None:
        """Keep what was reached, in the transaction of the rows."""
        moved = self.moved
        if not moved:
            return
        _require_table(target)
        with target.translated():
            for spec in specs:
                if spec.name not in moved:
                    continue
                own = [*self._own(), _STATE.c.table_name == spec.name, _STATE.c.narrowed_by == _narrowing(spec)]
                target.sqlalchemy.execute(sa.delete(_STATE).where(*own))
                target.sqlalchemy.execute(
                    sa.insert(_STATE).values(
                        source=_kept(self.source, _STATE.c.source),
                        table_name=spec.name,
                        column_name=self.since.column,
                        narrowed_by=_narrowing(spec),
                        watermark=str(moved[spec.name]),
                    )
                )

    def _own(self) -> list[sa.ColumnElement[bool]]:
        return [_STATE.c.source == _kept(self.source, _STATE.c.source), _STATE.c.column_name == self.since.column]

    def _start(self, spec: TableSpec, mark: int) -> int:
        """From where on rows are looked at: a time not before the year 1, however far the overlap reaches."""
        start, kind = mark - self._overlap(spec), spec.column(self.since.column).type.kind
        if kind in INTEGER_KINDS:
            return start
        return max(start, self._first(spec))

    def _first(self, spec: TableSpec) -> int:
        """Before all times that a column may hold."""
        return _units(spec, self.since.column, dt.datetime.min.replace(tzinfo=dt.UTC))

    def _overlap(self, spec: TableSpec) -> int:
        overlap, kind = self.since.overlap, spec.column(self.since.column).type.kind
        if kind in INTEGER_KINDS:
            return overlap if isinstance(overlap, int) else 0
        time = overlap if isinstance(overlap, dt.timedelta) else _DEFAULT_OVERLAP
        return -(-time // _DAY) if kind is Kind.DATE else time // dt.timedelta(microseconds=1)


def clock() -> dt.datetime:
    """What this machine's clock says; it may be put back or forward between two runs."""
    return dt.datetime.now(dt.UTC)


def _grows(spec: TableSpec, column: str, source: SourceTables) -> bool:
    """Whether the source itself can tell which rows changed since; a type of the application's own may hide it."""
    if column not in spec.column_names:
        return False
    return source.repository(spec).stored_type(column) == spec.column(column).type


def _require_table(target: Connection) -> None:
    """See to it that the table is there and may be written to, by making it and by writing nothing."""
    changes = (
        sa.delete(_STATE).where(sa.false()),
        sa.insert(_STATE).from_select(_STATE.columns.keys(), sa.select(_STATE).where(sa.false())),
    )
    with _naming_the_right(target), target.translated(), target.savepoint():
        _STATE.create(target.sqlalchemy, checkfirst=True)
        for change in changes:
            target.sqlalchemy.execute(change)


@contextmanager
def _naming_the_right(target: Connection) -> Iterator[None]:
    try:
        yield
    except PrivilegeError as error:
        raise _lacking_right(target, error.reason) from error


def _lacking_right(target: Connection, reason: str) -> PrivilegeError:
    """What the role needs, in the statements that its owner, or the schema's, can run."""
    dialect = target.sqlalchemy.dialect
    quote = dialect.identifier_preparer.quote
    role = quote(target.database.url.username or "THE_ROLE")
    grant = f"GRANT SELECT, INSERT, DELETE ON {_STATE.name} TO {role};"
    if _STATE.name in reason:
        return PrivilegeError(
            target.name,
            reason,
            f"this role may not use the table {_STATE.name}, where --since keeps how far it came: {reason}",
            f"Let its owner run: {grant}",
        )
    made = " ".join(str(CreateTable(_STATE).compile(dialect=dialect)).split())
    schema = quote(dialect.default_schema_name or "public")
    return PrivilegeError(
        target.name,
        reason,
        f"this role may not create the table {_STATE.name}, where --since keeps how far it came: {reason}",
        f"Let the schema's owner run: GRANT CREATE ON SCHEMA {schema} TO {role}; or, once: {made}; {grant}",
    )


def require_column(since: Since, specs: Sequence[TableSpec]) -> None:
    """Check that rows of these tables can be told apart by the column.

    Raises:
        ConfigurationError: no table has the column, or it is of a type that does not grow, or the overlap of another.
    """
    kinds = {spec.name: spec.column(since.column).type.kind for spec in specs if since.column in spec.column_names}
    if not kinds:
        raise ConfigurationError(
            f"None of the tables has a column {since.column!r}.",
            "Name one that grows with every change: --since COLUMN.",
        )
    for table, kind in kinds.items():
        if kind not in _TIMES | INTEGER_KINDS:
            raise ConfigurationError(
                f"{table}.{since.column} holds {kind}, which does not grow with every change.",
                "Name a column of times or numbers: --since COLUMN.",
            )
        if since.overlap is not None and isinstance(since.overlap, int) != (kind in INTEGER_KINDS):
            wanted = "a number, such as 100" if kind in INTEGER_KINDS else "a time, such as 5m"
            raise ConfigurationError(f"{table}.{since.column} holds {kind}.", f"Give the overlap as {wanted}.")


def _units(spec: TableSpec, column: str, moment: dt.datetime) -> int:
    """A moment as the number that a column of times counts."""
    if spec.column(column).type.kind is Kind.DATE:
        return moment.date().toordinal() - dt.date(1970, 1, 1).toordinal()
    return int(pa.scalar(moment, pa.timestamp("us", "UTC")).cast(pa.int64()).as_py())


def _literal(spec: TableSpec, column: str, mark: int) -> str:
    """A watermark as every engine takes it for the column's type.

    Times are cut to whole seconds, which some that SQLite holds are without a fraction.
    """
    type_ = spec.column(column).type
    if type_.kind in INTEGER_KINDS:
        return str(mark)
    if type_.kind is Kind.DATE:
        return f"'{date_text(mark)}'"
    moment: Any = dt.datetime(1970, 1, 1) + dt.timedelta(seconds=mark // 1_000_000)  # noqa: DTZ001 - sessions are UTC
    return f"'{moment.isoformat(' ', 'seconds')}'"


def _narrowing(spec: TableSpec) -> str:
    return _kept(spec.at_source.where or "", _STATE.c.narrowed_by)


def _kept(text: str, column: sa.Column[str]) -> str:
    """A text as it is told apart from others: itself, or a hash of one that the column has no room for."""
    assert isinstance(column.type, sa.String)
    return text if len(text) <= (column.type.length or 0) else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
