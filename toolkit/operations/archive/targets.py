"""Where a restore puts files: each place once, looked at before anything is written there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from toolkit.core.archive_manifest import decode_entry
from toolkit.core.parallel import Stop, in_parallel
from toolkit.errors import MissingObjectError, ToolkitError
from toolkit.operations.archive.outcomes import Outcome
from toolkit.operations.archive.rows import said_of
from toolkit.operations.attachments import sha256_of
from toolkit.stores.locations import same_name
from toolkit.stores.safe_directory import hashed_name, safe_name

if TYPE_CHECKING:
    from toolkit.core.archive_manifest import FileEntry
    from toolkit.core.progress import Progress
    from toolkit.operations.archive.backends import Backends
    from toolkit.stores.catalogue import Catalogue
    from toolkit.stores.live import LiveBackend
    from toolkit.stores.safe_directory import SafeDirectory

SCHEMA = """
-- What is to be where, each once. `state`: '' is to be looked at, then what was found, then what was done. `replaces`:
-- whatever is there.
CREATE TABLE target (id INTEGER PRIMARY KEY, location TEXT, backend TEXT, path TEXT, sha TEXT, compressed INTEGER,
    size INTEGER, properties TEXT, state TEXT, outcome TEXT, reason TEXT, replaces INTEGER NOT NULL DEFAULT 0,
    UNIQUE (location, sha));
