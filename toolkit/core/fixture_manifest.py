"""What a directory of fixtures holds, as its `manifest.json` says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import field

from toolkit.core.file_properties import Properties

MANIFEST = "manifest.json"
FORMAT = 1
ATTACHMENTS = "attachments/"
"""The folder of the files that rows point at, each under its SHA-256."""

# Checked when a manifest is read: they become names of files.
_Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class FixtureFile(msgspec.Struct, frozen=True):
    """One table's file: its name, number of rows, size in bytes and SHA-256 as it lies there.

    `kinds` are those of columns of which JSON does not tell whether they hold text, bytes, documents, times and so on,
    and of those that held something else than they are declared for. `forms` are those in which an engine that has
    several for one value had all values of a column (UUIDs with hyphens or without). Only a dump without models speaks
    of either: models say themselves what a column holds, and how. `numbers` are those that columns give out next, where
    that is more than one behind the greatest of the rows: all before were given out, and are not to be given out again.
    """

    file: str
    rows: _Count
    bytes: _Count
    sha256: str
    kinds: dict[str, str] | None = None
    forms: dict[str, str] | None = None
    numbers: dict[str, int] | None = None


class FixtureAttachment(msgspec.Struct, frozen=True):
    """The content of a file that rows point at: its SHA-256, under which it lies in `ATTACHMENTS`, and its size.

    `attributes` are what its store kept with it, where they are not what its row says.
    """

    sha256: _Sha256
    bytes: _Count
    attributes: dict[str, str] | None = None

    @property
    def properties(self) -> Properties:
        """What is to be written with it; its permissions are those of whoever writes."""
        return Properties(self.attributes)

    @property
    def name(self) -> str:
        """Where it lies in the directory."""
        return ATTACHMENTS + self.sha256


Attachments = Mapping[str, Mapping[str, FixtureAttachment]]
"""By backend and path, as rows have them."""


class FixtureManifest(msgspec.Struct, frozen=True):
    """The files of a dump and the schema revision that they were written at. No time, so that equal dumps are equal."""

    revision: str | None = None
    tables: Mapping[str, FixtureFile] = field(default_factory=dict)
    format: int = FORMAT
    attachments: Attachments = field(default_factory=dict)

    @property
    def objects(self) -> frozenset[str]:
        """The SHA-256 of every attachment."""
        return frozenset(each.sha256 for paths in self.attachments.values() for each in paths.values())

    def encode(self) -> bytes:
        """As the file, tables and attachments by name; without attachments, it does not speak of them."""
        document: dict[str, object] = {
            "format": self.format,
            "revision": self.revision,
            "tables": {name: _told(self.tables[name]) for name in sorted(self.tables)},
        }
        attachments = {
            backend: {path: _told(paths[path]) for path in sorted(paths)}
            for backend, paths in sorted(self.attachments.items())
            if paths
        }
        if attachments:
            document["attachments"] = attachments
        return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _told(file: FixtureFile | FixtureAttachment) -> dict[str, object]:
    return {name: value for name, value in msgspec.to_builtins(file).items() if value is not None}


def decode_manifest(content: bytes) -> FixtureManifest:
    """A manifest from its file.

    Raises:
        ValueError: it is none, of a later format, or names files elsewhere.
    """
    try:
        manifest = msgspec.json.decode(content, type=FixtureManifest)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    if manifest.format > FORMAT:
        raise ValueError(f"has format {manifest.format}; this version knows up to {FORMAT}")
    for file in manifest.tables.values():
        if not file.file or "/" in file.file or "\\" in file.file or file.file in (".", ".."):
            raise ValueError(f"names {file.file!r}, which is no file of the directory")
    return manifest
