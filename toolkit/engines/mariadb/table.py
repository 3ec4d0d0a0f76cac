"""One table of MariaDB: read row by row as the server sends them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from toolkit.core.batches import BATCH_ROWS, parts, sized
from toolkit.core.tables import ForeignKeySpec
from toolkit.engines.contract import LossyCast
from toolkit.engines.mariadb.binary import Uuid
from toolkit.engines.mariadb.charsets import untold
from toolkit.engines.mariadb.keys import KeyedTable
from toolkit.engines.mariadb.result_rows import batch_of
from toolkit.engines.mariadb.session import BY_ROWS
from toolkit.engines.mariadb.stored_keys import acting, deleting
from toolkit.engines.mariadb.types import TEXTS, actual_type
from toolkit.engines.mariadb.zero_dates import conditions
from toolkit.engines.portable.codec import MISFITS
from toolkit.engines.portable.lossy import ANY_VALUE, ONE_FORM, OTHER_KEY
from toolkit.engines.portable.other_forms import among_others

# Rows that SQLAlchemy keeps at a time of what the server sends: they may be wide.
_BUFFERED_ROWS = 32
# Rows that are taken apart at a time. Where each value begins takes as much as the values: with 8,192 rows, a sync into
# PostgreSQL peaks at 255 MB in place of 239, and takes a twentieth less of the processor.
_READ_ROWS = 2_048


class MariaDBRepository(KeyedTable):
    """One table of a MariaDB database."""

    def read(self, batch_rows: int = BATCH_ROWS, keys: pa.Table | None = None) -> Iterator[pa.RecordBatch]:
        """The rows (or those with these keys) in the canonical schema, in no particular order.

        Raises:
            UnrepresentableValueError: a value that is not of its column's type, named with its row.
        """
        if keys is not None or not self.spec.columns:
            yield from super().read(batch_rows, keys)
            return
        try:
            yield from sized(self._told(batch_rows), self._fitting_rows(batch_rows), self.batch_bytes)
        except MISFITS:
            # Value by value, which names the row.
            for _ in super().read(batch_rows):
                pass
            raise

    def _told(self, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """The rows as the server sends them."""
        columns = self.spec.columns
        cells = ", ".join(self.connection.codec.adapter(each).told(self.quote(each.name)) for each in columns)
        query = f"SELECT {cells} FROM {self.source(self.name)} AS told"
        most = min(_READ_ROWS, self._fitting_rows(batch_rows))
        with (
            self.connection.translated(),
            closing(self.connection.raw.packets(query, most, self.batch_bytes)) as told,
        ):
            for packets in told:
                yield batch_of(columns, packets, self.spec.schema)

    def delete_many(self, keys: pa.Table) -> int:
        """Delete the rows with these keys; the number that were there."""
        with deleting(self.connection, self.spec, self.table, lambda: self._conditions(keys)):
            return super().delete_many(keys)

    def delete_all(self) -> int:
        """Delete all rows that meet the conditions that narrow the table; their number."""
        with acting(self.connection, self.spec):
            return super().delete_all()

    def advance_sequences(self, at_least: Mapping[str, int] | None = None) -> None:
        """Let the key go on from the number of another database; past its own rows, it goes by itself."""
        facts = self.connection.facts(self.spec)
        columns = {} if facts is None else facts.columns
        for name, number in (at_least or {}).items():
            following = columns[name].next_number if name in columns else None
            if following is not None and following < number:
                self.connection.later[self.spec.name] = self.spec.table, number

    def lossy_casts(self) -> dict[str, LossyCast]:
        """Columns of types that nothing of the model's is read from, and texts that the server does not tell whole."""
        facts = self.connection.facts(self.spec)
        adapter = self.connection.codec.adapter
        return untold(self.connection, self.spec) | {
            column.name: LossyCast(facts.columns[column.name].type, ANY_VALUE)
            for column in self.spec.columns
            if facts is not None
            and column.name in facts.columns
            and not adapter(column).is_read(actual_type(facts.columns[column.name].type))
        }

    def texts_of_dates(self) -> frozenset[str]:
        """The columns with dates that no calendar has: one pass over the rows, if there are columns of dates."""
        facts = self.connection.facts(self.spec)
        types = {} if facts is None else {name: column.type for name, column in facts.columns.items()}
        asked = dict(conditions(self.spec, types, {name: self.quote(name) for name in self.spec.column_names}))
        if not asked:
            return frozenset()
        cells = ", ".join(f"max({condition})" for condition in asked.values())
        with self.connection.translated():
            [found] = self.connection.run(f"SELECT {cells} FROM {self.source(self.name)} AS dated")
        return frozenset(name for name, is_found in zip(asked, found, strict=True) if is_found)

    def unlike_keys(self) -> dict[str, LossyCast]:
        """UUIDs of characters in another form than they are written in."""
        form = ONE_FORM.format("UUIDs with small letters, and with hyphens where there is room")
        found = {name: self._unlike(name) for name in self.spec.key}
        return {name: LossyCast("", unlike, OTHER_KEY, form) for name, unlike in found.items() if unlike is not None}

    def _unlike(self, name: str) -> str | None:
        """The condition of a column's values that stand in another form; None if they have one."""
        adapter = self.connection.codec.adapter(self.spec.column(name))
        if not isinstance(adapter, Uuid) or adapter.pattern is None:
            return None
        return f"CAST({self.quote(name)} AS BINARY) NOT REGEXP '{adapter.pattern}'"

    def _conditions(self, keys: pa.Table | None) -> Iterator[Any]:
        """WHERE clauses of the rows with these values, also of UUIDs in another form."""
        unlike = [] if keys is None else [each for each in map(self._unlike, keys.column_names) if each is not None]
        # NULL is in no form.
        other = " OR ".join(f"coalesce({each}, 0)" for each in unlike)
        if keys is None or not other or not self.connection.holds(self.table, sa.literal_column(f"({other})")):
            yield from super()._conditions(keys)
            return
        yield from among_others(self.connection, self.table, self.spec, keys, super()._conditions(keys), other)

    def _fetched_columns(self, query: Any, width: sa.Label[int], most: int) -> Iterator[Sequence[Sequence[Any]]]:
        """The rows of a query, not sorted: the driver takes each from the server when it is asked for."""
        streamed = query.execution_options(stream_results=True, max_row_buffer=_BUFFERED_ROWS)
        with self.connection.translated(), closing(self.connection.sqlalchemy.execute(streamed)) as result:
            for rows in parts(result, most, lambda row: int(row[-1]), self.batch_bytes):
                *columns, _ = zip(*rows, strict=True)
                yield columns

    def _pointing(self, foreign_key: ForeignKeySpec) -> sa.FromClause:
        """Each of the values once, of which a column of a million rows mostly has few: 0.3 s in place of 0.9.

        Texts are all looked at: there may be a parent for one, and none for another that its collation takes for it.
        """
        values = sa.select(*(self.table.c[name] for name in foreign_key.columns))
        if self.connection.write:
            # A view, which may be read, knows no indexes.
            values = values.with_hint(self.table, BY_ROWS)
        return (values if any(map(self._is_text, foreign_key.columns)) else values.distinct()).subquery("child")

    def _is_text(self, name: str) -> bool:
        facts = self.connection.facts(self.spec)
        return facts is not None and actual_type(facts.columns[name].type).name in TEXTS

    def _told_apart(self, cell: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """A text by its bytes: its collation may take different ones for one."""
        is_text = self._is_text(cell.key or "")
        return sa.cast(sa.type_coerce(cell, sa.types.NullType()), sa.BINARY) if is_text else cell
