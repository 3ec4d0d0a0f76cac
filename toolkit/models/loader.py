"""Loading the schema that a user named: `module:attribute` → its `MetaData`."""

from __future__ import annotations

import difflib
import importlib
import sys
import textwrap
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from toolkit.errors import ConfigurationError
from toolkit.ownership import foreign_module, is_trusting, not_ours, require_ours

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

    from sqlalchemy import MetaData


_RUNS = "code of it would run as this user"


def load_metadata(reference: str, search_path: Path) -> MetaData:
    """The metadata that `reference` names: a `MetaData`, a declarative base (or a model), or a registry.

    `search_path` is where the user's modules are; it is put first on `sys.path` for the import.

    Raises:
        ConfigurationError: there is no reference, it is malformed, the module is not there or fails, the attribute is
            missing or something else, or the schema is without tables, or without some that others refer to.
    """
    if not reference:
        raise ConfigurationError(
            "No models are configured.",
            "Say where they are: --metadata MODULE:ATTR, or `metadata` in the settings. The bundled ones are "
            "toolkit.models.todo:metadata.",
        )
    module_name, separator, attribute = reference.partition(":")
    if not (separator and module_name and attribute):
        raise ConfigurationError(
            f"The metadata reference {reference!r} is not of the form MODULE:ATTRIBUTE.",
            "Write it like myapp.models:metadata or myapp.models:Base.",
        )
    if module_name.endswith(".py") or "/" in module_name:
        dotted = module_name.removesuffix(".py").strip("./").replace("/", ".")
        raise ConfigurationError(
            f"The metadata reference {reference!r} names a file, not a module.", f"Write it like {dotted}:{attribute}."
        )
    module = _import(module_name, reference, search_path)
    found: Any = module
    for name in attribute.split("."):
        found = _attribute(found, name, reference)
    return _metadata_of(found, reference)


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


def _folders(directory: Path) -> list[Path]:
    """Where a project's modules are: beside its settings, or in the `src` of a project that is laid out so."""
    root = directory.resolve()
    source = root / "src"
    return [root, source] if source.is_dir() and not (source / "__init__.py").exists() else [root]


def _are_ours(folder: Path) -> bool:
    return is_trusting() or foreign_module(folder) is None


def _import(name: str, reference: str, search_path: Path) -> ModuleType:
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
                f"There is no module {missing!r} (metadata {reference!r}).",
                f"Searched in {', '.join(map(str, _folders(search_path)))} and the installed packages. "
                "Correct `metadata`, or install it.",
            ) from error
        raise _import_failed(name, error) from error
    except (Exception, SystemExit) as error:
        raise _import_failed(name, error) from error


def _import_failed(name: str, error: BaseException) -> ConfigurationError:
    # Some libraries' errors are a page long, and repeat what they were given: a setting's value may be a secret.
    reason = textwrap.shorten(str(error).strip().partition("\n")[0], 300, placeholder=" …").rstrip(".")
    return ConfigurationError(
        f"The module {name!r} could not be imported: {type(error).__name__}{reason and f': {reason}'}.",
        f"See where: python -c 'import {name}'",
    )


def _attribute(owner: Any, name: str, reference: str) -> Any:
    try:
        return getattr(owner, name)
    except AttributeError as error:
        names = [each for each in dir(owner) if not each.startswith("_")]
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        usable = [each for each in names if _has_metadata(getattr(owner, each, None))]
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise ConfigurationError(
            f"{getattr(owner, '__name__', reference)} has no attribute {name!r} (metadata {reference!r}).",
            f"{hint}With a schema there: {', '.join(usable) or 'nothing'}.",
        ) from error


def _has_metadata(found: Any) -> bool:
    from sqlalchemy import MetaData

    return isinstance(found, MetaData) or isinstance(getattr(found, "metadata", None), MetaData)


def _metadata_of(found: Any, reference: str) -> MetaData:
    if not _has_metadata(found):
        raise ConfigurationError(
            f"{reference!r} is {_kind_of(found)}, not a schema.",
            "Name a MetaData, a declarative base class or a registry.",
        )
    metadata: MetaData = getattr(found, "metadata", found)
    _require_models(metadata, reference)
    return metadata


def _require_models(metadata: MetaData, reference: str) -> None:
    """Where modules of models were not imported, nothing would be done, or too little, and no one told."""
    from sqlalchemy.exc import NoReferencedColumnError, NoReferencedTableError

    advice = "Name a module that imports all of your models, and of it a base, a metadata or any model."
    if not metadata.tables:
        raise ConfigurationError(f"The metadata {reference!r} has no tables.", advice)
    for table in metadata.tables.values():
        for key in table.foreign_keys:
            try:
                key.column  # noqa: B018 - is looked up when it is asked for
            except (NoReferencedTableError, NoReferencedColumnError) as error:
                raise ConfigurationError(
                    f"{table.fullname}.{key.parent.name} refers to {key.target_fullname}, "
                    f"which the metadata {reference!r} does not have.",
                    advice,
                ) from error


def _kind_of(found: Any) -> str:
    return f"the class {found.__name__}" if isinstance(found, type) else f"of type {type(found).__name__}"
