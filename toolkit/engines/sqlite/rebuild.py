"""Alembic's batch mode on SQLite, so that nothing is lost of a table that it makes anew.

What no operation of the batch changes is taken over word for word from `sqlite_schema`, as reflection does not tell all
of it: columns, constraints, the table's options, indexes, triggers, the counter of AUTOINCREMENT. What cannot be kept
(a view or a trigger over a column that goes, a value that its new type changes) is refused, and the table as before.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from alembic.util import CommandError
from sqlalchemy import (
    CheckConstraint,
    Column,
    Constraint,
    Enum,
    ForeignKeyConstraint,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    Uuid,
    case,
    literal_column,
)
from sqlalchemy.exc import CompileError
from sqlalchemy.schema import DropTable

from toolkit.engines.portable.batch_changes import default_of
from toolkit.engines.portable.changed_types import lost_as, require_none, require_not_null, require_parents
from toolkit.engines.portable.kept_schema import Thing, require_nothing_lost
from toolkit.engines.sqlite.constraints import described, stands_for
from toolkit.engines.sqlite.conversions import conversions
from toolkit.engines.sqlite.declared_kinds import kind_of
from toolkit.engines.sqlite.definition import ColumnDefinition, TableDefinition, normalised, updated_columns
from toolkit.engines.sqlite.dependents import broken_dependents
from toolkit.engines.sqlite.planner_statistics import PlannerStatistics
from toolkit.engines.sqlite.row_numbers import copying
from toolkit.engines.sqlite.schema_inventory import WITH_COLUMN, Meant, things
from toolkit.errors import MigrationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from alembic.operations.batch import ApplyBatchImpl
    from sqlalchemy import Connection, Insert
    from sqlalchemy.types import TypeEngine

_SAVEPOINT = "toolkit_rebuild"
_OWN_NAME = re.compile(r"(CREATE\s+(?:UNIQUE\s+)?(?:INDEX|TRIGGER)\s+)", re.IGNORECASE)


class Rebuild:
    """One table that is made anew: first all that may be refused, then `create`, Alembic's copying, and `finish`."""

    def __init__(
        self,
        connection: Connection,
        batch: ApplyBatchImpl,
        old: Table,
        dropped_indexes: Collection[str],
        dropped_constraints: Collection[str] = (),
    ) -> None:
        assert batch.new_table is not None
        self.connection, self._batch, self.old = connection, batch, old
        self.new_table = batch.new_table
        self._dialect: Any = connection.dialect
        self._quote = self._dialect.identifier_preparer.quote_identifier
        # For parts of tables; what it is given here, it compiles at once.
        self._compiler: Any = self._dialect.ddl_compiler(self._dialect, DropTable(Table("t", MetaData())))
        self._schema = old.schema or "main"
        self._keys = {each.key: str(each.name) for each in self.new_table.columns}
        self._definition = self._read_definition()
        self._counter = self._read_counter()
        self._statistics = PlannerStatistics(connection, self._schema, old.name)
        self._meant = Meant(
            batch, old, self._definition, {*dropped_indexes}, {*dropped_constraints}, self._changes_type
        )
        self._before = self._things()
        self._kept = self._indexes_and_triggers(dropped_indexes)
        self._new_keys: list[ForeignKeyConstraint] = []
        self.converts = False
        self._convert()
        # Renamed at the end, by SQLite itself: then indexes, triggers, views and other tables' foreign keys follow.
        for each in self.new_table.columns:
            each.name = each.key
        self._change_columns()
        self._takes_keys = bool(self._meant.gone or dropped_indexes)
        self._drop_constraints(dropped_constraints)
        self._change_constraints()
        self._broken_before = self._broken()

    # -- what Alembic calls --------------------------------------------------------------------------------

    def create(self) -> None:
        """Make the new table beside the old one."""
        self._run(f"SAVEPOINT {_SAVEPOINT}")
        options = self._definition.options or self._compiler.post_create_table(self.new_table)
        self._run(f"CREATE TABLE {self._named(self.new_table.name)} (\n\t{self._definition}\n) {options}")

    def finish(self) -> None:
        """Give the new table, which holds the rows by now, the old one's name and what belongs to it.

        Raises:
            MigrationError: views or triggers would not work any more, or something was lost; all is as before.
            UnrepresentableValueError: likewise, a row has no parent.
        """
        with self._undone_on_error():
            name = self._quote(self.old.name)
            with self._without_looking_at_views():
                self._run(f"ALTER TABLE {self._named(self.new_table.name)} RENAME TO {name}")
            self._restore_counter()
            for statement in self._kept:
                self._run(statement)
            for each in self.new_table.columns:
                each.name = self._keys[each.key]
                if each.name != each.key:
                    names = self._quote(each.key), self._quote(each.name)
                    self._run(f"ALTER TABLE {self._named(self.old.name)} RENAME COLUMN {names[0]} TO {names[1]}")
            self._statistics.restore(self._keys)
            self._require_unbroken()
            self._require_parents()
            require_nothing_lost(self.old.fullname, self._before, self._things(), self._meant)
            self._run(f"RELEASE {_SAVEPOINT}")

    def copying(self) -> Insert:
        """The statement that fills the new table, which is there, from the old one."""
        return copying(self.connection, self._batch, self.old, self._definition.options)

    def undo(self) -> None:
        """Leave the old table as it was."""
        self._run(f"ROLLBACK TO {_SAVEPOINT}")
        self._run(f"RELEASE {_SAVEPOINT}")

    # -- what is there -------------------------------------------------------------------------------------

    def _read_definition(self) -> TableDefinition:
        sql = self._scalar(
            f"SELECT sql FROM {self._named('sqlite_master')} WHERE type = 'table' AND lower(name) = lower(?)",
            self.old.name,
        )
        try:
            return TableDefinition.parsed(str(sql))
        except ValueError as error:
            advice = "Write the statements yourself, with op.execute."
            raise MigrationError(f"{self.old.fullname} cannot be changed in this way: {error}.", advice) from error

    def _read_counter(self) -> int | None:
        if not self._definition.is_autoincrement:
            return None
        query = f"SELECT seq FROM {self._named('sqlite_sequence')} WHERE name = ?"
        return self._scalar(query, self.old.name)  # type: ignore[no-any-return]

    def _things(self) -> dict[Thing, str]:
        return things(self.connection, self._schema, self.old.name, self._meant.names)

    def _restore_counter(self) -> None:
        if self._counter is None or not self._definition.is_autoincrement:
            return
        counters = self._named("sqlite_sequence")
        self._run(f"DELETE FROM {counters} WHERE name = ?", self.old.name)
        self._run(f"INSERT INTO {counters} (name, seq) VALUES (?, ?)", self.old.name, self._counter)

    def _indexes_and_triggers(self, dropped_indexes: Collection[str]) -> list[str]:
        """What makes them again; Alembic only makes the new ones."""
        self._batch.indexes.clear()
        kept = []
        found = self._rows(
            f"SELECT type, name, sql FROM {self._named('sqlite_master')} WHERE type IN ('index', 'trigger') "
            "AND lower(tbl_name) = lower(?) AND sql IS NOT NULL ORDER BY rowid",
            self.old.name,
        )
        if missing := {*dropped_indexes} - {name for _, name, _ in found}:
            raise CommandError(f"{self.old.fullname} has no index {', '.join(sorted(missing))}.")
        for kind, name, sql in found:
            if kind == "index" and self._meant(Thing(kind, self.old.name, name), sql):
                continue
            if kind == "trigger" and (columns := updated_columns(sql) & self._meant.gone):
                raise self._depending([f"the trigger {name} (on updates of {', '.join(sorted(columns))})"])
            prefix = "" if self._schema == "main" else f"{self._quote(self._schema)}."
            kept.append(_OWN_NAME.sub(lambda found, prefix=prefix: found[0] + prefix, sql, count=1))  # type: ignore[misc]
        return kept

    # -- values --------------------------------------------------------------------------------------------

    def _convert(self) -> None:
        """Say how the values of changed columns are copied.

        Raises:
            UnrepresentableValueError: one would not stay what it is.
        """
        for key, old in self.old.columns.items():
            new, transfer = self._batch.columns.get(key), self._batch.column_transfers.get(key)
            if new is None or transfer is None:
                continue
            if old.computed is not None:
                transfer.pop("expr", None)
                continue
            if self._changes_type(old, new):
                transfer["expr"] = self._converted(old, new.type)
                self.converts |= transfer["expr"] is not old
            if old.nullable and not new.nullable and not new.primary_key:
                require_not_null(self.connection, self.old, old.name)

    def _converted(self, old: Column[Any], wanted: TypeEngine[Any]) -> Any:
        name = self._quote(old.name)
        found = conversions(self._column(old.name).type, wanted, name, self._dialect)
        if found is None:
            return old
        condition = " OR ".join(f"({condition})" for condition, _ in found) or "0"
        refused = f"{name} IS NOT NULL AND NOT coalesce({condition}, 0)"
        names = f" ({', '.join(wanted.enums)})" if isinstance(wanted, Enum) else ""
        require_none(self.connection, self.old, old.name, refused, lost_as(self._type_text(wanted)) + names)
        becomes: list[Any] = [(literal_column(case_), literal_column(value)) for case_, value in found if value != name]
        return case(*becomes, else_=old) if becomes else old

    def _changes_type(self, old: Column[Any], new: Column[Any]) -> bool:
        if new.type is old.type:
            return False
        # The names of an enum are no part of its declared type, nor is the form of a UUID.
        return isinstance(new.type, Enum | Uuid) or self._type_text(new.type) != self._type_text(old.type)

    def _type_text(self, type_: TypeEngine[Any]) -> str:
        try:
            return str(self._dialect.type_compiler_instance.process(type_))
        except CompileError:
            # A column that was declared without a type.
            return ""

    # -- the new definition --------------------------------------------------------------------------------

    def _column(self, key: str) -> ColumnDefinition:
        return self._definition.columns[key.lower()]

    def _change_columns(self) -> None:
        """Edit the columns that change; others are as written."""
        changed: dict[str, ColumnDefinition] = {}
        for key, wanted in self._batch.columns.items():
            new = self.new_table.columns[key]
            if key not in self.old.columns:
                changed[key.lower()] = self._specified(new)
                continue
            old, found = self.old.columns[key], self._column(key)
            if self._changes_type(old, wanted) and not self._stays_row_number(key, wanted):
                found.type = self._type_text(new.type)
            if old.nullable != wanted.nullable:
                found.remove("NOT")
                found.remove("NULL")
                if not wanted.nullable:
                    found.add("NOT NULL")
            if default_of(old) is not default_of(wanted):
                found.remove("DEFAULT")
                found.clauses += [each for each in self._specified(new).clauses if each.kind == "DEFAULT"]
            changed[key.lower()] = found
        self._definition.change_columns(changed)

    def _stays_row_number(self, key: str, wanted: Column[Any]) -> bool:
        """Whether SQLite goes on numbering rows by it: that takes the type INTEGER, which holds every BIGINT."""
        keys = [each.name.lower() for each in self.old.primary_key.columns]
        is_row_number = keys == [key.lower()] and self._column(key).type.upper() == "INTEGER"
        without = self._definition.is_without_rowid
        return is_row_number and not without and kind_of(self._type_text(wanted.type)) == "integer"

    def _specified(self, new: Column[Any]) -> ColumnDefinition:
        parts = [self._compiler.get_column_specification(new), *map(self._compiler.process, new.constraints)]
        (found,) = TableDefinition.parsed(f"CREATE TABLE t ({' '.join(parts)})").columns.values()
        return found

    def _drop_constraints(self, names: Collection[str]) -> None:
        """Take away those that the definition alone has by their names."""
        for name in names:
            found = [each for each in self._definition.clauses() if (each[1].name or "").lower() == name.lower()]
            for clauses, clause, _ in found:
                clauses.remove(clause)
            self._takes_keys = True

    def _change_constraints(self) -> None:
        """Take away those that are dropped, or are of columns that go; append the new ones."""
        old = set(self.old.constraints)
        kept = {*self._batch.named_constraints.values(), *self._batch.unnamed_constraints}
        for constraint in old - kept:
            # Reflection does not tell whether an unnamed CHECK is the column type's own: Alembic leaves it out.
            is_unnamed_check = isinstance(constraint, CheckConstraint) and not constraint.name
            if not is_unnamed_check and not isinstance(constraint, PrimaryKeyConstraint):
                self._remove(constraint)
                self._takes_keys |= isinstance(constraint, UniqueConstraint)
        for clauses, clause, _ in self._definition.clauses():
            if clause.kind in {*WITH_COLUMN, "GENERATED"} and clause.identifiers & self._meant.gone:
                clauses.remove(clause)
        copied = {str(each.name) for each in kept & old if each.name}
        unnamed = {described(each) for each in kept & old if not each.name}
        present = {normalised(str(clause)) for _, clause, _ in self._definition.clauses()}
        # As reflected and as written in `table_args`, one CHECK may be there twice.
        for new in sorted(self.new_table.constraints, key=lambda each: str(each.name)):
            is_there = str(new.name) in copied if new.name else described(new) in unnamed
            # Types bring constraints for single engines: Advanced Alchemy's JsonB one for Oracle.
            rule = new._create_rule  # noqa: SLF001 - as SQLAlchemy's own compiler asks
            if isinstance(new, PrimaryKeyConstraint) or is_there or not (rule is None or rule(self._compiler)):
                continue
            text = self._compiler.process(new)
            if text and normalised(text) not in present:
                present.add(normalised(text))
                self._append(text)
                if isinstance(new, ForeignKeyConstraint):
                    self._new_keys.append(new)
        self._change_primary_key()

    def _remove(self, constraint: Constraint) -> None:
        """Take away the one that stands for it in the definition.

        Raises:
            CommandError: there is none.
        """
        for clauses, clause, column_ in self._definition.clauses():
            if stands_for(clause, column_, constraint):
                clauses.remove(clause)
                return
        if not {each.name.lower() for each in getattr(constraint, "columns", ())} & self._meant.gone:
            raise CommandError(f"{self.old.fullname} has no constraint {constraint.name or described(constraint)}.")

    def _change_primary_key(self) -> None:
        found = [(clause, column_) for _, clause, column_ in self._definition.clauses() if clause.kind == "PRIMARY"]
        present = [name for clause, of in found for name in ((of.name,) if of else clause.columns)]
        wanted = [each.key.lower() for each in self.new_table.primary_key.columns]
        counts = self.new_table.dialect_options["sqlite"]["autoincrement"] and not self._definition.is_autoincrement
        if set(present) == set(wanted) and not counts:
            return
        self._takes_keys = True
        for clauses, clause, _ in self._definition.clauses():
            if clause.kind == "PRIMARY":
                clauses.remove(clause)
        self._definition.is_autoincrement = False
        if counts and len(wanted) == 1:
            self._column(wanted[0]).add("PRIMARY KEY AUTOINCREMENT")
        elif wanted:
            self._append(self._compiler.process(self.new_table.primary_key))

    def _append(self, text: str) -> None:
        self._definition.constraints += TableDefinition.parsed(f"CREATE TABLE t (a, {text})").constraints

    # -- what depends on the table -------------------------------------------------------------------------

    def _require_unbroken(self) -> None:
        broken = {name: reason for name, reason in self._broken().items() if name not in self._broken_before}
        if broken:
            raise self._depending([f"{name} ({reason})" for name, reason in broken.items()])

    def _require_parents(self) -> None:
        columns = [Column(each.name, primary_key=each.primary_key) for each in self.new_table.columns]  # type: ignore[var-annotated]
        now = Table(self.old.name, MetaData(), *columns, schema=self.old.schema)
        for key in self._new_keys:
            require_parents(self.connection, now, key)

    def _depending(self, what: list[str]) -> MigrationError:
        return MigrationError(
            f"{self.old.fullname} cannot be changed in this way: {'; '.join(what)} would not work any more.",
            "Drop it before, and make it again as it should be, in the same migration (op.execute).",
        )

    def _broken(self) -> dict[str, str]:
        return broken_dependents(self.connection, self._schema, self.old.name if self._takes_keys else None)

    # -- the database --------------------------------------------------------------------------------------

    def _named(self, name: str) -> str:
        return f"{self._quote(self._schema)}.{self._quote(name)}"

    def _run(self, statement: str, *values: Any) -> None:
        self.connection.exec_driver_sql(statement, values or None).close()

    def _rows(self, query: str, *values: Any) -> list[Any]:
        return [tuple(row) for row in self.connection.exec_driver_sql(query, values or None)]

    def _scalar(self, query: str, *values: Any) -> Any:
        return self.connection.exec_driver_sql(query, values or None).scalar()

    @contextmanager
    def _without_looking_at_views(self) -> Iterator[None]:
        """Else SQLite refuses to rename a table while a view is over one that is not there at the moment."""
        before = self._scalar("PRAGMA legacy_alter_table")
        self._run("PRAGMA legacy_alter_table = ON")
        try:
            yield
        finally:
            self._run(f"PRAGMA legacy_alter_table = {before}")

    @contextmanager
    def _undone_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.undo()
            raise
