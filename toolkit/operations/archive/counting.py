"""Does a manifest name what its first line says that it has?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.core.archive_manifest import ERASED, FileEntry, Header, Lacking

if TYPE_CHECKING:
    from toolkit.stores.archive import Archive
    from toolkit.stores.catalogue import Catalogue

SCHEMA = """
-- What one snapshot names; a row that says another size of the same content is one more of them, as for a push.
CREATE TABLE named (key TEXT, size INTEGER, stored INTEGER, PRIMARY KEY (key, size)) WITHOUT ROWID;
"""
# Of a content that lies there twice, plain and as zstd, a push counts one.
_CONTENTS = "SELECT DISTINCT replace(key, '.zst', ''), size FROM named"


def note_named(archive: Archive, catalogue: Catalogue, snapshot: str) -> str | None:
    """Note what a snapshot names in `named`, in place of what is there; what its header says otherwise, None: nothing.

    Header and entries are of one reading: a `forget` may write the manifest anew meanwhile.

    Raises:
        MissingObjectError: there is no such snapshot (any more).
        StoreError: the manifest is damaged.
    """
    said: Header | None = None
    files = erased = 0

    def named() -> Iterator[tuple[str, int, int | None]]:
        nonlocal said, files, erased
        for part in archive.manifest(snapshot):
            if isinstance(part, FileEntry):
                files += 1
                yield part.address.key, part.size, part.stored
            elif isinstance(part, Lacking):
                erased += part.outcome == ERASED
            else:
                said = part

    catalogue.run("DELETE FROM named")
    catalogue.run_many("INSERT OR IGNORE INTO named VALUES (?, ?, ?)", named())
    assert said is not None
    objects, size = catalogue.one(f"SELECT count(*), total(size) FROM ({_CONTENTS})")
    counts = {
        "files": (said.files, files),
        "objects": (said.objects, objects),
        "bytes": (said.bytes, int(size)),
        "erased files": (said.erased, erased),
    }
    told = [f"{says:,} {what}, but names {names:,}" for what, (says, names) in counts.items() if says != names]
    return f"the manifest says that it has {' and '.join(told)}" if told else None
