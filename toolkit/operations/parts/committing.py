"""An empty table that is files: workers write and read them back, and one commit names them all, or none."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from toolkit.core.digest import TableDigest
from toolkit.core.plan import TableResult
from toolkit.engines.contract import SharesSnapshot
from toolkit.errors import RunError, ToolkitError, UnnamedRowError, VerificationError, WorkersError
from toolkit.operations.parts.work import WritePart, sent, write_part

if TYPE_CHECKING:
    from toolkit.core.progress import Progress
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import CommitsParts, Connection, WrittenPart
    from toolkit.operations.parts.crew import Crew

_LEFT = "Nothing was committed. What workers that were lost have written is removed by toolkit vacuum, in a week."


def require_new(target: CommitsParts, spec: TableSpec, resume: str | None, *, restart: bool) -> None:
    """See that such a table is asked for as can be filled.

    Raises:
        RunError: an interrupted run is to be taken up, of which nothing is kept here.
        ToolkitError: nothing can be committed.
    """
    if resume is not None or restart:
        raise RunError(
            f"{target.name}: nothing is kept of an interrupted run into {spec.name}: one commit names all or nothing.",
            f"Run again without {'--restart' if restart else '--resume'}: the table is empty.",
        )
    target.require_parts(spec)


def fill_and_commit(
    crew: Crew, origin: Connection, target: CommitsParts, spec: TableSpec, progress: Progress
) -> TableResult:
    """Have all parts written, see that they are the source's rows and keep to the table's constraints, and commit.

    Raises:
        VerificationError: what is read back is not what the source has; nothing is committed.
        ContentionError: somebody else has committed to the table meanwhile; nothing is committed.
        ToolkitError: everything else; the table is empty still.
    """
    started = time.perf_counter()
    try:
        written = _written(crew, origin, target, spec, progress)
        progress.step(f"verify {spec.name}")
        digest = _verified(origin, target, spec, written)
        progress.step(f"indexes and constraints of {spec.name}")
        _fill(origin, target, spec, written)
    except ToolkitError as error:
        error.advise_last(_LEFT)
        raise
    progress.step("commit")
    target.commit()
    seconds, text = time.perf_counter() - started, digest.text
    return TableResult(spec.name, digest.rows, 0, 0, 0, seconds, verified=True, source_digest=text, target_digest=text)


def _written(
    crew: Crew, origin: Connection, target: CommitsParts, spec: TableSpec, progress: Progress
) -> list[WrittenPart]:
    """What workers have made of each part, once."""
    place, goal, plain = crew.place(origin), crew.named(target), sent(spec)
    parts = crew.parts(origin.repository(spec))
    progress.step(f"load {spec.name} in {len(parts):,} parts")
    found: dict[int, WrittenPart] = {}
    for written in crew.do(write_part, (WritePart(place, goal, plain, part) for part in parts)):
        target.take_part(spec, written)
        if written.part in found:
            raise WorkersError(f"Part {written.part} of {spec.name} came back twice.", "Run again.")
        found[written.part] = written
        progress.advance(written.sent.rows)
    if found.keys() != {part.number for part in parts}:
        raise WorkersError(f"Other parts of {spec.name} came back than were asked for.", "Run again.")
    return [found[number] for number in sorted(found)]


def _verified(origin: Connection, target: CommitsParts, spec: TableSpec, parts: list[WrittenPart]) -> TableDigest:
    """The digest of all parts, which is that of the source as of the moment that all have read it in."""
    sent_ = sum((each.sent for each in parts), TableDigest())
    found = sum((each.totals.digest for each in parts), TableDigest())
    if found != sent_:
        fact = f"{found.rows:,} rows with digest {found.text} arrived, of {sent_.rows:,} with {sent_.text}"
        raise VerificationError(target.name, spec.name, fact)
    # The parts are of the source's own cutting: that they are all of it, it is asked for in one piece.
    rows = origin.repository(spec).count()
    if rows != found.rows:
        raise VerificationError(target.name, spec.name, f"{found.rows:,} rows arrived in parts, of {rows:,}")
    if isinstance(origin, SharesSnapshot):
        origin.require_shared()
    return found


def _fill(origin: Connection, target: CommitsParts, spec: TableSpec, parts: list[WrittenPart]) -> None:
    """Let the files be the table's rows, if they keep to its constraints and have the parents that they point at."""
    try:
        target.fill(spec, parts)
    except UnnamedRowError as error:
        refused = target.repository(spec).why_refused(origin.repository(spec).read(), error)
        raise refused or error from error
    target.check_parents([spec])
