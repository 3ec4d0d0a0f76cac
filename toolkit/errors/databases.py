"""Errors of databases, their schemas and statements."""

from __future__ import annotations

from collections.abc import Sequence

from toolkit.errors.base import EXIT_USAGE, ToolkitError


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


class ConditionError(ToolkitError):
    """A user's condition that the database does not take."""

    exit_code = EXIT_USAGE

    def __init__(self, database: str, table: str, condition: str, reason: str, columns: Sequence[str]) -> None:
        self.database, self.table, self.condition = database, table, condition
        super().__init__(
            f"{database}: the condition {condition!r} of table {table!r} is refused: {reason}",
            f"Write it in the database's own SQL, with these columns: {', '.join(columns)}.",
        )


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


class ScriptError(ToolkitError):
    """A table that no script can make equal."""

    def __init__(self, table: str, problem: str, advice: str) -> None:
        self.table, self.problem = table, problem
        super().__init__(f"{table}: {problem}; no script was written.", advice)
