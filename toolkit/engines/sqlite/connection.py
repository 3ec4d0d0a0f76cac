"""SQLite: one transaction on a file, and its errors in our words."""

from __future__ import annotations

import re
import sqlite3
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from toolkit.core.schema import ColumnMeasure, Schema, TypesBy
from toolkit.core.tables import TableSpec
from toolkit.core.types import FLOAT_KINDS, Kind
from toolkit.engines.contract import Capabilities
from toolkit.engines.portable.connection import unmapped_child
from toolkit.engines.portable.table import TableRepository
from toolkit.engines.sqlite.catalogue import constraints, stored_tables, table_facts
from toolkit.engines.sqlite.features import FEATURES
from toolkit.engines.sqlite.misfits import any_text
from toolkit.engines.sqlite.parts import Watch
from toolkit.engines.sqlite.snapshot import BUSY_STEP, CACHE_KB, LOCKED, SqliteSnapshot
from toolkit.engines.sqlite.table import SqliteRepository
from toolkit.engines.sqlite.triggers import held_triggers, triggers
from toolkit.errors import (
    CORRECT_ROW,
    CancelledError,
    ChangedWhileReadError,
    DatabaseUnavailableError,
    StatementError,
    ToolkitError,
)

if TYPE_CHECKING:
    from toolkit.core.constraints import Constraints
    from toolkit.engines.catalogue import StoredTable, TableFacts, TableTriggers
    from toolkit.engines.portable.script import Script


