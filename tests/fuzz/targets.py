"""What is fuzzed: a property for each reader, by name. See `python -m tests.fuzz --help`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import archives, inputs, readers

Property = Callable[[], None]
# Of files of at most some hundred kilobytes, of which each comes in few pieces.
_SECONDS = 20
_MOST_PIECES = 100


def _of_rows(files: st.SearchStrategy[bytes], read: Callable[[bytes, int], int]) -> Callable[[Path], Property]:
    def made(folder: Path) -> Property:
        @given(inputs.changed(files), st.sampled_from((1 << 20, 7, 300)))
        def check(content: bytes, size: int) -> None:
            (folder / "last").write_bytes(content)
            began = time.monotonic()
            read(content, max(size, len(content) // _MOST_PIECES))
            assert time.monotonic() - began < _SECONDS, "it took too long"

        return check

    return made


def _of_archives(folder: Path) -> Property:
    world = archives.make_world(folder)

    @given(archives.harms, st.sampled_from(archives.COMMANDS))
    def check(harm: archives.Harm, command: str) -> None:
        (folder / "last").write_text(repr((harm, command)))
        archives.require_word_of_ours(world, harm, command)

    return check


def _of_encrypted_archives(folder: Path) -> Property:
    world = archives.make_encrypted_world(folder)
    commands = [command for command in archives.COMMANDS if command.startswith("archive ")]

    @given(archives.damages, st.sampled_from(commands))
    def check(damage: archives.Damage, command: str) -> None:
        (folder / "last").write_text(repr((damage, command)))
        archives.require_no_other_content(world, damage, command)

    return check


TARGETS: dict[str, Callable[[Path], Property]] = {
    "json": _of_rows(inputs.arrays(), readers.read_json),
    "lines": _of_rows(inputs.lines(), readers.read_lines),
    "csv": _of_rows(inputs.tables(), readers.read_csv),
    "archives": _of_archives,
    "encrypted archives": _of_encrypted_archives,
}
"""By name, what makes the property, given an empty folder; what it tries last stands in `last` there."""
