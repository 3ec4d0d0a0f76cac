"""The files that rows point at, brought along with the rows: from the source's live store to the target's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import Struct, field

from toolkit.core.archive_manifest import address_of
from toolkit.core.file_properties import Properties, decode_properties
from toolkit.core.parallel import MEMORY_BYTES, STREAM_BYTES, Memory, Stop, in_parallel
from toolkit.core.plan import FileCopy
from toolkit.errors import CollidingFilesError, ConfigurationError, DamagedObjectError, ToolkitError
from toolkit.operations.archive.backends import JOBS, Backends
from toolkit.operations.archive.rows import file_columns, narrow, read_cells
from toolkit.operations.archive.sharing import present
from toolkit.stores.catalogue import Catalogue
from toolkit.stores.chunks import passing
from toolkit.stores.client import client_for
from toolkit.stores.live import ObstoreBackend

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from toolkit.config import Config
    from toolkit.core.progress import Progress
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Connection
    from toolkit.operations.archive.rows import Cell, Reference
    from toolkit.stores.live import LiveBackend
    from toolkit.stores.object_reader import ObjectInfo

_SCHEMA = """
-- `origin` and `target` are locations: where a file is, and where it goes, if there is a store for it.
CREATE TABLE file (id INTEGER PRIMARY KEY, backend TEXT, path TEXT, is_archived INTEGER, origin TEXT, target TEXT,
    properties TEXT, UNIQUE (backend, path));
