"""What one transfer is told, and what it says when it is done: values, so that nothing is called back."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct, field

from toolkit.core.plan import FileCopy, SyncResult, TableResult, TransferWarning, is_overtaken
from toolkit.operations.transfer.options import Mode, Options

if TYPE_CHECKING:
    from toolkit.config import Database
    from toolkit.core.progress import Progress
    from toolkit.core.tables import TableSpec
    from toolkit.engines.catalogue import RunningTransaction
    from toolkit.engines.contract import Connection
    from toolkit.operations.project import Project
    from toolkit.operations.transfer.origins import Files, Origin
    from toolkit.operations.transfer.rejects import Rejects
    from toolkit.operations.transfer.sampling import Sample
    from toolkit.operations.transfer.set_values import SetValues
    from toolkit.operations.transfer.sources import Source
    from toolkit.operations.transfer.watermarks import Since


class Transfer(Struct, frozen=True):
    """The rows of these tables, into a database.

    `problems` is what the source lacks; it is told together with what the target lacks. With `since`, only rows of a
    database that changed since the last transfer from it are looked at, and of those `running` there more may follow.
    `values` are for columns that only the target has. `files` are written when nothing is left to refuse, before any
    row is. Rows among the `rejects` are left out, and none of the target with the key of one is deleted. A target
    without tables gets all of the models' but the `excluded` ones. A dry run shows the rows of a `sample`. The
    `exclude_columns`, as `TABLE.COLUMN` of the source, may be generated otherwise. With `beside`, another connection
    of this process has the right to write, and keeps it until all is done. `numbers` are, by table and column, what is
    given out next at least, where no database says it.
    """

    origin: Origin
    target: Database
    specs: Sequence[TableSpec]
    options: Options
    dry_run: bool = False
    problems: Sequence[str] = ()
    since: Since | None = None
    running: Sequence[RunningTransaction] = ()
    values: SetValues = field(default_factory=dict)
    files: Files | None = None
    excluded: Collection[str] = ()
    rejects: Rejects | None = None
    sample: Sample | None = None
    exclude_columns: Collection[str] = ()
    beside: bool = False
    numbers: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def against(self, target: Connection | None) -> Source:
        """The rows in their final form, without those that are left out. Raises what the origin does."""
        found = self.origin.against(target)
        if self.rejects is None:
            return found
        from toolkit.operations.transfer.rejects import WithoutRejected

        return WithoutRejected(found, self.rejects)

    def next_numbers(self) -> Mapping[str, Mapping[str, int]]:
        """By table and column, the numbers that the source gives out next, if it is a database that only ascends.

        Else those of which it is known by other means.
        """
        source = self.origin.tables
        if source is None or self.origin.depends_on_target:
            return self.numbers
        found: dict[str, dict[str, int]] = {}
        for spec in self.specs:
            own = source.own(spec)
            facts = source.connection.facts(own)
            known = {} if facts is None else {name: each.next_number for name, each in facts.columns.items()}
            pairs = zip(spec.column_names, own.column_names, strict=True)
            found[spec.name] = {name: number for name, other in pairs if (number := known.get(other)) is not None}
        return found

    @property
    def source_name(self) -> str:
        """What the rows come from, for messages."""
        return self.origin.tables.connection.name if self.origin.tables else "the files"

    @property
    def is_exact(self) -> bool:
        """Whether a plan holds only for the very rows that it was made against.

        Rows that others came to write since a plan was made may be left to the next sync only where each row is
        updated by its own key, whatever else there is.
        """
        return self.origin.depends_on_target or self.options.mode is not Mode.UPSERT


class Staging(Protocol):
    """What brings rows to the target by other ways, from where they are transferred."""

    def share(self, origin: Connection) -> None:
        """Let others see what this connection sees, before anything is read of it."""

    def transferred(self, request: Transfer, project: Project, progress: Progress) -> TransferResult:
        """Bring them there, and transfer them."""


class TransferResult(Struct, frozen=True):
    """What a transfer did or, as a dry run, would do.

    `schema_from` says what a target without tables got them from, or would get them; None if they were there.
    `warnings` are of what the target now holds, or of what a real run would lack.
    """

    tables: tuple[TableResult, ...]
    warnings: tuple[TransferWarning, ...] = ()
    schema_from: str | None = None
    is_checked: bool = False
    """Whether what arrived was compared with what was sent."""

    @property
    def verified(self) -> bool:
        """Whether the target was proved to hold the source's rows when it was done."""
        return self.is_checked and not is_overtaken(self.warnings)


def transferred(
    source: str,
    request: Transfer,
    result: TransferResult,
    started: float,
    attachments: FileCopy | None,
    warnings: Sequence[TransferWarning],
) -> SyncResult:
    """What a command that `started` then says of its transfer from `source`; `warnings` were found before."""
    return SyncResult(
        source,
        request.target.name,
        request.dry_run,
        result.schema_from is not None,
        result.verified,
        result.tables,
        time.perf_counter() - started,
        attachments,
        (*warnings, *result.warnings),
        result.schema_from,
        rejected=() if request.rejects is None else request.rejects.counts,
    )
