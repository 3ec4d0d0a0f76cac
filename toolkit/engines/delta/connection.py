"""A lake: one connection, and its tables as their logs have them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from msgspec import structs

from toolkit.core.schema import Note, Schema, TypesBy
from toolkit.core.tables import TableSpec
from toolkit.engines.catalogue import ColumnFacts, TableFacts
from toolkit.engines.delta.adapters import LakeCodec
from toolkit.engines.delta.features import CAPABILITIES
from toolkit.engines.delta.filling import fill, read_part, write_part
from toolkit.engines.delta.log import OWN
from toolkit.engines.delta.merging import merge, rewrite, rewritings
from toolkit.engines.delta.runs import LakeRun, runs
from toolkit.engines.delta.session import REMEDY, LakeSession, session_of
from toolkit.engines.delta.table import LakeRepository
from toolkit.engines.duckdb.connection import DuckDBConnection
from toolkit.engines.portable.connection import DatabaseConnection
from toolkit.engines.portable.table import TableRepository

if TYPE_CHECKING:
    import pyarrow as pa
    import sqlalchemy as sa

    from toolkit.compute.segments import SegmentTotals
    from toolkit.core.constraints import Constraints
    from toolkit.core.digest import TableDigest
    from toolkit.engines.catalogue import StoredTable
    from toolkit.engines.contract import Rewriting, RunAbout, Table, WrittenPart
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

    # -- written by several processes, committed by one ------------------------------------------------------------

    def require_parts(self, spec: TableSpec) -> None:
        """See that this connection may commit, and to such a table."""
        self.lake.require_commit()
        self.lake.table(spec.table.name)

    def new_run(self, spec: TableSpec, about: RunAbout) -> LakeRun:
        """A run for an empty table that is yet to be begun."""
        return LakeRun(self.lake, self.lake.table(spec.table.name), about)

    def runs(self, spec: TableSpec) -> Sequence[LakeRun]:
        """Those that others began for a table and did not end."""
        return runs(self.lake, self.lake.table(spec.table.name))

    def write_part(self, spec: TableSpec, run: str, part: int, source: Table) -> WrittenPart:
        """Write the rows of a part into new files, and read them back as any reader of the lake would."""
        return write_part(LakeRepository(self, spec), run, part, source)

    def read_part(self, spec: TableSpec, part: WrittenPart) -> WrittenPart:
        """Read back what was written of a part, maybe long ago."""
        return read_part(LakeRepository(self, spec), part)

    def fill(self, spec: TableSpec, parts: Sequence[WrittenPart]) -> None:
        """Let the files of these parts be the rows of an empty table."""
        fill(LakeRepository(self, spec), parts)

    def rewritings(self, spec: TableSpec, keys: pa.Table, size: int, workers: int) -> Sequence[Rewriting]:
        """What has to be written so that the table has rows with these keys, for so many."""
        return rewritings(LakeRepository(self, spec), keys, size, workers)

    def rewrite(self, spec: TableSpec, given: Rewriting, source: Table) -> WrittenPart:
        """Write these files anew, with the source's rows."""
        return rewrite(LakeRepository(self, spec), given, source)

    def take_part(self, spec: TableSpec, part: WrittenPart) -> None:
        """Remove these files at the end of the transaction, if it is not committed."""
        self.lake.table(spec.table.name).pending += part.files

    def merge(
        self, spec: TableSpec, before: SegmentTotals, given: Sequence[Rewriting], parts: Sequence[WrittenPart]
    ) -> TableDigest:
        """Let these be in place of the files that were written anew."""
        return merge(LakeRepository(self, spec), before, given, parts)

    def schema(self, types: TypesBy = TypesBy.DECLARATION) -> Schema:
        """The tables, and a note of each that has rows and cannot be used."""
        self.lake.use()
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

    def stored_tables(self) -> list[StoredTable]:
        """All tables that can be used."""
        self.lake.use()
        return super().stored_tables()

    def constraints(self, specs: Sequence[TableSpec]) -> dict[str, Constraints]:
        """What the definitions of these tables say."""
        self.lake.use(spec.table.name for spec in specs)
        return super().constraints(specs)

    def definitions(self, tables: Sequence[sa.Table]) -> Sequence[str]:
        """The statements that make these tables once more, with all that they rest on, just as they are."""
        self.lake.use(table.name for table in tables)
        return super().definitions(tables)

    def script(self) -> Script:
        """There are no scripts for a client of a lake.

        Raises:
            ConfigurationError: as said.
        """
        return cast("Script", DatabaseConnection.script(self))

    def _read_facts(self, specs: Sequence[TableSpec]) -> dict[str, TableFacts]:
        """What the definitions say; no table is in a schema, and no number comes from a sequence of a lake's."""
        self.lake.use(spec.table.name for spec in specs)
        for spec in specs:
            if spec.table.name in self.lake.hindrances:
                self.lake.table(spec.table.name)
        found = super()._read_facts([spec for spec in specs if spec.table.schema is None])
        return {name: TableFacts(_plain(facts.columns), facts.keys) for name, facts in found.items()}

    def _counted(self, specs: Sequence[TableSpec], most: int | None) -> dict[str, int]:
        """The rows of each table, by what the logs say of the files."""
        known = {spec.name: self._known_rows(spec) for spec in specs}
        unknown = [spec for spec in specs if known[spec.name] is None]
        found = {name: rows for name, rows in known.items() if rows is not None}
        return found | (super()._counted(unknown, most) if unknown else {})

    def _known_rows(self, spec: TableSpec) -> int | None:
        self.lake.use([spec.table.name])
        table = self.lake.tables.get(spec.table.name)
        return table.rows if table is not None and not spec.table.name.startswith(OWN) else None


def _plain(columns: Mapping[str, ColumnFacts]) -> dict[str, ColumnFacts]:
    return {
        name: structs.replace(each, is_numbered=False, sequence=None, next_number=None)
        for name, each in columns.items()
    }
