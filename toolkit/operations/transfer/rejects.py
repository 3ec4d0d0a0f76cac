"""`sync --rejects DIR`: rows that cannot be written, and those that depend on them, are left out and put into files.

The files are fixtures: when their rows are corrected, `load-data` takes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct, field

from toolkit.core.batches import BATCH_ROWS
from toolkit.core.digest import DIGEST_FIELD, TableDigest, digest_batches, digest_schema, keyed_digests, row_digests
from toolkit.core.json_columns import format_column
from toolkit.core.plan import TableRejects, TransferWarning
from toolkit.core.streams import only, without
from toolkit.core.values import python_scalar
from toolkit.errors import ConfigurationError
from toolkit.operations.transfer.sources import SiftedRows
from toolkit.stores.directories import directory_at
from toolkit.stores.fixture_files import REJECTED, UNREAD, FileForm, Format, file_name, table_of

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.core.progress import Progress
    from toolkit.core.renames import Renames
    from toolkit.core.sifted import BadRow, BadValue
    from toolkit.core.tables import TableSpec
    from toolkit.operations.transfer.sources import RowSource, Source
    from toolkit.stores.directories import Directory

Key = tuple[Any, ...]


class RejectedRows(Struct):
    """Those of one table: their keys, as far as these can be read, and the lines of their file.

    The file has the models' names, which `names` has by those of the target, if it has others.
    """

    spec: TableSpec
    names: Renames | None = None
    keys: dict[Key, None] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    _unique: dict[tuple[str, ...], set[Key]] = field(default_factory=dict)
    is_unread: bool = False
    """Whether some cannot be read as they are."""
    has_unread_keys: bool = False
    """Whether that is so of a key: nobody knows which rows of a target they are."""

    @property
    def key_table(self) -> pa.Table:
        """The keys, or the digests of the rows of a table without one."""
        schema = self.spec.key_schema if self.spec.key else digest_schema(self.spec)
        columns = zip(*self.keys, strict=True) if self.keys else [()] * len(schema)
        arrays = [pa.array(values, each.type) for values, each in zip(columns, schema, strict=True)]
        return pa.table(arrays, schema=schema)

    @property
    def file(self) -> str:
        """The name of the file."""
        return file_name(self.table, FileForm(Format.JSONL))

    @property
    def table(self) -> str:
        """The models' name of the table."""
        return self.spec.name if self.names is None else self.names.models_table(self.spec.name)

    def column(self, name: str) -> str:
        """The models' name of a column."""
        return name if self.names is None else self.names.models_column(self.table, name)

    def add_unread(self, row: BadRow) -> None:
        """Reject a row with values that cannot be read."""
        self.is_unread = True
        if self.spec.key and all(name in row.cells for name in self.spec.key):
            self.keys[tuple(row.cells[name][0].as_py() for name in self.spec.key)] = None
        else:
            self.has_unread_keys = True
        unread = {value.column: plain(value.whole) for value in row.values}
        self._write(row.cells, unread, self.reason(row.values))

    def add(self, batch: pa.RecordBatch, row: int, reason: str) -> None:
        """Reject a row that was read."""
        named = batch if self.spec.key else keyed_digests(self.spec, batch.slice(row, 1))
        place, names = (row, self.spec.key) if self.spec.key else (0, (DIGEST_FIELD,))
        self.keys[tuple(named.column(name)[place].as_py() for name in names)] = None
        self._write({name: batch.column(name).slice(row, 1) for name in batch.schema.names}, {}, reason)

    def reason(self, values: Iterable[BadValue]) -> str:
        """What is wrong with a row."""
        return "; ".join(f"column {self.column(value.column)!r} {value.problem}" for value in values)

    def values(self, columns: Sequence[str]) -> set[Key]:
        """The values of columns that are unique together, as far as they can be read, in the order of the columns."""
        names = tuple(sorted(columns))
        places = [names.index(name) for name in columns]
        return {tuple(value[place] for place in places) for value in self._unique.get(names, ())}

    def _write(self, cells: Mapping[str, pa.Array], unread: dict[str, Any], reason: str) -> None:
        for names in {tuple(sorted(names)) for names in (self.spec.key, *self.spec.unique_keys)}:
            if set(names) <= cells.keys():
                self._unique.setdefault(names, set()).add(tuple(cells[name][0].as_py() for name in names))
        members = {}
        for column in self.spec.columns:
            if column.name not in unread:
                try:
                    members[self.column(column.name)] = str(format_column(column.type, cells[column.name])[0])
                    continue
                except ValueError:
                    unread[column.name] = plain(python_scalar(cells[column.name][0]))
            members[self.column(column.name)] = json.dumps(unread[column.name])
        members[REJECTED] = json.dumps(reason)
        if unread:
            members[UNREAD] = json.dumps({self.column(name): value for name, value in unread.items()})
        self.lines.append(f"{{{','.join(f'{json.dumps(name)}:{text}' for name, text in members.items())}}}")


