"""The stages of one run: filled by workers, compared with what was sent, and then a source of rows for a transfer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

from msgspec import Struct

from toolkit.core.digest import TableDigest
from toolkit.engines.contract import SharesSnapshot
from toolkit.errors import ChangedSincePlanError, RunError, VerificationError, WorkersError
from toolkit.operations.parts.runs import require_same
from toolkit.operations.parts.work import Again, DigestPart, FillPart, digest_part, fill_part, sent
from toolkit.operations.transfer.missing_row import first_difference

if TYPE_CHECKING:
    from toolkit.core.progress import Progress
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Connection, Loaded, Part, Run
    from toolkit.operations.parts.crew import Crew
    from toolkit.operations.parts.work import Place
    from toolkit.operations.transfer.origins import DatabaseOrigin
    from toolkit.operations.transfer.sources import RowSource, Source, SourceTables

ROUNDS = 3
"""How often parts whose connection was lost are tried again."""


class Stage(Struct, frozen=True):
    """One table's: `own` is the table at the source, and `spec` at the target."""

    crew: Crew
    origin: Connection
    destination: Connection
    progress: Progress
    own: TableSpec
    spec: TableSpec
    run: Run

    def take_up(self, place: Place) -> None:
        """Keep the parts that are written and have not changed at the source since; take the others out again.

        Raises:
            RunError: it was begun with another source, or for other rows or columns.
        """
        run, spec = self.run, self.spec
        require_same(self.origin, self.own, run)
        self._require_ledger()
        run.end_others()
        loaded, parts = run.loaded(), {part.number: part for part in run.parts()}
        self.progress.step(f"compare {len(loaded):,} of {len(parts):,} parts of {spec.name}")
        asked = (DigestPart(place, sent(self.own), parts[number], 1) for number in loaded)
        for _, receipt in self.crew.do(digest_part, asked):
            if receipt.digest != loaded[receipt.part].digest:
                self.progress.note(f"Part {receipt.part} of {spec.name} has changed since: it is copied again.")
                run.undo(receipt.part)

    def _require_ledger(self) -> None:
        """See that the ledger is as it was begun: a server that crashed has emptied it, with the stage."""
        about, found = self.run.about, len(self.run.parts())
        if about.parts and found != about.parts:
            raise RunError(
                f"{self.destination.name}: of run {about.group}, {found:,} of {about.parts:,} parts of "
                f"{self.spec.name} are in its ledger: the server has crashed since it was begun.",
                "Begin again: --restart.",
            )

    def fill(self, place: Place, goal: Place) -> None:
        """Have all parts written that are not.

        Raises:
            WorkersError: some could not be, however often.
        """
        run, name = self.run, self.spec.name
        left = _missing(run.parts(), run.loaded())
        self.progress.step(f"load {name} in {len(left):,} parts")
        # Workers know the stage by the run.
        source, into = sent(self.own), sent(self.spec)
        for _ in range(ROUNDS):
            again: list[Again] = []
            asked = (FillPart(place, goal, source, into, run.about.run, part) for part in left)
            for found in self.crew.do(fill_part, asked):
                if isinstance(found, Again):
                    again.append(found)
                else:
                    self.progress.advance(found.digest.rows)
            left = _missing(run.parts(), run.loaded())
            if not left:
                return
        raise WorkersError(
            f"{name}: {len(left):,} parts could not be written in {ROUNDS} rounds. The first: {again[0].reason}"
            if again
            else f"{name}: {len(left):,} parts are not in the ledger.",
            "See to that, then go on.",
        )

    def verified(self, goal: Place) -> TableDigest:
        """The digest of all rows, which nobody writes to any more, and which are those that were sent.

        Raises:
            VerificationError: they are not, with the first row that shows it.
        """
        run, spec = self.run, self.spec
        run.close_for_writers()
        self._require_ledger()
        loaded = run.loaded()
        if _missing(run.parts(), loaded):
            raise ChangedSincePlanError(self.destination.name, spec.name)
        sent_ = sum((each.digest for each in loaded.values()), TableDigest())
        self.progress.step(f"verify {spec.name}")
        stage = self.destination.repository(run.spec)
        asked = [DigestPart(goal, sent(run.spec), part, 1) for part in self.crew.parts(stage)]
        found = sum((each.digest for _, each in self.crew.do(digest_part, asked)), TableDigest())
        if found != sent_:
            fact = f"{found.rows:,} rows with digest {found.text} arrived, of {sent_.rows:,} with {sent_.text}"
            evidence = first_difference(partial(self.origin.repository(self.own).read), stage)
            raise VerificationError(self.destination.name, spec.name, fact, evidence.text)
        # The parts are of the source's own cutting: that they are all of it, it is asked for in one piece.
        rows = self.origin.repository(self.own).count()
        if rows != found.rows:
            fact = f"{found.rows:,} rows arrived in parts, of {rows:,}"
            raise VerificationError(self.destination.name, spec.name, fact)
        cast("SharesSnapshot", self.origin).require_shared()
        return found


class StagedOrigin(Struct, frozen=True):
    """A database's rows, of which some tables are read where others have brought them: beside the target's own."""

    whole: DatabaseOrigin
    stages: Mapping[str, Stage]
    reader: Connection

    @property
    def tables(self) -> SourceTables:
        """The database that they come from."""
        return self.whole.tables

    @property
    def depends_on_target(self) -> bool:
        """Rows keep their keys."""
        return self.whole.depends_on_target

    def against(self, target: Connection | None) -> Source:
        """The rows."""
        return _StagedSource(self.whole.against(target), self.stages, self.reader)


class _StagedSource(Struct, frozen=True):
    whole: Source
    stages: Mapping[str, Stage]
    reader: Connection

    def repository(self, spec: TableSpec) -> RowSource:
        """One table's rows; of other conditions or columns than those that were staged, the source's own."""
        stage = self.stages.get(spec.name)
        if stage is None or spec.at_source.conditions != stage.own.conditions:
            return self.whole.repository(spec)
        there = stage.run.spec
        if not {*spec.column_names} <= {*there.column_names}:
            return self.whole.repository(spec)
        return self.reader.repository(
            replace(spec, table=there.table, foreign_keys=(), conditions=(), source_conditions=())
        )


def _missing(parts: Sequence[Part], loaded: Mapping[int, Loaded]) -> list[Part]:
    return [part for part in parts if part.number not in loaded]
