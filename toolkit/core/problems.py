"""What is wrong with rows, collected so that a user hears of all of it at once."""

from __future__ import annotations

from toolkit.errors import FixtureProblemsError

LIMIT = 20
# A place in a file is one whole number, which rows carry with them: the line, and above it the number of the row where
# that line has several.
_LINES = 1 << 32


def place(line: int, row: int = 0) -> int:
    """Where a row is: its line, and its number if there are others in that line."""
    return row * _LINES + line


def shown_place(place: int) -> str:
    """The same in words."""
    row, line = divmod(place, _LINES)
    return f"row {row:,} (line {line})" if row else f"line {line}"


class Problems:
    """A list of problems, a line each; the twenty-first raises."""

    def __init__(self) -> None:
        self._found: list[tuple[str, int, str]] = []
        self._advice: dict[str, None] = {}

    def add(self, file: str, line: int | None, problem: str, advice: str = "") -> None:
        """Note a problem with a line of a file, or another `place` in it.

        `advice` is told once, beside that to correct the files.

        Raises:
            FixtureProblemsError: there are too many to go on.
        """
        if len(self._found) == LIMIT:
            raise FixtureProblemsError(self._in_order(), self._advice, more=True)
        if advice:
            self._advice[advice] = None
        self._found.append((file, line or 0, f"{file}{'' if line is None else f', {shown_place(line)}'}: {problem}"))

    def raise_if_any(self) -> None:
        """Raise what was noted.

        Raises:
            FixtureProblemsError: at least one problem was.
        """
        if self._found:
            raise FixtureProblemsError(self._in_order(), self._advice)

    def _in_order(self) -> list[str]:
        """By file as they were read, then by line: a row's form is checked before its values are."""
        files = list(dict.fromkeys(file for file, _, _ in self._found))
        order = sorted(self._found, key=lambda each: (files.index(each[0]), each[1] % _LINES, each[1]))
        return [text for _, _, text in order]
