"""A directory of fixtures: which file holds which table, and whether it is as its manifest says."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from toolkit.core.fixture_manifest import ATTACHMENTS, MANIFEST, Attachments, FixtureFile, FixtureManifest
from toolkit.core.plan import TransferWarning
from toolkit.core.problems import Problems
from toolkit.core.progress import Progress
from toolkit.core.streams import read_ahead
from toolkit.core.tables import TableSpec
from toolkit.core.types import Kind
from toolkit.errors import FixtureError
from toolkit.stores.directories import Directory
from toolkit.stores.fixture_files import FORMS, Compression, FileForm, open_chunks, table_of
from toolkit.stores.fixture_reader import FixtureReader, read_schema
from toolkit.stores.fixture_writer import complete, is_unfinished, read_manifest
from toolkit.stores.near_files import near_files
from toolkit.stores.relative_times import now_in_utc
from toolkit.stores.spool import SpooledRows

_AS_STORED = (
    "What is stored is written by toolkit dump-data (alchemy dump-data decrypts it); to load it as it is all the same: "
    "--as-stored."
)

_OBJECT = re.compile("[0-9a-f]{64}")


class FixtureDirectory:
    """A directory of fixtures to read; `as_stored`: what columns hold is not compared with what their types store.

    Raises:
        StoreError: it cannot be read.
        FixtureError: its manifest is damaged.
    """

    def __init__(self, directory: Directory, *, as_stored: bool = False) -> None:
        self.directory = directory
        self._as_stored = as_stored
        self.changed: list[TransferWarning] = []
        """What was read of files that are not as they were dumped."""
        self.now = now_in_utc()
        if is_unfinished(directory):
            with directory.alone():
                complete(directory)

    @property
    def name(self) -> str:
        """The directory, for messages."""
        return self.directory.name

    @cached_property
    def manifest(self) -> FixtureManifest:
        """What `dump-data` says of the directory; empty if it says nothing."""
        return read_manifest(self.directory) or FixtureManifest()

    @property
    def attachments(self) -> Attachments:
        """The files that rows point at.

        Raises:
            FixtureError: they are there, but not the manifest, which alone says how they were called.
        """
        folder = ATTACHMENTS.rstrip("/")
        if not self.directory.has(MANIFEST) and folder in self.directory.folders():
            kept = [name for name in self.directory.files(ATTACHMENTS) if _OBJECT.fullmatch(name)]
            if kept:
                raise FixtureError(
                    f"{self.name}/{MANIFEST}",
                    f"is not there: which rows point at the {len(kept):,} files in {folder} is not known",
                    "Restore it, or load the rows alone: --no-attachments.",
                )
        return self.manifest.attachments

    @cached_property
    def _files(self) -> Mapping[str, list[tuple[str, FileForm]]]:
        """The files that could be a table's, by the table's name."""
        found: dict[str, list[tuple[str, FileForm]]] = {}
        for name in sorted(self.directory.files()):
            if (recognised := table_of(name)) is not None:
                found.setdefault(recognised[0], []).append((name, recognised[1]))
        return found

    def file_of(self, table: str) -> tuple[str, FileForm] | None:
        """The name and form of a table's file: the manifest's, or the first that Advanced Alchemy would take."""
        found = [
            (FORMS.index(form), _rank(stem, table, form), name, form)
            for stem, files in self._files.items()
            if stem.lower() == table.lower()
            for name, form in files
        ]
        listed = self.manifest.tables.get(table)
        for _, _, name, form in sorted(found, key=lambda file: file[:3]):
            if listed is None or name == listed.file:
                return name, form
        if listed is not None:
            raise FixtureError(
                f"{self.name}/{listed.file}",
                "is in the manifest, but not in the directory",
                "Restore the file, or dump again; nothing was written.",
            )
        return None

    def left_out(self, tables: Collection[str]) -> Iterator[TransferWarning]:
        """The files that no table has the name of or that no form has, and those that another file is preferred to."""
        yield from near_files(self.directory, tables)
        known = {table.lower(): table for table in tables}
        for name, files in self._files.items():
            if name.lower() not in known:
                near = difflib.get_close_matches(name, tables, n=1, cutoff=0.5)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                reason = f"{files[0][0]} is left out: there is no table {name!r}{hint}"
                yield TransferWarning("file left out", name, reason)
                continue
            chosen = self.file_of(known[name.lower()])
            for file, _ in files:
                if chosen is not None and file != chosen[0]:
                    reason = f"{file} is left out: {chosen[0]} is there for the same table."
                    yield TransferWarning("file left out", known[name.lower()], reason)

    def read(self, spec: TableSpec, folder: Path, problems: Problems, progress: Progress) -> SpooledRows:
        """Read a table's file whole, note everything that is wrong with its rows, and keep them in `folder`.

        Raises:
            StoreError, FixtureError: the file cannot be read, or is damaged.
            FixtureProblemsError: there are too many problems to go on.
        """
        found = self.file_of(spec.name)
        assert found is not None
        name, form = found
        digest = hashlib.sha256()
        progress.step(f"read {name}")
        reader = FixtureReader(spec, name, problems, now=self.now)
        with (
            open_chunks(self.directory, name, form, digest) as read,
            read_ahead(read) as chunks,
            read_ahead(reader.batches(chunks, form)) as batches,
        ):
            rows = SpooledRows(spec, folder / f"{len(list(folder.iterdir()))}", batches, read_schema(spec))
        listed = self.manifest.tables.get(spec.name)
        # As it was dumped, it holds what was stored.
        if listed is None or listed.sha256 != digest.hexdigest():
            self._note_unstored(reader, problems)
            if listed is not None:
                self._note_change(spec, listed, rows.count(), form, progress)
        return rows

    def _note_unstored(self, reader: FixtureReader, problems: Problems) -> None:
        for line, name in [] if self._as_stored else reader.unstored:
            type_ = type(reader.spec.table.c[name].type).__name__
            is_cipher = reader.spec.column(name).type.kind is Kind.CIPHERTEXT
            # Not the text itself: it may be a secret.
            problem = f"holds what is not {'encrypted' if is_cipher else 'in the form'} as {type_} stores it"
            problems.add(reader.file, line, f"column {name!r} {problem}", _AS_STORED)

    def _note_change(self, spec: TableSpec, listed: FixtureFile, rows: int, form: FileForm, progress: Progress) -> None:
        if not form.format.is_array and rows < listed.rows:
            # An array that is cut off has no end; lines could be.
            raise FixtureError(
                f"{self.name}/{listed.file}",
                f"has {rows:,} rows of the {listed.rows:,} that were dumped",
                f"Restore it; if they were removed on purpose, remove {spec.name!r} from manifest.json.",
            )
        reason = f"{listed.file} was changed since it was dumped; it is loaded as it is now."
        progress.note(reason)
        self.changed.append(TransferWarning("file changed", spec.name, reason))


def _rank(stem: str, table: str, form: FileForm) -> int:
    """Which of two names that differ in case is preferred: compressed exports in upper case, as Advanced Alchemy."""
    cases = (table, table.upper()) if form.compression is Compression.NONE else (table.upper(), table)
    return cases.index(stem) if stem in cases else len(cases)