-- `pointed`: the row points there now.
CREATE TABLE use (entry INTEGER, target INTEGER, pointed INTEGER);
CREATE INDEX use_target ON use (target);
CREATE INDEX use_entry ON use (entry);
-- Rows that point now at places where files are to be written, or that have other content; their reference.
CREATE TABLE pointer (id INTEGER PRIMARY KEY, location TEXT, tbl TEXT, col TEXT, key TEXT, reference TEXT);
CREATE INDEX pointer_location ON pointer (location);
CREATE TABLE name (name TEXT PRIMARY KEY, is_file INTEGER) WITHOUT ROWID;
"""
_IS_OTHERS = (
    "NOT EXISTS (SELECT 1 FROM use JOIN entry ON entry.id = use.entry WHERE use.target = target.id "
    "AND (entry.tbl, entry.col, entry.key) = (pointer.tbl, pointer.col, pointer.key))"
)
# Number, state, and what is wrong there.
Looked = tuple[int, str, Outcome | None, str | None]
# Location, table, column, key as JSON, and reference.
Pointer = tuple[str, str, str, str, str]
NEW, SAME, OTHER, DONE, FAILED = "to be written", "same", "other content", "written", "failed"


class Targets(msgspec.Struct):
    """The places of one restore, in its catalogue: in live stores (`place` says where), or in a directory."""

    catalogue: Catalogue
    backends: Backends
    directory: SafeDirectory | None
    place: Callable[[FileEntry], tuple[str, str]]
    jobs: int
    progress: Progress
    stop: Stop

    def aim(self, number: int, entry: FileEntry, is_pointed_at: bool) -> None:
        """Note where one file of the snapshot goes."""
        if self.directory is None:
            backend, path = self.place(entry)
            location = self.backends.location(backend, path)
        else:
            backend, path = "", self._file_name(entry)
            location = path
        self.catalogue.run(
            "INSERT OR IGNORE INTO target (location, backend, path, sha, compressed, size, properties, state) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, '')",
            location,
            backend,
            path,
            entry.sha256,
            entry.address.compressed,
            entry.size,
            entry.to_write.text,
        )
        (target,) = self.catalogue.one("SELECT id FROM target WHERE (location, sha) = (?, ?)", location, entry.sha256)
        self.catalogue.run("INSERT INTO use VALUES (?, ?, ?)", number, target, is_pointed_at)

    def tell_collisions(self) -> None:
        """Leave out files that would have one place: no row may read another's.

        Only what rows point at there now, if it is one content, belongs there: that of the others was moved away since.
        """
        self.catalogue.run(
            "UPDATE target SET state = ?, outcome = ?, reason = ? "
            "WHERE location IN (SELECT location FROM target GROUP BY location HAVING count(*) > 1) "
            "AND id NOT IN (SELECT max(target) FROM use JOIN target ON target.id = use.target WHERE pointed "
            "GROUP BY location HAVING count(DISTINCT target) = 1)",
            FAILED,
            Outcome.COLLIDES,
            "another file of the snapshot would have this place, so that it was not written: give each backend one of "
            "its own (--to-backend BACKEND=KEY), or restore to a directory (--to)",
        )

    def _file_name(self, entry: FileEntry) -> str:
        """A name in the directory that no other file of the snapshot has, nor a folder of one."""
        name = safe_name(entry.backend, entry.path)
        if name != hashed_name(entry.backend, entry.path) and self._is_taken(name, entry):
            name = hashed_name(entry.backend, entry.path)
        if self.catalogue.one("SELECT 1 FROM target WHERE path = ? AND sha <> ?", name, entry.sha256):
            name = f"{hashed_name(entry.backend, entry.path)}-{entry.sha256[:16]}"
        parts = same_name(name).split("/")
        for depth in range(1, len(parts)):
            self.catalogue.run("INSERT OR IGNORE INTO name VALUES (?, 0)", "/".join(parts[:depth]))
        self.catalogue.run("INSERT OR IGNORE INTO name VALUES (?, 1)", "/".join(parts))
        return name

    def _is_taken(self, name: str, entry: FileEntry) -> bool:
        if self.catalogue.one("SELECT 1 FROM target WHERE path = ? AND sha = ?", name, entry.sha256):
            return False
        same = same_name(name)
        if self.catalogue.one("SELECT 1 FROM name WHERE name = ?", same):
            return True
        folders = ["/".join(same.split("/")[:depth]) for depth in range(1, same.count("/") + 1)]
        return any(self.catalogue.one("SELECT 1 FROM name WHERE name = ? AND is_file", each) for each in folders)

    def look(self) -> None:
        """Compare what is there already with what is to be there, by content."""
        count, size = self.catalogue.one("SELECT count(*), total(size) FROM target")
        self.progress.files("look at files that are there", count, int(size))
        rows = self.catalogue.pages(
            "SELECT id, backend, path, sha, size FROM target WHERE state = '' AND id > ? ORDER BY id"
        )
        for number, state, outcome, reason in in_parallel(lambda row: self.looked_at(*row), rows, self.jobs, self.stop):
            self.note(number, state, outcome, reason)
            self.progress.advance_file(1, 0)

    def looked_at(self, number: int, backend: str, path: str, sha: str, size: int) -> Looked:
        """What is at a place now, compared by content."""
        try:
            live = self.live(backend)
            info = live.info(path)
            if info is None:
                return number, NEW, None, None
            if info.size == size and sha256_of(live.read(path), self.stop) == sha:
                return number, SAME, None, None
        except MissingObjectError:
            return number, NEW, None, None
        except ToolkitError as error:
            return number, FAILED, Outcome.UNWRITABLE, error.fact
        return number, OTHER, Outcome.KEPT, f"a file of {info.size} bytes with other content is there"

    def heed(self, pointers: Iterable[Pointer]) -> None:
        """Leave out files that other rows would read whose own file had that name: by what they say, it was another.

        `pointers` are all rows that point at files. A row of the same key may be in another database.
        """
        self.catalogue.run_many(
            "INSERT INTO pointer (location, tbl, col, key, reference) VALUES (?, ?, ?, ?, ?)",
            (
                each
                for each in pointers
                if self.catalogue.one(
                    "SELECT 1 FROM target WHERE state IN (?, ?) AND location = ?", NEW, OTHER, each[0]
                )
            ),
        )
        rows = self.catalogue.pages(
            "SELECT pointer.id, target.id, tbl, key, reference FROM pointer JOIN target USING (location) "
            f"WHERE state = ? AND {_IS_OTHERS} AND pointer.id > ? ORDER BY pointer.id",
            NEW,
        )
        for _, target, table, key, reference in rows:
            if not self._is_file_of(target, said_of(msgspec.Raw(reference.encode()))):
                row = ", ".join(f"{name}={value!r}" for name, value in json.loads(key).items())
                reason = (
                    f"{table} {row} points there, and says of its file what is not so of this one; it was not written"
                )
                self.note(target, FAILED, Outcome.COLLIDES, f"{reason} (restore to another place: --to-backend, --to)")

    def _is_file_of(self, target: int, said: Mapping[str, str]) -> bool:
        """Whether a row's word on its file is that of a row which the file is restored for."""
        for (line,) in self.catalogue.all(
            "SELECT line FROM entry JOIN use ON entry.id = entry WHERE target = ?", target
        ):
            entry = decode_entry(line)
            known = {"size": str(entry.size), **said_of(entry.reference)}
            if all(known.get(name, text) == text for name, text in said.items()):
                return True
        return False

    @property
    def are_others_there(self) -> bool:
        """Whether there are files of other content in some of the places."""
        return self.catalogue.one("SELECT 1 FROM target WHERE state = ?", OTHER) is not None

    def overwrite(self) -> None:
        """Replace files of other content, too, but none that a row points at whose file is not restored there."""
        self.catalogue.run(
            "UPDATE target SET state = ?, outcome = NULL, reason = NULL, replaces = 1 WHERE state = ? "
            f"AND NOT EXISTS (SELECT 1 FROM pointer WHERE pointer.location = target.location AND {_IS_OTHERS})",
            NEW,
            OTHER,
        )
        self.catalogue.run(
            "UPDATE target SET reason = reason || ', which another row points at that would read this one (restore to "
            "another place: --to-backend, --to)' WHERE state = ?",
            OTHER,
        )

    def live(self, backend: str) -> LiveBackend | SafeDirectory:
        """Where the files of a backend are written."""
        return self.backends.get(backend) if self.directory is None else self.directory

    def note(self, number: int, state: str, outcome: Outcome | None, reason: str | None) -> None:
        """Note what was found or done at a place."""
        self.catalogue.run(
            "UPDATE target SET state = ?, outcome = ?, reason = ? WHERE id = ?", state, outcome, reason, number
        )
