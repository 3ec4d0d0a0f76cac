"""Where a transfer's rows come from, before it is known what the target holds: keys may have to follow that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from toolkit.operations.transfer.converting import Conversions
from toolkit.operations.transfer.matching import MatchedSource

if TYPE_CHECKING:
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Connection
    from toolkit.operations.transfer.sources import Source


class Origin(Protocol):
    """Rows that get their final form against the target."""

    @property
    def connection(self) -> Connection | None:
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


@dataclass(frozen=True)
class DatabaseOrigin:
    """Rows of an open database; `match` names, by table, the columns that recognise them instead of the primary key.

    `conversions` say how its values become the model's.
    """

    connection: Connection
    specs: Sequence[TableSpec]
    match: Mapping[str, Sequence[str]] = field(default_factory=dict)
    conversions: Conversions = field(default_factory=Conversions)

    @property
    def depends_on_target(self) -> bool:
        """Whether rows are given the target's keys."""
        return bool(self.match)

    def against(self, target: Connection | None) -> Source:
        """The rows with the keys that the target knows them by. Raises what `MatchedSource` does."""
        rows = self.conversions.reading(self.connection)
        if target is None or not self.match:
            return rows
        return MatchedSource(rows, target, self.specs, self.match)
