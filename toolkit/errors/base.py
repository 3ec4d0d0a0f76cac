"""What every error is: a fact, what to do next, an exit code."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

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

    @property
    def details(self) -> Mapping[str, Any]:
        """What `--json` tells beside the fact and the advice."""
        return {}

    def advise(self, first: str) -> None:
        """Say something before the advice that it has."""
        self._advise(without_secrets(first), self.advice)

    def advise_last(self, last: str) -> None:
        """Say something behind the advice that it has."""
        self._advise(self.advice, without_secrets(last))

    def _advise(self, *parts: str) -> None:
        self.advice = " ".join(part for part in parts if part)
        self.args = ("\n".join((*self.facts, self.advice)),)


class ConfigurationError(ToolkitError):
    """A setting, a URL or a metadata reference that cannot be used."""

    exit_code = EXIT_USAGE


class EngineOptionError(ConfigurationError):
    """An option of an application's engine decides which rows are reached, and cannot be taken over."""

    def __init__(self, database: str, what: str, hint: str = "") -> None:
        self.database = database
        variable = f"TOOLKIT_{re.sub(r'[^A-Za-z0-9_]', '_', database).upper()}_URL"
        super().__init__(
            f"The application's engine of database {database!r} {what}.",
            f"Set {variable} to a URL by which the same tables are reached{f', {hint}' if hint else ''}.",
        )


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
            "Nothing has to be repeated: toolkit status and toolkit diff show what is there."
            if done
            else "Run it again where stdout can be written to; what the command did, if anything, stays.",
        )

    def after(self, done: str) -> LostOutputError:
        """The same, of a report of what was done."""
        return LostOutputError(self.reason, done, is_unread=self.is_unread)


class CancelledError(ToolkitError):
    """A statement was cancelled, by Ctrl-C or by somebody who may."""

    exit_code = EXIT_INTERRUPTED

    def __init__(self, database: str) -> None:
        self.database = database
        super().__init__(f"{database}: interrupted; what was not committed is rolled back.", "Run again.")
