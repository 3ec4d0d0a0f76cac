"""A connection, which is one transaction on one database, and its tables: what is asked of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self

from toolkit.engines.contract.locking import Locking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType

    import pyarrow as pa
    import sqlalchemy as sa

    from toolkit.core.constraints import Constraints
    from toolkit.core.digest import TableDigest
    from toolkit.core.schema import ColumnMeasure, Schema, TypesBy
    from toolkit.core.sifted import BadValue, Sifted
    from toolkit.core.tables import ForeignKeySpec, TableSpec
    from toolkit.core.types import LogicalType
    from toolkit.engines.catalogue import RunningTransaction, StoredTable, TableFacts, TableTriggers
    from toolkit.engines.contract.capabilities import Capabilities
    from toolkit.engines.contract.configured import Configured
    from toolkit.engines.contract.lossy_cast import LossyCast
    from toolkit.engines.contract.script import Script
    from toolkit.errors import ToolkitError, UnnamedRowError


class Connection(Locking, Protocol):
    """One transaction on one database. Leaving the block without `commit` rolls it back.

    For reading it is one snapshot over all tables; for writing nobody else's toolkit writes at the same time.
    `portable.connection.DatabaseConnection` has all of it but for `repository` and how a transaction begins.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What the engine does by itself."""

    @property
    def database(self) -> Configured:
        """Where it is connected to."""

    @property
    def name(self) -> str:
        """The database's name, for messages."""

    @property
    def write(self) -> bool:
        """Whether it may write, by now."""

    @property
    def sqlalchemy(self) -> sa.Connection:
        """SQLAlchemy's connection, which shares the transaction; its errors are told by `translated`."""

    @property
    def options_of(self) -> str:
        """Which options of the models are meant for this engine, by the name of SQLAlchemy's dialect."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Roll back what was not committed and let go of the database."""

    def within(self, transaction: sa.Connection) -> AbstractContextManager[Self]:
        """In place of beginning: look at what another's transaction sees by now, which that one ends."""

    def repository(self, spec: TableSpec) -> Table:
        """Access to one table within this transaction."""

    def script(self) -> Script:
        """How a script for the engine's own client is written. Default: refused, there is none.

        Raises:
            ConfigurationError: as said.
        """

    def commit(self) -> None:
        """Make the transaction's work last, and begin the next."""

    def savepoint(self) -> AbstractContextManager[Any]:
        """Undo what the block did if it fails. An engine without savepoints ends the transaction and begins another."""

    def begin_with(self, make: Callable[[], None]) -> None:
        """Do this in the transaction, before anything else, and again in one that begins after an error ended it."""

    def finish_with(self, statement: str) -> None:
        """Execute it when rows are in: before the next commit, or at once where an engine has none that may wait."""

    def translated(self) -> AbstractContextManager[None]:
        """Turn the driver's errors into this package's."""

    def showing(self) -> AbstractContextManager[None]:
        """Fetch texts that are to be shown, whatever their bytes."""

    def reason(self, error: BaseException) -> str:
        """Why a row was refused, in the database's own words."""

    def identity(self) -> str:
        """Sixteen hexadecimal digits for where these rows are; no secret."""

    # -- what is there ---------------------------------------------------------------------------------------------

    def look_up(self, specs: Sequence[TableSpec]) -> None:
        """Ask the catalogue of all these tables at once: for thousands of tables, one by one takes minutes."""

    def expect(self, spec: TableSpec, types: Mapping[str, str]) -> None:
        """Take a table for one that is yet to be made, of such columns: nothing needs to be connected to ask of it."""

    def facts(self, spec: TableSpec) -> TableFacts | None:
        """What the catalogue says of a table, None if it is not there; asked once in a transaction."""

    def column_names(self, spec: TableSpec) -> frozenset[str] | None:
        """The columns that the table has in this database; None when there is no such table."""

    def columns(self, spec: TableSpec) -> dict[str, bool] | None:
        """The columns that the table has, and whether the database computes them; None without such a table."""

    def views(self, schema: str | None) -> frozenset[str]:
        """The names of the views in a schema."""

    def stored_tables(self) -> Iterable[StoredTable]:
        """All tables with rows of somebody's that may be read, whoever made them; not those of the engine itself."""

    def schema(self, types: TypesBy = ...) -> Schema:
        """All of `stored_tables` as the engine's own catalogue has them, and what of them SQLAlchemy cannot say."""

    def definitions(self, tables: Sequence[sa.Table], /) -> Sequence[str]:
        """The statements that make these tables of `schema` once more, just as they are, in a database of this engine.

        With the schemas, types and sequences that they rest on. Those that rows may be against are `AfterRows`.
        Default: none, they are made from `schema`.
        """

    def measures(self, table: sa.Table, /) -> dict[str, ColumnMeasure]:
        """What is stored in each column of a table of `schema`, by one pass over its rows."""

    def constraints(self, specs: Sequence[TableSpec]) -> dict[str, Constraints]:
        """The constraints that these tables have in this database, by name; without those that are views there."""

    def made_constraints(self, table: sa.Table) -> Constraints:
        """The constraints that it will have when it is made from its model; nothing needs to be connected for that."""

    def compared_name(self, name: str) -> str:
        """A name in the form that is the same for all names that mean one table or column."""

    def filled(self, specs: Sequence[TableSpec]) -> frozenset[str]:
        """The names of those tables that have any row, or cannot be read; whatever the conditions that narrow them."""

    def counts(self, specs: Sequence[TableSpec]) -> dict[str, int]:
        """How many rows each of these tables has, by name, whatever the conditions that narrow them."""

    def holds(self, table: sa.FromClause, *conditions: sa.ColumnElement[bool]) -> bool:
        """Whether a table has a row that meets these conditions; the first found ends the search."""

    # -- abilities: an engine without them keeps the portable default ----------------------------------------------

    def require_one_form(self, specs: Sequence[TableSpec]) -> None:
        """Check that no key is stored twice, in forms that the model's type reads alike. Default: none can be.

        Raises:
            TwoFormsError: the first that is.
        """

    def told_forms(self, specs: Sequence[TableSpec]) -> Iterable[str]:
        """Of values that are one in several forms, and are not equal here, a sentence each. Default: none are."""

    def written_forms(self, spec: TableSpec, most: int | None = ...) -> Mapping[str, str | None]:
        """By column with values, in which form all stand, or the first so many. Default: there are no others.

        It is "" for the usual one, None in several.
        """

    def unfinished(self) -> Sequence[tuple[str, str]]:
        """What was to be done behind the last commit, and could not be: tables, each with a sentence. Default: none."""

    def lacking_right(self, table: sa.Table, rights: Sequence[str], /) -> str | None:
        """Why this role may not do so with a table, or make it where it is not. Default: None, it may."""

    def defer_foreign_keys(self, specs: Sequence[TableSpec]) -> AbstractContextManager[None]:
        """Check the foreign keys of these tables at the end of the block. Default: nothing, they are not checked."""

    def check_parents(self, specs: Sequence[TableSpec]) -> None:
        """Check the foreign keys that were not checked as rows were written. Default: by a query for each.

        Raises:
            MissingParentError: with the number of rows and the first key.
        """

    def unmapped_children(self, spec: TableSpec) -> tuple[TableSpec, ...]:
        """Tables unknown to the model that the database lets point at this one. Default: none."""

    def triggers(self, specs: Sequence[TableSpec]) -> Sequence[TableTriggers]:
        """The application's triggers and rules that fire when rows of these tables are written. Default: none."""

    def held_triggers(self, specs: Sequence[TableSpec]) -> AbstractContextManager[None]:
        """Keep those triggers from firing within the block, which writes. Default: nothing, there are none."""

    def has_update_cascades(self, spec: TableSpec) -> bool:
        """Whether the database changes rows of the table when what they point at is changed. Default: no."""

    def has_unmapped_actions(self, specs: Sequence[TableSpec], /) -> bool:
        """Whether foreign keys that the models lack let the database change rows of these tables. Default: no."""

    def unlike_numbers(self, specs: Sequence[TableSpec], /) -> dict[tuple[str, str], int]:
        """By table and column, how many values SQLAlchemy's type does not read as they are stored. Default: none."""

    def make_own_table(self, table: sa.Table, /) -> None:
        """Make a table of the toolkit's own, unless it is there, without ending the transaction."""

    def running_transactions(self) -> Sequence[RunningTransaction]:
        """Those of others whose rows this snapshot lacks, and that may commit them yet. Default: there are none."""

    def stop_reading(self) -> None:
        """Close what was opened beside the transaction to read: its locks would stop our own writes."""


