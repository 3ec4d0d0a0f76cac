"""Errors of files and stores: fixtures, attachments, archives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from toolkit.errors.base import EXIT_DIFFERENT, ToolkitError


class StoreError(ToolkitError):
    """A file or an object that cannot be read or written."""

    def __init__(self, subject: str, problem: str, advice: str = "") -> None:
        self.subject, self.problem = subject, problem
        usual = "Check the path, the permissions on it, and the space left there."
        super().__init__(f"{subject}: {problem}.", advice or usual)


class MissingObjectError(StoreError):
    """An object that is not there."""

    def __init__(self, subject: str, key: str) -> None:
        self.key = key
        super().__init__(subject, f"there is no object {key!r}", "Check the name, and that it is the right store.")


class DamagedObjectError(StoreError):
    """An object of an archive that is not what its name, or its manifest, says."""

    def __init__(self, subject: str, key: str, problem: str) -> None:
        self.key = key
        super().__init__(
            f"{subject}: {key}",
            problem,
            "Run 'toolkit archive verify --read-data'; a push repairs it while the file is still in the live store.",
        )


class NotArrivedError(StoreError):
    """An object that a store said it had taken, and has not, or not as it was sent."""

    def __init__(self, subject: str, key: str, problem: str = "what arrived is not what was sent") -> None:
        super().__init__(
            f"{subject}: {key!r}",
            problem,
            "The store said that it was written: see that it keeps what it is given, then run again.",
        )


class DeleteRefusedError(StoreError):
    """Objects that the credentials may write and read, but not remove; nothing was removed."""

    def __init__(self, subject: str, wanted: str = "") -> None:
        super().__init__(
            subject,
            f"these credentials may not remove objects{wanted}",
            "Run it with others that may (on S3 s3:DeleteObject, on Azure blobs/delete, on Google "
            "storage.objects.delete), and see that no retention holds the objects.",
        )


class NotRemovedError(StoreError):
    """Objects that a store said it had removed, and has still; `left` counts them, `key` is one of them."""

    def __init__(self, subject: str, key: str, left: int = 1) -> None:
        self.left = left
        more = f", and so are {left - 1:,} more" if left > 1 else ""
        super().__init__(
            f"{subject}: {key!r}",
            f"the store said that it was removed, and it is still there{more}",
            "See that the store removes what it is told to (a cache or a retention before it), then run again.",
        )


class EncryptionError(StoreError):
    """An archive that is encrypted otherwise than the given keys say, or not at all; nothing was read or written."""

    def __init__(self, subject: str, problem: str, advice: str = "") -> None:
        usual = (
            "Give its keys, the one for new objects first: encryption_key_file in the store's settings, or "
            "TOOLKIT_<NAME>_KEY in the environment."
        )
        super().__init__(subject, problem, advice or usual)


class ExistingFilesError(ToolkitError):
    """Files that were to be written, but the live store has others under their names; `files` names some of them."""

    exit_code = EXIT_DIFFERENT

    def __init__(self, files: Sequence[str], count: int) -> None:
        self.files, self.count = tuple(files), count
        more = f" and {count - len(files):,} more" if count > len(files) else ""
        one = count == 1
        super().__init__(
            f"{count:,} {'file is' if one else 'files are'} in the live store already with other content: "
            f"{', '.join(self.files)}{more}.",
            "Nothing was written. To replace what is there, pass --overwrite-attachments; to load the rows alone, "
            "--no-attachments.",
        )


class CollidingFilesError(ToolkitError):
    """Several files that would be one in a store; `places` names some of these, each with its files."""

    exit_code = EXIT_DIFFERENT

    def __init__(self, places: Mapping[str, Sequence[str]], count: int, advice: str) -> None:
        self.places, self.count = dict(places), count
        shown = "; ".join(f"{subject} of {' and '.join(files)}" for subject, files in places.items())
        more = f"; and {count - len(places):,} more" if count > len(places) else ""
        super().__init__(
            f"{count:,} {'file' if count == 1 else 'files'} would be written from several files: {shown}{more}.",
            f"Nothing was written. {advice}",
        )


class SharedFilesError(ToolkitError):
    """Live files that were to be removed, but that others may need; `reason` says whose they may be."""

    exit_code = EXIT_DIFFERENT

    def __init__(self, reason: str, advice: str, what: str = "moved") -> None:
        self.reason = reason
        super().__init__(f"No file is {what}: {reason}.", f"Nothing was changed. {advice}")


class FixtureError(ToolkitError):
    """A fixture file that cannot be loaded as it is."""

    def __init__(self, file: str, problem: str, advice: str = "") -> None:
        self.file, self.problem = file, problem
        super().__init__(f"{file}: {problem}.", advice or "Correct the file, then run again; nothing was written.")


class FixtureProblemsError(ToolkitError):
    """Everything that is wrong with the rows of fixture files, up to a number of problems; a line each."""

    def __init__(self, problems: Sequence[str], advice: Iterable[str] = (), *, more: bool = False) -> None:
        self.problems = tuple(problems)
        count = f"At least {len(problems)} problems" if more else f"{len(problems)} problems"
        self._facts = self.problems if len(problems) == 1 else (f"{count} in the fixtures:", *self.problems)
        told = " ".join(["Correct the files, then run again; nothing was written.", *advice])
        super().__init__("\n       ".join(self._facts), told)

    @property
    def facts(self) -> Sequence[str]:
        """How many problems there are, and each."""
        return self._facts


class ArchiveBusyError(ToolkitError):
    """An archive that somebody else is at work on, in a way that excludes ours."""

    exit_code = EXIT_DIFFERENT

    def __init__(self, archive: str, kind: str, holder: str, key: str, minutes: int) -> None:
        self.archive, self.kind, self.holder, self.key = archive, kind, holder, key
        super().__init__(
            f"{archive}: a {kind} is running there ({holder}); nothing was changed.",
            f"Let it end, then run again. If it was killed, its lock expires {minutes} minutes after its last sign of "
            f"life, or when the object {key} is removed.",
        )


class LockLostError(ToolkitError):
    """An operation on an archive, or on fixtures in a store, whose lock others took for void."""

    def __init__(self, archive: str) -> None:
        self.archive = archive
        super().__init__(
            f"{archive}: the lock of this run was removed or could not be renewed in time.",
            "Run again; what an archive has already is not sent twice.",
        )


class ArchivedRowsError(ToolkitError):
    """A row whose files were to be erased from an archive, but that points there itself."""

    exit_code = EXIT_DIFFERENT

    def __init__(self, archive: str, table: str, column: str, key: Mapping[str, object]) -> None:
        self.archive, self.table, self.column, self.key = archive, table, column, dict(key)
        row = ", ".join(f"{name}={value}" for name, value in key.items())
        super().__init__(
            f"{table}.{column} {row} points at {archive} itself: without its file there, it would point at nothing; "
            "nothing was erased.",
            "Delete the row, or empty its column, then run again: rows that are gone are found by their keys.",
        )


class NeededSnapshotsError(ToolkitError):
    """Snapshots that were to be removed, but have what no other one has; `reasons` says by id what."""

    exit_code = EXIT_DIFFERENT

    def __init__(self, archive: str, reasons: Mapping[str, str]) -> None:
        self.archive, self.reasons = archive, dict(reasons)
        shown = "; ".join(f"{snapshot} {reason}" for snapshot, reason in reasons.items())
        super().__init__(
            f"{archive}: {shown}; nothing was removed.",
            "Push first, so that a newer snapshot has them; or, if they are not to be had any more, add --force.",
        )


class LastSnapshotError(ToolkitError):
    """A policy that would remove every snapshot of its kind."""

    exit_code = EXIT_DIFFERENT

    def __init__(self, archive: str, group: str) -> None:
        self.archive, self.group = archive, group
        super().__init__(
            f"{archive}: no snapshot of {group} would be left; nothing was removed.",
            "Keep at least one, for example with --keep-last 1.",
        )
