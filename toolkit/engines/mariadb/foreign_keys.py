"""Foreign keys by SHOW CREATE TABLE: the catalogue tells a role that may only read of none."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

_NAME = r"`(?:[^`]|``)+`"
_NAMES = rf"\(({_NAME}(?:, ?{_NAME})*)\)"
_ACTION = "(RESTRICT|CASCADE|SET NULL|NO ACTION|SET DEFAULT)"
# As SQLAlchemy's own parser of these statements, which warns of each type that it does not know, reads them.
_LINE = re.compile(
    rf"^  CONSTRAINT (?P<name>{_NAME}) FOREIGN KEY {_NAMES} REFERENCES (?P<schema>{_NAME}\.)?(?P<parent>{_NAME}) "
    rf"{_NAMES}(?: MATCH \w+)?(?: ON DELETE (?P<deleted>{_ACTION}))?(?: ON UPDATE (?P<updated>{_ACTION}))?,?$",
    re.MULTILINE,
)
_PERIODS = re.compile(rf"^  (?:UNIQUE KEY ({_NAME})|PRIMARY KEY) \(.*{_NAME} WITHOUT OVERLAPS\)", re.MULTILINE)
_USUAL = ("RESTRICT", "NO ACTION", None)


class StoredForeignKey(Struct, frozen=True):
    """A foreign key, and what it does; `is_here`: its parent is of the same database."""

    name: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    is_here: bool
    on_delete: str | None
    on_update: str | None


def foreign_keys(definition: str) -> Iterator[StoredForeignKey]:
    """Those of the table that a statement makes."""
    for found in _LINE.finditer(definition):
        deleted, updated = (None if found[each] in _USUAL else found[each] for each in ("deleted", "updated"))
        yield StoredForeignKey(
            _plain(found["name"]),
            _names(found[2]),
            _plain(found["parent"]),
            _names(found[5]),
            found["schema"] is None,
            deleted,
            updated,
        )


def without_overlaps(definition: str) -> Iterator[str]:
    """The keys of the table that a statement makes that keep periods apart; the catalogue says nothing of it."""
    for found in _PERIODS.finditer(definition):
        yield _plain(found[1]) if found[1] else "PRIMARY"


def _names(listed: str) -> tuple[str, ...]:
    return tuple(_plain(each) for each in re.findall(_NAME, listed))


def _plain(name: str) -> str:
    return name[1:-1].replace("``", "`")
