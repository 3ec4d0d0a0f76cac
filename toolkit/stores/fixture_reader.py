"""Reading one fixture file into typed rows: what is given in it, and everything that is wrong with it."""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import groupby
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import field

from toolkit.core.batches import fitting_rows, parts, pieces
from toolkit.core.json_columns import parse_column, parse_value
from toolkit.core.problems import LIMIT, Problems
from toolkit.core.stored_texts import unstored
from toolkit.core.tables import ColumnSpec, ForeignKeySpec, TableSpec
from toolkit.core.types import Kind
from toolkit.core.values import shortened
from toolkit.stores.counted_chunks import CountedChunks
from toolkit.stores.csv_rows import NOT_UTF8, CsvRows
from toolkit.stores.cut_columns import REFUSED, Block, ColumnCutter, decoded_type
from toolkit.stores.enum_members import members_of, text_of_enum
from toolkit.stores.fixture_files import REJECTED, UNREAD, FileForm
from toolkit.stores.json_rows import REFUSALS, JsonRows, RowsError, no_utf16
from toolkit.stores.members import RowDecoder, became_zero, given_twice
from toolkit.stores.relative_times import RELATIVE_KINDS, Now, absolute, as_now, now_in_utc
from toolkit.stores.yaml_rows import yaml_rows

# Beside the table's columns, a row read from a file has its line, which columns were given (one byte each; NULL when
# all were), and the natural keys of its parents (a JSON object; NULL when there are none).
LINE, GIVEN, PARENTS = "toolkit_line", "toolkit_given", "toolkit_parents"
_EXTRA = (pa.field(LINE, pa.int64()), pa.field(GIVEN, pa.binary()), pa.field(PARENTS, pa.string()))
_ABSENT = msgspec.UNSET
# Characters that msgspec allows in no field's name.
_UNUSUAL = re.compile(r'["\\\x00-\x1f]')


def read_schema(spec: TableSpec) -> pa.Schema:
    """The schema of rows read from a file."""
    schema = spec.schema
    for extra in _EXTRA:
        schema = schema.append(extra)
    return schema


def natural_names(spec: TableSpec) -> dict[str, ForeignKeySpec]:
    """The names under which a row may give its parent by a natural key: `user` for `user_id`, or the parent's table."""
    names: dict[str, ForeignKeySpec] = {}
    taken = {*spec.column_names, *(column.name for column in spec.table.columns)}
    for foreign_key in spec.foreign_keys:
        column = foreign_key.columns[0]
        short = column.removesuffix("_id") if len(foreign_key.columns) == 1 else ""
        others = [fk for fk in spec.foreign_keys if fk.parent == foreign_key.parent]
        for name in (short, foreign_key.parent if len(others) == 1 else ""):
            if name and name not in taken:
                names.setdefault(name, foreign_key)
    return names


