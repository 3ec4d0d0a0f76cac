"""What becomes of a source's constraints where tables are made from the models, which may say less, or more.

It is told; and refused where rows would be, before anything is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import sqlalchemy as sa

from toolkit.core.constraints import Change, Stronger, changes
from toolkit.core.plan import TransferWarning
from toolkit.core.progress import Progress
from toolkit.core.tables import TableSpec, bracketed
from toolkit.engines import connect
from toolkit.errors import SchemaMismatchError

if TYPE_CHECKING:
    from toolkit.config import Database
    from toolkit.engines.contract import Connection

# So many are told one by one; a document has all of them.
_TOLD = 20
CONSTRAINT_MISSING = "constraint missing"


def made_constraints(
    source: Connection, target: Database, specs: Sequence[TableSpec], progress: Progress
) -> tuple[TransferWarning, ...]:
    """How the constraints of tables that are yet to be made differ from those of the source, told at once.

    Raises:
        SchemaMismatchError: some would refuse rows that the source has.
    """
    there, made = source.constraints(specs), connect(target, write=True)
    found = [
        (spec, change)
        for spec in specs
        if spec.name in there
        for change in changes(there[spec.name], made.made_constraints(spec.table))
    ]
    problems = [
        f"{spec.name}: the models make {change.what}, {source.name} {_there(change)}, and {reason}"
        for spec, change in found
        if isinstance(change, Stronger) and (reason := _refused(source, spec, change))
    ]
    if problems:
        where = f"Index(..., {made.options_of}_where=...)"
        raise SchemaMismatchError(
            problems,
            f"Nothing was made. Correct it in the models (a condition is {where}), make the tables of "
            f"{target.name} before, or leave the table out: --exclude TABLE.",
        )
    told = tuple(_warning(source, target, spec, change) for spec, change in found)
    for warning in told[:_TOLD]:
        progress.note(f"{warning.table}: {warning.reason}")
    if len(told) > _TOLD:
        progress.note(f"… and {len(told) - _TOLD:,} more constraints: --json lists all.")
    return told


def unnamed_constraints(
    target: Database, specs: Sequence[TableSpec], lacking: Mapping[str, Sequence[str]], progress: Progress
) -> tuple[TransferWarning, ...]:
    """What tables that are made by other names do without, by these: nobody knows what it would be called there."""
    told = []
    for spec in specs:
        for what in lacking.get(spec.name, ()):
            reason = f"{target.name} is made without {what} of the models: it may refer to what has another name there."
            progress.note(f"{spec.name}: {reason}")
            told.append(TransferWarning(CONSTRAINT_MISSING, spec.name, reason))
    return tuple(told)


def _refused(source: Connection, spec: TableSpec, change: Stronger) -> str | None:
    """Which rows of the source it would refuse; None if there are none."""
    known = [name for name in change.columns if name in spec.column_names]
    if len(known) < len(change.columns):
        return None
    if not change.not_null:
        repeated = source.repository(spec).first_repeated(known)
        return repeated and f"several rows have {repeated}"
    within: list[sa.ColumnElement[bool]] = [] if spec.where is None else [sa.literal_column(bracketed(spec.where))]
    empty = source.holds(spec.table, spec.table.c[known[0]].is_(None), *within)
    return "some row has NULL there" if empty else None


def _there(change: Stronger) -> str:
    return "does not have it" if change.condition is None else f"has it only where {change.condition}"


def _warning(source: Connection, target: Database, spec: TableSpec, change: Change) -> TransferWarning:
    if isinstance(change, Stronger):
        reason = f"{target.name} is given {change.what}, as the models say; {source.name} {_there(change)}."
        return TransferWarning("constraint stronger", spec.name, reason)
    reason = f"{target.name} is made without {change.what}, which {source.name} has."
    return TransferWarning(CONSTRAINT_MISSING, spec.name, reason)
