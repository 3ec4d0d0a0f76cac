"""Which rows point at which files: the columns of files of a schema, read and rewritten."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import pyarrow as pa

from toolkit.core.archive_manifest import address_of, one_line
from toolkit.core.batches import BATCH_ROWS
from toolkit.core.file_properties import ORIGIN, Properties, properties_of_row
from toolkit.core.tables import Conditions, TableSpec, choose_tables, narrowed, table_spec
from toolkit.core.types import Kind, logical_type
from toolkit.core.values import json_value, parse_json_value
from toolkit.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import MetaData, Table
    from sqlalchemy.types import TypeEngine

    from toolkit.engines.contract import Connection
    from toolkit.operations.transfer.sources import Source

AGE_COLUMN = "created_at"
_STATE = ("size", "last_modified", "etag", "checksum")
_TIMES = (Kind.TIMESTAMP, Kind.TIMESTAMPTZ)


class _Place(msgspec.Struct):
    backend: str
    filename: str
    properties: Properties | None = None


class _Moved(msgspec.Struct):
    archived_from: _Place | None = None


# Made here, once: msgspec crashes when several threads at once are the first to decode a type.
_DOCUMENT = msgspec.json.Decoder(msgspec.Raw)
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_STRING = msgspec.json.Decoder(str)
_TEXT = msgspec.json.Decoder(str | None)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
# As many bytes as SQLite can count.
_NUMBER = msgspec.json.Decoder(Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None)
_MOVED = msgspec.json.Decoder(_Moved)


class Reference(msgspec.Struct, frozen=True):
    """One file as a row refers to it. `backend` and `path` are where it is; `origin` where it was before a move."""

    backend: str
    path: str
    content_type: str | None
    size: int | None
    metadata: msgspec.Raw
    raw: msgspec.Raw
    origin: tuple[str, str] | None = None
    checksum: str | None = None

    @property
    def home(self) -> tuple[str, str]:
        """Backend and path of the live store, moved or not."""
        return self.origin or (self.backend, self.path)

    @property
    def is_movable(self) -> bool:
        """Whether its metadata can say where it was before a move."""
        return bytes(self.metadata).lstrip().startswith(b"{")

    @property
    def properties(self) -> Properties:
        """What an application writes with such a file."""
        return properties_of_row(self.content_type, bytes(self.metadata))


class Cell(msgspec.Struct, frozen=True):
    """One row's column of files. `held` is its text; `problem` says why it names no files, if it does not."""

    table: str
    column: str
    key: Mapping[str, Any]
    held: str | None
    created_at: dt.datetime | None
    references: tuple[Reference, ...]
    multiple: bool
    problem: str | None = None

    @property
    def mentioned(self) -> str:
        """Of a column that names no file which can be told, its text, also without JSON's escapes; else empty.

        Others may read what is not read here: whatever is named in it may be needed.
        """
        if self.problem is None or not self.held:
            return ""
        once = _unescaped(self.held)
        # A document may stand in a text of another one.
        return "\n".join((self.held, once, _unescaped(once)))


def file_columns(spec: TableSpec) -> tuple[str, ...]:
    """The columns of a table that hold files."""
    return tuple(column.name for column in spec.columns if column.type.kind is Kind.FILE)


def file_tables(
    metadata: MetaData, names: Sequence[str] = (), where: Conditions | None = None, *, with_age: bool = False
) -> tuple[TableSpec, ...]:
    """The named tables, or all that hold files, with those columns and their keys alone, and their age if it matters.

    Raises:
        UnknownNameError: no such table.
        ConfigurationError: a named table holds no files, or one of these has no key or cannot be described.
    """
    specs = [table_spec(table) for table in choose_tables(metadata, names) if names or _holds_files(table)]
    for spec in specs:
        if not file_columns(spec):
            raise ConfigurationError(
                f"{spec.name} has no column of files (StoredObject).",
                f"Tables that have: {', '.join(each.name for each in file_tables(metadata)) or 'none'}.",
            )
        if not spec.key:
            raise ConfigurationError(
                f"{spec.name} has files, but neither a primary key nor a unique key without NULLs, "
                "so that an archive cannot say whose they are.",
                "Give it a key.",
            )
    return tuple(narrow(spec, with_age=with_age) for spec in narrowed(specs, where or {}))


