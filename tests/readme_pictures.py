"""The README's pictures: what a real run printed on a terminal, as SVG that needs no font of the network."""

from __future__ import annotations

import io
import re
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from html import unescape
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from tests.cli.terminals import in_terminal

ROOT = Path(__file__).parent.parent
PICTURES = Path(__file__).parent / "readme"
COLUMNS = 80
_SETTINGS = """metadata = "toolkit.models.todo:metadata"
[databases]
sqlite = "sqlite:///todo.sqlite3"
duckdb = "duckdb:///todo.duckdb"
"""
_CHANGES = """
    UPDATE todo SET importance = 'URGENT' WHERE id = (SELECT min(id) FROM todo);
    UPDATE user_account SET email = 'ann@example.org' WHERE id = (SELECT min(id) FROM user_account);
    DELETE FROM todo_tag WHERE id = (SELECT max(id) FROM todo_tag);
"""
_ENDS = ("--from", "sqlite", "--to", "duckdb")
# By name, what is run, its exit code, and what its question is answered.
RUNS = {
    "diff": (("diff", *_ENDS, "--rows", "1", "-q"), 3, ""),
    "sync": (("sync", *_ENDS, "--delete", "--dry-run", "--rows", "1", "-q"), 0, "y"),
}
# Rich's own, without fonts that a browser would fetch.
_FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
    font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
    font-size: {char_height}px;
    line-height: {line_height}px;
}}
.{unique_id}-title {{ font-size: 18px; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def pictures() -> dict[str, str]:
    """By name, what is to be seen in a picture of each run, one after the other in one project."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("fixtures", "migrations"):
            (folder / part).symlink_to(ROOT / part)
        (folder / "toolkit.toml").write_text(_SETTINGS)
        preparing: list[tuple[str, ...]] = [("load-data", "--to", "sqlite", "--no-attachments"), ("sync", *_ENDS)]
        for arguments in preparing:
            code, lines = in_terminal(folder, *arguments, columns=COLUMNS)
            assert code == 0, lines
        with closing(sqlite3.connect(folder / "todo.sqlite3")) as file, file:
            file.executescript(_CHANGES)
        found = {}
        for picture, (shown, expected, answer) in RUNS.items():
            code, lines = in_terminal(folder, *shown, columns=COLUMNS, answer=answer)
            assert code == expected, lines
            found[picture] = _drawn(picture, [f"$ toolkit {' '.join(shown)}", *map(_masked, lines), ""])
        return found


def _masked(line: str) -> str:
    """The same without what another run would need other times for: rows/s and seconds, at a line's end."""
    return re.sub(r"( +)[\d,-]+( +)\d+\.\d\d$", lambda end: f"{'…':>{len(end[0]) - 9}}{'…':>9}", line)


def _drawn(name: str, lines: Sequence[str]) -> str:
    console = Console(file=io.StringIO(), record=True, width=COLUMNS, force_terminal=True, color_system="truecolor")
    for line in lines:
        console.print(Text(line, style=_style(line)), soft_wrap=True)
    # Another version of Rich may leave other spaces at the ends of lines.
    drawn = console.export_svg(title="toolkit", theme=MONOKAI, code_format=_FORMAT, unique_id=name)
    return "\n".join(line.rstrip() for line in drawn.splitlines()) + "\n"


def _style(line: str) -> str:
    if line.startswith("$"):
        return "bold"
    if line.startswith(("  +", "Verified")):
        return "green"
    return {"  ~": "yellow", "  -": "red"}.get(line[:3], "")


def text_of(picture: str) -> list[str]:
    """The words that are to be seen in a picture."""
    return unescape(" ".join(re.findall(r"<text[^>]*>([^<]*)</text>", picture))).split()


def write_pictures() -> None:
    """Renew the files."""
    PICTURES.mkdir(exist_ok=True)
    for name, picture in pictures().items():
        (PICTURES / f"{name}.svg").write_text(picture, encoding="utf-8")
