"""What was synced last, and when: a note in the project's own directory, for `toolkit status`."""

from __future__ import annotations

import datetime as dt
import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import asdict

from toolkit.errors import StoreError
from toolkit.stores.whole_file import whole_file

if TYPE_CHECKING:
    from toolkit.config import Config
    from toolkit.core.plan import SyncResult

_FILE = Path(".toolkit", "syncs.json")


class LastSync(Struct, frozen=True):
    """The last sync from one database to another: when it ended (UTC), the rows written, whether it was proved."""

    source: str
    target: str
    ended: str
    written: int
    verified: bool


def last_syncs(root: Path) -> tuple[LastSync, ...]:
    """Those that are noted, the latest first; a note that cannot be read is none."""
    with suppress(OSError, ValueError, TypeError):
        found = json.loads((root / _FILE).read_text(encoding="utf-8"))
        return tuple(sorted((LastSync(**each) for each in found), key=lambda each: each.ended, reverse=True))
    return ()


def note_sync(config: Config, result: SyncResult) -> None:
    """Note a sync of a project that has models or a directory for such things; that it cannot be stops nothing."""
    root, folder = config.root, config.root / _FILE.parent
    if not (config.metadata or folder.is_dir()):
        return
    written = sum(each.inserted + each.updated + each.deleted + each.marked for each in result.tables)
    ended = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    note = LastSync(result.source, result.target, ended, written, result.verified or not written)
    others = [each for each in last_syncs(root) if (each.source, each.target) != (note.source, note.target)]
    with suppress(OSError, StoreError):
        folder.mkdir(exist_ok=True)
        with whole_file(root / _FILE) as file:
            file.write(json.dumps([asdict(each) for each in (note, *others)], indent=1).encode())
