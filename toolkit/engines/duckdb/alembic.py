"""Alembic for DuckDB.

DuckDB changes a table in place only while no index depends on it, adds no CHECK to it, and takes no
constraint away. What it cannot do in place is done by a rebuild, as for SQLite: a new table beside the old
one, its rows copied, the old one dropped, the new one renamed, its indexes made again. DDL is transactional
in DuckDB, so a migration that fails leaves nothing behind. Foreign keys are not kept on DuckDB: adding or
dropping one changes nothing, but a new one is refused where a row has no parent.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

# Advanced Alchemy registers an implementation for DuckDB that does nothing. The last one registered is used,
# so that module has to be imported before the class below is made.
import advanced_alchemy.alembic.commands  # noqa: F401
from alembic.ddl.impl import ComparisonResult
from alembic.operations.batch import ApplyBatchImpl
from alembic.util import CommandError
from alembic.util.sqla_compat import is_expression_index
from sqlalchemy import (
    CheckConstraint,
    Column,
    Constraint,
    ForeignKeyConstraint,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    cast,
    inspect,
    select,
    text,
)
from sqlalchemy.schema import DDL, DropSequence

from toolkit.engines.duckdb.dependents import broken_views
from toolkit.engines.duckdb.dialect import is_enforced
from toolkit.engines.duckdb.migration_state import follow_sequences, has_updates, is_default, owned_sequences
from toolkit.engines.duckdb.rebuild import becomes_index, index_of, require_copyable, require_kept, require_rebuildable
from toolkit.engines.duckdb.schema_inventory import Kept
from toolkit.engines.portable.alembic_batch import follow_columns
from toolkit.engines.portable.changed_types import instance_of, require_parents, require_unique
from toolkit.engines.portable.literals import quoted_text
from toolkit.engines.portable.migration_steps import CheckedSteps

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from alembic.operations.batch import BatchOperationsImpl
    from sqlalchemy import Connection, Inspector
    from sqlalchemy.types import TypeEngine


class DuckDBImpl(CheckedSteps):
    """Carries out and compares migrations on DuckDB."""

    __dialect__ = "duckdb"
    transactional_ddl = True
    # The tables, as schema and name, of which somebody tells the foreign keys, as DuckDB does not.
    told_foreign_keys: Collection[tuple[str | None, str]] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The tables, as schema and name, that got an index in this run, also if they lost it again. When a
        # transaction indexes a table and then renames it, DuckDB 2.0 cannot read its write-ahead log back
        # after a crash ("Failure while replaying WAL file"): the file could not be opened again. So those are
        # renamed by copying.
        self._indexed: set[tuple[str | None, str]] = set()
        # The tables that were made in this run, a rebuild included: none of their rows is older.
        self._made: set[tuple[str | None, str]] = set()
        # What the table was that is being made anew.
        self._kept: Kept | None = None
        self._index_comments: dict[str, str] = {}
        self._renamed: dict[str, str] = {}
        # The tables that got a column in place.
        self._widened: set[tuple[str | None, str]] = set()

    # -- operations ----------------------------------------------------------------------------------------

    def add_column(self, table_name: str, column: Column[Any], *, schema: str | None = None, **options: Any) -> None:
        """In place, unless something is asked of the column's values."""
        if not _is_constrained(column):
            super().add_column(table_name, column, schema=schema, **options)
            self._widened.add((schema, table_name))
            return
        # Its unique constraint and its index are separate operations, which follow this one.
        column.unique = column.index = False
        self._rebuild(table_name, schema, lambda batch: batch.add_column(table_name, column))

    def drop_column(self, table_name: str, column: Column[Any], *, schema: str | None = None, **options: Any) -> None:
        """Always by a rebuild: DuckDB refuses it in place when any index has a later column."""
        self._rebuild(table_name, schema, lambda batch: batch.drop_column(table_name, column))

    def alter_column(self, table_name: str, column_name: str, *, schema: str | None = None, **options: Any) -> None:
        """In place when only the default or the comment change, or the name in a table without indexes."""
        options |= {"type_": instance_of(options.get("type_"))}
        if not self._alters_in_place(table_name, column_name, schema=schema, **options):
            self._rebuild(table_name, schema, lambda batch: batch.alter_column(table_name, column_name, **options))
            return
        if options.get("type_") is not None:
            column = self._reflect(table_name, schema).columns[column_name]
            require_kept(self._connection, column, options["type_"], ("", ""))
        # They are as wanted: DuckDB would refuse to set even the same type while there is an index.
        options |= {"type_": None, "nullable": None}
        super().alter_column(table_name, column_name, schema=schema, **options)
        if name := options.get("name"):
            table = Table(table_name, MetaData(), schema=schema)
            follow_sequences(self._connection, table, table_name, {name: column_name})

    def add_constraint(self, const: Any, **_: Any) -> None:
        """A unique index for a named unique constraint, a look at the rows for a foreign key, a rebuild for others."""
        rule = const._create_rule  # noqa: SLF001 - as Alembic's own implementation asks
        if rule is not None and not rule(self):
            return
        if isinstance(const, ForeignKeyConstraint):
            if not self.as_sql:
                require_parents(self._connection, self._reflect(const.table.name, const.table.schema), const)
            return
        if becomes_index(const):
            self.create_index(index_of(const))
        else:
            self._rebuild(const.table.name, const.table.schema, lambda batch: batch.add_constraint(const))

    def drop_constraint(self, const: Any, **_: Any) -> None:
        """The index of a named unique constraint, nothing for a foreign key, a rebuild for others."""
        known = self._resolve(const)
        if isinstance(known, Index):
            self.drop_index(known)
        elif known is not None:
            self._rebuild(const.table.name, const.table.schema, lambda batch: batch.drop_constraint(known))

    def create_table(self, table: Table, **options: Any) -> None:
        """The table; its named unique constraints are indexes."""
        super().create_table(table, **options)
        self._made.add((table.schema, table.name))
        if table.indexes or any(becomes_index(each) for each in table.constraints):
            self._indexed.add((table.schema, table.name))

    def create_index(self, index: Index, **options: Any) -> None:
        """The index, after a rebuild where rows that this transaction changed would be in its way."""
        table = index.table
        assert table is not None
        if not self.as_sql:
            key = table.schema, table.name
            is_doubtful = bool(index.unique) or key in self._widened or has_updates(self._connection, table)
            if key not in self._made and is_doubtful:
                self._rebuild(table.name, table.schema)
            # It would be told no sooner than the migration is committed, and of which table not at all.
            require_unique(self._connection, index)
        super().create_index(index, **options)
        if comment := self._index_comments.pop(str(index.name), None):
            name = self.dialect.identifier_preparer.format_index(index)
            told = {"of": name, "comment": quoted_text(comment)}
            self._exec(DDL("COMMENT ON INDEX %(of)s IS %(comment)s", context=told))  # type: ignore[no-untyped-call]
        self._indexed.add((table.schema, table.name))

    def rename_table(self, old_table_name: str, new_table_name: str, schema: str | None = None) -> None:
        """The table with its indexes, and with the sequences that number its rows."""
        if self.as_sql:
            super().rename_table(old_table_name, new_table_name, schema)
            return
        if (schema, old_table_name) in self._indexed or self._inspector.get_indexes(old_table_name, schema):
            self._copy_table(old_table_name, new_table_name, schema)
        else:
            super().rename_table(old_table_name, new_table_name, schema)
            if (schema, old_table_name) in self._made:
                self._made.add((schema, new_table_name))
        follow_sequences(
            self._connection, Table(new_table_name, MetaData(), schema=schema), old_table_name, self._renamed
        )
        self._renamed = {}

    def drop_table(self, table: Table, **options: Any) -> None:
        """The table, and the sequences that numbered its rows unless another table uses them by now."""
        if self._kept is not None and table is self._kept.new_table:
            # Alembic calls this while it handles what stopped the copying, which ended DuckDB's transaction, too.
            kept, self._kept = self._kept, None
            error = kept.refused(sys.exc_info()[1])
            if error.__cause__ is None:
                super().drop_table(table, **options)
            raise error
        if self._kept is not None and table is self._kept.old_table:
            # A rebuild, whose new table has the rows by now.
            self._kept.require()
            self._kept = None
        owned = [] if self.as_sql else owned_sequences(self._connection, table)
        super().drop_table(table, **options)
        self._indexed.discard((table.schema, table.name))
        self._made.discard((table.schema, table.name))
        if owned:
            defaults = self._connection.scalars(text("SELECT column_default FROM duckdb_columns()")).all()
            for sequence in owned:
                if not any(is_default(sequence, each, self.dialect) for each in defaults):
                    self._exec(DropSequence(sequence, if_exists=True))

    def find_broken(self, known: Mapping[str, str] | None) -> Mapping[str, str]:
        """The views that cannot be read."""
        raw: Any = self._connection.connection.driver_connection
        if known is not None:
            return broken_views(raw, but=known, ends_transaction=True)
        # By a connection of its own: in a transaction an error would end it.
        with raw.duplicate() as other:
            return broken_views(other, ends_transaction=False)

    # -- batches -------------------------------------------------------------------------------------------

    def requires_recreate_in_batch(self, batch_op: BatchOperationsImpl) -> bool:
        """Whether one of the operations needs a rebuild; then a single one does them all."""
        if self.as_sql or not any(self._needs_rebuild(batch_op.schema, *each) for each in batch_op.batch):
            return False
        batch_op.batch = [done for each in batch_op.batch if (done := self._for_rebuild(*each)) is not None]
        return True

    def _needs_rebuild(
        self, schema: str | None, operation: str, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> bool:
        match operation:
            case "add_column":
                return _is_constrained(arguments[1])
            case "alter_column":
                return not self._alters_in_place(*arguments, **{"schema": schema, **options})
            case "add_constraint":
                return not isinstance(arguments[0], ForeignKeyConstraint) and not becomes_index(arguments[0])
            case "drop_constraint":
                return isinstance(self._resolve(arguments[0]), Constraint)
        return operation == "drop_column"

    def _for_rebuild(
        self, operation: str, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> tuple[str, tuple[Any, ...], dict[str, Any]] | None:
        """The operation on what reflection shows: no foreign keys, indexes for named unique constraints."""
        match operation:
            case "add_column":
                arguments[1].unique = arguments[1].index = False
            case "add_constraint" if isinstance(arguments[0], ForeignKeyConstraint):
                self.add_constraint(arguments[0])
                return None
            case "add_constraint" if becomes_index(arguments[0]):
                return "create_index", (index_of(arguments[0]),), {}
            case "create_table_comment" | "drop_table_comment":
                # Alembic counts on the new table to bring it; a rebuild here keeps the one that is there.
                getattr(self, operation)(*arguments)
                return None
            case "drop_constraint":
                known = self._resolve(arguments[0])
                if known is None:
                    return None
                return ("drop_index" if isinstance(known, Index) else operation), (known,), {}
        return operation, arguments, options

    def _alters_in_place(
        self,
        table_name: str,
        column_name: str,
        *,
        schema: str | None = None,
        nullable: bool | None = None,
        name: str | None = None,
        type_: TypeEngine[Any] | None = None,
        **_: Any,
    ) -> bool:
        """Whether no rebuild is needed, because the column is as wanted or DuckDB can do it."""
        columns = {column["name"]: column for column in self._inspector.get_columns(table_name, schema)}
        if column_name not in columns:
            raise CommandError(f"{table_name} has no column {column_name!r}.")
        current = columns[column_name]
        if nullable is not None and nullable != current["nullable"]:
            return False
        if type_ is not None and self._definition(type_) != self._definition(current["type"]):
            return False
        return name is None or not self._inspector.get_indexes(table_name, schema)

    def _resolve(self, constraint: Any) -> Constraint | Index | None:
        """What DuckDB has for a constraint that is to be dropped; None for a foreign key, which it has not.

        Raises:
            CommandError: there is no such constraint.
        """
        if isinstance(constraint, ForeignKeyConstraint):
            return None
        table = self._reflect(constraint.table.name, constraint.table.schema)
        if isinstance(constraint, PrimaryKeyConstraint):
            return table.primary_key
        known: list[Constraint | Index] = [*table.indexes, *table.constraints]
        for each in known:
            if each.name == constraint.name:
                return each
        if not isinstance(constraint, UniqueConstraint | CheckConstraint):
            # Its kind was not given. Only a foreign key's name is unknown here.
            return None
        raise CommandError(f"{table.name} has no constraint {constraint.name!r}.")

    # -- comparison ----------------------------------------------------------------------------------------

    def correct_for_autogen_constraints(
        self,
        conn_uniques: set[Any],
        conn_indexes: set[Any],
        metadata_unique_constraints: set[Any],
        metadata_indexes: set[Any],
    ) -> None:
        """A nameless `UNIQUE` in a table is the models' constraint over the same columns."""
        models = {frozenset(each.columns.keys()): each.name for each in metadata_unique_constraints}
        present = {each.name for each in conn_uniques}
        for unique in conn_uniques:
            name = models.get(frozenset(unique.columns.keys()))
            if name is not None and name not in present:
                unique.name = name

    def correct_for_autogen_foreignkeys(self, conn_fks: set[Any], metadata_fks: set[Any]) -> None:
        """None are compared but those that are told."""
        for keys in (conn_fks, metadata_fks):
            for each in [each for each in keys if (each.table.schema, each.table.name) not in self.told_foreign_keys]:
                keys.discard(each)

    def compare_indexes(self, metadata_index: Index, reflected_index: Index) -> ComparisonResult:
        """By columns. DuckDB rewrites expressions, so indexes over some are equal when their names are."""
        if is_expression_index(metadata_index) or is_expression_index(reflected_index):
            return ComparisonResult.Skip("DuckDB rewrites expressions")
        return super().compare_indexes(metadata_index, reflected_index)

    def _compare_index_unique(self, metadata_index: Index, reflected_index: Index) -> str | None:
        if is_enforced(metadata_index) == bool(reflected_index.unique):
            return None
        return super()._compare_index_unique(metadata_index, reflected_index)

    # -- rebuilding ----------------------------------------------------------------------------------------

    def cast_for_batch_migrate(
        self, existing: Column[Any], existing_transfer: dict[str, Any], new_type: TypeEngine[Any]
    ) -> None:
        """Always say the new type: DuckDB casts few types by itself. It rounds and cuts: that is refused."""
        column = existing_transfer["expr"]
        types = self._definition(existing.type), self._definition(new_type)
        require_kept(self._connection, column, new_type, types)
        existing_transfer["expr"] = cast(existing_transfer["expr"], new_type)

    def prep_table_for_batch(self, batch_impl: ApplyBatchImpl, table: Table) -> None:
        """Keep the comment, copy no computed column, and let expressions and indexes follow the columns."""
        assert batch_impl.new_table is not None
        require_rebuildable(self._connection, batch_impl, table)
        batch_impl.new_table.comment = table.comment
        for key, column in batch_impl.columns.items():
            if column.computed is not None:
                batch_impl.column_transfers[key].pop("expr", None)
        follow_columns(batch_impl, table)
        self._kept = Kept(self._connection, batch_impl, table, self._changes_type)
        self._index_comments = self._kept.index_comments
        self._renamed = {str(column.name): key for key, column in batch_impl.columns.items()}

    def _changes_type(self, old: Column[Any], new: Column[Any]) -> bool:
        return self._definition(old.type) != self._definition(new.type)

    def _rebuild(
        self, table_name: str, schema: str | None, change: Callable[[ApplyBatchImpl], None] = lambda _: None
    ) -> None:
        batch = ApplyBatchImpl(self, self._reflect(table_name, schema), (), {}, reflected=True)
        change(batch)
        batch._create(self)  # noqa: SLF001 - what Alembic's batch mode itself does at its end

    def _copy_table(self, old_name: str, new_name: str, schema: str | None) -> None:
        """Make the table of the new name, fill it and drop the old one."""
        old = self._reflect(old_name, schema)
        require_copyable(self._connection, old)
        new = old.to_metadata(MetaData(), name=new_name)
        indexes = sorted(new.indexes, key=lambda each: str(each.name))
        new.indexes.clear()
        self.create_table(new)
        names = [column.name for column in old.columns if column.computed is None]
        self._exec(new.insert().inline().from_select(names, select(*(old.columns[name] for name in names))))
        self.drop_table(old)
        for index in indexes:
            self.create_index(index)

    # -- the database --------------------------------------------------------------------------------------

    def _reflect(self, table_name: str, schema: str | None) -> Table:
        return Table(table_name, MetaData(), schema=schema, autoload_with=self._connection)

    def _definition(self, type_: TypeEngine[Any]) -> str:
        return self.dialect.type_compiler_instance.process(type_)

    @property
    def _connection(self) -> Connection:
        if self.as_sql or self.connection is None:
            raise CommandError("DuckDB makes this change by copying the table: run it without --sql.")
        return self.connection

    @property
    def _inspector(self) -> Inspector:
        """A fresh one each time: what it shows changes as migrations run."""
        return inspect(self._connection)


def _is_constrained(column: Column[Any]) -> bool:
    """Whether a new column brings more than a type and a default."""
    return bool(not column.nullable or column.computed or column.identity or column.primary_key)
