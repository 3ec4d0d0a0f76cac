"""Retries under contention: work on a target to which others write, repeated a few times, with ever more locks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct, field

from toolkit.core.plan import TransferWarning
from toolkit.errors import (
    ChangedSincePlanError,
    ContentionError,
    MissingParentError,
    UniqueConflictError,
    VerificationError,
)

if TYPE_CHECKING:
    from toolkit.core.plan import TablePlan
    from toolkit.core.progress import Progress

T = TypeVar("T")

ATTEMPTS = 3
# So many seconds may others wait for a comparison: a tenth of what most drivers let an application wait.
BRIEF_SECONDS = 0.5
# What a row that somebody else has written since the comparison can be the cause of, or a row of the source itself.
_DOUBTFUL = (MissingParentError, UniqueConflictError, VerificationError)


class Attempts(Struct):
    """The attempts of one run, and what the last one left for the next.

    - The first keeps nobody from writing while it compares, and only those who write the same rows while it writes.
    - The second keeps others from the tables that it writes.
    - The last does so from before the comparison, unless that takes longer than others can wait and the rows that they
      changed since then may be left to the next sync.
    """

    database: str
    progress: Progress
    has_one_writer: bool = True
    """Nobody else writes while the target's transaction does: what fails then is not their doing."""
    number: int = 1
    seconds: float = 0.0
    """What the last comparison took."""
    warnings: list[TransferWarning] = field(default_factory=list)
    _plans: Sequence[TablePlan] = ()
    _doubted: MissingParentError | UniqueConflictError | VerificationError | None = None

    @property
    def is_last(self) -> bool:
        """Whether no other will follow."""
        return self.number == ATTEMPTS

    @property
    def is_brief(self) -> bool:
        """Whether others can wait for a comparison."""
        return self.seconds <= BRIEF_SECONDS

    def run(self, attempt: Callable[[], T], may_repeat: Callable[[], bool]) -> T:
        """The result of the first attempt that no other writer spoils.

        Raises:
            ContentionError, ChangedSincePlanError: they spoilt the last one.
        """
        while True:
            try:
                return attempt()
            except (ContentionError, ChangedSincePlanError) as error:
                if self.is_last or not may_repeat():
                    raise
                self._tell(error)
            except _DOUBTFUL as error:
                if self.is_last or not may_repeat() or self.has_one_writer or error is self._doubted:
                    raise
                self._doubted = error
            self.number += 1

    def planned(self, plans: Sequence[TablePlan], seconds: float) -> None:
        """Take note of a plan.

        Raises:
            ToolkitError: what went wrong the last time with the same plan: nobody else was the cause.
        """
        if self._doubted is not None:
            if list(map(_counts, plans)) == list(map(_counts, self._plans)):
                raise self._doubted
            self._tell(ChangedSincePlanError(self.database, self._doubted.table, self._doubted.fact.rstrip(".")))
        self._doubted, self._plans, self.seconds = None, plans, seconds

    def _tell(self, error: ContentionError | ChangedSincePlanError) -> None:
        reason = f"{error.fact} Compared again ({ATTEMPTS} times at most)."
        table = (error.table if isinstance(error, ChangedSincePlanError) else None) or ""
        self.progress.note(reason)
        self.warnings.append(TransferWarning("compared again", table, reason, database=self.database))


def _counts(plan: TablePlan) -> tuple[object, ...]:
    return (plan.spec.name, plan.action, plan.inserts, plan.updates, plan.unchanged, plan.target_only, plan.deletes)
