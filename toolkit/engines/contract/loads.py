"""What an engine may bring so that rows are written by several sessions at once, and yet as by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from msgspec import Struct

from toolkit.engines.contract.connection import Connection, Table

if TYPE_CHECKING:
    import pyarrow as pa

    from toolkit.compute.segments import SegmentTotals
    from toolkit.core.digest import TableDigest
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract.parts import Part


class Loaded(Struct, frozen=True):
    """A part that was committed: the digest of the rows as the source had them, at which attempt, bytes and seconds."""

    part: int
    digest: TableDigest
    attempt: int
    seconds: float


class RunAbout(Struct, frozen=True):
    """What a run was begun with: its table's name, its source, which columns are filled, and of which rows.

    `run` is the name of what is made for this table; the first of several tables has the name of all of them, the
    others that and a number. With `replaces`, the table is one that this very run has made, whose place is taken.
    """

    run: str
    table: str
    source: str
    source_identity: str
    columns: tuple[str, ...]
    began: str
    conditions: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    replaces: bool = False
    parts: int = 0
    """How many there were when it was begun; a ledger that has others by now is not one to rest on."""

    @property
    def group(self) -> str:
        """The name of the run of all its tables, by which it is taken up."""
        return self.run.partition("_")[0]


class Run(Protocol):
    """A stage: a table that is filled by others, a part in one transaction each, and then written to the one it is for.

    Beside it lies a ledger: a row for each part, which is written in the transaction that writes the part's rows. All
    of it is asked of the connection that has the right to write, and by nobody else.
    """

    @property
    def about(self) -> RunAbout:
        """What it was begun with."""

    @property
    def spec(self) -> TableSpec:
        """The stage, all of whose rows are those of the run."""

    def begin(self, parts: Sequence[Part]) -> None:
        """Make the stage and its ledger. Where it could not take the other's place, `about` says so from here on."""

    def parts(self) -> Sequence[Part]:
        """All parts, as they were cut when it was begun."""

    def loaded(self) -> Mapping[int, Loaded]:
        """Those that are committed, by number."""

    def end_others(self) -> None:
        """End all sessions that still write for this run."""

    def undo(self, part: int) -> None:
        """Take a part's rows out again, and commit.

        Raises:
            RunError: they cannot be told from others.
        """

    def close_for_writers(self) -> None:
        """Let nobody write to the stage any more."""

    def take_place(self) -> bool:
        """Let the stage be the other table, with its name, keys, indexes and constraints; `commit` makes it last.

        False if that has rows by now, or anything that would be lost or another; then nothing was done.
        """

    def remove(self) -> None:
        """Drop the stage and its ledger, and commit."""


@runtime_checkable
class LoadsInParts(Connection, Protocol):
    """A connection that writes, to a database whose tables can be written so."""

    def new_run(self, spec: TableSpec, about: RunAbout) -> Run:
        """A run for a table that is yet to be begun."""

    def runs(self, spec: TableSpec) -> Sequence[Run]:
        """Those that others began for a table and did not end."""


@runtime_checkable
class FillsParts(Connection, Protocol):
    """A connection by the side of the one that has the right to write; in a process of its own, it fills parts."""

    def fill(self, spec: TableSpec, run: str, part: int, source: Table) -> Loaded:
        """Copy the rows of a part into a run's stage, unless that is done; what the ledger says then.

        Older attempts at it are ended first: none of them can commit any more.

        Raises:
            FencedError: a newer attempt has ended this one.
        """


class WrittenPart(Struct, frozen=True):
    """A part in files that no commit names yet: what was read from the source, and what is read back from the files."""

    part: int
    sent: TableDigest
    totals: SegmentTotals
    files: Sequence[Any]
    """Descriptions of the files, in the engine's own terms."""


class Rewriting(Struct, frozen=True):
    """Files of a table that are to be written anew with rows that have these keys; without files, rows to insert."""

    part: int
    keys: pa.Table
    files: Sequence[Any] = ()


class FilesRun(Protocol):
    """An empty table that is filled by others, each of whom writes files, until one commit names them all.

    Beside the table lies a ledger: what it was begun with, and what was written of each part. All of it is asked of
    the connection that has the right to write; whoever fills a part only adds to it.
    """

    @property
    def about(self) -> RunAbout:
        """What it was begun with."""

    def begin(self, parts: Sequence[Part]) -> None:
        """Begin the ledger."""

    def parts(self) -> Sequence[Part]:
        """All parts, as they were cut when it was begun."""

    def loaded(self) -> Mapping[int, WrittenPart]:
        """Those that were written, by number, as their writers told of them."""

    def end_others(self) -> None:
        """Let nobody else commit what was written for this run.

        Raises:
            RunError: somebody has committed to the table since it was begun.
        """

    def undo(self, part: int) -> None:
        """Remove a part's files."""

    def remove(self) -> None:
        """Remove all files that no commit can have named, and the ledger."""

    def end(self) -> None:
        """Remove the ledger of a run that is committed, and files that were written twice."""


@runtime_checkable
class CommitsParts(Connection, Protocol):
    """A connection that writes, to a database where a table is files, and a commit names those that belong to it.

    Any number of processes write files; one commits those of all.
    """

    def require_parts(self, spec: TableSpec) -> None:
        """See that this connection may commit.

        Raises:
            ToolkitError: it may not.
        """

    def new_run(self, spec: TableSpec, about: RunAbout) -> FilesRun:
        """A run for an empty table that is yet to be begun."""

    def runs(self, spec: TableSpec) -> Sequence[FilesRun]:
        """Those that others began for a table and did not end."""

    def write_part(self, spec: TableSpec, run: str, part: int, source: Table) -> WrittenPart:
        """Write the rows of a part into new files, read them back, and say so in the run's ledger.

        Raises:
            VerificationError: what is read back is not what the source has; the files are removed.
        """

    def read_part(self, spec: TableSpec, part: WrittenPart) -> WrittenPart:
        """Read back what was written of a part, maybe long ago.

        Raises:
            ToolkitError: it is not there as it was written.
        """

    def fill(self, spec: TableSpec, parts: Sequence[WrittenPart]) -> None:
        """Let the files of these parts be the rows of an empty table; `commit` makes it last.

        Raises:
            UnnamedRowError: a row breaks a constraint, or two have one key; `why_refused` finds it.
        """

    def rewritings(self, spec: TableSpec, keys: pa.Table, size: int, workers: int) -> Sequence[Rewriting]:
        """What has to be written so that the table has rows with these keys, for so many; of `size` bytes at most."""

    def rewrite(self, spec: TableSpec, given: Rewriting, source: Table) -> WrittenPart:
        """Write these files anew, with the source's rows: in a process that commits nothing.

        The totals of what is written are less those of what was there.
        """

    def take_part(self, spec: TableSpec, part: WrittenPart) -> None:
        """Be answerable for files that another process has written: they are removed if no commit names them."""

    def merge(
        self, spec: TableSpec, before: SegmentTotals, given: Sequence[Rewriting], parts: Sequence[WrittenPart]
    ) -> TableDigest:
        """Let these be in place of the files that were written anew; `commit` makes it last. The digest of all rows.

        `before` are the totals of the rows as they were.

        Raises:
            UniqueConflictError: two rows have one unique value.
        """
