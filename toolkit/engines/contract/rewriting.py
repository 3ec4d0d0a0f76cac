"""What tables in files can say of an upsert before it is done: how much is written for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import pyarrow as pa


@runtime_checkable
class RewritesFiles(Protocol):
    """A table whose rows are in files that are written anew as a whole when a row of theirs changes."""

    def rewritten(self, keys: pa.Table) -> tuple[int, int]:
        """How many files hold a row with one of these keys, and how many bytes they have together."""
