"""What a database tells of its tables, in the words of the history where these mean the same."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic.operations import ops
from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority, PriorityDispatchResult
from msgspec import Struct, field
from sqlalchemy.engine.reflection import Inspector

from toolkit.core.implicit_names import implicit_name
from toolkit.engines.registry import engine_of_dialect
from toolkit.operations.migrations.declared_schema import Declared, DeclaredTable, declared_by
from toolkit.operations.migrations.generic import (
    constant,
    differs,
    generic_default,
    generic_type,
    same_default,
    stored_type,
)
from toolkit.operations.migrations.history_comparison import compare_by_history
from toolkit.operations.migrations.sequences import compare_sequences

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.autogenerate.api import AutogenContext

    from toolkit.operations.project import Project

COMPARISON = "toolkit_comparison"
"""Where Alembic's configuration holds the `Comparison`."""
# In a reflected column's `info`: its type is the one that the history declares; the history says something of it.
_IS_DECLARED, _IS_SAID = "toolkit_declared", "toolkit_said"
# Alembic takes the comparisons of plugins below its own name with every `env.py`, whoever wrote that.
_PLUGIN = "alembic.autogenerate.toolkit"


class Comparison(Struct):
    """One comparison of a database with the models, and what it found out of the words for what is there."""

    declared: Declared = field(default_factory=Declared)
    not_compared: list[str] = field(default_factory=list)
    _defaults: list[tuple[sa.Column[Any], sa.DefaultClause]] = field(default_factory=list)

    @classmethod
    def of(cls, project: Project, dialect: sa.Dialect) -> Comparison:
        """Read the history; not while Alembic runs it, as its operations are those of a module."""
        install_comparison()
        scripts = project.scripts
        return cls(declared_by(scripts, dialect, project.metadata, scripts.get_heads()))

    def say_default(self, column: sa.Column[Any], said: sa.Column[Any] | None) -> None:
        """Note how the default is said that a reflected column has; Alembic compares it as its text."""
        default = column.server_default
        if not isinstance(default, sa.DefaultClause):
            return
        words = said.server_default if said is not None else None
        if not isinstance(words, sa.DefaultClause):
            words = sa.DefaultClause(generic_default(str(_text_of(column)), column.type))
        self._defaults.append((column, words))

    def use_words(self, upgrade: ops.UpgradeOps) -> None:
        """Let the defaults of what is there be said so from now on."""
        words = {id(column.server_default): default for column, default in self._defaults}
        for each in operations_of(upgrade):
            if isinstance(each, ops.AlterColumnOp):
                existing = each.existing_server_default
                each.existing_server_default = words.get(id(existing), existing)
        for column, default in self._defaults:
            column.server_default = default


def install_comparison() -> None:
    """Let Alembic's comparisons go by the history; where there is no `COMPARISON`, nothing is done."""
    with suppress(ValueError):
        plugin = Plugin(_PLUGIN)
        plugin.add_autogenerate_comparator(_tell, "autogenerate", "toolkit", priority=DispatchPriority.FIRST)
        plugin.add_autogenerate_comparator(_compare_schema, "schema", "toolkit", priority=DispatchPriority.LAST)
        plugin.add_autogenerate_comparator(_compare_table, "table", "toolkit", priority=DispatchPriority.LAST)
        plugin.add_autogenerate_comparator(_compare_declared, "column", "toolkit", priority=DispatchPriority.LAST)


def operations_of(operations: ops.OpContainer) -> Iterator[Any]:
    """All operations, those of tables among them."""
    for each in operations.ops:
        if isinstance(each, ops.OpContainer):
            yield from operations_of(each)
        else:
            yield each


def _comparison(autogenerate: AutogenContext) -> Comparison | None:
    environment = autogenerate.migration_context.environment_context
    return environment.config.attributes.get(COMPARISON) if environment is not None else None


