"""A schema compared with what it was: whether a table that was made anew has lost anything that was not to go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from toolkit.errors import MigrationError


class Thing(NamedTuple):
    """Something that a schema has: its kind, the table that it belongs to, and what tells it from others there."""

    kind: str
    table: str
    name: str = ""
    of: str = ""
    """The column that it belongs to, where it stands with one."""

    def __str__(self) -> str:
        told = f"the {self.kind} {self.name}".rstrip()
        return f"{told} of {self.table}.{self.of}" if self.of else f"{told} of {self.table}"


Things = Mapping[Thing, str]


class Meant(Protocol):
    """What the operations of a migration change."""

    def __call__(self, thing: Thing, text: str, /) -> bool:
        """Whether they change this, or take it away."""

    def is_same(self, before: str, after: str, /) -> bool:
        """Whether two texts say the same, but for the names that they give columns."""


def require_nothing_lost(table: str, before: Things, after: Things, meant: Meant) -> None:
    """See that all that was there is there as it was, but for what was meant to change.

    Raises:
        MigrationError: something is gone, or another than it was; names it.
    """
    lost = [
        f"{thing}{f' ({text})' if text else ''}"
        for thing, text in before.items()
        if not meant(thing, text) and not (thing in after and meant.is_same(text, after[thing]))
    ]
    if lost:
        raise MigrationError(
            f"{table} cannot be changed in this way: {'; '.join(lost)} would be lost or changed.",
            "Write the statements yourself, with op.execute.",
        )
