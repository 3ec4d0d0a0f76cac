"""JSON, which travels as its text, and references to files, which are such documents."""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import types as sqltypes

from toolkit.core.adapters.built_in import BuiltIn, text_bytes
from toolkit.core.canonical_bytes import OID_TEXT, Part, variable
from toolkit.core.canonical_json import canonical_documents
from toolkit.core.deep_json import levels
from toolkit.core.logical import Kind, LogicalType, is_of_alchemy

# The only member of an object that stands for the document in it.
JSON_ESCAPE = "$json"
# As deep as a document of a fixture may be: Python's stack has 1,000 levels, and the reader is some way down already.
_MOST_LEVELS = 500
_BREAKS = np.frombuffer(b"\r\n", np.uint8)
# Of the documents that need an escape: the word null, and objects that begin like an escape.
_ESCAPED_DOCUMENT = rf'^(null$|\{{"{JSON_ESCAPE.replace("$", "[$]")}")'
# Arrow takes 36 µs to make one of these of a Python value.
_NONE = pa.scalar(False)
_SQL_NULL, _NO_TEXT = pa.scalar("null"), pa.scalar(None, pa.string())
# Advanced Alchemy's `FileObject` as Python shows it.
_DESCRIBED_FILE = re.compile(
    r"FileObject\(filename=(?P<filename>.*), backend=(?P<backend>.*), size=(?P<size>\d+|None), "
    r"content_type=(?P<content_type>.*), etag=(?P<etag>.*), last_modified=(?P<last_modified>[\d.e+]+|None), "
    r"version_id=(?P<version_id>.*)\)",
    re.DOTALL,
)


class JsonAdapter(BuiltIn):
    """A JSON document. In fixtures `null` is SQL's NULL; the document `null` is `{"$json": null}`."""

    kind: ClassVar[str] = Kind.JSON
    carrier = Kind.JSON
    storage = pa.string()
    plain = msgspec.Raw

    @classmethod
    def recognise(cls, declared: sqltypes.TypeEngine[Any]) -> LogicalType | None:
        """`JSON`, `JSONB`."""
        return LogicalType(cls.kind) if isinstance(declared, sqltypes.JSON) else None

    def json_value(self, value: Any) -> Any:
        """The document, nested."""
        return json.loads(value)

    def parse_json(self, value: Any) -> Any:
        """Any value."""
        return msgspec.json.encode(value).decode()

    def parse_raw(self, raw: msgspec.Raw) -> Any:
        """The text of the document; `null` is SQL's NULL, `{"$json": …}` the document within."""
        text = str(raw, "utf-8")
        if text == "null":
            return None
        if text[0] != "{" or JSON_ESCAPE not in text:
            return text
        members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        return str(members[JSON_ESCAPE], "utf-8") if list(members) == [JSON_ESCAPE] else text

    def format(self, values: pa.Array) -> pa.Array:
        """The documents in their canonical form.

        Raises:
            ValueError: one is no JSON, or could not be loaded again.
        """
        # What stays as it is written may be on several lines, where a row is on one.
        documents = canonical_documents(values, strict=True)
        if np.isin(text_bytes(documents), _BREAKS).any():
            documents = pc.replace_substring_regex(documents, r"[\r\n]", " ")
        _require_readable(documents)
        escaped = pc.match_substring_regex(documents, _ESCAPED_DOCUMENT)
        if not pc.any(escaped).as_py():
            return documents
        # Beside `null`, which would read as SQL's NULL, only what looks like an escape itself is escaped.
        pairs = zip(escaped.to_pylist(), documents.to_pylist(), strict=True)
        wanted = pa.array([looks and _needs_escape(document) for looks, document in pairs])
        wrapped = pc.binary_join_element_wise(f'{{"{JSON_ESCAPE}": ', documents, "}", "")
        return pc.if_else(pc.fill_null(wanted, False), wrapped, documents)

    def parse_texts(self, texts: pa.Array) -> pa.Array:
        """Documents as they are written; only those that `is_odd` are read one by one."""
        nulls = pc.equal(texts, _SQL_NULL)
        found = pc.if_else(nulls, _NO_TEXT, texts) if pc.any(nulls).as_py() else texts
        odd = self.is_odd(found)
        if not pc.any(odd).as_py():
            return found
        odd = pc.fill_null(odd, False)
        read = [self.parse_raw(msgspec.Raw(text.encode())) for text in found.filter(odd).to_pylist()]
        return pc.replace_with_mask(found, odd, pa.array(read, pa.string()))

    def is_odd(self, texts: pa.Array) -> pa.Array:
        """Which documents `parse_raw` may make others of."""
        if JSON_ESCAPE.encode() not in text_bytes(texts).tobytes():
            return _NONE
        return pc.and_(pc.starts_with(texts, "{"), pc.match_substring(texts, JSON_ESCAPE))

    def canonical(self, values: pa.Array) -> list[Part]:
        """PostgreSQL's `jsonb::text`."""
        return variable(OID_TEXT, canonical_documents(values))


def _require_readable(documents: pa.Array) -> None:
    """Refuse documents that could not be loaded again: the reader of fixtures goes as deep as Python's stack."""
    if (pc.max(pc.binary_length(documents)).as_py() or 0) <= _MOST_LEVELS:
        return
    opened = pc.add(pc.count_substring(documents, "["), pc.count_substring(documents, "{"))
    for row in pc.indices_nonzero(pc.fill_null(pc.greater(opened, _MOST_LEVELS), False)).to_pylist():
        if levels(documents[row].as_py()) > _MOST_LEVELS:
            raise ValueError(f"is nested deeper than {_MOST_LEVELS} levels, which no fixture can hold")


def _needs_escape(document: str) -> bool:
    return document == "null" or list(msgspec.json.decode(document, type=dict[str, msgspec.Raw])) == [JSON_ESCAPE]


class FileAdapter(JsonAdapter):
    """A reference to a file, or a list of them, as Advanced Alchemy stores them."""

    kind = Kind.FILE

    @classmethod
    def recognise(cls, declared: sqltypes.TypeEngine[Any]) -> LogicalType | None:
        """Advanced Alchemy's `StoredObject`."""
        return LogicalType(cls.kind) if is_of_alchemy(declared, "StoredObject") else None

    def is_odd(self, texts: pa.Array) -> pa.Array:
        """What is no object may describe a file."""
        return pc.or_(pc.invert(pc.starts_with(texts, "{")), super().is_odd(texts))

    def parse_raw(self, raw: msgspec.Raw) -> Any:
        """Also of files that are described as `alchemy dump-data` does: without all it knew."""
        text = str(raw, "utf-8")
        return super().parse_raw(raw) if text == "null" or text[0] == "{" else _file_references(text)


def _file_references(text: str) -> str:
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
