"""A restore as it was planned: files written, each compared with its hash, then rows that lost them repaired."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import field

from toolkit.core.archive_manifest import Address
from toolkit.core.file_properties import decode_properties
from toolkit.core.parallel import MEMORY_BYTES, STREAM_BYTES, Memory, in_parallel
from toolkit.engines import connect
from toolkit.errors import DamagedObjectError, MissingObjectError, ToolkitError
from toolkit.operations.archive.outcomes import Finding, Outcome
from toolkit.operations.archive.restore_values import RowRepair
from toolkit.operations.archive.rows import swap_cells
from toolkit.operations.archive.targets import DONE, FAILED, NEW, SAME, Looked

if TYPE_CHECKING:
    from toolkit.operations.archive.restore_run import RestoreRun
    from toolkit.stores.safe_directory import SafeDirectory

_ROWS = 500
# The rows none of whose files failed: a row is not pointed at a file that is not there.
REPAIRS = (
    "SELECT tbl, col, key, old, new FROM repair WHERE NOT EXISTS (SELECT 1 FROM entry JOIN use ON entry.id = use.entry "
    "JOIN target ON target.id = use.target WHERE (entry.tbl, entry.col, entry.key) = (repair.tbl, repair.col, "
    "repair.key) AND state NOT IN (?, ?))"
)


_USED = (
    "SELECT id, backend, path, size FROM target WHERE id IN (SELECT use.target FROM repair JOIN entry ON "
    "(entry.tbl, entry.col, entry.key) = (repair.tbl, repair.col, repair.key) JOIN use ON entry.id = use.entry) "
    "AND state IN (?, ?) AND id > ? ORDER BY id"
)


class _NotReadError(Exception):
    """An object of the archive that cannot be read, as opposed to a file that cannot be written."""


class RestoreWriting(msgspec.Struct):
    """Writes what the plan in the catalogue says; `repaired` are the rows that were changed."""

    run: RestoreRun
    repaired: list[RowRepair] = field(default_factory=list)
    memory: Memory = field(default_factory=lambda: Memory(MEMORY_BYTES))

    def write(self) -> None:
        """Write the files, then change the rows whose files are there."""
        count, size = self.run.catalogue.one("SELECT count(*), total(size) FROM target WHERE state = ?", NEW)
        self.run.progress.files("restore", count, int(size))
        rows = self.run.catalogue.pages(
            "SELECT id, backend, path, sha, compressed, size, properties, replaces FROM target WHERE state = ? "
            "AND id > ? ORDER BY id",
            NEW,
        )
        for looked in in_parallel(self._written, rows, self.run.options.jobs, self.run.stop):
            self.run.targets.note(*looked)
            self.run.progress.advance_file(1, 0)
        if self.run.directory is not None:
            self._write_mapping(self.run.directory)
        self._repair_rows()
        if self.repaired:
            self._look_for_files()

    def _written(self, row: tuple[Any, ...]) -> Looked:
        """Write one file, unless one has come there since all were looked at: an application is at work meanwhile."""
        number, backend, path, sha, compressed, size, properties, replaces = row
        looked = (number, NEW, None, None) if replaces else self.run.targets.looked_at(number, backend, path, sha, size)
        if looked[1] != NEW:
            return looked
        outcome, reason = self._write(backend, path, Address(sha, bool(compressed)), size, properties)
        return number, FAILED if outcome else DONE, outcome, reason

    def _write(
        self, backend: str, path: str, address: Address, size: int, properties: str
    ) -> tuple[Outcome | None, str | None]:
        try:
            with self.memory.taken(min(size, STREAM_BYTES)):
                live, kept = self.run.targets.live(backend), decode_properties(properties)
                live.write(path, self._content(address, size), size=size, properties=kept)
            arrived = live.info(path)
        except MissingObjectError as error:
            return Outcome.MISSING, error.fact
        except DamagedObjectError as error:
            return Outcome.CORRUPT, error.problem
        except _NotReadError as error:
            return Outcome.UNREADABLE, str(error)
        except ToolkitError as error:
            return Outcome.UNWRITABLE, error.fact
        if arrived is None or arrived.size != size:
            found = "it is not there" if arrived is None else f"{arrived.size} bytes are there of {size}"
            return Outcome.UNWRITABLE, f"the store said that it was written, and {found}"
        return None, None

    def _content(self, address: Address, size: int) -> Iterator[bytes]:
        """An object's content; that it has its hash is known before its last piece is accepted as such."""
        try:
            for chunk in self.run.stop.watched(self.run.archive.read(address, size)):
                self.run.progress.advance_file(0, len(chunk))
                yield chunk
        except (MissingObjectError, DamagedObjectError):
            raise
        except ToolkitError as error:
            raise _NotReadError(error.fact) from error

    def _write_mapping(self, directory: SafeDirectory) -> None:
        """Say which file was which; without it, too, what was restored and what was not is told."""
        try:
            directory.write(self.run.mapping, self._mapped())
        except ToolkitError as error:
            self.run.is_mapped = False
            self.run.findings.append(Finding(Outcome.UNWRITABLE, path=self.run.mapping, reason=error.fact))

    def _mapped(self) -> Iterator[bytes]:
        """A line for each file of the snapshot that is in the directory: where, and all that the manifest says."""
        for line, path in self.run.catalogue.stream(
            "SELECT line, path FROM entry JOIN use ON entry.id = use.entry JOIN target ON target.id = use.target "
            "WHERE state IN (?, ?) ORDER BY entry.id",
            DONE,
            SAME,
        ):
            yield b'{"restored_to":' + msgspec.json.encode(path) + b"," + line.encode()[1:] + b"\n"

    def _repair_rows(self) -> None:
        """Change rows, a few in each transaction, if they still hold what they did and their files are there."""
        rows = self.run.catalogue.stream(f"{REPAIRS} ORDER BY tbl, col, key", DONE, SAME)
        for (table, column), group in groupby(rows, key=lambda row: (row[0], row[1])):
            waiting: list[tuple[str, str | None, str]] = []
            for _, _, key, old, new in group:
                waiting.append((key, old, new))
                if len(waiting) == _ROWS:
                    self._swap(table, column, waiting)
                    waiting = []
            if waiting:
                self._swap(table, column, waiting)

    def _swap(self, table: str, column: str, changes: Sequence[tuple[str, str | None, str]]) -> None:
        assert self.run.database is not None
        self.run.progress.step(f"repair rows of {table}", len(changes))
        cells = [(self.run.cell(table, column, json.loads(key), old), new) for key, old, new in changes]
        with connect(self.run.database, write=True) as connection:
            took = swap_cells(connection, self.run.specs[table], column, cells)
            connection.commit()
        for (cell, new), done in zip(cells, took, strict=True):
            if done:
                self.repaired.append(RowRepair(table, column, cell.key, cell.held, new))
            else:
                reason = "it was changed or deleted since it was read, and left as it is"
                self.run.findings.append(Finding(Outcome.ROW_CHANGED, table, column, cell.key, reason=reason))

    def _look_for_files(self) -> None:
        """Tell of files that a push with --move removed before rows were pointed at them: it saw none that were."""
        for _, backend, path, size in self.run.catalogue.pages(_USED, DONE, SAME):
            try:
                gone = self.run.targets.live(backend).info(path) is None
            except ToolkitError:
                # What becomes of a store afterwards is not for a restore to say.
                continue
            if gone:
                reason = "it was removed before the row was pointed at it: run again"
                self.run.findings.append(
                    Finding(Outcome.DANGLING, backend=backend, path=path, size=size, reason=reason)
                )
