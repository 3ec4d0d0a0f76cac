"""What a removal would have needed where the credentials may write and read, but not remove."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from toolkit.errors import DeleteRefusedError

_NAMED = 3


@contextmanager
def refusal_told(snapshots: Sequence[str], objects: int, size: int) -> Iterator[None]:
    """A store's refusal to remove, told with what was to go: these snapshots, and so many objects of so many bytes."""
    try:
        yield
    except DeleteRefusedError as error:
        named = " ".join((*snapshots[:_NAMED], *(["…"] if len(snapshots) > _NAMED else []))) or "none"
        raise DeleteRefusedError(
            error.subject,
            f", of which {len(snapshots):,} under snapshots/ ({named}) and {objects:,} under objects/ ({size:,} bytes) "
            "were to go",
        ) from error
