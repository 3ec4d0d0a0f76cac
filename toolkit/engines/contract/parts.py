"""What an engine may bring so that a table is worked on in parts, by several processes at once, as of one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from msgspec import Struct

from toolkit.engines.contract.connection import Connection, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

PART_BYTES = 1 << 30
"""What a part holds, about: so much is lost with a worker, and a thousand of them are a table of a terabyte."""


class Part(Struct, frozen=True):
    """A part of a table: the rows that meet a condition in the engine's own words; without one, all of them.

    Each row of a table is in one of its parts and in no other, whatever rows there are: the first part has no lower
    bound, and the last no upper one.
    """

    number: int
    condition: str | None = None


@runtime_checkable
class ReadsInParts(Table, Protocol):
    """A table that can be read in parts, of which each costs its own share alone."""

    def parts(self, size: int = PART_BYTES) -> Sequence[Part]:
        """The table in parts of about so many bytes; one part where it cannot be cut so that it would help."""

    def covers(self, parts: Sequence[Part]) -> bool:
        """Whether parts that were cut earlier hold all rows that the table has by now."""

    def part(self, part: Part) -> Table:
        """The rows of one of them, which another connection may have cut."""


@runtime_checkable
class SharesSnapshot(Connection, Protocol):
    """A connection that reads, and that others can join: they see the same rows, wherever they are."""

    def share(self) -> str:
        """Let others join, from now until this connection is closed; what they need to do so.

        Call it before anything is read: it may begin the transaction anew.
        """

    def join(self, shared: str) -> None:
        """Begin as of another's moment, when the block is entered.

        Entering raises:
            SnapshotLostError: the other is gone.
        """

    def require_shared(self) -> None:
        """Check that all who joined saw the same rows. Default: they cannot have done otherwise.

        Raises:
            ChangedWhileReadError: somebody has written meanwhile.
        """
