"""An empty table filled by several processes: each writes files of its own and reads them back, one commits them all.

Nobody sees a file that no commit names. Those of a process that was lost, and of which nobody else knows, stay until
`vacuum` removes them; names are given once, so that they are in nobody's way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolkit.compute.segments import SegmentTotals
from toolkit.core.digest import TableDigest, digest_passthrough
from toolkit.core.streams import read_ahead
from toolkit.engines.contract import WrittenPart
from toolkit.engines.delta import receipts
from toolkit.engines.delta.parts import part_of
from toolkit.errors import ChangedSincePlanError, UnnamedRowError, VerificationError

if TYPE_CHECKING:
    from toolkit.engines.contract import Table
    from toolkit.engines.delta.files import DataFile
    from toolkit.engines.delta.table import LakeRepository


def write_part(table: LakeRepository, part: int, source: Table) -> WrittenPart:
    """Write the rows of a part, and read them back by what reads a lake for everybody.

    Raises:
        ChangedSincePlanError: somebody else has written to the table.
        VerificationError: they are not those of the source; the files are removed with the transaction.
    """
    if table.lake.files:
        raise ChangedSincePlanError(table.connection.name, table.spec.name)
    sent = TableDigest()

    def seen(digest: TableDigest) -> None:
        nonlocal sent
        sent += digest

    with read_ahead(source.read()) as batches:
        try:
            files = tuple(table.write_files(digest_passthrough(table.spec, batches, seen)))
        except UnnamedRowError as error:
            raise table.why_refused(source.read(), error) or error from error
    totals = table.part(part_of(part, files)).segment_totals(receipts.SEGMENTS)
    found = totals.digest
    if found != sent:
        fact = (
            f"of part {part}, {found.rows:,} rows with digest {found.text} arrived, of {sent.rows:,} with {sent.text}"
        )
        raise VerificationError(table.connection.name, table.spec.name, fact)
    # Whoever commits is answerable for them from here on; the end of this transaction would remove them.
    table.lake.tidy(files)
    table.lake.pending = []
    return WrittenPart(part, sent, totals, files)


def fill(table: LakeRepository, parts: Sequence[WrittenPart]) -> None:
    """Let the files of these parts be the table's rows, and the sum of what was read back their totals.

    Raises:
        UnnamedRowError: a row breaks a constraint, or two have one key.
    """
    totals = SegmentTotals.empty(receipts.SEGMENTS)
    for part in parts:
        totals.add_all(part.totals)
    files = [file for part in parts for file in part.files]
    _require_seen(table, files)
    table.fill(files, totals)


def _require_seen(table: LakeRepository, files: Sequence[DataFile]) -> None:
    """See that all files are where the commit will say, from here too: each as large as its writer left it."""
    from pyarrow.fs import FileSelector

    lake = table.lake
    try:
        there = {each.base_name: each.size for each in lake.storage.readable.get_file_info(FileSelector(""))}
    except OSError as error:
        raise lake.place.unreachable(error) from error
    lost = [each.path for each in files if there.get(each.path) != each.size]
    if lost:
        fact = f"{len(lost):,} of {len(files):,} files of workers are not there as they wrote them ({lost[0]})"
        raise VerificationError(table.connection.name, table.spec.name, fact)
