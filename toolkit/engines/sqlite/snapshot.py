"""What a SQLite connection sees: one snapshot, read so that others may write meanwhile, until it is to write itself."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
import sqlalchemy as sa

from toolkit.compute.scratch import scratch_directory
from toolkit.core.digest import TableDigest
from toolkit.core.progress import SILENT, Progress
from toolkit.core.tables import TableSpec
from toolkit.core.workers import both
from toolkit.engines.portable.connection import DatabaseConnection
from toolkit.engines.sqlite.adapters import SqliteCodec
from toolkit.engines.sqlite.copy import NeverQuietError, copy_file, has_room
from toolkit.engines.sqlite.stage import Stage, Stages
from toolkit.engines.sqlite.value_queries import AdbcAsking, Asking, DriverAsking
from toolkit.errors import DatabaseUnavailableError, StatementError, ToolkitError
from toolkit.locks import WriterLock, take_writer_lock

if TYPE_CHECKING:
    from toolkit.engines.contract import Configured

T = TypeVar("T")

# SQLite waits for locks in steps of so many milliseconds: between them, Ctrl-C is heard.
BUSY_STEP = 100
# How often a snapshot may be spoilt by another's commit in the microseconds that it takes.
_SNAPSHOT_ATTEMPTS = 100
# A copy of fewer takes no time.
_SHOWN_BYTES = 50 << 20
# Pages of the tree that the next sorted rows fall into stay at hand; by default 2 MB of them do.
CACHE_KB = 32_768
_SORTING_KB = 4_096
LOCKED = "database is locked"
# How many objects of the schema name a function that is neither innocuous (0x200000) nor kept from schemas anyhow
# (0x80000), or are virtual tables: sqlite3.h, "Function Flags". The functions come first, so that they are listed once
# and not for each object: of 500 tables that took 63 ms in place of 7, on each connection.
_UNSAFE = """
SELECT count(*) FROM (
    SELECT name FROM pragma_function_list WHERE flags & 0x280000 = 0 UNION ALL SELECT 'virtual table'
) AS unsafe CROSS JOIN sqlite_schema AS found WHERE instr(lower(found.sql), unsafe.name)
"""


class SqliteSnapshot(DatabaseConnection):
    """A connection to a SQLite file that reads beside others who write.

    Whoever reads beside a rollback journal keeps everybody from committing, so that whole tables are read from a copy
    (`lock_tables`); a write-ahead log keeps the snapshot itself.

    Only a connection that never writes has ADBC connections to the same file beside it, for two threads. ADBC brings a
    SQLite library of its own, and a process's second library gives up the locks of the first: the operating system
    counts them by process and drops them all when either closes the file (see "How To Corrupt An SQLite Database File",
    section 2.2.1). For the same reason ADBC's connections outlive ours.
    """

    codec = SqliteCodec()
    _writer_lock: WriterLock | None = None
    _looks: bool = False
    _has_log: bool = False
    _is_held: bool = False
    _version: int | None = None
    _live: sa.Connection | None = None
    """The connection to the file itself while a copy is read."""

    def __init__(self, database: Configured, write: bool = False) -> None:
        super().__init__(database, write)
        self._copy = ExitStack()
        self._readers: list[Any] = []
        self._answers: dict[Hashable, Any] = {}
        self._met: dict[tuple[sa.Table, str], bool] = {}
        self._stages = Stages(self)

    def remembered(self, question: Hashable, answer: Callable[[], T]) -> T:
        """What was found out once of a snapshot, which nothing changes."""
        if self.write:
            return answer()
        if question not in self._answers:
            self._answers[question] = answer()
        found: T = self._answers[question]
        return found

    def known(self, question: Hashable) -> Any | None:
        """The answer, if it was found out already."""
        return self._answers.get(question)

    @property
    def reader(self) -> Any:
        """The ADBC connection of a connection that reads, None without one; it sees the same snapshot."""
        return self._readers[0] if self._readers else None

    def has_rows(self, table: sa.Table, condition: str) -> bool:
        """Whether a table has rows that meet a condition, which none that are written here do: it is asked once."""
        if (table, condition) not in self._met:
            one = sa.select(sa.literal(1)).select_from(table).where(sa.literal_column(f"({condition})")).limit(1)
            with self.translated():
                self._met[table, condition] = bool(self.sqlalchemy.execute(one).all())
        return self._met[table, condition]

    @property
    def asking(self) -> Asking:
        """What asks on our own connection."""
        return DriverAsking(self.driver, self.translated)

    def answers(self, questions: Sequence[Callable[[Asking], T]]) -> list[T]:
        """What each finds out, two at a time, on a connection for each: SQLite works on one processor for one.

        The longest first. Where there are no ADBC connections, they take turns on our own.
        """
        if self._readers:
            # A generated column may call a function that SQLAlchemy defines, and ADBC's library has not. What fails
            # behind the first rows is an error of Arrow's: that of our own is told.
            with suppress(StatementError, pa.ArrowException, OSError):
                return self._shared(questions, [AdbcAsking(reader, self.translated) for reader in self._readers])
        return [question(self.asking) for question in questions]

    def _shared(self, questions: Sequence[Callable[[Asking], T]], askings: Sequence[Asking]) -> list[T]:
        # Each thread takes the next: to do so is one step of the interpreter.
        left, found = iter([*enumerate(questions)]), dict[int, T]()

        def work(asking: Asking) -> None:
            for number, question in left:
                found[number] = question(asking)

        one, other = askings
        both(lambda: work(one), lambda: work(other))
        return [found[number] for number in range(len(questions))]

    def forget(self) -> None:
        """Ask again: the transaction has ended, and others may have changed tables since."""
        super().forget()
        self._answers.clear()

    def close(self) -> None:
        """Roll back what was not committed and let go of the file."""
        try:
            self._leave_copy()
            self._stages.close()
            super().close()
        finally:
            self._close_reader()
            if self._writer_lock is not None:
                self._writer_lock.close()

    def _close_reader(self) -> None:
        while self._readers:
            self._readers.pop().close()

    def _end_readers(self) -> None:
        for reader in self._readers:
            reader.rollback()

    def look_first(self) -> None:
        """Read one snapshot, and let others write, until `begin_writing`; no other toolkit writes meanwhile."""
        self.write, self._looks = False, True
        self._begin_again()

    def digest_of(self, file: Path, spec: TableSpec) -> TableDigest:
        """The digest of the rows of a table in another file, which nobody writes to, so that ADBC may read it."""
        with type(self)(self.database.at(f"sqlite:///{file}")) as other:
            other.read_alone()
            return other.repository(spec.without_conditions()).stored_digest()

    def read_alone(self) -> None:
        """Read the file itself, and by ADBC, although it has no log: nobody writes to it."""
        self._is_held = True
        with self.translated():
            self._begin_reader(self._file)

    def new_stage(self, spec: TableSpec, types: Mapping[str, str], size: int) -> Stage | None:
        """Where rows wait that are to fill a table, whose columns have these types; None where none is to be had.

        There is to be room for `size` bytes. In a transaction of somebody else's nobody would say when it is to be
        removed.
        """
        has_space = has_room(2 * size, Path(tempfile.gettempdir()))
        return None if self.is_guest or not has_space else self._stages.new(spec, types)

    def stage_of(self, spec: TableSpec) -> Stage | None:
        """That by which just these columns of a table were filled in this transaction."""
        return self._stages.of(spec)

    @contextmanager
    def sorting(self) -> Iterator[None]:
        """Sort with a thread beside, and with a buffer that a processor's own memory holds.

        Three indexes of a million todos took 2.0 s so, 3.7 s with 32 MB and no thread.
        """
        self._run(f"PRAGMA cache_size = -{_SORTING_KB}")
        self._run("PRAGMA threads = 1")
        yield
        self._run("PRAGMA threads = 0")
        self._run(f"PRAGMA cache_size = -{CACHE_KB}")

    def _begin_again(self) -> None:
        with self.translated():
            self._in_time(self._begin_snapshot)

    def begin_writing(self) -> bool:
        """Take the write lock for what was looked at before; whether nobody has written since."""
        if self.write:
            return True
        self._leave_copy()
        self.forget()
        self.write, self._looks = True, False
        with self.translated():
            self.sqlalchemy.connection.rollback()
            self._in_time(lambda: self._run("BEGIN IMMEDIATE"))
            return self._version == self._data_version()

    def _data_version(self) -> int:
        """A number that is another as soon as another connection has committed."""
        return int(self.driver.execute("PRAGMA data_version").fetchone()[0])

    def lock_tables(self, specs: Sequence[TableSpec], progress: Progress = SILENT) -> None:
        """Let others write while these tables are read: from a copy, where they could not beside a reader."""
        if not (self.write or self._has_log or self._is_held):
            self._is_held = True
            self._hold_copy(progress)
            # A copy that was begun anew is of a later moment than what was asked before.
            self.forget()
        self.look_up(specs)

    def _hold_copy(self, progress: Progress) -> None:
        size, folder = self._file.stat().st_size, self._copy.enter_context(scratch_directory())
        copy = folder / "copy.sqlite3"
        try:
            if has_room(size, folder):
                if size > _SHOWN_BYTES:
                    progress.step(f"copy {self._file.name}")
                copy_file(self.driver, self._file, copy, self._begin_again)
                self._enter_copy(copy)
                return
        except NeverQuietError as error:
            raise DatabaseUnavailableError(
                self.name,
                f"{self._file} is written to all the time, and copying it takes longer than the pauses between writes",
                "Run again when it is quieter, or let the application keep a write-ahead log (PRAGMA journal_mode = "
                "WAL), beside which it is read without a copy.",
            ) from error
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
                raise self.known_error(str(error)) from error
        self._copy.close()
        self._hold_up_others(size, folder, progress)

    def _hold_up_others(self, size: int, folder: Path, progress: Progress) -> None:
        progress.note(
            f"{self.name}: nobody else can write to {self._file.name} while it is read, as there is no room for a copy "
            f"of its {size:,} bytes in {folder.parent}: set TMPDIR to where there is, or let the application keep a "
            "write-ahead log (PRAGMA journal_mode = WAL)."
        )
        if self._looks:
            self.begin_writing()
        else:
            self._begin_again()

    def _enter_copy(self, copy: Path) -> None:
        """Read from the copy from here on; the file itself is free."""
        self.driver.rollback()
        engine = self.database.at(f"sqlite:///{copy}").unpooled_engine(read_only=True)
        with self.translated():
            self._live, self.sqlalchemy = self.sqlalchemy, engine.connect()
            self.driver.isolation_level = None
            self._run("BEGIN")
            self._begin_reader(copy)
        self._restrain()

    def _leave_copy(self) -> None:
        """Go back to the file itself, if a copy is read, and remove that."""
        if self._live is not None:
            self._close_reader()
            self.sqlalchemy.close()
            self.sqlalchemy, self._live = self._live, None
        self._copy.close()

    @abstractmethod
    def known_error(self, message: str) -> ToolkitError:
        """The error to raise in place of SQLite's."""

    @property
    def driver(self) -> sqlite3.Connection:
        """The driver's own connection."""
        raw = self.sqlalchemy.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        return raw

    def _run(self, statement: str) -> None:
        self.sqlalchemy.exec_driver_sql(statement)

    def _take_turn(self) -> None:
        """Be the only toolkit that writes to this file, also between the commits of `--commit-every`."""
        if self._writer_lock is not None and self._writer_lock.is_ours:
            return
        if self._writer_lock is not None:
            self._writer_lock.close()
        self._writer_lock = take_writer_lock(self._file, self.database.lock_seconds)
        if self._writer_lock is None:
            raise self.known_error(LOCKED)

    def _restrain(self) -> None:
        """Let views, triggers and expressions of the file call no function but those that SQLite takes for harmless.

        A file that uses others is left as it is, or its triggers and checks would fail: of those that there are, none
        reads a file. They are virtual tables, what SQLAlchemy defines (regexp and floor), and what the library does not
        say of, such as json_valid() in 3.40 of Debian. load_extension() is off on every connection, whatever this says.
        """
        with self.translated():
            if self.driver.execute(_UNSAFE).fetchone() == (0,):
                self._run("PRAGMA trusted_schema = OFF")
            for reader in self._readers:
                with reader.cursor() as cursor:
                    cursor.execute(_UNSAFE)
                    if cursor.fetchone() == (0,):
                        cursor.execute("PRAGMA trusted_schema = OFF")
                        cursor.fetchall()

    def _begin_snapshot(self) -> None:
        """Begin a transaction that reads, and with a write-ahead log one of ADBC's on the same snapshot."""
        self.sqlalchemy.connection.rollback()
        self._run("BEGIN")
        self.sqlalchemy.exec_driver_sql("SELECT count(*) FROM sqlite_schema").all()
        self._has_log = self.driver.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        self._version = self._data_version()
        if self._has_log and not self._looks:
            self._begin_both()

    def _begin_both(self) -> None:
        """Begin our transaction and ADBC's on the same snapshot: nobody committed between the two."""
        uri = f"{self._file.as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, timeout=BUSY_STEP / 1000, uri=True)) as watch:
            for _ in range(_SNAPSHOT_ATTEMPTS):
                self.sqlalchemy.connection.rollback()
                before = watch.execute("PRAGMA data_version").fetchall()
                self._run("BEGIN")
                self.sqlalchemy.exec_driver_sql("SELECT count(*) FROM sqlite_schema").all()
                self._begin_reader(self._file)
                if watch.execute("PRAGMA data_version").fetchall() == before:
                    return
                self._end_readers()
        raise DatabaseUnavailableError(
            self.name, f"{self._file} is written to without a pause", "Run again when it is quieter."
        )

    def _begin_reader(self, file: Path) -> None:
        # In a file of UTF-16 SQLite itself takes bytes for that, and what is kept as bytes of its text is in ASCII.
        if self.driver.execute("PRAGMA encoding").fetchone() != ("UTF-8",):
            return
        if not self._readers:
            import adbc_driver_sqlite.dbapi

            self._readers += [adbc_driver_sqlite.dbapi.connect(f"{file.as_uri()}?mode=ro") for _ in range(2)]
        for reader in self._readers:
            with reader.cursor() as cursor:
                for statement in (f"PRAGMA busy_timeout = {BUSY_STEP}", "SELECT count(*) FROM sqlite_schema"):
                    cursor.execute(statement)
                    cursor.fetchall()

    def _in_time(self, attempt: Callable[[], Any]) -> None:
        """Try what others' locks may forbid until they are gone, or the time is up."""
        import adbc_driver_manager

        deadline = time.monotonic() + self.database.lock_seconds
        while True:
            try:
                attempt()
            except (sa.exc.OperationalError, sqlite3.OperationalError, adbc_driver_manager.Error) as error:
                if LOCKED not in str(error) or time.monotonic() > deadline:
                    raise
                # SQLite itself waits, unless it sees that waiting is in vain.
                time.sleep(0.01)
            else:
                return

    @property
    def _file(self) -> Path:
        assert self.database.file is not None
        return self.database.file.resolve()