def _holds_files(table: Table) -> bool:
    """Whether a table has columns of files; it may be one without a key, or with types that are not portable."""
    return any(_is_file(column.type) for column in table.columns)


def _is_file(type_: TypeEngine[Any]) -> bool:
    try:
        return logical_type(type_).kind is Kind.FILE
    except ConfigurationError:
        return False


def narrow(spec: TableSpec, *, with_age: bool = False) -> TableSpec:
    """A table with its columns of files and its key alone; with its age, which may not be readable, if that matters."""
    wanted = {*spec.key, *file_columns(spec), *(age_column(spec) if with_age else ())}
    return spec.project(name for name in spec.column_names if name in wanted)


def age_column(spec: TableSpec) -> tuple[str, ...]:
    """The audit column that says when a row was made, if the table has it."""
    return tuple(c.name for c in spec.columns if c.name == AGE_COLUMN and c.type.kind in _TIMES)


def is_multiple(spec: TableSpec, column: str) -> bool:
    """Whether a column holds a list of files."""
    return bool(getattr(spec.table.columns[column].type, "multiple", False))


def default_backend(spec: TableSpec, column: str) -> str | None:
    """The key of the backend that the model declares for a column."""
    backend = getattr(spec.table.columns[column].type, "_raw_backend", None)
    return backend if isinstance(backend, str) else getattr(backend, "key", None)


def read_cells(source: Source, spec: TableSpec, keys: pa.Table | None = None) -> Iterator[Cell]:
    """Every row's columns of files, those that are NULL too."""
    key_columns = [spec.column(name) for name in spec.key]
    names = file_columns(spec)
    multiple = {name: is_multiple(spec, name) for name in names}
    backends = {name: default_backend(spec, name) for name in names}
    for batch in source.repository(spec).read(BATCH_ROWS, keys=keys):
        values = [batch.column(name).to_pylist() for name in spec.key]
        ages = batch.column(AGE_COLUMN).to_pylist() if age_column(spec) else [None] * batch.num_rows
        held = {name: batch.column(name).to_pylist() for name in names}
        for row in range(batch.num_rows):
            key = {c.name: json_value(c.type, column[row]) for c, column in zip(key_columns, values, strict=True)}
            for name in names:
                found, problem = _parsed(held[name][row], backends[name])
                yield Cell(spec.name, name, key, held[name][row], _in_utc(ages[row]), found, multiple[name], problem)


def cell_of(spec: TableSpec, column: str, key: Mapping[str, Any], held: str | None) -> Cell:
    """A cell from the text that was read of it."""
    found, problem = _parsed(held, default_backend(spec, column))
    return Cell(spec.name, column, key, held, None, found, is_multiple(spec, column), problem)


