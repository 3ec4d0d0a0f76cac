"""What an application leaves out of the comparison of its database with its models, where its `env.py` is not run."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic.operations import ops

from toolkit.errors import MigrationError

if TYPE_CHECKING:
    from toolkit.operations.project import Project

# The last ones are what a `process_revision_directives` takes things out by; Flask-Migrate's own looks for none.
_FILTERS = re.compile(r"\b(include_object|include_name|Rewriter|Drop(?:Table|Column|Index|Constraint)Op)\b")
_SHOWN = 5
_OTHERS_CODE = {"node_modules", "site-packages", "__pycache__"}


def unasked_filter(project: Project) -> str | None:
    """Where an application says what is not to be compared, if that is not asked; None without.

    In its `env.py` (also by changing what is to be written), or in any module where that takes its arguments from
    elsewhere (as Flask-Migrate's does).
    """
    if project.environment.takes_engine:
        return None
    path = project.config.migrations / "env.py"
    text = _read(path)
    if found := _FILTERS.search(_code(text)):
        return f"{found[1]} in {path}"
    if _says_all(text):
        return None
    for module in _modules(project.config.root):
        if found := _FILTERS.search(_code(_read(module))):
            return f"{found[1]} in {module}"
    return None


def require_nothing_protected_goes(project: Project, upgrade: ops.UpgradeOps) -> None:
    """See that a migration to be written drops nothing that the application may leave out of the comparison.

    Raises:
        MigrationError: it would; names what.
    """
    dropped = _dropped(upgrade)
    where = unasked_filter(project) if dropped else None
    if where is None:
        return
    more = f" and {len(dropped) - _SHOWN} more" if len(dropped) > _SHOWN else ""
    raise MigrationError(
        f"The migration would drop {', '.join(dropped[:_SHOWN])}{more}, which {where} may protect: it is not called, "
        "because env.py connects by itself.",
        "Make it with the application's own command (such as alembic revision --autogenerate) or by hand "
        "(--no-autogenerate): toolkit database upgrade runs it. Or let env.py be the one that toolkit "
        "database init makes: run_migrations(include_object=...) is called.",
    )


def _table_of(operation: Any) -> str:
    return ".".join(each for each in (getattr(operation, "schema", None), getattr(operation, "table_name", "")) if each)


def _dropped(upgrade: ops.UpgradeOps) -> list[str]:
    """What goes and does not come again, in words; of a table that goes nothing else."""
    operations = [*_flat(upgrade)]
    tables = [_table_of(each) for each in operations if isinstance(each, ops.DropTableOp)]
    made = {
        (_table_of(each), _name(each))
        for each in operations
        if isinstance(each, ops.CreateIndexOp | ops.AddConstraintOp)
    }
    found = [f"the table {name}" for name in tables]
    for each in operations:
        if isinstance(each, ops.DropColumnOp):
            found.append(f"the column {_table_of(each)}.{each.column_name}")
        elif (
            isinstance(each, ops.DropIndexOp | ops.DropConstraintOp)
            and (_table_of(each), _name(each)) not in made
            and _table_of(each) not in tables
        ):
            kind = "index" if isinstance(each, ops.DropIndexOp) else "constraint"
            found.append(f"the {kind} {_name(each)} of {_table_of(each)}")
    return found


def _name(operation: Any) -> str:
    return str(getattr(operation, "index_name", None) or getattr(operation, "constraint_name", None))


def _flat(operations: ops.OpContainer) -> Iterator[Any]:
    for each in operations.ops:
        if isinstance(each, ops.OpContainer):
            yield from _flat(each)
        else:
            yield each


def _says_all(source: str) -> bool:
    """Whether all arguments of `context.configure` can be read in `env.py` itself."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return False
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "configure"
    ]
    return bool(calls) and all(keyword.arg for call in calls for keyword in call.keywords)


def _code(source: str) -> str:
    """A module without its comments, as far as it is one."""
    try:
        return ast.unparse(ast.parse(source))
    except (SyntaxError, ValueError, RecursionError):
        return source


def _modules(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        folders[:] = [
            each
            for each in sorted(folders)
            if each[0] != "." and each not in _OTHERS_CODE and not (here / each / "pyvenv.cfg").exists()
        ]
        yield from (here / each for each in sorted(files) if each.endswith(".py"))


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
