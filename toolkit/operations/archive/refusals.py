"""What a removal would have needed where the credentials may write and read, but not remove."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from toolkit.errors import DeleteRefusedError

if TYPE_CHECKING:
    from toolkit.operations.archive.prune import PruneResult

_NAMED = 3


@contextmanager
def refusal_told(plan: PruneResult) -> Iterator[None]:
    """A store's refusal to remove, told with what was to be removed: manifests go first, so that no snapshot lies."""
    try:
        yield
    except DeleteRefusedError as error:
        raise DeleteRefusedError(error.subject, f", {_wanted(plan)}") from error


def _wanted(plan: PruneResult) -> str:
    going = [verdict.snapshot.id for verdict in plan.snapshots if not verdict.kept]
    named = "".join(f" {each}" for each in going[:_NAMED]) + (" …" if len(going) > _NAMED else "")
    return (
        f"of which {len(going):,} under snapshots/ ({named.strip() or 'none'}) and {plan.removed_objects:,} under "
        f"objects/ ({plan.removed_bytes:,} bytes) were to go"
    )
