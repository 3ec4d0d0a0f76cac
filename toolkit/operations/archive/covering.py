"""What keeps a snapshot that would go: it has what no other one that stays has."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence

from msgspec import Struct

from toolkit.core.archive_manifest import FileEntry, Header
from toolkit.core.archive_origins import Origins
from toolkit.core.retention import is_future
from toolkit.operations.archive.lacking import spared
from toolkit.operations.archive.pruning import group_of, row_of
from toolkit.stores.archive import Archive
from toolkit.stores.catalogue import Catalogue

_SCHEMA = "CREATE TABLE covered (owner TEXT, row TEXT, col TEXT, PRIMARY KEY (owner, row, col)) WITHOUT ROWID;"


def needed_for(
    archive: Archive,
    origins: Origins,
    headers: Sequence[Header],
    going: frozenset[str],
    is_gone: Callable[[Header, FileEntry], bool],
) -> dict[str, str]:
    """Of the snapshots that are to go those that others do not make up for; by id, with the reason.

    One is made up for by a newer one of its group that stays; with conditions, which may be of other rows, only if
    every row of it `is_gone` or in a newer one that stays.
    """
    found = _Covering(archive, origins, is_gone).uncovered(headers, going)
    kept, left = ([each for each in headers if (each.id in going - set(found)) == is_left] for is_left in (False, True))
    return found | spared(archive, origins, kept, left)


class _Covering(Struct):
    archive: Archive
    origins: Origins
    is_gone: Callable[[Header, FileEntry], bool]

    def uncovered(self, headers: Sequence[Header], going: frozenset[str]) -> dict[str, str]:
        """The snapshots that have rows that no newer one has that stays."""
        now, groups, found = dt.datetime.now(dt.UTC), set[str](), dict[str, str]()
        with Catalogue(_SCHEMA) as covered:
            waiting: list[Header] = []
            for header in reversed(headers):
                group = group_of(header, self.origins)
                if header.id not in going:
                    # One by a clock that is wrong stands in for none that is really older.
                    if not is_future(header, now):
                        waiting.append(header)
                        groups.add(group)
                elif header.scope.where or group not in groups:
                    self._cover(covered, waiting)
                    rows = self._rows_alone(covered, header)
                    if rows:
                        found[header.id] = (
                            f"has files of {rows:,} row{'' if rows == 1 else 's'} that no newer one has that stays"
                        )
                        waiting.append(header)
        return found

    def _cover(self, covered: Catalogue, waiting: list[Header]) -> None:
        """Note the rows of snapshots that stay; they are read only if somebody asks."""
        while waiting:
            header = waiting.pop()
            owner = self.origins.described(header)
            covered.run_many(
                "INSERT OR IGNORE INTO covered VALUES (?, ?, ?)",
                ((owner, row_of(each.table, each.key), each.column) for each in self.archive.entries(header.id)),
            )

    def _rows_alone(self, covered: Catalogue, header: Header) -> int:
        owner, rows = self.origins.described(header), set[tuple[str, str]]()
        for entry in self.archive.entries(header.id):
            row = row_of(entry.table, entry.key), entry.column
            known = covered.one("SELECT 1 FROM covered WHERE (owner, row, col) = (?, ?, ?)", owner, *row)
            if known is None and not self.is_gone(header, entry):
                rows.add(row)
        return len(rows)
