"""Which JSON documents PostgreSQL cannot keep as `jsonb`; a column of `json` takes them, but they compare with none."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.core.canonical_json import canonical_document
from toolkit.core.decimals import parse_decimal
from toolkit.core.deep_json import levels, numbers

NULL_CHARACTER = "the character U+0000"
_NULL_ESCAPE = r"(^|[^\\])(\\\\)*\\u0000"
# With its usual stack PostgreSQL takes a few more.
_MOST_LEVELS = 10_000
# What each of these has: thousands of digits or levels, a large exponent, U+0000, or half of a pair of surrogates.
LONG = 10_000
UNUSUAL = r"[eE][-+]?[0-9]{4}|\\u(0000|[dD][89a-fA-F])"


def holds_null_character(documents: pa.Array) -> pa.Array:
    """Which documents hold U+0000: written as an escape, as opposed to behind a backslash that is itself one."""
    found = pc.match_substring(documents, "\\u0000")
    return pc.match_substring_regex(documents, _NULL_ESCAPE) if pc.any(found).as_py() else found


def refused_documents(documents: pa.Array) -> Iterator[tuple[int, str]]:
    """The rows of those that `jsonb` does not take, and why, for a message."""
    for row in pc.indices_nonzero(holds_null_character(documents)).to_pylist():
        yield row, f"holds {NULL_CHARACTER}"
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
                yield row, "holds no valid JSON"


def _problem(document: str) -> str | None:
    try:
        canonical_document(document)
        for number in numbers(document):
            if len(number) > LONG or not number.isdecimal():
                parse_decimal(number)
    except ValueError as error:
        return f"holds a number that {error}" if "digits" in str(error) else "holds no valid JSON"
    return f"is nested deeper than {_MOST_LEVELS:,} levels" if levels(document) > _MOST_LEVELS else None