class FixtureReader(msgspec.Struct, frozen=True, dict=True):
    """Reads the rows of one table's file; `file` is its name for messages."""

    spec: TableSpec
    file: str
    problems: Problems
    unstored: list[tuple[int, str]] = field(default_factory=list)
    """By line, the columns that hold something else than their type stores; as many as are told."""
    now: dt.datetime = field(default_factory=now_in_utc)
    """What relative times are relative to."""

    def batches(self, chunks: Iterator[bytes], form: FileForm) -> Iterator[pa.RecordBatch]:
        """The rows in `read_schema`. Problems are noted; a row that has one is left out.

        Raises:
            FixtureProblemsError: there are too many problems to go on.
        """
        most = fitting_rows(len(self.spec.columns))
        read = CountedChunks(chunks)
        for are_cut, items in groupby(self._rows(read, form), key=lambda item: type(item[1]) is list):
            if are_cut:
                for line, columns in items:
                    yield from pieces(self._cut_batch(line, columns), most)
                continue
            for part in parts(items, most, lambda _: read.taken()):
                batch = self._batch([line for line, _ in part], [row for _, row in part])
                if batch is not None:
                    yield from pieces(batch, most)

    def _rows(self, chunks: Iterator[bytes], form: FileForm) -> Iterator[tuple[int, Any]]:
        """The line and the structure of each row, or of several the first line and their columns."""
        try:
            if separator := form.format.separator:
                rows_of_text = CsvRows(no_utf16(chunks), self._note, separator)
                rows_of_text.require_separated(self._fields)
                for name in rows_of_text.header:
                    if name not in self._fields:
                        self._unknown(1, name)
                yield from rows_of_text.rows(self._from_csv)
                return
            decode, decode_many = self._decoders
            if form.format.is_yaml:
                yield from yaml_rows(chunks, decode, self._explain)
                return
            rows = JsonRows(no_utf16(chunks), decode, self._explain, decode_many, ColumnCutter(self.spec.columns).cut)
            yield from rows.array() if form.format.is_array else rows.lines()
        except RowsError as error:
            self.problems.add(self.file, error.line, error.problem)

    # -- rows ------------------------------------------------------------------------------------------------------

    @cached_property
    def _naturals(self) -> dict[str, ForeignKeySpec]:
        return natural_names(self.spec)

    @cached_property
    def _fields(self) -> dict[str, tuple[str, Any]]:
        """The fields of a row by their names in the file: columns, natural keys, and what is ignored.

        Others write the sentinel too, and columns that the database computes.
        """
        types = [(column.name, decoded_type(column) | msgspec.UnsetType) for column in self.spec.columns]
        types += [(name, msgspec.Raw | msgspec.UnsetType) for name in self._naturals]
        types += [(column.name, Any) for column in self.spec.table.columns if column.name not in self.spec.column_names]
        types += [(name, Any) for name in (REJECTED, UNREAD) if name not in self.spec.column_names]
        return {str(name): (f"f{i}", type_) for i, (name, type_) in enumerate(types)}

    @cached_property
    def _row_type(self) -> type[msgspec.Struct]:
        """A structure with these fields, so that msgspec checks their types."""
        fields = [(field, type_, _ABSENT) for field, type_ in self._fields.values()]
        names = {field: name for name, (field, _) in self._fields.items() if not _UNUSUAL.search(name)}
        return msgspec.defstruct("Row", fields, rename=names, forbid_unknown_fields=True, gc=False)

    @cached_property
    def _decoders(self) -> tuple[Callable[[bytes], Any], Callable[[bytes], list[Any]] | None]:
        """What decodes a row, and many if that is possible."""
        if any(_UNUSUAL.search(name) for name in self._fields):
            return self._decode_members, None
        decoder = RowDecoder(self._row_type)
        return decoder.one, decoder.many

    def _decode_members(self, text: bytes) -> Any:
        """A row with names that msgspec takes for no field's, member by member."""
        if given_twice(text):
            raise msgspec.ValidationError("a member is given twice")
        members = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        if unknown := members.keys() - self._fields.keys():
            raise msgspec.ValidationError(f"unknown names {unknown}")
        values = {
            self._fields[name][0]: msgspec.json.decode(raw, type=self._fields[name][1]) for name, raw in members.items()
        }
        if any(became_zero(values[self._fields[name][0]], raw) for name, raw in members.items()):
            raise msgspec.ValidationError("a number is too small")
        return self._row_type(**values)

    def _from_csv(self, line: int, row: Mapping[str, str | None]) -> Any:
        """A row of text as the structure; text that is no JSON of its column's type is left to the column's parser."""
        fields: dict[str, Any] = {}
        for name, text in row.items():
            adapter = None
            if name in self.spec.column_names:
                adapter = self.spec.column(name).type.adapter
            elif name not in self._naturals:
                continue
            if adapter is None or adapter.is_nested:
                value: Any = self._nested(line, name, text)
            else:
                value = None if text is None else adapter.from_csv(text)
                value = as_now(value) if adapter.kind in RELATIVE_KINDS else value
            fields[self._fields[name][0]] = value
        return self._row_type(**fields)

    def _nested(self, line: int, name: str, text: str | None) -> msgspec.Raw | msgspec.UnsetType:
        """A CSV field that holds JSON."""
        if text is None:
            return msgspec.Raw(b"null")
        try:
            return msgspec.json.decode(text, type=msgspec.Raw).copy()
        except REFUSALS:
            self._note(line, f"column {name!r}: {_shown(text)} is not JSON")
            return _ABSENT

    def _explain(self, line: int, text: bytes, error: Exception) -> None:
        """Note everything that is wrong with a row that was refused."""
        if isinstance(error, UnicodeDecodeError):
            self._note(line, NOT_UTF8)
            return
        try:
            row = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        except REFUSALS as reason:
            shown = shortened(text.decode("utf-8", "replace").strip())
            self._note(line, f"is not a JSON object ({_reason(reason)}): {shown}")
            return
        twice = given_twice(text)
        for name in twice:
            self._note(line, f"gives {name!r} twice")
        found = [self._explain_member(line, name, raw) for name, raw in row.items()]
        if not any(found) and not twice:
            self.problems.add(self.file, line, f"is not a row of {self.spec.name}: {_reason(error)}")

    def _explain_member(self, line: int, name: str, value: Any) -> bool:
        """Note what is wrong with one member of a row; whether anything is."""
        if name in self.spec.column_names:
            return self._explain_value(line, self.spec.column(name), value)
        if name in self._fields:
            return False
        self._unknown(line, name)
        return True

    def _explain_value(self, line: int, column: ColumnSpec, value: Any) -> bool:
        given = as_now(value) if column.type.kind in RELATIVE_KINDS else value
        try:
            parse_value(column.type, absolute(given, column.type.kind, self.now))
        except UnicodeDecodeError:
            self._note(line, f"column {column.name!r} {NOT_UTF8}")
        except (ValueError, OverflowError, TypeError, pa.ArrowException, RecursionError) as error:
            expected = str(error) if type(error) is ValueError else "does not fit into its column"
            self._note(line, f"column {column.name!r}: {_shown(value)} {expected}")
        else:
            return False
        return True

    def _note(self, line: int, problem: str) -> None:
        self.problems.add(self.file, line, problem)

    def _unknown(self, line: int, name: str) -> None:
        near = difflib.get_close_matches(name, [*self.spec.column_names, *self._naturals], n=1, cutoff=0.5)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        self.problems.add(self.file, line, f"{self.spec.name} has no column {name!r}{hint}")

    def _check_natural(self, line: int, name: str, raw: msgspec.Raw) -> None:
        try:
            msgspec.json.decode(raw)
        except UnicodeDecodeError:
            self._note(line, f"column {name!r} {NOT_UTF8}")
        except REFUSALS as error:
            self._note(line, f"column {name!r}: {_shown(raw)} cannot be used ({_reason(error)})")
        for member in given_twice(bytes(raw), within=True):
            self._note(line, f"column {name!r}: {_shown(raw)} gives {member!r} twice")

    # -- columns ---------------------------------------------------------------------------------------------------

    def _cut_batch(self, line: int, columns: Block) -> pa.RecordBatch:
        """Rows, each a line from this one on, that give all columns."""
        rows = len(columns[0])
        lines = range(line, line + rows)
        arrays = [self._checked(column, lines, array) for column, array in zip(self.spec.columns, columns, strict=True)]
        noted = [pa.array(np.arange(line, line + rows)), pa.nulls(rows, pa.binary()), pa.nulls(rows, pa.string())]
        return pa.record_batch([*arrays, *noted], schema=read_schema(self.spec))

    def _batch(self, lines: Sequence[int], rows: Sequence[Any]) -> pa.RecordBatch | None:
        columns = [list(map(attrgetter(field), rows)) for field, _ in self._fields.values()]
        width = len(self.spec.columns)
        given = _given(columns[:width])
        arrays = [
            self._column(column, lines, values) for column, values in zip(self.spec.columns, columns, strict=False)
        ]
        if None in arrays or not self._are_corrected(lines, rows, columns[list(self._fields).index(UNREAD)]):
            return None
        parents = self._parents(columns[width : width + len(self._naturals)], lines)
        return pa.record_batch([*arrays, pa.array(lines, pa.int64()), given, parents], schema=read_schema(self.spec))

    def _are_corrected(self, lines: Sequence[int], rows: Sequence[Any], marks: Sequence[Any]) -> bool:
        """Whether no value is still what a row was rejected for: as a text it may be taken for one of its column."""
        if marks.count(_ABSENT) == len(marks):
            return True
        found = [
            (line, name, held)
            for line, row, unread in zip(lines, rows, marks, strict=True)
            for name, held in (unread.items() if isinstance(unread, dict) else ())
            if name in self._fields and _plain(getattr(row, self._fields[name][0])) == held
        ]
        for line, name, held in found:
            self._note(line, f"column {name!r}: {_shown(held)} is as it was rejected: correct it")
        return not found

    def _column(self, column: ColumnSpec, lines: Sequence[int], values: Sequence[Any]) -> pa.Array | None:
        present = [None if value is _ABSENT else value for value in values] if values.count(_ABSENT) else values
        if column.type.kind is Kind.ENUM:
            present = list(map(text_of_enum, present))
        try:
            if column.type.kind in RELATIVE_KINDS and Now in set(map(type, present)):
                present = [absolute(value, column.type.kind, self.now) for value in present]
            array = parse_column(column.type, present)
        except REFUSED:
            for line, value in zip(lines, present, strict=True):
                self._explain_value(line, column, value)
            return None
        return self._checked(column, lines, array, values)

    def _checked(
        self, column: ColumnSpec, lines: Sequence[int], array: pa.Array, values: Sequence[Any] | None = None
    ) -> pa.Array:
        """Values, of which what their column does not take is noted; without `values`, every row gives one."""
        self._check_nulls(column, lines, values, array)
        if column.type.kind is Kind.ENUM:
            array = self._enum_names(column, lines, array)
        self._check_length(column, lines, array)
        self._note_unstored(column, lines, array)
        return array

    def _check_nulls(
        self, column: ColumnSpec, lines: Sequence[int], values: Sequence[Any] | None, array: pa.Array
    ) -> None:
        if column.nullable or not array.null_count:
            return
        for row, is_null in enumerate(array.is_null().to_pylist()):
            if is_null and (values is None or values[row] is not _ABSENT):
                self.problems.add(self.file, lines[row], f"column {column.name!r} is null, which it may not be")

    def _check_length(self, column: ColumnSpec, lines: Sequence[int], array: pa.Array) -> None:
        longest = getattr(self.spec.table.c[column.name].type, "length", None)
        if longest is None or not pa.types.is_string(array.type) or column.type.kind not in (Kind.TEXT, Kind.ENUM):
            return
        lengths = pc.utf8_length(array)
        for row in pc.indices_nonzero(pc.fill_null(pc.greater(lengths, longest), False)).to_pylist():
            self.problems.add(
                self.file,
                lines[row],
                f"column {column.name!r}: {_shown(array[row].as_py())} has {lengths[row]} characters; {longest} fit",
            )

    def _note_unstored(self, column: ColumnSpec, lines: Sequence[int], array: pa.Array) -> None:
        found = unstored(self.spec.table.c[column.name].type, array)
        if found is not None and len(self.unstored) <= LIMIT:
            rows = pc.indices_nonzero(pc.fill_null(found, False)).to_pylist()
            self.unstored.extend((lines[row], column.name) for row in rows[: LIMIT + 1])

    def _enum_names(self, column: ColumnSpec, lines: Sequence[int], array: pa.Array) -> pa.Array:
        """Members of an enumeration by their stored names; `alchemy dump-data` writes their values."""
        names, by_value = members_of(self.spec.table.c[column.name].type)
        if not names or pc.all(pc.is_in(array, pa.array([*names, None], pa.string()))).as_py():
            return array
        result: list[str | None] = []
        for line, text in zip(lines, array.to_pylist(), strict=True):
            name = text if text is None or text in names else by_value.get(text)
            if name is None and text is not None:
                near = difflib.get_close_matches(text, names, n=1, cutoff=0.5)
                hint = f" (did you mean {near[0]!r}?)" if near else f" ({', '.join(names)})"
                self.problems.add(self.file, line, f"column {column.name!r}: {_shown(text)} is none of its names{hint}")
            result.append(name)
        return pa.array(result, pa.string())

    def _parents(self, columns: Sequence[Sequence[Any]], lines: Sequence[int]) -> pa.Array:
        rows = len(lines)
        if all(values.count(_ABSENT) == rows for values in columns):
            return pa.nulls(rows, pa.string())
        for name, values in zip(self._naturals, columns, strict=True):
            for line, raw in zip(lines, values, strict=True):
                if raw is not _ABSENT:
                    self._check_natural(line, name, raw)
        found = [
            {name: raw for name, raw in zip(self._naturals, values, strict=True) if raw is not _ABSENT}
            for values in zip(*columns, strict=True)
        ]
        texts = [msgspec.json.encode(each).decode("utf-8", "replace") if each else None for each in found]
        return pa.array(texts, pa.string())


def _given(columns: Sequence[Sequence[Any]]) -> pa.Array:
    """Which columns each row gives, one byte each; NULL for rows that give all."""
    rows = len(columns[0])
    if not any(values.count(_ABSENT) for values in columns):
        return pa.nulls(rows, pa.binary())
    whole = b"\x01" * len(columns)
    masks = (bytes([value is not _ABSENT for value in row]) for row in zip(*columns, strict=True))
    return pa.array([None if mask == whole else mask for mask in masks], pa.binary())


def _plain(value: Any) -> Any:
    return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value


def _shown(value: Any) -> str:
    if isinstance(value, Now):
        value = msgspec.Raw(msgspec.json.encode(value))
    if isinstance(value, msgspec.Raw):
        return shortened(bytes(value).decode("utf-8", "replace"))
    return shortened(repr(value))


def _reason(error: Exception) -> str:
    return str(error).partition(" - at")[0] or type(error).__name__
