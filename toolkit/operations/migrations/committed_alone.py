"""What stands of migrations that failed after something was committed, in words."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, field

_SHOWN = 30


class Place(Struct, frozen=True):
    """Where in a migration an error came from, which migration that is, and the one before it."""

    file: str
    line: int
    revision: str
    before: str | None
    is_downgrade: bool


class Standing(Struct):
    """What was committed: migrations with their records, statements of the one that failed, and what may have been."""

    title: str
    versions: str
    done: list[str] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)
    stands_at: str | None = None
    """What is recorded after the error, where that was to be asked."""

    def __bool__(self) -> bool:
        """Whether anything was committed."""
        return bool(self.statements or self.done or self.doubtful)


def told_alone(standing: Standing, failed: Place | None) -> str:
    """Which statements of which migration were committed, what is recorded, and what to do next."""
    said = [f"{standing.title} commits each statement that changes a schema by itself."]
    if standing.done:
        said.append(f"Done and recorded: {', '.join(standing.done)}.")
    of = f"Of {failed.revision}" if failed else "Of what failed"
    if standing.statements:
        shown = listed([f"({n}) {each}" for n, each in enumerate(standing.statements, 1)], _SHOWN)
        said.append(f"{of} this is committed, and nothing after it: {shown}.")
    if standing.doubtful:
        said.append(f"The connection was lost: whether this is done, look: {listed(standing.doubtful, _SHOWN)}.")
    if not (standing.statements or standing.doubtful):
        said.append(f"{of} nothing is committed.")
    said.append(f"{standing.versions} records {standing.stands_at or 'no revision'}.")
    if not (standing.statements or standing.doubtful):
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


def told_together(standing: Standing, most: int) -> str:
    """The same where a transaction has statements of all kinds, and something ended it on the way."""
    done = f"Done and recorded: {', '.join(standing.done)}. " if standing.done else ""
    if not standing.statements:
        return f"The database is not as before. {done}Correct what failed and run again, which goes on from there."
    also = "also " if standing.done else ""
    of = ", of a migration that is not recorded" if standing.done else ""
    return (
        f"The database is not as before. {done}This was {also}committed (by an autocommit_block, for example){of}: "
        f"{listed(standing.statements, most)}. "
        "Undo it by hand before the next run, or let the migration skip what is there already."
    )


def listed(statements: Sequence[str], most: int) -> str:
    """The first of them, and how many more there are."""
    more = f"; and {len(statements) - most} more" if len(statements) > most else ""
    return "; ".join(statements[:most]) + more
