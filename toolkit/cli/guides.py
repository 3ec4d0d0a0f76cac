"""Sections of the README as text for a terminal: the Markdown that it uses, and no more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

from toolkit.cli.lines import broken, columns_of

_HEADING = re.compile(r"(#+) (.*)")
_FENCE = "```"
_ITEM = re.compile(r"(- |\d+\. )")
_SUMMARY = re.compile(r"</?details>|</?summary>|</?code>|</?b>")


def section(markdown: str, heading: str) -> str:
    """What is below a heading, with the headings below it.

    Raises:
        KeyError: there is no such heading.
    """
    found, level, is_code = list[str](), 0, False
    for line in markdown.splitlines():
        is_code ^= line.startswith(_FENCE)
        match = None if is_code else _HEADING.fullmatch(line)
        if match and level and len(match[1]) <= level:
            break
        if match and match[2] == heading:
            level = len(match[1])
        if level:
            found.append(line)
    if not found:
        raise KeyError(heading)
    return "\n".join(found)


def as_text(markdown: str, width: int) -> str:
    """The same as lines of at most that width: headings in capitals, examples indented, tables by their rows."""
    lines = list[str]()
    for block in _blocks(markdown):
        shown = list(_shown(block, width))
        if shown:
            lines += ["", *shown] if lines else shown
    return "\n".join(lines)


def _blocks(markdown: str) -> Iterator[list[str]]:
    """Paragraphs, items of lists, tables, headings and whole examples, each as its lines."""
    block, is_code = list[str](), False
    for line in markdown.splitlines():
        begins, is_comment = line.startswith(_FENCE), line.startswith("<!--")
        if is_code:
            block.append(line)
            is_code = not begins
        elif begins or is_comment or not line.strip() or _ITEM.match(line) or _HEADING.match(line):
            if block:
                yield block
            block, is_code = ([] if is_comment or not line.strip() else [line]), begins
        else:
            block.append(line)
    if block:
        yield block


def _shown(block: list[str], width: int) -> Iterator[str]:
    first = block[0]
    if first.startswith(_FENCE):
        yield from (f"    {line}" for line in block if not line.startswith(_FENCE))
    elif heading := _HEADING.fullmatch(first):
        yield heading[2].upper()
    elif first.startswith("|"):
        yield from _table(block, width)
    elif text := _plain(" ".join(line.strip() for line in block)):
        yield from broken(text, width, 2 if _ITEM.match(text) else 0)


def _table(block: list[str], width: int) -> Iterator[str]:
    """A table in columns, or each row as an item where they have no room."""
    rows = [[_plain(cell.strip()) for cell in line.strip()[1:-1].split("|")] for line in block]
    head, *others = [row for n, row in enumerate(rows) if n != 1]
    widths = [max(columns_of(row[n]) for row in (head, *others)) for n in range(len(head))]
    if sum(widths) + 2 * (len(widths) - 1) <= width:
        for row in (head, *others):
            cells = (cell + " " * (n - columns_of(cell)) for cell, n in zip(row, widths, strict=True))
            yield "  ".join(cells).rstrip()
        return
    for row in others:
        told = [f"{name}: {cell}" if name else cell for name, cell in zip(head[1:], row[1:], strict=True) if cell]
        yield from broken(f"- {row[0]}: {'; '.join(told)}", width)


def _plain(text: str) -> str:
    """Text without Markdown's signs: of links the text alone, unless they lead to the network."""
    text = re.sub(r"<!--.*?-->", "", _SUMMARY.sub("", text))
    text = re.sub(r"!\[[^]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\[([^]]*)\]\((https?:[^)]*)\)", r"\1 (\2)", text)
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)
    return "".join(_without_stars(part, code) for code, part in _code(text)).strip()


def _code(text: str) -> Iterator[tuple[bool, str]]:
    """The parts of a text, and whether they are code."""
    parts = re.split(r"(`[^`]*`)", text)
    for is_code, group in groupby(parts, lambda part: part.startswith("`")):
        yield is_code, "".join(group)


def _without_stars(text: str, is_code: bool) -> str:
    return text if is_code else re.sub(r"(\*\*|\*)(?=\S)(.+?)(?<=\S)\1", r"\2", text)
