"""How a column of rows looks in a fixture: Arrow arrays to JSON text and back, a batch at a time.

The rules are those of `values.py`, value by value; what is here does the common forms without Python objects, and
leaves every other form to the rules there, which also say what is wrong with a value.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from types import NoneType
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.core.canonical_json import canonical_documents
from toolkit.core.deep_json import levels
from toolkit.core.types import FLOAT_KINDS, INTEGER_KINDS, JSON_KINDS, TEXT_KINDS, Kind, LogicalType
from toolkit.core.values import JSON_ESCAPE, is_end_of_day, json_text, parse_json_value, timestamp_text

_DOUBLE = LogicalType(Kind.FLOAT64)
# What JSON wants escaped in a string.
_SPECIAL = r'["\\\x00-\x1f]'
# Where the hyphens of a UUID stand, and where its digits.
_HYPHENS = (8, 13, 18, 23)
_DIGITS = [n for n in range(36) if n not in _HYPHENS]
_HYPHEN = ord("-")
# As deep as a document of a fixture may be: Python's stack has 1,000 levels, and the reader is some way down already.
_MOST_LEVELS = 500
# Of the documents that need an escape: the word null, and objects that begin like an escape.
_ESCAPED_DOCUMENT = rf'^(null$|\{{"{JSON_ESCAPE.replace("$", "[$]")}")'
# Advanced Alchemy's `FileObject` as Python shows it.
_DESCRIBED_FILE = re.compile(
    r"FileObject\(filename=(?P<filename>.*), backend=(?P<backend>.*), size=(?P<size>\d+|None), "
    r"content_type=(?P<content_type>.*), etag=(?P<etag>.*), last_modified=(?P<last_modified>[\d.e+]+|None), "
    r"version_id=(?P<version_id>.*)\)",
    re.DOTALL,
)
# Timestamps that ISO 8601 writes with four digits for the year, in microseconds since 1970.
_FOUR_DIGIT_YEARS = (-62_135_596_800_000_000, 253_402_300_799_999_999)


def format_column(type_: LogicalType, values: pa.Array) -> pa.Array:
    """A column in the canonical schema as JSON text, one document a row; NULL as `null`."""
    return pc.fill_null(_FORMATS.get(type_.kind, _one_by_one)(type_, values), "null")


def parse_column(type_: LogicalType, values: Sequence[Any]) -> pa.Array:
    """JSON values, as msgspec decodes them, as an array of the canonical type. None is NULL.

    Documents and decimals may come undecoded (`msgspec.Raw`), so that no number in them is rounded.

    Raises:
        ValueError, OverflowError, pyarrow.ArrowException: some value is none of this type; `parse_value` says which.
    """
    parse, accepted = _PARSERS.get(type_.kind, (None, None))
    # Arrow itself would take 1.5 for an integer and True for a double.
    if parse is not None and set(map(type, values)) <= {accepted, NoneType}:
        try:
            return parse(type_, values)
        except (pa.ArrowException, ValueError, OverflowError):
            pass
    return pa.array([parse_value(type_, value) for value in values], type_.arrow)


def parse_value(type_: LogicalType, value: Any) -> Any:
    """One JSON value, as msgspec decodes it or undecoded, as what Arrow takes for the type.

    Raises:
        ValueError, OverflowError, pyarrow.ArrowException: it is no value of this type; a ValueError says what is
            expected.
    """
    if isinstance(value, msgspec.Raw):
        if type_.kind in JSON_KINDS:
            return _document(type_, value)
        text = str(value, "utf-8")
        is_number = type_.kind is Kind.DECIMAL and text[:1] in "-0123456789"
        value = text if is_number else _decoded(value)
    parsed = parse_json_value(type_, value)
    _require_fit(type_, pa.array([parsed], type_.arrow), [parsed])
    return parsed


def _decoded(raw: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        raise OverflowError from error


def _require_fit(type_: LogicalType, array: pa.Array, values: Sequence[Any]) -> None:
    """Refuse numbers that single precision would take for infinite; Arrow does not."""
    if type_.kind is Kind.FLOAT32 and pc.sum(pc.is_inf(array)) != pc.sum(pc.is_inf(pa.array(values, pa.float64()))):
        raise OverflowError


# -- to text -------------------------------------------------------------------------------------------------------


def _one_by_one(type_: LogicalType, values: pa.Array) -> pa.Array:
    return pa.array([None if v is None else json_text(type_, v) for v in values.to_pylist()], pa.string())


# Arrow takes 36 µs to make one of these of a Python text: more than to join a thousand rows.
_QUOTE, _NOTHING = pa.scalar('"'), pa.scalar("")


def _quoted(text: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(_QUOTE, text, _QUOTE, _NOTHING)


def _format_text(_: LogicalType, values: pa.Array) -> pa.Array:
    if not pc.any(pc.match_substring_regex(values, _SPECIAL)).as_py():
        return _quoted(values)
    encode = msgspec.json.encode
    return pa.array([None if v is None else encode(v).decode() for v in values.to_pylist()], pa.string())


def _format_documents(_: LogicalType, values: pa.Array) -> pa.Array:
    documents = canonical_documents(values, strict=True)
    _require_readable(documents)
    escaped = pc.match_substring_regex(documents, _ESCAPED_DOCUMENT)
    if not pc.any(escaped).as_py():
        return documents
    # Beside `null`, which would read as SQL's NULL, only what looks like an escape itself is escaped.
    pairs = zip(escaped.to_pylist(), documents.to_pylist(), strict=True)
    wanted = pa.array([looks and _needs_escape(document) for looks, document in pairs])
    wrapped = pc.binary_join_element_wise(f'{{"{JSON_ESCAPE}": ', documents, "}", "")
    return pc.if_else(pc.fill_null(wanted, False), wrapped, documents)


def _require_readable(documents: pa.Array) -> None:
    """Refuse documents that could not be loaded again: the reader of fixtures goes as deep as Python's stack."""
    opened = pc.add(pc.count_substring(documents, "["), pc.count_substring(documents, "{"))
    for row in pc.indices_nonzero(pc.fill_null(pc.greater(opened, _MOST_LEVELS), False)).to_pylist():
        if levels(documents[row].as_py()) > _MOST_LEVELS:
            raise ValueError(f"is nested deeper than {_MOST_LEVELS} levels, which no fixture can hold")


