"""MariaDB: one transaction, and its tables as the catalogue has them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from toolkit.core.progress import SILENT, Progress
from toolkit.core.schema import Schema, TypesBy
from toolkit.core.tables import ForeignKeySpec, TableSpec, child_by
from toolkit.engines.catalogue import RunningTransaction, StoredTable, TableFacts, TableTriggers
from toolkit.engines.contract import Script
from toolkit.engines.mariadb import catalogue
from toolkit.engines.mariadb.definitions import TRANSACTIONAL, definition, inner_number, without_sequences
from toolkit.engines.mariadb.dialect import is_enforced
from toolkit.engines.mariadb.modes import MADE, set_mode
from toolkit.engines.mariadb.numbers import advance
from toolkit.engines.mariadb.session import BY_ROWS, MariaDBSession
from toolkit.engines.mariadb.stored_keys import Place, StoredKey, keys_of, require_parents, unmodelled
from toolkit.engines.mariadb.table import MariaDBRepository
from toolkit.engines.portable.connection import unmapped_child
from toolkit.errors import SchemaMismatchError

# Options that another storage engine alone has are passed over.
_MOVED = f"SET STATEMENT innodb_strict_mode = OFF FOR ALTER TABLE {{}} {{}}ENGINE={TRANSACTIONAL}"
_TRIGGERS = f"""
SELECT t.event_object_table AS place, t.trigger_name AS name, t.action_timing AS moment, t.event_manipulation AS event
FROM information_schema.triggers AS t
WHERE t.event_object_schema = coalesce(:schema, database()) AND {catalogue.named("t.event_object_table", "IN :tables")}
ORDER BY t.trigger_name
"""
_NEVER_HELD = "MariaDB has no way to keep a trigger from firing"


class MariaDBConnection(MariaDBSession):
    """One transaction on a MariaDB database. Whoever writes waits for the one toolkit writer before it."""

    _locked: Sequence[TableSpec] = ()
    _unfinished: Sequence[tuple[str, str]] = ()

    def repository(self, spec: TableSpec) -> MariaDBRepository:
        """Access to one table."""
        return MariaDBRepository(self, spec)

    def script(self) -> Script:
        """How a script for the server's own client is written."""
        from toolkit.engines.mariadb.script import MariaDBScript

        return MariaDBScript(self)

    def lock_tables(self, specs: Sequence[TableSpec], progress: Progress = SILENT) -> None:
        """Keep these tables from being altered, and see that what is written to them can be undone.

        Raises:
            SchemaMismatchError: a table to write to takes part in no transaction.
        """
        super().lock_tables(specs, progress)
        self._locked = specs
        if not self.write:
            return
        with self.translated():
            engines = catalogue.storage_engines(self.sqlalchemy, specs)
        others = {name: engine for name, engine in engines.items() if engine != TRANSACTIONAL}
        if others:
            raise SchemaMismatchError(
                [f"{self.name}.{name} is of {engine}, which has no transactions" for name, engine in others.items()],
                f"Run there: ALTER TABLE {next(iter(others))} ENGINE={TRANSACTIONAL}; or leave them out (--exclude).",
            )

    def stored_tables(self) -> Iterator[StoredTable]:
        """All tables of the database that the address names."""
        with self.translated():
            return iter(list(catalogue.stored_tables(self.sqlalchemy)))

    def schema(self, types: TypesBy = TypesBy.DECLARATION) -> Schema:
        """All of `stored_tables` by the server's own catalogue, in a few questions."""
        from toolkit.engines.mariadb.schema import schema_of

        with self.translated():
            # Another database of the server's kind gets its tables by the server's own statements.
            return schema_of(self, list(self.stored_tables()), types)

    def definitions(self, tables: Sequence[sa.Table]) -> Sequence[str]:
        """The server's own statements, which make these tables just as they are, in the mode that they mean.

        But for what keeps their rows, so that these can be written.
        """
        quote = self.sqlalchemy.dialect.identifier_preparer.format_table
        names = {quote(table).replace("%%", "%"): table for table in tables}
        with self.translated():
            made = [without_sequences(definition(self.raw, name), table) for name, table in names.items()]
        others = {
            name: inner_number(table)
            for name, table in names.items()
            if table.kwargs.get("mysql_engine", TRANSACTIONAL) != TRANSACTIONAL
        }
        moved = (
            _MOVED.format(name, "" if number is None else f"ADD INDEX ({self._quoted(number)}), ")
            for name, number in others.items()
        )
        return [set_mode(*MADE), *made, *moved]

    def _quoted(self, name: str) -> str:
        return str(self.sqlalchemy.dialect.identifier_preparer.quote_identifier(name)).replace("%%", "%")

    def _read_facts(self, specs: Sequence[TableSpec]) -> dict[str, TableFacts]:
        with self.translated():
            return catalogue.table_facts(self.sqlalchemy, specs)

    def _keeps_unique(self, index: sa.Index) -> bool:
        return is_enforced(index)

    def unmapped_children(self, spec: TableSpec) -> tuple[TableSpec, ...]:
        """What the database lets point at this table though the model does not: tables, by the columns that point."""
        with self.translated():
            keys = keys_of(self, spec)
        return tuple(
            child
            for key in keys
            if key.parent == Place(spec.table.schema, spec.table.name)
            and (child := self._unmapped_child(spec, key)) is not None
        )

    def _unmapped_child(self, spec: TableSpec, key: StoredKey) -> TableSpec | None:
        known = spec.table.metadata.tables.get(key.child.full_name)
        if known is None:
            return unmapped_child(spec, key.child.name, key.pairs, key.child.schema)
        pairs = {*key.pairs}
        if any(
            each.referred_table is spec.table and {(e.parent.name, e.column.name) for e in each.elements} == pairs
            for each in known.foreign_key_constraints
        ):
            return None
        child = child_by(known, key.columns)
        foreign_key = ForeignKeySpec(key.columns, spec.name, tuple(theirs for _, theirs in key.pairs))
        return replace(child, foreign_keys=(foreign_key,))

    def check_parents(self, specs: Sequence[TableSpec]) -> None:
        """Check the foreign keys of these tables, also those that the database has and the models have not.

        Raises:
            MissingParentError: with the number of rows and the first key.
        """
        super().check_parents(specs)
        own = {Place(spec.table.schema, spec.table.name): spec for spec in specs}
        with self.translated():
            keys = unmodelled(self, specs)
        for key in keys:
            shown_key = own[key.child].shown_key if key.child in own else key.columns
            require_parents(self, key, shown_key, BY_ROWS)

    def triggers(self, specs: Sequence[TableSpec]) -> Sequence[TableTriggers]:
        """The application's triggers that fire when rows of these tables are written; none can be held."""
        found: dict[str, list[Any]] = defaultdict(list)
        for schema in dict.fromkeys(spec.table.schema for spec in specs):
            names = catalogue.Names((spec.table.name, spec.name) for spec in specs if spec.table.schema == schema)
            with self.translated():
                for row in catalogue.rows(self.sqlalchemy, _TRIGGERS, schema=schema, tables=list(names)):
                    found[names[row.place]].append(row)
        return [
            TableTriggers(
                table,
                tuple(row.name for row in rows),
                hindrance=_NEVER_HELD,
                can_be_held=False,
                give_values=any((row.moment, row.event) == ("BEFORE", "INSERT") for row in rows),
            )
            for table, rows in found.items()
        ]

    def held_triggers(self, specs: Sequence[TableSpec]) -> AbstractContextManager[None]:
        """Nothing: it is refused before, where there are any."""
        return nullcontext()

    def make_own_table(self, table: sa.Table) -> None:
        """By a session of its own, as making one ends a transaction; its key is of any length."""
        with self.translated():
            if sa.inspect(self.sqlalchemy).has_table(table.name):
                return
            columns = [sa.Column(each.name, each.type, nullable=False) for each in table.columns]
            made = sa.Table(table.name, sa.MetaData(), *columns)
            made.append_constraint(sa.UniqueConstraint(*(each.name for each in table.primary_key), name="toolkit_key"))
            engine = self.database.unpooled_engine()
            with engine.connect() as other:
                made.create(other)

    def commit(self) -> None:
        """Make the transaction's work last, and then let tables go on with the numbers of another database."""
        super().commit()
        later = {name: self.later.pop(name) for name in [*self.later]}
        self._unfinished = tuple(advance(self.database.unpooled_engine(), later)) if later else ()

    def unfinished(self) -> Sequence[tuple[str, str]]:
        """The tables that go on with numbers of before, and why."""
        return self._unfinished

    def running_transactions(self) -> Sequence[RunningTransaction]:
        """Those of others, before and after a snapshot that is taken anew."""
        from toolkit.engines.mariadb.running import running_transactions

        return running_transactions(self, self._begin_again)

    def _begin_again(self) -> None:
        """Take a snapshot as of now, with the same tables kept from being altered."""
        specs = self._locked
        self.run("ROLLBACK")
        self.forget()
        self._begin()
        self.lock_tables(specs)

    @contextmanager
    def defer_foreign_keys(self, specs: Sequence[TableSpec]) -> Iterator[None]:
        """Nothing: they are not acted on before the commit."""
        yield
