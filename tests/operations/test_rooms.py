"""How the rooms of the operations are kept: small modules and functions, no import circle, nothing called back."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import fields
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from toolkit.operations.transfer.request import Transfer

OPERATIONS = Path(__file__).parents[2] / "toolkit" / "operations"
PACKAGE = "toolkit.operations"
# Data: what `toolkit database init` copies.
MODULES = [path for path in sorted(OPERATIONS.rglob("*.py")) if path.parent.name != "template"]
MODULE_LINES, FUNCTION_LINES = 400, 50

each_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(OPERATIONS)))


def name_of(path: Path) -> str:
    parts = path.relative_to(OPERATIONS).with_suffix("").parts
    return ".".join((PACKAGE, *parts)).removesuffix(".__init__")


def imported(path: Path, known: frozenset[str]) -> Iterator[str]:
    """The modules of the operations that one imports, for type checkers alone too, and wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield from {f"{node.module}.{alias.name}", node.module} & known
        elif isinstance(node, ast.Import):
            yield from {alias.name for alias in node.names} & known


@each_module
def test_modules_and_functions_are_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MODULE_LINES
    functions = (n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    long = {f.name: lines for f in functions if (lines := (f.end_lineno or 0) - f.lineno + 1) > FUNCTION_LINES}
    assert not long


def test_no_module_imports_one_that_imports_it() -> None:
    known = frozenset(map(name_of, MODULES))
    graph = {name_of(path): {*imported(path, known)} - {name_of(path)} for path in MODULES}
    assert len([*TopologicalSorter(graph).static_order()]) == len(MODULES)
    assert sum(map(len, graph.values())) > len(MODULES), "the search finds imports"


def test_a_transfer_is_told_values_and_is_handed_nothing_to_call_back() -> None:
    assert not [field.name for field in fields(Transfer) if "Callable" in str(field.type)]
