"""What a directory of fixtures holds, as its `manifest.json` says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

MANIFEST = "manifest.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class FixtureFile:
    """One table's file: its name, number of rows, size in bytes and SHA-256 as it lies there."""

    file: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class FixtureManifest:
    """The files of a dump and the schema revision that they were written at. No time, so that equal dumps are equal."""

    revision: str | None = None
    tables: Mapping[str, FixtureFile] = field(default_factory=dict)
    format: int = FORMAT

    def encode(self) -> bytes:
        """As the file, tables by name."""
        document = {
            "format": self.format,
            "revision": self.revision,
            "tables": {name: msgspec.to_builtins(self.tables[name]) for name in sorted(self.tables)},
        }
        return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def decode_manifest(content: bytes) -> FixtureManifest:
    """A manifest from its file.

    Raises:
        ValueError: it is none, or of a later format.
    """
    manifest = msgspec.json.decode(content, type=FixtureManifest)
    if manifest.format > FORMAT:
        raise ValueError(f"has format {manifest.format}; this version knows up to {FORMAT}")
    return manifest
