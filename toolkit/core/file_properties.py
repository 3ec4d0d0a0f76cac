"""What a store keeps of a file beside its content: headers and metadata of an object, permissions of a local file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

import msgspec

CONTENT_TYPE = "Content-Type"
ORIGIN = "archived_from"
"""The key in a moved reference's metadata under which its old place stands: ours, none of the application's."""
HEADERS = frozenset({CONTENT_TYPE, "Content-Disposition", "Content-Encoding", "Content-Language", "Cache-Control"})
"""Attributes that go by their own names; all others are the user's metadata."""
STORAGE_CLASS = "Storage-Class"
"""This one goes nowhere: other stores have others."""
# What no HTTP client sends ends the whole process in obstore 0.9 (a panic), and Azure answers 400 to other names.
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]*")
_VALUE = re.compile(r"[\x20-\x7e]*")
_METADATA_BYTES = 2048
"""As much as S3 takes of a user's metadata, names and values together."""


class Properties(msgspec.Struct, frozen=True, omit_defaults=True):
    """`attributes` are an object's headers and metadata, `mode` a local file's permissions; None: nothing is known.

    Never more than permissions: a manifest that somebody else wrote makes no file run as its owner.
    """

    attributes: dict[str, str] | None = None
    mode: Annotated[int, msgspec.Meta(ge=0, le=0o777)] | None = None

    @property
    def text(self) -> str:
        """As JSON."""
        return msgspec.json.encode(self).decode()

    def completed(self, row: Properties) -> Properties:
        """What is to be written with a file: what its store kept; by its row where the store has no attributes."""
        return self if self.attributes is not None else Properties(row.attributes, self.mode)

    def is_shown_by(self, there: Properties) -> bool:
        """Whether a file that is there has all of this, as far as its store has a place for it."""
        if there.attributes is None:
            return there.mode is None or self.mode in (None, there.mode)
        found = _by_name(there.attributes)
        wanted = _by_name(acceptable(self.attributes or {}, identifiers=False))
        return all(found.get(name) == value for name, value in wanted.items())


# Made here, once: msgspec crashes when several threads at once are the first to decode a type.
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT = msgspec.json.Decoder(str)
_PROPERTIES = msgspec.json.Decoder(Properties)


def decode_properties(text: str) -> Properties:
    """Properties from their JSON."""
    return _PROPERTIES.decode(text)


def properties_of_row(content_type: str | None, metadata: bytes) -> Properties:
    """What Advanced Alchemy writes with an object of such a reference; nothing of metadata that is none."""
    attributes = {} if content_type is None else {CONTENT_TYPE: content_type}
    try:
        for name, raw in _FIELDS.decode(metadata).items():
            if name != ORIGIN:
                value = bytes(raw).decode()
                attributes[name] = _TEXT.decode(value) if value.startswith('"') else value
    except ValueError:
        pass
    return Properties(attributes)


def beyond_row(kept: Properties | None, row: Properties) -> dict[str, str] | None:
    """The attributes that a store kept with a file, if they are not what its row says."""
    if kept is None or kept.attributes is None or _by_name(kept.attributes) == _by_name(row.attributes or {}):
        return None
    return dict(sorted(kept.attributes.items()))


def _by_name(attributes: Mapping[str, str]) -> dict[str, str]:
    """Stores do not tell the case of names apart, or change it."""
    return {name.lower(): value for name, value in attributes.items()}


def acceptable(attributes: Mapping[str, str], *, identifiers: bool) -> dict[str, str]:
    """The attributes that a store takes; `identifiers`: where metadata has to have names like a variable's (Azure)."""
    known = {name: value for name, value in sorted(attributes.items()) if _VALUE.fullmatch(value)}
    taken, room = {name: value for name, value in known.items() if name in HEADERS}, _METADATA_BYTES
    for said, value in known.items():
        name = said.lower() if identifiers else said
        is_name = (_IDENTIFIER if identifiers else _NAME).fullmatch(name)
        if said not in HEADERS and said != STORAGE_CLASS and is_name and len(name) + len(value) <= room:
            taken[name] = value
            room -= len(name) + len(value)
    return taken