CREATE INDEX file_target ON file (target);
-- Where rows of the source have files that would be overwritten by others'.
CREATE TABLE others (location TEXT PRIMARY KEY, name TEXT) WITHOUT ROWID;
"""
EVERY = ""
"""Stands for all backends that no store of their own is named for."""
NAMED = 20
"""How many files an error names."""


class _Copied(Struct, frozen=True):
    state: str
    bytes: int = 0
    problem: str | None = None


class _Copy(Struct):
    """One copying: from the backends that rows name to the store of each, or of them all."""

    backends: Backends
    targets: Mapping[str, ObstoreBackend]
    overwrite: bool
    dry_run: bool
    stop: Stop = field(default_factory=Stop)
    memory: Memory = field(default_factory=lambda: Memory(MEMORY_BYTES))

    @property
    def name(self) -> str:
        """The stores that files go to."""
        return ", ".join(sorted({each.name for each in self.targets.values()}))

    def target(self, key: str) -> ObstoreBackend | None:
        """The store for the files of a backend."""
        return self.targets.get(key, self.targets.get(EVERY))

    def noted(self, reference: Reference) -> tuple[str, str, bool, str, str | None, str]:
        """What the catalogue is to know of a file."""
        key, path, target = reference.backend, reference.path, self.target(reference.backend)
        origin = self.backends.location(key, path)
        there = None if target is None else target.location(path)
        return key, path, is_archived(reference), origin, there, reference.properties.text

    def copy(self, row: tuple[int, str, str, bool, str]) -> _Copied:
        """One file, unless it is there; what is wrong with one stops nothing."""
        _, key, path, is_at_home, properties = row
        try:
            return self._copy(key, path, is_at_home, decode_properties(properties))
        except ToolkitError as error:
            return _Copied("failed", problem=error.fact)

    def _copy(self, key: str, path: str, is_at_home: bool, by_row: Properties) -> _Copied:
        source, target = self.backends.get(key), self.target(key)
        if target is None:
            return _Copied("failed", problem=f"{key}:{path!r}: no store was named for it (--attachments {key}=STORE)")
        info, there = source.info(path), target.info(path)
        if info is None:
            return _Copied("failed", problem=f"{key}:{path!r}: there is no such file")
        properties = (info.properties or Properties()).completed(by_row)
        is_same = there is not None and (there.size == info.size and self._is_same(source, target, path))
        if is_at_home or (is_same and not (self.overwrite and _differs(properties, there))):
            return _Copied("there")
        if there is not None and not self.overwrite:
            reason = "a file of other content is there, and was left as it is (--overwrite-attachments replaces it)"
            return _Copied("failed", problem=f"{target.name}: {path!r}: {reason}")
        if not self.dry_run:
            with self.memory.taken(min(info.size, STREAM_BYTES)):
                send_proved(target, path, source.read(path), info.size, self.stop, properties)
        return _Copied("copied", info.size)

    def _is_same(self, source: LiveBackend, target: LiveBackend, path: str) -> bool:
        """Whether both have the same content: sizes, times and tags do not tell."""
        return sha256_of(source.read(path), self.stop) == sha256_of(target.read(path), self.stop)


def _differs(properties: Properties, there: ObjectInfo | None) -> bool:
    return there is not None and there.properties is not None and not properties.is_shown_by(there.properties)


def sha256_of(chunks: Iterable[bytes], stop: Stop) -> str:
    """The hexadecimal SHA-256 of content that is read."""
    digest = hashlib.sha256()
    for chunk in stop.watched(chunks):
        digest.update(chunk)
    return digest.hexdigest()


def send_proved(
    target: LiveBackend,
    path: str,
    chunks: Iterable[bytes],
    size: int,
    stop: Stop,
    properties: Properties | None = None,
) -> None:
    """Write a file, and read it back: what arrived is what was sent.

    Raises:
        DamagedObjectError: it is not; it was removed.
        StoreError: it cannot be written, or other than `size` bytes came.
    """
    sent, arrived = hashlib.sha256(), hashlib.sha256()
    target.write(path, passing(stop.watched(chunks), sent), size=size, properties=properties)
    for chunk in stop.watched(target.read(path)):
        arrived.update(chunk)
    if arrived.digest() != sent.digest():
        target.delete(path)
        raise DamagedObjectError(target.name, path, "what arrived is not what was sent, and was removed")


def copy_files(
    config: Config,
    origin: Connection,
    specs: Sequence[TableSpec],
    metadata: MetaData,
    stores: str | Mapping[str, str],
    *,
    overwrite: bool,
    dry_run: bool,
    progress: Progress,
) -> FileCopy:
    """Copy the files of these tables' rows that a store lacks, each under its own name.

    `metadata` has all tables: their rows' own files are in nobody's way.
    `stores` is one store, or one for each backend (`EVERY`: for all others). Files that rows were moved to in an
    archive stay there. A file that cannot be copied is told, and stops nothing; one of other content is replaced only
    with `overwrite`.

    Raises:
        UnknownNameError, StoreError: there is no such store or backend, or its settings cannot be used.
        CollidingFilesError: several files would be one in a store, or take the place of another row's at the source.
    """
    named = {EVERY: stores} if isinstance(stores, str) else stores
    run = _Copy(Backends(config), {key: _opened(config, store) for key, store in named.items()}, overwrite, dry_run)
    counts = {"copied": 0, "there": 0}
    size = 0
    problems: list[str] = []
    with Catalogue(_SCHEMA) as catalogue:
        _note_files(run, catalogue, origin, specs, problems)
        archived = set_archived_aside(catalogue)
        _require_backends(run, catalogue)
        _refuse_collisions(catalogue)
        _refuse_places_of_others(run, catalogue, origin, metadata)
        (files,) = catalogue.one("SELECT count(*) FROM file")
        progress.step(f"copy files to {run.name}", files)
        rows = catalogue.pages(
            "SELECT id, backend, path, origin IS target, properties FROM file WHERE id > ? ORDER BY id"
        )
        for done in in_parallel(run.copy, rows, JOBS, run.stop):
            if done.problem is not None:
                problems.append(done.problem)
            else:
                counts[done.state] += 1
                size += done.bytes
            progress.advance(1)
    return FileCopy(run.name, files, counts["copied"], size, counts["there"], tuple(sorted(problems)), archived)


def _note_files(
    run: _Copy, catalogue: Catalogue, origin: Connection, specs: Sequence[TableSpec], problems: list[str]
) -> None:
    for spec in (narrow(each) for each in specs if file_columns(each)):
        catalogue.run_many(
            "INSERT OR IGNORE INTO file (backend, path, is_archived, origin, target, properties) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            map(run.noted, references_of(read_cells(origin, spec), problems)),
        )


def _opened(config: Config, store: str) -> ObstoreBackend:
    found = config.store(store)
    return ObstoreBackend(found.name or store, client_for(found))


def _require_backends(run: _Copy, catalogue: Catalogue) -> None:
    """Refuse a store that was named for a backend that nobody knows: a misspelt one would go to another's store."""
    known = {key for (key,) in catalogue.all("SELECT DISTINCT backend FROM file")}
    for key in run.targets:
        if key != EVERY and key not in known:
            run.backends.get(key)


