"""The files that a test's database is made from: fixtures, migrations, and modules of the project that these import."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from enum import Enum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import ToolkitError
from toolkit.stores.directories import directory_at
from toolkit.stores.fixture_files import open_chunks, table_of
from toolkit.stores.fixtures import FixtureDirectory
from toolkit.stores.relative_times import SIGN
from toolkit.testing.definitions import is_installed

if TYPE_CHECKING:
    from toolkit.config import Config

_MANIFEST = "manifest.json"
# All of it counts in each name already; where it is not installed, what an env.py imports of it would be followed.
_PACKAGE = Path(__file__).resolve().parents[1]
# In any form of fixtures: `"$now": "-3d"`, `""$now"": ""-3d""`, `$now: -3d`.
_FROM_NOW = re.compile(re.escape(SIGN) + rb"\W*(\w*)")
_LONG = re.compile(rb"(\d+(mo|[dwy]))+")
_LONGEST = 64
# Templates of new migrations, and what Python and editors leave.
_NO_SOURCES = (".mako", ".pyc", "~")


def fixture_files(directory: Path, tables: Collection[str] | None) -> list[Path]:
    """Every file that may be one of these tables', in whatever form, and the manifest, which says what they hold.

    Files that rows point at are not loaded into a test's database; the manifest lists them.
    """
    wanted = None if tables is None else {table.lower() for table in tables}
    # A dump that was killed when all of it was there is put in its place first, as a load does.
    names = FixtureDirectory(directory_at(directory)).directory.files()
    found = [name for name in names if name.lower() == _MANIFEST or _holds(name, wanted)]
    return [directory / name for name in sorted(found)]


def _holds(name: str, wanted: Collection[str] | None) -> bool:
    recognised = table_of(name)
    return recognised is not None and (wanted is None or recognised[0].lower() in wanted)


class Unit(Enum):
    """In what moments are given that fixtures count from now on."""

    DAY = "days or more"
    LESS = "less than days"


def smallest_unit(paths: Iterable[Path]) -> Unit | None:
    """The smallest unit of moments such as `{"$now": "-3d"}` in these files, however they are compressed."""
    found = [_LONG.fullmatch(moment) for path in paths for moment in _moments(path)]
    return None if not found else Unit.DAY if all(found) else Unit.LESS


def _moments(path: Path) -> Iterator[bytes]:
    recognised = table_of(path.name)
    if recognised is None:
        return
    end = b""
    # What is damaged is told by whoever loads it.
    with suppress(ToolkitError), open_chunks(directory_at(path.parent), path.name, recognised[1]) as chunks:
        for chunk in chunks:
            yield from (match[1] for match in _FROM_NOW.finditer(end + chunk))
            end = chunk[-_LONGEST:]


def migration_files(config: Config, models: Collection[Path]) -> list[Path]:
    """All files beside migrations, Alembic's settings, and the modules of the project that any of them import.

    `models` are not followed: a schema is told by its tables, and changes less often than the modules it is in.
    """
    places = _places(config)
    beside = {path for place in places for path in _below(place)}
    scripts = [path for path in beside if path.suffix == ".py"]
    roots = _import_roots(config, places)
    return sorted({*beside, *_settings(config), *_imported(scripts, roots, frozenset(models))})


def _settings(config: Config) -> list[Path]:
    return [path for path in (config.root / "alembic.ini", config.migrations / "alembic.ini") if path.is_file()]


def _places(config: Config) -> list[Path]:
    """The directories in which migrations are."""
    places = [config.migrations]
    if any("version_locations" in path.read_text(encoding="utf-8", errors="replace") for path in _settings(config)):
        # Loaded only here: it takes 0.2 s.
        from alembic.script import ScriptDirectory
        from alembic.util import coerce_resource_to_filename

        from toolkit.operations.migrations.environments import Environment
        from toolkit.operations.migrations.failures import migrating
        from toolkit.operations.migrations.scripts import alembic_config

        with migrating(config):
            scripts = ScriptDirectory.from_config(alembic_config(config, Environment.of(config)))
            places += [Path(coerce_resource_to_filename(place)) for place in scripts.version_locations]
    return places


def _below(place: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(place):
        folders[:] = [name for name in folders if not name.startswith((".", "__pycache__"))]
        paths = (Path(folder, name) for name in names if not name.startswith(".") and not name.endswith(_NO_SOURCES))
        yield from (path.resolve() for path in paths if path.is_file())


def _import_roots(config: Config, places: Iterable[Path]) -> list[Path]:
    """Where a project's own modules may be: whatever Python searches, without the installed packages."""
    searched = [Path(entry) for entry in sys.path if entry]
    return [path for path in (config.root, config.root / "src", *places, *searched) if not is_installed(path)]


def _imported(paths: Iterable[Path], roots: Iterable[Path], models: Collection[Path]) -> set[Path]:
    """The files of the project that these import, and those that they import."""
    found: set[Path] = set()
    waiting, everywhere = list(paths), tuple(roots)
    # Remembered here alone: by the next call, files may have come.
    module = cache(_module)
    while waiting:
        importer = waiting.pop()
        for level, name in _imports(importer.read_bytes()):
            for base in importer.parents[level - 1 : level] if level else everywhere:
                path = module(base, name)
                if path is None or path in found or path in models or path.is_relative_to(_PACKAGE):
                    continue
                found.add(path)
                waiting.append(path)
    return found


@cache
def _imports(source: bytes) -> frozenset[tuple[int, str]]:
    """The names that a module may import, each with how many dots are before it."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        # It fails when it is run, too.
        return frozenset()
    found: set[tuple[int, str]] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {(0, alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = ["", *(alias.name for alias in node.names)]
            found |= {(node.level, f"{node.module or ''}.{name}".strip(".")) for name in names}
    return frozenset(found)


def _module(root: Path, name: str) -> Path | None:
    """The file of a module below a directory."""
    # Of paths, `Path` would make four objects for each of thousands that are not there.
    place = os.path.join(root, *name.split(".")).rstrip(os.sep)  # noqa: PTH118
    candidates = (f"{place}.py", f"{place}{os.sep}__init__.py")
    return next((Path(path).resolve() for path in candidates if os.path.isfile(path)), None)  # noqa: PTH113


def digest_of(paths: Iterable[Path], root: Path) -> str:
    """A hash of the names of files, seen from a directory, and of their contents."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{os.path.relpath(path, root)}\n{content}\n".encode())
    return digest.hexdigest()
