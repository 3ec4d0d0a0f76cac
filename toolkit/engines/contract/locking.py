"""What a connection keeps others from, while it reads and while it writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from toolkit.core.progress import SILENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.core.progress import Progress
    from toolkit.core.tables import TableSpec


class Locking(Protocol):
    """The locks of a connection. An engine without these abilities keeps the portable default."""

    def lock_tables(self, specs: Sequence[TableSpec], progress: Progress = SILENT) -> None:
        """Keep these tables from being altered while they are worked on; call it first. Default: they are looked up."""

    def look_first(self) -> None:
        """Keep nobody from writing until `begin_writing`; call it before anything is read. Default: nothing."""

    def begin_writing(self) -> bool:
        """Take what writing needs; whether all that was read since `look_first` is as it was. Default: it is."""

    def exclude_writers(self, specs: Sequence[TableSpec]) -> None:
        """Let nobody else write to these tables until the end. Default: nothing, for engines of one writer."""

    def hold_writer_lock(self) -> None:
        """Let no other toolkit write in between the commits of this connection. Default: nothing, as above.

        Raises:
            DatabaseUnavailableError: this connection cannot do so.
        """

    def require_room(self, merged: Sequence[TableSpec]) -> None:
        """Check that one transaction may merge rows into all of these tables. Default: it may.

        Raises:
            DatabaseUnavailableError: the server has no room for so many locks.
        """
