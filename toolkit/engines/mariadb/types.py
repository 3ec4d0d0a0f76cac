"""Column types in the words of MariaDB's catalogue, taken apart."""

from __future__ import annotations

import re
from typing import NamedTuple

_TYPE = re.compile(r"(\w+)(?:\((\d+)(?:, ?(\d+))?\))?(?: (unsigned))?( zerofill)?", re.IGNORECASE)
_LABEL = re.compile(r"'((?:[^']|'')*)'")
_ESCAPED = re.compile(r"''|\\.", re.DOTALL)
_MICROSECONDS = 6

TEXTS = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
LABELS = frozenset({"enum", "set"})
BYTES = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
INTEGERS: dict[str, int] = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
"""With their bits."""
FLOATS = frozenset({"float", "double"})
MOMENTS = frozenset({"datetime", "timestamp"})
ADDRESSES = frozenset({"inet4", "inet6"})
SHAPES = frozenset(
    {
        *("geometry", "point", "linestring", "polygon"),
        *("multipoint", "multilinestring", "multipolygon", "geometrycollection"),
    }
)


class ActualType(NamedTuple):
    """A column's type: its name, and what stands in brackets behind it."""

    name: str
    size: int | None = None
    scale: int | None = None
    unsigned: bool = False

    @property
    def bits(self) -> int:
        """Of an integer, how many bits a signed one would need that holds all of its values."""
        return INTEGERS[self.name] + self.unsigned

    @property
    def dropped(self) -> int:
        """Of a time, what divides its microseconds: they are cut off without a word to whole parts of it."""
        return int(10 ** (_MICROSECONDS - (self.size or 0)))


def actual_type(text: str) -> ActualType:
    """A type as the catalogue has it, or as tables are made with it."""
    found = _TYPE.match(text.strip())
    if found is None:
        return ActualType(text)
    size, scale = (None if part is None else int(part) for part in found.group(2, 3))
    name = found[1].lower()
    return ActualType(
        {"numeric": "decimal", "integer": "int", "bool": "tinyint", "json": "longtext"}.get(name, name),
        size,
        scale,
        bool(found[4]),
    )


def labels_of(type_: str) -> tuple[str, ...]:
    """The labels of an enum or a set."""
    return tuple(_ESCAPED.sub(_character, each) for each in _LABEL.findall(type_.partition("(")[2]))


def _character(escaped: re.Match[str]) -> str:
    return {"\\n": "\n", "\\r": "\r", "\\0": "\0"}.get(escaped[0], escaped[0][1:])