def _needs_escape(document: str) -> bool:
    return document == "null" or list(msgspec.json.decode(document, type=dict[str, msgspec.Raw])) == [JSON_ESCAPE]


def _format_uuids(_: LogicalType, values: pa.Array) -> pa.Array:
    rows = len(values)
    if not rows:
        return pa.array([], pa.string())
    raw = values.buffers()[1][16 * values.offset : 16 * (values.offset + rows)]
    digits = np.frombuffer(binascii.hexlify(raw), np.uint8).reshape(rows, 32)
    cells = np.full((rows, 38), _HYPHEN, np.uint8)
    cells[:, 0] = cells[:, 37] = ord('"')
    cells[:, [n + 1 for n in _DIGITS]] = digits
    text = pa.Array.from_buffers(pa.binary(38), rows, [None, pa.py_buffer(cells)]).cast(pa.binary()).cast(pa.string())
    return pc.if_else(values.is_valid(), text, pa.scalar(None, pa.string())) if values.null_count else text


def _format_timestamps(type_: LogicalType, values: pa.Array) -> pa.Array:
    whole = values.view(pa.int64())
    extremes = pc.min_max(whole).as_py()
    if extremes["min"] is not None and not (
        _FOUR_DIGIT_YEARS[0] <= extremes["min"] and extremes["max"] <= _FOUR_DIGIT_YEARS[1]
    ):
        texts = [None if v is None else f'"{timestamp_text(type_, v)}"' for v in whole.to_pylist()]
        return pa.array(texts, pa.string())
    text = whole.view(pa.timestamp("us")).cast(pa.string())
    dated = pc.binary_replace_slice(text, 10, 11, "T")
    offset = "+00:00" if type_.kind is Kind.TIMESTAMPTZ else ""
    return pc.binary_join_element_wise('"', _without_zero_fraction(dated), f'{offset}"', "")


def _format_times(_: LogicalType, values: pa.Array) -> pa.Array:
    ends = is_end_of_day(values)
    text = _quoted(_without_zero_fraction(values.cast(pa.string())))
    return pc.if_else(ends, '"24:00:00"', text) if pc.any(ends).as_py() else text


def _without_zero_fraction(text: pa.Array) -> pa.Array:
    is_whole = pc.ends_with(text, ".000000")
    return pc.if_else(is_whole, pc.utf8_slice_codeunits(text, 0, -7), text)


def _format_dates(type_: LogicalType, values: pa.Array) -> pa.Array:
    days = values.view(pa.int32()).to_pylist()
    return pa.array([None if day is None else f'"{timestamp_text(type_, day)}"' for day in days], pa.string())


def _format_plain(_: LogicalType, values: pa.Array) -> pa.Array:
    return values.cast(pa.string())


def _format_intervals(_: LogicalType, values: pa.Array) -> pa.Array:
    return values.view(pa.int64()).cast(pa.string())


def _format_singles(_: LogicalType, values: pa.Array) -> pa.Array:
    """The shortest digits that stand for each single-precision number: 0.1, not 0.10000000149011612."""
    numbers = [None if v is None else json_text(_DOUBLE, float(str(np.float32(v)))) for v in values.to_pylist()]
    return pa.array(numbers, pa.string())


def _format_bytes(_: LogicalType, values: pa.Array) -> pa.Array:
    encode = base64.b64encode
    return pa.array([None if v is None else f'"{encode(v).decode()}"' for v in values.to_pylist()], pa.string())


