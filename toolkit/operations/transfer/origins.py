"""Where a transfer's rows come from, before it is known what the target holds: keys may have to follow that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct, field

from toolkit.operations.transfer.matching import MatchedSource

if TYPE_CHECKING:
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Connection
    from toolkit.operations.transfer.sources import Source, SourceTables


class Origin(Protocol):
    """Rows that get their final form against the target."""

    @property
    def tables(self) -> SourceTables | None:
        """The database that they come from; None if they come from files."""

    @property
    def depends_on_target(self) -> bool:
        """Whether what is given rests on the target's rows, so that it does not hold for others."""

    def against(self, target: Connection | None) -> Source:
        """The rows with the keys and values that they will have; None for a target that is yet to be made.

        Raises:
            ToolkitError: rows cannot be loaded into this target.
        """


class Files(Protocol):
    """The files that rows point at, which have to be there before the rows are."""

    def put(self) -> None:
        """Write those that are lacking."""


class DatabaseOrigin(Struct, frozen=True):
    """Rows of an open database; `match` names, by table, the columns that recognise them instead of the primary key."""

    tables: SourceTables
    specs: Sequence[TableSpec]
    match: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def depends_on_target(self) -> bool:
        """Whether rows are given the target's keys."""
        return bool(self.match)

    def against(self, target: Connection | None) -> Source:
        """The rows with the keys that the target knows them by. Raises what `MatchedSource` does."""
        if target is None or not self.match:
            return self.tables
        return MatchedSource(self.tables, target, self.specs, self.match)
