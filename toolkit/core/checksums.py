"""Checksums that rows keep of their files: Advanced Alchemy leaves it to the application what they are."""

from __future__ import annotations

import base64
import binascii
import re

from msgspec import Struct

_PREFIXED = re.compile(r"(md5|sha1|sha256|sha512)[:-](.+)", re.IGNORECASE | re.DOTALL)
_BY_BYTES = {16: "md5", 20: "sha1", 32: "sha256", 64: "sha512"}


class Checksum(Struct, frozen=True):
    """A digest in hexadecimal, and hashlib's name of how it is made."""

    algorithm: str
    hexadecimal: str


def parse_checksum(text: str) -> Checksum | None:
    """What a checksum says, in hexadecimal or base64, `sha256:` (or the like) before it or not; None: nobody knows."""
    prefixed = _PREFIXED.fullmatch(text.strip())
    digest = _digest(prefixed[2] if prefixed else text.strip())
    algorithm = None if digest is None else _BY_BYTES.get(len(digest))
    if digest is None or algorithm is None or (prefixed and prefixed[1].lower() != algorithm):
        return None
    return Checksum(algorithm, digest.hex())


def _digest(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text)
    except ValueError:
        pass
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
