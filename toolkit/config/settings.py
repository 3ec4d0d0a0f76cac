"""Settings as they are written, in files and in the environment, and how a wrong one is told."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from toolkit.errors import ConfigurationError
from toolkit.ownership import foreign_owner, require_ours

T = TypeVar("T")

_SAYS = "says which modules are run and which databases are used"
SHOWN_TYPES = {"str": "string", "float": "number", "int": "whole number", "bool": "boolean (true or false)"}
_FOUND_TYPES = {**SHOWN_TYPES, "float": "fraction", "bool": "boolean", "dict": "table", "list": "list"}


def find_settings(directory: Path) -> tuple[Path, str, dict[str, Any]]:
    """The nearest `toolkit.toml` or `[tool.toolkit]` at or above `directory`: its folder, name and content.

    Raises:
        ConfigurationError: it is no TOML, or somebody else's.
    """
    for folder in (directory, *directory.parents):
        own, project = folder / "toolkit.toml", folder / "pyproject.toml"
        if own.is_file():
            require_ours([own], _SAYS)
            return folder, own.name, _read_toml(own)
        if project.is_file():
            tools = _tools(project)
            table = tools.get("toolkit") if isinstance(tools, dict) else None
            if isinstance(table, dict):
                require_ours([project], _SAYS)
                return folder, project.name, table
            if table is not None:
                raise ConfigurationError(f"{project.name}: tool.toolkit must be a table.", "Correct the file.")
    return directory, "toolkit.toml", {}


def _tools(project: Path) -> Any:
    try:
        return _read_toml(project).get("tool")
    except ConfigurationError:
        # What somebody else left further up, and is not even TOML, is nobody's settings.
        if foreign_owner(project) is None:
            raise
        return None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path.name} is not valid TOML: {error}.", "Correct the file.") from error
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.", "Make it readable.") from error


def text(table: Mapping[str, Any], key: str, source: str, default: str) -> str:
    """A setting that is a string.

    Raises:
        ConfigurationError: it is none.
    """
    return typed(str, table.get(key, default), source, key)


def texts(table: Mapping[str, Any], key: str, source: str) -> tuple[str, ...]:
    """A setting that is a list of strings; empty without it.

    Raises:
        ConfigurationError: it is none.
    """
    found = table.get(key, [])
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise ill_typed(source, key, "list of strings", found)
    return tuple(found)


def typed(wanted: type[T], value: Any, source: str, key: str) -> T:
    """A setting's value, if it is of the type that is wanted of it; a whole number is a fraction, too.

    Raises:
        ConfigurationError: it is of another.
    """
    import msgspec

    try:
        return msgspec.convert(value, wanted)
    except msgspec.ValidationError:
        raise ill_typed(source, key, SHOWN_TYPES[wanted.__name__], value) from None


def from_environment(
    environ: Mapping[str, str], suffix: str, known: Iterable[str], empty: bool = False
) -> dict[str, str]:
    """`TOOLKIT_<NAME>_URL`, `_STORE`, `_KEY`: a name's case does not matter there, `_` stands for what it cannot hold.

    An empty one is none, unless `empty`.
    """
    prefix = "TOOLKIT_"
    names = {re.sub(r"\W", "_", name).lower(): name for name in known}
    variables = {
        key[len(prefix) : -len(suffix)].lower(): value
        for key, value in environ.items()
        if key.startswith(prefix) and key.endswith(suffix) and len(key) > len(prefix + suffix) and (value or empty)
    }
    return {names.get(variable, variable): url for variable, url in variables.items()}


def ill_typed(source: str, key: str, wanted: str, value: Any) -> ConfigurationError:
    """The error for a value that is not of its key's type, `wanted` in words; it may be a secret, so it is not told."""
    found = _FOUND_TYPES.get(type(value).__name__, "time")
    return ConfigurationError(f"{source}: {key} must be a {wanted}, not a {found}.", "Correct the file.")
