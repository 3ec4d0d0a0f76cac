"""Just enough of SQL's grammar to find the parts of a CREATE TABLE, and to compare conditions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from msgspec import Struct

_TOKEN = re.compile(
    r"""--[^\n]* | /\*.*?(?:\*/|\Z) | \s+ | '(?:[^']|'')*'
      | "(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\] | \w+ | [<>=!|]+ | .""",
    re.VERBOSE | re.DOTALL,
)
_BLANK = ("--", "/*")
_BEFORE_BRACKETS = ("AND", "BETWEEN", "CASE", "ELSE", "IN", "LIKE", "NOT", "OR", "THEN", "WHEN")
_TABLE_CONSTRAINTS = ("CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN")


class Piece(Struct, frozen=True):
    """A word, a quoted name, a literal or a sign; or what `is_blank`: a comment, or spaces."""

    text: str

    @property
    def is_blank(self) -> bool:
        """Whether it says nothing."""
        return self.text.isspace() or self.text.startswith(_BLANK)


def pieces(sql: str) -> list[Piece]:
    """All of a text."""
    return [Piece(each) for each in _TOKEN.findall(sql)]


def tokens(sql: str) -> list[str]:
    """Words, quoted names, literals and signs, without comments and spaces."""
    return [piece.text for piece in pieces(sql) if not piece.is_blank]


def unquoted(part: str) -> str:
    """A name without its quotes."""
    if len(part) > 1 and part[0] + part[-1] in ('""', "``", "[]"):
        return part[1:-1].replace(part[-1] * 2, part[-1])
    return part


def readable(parts: Sequence[str]) -> str:
    """Tokens as one would write them."""
    text = ""
    for before, part in pairwise(["(", *parts]):
        called = part == "(" and before.isidentifier() and before.upper() not in _BEFORE_BRACKETS
        text += part if before in "(." or part in "),." or called else f" {part}"
    return text


def normalized(condition: str) -> str:
    """A condition to compare with others: its words and signs, for engines write letter case, spaces, brackets anew."""
    parts = (each if each.startswith("'") else unquoted(each).lower() for each in tokens(condition))
    return " ".join(each for each in parts if each not in ("(", ")"))


class Clause(Struct, frozen=True):
    """A clause of a CREATE TABLE: of one column, or of the table (`column` is None)."""

    column: str | None
    tokens: tuple[str, ...]

    def after(self, word: str) -> Iterator[int]:
        """The places behind a keyword, outside of brackets."""
        depth = 0
        for place, part in enumerate(self.tokens):
            depth += (part == "(") - (part == ")")
            if not depth and part.upper() == word:
                yield place + 1

    @property
    def checks(self) -> Iterator[tuple[str | None, str]]:
        """The CHECKs, each with its name."""
        for place in self.after("CHECK"):
            named = place >= 3 and self.tokens[place - 3].upper() == "CONSTRAINT"  # noqa: PLR2004 - CONSTRAINT name CHECK
            text = readable(self.tokens[place + 1 : _closing(self.tokens, place)])
            yield (unquoted(self.tokens[place - 2]) if named else None), text

    @property
    def collation(self) -> str | None:
        """What follows COLLATE."""
        return next((unquoted(self.tokens[place]) for place in self.after("COLLATE")), None)

    @property
    def references(self) -> Iterator[bool]:
        """For each foreign key, whether it is checked at the end of a transaction."""
        for start, end in pairwise([*self.after("REFERENCES"), len(self.tokens)]):
            words = [part.upper() for part in self.tokens[start:end]]
            yield any(word == "DEFERRABLE" and words[n - 1] != "NOT" for n, word in enumerate(words)) and (
                "DEFERRED" in words
            )


def index_parts(create_index: str) -> tuple[list[str], str | None]:
    """What a CREATE INDEX lists between its brackets, and the condition behind them."""
    parts = tokens(create_index)
    first = parts.index("(")
    end = _closing(parts, first)
    listed = [readable(each) for each in _separated(parts[first + 1 : end])]
    return listed, readable(parts[end + 2 :]) or None


def clauses(create_table: str) -> Iterator[Clause]:
    """The clauses of a CREATE TABLE."""
    parts = tokens(create_table)
    if "(" not in parts:
        return
    first = parts.index("(")
    for found in _separated(parts[first + 1 : _closing(parts, first)]):
        yield Clause(None if found[0].upper() in _TABLE_CONSTRAINTS else unquoted(found[0]), found)


def _separated(parts: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """What stands between the commas that are in no brackets."""
    begin, depth = 0, 0
    for place, part in enumerate([*parts, ","]):
        depth += (part == "(") - (part == ")")
        if not depth and part == ",":
            if place > begin:
                yield tuple(parts[begin:place])
            begin = place + 1


def _closing(parts: Sequence[str], opening: int) -> int:
    """Where the bracket that opens there closes; behind the end, if it does not."""
    depth = 0
    for place in range(opening, len(parts)):
        depth += (parts[place] == "(") - (parts[place] == ")")
        if not depth:
            return place
    return len(parts)
