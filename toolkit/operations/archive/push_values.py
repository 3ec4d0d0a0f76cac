"""What a push is told, and what it says that it did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct, field

from toolkit.operations.archive.backends import JOBS

# At run time, too: `toolkit schema` reads what the results hold.
from toolkit.operations.archive.outcomes import Finding

if TYPE_CHECKING:
    import datetime as dt


class PushOptions(Struct, frozen=True):
    """How to push.

    `older_than`: only files of rows that were made so long ago, by their `created_at`; of tables without that column,
    files that the live store wrote so long ago. `move`: rows point at the archive afterwards, and live files go.
    `compress`: with zstd, what gets smaller by it. `rehash`: read every file, also those that the last snapshot has
    with the same size, time and tag. `jobs`: files under way at once.
    """

    older_than: dt.timedelta | None = None
    move: bool = False
    compress: bool = False
    rehash: bool = False
    jobs: int = JOBS


class ColumnPush(Struct, frozen=True):
    """One column of files: how many references, to how many bytes; `younger` were left out, their age told by what."""

    table: str
    column: str
    files: int
    bytes: int
    younger: int = 0
    age_by: str | None = None


class PushResult(Struct, frozen=True):
    """What was archived, or (`dry_run`) would be. Sizes are in bytes.

    `objects` counts each live file once: those `unchanged` since the last snapshot, those that rows already point at
    in the archive (`archived`), and those `read` because nothing is known of them. Of these, `sent` were not in the
    archive; a dry run does not know. `moved` counts rows, `removed` live files. `notes` are sentences for whoever reads
    this: what is not wrong, but will be if nothing is done about it. `requests`: how often stores were asked, by kind.
    """

    source: str
    archive: str
    dry_run: bool
    snapshot: str | None
    columns: tuple[ColumnPush, ...]
    files: int
    objects: int
    bytes: int
    unchanged: int
    archived: int
    read: int
    read_bytes: int
    sent: int = 0
    sent_bytes: int = 0
    repaired: int = 0
    moved: int = 0
    removed: int = 0
    findings: tuple[Finding, ...] = ()
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    requests: Mapping[str, int] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every file that rows point at is archived, and moved if that was asked for."""
        return not self.findings
