"""One table of a lake: read by the calculator from its files, written into new ones."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.compute.segments import SegmentTotals, segment_numbers
from toolkit.core.digest import DIGEST_FIELD, TableDigest
from toolkit.core.streams import read_ahead
from toolkit.engines.contract import PART_BYTES, Part
from toolkit.engines.delta import receipts
from toolkit.engines.delta.checks import require_kept, require_unique
from toolkit.engines.delta.parts import cut, is_all, view_of
from toolkit.engines.delta.rewriting import NUMBER, Rewriting, stage_keys, stage_rows
from toolkit.engines.delta.session import session_of
from toolkit.engines.delta.tables import LakeTable, quoted
from toolkit.engines.duckdb.streaming import INCOMING
from toolkit.engines.duckdb.table import DuckDBRepository
from toolkit.errors import ConditionError, UnnamedRowError

if TYPE_CHECKING:
    from toolkit.core.tables import TableSpec
    from toolkit.engines.delta.files import DataFile
    from toolkit.engines.duckdb.session import DuckDBSession

_BEFORE = "toolkit_before"
# A condition that names the table by its schema would see the definition, which has no rows.
_BY_SCHEMA = re.compile(r"\b(main|memory|temp)\"?\s*\.", re.IGNORECASE)


class LakeRepository(DuckDBRepository):
    """One table of a lake."""

    def __init__(self, connection: DuckDBSession, spec: TableSpec, reads: str | None = None) -> None:
        super().__init__(connection, spec)
        self._reads = reads

    @property
    def lake(self) -> LakeTable:
        """The table's files, and what is known of them."""
        return session_of(self.connection.sqlalchemy).table(self.table.name)

    @property
    def name(self) -> str:
        """What the rows are read from, quoted."""
        return super().name if self._reads is None else self._reads

    @property
    def into(self) -> str:
        """Where rows pass all constraints, on their way into files."""
        return self.lake.definition

    def parts(self, size: int = PART_BYTES) -> Sequence[Part]:
        """The table in groups of its files, as they are now."""
        return cut(self.lake, size)

    def covers(self, parts: Sequence[Part]) -> bool:
        """Whether these are of the files that it has now."""
        return is_all(self.lake, parts)

    def part(self, part: Part) -> LakePart:
        """The rows of some files."""
        return LakePart(self.connection, self.spec, part)

    # -- reading ---------------------------------------------------------------------------------------------------

    def count(self) -> int:
        """Number of rows, which the log tells."""
        known = self.lake.rows if self.spec.where is None and self._reads is None else None
        return super().count() if known is None else known

    def is_empty(self) -> bool:
        """Whether there is no row at all."""
        known = self.lake.rows
        return super().is_empty() if known is None else not known

    def read_committed(self) -> Iterator[pa.RecordBatch]:
        """The rows as they were before this transaction wrote any."""
        lake = self.lake
        if not lake.is_changed:
            yield from self.read()
            return
        stored = lake.stored_view(self.connection.raw, lake.base.files if lake.base else (), _BEFORE)
        typed = f"(SELECT {lake.typed_fields()} FROM {stored})"
        yield from LakeRepository(self.connection, self.spec, typed).read()

    def source(self, name: str) -> str:
        """What a query reads from; also what the conditions are about has to be there."""
        if self.spec.where is not None:
            session_of(self.connection.sqlalchemy).use_mentioned(self.spec.where, ())
        return super().source(name)

    def _check_condition(self, condition: str) -> None:
        if _BY_SCHEMA.search(condition):
            reason = "the tables of a lake lie in no schema"
            names = [column.name for column in self.table.columns]
            raise ConditionError(self.connection.name, self.spec.name, condition, reason, names)
        super()._check_condition(condition)

    # -- digests ---------------------------------------------------------------------------------------------------

    def digest(self, keys: pa.Table | None = None) -> TableDigest:
        """The digest of all rows, or of those with these keys; of a version that a commit tells it of, as it says."""
        if keys is not None or self.spec.where is not None:
            return super().digest(keys)
        return self.kept_digest() or self._totals().digest

    def segment_totals(self, count: int) -> SegmentTotals:
        """The rows and digests of so many segments; of a version whose commit tells them, without reading a row."""
        return receipts.fewer(self._totals(), count)

    def digests_within(self, count: int, segments: Collection[int]) -> Iterator[pa.RecordBatch]:
        """Key columns and digest of the rows in these segments of so many."""
        if not segments:
            return
        wanted = pa.array(sorted(segments), pa.int32())
        for batch in self.row_digests():
            numbers = pa.array(segment_numbers(batch.column(DIGEST_FIELD), count))
            yield batch.filter(pc.is_in(numbers, value_set=wanted))

    def kept_totals(self, count: int) -> SegmentTotals | None:
        """What is kept beside the rows of the totals of so many segments, if nobody has changed them since."""
        lake, digest = self.lake, self.kept_digest()
        if digest is None or lake.base is None:
            return None
        found = receipts.known_totals(lake.storage, lake.base.receipt, self.spec)
        return None if found is None else receipts.fewer(found, count)

    def kept_digest(self) -> TableDigest | None:
        """What the last commit tells of the rows, if nobody has changed them since."""
        lake = self.lake
        if self.spec.where is not None or self._reads is not None or lake.is_changed or lake.base is None:
            return None
        known = receipts.known_digest(lake.base.receipt, self.spec)
        return known if known is not None and known.rows == lake.rows else None

    def _totals(self) -> SegmentTotals:
        lake, spec = self.lake, self.spec
        if spec.where is None and lake.totals is not None and self._is_known():
            return lake.totals
        found = self.kept_totals(receipts.SEGMENTS)
        if found is None:
            with read_ahead(self.read()) as batches:
                found = receipts.totals_of(spec, batches)
        if spec.where is None:
            lake.totals, lake.spec = found, spec
        return found

    def _is_known(self) -> bool:
        spec = self.lake.spec
        return spec is not None and receipts.fingerprint(spec) == receipts.fingerprint(self.spec)

    def told_totals(self) -> SegmentTotals:
        """The totals of the rows as they are stored, to be told with the commit."""
        return self._totals()

    def unique_sets(self) -> list[tuple[str, ...]]:
        """The columns that have no value twice, together: the key's, and those of unique constraints and indexes."""
        facts = self.connection.facts(self.spec)
        return [] if facts is None else [tuple(sorted(key)) for key in facts.keys]

    # -- writing ---------------------------------------------------------------------------------------------------

    def load(self, batches: Iterable[pa.RecordBatch], rows: int) -> int:
        """Fill an empty table: rows in any number go straight into files, and are checked there."""
        if rows < self.row_group or not self._goes_straight():
            return self.upsert_many(batches)
        written = self._written(batches)
        self._changed(None)
        require_kept(self, self.lake, self.unique_sets())
        return written

    def _goes_straight(self) -> bool:
        types = [self.stored_type(c.name) for c in self.spec.columns]
        is_whole = {*self.spec.column_names} == {*self.lake.types}
        return is_whole and not any(each.is_free_decimal for each in types)

    def write_files(self, batches: Iterable[pa.RecordBatch]) -> list[DataFile]:
        """Write the rows of a part of an empty table; keys are checked when all parts are there, by `fill`."""
        if self._goes_straight():
            self._written(batches)
        else:
            self.upsert_many(batches)
        return self.lake.files

    def fill(self, files: Sequence[DataFile], totals: SegmentTotals) -> None:
        """Let these files be the rows of an empty table, of which others have read these totals.

        Raises:
            UnnamedRowError: a row breaks a constraint, or two have one key.
        """
        self.lake.files = list(files)
        self._changed(totals)
        require_kept(self, self.lake, self.unique_sets())

    def _written(self, batches: Iterable[pa.RecordBatch]) -> int:
        lake, types = self.lake, self._types()
        places = {c.name: i for i, c in enumerate(self.spec.columns)}
        typed = ", ".join(
            f"{self._adapter(self.spec.column(name)).write(f'c{places[name]}', types[name])} AS {quoted(name)}"
            for name in lake.types
        )
        with self._streaming(batches) as count:
            stored = self.connection.raw.sql(f"SELECT {lake.stored_fields()} FROM (SELECT {typed} FROM {INCOMING})")
            try:
                lake.files = [*lake.files, *lake.write(stored.to_arrow_reader(BATCH))]
            except pa.ArrowInvalid as error:
                if "non-nullable" not in str(error):
                    raise
                raise UnnamedRowError(self.connection.name, str(error)) from error
        return count[0]

    def upsert_many(self, batches: Iterable[pa.RecordBatch]) -> int:
        """Insert or update rows: of the files, those that hold one of their keys are written anew."""
        written = super().upsert_many(batches)
        if written:
            self._merge()
        return written

    def _step_aside(self, batch: pa.Table, names: Iterable[str]) -> None:
        """Nothing: rows are written anew as a whole, which no equal value keeps from being."""

    def update_many(self, rows: pa.Table) -> int:
        """Give rows that are there other values in some columns."""
        types, number = self._types(), len(self.spec.key)
        others = [name for name in rows.column_names if name not in self.spec.key]
        new = {
            name: self._adapter(self.spec.column(name)).write(f"k.k{i}", types[name])
            for i, name in enumerate(others, number)
        }
        names = [*self.spec.key, *others]
        fields = ", ".join(new.get(name, f"t.{quoted(name)}") for name in self.lake.types)
        with self.connection.translated(), self._incoming_keys(rows.select(names), number) as join:
            found = self.connection.raw.execute(f"INSERT INTO {self.into} SELECT {fields} FROM {self.name} AS t{join}")
            ((updated,),) = found.fetchall()
        if updated:
            self._merge(self.lake.types)
        return int(updated)

    def delete_many(self, keys: pa.Table) -> int:
        """Delete the rows with these keys; the number that were there."""
        types = self._types()
        values = [
            self._adapter(self.spec.column(name)).write(f"k.k{i}", types[name])
            for i, name in enumerate(keys.column_names)
        ]
        with self.connection.translated(), self._incoming_keys(keys):
            stage_keys(self.connection.raw, self.lake, keys.column_names, values, f"{INCOMING} AS k")
        return self._rewrite(keys.column_names)

    def delete_all(self) -> int:
        """Delete all rows that meet the conditions that narrow the table; their number."""
        lake, rows = self.lake, self.count()
        if self.spec.where is None:
            lake.files = []
        else:
            kept = f"{quoted(self.table.name)} WHERE NOT coalesce(({self.spec.where}), false)"
            with self.connection.translated():
                stored = self.connection.raw.sql(f"SELECT {lake.stored_fields()} FROM {kept}")
                lake.files = lake.write(stored.to_arrow_reader(BATCH))
        self._changed(None)
        return rows

    def compare_and_set(self, column: str, keys: pa.Table, held: Sequence[str | None], values: pa.Array) -> list[bool]:
        """Give one column of the rows with these keys new values, each only if it still holds that text; which took."""
        narrow = self.spec.project([*self.spec.key, column])
        own = pa.Table.from_batches(LakeRepository(self.connection, narrow).read(keys=keys), narrow.schema)
        there = dict(zip(_rows(own.select(keys.column_names)), own.column(column).to_pylist(), strict=True))
        took = [key in there and there[key] == old for key, old in zip(_rows(keys), held, strict=True)]
        taken = keys.append_column(column, values).filter(pa.array(took))
        if taken.num_rows:
            self.update_many(taken)
        return took

    def rewritten(self, keys: pa.Table) -> tuple[int, int]:
        """How many files, and how many bytes, an upsert of rows with these keys writes anew."""
        types = self._types()
        values = [
            self._adapter(self.spec.column(name)).write(f"k.k{i}", types[name]) for i, name in enumerate(self.spec.key)
        ]
        with self.connection.translated(), self._incoming_keys(keys.select(list(self.spec.key))):
            stage_keys(self.connection.raw, self.lake, self.spec.key, values, f"{INCOMING} AS k")
            hit = Rewriting(self.connection.raw, self.lake, self.spec.key).hit()
        return len(hit), sum(each.size for each in hit)

    def hits(self, keys: pa.Table) -> list[tuple[DataFile, np.ndarray]]:
        """The files that hold a row with one of these keys, and which of the keys."""
        raw, lake, names, types = self.connection.raw, self.lake, self.spec.key, self._types()
        numbered = self._outgoing(keys.select(list(names))).rename_columns([f"k{i}" for i in range(len(names))])
        values = [self._adapter(self.spec.column(name)).write(f"k.k{i}", types[name]) for i, name in enumerate(names)]
        with self.connection.translated():
            raw.register(INCOMING, numbered.append_column(NUMBER, pa.array(range(keys.num_rows), pa.int64())))
            try:
                stage_keys(raw, lake, names, values, f"{INCOMING} AS k", NUMBER)
            finally:
                raw.unregister(INCOMING)
            rewriting = Rewriting(raw, lake, names)
            found = [(file, rewriting.numbers(file)) for file in rewriting.candidates()]
        return [(file, numbers) for file, numbers in found if len(numbers)]

    def merge(self, files: Sequence[DataFile], totals: SegmentTotals) -> None:
        """Let these files be the rows, of which others have counted these totals, and checked all but what is unique.

        Raises:
            UniqueConflictError: two rows have one unique value.
        """
        self.lake.files = list(files)
        self._changed(totals)
        require_unique(self, self.lake, [key for key in self.unique_sets() if {*key} != {*self.spec.key}])

    def advance_sequences(self, at_least: Mapping[str, int] | None = None) -> None:
        """A lake gives out no numbers."""

    def advance_statements(self, at_least: Mapping[str, int] | None = None) -> list[str]:
        """There are none."""
        return []

    def _merge(self, names: Iterable[str] | None = None) -> None:
        """Take the rows that have passed the constraints into files."""
        with self.connection.translated():
            stage_rows(self.connection.raw, self.lake)
        self._rewrite(self.spec.key, tuple(names or self.spec.column_names))
        require_kept(self, self.lake, self.unique_sets(), staged=True)

    def _rewrite(self, key: Sequence[str], names: tuple[str, ...] = ()) -> int:
        """Put the staged rows into files, or take those with the staged keys out of them; how many were there."""
        is_counted = self._is_counted()
        rewriting = Rewriting(self.connection.raw, self.lake, key, names)
        with self.connection.translated():
            found = rewriting.run(self._part_totals if is_counted else None)
        self._changed(rewriting.totals)
        return found

    def _is_counted(self) -> bool:
        """Whether the totals are known, so that they can be known of what follows, too."""
        lake = self.lake
        if lake.totals is not None and self._is_known():
            return True
        if lake.is_changed or lake.base is None:
            return False
        spec = receipts.whole(self.spec)
        lake.totals, lake.spec = receipts.known_totals(lake.storage, lake.base.receipt, spec), spec
        return lake.totals is not None

    def _part_totals(self, rows: str) -> SegmentTotals:
        """The totals of typed rows, by a query in brackets."""
        spec = receipts.whole(self.spec)
        return receipts.totals_of(spec, LakeRepository(self.connection, spec, rows).read())

    def _changed(self, totals: SegmentTotals | None) -> None:
        lake = self.lake
        lake.totals, lake.spec = totals, receipts.whole(self.spec)
        with self.connection.translated():
            lake.show(self.connection.raw)


BATCH = 8_192


def _rows(table: pa.Table) -> list[tuple[Any, ...]]:
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


class LakePart(LakeRepository):
    """The rows of some files of a table, of which no commit tells anything."""

    def __init__(self, connection: DuckDBSession, spec: TableSpec, part: Part) -> None:
        super().__init__(connection, spec)
        self._reads = view_of(self.lake, connection.raw, part)

    def digest(self, keys: pa.Table | None = None) -> TableDigest:
        """The digest of these rows, or of those with these keys."""
        return DuckDBRepository.digest(self, keys)

    def segment_totals(self, count: int) -> SegmentTotals:
        """The rows and digests of so many segments."""
        with read_ahead(self.read()) as batches:
            return receipts.fewer(receipts.totals_of(self.spec, batches), count)
