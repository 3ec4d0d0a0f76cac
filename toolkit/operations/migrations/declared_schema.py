"""The schema as its history declares it: what the migrations say, without a database.

No engine tells all of it: SQLite knows no time zones, DuckDB keeps no foreign keys and no lengths, and each one spells
types and defaults its own way. What a migration made from there recreates is to be said as the history said it.
"""

from __future__ import annotations

import io
import warnings
from contextlib import contextmanager, redirect_stdout, suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from alembic.operations import Operations, ops
from alembic.operations.base import BatchOperations
from alembic.runtime.migration import MigrationContext
from msgspec import Struct, field
from sqlalchemy import (
    CheckConstraint,
    Column,
    Constraint,
    ForeignKeyConstraint,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Sequence,
    Table,
    TextClause,
    UniqueConstraint,
)
from sqlalchemy.schema import CreateSequence, DropSequence
from sqlalchemy.types import to_instance

from toolkit.core.implicit_names import implicit_name
from toolkit.engines.portable.alembic_batch import with_names
from toolkit.operations.migrations.offline_database import SilentConnection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from alembic.script import ScriptDirectory
    from sqlalchemy import Dialect

Place = tuple[str | None, str]
"""A table's schema and name."""


class DeclaredTable(Struct):
    """One table, as far as the migrations say of what it is made."""

    columns: dict[str, Column[Any]] = field(default_factory=dict)
    constraints: list[Constraint] = field(default_factory=list)
    indexes: list[Index] = field(default_factory=list)
    comment: str | None = None

    def add(self, table: Table) -> None:
        """Take what a table, or what stands for one, holds."""
        self.columns |= {column.name: column for column in table.columns}
        self.constraints += [_named(each) for each in table.constraints if not getattr(each, "_type_bound", False)]
        self.indexes += table.indexes

    def without_column(self, name: str) -> None:
        """Take a column away, and what is of it."""
        self.columns.pop(name, None)
        self.constraints = [each for each in self.constraints if name not in _columns_of(each)]
        self.indexes = [each for each in self.indexes if name not in each.columns.keys()]  # noqa: SIM118 - no dict

    def follow_column(self, old: str, new: str) -> None:
        """Let checks that are written as text, which name their columns nowhere else, name one by its new name."""
        for each in self.constraints:
            if isinstance(each, CheckConstraint) and isinstance(each.sqltext, TextClause):
                each.sqltext = with_names(each.sqltext.text, {old: new})

    def without(self, name: str | None) -> None:
        """Take an index or a constraint away."""
        self.constraints = [each for each in self.constraints if each.name is None or str(each.name) != name]
        self.indexes = [each for each in self.indexes if str(each.name) != name]

    def renamed(self, place: Place) -> DeclaredTable:
        """The same of another name; indexes of more than columns are not known by it."""
        table = self.to_table(place)
        for each in self.indexes:
            names = [str(getattr(part, "name", "")) for part in each.expressions]
            if all(name in table.columns for name in names) and not each.dialect_kwargs:
                Index(str(each.name), *(table.columns[name] for name in names), unique=each.unique)
        found = DeclaredTable(comment=self.comment)
        found.add(table)
        return found

    def named(self, name: str) -> Constraint | Index | None:
        """The constraint or index of that name."""
        found: list[Constraint | Index] = [*self.constraints, *self.indexes]
        return next((each for each in found if each.name is not None and str(each.name) == name), None)

    def to_table(self, place: Place) -> Table:
        """A table of its own."""
        schema, name = place
        table = Table(name, MetaData(), *map(plain_copy, self.columns.values()), schema=schema, comment=self.comment)
        for each in self.constraints:
            if not isinstance(each, PrimaryKeyConstraint):
                table.append_constraint(each._copy())  # noqa: SLF001 - as SQLAlchemy itself copies a table
            elif len(each.columns):
                table.append_constraint(
                    PrimaryKeyConstraint(*each.columns.keys(), name=str(each.name) if each.name else None)
                )
        return table


