"""A table that is files: workers write and read them back, and one commit names them all, or none."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from toolkit.compute.changes import compare_totals
from toolkit.compute.receipts import within
from toolkit.compute.segments import MOST_SEGMENTS
from toolkit.core.digest import DIGEST_FIELD, TableDigest, sum_digests
from toolkit.core.plan import TableResult
from toolkit.engines.contract import SharesSnapshot
from toolkit.errors import ConfigurationError, RunError, UnnamedRowError, VerificationError, WorkersError
from toolkit.operations.parts.comparing import totals_of
from toolkit.operations.parts.runs import keeping, require_same, run_for, told
from toolkit.operations.parts.work import CheckPart, RewritePart, WritePart, check_part, rewrite_part, sent, write_part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.core.changes import Changes
    from toolkit.core.progress import Progress
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import CommitsParts, Connection, FilesRun, Rewriting, WrittenPart
    from toolkit.operations.parts.crew import Crew
    from toolkit.operations.parts.work import Place


class Committing:
    """A source and a target whose tables are files; the target is the one connection that commits."""

    def __init__(self, crew: Crew, origin: Connection, target: CommitsParts, progress: Progress) -> None:
        self._crew, self._origin, self._target, self._progress = crew, origin, target, progress

    def done(self, spec: TableSpec, resume: str | None, *, restart: bool, dry_run: bool) -> TableResult:
        """Fill an empty table, or have the rows written that differ; a dry run tells what would be done.

        Raises:
            VerificationError: what is read back is not what the source has; nothing is committed.
            ContentionError: somebody else has committed to the table meanwhile; nothing is committed.
            RunError: an interrupted run is there, or not there.
            ToolkitError: everything else; the table is as it was.
        """
        started = time.perf_counter()
        if not dry_run:
            self._target.require_parts(spec)
        if self._target.repository(spec).is_empty():
            return self._planned(spec) if dry_run else self._filled(spec, resume, started, restart=restart)
        if resume is not None:
            raise RunError(
                f"{self._target.name}: {spec.name} has rows, and of a run that changes rows nothing is kept.",
                "Run again without --resume, which writes what differs; or look first: toolkit diff.",
            )
        if restart:
            run_for(self._target, spec, self._origin, None, self._progress, restart=True)
        return self._merged(spec, started, dry_run=dry_run)

    def _planned(self, spec: TableSpec) -> TableResult:
        table = self._origin.repository(spec)
        parts = self._crew.parts(table)
        self._progress.note(f"{spec.name} would be loaded in {len(parts):,} parts.")
        return TableResult(spec.name, table.count(), 0, 0, 0, 0.0, verified=False)

    # -- an empty table --------------------------------------------------------------------------------------------

    def _filled(self, spec: TableSpec, resume: str | None, started: float, *, restart: bool) -> TableResult:
        places = self._crew.place(self._origin), self._crew.named(self._target)
        run = run_for(self._target, spec, self._origin, resume, self._progress, restart=restart)
        if resume is None:
            run.begin(self._crew.parts(self._origin.repository(spec)))
        with keeping(run):
            written = self._taken_up(spec, run, places) if resume is not None else {}
            self._progress.note(told(run))
            written |= self._written(spec, run, places, written)
            parts = [written[number] for number in sorted(written)]
            self._progress.step(f"verify {spec.name}")
            digest = self._verified(spec, parts)
            self._progress.step(f"indexes and constraints of {spec.name}")
            self._fill(spec, parts)
        self._progress.step("commit")
        self._target.commit()
        run.end()
        seconds, text = time.perf_counter() - started, digest.text
        return TableResult(
            spec.name, digest.rows, 0, 0, 0, seconds, verified=True, source_digest=text, target_digest=text
        )

    def _taken_up(self, spec: TableSpec, run: FilesRun, places: tuple[Place, Place]) -> dict[int, WrittenPart]:
        """Parts that are written, are there, and have not changed at the source since; the others are removed."""
        require_same(self._origin, spec, run)
        run.end_others()
        loaded, parts = run.loaded(), {part.number: part for part in run.parts()}
        self._progress.step(f"compare {len(loaded):,} of {len(parts):,} parts of {spec.name}")
        asked = (CheckPart(*places, sent(spec), parts[number], each) for number, each in loaded.items())
        found: dict[int, WrittenPart] = {}
        for number, part, reason in self._crew.do(check_part, asked):
            if part is None:
                self._progress.note(f"Part {number} of {spec.name} {reason}: it is copied again.")
                run.undo(number)
            else:
                found[number] = part
                self._progress.advance(part.sent.rows)
        return found

    def _written(
        self, spec: TableSpec, run: FilesRun, places: tuple[Place, Place], there: dict[int, WrittenPart]
    ) -> dict[int, WrittenPart]:
        """What workers make of each part that is not there, once."""
        left = [part for part in run.parts() if part.number not in there]
        self._progress.step(f"load {spec.name} in {len(left):,} parts")
        asked = (WritePart(*places, sent(spec), run.about.run, part) for part in left)
        found: dict[int, WrittenPart] = {}
        for part in self._crew.do(write_part, asked):
            _take(found, part, spec)
            self._progress.advance(part.sent.rows)
        _require_all(found, [part.number for part in left], spec)
        return found

    def _verified(self, spec: TableSpec, parts: Sequence[WrittenPart]) -> TableDigest:
        """The digest of all parts, which is that of the source as of the moment that all have read it in."""
        sent_ = sum((each.sent for each in parts), TableDigest())
        found = sum((each.totals.digest for each in parts), TableDigest())
        if found != sent_:
            fact = f"{found.rows:,} rows with digest {found.text} arrived, of {sent_.rows:,} with {sent_.text}"
            raise VerificationError(self._target.name, spec.name, fact)
        # The parts are of the source's own cutting: that they are all of it, it is asked for in one piece.
        rows = self._origin.repository(spec).count()
        if rows != found.rows:
            raise VerificationError(self._target.name, spec.name, f"{found.rows:,} rows arrived in parts, of {rows:,}")
        self._require_shared()
        return found

    def _require_shared(self) -> None:
        if isinstance(self._origin, SharesSnapshot):
            self._origin.require_shared()

    def _fill(self, spec: TableSpec, parts: Sequence[WrittenPart]) -> None:
        """Let the files be the table's rows, if they keep to its constraints and have the parents they point at."""
        try:
            self._target.fill(spec, parts)
        except UnnamedRowError as error:
            refused = self._target.repository(spec).why_refused(self._origin.repository(spec).read(), error)
            raise refused or error from error
        self._target.check_parents([spec])

    # -- a table with rows -----------------------------------------------------------------------------------------

    def _merged(self, spec: TableSpec, started: float, *, dry_run: bool) -> TableResult:
        """Have the files written anew that hold rows that differ, and such as the target lacks."""
        if not spec.key:
            raise ConfigurationError(
                f"{spec.name} has rows, and no key by which workers could tell which of them differ.",
                "Run without --workers, or name columns that tell rows apart: --key.",
            )
        self._progress.step(f"compare {spec.name}")
        places = self._crew.place(self._origin), self._crew.named(self._target)
        tables = self._origin.repository(spec), self._target.repository(spec)
        totals = totals_of(tables, self._crew, places)
        ours, theirs = (
            (found, partial(within, table, MOST_SEGMENTS)) for found, table in zip(totals, tables, strict=True)
        )
        changes = compare_totals(spec, ours, theirs, removed=True)
        counts = changes.new.num_rows, changes.changed.num_rows, changes.unchanged, changes.target_only
        if dry_run:
            return TableResult(spec.name, *counts, time.perf_counter() - started, verified=False)
        expected = changes.source
        if changes.target_only:
            expected += tables[1].digest(changes.removed)
        found = totals[1].digest
        if changes.new.num_rows + changes.changed.num_rows:
            parts = self._rewritten(spec, changes, places)
            found = self._target.merge(spec, totals[1], *parts)
        if found != expected:
            fact = f"{found.rows:,} rows with digest {found.text} arrived, of {expected.rows:,} with {expected.text}"
            raise VerificationError(self._target.name, spec.name, fact)
        self._require_shared()
        self._target.check_parents([spec])
        self._progress.step("commit")
        self._target.commit()
        seconds, text = time.perf_counter() - started, changes.source.text
        return TableResult(spec.name, *counts, seconds, verified=True, source_digest=text, target_digest=text)

    def _rewritten(
        self, spec: TableSpec, changes: Changes, places: tuple[Place, Place]
    ) -> tuple[Sequence[Rewriting], Sequence[WrittenPart]]:
        """What was to be written anew, and what workers have made of it: the source's rows, all that differ."""
        keyed = pa.concat_tables([changes.new, changes.changed]).combine_chunks()
        keys, digests = keyed.select(list(spec.key)), keyed.column(DIGEST_FIELD)
        options = self._crew.options
        given = self._target.rewritings(spec, keys, options.part_bytes, self._crew.in_flight)
        self._progress.step(f"write {spec.name} in {len(given):,} parts")
        asked = (RewritePart(*places, sent(spec), each) for each in given)
        found: dict[int, WrittenPart] = {}
        for part in self._crew.do(rewrite_part, asked):
            self._target.take_part(spec, part)
            _take(found, part, spec)
            self._progress.advance(part.sent.rows)
        _require_all(found, [each.part for each in given], spec)
        wanted = sum((sum_digests(chunk) for chunk in digests.chunks), TableDigest())
        read = sum((each.sent for each in found.values()), TableDigest())
        if read != wanted:
            fact = f"{read.rows:,} rows with digest {read.text} were read, of {wanted.rows:,} with {wanted.text}"
            raise VerificationError(self._target.name, spec.name, fact)
        return given, list(found.values())


def _take(found: dict[int, WrittenPart], part: WrittenPart, spec: TableSpec) -> None:
    if part.part in found:
        raise WorkersError(f"Part {part.part} of {spec.name} came back twice.", "Run again.")
    found[part.part] = part


def _require_all(found: dict[int, WrittenPart], asked: Sequence[int], spec: TableSpec) -> None:
    if found.keys() != {*asked}:
        raise WorkersError(f"Other parts of {spec.name} came back than were asked for.", "Run again.")
