"""Every error a user can meet: one line of fact, one of what to do next, and the exit code.

Exit codes: 0 done, 1 failure, 2 usage, 3 differences found or refused by a guard, 130 interrupted.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from toolkit.shown_text import without_secrets

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_DIFFERENT = 3
EXIT_INTERRUPTED = 130

CORRECT_ROW = "Correct the row at the source, or the constraint in the target."


class ToolkitError(Exception):
    """Base of all errors of this package; `fact` says what, where, which row; `advice` what to do next.

    Neither ever holds a secret.
    """

    exit_code = EXIT_FAILURE

    def __init__(self, fact: str, advice: str = "") -> None:
        # Here once more: a URL may have been given where something else was expected.
        self.fact = without_secrets(fact)
        self.advice = without_secrets(advice)
        super().__init__(f"{self.fact}\n{self.advice}" if advice else self.fact)

    @property
    def facts(self) -> Sequence[str]:
        """The lines of the fact: one, but where there are several problems."""
        return (self.fact,)

    def advise(self, first: str) -> None:
        """Say something before the advice that it has."""
        self.advice = " ".join(part for part in (without_secrets(first), self.advice) if part)
        self.args = (f"{self.fact}\n{self.advice}",)


class ConfigurationError(ToolkitError):
    """A setting, a URL or a metadata reference that cannot be used."""

    exit_code = EXIT_USAGE


class UnknownNameError(ToolkitError):
    """A database, table or column that nobody declared; suggests the nearest known name, and then what else to do."""

    exit_code = EXIT_USAGE

    def __init__(self, kind: str, name: str, known: Iterable[str], where: str = "", otherwise: str = "") -> None:
        self.kind, self.name, self.known = kind, name, tuple(sorted(known))
        near = difflib.get_close_matches(name, self.known, n=1, cutoff=0.5)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        super().__init__(
            f"There is no {kind} {name!r}{f' in {where}' if where else ''}.",
            f"{hint}Known: {', '.join(self.known) or 'none'}.{f' {otherwise}' if otherwise else ''}",
        )


class MissingDriverError(ToolkitError):
    """An optional package is needed for what was asked."""

    def __init__(self, what: str, package: str, extra: str | None = None) -> None:
        self.package, self.extra = package, extra
        install = f'pip install "toolkit[{extra}]"' if extra else f"pip install {package}"
        super().__init__(f"{what} needs the package {package!r}, which is not installed.", f"Run: {install}")


class TemporaryFilesError(ToolkitError):
    """There is no room for temporary files."""

    def __init__(self, directory: str, reason: str) -> None:
        self.directory, self.reason = directory, reason
        super().__init__(
            f"There is no room for temporary files in {directory}: {reason.removesuffix('.')}.",
            "Make room there, or set TMPDIR to a directory that has some, then run again.",
        )


class LostOutputError(ToolkitError):
    """Standard output cannot be written to; `done` says what was done nevertheless, `is_unread` that nobody reads."""

    def __init__(self, reason: str, done: str = "", *, is_unread: bool = False) -> None:
        self.reason, self.done, self.is_unread = reason, done, is_unread
        lost = f"standard output cannot be written to ({reason})"
        super().__init__(
            f"{done}; only the report is lost: {lost}." if done else f"The output is not whole: {lost}.",
            "There is nothing to repeat; toolkit status and toolkit diff show what is there."
            if done
            else "Run again where it can be; what the command did, if anything, stays.",
        )

    def after(self, done: str) -> LostOutputError:
        """The same, of a report of what was done."""
        return LostOutputError(self.reason, done, is_unread=self.is_unread)


class DatabaseUnavailableError(ToolkitError):
    """A database cannot be opened: not there, not reachable, refused, locked, read-only or full."""

    def __init__(self, database: str, fact: str, advice: str = "") -> None:
        self.database = database
        super().__init__(f"{database}: {fact}", advice)


class ContentionError(DatabaseUnavailableError):
    """Another writer stood in the way, so that the database gave up; the same work may succeed when it is repeated."""


class PrivilegeError(DatabaseUnavailableError):
    """A role may not do in a database what was to be done; `reason` is the server's."""

    def __init__(self, database: str, reason: str, fact: str = "", advice: str = "") -> None:
        self.reason = reason
        super().__init__(
            database,
            fact or f"this role lacks a privilege: {reason}",
            advice or "Grant it to the role, or log in as one that has it, such as the owner.",
        )


class StatementError(ToolkitError):
    """A database refused a statement for a reason that has no error of its own here."""

    def __init__(self, database: str, fact: str, advice: str = "") -> None:
        self.database = database
        super().__init__(f"{database}: {fact}", advice)


class UnnamedRowError(StatementError):
    """A database refused one of many rows and does not say which; `reason` is the database's."""

    def __init__(self, database: str, reason: str) -> None:
        self.reason = reason
        super().__init__(database, f"a row is refused: {reason}", CORRECT_ROW)


