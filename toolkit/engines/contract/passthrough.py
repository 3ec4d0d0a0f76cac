"""What tables of some engines can do with those of the same: take their rows as they are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from toolkit.core.digest import TableDigest


@runtime_checkable
class PassesThrough(Protocol):
    """A table that takes the rows of another of its engine in the form that this sends, unseen by anybody between."""

    def can_pass_through(self, source: object) -> bool:
        """Whether it can: no value would be another for having been read and written by its type in the models."""

    def load_passthrough(
        self, source: Any, rows: int, passed: Callable[[int], None], *, digest: bool
    ) -> TableDigest | None:
        """Fill the table, which must be empty, with about `rows` rows; the digest of what the source has, if wanted.

        Raises:
            UnnamedRowError: a row is refused; `why_refused` finds it.
        """


@runtime_checkable
class CopiesWithinDatabase(Protocol):
    """A table that takes the rows of another of the same database, which never leave the server."""

    def can_copy_within(self, source: object) -> bool:
        """Whether it can: the other is there, and its columns have the same types."""

    def upsert_within(self, source: Any, keys: pa.Table) -> int:
        """Write the rows with these keys, as `Table.upsert_many` does, in one statement; the number written.

        Raises:
            RefusedRowError, UniqueConflictError, MissingParentError: named with the rows concerned.
        """
