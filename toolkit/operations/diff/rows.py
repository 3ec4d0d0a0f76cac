"""Rows as they are shown: a source's beside a target's, in the models' names, with personal data masked."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
from msgspec import field

from toolkit.core.batches import BATCH_ROWS
from toolkit.core.json_columns import format_column
from toolkit.core.personal_names import personal_by_name
from toolkit.core.plan import MASKED, MASKED_BY_MODEL, TransferWarning
from toolkit.core.row_diff import MASK, RowDiff
from toolkit.models.personal_data import personal_columns
from toolkit.operations.diff.keyless import surplus_rows

if TYPE_CHECKING:
    from toolkit.core.changes import Changes
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Connection
    from toolkit.operations.project import Project
    from toolkit.operations.transfer.sources import RowSource, Source, SourceTables


KIND_FIELD = "toolkit_kind"
"""Beside keys, whose columns may have any other name."""


def with_kind(keys: pa.Table, kind: str) -> pa.Table:
    """Keys of rows that are all `added`, `changed` or `removed`, with that word beside each."""
    return keys.append_column(KIND_FIELD, pa.array([kind] * keys.num_rows, pa.string()))


class Masking(msgspec.Struct, frozen=True):
    """Which columns are masked, by table, in the models' names; `hidden` are those of which a value was."""

    columns: Mapping[str, Collection[str]]
    is_by_name: bool
    hidden: dict[tuple[str, str], None] = field(default_factory=dict)

    @classmethod
    def of(cls, project: Project, *, show_pii: bool) -> Masking:
        """What a project's models say; without models, what the names of the columns do."""
        personal = personal_by_name if project.is_reflected else personal_columns
        return cls({} if show_pii else personal(project.metadata), project.is_reflected)

    @property
    def warnings(self) -> tuple[TransferWarning, ...]:
        """Which columns were masked in what was shown so far, and why."""
        outcome, why = (
            (MASKED, "It looks personal by its name, which is all that is known of it")
            if self.is_by_name
            else (MASKED_BY_MODEL, "The model says that it holds personal data")
        )
        reason = f"{why}; --show-pii shows its values."
        return tuple(TransferWarning(outcome, table, reason, column) for table, column in self.hidden)


class ShownRows(msgspec.Struct, frozen=True):
    """Rows of a `source` and a `target`, None while it has no tables; `names` has the models' names of the tables."""

    source: Source
    target: Connection | None
    names: SourceTables
    masking: Masking

    def keyed(self, spec: TableSpec, part: pa.Table) -> Iterator[RowDiff]:
        """The rows with these keys, each with what it is beside it (`with_kind`); they are held together."""
        keys = part.select(list(spec.key)).combine_chunks()
        whole = replace(spec, conditions=())
        assert self.target is not None, "what differs is in both"
        sides: Sequence[Source] = (self.source, self.target)
        new, old = (_texts_by_key(side.repository(whole), spec, keys) for side in sides)
        own, (names, masked) = self.names.own(spec), self._told_names(spec)
        shown = (row for batch in keys.to_batches() for row in _texts(spec, spec.key, batch))
        for key, kind in zip(shown, part.column(KIND_FIELD).to_pylist(), strict=True):
            before, after = (side.get(key, {}) for side in (old, new))
            differing = [n for n in spec.column_names if n not in spec.key and before.get(n) != after.get(n)]
            self._hide(own.name, (names[n] for n in (*spec.key, *differing) if n in masked))
            yield RowDiff(
                own.name,
                kind,
                {names[name]: _value(text, name in masked) for name, text in zip(spec.key, key, strict=True)},
                {names[n]: (_value(before.get(n), n in masked), _value(after.get(n), n in masked)) for n in differing},
            )

    def surplus(self, spec: TableSpec, changes: Changes) -> Iterator[RowDiff]:
        """The rows that one side has more often, of a table without a key, whole: the source's first."""
        assert changes.removed is not None
        assert self.target is not None, "what differs is in both"
        for row in surplus_rows(spec, self.source.repository(spec), changes.new):
            yield self._whole(spec, "added", row)
        for row in surplus_rows(spec, self.target.repository(spec), changes.removed):
            yield self._whole(spec, "removed", row)

    def first(self, spec: TableSpec, rows: int) -> Iterator[RowDiff]:
        """The first rows of the source, whole, for a table that the target has no row of."""
        left = rows
        for batch in self.source.repository(spec).read(rows):
            for texts in _texts(spec, spec.column_names, batch.slice(0, left)):
                yield self._whole(spec, "added", dict(zip(spec.column_names, texts, strict=True)))
            left -= batch.num_rows
            if left <= 0:
                return

    def _whole(self, spec: TableSpec, kind: str, row: Mapping[str, str]) -> RowDiff:
        own, (names, masked) = self.names.own(spec), self._told_names(spec)
        values = {names[n]: _value(text, n in masked) for n, text in row.items()}
        self._hide(own.name, (names[n] for n in row if n in masked))
        key = {names[n]: values.pop(names[n]) for n in spec.key}
        sides = {name: (None, value) if kind == "added" else (value, None) for name, value in values.items()}
        return RowDiff(own.name, kind, key, sides)

    def _told_names(self, spec: TableSpec) -> tuple[dict[str, str], set[str]]:
        """The models' names of the columns, and which of the columns are masked."""
        own = self.names.own(spec)
        names = dict(zip(spec.column_names, own.column_names, strict=True))
        hidden = self.masking.columns.get(own.name, ())
        return names, {name for name in spec.column_names if names[name] in hidden}

    def _hide(self, table: str, columns: Iterator[str]) -> None:
        self.masking.hidden.update(dict.fromkeys((table, column) for column in columns))


def _texts_by_key(side: RowSource, spec: TableSpec, keys: pa.Table) -> dict[tuple[str, ...], dict[str, str]]:
    """The JSON texts of the rows with these keys by column, by the texts of their keys."""
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for batch in side.read(BATCH_ROWS, keys=keys):
        rows = (dict(zip(spec.column_names, row, strict=True)) for row in _texts(spec, spec.column_names, batch))
        found |= dict(zip(_texts(spec, spec.key, batch), rows, strict=True))
    return found


def _texts(spec: TableSpec, names: Sequence[str], batch: pa.RecordBatch) -> Iterator[tuple[str, ...]]:
    """These columns of each row as JSON text."""
    columns = [format_column(spec.column(name).type, batch.column(name)).to_pylist() for name in names]
    return zip(*columns, strict=True)


def _value(text: str | None, masked: bool) -> Any:
    if text is None or masked:
        return text and MASK
    try:
        return msgspec.json.decode(text)
    except (ValueError, RecursionError):
        # A document that Python has no value for: an integer of thousands of digits, 1e400, a thousand levels.
        return text
