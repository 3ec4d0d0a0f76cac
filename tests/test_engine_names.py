"""Callers ask what an engine can do, never for its name: where the code names one, and why it may there."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.test_architecture import PACKAGE, modules, nodes

# Begun first, with other tests that read all modules.
pytestmark = pytest.mark.long

ENGINES = {
    "sqlite": r"sqlite",
    "postgresql": r"postgres|psycopg|asyncpg|libpq|(?<!is_)embedded|(?<![a-z])pg(?=[A-Z_]|$)",
    "duckdb": r"duckdb",
    "mariadb": r"mariadb|mysql",
}
# A text in the code that is no text for users: it is compared, looked up or imported.
NAME = re.compile(
    r"(sqlite3?|postgres(ql)?|duckdb|psycopg|asyncpg|embedded|mariadb|(py)?mysql)([+:].*)?", re.IGNORECASE
)
REGISTRY = {"engines/registry.py": "the one place that knows them all"}
CANONICAL = "the canonical form of rows and values is PostgreSQL's own, in every engine"
CALCULATOR = "DuckDB is what it computes with, whatever engines the rows are from and go to"
LOCK_FILE = "a small file of this package's own, which happens to be SQLite's"
AMONG_POSTGRESQLS = "types that SQLAlchemy has among PostgreSQL's alone"
EXCEPTIONS = {
    "cli/demo.py": "what a user would type",
    "cli/__init__.py": "what DuckDB's binding prints at the end of a process is kept off the terminal",
    "cli/output.py": "psycopg's log is kept off the terminal",
    "compute/": CALCULATOR,
    "compute/scratch.py": LOCK_FILE,
    "config/databases.py": "the databases that there are by default",
    "core/": CANONICAL,
    "engines/portable/decorated.py": CANONICAL,
    "engines/delta/": "a lake has no SQL of its own: " + CALCULATOR,
    "engines/duckdb/dialect.py": "it is derived from PostgreSQL's",
    "engines/duckdb/reflection.py": AMONG_POSTGRESQLS,
    "engines/portable/foreign_types.py": AMONG_POSTGRESQLS,
    "engines/duckdb/session.py": "its dialect takes PostgreSQL's constructs and options",
    "engines/postgresql/embedded.py": LOCK_FILE,
    "locks.py": LOCK_FILE,
    "engines/sqlite/adapters.py": AMONG_POSTGRESQLS,
    "engines/sqlite/value_types.py": AMONG_POSTGRESQLS,
    "operations/fixtures/defaults.py": CANONICAL,
    "operations/migrations/history_comparison.py": "expressions of a history are compared in one dialect",
    "operations/migrations/environment.py": AMONG_POSTGRESQLS,
    "operations/migrations/generic.py": "what engines tell is compared in one dialect; " + AMONG_POSTGRESQLS,
    "operations/reflection/created_columns.py": AMONG_POSTGRESQLS,
    "operations/reflection/created_keys.py": AMONG_POSTGRESQLS,
    "pytest_plugin.py": "what a project writes in its settings",
    "testing/plugin.py": "what a project writes in its settings; a run of pytest loads it, but not the configuration",
    "stores/catalogue.py": LOCK_FILE,
}


def names_in(nodes: Collection[ast.AST]) -> Iterator[tuple[int, str]]:
    """Whatever the code is called or calls, and texts that are names; neither comments nor texts for users."""
    bodies = (node for node in nodes if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef))
    docstrings = {id(body.body[0].value) for body in bodies if body.body and isinstance(body.body[0], ast.Expr)}
    for node in nodes:
        line = getattr(node, "lineno", 0)
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.alias(name=name):
                yield line, name
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                yield line, name
            case ast.ImportFrom(module=str(name)) | ast.keyword(arg=str(name)):
                yield line, name
            case ast.Constant(value=str(text)) if id(node) not in docstrings and NAME.fullmatch(text):
                yield line, text


@cache
def foreign_names(path: Path) -> list[tuple[int, str]]:
    """The engines' names in a module, but for those of the engine whose package it is in."""
    parts = path.relative_to(PACKAGE).parts
    own = parts[1] if parts[0] == "engines" else None
    others = re.compile("|".join(pattern for name, pattern in ENGINES.items() if name != own), re.IGNORECASE)
    found = names_in(nodes(path))
    return [(line, name) for line, name in found if others.search(name)]


def is_excepted(name: str) -> bool:
    return name in REGISTRY or any(
        name == place or (place[-1] == "/" and name.startswith(place)) for place in EXCEPTIONS
    )


@pytest.mark.slow
def test_no_engine_is_named_outside_of_its_package() -> None:
    names = {path.relative_to(PACKAGE).as_posix(): path for path in modules()}
    found = {name: foreign_names(path) for name, path in names.items() if not is_excepted(name)}
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize("place", [*REGISTRY, *EXCEPTIONS])
def test_every_exception_is_needed(place: str) -> None:
    paths = [path for path in modules() if path.relative_to(PACKAGE).as_posix().startswith(place)]
    assert any(map(foreign_names, paths))


@pytest.mark.parametrize(
    "code",
    [
        "if dialect.name == 'sqlite': pass",
        "WAYS = {'postgresql': 1}",
        "from toolkit.engines.duckdb.table import DuckDBRepository",
        "import psycopg",
        "isinstance(dialect, PGDialect)",
        "address.startswith('embedded:')",
        "def for_sqlite(): pass",
    ],
)
def test_a_name_is_found_however_it_is_used(code: str) -> None:
    every = re.compile("|".join(ENGINES.values()), re.IGNORECASE)
    assert [name for _, name in names_in(list(ast.walk(ast.parse(code)))) if every.search(name)]


def test_texts_and_comments_may_name_engines() -> None:
    code = '"""Of SQLite."""\nsay("Write it like sqlite:///file, which SQLite reads.")  # DuckDB, too'
    assert not list(filter(lambda found: found[1] != "say", names_in(list(ast.walk(ast.parse(code))))))
