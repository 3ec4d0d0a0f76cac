"""The files that rows point at, kept with fixtures by their hash: out of the live stores, and back into them."""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import IO, TYPE_CHECKING

from toolkit.core.fixture_manifest import Attachments, FixtureAttachment
from toolkit.core.parallel import MEMORY_BYTES, STREAM_BYTES, Memory, Stop, in_parallel
from toolkit.core.plan import FileCopy
from toolkit.errors import ExistingFilesError, FixtureError, StoreError, ToolkitError, UnknownNameError
from toolkit.operations.archive.places import JOBS, Backends
from toolkit.operations.archive.rows import file_columns, narrow, read_cells
from toolkit.operations.attachments import (
    NAMED,
    is_archived,
    refuse_collisions,
    send_proved,
    set_archived_aside,
    sha256_of,
)
from toolkit.stores.catalogue import Catalogue

if TYPE_CHECKING:
    from toolkit.config import Config
    from toolkit.core.progress import Progress
    from toolkit.core.tables import TableSpec
    from toolkit.operations.archive.rows import Cell
    from toolkit.operations.transfer import RowSource, Source
    from toolkit.stores.directories import Directory
    from toolkit.stores.fixture_writer import FixtureWriter
    from toolkit.stores.fixtures import FixtureDirectory
    from toolkit.stores.live import LiveBackend

_SCHEMA = """
CREATE TABLE file (
    id INTEGER PRIMARY KEY, backend TEXT, path TEXT, content_type TEXT, is_archived INTEGER, is_lacking INTEGER,
    location TEXT, sha TEXT, UNIQUE (backend, path)
)
"""
_NOTED = "INSERT OR IGNORE INTO file (backend, path, content_type, is_archived) VALUES (?, ?, ?, ?)"
_COPIED = 1 << 20
_KEPT_BYTES = 1 << 20
"""What is held in memory of a file on its way into fixtures; the rest waits in a temporary file."""


class AttachmentMode(StrEnum):
    """What a load does about the files that rows point at.

    `put` writes those that the live store lacks and refuses if it has others under their names, `overwrite` replaces
    these, `leave` looks at no file.
    """

    PUT = "put"
    OVERWRITE = "overwrite"
    LEAVE = "leave"


def _note(catalogue: Catalogue, source: Source, specs: Sequence[TableSpec]) -> tuple[list[str], int]:
    """Note every live file that rows point at, once.

    What is wrong with rows that name none, and how many files are in an archive.
    """
    problems: list[str] = []
    for spec in (narrow(each) for each in specs if file_columns(each)):
        catalogue.run_many(_NOTED, _places(read_cells(source, spec), problems))
    return problems, set_archived_aside(catalogue)


def _places(cells: Iterable[Cell], problems: list[str]) -> Iterator[tuple[str, str, str | None, bool]]:
    for cell in cells:
        if cell.problem is not None:
            key = ", ".join(f"{name}={value!r}" for name, value in cell.key.items())
            problems.append(f"{cell.table} {key}: column {cell.column!r} names no file: {cell.problem}")
        yield from ((each.backend, each.path, each.content_type, is_archived(each)) for each in cell.references)


# -- out of the live stores ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Taken:
    backend: str
    path: str
    attachment: FixtureAttachment | None = None
    bytes: int = 0
    written: bool = False
    problem: str | None = None


@dataclass
class _Taking:
    """The files of one dump, on their way into its directory."""

    backends: Backends
    writer: FixtureWriter
    stop: Stop = field(default_factory=Stop)
    memory: Memory = field(default_factory=lambda: Memory(MEMORY_BYTES))
    taken: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def look(self, row: tuple[int, str, str]) -> _Taken:
        """How large a file is, for a dry run; what is wrong with one stops nothing."""
        _, key, path = row
        try:
            info = self.backends.get(key).info(path)
        except ToolkitError as error:
            return _Taken(key, path, problem=error.fact)
        if info is None:
            return _Taken(key, path, problem=f"{key}:{path!r}: there is no such file")
        return _Taken(key, path, bytes=info.size, written=True)

    def take(self, row: tuple[int, str, str]) -> _Taken:
        """One file. What is wrong with it stops nothing, what is wrong with the directory everything."""
        _, key, path = row
        looked = self.look(row)
        if looked.problem is not None:
            return looked
        with self.memory.taken(min(looked.bytes, STREAM_BYTES)), tempfile.SpooledTemporaryFile(_KEPT_BYTES) as copy:
            try:
                attachment = self._read(key, path, copy)
            except ToolkitError as error:
                return _Taken(key, path, problem=error.fact)
            return _Taken(key, path, attachment, attachment.bytes, self._keep(attachment, copy))

    def _read(self, key: str, path: str, copy: IO[bytes]) -> FixtureAttachment:
        digest, size = hashlib.sha256(), 0
        for chunk in self.stop.watched(self.backends.get(key).read(path)):
            digest.update(chunk)
            size += len(chunk)
            try:
                copy.write(chunk)
            except OSError as error:
                raise StoreError(tempfile.gettempdir(), error.strerror or str(error)) from error
        return FixtureAttachment(digest.hexdigest(), size)

    def _keep(self, attachment: FixtureAttachment, copy: IO[bytes]) -> bool:
        """Whether it had to be written."""
        with self.lock:
            if attachment.sha256 in self.taken:
                return False
            self.taken.add(attachment.sha256)
        if _is_whole(self.writer.directory, attachment, self.stop):
            return False
        copy.seek(0)
        self.writer.keep(attachment, copy)
        return True


