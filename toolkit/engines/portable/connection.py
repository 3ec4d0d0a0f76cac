"""What all engines share: one transaction on one database, and the check that its tables are there."""

from __future__ import annotations

import hashlib
import platform
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import pyarrow as pa
import sqlalchemy as sa

from toolkit.core.constraints import Constraints
from toolkit.core.progress import SILENT, Progress
from toolkit.core.schema import ColumnMeasure, Schema, TypesBy
from toolkit.core.tables import ForeignKeySpec, TableSpec
from toolkit.core.values import python_scalar, show_key
from toolkit.engines.catalogue import RunningTransaction, StoredTable, TableFacts, TableTriggers
from toolkit.engines.contract import Capabilities, Configured, Connection, Script, Table
from toolkit.engines.portable.codec import Codec
from toolkit.engines.portable.constraints import modelled, reflected
from toolkit.engines.portable.many_tables import ManyTables
from toolkit.engines.portable.measures import measured
from toolkit.engines.portable.reflection import reflected_facts, reflected_tables
from toolkit.engines.portable.schema import reflected_schema
from toolkit.engines.portable.stored_forms import Committed, OneForm
from toolkit.engines.portable.updates import on_conflict
from toolkit.errors import ConfigurationError, SchemaMismatchError, StatementError

if TYPE_CHECKING:
    from types import TracebackType

_A_VIEW = "is a view, not a table"
_NO_VIEW = "No rows are written through a view: leave it out (--exclude TABLE), or name the tables to work on."
_UPGRADE = "Run 'toolkit database upgrade --database NAME' on it, or name the tables to work on."


