"""The layers of the package, held against its imports; what the library must not do; how light it starts."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

import toolkit
from toolkit import archive

PACKAGE = Path(__file__).parent.parent / "toolkit"

# A room, and the rooms it may import from beside itself: nothing imports upwards.
ALLOWED = {
    "shown_text": set(),
    "errors": {"shown_text"},
    "core": {"errors"},
    "compute": {"core", "locks", "errors"},
    "config": {"engines", "ownership", "locks", "errors", "shown_text"},
    "models": {"ownership", "errors"},
    "ownership": {"errors"},
    "locks": {"ownership"},
    "engines": {"compute", "core", "config", "locks", "ownership", "errors"},
    "stores": {"compute", "core", "config", "locks", "errors", "shown_text"},
    "operations": {
        "engines",
        "stores",
        "compute",
        "core",
        "config",
        "models",
        "ownership",
        "errors",
        "migration_environment",
    },
    "cli": {"operations", "config", "core", "ownership", "errors", "shown_text"},
    "testing": {"operations", "engines", "stores", "config", "models", "errors", "locks"},
    "pytest_plugin": {"testing", "config", "errors", "shown_text"},
    # The public API: the same verbs, so it may name anything.
    "__init__": {"operations", "config", "errors"},
    "archive": {"operations", "core", "models"},
    "migration_environment": {"operations"},
    "__main__": {"cli"},
}


def modules() -> list[Path]:
    """Every module of the package that is code (the template of a migration environment is data)."""
    return sorted(path for path in PACKAGE.rglob("*.py") if "template" not in str(path.parent))


def room(path: Path) -> str:
    """The room a module is in: its folder, or its own name at the top."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Every node of a module, which is parsed once for all tests."""
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def imported_rooms(path: Path) -> Iterator[tuple[int, str]]:
    """Rooms of this package that a module imports from, wherever in it, with the line."""
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom) and node.module == "toolkit":
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("toolkit."):
            yield node.lineno, str(node.module).split(".")[1]
        elif isinstance(node, ast.Import):
            names = (alias.name for alias in node.names)
            yield from ((node.lineno, name.split(".")[1]) for name in names if name.startswith("toolkit."))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_imports_upwards(path: Path) -> None:
    own = room(path)
    assert own in ALLOWED, f"{own} is a room that the design does not name"
    wrong = [(line, other) for line, other in imported_rooms(path) if other not in ALLOWED[own] | {own}]
    assert not wrong


@pytest.mark.parametrize(
    "path", [p for p in modules() if room(p) not in ("cli", "__main__")], ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_library_code_neither_prints_nor_exits(path: Path) -> None:
    for node in nodes(path):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("print", "exit", "quit", "sys.exit", "os._exit", "click.echo"), node.lineno
        if isinstance(node, ast.Raise) and node.exc is not None:
            assert "SystemExit" not in ast.unparse(node.exc), node.lineno


@pytest.mark.parametrize("path", [p for p in modules() if room(p) == "cli"], ids=lambda p: p.name)
def test_the_command_line_prints_only_through_its_gate(path: Path) -> None:
    gate = path.name == "output.py"
    forbidden = {"print", "input", "os.write", "warnings.warn", "sys.stdout", "sys.stderr", "Console"}
    forbidden |= {
        f"click.{name}"
        for name in (
            "echo",
            "secho",
            "print",
            "confirm",
            "prompt",
            "pause",
            "progressbar",
            "echo_via_pager",
            "edit",
            "get_text_stream",
            "get_binary_stream",
        )
    }
    for node in nodes(path):
        if isinstance(node, ast.Name | ast.Attribute):
            assert gate or ast.unparse(node) not in forbidden, node.lineno
        if isinstance(node, ast.ImportFrom) and node.module in ("click", "rich", "rich.console", "sys"):
            assert gate, node.lineno


def test_nothing_starts_a_process_whose_arguments_and_environment_others_could_see() -> None:
    # The embedded PostgreSQL's programs are given neither (tests/test_embedded.py looks); elsewhere, a class of errors
    # is all that is taken from here.
    starting = {"subprocess", "multiprocessing", "pty"}
    calls = ("os.system", "os.popen", "os.exec", "os.spawn", "os.posix_")
    for path in modules():
        if path == PACKAGE / "engines" / "postgresql" / "embedded.py":
            continue
        for node in nodes(path):
            if isinstance(node, ast.Import):
                assert not starting & {alias.name.split(".")[0] for alias in node.names}, path
            if isinstance(node, ast.ImportFrom) and node.module in starting:
                assert {alias.name for alias in node.names} == {"SubprocessError"}, path
            if isinstance(node, ast.Attribute):
                assert not ast.unparse(node).startswith(calls), path


def test_core_knows_no_driver_and_no_command_line() -> None:
    forbidden = {"psycopg", "sqlite3", "duckdb", "adbc_driver_postgresql", "adbc_driver_sqlite", "obstore"}
    forbidden |= {"click", "rich", "alembic", "tempfile"}
    for path in (PACKAGE / "core").glob("*.py"):
        for node in nodes(path):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert not forbidden & {name.split(".")[0] for name in names}, path


@pytest.mark.parametrize(
    "code",
    [
        "import toolkit",
        "import toolkit.pytest_plugin",
        "from toolkit.cli import run; run(['--help'])",
        "from toolkit.cli import run; run(['sync', '--help'])",
        "from toolkit.cli import run; run(['database', '--help'])",
        "from toolkit.cli import run; run(['archive', 'push', '--help'])",
    ],
)
def test_help_loads_no_heavy_library(code: str) -> None:
    check = f"import sys, json; {code}; print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in json.loads(result.stderr)}
    assert not loaded & {"sqlalchemy", "pyarrow", "duckdb", "psycopg", "alembic", "numpy", "advanced_alchemy", "rich"}


def test_an_application_gets_the_archives_backend_without_the_libraries_of_the_verbs() -> None:
    check = (
        "import sys; from toolkit.archive import ArchiveBackend; "
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert not set(result.stdout.split()) & {"pyarrow", "duckdb", "psycopg", "alembic", "rich"}


@pytest.mark.parametrize("module", [toolkit, archive], ids=lambda module: module.__name__)
def test_the_public_api_has_every_name_that_it_says(module: ModuleType) -> None:
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
