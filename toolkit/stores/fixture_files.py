"""Names and forms of fixture files: `<table>.json`, `.jsonl`, `.csv` and others, plain or compressed."""

from __future__ import annotations

import bz2
import hashlib
import lzma
import re
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import pyarrow as pa
from msgspec import Struct

from toolkit.compute.scratch import told_if_full
from toolkit.core.fixture_manifest import MANIFEST
from toolkit.errors import FixtureError

if TYPE_CHECKING:
    from toolkit.stores.directories import Directory

# What no file system minds, beside letters of any language.
_HARMLESS = re.compile(r"[^\w .,=@+()-]")
_COPIED = 1 << 20
# Of a plain file of JSON so much is read at a time: rows of 600 bytes are then as many as a batch may have.
_READ = 4 << 20
# A file may decompress to so many bytes whatever its size, and beyond that to so many times its size.
_FREE_BYTES = 256 << 20
_LARGEST_RATIO = 200


# Of a row that was rejected: why, and which values had no form of a fixture, so that they have to be corrected.
REJECTED, UNREAD = "$rejected", "$unread"


class Format(StrEnum):
    """How rows are written."""

    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    NDJSON = "ndjson"
    TSV = "tsv"
    YAML = "yaml"
    YML = "yml"

    @property
    def is_array(self) -> bool:
        """Whether a file that is cut off has no end, so that it is seen."""
        return self is Format.JSON

    @property
    def separator(self) -> str:
        """What stands between the fields of a table of text; nothing in other files."""
        return {Format.CSV: ",", Format.TSV: "\t"}.get(self, "")

    @property
    def is_json(self) -> bool:
        """Whether rows are objects of JSON."""
        return self in (Format.JSON, Format.JSONL, Format.NDJSON)

    @property
    def is_yaml(self) -> bool:
        """Whether it is YAML, under either name."""
        return self in (Format.YAML, Format.YML)


class Compression(StrEnum):
    """How a file is compressed."""

    NONE = "none"
    GZIP = "gz"
    ZSTD = "zst"
    ZIP = "zip"
    BZIP2 = "bz2"
    XZ = "xz"


_CODECS = {Compression.GZIP: "gzip", Compression.ZSTD: "zstd"}


class FileForm(Struct, frozen=True):
    """What a file's name says of it."""

    format: Format = Format.JSON
    compression: Compression = Compression.NONE

    @property
    def suffix(self) -> str:
        """The end of the name, with its point."""
        return f".{self.format}" + ("" if self.compression is Compression.NONE else f".{self.compression}")


# In the order in which `open_fixture` of Advanced Alchemy prefers them, as far as it knows them.
FORMS = tuple(FileForm(format_, compression) for format_ in Format for compression in Compression)


def file_name(table: str, form: FileForm) -> str:
    """The name of a table's file. What a file system might mind is percent-encoded, and so is a first point.

    A table named `manifest` does not get the manifest's name.
    """
    stem = _HARMLESS.sub(lambda found: quote(found[0], safe=""), table)
    if stem.startswith(".") or f"{stem}.json".lower() == MANIFEST:
        stem = f"%{ord(stem[0]):02X}{stem[1:]}"
    return stem + form.suffix


def table_of(name: str) -> tuple[str, FileForm] | None:
    """The table's name and the form of a file; None if it is no fixture."""
    lowered = name.lower()
    if lowered == MANIFEST:
        return None
    for form in FORMS:
        if lowered.endswith(form.suffix) and len(name) > len(form.suffix):
            return unquote(name[: -len(form.suffix)]), form
    return None


# -- writing -------------------------------------------------------------------------------------------------------


