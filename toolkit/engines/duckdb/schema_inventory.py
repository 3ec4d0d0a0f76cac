"""What a table of DuckDB has in its catalogue, thing by thing, to see that making it anew loses nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import CheckConstraint, Index, MetaData, Table, UniqueConstraint, func, inspect, select, text
from sqlalchemy.exc import DBAPIError

from toolkit.engines.duckdb.expressions import as_given
from toolkit.engines.duckdb.reflection import check_of
from toolkit.engines.portable.alembic_batch import identifiers
from toolkit.engines.portable.batch_changes import BatchChanges
from toolkit.engines.portable.kept_schema import Thing, require_nothing_lost
from toolkit.errors import MigrationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from alembic.operations.batch import ApplyBatchImpl
    from sqlalchemy import Column, Connection, TextClause

_HERE = (
    "database_name = current_database() AND schema_name = coalesce(:schema, current_schema()) AND table_name = :name"
)
_COLUMNS = text(
    "SELECT column_name AS name, data_type AS type, is_nullable, comment, generation_expression AS expression, "
    f'CASE WHEN generation_expression IS NULL THEN column_default END AS "default" FROM duckdb_columns() WHERE {_HERE}'
)
_CONSTRAINTS = text(
    "SELECT constraint_type AS kind, constraint_column_names AS columns, expression "
    f"FROM duckdb_constraints() WHERE {_HERE} AND constraint_type <> 'NOT NULL'"
)
_INDEXES = text(f"SELECT index_name AS name, comment FROM duckdb_indexes() WHERE {_HERE}")
_COMMENT = text(f"SELECT comment FROM duckdb_tables() WHERE {_HERE}")


class Kept(BatchChanges):
    """A table that is made anew: what it was, and what the operations of a batch change of it."""

    def __init__(
        self,
        connection: Connection,
        batch: ApplyBatchImpl,
        old: Table,
        changes_type: Callable[[Column[Any], Column[Any]], bool],
    ) -> None:
        super().__init__(batch, old, changes_type)
        self._connection, self._old, self._batch = connection, old, batch
        self._old_names = {new: name for name, new in self.names.items()}
        unique = [*self.removed, *(each for each in self.dropped_indexes.values() if each.unique)]
        self._no_more_unique = [
            {self.new_name(column.name) for column in each.columns}
            for each in unique
            if isinstance(each, UniqueConstraint | Index)
        ]
        self._before = dict(self._things(old.name))
        self.index_comments = {row.name: row.comment for row in self._ask(_INDEXES, old.name) if row.comment}

    @property
    def old_table(self) -> Table:
        """The one that goes."""
        return self._old

    def require(self) -> None:
        """See that nothing is lost in the new table, which holds the rows and has another name as yet.

        Raises:
            MigrationError: something is; names it.
        """
        # Alembic makes the indexes when it has the old one's name.
        to_come = (*self._batch.indexes.values(), *self._batch.new_indexes.values())
        after = dict(self._things(self._batch.temp_table_name)) | {
            self._thing("index", str(each.name)): "" for each in to_come
        }
        after |= {self._unique([column.name for column in each.columns]): "" for each in to_come if each.unique}
        require_nothing_lost(self._old.fullname, self._before, after, self)

    @property
    def new_table(self) -> Table | None:
        """The one that the rows are copied into."""
        return self._batch.new_table

    def refused(self, error: BaseException | None) -> BaseException:
        """What to raise when the rows could not be copied: what DuckDB says of the new table is of this one."""
        if not isinstance(error, DBAPIError):
            return error or AssertionError("nothing failed")
        reason = str(error.orig).partition("\n")[0].replace(self._batch.temp_table_name, self.table)
        refused = MigrationError(
            f"{self._old.fullname} does not fit the migration: {reason.rstrip('.')}.",
            "Correct such rows in a migration before this one (op.execute).",
        )
        refused.__cause__ = error
        return refused

    def __call__(self, thing: Thing, _: str) -> bool:
        """Whether the batch changes it, or takes it away."""
        old_name = self._old_names.get(thing.of, thing.of)
        match thing.kind:
            case "index":
                return thing.name in self.dropped_indexes
            case "CHECK":
                # Expressions follow the columns' names.
                named = {each.lower() for each in identifiers(thing.name)}
                return bool(named & {*self.gone, *self.names}) or any(
                    isinstance(each, CheckConstraint) for each in self.removed
                )
            case "UNIQUE":
                columns = {*thing.name.split(", ")}
                return columns in self._no_more_unique or bool(columns & self.gone)
            case "PRIMARY KEY":
                return self.changes_key
            case "expression" if self.names:
                return True
        return old_name in self.gone or thing.kind in self.of_column(old_name)

    def is_same(self, before: str, after: str) -> bool:
        """Whether two texts say the same."""
        return before == after

    def _things(self, table: str) -> Iterator[tuple[Thing, str]]:
        yield from self._of_columns(table)
        yield from self._of_constraints(table)
        for row in self._ask(_INDEXES, table):
            yield self._thing("index", row.name), ""
        if table != self.table:
            # Named constraints have become indexes.
            for index in inspect(self._connection).get_indexes(table, self._old.schema):
                if index["unique"]:
                    yield self._unique(each for each in index["column_names"] if each is not None), ""
        for row in self._ask(_COMMENT, table):
            yield self._thing("comment"), row.comment or ""
        counted = Table(table, MetaData(), schema=self._old.schema)
        rows = self._connection.scalar(select(func.count()).select_from(counted))
        yield self._thing("number of rows"), str(rows)

    def _of_columns(self, table: str) -> Iterator[tuple[Thing, str]]:
        for row in self._ask(_COLUMNS, table):
            of = self.new_name(row.name) if table == self.table else row.name.lower()
            told = {
                "type": row.type,
                "nullable": None if row.is_nullable else "NOT NULL",
                "expression": row.expression and as_given(row.expression, row.type),
                "default": row.default,
                "comment": row.comment,
            }
            yield from ((self._thing(kind, of=of), text) for kind, text in told.items() if text is not None)

    def _of_constraints(self, table: str) -> Iterator[tuple[Thing, str]]:
        for row in self._ask(_CONSTRAINTS, table):
            match row.kind:
                case "UNIQUE":
                    yield self._unique(row.columns), ""
                case "CHECK":
                    yield self._thing("CHECK", str(check_of("", row.expression)["sqltext"])), ""
                case _:
                    yield self._thing(row.kind), ""

    def _thing(self, kind: str, name: str = "", of: str = "") -> Thing:
        return Thing(kind, self.table, name, of)

    def _unique(self, columns: Iterable[str]) -> Thing:
        return self._thing("UNIQUE", ", ".join(sorted(map(self.new_name, columns))))

    def _ask(self, query: TextClause, table: str) -> Sequence[Any]:
        return self._connection.execute(query, {"name": table, "schema": self._old.schema}).all()