class DatabaseConnection(ManyTables, OneForm, Committed):
    """One transaction on one database. Leaving the block without `commit` rolls it back.

    For reading it is one snapshot over all tables; for writing nobody else's toolkit writes at the same time.
    """

    capabilities: ClassVar[Capabilities]
    options_of: ClassVar[str]
    """Which options of the models are meant for this engine, by the name of SQLAlchemy's dialect."""
    codec: ClassVar[Codec[Any]]
    insert: ClassVar[Any]
    """The dialect's INSERT, and how it becomes one that updates rows that are there."""
    or_update: ClassVar[Any] = staticmethod(on_conflict)

    is_guest = False
    """Whether the transaction is another's, in which nothing is to be written, nor a number taken."""

    def __init__(self, database: Configured, write: bool = False) -> None:
        super().__init__()
        self.database = database
        self.write = write

    @property
    def name(self) -> str:
        """The database's name, for messages."""
        return self.database.name

    def __enter__(self) -> Self:
        try:
            with self.translated():
                self.sqlalchemy = self.database.unpooled_engine(read_only=not self.write).connect()
                self._begin()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def within(self, transaction: sa.Connection) -> Iterator[Self]:
        """In place of beginning: look at what another's transaction sees by now, which that one ends."""
        self.sqlalchemy, self.write, self.is_guest = transaction, True, True
        with self.translated():
            self._settle()
        yield self

    def _settle(self) -> None:
        """Set what the canonical forms rest on, in this transaction."""

    def close(self) -> None:
        """Roll back what was not committed and let go of the database."""
        self.stop_reading()
        if hasattr(self, "sqlalchemy"):
            # A connection that the server cut cannot be closed in order; its transaction is gone with it.
            with suppress(sa.exc.DBAPIError):
                self.sqlalchemy.invalidate() if self._is_broken() else self.sqlalchemy.close()

    def commit(self) -> None:
        """Make the transaction's work last, and begin the next."""
        self.stop_reading()
        self.forget()
        with self.translated():
            self.sqlalchemy.commit()
            self._begin()

    def begin_with(self, make: Callable[[], None]) -> None:
        """Do this in the transaction: an error that ends it ends all work."""
        make()

    def finish_with(self, statement: str) -> None:
        """Execute what may follow the rows."""
        self.sqlalchemy.exec_driver_sql(statement, execution_options={"no_parameters": True})

    def stop_reading(self) -> None:
        """Close what a fast engine opened beside the transaction to read: its locks would stop our own writes."""

    def column_names(self, spec: TableSpec) -> frozenset[str] | None:
        """The columns that the table has in this database; None when there is no such table."""
        columns = self.columns(spec)
        return None if columns is None else frozenset(columns)

    def columns(self, spec: TableSpec) -> dict[str, bool] | None:
        """The columns that the table has in this database, and whether it computes them; None without such a table."""
        facts = self.facts(spec)
        return None if facts is None else {name: column.is_computed for name, column in facts.columns.items()}

    def views(self, schema: str | None) -> frozenset[str]:
        """The names of the views in a schema."""
        with self.translated():
            return frozenset(sa.inspect(self.sqlalchemy).get_view_names(schema=schema))

    def stored_tables(self) -> Iterable[StoredTable]:
        """All tables with rows of somebody's that may be read, whoever made them; not those of the engine itself."""
        with self.translated():
            return list(reflected_tables(self.sqlalchemy))

    def schema(self, types: TypesBy = TypesBy.DECLARATION) -> Schema:
        """All of `stored_tables` as the catalogue has them; types are taken from what was declared."""
        tables = self.stored_tables()
        with self.translated():
            return reflected_schema(self.sqlalchemy, tables)

    def definitions(self, _tables: Sequence[sa.Table]) -> Sequence[str]:
        """The statements that make these tables once more, just as they are; none where they are not known."""
        return ()

    def measures(self, table: sa.Table) -> dict[str, ColumnMeasure]:
        """What is stored in each column, by one pass over the rows."""
        return measured(self, table)

    def _read_facts(self, specs: Sequence[TableSpec]) -> dict[str, TableFacts]:
        with self.translated():
            return reflected_facts(self.sqlalchemy, specs)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn the driver's errors into this package's."""
        try:
            yield
        except sa.exc.DBAPIError as error:
            raise StatementError(self.name, self.reason(error), "Run with --debug to see the statement.") from error

    def constraints(self, specs: Sequence[TableSpec]) -> dict[str, Constraints]:
        """The constraints that these tables have in this database, by name; without those that are views there."""
        with self.translated():
            return reflected(self.sqlalchemy, specs)

    def made_constraints(self, table: sa.Table) -> Constraints:
        """The constraints that it will have when it is made from its model; nothing needs to be connected for that."""
        with_foreign_keys = self.capabilities.keeps_foreign_keys
        return modelled(table, self.options_of, self._keeps_unique, with_foreign_keys=with_foreign_keys)

    def _keeps_unique(self, index: sa.Index) -> bool:
        return bool(index.unique)

    def compared_name(self, name: str) -> str:
        """A name in the form that is the same for all names that mean one table or column."""
        return name

    def holds(self, table: sa.FromClause, *conditions: sa.ColumnElement[bool]) -> bool:
        """Whether a table has a row that meets these conditions; the first found ends the search."""
        with self.translated():
            found = sa.select(sa.literal(1)).select_from(table).where(*conditions).limit(1)
            # Fetched to the end: DuckDB does nothing else while a result is unfinished.
            return bool(self.sqlalchemy.execute(found).all())

    def identity(self) -> str:
        """Sixteen hexadecimal digits for where these rows are; no secret. Databases of one name are told apart by them.

        They change when the database moves, and are never those of a copy of it elsewhere; unless the configuration
        says what it is known by.
        """
        given = self.database.identity
        parts = (self.database.place, *self._marks()) if given is None else (given,)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    def _marks(self) -> Iterable[str]:
        """What tells this place from one with the same address. Many machines have a file of the same path."""
        return (platform.node(),)

    def lock_tables(self, specs: Sequence[TableSpec], progress: Progress = SILENT) -> None:
        """Keep these tables from being altered, emptied or dropped while they are worked on, and others from waiting.

        Call it first of all: what is read later is as of now.
        """
        self.look_up(specs)

    def look_first(self) -> None:
        """Keep nobody from writing until `begin_writing`; call it before anything is read."""

    def begin_writing(self) -> bool:
        """Take what writing needs; whether all that was read since `look_first` is as it was, as far as is known."""
        return True

    def exclude_writers(self, specs: Sequence[TableSpec]) -> None:
        """Let nobody else write to these tables until the end of the transaction, waiting for those who do."""

    def require_room(self, merged: Sequence[TableSpec]) -> None:
        """Check that one transaction may work on the tables that are held, and merge rows into some of them.

        Raises:
            DatabaseUnavailableError: the server has no room for so many locks.
        """

    def hold_writer_lock(self) -> None:
        """Let no other toolkit write in between the commits of this connection; call it before the first of them.

        Raises:
            DatabaseUnavailableError: this connection cannot do so.
        """

    def unlike_numbers(self, _: Sequence[TableSpec]) -> dict[tuple[str, str], int]:
        """By table and column, how many values are stored in a form that SQLAlchemy's type does not read."""
        return {}

    def lacking_right(self, _table: sa.Table, _rights: Sequence[str]) -> str | None:
        """Why this role may not do so with a table, or make it where it is not; None if it may: files ask nobody."""
        return None

    def make_own_table(self, table: sa.Table) -> None:
        """Make a table of the toolkit's own, unless it is there."""
        table.create(self.sqlalchemy, checkfirst=True)

    def running_transactions(self) -> Sequence[RunningTransaction]:
        """Those of others whose rows this snapshot lacks, and that may commit them yet."""
        return ()

    @abstractmethod
    def repository(self, spec: TableSpec) -> Table:
        """Access to one table within this transaction."""

    def script(self) -> Script:
        """How a script for the engine's own client is written.

        Raises:
            ConfigurationError: nobody has said how.
        """
        title = self.database.engine_name
        raise ConfigurationError(
            f"{self.name}: there are no scripts for a client of {title}.", "Use toolkit sync, which writes the rows."
        )

    def reason(self, error: BaseException) -> str:
        """Why a row was refused, in the database's own words."""
        return str(getattr(error, "orig", None) or error).partition("\n")[0]

    @abstractmethod
    def _begin(self) -> None:
        """Begin the transaction: a snapshot, or the right to write."""

    def defer_foreign_keys(self, specs: Sequence[TableSpec]) -> AbstractContextManager[None]:
        """Check the foreign keys of these tables at the end of the block, not row by row."""
        return nullcontext()

    def check_parents(self, specs: Sequence[TableSpec]) -> None:
        """Check the foreign keys of these tables that were not checked as rows were written.

        Raises:
            MissingParentError: with the number of rows and the first key.
        """
        if self.capabilities.enforces_foreign_keys:
            return
        for spec in specs:
            for foreign_key in spec.foreign_keys:
                self.repository(spec).require_parents(foreign_key)

    def unmapped_children(self, spec: TableSpec) -> tuple[TableSpec, ...]:
        """Tables unknown to the model that the database lets point at this one, by the columns that point."""
        return ()

    def triggers(self, _specs: Sequence[TableSpec]) -> Sequence[TableTriggers]:
        """The application's triggers and rules that fire when rows of these tables are written."""
        return ()

    def held_triggers(self, _specs: Sequence[TableSpec]) -> AbstractContextManager[None]:
        """Keep those triggers from firing within the block, which writes."""
        return nullcontext()

    def has_update_cascades(self, spec: TableSpec) -> bool:
        """Whether the database changes rows of the table by itself when what they point at is changed."""
        return False

    def has_unmapped_actions(self, specs: Sequence[TableSpec], /) -> bool:
        """Whether foreign keys that the models lack let the database change or delete rows of these tables."""
        return False


