"""What is wrong with rows, collected so that a user hears of all of it at once."""

from __future__ import annotations

from toolkit.errors import FixtureProblemsError

LIMIT = 20


class Problems:
    """A list of problems, a line each; the twenty-first raises."""

    def __init__(self) -> None:
        self._found: list[str] = []

    def add(self, file: str, line: int | None, problem: str) -> None:
        """Note a problem with a line of a file.

        Raises:
            FixtureProblemsError: there are too many to go on.
        """
        if len(self._found) == LIMIT:
            raise FixtureProblemsError(self._found, more=True)
        self._found.append(f"{file}{'' if line is None else f', line {line}'}: {problem}")

    def raise_if_any(self) -> None:
        """Raise what was noted.

        Raises:
            FixtureProblemsError: at least one problem was.
        """
        if self._found:
            raise FixtureProblemsError(self._found)