class Rejects(Struct):
    """The rows that are left out, by table, and the directory where they are put."""

    directory: Directory
    names: Renames | None = None
    tables: dict[str, RejectedRows] = field(default_factory=dict)
    is_searched: bool = False
    """Whether all rows were looked through for values that do not fit."""

    @classmethod
    def into(cls, directory: Path | str, names: Renames | None, others: Mapping[str, object]) -> Rejects:
        """None so far, to be put into a directory; `others` are the values of options that need every row.

        Raises:
            ConfigurationError: something is in the directory; or one of these options is given.
        """
        for name, value in others.items():
            if value:
                raise ConfigurationError(
                    f"Rows cannot be rejected in a sync with {name}: it would depend on rows that are left out.",
                    f'Correct such rows, or leave them out: --where-source "TABLE:CONDITION" goes with --{name}.',
                )
        found = cls(directory_at(directory), names)
        found.require_empty()
        return found

    def require_empty(self) -> None:
        """See that nothing is in the directory that somebody may be about to correct.

        Raises:
            ConfigurationError: there is.
        """
        there = sorted(name for name in self.directory.files() if table_of(name) is not None)
        if there:
            raise ConfigurationError(
                f"{self.directory.name} holds {there[0]} already, which may be of an earlier sync.",
                "Load it, or move it away; or name another directory: --rejects DIR.",
            )

    def of(self, spec: TableSpec) -> RejectedRows:
        """Those of a table, to be added to."""
        return self.tables.setdefault(spec.name, RejectedRows(spec, self.names))

    def __len__(self) -> int:
        return sum(len(each.lines) for each in self.tables.values())

    @property
    def counts(self) -> tuple[TableRejects, ...]:
        """How many there are of each table that has any."""
        return tuple(
            TableRejects(each.table, len(each.lines), f"{self.directory.name}/{each.file}")
            for each in self.tables.values()
            if each.lines
        )

    @property
    def concerned(self) -> frozenset[str]:
        """The tables with such rows, by the target's names."""
        return frozenset(name for name, each in self.tables.items() if each.lines)

    @property
    def keys(self) -> dict[str, pa.Table]:
        """Their keys, or without one their digests, by the models' name of the table and of each column."""
        return {
            each.table: each.key_table.rename_columns([each.column(name) for name in each.spec.key])
            if each.spec.key
            else each.key_table
            for each in self.tables.values()
        }

    def put(self) -> None:
        """Write the files, each of them whole."""
        for each in self.tables.values():
            if each.lines:
                with self.directory.create(each.file) as file:
                    file.write("".join(f"{line}\n" for line in each.lines).encode())

    def untried(self, target: str, progress: Progress) -> TransferWarning:
        """Tell which rows a dry run does not know of."""
        reason = (
            f"Rows that only a constraint or a trigger of {target} would refuse are not counted as rejected: a dry run "
            "writes none to find out."
        )
        progress.note(reason)
        return TransferWarning("not tried", "", reason, database=target)

    def discard(self) -> None:
        """Remove them: nothing was synced without these rows."""
        for each in self.tables.values():
            self.directory.remove(each.file)

    def kept(self, spec: TableSpec, removals: pa.Table) -> pa.Table:
        """Those of these keys of a target that no row has that was rejected, as far as anybody knows."""
        found = self.tables.get(spec.name)
        if found is None or not found.lines:
            return removals
        if found.has_unread_keys:
            return removals.slice(0, 0)
        return pa.Table.from_batches(without(removals.to_batches(), found.key_table), removals.schema)


def plain(value: Any) -> Any:
    """A stored value as JSON has it, as the database shows it where JSON has none."""
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    if isinstance(value, str):
        return value.encode(errors="surrogateescape").decode(errors="backslashreplace")
    return value if value is None or type(value) in (bool, int) else str(value)


class WithoutRejected(Struct, frozen=True):
    """A source without the rows that are left out."""

    source: Source
    rejects: Rejects

    def repository(self, spec: TableSpec) -> RowSource:
        """One table's rows."""
        rows, rejected = self.source.repository(spec), self.rejects.tables.get(spec.name)
        return rows if rejected is None or not rejected.lines else KeptRows(spec, rows, rejected)


class KeptRows(Struct, frozen=True, dict=True):
    """Rows of a table without those that are rejected."""

    spec: TableSpec
    rows: RowSource
    rejected: RejectedRows

    def count(self) -> int:
        """Number of rows."""
        if self.spec.conditions != self.rejected.spec.conditions:
            return sum(batch.num_rows for batch in self.read(BATCH_ROWS))
        return self.rows.count() - len(self.rejected.lines)

    def read(self, batch_rows: int, keys: pa.Table | None = None) -> Iterator[pa.RecordBatch]:
        """The rows, or those with these keys."""
        if self.rejected.is_unread and isinstance(self.rows, SiftedRows):
            batches: Iterable[pa.RecordBatch] = (sifted.batch for sifted in self.rows.sifted())
            found = batches if keys is None else only(batches, keys)
        else:
            found = self.rows.read(batch_rows, keys)
        kept = without(found, self._keys) if self.spec.key else map(self._without_equal, found)
        return (batch for batch in kept if batch.num_rows)

    def _without_equal(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows of a table without a key that are equal to none that is rejected."""
        rejected = self._keys.column(DIGEST_FIELD).combine_chunks()
        return batch.filter(pc.invert(pc.is_in(row_digests(self.spec, batch), rejected)))

    def row_digests(self) -> Iterator[pa.RecordBatch]:
        """Key columns and digest of every row."""
        return (keyed_digests(self.spec, batch) for batch in self.read(BATCH_ROWS))

    def digest(self) -> TableDigest:
        """The digest of all rows."""
        return digest_batches(self.spec, self.read(BATCH_ROWS))

    @cached_property
    def _keys(self) -> pa.Table:
        return self.rejected.key_table
