"""Errors of work in parts, by other processes and machines."""

from __future__ import annotations

from toolkit.errors.base import EXIT_USAGE, ToolkitError
from toolkit.errors.databases import DatabaseUnavailableError


class WorkersError(ToolkitError):
    """Workers cannot be reached, or are lost."""


class WorkerVersionError(ToolkitError):
    """A worker runs another Python or another version of this package."""

    exit_code = EXIT_USAGE

    def __init__(self, worker: str, problems: str) -> None:
        self.worker, self.problems = worker, problems
        super().__init__(
            f"Worker {worker} differs from here: {problems}.",
            "Install the same versions on all workers, restart them, and see: toolkit workers check.",
        )


class PartFailedError(ToolkitError):
    """A worker could not do a part, for a reason of its own."""

    def __init__(self, worker: str, what: str, fact: str, advice: str, exit_code: int, *, kind: str = "") -> None:
        self.worker, self.what, self.kind = worker, what, kind
        self.exit_code = exit_code
        super().__init__(f"{what}, on worker {worker}: {fact}", advice)


class SnapshotLostError(DatabaseUnavailableError):
    """The transaction whose rows all workers were to see is gone."""

    def __init__(self, database: str, reason: str) -> None:
        super().__init__(
            database,
            f"the transaction whose snapshot all parts are read in has ended ({reason})",
            "Run again; if it happens again, look for what ends it: idle_in_transaction_session_timeout or "
            "transaction_timeout of the server, a pooler, or a restart.",
        )


class ChangedWhileReadError(DatabaseUnavailableError):
    """Somebody wrote to a database that several processes were reading without a common snapshot."""

    def __init__(self, database: str) -> None:
        super().__init__(
            database,
            "it was written to while several processes read it, which do not share a snapshot",
            "Run again when nobody writes, or without --workers, which reads one snapshot.",
        )


class RunError(ToolkitError):
    """A run in parts that cannot be begun, or taken up again."""


class FencedError(ToolkitError):
    """An attempt at a part that a newer one has taken over: it writes nothing."""

    def __init__(self, table: str, part: int, attempt: int) -> None:
        self.table, self.part, self.attempt = table, part, attempt
        super().__init__(
            f"Attempt {attempt} at part {part} of {table} was ended by a newer one.", "Nothing has to be done."
        )