class Declared(Struct):
    """All tables of a history."""

    tables: dict[Place, DeclaredTable] = field(default_factory=dict)
    sequences: dict[Place, Sequence] = field(default_factory=dict)
    is_whole: bool = True

    def sequence_places(self) -> set[Place]:
        """Those of the history, and what engines make for keys that number themselves, by PostgreSQL's name."""
        keys = {place: table.to_table(place).autoincrement_column for place, table in self.tables.items()}
        implied = {(place[0], f"{place[1]}_{key.name}_seq") for place, key in keys.items() if key is not None}
        return implied | {*self.sequences}

    def index_names(self) -> set[str]:
        """The names of all indexes."""
        return {str(index.name) for table in self.tables.values() for index in table.indexes}

    def column(self, place: Place, name: str) -> Column[Any] | None:
        """What is said of a column, if anything."""
        table = self.tables.get(place)
        return table.columns.get(name) if table else None


def plain_copy(column: Column[Any]) -> Column[Any]:
    """A column without what makes constraints and indexes of its own."""
    copied = column._copy()  # noqa: SLF001 - the public one is deprecated for being no part of a table's copy
    copied.unique = copied.index = None
    return copied


def declared_by(scripts: ScriptDirectory, dialect: Dialect, metadata: MetaData, revisions: Iterable[str]) -> Declared:
    """Let the migrations up to some revisions say what they do, and do nothing.

    One that asks the database finds no rows, and the tables that are declared so far. One that cannot go on with that
    stops there: what it says after that is not known, `is_whole` tells.
    """
    found = Declared()
    options = {"as_sql": True, "output_buffer": io.StringIO(), "target_metadata": metadata}
    context = MigrationContext.configure(dialect=dialect, opts=options)
    names = tuple(revisions)
    walked = list(scripts.iterate_revisions(names, "base")) if names else []
    with redirect_stdout(io.StringIO()), warnings.catch_warnings(), _listening(context, found):
        warnings.simplefilter("ignore")
        for script in reversed(walked):
            try:
                script.module.upgrade()
            except Exception:  # noqa: BLE001 - of a migration, and so any
                found.is_whole = False
    return found


@contextmanager
def _listening(context: MigrationContext, found: Declared) -> Iterator[None]:
    operations: Any = Operations(context)

    def invoke(operation: Any) -> Any:
        # One that says something of what is not known says nothing.
        with suppress(KeyError):
            return _apply(found, operation, operations)
        return None

    @contextmanager
    def batch_alter_table(table_name: str, schema: str | None = None, **_: Any) -> Iterator[Any]:
        place: Any = SimpleNamespace(table_name=table_name, schema=schema)
        batch: Any = BatchOperations(context, impl=place)
        batch.invoke, batch.get_bind = invoke, operations.get_bind
        yield batch

    operations.invoke, operations.batch_alter_table = invoke, batch_alter_table
    operations.get_bind = lambda: SilentConnection(context.dialect, found.tables)
    operations._install_proxy()  # noqa: SLF001 - as `Operations.context` does, whose operations do what they say
    try:
        yield
    finally:
        operations._remove_proxy()  # noqa: SLF001


def _apply(found: Declared, operation: Any, operations: Operations) -> Table | None:
    tables, context = found.tables, operations.migration_context
    place: Place = (getattr(operation, "schema", None), getattr(operation, "table_name", ""))
    match operation:
        case ops.CreateTableOp():
            table = operation.to_table(context)
            tables[place] = DeclaredTable(comment=table.comment)
            tables[place].add(table)
            return table
        case ops.DropTableOp():
            del tables[place]
        case ops.RenameTableOp():
            new = place[0], operation.new_table_name
            tables[new] = tables.pop(place).renamed(new)
            _follow(found, {_dotted(place, name): _dotted(new, name) for name in tables[new].columns})
        case ops.AddConstraintOp():
            constraint = operation.to_constraint(context)
            tables[constraint.table.schema, constraint.table.name].constraints.append(_named(constraint))
        case ops.DropIndexOp() if not place[1]:
            for each in tables.values():
                each.without(str(operation.index_name))
        case ops.ExecuteSQLOp(sqltext=CreateSequence() | DropSequence() as statement):
            _change_sequence(found.sequences, statement)
        case _:
            _change_table(tables[place], operation, operations, place)
            if isinstance(operation, ops.AlterColumnOp) and operation.modify_name is not None:
                names = operation.column_name, operation.modify_name
                tables[place].follow_column(*names)
                _follow(found, {_dotted(place, names[0]): _dotted(place, names[1])})
    return None


