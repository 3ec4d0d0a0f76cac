"""What a user names in modules of their own: `module:attribute` → the object."""

from __future__ import annotations

import difflib
import importlib
import sys
import textwrap
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from toolkit.errors import ConfigurationError
from toolkit.ownership import foreign_module, is_trusting, not_ours, require_ours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

_RUNS = "code of it would run as this user"


class Wanted(Struct, frozen=True):
    """What a reference is to name: the setting it is given in, examples of it, and what tells one of its kind."""

    setting: str
    what: str
    examples: str
    is_one: Callable[[Any], bool]

    def among(self, owner: Any) -> list[str]:
        """The names of such things in a module, or of another object."""
        return [name for name in _public(owner) if _is_safely(self.is_one, owner, name)]


def load_reference(reference: str, search_path: Path, wanted: Wanted) -> Any:
    """The object that `reference` names.

    `search_path` is where the user's modules are; it is put first on `sys.path` for the import. What they print
    meanwhile goes to stderr: stdout is for results.

    Raises:
        ConfigurationError: it is malformed, the module is not there or fails, or the attribute is missing.
    """
    module_name, separator, attribute = reference.partition(":")
    if not (separator and module_name and attribute):
        raise ConfigurationError(
            f"The {wanted.setting} reference {reference!r} is not of the form MODULE:ATTRIBUTE.",
            f"Write it like {wanted.examples}.",
        )
    if module_name.endswith(".py") or "/" in module_name:
        dotted = module_name.removesuffix(".py").strip("./").replace("/", ".")
        raise ConfigurationError(
            f"The {wanted.setting} reference {reference!r} names a file, not a module.",
            f"Write it like {dotted}:{attribute}.",
        )
    with redirect_stdout(sys.stderr):
        found: Any = _import(module_name, f"{wanted.setting} {reference!r}", wanted.setting, search_path)
        for name in attribute.split("."):
            found = _attribute(found, name, reference, wanted)
    return found


@contextmanager
def importable_from(directory: Path) -> Iterator[None]:
    """Let the modules in a directory and in its `src` be imported, as `python` does for the working directory.

    Not where some of them are somebody else's: any name that a library imports would be looked for there first.
    """
    if (directory / "alembic" / "__init__.py").is_file():
        # Advanced Alchemy makes migrations a package; of this name they would hide Alembic from models that import it.
        importlib.import_module("alembic")
    added = [str(folder) for folder in _folders(directory) if str(folder) not in sys.path and _are_ours(folder)]
    sys.path[:0] = added
    try:
        yield
    finally:
        for entry in added:
            if entry in sys.path:
                sys.path.remove(entry)


def kind_of(found: Any) -> str:
    """An object's kind, in words: `the class Todo`, `of type dict`."""
    return f"the class {found.__name__}" if isinstance(found, type) else f"of type {type(found).__name__}"


def reason_of(error: BaseException) -> str:
    """An error of the user's code as `: …` to end a sentence with; a setting's value may be a secret and be long."""
    reason = textwrap.shorten(str(error).strip().partition("\n")[0], 300, placeholder=" …").rstrip(".")
    return f"{type(error).__name__}{reason and f': {reason}'}"


def _folders(directory: Path) -> list[Path]:
    """Where a project's modules are: beside its settings, or in the `src` of a project that is laid out so."""
    root = directory.resolve()
    source = root / "src"
    return [root, source] if source.is_dir() and not (source / "__init__.py").exists() else [root]


def _are_ours(folder: Path) -> bool:
    return is_trusting() or foreign_module(folder) is None


def _import(name: str, shown: str, setting: str, search_path: Path) -> ModuleType:
    outermost = name.partition(".")[0]
    for folder in _folders(search_path):
        require_ours([folder / outermost, folder / f"{outermost}.py"], _RUNS)
    try:
        with importable_from(search_path):
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if name == missing or name.startswith(f"{missing}."):
            for folder in () if is_trusting() else _folders(search_path):
                if found := foreign_module(folder):
                    raise not_ours(*found, _RUNS) from error
            raise ConfigurationError(
                f"There is no module {missing!r} ({shown}).",
                f"Searched in {', '.join(map(str, _folders(search_path)))} and the installed packages. "
                f"Correct `{setting}`, or install it.",
            ) from error
        raise _import_failed(name, error) from error
    except (Exception, SystemExit) as error:
        raise _import_failed(name, error) from error


def _import_failed(name: str, error: BaseException) -> ConfigurationError:
    return ConfigurationError(
        f"The module {name!r} could not be imported: {reason_of(error)}.", f"See where: python -c 'import {name}'"
    )


def _attribute(owner: Any, name: str, reference: str, wanted: Wanted) -> Any:
    try:
        return getattr(owner, name)
    except Exception as error:
        near = difflib.get_close_matches(name, _public(owner), n=1, cutoff=0.5)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise ConfigurationError(
            f"{getattr(owner, '__name__', reference)} has no attribute {name!r} ({wanted.setting} {reference!r}).",
            f"{hint}With {wanted.what} there: {', '.join(wanted.among(owner)) or 'nothing'}.",
        ) from error


def _public(owner: Any) -> list[str]:
    return [name for name in dir(owner) if not name.startswith("_")]


def _is_safely(is_one: Callable[[Any], bool], owner: Any, name: str) -> bool:
    """Whether it is one; what fails when it is looked at, such as a proxy outside of its context, is none."""
    try:
        return is_one(getattr(owner, name, None))
    except Exception:  # noqa: BLE001 - any code of the user's
        return False
