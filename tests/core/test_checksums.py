"""What the checksum of a row says, in whichever way its application writes it."""

from __future__ import annotations

import base64
import hashlib

import pytest

from toolkit.core.checksums import Checksum, parse_checksum

MD5 = hashlib.md5(b"A")
SHA = hashlib.sha256(b"A")


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        (MD5.hexdigest(), MD5),
        (MD5.hexdigest().upper(), MD5),
        (base64.b64encode(MD5.digest()).decode(), MD5),
        (f"md5:{MD5.hexdigest()}", MD5),
        (SHA.hexdigest(), SHA),
        (f"sha256-{base64.b64encode(SHA.digest()).decode()}", SHA),
        (f" SHA256:{SHA.hexdigest()} ", SHA),
    ],
)
def test_a_checksum_is_read_however_it_is_written(text: str, digest: hashlib._Hash) -> None:
    assert parse_checksum(text) == Checksum(digest.name, digest.hexdigest())


@pytest.mark.parametrize("text", ["", "none", "crc32c:AAAAAA==", f"md5:{SHA.hexdigest()}", "ff", "ü" * 32])
def test_what_is_no_checksum_known_here_is_none(text: str) -> None:
    assert parse_checksum(text) is None
