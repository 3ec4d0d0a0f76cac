"""An empty table filled by several processes: each writes files of its own and reads them back, one commits them all.

Nobody sees a file that no commit names. Each is noted in the ledger of its run, which takes it up or removes it; names
are given once, so that files of processes that were lost before are in nobody's way until `vacuum` removes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from toolkit.compute.segments import SegmentTotals
from toolkit.core.digest import TableDigest, digest_passthrough
from toolkit.core.streams import read_ahead
from toolkit.engines.contract import WrittenPart
from toolkit.engines.delta import receipts
from toolkit.engines.delta.parts import part_of
from toolkit.engines.delta.runs import note_part
from toolkit.errors import ChangedSincePlanError, UnnamedRowError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from toolkit.engines.contract import Table
    from toolkit.engines.delta.files import DataFile
    from toolkit.engines.delta.table import LakeRepository


class Sent:
    """Rows on their way, and the digest of those that have passed."""

    def __init__(self, table: LakeRepository, batches: Iterator[pa.RecordBatch]) -> None:
        self.digest = TableDigest()
        self.batches = digest_passthrough(table.spec, batches, self._see)

    def _see(self, digest: TableDigest) -> None:
        self.digest += digest


def write_part(table: LakeRepository, run: str, part: int, source: Table) -> WrittenPart:
    """Write the rows of a part, and read them back by what reads a lake for everybody.

    Raises:
        ChangedSincePlanError: somebody else has written to the table.
        VerificationError: they are not those of the source; the files are removed with the transaction.
    """
    if table.lake.files:
        raise ChangedSincePlanError(table.connection.name, table.spec.name)
    with read_ahead(source.read()) as batches:
        sent = Sent(table, batches)
        try:
            files = tuple(table.write_files(sent.batches))
        except UnnamedRowError as error:
            raise table.why_refused(source.read(), error) or error from error
    written = read_part(table, WrittenPart(part, sent.digest, SegmentTotals.empty(1), files))
    note_part(table.lake, run, written)
    hand_over(table, files)
    return written


def hand_over(table: LakeRepository, files: Sequence[DataFile]) -> None:
    """Whoever commits is answerable for these from here on: the end of this transaction would remove them."""
    table.lake.tidy(files)
    table.lake.pending = []


def read_part(table: LakeRepository, written: WrittenPart) -> WrittenPart:
    """Read what was written of a part, and count the totals of its segments.

    Raises:
        VerificationError: they are not the rows that were sent.
    """
    totals = table.part(part_of(written.part, written.files)).segment_totals(receipts.SEGMENTS)
    found, sent = totals.digest, written.sent
    if found != sent:
        fact = (
            f"of part {written.part}, {found.rows:,} rows with digest {found.text} arrived, of {sent.rows:,} with "
            f"{sent.text}"
        )
        raise VerificationError(table.connection.name, table.spec.name, fact)
    return replace(written, totals=totals)


def fill(table: LakeRepository, parts: Sequence[WrittenPart]) -> None:
    """Let the files of these parts be the table's rows, and the sum of what was read back their totals.

    Raises:
        UnnamedRowError: a row breaks a constraint, or two have one key.
    """
    totals = SegmentTotals.empty(receipts.SEGMENTS)
    for part in parts:
        totals.add_all(part.totals)
    files = [file for part in parts for file in part.files]
    require_seen(table, files)
    table.fill(files, totals)


def require_seen(table: LakeRepository, files: Sequence[DataFile]) -> None:
    """See that all files are where the commit will say, from here too: each as large as its writer left it.

    Raises:
        VerificationError: one is not.
    """
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
