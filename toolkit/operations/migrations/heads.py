"""Where a history of migrations ends, read from their text: Alembic takes longer to load than most commands work.

Only what is written plainly is taken at its word. Whatever is not, is left to Alembic, which runs the migrations.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from toolkit.operations.migrations.environments import has_history
from toolkit.operations.migrations.locations import require_own_migrations, require_own_settings, settings_file

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.config import Config

# What Alembic takes for a migration, among the files of the directory.
_MIGRATION = re.compile(r"(?!\.#|__init__)(.*\.py)$")
# Settings by which migrations are found elsewhere, or others than those of the directory.
_LOCATIONS = re.compile(r"^\s*(version_locations|recursive_version_locations|sourceless)\s*[=:]", re.MULTILINE)
_NAMES = ("revision", "down_revision", "branch_labels", "depends_on")
_ASSIGNED = re.compile(rf"(?P<name>{'|'.join(_NAMES)})\b\s*(?::[^=]*)?(?:=(?!=)|,)\s*(?P<value>.*)")
# Another line that names one of them may give it another value: `if x: revision = "b"`, `revision += "b"`.
_NAMED = re.compile(rf"\b(?:{'|'.join(_NAMES)})\b")
_NAME = re.compile(r"""(?P<quote>["'])(?P<name>\w+)(?P=quote)[ \t]*(?:#.*)?""", re.ASCII)
_NONE = re.compile(r"None[ \t]*(?:#.*)?")


def written_head(config: Config) -> str | None:
    """The one revision that the history of the configured directory ends at; None if only Alembic can tell.

    Raises:
        ConfigurationError: the migrations are somebody else's.
    """
    settings = settings_file(config)
    try:
        if not has_history(config) or (settings.exists() and _LOCATIONS.search(settings.read_text(encoding="utf-8"))):
            return None
        folder = config.migrations / "versions"
        require_own_settings(config)
        require_own_migrations([folder])
        return _end(list(_steps(folder)))
    except (OSError, UnicodeDecodeError):
        return None


class _Step(NamedTuple):
    revision: str
    before: str | None


def _end(steps: Sequence[_Step | None]) -> str | None:
    """Where a history ends that is one line, from its beginning on."""
    after: dict[str | None, str] = {each.before: each.revision for each in steps if each is not None}
    passed: list[str | None] = [None]
    while passed[-1] in after and len(passed) <= len(steps):
        passed.append(after[passed[-1]])
    return passed[-1] if len(passed) == len(steps) + 1 == len(set(passed)) else None


def _steps(folder: Path) -> Iterator[_Step | None]:
    for path in folder.iterdir():
        if _MIGRATION.match(path.name):
            yield _step(path.read_text(encoding="utf-8"))


def _step(text: str) -> _Step | None:
    """A migration; None if what it says of itself is not one plain assignment each."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        each = _ASSIGNED.match(code) if (code := line.lstrip()).startswith(_NAMES) else None
        if code.startswith("#") or (each is None and not _NAMED.search(code)):
            continue
        if each is None or len(code) < len(line) or each["name"] in found:
            return None
        found[each["name"]] = each["value"]
    others = [found.get(name, "None") for name in ("branch_labels", "depends_on")]
    revision, before = (_NAME.fullmatch(found.get(name, "")) for name in ("revision", "down_revision"))
    if revision is None or not all(map(_NONE.fullmatch, others)):
        return None
    if before is None and not _NONE.fullmatch(found.get("down_revision", "")):
        return None
    return _Step(revision["name"], None if before is None else before["name"])