def _change_table(table: DeclaredTable, operation: Any, operations: Operations, place: Place) -> None:
    match operation:
        case ops.AddColumnOp():
            column = operation.column if operation.column.table is None else plain_copy(operation.column)
            table.add(operations.schema_obj.table(place[1], column, schema=place[0]))
        case ops.DropColumnOp():
            table.without_column(operation.column_name)
        case ops.AlterColumnOp():
            _alter(table, operation)
        case ops.CreateIndexOp():
            table.indexes.append(operation.to_index(operations.migration_context))
        case ops.DropIndexOp():
            table.without(str(operation.index_name))
        case ops.DropConstraintOp():
            table.without(str(operation.constraint_name))
        case ops.CreateTableCommentOp() | ops.DropTableCommentOp():
            table.comment = getattr(operation, "comment", None)


def _change_sequence(sequences: dict[Place, Sequence], statement: Any) -> None:
    sequence = statement.element
    if isinstance(statement, CreateSequence):
        sequences[sequence.schema, str(sequence.name)] = sequence
    else:
        sequences.pop((sequence.schema, str(sequence.name)), None)


def _alter(table: DeclaredTable, operation: ops.AlterColumnOp) -> None:
    column = table.columns[operation.column_name]
    if operation.modify_type is not None:
        column.type = to_instance(operation.modify_type)
    if operation.modify_server_default is not False:
        column.server_default = Column("a", column.type, server_default=operation.modify_server_default).server_default
    if operation.modify_nullable is not None:
        column.nullable = operation.modify_nullable
    if operation.modify_comment is not False:
        column.comment = operation.modify_comment
    if operation.modify_name is not None:
        # What is of it is not known by the new name: it is left to the engine to tell.
        table.without_column(operation.column_name)
        renamed = plain_copy(column)
        renamed.name = renamed.key = operation.modify_name
        table.columns[operation.modify_name] = renamed


def _dotted(place: Place, column: str) -> str:
    return ".".join(each for each in (*place, column) if each)


def _follow(found: Declared, names: Mapping[str, str]) -> None:
    """Let foreign keys point at what has another name now."""
    for table in found.tables.values():
        table.constraints = [_followed(each, names) for each in table.constraints]


def _followed(constraint: Constraint, names: Mapping[str, str]) -> Constraint:
    if not isinstance(constraint, ForeignKeyConstraint):
        return constraint
    targets = [each.target_fullname for each in constraint.elements]
    if names.keys().isdisjoint(targets):
        return constraint
    options = {each: getattr(constraint, each) for each in ("name", "onupdate", "ondelete", "deferrable", "initially")}
    made = ForeignKeyConstraint(constraint.column_keys, [names.get(each, each) for each in targets], **options)
    of = constraint.table
    Table(of.name, MetaData(), *map(plain_copy, of.columns), made, schema=of.schema)
    return made


def _named(constraint: Constraint) -> Constraint:
    """Under the name by which it can be dropped, if it was given none."""
    if constraint.name is None and isinstance(constraint, UniqueConstraint | ForeignKeyConstraint):
        label = "key" if isinstance(constraint, UniqueConstraint) else "fkey"
        constraint.name = implicit_name(constraint.table.name, _columns_of(constraint), label)
    return constraint


def _columns_of(constraint: Any) -> list[str]:
    return [*getattr(constraint, "columns", {}).keys()]
