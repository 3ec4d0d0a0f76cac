"""What an application reads from an encrypted column is told from what is stored there."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from advanced_alchemy.types import EncryptedString, EncryptedText, PasswordHash
from advanced_alchemy.types.encrypted_string import EncryptionBackend, FernetBackend, PGCryptoBackend
from advanced_alchemy.types.password_hash.base import HashedPassword, HashingBackend
from cryptography.fernet import Fernet

from toolkit.core.stored_texts import unstored

TOKENS = [Fernet(Fernet.generate_key()).encrypt(b"x" * length).decode() for length in (0, 15, 16, 300)]
ARMOURED = "-----BEGIN PGP MESSAGE-----\n\nww0EBwMC\n=njUN\n-----END PGP MESSAGE-----\n"


class Sealed(EncryptionBackend):
    """Tells by a checksum whether it sealed a text itself."""

    def init_engine(self, key: bytes | str) -> None:
        self.seal = zlib.crc32(key.encode() if isinstance(key, str) else key)

    def encrypt(self, value: Any) -> str:
        text = str(value).encode()
        return base64.b64encode(zlib.crc32(text, self.seal).to_bytes(4) + text).decode()

    def decrypt(self, value: Any) -> str:
        raw = base64.b64decode(value, validate=True)
        if zlib.crc32(raw[4:], self.seal) != int.from_bytes(raw[:4]):
            raise ValueError("not sealed with this key")
        return raw[4:].decode()


class Marked(FernetBackend):
    def encrypt(self, value: Any) -> str:
        return f"v1:{super().encrypt(value)}"

    def decrypt(self, value: Any) -> str:
        return super().decrypt(value.removeprefix("v1:"))


class MarkedText(EncryptedText):
    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        return None if value is None else f"v2:{super().process_bind_param(value, dialect)}"

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> str | None:
        return None if value is None else super().process_result_value(value.removeprefix("v2:"), dialect)


class Own(sa.types.TypeDecorator[str]):
    """An application's own type, which knows nothing of Advanced Alchemy."""

    impl = sa.Text
    cache_ok = True
    cipher = Fernet(Fernet.generate_key())

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else self.cipher.encrypt(value.encode()).decode()

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else self.cipher.decrypt(value.encode()).decode()


class OwnBytes(sa.types.TypeDecorator[str]):
    impl = sa.LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> bytes | None:
        return None if value is None else zlib.compress(value.encode())

    def process_result_value(self, value: bytes | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else zlib.decompress(value).decode()


class Document(sa.types.TypeDecorator[Any]):
    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:
        return None if value is None else json.loads(value)


class Lower(sa.types.TypeDecorator[str]):
    """Reads whatever there is."""

    impl = sa.String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else value.lower()


class Hashing(HashingBackend):
    def hash(self, value: Any) -> str:
        return str(hash(value))

    def verify(self, plain: Any, hashed: Any) -> bool:
        return False

    def needs_rehash(self, hashed: Any) -> bool:
        return False

    def compare_expression(self, column: Any, plain: Any) -> Any:
        return column == plain


def _no_key() -> str:
    raise KeyError("SECRET")


def sealed(key: Any, text: str) -> str:
    backend = Sealed()
    backend.mount_vault(key)
    return backend.encrypt(text)


def written(type_: EncryptedString) -> Any:
    """What an application writes there."""
    return type_.process_bind_param("secret", sa.create_engine("sqlite://").dialect)


KEY = "k" * 32
COMPRESSED = zlib.compress(b"secret")
READ = ["secret", "", "gAAAA", "U2VjcmV0", "secret@example.com"]


@pytest.mark.parametrize(
    ("type_", "stored", "read"),
    [
        # Tokens of any key: the one that the model has need not be the one of the file.
        (EncryptedString(key=KEY), TOKENS, [*READ, ARMOURED]),
        (EncryptedText(key=_no_key), TOKENS, READ),
        (EncryptedText(key=KEY, backend=PGCryptoBackend), [ARMOURED], [*READ, TOKENS[0]]),
        (EncryptedText(key=KEY, backend=Sealed), [sealed(KEY, each) for each in READ], [*READ, sealed("other", "x")]),
        (EncryptedText(key=KEY, backend=Marked), [*TOKENS, written(EncryptedText(key=KEY, backend=Marked))], READ),
        (MarkedText(key=KEY), [*TOKENS, written(MarkedText(key=KEY))], READ),
        # Without its key, nothing can be told of a cipher that is not known.
        (EncryptedText(key=_no_key, backend=Sealed), [*READ, sealed("other", "x")], []),
        (Own(), [*TOKENS, Own.cipher.encrypt(b"x").decode()], READ),
        (OwnBytes(), [COMPRESSED], [b"secret", b"", b"\xff\x00"]),
        (Document(), ['"secret"', "[1]"], ["secret", ""]),
        (Lower(), READ, []),
        (sa.String(), READ, []),
        (PasswordHash(Hashing()), ["$argon2id$v=19$m=1$abc", "<b>"], [f"{HashedPassword('a', Hashing())!r}"]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, sa.types.TypeEngine) else "",
)
def test_what_is_read_is_told_from_what_is_stored(type_: Any, stored: list[Any], read: list[Any]) -> None:
    values = [*stored, None, *read]
    found = unstored(type_, pa.array(values, pa.binary() if isinstance(type_, OwnBytes) else pa.string()))
    told = [] if found is None else [value for value, wrong in zip(values, found.to_pylist(), strict=True) if wrong]
    assert told == read
