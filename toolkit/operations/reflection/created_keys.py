"""The keys, checks and indexes of a table that is made in another engine: none that refuses rows valid here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa
from msgspec import Struct, field
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BinaryExpression, UnaryExpression

from toolkit.core.sql_terms import NUMBERS, Untranslatable, quoted
from toolkit.core.verbatim import text_of, verbatim
from toolkit.operations.reflection.created_columns import TableMaking, domain_checks, meaning_of
from toolkit.operations.reflection.created_names import Names

_ORDERS: dict[Any, Any] = {
    operators.desc_op: sa.desc,
    operators.nulls_first_op: sa.nulls_first,
    operators.nulls_last_op: sa.nulls_last,
}
_PLAIN_METHODS = (None, "btree", "hash")


class KeysMaking(Struct):
    """What a table demands of its rows, and its indexes, in the target."""

    making: TableMaking
    names: Names
    made: sa.Table
    taken: set[str] = field(default_factory=set)

    def add(self) -> None:
        """All of them, but for foreign keys."""
        table = self.making.table
        self._add_primary_key(table.primary_key)
        for each in sorted(table.constraints, key=_order):
            if isinstance(each, sa.UniqueConstraint):
                self._add_unique(each)
            elif isinstance(each, ExcludeConstraint):
                self.making.note(f"exclusion {each.name}", "There are none there.")
            elif isinstance(each, sa.CheckConstraint) and not getattr(each, "_type_bound", False):
                self._add_check(each)
        for name, condition in domain_checks(self.making):
            self.made.append_constraint(sa.CheckConstraint(verbatim(condition), name=name))
        for index in sorted(table.indexes, key=lambda each: str(each.name)):
            self._add_index(index)

    # -- keys ------------------------------------------------------------------------------------------------------

    def _add_primary_key(self, key: sa.PrimaryKeyConstraint) -> None:
        names = [each.name for each in key.columns]
        if not names:
            return
        what = f"primary key of {', '.join(names)}"
        if self._is_constrained_computed(names, what) or self._is_unindexed(names, what):
            return
        self._tell_timing(key, what)
        self._tell_options(key, what)
        name = self._key_name(key, what)
        self.made.append_constraint(sa.PrimaryKeyConstraint(*(self.made.c[each] for each in names), name=name))
        if self._folding(names):
            # Of texts that differ by case alone, the source takes one only.
            self._add_folded(None, names)

    def _add_unique(self, key: sa.UniqueConstraint) -> None:
        names = [each.name for each in key.columns]
        what = f"unique key {key.name or ''} of {', '.join(names)}".replace("  ", " ")
        if self._is_constrained_computed(names, what) or self._is_unindexed(names, what):
            return
        self._tell_timing(key, what)
        self._tell_options(key, what)
        if self._folding(names):
            self._add_folded(key.name if isinstance(key.name, str) else None, names)
            return
        options: dict[str, Any] = {}
        if self._has_same_nulls(key, what):
            options[f"{self.making.engine.dialect}_nulls_not_distinct"] = True
        if self.making.target.has_deferrable_keys and key.deferrable:
            options |= {"deferrable": key.deferrable, "initially": key.initially}
        columns = [self.made.c[each] for each in names]
        self.made.append_constraint(sa.UniqueConstraint(*columns, name=self._key_name(key, what), **options))

    def _key_name(self, key: sa.PrimaryKeyConstraint | sa.UniqueConstraint, what: str) -> str | None:
        table = self.making.table
        if not isinstance(key.name, str):
            if not self.making.target.names_keys:
                return None
            # What the engine would call it, unless another is called so.
            own = [
                self.names.tables[table.fullname][1],
                *(self.names.columns[table.fullname, c.name] for c in key.columns),
            ]
            usual = f"{own[0]}_pkey" if isinstance(key, sa.PrimaryKeyConstraint) else f"{'_'.join(own)}_key"
            return self.names.relation(table, usual)
        if self.making.target.keys_share_names:
            return self.names.relation(table, key.name, what)
        return self.names.constraint(table, key.name, what, self.taken)

    def _folding(self, names: list[str]) -> bool:
        folding = self.making.source.sql.folding_collations
        return any((self.making.meanings[each].collation or "").upper() in folding for each in names)

    def _add_folded(self, given: str | None, names: list[str]) -> None:
        """A unique index over texts without regard to the case of ASCII's letters."""
        name = given or f"{self.making.table.name}_{'_'.join(names)}_key"
        what = f"unique key {name}"
        try:
            parts = [self._translated(quoted(each), is_unique=True, what=what) for each in names]
        except Untranslatable as error:
            self.making.left_out(what, error)
            return
        chosen = self.names.relation(self.making.table, name, what if given else None)
        sa.Index(chosen, *parts, unique=True, _table=self.made)

    def _tell_timing(self, key: sa.PrimaryKeyConstraint | sa.UniqueConstraint, what: str) -> None:
        if key.deferrable and not (self.making.target.has_deferrable_keys and isinstance(key, sa.UniqueConstraint)):
            self.making.note(what, "It is checked by each statement there, not at the end of a transaction.")

    def _tell_options(self, key: sa.PrimaryKeyConstraint | sa.UniqueConstraint, what: str) -> None:
        for option in _given(key):
            if option in ("on_conflict", "include"):
                self.making.note(what, f"It is made without {option.replace('_', ' ').upper()}.")

    def _has_same_nulls(self, key: sa.UniqueConstraint | sa.Index, what: str) -> bool:
        if not _given(key).get("nulls_not_distinct"):
            return False
        if not self.making.target.has_nulls_not_distinct:
            self.making.note(what, "Several rows may have NULL there.")
        return self.making.target.has_nulls_not_distinct

    def _is_constrained_computed(self, names: list[str], what: str) -> bool:
        """Whether a generated column is in the way, which is told."""
        if self.making.target.constrains_computed or not self.making.computed.keys() & set(names):
            return False
        self.making.note(what, "Left out: a generated column has no constraints there.")
        return True

    def _is_unindexed(self, names: Iterable[str], what: str) -> bool:
        """Whether a column is of a type that is in no index, which is told."""
        dialect = self.making.engine.dialect
        for name in names:
            kind = self.making.meanings[name].kind
            # The type that it is given for this engine alone is one that may.
            is_chosen = dialect in self.made.c[name].type._variant_mapping  # noqa: SLF001 - as its own compiler asks
            if kind in self.making.target.unindexed and not is_chosen:
                self.making.note(what, f"Left out: {name} is of {kind}, which is in no index there.")
                return True
        return False

    # -- checks ----------------------------------------------------------------------------------------------------

    def _add_check(self, check: sa.CheckConstraint) -> None:
        text, translation = text_of(check.sqltext), self.making.translation()
        given = check.name if isinstance(check.name, str) else None
        what = f"check {f'{given} ' if given else ''}({text})"
        try:
            condition = translation.check(text)
            self.making.require_unchanged(translation.used)
        except Untranslatable as error:
            self.making.left_out(what, error)
            return
        if self._is_constrained_computed(list(translation.used), what):
            return
        self.making.remarked(translation, what)
        name = given and self.names.constraint(self.making.table, given, what, self.taken)
        self.made.append_constraint(sa.CheckConstraint(verbatim(condition), name=name))

    # -- indexes ---------------------------------------------------------------------------------------------------

    def _add_index(self, index: sa.Index) -> None:
        what = f"{'unique ' if index.unique else ''}index {index.name}"
        options = _given(index)
        if self._is_unindexed([each.name for each in index.columns], what):
            return
        method = options.pop("using", None)
        if method not in _PLAIN_METHODS:
            self.making.note(what, f"Left out: there are no indexes by {method}.")
            return
        try:
            parts = [self._part(each, what, is_unique=bool(index.unique)) for each in index.expressions]
            condition = self._condition(options.pop("where", None), what, is_unique=bool(index.unique))
        except Untranslatable as error:
            self.making.left_out(what, error)
            return
        kept: dict[str, Any] = {}
        if self._has_same_nulls(index, what):
            kept["nulls_not_distinct"] = True
        options.pop("nulls_not_distinct", None)
        if options:
            self.making.note(
                what, f"It is made without {', '.join(_option(*each) for each in sorted(options.items()))}."
            )
        if condition is not None:
            kept["where"] = condition
        made_options: dict[str, Any] = {f"{self.making.engine.dialect}_{each}": value for each, value in kept.items()}
        sa.Index(
            self.names.relation(self.making.table, str(index.name), what),
            *parts,
            unique=bool(index.unique),
            _table=self.made,
            **made_options,
        )

    def _condition(self, clause: Any, what: str, *, is_unique: bool) -> sa.TextClause | None:
        """The condition; of an index that is not unique, none where it cannot be had."""
        if clause is None:
            return None
        text, reason = text_of(clause), "there are no partial indexes"
        if self.making.target.has_partial_indexes:
            try:
                return verbatim(self.making.translation().condition(text))
            except Untranslatable as error:
                reason = str(error)
        if is_unique:
            raise Untranslatable(f"it is unique only where {text}, and {reason}")
        self.making.note(what, f"It is made over all rows, not only where {text}: {reason}.")
        return None

    def _part(self, part: Any, what: str, *, is_unique: bool) -> Any:
        """A column or an expression, with its order."""
        if isinstance(part, UnaryExpression) and part.modifier is not None:
            return self._ordered(part, what, is_unique=is_unique)
        if isinstance(part, BinaryExpression) and part.operator is operators.collate:
            return self._collated(part, what, is_unique=is_unique)
        if not isinstance(part, sa.Column):
            return self._translated(text_of(part), is_unique=is_unique, what=what)
        if is_unique and self._folding([part.name]):
            return self._translated(quoted(part.name), is_unique=True, what=what)
        return self.made.c[part.name]

    def _ordered(self, part: UnaryExpression[Any], what: str, *, is_unique: bool) -> Any:
        inner, order = self._part(part.element, what, is_unique=is_unique), part.modifier
        says_nulls = order in (operators.nulls_first_op, operators.nulls_last_op)
        if not self.making.target.orders_indexes:
            self.making.note(what, "Indexes are in no order there.")
        elif says_nulls and not self.making.target.orders_nulls:
            self.making.note(what, "It does not say where NULLs are.")
        elif order in _ORDERS:
            return _ORDERS[order](inner)
        return inner

    def _collated(self, part: BinaryExpression[Any], what: str, *, is_unique: bool) -> Any:
        inner = self._part(part.left, what, is_unique=is_unique)
        if is_unique:
            raise Untranslatable("there is no collation of that name")
        self.making.note(what, "It is made without its collation.")
        return inner

    def _translated(self, text: str, *, is_unique: bool, what: str) -> sa.TextClause:
        if not self.making.target.indexes_expressions:
            raise Untranslatable("there are no indexes of expressions")
        translation = self.making.translation()
        found = translation.indexed(text, is_unique=is_unique)
        self.making.remarked(translation, what)
        return verbatim(f"({found})")


