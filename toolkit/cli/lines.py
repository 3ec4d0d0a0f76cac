"""Lines as wide as the terminal that shows them: broken between words, never within one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

_ERROR = "Error: "
_WIDE, _NO_WIDTH = ("W", "F"), ("Mn", "Me", "Cf")


def columns_of(text: str) -> int:
    """The columns that a text takes on a terminal: two for a sign of East Asia, none for one that joins another."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.category(sign) in _NO_WIDTH else 2 if unicodedata.east_asian_width(sign) in _WIDE else 1
        for sign in text
    )


def broken(line: str, width: int, under: int | None = None) -> Iterator[str]:
    """A line as lines of that width, broken between words, what follows the first indented beneath it (or `under`).

    A word that is wider than the terminal has a line of its own, which the terminal itself breaks: it can be copied.
    """
    if columns_of(line) <= width:
        yield line
        return
    if under is None:
        under = len(_ERROR) if line.startswith(_ERROR) else len(line) - len(line.lstrip(" ")) + 2
    indent = " " * under
    now, used = "", 0
    for gap, word in re.findall(r"( *)([^ ]+)", line):
        taken = columns_of(word)
        if now.strip(" ") and used + len(gap) + taken > width:
            yield now
            now, used = f"{indent}{word}", len(indent) + taken
        else:
            now, used = f"{now}{gap}{word}", used + len(gap) + taken
    yield now


def listed(begin: str, names: Sequence[str], width: int) -> str:
    """`begin`, and as many of the names as the width has room for: one at least, and … for the others."""
    line = f"{begin} {names[0]}"
    for number, name in enumerate(names[1:], 1):
        longer = f"{line}, {name}"
        if columns_of(longer) + (len(", …") if number < len(names) - 1 else 0) > width:
            return f"{line}, …"
        line = longer
    return line


def count_lines(
    head: Sequence[str], rows: Sequence[Sequence[str]], least: Sequence[int], width: int | None, spare: int = 0
) -> list[str]:
    """A table's head and rows: names to the left, numbers to the right in columns of at least these widths.

    Where that is too wide for a terminal, the columns are as narrow as they can be, and then the last `spare` ones are
    left out.
    """
    lines: list[str] = []
    for leasts, left_out in ((least, 0), ((0,) * len(least), 0), ((0,) * len(least), spare)):
        shown = [row[: len(row) - left_out] for row in (head, *rows)]
        widths = [max(columns_of(row[n]) for row in shown) for n in range(len(shown[0]))]
        widths = [widths[0], *(max(pair) for pair in zip(widths[1:], leasts, strict=False))]
        lines = [_aligned(row, widths) for row in shown]
        if width is None or max(map(columns_of, lines)) <= width:
            break
    return lines


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    name = row[0] + " " * (widths[0] - columns_of(row[0]))
    return f"{name}  {' '.join(f'{cell:>{width}}' for cell, width in zip(row[1:], widths[1:], strict=True))}"
