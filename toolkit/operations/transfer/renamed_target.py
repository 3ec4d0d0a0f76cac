"""A target that has other names for the models' tables and columns, between what is asked and what is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from shlex import quote as shell
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from toolkit.engines import connect
from toolkit.errors import ConfigurationError, KeylessRowsError
from toolkit.models.personal_data import ATTRIBUTE, personal_columns
from toolkit.operations.project import Project, ProjectElsewhere
from toolkit.operations.transfer.sources import SourceTables

if TYPE_CHECKING:
    from toolkit.config import Database
    from toolkit.core.plan import TransferWarning
    from toolkit.core.renames import Renames
    from toolkit.core.tables import ColumnSpec, TableSpec
    from toolkit.engines.contract import Connection
    from toolkit.operations.transfer.converting import Conversions
    from toolkit.operations.transfer.request import TransferResult


class Elsewhere(Struct, frozen=True):
    """The tables that are worked on in the names that the target has for them; without `names`, the models' own."""

    project: Project
    specs: Sequence[TableSpec]
    models: Sequence[TableSpec]
    names: Renames | None = None

    @classmethod
    def of(cls, project: Project, specs: Sequence[TableSpec], names: Renames | None) -> Elsewhere:
        """These tables of the models, in the target's names, if these differ."""
        if names is None:
            return cls(project, specs, specs)
        # Models say which columns hold personal data; of tables that belong to none, the tables themselves.
        for name, columns in personal_columns(project.metadata).items():
            table = names.metadata.tables[names.tables[name]]
            table.info[ATTRIBUTE] = tuple(names.column(name, column) for column in columns)
        return cls(ProjectElsewhere(project.config, names, project), names.bound(specs), specs, names)

    @property
    def shown(self) -> dict[str, str]:
        """What has another name in the target, of the tables that are worked on."""
        if self.names is None:
            return {}
        tables = {spec.name for spec in self.models}
        return {place: other for place, other in self.names.shown.items() if tables & {place, place.rpartition(".")[0]}}

    def require_schemas(self, target: Database) -> None:
        """Check that the target may have these names.

        Raises:
            ConfigurationError: they lie in schemas, which it knows nothing of.
        """
        if self.names is None or connect(target, write=True).capabilities.has_schemas:
            return
        for spec in self.specs:
            if spec.table.schema not in (None, "main"):
                raise ConfigurationError(
                    f"{target.name} has no schemas, and so no {spec.name}.",
                    f"Give the table a name without one: --rename {shell(self.names.models_table(spec.name))}="
                    f"{spec.table.name}.",
                )

    def source(self, connection: Connection, conversions: Conversions) -> SourceTables:
        """The tables of a source after their conversions, in the target's names."""
        named = {spec.name: own for spec, own in zip(self.specs, self.models, strict=True)}
        return SourceTables(connection, named, self.names, conversions)

    def with_types_of(self, specs: Sequence[TableSpec]) -> Elsewhere:
        """The same with columns of the types that these of the target's tables have."""
        models = tuple(
            replace(own, columns=tuple(map(_with_type, own.columns, spec.columns)))
            for own, spec in zip(self.models, specs, strict=True)
        )
        return structs.replace(self, specs=specs, models=models)

    def columns(self, given: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
        """Columns by table, both in the models' names, in the target's."""
        if self.names is None:
            return {table: tuple(columns) for table, columns in given.items()}
        column = self.names.column
        return {
            self.names.tables[table]: tuple(column(table, name) for name in columns) for table, columns in given.items()
        }

    def places(self, given: Mapping[str, str]) -> dict[str, str]:
        """What is said of columns of the target, each with the models' name of its table, with the target's."""
        if self.names is None:
            return dict(given)
        found = {}
        for place, value in given.items():
            table, _, column = place.rpartition(".")
            found[f"{self.names.tables.get(table, table)}.{column}"] = value
        return found

    def told(self, result: TransferResult) -> TransferResult:
        """The same in the models' names."""
        if self.names is None:
            return result
        table = self.names.models_table
        tables = tuple(structs.replace(each, table=table(each.table)) for each in result.tables)
        return structs.replace(result, tables=tables, warnings=tuple(map(self.warning, result.warnings)))

    def renamed(self, error: KeylessRowsError) -> KeylessRowsError:
        """The same in the models' names, which options take."""
        if self.names is None:
            return error
        tables = {self.names.models_table(name): rows for name, rows in error.tables.items()}
        return KeylessRowsError(error.database, tables)

    def warning(self, warning: TransferWarning) -> TransferWarning:
        """The same in the models' names."""
        if self.names is None:
            return warning
        table = self.names.models_table(warning.table)
        column = warning.column and self.names.models_column(table, warning.column)
        return structs.replace(warning, table=table, column=column)


def _with_type(column: ColumnSpec, other: ColumnSpec) -> ColumnSpec:
    return replace(column, type=other.type, declared=other.declared)
