"""How a transfer writes: what becomes of rows that are there, and what is one commit."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from toolkit.core.batches import BATCH_ROWS
from toolkit.errors import ConfigurationError
from toolkit.operations.transfer.deletes import DeleteLimit


class Mode(StrEnum):
    """What becomes of rows that the target has already."""

    UPSERT = "upsert"
    INSERT = "insert"
    REPLACE = "replace"
    SOFT_DELETE = "soft-delete"

    @property
    def removes(self) -> bool:
        """Whether rows that only the target has are deleted, or marked as deleted."""
        return self in (Mode.REPLACE, Mode.SOFT_DELETE)


class Options(Struct, frozen=True):
    """How to write. `commit_every` (rows) trades all-or-nothing for commits in between.

    `mode`: by default rows are inserted or updated, and those that only the target has stay; `insert` refuses rows
    that are there already, `replace` also deletes those that only the target has, of each table `max_delete` at most,
    and `soft-delete` marks them as deleted where the table has columns for that. `hold_triggers` keeps the target's
    triggers from firing for the rows that are written.

    Raises:
        ConfigurationError: two that do not go together.
    """

    verify: bool = True
    batch_rows: int = BATCH_ROWS
    commit_every: int | None = None
    mode: Mode = Mode.UPSERT
    max_delete: DeleteLimit | None = None
    hold_triggers: bool = False

    def __post_init__(self) -> None:
        if self.hold_triggers and self.commit_every:
            raise ConfigurationError(
                "--hold-triggers needs one transaction, or a commit in between would let others see tables without "
                "their triggers.",
                "Leave out --commit-every.",
            )

    def limited(self, *, sees_deletes: bool) -> Options:
        """The same with the limit that every deleting sync has; `sees_deletes`: it looks at all rows.

        Raises:
            ConfigurationError: rows are to be deleted that it cannot see.
        """
        if not sees_deletes and self.mode is not Mode.UPSERT:
            raise ConfigurationError(
                "Rows that changed since the last sync do not show which are gone.", "Delete by a sync without --since."
            )
        return replace(self, max_delete=self.max_delete or DeleteLimit()) if self.mode.removes else self
