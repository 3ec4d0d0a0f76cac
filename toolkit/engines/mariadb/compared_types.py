"""Whether a column that is there has the type that a table made from the models has."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from toolkit.engines.mariadb.column_types import type_of
from toolkit.engines.mariadb.dialect import room_of, unique_together
from toolkit.engines.mariadb.types import INTEGERS, TEXTS, actual_type, labels_of

if TYPE_CHECKING:
    from sqlalchemy import Column, Dialect
    from sqlalchemy.types import TypeEngine

_COLLATE = re.compile(r"COLLATE (\w+)")
_OF_ROOM = frozenset({"varchar", "varbinary"})
_OF_ANY_LENGTH = {"longtext": "varchar", "longblob": "varbinary"}


def is_same_type(dialect: Dialect, there: Column[Any], wanted: Column[Any]) -> bool:
    """Compare by what the server is told; how wide a number is shown is no difference."""
    # Without the column: what of a text fits an index depends on a table that may not be known here.
    old, new = (_made(dialect, each.type) for each in (there, wanted))
    collations = [found and found[1] for found in map(_COLLATE.search, (old, new))]
    if collations[1] is not None and collations[0] not in (None, collations[1]):
        return False
    one, other = actual_type(old), actual_type(new)
    if "enum" in (one.name, other.name):
        return one.name == other.name and {*labels_of(old)} == {*labels_of(new)}
    if one.name in INTEGERS and other.name in INTEGERS:
        return (one.name, one.unsigned) == (other.name, other.unsigned)
    if _OF_ANY_LENGTH.get(other.name) == one.name:
        return one.size in _rooms(there, wanted)
    return one == other


def _rooms(*columns: Column[Any]) -> set[int]:
    """How many characters a text of any length gets in the indexes of these columns' tables."""
    return {
        room_of(column, together)
        for column in columns
        if getattr(column, "table", None) is not None
        for together in unique_together(column.table)
        if column in together
    }


def _made(dialect: Dialect, type_: TypeEngine[Any]) -> str:
    return str(dialect.type_compiler_instance.process(type_))


def usual_type(dialect: Dialect, type_: TypeEngine[Any]) -> TypeEngine[Any]:
    """The type that every engine has for one that was read from a catalogue; the same where there is none."""
    made = _made(dialect, type_).partition(" COLLATE")[0]
    found, reason = type_of(
        "t", SimpleNamespace(name="c", type=made.lower(), extra=""), is_document=False, is_odd=False
    )
    return type_ if reason is not None or actual_type(made).name not in _KNOWN else found


_KNOWN = frozenset({*INTEGERS, *TEXTS, "decimal", "double", "float", "date", "datetime", "time", "longblob", "enum"})
