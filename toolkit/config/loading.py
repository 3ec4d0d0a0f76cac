"""How fixtures are loaded where nobody says otherwise: the settings of `[load]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from toolkit.config.settings import ill_typed, text, texts
from toolkit.errors import UnknownNameError

LOAD_MODES = ("upsert", "insert", "replace")
_KNOWN = ("match", "mode", "exclude")


class LoadSettings(Struct, frozen=True):
    """What `--match`, `--mode` and `--exclude` of `load-data` are without being given."""

    match: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    mode: str = LOAD_MODES[0]
    exclude: tuple[str, ...] = ()


def parse_load(table: Any, source: str) -> LoadSettings:
    """The settings of a table `load`.

    Raises:
        ConfigurationError: one of them is unknown or ill-typed.
    """
    if not isinstance(table, dict):
        raise ill_typed(source, "load", "table", table)
    if unknown := set(table) - set(_KNOWN):
        raise UnknownNameError("setting", min(unknown), _KNOWN, f"{source}, load")
    mode, match = text(table, "mode", source, LOAD_MODES[0]), table.get("match", {})
    if mode not in LOAD_MODES:
        raise UnknownNameError("mode", mode, LOAD_MODES, f"{source}, load")
    if not isinstance(match, dict):
        raise ill_typed(source, "load.match", "table", match)
    return LoadSettings({name: texts(match, name, source) for name in match}, mode, texts(table, "exclude", source))