class SqliteConnection(SqliteSnapshot):
    """One transaction on a SQLite file. Writing waits for the write lock: at once, unless it looks first."""

    capabilities = Capabilities(
        enforces_foreign_keys=False,
        keeps_text_of_json=True,
        loads_without_key=False,
        has_schemas=FEATURES.has_schemas,
        has_strict_types=False,
        keeps_moment=True,
    )
    insert = staticmethod(sqlite.insert)
    options_of = "sqlite"

    def views(self, schema: str | None) -> frozenset[str]:
        """The names of the views; there are no schemas but that of the file itself."""
        return super().views(schema) if schema in (None, "main") else frozenset()

    def commit(self) -> None:
        """Make the transaction's work last, waiting for readers that stand in the way, and begin the next."""
        with self.translated():
            self._in_time(lambda: self._run("COMMIT"))
            self._stages.close()
        super().commit()

    _joined: str | None = None
    _watch: Watch | None = None

    def share(self) -> str:
        """Let others read the copy that this one reads, or beside a log the file itself, which is watched meanwhile."""
        if self._live is not None:
            return str(self.sqlalchemy.engine.url.database)
        self._watch = Watch(self._file)
        # As of a moment since the watch began.
        self.forget()
        self._end_readers()
        self._begin_again()
        return ""

    def join(self, shared: str) -> None:
        """Read what another reads."""
        self._joined = shared
        self.database = self.database.at(f"sqlite:///{shared}") if shared else self.database

    def require_shared(self) -> None:
        """Check that nobody has written to a file that several read, each as of its own moment."""
        if self._watch is not None and self._watch.has_seen_a_commit:
            raise ChangedWhileReadError(self.name)

    def close(self) -> None:
        """Let go of the file, and watch it no longer."""
        super().close()
        if self._watch is not None:
            self._watch.close()

    def _begin(self) -> None:
        self.driver.isolation_level = None
        self._run(f"PRAGMA busy_timeout = {BUSY_STEP}")
        # Referential integrity is checked by query before the commit, for this engine would name no row.
        self._run("PRAGMA foreign_keys = OFF")
        if self.write:
            self._run(f"PRAGMA cache_size = -{CACHE_KB}")
            self._take_turn()
            self._in_time(lambda: self._run("BEGIN IMMEDIATE"))
        else:
            self._in_time(self._begin_snapshot)
        if self._joined is not None:
            self.read_alone()
        self._restrain()

    def begin_with(self, make: Callable[[], None]) -> None:
        """Make tables with what they call, of which nothing is known before they are there: json_extract() in 3.40."""
        self._run("PRAGMA trusted_schema = ON")
        super().begin_with(make)
        self._restrain()

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what the block did if it fails."""
        self._run("SAVEPOINT toolkit")
        try:
            yield
        except BaseException:
            # After some errors, as of a full disk, SQLite has rolled back everything by itself.
            if self.driver.in_transaction:
                self._run("ROLLBACK TO toolkit")
                self._run("RELEASE toolkit")
            raise
        self._run("RELEASE toolkit")

    def repository(self, spec: TableSpec) -> TableRepository:
        """Access to one table."""
        return SqliteRepository(self, spec)

    def script(self) -> Script:
        """How a script for the engine's own client is written."""
        from toolkit.engines.sqlite.script import SqliteScript

        return SqliteScript(self)

    def stored_tables(self) -> Iterator[StoredTable]:
        """All tables with rows of somebody's; not those of SQLite itself."""
        return stored_tables(self)

    def schema(self, types: TypesBy = TypesBy.DECLARATION) -> Schema:
        """All of them by SQLite's own catalogue."""
        from toolkit.engines.sqlite.schema import schema

        return schema(self, types)

    def definitions(self, tables: Sequence[sa.Table]) -> Sequence[str]:
        """The statements of the file itself, with those of the tables' indexes."""
        from toolkit.engines.sqlite.definitions import definitions

        return definitions(self, tables)

    def measures(self, table: sa.Table) -> dict[str, ColumnMeasure]:
        """What is stored in each column, by its class and form."""
        from toolkit.engines.sqlite.schema import measures

        return measures(self, table)

    def _read_facts(self, specs: Sequence[TableSpec]) -> dict[str, TableFacts]:
        return table_facts(self, specs)

    def constraints(self, specs: Sequence[TableSpec]) -> dict[str, Constraints]:
        """The constraints that these tables have, from SQLite's own catalogue: reflection loses some."""
        with self.translated():
            found = {spec.name: constraints(self, spec) for spec in specs}
        return {name: each for name, each in found.items() if each is not None}

    def compared_name(self, name: str) -> str:
        """A name as SQLite compares it, which knows no upper case in ASCII."""
        return name.translate(_LOWER)

    def unmapped_children(self, spec: TableSpec) -> tuple[TableSpec, ...]:
        """Tables unknown to the model that the database lets point at this one, by the columns that point."""
        query = sa.text(
            'SELECT t.name, f.id, f."from", f."to" FROM sqlite_schema AS t, pragma_foreign_key_list(t.name) AS f '
            "WHERE t.type = 'table' AND lower(f.\"table\") = lower(:parent) ORDER BY t.name, f.id, f.seq"
        )
        with self.translated():
            rows = self.sqlalchemy.execute(query, {"parent": spec.table.name}).all()
        known = {name.lower() for name in spec.table.metadata.tables}
        found = [list(group) for (name, _), group in groupby(rows, lambda row: row[:2]) if name.lower() not in known]
        # A foreign key that names no columns points at the primary key; at a table without one it is none.
        key = [column.name for column in spec.table.primary_key.columns]
        return tuple(
            unmapped_child(spec, parts[0][0], [(part[2], part[3] or key[place]) for place, part in enumerate(parts)])
            for parts in found
            if key or all(part[3] for part in parts)
        )

    def unlike_numbers(self, specs: Sequence[TableSpec]) -> dict[tuple[str, str], int]:
        """Decimals and floats that are stored as bytes of their text: one scan of each table that could have some."""
        found = {}
        for spec in specs:
            names = [c.name for c in spec.columns if c.type.carrier in FLOAT_KINDS | {Kind.DECIMAL}]
            blobs = [sa.case((sa.func.typeof(spec.table.c[name]) == "blob", 1)) for name in names]
            counts: list[Any] = [sa.func.count(each) for each in blobs]
            if counts:
                with self.translated():
                    row = self.sqlalchemy.execute(sa.select(*counts)).one()
                found.update({(spec.name, name): n for name, n in zip(names, row, strict=True) if n})
        return found

    def require_one_form(self, specs: Sequence[TableSpec]) -> None:
        """Check that no UUID that is a key is stored as bytes here, and as text there."""
        from toolkit.engines.sqlite.uuid_forms import require_one_form

        require_one_form(self, specs)

    def told_forms(self, specs: Sequence[TableSpec]) -> Iterator[str]:
        """The columns with UUIDs as bytes here, and as text there."""
        from toolkit.engines.sqlite.uuid_forms import told_forms

        return told_forms(self, specs)

    def written_forms(self, spec: TableSpec, most: int | None = None) -> Mapping[str, str | None]:
        """By column with values, in which form all stand, or the first so many, of those that the same may stand in."""
        from toolkit.engines.sqlite.standing_forms import written_forms

        return dict(written_forms(self, spec, most))

    def triggers(self, specs: Sequence[TableSpec]) -> Sequence[TableTriggers]:
        """The application's triggers that fire when rows of these tables are written."""
        return triggers(self, specs)

    def held_triggers(self, specs: Sequence[TableSpec]) -> AbstractContextManager[None]:
        """Keep those triggers from firing within the block: they are dropped, and made again as they were."""
        return held_triggers(self, specs)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn errors of sqlite3 and ADBC into this package's."""
        import adbc_driver_manager

        try:
            yield
        except (sa.exc.DBAPIError, sqlite3.Error, adbc_driver_manager.Error) as error:
            # ADBC hears Ctrl-C itself while it is at work, and would cancel, which its driver for SQLite cannot.
            if isinstance(error.__cause__, KeyboardInterrupt | adbc_driver_manager.NotSupportedError):
                raise KeyboardInterrupt from error
            own = getattr(error, "orig", None) or error
            if getattr(own, "sqlite_errorname", "") == "SQLITE_CONSTRAINT_TRIGGER":
                # All that SQLite tells is the text that the trigger raises, which may be any.
                advice = "Keep triggers from firing (--hold-triggers), or leave such rows as they are."
                raise StatementError(self.name, f"a trigger refuses a row: {own}", advice) from error
            raise self.known_error(str(own)) from error

    def showing(self) -> AbstractContextManager[None]:
        """Bytes, and texts that are no UTF-8, are shown as texts, too."""
        return any_text(self.driver)

    def known_error(self, message: str) -> ToolkitError:
        """The error to raise in place of SQLite's."""
        text = message.partition("\n")[0].removeprefix("INTERNAL: ").removeprefix("[SQLite] ")
        if text.endswith("interrupted"):
            return CancelledError(self.name)
        for sign, fact, advice in _KNOWN_ERRORS:
            if sign in message:
                seconds = self.database.lock_seconds
                return DatabaseUnavailableError(
                    self.name, fact.format(file=self.database.file, seconds=seconds), advice
                )
        if "constraint failed" in text:
            return StatementError(self.name, f"a row is refused: {text}", CORRECT_ROW)
        if (found := re.search(r"no such collation sequence: (\S+)", text)) is not None:
            fact = f"the collation {found[1]} is a function of its application's, and texts are not compared without it"
            return StatementError(self.name, fact, "Leave out each table whose definition names it: --exclude TABLE.")
        if (found := re.search(r"(?:no such|unknown) function: ([^\s()]+)", text)) is not None:
            fact = f"SQLite has no function {found[1]}: it is one of the application's, or misspelt"
            advice = "Leave out each table whose definition names it (--exclude TABLE), or correct the condition."
            return StatementError(self.name, fact, advice)
        return StatementError(self.name, text, "Run with --debug to see the statement.")


_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_KNOWN_ERRORS = (
    (
        LOCKED,
        "{file} is locked by another process that is writing (waited {seconds:g} s)",
        "Let that process commit or close the file, then run again.",
    ),
    ("readonly database", "{file} or its folder cannot be written to", "Give yourself write permission on both."),
    (
        "unable to open database file",
        "{file} cannot be opened",
        "Check that its folder exists, and that you may enter it and, for a new database, write there.",
    ),
    ("file is not a database", "{file} is not a SQLite database", "Check the path; nothing was changed."),
    ("malformed", "{file} is damaged", "Run 'PRAGMA integrity_check' on it, and restore a backup."),
    ("disk is full", "the disk that holds {file} is full", "Make room, then run again."),
    (
        "disk I/O error",
        "{file} or its journal cannot be read or written (full disk, file-size limit or bad device)",
        "Make room or raise the limit (ulimit -f), then run again.",
    ),
)