class Counted:
    """A file that counts what is written to it, and digests it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.bytes = 0
        self.closed = False

    @property
    def sha256(self) -> str:
        """The SHA-256 of what was written so far."""
        return self._digest.hexdigest()

    def write(self, content: bytes) -> int:
        """Write, count and digest."""
        self._file.write(content)
        self._digest.update(content)
        self.bytes += len(content)
        return len(content)

    def flush(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """The file itself is closed by whoever opened it."""


def write_chunks(file: Counted, chunks: Iterable[bytes], compression: Compression) -> None:
    """Write chunks to a file, compressed."""
    if compression is Compression.NONE:
        for chunk in chunks:
            file.write(chunk)
        return
    with pa.CompressedOutputStream(pa.PythonFile(file, "w"), _CODECS[compression]) as stream:
        for chunk in chunks:
            stream.write(chunk)


# -- reading -------------------------------------------------------------------------------------------------------


@contextmanager
def open_chunks(directory: Directory, name: str, form: FileForm, seen: Any = None) -> Iterator[Iterator[bytes]]:
    """The content of a file, decompressed, in chunks of at most four megabytes. `seen` digests it as it lies there.

    Raises:
        StoreError: it cannot be read.
        FixtureError: it is damaged, or decompresses to far more than any data would.
    """
    shown = f"{directory.name.rstrip('/')}/{name}"
    with directory.open(name) as file:
        watched = _Watched(file, seen)
        if form.compression is Compression.NONE:
            size = _READ if form.format.is_json else _COPIED
            yield iter(lambda: watched.read(size), b"")
        elif form.compression is Compression.ZIP:
            with tempfile.TemporaryFile() as copy:
                with told_if_full():
                    while chunk := watched.read(_COPIED):
                        copy.write(chunk)
                yield _limited(_zipped(copy, shown, form), watched, shown)
        elif form.compression in _UNPACKERS:
            yield _limited(_unpacked(watched, _UNPACKERS[form.compression]), watched, shown)
        else:
            stream = pa.CompressedInputStream(pa.PythonFile(watched, "r"), _CODECS[form.compression])
            yield _limited(iter(lambda: stream.read(_COPIED), b""), watched, shown)
        watched.read_rest()


class _Watched:
    """A file that counts and digests what is read from it."""

    def __init__(self, file: IO[bytes], digest: Any) -> None:
        self._file = file
        self._digest = digest
        self.bytes = 0
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self.bytes += len(content)
        if self._digest is not None:
            self._digest.update(content)
        return content

    def read_rest(self) -> None:
        while self.read(_COPIED):
            pass

    def close(self) -> None:
        """The file itself is closed by whoever opened it."""


def _limited(chunks: Iterator[bytes], file: _Watched, shown: str) -> Iterator[bytes]:
    total = 0
    try:
        for chunk in chunks:
            total += len(chunk)
            if total > max(_FREE_BYTES, _LARGEST_RATIO * file.bytes):
                raise FixtureError(
                    shown,
                    f"decompresses to more than {total >> 20} MB, over {_LARGEST_RATIO} times its size",
                    "If it is really that large, decompress it yourself, then run again.",
                )
            yield chunk
        if not file.bytes:
            raise EOFError("it is empty")  # noqa: TRY301 - told as any other damage
    except (
        OSError,
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        RuntimeError,
        ValueError,
        lzma.LZMAError,
    ) as error:
        raise FixtureError(shown, f"is damaged: it does not decompress ({error})", _RESTORE) from error


_RESTORE = "Restore the file, or dump it again; nothing was written."
# What `xz -9` needs is 65 MB; a file may ask for gigabytes.
_XZ_BYTES = 128 << 20
_UNPACKERS: dict[Compression, Callable[[], Any]] = {
    Compression.BZIP2: bz2.BZ2Decompressor,
    Compression.XZ: partial(lzma.LZMADecompressor, lzma.FORMAT_XZ, _XZ_BYTES),
}


def _unpacked(file: _Watched, make: Callable[[], Any]) -> Iterator[bytes]:
    """What all streams of a file hold; the zeros that may be between them are passed over."""
    unpacker, content = make(), b""
    while True:
        if unpacker.eof:
            content = unpacker.unused_data
            while not (content := content.lstrip(b"\0")):
                if not (content := file.read(_COPIED)):
                    return
            unpacker = make()
        elif unpacker.needs_input and not (content := file.read(_COPIED)):
            raise EOFError("it is cut off")
        if chunk := unpacker.decompress(content, _COPIED):
            yield chunk
        content = b""


def _zipped(file: IO[bytes], shown: str, form: FileForm) -> Iterator[bytes]:
    """The member of an archive that has the file's own name, or else the first of its format."""
    with zipfile.ZipFile(file) as archive:
        members = [name for name in archive.namelist() if name.lower().endswith(f".{form.format}")]
        wanted = shown.rpartition("/")[2][: -len(".zip")].lower()
        if not members:
            raise FixtureError(shown, f"holds no .{form.format} file", _RESTORE)
        chosen = next((name for name in members if name.lower() == wanted), members[0])
        if archive.getinfo(chosen).compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            # Python's module unpacks these without a bound: a few kilobytes may be gigabytes.
            raise FixtureError(
                shown, "is compressed by a method that is not supported", "Use the usual one, deflate, or .zst."
            )
        with archive.open(chosen) as member:
            while chunk := member.read(_COPIED):
                yield chunk
