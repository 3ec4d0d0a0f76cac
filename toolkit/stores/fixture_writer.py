"""Writing a directory of fixtures: all files aside first, then each in its place, the manifest last."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import IO, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct, field

from toolkit.compute.sorting import in_key_order
from toolkit.core.fixture_manifest import (
    ATTACHMENTS,
    MANIFEST,
    Attachments,
    FixtureAttachment,
    FixtureFile,
    FixtureManifest,
    decode_manifest,
)
from toolkit.core.json_columns import format_column
from toolkit.core.schema import MEANT, TYPES_BY_KIND
from toolkit.core.streams import read_ahead
from toolkit.core.tables import TableSpec
from toolkit.core.types import AS_TEXT, Kind, logical_type
from toolkit.core.values import python_scalar, show_key
from toolkit.errors import FixtureError, UnrepresentableValueError
from toolkit.stores.directories import Directory
from toolkit.stores.fixture_files import Counted, FileForm, Format, file_name, write_chunks
from toolkit.stores.row_order import row_order

# Where files wait until the set is whole.
STAGING = ".toolkit-dump/"
_COPIED = 1 << 20
# What a folder of attachments may hold besides is nobody's business here.
_SHA256 = re.compile(r"[0-9a-f]{64}")
# What columns hold that JSON does not say: most of it is text there, and another database has other types for it.
_TOLD = AS_TEXT | {
    *(Kind.NESTED, Kind.UUID, Kind.BOOL, Kind.DECIMAL, Kind.STORED),
    *(Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.DATE, Kind.TIME),
}


class FixtureWriter(Struct):
    """A set of fixture files in the making; nothing of the old set is touched before `finish`."""

    directory: Directory
    form: FileForm
    tells_kinds: bool = False
    """The manifest says of which kinds the columns are that JSON has as text, and which arrays hold others.

    It also says which hold something else than they are declared for.
    """
    has_manifest: bool = True
    """Else the rows go by themselves, and nothing says of what kinds they are."""
    written: dict[str, FixtureFile] = field(default_factory=dict)

    def write(
        self,
        spec: TableSpec,
        batches: Iterable[pa.RecordBatch],
        forms: Mapping[str, str] | None = None,
        numbers: Mapping[str, Following] | None = None,
    ) -> FixtureFile:
        """Write one table's rows aside, ordered by key, or without one by all columns, one row a line.

        The manifest has the `forms` in which columns were stored, and the `numbers` that they give out next where the
        rows do not tell these.

        Raises:
            StoreError: no permission, no space.
            UnrepresentableValueError: a JSON column holds what is no JSON.
            FixtureError: without the manifest, a column would be read as one of another kind.
        """
        if not self.has_manifest:
            _require_declared(spec)
        schema, order = row_order(spec)
        rows = _Rows(order, {name: each for name, each in (numbers or {}).items() if name in spec.column_names})
        is_array = self.form.format is Format.JSON
        formatted = rows.passing(spec, batches, *((",\n", "") if is_array else ("", "\n")))
        name = file_name(spec.name, self.form)
        with self.directory.create(STAGING + name) as file, read_ahead(formatted) as lines:
            counted = Counted(file)
            with read_ahead(in_key_order(schema, lines)) as chunks:
                write_chunks(counted, _as_array(chunks) if is_array else chunks, self.form.compression)
        kinds = dict(_kinds(spec)) if self.tells_kinds else None
        following = {name: each.number for name, each in rows.numbers.items() if not rows.tell(name)}
        written = FixtureFile(
            name,
            rows.count,
            counted.bytes,
            counted.sha256,
            kinds or None,
            dict(forms or {}) or None,
            following or None,
        )
        self.written[spec.name] = written
        return written

    def keep(self, attachment: FixtureAttachment, content: IO[bytes]) -> None:
        """Write a file that rows point at in its place, at once: nothing knows of it before `finish`.

        May be called by several threads at once, with different content.

        Raises:
            StoreError: no permission, no space.
        """
        with self.directory.create(STAGING + attachment.sha256) as file:
            shutil.copyfileobj(content, file, _COPIED)
        self.directory.move(STAGING + attachment.sha256, attachment.name)

    def finish(
        self, revision: str | None, others: FixtureManifest | None = None, attachments: Attachments | None = None
    ) -> None:
        """Put the set in its place. `others` holds the tables of the old set that stay as they are.

        The new manifest, itself written aside, is the promise that all files are there: from then on a reader, or
        the next dump, completes what is interrupted (`complete`).
        """
        kept = dict(others.tables) if others else {}
        manifest = FixtureManifest(revision, {**kept, **self.written}, attachments=attachments or {})
        with self.directory.create(STAGING + MANIFEST) as file:
            file.write(manifest.encode())
        complete(self.directory)

    def clear(self) -> None:
        """Remove what this or an interrupted dump wrote aside."""
        for name in self.directory.files(STAGING):
            self.directory.remove(STAGING + name)


def _kinds(spec: TableSpec) -> Iterator[tuple[str, str]]:
    """The kinds of columns of which neither JSON nor a column's declaration tells them."""
    infos = {each.name: each.info for each in spec.table.columns}
    for each in spec.columns:
        info = infos.get(each.name, {})
        is_meant = MEANT not in info or logical_type(info[MEANT]) == each.type
        found = (info.get(TYPES_BY_KIND) or {}).get(each.type.kind)
        if found is not None and logical_type(found) == each.type:
            yield each.name, each.type.kind
        elif each.type.kind in _TOLD or not is_meant:
            yield each.name, str(each.type) if each.type.kind is Kind.DECIMAL else each.type.kind