class RefusedRowError(StatementError):
    """A row that breaks a constraint of the target; `reason` names the constraint, or is the database's own."""

    def __init__(self, database: str, table: str, key: str, reason: str) -> None:
        self.table, self.key, self.reason = table, key, reason
        super().__init__(database, f"{table} {key} is refused: {reason}", CORRECT_ROW)


class ConditionError(ToolkitError):
    """A user's condition that the database does not take."""

    exit_code = EXIT_USAGE

    def __init__(self, database: str, table: str, condition: str, reason: str, columns: Sequence[str]) -> None:
        self.database, self.table, self.condition = database, table, condition
        super().__init__(
            f"{database}: the condition {condition!r} of table {table!r} is refused: {reason}",
            f"Write it in the database's own SQL, with these columns: {', '.join(columns)}.",
        )


class CancelledError(ToolkitError):
    """A statement was cancelled, by Ctrl-C or by somebody who may."""

    exit_code = EXIT_INTERRUPTED

    def __init__(self, database: str) -> None:
        self.database = database
        super().__init__(f"{database}: interrupted; what was not committed is rolled back.", "Run again.")


class SchemaMismatchError(ToolkitError):
    """Tables or columns that one side lacks, all of them at once."""

    def __init__(self, problems: Sequence[str], advice: str) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems) + ".", advice)


class RevisionMismatchError(ToolkitError):
    """A database stands at another schema revision than needed."""

    def __init__(self, database: str, found: str | None, expected: str | None, advice: str) -> None:
        self.database, self.found, self.expected = database, found, expected
        super().__init__(
            f"{database} is at schema revision {found or 'none'}, but {expected or 'none'} is needed.", advice
        )


class MigrationError(ToolkitError):
    """A migration, or the history of migrations, that cannot be used or run."""


class UnrepresentableValueError(ToolkitError):
    """A value that its column, or the target engine, cannot hold exactly. Nothing is ever rounded or cut."""

    def __init__(self, table: str, key: str, column: str, problem: str, advice: str = "") -> None:
        self.table, self.key, self.column, self.problem = table, key, column, problem
        super().__init__(
            f"{table} {key}: column {column!r} {problem}.",
            advice or "Correct the value at the source, then run again.",
        )


class MissingParentError(ToolkitError):
    """Rows whose foreign key points at rows that the target does not have."""

    def __init__(self, database: str, table: str, column: str, parent: str, count: int, first: str) -> None:
        self.table, self.column, self.parent, self.count, self.first = table, column, parent, count, first
        rows = f"{count} row{'s point' if count != 1 else ' points'}"
        super().__init__(
            f"{table}.{column}: {rows} at {parent} that {database} does not have (first: {first}).",
            f"Sync {parent} too, or correct the rows at the source.",
        )


class UniqueConflictError(ToolkitError):
    """Two different primary keys claim one unique value."""

    def __init__(self, database: str, table: str, columns: str, value: str, rows: Sequence[str]) -> None:
        self.database, self.table, self.columns, self.value, self.rows = database, table, columns, value, tuple(rows)
        super().__init__(
            f"{table}: unique {columns} = {value} belongs to different rows: {' and '.join(self.rows)}.",
            f"Change or remove one of the two, at the source or in {database}, then run again. If they are one row "
            f"under two keys: --match {table}:{columns.replace(' ', '')}.",
        )


class CollationConflictError(ToolkitError):
    """Two keys that differ, but that a database takes for one; `columns` make it so, each by its cause."""

    def __init__(self, database: str, table: str, rows: Sequence[str], columns: Mapping[str, str]) -> None:
        self.database, self.table, self.rows, self.columns = database, table, tuple(rows), dict(columns)
        causes = " and ".join(f"{name} by {cause}" for name, cause in columns.items())
        super().__init__(
            f"{table}: {' and '.join(rows)} are two rows, but one key to {database}, which compares {causes}.",
            f"Change one of the two keys, or let {database} tell them apart: give {', '.join(columns)} there a "
            "collation that does.",
        )


class AmbiguousMatchError(ToolkitError):
    """Several rows have the same values in the columns that rows are to be recognised by."""

    def __init__(self, table: str, value: str, columns: str) -> None:
        self.table, self.value, self.columns = table, value, columns
        super().__init__(
            f"{table}: several rows have {value}, so that rows cannot be recognised by it.",
            "Name columns that no two rows share: --match TABLE:COL,COL.",
        )


class VerificationError(ToolkitError):
    """What arrived is not what was sent; `evidence` is the first row that shows it."""

    def __init__(self, database: str, table: str, fact: str, evidence: str = "") -> None:
        self.database, self.table, self.evidence = database, table, evidence
        first = f" First: {evidence}." if evidence else ""
        super().__init__(
            f"{table}: {fact} in {database}; the transaction was rolled back.{first}",
            f"See what changes rows of {table} as they are written: a narrower type, a trigger, a rule, a generated "
            f"column or another program. Change that there, or leave the table out: --exclude {table}.",
        )


