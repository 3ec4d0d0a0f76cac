"""`toolkit sync --workers`: an empty table filled by many, a part in a transaction each, and yet all of it or nothing.

The target's table stays empty until all parts are in a new one beside it, which is then verified and takes its place
in one transaction. Whatever ends a run before leaves the new table and its ledger, which another run takes up. A table
that is files, which one commit names, is filled by `committing`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from toolkit.core.digest import TableDigest
from toolkit.core.plan import SyncResult, TableResult
from toolkit.core.progress import Progress, Silent
from toolkit.engines import connect
from toolkit.engines.contract import CommitsParts, LoadsInParts, SharesSnapshot
from toolkit.engines.portable.as_stored import carried_as_stored
from toolkit.engines.portable.connection import refuse_schema, require_columns
from toolkit.engines.portable.lossy import require_exact
from toolkit.errors import (
    ChangedSincePlanError,
    ConfigurationError,
    RunError,
    VerificationError,
    WorkersError,
)
from toolkit.operations.migrations.revisions import exists
from toolkit.operations.migrations.schema import lacks_schema, make_schema
from toolkit.operations.parts.committing import Committing
from toolkit.operations.parts.crew import hired
from toolkit.operations.parts.runs import keeping, require_same, run_for, told
from toolkit.operations.parts.work import Again, DigestPart, FillPart, digest_part, fill_part, sent
from toolkit.operations.reflection.project import Chosen
from toolkit.operations.reflection.wanted import Wanted
from toolkit.operations.transfer.conversion_options import conversions

if TYPE_CHECKING:
    from toolkit.config import Config, Database
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Connection, Loaded, Part, Run
    from toolkit.operations.parts.crew import Crew, WorkerOptions
    from toolkit.operations.parts.work import Place

ROUNDS = 3
"""How often parts whose connection was lost are tried again."""


def load_in_parts(
    config: Config,
    source: str,
    target: str,
    table: str,
    workers: WorkerOptions,
    *,
    resume: str | None = None,
    restart: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> SyncResult:
    """Fill an empty table with the rows that another database has, by workers.

    `resume` names a run that was interrupted: parts that it has written, and that have not changed at the source since,
    are kept. `restart` removes what such runs have left.

    Raises:
        RunError: the table cannot be filled so, or an interrupted run is there, or not there.
        ToolkitError: everything else; the target's table is then as it was before.
    """
    started, told = time.perf_counter(), progress or Silent()
    config = config.of(source, target)
    databases = config.database(source), config.database(target)
    if databases[0].place == databases[1].place:
        raise ConfigurationError("Source and target are the same database.", "Name two different ones.")
    spec, made_from = _table(config, databases, table, told, makes=not dry_run)
    with (
        hired(config, databases, workers) as crew,
        connect(databases[0]) as origin,
        connect(databases[1], write=not dry_run) as destination,
    ):
        load = _Load(crew, origin, destination, told)
        spec = load.checked(spec)
        if isinstance(destination, CommitsParts):
            committing = Committing(crew, origin, destination, told)
            found = committing.done(spec, resume, restart=restart, dry_run=dry_run)
        elif dry_run:
            found = load.planned(spec)
        else:
            found = load.done(spec, resume, restart=restart)
    seconds = time.perf_counter() - started
    return SyncResult(
        source, target, dry_run, bool(made_from), not dry_run, (found,), seconds, schema_from=made_from or None
    )


def _table(
    config: Config, databases: tuple[Database, Database], name: str, progress: Progress, *, makes: bool
) -> tuple[TableSpec, str]:
    """The table, and what it was made from, if the target had none at all.

    Raises:
        ConfigurationError: its values are to be converted, or it goes by another name in the target.
    """
    makes_one = not databases[1].kind.has_migrations
    with Chosen.of_both(config, *databases, Wanted((name,), makes_missing=makes_one), progress) as chosen:
        (spec,) = chosen.specs()
        renames, project, excluded = chosen.renames, chosen.project, chosen.excluded
    if renames is not None or conversions(project.metadata, config.convert, ()).of(spec):
        raise ConfigurationError(
            f"{name}: workers copy a table under one name, and its values as they are stored.",
            "Leave out --workers where names differ, or values are to be converted.",
        )
    lacks_all = True
    if exists(databases[1]):
        with connect(databases[1]) as target, target.translated():
            lacks_all = lacks_schema(target.sqlalchemy, databases[1], project, accept_missing=True)
            if not lacks_all and not (makes_one and target.column_names(spec) is None):
                return spec, ""
    what = "tables" if lacks_all else f"table {spec.name}"
    if not makes:
        raise RunError(
            f"{databases[1].name} has no {what} yet: what would be done is known when it has.", "Leave out --dry-run."
        )
    if not lacks_all:
        excluded = [each for each in project.metadata.tables if each != spec.table.fullname]
    make_schema(databases[1], project, exclude=excluded)
    progress.note(f"{databases[1].name} had no {what}: {'its schema' if lacks_all else 'it'} was created.")
    return spec, "migrations" if project.has_history else project.origin


@dataclass(frozen=True)
class _Load:
    """One load, with both databases open: the source as of one moment, the target with the right to write."""

    crew: Crew
    origin: Connection
    destination: Connection
    progress: Progress

    def checked(self, spec: TableSpec) -> TableSpec:
        """The table, if rows of it can be carried as they are, into one that is empty."""
        if not isinstance(self.destination, LoadsInParts | CommitsParts):
            raise ConfigurationError(
                f"{self.destination.name}: its engine has no way for several processes to write one table.",
                "Run without --workers.",
            )
        self.origin.lock_tables([spec], self.progress)
        ours, theirs = require_columns(self.origin, [spec]), require_columns(self.destination, [spec], to_write=True)
        refuse_schema([*ours, *theirs])
        require_exact(self.origin, [spec])
        (spec,) = carried_as_stored(self.origin, [(spec, spec)], lambda: self.destination)
        if not isinstance(self.destination, CommitsParts) and not self.destination.repository(spec).is_empty():
            raise RunError(
                f"{self.destination.name}: {spec.name} has rows, and workers fill empty tables alone.",
                "Run without --workers, which writes what differs.",
            )
        return spec

    def planned(self, spec: TableSpec) -> TableResult:
        """What would be done."""
        table = self.origin.repository(spec)
        parts = self.crew.parts(table)
        self.progress.note(f"{spec.name} would be loaded in {len(parts):,} parts.")
        return TableResult(spec.name, table.count(), 0, 0, 0, 0.0, verified=False)

    def done(self, spec: TableSpec, resume: str | None, *, restart: bool) -> TableResult:
        """Fill the table."""
        started = time.perf_counter()
        self.destination.hold_writer_lock()
        place, goal = self.crew.place(self.origin), self.crew.named(self.destination)
        target = cast("LoadsInParts", self.destination)
        run = run_for(target, spec, self.origin, resume, self.progress, restart=restart)
        if resume is None:
            run.begin(self.crew.parts(self.origin.repository(spec)))
        with keeping(run):
            if resume is not None:
                self._take_up(spec, run, place)
            self.progress.note(told(run))
            self._fill(spec, run, place, goal)
            digest = self._finished(spec, run, goal)
        seconds, text = time.perf_counter() - started, digest.text
        return TableResult(
            spec.name, digest.rows, 0, 0, 0, seconds, verified=True, source_digest=text, target_digest=text
        )

    def _take_up(self, spec: TableSpec, run: Run, place: Place) -> None:
        """Keep the parts that are written and have not changed at the source since; take the others out again."""
        require_same(self.origin, spec, run)
        run.end_others()
        loaded, parts = run.loaded(), {part.number: part for part in run.parts()}
        self.progress.step(f"compare {len(loaded):,} of {len(parts):,} parts of {spec.name}")
        asked = (DigestPart(place, sent(spec), parts[number], 1) for number in loaded)
        for _, receipt in self.crew.do(digest_part, asked):
            if receipt.digest != loaded[receipt.part].digest:
                self.progress.note(f"Part {receipt.part} of {spec.name} has changed since: it is copied again.")
                run.undo(receipt.part)

    def _fill(self, spec: TableSpec, run: Run, place: Place, goal: Place) -> None:
        """Have all parts written that are not."""
        left = _missing(run.parts(), run.loaded())
        self.progress.step(f"load {spec.name} in {len(left):,} parts")
        source = sent(spec)
        for _ in range(ROUNDS):
            again: list[Again] = []
            asked = (FillPart(place, goal, source, source, run.about.run, part) for part in left)
            for found in self.crew.do(fill_part, asked):
                if isinstance(found, Again):
                    again.append(found)
                else:
                    self.progress.advance(found.digest.rows)
            left = _missing(run.parts(), run.loaded())
            if not left:
                return
        raise WorkersError(
            f"{spec.name}: {len(left):,} parts could not be written in {ROUNDS} rounds. The first: {again[0].reason}"
            if again
            else f"{spec.name}: {len(left):,} parts are not in the ledger.",
            "See to that, then go on.",
        )

    def _finished(self, spec: TableSpec, run: Run, goal: Place) -> TableDigest:
        """Compare what is written with what was sent, and put it in its place, in one transaction."""
        run.close_for_writers()
        loaded = run.loaded()
        if _missing(run.parts(), loaded):
            raise ChangedSincePlanError(self.destination.name, spec.name)
        sent_ = sum((each.digest for each in loaded.values()), TableDigest())
        self.progress.step(f"verify {spec.name}")
        new = self.destination.repository(run.spec)
        asked = [DigestPart(goal, sent(run.spec), part, 1) for part in self.crew.parts(new)]
        found = sum((each.digest for _, each in self.crew.do(digest_part, asked)), TableDigest())
        if found != sent_:
            fact = f"{found.rows:,} rows with digest {found.text} arrived, of {sent_.rows:,} with {sent_.text}"
            raise VerificationError(self.destination.name, spec.name, fact)
        cast("SharesSnapshot", self.origin).require_shared()
        self.progress.step(f"index {spec.name}")
        run.take_place()
        self.destination.repository(spec).advance_sequences()
        self.destination.commit()
        return found


def _missing(parts: Sequence[Part], loaded: Mapping[int, Loaded]) -> list[Part]:
    return [part for part in parts if part.number not in loaded]