def keys_table(spec: TableSpec, keys: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Keys, as JSON gives them, as a table to look rows up by.

    Raises:
        ValueError: a key that is not of its column's type.
    """
    rows = list(keys)
    arrays = [
        pa.array([parse_json_value(spec.column(name).type, key.get(name)) for key in rows], field.type)
        for name, field in zip(spec.key, spec.key_schema, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=spec.key_schema)


def _in_utc(value: Any) -> dt.datetime | None:
    """A row's time; one that is beyond what Python knows, or `infinity`, counts as none."""
    if not isinstance(value, dt.datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=dt.UTC)


def _parsed(held: str | None, backend: str | None) -> tuple[tuple[Reference, ...], str | None]:
    """The files that a column's text names, as Advanced Alchemy reads it; or why it names none."""
    if held is None:
        return (), None
    try:
        document = bytes(_DOCUMENT.decode(held)).strip()
        if document.startswith(b'"'):
            document = _STRING.decode(document).strip().encode()
        if document == b"null":
            return (), None
        parts = _LIST.decode(document) if document.startswith(b"[") else [msgspec.Raw(document)]
        return tuple(_reference(part, backend) for part in parts if bytes(part) not in (b"null", b"{}")), None
    except (ValueError, RecursionError) as error:
        return (), str(error)


def _reference(raw: msgspec.Raw, backend: str | None) -> Reference:
    fields: dict[str, msgspec.Raw] = _FIELDS.decode(raw)
    path = _text(fields, "to_filename") or _text(fields, "filename")
    key = _text(fields, "backend") or backend
    if not path or not key:
        raise ValueError(f"it has no {'filename' if not path else 'backend'}")
    metadata = fields.get("metadata")
    plain = one_line(bytes(metadata)) if metadata is not None and bytes(metadata) != b"null" else msgspec.Raw(b"{}")
    return Reference(
        key,
        path,
        _text(fields, "content_type"),
        _number(fields, "size"),
        plain,
        one_line(bytes(raw)),
        # An application that gives a row another file may keep the metadata: what they say is of the one before.
        _origin(plain) if address_of(path) else None,
        _checksum(fields),
    )


def _unescaped(text: str) -> str:
    found = _ESCAPE.sub(lambda sign: chr(int(sign[1][1:], 16)) if len(sign[1]) > 1 else sign[1], text)
    return found.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _text(fields: Mapping[str, msgspec.Raw], name: str) -> str | None:
    raw = fields.get(name)
    return None if raw is None else _TEXT.decode(raw)


def _number(fields: Mapping[str, msgspec.Raw], name: str) -> int | None:
    """A size is only used to compare with: one that is no number is none."""
    try:
        found: int | None = _NUMBER.decode(fields.get(name, b"null"))
    except msgspec.DecodeError:
        return None
    return found


def _checksum(fields: Mapping[str, msgspec.Raw]) -> str | None:
    """A checksum, too, is only used to compare with."""
    try:
        return _text(fields, "checksum")
    except msgspec.DecodeError:
        return None


def _origin(metadata: msgspec.Raw) -> tuple[str, str] | None:
    found = _place(metadata)
    return None if found is None else (found.backend, found.filename)


def said_of(reference: msgspec.Raw) -> dict[str, str]:
    """What a reference says of its file's state, as JSON: of two that differ in any of it, one was written later."""
    fields = _FIELDS.decode(reference)
    said = {name: bytes(fields[name]).decode() for name in _STATE if name in fields}
    return {name: text for name, text in said.items() if text != "null"}


def properties_before(metadata: msgspec.Raw) -> Properties | None:
    """What the live store kept with a file that was moved, by the metadata of its reference."""
    found = _place(metadata)
    return None if found is None else found.properties


def _place(metadata: msgspec.Raw) -> _Place | None:
    try:
        return _MOVED.decode(metadata).archived_from
    except msgspec.ValidationError:
        return None


# -- writing -------------------------------------------------------------------------------------------------------


def pointed_at(reference: Reference, backend: str, path: str, size: int, properties: Properties | None = None) -> bytes:
    """The reference with another place and its true size, and in its metadata the place it had, and what that kept."""
    fields: dict[str, Any] = _FIELDS.decode(reference.raw)
    metadata: dict[str, Any] = _FIELDS.decode(reference.metadata)
    home, name = reference.home
    metadata[ORIGIN] = {"backend": home, "filename": name}
    if properties is not None:
        metadata[ORIGIN]["properties"] = properties
    fields.pop("to_filename", None)
    return msgspec.json.encode(fields | {"backend": backend, "filename": path, "size": size, "metadata": metadata})


def column_text(references: Sequence[bytes], multiple: bool) -> str:
    """What a column of files holds."""
    if not multiple:
        return references[0].decode()
    return f"[{', '.join(reference.decode() for reference in references)}]"


def swap_cells(connection: Connection, spec: TableSpec, column: str, cells: Sequence[tuple[Cell, str]]) -> list[bool]:
    """Give columns of files new texts, where they still hold what they did; which took."""
    keys = keys_table(spec, [cell.key for cell, _ in cells])
    return connection.repository(spec).compare_and_set(
        column, keys, [cell.held for cell, _ in cells], pa.array([text for _, text in cells], pa.string())
    )


def at_home(raw: msgspec.Raw, backend: str, path: str) -> bytes:
    """A reference to a place in the live store: to the letter what it was, unless it was moved or goes elsewhere."""
    fields: dict[str, Any] = _FIELDS.decode(raw)
    present = _text(fields, "backend"), _text(fields, "to_filename") or _text(fields, "filename")
    if present in ((backend, path), (None, path)):
        return bytes(raw)
    fields.pop("to_filename", None)
    metadata = fields.get("metadata")
    if metadata is not None and _origin(metadata) is not None:
        kept: dict[str, Any] = _FIELDS.decode(metadata)
        del kept[ORIGIN]
        fields["metadata"] = msgspec.Raw(msgspec.json.encode(kept))
    changed: dict[str, Any] = {**fields, "backend": backend, "filename": path}
    return msgspec.json.encode(changed)
