"""`toolkit sync --workers` into a server: large tables are staged there by many, and synced from the stage as ever.

Until all rows are staged, and shown to be those of the source, the target's tables are not touched. Then one connection
compares, writes, deletes and verifies in one transaction, as it does without workers. Whatever ends a run before leaves
the stages with their ledgers, which another run takes up.
"""

from __future__ import annotations

import datetime as dt
import secrets
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from msgspec import Struct, field
from msgspec.structs import replace

from toolkit.core.plan import TableResult, TransferWarning
from toolkit.engines import connect
from toolkit.engines.contract import LoadsInParts, RunAbout
from toolkit.engines.portable.connection import check_schema
from toolkit.errors import ConfigurationError, RunError, ToolkitError
from toolkit.operations.migrations.revisions import exists
from toolkit.operations.migrations.schema import lacks_schema, made_from, make_schema
from toolkit.operations.parts.runs import keeping, left, told
from toolkit.operations.parts.stages import Stage, StagedOrigin
from toolkit.operations.transfer.origins import DatabaseOrigin
from toolkit.operations.transfer.request import TransferResult
from toolkit.operations.transfer.run import told_constraints, transfer
from toolkit.operations.transfer.sources import table_beneath

if TYPE_CHECKING:
    from toolkit.core.digest import TableDigest
    from toolkit.core.progress import Progress
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Connection, Run, Table
    from toolkit.operations.parts.crew import Crew
    from toolkit.operations.parts.work import Place
    from toolkit.operations.project import Project
    from toolkit.operations.transfer.request import Transfer


class Staging(Struct, dict=True):
    """Workers for a sync; `resume` names a run that was interrupted, `restart` removes such runs."""

    crew: Crew
    resume: str | None = None
    restart: bool = False

    def share(self, origin: Connection) -> None:
        """Let workers see what this connection sees."""
        self._place = self.crew.place(origin)

    def transferred(self, request: Transfer, project: Project, progress: Progress) -> TransferResult:
        """Stage the large tables, and transfer all.

        Raises:
            RunError: an interrupted run is there, or not there, or was begun otherwise.
            ToolkitError: everything else; the target's tables are then as they were before.
        """
        _require_plain(request)
        if request.problems or request.dry_run:
            self._tell_parts(request, progress)
            return transfer(request, project, progress)
        schema_from, warnings = self._made(request, project, progress)
        with connect(request.target, write=True) as destination:
            if not isinstance(destination, LoadsInParts):
                raise _unable(destination.name)
            destination.hold_writer_lock()
            check_schema(destination, request.specs, to_write=True)
            work = _Work(self, self._place, request, project, progress, destination)
            found = work.done(is_new=schema_from is not None)
        return replace(found, schema_from=schema_from, warnings=(*warnings, *found.warnings))

    def _tell_parts(self, request: Transfer, progress: Progress) -> None:
        tables = cast("DatabaseOrigin", request.origin).tables
        for spec in () if request.problems else request.specs:
            parts = len(self.crew.parts(table_beneath(tables.repository(spec))))
            progress.note(f"{spec.name} would be read in {parts:,} part{'s' if parts > 1 else ''}.")

    def _made(
        self, request: Transfer, project: Project, progress: Progress
    ) -> tuple[str | None, tuple[TransferWarning, ...]]:
        """What the target's tables were made from, if it had none, and what is to be told of that."""
        target = request.target
        if exists(target):
            with connect(target) as looking, looking.translated():
                if not isinstance(looking, LoadsInParts):
                    raise _unable(target.name)
                if not lacks_schema(looking.sqlalchemy, target, project, accept_missing=True):
                    return None, ()
        source = made_from(target, project, request.excluded)
        warnings = () if project.has_history else told_constraints(request, project, progress)
        make_schema(target, project, exclude=request.excluded)
        progress.note(f"{target.name} had no tables: its schema was created.")
        return source, warnings


def _require_plain(request: Transfer) -> None:
    """See that nothing is asked that workers do not do.

    Raises:
        ConfigurationError: tables go by other names in the target, or values are to be converted.
    """
    tables = cast("DatabaseOrigin", request.origin).tables
    for spec in request.specs:
        if tables.renames is not None or tables.conversions.of(tables.own(spec)):
            raise ConfigurationError(
                f"{spec.name}: workers copy a table under one name, and its values as they are stored.",
                "Leave out --workers where names differ, or values are to be converted.",
            )


def _unable(name: str) -> ConfigurationError:
    return ConfigurationError(
        f"{name}: its engine has no way for several processes to write one table.", "Run without --workers."
    )


