"""How results of `toolkit database …` are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolkit.cli.output import print_json, print_script, say
from toolkit.shown_text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.operations.migrations.history import Revision
    from toolkit.operations.migrations.migrate import Check, CurrentRevision, Dropped, Migration


def show_history(result: Any, revisions: Sequence[Revision], as_json: bool, verbose: bool) -> None:
    """Revisions of the history, or the result as JSON."""
    if as_json:
        print_json(result)
        return
    for revision in revisions:
        show_revision(revision, verbose)


def show_migration(done: Migration) -> None:
    """What an upgrade, downgrade or stamp did, or the statements that it would run."""
    if done.sql is not None:
        print_script(f"-- {printable(done.database)}\n{done.sql.rstrip()}")
    elif done.before == done.after:
        say(f"{done.database}: at {done.after or 'no revision'}, nothing to do")
    else:
        say(f"{done.database}: {done.before or 'no revision'} -> {done.after or 'no revision'}")


def show_current(found: CurrentRevision) -> None:
    """At which revision a database stands."""
    standing = "head" if found.is_head else f"head: {found.head or 'none'}"
    say(f"{found.database}: {found.revision or 'no revision'} ({standing})")


def show_check(found: Check) -> None:
    """How a database differs from the models."""
    if not found.changes:
        but = ", except what is not compared:" if found.not_compared else ""
        say(f"{found.database}: no differences{but}")
    elif found.not_compared:
        say(f"{found.database}: not compared:")
    for each in found.not_compared:
        say(f"  {each}")
    for change in found.changes:
        say(f"{found.database}: {change}")


def show_dropped(done: Dropped) -> None:
    """Which tables were dropped."""
    say(f"{done.database}: dropped {', '.join(done.tables) or 'nothing'}")


def show_revision(found: Revision, verbose: bool) -> None:
    """One revision of the history; `verbose` with its neighbours and its file."""
    marks = [
        mark
        for mark, holds in (
            ("head", found.is_head),
            ("current", found.is_current),
            ("branch point", len(found.children) > 1),
            ("merge", len(found.parents) > 1),
            *((label, True) for label in found.labels),
        )
        if holds
    ]
    shown = f" ({', '.join(marks)})" if marks else ""
    say(f"{found.revision}  {found.message}{shown}")
    if verbose:
        say(f"  follows {', '.join(found.parents) or 'nothing'}")
        if found.children:
            say(f"  followed by {', '.join(found.children)}")
        say(f"  {found.path}")