def dump_files(
    config: Config,
    origin: Source,
    specs: Sequence[TableSpec],
    writer: FixtureWriter,
    old: Attachments,
    *,
    dry_run: bool,
    progress: Progress,
) -> tuple[FileCopy, Attachments]:
    """Write the content of every file that these rows point at under its hash, unless it is there; which is where.

    A file that is gone or cannot be read is told; the content that `old`, the last dump, has of it stays. Files that
    rows were moved to in an archive stay there. A dry run reads no file, so that it counts them all.

    Raises:
        StoreError: the directory cannot be written to.
    """
    run = _Taking(Backends(config), writer)
    found: dict[str, dict[str, FixtureAttachment]] = {}
    counts, size = {True: 0, False: 0}, 0
    with Catalogue(_SCHEMA) as catalogue:
        problems, archived = _note(catalogue, origin, specs)
        (files,) = catalogue.one("SELECT count(*) FROM file")
        progress.step("dump files", files)
        rows = catalogue.pages("SELECT id, backend, path FROM file WHERE id > ? ORDER BY id")
        for done in in_parallel(run.look if dry_run else run.take, rows, JOBS, run.stop):
            attachment = done.attachment
            if done.problem is None:
                counts[done.written] += 1
                size += done.bytes if done.written else 0
            else:
                attachment = _still_there(writer.directory, old, done)
                problems.append(done.problem + ("; what the last dump has of it stays" if attachment else ""))
            if attachment is not None:
                found.setdefault(done.backend, {})[done.path] = attachment
            progress.advance(1)
    copied = FileCopy(
        writer.directory.name, files, counts[True], size, counts[False], tuple(sorted(problems)), archived
    )  # fmt: skip
    return copied, found


def _still_there(directory: Directory, old: Attachments, file: _Taken) -> FixtureAttachment | None:
    """What the last dump has of a file, if it still has it."""
    before = old.get(file.backend, {}).get(file.path)
    return before if before is not None and _is_whole(directory, before) else None


def _is_whole(directory: Directory, attachment: FixtureAttachment, stop: Stop | None = None) -> bool:
    """Whether a directory has this content, read and compared with its hash."""
    if directory.size(attachment.name) != attachment.bytes:
        return False
    return sha256_of(_chunks(directory, attachment), stop or Stop()) == attachment.sha256


def _chunks(directory: Directory, attachment: FixtureAttachment) -> Iterator[bytes]:
    with directory.open(attachment.name) as file:
        while chunk := file.read(_COPIED):
            yield chunk


def merged(old: Attachments, new: Attachments) -> Attachments:
    """Both; where they differ, the new one."""
    return {backend: {**old.get(backend, {}), **new.get(backend, {})} for backend in {*old, *new}}


# -- back into the live stores -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of fixtures as they were read, before anything is completed."""

    rows: Mapping[str, RowSource]

    def repository(self, spec: TableSpec) -> RowSource:
        return self.rows[spec.name]


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file as the live store has it: `state` is there, lacking, other, or none of the fixtures' business."""

    id: int
    place: str
    state: str
    location: str | None = None
    sha: str | None = None
    bytes: int = 0


