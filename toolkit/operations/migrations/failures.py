"""Errors of migrations and of Alembic in this package's words."""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import MigrationError, ToolkitError
from toolkit.operations.migrations.committed_alone import Place
from toolkit.references import importable_from

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.config import Config
    from toolkit.operations.migrations.committed import Committed


_WAYS = {
    "Multiple head revisions": "Join them: toolkit database merge-migrations; or run all: database upgrade heads",
    # Back from a merge.
    "Ambiguous walk": "There are several ways there: name the revision to stop at. See: toolkit database history",
}


@contextmanager
def migrating(config: Config, committed: Committed | None = None, *, makes: bool = False) -> Iterator[None]:
    """Let migrations import the user's modules; turn their errors and Alembic's into this package's.

    Each says what was `committed` before, if anything was. `makes`: tables are made without any migration.
    """
    try:
        with importable_from(config.root):
            yield
    except ToolkitError as error:
        _add(error, committed)
        raise
    except KeyboardInterrupt as error:
        _note(error, committed, _place_of(error))
        raise
    except Exception as error:
        # Tables are made without Alembic where there is no migration.
        from alembic.util import CommandError

        if isinstance(error, CommandError):
            refused = MigrationError(f"{str(error).rstrip('.')}.", _way_past(str(error)))
            raise _add(refused, committed, error) from error
        # The lines after the first are SQLAlchemy's: the statement and its parameters, which are values.
        reason = str(error).strip().partition("\n")[0]
        as_before = "" if committed else "The database is as before. "
        what = "The tables could not be made" if makes else f"The migrations in {config.migrations} failed"
        failed = MigrationError(
            f"{what}: {type(error).__name__}{reason and f': {reason}'}.",
            f"{as_before}Run with --debug to see where.",
        )
        raise _add(failed, committed, error) from error


def _way_past(problem: str) -> str:
    """What to do about an error of Alembic's."""
    for told, advice in _WAYS.items():
        if told in problem:
            return advice
    return "See: toolkit database history"


def _add(error: ToolkitError, committed: Committed | None, cause: BaseException | None = None) -> ToolkitError:
    """Say where it happened, and what was committed before."""
    place = _place_of(error if cause is None else cause)
    told = [f"It happened in {place.file}, line {place.line}." if place else ""]
    if committed is not None:
        told += [committed.hidden_error(str(error)), committed.told(place)]
    if any(told):
        error.advise(" ".join(filter(None, told)))
    _note(error, committed, place)
    return error


def _note(error: BaseException, committed: Committed | None, place: Place | None) -> None:
    """Let whoever says no more than that Ctrl-C was pressed say what was committed."""
    if committed is not None and (told := committed.told(place)):
        error.add_note(told)


def _place_of(error: BaseException | None) -> Place | None:
    """The file and line of the migration that an error came from."""
    found: Place | None = None
    while error is not None and found is None:
        ways = []
        for frame, line in traceback.walk_tb(error.__traceback__):
            named = frame.f_globals
            if {"revision", "down_revision"} <= named.keys():
                ways.append(frame.f_code.co_name)
                name, before = Path(frame.f_code.co_filename).name, named["down_revision"]
                found = Place(name, line, str(named["revision"]), before and str(before), ways[0] == "downgrade")
        error = error.__cause__ or error.__context__
    return found
