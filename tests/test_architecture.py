"""The layers of the package, held against its imports; what the library must not do; how light it starts."""

from __future__ import annotations

import ast
import gc
import json
import subprocess
import sys
from collections.abc import Collection, Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from types import ModuleType

import pytest

import toolkit
from toolkit import archive

# Begun first, so that one process has these tests: each that has one of them reads all modules.
pytestmark = pytest.mark.long

PACKAGE = Path(__file__).parent.parent / "toolkit"

# A room, and the rooms it may import from beside itself: nothing imports upwards.
ALLOWED = {
    "shown_text": set(),
    "errors": {"shown_text"},
    "core": {"errors"},
    "compute": {"core", "locks", "errors"},
    "references": {"ownership", "errors"},
    "config": {"engines", "references", "ownership", "locks", "errors", "shown_text"},
    "models": {"references", "ownership", "errors"},
    "ownership": {"errors"},
    "locks": {"ownership"},
    "engines": {"compute", "core", "locks", "ownership", "errors", "shown_text"},
    "stores": {"compute", "core", "config", "locks", "errors", "shown_text"},
    "executors": {"errors"},
    "operations": {
        "engines",
        "executors",
        "stores",
        "compute",
        "core",
        "config",
        "models",
        "references",
        "ownership",
        "errors",
        "migration_environment",
    },
    "cli": {"operations", "config", "core", "ownership", "errors", "shown_text"},
    "testing": {"operations", "engines", "stores", "config", "models", "errors", "locks", "shown_text"},
    "pytest_plugin": {"testing", "config", "engines"},
    # The public API: the same verbs, so it may name anything.
    "__init__": {"operations", "config", "errors"},
    "archive": {"operations", "core", "models"},
    "migration_environment": {"operations"},
    "__main__": {"cli"},
}


@cache
def modules() -> list[Path]:
    """Every module of the package that is code (the template of a migration environment is data)."""
    return sorted(path for path in PACKAGE.rglob("*.py") if "template" not in str(path.parent))


@cache
def _trees() -> dict[Path, ast.Module]:
    """All modules, read once for all tests; to look for garbage among them would take as long again."""
    gc.disable()
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in modules()}
    gc.freeze()
    gc.enable()
    return trees


def parsed(path: Path) -> ast.Module:
    """A module."""
    return _trees()[path]


@cache
def parents(path: Path) -> dict[ast.AST, ast.AST | None]:
    """What each node of a module is in, outer ones first; that a name is read or written is no node."""
    found: dict[ast.AST, ast.AST | None] = {parsed(path): None}
    waiting = list(found)
    for node in waiting:
        inner = [each for each in ast.iter_child_nodes(node) if not isinstance(each, ast.expr_context)]
        found.update(dict.fromkeys(inner, node))
        waiting += inner
    return found


def nodes(path: Path) -> Collection[ast.AST]:
    """All nodes of a module."""
    return parents(path).keys()