def unmapped_child(
    parent: TableSpec, name: str, pairs: Sequence[tuple[str, str]], schema: str | None = None
) -> TableSpec:
    """A table that the model does not know, by its columns that point at a parent's: pairs of child and parent."""
    columns = tuple(replace(parent.column(theirs), name=ours) for ours, theirs in pairs)
    table = sa.Table(
        name, sa.MetaData(), *(sa.Column(ours, parent.table.c[theirs].type) for ours, theirs in pairs), schema=schema
    )
    foreign_key = ForeignKeySpec(tuple(ours for ours, _ in pairs), parent.name, tuple(theirs for _, theirs in pairs))
    return TableSpec(table.fullname, columns, (), (), (foreign_key,), table)


def batch_key(spec: TableSpec, batch: pa.RecordBatch, row: int) -> str:
    """The key of one row of a batch, or what else names it, for a message."""
    types = tuple(spec.column(name).type for name in spec.shown_key)
    return show_key(spec.shown_key, types, tuple(python_scalar(batch.column(name)[row]) for name in spec.shown_key))


def require_columns(connection: Connection, specs: Sequence[TableSpec], *, to_write: bool = False) -> list[str]:
    """What this database lacks of these tables, one sentence each; and, `to_write`, what in them cannot be written.

    Raises:
        ConditionError: a condition on a table that it has is not one to this database.
    """
    problems = []
    connection.look_up(specs)
    views = {schema: connection.views(schema) for schema in {spec.table.schema for spec in specs} if to_write}
    for spec in specs:
        found = connection.columns(spec)
        if found is None:
            problems.append(f"{connection.name} has no table {spec.name!r}")
        elif to_write and spec.table.name in views[spec.table.schema]:
            problems.append(f"{connection.name}.{spec.name} {_A_VIEW}")
        elif lacking := [name for name in spec.column_names if name not in found]:
            problems.append(f"{connection.name}.{spec.name} lacks {', '.join(lacking)}")
        elif computed := [name for name in spec.column_names if to_write and found[name]]:
            problems.append(
                f"{connection.name}.{spec.name} computes {', '.join(computed)}, but the model does not (Computed)"
            )
        elif spec.where is not None:
            connection.repository(spec).check_condition()
    is_empty = len(problems) > 1 and not any(True for _ in connection.stored_tables())
    return [f"{connection.name} is empty: it has no tables"] if is_empty else problems


def check_schema(
    connection: Connection, specs: Sequence[TableSpec], others: Sequence[str] = (), *, to_write: bool = False
) -> None:
    """Check that a database has every table with every column, `to_write` all of them; `others` was found elsewhere.

    Raises:
        SchemaMismatchError: all that is missing, in one error.
    """
    refuse_schema([*others, *require_columns(connection, specs, to_write=to_write)])


def refuse_schema(problems: Sequence[str]) -> None:
    """Raise what is missing, if anything is.

    Raises:
        SchemaMismatchError: all of it, in one error.
    """
    if problems:
        only_views = all(problem.endswith(_A_VIEW) for problem in problems)
        raise SchemaMismatchError(problems, _NO_VIEW if only_views else _UPGRADE)
