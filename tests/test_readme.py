"""The README's commands run, and its command reference is what `--help` says.

`python -m tests.test_readme` writes the reference anew.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tests.operations.processes import toolkit as start
from tests.readme_inspect import inspect_example
from tests.readme_pictures import PICTURES, pictures, text_of, write_pictures
from tests.readme_types import types_tables
from toolkit.cli import run, toolkit
from toolkit.cli.examples import EXAMPLES
from toolkit.cli.help import TOPICS

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
BEGIN, END = "<!-- reference: begin -->\n", "<!-- reference: end -->"
INSPECT_BEGIN, INSPECT_END = "<!-- inspect: begin -->\n", "<!-- inspect: end -->"
TYPES_BEGIN, TYPES_END = "<!-- types: begin -->\n", "<!-- types: end -->"


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command of a group, by its path."""
    found: list[tuple[str, ...]] = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        inner = commands(command, (*path, name)) if isinstance(command, click.Group) else []
        found += inner or [(*path, name)]
    return found


def reference() -> str:
    """What `--help` says of every command, as it stands in the README."""
    parts = []
    for path in commands(toolkit):
        result = CliRunner().invoke(toolkit, [*path, "--help"], prog_name="toolkit", terminal_width=100)
        assert result.exit_code == 0, result.output
        name = f"<summary><code>toolkit {' '.join(path)}</code></summary>"
        parts.append(f"<details>{name}\n\n```text\n{result.output.rstrip()}\n```\n\n</details>\n")
    return "\n".join(parts)


@pytest.mark.slow
def test_the_command_reference_is_what_help_says() -> None:
    # In a process of its own: click keeps a command's help option as it was first asked for, by whichever test.
    command = [sys.executable, "-m", "tests.test_readme", "--print"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    text = README.read_text(encoding="utf-8")
    assert text.partition(BEGIN)[2].partition(END)[0] == said, "run: python -m tests.test_readme"


@pytest.mark.parametrize("path", commands(toolkit), ids=" ".join)
def test_the_help_of_every_command_ends_with_two_examples_that_it_takes(path: tuple[str, ...]) -> None:
    for example in EXAMPLES[" ".join(path)]:
        words = shlex.split(example.partition(" > ")[0])
        assert tuple(words[: len(path)]) == path
        command: click.Command = toolkit
        context = click.Context(toolkit, info_name="toolkit")
        for name in path:
            assert isinstance(command, click.Group)
            found = command.get_command(context, name)
            assert found is not None
            command = found
        assert f"toolkit {example}" in (command.epilog or "")
        # Refuses what the command does not know.
        command.make_context(path[-1], words[len(path) :], parent=context)


def test_the_tables_of_types_are_what_the_engines_make() -> None:
    text = README.read_text(encoding="utf-8")
    assert text.partition(TYPES_BEGIN)[2].partition(TYPES_END)[0] == types_tables(), "run: python -m tests.test_readme"


def test_the_example_of_inspect_is_what_it_tells() -> None:
    text = README.read_text(encoding="utf-8")
    shown = text.partition(INSPECT_BEGIN)[2].partition(INSPECT_END)[0]
    assert shown == inspect_example(), "run: python -m tests.test_readme"


@pytest.mark.slow
def test_the_pictures_show_what_the_commands_print_and_load_nothing() -> None:
    text = README.read_text(encoding="utf-8")
    for name, picture in pictures().items():
        file = PICTURES / f"{name}.svg"
        assert f"({file.relative_to(ROOT)})" in text
        stored = file.read_text(encoding="utf-8")
        assert text_of(stored) == text_of(picture), "run: python -m tests.test_readme"
        assert not re.search(r"@font-face|@import|href|https?:(?!//www.w3.org/2000/svg\")", stored)


FOLDED = re.compile(r"<details>.*?</details>", re.DOTALL)


def test_the_readme_is_read_in_ten_minutes_and_what_is_folded_can_be_opened() -> None:
    """At 300 words a minute; each fold has a title, an end, and the blank lines that Markdown needs within it."""
    text = README.read_text(encoding="utf-8")
    assert len(FOLDED.sub("", text).split()) <= 3000
    assert text.count("<details>") == text.count("</details>") == len(FOLDED.findall(text))
    assert all(re.match(r"<details><summary>.+</summary>\n\n", each) for each in FOLDED.findall(text))


def test_links_within_the_readme_lead_somewhere() -> None:
    text = README.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", each).lower().replace(" ", "-") for each in headings}
    assert set(re.findall(r"\]\(#([^)]*)\)", text)) <= anchors


@pytest.mark.parametrize("topic", TOPICS)
def test_every_topic_of_help_is_a_section_of_the_readme(topic: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["help", topic]) == 0
    lines = capsys.readouterr().out.splitlines()
    heading, _ = TOPICS[topic]
    assert heading.upper() in lines
    assert len(lines) > 4
    assert not [line for line in lines if "<details>" in line or "](#" in line or "<!--" in line]


def shell_blocks() -> list[str]:
    """The README's examples that are marked to be run, one block each."""
    return re.findall(r"```bash run\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def commands_of(block: str) -> list[str]:
    """The commands of an example; one that goes on over several lines is one."""
    lines = block.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def run_by_the_shell(command: str, folder: Path) -> str:
    """Run a command with this environment's programs; what it wrote to stderr."""
    program = command.replace("uv run ", "")
    result = subprocess.run(
        ["bash", "-ec", program],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    assert result.returncode == 0, f"{command}\n{result.stderr}"
    return result.stderr


def run_in_a_fork(command: str, folder: Path) -> str:
    """Run a command `uv run toolkit ...` in a process that is there at once; what it wrote to stderr."""
    running = start(folder, *shlex.split(command, comments=True)[3:])
    assert running.end() == 0, f"{command}\n{running.err}"
    return running.err


@pytest.mark.slow
def test_the_examples_run(tmp_path: Path) -> None:
    """All of them, one after the other, where the project's own files are; the first by the installed program."""
    for name in ("fixtures", "migrations", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    first, *others = [command for block in shell_blocks() for command in commands_of(block)]
    told = run_by_the_shell(first, tmp_path)
    for command in others:
        plain = re.fullmatch(r"uv run toolkit [^|&;<>$`]+", command.partition(" #")[0]) is not None
        told += (run_in_a_fork if plain else run_by_the_shell)(command, tmp_path)
    assert "Traceback" not in told


def test_the_two_first_commands_are_those_of_the_first_minute() -> None:
    text = README.read_text(encoding="utf-8")
    first = "uv run toolkit load-data --to sqlite && uv run toolkit sync --from sqlite --to postgres"
    assert first in text
    assert "uv run pytest" in text
    assert text.index(first) < text.index("uv run pytest")


if __name__ == "__main__":
    if "--print" in sys.argv:
        click.echo(reference(), nl=False)
        sys.exit()
    content = README.read_text(encoding="utf-8")
    for begin, end, part in (
        (BEGIN, END, reference()),
        (TYPES_BEGIN, TYPES_END, types_tables()),
        (INSPECT_BEGIN, INSPECT_END, inspect_example()),
    ):
        content = f"{content.partition(begin)[0]}{begin}{part}{end}{content.partition(end)[2]}"
    README.write_text(content, encoding="utf-8")
    write_pictures()
