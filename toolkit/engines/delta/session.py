"""What a connection sees of a lake, and what its commit does there.

A lake has no SQL of its own: the calculator reads its files. Each connection is one to an empty database in memory
that has the definitions of all tables of the lake, without rows; a view of the same name, which comes before the table,
has the rows, from the files. Rows that are written go through the table, which has the constraints, into new files;
tables that statements have made there are made in the lake by the commit.

The log of a table is read when the table is first used: until then, an empty table of its name stands for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import duckdb
import sqlalchemy as sa

from toolkit.compute.scratch import scratch_directory
from toolkit.core.parallel import in_order
from toolkit.engines.delta import log, receipts
from toolkit.engines.delta.definitions import definition_of, properties
from toolkit.engines.delta.place import place_of
from toolkit.engines.delta.tables import LakeTable, quoted
from toolkit.engines.portable.literals import quoted_text as literal
from toolkit.errors import ConfigurationError, ContentionError, StatementError, ToolkitError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from toolkit.engines.contract import Configured

REMEDY = (
    "Use tables that this toolkit has made, or that hold plain columns and files without more; where a file or a "
    "version is lost, another may do without (NAME@VERSION; at a time, NAME@TIME, each table has a version of its own)"
)
"""What to do about a table that cannot be used."""
_WITHIN = ("autoinstall_known_extensions", "autoload_known_extensions", "enable_external_access")
_COLUMNS = """
SELECT table_name, column_name, data_type, is_nullable FROM duckdb_columns()
WHERE database_name = current_database() AND NOT internal ORDER BY table_name, column_index
"""
_TABLES = "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() AND NOT temporary"
_STAND_IN = "CREATE TABLE {}(toolkit_unread BOOLEAN)"
_AT_ONCE = 8
# Of statements that look into the catalogue, those that ask for names alone.
_NAMES = re.compile(r"\s*SELECT\s+(table|view|sequence|schema)_name\s+FROM\s+duckdb_\w+\(\)", re.IGNORECASE)
_CATALOGUE = re.compile(r"duckdb_\w+\(|information_schema|pg_catalog|sqlite_master|\bshow\b|\bpragma\b|\bdescribe\b")
_SHARED = ("CREATE TYPE", "CREATE SEQUENCE", "CREATE SCHEMA")


class LakeSession:
    """The tables of a lake as they were when it was opened, and with what this connection has changed."""

    def __init__(self, database: Configured, raw: DuckDBPyConnection, *, read_only: bool) -> None:
        self.place, self.raw = place_of(database), raw
        self._read_only = read_only or self.place.moment is not None
        self.hindrances: dict[str, str] = {}
        """By table, why it cannot be used."""
        self.tables: dict[str, LakeTable] = {}
        self._kept: dict[str, int] = {}
        self._numbers = count()
        self._is_forgotten = False
        self._unread: dict[str, None] = {}
        """The tables that nobody has used yet."""
        self._begun: dict[str, log.Snapshot | None] = {}
        """Those that were first used in this transaction: what it defines ends with it, unless it is committed."""
        self._known: dict[str, log.Snapshot | None] = {}
        self._logged: set[str] = set()
        """Those that are known to be tables, and no other folders."""
        self._stack = ExitStack()
        try:
            self._settle(str(self._stack.enter_context(scratch_directory())))
            self._stand_in()
        except BaseException:
            self._stack.close()
            raise

    def _settle(self, directory: str) -> None:
        """What does not fit into memory goes to a directory; what a lake's definitions say reads no file at all."""
        self.raw.execute(f"SET temp_directory = {literal(directory)}")
        for setting in _WITHIN:
            self.raw.execute(f"SET {setting} = false")
        self.raw.execute("SET TimeZone = 'UTC'")

    @property
    def database(self) -> str:
        """The database's name, for messages."""
        return self.place.database

    def _stand_in(self) -> None:
        """Let every table have its name."""
        folded: set[str] = set()
        for name in self.place.table_names():
            if name.casefold() in folded:
                self.hindrances[name] = "another has its name but for the case"
            else:
                folded.add(name.casefold())
                self._unread[name] = None
        statements = (_STAND_IN.format(quoted(name)) for name in self._unread)
        self.raw.execute("; ".join(["BEGIN", *statements, "COMMIT"]))

    # -- which tables there are ------------------------------------------------------------------------------------

    def use(self, names: Iterable[str] | None = None) -> None:
        """Read the logs of these tables, or of all, unless that is done."""
        wanted = [name for name in (self._unread if names is None else dict.fromkeys(names)) if name in self._unread]
        unknown = [name for name in wanted if name not in self._known]
        for name, snapshot in zip(unknown, in_order(partial(log.read, self.place), unknown, _AT_ONCE), strict=True):
            self._known[name] = snapshot
        for name in wanted:
            self.raw.execute(f"DROP TABLE {quoted(name)}")
            del self._unread[name]
            snapshot = self._begun[name] = self._known.pop(name)
            if snapshot is not None:
                self._define(name, snapshot)

    def use_mentioned(self, statement: str, parameters: object) -> None:
        """Read the logs of the tables that a statement may be about; of all, if it looks into the catalogue."""
        if not self._unread:
            return
        if _NAMES.match(statement):
            self._forget_others()
            return
        text = f"{statement} {parameters}".casefold()
        if _CATALOGUE.search(text) and "_name = " not in text:
            self.use()
        else:
            plain = text.replace('""', '"')
            self.use([name for name in self._unread if name.casefold() in text or name.casefold() in plain])

    def _forget_others(self) -> None:
        """Let folders that hold no table have no name here, either."""
        unsure = [name for name in self._unread if name not in self._logged]
        found = self.place.are_tables(unsure)
        self._logged |= {name for name, is_table in zip(unsure, found, strict=True) if is_table}
        self._known |= {name: None for name in unsure if name not in self._logged}
        self.use(name for name in unsure if name not in self._logged)

    def _define(self, name: str, snapshot: log.Snapshot) -> None:
        if snapshot.hindrance is not None:
            self.hindrances[name] = snapshot.hindrance
            return
        try:
            for statement in definition_of(name, snapshot):
                try:
                    self.raw.execute(statement)
                except duckdb.CatalogException:
                    if not statement.startswith(_SHARED):  # Other tables rest on the same types.
                        raise
        except (duckdb.Error, ValueError) as error:
            self.hindrances[name] = f"its definition is not understood: {str(error).partition(chr(10))[0]}"
            return
        try:
            self._adopt(name, snapshot)
        except FileNotFoundError as error:
            del self.tables[name]
            self.hindrances[name] = f"a file that its log names is not there: {error}"

    def _adopt(self, name: str, snapshot: log.Snapshot | None) -> LakeTable:
        """Take a table that is defined for one of the lake's."""
        columns = [row for row in self.raw.execute(_COLUMNS).fetchall() if row[0] == name]
        types = {column: actual for _, column, actual, _ in columns}
        required = frozenset(column for _, column, _, is_nullable in columns if not is_nullable)
        table = LakeTable(self.place, name, next(self._numbers), types, required, snapshot)
        table.files = list(snapshot.files) if snapshot is not None else []
        self.tables[name] = table
        if not name.startswith(log.OWN):
            table.show(self.raw)
            return table
        if snapshot is not None:
            stored = table.stored_view(self.raw, table.files, "toolkit_few")
            self.raw.execute(f"INSERT INTO {table.definition} SELECT {table.typed_fields()} FROM {stored}")
            self._kept[name] = self._content(name)
        return table

    def table(self, name: str) -> LakeTable:
        """A table, also one that was made within this transaction.

        Raises:
            ConfigurationError: it cannot be used.
        """
        self.use([name])
        if name in self.hindrances:
            raise ConfigurationError(
                f"{self.database}: the table {name} cannot be used: {self.hindrances[name]}.", f"{REMEDY}."
            )
        found = self.tables.get(name)
        return self._adopt(name, None) if found is None else found

    def _content(self, name: str) -> int:
        """What tells the rows of one of the toolkit's own tables from others."""
        ((found,),) = self.raw.execute(f"SELECT coalesce(sum(hash(own)), 0) FROM {quoted(name)} AS own").fetchall()
        return int(found)

    # -- the end of a transaction ----------------------------------------------------------------------------------

    def commit(self) -> None:
        """Commit what was changed, table by table: Delta has no transaction over several.

        Raises:
            ContentionError: somebody else has committed to the first of them; nothing was written.
            StatementError: one of them has conditions that are not looked at here, and nothing was written; or a
                commit failed behind others, which stay; they are named.
        """
        changed = self._changed()
        if changed:
            self.require_commit()
        for table in changed:
            self._require_no_demands(table)
        done: list[str] = []
        for table in changed:
            try:
                self._commit(table)
            except ToolkitError as error:
                if done:
                    raise self._halfway(error, done, [each.name for each in changed]) from error
                raise
            done.append(table.name)
        self._begun = {}

    def require_commit(self) -> None:
        """See that commits are possible.

        Raises:
            StatementError: it is read as it was.
            DatabaseUnavailableError: the store would lose commits.
        """
        if self._read_only:
            raise StatementError(
                self.database, "it is read as it was, or to be read alone", "Nothing can be written into the past."
            )
        self.place.require_atomic_create()

    def _require_no_demands(self, table: LakeTable) -> None:
        if table.base is None:
            return
        removes = not {each.path for each in table.base.files} <= {each.path for each in table.files}
        if demands := table.base.demands(removes=removes):
            raise StatementError(
                self.database,
                f"the table {table.name} has {', '.join(demands)}, which is not heeded here: nothing was written",
                log.TAKE,
            )

    def _halfway(self, error: ToolkitError, done: list[str], names: list[str]) -> StatementError:
        rest = [name for name in names if name not in done]
        fact = error.fact.removeprefix(f"{self.database}: ").rstrip(".")
        return StatementError(
            self.database,
            f"{len(done)} of {len(names)} tables were committed ({', '.join(done)}), but not {', '.join(rest)}: {fact}",
            "A lake commits table by table. Each is whole, as before or as after; run again, which completes the rest.",
        )

    def _changed(self) -> list[LakeTable]:
        names = [str(name) for (name,) in self.raw.execute(_TABLES).fetchall() if name not in self._unread]
        if gone := sorted(self.tables.keys() - {*names}):
            raise StatementError(
                self.database, f"the table {gone[0]} was dropped, which is not done in a lake", "Remove it by hand."
            )
        for name in sorted(names):
            if name not in self.tables:
                self._adopt(name, None)
            if not name.startswith(log.OWN):
                self._take_rows(self.tables[name])
            elif self._kept.get(name) != self._content(name):
                self._write_own(self.tables[name])
        return [table for table in self.tables.values() if table.is_changed]

    def _take_rows(self, table: LakeTable) -> None:
        """Take over rows that statements have inserted into a table that they made."""
        ((rows,),) = self.raw.execute(f"SELECT count(*) FROM {table.definition}").fetchall()
        if rows and table.base is not None:
            raise StatementError(self.database, f"rows of {table.name} were written past the toolkit")
        if rows:
            self._write_own(table)

    def _write_own(self, table: LakeTable) -> None:
        rows = self.raw.sql(f"SELECT {table.stored_fields()} FROM {table.definition}")
        table.files = table.write(rows.to_arrow_reader(1_000))

    def _commit(self, table: LakeTable) -> None:
        base = table.base
        before = {each.path for each in base.files} if base else set()
        after = {each.path for each in table.files}
        commit = log.Commit(
            table.schema,
            [each for each in table.files if each.path not in before],
            [each for each in base.files if each.path not in after] if base else [],
            table.files,
            self._receipt(table),
            {} if base else properties(self.raw, table),
        )
        if base is None:
            self._log(table, partial(log.create, self.place, table.name, commit))
            base = self._as_of(table, 0)
        elif commit.added or commit.removed:
            self._log(table, partial(log.append, self.place, table.name, base, commit))
            base = self._as_of(table, base.version + 1)
        table.base = base
        if table.name.startswith(log.OWN):
            self._kept[table.name] = self._content(table.name)

    def fence(self, table: LakeTable, run: str) -> None:
        """Commit no change to a table: whoever has read it before, and goes on, is refused from here on.

        Raises:
            ContentionError: somebody else has committed.
        """
        assert table.base is not None, "it is in the lake"
        told = {key: value for key, value in table.base.receipt.items() if key not in ("files", "mark")}
        log.append(
            self.place, table.name, table.base, log.Commit(table.schema, [], [], table.base.files, told, fence=run)
        )
        table.base = self._as_of(table, table.base.version + 1)

    def _log(self, table: LakeTable, write: Callable[[], None]) -> None:
        """Commit. Unless it is refused, its files stay: where a store falls silent, the commit may be there."""
        table.tidy(table.files)
        written, table.pending = table.pending, []
        try:
            write()
        except ContentionError:
            table.pending = written
            raise

    def _as_of(self, table: LakeTable, version: int) -> log.Snapshot:
        """The table as this commit has left it: what others have committed since was not seen here."""
        found = log.read(replace(self.place, moment=version), table.name)
        assert found is not None, "it was just committed"
        return found

    def _receipt(self, table: LakeTable) -> Mapping[str, Any]:
        if table.spec is None or table.totals is None:
            return {}
        return receipts.written(table.storage, table.spec, table.totals)

    def rollback(self) -> None:
        """Forget what was changed and remove what was written for it; the calculator has forgotten it already."""
        for name, table in list(self.tables.items()):
            table.tidy()
            table.totals = None
            if table.base is None or name in self._begun:
                del self.tables[name]
            elif table.is_changed:
                table.files = list(table.base.files)
        for name, snapshot in self._begun.items():
            self.hindrances.pop(name, None)
            self._kept.pop(name, None)
            self._unread[name], self._known[name] = None, snapshot
        self._begun = {}
        self._is_forgotten = True

    def begin(self) -> None:
        """Show what the end of the transaction before has taken away, as it is no part of this one."""
        if self._is_forgotten:
            self._is_forgotten = False
            for table in self.tables.values():
                if not table.name.startswith(log.OWN):
                    table.show(self.raw)

    def close(self) -> None:
        """Remove what was written and not committed."""
        for table in self.tables.values():
            table.tidy()
        self._stack.close()


def watch(engine: sa.Engine, database: Configured) -> None:
    """Let every connection of an engine see the lake, and what it commits be committed there."""
    sa.event.listen(engine, "connect", lambda raw, record: _opened(database, raw, record))
    sa.event.listen(engine, "before_cursor_execute", _mentioned)
    sa.event.listen(engine, "begin", lambda connection: session_of(connection).begin())
    sa.event.listen(engine, "commit", lambda connection: session_of(connection).commit())
    sa.event.listen(engine, "rollback", lambda connection: session_of(connection).rollback())
    sa.event.listen(engine, "close", lambda _, record: record.info[LakeSession].close())


def _mentioned(
    connection: sa.Connection, _cursor: object, statement: str, parameters: object, _context: object, _many: object
) -> None:
    session_of(connection).use_mentioned(statement, parameters)


def _opened(database: Configured, raw: Any, record: Any) -> None:
    record.info[LakeSession] = LakeSession(database, raw, read_only=False)


def session_of(connection: sa.Connection) -> LakeSession:
    """What a connection sees of its lake."""
    found: LakeSession = connection.info[LakeSession]
    return found