def _tell(autogenerate: AutogenContext, _: ops.UpgradeOps) -> PriorityDispatchResult:
    comparison = _comparison(autogenerate)
    if comparison is not None:
        impl: Any = autogenerate.migration_context.impl
        # Where `compare_server_default` lets Alembic ask: by spelling it finds what is none, and fails on PostgreSQL.
        impl.compare_server_default = lambda there, wanted, *_: not _same_defaults(impl, there, wanted)
        if hasattr(impl, "told_foreign_keys") and comparison.declared.is_whole:
            impl.told_foreign_keys = comparison.declared.tables.keys()
        plain = autogenerate.inspector
        inspector: Any = object.__new__(type("ToldInspector", (_Told, type(plain)), {}))
        vars(inspector).update(vars(plain))
        inspector.comparison, inspector.impl = comparison, impl
        parts: list[Any] = [each for table in autogenerate.sorted_tables for each in table.constraints]
        parts += [each for table in autogenerate.sorted_tables for each in table.indexes]
        inspector.wanted = {str(each.name) for each in parts}
        vars(autogenerate)["inspector"] = inspector
    return PriorityDispatchResult.CONTINUE


def _compare_schema(autogenerate: AutogenContext, upgrade: ops.UpgradeOps, schemas: Any) -> PriorityDispatchResult:
    comparison = _comparison(autogenerate)
    if comparison is not None:
        compare_sequences(autogenerate, upgrade, schemas, comparison.declared)
    return PriorityDispatchResult.CONTINUE


def _compare_table(
    autogenerate: AutogenContext,
    changes: ops.ModifyTableOps,
    schema: str | None,
    name: str,
    there: sa.Table | None,
    wanted: sa.Table | None,
) -> PriorityDispatchResult:
    comparison = _comparison(autogenerate)
    if comparison is None or there is None or wanted is None:
        return PriorityDispatchResult.CONTINUE
    said = comparison.declared.tables.get((schema, str(name)))
    found = compare_by_history(autogenerate, changes, said or DeclaredTable(), wanted)
    dialect: Any = autogenerate.dialect
    if dialect.supports_comments:
        pass
    elif said is None:
        found += ["comments"] if any(each.comment for each in (wanted, *wanted.columns)) else []
    elif said.comment != wanted.comment:
        comment = ops.CreateTableCommentOp(name, wanted.comment, existing_comment=said.comment, schema=schema)
        drop = ops.DropTableCommentOp(name, existing_comment=said.comment, schema=schema)
        changes.ops.append(drop if wanted.comment is None else comment)
    impl: Any = autogenerate.migration_context.impl
    if wanted.foreign_keys and (schema, name) not in getattr(impl, "told_foreign_keys", {(schema, name)}):
        found.append("foreign keys")
    comparison.not_compared += [f"{each} of {wanted.fullname}" for each in found]
    return PriorityDispatchResult.CONTINUE


def _compare_declared(
    autogenerate: AutogenContext,
    change: ops.AlterColumnOp,
    _: str | None,
    __: str,
    ___: str,
    there: sa.Column[Any],
    wanted: sa.Column[Any],
) -> PriorityDispatchResult:
    """What the engine cannot tell of a type, and the default."""
    if _comparison(autogenerate) is None:
        return PriorityDispatchResult.CONTINUE
    impl: Any = autogenerate.migration_context.impl
    stored = stored_type(wanted.type)
    if change.modify_type is not None and stored is not wanted.type:
        # What is stored is what a migration makes.
        change.modify_type = wanted.type if impl.compare_type(there, sa.Column(wanted.name, stored)) else None
    if change.modify_type is None and there.info.get(_IS_DECLARED) and differs(there.type, wanted.type):
        change.modify_type = wanted.type
    dialect: Any = autogenerate.dialect
    if not dialect.supports_comments and there.info.get(_IS_SAID) and there.comment != wanted.comment:
        change.existing_comment, change.modify_comment = there.comment, wanted.comment
    defaults = there.server_default, wanted.server_default
    is_left_out = autogenerate.migration_context._user_compare_server_default is False  # noqa: SLF001 - as Alembic asks
    if is_left_out and change.modify_server_default is False and all(_is_plain(each) for each in defaults):
        change.existing_server_default = there.server_default
        if not _same_defaults(impl, there, wanted):
            change.modify_server_default = wanted.server_default
    return PriorityDispatchResult.CONTINUE


