"""The constraints of a table: as the models say them, and as SQLAlchemy's reflection gives them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from toolkit.core.constraints import Check, Constraints, ForeignKey, UniqueKey
from toolkit.core.tables import TableSpec
from toolkit.engines.portable.unknown_types import types_unknown

# What an engine does without being told.
_USUAL_ACTION = "NO ACTION"


def modelled(
    table: sa.Table, dialect: str, is_unique: Callable[[sa.Index], bool], *, with_foreign_keys: bool
) -> Constraints:
    """What the models say of a table, as far as `dialect` (the name of its options) makes it so."""
    keys = [UniqueKey(tuple(c.name for c in table.primary_key.columns))] if table.primary_key.columns else []
    foreign_keys = tuple(_modelled_foreign_key(each) for each in table.foreign_key_constraints)
    return Constraints(
        key=frozenset(table.primary_key.columns.keys()),
        unique=(
            *keys,
            *(
                UniqueKey(tuple(c.name for c in each.columns), _name(each))
                for each in table.constraints
                if isinstance(each, sa.UniqueConstraint)
            ),
            *(_modelled_index(each, dialect) for each in table.indexes if is_unique(each)),
        ),
        foreign_keys=foreign_keys if with_foreign_keys else None,
        checks=tuple(
            Check(str(each.sqltext), _name(each)) for each in table.constraints if isinstance(each, sa.CheckConstraint)
        ),
        not_null=frozenset(column.name for column in table.columns if not column.nullable),
        collations={c.name: name for c in table.columns if (name := getattr(c.type, "collation", None))},
        others=tuple(str(each.name) for each in table.constraints if each.__visit_name__ == "exclude_constraint"),
    )


def _name(constraint: sa.Constraint | sa.Index) -> str | None:
    return str(constraint.name) if isinstance(constraint.name, str) else None


def _modelled_index(index: sa.Index, dialect: str) -> UniqueKey:
    expressions = list(index.expressions)
    condition = index.dialect_options[dialect].get("where")
    return UniqueKey(
        tuple(each.name if isinstance(each, sa.Column) else str(each) for each in expressions),
        _name(index),
        None if condition is None else str(condition),
        has_expressions=not all(isinstance(each, sa.Column) for each in expressions),
    )


def _modelled_foreign_key(key: sa.ForeignKeyConstraint) -> ForeignKey:
    return ForeignKey(tuple(c.name for c in key.columns), key.referred_table.name, foreign_key_options(key))


def foreign_key_options(key: sa.ForeignKeyConstraint) -> tuple[str, ...]:
    """The options of a model's foreign key, as `option_texts` gives them."""
    names = ("ondelete", "onupdate", "deferrable", "initially")
    return tuple(option_texts({name: getattr(key, name) for name in names}))


def option_texts(options: Mapping[str, Any]) -> Iterator[str]:
    """The options of a foreign key that are not the usual ones, as SQL says them."""
    for name, words in (("ondelete", "ON DELETE"), ("onupdate", "ON UPDATE")):
        action = (options.get(name) or _USUAL_ACTION).upper()
        if action != _USUAL_ACTION:
            yield f"{words} {action}"
    if options.get("deferrable") and (options.get("initially") or "").upper() == "DEFERRED":
        yield "DEFERRABLE INITIALLY DEFERRED"


def reflected(connection: sa.Connection, specs: Sequence[TableSpec]) -> dict[str, Constraints]:
    """What the database has of each table, for engines that SQLAlchemy's reflection loses nothing of; no views."""
    found: dict[str, Constraints] = {}
    for schema in dict.fromkeys(spec.table.schema for spec in specs):
        ours = {(schema, spec.table.name): spec.name for spec in specs if spec.table.schema == schema}
        with warnings.catch_warnings():
            # Of types and indexes that SQLAlchemy does not know: it is the constraints that are asked for.
            warnings.simplefilter("ignore", sa.exc.SAWarning)
            read = _Reflection(sa.inspect(connection), schema, [name for _, name in ours])
        found |= {ours[place]: read.constraints(place) for place in ours if place in read.columns}
    return found


class _Reflection:
    """Some tables of a schema, read by as many statements as for one."""

    def __init__(self, inspector: sa.Inspector, schema: str | None, names: Sequence[str]) -> None:
        wanted: dict[str, Any] = {"schema": schema, "filter_names": names}
        with types_unknown():
            self.columns = inspector.get_multi_columns(**wanted)
        self._keys = inspector.get_multi_pk_constraint(**wanted)
        self._unique = inspector.get_multi_unique_constraints(**wanted)
        self._indexes = inspector.get_multi_indexes(**wanted)
        self._foreign_keys = inspector.get_multi_foreign_keys(**wanted)
        self._checks = inspector.get_multi_check_constraints(**wanted)

    def constraints(self, place: tuple[str | None, str]) -> Constraints:
        key: Any = self._keys[place]
        columns = key["constrained_columns"] if key else []
        return Constraints(
            key=frozenset(columns),
            # A constraint and the index that it rests on are one.
            unique=tuple(
                dict.fromkeys(
                    (
                        *([UniqueKey(tuple(columns))] if columns else []),
                        *(UniqueKey(tuple(each["column_names"]), each["name"]) for each in self._unique[place]),
                        *(reflected_index(each) for each in self._indexes[place] if each["unique"]),
                    )
                )
            ),
            foreign_keys=tuple(
                ForeignKey(
                    tuple(each["constrained_columns"]),
                    each["referred_table"],
                    tuple(option_texts(each.get("options", {}))),
                )
                for each in self._foreign_keys[place]
            ),
            checks=tuple(Check(each["sqltext"], each["name"]) for each in self._checks[place]),
            not_null=frozenset(column["name"] for column in self.columns[place] if not column["nullable"]),
        )


def reflected_index(index: Any) -> UniqueKey:
    """A unique index as reflection gives it."""
    conditions = (value for name, value in index.get("dialect_options", {}).items() if name.endswith("_where"))
    columns = index.get("expressions") or index["column_names"]
    return UniqueKey(tuple(columns), index["name"], next(conditions, None), None in index["column_names"])
