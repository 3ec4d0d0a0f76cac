"""`toolkit init`: write settings for the application that is found here."""

from __future__ import annotations

import json
from pathlib import Path

from msgspec import Struct

from toolkit.errors import ConfigurationError
from toolkit.operations.discovery import Found, discover


class NewSettings(Struct, frozen=True):
    """What is to be written into a file: the table, behind what the file holds already."""

    file: Path
    text: str
    found: Found


def plan_settings(root: Path) -> NewSettings:
    """The settings that would be written into a directory's `pyproject.toml`, or without one into a `toolkit.toml`.

    Raises:
        ConfigurationError: there are settings already.
    """
    own, project = root / "toolkit.toml", root / "pyproject.toml"
    held = project.read_text(encoding="utf-8") if project.is_file() else ""
    if own.exists() or "[tool.toolkit" in held:
        place = own.name if own.exists() else project.name
        raise ConfigurationError(f"{place} has settings already.", "See what they lead to: toolkit status")
    found, is_own = discover(root), not project.is_file()
    text = "\n".join(_lines(found, "" if is_own else "tool.toolkit"))
    return NewSettings(own if is_own else project, text, found)


def write_settings(settings: NewSettings) -> None:
    """Write them.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    try:
        held = settings.file.read_text(encoding="utf-8") if settings.file.exists() else ""
        between = "" if not held else "\n" if held.endswith("\n") else "\n\n"
        settings.file.write_text(f"{held}{between}{settings.text}", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"{settings.file} cannot be written: {error.strerror}.", "Make it writable, or write the settings yourself."
        ) from error


def _lines(found: Found, table: str) -> list[str]:
    """The settings with comments; what is one of several has the others beside it."""
    lines = [f"[{table}]"] if table else []
    if found.configurations:
        lines.append("# The application's own configuration: its databases, models, migrations.")
        lines += _one("config", found.configurations)
    elif found.models:
        lines += ["# The models: of a module that imports all of them.", *_one("metadata", found.models)]
    else:
        lines += ['# metadata = "myapp.models:Base"    # without it, the tables are those of the databases']
    if found.migrations and not found.configurations:
        lines += _one("migrations", tuple(each.as_posix() for each in found.migrations))
    lines += ["", f"[{table}.databases]" if table else "[databases]"]
    used = dict[str, str]()
    for url in found.databases:
        engine = url.partition(":")[0]
        name = engine if engine not in used else f"{engine}{len(used) + 1}"
        used[name] = url
        lines.append(f"{name} = {json.dumps(url)}")
    if found.configurations:
        lines.append('# postgres = "embedded:.toolkit/postgres"   # one that toolkit starts by itself; or a URL')
    else:
        lines.append(
            '# postgres = "postgresql://user@localhost/name"   # without it, one that toolkit starts by itself'
        )
    return [*lines, ""]


def _one(key: str, values: tuple[str, ...]) -> list[str]:
    first, *others = (json.dumps(each) for each in values)
    return [f"{key} = {first}", *(f"# {key} = {each}" for each in others)]
