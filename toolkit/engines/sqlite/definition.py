"""A table's definition as SQLite keeps it, taken apart into what can be kept word for word.

The pragmas do not tell all: CHECK, COLLATE, DEFERRABLE, ON CONFLICT and AUTOINCREMENT stand only in `sqlite_schema`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType

from msgspec import Struct

from toolkit.engines.sqlite.declared_kinds import strict_type

_TOKEN = re.compile(
    r"""(?P<skip>\s+|--[^\n]*|/\*.*?(?:\*/|$))
      | (?P<text>'(?:[^']|'')*') | (?P<name>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
      | (?P<word>[^\W\d][\w$]*) # As SQLite: any letter that is not ASCII, too.
      | (?P<other>[\d.]+(?:[eE][+-]?\d+)?|.)""",
    re.VERBOSE | re.DOTALL,
)
_OPENING = frozenset({"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"})
_CLAUSES = _OPENING | {"NOT", "NULL", "DEFAULT", "COLLATE", "REFERENCES", "GENERATED", "AS"}


class _Token(Struct, frozen=True):
    text: str
    kind: str
    depth: int
    source: str
    start: int
    end: int

    @property
    def word(self) -> str:
        """The keyword that it may be."""
        return self.text.upper() if self.kind == "word" else ""

    @property
    def identifier(self) -> str:
        """The name that it stands for, folded as SQLite compares names."""
        if self.kind == "name":
            end = self.text[-1]
            return self.text[1:-1].replace(end * 2, end).lower()
        return self.text.lower() if self.kind == "word" else ""


class Clause(Struct, frozen=True):
    """One constraint, of a column or of the table; `kind` is its first keyword: CHECK, UNIQUE, DEFAULT and so on."""

    kind: str
    name: str | None
    tokens: tuple[_Token, ...]

    def __str__(self) -> str:
        return _joined(self.tokens)

    @property
    def identifiers(self) -> frozenset[str]:
        """All names in it but those of functions, in small letters: more than those of columns."""
        return _names(self.tokens)

    @property
    def words(self) -> tuple[str, ...]:
        """The keywords in it, in capitals, and what may be some."""
        return tuple(each.word for each in self.tokens)

    @property
    def expression(self) -> str:
        """What is in its first parentheses, as written."""
        start = next((n for n, each in enumerate(self.tokens) if each.text == "("), len(self.tokens))
        depths = (n for n, each in enumerate(self.tokens) if n > start and each.depth == self.tokens[start].depth)
        return _joined(self.tokens[start + 1 : next(depths, None)])

    @property
    def columns(self) -> tuple[str, ...]:
        """The names in its first parentheses."""
        start = next((n for n, each in enumerate(self.tokens) if each.text == "("), len(self.tokens))
        found: list[str] = []
        for before, each in pairwise(self.tokens[start:]):
            if each.text == ")" and each.depth == self.tokens[start].depth:
                break
            if before.text in {"(", ","}:
                found.append(each.identifier)
        return tuple(found)


class ColumnDefinition(Struct):
    """A column: its quoted name, its declared type and its constraints, each as written."""

    name: str
    quoted: str
    type: str
    clauses: list[Clause]

    def __str__(self) -> str:
        return " ".join(part for part in (self.quoted, self.type, *map(str, self.clauses)) if part)

    def remove(self, kind: str) -> None:
        """Take away what it has of a kind."""
        self.clauses = [each for each in self.clauses if each.kind != kind]

    def add(self, text: str) -> None:
        """Give it a constraint more."""
        self.clauses += _clauses([*_tokens(text)])


class TableDefinition(Struct):
    """A table: its columns and constraints, and what follows the parentheses (STRICT, WITHOUT ROWID)."""

    columns: dict[str, ColumnDefinition]
    constraints: list[Clause]
    options: str
    is_autoincrement: bool = False

    @property
    def is_strict(self) -> bool:
        """Whether its columns have no types but six, and hold nothing else."""
        return "strict" in identifiers(self.options)

    @property
    def is_without_rowid(self) -> bool:
        """Whether it is WITHOUT ROWID."""
        return "without" in identifiers(self.options)

    def change_columns(self, columns: dict[str, ColumnDefinition]) -> None:
        """Have these columns, of types that the table takes."""
        self.columns = columns
        for each in columns.values() if self.is_strict else ():
            each.type = strict_type(each.type)

    @classmethod
    def parsed(cls, sql: str) -> TableDefinition:
        """Take the text of a CREATE TABLE apart. Names of columns are in small letters.

        Raises:
            ValueError: it is no table with columns of its own, such as a virtual one.
        """
        tokens = [*_tokens(sql)]
        if tokens[1:2] and tokens[1].word == "VIRTUAL":
            raise ValueError("it is a virtual table")
        start = next((n for n, each in enumerate(tokens) if each.text == "("), None)
        end = next((n for n, each in enumerate(tokens) if each.text == ")" and each.depth == 0), None)
        if start is None or end is None:
            raise ValueError("its definition has no columns")
        columns: dict[str, ColumnDefinition] = {}
        constraints: list[Clause] = []
        for item in _items(tokens[start + 1 : end]):
            if item[0].word in _OPENING:
                constraints += _clauses(item)
            else:
                column = _column(item)
                columns[column.name] = column
        is_autoincrement = any(each.word == "AUTOINCREMENT" for each in tokens)
        return cls(columns, constraints, _joined(tokens[end + 1 :]), is_autoincrement)

    def __str__(self) -> str:
        return ",\n\t".join(map(str, [*self.columns.values(), *self.constraints]))

    def clauses(self) -> Iterator[tuple[list[Clause], Clause, ColumnDefinition | None]]:
        """Each constraint, with the list that it stands in and the column that it belongs to."""
        for column in self.columns.values():
            yield from ((column.clauses, each, column) for each in [*column.clauses])
        yield from ((self.constraints, each, None) for each in [*self.constraints])


def identifiers(sql: str) -> frozenset[str]:
    """All names and keywords in a statement, in small letters."""
    return frozenset(each.identifier for each in _tokens(sql)) - {""}


def updated_columns(trigger: str) -> frozenset[str]:
    """The columns in `UPDATE OF a, b ON …` of a trigger."""
    found = re.search(r"\bUPDATE\s+OF\s+(.*?)\s+ON\s", trigger, re.IGNORECASE | re.DOTALL)
    return identifiers(found[1]) if found else frozenset()


def names_in_index(sql: str) -> frozenset[str]:
    """The names of columns and keywords in an index, in small letters; neither its own nor its table's."""
    tokens = [*_tokens(sql)]
    return _names(tokens[next((n for n, each in enumerate(tokens) if each.text == "("), 0) :])