def _order(constraint: sa.Constraint) -> tuple[str, str]:
    columns = getattr(constraint, "columns", ())
    return str(constraint.name or ""), ", ".join(each.name for each in columns) or str(
        getattr(constraint, "sqltext", "")
    )


def _option(name: str, value: Any) -> str:
    """An index's option in words: of classes of operators, which."""
    return f"the operator class {', '.join(dict.fromkeys(value.values()))}" if name == "ops" else name.upper()


def _given(item: sa.Index | sa.PrimaryKeyConstraint | sa.UniqueConstraint) -> dict[str, Any]:
    """What SQLAlchemy's options of any engine say, by their names without the engine's."""
    options = {name.partition("_")[2]: value for name, value in item.dialect_kwargs.items()}
    return {name: each for name, each in options.items() if isinstance(each, sa.ClauseElement) or each}


def foreign_keys(
    making: TableMaking, names: Names, made: sa.MetaData, taken: set[str]
) -> Iterator[sa.ForeignKeyConstraint]:
    """The foreign keys, once all tables are made; where they are not kept, for the order of tables, and with a note."""
    keys = sorted(making.table.foreign_key_constraints, key=lambda each: list(each.column_keys))
    for key in keys:
        parent = made.tables[key.referred_table.fullname]
        what = f"foreign key of {', '.join(key.column_keys)} to {parent.fullname}"
        folded = _folded(making, key)
        if folded is None and not making.target.keeps_foreign_keys:
            making.note(what, "Not made there: rows without a parent are looked for when they are written.")
            yield _foreign_key(
                key, parent, name=key.name, onupdate=key.onupdate, ondelete=key.ondelete, match=key.match
            )
            continue
        if (reason := folded or _unpointable(making, key, parent)) is not None:
            making.note(what, f"Left out: {reason}.")
            continue
        name = key.name if isinstance(key.name, str) else None
        if key.deferrable and not making.target.defers_foreign_keys:
            making.note(what, "It is checked as each row is written there, not at the end of a transaction.")
        yield _foreign_key(
            key,
            parent,
            name=name and names.constraint(making.table, name, what, taken),
            onupdate=_action(making, key.onupdate, what, "UPDATE"),
            ondelete=_action(making, key.ondelete, what, "DELETE"),
            match=_match(making, key, what),
        )