_FORMATS: dict[Kind, Callable[[LogicalType, pa.Array], pa.Array]] = {
    **dict.fromkeys(TEXT_KINDS, _format_text),
    **dict.fromkeys(JSON_KINDS, _format_documents),
    **dict.fromkeys(INTEGER_KINDS, _format_plain),
    Kind.FLOAT32: _format_singles,
    Kind.BOOL: _format_plain,
    Kind.UUID: _format_uuids,
    Kind.TIMESTAMP: _format_timestamps,
    Kind.TIMESTAMPTZ: _format_timestamps,
    Kind.DATE: _format_dates,
    Kind.TIME: _format_times,
    Kind.INTERVAL: _format_intervals,
    Kind.BYTES: _format_bytes,
}


# -- from JSON values ----------------------------------------------------------------------------------------------


def _parse_plain(type_: LogicalType, values: Sequence[Any]) -> pa.Array:
    return pa.array(values, type_.arrow)


def _parse_floats(type_: LogicalType, values: Sequence[Any]) -> pa.Array:
    array = pa.array(values, type_.arrow)
    _require_fit(type_, array, values)
    return array


def _parse_texts(type_: LogicalType, values: Sequence[Any]) -> pa.Array:
    return pa.array(values, pa.string()).cast(type_.arrow)


def _parse_uuids(_: LogicalType, values: Sequence[Any]) -> pa.Array:
    text = pa.array(values, pa.string())
    lengths = pc.min_max(pc.binary_length(text)).as_py()
    if lengths != {"min": 36, "max": 36} or text.null_count:
        raise ValueError("some in another form")
    cells = np.frombuffer(text.buffers()[2], np.uint8, count=36 * len(text)).reshape(len(text), 36)
    if (cells[:, list(_HYPHENS)] != _HYPHEN).any():
        raise ValueError("some in another form")
    raw = binascii.unhexlify(cells[:, _DIGITS].tobytes())
    return pa.Array.from_buffers(pa.binary(16), len(text), [None, pa.py_buffer(raw)])


def _parse_timestamps(type_: LogicalType, values: Sequence[Any]) -> pa.Array:
    text = pa.array(values, pa.string())
    zoned = pa.timestamp("us", "UTC") if type_.kind is Kind.TIMESTAMPTZ else pa.timestamp("us")
    # Other forms than ISO 8601's with a T are left to the parser of single values.
    if pc.all(pc.equal(pc.utf8_slice_codeunits(text, 10, 11), "T")).as_py() is False:
        raise ValueError("some in another form")
    return text.cast(zoned).view(pa.int64()).view(type_.arrow)


def _parse_documents(type_: LogicalType, values: Sequence[Any]) -> pa.Array:
    return pa.array([None if value is None else _document(type_, value) for value in values], pa.string())


def _document(type_: LogicalType, raw: msgspec.Raw) -> str | None:
    """The text of a JSON column's document: `null` is SQL's NULL, `{"$json": …}` the document within."""
    text = str(raw, "utf-8")
    if text == "null":
        return None
    if type_.kind is Kind.FILE and text[0] != "{":
        return _file_references(text)
    if text[0] != "{" or JSON_ESCAPE not in text:
        return text
    members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    return str(members[JSON_ESCAPE], "utf-8") if list(members) == [JSON_ESCAPE] else text


def _file_references(text: str) -> str:
    """A file, or a list of files, of which some may be described as `alchemy dump-data` does: without all it knew."""
    value = msgspec.json.decode(text)
    if isinstance(value, list):
        return msgspec.json.encode([_file_reference(part) for part in value]).decode()
    return msgspec.json.encode(_file_reference(value)).decode()


def _file_reference(value: Any) -> Any:
    if isinstance(value, dict):
        return value
    described = _DESCRIBED_FILE.fullmatch(value) if isinstance(value, str) else None
    if described is None:
        raise ValueError("is not a reference to a file")
    found: dict[str, Any] = {name: None if text == "None" else text for name, text in described.groupdict().items()}
    for name, number in (("size", int), ("last_modified", float)):
        found[name] = None if found[name] is None else number(found[name])
    return {**found, "checksum": None, "metadata": {}}


_PARSERS: dict[Kind, tuple[Callable[[LogicalType, Sequence[Any]], pa.Array], type]] = {
    **dict.fromkeys(TEXT_KINDS, (_parse_plain, str)),
    **dict.fromkeys(INTEGER_KINDS, (_parse_plain, int)),
    **dict.fromkeys(FLOAT_KINDS, (_parse_floats, float)),
    **dict.fromkeys(JSON_KINDS, (_parse_documents, msgspec.Raw)),
    Kind.BOOL: (_parse_plain, bool),
    Kind.UUID: (_parse_uuids, str),
    Kind.TIMESTAMP: (_parse_timestamps, str),
    Kind.TIMESTAMPTZ: (_parse_timestamps, str),
    Kind.DATE: (_parse_texts, str),
}
