"""Texts, and what travels as text: the stored names of enums, ciphertext."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import types as sqltypes

from toolkit.core.adapters.built_in import BuiltIn, Parser, quoted, same, text_bytes
from toolkit.core.canonical_bytes import OID_TEXT, Part, variable
from toolkit.core.logical import Kind, LogicalType, is_of_alchemy

_BLANK, _QUOTE, _BACKSLASH = b' "\\'
# What JSON wants escaped in a string.
_SPECIAL = r'["\\\x00-\x1f]'


class TextAdapter(BuiltIn):
    """Characters, of whatever collation."""

    kind: ClassVar[str] = Kind.TEXT
    carrier = Kind.TEXT
    storage = pa.string()
    parser = Parser(same, "a string", str)
    json_type: ClassVar[Any] = str
    plain: ClassVar[type | None] = str
    in_arrays = True

    @classmethod
    def recognise(cls, declared: sqltypes.TypeEngine[Any]) -> LogicalType | None:
        """Strings of any length, and hashes of passwords."""
        is_text = isinstance(declared, sqltypes.String) or is_of_alchemy(declared, "PasswordHash")
        return LogicalType(cls.kind) if is_text else None

    def format(self, values: pa.Array) -> pa.Array:
        """A string each; only those with special characters are made by Python."""
        content = text_bytes(values)
        if not ((content < _BLANK) | (content == _QUOTE) | (content == _BACKSLASH)).any():
            return quoted(values)
        special = pc.match_substring_regex(values, _SPECIAL)
        made = [msgspec.json.encode(text).decode() for text in values.filter(special).to_pylist()]
        return pc.replace_with_mask(quoted(values), pc.fill_null(special, False), pa.array(made, pa.string()))

    def canonical(self, values: pa.Array) -> list[Part]:
        """PostgreSQL's `text`."""
        return variable(OID_TEXT, values)


class EnumAdapter(TextAdapter):
    """An enum's stored name."""

    kind = Kind.ENUM
    json_type = str | bool | int | float

    @classmethod
    def recognise(cls, declared: sqltypes.TypeEngine[Any]) -> LogicalType | None:
        """Enums, native or not."""
        return LogicalType(cls.kind) if isinstance(declared, sqltypes.Enum) else None


class CiphertextAdapter(TextAdapter):
    """What Advanced Alchemy encrypted: never decrypted on the way."""

    kind = Kind.CIPHERTEXT

    @classmethod
    def recognise(cls, declared: sqltypes.TypeEngine[Any]) -> LogicalType | None:
        """Advanced Alchemy's encrypted types."""
        return LogicalType(cls.kind) if is_of_alchemy(declared, "EncryptedString", "EncryptedText") else None