def _refuse_collisions(catalogue: Catalogue) -> None:
    """Refuse two files that are not one where they are, but would be where they go, whatever they hold today."""
    refuse_collisions(
        catalogue,
        "target",
        "origin",
        "Give each backend a store of its own (--attachments BACKEND=STORE for each), or rename one of the files.",
    )


def _refuse_places_of_others(run: _Copy, catalogue: Catalogue, origin: Connection, metadata: MetaData) -> None:
    """Refuse files that would go where rows of the source, synced or not, have others: the store is a live one."""
    tables: list[TableSpec] = []
    for name in metadata.tables:
        # One that cannot be read by key is in nobody's archive; those that hold no files are none of these.
        with suppress(ConfigurationError):
            tables += present(origin, metadata, [name])
    for spec in tables:
        for reference in (each for cell in read_cells(origin, spec) for each in cell.references):
            location = run.backends.location(reference.backend, reference.path)
            if catalogue.one("SELECT 1 FROM file WHERE target = ? AND origin <> target", location):
                name = f"{reference.backend}:{reference.path!r}"
                catalogue.run("INSERT OR IGNORE INTO others VALUES (?, ?)", location, name)
    found = catalogue.all(
        "SELECT target, backend, path, name FROM file JOIN others ON location = target WHERE origin <> target "
        "ORDER BY target, backend, path LIMIT ?",
        NAMED,
    )
    if found:
        (count,) = catalogue.one("SELECT count(*) FROM others")
        places = {target: [f"{key}:{path!r}", name] for target, key, path, name in found}
        raise CollidingFilesError(places, count, "Name a store that is no live store of these rows.")


def refuse_collisions(catalogue: Catalogue, location: str, content: str, advice: str) -> None:
    """Refuse files of a catalogue's table `file` that have one `location`, but differ by the column `content`.

    Raises:
        CollidingFilesError: there are some.
    """
    several = f"FROM file WHERE {location} NOT NULL GROUP BY {location} HAVING count(DISTINCT {content}) > 1"
    (count,) = catalogue.one(f"SELECT count(*) FROM (SELECT 1 {several})")
    if not count:
        return
    found = catalogue.all(f"SELECT {location} {several} ORDER BY 1 LIMIT {NAMED}")
    files = {
        where: [
            f"{key}:{path!r}"
            for key, path in catalogue.all(
                f"SELECT backend, path FROM file WHERE {location} = ? GROUP BY {content} ORDER BY backend, path", where
            )
        ]
        for (where,) in found
    }
    raise CollidingFilesError(files, count, advice)


def references_of(cells: Iterable[Cell], problems: list[str]) -> Iterator[Reference]:
    """What rows point at; `problems` is told what is wrong with those of which it cannot be said."""
    for cell in cells:
        if cell.problem is not None:
            key = ", ".join(f"{name}={value!r}" for name, value in cell.key.items())
            problems.append(f"{cell.table} {key}: column {cell.column!r} names no file: {cell.problem}")
        yield from cell.references


def is_archived(reference: Reference) -> bool:
    """Whether a file is one that rows were moved to in an archive, not in a live store."""
    return address_of(reference.path) is not None


def set_archived_aside(catalogue: Catalogue) -> int:
    """Strike the files that are in an archive from a catalogue's table `file`; how many there were."""
    (count,) = catalogue.one("SELECT count(*) FROM file WHERE is_archived")
    catalogue.run("DELETE FROM file WHERE is_archived")
    return int(count)