def _is_plain(default: Any) -> bool:
    return default is None or isinstance(default, sa.DefaultClause)


def _text_of(column: sa.Column[Any]) -> str | None:
    """The default of a reflected column."""
    default: Any = column.server_default
    return None if default is None else str(getattr(default.arg, "text", default.arg))


def _text_for(column: sa.Column[Any], dialect: Any) -> str | None:
    """The default that a column is to have, as the engine is told it; none where it has no such.

    SQLite has no next value of a sequence, for example.
    """
    try:
        text = dialect.ddl_compiler(dialect, None).get_column_default_string(column)
    except (NotImplementedError, sa.exc.CompileError):
        return None
    # Written for a driver that takes a single one for a parameter.
    is_doubled = dialect.identifier_preparer._double_percents  # noqa: SLF001 - there is no public one
    return str(text).replace("%%", "%") if text is not None and is_doubled else text


def _same_defaults(impl: Any, there: sa.Column[Any], wanted: sa.Column[Any]) -> bool:
    if not all(_is_plain(each.server_default) for each in (there, wanted)):
        return False
    dialect: Any = impl.dialect
    old, new, kind = _text_of(there), _text_for(wanted, dialect), engine_of_dialect(dialect.name)
    if new is None and old is not None and kind is not None and kind.is_numbering(old):
        return True
    if same_default(old, new, wanted.type):
        return True
    constants = [constant(each) for each in (old, new)]
    same_constants = getattr(impl, "same_constants", None)
    return same_constants is not None and None not in constants and same_constants(*constants, wanted.type)


