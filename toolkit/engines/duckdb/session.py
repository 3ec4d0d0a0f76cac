"""DuckDB: one transaction on a file, and its errors in our words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import duckdb
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from toolkit.engines.contract import Capabilities
from toolkit.engines.duckdb.adapters import DuckDBCodec
from toolkit.engines.duckdb.features import FEATURES
from toolkit.engines.duckdb.reflection import label_of
from toolkit.engines.portable.connection import DatabaseConnection
from toolkit.errors import CORRECT_ROW, DatabaseUnavailableError, StatementError, ToolkitError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class DuckDBSession(DatabaseConnection):
    """One transaction on a DuckDB file, which only one process at a time may have open for writing."""

    capabilities = Capabilities(
        enforces_foreign_keys=False,
        keeps_text_of_json=True,
        loads_without_key=True,
        writes_types_as_text=True,
        keeps_foreign_keys=FEATURES.keeps_foreign_keys,
    )
    codec = DuckDBCodec()
    # Its dialect is derived from PostgreSQL's, whose construct and options it takes.
    insert = staticmethod(postgresql.insert)
    options_of = "postgresql"

    _first: Callable[[], None] | None = None

    @property
    def raw(self) -> DuckDBPyConnection:
        """DuckDB's connection underneath SQLAlchemy's; both share the transaction."""
        return self.sqlalchemy.connection.driver_connection  # type: ignore[return-value]

    def _begin(self) -> None:
        self._settle()
        self.sqlalchemy.execute(sa.text("SELECT 1")).all()

    def _settle(self) -> None:
        self.raw.execute("SET TimeZone = 'UTC'")

    def share(self) -> str:
        """Nobody can write to a file that others have open, and all may read."""
        return ""

    def join(self, _shared: str) -> None:
        """Read the file, as others do."""

    def require_shared(self) -> None:
        """Nobody can have written."""

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn errors of DuckDB into this package's."""
        try:
            yield
        except sa.exc.DBAPIError as error:
            raise self.known_error(error.orig or error) from error
        except duckdb.Error as error:
            raise self.known_error(error) from error

    def begin_with(self, make: Callable[[], None]) -> None:
        """Do this in the transaction, and in each that begins after an error: rows are still to be looked through."""
        make()
        self._first = make

    def commit(self) -> None:
        """Make the transaction's work last, and begin the next."""
        super().commit()
        self._first = None

    def savepoint(self) -> AbstractContextManager[Any]:
        """DuckDB has no savepoints: an error ends the transaction, and another begins."""
        return self._starting_over()

    @contextmanager
    def _starting_over(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.sqlalchemy.rollback()
            with suppress(duckdb.Error, sa.exc.DBAPIError):
                self._begin()  # Or the driver would commit each statement by itself.
                if self._first is not None:
                    self._first()
            raise

    def reason(self, error: BaseException) -> str:
        """Why a row was refused, in DuckDB's own words."""
        reason = re.sub("^[A-Z][A-Za-z ]* Error: ", "", super().reason(error))
        if found := _CHECK.search(reason):
            return f"CHECK constraint failed: {label_of(found[1]) or found[1].removeprefix('CHECK(').removesuffix(')')}"
        return reason

    def known_error(self, error: BaseException) -> ToolkitError:
        """The error to raise in place of DuckDB's, without the data it quotes."""
        message = str(error)
        file = self.database.file
        if "not a valid DuckDB database file" in message and file is not None and file.stat().st_size == 0:
            return DatabaseUnavailableError(
                self.name, f"{file} is an empty file, not a DuckDB database", "Remove it: the database is then created."
            )
        if found := _OUTSIDE.search(message):
            return StatementError(
                self.name,
                f"a view or an expression there reads what is outside of {file} ({found[0]})",
                "If you trust the file with that, set external_access = true in the settings of this database; or make "
                "a table of the view.",
            )
        if found := _WITHOUT_FUNCTION.search(message):
            return StatementError(self.name, f"there is no function {found[1]}", _MACRO_FIRST)
        for sign, fact, advice in _KNOWN_ERRORS:
            if sign in message and any(kind in message for kind in _KNOWN_KINDS):
                path, _, number = message.partition("held in ")[2].partition(" (PID")
                holder = f"{path} (PID{number.partition(')')[0]})" if number else "another process"
                return DatabaseUnavailableError(
                    self.name, fact.format(file=self.database.file, holder=holder), advice.format(holder=holder)
                )
        if isinstance(error, duckdb.IntegrityError):
            return StatementError(self.name, f"a row is refused: {self.reason(error)}", CORRECT_ROW)
        return StatementError(self.name, message.partition("\n")[0], "Run with --debug to see the statement.")


_CHECK = re.compile('CHECK constraint failed on table ".*" with expression (.*)')
_OUTSIDE = re.compile(
    r"(Cannot access|Loading|Attaching|Installing)[^\n]*(disabled|forbidden)[^\n]*configuration"
    r"|Table with name [^\n]*[./][^\n]* does not exist"
)
_WITHOUT_FUNCTION = re.compile("Function with name (.*) does not exist!")
# The catalogue does not tell what parameters of a macro stand for where they are not given.
_MACRO_FIRST = (
    "Macros are not carried. If it is one, make it there first (CREATE MACRO …), or leave out the tables that call it "
    "(--exclude TABLE)."
)
_ENCRYPTED = "Cannot open encrypted database"
_READ_ONLY = "attached in read-only mode"
_KNOWN_KINDS = (
    "IO Error",
    "Connection Error",
    "Failed to commit",
    "Failed to create checkpoint",
    _READ_ONLY,
    _ENCRYPTED,
)
_KNOWN_ERRORS = (
    (
        "with a different configuration",
        "{file} is open in this process already, to write or with other settings",
        "Close it there first (engine.dispose()), then run again.",
    ),
    (
        _ENCRYPTED,
        "{file} is encrypted, and keys of files are not known here",
        "Copy it into one that is not: ATTACH both in a client of DuckDB's, then COPY FROM DATABASE … TO ….",
    ),
    ("Could not set lock on file", "{file} is open in {holder}", "Let that process close the file, then run again."),
    (_READ_ONLY, "{file} is read-only", "Give yourself write permission on it and its folder."),
    (
        "Permission denied",
        "{file} may not be opened by this user",
        "Give yourself permission on it and its folder.",
    ),
    ("No space left on device", "the disk that holds {file} is full", "Make room, then run again."),
    (
        "File too large",
        "{file} may not grow (full disk, or a limit on the size of files)",
        "Make room or raise the limit (ulimit -f), then run again.",
    ),
    ("No such file or directory", "{file} cannot be opened", "Check that its folder exists and may be entered."),
    ("not a valid DuckDB database file", "{file} is not a DuckDB database", "Check the path; nothing was changed."),
    ("Cannot open file", "{file} cannot be opened", "Check that its folder exists and may be entered."),
)
