"""`--rename SOURCE=TARGET`: the models' tables as a target has them, by other names of tables, schemas and columns.

The target's side is the models once more, in its own names: every statement and every error there has them. What comes
from the source is given these names where its rows are read (`transfer.sources`), and nowhere else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from shlex import quote as shell
from typing import Any

import sqlalchemy as sa
from msgspec import Struct

from toolkit.core.renamed_expressions import renamed_expression
from toolkit.core.tables import TableSpec, table_spec
from toolkit.errors import ConfigurationError, UnknownNameError


class Renames(Struct, frozen=True):
    """The tables in the target's names; by the models' names, those of all tables, and of the columns that differ.

    `not_made` are, by the target's names of tables, the checks and indexes that these do without.
    """

    metadata: sa.MetaData
    tables: Mapping[str, str]
    columns: Mapping[str, Mapping[str, str]]
    not_made: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, metadata: sa.MetaData, given: Mapping[str, str] | None) -> Renames | None:
        """What was asked for, if anything; `given` has names of the target by `TABLE` or `TABLE.COLUMN`.

        Raises:
            UnknownNameError: a table or column that the models do not have.
            ConfigurationError: two would have one name.
        """
        if not given:
            return None
        columns: dict[str, dict[str, str]] = defaultdict(dict)
        tables = {name: given.get(name, name) for name in metadata.tables}
        for name in (each for each in given if each not in tables):
            table, _, column = name.rpartition(".")
            if table not in tables:
                raise UnknownNameError("table", table or name, tables)
            if column not in metadata.tables[table].columns:
                raise UnknownNameError("column", column, metadata.tables[table].columns.keys(), table)
            columns[table][column] = _column_name(given[name], table, tables[table])
        _require_distinct("tables", tables.values())
        for table, renamed in columns.items():
            names = metadata.tables[table].columns.keys()
            _require_distinct(f"columns of {table}", [renamed.get(name, name) for name in names])
        not_made: dict[str, list[str]] = {}
        return cls(_renamed(metadata, tables, columns, not_made), tables, columns, not_made)

    def bound(self, specs: Sequence[TableSpec]) -> tuple[TableSpec, ...]:
        """These tables of the models as the target has them, with what narrows them."""
        return tuple(
            replace(
                table_spec(self.metadata.tables[self.tables[spec.name]]).project(
                    self.column(spec.name, name) for name in spec.column_names
                ),
                key=tuple(self.column(spec.name, name) for name in spec.key),
                conditions=spec.conditions,
                source_conditions=spec.source_conditions,
            )
            for spec in specs
        )

    def column(self, table: str, name: str) -> str:
        """The target's name of a column of the models' table."""
        return self.columns.get(table, {}).get(name, name)

    @property
    def shown(self) -> dict[str, str]:
        """What differs, by the models' names."""
        found = {name: other for name, other in self.tables.items() if name != other}
        for table, renamed in self.columns.items():
            found |= {f"{table}.{name}": f"{self.tables[table]}.{other}" for name, other in renamed.items()}
        return found

    def models_table(self, name: str) -> str:
        """The models' name of a table of the target."""
        return {other: own for own, other in self.tables.items()}.get(name, name)

    def models_column(self, table: str, name: str) -> str:
        """The models' name of a column of the target, in the models' table."""
        return {other: own for own, other in self.columns.get(table, {}).items()}.get(name, name)


def _column_name(given: str, table: str, other_table: str) -> str:
    """The column's new name, which may be given with its table."""
    prefix, _, name = given.rpartition(".")
    if prefix not in ("", table, other_table):
        raise ConfigurationError(
            f"A column of {table} cannot be one of {prefix}.",
            f"Write --rename {shell(table)}.COLUMN={shell(f'{other_table}.{name}')}.",
        )
    return name