class _Told(Inspector):
    """Reads what is there, and says it as the history did."""

    comparison: Comparison
    impl: Any
    wanted: set[str]

    def reflect_table(self, table: sa.Table, *arguments: Any, **options: Any) -> None:
        """The table; types and defaults are the declared ones where these are what is there, else generic."""
        super().reflect_table(table, *arguments, **options)
        for column in table.columns:
            said = self.comparison.declared.column((table.schema, table.name), column.name)
            self._say_type(column, said)
            # Reflection of some engines says so of all columns that do not number themselves.
            column.autoincrement = "auto" if said is None else said.autoincrement
            if said is not None and not self.dialect.supports_comments:
                column.comment, column.info[_IS_SAID] = said.comment, True
            is_said = said is not None and _same_defaults(self.impl, column, said)
            self.comparison.say_default(column, said if is_said else None)

    def _say_type(self, column: sa.Column[Any], said: sa.Column[Any] | None) -> None:
        if isinstance(column.type, sa.types.NullType):
            return
        candidates = [] if said is None else [said.type]
        for type_ in [*candidates, getattr(self.impl, "usual_type", generic_type)(column.type)]:
            with suppress(Exception):
                if not self.impl.compare_type(column, sa.Column(column.name, type_)):
                    column.type = type_
                    column.info[_IS_DECLARED] = bool(candidates) and type_ is candidates[0]
                    return

    # Alembic looks at the tables of the first schema at once, and at those of the others one by one.

    def get_foreign_keys(self, table_name: str, schema: str | None = None, **options: Any) -> Any:
        """Those of one table."""
        return self._of_one(self.get_multi_foreign_keys, table_name, schema, options)

    def get_indexes(self, table_name: str, schema: str | None = None, **options: Any) -> Any:
        """Those of one table."""
        return self._of_one(self.get_multi_indexes, table_name, schema, options)

    def get_unique_constraints(self, table_name: str, schema: str | None = None, **options: Any) -> Any:
        """Those of one table."""
        return self._of_one(self.get_multi_unique_constraints, table_name, schema, options)

    def _of_one(self, method: Any, table_name: str, schema: str | None, options: Any) -> Any:
        return method(schema=schema, filter_names=[table_name], **options).get((schema, table_name), [])

    def get_multi_foreign_keys(self, *arguments: Any, **options: Any) -> Any:
        """What the history declares, where the engine keeps none."""
        found = dict(super().get_multi_foreign_keys(*arguments, **options))
        kind = engine_of_dialect(self.dialect.name)
        if kind is None or kind.features.keeps_foreign_keys:
            return {place: [_named(place, each, "fkey") for each in keys] for place, keys in found.items()}
        for place in found:
            table = self.comparison.declared.tables.get(place)
            keys = table.constraints if table is not None else []
            found[place] = [_told_key(each) for each in keys if isinstance(each, sa.ForeignKeyConstraint)]
        return found

    def get_multi_indexes(self, *arguments: Any, **options: Any) -> Any:
        """Without those that are unique constraints, where an engine has one for the other."""
        found = super().get_multi_indexes(*arguments, **options)
        return {
            place: [each for each in indexes if not self._is_constraint(place, each)]
            for place, indexes in found.items()
        }

    def get_multi_unique_constraints(self, *arguments: Any, **options: Any) -> Any:
        """Without those that are indexes, where an engine has one for the other."""
        found: Any = super().get_multi_unique_constraints(*arguments, **options)
        shown: dict[Any, list[Any]] = {}
        for place, constraints in found.items():
            indexes = self._declared_names(place, sa.Index)
            shown[place] = []
            for each in constraints:
                mark = each.get("duplicates_index")
                if mark and each["name"] in indexes:
                    continue
                is_told = mark and self._is_constraint(place, {**each, "unique": True})
                kept = {name: value for name, value in each.items() if not (is_told and name == "duplicates_index")}
                shown[place].append(_named(place, kept, "key"))
        return shown

    def _is_constraint(self, place: Any, index: Any) -> bool:
        """Whether a unique index stands for a constraint: by the history, or by its name where nothing says so."""
        name, kind = index["name"], engine_of_dialect(self.dialect.name)
        if not index["unique"] or kind is None or kind.features.keeps_foreign_keys:
            return False
        if name in self._declared_names(place, sa.UniqueConstraint):
            return True
        columns = [*filter(None, index["column_names"])]
        is_named_so = name == implicit_name(place[1], columns, "key") or str(name).startswith("uq_")
        return is_named_so and place not in self.comparison.declared.tables and name not in self.wanted

    def _declared_names(self, place: Any, kind: type) -> set[str]:
        table = self.comparison.declared.tables.get(place)
        items = [] if table is None else [*table.constraints, *table.indexes]
        names = (getattr(each, "name", None) for each in items if isinstance(each, kind))
        return {str(name) for name in names if name is not None}


def _named(place: Any, constraint: Any, label: str) -> Any:
    """A constraint under the name by which it can be dropped, if it was given none."""
    if constraint["name"] is not None:
        return constraint
    columns = constraint["constrained_columns" if label == "fkey" else "column_names"]
    return {**constraint, "name": implicit_name(place[1], columns, label)}


def _told_key(key: sa.ForeignKeyConstraint) -> Any:
    """A foreign key as an inspector tells it."""
    table, _, _ = key.elements[0].target_fullname.rpartition(".")
    schema, _, name = table.rpartition(".")
    options = {each: getattr(key, each) for each in ("onupdate", "ondelete", "deferrable", "initially")}
    return {
        "name": None if key.name is None else str(key.name),
        "constrained_columns": key.column_keys,
        "referred_schema": schema or None,
        "referred_table": name,
        "referred_columns": [each.target_fullname.rpartition(".")[2] for each in key.elements],
        "options": {name: value for name, value in options.items() if value is not None},
    }
