"""What an archive holds: names of its objects, and the manifest of a snapshot.

A manifest is JSON lines: a header, a line for each file that it lacks and each that it has, and a last line with the
SHA-256 of all lines before it, so that one that is cut off or damaged is told. The same snapshot is always the same
bytes. It is read and written as a stream: a million files need no more memory than one.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import secrets
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import field

from toolkit.core.file_properties import Properties, properties_of_row
from toolkit.core.retention import CLOCKS_DIFFER

T = TypeVar("T")

FORMAT = 2
"""Of manifests that lack files: a version that knows only 1 would take them for whole ones."""
ERASED = "erased"
"""The outcome of a file that a snapshot lacks because it was erased on purpose."""
OBJECTS = "objects/"
SNAPSHOTS = "snapshots/"
_SUFFIX = ".jsonl.zst"
_OBJECT = re.compile(r"objects/([0-9a-f]{2})/(\1[0-9a-f]{62})(\.zst)?")
OBJECT_GLOB = f"{OBJECTS}[0-9a-f][0-9a-f]/{'[0-9a-f]' * 64}*"
"""What objects are called, for SQLite."""
_SNAPSHOT = re.compile(r"snapshots/(\d{8}T\d{6}Z-[0-9a-f]{8})\.jsonl\.zst")
# Lines are written together: one at a time would be as many calls of the compressor.
_CHUNK = 1 << 18
# No file's line is longer; without a limit, a damaged manifest could ask for any amount of memory.
_LONGEST_LINE = 1 << 26
# What an archive says is checked when it is read: whoever may write there need not be a friend. Numbers are kept in
# SQLite, which has 64 bits, and names become those of objects and files.
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
_SnapshotId = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}\Z")]
_Time = Annotated[dt.datetime, msgspec.Meta(tz=True)]
# Times are reckoned with: no period before or after such a one is beyond what Python knows.
_OF_TIME = len("20260102T030405Z")
_YEARS = range(1970, 9999)
# Most stores tell whole seconds, cut off; file systems tell less.
_STORES_TICK = dt.timedelta(seconds=1)


class ManifestError(ValueError):
    """A manifest that is damaged, cut off, or of a later version."""


# -- names of objects ----------------------------------------------------------------------------------------------


class Address(msgspec.Struct, frozen=True, order=True):
    """What one object is: the SHA-256 (hexadecimal) of its plain content, and whether it lies there as zstd."""

    sha256: str
    compressed: bool = False

    @property
    def key(self) -> str:
        """Its name in the archive: nothing of a file's own name is in it."""
        return f"{OBJECTS}{self.sha256[:2]}/{self.sha256}{'.zst' if self.compressed else ''}"


def address_of(key: str) -> Address | None:
    """The address that an object's name stands for; None if it is no object of an archive."""
    found = _OBJECT.fullmatch(key)
    return Address(found[2], found[3] is not None) if found else None


def addresses_in(text: str) -> Iterator[Address]:
    """The addresses of all objects that are named in a text."""
    return (Address(found[2], found[3] is not None) for found in _OBJECT.finditer(text))


def snapshot_key(snapshot: str) -> str:
    """The name of a snapshot's manifest."""
    return f"{SNAPSHOTS}{snapshot}{_SUFFIX}"


def snapshot_of(key: str) -> str | None:
    """The id of the snapshot whose manifest has this name; None if it is no manifest."""
    found = _SNAPSHOT.fullmatch(key)
    return found[1] if found else None


def new_snapshot_id(now: dt.datetime) -> str:
    """An id that sorts by time and that no two pushes share: UTC, and eight random digits."""
    return f"{now.astimezone(dt.UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


