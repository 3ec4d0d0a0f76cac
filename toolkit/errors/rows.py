"""Errors of rows: which one, and what stands in its way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from shlex import quote as shell
from typing import Any, Literal

from toolkit.errors.base import CORRECT_ROW, EXIT_DIFFERENT, ToolkitError
from toolkit.errors.databases import StatementError


class UnnamedRowError(StatementError):
    """A database refused one of many rows and does not say which; `reason` is the database's."""

    def __init__(self, database: str, reason: str) -> None:
        self.reason = reason
        super().__init__(database, f"a row is refused: {reason}", CORRECT_ROW)


class RefusedRowError(StatementError):
    """A row that breaks a constraint of the target; `reason` names the constraint, or is the database's own."""

    def __init__(self, database: str, table: str, key: str, reason: str, advice: str = CORRECT_ROW) -> None:
        self.table, self.key, self.reason = table, key, reason
        super().__init__(database, f"{table} {key} is refused: {reason}", advice)


class UnrepresentableValueError(ToolkitError):
    """A value that its column, or the target engine, cannot hold exactly. Nothing is ever rounded or cut."""

    value = ""
    """The value, as far as it is known apart from the problem."""

    def __init__(self, table: str, key: str, column: str, problem: str, advice: str = "") -> None:
        self.table, self.key, self.column, self.problem = table, key, column, problem
        super().__init__(
            f"{table} {key}: column {column!r} {problem}.",
            advice or "Correct the value at the source, then run again.",
        )

    @property
    def details(self) -> Mapping[str, Any]:
        """For `--json`: in the form that a report of several has."""
        row = {"key": self.key, "value": self.value}
        one = {"table": self.table, "column": self.column, "reason": self.problem, "count": 1, "rows": [row]}
        return {"misfits": [{**one, "advice": self.advice}]}


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
            f"under two keys: --match {shell(f'{table}:' + columns.replace(', ', ','))}.",
        )


class RepeatedKeyError(ToolkitError):
    """Several rows of a source have one key, so that only one of them could arrive; `rows` are the first two, whole."""

    def __init__(self, database: str, table: str, key: str, count: int = 0, rows: Sequence[str] = ()) -> None:
        self.database, self.table, self.key, self.count, self.rows = database, table, key, count, tuple(rows)
        shown = f": {' and '.join(f'({row})' for row in rows)}" if rows else ""
        super().__init__(
            f"{table}: {f'{count:,}' if count else 'several'} rows of {database} have one key, {key}{shown}.",
            f"Remove or change all but one of them in {database}, name or give {table} a key that no two rows share "
            f"(--key {shell(table)}:COL,COL), or leave the table out: --exclude {shell(table)}.",
        )


class TwoFormsError(ToolkitError):
    """One key is stored several times in different forms; `forms` says which, in how many rows."""

    def __init__(self, database: str, column: str, value: str, count: int, forms: str, advice: str) -> None:
        self.database, self.column, self.value, self.count, self.forms = database, column, value, count, forms
        super().__init__(
            f"{column}: {count:,} rows of {database} have the same UUID, {value}, in different forms. The column has "
            f"{forms}.",
            f"Remove or change all but one of these rows. {advice}",
        )


class CollationConflictError(ToolkitError):
    """Two keys that differ, but that a database takes for one; `columns` make it so, each by its cause."""

    def __init__(self, database: str, table: str, rows: Sequence[str], columns: Mapping[str, str]) -> None:
        self.database, self.table, self.rows, self.columns = database, table, tuple(rows), dict(columns)
        causes = " and ".join(f"{name} by {cause}" for name, cause in columns.items())
        super().__init__(
            f"{table}: {' and '.join(rows)} are different rows, but have equal keys in {database}, which "
            f"compares {causes}.",
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
            f"Change there what changes the rows of {table} as they are written, or leave the table out: "
            f"--exclude {shell(table)}.",
        )


class GeneratedOtherwiseError(VerificationError):
    """A table that was made just now generates other values than the source has; `evidence` is the first such row."""

    def __init__(self, database: str, table: str, columns: Sequence[str], evidence: str) -> None:
        self.database, self.table, self.columns, self.evidence = database, table, tuple(columns), evidence
        left = " ".join(f"--exclude-column {shell(table)}.{shell(name)}" for name in columns)
        ToolkitError.__init__(
            self,
            f"{table}: values of {', '.join(columns)}, which {database} would generate, differ from those of the "
            f"source; the transaction was rolled back. First: {evidence}.",
            f"Leave them out: {left}; or make {table} there before, with them as plain columns or by another "
            "expression: toolkit inspect --ddl prints the statements.",
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


class KeylessRowsError(ToolkitError):
    """Tables without a key whose rows differ, so that nobody can say which row is which.

    `tables` has, by name, how many rows the target has and how many the source.
    """

    exit_code = EXIT_DIFFERENT

    def __init__(self, database: str, tables: Mapping[str, tuple[int, int]]) -> None:
        self.database, self.tables = database, dict(tables)
        told = (f"{name} ({there:,} in {database}, {own:,} at the source)" for name, (there, own) in tables.items())
        keys = " ".join(f"--key {shell(name)}:COL,COL" for name in tables)
        left = " ".join(f"--exclude {shell(name)}" for name in tables)
        super().__init__(
            f"Rows of tables without a key cannot be told apart, and differ: {', '.join(told)}.",
            "Nothing was written. To replace all their rows: --delete (load-data: --mode replace). Or name columns "
            f"that no two rows share: {keys}. Or leave them out: {left}.",
        )


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
        self,
        database: str,
        table: str,
        child: str,
        rows: int,
        why: Literal["unnamed", "unknown", "stays", "replaced"] = "unnamed",
    ) -> None:
        self.database, self.table, self.child, self.rows, self.why = database, table, child, rows, why
        one = rows == 1
        them, those = ("it", "that row") if one else ("them", "those rows")
        remedies = {
            "unnamed": f"Include {child} too, or delete {those} first.",
            "unknown": f"The models know no table {child}: delete {those} in {database}, point {them} elsewhere, or "
            "run without deleting.",
            "replaced": f"{table} has no key, so that all its rows would be replaced: name one with "
            f"--key {shell(table)}:COL.",
            "stays": f"Delete {those} in {database}, or let the condition for {child} cover {them}.",
        }
        super().__init__(
            f"{table}: {rows} row{' of' if one else 's of'} {child} in {database} "
            f"point{'s' if one else ''} at rows that would be deleted.",
            f"Nothing was written. {remedies[why]}",
        )


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