class Table(Protocol):
    """Upsert-capable access to one table of one database, within a transaction.

    `portable.table.TableRepository` has all of it. A faster one overrides single methods, and must agree with it value
    by value. One that computes digests where the rows are is `compute.segments.SegmentedDigests` too: then equal parts
    of two tables are not sent to be compared.
    """

    @property
    def connection(self) -> Connection:
        """The transaction."""

    @property
    def spec(self) -> TableSpec:
        """The table as the models have it."""

    @property
    def batch_bytes(self) -> int:
        """What a batch of several rows takes at most."""

    @property
    def within(self) -> sa.ColumnElement[bool]:
        """The conditions that narrow the table, as their user wrote them."""

    # -- reading ---------------------------------------------------------------------------------------------------

    def read(self, batch_rows: int = ..., keys: pa.Table | None = None) -> Iterator[pa.RecordBatch]:
        """The rows (or those with these keys) in the canonical schema, in no particular order.

        Raises:
            UnrepresentableValueError: a value that is not of its column's type, named with its row.
        """

    def count(self) -> int:
        """Number of rows."""

    def is_empty(self) -> bool:
        """Whether there is no row at all, whatever the condition that narrows the table."""

    def width(self, keys: pa.Table) -> int:
        """The characters and bytes of all values of any length in the rows with these keys."""

    def maximum(self, column: str) -> int | None:
        """The greatest value of a column of whole numbers or times, as Arrow counts it; None if there is none."""

    def first_repeated(self, columns: Sequence[str]) -> str | None:
        """Values of these columns, none of them NULL, that several rows have, for a message; None if there are none."""

    def stored_type(self, column: str) -> LogicalType:
        """What the database itself holds in a column: a type of the application's own may hold another there."""

    def sifted(self) -> Iterator[Sifted]:
        """All rows, taken apart into those that can be carried whole and those that cannot."""

    def row_digests(self) -> Iterator[pa.RecordBatch]:
        """Key columns and digest of every row, before this transaction wrote any."""

    def digest(self, keys: pa.Table | None = None) -> TableDigest:
        """The digest of all rows, or of those with these keys, as this transaction sees them."""

    def stored_digest(self) -> TableDigest:
        """The digest of all rows as they are stored; comparable with `StoredDigest` of what was sent, and only that."""

    # -- writing ---------------------------------------------------------------------------------------------------

    def load(self, batches: Iterable[pa.RecordBatch], rows: int) -> int:
        """Fill the table, which must be empty, with about `rows` rows; the number written.

        Raises:
            UnnamedRowError: a row is refused; `why_refused` finds it.
            RefusedRowError, UniqueConflictError, UnrepresentableValueError: named with the rows concerned.
        """

    def why_refused(self, batches: Iterable[pa.RecordBatch], error: UnnamedRowError) -> ToolkitError | None:
        """Why these rows could not fill the empty table."""

    def upsert_many(self, batches: Iterable[pa.RecordBatch]) -> int:
        """Insert rows, or update all other columns of the rows with the same keys; without a key, insert them.

        Returns the number written.

        Raises:
            RefusedRowError, UniqueConflictError, UnrepresentableValueError: named with the rows concerned.
        """

    def update_many(self, rows: pa.Table) -> int:
        """Give rows that are there other values in some columns: `rows` holds these and the key; the number of rows."""

    def delete_many(self, keys: pa.Table) -> int:
        """Delete the rows with these keys; the number that were there."""

    def delete_all(self) -> int:
        """Delete all rows that meet the conditions that narrow the table; their number."""

    def compare_and_set(self, column: str, keys: pa.Table, held: Sequence[str | None], values: pa.Array) -> list[bool]:
        """Give one column of the rows with these keys new values, each only if it still holds that text; which took."""

    def meet(self, keys: pa.Table) -> list[bool]:
        """Which keys meet the conditions that narrow the table, which are of the key, be there such rows or not."""

    # -- checks ----------------------------------------------------------------------------------------------------

    def has_key(self) -> bool:
        """Whether the database keeps the key unique, by an index that an upsert can rest on."""

    def check_condition(self) -> None:
        """Have the database understand each condition that narrows the table, before anything is done by them.

        Raises:
            ConditionError: it does not understand one of them.
        """

    def require_parents(self, foreign_key: ForeignKeySpec) -> None:
        """Check that every row's parent is there.

        Raises:
            MissingParentError: with the number of rows and the first key.
        """

    def unkeepable(self, batch: pa.RecordBatch) -> Iterator[tuple[int, BadValue]]:
        """By row, the values of these rows that the table would refuse or change, as far as is known without writing.

        The table need not be there yet.
        """

    def refused_types(self) -> Mapping[str, str]:
        """By column, the types there to which nothing of the model's type can be cast, or back."""

    def narrower_columns(self) -> tuple[str, ...]:
        """The columns whose type there has no place for all values of the model's."""

    def rewriting_types(self) -> Mapping[str, str]:
        """By column, the types there that keep what a text means, and not each character: `jsonb`, `uuid`."""

    # -- abilities: an engine without them keeps the portable default ----------------------------------------------

    def lossy_casts(self) -> Mapping[str, LossyCast]:
        """By column, those whose type there has values that reading them as the model's would change. Default: none."""

    def texts_of_dates(self) -> frozenset[str]:
        """The columns with dates that no calendar has, and the engine's own text can say. Default: none."""

    def in_utc(self, column: str) -> str | None:
        """In SQL, a column of times whose texts have zones, to be compared. Default: None, it compares by itself."""

    def unlike_keys(self) -> Mapping[str, LossyCast]:
        """By key column, those with values beside which the same would be another key as written. Default: none."""

    def collated_key(self) -> dict[str, str]:
        """The key columns of which the database takes different values for one, each with what does so. Default: none.

        An engine with such collations also has `require_distinct`.
        """

    def require_distinct(self, keys: Iterable[pa.RecordBatch]) -> None:
        """Check that keys to insert are different to the database too, from one another and its own.

        Raises:
            CollationConflictError: two are not, and one row would be written over another.
        """

    def advance_sequences(self, at_least: Mapping[str, int] | None = ...) -> None:
        """Move the generators of key values past the highest value, and to these numbers. Default: there are none."""

    def advance_statements(self, at_least: Mapping[str, int] | None = ...) -> list[str]:
        """The statements that do so, of which each may be run at any time."""

    def reserve_numbers(self, column: str, count: int, above: int = 0) -> list[int]:
        """So many numbers that no row has in this column, all greater than `above`. Default: those that follow."""
