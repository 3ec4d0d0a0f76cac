"""Whether what a fixture gives is what a column's own type stores, or what an application reads from there.

`alchemy dump-data` writes the latter: decrypted text, or Python's name for an object. Nobody could decrypt it again.
"""

from __future__ import annotations

import base64
import re
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import types as sqltypes
from sqlalchemy.dialects.postgresql.base import PGDialect

from toolkit.core.types import TEXT_KINDS, Kind, is_unknown_decorator, logical_type

# Version 0x80 and a time whose first bytes are 0; together with the signature at least 73 bytes, as base64.
_FERNET = r"^gAAAA[-\w]{93,}={0,2}$"
# `armor(pgp_sym_encrypt(…))`.
_ARMOUR = r"^-----BEGIN PGP MESSAGE-----\s"
_OBJECT = r"^<[\w.]+ object at 0x[0-9a-f]+>$"
_TEXTS = TEXT_KINDS - {Kind.ENUM}
_DIALECT = PGDialect()  # type: ignore[no-untyped-call]


def unstored(type_: sqltypes.TypeEngine[Any], values: pa.Array) -> pa.Array | None:
    """Which of a column's values its type does certainly not store; None if all of them may be what it stores.

    Values of a cipher that is not known are told by the type itself: it does not decrypt them, but what it makes of
    them. Where its key is not at hand, they are taken for what is stored.
    """
    if not isinstance(type_, sqltypes.TypeDecorator):
        return None
    kind = logical_type(type_).kind
    if kind not in _TEXTS and not (kind is Kind.BYTES and is_unknown_decorator(type_)):
        return None
    shape = _shape(type_)
    if shape is not None:
        return pc.invert(pc.match_substring_regex(values, shape))
    found = pa.array([False] * len(values))
    if kind in _TEXTS:
        found = pc.match_substring_regex(values, _OBJECT)
    if kind is Kind.CIPHERTEXT or is_unknown_decorator(type_):
        wanting = [value for value in pc.unique(values).to_pylist() if value is not None and _is_read(type_, value)]
        found = pc.or_kleene(found, pc.is_in(values, pa.array(wanting, values.type)))
    return found


def _shape(type_: sqltypes.TypeDecorator[Any]) -> str | None:
    """What everything looks like that a type encrypts; None if that is not known."""
    from advanced_alchemy.types.encrypted_string import EncryptedString, FernetBackend, PGCryptoBackend

    if not isinstance(type_, EncryptedString) or _overrides(type_, EncryptedString, "process_bind_param"):
        return None
    if isinstance(type_.backend, FernetBackend):
        # It inherits the expression that encrypts nothing in the database.
        own = any(_overrides(type_.backend, FernetBackend, name) for name in ("encrypt", "bind_expression"))
        return None if own else _FERNET
    if isinstance(type_.backend, PGCryptoBackend):
        return None if _overrides(type_.backend, PGCryptoBackend, "bind_expression") else _ARMOUR
    return None


def _overrides(instance: object, base: type, name: str) -> bool:
    return getattr(type(instance), name) is not getattr(base, name)


def _is_read(type_: sqltypes.TypeDecorator[Any], value: Any) -> bool:
    """Whether a value is what an application reads: its type would store it otherwise, and cannot read it as it is."""
    from advanced_alchemy.types.encrypted_string import DEFAULT_ENCRYPTION_KEY

    if getattr(type_, "key", None) is DEFAULT_ENCRYPTION_KEY or _is_known_ciphertext(value):
        return False
    own = type_.dialect_impl(_DIALECT)
    read, write = own.result_processor(_DIALECT, None), own.bind_processor(_DIALECT)
    if read is None or write is None:
        return False
    try:
        read(value)
    except Exception:  # noqa: BLE001 - whatever an application's own type raises
        given = base64.b64encode(value).decode() if isinstance(value, bytes) else value
        try:
            return bool(read(write(given)) == given)
        except Exception:  # noqa: BLE001 - its key, for one, is not here
            return False
    return False


def _is_known_ciphertext(value: Any) -> bool:
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return any(re.search(shape, text) for shape in (_FERNET, _ARMOUR))