class _Work(Struct, frozen=True):
    """One run, with both databases open: the source as of one moment, the target with the right to write."""

    asked: Staging
    place: Place
    request: Transfer
    project: Project
    progress: Progress
    destination: Connection
    started: float = field(default_factory=time.perf_counter)

    @property
    def _crew(self) -> Crew:
        return self.asked.crew

    @property
    def _origin(self) -> DatabaseOrigin:
        return cast("DatabaseOrigin", self.request.origin)

    @property
    def _target(self) -> LoadsInParts:
        return cast("LoadsInParts", self.destination)

    def done(self, *, is_new: bool) -> TransferResult:
        """Stage and transfer; `is_new`: this run has made the tables."""
        stages = self._resumed() if self.asked.resume is not None else self._begun(is_new=is_new)
        if not stages:
            return transfer(replace(self.request, beside=True), self.project, self.progress)
        with keeping(stages[0].run):
            goal = self._crew.named(self.destination)
            for stage in stages if self.asked.resume is not None else ():
                stage.take_up(self.place)
            self.progress.note(told(stages[0].run))
            for stage in stages:
                stage.fill(self.place, goal)
            # What is held from here on are the stages alone.
            self.destination.commit()
            digests = [stage.verified(goal) for stage in stages]
            found = self._replaced(stages, digests) or self._merged(stages)
        self._remove(stages)
        return found

    def _begun(self, *, is_new: bool) -> list[Stage]:
        """A new run, if there is no other: a stage for each table of several parts, and for one that is alone."""
        self._require_none_left()
        parts = {spec.name: self._crew.parts(self._rows(spec)) for spec in self.request.specs}
        large = [s for s in self.request.specs if len(parts[s.name]) > 1 or len(self.request.specs) == 1]
        group, began = secrets.token_hex(5), dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        connection = self._origin.tables.connection
        stages = []
        for number, spec in enumerate(large):
            own = self._origin.tables.own(spec)
            about = RunAbout(
                f"{group}_{number}" if number else group,
                spec.table.name,
                connection.name,
                connection.identity(),
                spec.column_names,
                began,
                own.conditions,
                tuple(each.name for each in large),
                replaces=is_new and len(self.request.specs) == 1,
            )
            run = self._target.new_run(spec, about)
            run.begin(parts[spec.name])
            stages.append(self._stage(spec, run))
        self.destination.commit()
        return stages

    def _rows(self, spec: TableSpec) -> Table:
        return table_beneath(self._origin.tables.repository(spec))

    def _stage(self, spec: TableSpec, run: Run) -> Stage:
        tables = self._origin.tables
        return Stage(self._crew, tables.connection, self.destination, self.progress, tables.own(spec), spec, run)

    def _require_none_left(self) -> None:
        """See that no run is left, or remove those that are.

        Raises:
            RunError: one is.
        """
        for spec in self.request.specs:
            for run in self._target.runs(spec):
                if not self.asked.restart:
                    raise left(self.destination.name, spec, run)
                run.remove()
                self.progress.note(f"What run {run.about.group} had written of {spec.name} is removed.")

    def _resumed(self) -> list[Stage]:
        """The stages of an interrupted run.

        Raises:
            RunError: there is none of that name, or it has other tables.
        """
        runs = [(spec, run) for spec in self.request.specs for run in self._target.runs(spec)]
        found = [self._stage(spec, run) for spec, run in runs if run.about.group == self.asked.resume]
        names = ", ".join(spec.name for spec in self.request.specs)
        if not found:
            others = ", ".join(dict.fromkeys(run.about.group for _, run in runs)) or "none"
            raise RunError(
                f"{self.destination.name} has no interrupted run {self.asked.resume!r} for {names}; there are: "
                f"{others}.",
                "A run that was finished is gone: toolkit diff shows whether its rows are there.",
            )
        lacking = {*found[0].run.about.tables} - {stage.spec.name for stage in found}
        if lacking:
            raise RunError(
                f"Run {self.asked.resume} was begun for {', '.join(sorted(lacking))}, too.",
                "Name all of its tables; or remove what it has written, and begin again: --restart.",
            )
        return found

    def _replaced(self, stages: Sequence[Stage], digests: Sequence[TableDigest]) -> TransferResult | None:
        """What is done where the stage takes the place of a table that this run has made; None if it does not."""
        (stage, *others), (digest, *_) = stages, digests
        if others or not stage.run.about.replaces or len(self.request.specs) > 1 or not self.request.options.verify:
            return None
        self.progress.step(f"indexes and constraints of {stage.spec.name}")
        if not stage.run.take_place():
            return None
        numbers = self.request.next_numbers()
        self.destination.repository(stage.spec).advance_sequences(numbers.get(stage.spec.name))
        self.progress.step("commit")
        self.destination.commit()
        seconds, text = time.perf_counter() - self.started, digest.text
        table = TableResult(
            stage.spec.name, digest.rows, 0, 0, 0, seconds, verified=True, source_digest=text, target_digest=text
        )
        return TransferResult((table,), is_checked=True)

    def _merged(self, stages: Sequence[Stage]) -> TransferResult:
        """What a transfer from the stages does."""
        with connect(self.request.target) as reader:
            reader.lock_tables([stage.run.spec for stage in stages])
            origin = StagedOrigin(self._origin, {stage.spec.name: stage for stage in stages}, reader)
            return transfer(replace(self.request, origin=origin, beside=True), self.project, self.progress)

    def _remove(self, stages: Sequence[Stage]) -> None:
        """Drop the stages; what cannot be dropped is told: the rows are committed."""
        try:
            for stage in stages:
                stage.run.remove()
        except ToolkitError as error:
            group = stages[0].run.about.group
            self.progress.note(
                f"The rows are committed, but what run {group} has left could not be removed ({error.fact}): the next "
                "sync with --workers and --restart removes it."
            )