def _require_distinct(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ConfigurationError(
                f"Two {what} would have the name {name}.", "Give the other one a --rename of its own, too."
            )
        seen.add(name)


def _renamed(
    metadata: sa.MetaData,
    tables: Mapping[str, str],
    columns: Mapping[str, Mapping[str, str]],
    not_made: dict[str, list[str]],
) -> sa.MetaData:
    copy = sa.MetaData(naming_convention=metadata.naming_convention)
    made = {name: _copied(table, copy, tables[name], columns.get(name, {})) for name, table in metadata.tables.items()}
    for name, table in metadata.tables.items():
        lacking = [*_rename_computed(table, made[name], columns.get(name, {}))]
        lacking += _add_checks(table, made[name], columns.get(name, {}))
        lacking += _add_indexes(table, made[name], columns.get(name, {}))
        if lacking:
            not_made[tables[name]] = lacking
    for name, table in metadata.tables.items():
        for key in table.foreign_key_constraints:
            own, theirs = (columns.get(each, {}) for each in (name, key.referred_table.fullname))
            parent = made[key.referred_table.fullname]
            made[name].append_constraint(
                sa.ForeignKeyConstraint(
                    [own.get(column.name, column.name) for column in key.columns],
                    [parent.c[theirs.get(each.column.name, each.column.name)] for each in key.elements],
                    name=_name(key),
                    onupdate=key.onupdate,
                    ondelete=key.ondelete,
                    deferrable=key.deferrable,
                    initially=key.initially,
                )
            )
    return copy


def _copied(table: sa.Table, metadata: sa.MetaData, other: str, own: Mapping[str, str]) -> sa.Table:
    """A table under its other names, with its keys."""
    schema, name = _parts(other, table)
    own = {column.name: own.get(column.name, column.name) for column in table.columns}
    parts: list[Any] = [_column(column, own) for column in table.columns]
    options: dict[str, Any]
    for each in table.constraints:
        if isinstance(each, sa.PrimaryKeyConstraint | sa.UniqueConstraint) and each.columns:
            kind = sa.PrimaryKeyConstraint if isinstance(each, sa.PrimaryKeyConstraint) else sa.UniqueConstraint
            names = (own.get(column.name, column.name) for column in each.columns)
            options = {"deferrable": each.deferrable, "initially": each.initially, **_options(each, own)}
            parts.append(kind(*names, name=_name(each), **options))
    return sa.Table(
        name,
        metadata,
        *parts,
        schema=schema,
        comment=table.comment,
        info=dict(table.info),
        **_options(table, {}),
    )


def _rename_computed(table: sa.Table, made: sa.Table, own: Mapping[str, str]) -> Iterator[str]:
    """Let columns be generated from those that have other names; those are told that become plain ones."""
    for column in (each for each in table.columns if each.computed is not None):
        assert column.computed is not None
        copy = made.c[own.get(column.name, column.name)]
        expression = renamed_expression(column.computed.sqltext, own, table, made)
        if expression is None:
            yield f"how {column.name} is generated"
            copy.computed = copy.server_default = None
        elif copy.computed is not None:
            copy.computed.sqltext = expression


def _add_checks(table: sa.Table, made: sa.Table, own: Mapping[str, str]) -> Iterator[str]:
    """Give a table its checks; those are told that it does without."""
    checks = (each for each in table.constraints if isinstance(each, sa.CheckConstraint))
    # Those of a type come with its column.
    for each in sorted((c for c in checks if not getattr(c, "_type_bound", False)), key=lambda c: str(c.sqltext)):
        expression = renamed_expression(each.sqltext, own, table, made)
        if expression is None:
            yield f"the check {_name(each) or each.sqltext}"
        else:
            made.append_constraint(sa.CheckConstraint(expression, name=_name(each)))


def _add_indexes(table: sa.Table, made: sa.Table, own: Mapping[str, str]) -> Iterator[str]:
    """Give a table its indexes; those are told that it does without."""
    for index in sorted(table.indexes, key=lambda each: str(each.name)):
        expressions = [renamed_expression(each, own, table, made) for each in index.expressions]
        options = {name: _option(name, value, own, table, made) for name, value in index.dialect_kwargs.items()}
        if any(each is None for each in expressions) or _LOST in options.values():
            yield f"the index {index.name}"
        else:
            copy: Any = sa.Index(index.name, *expressions, unique=index.unique, **options)
            made.append_constraint(copy)


# Of an option that is an expression for which there is none.
_LOST = object()


def _option(name: str, value: Any, own: Mapping[str, str], table: sa.Table, made: sa.Table) -> Any:
    """An index's option of one engine: a condition, or what it says of columns by their names."""
    if value is None:
        return None
    if name.endswith("_where"):
        found = renamed_expression(value, own, table, made)
        return _LOST if found is None else found
    if name.endswith("_ops"):
        return {own.get(column, column): operators for column, operators in value.items()}
    if name.endswith("_include"):
        return [own.get(getattr(each, "name", each), getattr(each, "name", each)) for each in value]
    return value


def _options(item: sa.Table | sa.Constraint, own: Mapping[str, str]) -> dict[str, Any]:
    """What it has of SQLAlchemy's options for single engines."""
    return {name: _listed(value, own) for name, value in item.dialect_kwargs.items()}


def _listed(value: Any, own: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [own.get(each, each) if isinstance(each, str) else each for each in value]
    return {own.get(key, key): each for key, each in value.items()} if isinstance(value, dict) else value


def _parts(name: str, table: sa.Table) -> tuple[str | None, str]:
    """Schema and name; of a table that stays in its schema, either may have dots."""
    if name == table.fullname:
        return table.schema, table.name
    if table.schema is not None and name.startswith(f"{table.schema}."):
        return table.schema, name.removeprefix(f"{table.schema}.")
    schema, _, plain = name.rpartition(".")
    return schema or None, plain


def _name(constraint: sa.Constraint) -> str | None:
    return str(constraint.name) if isinstance(constraint.name, str) else None


def _column(column: sa.Column[Any], names: Mapping[str, str]) -> sa.Column[Any]:
    made = column._copy()  # noqa: SLF001 - what `Table.to_metadata` makes copies by; it knows no other names
    if column.name in names:
        made.name = made.key = names[column.name]
    # Among the table's own: an index or a key of one column would be made twice.
    made.index = made.unique = None
    made.constraints.clear()
    return made
