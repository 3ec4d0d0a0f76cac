"""What a database tells of its tables, in the words of the history where these mean the same."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic.operations import ops
from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority, PriorityDispatchResult
from sqlalchemy.engine.reflection import Inspector

from toolkit.engines.registry import engine_of_dialect
from toolkit.operations.migrations.declared import Declared, declared_by
from toolkit.operations.migrations.generic import differs, generic_default, generic_type, same_default
from toolkit.operations.migrations.sequences import compare_sequences

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.autogenerate.api import AutogenContext

    from toolkit.operations.project import Project

COMPARISON = "toolkit_comparison"
"""Where Alembic's configuration holds the `Comparison`."""
_IS_DECLARED = "toolkit_declared"
# Alembic takes the comparisons of plugins below its own name with every `env.py`, whoever wrote that.
_PLUGIN = "alembic.autogenerate.toolkit"


@dataclass(slots=True)
class Comparison:
    """One comparison of a database with the models, and what it found out of the words for what is there."""

    declared: Declared = field(default_factory=Declared)
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
        text, words = str(default.arg), said.server_default if said is not None else None
        if not isinstance(words, sa.DefaultClause):
            words = sa.DefaultClause(generic_default(text, column.type))
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
        impl.told_foreign_keys = comparison.declared.tables.keys() if comparison.declared.is_whole else ()
        inspector: Any = _telling(type(autogenerate.inspector)).__new__(_telling(type(autogenerate.inspector)))
        vars(inspector).update(vars(autogenerate.inspector))
        inspector.comparison, inspector.impl = comparison, impl
        vars(autogenerate)["inspector"] = inspector
    return PriorityDispatchResult.CONTINUE


def _compare_schema(autogenerate: AutogenContext, upgrade: ops.UpgradeOps, schemas: Any) -> PriorityDispatchResult:
    if _comparison(autogenerate) is not None:
        compare_sequences(autogenerate, upgrade, schemas)
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
    if change.modify_type is None and there.info.get(_IS_DECLARED) and differs(there.type, wanted.type):
        change.modify_type = wanted.type
    defaults = there.server_default, wanted.server_default
    if change.modify_server_default is False and all(_is_plain(each) for each in defaults):
        change.existing_server_default = there.server_default
        if not _same_defaults(autogenerate, there, wanted):
            change.modify_server_default = wanted.server_default
    return PriorityDispatchResult.CONTINUE


def _is_plain(default: Any) -> bool:
    return default is None or isinstance(default, sa.DefaultClause)


def _same_defaults(autogenerate: AutogenContext, there: sa.Column[Any], wanted: sa.Column[Any]) -> bool:
    dialect: Any = autogenerate.dialect
    try:
        new = dialect.ddl_compiler(dialect, None).get_column_default_string(wanted)
    except (NotImplementedError, sa.exc.CompileError):
        # The engine has no such default, such as SQLite the next value of a sequence.
        new = None
    given: Any = there.server_default
    old = None if given is None else str(given.arg)
    kind = engine_of_dialect(dialect.name)
    if new is None and old is not None and kind is not None and kind.is_numbering(old):
        return True
    return same_default(old, new, wanted.type)


@cache
def _telling(inspector: type[Inspector]) -> type[Inspector]:
    return type("ToldInspector", (_Told, inspector), {})


class _Told(Inspector):
    """Reads what is there, and says it as the history did."""

    comparison: Comparison
    impl: Any

    def reflect_table(self, table: sa.Table, *arguments: Any, **options: Any) -> None:
        """The table; types and defaults are the declared ones where these are what is there, else generic."""
        super().reflect_table(table, *arguments, **options)
        for column in table.columns:
            said = self.comparison.declared.column((table.schema, table.name), column.name)
            self._say_type(column, said)
            self.comparison.say_default(column, said if said is not None and self._has_default_of(column, said) else None)

    def _say_type(self, column: sa.Column[Any], said: sa.Column[Any] | None) -> None:
        if isinstance(column.type, sa.types.NullType):
            return
        candidates = [] if said is None else [said.type]
        for type_ in [*candidates, generic_type(column.type)]:
            with suppress(Exception):
                if not self.impl.compare_type(column, sa.Column(column.name, type_)):
                    column.type = type_
                    column.info[_IS_DECLARED] = bool(candidates) and type_ is candidates[0]
                    return

    def _has_default_of(self, column: sa.Column[Any], said: sa.Column[Any]) -> bool:
        compiler = self.dialect.ddl_compiler(self.dialect, None)  # type: ignore[arg-type]
        with suppress(NotImplementedError, sa.exc.CompileError):
            there: Any = column.server_default
            text = None if there is None else str(there.arg)
            return _is_plain(said.server_default) and same_default(
                text, compiler.get_column_default_string(said), said.type
            )
        return False

    def get_multi_foreign_keys(self, schema: str | None = None, **options: Any) -> Any:
        """What the history declares, where the engine keeps none."""
        found = dict(super().get_multi_foreign_keys(schema, **options))
        kind = engine_of_dialect(self.dialect.name)
        if kind is None or kind.features.keeps_foreign_keys:
            return found
        for place in found:
            table = self.comparison.declared.tables.get(place)
            keys = table.constraints if table is not None else []
            found[place] = [_told_key(each) for each in keys if isinstance(each, sa.ForeignKeyConstraint)]
        return found

    def get_multi_indexes(self, schema: str | None = None, **options: Any) -> Any:
        """Without those that are unique constraints, where an engine has one for the other."""
        return self._without(super().get_multi_indexes(schema, **options), sa.UniqueConstraint)

    def get_multi_unique_constraints(self, schema: str | None = None, **options: Any) -> Any:
        """Without those that are indexes, where an engine has one for the other."""
        found = self._without(super().get_multi_unique_constraints(schema, **options), sa.Index, "duplicates_index")
        for place, constraints in found.items():
            names = self._declared_names(place, sa.UniqueConstraint)
            for each in constraints:
                if each.get("duplicates_index") and each["name"] in names:
                    del each["duplicates_index"]
        return found

    def _without(self, found: Any, kind: type, mark: str | None = None) -> Any:
        shown: Any = dict(found)
        for place, items in shown.items():
            names = self._declared_names(place, kind)
            shown[place] = [
                dict(each) for each in items if each["name"] not in names or not (mark is None or each.get(mark))
            ]
        return shown

    def _declared_names(self, place: Any, kind: type) -> set[str]:
        table = self.comparison.declared.tables.get(place)
        items = [*table.constraints, *table.indexes] if table is not None else []
        return {str(each.name) for each in items if isinstance(each, kind) and each.name is not None}


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
