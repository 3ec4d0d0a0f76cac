"""What of an application is in a directory: configurations, models, migrations, database files. No code is run."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from toolkit.engines.registry import LONGEST_MAGIC, scheme_of_content

# Where nothing of the application's own is.
_PASSED_OVER = frozenset({"node_modules", "site-packages", "__pycache__", "venv", "env", "build", "dist"})
_TESTS = frozenset({"tests", "test"})
MOST_FILES = 5000
"""So many modules are looked into, and no more."""
_MOST_BYTES = 1 << 20
# What makes a configuration, and what makes models.
_CONFIGURATIONS = frozenset(
    {"SQLAlchemyAsyncConfig", "SQLAlchemySyncConfig", "SQLAlchemyPlugin", "SQLAlchemyInitPlugin", "AdvancedAlchemy"}
)
_APPLICATIONS = frozenset({"create_app", "make_app", "get_app"})
_BASES = frozenset({"DeclarativeBase", "DeclarativeBaseNoMeta", "MappedAsDataclass"})
_MADE_BASES = frozenset({"declarative_base", "automap_base", "MetaData", "SQLAlchemy"})
_TABLE = "table"
_EXTENSIONS = frozenset({"init_app", "AdvancedAlchemy", "SQLAlchemyPlugin"})


class Found(Struct, frozen=True):
    """What there is, the nearest first: references `module:attribute`, directories with an `env.py`, URLs of files."""

    configurations: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    migrations: tuple[Path, ...] = ()
    databases: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.configurations or self.models or self.databases)

    @property
    def advice(self) -> str:
        """How to go on with it, in a sentence; empty if there is nothing."""
        if self.configurations:
            return f"Found here: the configuration {self.configurations[0]}. Use it: toolkit init, or --config."
        if self.models:
            return f"Found here: the models {self.models[0]}. Use them: toolkit init, or --metadata."
        return f"Found here: {self.databases[0]}. Work on its tables: --from or --to with that URL." if self else ""


def discover(root: Path) -> Found:
    """Look through a directory and what is below it, but for hidden ones, environments and tests."""
    modules: list[_Module] = []
    migrations: list[Path] = []
    databases: list[str] = []
    for path in _files(root):
        if path.name == "env.py" and (path.parent / "versions").is_dir():
            migrations.append(path.parent.relative_to(root))
        elif path.suffix == ".py" and len(modules) < MOST_FILES:
            modules.append(_Module.read(path, root))
        elif (engine := _scheme_of(path)) is not None:
            databases.append(f"{engine}:///{path.relative_to(root).as_posix()}")
    return Found(
        tuple(each for module in modules for each in module.configurations),
        tuple(each for module in modules for each in module.models),
        tuple(migrations),
        tuple(databases),
    )


def _files(root: Path) -> Iterator[Path]:
    """The nearest first, so that an application's own come before those of its parts."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            each for each in folders if not (each.startswith(".") or each in _PASSED_OVER or each in _TESTS)
        )
        found += [Path(folder, name) for name in sorted(names)]
    return iter(sorted(found, key=lambda path: len(path.parts)))


def _scheme_of(path: Path) -> str | None:
    """What its URL begins with, if it is a database, by its first bytes."""
    if path.suffix in (".py", ".json", ".md", ".html", ".css", ".js"):
        return None
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            start = file.read(LONGEST_MAGIC)
    except OSError:
        return None
    return scheme_of_content(start)


class _Module(Struct, frozen=True):
    """What a module defines, as it is written."""

    configurations: tuple[str, ...] = ()
    models: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path, root: Path) -> _Module:
        """Read one; what is no Python, or cannot be read, defines nothing."""
        try:
            if path.stat().st_size > _MOST_BYTES:
                return cls()
            tree = ast.parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError, RecursionError):
            return cls()
        name = _module_name(path.relative_to(root))
        named = dict(_defined(tree))
        configurations = [
            each
            for each, called in named.items()
            if called in _CONFIGURATIONS or (each in _APPLICATIONS and called == "def" and _has_extension(tree))
        ]
        models = [each for each, called in named.items() if called in _BASES | _MADE_BASES]
        # Any model of SQLModel's stands for all of them.
        models = models or [each for each, called in named.items() if called == _TABLE][:1]
        return cls(tuple(f"{name}:{each}" for each in configurations), tuple(f"{name}:{each}" for each in models))


def _module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    parts = parts[1:] if parts[0] == "src" and len(parts) > 1 else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def _defined(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The names that a module defines, each with what it is made by: a call's, a base class's, or `def`."""
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if isinstance(node.value, ast.Call):
                called = _last_name(node.value.func)
                yield from ((each.id, called) for each in targets if isinstance(each, ast.Name))
        elif isinstance(node, ast.ClassDef):
            if any(map(_is_table, node.keywords)):
                yield node.name, _TABLE
            for base in node.bases:
                if _last_name(base) in _BASES:
                    yield node.name, _last_name(base)
        elif isinstance(node, ast.FunctionDef):
            required = len(node.args.args) - len(node.args.defaults)
            if not required:
                yield node.name, "def"


def _is_table(keyword: ast.keyword) -> bool:
    """Whether it is `table=True`, by which SQLModel is told that a class is a table."""
    return keyword.arg == _TABLE and isinstance(keyword.value, ast.Constant) and keyword.value.value is True


def _has_extension(tree: ast.Module) -> bool:
    """Whether a module names an extension that holds the configuration: its application's function makes one."""
    names = (_last_name(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute | ast.Name))
    return any(name in _EXTENSIONS for name in names)


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