def _names(tokens: Sequence[_Token]) -> frozenset[str]:
    calls = {id(each) for each, after in pairwise(tokens) if after.text == "("}
    return frozenset(each.identifier for each in tokens if id(each) not in calls) - {""}


def normalised(sql: str, names: Mapping[str, str] = MappingProxyType({})) -> str:
    """A text without what makes no difference: space, comments, the case and quotes of names; `names` have others."""
    return " ".join(names.get(each.identifier, each.identifier) or each.text for each in _tokens(sql))


def _tokens(sql: str) -> Iterator[_Token]:
    depth = 0
    for found in _TOKEN.finditer(sql):
        kind = str(found.lastgroup)
        if kind == "skip":
            continue
        depth -= found[0] == ")"
        yield _Token(found[0], kind, depth, sql, found.start(), found.end())
        depth += found[0] == "("


def _items(tokens: Sequence[_Token]) -> Iterator[list[_Token]]:
    """Columns and constraints, which commas divide."""
    item: list[_Token] = []
    for each in tokens:
        if each.text == "," and each.depth == 1:
            yield item
            item = []
        else:
            item.append(each)
    if item:
        yield item


def _column(tokens: Sequence[_Token]) -> ColumnDefinition:
    depth = tokens[0].depth
    start = next((n for n in range(1, len(tokens)) if tokens[n].depth == depth and _begins(tokens, n, "")), len(tokens))
    first = tokens[0]
    name = first.text[1:-1].lower() if first.kind == "text" else first.identifier
    return ColumnDefinition(name, first.text, _joined(tokens[1:start]), _clauses(tokens[start:]))


def _clauses(tokens: Sequence[_Token]) -> list[Clause]:
    """Divide what has no commas between: `NOT NULL DEFAULT 1 CONSTRAINT x CHECK (…)`."""
    if not tokens:
        return []
    depth = tokens[0].depth
    starts: list[int] = []
    kind, named = "", False
    for number, each in enumerate(tokens):
        if each.depth != depth:
            continue
        if named and number == starts[-1] + 2:
            kind, named = each.word, False
        elif not (named and number == starts[-1] + 1) and _begins(tokens, number, kind):
            starts.append(number)
            kind, named = each.word, each.word == "CONSTRAINT"
    return [_clause(tokens[start:end]) for start, end in zip(starts, [*starts[1:], len(tokens)], strict=True)]


def _clause(tokens: Sequence[_Token]) -> Clause:
    if tokens[0].word == "CONSTRAINT" and len(tokens) > 2:  # noqa: PLR2004 - CONSTRAINT, its name, and more
        return Clause(_kind(tokens[2]), _spelled(tokens[1]), tuple(tokens))
    return Clause(_kind(tokens[0]), None, tuple(tokens))


def _kind(token: _Token) -> str:
    return {"REFERENCES": "FOREIGN", "AS": "GENERATED"}.get(token.word, token.word)


def _spelled(token: _Token) -> str:
    end = token.text[-1]
    return token.text[1:-1].replace(end * 2, end) if token.kind in {"name", "text"} else token.text


def _begins(tokens: Sequence[_Token], number: int, kind: str) -> bool:
    """Whether a constraint begins here; `kind` is that of the one before."""
    word = tokens[number].word
    before = tokens[number - 1].word if number else ""
    after = tokens[number + 1].word if number + 1 < len(tokens) else ""
    match word:
        case "NOT":
            return after == "NULL"
        case "NULL":
            return before not in {"NOT", "SET", "DEFAULT"}
        case "DEFAULT":
            return before != "SET"
        case "AS":
            return before != "ALWAYS"
        case "REFERENCES":
            return kind != "FOREIGN"
    return word in _CLAUSES


def _joined(tokens: Sequence[_Token]) -> str:
    """The tokens as they are written."""
    return tokens[0].source[tokens[0].start : tokens[-1].end] if tokens else ""
