"""Upserts and deletes: only files that hold one of the keys are written anew, and what they keep is compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.compute.segments import SegmentTotals
from toolkit.engines.delta.files import DataFile
from toolkit.engines.delta.receipts import SEGMENTS, changed
from toolkit.engines.delta.tables import PART, LakeTable, quoted
from toolkit.errors import VerificationError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

STAGED = "toolkit_staged"
NUMBER = "toolkit_number"
"""What numbers staged keys, where they are to be told by their places."""
_NEW = "toolkit_new"
_ROWS = 8_192


def stage_rows(raw: DuckDBPyConnection, lake: LakeTable) -> None:
    """Take the rows that have passed the constraints, as they are stored, and leave none behind."""
    raw.execute(f"CREATE OR REPLACE TEMP TABLE {STAGED} AS SELECT {lake.stored_fields()} FROM {lake.definition}")
    raw.execute(f"DELETE FROM {lake.definition}")


def stage_keys(
    raw: DuckDBPyConnection, lake: LakeTable, names: Sequence[str], values: Sequence[str], source: str, *more: str
) -> None:
    """Take keys, by the expressions of their values, as they are stored; and `more` of their source's columns."""
    typed = ", ".join([*(f"{value} AS {quoted(name)}" for name, value in zip(names, values, strict=True)), *more])
    stored = ", ".join([*(f"{lake.forms[name].stored(quoted(name))} AS {quoted(name)}" for name in names), *more])
    raw.execute(
        f"CREATE OR REPLACE TEMP TABLE {STAGED} AS SELECT DISTINCT {stored} FROM (SELECT {typed} FROM {source})"
    )


class Rewriting:
    """Puts what is staged into a table's files: rows, of which `names` are given; or, without these, deletes keys."""

    def __init__(
        self, raw: DuckDBPyConnection, lake: LakeTable, key: Sequence[str], names: tuple[str, ...] = ()
    ) -> None:
        self._raw, self._lake, self._key, self._names = raw, lake, key, names
        self.totals: SegmentTotals | None = None
        """Those of the table afterwards, if they were asked for."""

    def hit(self) -> list[DataFile]:
        """The files that hold a staged key; of each file that may, its keys are read."""
        return [each for each in self.candidates() if self._hits(each)] if self._key else []

    def candidates(self) -> list[DataFile]:
        """The files that may hold a staged key, by what is known of them."""
        first = self._key[0]
        ((lowest, highest),) = self._asked(f"SELECT min({quoted(first)}), max({quoted(first)}) FROM {STAGED}")
        return [each for each in self._lake.files if each.may_hold(first, lowest, highest)]

    def numbers(self, file: DataFile) -> np.ndarray:
        """Which of the staged keys, by their numbers, a file holds."""
        part = self._lake.stored_view(self._raw, [file], PART)
        found = self._raw.sql(f"SELECT s.{NUMBER} FROM {STAGED} AS s SEMI JOIN {part} AS f ON {self._match}")
        return np.sort(found.to_arrow_table().column(0).to_numpy())

    def _hits(self, file: DataFile) -> bool:
        part = self._lake.stored_view(self._raw, [file], PART)
        return bool(self._asked(f"SELECT 1 FROM {part} AS f SEMI JOIN {STAGED} AS s ON {self._match} LIMIT 1"))

    def run(self, totals_of: Callable[[str], SegmentTotals] | None) -> int:
        """Write new files in place of those; how many of the rows were there."""
        lake, found, counted = self._lake, 0, 0
        hit = {each.path for each in self.hit()}
        gone, come = SegmentTotals.empty(SEGMENTS), SegmentTotals.empty(SEGMENTS)
        files: list[DataFile] = []
        for file in lake.files:
            if file.path not in hit:
                files.append(file)
                continue
            new, there = self._rewritten(file)
            found += there
            if totals_of is not None:
                gone = changed(gone, SegmentTotals.empty(SEGMENTS), totals_of(self._typed([file])))
                come = changed(come, SegmentTotals.empty(SEGMENTS), totals_of(self._typed(new))) if new else come
            files += new
        inserted = self._inserted([each for each in lake.files if each.path in hit]) if self._names else []
        if totals_of is not None and lake.totals is not None:
            come = changed(come, SegmentTotals.empty(SEGMENTS), totals_of(self._typed(inserted))) if inserted else come
            self.totals = changed(lake.totals, gone, come)
        lake.files = [*files, *inserted]
        return found + counted

    @property
    def _match(self) -> str:
        return " AND ".join(f"f.{quoted(name)} = s.{quoted(name)}" for name in self._key)

    def _rewritten(self, file: DataFile) -> tuple[list[DataFile], int]:
        """What stands in place of a file, and how many rows of it had staged keys."""
        lake, part = self._lake, self._lake.stored_view(self._raw, [file], PART)
        kept = f"SELECT f.* FROM {part} AS f ANTI JOIN {STAGED} AS s ON {self._match}"
        query = kept
        if self._names:
            given = {*self._names}
            fields = ", ".join(f"{'s' if name in given else 'f'}.{quoted(name)}" for name in lake.types)
            query += f" UNION ALL SELECT {fields} FROM {part} AS f JOIN {STAGED} AS s ON {self._match}"
        ((there,),) = self._asked(f"SELECT count(*) FROM {part} AS f SEMI JOIN {STAGED} AS s ON {self._match}")
        new = lake.write(self._raw.sql(query).to_arrow_reader(_ROWS))
        lake.stored_view(self._raw, new, _NEW)
        after = f"SELECT f.* FROM {_NEW} AS f ANTI JOIN {STAGED} AS s ON {self._match}"
        if self._sum(kept) != self._sum(after):
            raise VerificationError(
                lake.place.database, lake.name, f"rows of {file.path} that were to stay are not as they were", ""
            )
        return new, int(there)

    def _sum(self, query: str) -> Any:
        """What tells rows as they are stored from others."""
        return self._asked(f"SELECT count(*), coalesce(sum(hash(own)), 0) FROM ({query}) AS own")

    def _inserted(self, hit: Sequence[DataFile]) -> list[DataFile]:
        """New files of the staged rows whose keys no file holds."""
        query = f"SELECT s.* FROM {STAGED} AS s"
        if hit:
            part = self._lake.stored_view(self._raw, hit, PART)
            query += f" ANTI JOIN {part} AS f ON {self._match}"
        return self._lake.write(self._raw.sql(query).to_arrow_reader(_ROWS))

    def _typed(self, files: Sequence[DataFile]) -> str:
        """The rows with staged keys in these files, by a query in brackets; all of those that were inserted are."""
        lake, part = self._lake, self._lake.stored_view(self._raw, files, PART)
        rows = f"SELECT f.* FROM {part} AS f SEMI JOIN {STAGED} AS s ON {self._match}" if self._key else part
        return f"(SELECT {lake.typed_fields()} FROM ({rows if self._key else f'SELECT * FROM {part}'}))"

    def _asked(self, query: str) -> list[Any]:
        return self._raw.execute(query).fetchall()
