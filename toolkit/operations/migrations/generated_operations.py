"""What Alembic found to be done, made fit to be written down: for every engine, and both ways."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic.operations import ops

from toolkit.core.implicit_names import implicit_name
from toolkit.operations.migrations.reflected_tables import Comparison, operations_of
from toolkit.operations.migrations.revisions import is_bookkeeping
from toolkit.operations.migrations.sequences import SequenceOp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolkit.operations.migrations.declared_schema import Declared, Place


def review(script: Any, comparison: Comparison) -> ops.UpgradeOps:
    """Let a migration say what is there as the history does, name what has no name, and be undone likewise."""
    upgrade: ops.UpgradeOps = script.upgrade_ops
    without_bookkeeping(upgrade)
    comparison.use_words(upgrade)
    _drop_as_declared(upgrade, comparison.declared)
    _say_as_declared(upgrade, comparison.declared)
    for each in operations_of(upgrade):
        _name(each)
    upgrade.ops = [_with_names(each) if isinstance(each, ops.CreateTableOp) else each for each in upgrade.ops]
    upgrade.ops = [part for each in upgrade.ops for part in _parts(each)]
    # Sequences go after what takes numbers from them.
    upgrade.ops.sort(key=lambda each: isinstance(each, SequenceOp) and not each.makes)
    upgrade.reverse_into(script.downgrade_ops)
    return upgrade


def without_bookkeeping(upgrade: ops.UpgradeOps) -> None:
    """Leave out the tables in which the tools keep their own records; an application's `env.py` does not know them."""
    upgrade.ops = [each for each in upgrade.ops if not is_bookkeeping(str(getattr(each, "table_name", "")))]


def _drop_as_declared(upgrade: ops.UpgradeOps, declared: Declared) -> None:
    """Let tables that go come again as the history made them, and go before those that they point at."""
    dropped = {(each.schema, each.table_name): each for each in upgrade.ops if isinstance(each, ops.DropTableOp)}
    if not dropped:
        return
    metadata = sa.MetaData()
    tables = {}
    for place, operation in dropped.items():
        there, said = operation.to_table(), declared.tables.get(place)
        if said is not None and said.columns.keys() == set(there.columns.keys()):
            there = said.to_table(place)
        tables[place] = there.to_metadata(metadata)
    rest = [each for each in upgrade.ops if not _is_of(each, dropped)]
    for place in _children_first(tables):
        table = tables[place]
        said = declared.tables.get(place)
        rest += [
            ops.ModifyTableOps(table.name, [ops.DropIndexOp.from_index(each)], schema=table.schema)
            for each in (said.indexes if said is not None else table.indexes)
        ]
        rest.append(ops.DropTableOp.from_table(table))
    upgrade.ops = rest


def _say_as_declared(operations: ops.OpContainer, declared: Declared) -> None:
    """Let constraints and indexes that go come again as the history made them."""
    for position, each in enumerate(operations.ops):
        if isinstance(each, ops.OpContainer):
            _say_as_declared(each, declared)
        elif isinstance(each, ops.DropConstraintOp | ops.DropIndexOp):
            table = declared.tables.get((each.schema, str(each.table_name)))
            name = each.constraint_name if isinstance(each, ops.DropConstraintOp) else each.index_name
            said = table.named(str(name)) if table is not None else None
            if isinstance(said, sa.Index):
                operations.ops[position] = ops.DropIndexOp.from_index(said)
            elif said is not None:
                operations.ops[position] = ops.DropConstraintOp.from_constraint(said)


def _with_names(operation: ops.CreateTableOp) -> ops.CreateTableOp:
    """A table whose constraints all have names; the models' own stay as they are."""
    table = operation.to_table().to_metadata(sa.MetaData())
    unnamed = [each for each in table.constraints if each.name is None]
    for each in unnamed:
        if isinstance(each, sa.UniqueConstraint | sa.ForeignKeyConstraint):
            label = "key" if isinstance(each, sa.UniqueConstraint) else "fkey"
            each.name = implicit_name(table.name, [column.name for column in each.columns], label)
    return ops.CreateTableOp.from_table(table) if unnamed else operation


def _parts(operation: ops.MigrateOperation) -> list[ops.MigrateOperation]:
    """The changes of a table apart from those of its indexes over expressions, which no rebuild takes along."""
    if not isinstance(operation, ops.ModifyTableOps):
        return [operation]
    found: list[list[Any]] = [[], [], []]
    for each in operation.ops:
        place = 1
        if isinstance(each, ops.DropIndexOp | ops.CreateIndexOp) and _is_of_expressions(each.to_index()):
            place = 0 if isinstance(each, ops.DropIndexOp) else 2
        found[place].append(each)
    name, schema = operation.table_name, operation.schema
    return [ops.ModifyTableOps(name, part, schema=schema) for part in found if part]


def _is_of_expressions(index: sa.Index) -> bool:
    return any(not isinstance(each, sa.Column) for each in index.expressions)


def _children_first(tables: Mapping[Place, sa.Table]) -> list[Place]:
    """In an order in which they can go; those that point at one another in any."""
    names = {table.fullname: place for place, table in tables.items()}
    order: TopologicalSorter[Place] = TopologicalSorter(dict.fromkeys(sorted(tables, key=str), ()))
    for place, table in tables.items():
        parents = (each.target_fullname.rpartition(".")[0] for each in table.foreign_keys)
        order.add(place, *(names[parent] for parent in parents if parent in names and names[parent] != place))
    try:
        return [*order.static_order()][::-1]
    except CycleError:
        return sorted(tables, key=str)


def _is_of(operation: Any, places: Any) -> bool:
    return (getattr(operation, "schema", None), getattr(operation, "table_name", None)) in places


def _name(operation: Any) -> None:
    """Give a constraint without a name the one that PostgreSQL gives: SQLite and DuckDB find it by that again."""
    match operation:
        case ops.CreateUniqueConstraintOp() if operation.constraint_name is None:
            operation.constraint_name = implicit_name(operation.table_name, operation.columns, "key")
        case ops.CreateForeignKeyOp() if operation.constraint_name is None:
            operation.constraint_name = implicit_name(operation.source_table, operation.local_cols, "fkey")
        case ops.DropConstraintOp() if operation.constraint_name is None and operation._reverse is not None:  # noqa: SLF001
            reverse: Any = operation._reverse  # noqa: SLF001 - what it was made from
            _name(reverse)
            operation.constraint_name = reverse.constraint_name