class ExistingRowsError(ToolkitError):
    """Rows that were to be inserted are there already."""

    exit_code = EXIT_DIFFERENT

    def __init__(self, database: str, table: str, rows: int, first: str) -> None:
        self.database, self.table, self.rows, self.first = database, table, rows, first
        super().__init__(
            f"{table}: {rows} of the rows {'is' if rows == 1 else 'are'} in {database} already (one of them: {first}).",
            "Nothing was written. To update them, leave out --mode insert.",
        )


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
        shown = "; ".join(f"{place} of {' and '.join(files)}" for place, files in places.items())
        more = f"; and {count - len(places):,} more" if count > len(places) else ""
        super().__init__(
            f"{count:,} {'file' if count == 1 else 'files'} would be what several are: {shown}{more}.",
            f"Nothing was written. {advice}",
        )


class SharedFilesError(ToolkitError):
    """Live files that were to be removed, but that others may need; `reason` says whose they may be."""

    exit_code = EXIT_DIFFERENT

    def __init__(self, reason: str, advice: str) -> None:
        self.reason = reason
        super().__init__(f"No file is moved: {reason}.", f"Nothing was changed. {advice}")


class DeleteGuardError(ToolkitError):
    """More rows would be deleted than may be."""

    exit_code = EXIT_DIFFERENT

    def __init__(
        self, database: str, table: str, deletes: int, reason: str, advice: str = "raise the limit with --max-delete"
    ) -> None:
        self.database, self.table, self.deletes, self.reason = database, table, deletes, reason
        super().__init__(
            f"{table}: {deletes:,} row{' of' if deletes == 1 else 's of'} {database} would be deleted, but {reason}.",
            f"Nothing was written. If they should go, {advice}.",
        )


class ReferencedRowsError(ToolkitError):
    """Rows that were to be deleted are pointed at by others: `why` tells what is to be known of their table."""

    exit_code = EXIT_DIFFERENT

    def __init__(
        self, database: str, table: str, child: str, rows: int, why: Literal["unnamed", "unknown", "stays"] = "unnamed"
    ) -> None:
        self.database, self.table, self.child, self.rows, self.why = database, table, child, rows, why
        one = rows == 1
        them, those = ("it", "that row") if one else ("them", "those rows")
        remedies = {
            "unnamed": f"Include {child} too, or delete {those} first.",
            "unknown": f"The models know no table {child}: delete {those} in {database}, point {them} elsewhere, or "
            "run without deleting.",
            "stays": f"Delete {those} in {database}, or let the condition for {child} cover {them}.",
        }
        super().__init__(
            f"{table}: {rows} row{' of' if one else 's of'} {child} in {database} "
            f"point{'s' if one else ''} at rows that would be deleted.",
            f"Nothing was written. {remedies[why]}",
        )


class ScriptError(ToolkitError):
    """A table that no script can make equal."""

    def __init__(self, table: str, problem: str, advice: str) -> None:
        self.table, self.problem = table, problem
        super().__init__(f"{table}: {problem}; no script was written.", advice)


class ChangedSincePlanError(ToolkitError):
    """The target was changed by somebody else between the plan and its execution; `table` may not be known."""

    def __init__(self, database: str, table: str | None = None, found: str = "") -> None:
        self.database, self.table, self.found = database, table, found
        place = f"{table}: {database}" if table else database
        super().__init__(
            f"{place} was written to by somebody else since the plan was made{f' ({found})' if found else ''}; "
            "nothing was written.",
            "Run again: a new plan is made from what is there now.",
        )


class StoreError(ToolkitError):
    """A file or an object that cannot be read or written."""

    def __init__(self, place: str, problem: str, advice: str = "") -> None:
        self.place, self.problem = place, problem
        usual = "Check the path, the permissions on it, and the space left there."
        super().__init__(f"{place}: {problem}.", advice or usual)


class MissingObjectError(StoreError):
    """An object that is not there."""

    def __init__(self, place: str, key: str) -> None:
        self.key = key
        super().__init__(place, f"there is no object {key!r}", "Check the name, and that it is the right store.")


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


class DamagedObjectError(StoreError):
    """An object of an archive that is not what its name, or its manifest, says."""

    def __init__(self, place: str, key: str, problem: str) -> None:
        self.key = key
        super().__init__(
            f"{place}: {key}",
            problem,
            "Run 'toolkit archive verify --read-data'; a push repairs it while the file is still in the live store.",
        )


class ArchiveBusyError(ToolkitError):
    """An archive that somebody else is at work on, in a way that excludes ours."""

    exit_code = EXIT_DIFFERENT

    def __init__(self, archive: str, kind: str, holder: str, key: str, minutes: int) -> None:
        self.archive, self.kind, self.holder, self.key = archive, kind, holder, key
        super().__init__(
            f"{archive}: a {kind} is running there ({holder}); nothing was changed.",
            f"Let it end, then run again. If it was killed, its lock is void {minutes} minutes after its last sign of "
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


class LastSnapshotError(ToolkitError):
    """A policy that would remove every snapshot of its kind."""

    exit_code = EXIT_DIFFERENT

    def __init__(self, archive: str, group: str) -> None:
        self.archive, self.group = archive, group
        super().__init__(
            f"{archive}: no snapshot of {group} would be left; nothing was removed.",
            "Keep at least one, for example with --keep-last 1.",
        )
