"""How objects are encrypted on their way into a store: keys, names, and content in chunks.

`cryptography`, not `pyrage` (age): a name has to be found again from a content's hash, which takes a secret that both
sides share, and so does the proof that an object is the one of its name; age's files for recipients know neither. Its
construction is the same (STREAM: AEAD in chunks of 64 KiB), and `cryptography` is what Advanced Alchemy's encrypted
columns use already; it does 3 GB/s.

    "toolkit" 1, key's id (8 bytes), salt (32)      48 bytes, authenticated with each chunk
    chunks: up to 64 KiB as AES-256-GCM, each with a tag of 16 bytes; there is at least one
    SHA-256 of all before                           32 bytes: whoever has no key can compare it

Each object has a key of its own, derived by HKDF from the secret, the salt and the object's name: what lies under
another name is no object. A chunk's nonce is its number and whether it is the last one, so that none can be left out,
moved or cut off. Names are AES-SIV: the same for the same name, and readable with the key alone. Not hidden are the
sizes, the times and the number of objects; that one is missing is told by the manifests, that a manifest is by nobody.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import ConfigurationError, DamagedObjectError, MissingDriverError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

    from toolkit.config import Store

_SECRET_BYTES = 32
_MAGIC = b"toolkit\x01"
_SALT = 32
_HEADER = len(_MAGIC) + 8 + _SALT
_CHUNK = 64 << 10
_TAG = 16
_SEALED_CHUNK = _CHUNK + _TAG
_DIGEST = 32
_NAME = re.compile(r"(?P<folder>[a-z]+)/(?P<shard>[0-9a-f]{2})/(?P<name>(?P=shard)[0-9a-f]{32,})")
_ADVICE = (
    "A key is 32 random bytes as 64 hexadecimal digits (openssl rand -hex 32) or base64, one a line, the newest first."
)


@dataclass(frozen=True)
class Key:
    """One secret of 32 bytes; only its id is ever shown."""

    secret: bytes = field(repr=False)

    @cached_property
    def id(self) -> str:
        """What the key is called: 16 hexadecimal digits that tell nothing of it."""
        return _derived(self.secret, b"", b"id", 8).hex()

    def name_of(self, key: str) -> str:
        """Where an object of this key lies: the folder is as it was, the rest of its name is hidden."""
        folder, _, rest = key.partition("/")
        hidden = self._names.encrypt(rest.encode(), [folder.encode()]).hex()
        return f"{folder}/{hidden[:2]}/{hidden}"

    def key_of(self, name: str) -> str | None:
        """The key of an object that lies there; None if its name is none of this key."""
        from cryptography.exceptions import InvalidTag

        found = _NAME.fullmatch(name)
        if found is None:
            return None
        try:
            rest = self._names.decrypt(bytes.fromhex(found["name"]), [found["folder"].encode()])
        except (InvalidTag, ValueError):
            return None
        return f"{found['folder']}/{rest.decode()}"

    @cached_property
    def _names(self) -> AESSIV:
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV

        return AESSIV(_derived(self.secret, b"", b"names", 64))


def is_sealed_name(name: str) -> bool:
    """Whether an object's name could be one that a key gave."""
    return _NAME.fullmatch(name) is not None


# -- keys ----------------------------------------------------------------------------------------------------------


def keys_of(store: Store) -> tuple[Key, ...]:
    """The keys that a store was given, the one for new objects first; none if it is not to be encrypted.

    Raises:
        ConfigurationError: they cannot be read, or are none.
        MissingDriverError: the library is not installed.
    """
    if not store.is_encrypted:
        return ()
    text, source = _text_of(store)
    words = [word for line in text.splitlines() for word in re.split(r"[\s,]+", line.partition("#")[0]) if word]
    secrets = [_secret_of(word) for word in words]
    if not secrets or None in secrets:
        problem = " holds no key" if not secrets else f": no. {secrets.index(None) + 1} of its keys is not valid"
        raise ConfigurationError(f"Store {store.name!r}: {source}{problem}.", _ADVICE)
    try:
        import cryptography  # noqa: F401 - is it there?
    except ImportError as error:
        raise MissingDriverError("An encrypted archive", "cryptography", "encryption") from error
    return tuple(dict.fromkeys(Key(secret) for secret in secrets if secret is not None))


def _text_of(store: Store) -> tuple[str, str]:
    given = store.options.get("encryption_key")
    if given is not None:
        return str(given), "the encryption key of the environment"
    path = store.root / Path(str(store.options["encryption_key_file"])).expanduser()
    try:
        return path.read_text(encoding="ascii"), str(path)
    except (OSError, UnicodeDecodeError) as error:
        problem = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigurationError(
            f"Store {store.name!r}: its encryption_key_file {path} cannot be read: {problem}.", _ADVICE
        ) from None


def _secret_of(word: str) -> bytes | None:
    try:
        secret = bytes.fromhex(word) if len(word) == 2 * _SECRET_BYTES else base64.b64decode(word, validate=True)
    except (ValueError, binascii.Error):
        return None
    return secret if len(secret) == _SECRET_BYTES else None


