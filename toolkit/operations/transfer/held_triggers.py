"""`--hold-triggers`: which triggers of the target do not fire for the rows that are written, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from toolkit.core.plan import TransferWarning
from toolkit.errors import PrivilegeError

if TYPE_CHECKING:
    from toolkit.core.plan import TablePlan
    from toolkit.core.progress import Progress
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Connection


class HeldTriggers(Struct, frozen=True):
    """The tables whose triggers are held while rows are written, and what that means for each."""

    specs: Sequence[TableSpec] = ()
    warnings: tuple[TransferWarning, ...] = ()

    def tell(self, progress: Progress) -> None:
        """Say it in lines."""
        for warning in self.warnings:
            progress.note(f"{warning.table}: {warning.reason}")


def triggers_to_hold(plans: Sequence[TablePlan], target: Connection) -> HeldTriggers:
    """The triggers of the tables that are written, or that foreign keys let be changed with them.

    Raises:
        PrivilegeError: some cannot be held.
    """
    specs = _touched(plans)
    found = target.triggers(specs) if specs else ()
    for each in found:
        if each.hindrance is not None:
            reason = f"the triggers of {each.table} cannot be held ({', '.join(each.triggers)}): {each.hindrance}"
            other_way = "Run as the owner" if each.can_be_held else "Drop them for the time of the sync"
            advice = f"{other_way}, or run without --hold-triggers, which lets them fire."
            raise PrivilegeError(target.name, each.hindrance, reason, advice)
    with_triggers = {each.table for each in found if each.triggers}
    told = []
    for each in found:
        if each.triggers:
            reason = f"held, so as not to fire for the rows that are written: {', '.join(each.triggers)}."
            told.append(TransferWarning("triggers held", each.table, reason, database=target.name))
        if each.rules:
            reason = f"not held, because rules cannot be: {', '.join(each.rules)}."
            told.append(TransferWarning("rules not held", each.table, reason, database=target.name))
    return HeldTriggers([spec for spec in specs if spec.name in with_triggers], tuple(told))


def firing(target: Connection, specs: Sequence[TableSpec]) -> str:
    """What to do about the triggers that fire when rows of these tables are written; '' if none do."""
    found = target.triggers(specs)
    names = ", ".join(name for each in found for name in each.triggers)
    if not all(each.can_be_held for each in found):
        return names and f"Drop what fires there for the time of the sync ({names})."
    return names and f"--hold-triggers keeps what fires there from doing so ({names})."


def _touched(plans: Sequence[TablePlan]) -> list[TableSpec]:
    """The tables that are written to, with those that point at them: ON UPDATE and ON DELETE change these, too."""
    names = {plan.spec.name for plan in plans if plan.writes or plan.deletes}
    while more := set(_pointing(plans, names)) - names:
        names |= more
    return [plan.spec for plan in plans if plan.spec.name in names]


def _pointing(plans: Sequence[TablePlan], names: set[str]) -> Iterator[str]:
    for plan in plans:
        if any(foreign_key.parent in names for foreign_key in plan.spec.foreign_keys):
            yield plan.spec.name