@dataclass
class FilePutting:
    """The files of one load: all of them looked at first, and written when the rows are about to be."""

    backends: Backends
    directory: Directory
    known: Attachments
    overwrite: bool
    catalogue: Catalogue
    progress: Progress
    stop: Stop = field(default_factory=Stop)
    memory: Memory = field(default_factory=lambda: Memory(MEMORY_BYTES))

    def check(self, rows: Mapping[str, RowSource], specs: Sequence[TableSpec]) -> FileCopy:
        """See what is to be written, and that all of it is whole; nothing is written.

        Raises:
            ExistingFilesError: a live store has other content under the name of a file.
            CollidingFilesError: files of different content have one place, for backends that are one.
            FixtureError: content is missing in the fixtures, or damaged.
            UnknownNameError, StoreError: a live store cannot be used.
        """
        _, archived = _note(self.catalogue, _Rows(rows), specs)
        self.progress.step("compare files", *self.catalogue.one("SELECT count(*) FROM file"))
        pages = self.catalogue.pages("SELECT id, backend, path FROM file WHERE id > ? ORDER BY id")
        counts, size = dict.fromkeys(("unknown", "there", "lacking", "other"), 0), 0
        others: list[str] = []
        for seen in in_parallel(self._look, pages, JOBS, self.stop):
            state = "lacking" if seen.state == "other" and self.overwrite else seen.state
            counts[state] += 1
            self.catalogue.run("UPDATE file SET location = ?, sha = ? WHERE id = ?", seen.location, seen.sha, seen.id)
            if state == "lacking":
                self.catalogue.run("UPDATE file SET is_lacking = 1 WHERE id = ?", seen.id)
                size += seen.bytes
            elif state == "other" and len(others) < NAMED:
                others.append(seen.place)
            self.progress.advance(1)
        refuse_collisions(
            self.catalogue, "location", "sha",
            "Give each of these backends a place of its own (stores), or load the rows alone: --no-attachments.",
        )  # fmt: skip
        if others:
            raise ExistingFilesError(sorted(others), counts["other"])
        files = counts["there"] + counts["lacking"]
        return FileCopy(self._names(), files, counts["lacking"], size, counts["there"], archived=archived)

    def put(self) -> None:
        """Write what is lacking.

        Raises:
            ToolkitError: a file could not be written; those before it are there, whole.
        """
        (count,) = self.catalogue.one("SELECT count(*) FROM file WHERE is_lacking")
        self.progress.step("write files", count)
        pages = self.catalogue.pages(
            "SELECT id, backend, path, content_type FROM file WHERE is_lacking AND id > ? ORDER BY id"
        )
        for _ in in_parallel(self._put, pages, JOBS, self.stop):
            self.progress.advance(1)

    def _names(self) -> str:
        """The live stores that rows point at."""
        found = self.catalogue.all("SELECT DISTINCT backend FROM file")
        return ", ".join(sorted(self.backends.get(key).name for (key,) in found if key in self.known))

    def _look(self, row: tuple[int, str, str]) -> _Seen:
        number, key, path = row
        place, attachment = f"{key}:{path!r}", self.known.get(key, {}).get(path)
        if attachment is None:
            return _Seen(number, place, "unknown")
        self._require(attachment, path)
        backend = self._backend(key)
        info, location = backend.info(path), backend.location(path)
        if info is None:
            state = "lacking"
        elif info.size == attachment.bytes and sha256_of(backend.read(path), self.stop) == attachment.sha256:
            return _Seen(number, place, "there", location, attachment.sha256)
        else:
            state = "other"
        # Before any is written.
        for _ in self._content(attachment, path):
            pass
        return _Seen(number, place, state, location, attachment.sha256, attachment.bytes)

    def _backend(self, key: str) -> LiveBackend:
        """The live store that rows name; without it, their files are what could be left alone."""
        try:
            return self.backends.get(key)
        except UnknownNameError as error:
            otherwise = "Configure or register it, or load the rows alone: --no-attachments."
            raise UnknownNameError(error.kind, key, error.known, otherwise=otherwise) from error

    def _require(self, attachment: FixtureAttachment, path: str) -> None:
        size = self.directory.size(attachment.name)
        if size is None:
            raise self._error(attachment, path, "is in the manifest, but not in the directory")
        if size != attachment.bytes:
            raise self._error(attachment, path, f"is damaged: it has {size:,} bytes of {attachment.bytes:,}")

    def _content(self, attachment: FixtureAttachment, path: str) -> Iterator[bytes]:
        """The content that the fixtures have; the error of damaged content comes before its end."""
        digest = hashlib.sha256()
        for chunk in self.stop.watched(_chunks(self.directory, attachment)):
            digest.update(chunk)
            yield chunk
        if digest.hexdigest() != attachment.sha256:
            raise self._error(attachment, path, "is damaged: its content is not what its name says")

    def _error(self, attachment: FixtureAttachment, path: str, problem: str) -> FixtureError:
        return FixtureError(
            f"{self.directory.name.rstrip('/')}/{attachment.name} ({path!r})", problem,
            "Restore the file, or dump again with --attachments; to load the rows alone, pass --no-attachments.",
        )

    def _put(self, row: tuple[int, str, str, str | None]) -> None:
        _, key, path, content_type = row
        attachment = self.known[key][path]
        with self.memory.taken(min(attachment.bytes, STREAM_BYTES)):
            send_proved(
                self.backends.get(key), path, self._content(attachment, path), attachment.bytes, self.stop, content_type
            )


@contextmanager
def file_putting(
    config: Config, fixtures: FixtureDirectory, mode: AttachmentMode, progress: Progress
) -> Iterator[FilePutting | None]:
    """What a load does about files; None if it leaves them alone, or there are none."""
    known = fixtures.manifest.attachments
    mode = AttachmentMode(mode)
    if mode is AttachmentMode.LEAVE or not any(known.values()):
        yield None
        return
    with Catalogue(_SCHEMA) as catalogue:
        overwrite = mode is AttachmentMode.OVERWRITE
        yield FilePutting(Backends(config), fixtures.directory, known, overwrite, catalogue, progress)
