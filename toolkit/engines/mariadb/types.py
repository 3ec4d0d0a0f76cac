"""Column types in the words of MariaDB's catalogue, taken apart."""

from __future__ import annotations

import re
from typing import NamedTuple

_TYPE = re.compile(r"(\w+)(?:\((\d+)(?:, ?(\d+))?\))?(?: (unsigned))?( zerofill)?", re.IGNORECASE)
_LABEL = re.compile(r"'((?:[^']|'')*)'")
_LITERAL = re.compile(r"'((?:[^'\\]|\\.|'')*)'", re.DOTALL)
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
    return tuple(map(unescaped, _LABEL.findall(type_.partition("(")[2])))


def unescaped(text: str) -> str:
    """What is between the quotes of a literal in the server's words."""
    return _ESCAPED.sub(_character, text)


def standard(sql: str) -> str:
    """The server's words for a session in which a backslash is a character."""
    return _LITERAL.sub(lambda found: "'{}'".format(unescaped(found[1]).replace("'", "''")), sql)


def _character(escaped: re.Match[str]) -> str:
    return {"\\n": "\n", "\\r": "\r", "\\0": "\0", "\\Z": "\x1a"}.get(escaped[0], escaped[0][1:])
