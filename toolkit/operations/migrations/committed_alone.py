"""What stands of migrations that failed where statements that change a schema commit by themselves, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.operations.migrations.committed import Committed
    from toolkit.operations.migrations.failures import Place

_SHOWN = 30


def told_alone(committed: Committed, failed: Place | None) -> str:
    """Which statements of which migration were committed, what is recorded, and what to do next."""
    stands = committed.stands_at or "no revision"
    said = [f"{committed.kind.title} commits each statement that changes a schema by itself."]
    if committed.done:
        said.append(f"Done and recorded: {', '.join(committed.done)}.")
    of = f"Of {failed.revision}" if failed else "Of what failed"
    if committed.statements:
        shown = listed([f"({n}) {each}" for n, each in enumerate(committed.statements, 1)], _SHOWN)
        said.append(f"{of} this is committed, and nothing after it: {shown}.")
    if committed.doubtful:
        said.append(f"The connection was lost: whether this is done, look: {listed(committed.doubtful, _SHOWN)}.")
    if not (committed.statements or committed.doubtful):
        said.append(f"{of} nothing is committed.")
    said.append(f"{committed.versions} records {stands}.")
    if not (committed.statements or committed.doubtful):
        said.append("Correct what failed and run again.")
    elif failed is None:
        said.append("Correct what failed and run again, which leaves out what is done.")
    else:
        after = failed.before or "base" if failed.is_downgrade else failed.revision
        said.append(
            "Undo that by hand and run again; or do the rest of it by hand (--sql shows it all), then record it: "
            f"toolkit database stamp-migration {after}"
        )
    return " ".join(said)


def listed(statements: Sequence[str], most: int) -> str:
    """The first of them, and how many more there are."""
    more = f"; and {len(statements) - most} more" if len(statements) > most else ""
    return "; ".join(statements[:most]) + more