def _require_declared(spec: TableSpec) -> None:
    """Refuse columns that hold something else than they are declared for, where it looks alike in JSON."""
    infos = {each.name: each.info for each in spec.table.columns}
    for each in spec.columns:
        if MEANT not in infos.get(each.name, {}):
            continue
        declared, held = logical_type(infos[each.name][MEANT]).kind, each.type.kind
        as_text = AS_TEXT - {declared} if declared in AS_TEXT else {Kind.BYTES, Kind.JSON}
        if held == Kind.STORED or (held in as_text and declared in {*AS_TEXT, Kind.NATIVE}):
            raise FixtureError(
                f"{spec.name}.{each.name}",
                f"holds {held}, which is not what it is declared for: only a manifest beside the rows would say so",
                "Dump into a directory: --dir DIR.",
            )


def is_unfinished(directory: Directory) -> bool:
    """Whether there is a set that was written whole, but not moved to the end."""
    return directory.has(STAGING + MANIFEST)


def complete(directory: Directory) -> None:
    """Put such a set in its place. Harmless when there is none."""
    if not is_unfinished(directory):
        return
    new = read_manifest(directory, STAGING + MANIFEST)
    assert new is not None
    old = read_manifest(directory) if directory.has(MANIFEST) else None
    kept = {file.file for file in new.tables.values()}
    for table, file in new.tables.items():
        if directory.has(STAGING + file.file):
            directory.move(STAGING + file.file, file.file)
        before = old.tables.get(table) if old else None
        if before and before.file not in kept:
            directory.remove(before.file)
    for file in others_of(old, new.tables).values():
        if file.file not in kept and is_as_written(directory, file):
            directory.remove(file.file)
    if new.attachments or (old and old.attachments):
        _remove_forgotten(directory, new)
    if old != new:
        directory.move(STAGING + MANIFEST, MANIFEST)
    directory.remove(STAGING + MANIFEST)


def others_of(old: FixtureManifest | None, tables: Collection[str]) -> dict[str, FixtureFile]:
    """The files of an older dump that are of none of these tables."""
    return {table: file for table, file in old.tables.items() if table not in tables} if old else {}


def is_as_written(directory: Directory, written: FixtureFile) -> bool:
    """Whether a file is there and holds what a dump wrote."""
    if directory.size(written.file) != written.bytes:
        return False
    with directory.open(written.file) as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == written.sha256  # type: ignore[arg-type]