def room(path: Path) -> str:
    """The room a module is in: its folder, or its own name at the top."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


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


def place(path: Path, line: int = 1) -> str:
    """Where something is, for a list of what is wrong."""
    return f"{path.relative_to(PACKAGE)}:{line}"


def test_nothing_imports_upwards() -> None:
    assert {room(path) for path in modules()} == set(ALLOWED), "a room that the design does not name, or names in vain"
    wrong = [
        f"{place(path, line)} imports {other}"
        for path in modules()
        for line, other in imported_rooms(path)
        if other not in ALLOWED[room(path)] | {room(path)}
    ]
    assert wrong == []


@cache
def module_names() -> frozenset[str]:
    """Names of the modules of the package, with `__init__`."""
    return frozenset(".".join(("toolkit", *each.relative_to(PACKAGE).with_suffix("").parts)) for each in modules())


def imported_modules(path: Path) -> set[str]:
    """Modules of this package that a module imports, wherever in it: for types alone, too."""
    names = module_names()
    found = set()
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {name for alias in node.names if (name := f"{node.module}.{alias.name}") in names} or {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name.removesuffix(".__init__") for name in found if name in names or f"{name}.__init__" in names}


def test_no_two_modules_import_each_other() -> None:
    graph = {}
    for path in modules():
        name = ".".join(("toolkit", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        graph[name] = imported_modules(path) - {name}
    # Raises, with the circle, if there is one.
    assert len(list(TopologicalSorter(graph).static_order())) >= len(graph)


LINES_OF_A_MODULE, LINES_OF_A_FUNCTION = 400, 50


def test_modules_and_functions_are_small() -> None:
    """Of a function count its docstring and what it does: decorators and parameters have a line each."""
    assert [
        place(path) for path in modules() if len(path.read_text(encoding="utf-8").splitlines()) > LINES_OF_A_MODULE
    ] == []
    assert [
        f"{place(path, each.lineno)} {each.name}"
        for path in modules()
        for each in nodes(path)
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and _lines(each) > LINES_OF_A_FUNCTION
    ] == []


def _lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    last = function.end_lineno
    assert last is not None
    return last - function.body[0].lineno + 1


# Within engines: the contract is the ground, portable code knows no engine, and no engine another.
GROUND = {"contract", "catalogue", "urls"}
ENGINE_ROOMS = {
    "contract": {"catalogue"},
    "catalogue": set(),
    "urls": set(),
    "registry": {"contract"},
    "database": {"contract", "registry", "urls"},
    "__init__": {"contract", "database"},
    "portable": GROUND,
    **{name: GROUND | {"portable", "registry", "database"} for name in ("sqlite", "postgresql", "duckdb", "mariadb")},
    # A lake has no SQL of its own: what reads its files is another engine.
    "delta": GROUND | {"portable", "duckdb"},
}


def test_a_record_is_a_struct_unless_it_has_a_field_that_is_hidden_not_compared_or_no_argument() -> None:
    dataclasses = {
        place(path, node.lineno)
        for path in modules()
        for node in nodes(path)
        if isinstance(node, ast.ClassDef)
        and any("dataclass" in ast.unparse(each) for each in node.decorator_list)
        and not any(_has_own_kind_of_field(each) for each in node.body)
        and not any(ast.unparse(base) == "ColumnSpec" for base in node.bases)
    }
    assert not dataclasses


def _has_own_kind_of_field(node: ast.stmt) -> bool:
    if not (isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Call)):
        return False
    return (
        ast.unparse(node.value.func) == "field"
        and {each.arg for each in node.value.keywords}
        & {
            "repr",
            "compare",
            "init",
        }
        != set()
    )


def test_an_engine_rests_on_the_contract_and_on_portable_code_and_on_no_other_engine() -> None:
    wrong = {}
    for path in (each for each in modules() if room(each) == "engines"):
        own = path.relative_to(PACKAGE / "engines").parts[0].removesuffix(".py")
        imported = {name.split(".")[2] for name in imported_modules(path) if name.startswith("toolkit.engines.")}
        if too_many := imported - ENGINE_ROOMS[own] - {own}:
            wrong[place(path)] = too_many
    assert wrong == {}


def test_library_code_neither_prints_nor_exits() -> None:
    wrong = []
    for path in (each for each in modules() if room(each) not in ("cli", "__main__")):
        for node in nodes(path):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called in ("print", "exit", "quit", "sys.exit", "os._exit", "click.echo"):
                    wrong.append(f"{place(path, node.lineno)} {called}")
            if isinstance(node, ast.Raise) and node.exc is not None and "SystemExit" in ast.unparse(node.exc):
                wrong.append(f"{place(path, node.lineno)} SystemExit")
    assert wrong == []


def test_the_command_line_prints_only_through_its_gate() -> None:
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
    wrong = []
    for path in (each for each in modules() if room(each) == "cli" and each.name != "output.py"):
        for node in nodes(path):
            if isinstance(node, ast.Name | ast.Attribute) and (name := ast.unparse(node)) in forbidden:
                wrong.append(f"{place(path, node.lineno)} {name}")
            if isinstance(node, ast.ImportFrom) and node.module in ("click", "rich", "rich.console", "sys"):
                wrong.append(f"{place(path, node.lineno)} from {node.module}")
    assert wrong == []


_STARTING = ("engines/postgresql/embedded.py", "engines/sqlite/copy.py", "executors/local.py")


def test_nothing_starts_a_process_whose_arguments_and_environment_others_could_see() -> None:
    # The embedded PostgreSQL's programs are given neither (tests/test_embedded.py looks), what copies a SQLite file the
    # names of files alone, and a worker of this machine the number of a socket by which it hears the rest; elsewhere, a
    # class of errors is all that is taken from here.
    starting = {"subprocess", "multiprocessing", "pty"}
    calls = ("os.system", "os.popen", "os.exec", "os.spawn", "os.posix_")
    for path in modules():
        if path.relative_to(PACKAGE).as_posix() in _STARTING:
            continue
        for node in nodes(path):
            if isinstance(node, ast.Import):
                assert not starting & {alias.name.split(".")[0] for alias in node.names}, path
            if isinstance(node, ast.ImportFrom) and node.module in starting:
                assert {alias.name for alias in node.names} == {"SubprocessError"}, path
            if isinstance(node, ast.Attribute):
                assert not ast.unparse(node).startswith(calls), path


def test_core_knows_no_driver_and_no_command_line() -> None:
    forbidden = {"psycopg", "sqlite3", "duckdb", "pymysql", "adbc_driver_postgresql", "adbc_driver_sqlite", "obstore"}
    forbidden |= {"click", "rich", "alembic", "tempfile"}
    for path in (PACKAGE / "core").rglob("*.py"):
        for node in nodes(path):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert not forbidden & {name.split(".")[0] for name in names}, path


def test_help_loads_no_heavy_library() -> None:
    steps = ["import toolkit", "import toolkit.pytest_plugin", "from toolkit.cli import run"]
    steps += ["run(['--help'])", "run(['sync', '--help'])", "run(['database', '--help'])"]
    steps += ["run(['archive', 'push', '--help'])"]
    # In one process, which has all that it loaded until then.
    told = "print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    check = "\n".join(("import sys, json", *(f"{step}\n{told}" for step in steps)))
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    heavy = {
        "sqlalchemy",
        "pyarrow",
        "duckdb",
        "psycopg",
        "pymysql",
        "alembic",
        "numpy",
        "advanced_alchemy",
        "rich",
        "sqlglot",
    }
    for step, loaded in zip(steps, result.stderr.splitlines(), strict=True):
        assert not {name.split(".")[0] for name in json.loads(loaded)} & heavy, step


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