def _foreign_key(key: sa.ForeignKeyConstraint, parent: sa.Table, **options: Any) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [each.name for each in key.columns],
        [parent.c[each.column.name] for each in key.elements],
        deferrable=key.deferrable,
        initially=key.initially,
        **options,
    )


def _unpointable(making: TableMaking, key: sa.ForeignKeyConstraint, parent: sa.Table) -> str | None:
    """Why the target would refuse a foreign key, or rows that have their parent here."""
    pointed = {each.column.name for each in key.elements}
    unique = [set(parent.primary_key.columns.keys())]
    unique += [{c.name for c in each.columns} for each in parent.constraints if isinstance(each, sa.UniqueConstraint)]
    unique += [{c.name for c in each.columns} for each in parent.indexes if each.unique and _is_whole(each)]
    if pointed not in unique:
        return f"{', '.join(sorted(pointed))} of {parent.name} is no key there"
    for own, element in zip(key.columns, key.elements, strict=True):
        if not _comparable(making.meanings[own.name].kind, element.column, making):
            return f"{own.name} and {element.column.name} of {parent.name} are of different types"
    return None


def _folded(making: TableMaking, key: sa.ForeignKeyConstraint) -> str | None:
    """Why rows that have their parent here would not have it where letters' cases, or spaces, are told apart."""
    sql = making.source.sql
    for element in key.elements:
        collation = (meaning_of(element.column, making.source).collation or "").upper()
        parent = f"{element.column.name} of {element.column.table.name}"
        if collation in sql.folding_collations | {sql.folding_type}:
            return f"{parent} is found in either case here, and not there"
        if collation in sql.padding_collations:
            return f"{parent} is found with other spaces at its end here, and not there"
    return None


def _comparable(kind: str, other: sa.Column[Any], making: TableMaking) -> bool:
    theirs = meaning_of(other, making.source).kind
    return kind == theirs or (kind in NUMBERS and theirs in NUMBERS)


def _is_whole(index: sa.Index) -> bool:
    is_partial = any(name.endswith("_where") and value is not None for name, value in index.dialect_kwargs.items())
    return not is_partial and all(isinstance(each, sa.Column) for each in index.expressions)


def _action(making: TableMaking, action: str | None, what: str, event: str) -> str | None:
    """What a foreign key does when a parent goes or changes, if the target can do it; else a note."""
    is_known = action is None or "(" not in action or making.target.has_set_of_columns
    if is_known and (making.target.has_set_default or not (action or "").upper().startswith("SET DEFAULT")):
        return action
    making.note(what, f"It is made without ON {event} {action}.")
    return None


def _match(making: TableMaking, key: sa.ForeignKeyConstraint, what: str) -> str | None:
    if key.match is None or making.target.has_match_full:
        return key.match
    making.note(what, f"It is made without MATCH {key.match}.")
    return None
