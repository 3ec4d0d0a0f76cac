"""UUIDs, as their 16 bytes, and bytes of any length."""

from __future__ import annotations

import base64
import binascii
import uuid
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import types as sqltypes

from toolkit.core.adapters.built_in import BuiltIn, Parser
from toolkit.core.canonical_bytes import OID_BYTEA, OID_UUID, Part, fixed, variable
from toolkit.core.logical import Kind, LogicalType, is_of_alchemy

# Where the hyphens of a UUID stand, and where its digits.
_HYPHENS = (8, 13, 18, 23)
_DIGITS = [n for n in range(36) if n not in _HYPHENS]
_HYPHEN = ord("-")


class UuidAdapter(BuiltIn):
    """A UUID: hyphenated in fixtures, of whatever form in a database."""

    kind = Kind.UUID
    carrier = Kind.UUID
    storage = pa.binary(16)
    parser = Parser(lambda text: uuid.UUID(text).bytes, "a UUID", str)
    json_type = str
    plain = str
    in_arrays = True

    @classmethod
    def recognise(cls, declared: sqltypes.TypeEngine[Any]) -> LogicalType | None:
        """SQLAlchemy's types and Advanced Alchemy's."""
        is_uuid = isinstance(declared, sqltypes.Uuid) or is_of_alchemy(declared, "GUID")
        return LogicalType(cls.kind) if is_uuid else None

    def json_value(self, value: Any) -> Any:
        """Hyphenated."""
        return str(uuid.UUID(bytes=value))

    def format(self, values: pa.Array) -> pa.Array:
        """Hyphenated, all of them at once."""
        rows = len(values)
        if not rows:
            return pa.array([], pa.string())
        raw = values.buffers()[1][16 * values.offset : 16 * (values.offset + rows)]
        digits = np.frombuffer(binascii.hexlify(raw), np.uint8).reshape(rows, 32)
        cells = np.full((rows, 38), _HYPHEN, np.uint8)
        cells[:, 0] = cells[:, 37] = ord('"')
        cells[:, [n + 1 for n in _DIGITS]] = digits
        whole = pa.Array.from_buffers(pa.binary(38), rows, [None, pa.py_buffer(cells)])
        text = whole.cast(pa.binary()).cast(pa.string())
        return pc.if_else(values.is_valid(), text, pa.scalar(None, pa.string())) if values.null_count else text

    def parse_texts(self, texts: pa.Array) -> pa.Array:
        """Hyphenated ones, all of them at once."""
        if texts.null_count:
            given = self.parse_texts(texts.drop_null()) if texts.null_count < len(texts) else pa.array([], self.arrow)
            places = np.cumsum(texts.is_valid().to_numpy(zero_copy_only=False)) - 1
            return given.take(pa.array(places, mask=texts.is_null().to_numpy(zero_copy_only=False)))
        lengths = pc.min_max(pc.binary_length(texts)).as_py()
        if lengths != {"min": 36, "max": 36}:
            raise ValueError("some in another form")
        text = pa.concat_arrays([texts]) if texts.offset else texts
        begin = np.frombuffer(text.buffers()[1], np.int32, 1)[0]
        cells = np.frombuffer(text.buffers()[2], np.uint8, 36 * len(text), int(begin)).reshape(len(text), 36)
        if (cells[:, list(_HYPHENS)] != _HYPHEN).any():
            raise ValueError("some in another form")
        raw = binascii.unhexlify(cells[:, _DIGITS].tobytes())
        return pa.Array.from_buffers(pa.binary(16), len(text), [None, pa.py_buffer(raw)])

    def from_python(self, value: Any) -> Any:
        """A `UUID`, or any text of one."""
        return (value if isinstance(value, uuid.UUID) else uuid.UUID(str(value))).bytes

    def to_python(self, value: Any) -> Any:
        """A `UUID`."""
        return uuid.UUID(bytes=value)

    def canonical(self, values: pa.Array) -> list[Part]:
        """PostgreSQL's `uuid`."""
        raw = np.frombuffer(values.buffers()[1], np.uint8, count=16 * len(values), offset=16 * values.offset)
        return fixed(OID_UUID, raw.reshape(len(values), 16), values)


class BytesAdapter(BuiltIn):
    """Bytes of any length; base64 in fixtures."""

    kind = Kind.BYTES
    carrier = Kind.BYTES
    storage = pa.binary()
    parser = Parser(lambda text: base64.b64decode(text, validate=True), "base64 text", str)
    json_type = str

    @classmethod
    def recognise(cls, declared: sqltypes.TypeEngine[Any]) -> LogicalType | None:
        """Binary types of fixed length or not."""
        binary = sqltypes.LargeBinary | sqltypes.BINARY | sqltypes.VARBINARY
        return LogicalType(cls.kind) if isinstance(declared, binary) else None

    def json_value(self, value: Any) -> Any:
        """Base64."""
        return base64.b64encode(value).decode()

    def format(self, values: pa.Array) -> pa.Array:
        """Base64, which needs no escapes."""
        encode = base64.b64encode
        return pa.array([None if v is None else f'"{encode(v).decode()}"' for v in values.to_pylist()], pa.string())

    def canonical(self, values: pa.Array) -> list[Part]:
        """PostgreSQL's `bytea`."""
        return variable(OID_BYTEA, values)