def _derived(secret: bytes, salt: bytes, purpose: bytes, size: int) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), size, salt, b"toolkit archive: " + purpose).derive(secret)


# -- content -------------------------------------------------------------------------------------------------------


def sealed_size(plain: int) -> int:
    """How many bytes an object of so many plain bytes takes."""
    return _HEADER + plain + _TAG * max(1, -(-plain // _CHUNK)) + _DIGEST


def plain_size(sealed: int) -> int:
    """How many plain bytes an object of this size has; -1 if none has this size."""
    body = sealed - _HEADER - _DIGEST
    plain = body - _TAG * -(-body // _SEALED_CHUNK)
    return plain if plain >= 0 and sealed_size(plain) == sealed else -1


def seal(chunks: Iterable[bytes], key: Key, name: str) -> Iterator[bytes]:
    """Content as it is stored under a name, in chunks of about the size of those that come."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    header = _MAGIC + bytes.fromhex(key.id) + os.urandom(_SALT)
    cipher = AESGCM(_own_key(key, header, name))
    digest = hashlib.sha256(header)
    yield header
    waiting, number = bytearray(), 0
    for chunk in chunks:
        waiting += chunk
        # The last chunk is another: what is full waits until more comes.
        count = max(0, len(waiting) - 1) // _CHUNK
        with memoryview(waiting) as view:
            sealed = b"".join(
                cipher.encrypt(_nonce(number + each, last=False), view[each * _CHUNK : (each + 1) * _CHUNK], header)
                for each in range(count)
            )
        del waiting[: count * _CHUNK]
        number += count
        digest.update(sealed)
        if sealed:
            yield sealed
    sealed = cipher.encrypt(_nonce(number, last=True), bytes(waiting), header)
    digest.update(sealed)
    yield sealed + digest.digest()


def unseal(chunks: Iterable[bytes], key: Key, name: str, store: str) -> Iterator[bytes]:
    """The plain content of what is stored under a name; each chunk that is given out is one that was sealed there.

    Raises:
        DamagedObjectError: it is changed, cut off, or of another name or key.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    parts = _parted(chunks)
    header, _ = next(parts, (b"", True))
    if len(header) < _HEADER or not header.startswith(_MAGIC):
        raise DamagedObjectError(store, name, "it is not encrypted, or cut off")
    if key_id_of(header) != key.id:
        raise DamagedObjectError(store, name, f"it is encrypted with another key ({key_id_of(header)}) than its name")
    cipher = AESGCM(_own_key(key, header, name))
    digest, ended = hashlib.sha256(header), False
    for number, (piece, is_last) in enumerate(parts):
        content, said = (piece[:-_DIGEST], piece[-_DIGEST:]) if is_last else (piece, b"")
        digest.update(content)
        try:
            plain = cipher.decrypt(_nonce(number, is_last), content, header)
        except (InvalidTag, ValueError):
            raise DamagedObjectError(
                store, name, "its encrypted content is changed, cut off, or another object's"
            ) from None
        if is_last and not hmac.compare_digest(said, digest.digest()):
            raise DamagedObjectError(store, name, "its checksum is another")
        ended = is_last
        if plain:
            yield plain
    if not ended:
        raise DamagedObjectError(store, name, "its encrypted content is cut off")


def key_id_of(header: bytes) -> str:
    """The id of the key that an object begins with says."""
    return header[len(_MAGIC) : len(_MAGIC) + 8].hex()


def checked_without_key(chunks: Iterable[bytes]) -> tuple[str | None, str | None]:
    """What can be told of an object without its key: the key's id, and what is wrong with it."""
    digest, held = hashlib.sha256(), b""
    beginning = b""
    for chunk in chunks:
        if len(beginning) < _HEADER:
            beginning += chunk[: _HEADER - len(beginning)]
        held += chunk
        digest.update(held[:-_DIGEST])
        held = held[-_DIGEST:]
    if len(beginning) < _HEADER or not beginning.startswith(_MAGIC):
        return None, "it is not encrypted, or cut off"
    if digest.digest() != held:
        return key_id_of(beginning), "it does not have the checksum that it says"
    return key_id_of(beginning), None


def _parted(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """The header, then the sealed chunks; the last one with the digest behind it."""
    held, size = bytearray(), _HEADER
    for chunk in chunks:
        held += chunk
        done = 0
        # More than a chunk and a digest: then it is not the last one.
        while len(held) - done > size + (0 if size == _HEADER else _DIGEST):
            with memoryview(held) as view:
                piece = bytes(view[done : done + size])
            yield piece, False
            done, size = done + size, _SEALED_CHUNK
        del held[:done]
    if size == _SEALED_CHUNK:
        yield bytes(held), True


def _own_key(key: Key, header: bytes, name: str) -> bytes:
    return _derived(key.secret, header[-_SALT:], b"object " + name.encode(), 32)


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])
