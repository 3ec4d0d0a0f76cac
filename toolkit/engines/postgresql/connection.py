"""PostgreSQL: one transaction, its tables as the catalogue has them, and its foreign keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from msgspec.structs import replace
from psycopg import errors as pg

from toolkit.core.constraints import Constraints
from toolkit.core.schema import Schema, TypesBy
from toolkit.core.tables import TableSpec
from toolkit.engines.catalogue import RunningTransaction, StoredTable, TableFacts, TableTriggers
from toolkit.engines.contract import RunAbout
from toolkit.engines.portable.connection import unmapped_child
from toolkit.engines.postgresql.catalogue import (
    ACTIONS,
    FOREIGN_KEYS,
    FOREIGN_KEYS_TO_PARTITIONS,
    TABLES,
    UNUSUAL,
    as_catalogued,
    table_facts,
)
from toolkit.engines.postgresql.conflicts import find_orphans
from toolkit.engines.postgresql.running import running_transactions
from toolkit.engines.postgresql.runs import PostgresRun, runs
from toolkit.engines.postgresql.sql import qualified, quoted
from toolkit.engines.postgresql.table import PostgresRepository
from toolkit.engines.postgresql.triggers import held_triggers, triggers
from toolkit.engines.postgresql.unchecked_keys import require_unchecked_parents

if TYPE_CHECKING:
    from toolkit.engines.portable.script import Script

from toolkit.engines.postgresql.session import PostgresSession


class PostgresConnection(PostgresSession):
    """One transaction on a PostgreSQL database. Whoever writes waits for the one toolkit writer before it."""

    def repository(self, spec: TableSpec) -> PostgresRepository:
        """Access to one table."""
        return PostgresRepository(self, spec)

    def new_run(self, spec: TableSpec, about: RunAbout) -> PostgresRun:
        """A run that fills a new table in place of an empty one."""
        return PostgresRun(self, spec, about)

    def runs(self, spec: TableSpec) -> Sequence[PostgresRun]:
        """Those that others began and did not end."""
        return runs(self, spec)

    def script(self) -> Script:
        """How a script for the engine's own client is written."""
        from toolkit.engines.postgresql.script import PostgresScript

        return PostgresScript(self)

    def immediate_foreign_keys(self, specs: Sequence[TableSpec]) -> list[tuple[str, str]]:
        """The foreign keys of these tables that cannot be deferred: quoted names of table and constraint."""
        query = sa.text(
            "SELECT conname FROM pg_constraint WHERE conrelid = to_regclass(:table) "
            "AND contype = 'f' AND NOT condeferrable AND conparentid = 0 ORDER BY conname"
        )
        with self.translated():
            return [
                (table, quoted(name))
                for table in (qualified(spec.table) for spec in specs)
                for (name,) in self.sqlalchemy.execute(query, {"table": table})
            ]

    @contextmanager
    def defer_foreign_keys(self, specs: Sequence[TableSpec]) -> Iterator[None]:
        """Make the foreign keys of these tables deferred for the block; they are checked and restored at its end."""
        found = self.immediate_foreign_keys(specs)
        with self.translated():
            for table, name in found:
                self.run(f"ALTER TABLE {table} ALTER CONSTRAINT {name} DEFERRABLE INITIALLY DEFERRED")
            # Those that were deferrable before, but not deferred.
            self.run("SET CONSTRAINTS ALL DEFERRED")
        self._deferred = specs
        yield
        self.check_parents(specs)
        with self.translated():
            for table, name in found:
                self.run(f"ALTER TABLE {table} ALTER CONSTRAINT {name} NOT DEFERRABLE")
        self._deferred = ()

    def check_parents(self, specs: Sequence[TableSpec]) -> None:
        """Let the server check what it has deferred, and check what it never does.

        Raises:
            MissingParentError: with the number of rows and the first key.
        """
        with self.translated():
            try:
                with self.savepoint():
                    self.run("SET CONSTRAINTS ALL IMMEDIATE")
            except pg.ForeignKeyViolation as error:
                found = (find_orphans(self, spec, qualified(spec.table)) for spec in specs)
                raise next(filter(None, found), None) or self.known_error(error) from error
            for spec in specs:
                require_unchecked_parents(self, spec)

    def lacking_right(self, table: sa.Table, rights: Sequence[str]) -> str | None:
        """Why this role may not do so with a table, or make it where it is not, in the server's words."""
        query = sa.text(
            "SELECT place IS NOT NULL, current_schema(), coalesce((SELECT bool_and(has_table_privilege(place, each)) "
            "FROM unnest(CAST(:rights AS text[])) AS each), has_schema_privilege(current_schema(), 'CREATE')) "
            "FROM to_regclass(:table) AS place"
        )
        with self.translated():
            found = {"table": qualified(table), "rights": list(rights)}
            exists, schema, may = self.sqlalchemy.execute(query, found).one()
        if may:
            return None
        return f"permission denied for {f'table {table.name}' if exists else f'schema {schema}'}"

    def stored_tables(self) -> Iterator[StoredTable]:
        """All tables with rows of somebody's that may be read; not those of the server or of an extension."""
        with self.translated():
            rows = self.sqlalchemy.execute(sa.text(TABLES)).all()
        return (StoredTable(row.name, row.schema, tuple(row.columns), row.name) for row in rows)

    def schema(self, types: TypesBy = TypesBy.DECLARATION) -> Schema:
        """All of `stored_tables` by the server's own catalogue, in a few questions."""
        from toolkit.engines.postgresql.schema.reflected import schema_of

        return schema_of(self, self.stored_tables(), types)

    def definitions(self, tables: Sequence[sa.Table]) -> Sequence[str]:
        """The statements that make these tables once more, with all that they rest on, just as they are."""
        from toolkit.engines.postgresql.schema.definitions import definitions

        return definitions(self, tables)

    def expect(self, spec: TableSpec, types: Mapping[str, str]) -> None:
        """Take a table for one that is yet to be made, of such columns, in SQL's words or the catalogue's."""
        super().expect(spec, {name: as_catalogued(type_) for name, type_ in types.items()})

    def _read_facts(self, specs: Sequence[TableSpec]) -> dict[str, TableFacts]:
        return table_facts(self, specs)

    def constraints(self, specs: Sequence[TableSpec]) -> dict[str, Constraints]:
        """The constraints that these tables have in this database, by name; without those that are views there."""
        found, places = super().constraints(specs), {qualified(spec.table): spec.name for spec in specs}
        with self.translated():
            rows = self.sqlalchemy.execute(sa.text(UNUSUAL), {"tables": list(places)}).all()
            copies = self.sqlalchemy.execute(sa.text(FOREIGN_KEYS_TO_PARTITIONS), {"tables": list(places)}).all()
        for row in (row for row in rows if places[row.place] in found):
            table = found[name := places[row.place]]
            unusual: dict[str, Any] = (
                {"collations": {**table.collations, row.name: row.collation}}
                if row.collation
                else {"others": (*table.others, row.name)}
            )
            found[name] = replace(table, **unusual)
        for row in copies:
            table = found[name := places[row.place]]
            given = (
                each for each in table.foreign_keys or () if (*each.columns, each.parent) != (*row.columns, row.parent)
            )
            found[name] = replace(table, foreign_keys=tuple(given))
        return found

    def holds(self, table: sa.FromClause, *conditions: sa.ColumnElement[bool]) -> bool:
        """Whether a table has a row that meets these conditions; neither an error nor a lock stays of the search."""
        with self.raw.transaction(force_rollback=True):
            return super().holds(table, *conditions)

    def unmapped_children(self, spec: TableSpec) -> tuple[TableSpec, ...]:
        """Tables unknown to the model that the database lets point at this one, by the columns that point."""
        with self.translated():
            rows = self.sqlalchemy.execute(sa.text(FOREIGN_KEYS), {"table": qualified(spec.table)}).all()
        known = spec.table.metadata.tables
        return tuple(
            unmapped_child(spec, row.name, list(zip(row.columns, row.parent_columns, strict=True)), row.schema)
            for row in rows
            if not {row.name, f"{row.schema}.{row.name}"} & known.keys()
        )

    def triggers(self, specs: Sequence[TableSpec]) -> Sequence[TableTriggers]:
        """The application's triggers and rules that fire when rows of these tables are written."""
        return triggers(self, specs)

    def held_triggers(self, specs: Sequence[TableSpec]) -> AbstractContextManager[None]:
        """Keep those triggers from firing within the block: they are disabled, and enabled as they were."""
        return held_triggers(self, specs)

    def running_transactions(self) -> Sequence[RunningTransaction]:
        """Those of others whose rows this snapshot lacks, and that may commit them yet, prepared ones too."""
        return running_transactions(self)

    def has_update_cascades(self, spec: TableSpec) -> bool:
        """Whether the database changes rows of the table by itself when what they point at is changed."""
        query = sa.text(
            "SELECT EXISTS (SELECT 1 FROM pg_constraint WHERE conrelid = to_regclass(:table) "
            "AND contype = 'f' AND confupdtype IN ('c', 'n', 'd'))"
        )
        with self.translated():
            return bool(self.sqlalchemy.execute(query, {"table": qualified(spec.table)}).scalar_one())

    def has_unmapped_actions(self, specs: Sequence[TableSpec], /) -> bool:
        """Whether foreign keys that the models lack let the database change or delete rows of these tables."""
        places = {qualified(spec.table): {frozenset(key.columns) for key in spec.foreign_keys} for spec in specs}
        with self.translated():
            rows = self.sqlalchemy.execute(sa.text(ACTIONS), {"tables": list(places)}).all()
        return any(frozenset(row.columns) not in places[row.place] for row in rows)