def time_of_snapshot(snapshot: str) -> dt.datetime:
    """When a snapshot was made, by its id: whole seconds; as late as can be if the id is of no day."""
    try:
        return dt.datetime.strptime(snapshot[:_OF_TIME], "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
    except ValueError:
        return dt.datetime.max.replace(tzinfo=dt.UTC)


def counted_as_of(said: dt.datetime, written: dt.datetime) -> dt.datetime:
    """When a snapshot was made that says when, and that the store wrote at another time.

    In a copy of an archive, all manifests may be of the day of the copy. The earlier of the two, however little they
    differ, keeps the order of pushes whichever clock is wrong: some begin with long work, others write at once.
    """
    return min(said, written if written.microsecond else written + _STORES_TICK)


# -- the manifest --------------------------------------------------------------------------------------------------


class Scope(msgspec.Struct, frozen=True):
    """Which rows a push looked at: all that it was asked for, so that snapshots of one kind are known as such."""

    tables: tuple[str, ...] = ()
    where: dict[str, str] = field(default_factory=dict)
    older_than: str | None = None


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line. `files` counts references of rows; `objects` and `bytes` their content, each object once.

    `place` tells databases of one name apart (`DatabaseConnection.identity`); manifests of earlier versions have none.
    `lacking` counts references whose files could not be archived, or are not what their rows say; manifests of format 1
    have none. `erased` of them were archived, and taken out on purpose. `written_at` is no part of the manifest: when
    the store says that it was written.
    """

    format: int = 1
    id: _SnapshotId
    created_at: _Time
    database: str
    revision: str | None
    scope: Scope
    files: _Count
    objects: _Count
    bytes: _Count
    moved: bool = False
    place: str | None = None
    lacking: _Count = 0
    erased: _Count = 0
    written_at: _Time | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        if self.created_at.year not in _YEARS:
            raise ValueError("created_at is beyond the years of any snapshot")

    @property
    def made_at(self) -> dt.datetime:
        """When it was made: as it says, unless the store wrote it before, so that the clock there was ahead."""
        if isinstance(self.written_at, msgspec.UnsetType):
            return self.created_at
        return counted_as_of(self.created_at, self.written_at)

    def is_ahead(self, now: dt.datetime) -> bool:
        """Whether it says that it was made later than it can have been."""
        return self.created_at > min(self.made_at, now) + CLOCKS_DIFFER


class Lacking(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a row points at, but that could not be archived as the row has it, and why.

    `backend` and `path` are those of the live store, None for a reference that names no file. `size`: what was archived
    has not that size, which the row says; `instead`, its SHA-256, that it has not the checksum that the row says.
    """

    table: str
    column: str
    key: dict[str, Any]
    index: int | None = None
    backend: str | None = None
    path: str | None = None
    size: int | None = None
    instead: str | None = None
    outcome: str
    reason: str | None = None


class _Reference(msgspec.Struct):
    """What of a row's reference is relied on; Advanced Alchemy writes more."""

    backend: str | None = None
    filename: str | None = None
    to_filename: str | None = None


class FileEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One file that a row points at. `index` is its place in a column of several files.

    `reference` is what the column held, to the letter; `modified` (seconds) and `etag` are what the live store said of
    it. `stored` is the object's size as zstd in the archive; None: it lies there plain. `properties` are what the live
    store kept with it; manifests of earlier versions have none.
    """

    table: str
    column: str
    key: dict[str, Any]
    index: _Count | None
    backend: str
    path: str
    name: str
    content_type: str | None
    size: _Count
    sha256: _Sha256
    stored: _Count | None
    modified: float | None
    etag: str | None
    metadata: msgspec.Raw
    reference: msgspec.Raw
    properties: Properties | None = None

    def __post_init__(self) -> None:
        _decoded(bytes(self.reference), _Reference)

    @property
    def address(self) -> Address:
        """Where in the archive its content is."""
        return Address(self.sha256, self.stored is not None)

    @property
    def to_write(self) -> Properties:
        """What is to be written with it, wherever it goes."""
        by_row = properties_of_row(self.content_type, bytes(self.metadata))
        return (self.properties or Properties()).completed(by_row)

    @property
    def bytes_stored(self) -> int:
        """How large the object in the archive is."""
        return self.size if self.stored is None else self.stored

    @property
    def document(self) -> str:
        """As JSON text, its reference to the letter."""
        return msgspec.json.encode(self).decode()


class _Trailer(msgspec.Struct, frozen=True):
    sha256: str
    lines: int


def one_line(document: str | bytes) -> msgspec.Raw:
    """JSON text on one line: line breaks in it can only stand between its parts."""
    text = document.encode() if isinstance(document, str) else document
    return msgspec.Raw(text.replace(b"\n", b" ").replace(b"\r", b" "))


def encode_manifest(header: Header, entries: Iterable[FileEntry], lacking: Iterable[Lacking] = ()) -> Iterator[bytes]:
    """The manifest, in chunks; there are as many `lacking` as its header says."""
    digest, lines = hashlib.sha256(), 0
    encoder = msgspec.json.Encoder()
    chunk = bytearray()
    for part in chain([header], lacking, entries):
        line = encoder.encode(part) + b"\n"
        digest.update(line)
        lines += 1
        chunk += line
        if len(chunk) >= _CHUNK:
            yield bytes(chunk)
            chunk.clear()
    yield bytes(chunk) + encoder.encode(_Trailer(digest.hexdigest(), lines)) + b"\n"


def decode_header(chunks: Iterable[bytes]) -> Header:
    """The first line alone, which takes no reading of the rest.

    Raises:
        ManifestError: it is none, or of a later format.
    """
    for line in _lines(chunks):
        return _header(line)
    raise ManifestError("is empty")


def decode_manifest(chunks: Iterable[bytes]) -> Iterator[Header | Lacking | FileEntry]:
    """The header, then each file that is lacking, then each that is there.

    Whoever needs to rely on it reads to the end, where the digest is compared.

    Raises:
        ManifestError: it is damaged, cut off, or of a later format.
    """
    digest, lines = hashlib.sha256(), 0
    held: bytes | None = None
    for line in _lines(chunks):
        if held is not None:
            digest.update(held + b"\n")
            lines += 1
            if lines == 1:
                header = _header(held)
                yield header
            elif lines <= 1 + header.lacking:
                yield _decoded(held, Lacking)
            else:
                yield _decoded(held, FileEntry)
        held = line
    if held is None:
        raise ManifestError("is empty")
    trailer = _decoded(held, _Trailer)
    if (trailer.sha256, trailer.lines) != (digest.hexdigest(), lines):
        raise ManifestError("is damaged: its content does not have the digest that it says")


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
        if len(rest) > _LONGEST_LINE:
            raise ManifestError("is damaged: it has a line without an end")
    if rest:
        raise ManifestError("is cut off")


def _header(line: bytes) -> Header:
    known = _decoded(line, _Format)
    if known.format > FORMAT:
        raise ManifestError(f"has format {known.format}; this version knows up to {FORMAT}")
    return _decoded(line, Header)


class _Format(msgspec.Struct):
    format: int


# Made here, once: msgspec crashes when several threads at once are the first to decode a type.
_DECODERS: dict[type[Any], msgspec.json.Decoder[Any]] = {
    type_: msgspec.json.Decoder(type_) for type_ in (_Format, Header, Lacking, FileEntry, _Trailer, _Reference)
}


def decode_entry(line: bytes | str) -> FileEntry:
    """A file from its line alone."""
    return _decoded(line, FileEntry)


def _decoded(line: bytes | str, type_: type[T]) -> T:
    try:
        decoded: T = _DECODERS[type_].decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ManifestError(f"is damaged ({error})") from error
    return decoded
