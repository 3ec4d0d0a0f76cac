"""How bytes and UUIDs stand in MariaDB: sent as they are, or by the digits of all values of a column at once."""

from __future__ import annotations

import binascii
import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.core.adapters.built_in import text_bytes
from toolkit.engines.mariadb.adapter import MariaDBAdapter, require
from toolkit.engines.mariadb.types import BYTES, SHAPES, TEXTS
from toolkit.engines.portable.adapters import MisfitError

# Arrow takes 36 µs to make one of these of a Python value.
_NO_TEXT = pa.scalar(None, pa.string())
_HEX, _HYPHENATED, _UUID_BYTES = 32, 36, 16
# Where a UUID's version and variant stand. Of some, the server says "Incorrect uuid value", and not which.
_VERSION, _VARIANT, _HIGH = 6, 8, 0x80
_UNORDERED = "of a version from 8 on with a variant below 8"
_OTHER_TYPE = "Or let the column there be CHAR(36) or BINARY(16), in a table that is made before."


class Bytes(MariaDBAdapter):
    """Bytes; shapes as the server keeps them: the number of their coordinates' system, and WKB."""

    names = BYTES | SHAPES

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        return fetched[0].cast(self.type.arrow)

    def decode(self, values: Sequence[Any]) -> pa.Array:
        if any(isinstance(value, str) for value in values):
            raise ValueError("text")
        return pa.array(values, self.type.arrow)

    def sent(self, values: pa.Array) -> pa.Array:
        self.bound(values) if self.actual.name == "binary" else None
        return values.cast(pa.large_binary())

    def received(self, variable: str) -> str | None:
        return f"UNHEX({variable})"

    def bound(self, values: pa.Array) -> list[Any]:
        listed: list[Any] = values.to_pylist()
        actual = self.actual
        if actual.size is not None and actual.name == "binary":
            require(listed, lambda raw: len(raw) == actual.size, f"has not the {actual.size} bytes of its column")
        return listed


class Uuid(MariaDBAdapter):
    """Sixteen bytes, 32 digits, or these with hyphens, by the column's own type."""

    names = TEXTS | BYTES | {"uuid"}

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        if self.actual.name in BYTES:
            return fetched[0].cast(self.type.arrow)
        return super().incoming(*fetched)

    def decode(self, values: Sequence[Any]) -> pa.Array:
        return pa.array([None if value is None else _uuid_bytes(value) for value in values], self.type.arrow)

    def sent(self, values: pa.Array) -> pa.Array:
        if self.actual.name in BYTES:
            return values.cast(pa.binary()).cast(pa.large_binary())
        return digits_of(values) if self.actual == ("char", _HEX, None, False) else super().sent(values)

    def received(self, variable: str) -> str | None:
        return f"UNHEX({variable})" if self.actual.name in BYTES else None

    def bound(self, values: pa.Array) -> list[Any]:
        actual = self.actual
        listed: list[Any] = values.to_pylist()
        if actual.name in BYTES:
            return listed
        uuids = (None if raw is None else uuid.UUID(bytes=raw) for raw in listed)
        if actual.name == "uuid":
            _require_ordered(listed)
        return [None if each is None else str(each) if self._has_hyphens else each.hex for each in uuids]

    @property
    def pattern(self) -> str | None:
        """How texts stand that are written here; None where the type itself has one form of each UUID."""
        if self.actual.name not in TEXTS:
            return None
        hyphen = "-" if self._has_hyphens else ""
        return f"^[0-9a-f]{{8}}({hyphen}[0-9a-f]{{4}}){{3}}{hyphen}[0-9a-f]{{12}}$"

    @property
    def _has_hyphens(self) -> bool:
        actual = self.actual
        return actual.name == "uuid" or (actual.size or 0) >= _HYPHENATED or "text" in actual.name


def _require_ordered(values: Sequence[bytes | None]) -> None:
    """Check that MariaDB's own type has these values: it stores their parts in another order, and tells by two bits.

    Raises:
        MisfitError: the first that it does not have.
    """
    for row, raw in enumerate(values):
        if raw is not None and raw[_VERSION] >= _HIGH > raw[_VARIANT]:
            raise MisfitError(row, f"holds {uuid.UUID(bytes=raw)}, {_UNORDERED}", _UNORDERED, _OTHER_TYPE)


def digits_of(values: pa.Array) -> pa.Array:
    """The digits of all values of bytes at once."""
    filled = values.cast(pa.binary())
    filled = filled.fill_null(b"") if values.null_count else filled
    bounds = np.frombuffer(filled.buffers()[1], np.int32, len(values) + 1, filled.offset * 4)
    digits = binascii.hexlify(text_bytes(filled).tobytes())
    doubled = (bounds - bounds[0]) * 2
    found = pa.Array.from_buffers(pa.string(), len(values), [None, pa.py_buffer(doubled), pa.py_buffer(digits)])
    return pc.if_else(values.is_valid(), found, _NO_TEXT) if values.null_count else found


def _uuid_bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        if len(value) != _UUID_BYTES:
            raise ValueError("not 16 bytes")
        return value
    if len(value) not in (_HEX, _HYPHENATED):
        raise ValueError("neither 32 digits nor 36 characters")
    return uuid.UUID(value).bytes