def _remove_forgotten(directory: Directory, manifest: FixtureManifest) -> None:
    """Remove the attachments that a manifest does not name: of the old set, or of a dump that was killed."""
    for name in directory.files(ATTACHMENTS) - manifest.objects:
        if _SHA256.fullmatch(name):
            directory.remove(ATTACHMENTS + name)


def read_manifest(directory: Directory, name: str = MANIFEST) -> FixtureManifest | None:
    """The manifest of a directory; None if it has none.

    Raises:
        FixtureError: it is damaged, or of a later version.
    """
    if not directory.has(name):
        return None
    with directory.open(name) as file:
        content = file.read()
    try:
        return decode_manifest(content)
    except ValueError as error:
        raise FixtureError(
            f"{directory.name}/{name}", f"is not a manifest: {error}", "Restore it, or dump again."
        ) from error


class Following(NamedTuple):
    """The number that a column gives out next; whether it is less than those before."""

    number: int
    descends: bool = False


class _Rows(Struct):
    """Counts rows as they pass, with what they are ordered by."""

    order: Callable[[pa.RecordBatch], list[pa.Array]]
    numbers: Mapping[str, Following] = field(default_factory=dict)
    """By column, what is given out next."""
    count: int = 0
    _last: dict[str, int] = field(default_factory=dict)

    def passing(
        self, spec: TableSpec, batches: Iterable[pa.RecordBatch], before: str, after: str
    ) -> Iterator[tuple[list[pa.Array], pa.Array]]:
        for batch in batches:
            self.count += batch.num_rows
            for name, each in self.numbers.items():
                self._see(name, (pc.min if each.descends else pc.max)(batch.column(name)).as_py())
            yield self.order(batch), format_rows(spec, batch, before, after)

    def _see(self, name: str, number: int | None) -> None:
        if number is not None:
            further = min if self.numbers[name].descends else max
            self._last[name] = further(self._last.get(name, number), number)

    def tell(self, name: str) -> bool:
        """Whether the rows themselves tell which number is next: that behind the last one, or the first of all."""
        following, descends = self.numbers[name]
        if descends:
            return following >= self._last[name] - 1 if name in self._last else following == -1
        return following <= max(self._last.get(name, 0), 0) + 1


def format_rows(spec: TableSpec, batch: pa.RecordBatch, before: str = "", after: str = "") -> pa.Array:
    """Each row of a batch as one JSON object, keys in column order.

    Raises:
        UnrepresentableValueError: a JSON column holds what is no JSON.
    """
    names, end, nothing = _frame(tuple(map(str, spec.column_names)), before, after)
    parts: list[pa.Array | pa.Scalar] = []
    for name, column, values in zip(names, spec.columns, batch.columns, strict=True):
        try:
            parts += (name, format_column(column.type, values))
        except ValueError as error:
            raise _unwritable(spec, batch, column.name) or error from error
    return pc.binary_join_element_wise(*parts, end, nothing)


@lru_cache(maxsize=64)
def _frame(names: tuple[str, ...], before: str, after: str) -> tuple[list[pa.Scalar], pa.Scalar, pa.Scalar]:
    """What stands before each value of a row and behind the last, and nothing: Arrow's scalars take 60 µs each."""
    import msgspec

    begins = (f"{',' if number else f'{before}{{'}{msgspec.json.encode(n).decode()}:" for number, n in enumerate(names))
    return [pa.scalar(begin) for begin in begins], pa.scalar("}" + after), pa.scalar("")


def _unwritable(spec: TableSpec, batch: pa.RecordBatch, name: str) -> UnrepresentableValueError | None:
    column = spec.column(name)
    for row in range(batch.num_rows):
        try:
            format_column(column.type, batch.column(name).slice(row, 1))
        except ValueError as error:
            values = tuple(python_scalar(batch.column(n)[row]) for n in spec.shown_key)
            key = show_key(spec.shown_key, tuple(spec.column(n).type for n in spec.shown_key), values)
            return UnrepresentableValueError(spec.name, key, name, str(error))
    return None


def _as_array(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Rows that each begin with a comma and a line break, as one JSON array."""
    first = True
    for chunk in chunks:
        yield b"[" + chunk[1:] if first else chunk
        first = False
    yield b"[]\n" if first else b"\n]\n"
