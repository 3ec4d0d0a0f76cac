"""Alembic for SQLite, with what SQLAlchemy's reflection and Alembic's batch mode lose."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from alembic.ddl.impl import ComparisonResult
from alembic.ddl.sqlite import SQLiteImpl as AlembicSQLiteImpl
from alembic.operations.batch import ApplyBatchImpl
from alembic.util import CommandError
from sqlalchemy import (
    BINARY,
    INTEGER,
    VARBINARY,
    Column,
    Connection,
    Constraint,
    ForeignKeyConstraint,
    Insert,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
    inspect,
    text,
)
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.schema import CreateSequence, DropSequence
from sqlalchemy.sql.functions import next_value

from toolkit.core.implicit_names import implicit_name
from toolkit.engines.portable.alembic_batch import (
    Unnamed,
    follow_columns,
    unnamed_constraints,
    without_unnamed,
)
from toolkit.engines.portable.changed_types import require_unique
from toolkit.engines.portable.migration_steps import CheckedSteps, is_record
from toolkit.engines.sqlite.constraints import constraint_names, is_strict
from toolkit.engines.sqlite.declared_kinds import kind_of, strict_type
from toolkit.engines.sqlite.dependents import broken_dependents, orphaned
from toolkit.engines.sqlite.orphaned_rows import Parentless
from toolkit.engines.sqlite.rebuild import Rebuild
from toolkit.engines.sqlite.refused_copy import refused_copy
from toolkit.errors import MigrationError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from alembic.operations.batch import BatchOperationsImpl
    from sqlalchemy import Index, Inspector
    from sqlalchemy.types import TypeEngine

_BINARY_TYPES: dict[str, type[BINARY | VARBINARY]] = {"BINARY": BINARY, "VARBINARY": VARBINARY}
_DECLARED = re.compile(r"(BINARY|VARBINARY)(?:\((\d+)\))?", re.IGNORECASE)


class SQLiteImpl(CheckedSteps, AlembicSQLiteImpl):
    """Sees binary columns (Advanced Alchemy's UUIDs) as what they are; makes tables anew without losing anything.

    Reflected as SQLAlchemy does, `BINARY(16)` is `NUMERIC(16)`: every comparison would find a difference, and
    a table that batch mode copies would be made with that type.
    """

    __dialect__ = "sqlite"
    # The engines that this package gives to migrations begin a transaction before DDL, too.
    transactional_ddl = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rebuild: Rebuild | None = None
        self._records = False
        self._dropped_indexes: set[str] = set()
        # Those without a name that are to go, by what they are and their columns.
        self._dropped_unnamed: list[Unnamed] = []
        # Those of which reflection has not the name, as it is quoted in another way than SQLAlchemy's.
        self._dropped_names: set[str] = set()

    # -- operations outside of batches -----------------------------------------------------------------------

    def alter_column(self, table_name: str, column_name: str, *, schema: str | None = None, **options: Any) -> None:
        """In place if it only gives another name; SQLite itself can do no more."""
        if self.as_sql or _is_renaming("alter_column", (), options):
            super().alter_column(table_name, column_name, schema=schema, **options)
            return
        self._require_columns(table_name, schema, {column_name})
        self._make_anew(table_name, schema, lambda batch: batch.alter_column(table_name, column_name, **options))

    def add_constraint(self, const: Any, **options: Any) -> None:
        """By making the table anew; those of types are left out where the type needs none here."""
        rule = const._create_rule  # noqa: SLF001 - as Alembic's own implementation asks
        if self.as_sql or not (rule is None or rule(self)):
            super().add_constraint(const, **options)
            return
        _give_name(const)
        self._make_anew(const.table.name, const.table.schema, lambda batch: batch.add_constraint(const))

    def drop_constraint(self, const: Any, **options: Any) -> None:
        """By making the table anew."""
        if self.as_sql or const._create_rule is not None:  # noqa: SLF001 - as Alembic's own implementation asks
            super().drop_constraint(const, **options)
            return
        table_name, schema = const.table.name, const.table.schema
        is_taken = self._drops_itself(str(const.name), table_name, schema)
        self._make_anew(table_name, schema, lambda batch: None if is_taken else batch.drop_constraint(const))

    def add_column(self, table_name: str, column: Column[Any], *, schema: str | None = None, **options: Any) -> None:
        """In place if SQLite can; it knows no sequences."""
        _without_sequence(column)
        try:
            super().add_column(table_name, column, schema=schema, **options)
        except (OperationalError, IntegrityError) as error:
            # Made anew, a STRICT table gets a type that it takes, and a row that breaks a CHECK is named.
            if not re.match("cannot add a|.*unknown datatype|check constraint", str(error.orig).lower()):
                raise
            added = column._copy()  # noqa: SLF001 - as Alembic's batch mode does
            # A constraint of it is added by itself.
            added.unique = None
            self._make_anew(table_name, schema, lambda batch: batch.add_column(table_name, added))

    def drop_column(self, table_name: str, column: Column[Any], *, schema: str | None = None, **options: Any) -> None:
        """In place if SQLite can; else with the indexes and constraints that it is part of, as everywhere."""
        try:
            super().drop_column(table_name, column, schema=schema, **options)
        except OperationalError:
            self._require_columns(table_name, schema, {column.name})
            self._make_anew(table_name, schema, lambda batch: batch.drop_column(table_name, column))

    def _make_anew(self, table_name: str, schema: str | None, change: Callable[[ApplyBatchImpl], None]) -> None:
        listeners = [("column_reflect", self.autogen_column_reflect)]
        bind = self.connection
        table = Table(table_name, MetaData(), schema=schema, autoload_with=bind, listeners=listeners)
        batch = ApplyBatchImpl(self, table, (), {}, reflected=True)
        change(batch)
        batch._create(self)  # noqa: SLF001 - what Alembic's batch mode itself does at its end

    def _require_columns(self, table_name: str, schema: str | None, names: Collection[str]) -> None:
        assert self.connection is not None
        there = {each["name"] for each in inspect(self.connection).get_columns(table_name, schema)}
        if missing := {*names} - there:
            raise CommandError(f"{table_name} has no column {', '.join(map(repr, sorted(missing)))}.")

    def find_broken(self, known: Mapping[str, str] | None) -> Mapping[str, str]:
        """The views that cannot be read, the triggers that cannot run, the foreign keys without a table."""
        assert self.connection is not None
        if known is None:
            self._parentless = Parentless(self.connection, self._keeps_values)
        else:
            self._parentless.require_none_more()
        return broken_dependents(self.connection, "main", None) | orphaned(self.connection)

    def _keeps_values(self) -> bool:
        """Whether what runs is the record of a migration, or makes a table anew whose values stay what they are."""
        return self._records or (self._rebuild is not None and not self._rebuild.converts)

    # -- batches -------------------------------------------------------------------------------------------

    def requires_recreate_in_batch(self, batch_op: BatchOperationsImpl) -> bool:
        """Whether the table has to be made anew."""
        if self._dropped_unnamed or self._dropped_names:
            # It was asked before.
            return True
        _give_names(batch_op.batch)
        if all(_is_renaming(*each) for each in batch_op.batch):
            return False
        if not any(map(_adds_required, batch_op.batch)) and not super().requires_recreate_in_batch(batch_op):
            return False
        if not self.as_sql and batch_op.copy_from is None:
            self._require_columns(batch_op.table_name, batch_op.schema, _named_columns(batch_op.batch))
        if not self.as_sql:
            # Alembic looks for them in what was reflected, where indexes over expressions are not. It may ask twice.
            dropped = (arguments[0].name for operation, arguments, _ in batch_op.batch if operation == "drop_index")
            self._dropped_indexes.update(dropped)
            batch_op.batch = [each for each in batch_op.batch if each[0] != "drop_index"]
            batch_op.batch = [
                each
                for each in batch_op.batch
                if each[0] != "drop_constraint"
                or not self._drops_itself(str(each[1][0].name), batch_op.table_name, batch_op.schema)
            ]
            for operation, _, options in batch_op.batch:
                if operation == "alter_column" and options.get("name"):
                    # Alembic would take away the CHECK of an enum, and count on the type to bring another.
                    options.pop("existing_type", None)
        return True

    def cast_for_batch_migrate(
        self, existing: Column[Any], existing_transfer: dict[str, Any], new_type: TypeEngine[Any]
    ) -> None:
        """Cast nothing: what has to be converted is, exactly, when the rows are known."""
        wanted = self.dialect.type_compiler_instance.process(new_type)
        if self.as_sql and kind_of(wanted) != kind_of(self.dialect.type_compiler_instance.process(existing.type)):
            raise CommandError(
                f"Whether {existing.name} can become {wanted} depends on the rows: run it without --sql."
            )

    def prep_table_for_batch(self, batch_impl: ApplyBatchImpl, table: Table) -> None:
        """Look whether the table can be made anew, before anything is."""
        if self.as_sql:
            follow_columns(batch_impl, table)
            return
        assert self.connection is not None
        self._require_no_remains(batch_impl.temp_table_name, table)
        dropped, self._dropped_indexes = self._dropped_indexes, set()
        unnamed, self._dropped_unnamed = self._dropped_unnamed, []
        names, self._dropped_names = self._dropped_names, set()
        without_unnamed(batch_impl, unnamed)
        self._rebuild = Rebuild(self.connection, batch_impl, table, dropped, names)

    def _require_no_remains(self, name: str, table: Table) -> None:
        assert self.connection is not None
        if inspect(self.connection).has_table(name, table.schema):
            raise MigrationError(
                f"{table.fullname} cannot be changed in this way: there is a table {name}, which a migration of "
                "Alembic alone leaves behind when it is interrupted.",
                f"If {table.name} has all its rows, drop {name} (before this migration, or in it by op.execute); if "
                "not, they are in the other.",
            )

    def _drops_itself(self, name: str, table_name: str, schema: str | None) -> bool:
        """Whether a constraint is one that Alembic does not find by its name; then the rebuild takes it away.

        That is one without a name, by that which it has elsewhere, or one that SQLAlchemy's reflection does not tell.
        """
        assert self.connection is not None
        there = unnamed_constraints(inspect(self.connection), table_name, schema)
        table = Table(table_name, MetaData(), schema=schema, autoload_with=self.connection)
        names = constraint_names(self.connection, schema or "main", table_name)
        if name in there:
            self._dropped_unnamed.append(there[name])
        elif name not in {str(each.name) for each in table.constraints} and name.lower() in names:
            self._dropped_names.add(name)
        else:
            return False
        return True

    def create_table(self, table: Table, **options: Any) -> None:
        """The table, or the new one of a rebuild."""
        if self._rebuild is not None and table is self._rebuild.new_table:
            self._rebuild.create()
        else:
            for column in table.columns:
                _without_sequence(column)
            self._require_schema(table)
            super().create_table(table, **options)

    def _require_schema(self, table: Table) -> None:
        if self.as_sql or table.schema is None or self.connection is None:
            return
        if table.schema not in inspect(self.connection).get_schema_names():
            raise MigrationError(
                f"{table.fullname} cannot be made: SQLite has no schema {table.schema!r}.",
                "Use PostgreSQL or DuckDB, or let the migration leave it out here (op.get_bind().dialect.name).",
            )

    def _exec(self, construct: Any, *arguments: Any, **options: Any) -> Any:
        """Executes it, unless it is of a sequence; of a rebuild, what copies the rows with their numbers."""
        if isinstance(construct, CreateSequence | DropSequence):
            return None
        if self._rebuild is not None and isinstance(construct, Insert) and construct.table is self._rebuild.new_table:
            construct = self._rebuild.copying()
        self._records = is_record(construct)
        try:
            return super()._exec(construct, *arguments, **options)
        finally:
            self._records = False

    def create_index(self, index: Index, **options: Any) -> None:
        """The index; if rows are in its way, names them."""
        try:
            super().create_index(index, **options)
        except IntegrityError:
            assert self.connection is not None
            require_unique(self.connection, index)
            raise

    def drop_table(self, table: Table, **options: Any) -> None:
        """The table; of a rebuild that failed, also all else that it did."""
        if self._rebuild is not None and table is self._rebuild.new_table:
            rebuild, self._rebuild = self._rebuild, None
            rebuild.undo()
            # Alembic calls this while it handles what stopped the copying.
            error = sys.exc_info()[1]
            if isinstance(error, IntegrityError):
                raise refused_copy(rebuild, error) from error
        else:
            super().drop_table(table, **options)

    def rename_table(self, old_table_name: str, new_table_name: str, schema: str | None = None) -> None:
        """The table; of a rebuild this is the last step."""
        if self._rebuild is not None and old_table_name == self._rebuild.new_table.name:
            rebuild, self._rebuild = self._rebuild, None
            rebuild.finish()
        else:
            super().rename_table(old_table_name, new_table_name, schema)

    # -- comparison ----------------------------------------------------------------------------------------

    def correct_for_autogen_constraints(
        self,
        conn_unique_constraints: set[Any],
        conn_indexes: set[Any],
        metadata_unique_constraints: set[Any],
        metadata_indexes: set[Any],
    ) -> None:
        """Leave out the indexes that are there, but over expressions: reflection does not show those."""
        assert self.connection is not None
        shown = {each.name for each in conn_indexes}
        for index in list(metadata_indexes):
            schema = self.dialect.identifier_preparer.quote(index.table.schema or "main")
            query = text(f"SELECT 1 FROM {schema}.sqlite_master WHERE type = 'index' AND name = :name")
            if index.name not in shown and self.connection.scalar(query, {"name": index.name}):
                metadata_indexes.discard(index)

    def compare_indexes(self, metadata_index: Index, reflected_index: Index) -> ComparisonResult:
        """By columns: what else an index is of, or in which order, SQLite's reflection does not show."""
        if any(not isinstance(each, Column) for each in metadata_index.expressions):
            return ComparisonResult.Skip("SQLite does not report it")
        return super().compare_indexes(metadata_index, reflected_index)

    def compare_type(self, inspector_column: Column[Any], metadata_column: Column[Any]) -> bool:
        """Whether a migration would change the type; a rebuild leaves the number of rows INTEGER, of whatever size."""
        is_number = type(inspector_column.type) in {INTEGER, Integer} and [*inspector_column.table.primary_key] == [
            inspector_column
        ]
        wanted = self.dialect.type_compiler_instance.process(metadata_column.type)
        if is_number and kind_of(wanted) == "integer":
            return False
        there = self.dialect.type_compiler_instance.process(inspector_column.type)
        table = inspector_column.table
        assert self.connection is not None
        # ANY is reflected as NUMERIC.
        is_alike = there != wanted and strict_type(there) == strict_type(wanted)
        if is_alike and is_strict(self.connection, table.schema or "main", table.name):
            return False
        return super().compare_type(inspector_column, metadata_column)

    def autogen_column_reflect(self, inspector: Inspector, table: Table, column_info: dict[str, Any]) -> None:
        """Replace the type by the declared one."""
        super().autogen_column_reflect(inspector, table, column_info)
        query = text("SELECT type FROM pragma_table_xinfo(:table, :schema) WHERE name = :column")
        parameters = {"table": table.name, "schema": table.schema or "main", "column": column_info["name"]}
        assert isinstance(inspector.bind, Connection)
        declared = _DECLARED.fullmatch(inspector.bind.scalar(query, parameters) or "")
        if declared:
            length = int(declared[2]) if declared[2] else None
            column_info["type"] = _BINARY_TYPES[declared[1].upper()](length)


def _without_sequence(column: Column[Any]) -> None:
    """Let a column have no default that only a sequence gives; a key of whole numbers counts by itself."""
    if isinstance(getattr(column.server_default, "arg", None), next_value):
        column.server_default = None


def _give_names(operations: list[tuple[str, tuple[Any, ...], dict[str, Any]]]) -> None:
    """Name the constraints that operations of a batch add without a name."""
    for operation, arguments, _ in operations:
        if operation == "add_constraint":
            _give_name(arguments[0])
        elif operation == "add_column":
            # Its constraint is an operation of its own.
            arguments[1].unique = None


def _give_name(constraint: Constraint) -> None:
    """Name it as PostgreSQL would if it has no name: Alembic's batch mode takes none without."""
    kinds = ((UniqueConstraint, "key"), (ForeignKeyConstraint, "fkey"))
    label = next((label for kind, label in kinds if isinstance(constraint, kind)), None)
    if constraint.name is None and label is not None:
        columns = [each.name for each in getattr(constraint, "columns", ())]
        constraint.name = implicit_name(str(constraint.table.name), columns, label)


def _named_columns(operations: list[tuple[str, tuple[Any, ...], dict[str, Any]]]) -> set[str]:
    """The columns that operations of a batch change or drop, but for those that it adds."""
    added = {arguments[1].name for operation, arguments, _ in operations if operation == "add_column"}
    altered = {arguments[1] for operation, arguments, _ in operations if operation == "alter_column"}
    dropped = {arguments[1].name for operation, arguments, _ in operations if operation == "drop_column"}
    return {str(each) for each in altered | dropped} - added


def _adds_required(each: tuple[str, tuple[Any, ...], dict[str, Any]]) -> bool:
    """Whether it adds a column that has to have a value, and has none; SQLite itself refuses it without rows, too."""
    operation, arguments, _ = each
    if operation != "add_column":
        return False
    column: Column[Any] = arguments[1]
    return not column.nullable and column.server_default is None and column.computed is None


def _is_renaming(operation: str, _: tuple[Any, ...], options: dict[str, Any]) -> bool:
    """Whether it only gives a column another name, which SQLite does by itself, wherever that stands."""
    if operation != "alter_column" or not options.get("name"):
        return False
    unchanged = {"nullable": None, "server_default": False, "type_": None, "autoincrement": None, "comment": False}
    return all(options.get(key, value) is value for key, value in unchanged.items())
