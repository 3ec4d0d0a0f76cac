"""Every text in the package that may reach a user: the sentences of errors, advice, notes, warnings and options.

`python -m tests.message_texts` prints them, with where each is.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "toolkit"
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
    for path in sorted(PACKAGE.rglob("*.py")):
        relative = path.relative_to(PACKAGE).as_posix()
        if not relative.startswith(_NOT_READ):
            found |= set(_of(ast.parse(path.read_text(encoding="utf-8")), relative))
    return sorted(found)


def _of(tree: ast.Module, path: str) -> Iterator[Text]:
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if isinstance(parents.get(node), ast.JoinedStr | ast.FormattedValue):
            continue
        text = _text(node)
        if text is None or isinstance(parents.get(node), ast.Expr) or not _is_sentence(text):
            continue
        yield Text(text, f"{path}:{getattr(node, 'lineno', 0)}", _called(node, parents))


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


def _called(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> str:
    while node in parents:
        parent = parents[node]
        if isinstance(parent, ast.Call) and node is not parent.func:
            return ast.unparse(parent.func)
        if isinstance(parent, ast.stmt):
            return ""
        node = parent
    return ""


if __name__ == "__main__":
    for each in texts():
        sys.stdout.write(f"{each.place} [{each.function}] {each.text}\n")
