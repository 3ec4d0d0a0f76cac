"""Runs of workers that may outlive the command that began them: begun, found again, and told how to go on with."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from toolkit.engines.contract import ReadsInParts, RunAbout
from toolkit.errors import RunError, ToolkitError

if TYPE_CHECKING:
    from toolkit.core.progress import Progress
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Connection, FilesRun, Run

R = TypeVar("R", bound="Run | FilesRun")
R_co = TypeVar("R_co", bound="Run | FilesRun", covariant=True)


class KeepsRuns(Protocol[R_co]):
    """A connection that writes, to a database that keeps what was begun."""

    @property
    def name(self) -> str:
        """The database's name, for messages."""

    def new_run(self, spec: TableSpec, about: RunAbout) -> R_co:
        """A run for a table that is yet to be begun."""

    def runs(self, spec: TableSpec) -> Sequence[R_co]:
        """Those that others began for a table and did not end."""


def run_for(
    target: KeepsRuns[R], spec: TableSpec, origin: Connection, resume: str | None, progress: Progress, *, restart: bool
) -> R:
    """The run to go on with, or a new one.

    Raises:
        RunError: an interrupted one is there, or not there.
    """
    there = {run.about.run: run for run in target.runs(spec)}
    if resume is not None:
        if resume not in there:
            raise RunError(
                f"{target.name} has no interrupted run {resume!r} for {spec.name}; there are: "
                f"{', '.join(there) or 'none'}.",
                "A run that was finished is gone: toolkit diff shows whether its rows are there.",
            )
        return there[resume]
    for name, run in there.items():
        if not restart:
            raise left(target.name, spec, run)
        run.remove()
        progress.note(f"What run {name} had written of {spec.name} is removed.")
    began = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    names, table = spec.column_names, spec.table.name
    about = RunAbout(secrets.token_hex(5), table, origin.name, origin.identity(), names, began)
    return target.new_run(spec, about)


def left(target: str, spec: TableSpec, run: Run | FilesRun) -> RunError:
    """That a run is there which was interrupted, and how to go on with it."""
    done, parts, about = len(run.loaded()), len(run.parts()), run.about
    return RunError(
        f"{target}: run {about.group} of {about.began} was interrupted, and has written {done:,} of "
        f"{parts:,} parts of {spec.name}.",
        f"Go on with it: --resume {about.group}; or remove what it has written, and begin again: --restart.",
    )


def require_same(origin: Connection, spec: TableSpec, run: Run | FilesRun) -> None:
    """See that a run that is taken up copies the same rows, in the same parts.

    Raises:
        RunError: it does not.
    """
    about = run.about
    if about.source_identity != origin.identity() or about.columns != spec.column_names:
        raise RunError(
            f"Run {about.group} copies {', '.join(about.columns)} of {spec.name} from {about.source}, which this is "
            "not.",
            "Resume it with the options that it was begun with, or begin again: --restart.",
        )
    if tuple(about.conditions) != spec.conditions:
        raise RunError(
            f"Run {about.group} copies {spec.name} where {' and '.join(about.conditions) or 'nothing is asked'}.",
            "Resume it with the options that it was begun with, or begin again: --restart.",
        )
    if not cast("ReadsInParts", origin.repository(spec)).covers(run.parts()):
        raise RunError(
            f"{origin.name}: {spec.name} is made of other files by now than when run {about.group} was begun.",
            "Begin again: --restart.",
        )


def told(run: Run | FilesRun) -> str:
    """How to go on with a run, before anything of it is written."""
    group = run.about.group
    return f"Run {group}: if it is interrupted, --resume {group} goes on with what is written."


@contextmanager
def keeping(run: Run | FilesRun) -> Iterator[None]:
    """Say of errors how to go on."""
    try:
        yield
    except RunError:
        raise
    except ToolkitError as error:
        error.advise_last(f"What is written is kept: go on with --resume {run.about.group}.")
        raise
