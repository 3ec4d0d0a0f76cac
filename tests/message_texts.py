"""Every text in the package that may reach a user: the sentences of errors, advice, notes, warnings and options.

`python -m tests.message_texts` prints them, with where each is.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.test_architecture import PACKAGE, modules, parents

# No sentences for a user: pages and scripts that are written, SQL.
_NOT_READ = ("operations/migrations/template", "bundled", "models/todo.py")
_KEYWORDS = (
    "SELECT INSERT UPDATE DELETE CREATE DROP ALTER WITH PRAGMA SET BEGIN LOCK COPY COMMENT ATTACH FROM WHERE AND OR "
    "CASE CAST ORDER GROUP JOIN VALUES ON GRANT COLLATE REFERENCES FOREIGN PRIMARY CONSTRAINT CHECK UNIQUE DEFAULT NOT "
    "END GENERATED RETURNING COMMIT TRUNCATE DO LEFT UNION EXISTS IS IN EXPLAIN SAVEPOINT RELEASE ROLLBACK"
)
_SQL = re.compile(rf"\s*({'|'.join(_KEYWORDS.split())})\b(?! [a-z])")
_WITHIN_SQL = re.compile(r"\b(SELECT (?!only)|FROM [a-z{]|WHERE |pg_catalog|AS [a-z]|nspname|THEN |ELSE )")


@dataclass(frozen=True, order=True)
class Text:
    """A text; what is put into it stands in braces."""

    text: str
    place: str
    function: str
    """What it is given to, if it is an argument."""


def texts() -> list[Text]:
    """All of them, sorted."""
    found: set[Text] = set()
    for path in modules():
        relative = path.relative_to(PACKAGE).as_posix()
        if not relative.startswith(_NOT_READ):
            found |= set(_of(parents(path), relative))
    return sorted(found)


def _of(parents: Mapping[ast.AST, ast.AST | None], path: str) -> Iterator[Text]:
    for node, parent in parents.items():
        if not isinstance(node, ast.Constant | ast.JoinedStr):
            continue
        if isinstance(parent, ast.JoinedStr | ast.FormattedValue | ast.Expr):
            continue
        text = _text(node)
        if text is not None and _is_sentence(text):
            yield Text(text, f"{path}:{node.lineno}", _called(node, parents))


def _text(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(each.value) if isinstance(each, ast.Constant) else "{" + ast.unparse(each.value) + "}"
            for each in node.values
            if isinstance(each, ast.Constant | ast.FormattedValue)
        )
    return None


def _is_sentence(text: str) -> bool:
    """Whether it has three words of a language, apart from what is put in."""
    plain = re.sub(r"\{[^{}]*(\{[^{}]*\}[^{}]*)*\}", "", text)
    words = re.findall(r"(?:^|(?<=[\s(]))[a-zA-Z][a-z]+(?=[\s,.:;)']|$)", plain)
    return len(words) >= 3 and not _SQL.match(text) and not _WITHIN_SQL.search(text)


def _called(node: ast.AST, parents: Mapping[ast.AST, ast.AST | None]) -> str:
    while parent := parents[node]:
        if isinstance(parent, ast.Call) and node is not parent.func:
            return ast.unparse(parent.func)
        if isinstance(parent, ast.stmt):
            return ""
        node = parent
    return ""


if __name__ == "__main__":
    for each in texts():
        sys.stdout.write(f"{each.place} [{each.function}] {each.text}\n")
