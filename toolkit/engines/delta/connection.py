"""A lake: one connection, and its tables as their logs have them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from toolkit.core.schema import Note, Schema, TypesBy
from toolkit.core.tables import TableSpec
from toolkit.engines.catalogue import ColumnFacts, TableFacts
from toolkit.engines.delta.adapters import LakeCodec
from toolkit.engines.delta.features import CAPABILITIES
from toolkit.engines.delta.filling import fill, write_part
from toolkit.engines.delta.session import OWN, REMEDY, LakeSession, session_of
from toolkit.engines.delta.table import LakeRepository
from toolkit.engines.duckdb.connection import DuckDBConnection
from toolkit.engines.portable.connection import DatabaseConnection
from toolkit.engines.portable.table import TableRepository
from toolkit.errors import ChangedSincePlanError

if TYPE_CHECKING:
    from toolkit.engines.contract import Table, WrittenPart
    from toolkit.engines.portable.script import Script


class LakeConnection(DuckDBConnection):
    """Each table as of one version, while the connection lasts; a commit is refused if there is another by then."""

    capabilities = CAPABILITIES
    codec = LakeCodec()

    @property
    def lake(self) -> LakeSession:
        """What it sees of the lake."""
        return session_of(self.sqlalchemy)

    def commit(self) -> None:
        """Commit table by table, each with the digest of its rows as they are stored."""
        for table in self.lake.tables.values():
            if table.is_changed and table.spec is not None:
                with self.translated():
                    LakeRepository(self, table.spec).told_totals()
        super().commit()

    def _marks(self) -> Iterable[str]:
        """A bucket is the same one from every machine; its endpoint tells it from one of the same name elsewhere."""
        place = self.lake.place
        return super()._marks() if place.is_directory else (place.options.get("AWS_ENDPOINT_URL", ""),)

    # -- filled by several processes, committed by one -------------------------------------------------------------

    def require_parts(self, spec: TableSpec) -> None:
        """See that this connection may commit, to a table that is there and empty."""
        self.lake.require_commit()
        if self.lake.table(spec.table.name).files:
            raise ChangedSincePlanError(self.name, spec.name)

    def write_part(self, spec: TableSpec, part: int, source: Table) -> WrittenPart:
        """Write the rows of a part into new files, and read them back as any reader of the lake would."""
        return write_part(LakeRepository(self, spec), part, source)

    def take_part(self, spec: TableSpec, part: WrittenPart) -> None:
        """Remove these files at the end of the transaction, if it is not committed."""
        self.lake.table(spec.table.name).pending += part.files

    def fill(self, spec: TableSpec, parts: Sequence[WrittenPart]) -> None:
        """Let the files of these parts be the table's rows."""
        fill(LakeRepository(self, spec), parts)

    def schema(self, types: TypesBy = TypesBy.DECLARATION) -> Schema:
        """The tables, and a note of each that has rows and cannot be used."""
        found = super().schema(types)
        hindered = [
            Note(name, "table", f"It cannot be used: {reason}.", remedy=REMEDY)
            for name, reason in self.lake.hindrances.items()
        ]
        return replace(found, notes=(*found.notes, *hindered))

    def repository(self, spec: TableSpec) -> TableRepository:
        """Access to one table; of a lake that is not there, too."""
        if spec.table.name.startswith(OWN):
            return super().repository(spec)
        return LakeRepository(self, spec)

    def script(self) -> Script:
        """There are no scripts for a client of a lake.

        Raises:
            ConfigurationError: as said.
        """
        return cast("Script", DatabaseConnection.script(self))

    def _read_facts(self, specs: Sequence[TableSpec]) -> dict[str, TableFacts]:
        """What the definitions say; no table is in a schema, and no number comes from a sequence of a lake's."""
        found = super()._read_facts([spec for spec in specs if spec.table.schema is None])
        for spec in specs:
            if spec.table.name in self.lake.hindrances:
                self.lake.table(spec.table.name)
        return {name: TableFacts(_plain(facts.columns), facts.keys) for name, facts in found.items()}

    def _counted(self, specs: Sequence[TableSpec], most: int | None) -> dict[str, int]:
        """The rows of each table, by what the logs say of the files."""
        known = {spec.name: self._known_rows(spec) for spec in specs}
        unknown = [spec for spec in specs if known[spec.name] is None]
        found = {name: rows for name, rows in known.items() if rows is not None}
        return found | (super()._counted(unknown, most) if unknown else {})

    def _known_rows(self, spec: TableSpec) -> int | None:
        table = self.lake.tables.get(spec.table.name)
        return table.rows if table is not None and not spec.table.name.startswith(OWN) else None


def _plain(columns: Mapping[str, ColumnFacts]) -> dict[str, ColumnFacts]:
    return {name: replace(each, is_numbered=False, sequence=None, next_number=None) for name, each in columns.items()}
