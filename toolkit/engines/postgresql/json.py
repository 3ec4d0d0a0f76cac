"""JSON documents that PostgreSQL cannot keep as `jsonb`: in a column of `json`, few of them compare with others."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.core.byte_search import may_hold
from toolkit.core.canonical_json import canonical_document
from toolkit.core.canonical_json import has_duplicate_keys as are_keys_duplicate
from toolkit.core.decimals import parse_decimal
from toolkit.core.deep_json import levels, numbers
from toolkit.core.plain_documents import are_plain, doubtful

NULL_CHARACTER = "the character U+0000"
_NULL_ESCAPE = r"(^|[^\\])(\\\\)*\\u0000"
# With its usual stack PostgreSQL takes a few more.
_MOST_LEVELS = 10_000
# What each of these has: thousands of digits or levels, a large exponent, U+0000, or half of a pair of surrogates.
LONG = 10_000
# Its version, from which on it has `IS JSON`.
KNOWS_JSON = 160_000
UNUSUAL = r"[eE][-+]?[0-9]{4}|\\u(0000|[dD][89a-fA-F])"


def holds_null_character(documents: pa.Array) -> pa.Array:
    """Which documents hold U+0000: written as an escape, as opposed to behind a backslash that is itself one."""
    if not may_hold(documents, b"\\u0000"):
        return pc.if_else(documents.is_valid(), False, pa.scalar(None, pa.bool_()))
    found = pc.match_substring(documents, "\\u0000")
    return pc.match_substring_regex(documents, _NULL_ESCAPE) if pc.any(found).as_py() else found


def refused_documents(documents: pa.Array) -> Iterator[tuple[int, str]]:
    """The rows of those that have no canonical form, and why, for a message."""
    unusual = pc.or_(pc.match_substring_regex(documents, UNUSUAL), pc.greater(pc.binary_length(documents), LONG))
    for row in pc.indices_nonzero(pc.fill_null(unusual, False)).to_pylist():
        if (problem := _problem(documents[row].as_py())) is not None:
            yield row, problem


def invalid_documents(documents: pa.Array) -> Iterator[tuple[int, str]]:
    """The rows of those that are no JSON, and why, for a message."""
    for row, document in enumerate(documents.to_pylist()):
        if document is not None:
            try:
                msgspec.json.decode(document, type=msgspec.Raw)
            except msgspec.DecodeError:
                yield row, "holds invalid JSON"


def unlike_documents(documents: pa.Array) -> Iterator[tuple[int, str]]:
    """The rows of those that are no JSON, or of which `jsonb` keeps only a part, and why, for a message."""
    for rows in doubtful(documents, are_plain):
        yield from ((rows[row].as_py(), problem) for row, problem in _unlike(documents.take(rows)))


def _unlike(documents: pa.Array) -> Iterator[tuple[int, str]]:
    refused = dict(invalid_documents(documents))
    yield from refused.items()
    for row, document in enumerate(documents.to_pylist()):
        if document is not None and row not in refused and are_keys_duplicate(document):
            yield row, "has a key twice in one object"


def canonical(name: str, version: int) -> str:
    """The canonical form (see `toolkit.core.canonical_json`) for a server of this version. `name` is quoted already."""
    null = f"strpos({name}::text, '\\u0000') > 0 AND {name}::text ~ '(?<!\\\\)(\\\\\\\\)*\\\\u0000'"
    return (
        f"CASE WHEN pg_typeof({name}) = 'jsonb'::regtype THEN {name}::text WHEN {null} THEN {name}::text "
        f"WHEN {has_duplicate_keys(name, version)} THEN {name}::text ELSE {name}::jsonb::text END"
    )


def has_duplicate_keys(name: str, version: int) -> str:
    """The condition of documents of `json` or texts that have a key twice. `name` is quoted already."""
    if version >= KNOWS_JSON:
        # What `jsonb` refuses for another reason is an error of the cast, as it is where no key is looked at.
        return f"NOT ({name} IS JSON WITH UNIQUE KEYS) AND {name}::jsonb IS NOT NULL"
    # Every key has a colon behind it; a colon in a text may be written as an escape.
    escape = r"'(?<!\\)(\\\\)*\\u003[aA]'"
    text = f"CASE WHEN strpos({name}::text, '\\u003') > 0 THEN regexp_replace({name}::text, {escape}, ':', 'g') "
    return f"{_colons(f'({text}ELSE {name}::text END)')} <> {_colons(f'{name}::jsonb::text')}"


def _colons(text: str) -> str:
    return f"(length({text}) - length(replace({text}, ':', '')))"


def _problem(document: str) -> str | None:
    try:
        canonical_document(document)
        for number in numbers(document):
            if len(number) > LONG or not number.isdecimal():
                parse_decimal(number)
    except ValueError as error:
        return f"holds a number that {error}" if "digits" in str(error) else "holds invalid JSON"
    return f"is nested deeper than {_MOST_LEVELS:,} levels" if levels(document) > _MOST_LEVELS else None
