"""A directory that files are restored to: each is there whole, whoever else writes there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from toolkit.errors import StoreError
from toolkit.stores.safe_directory import SafeDirectory


def test_a_file_that_another_one_writes_is_left_to_it_and_what_a_killed_one_left_is_not(tmp_path: Path) -> None:
    first, second = SafeDirectory(tmp_path), SafeDirectory(tmp_path)

    def chunks() -> Iterator[bytes]:
        yield b"one"
        with pytest.raises(StoreError, match="another process is writing it"):
            second.write("a", [b"other"])
        yield b"two"

    first.write("a", chunks())
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"onetwo")]

    def replaced() -> Iterator[bytes]:
        (unfinished,) = (path for path in tmp_path.iterdir() if path.name != "a")
        # As after another one that found no lock on it.
        unfinished.unlink()
        unfinished.write_bytes(b"half")
        yield b"three"

    with pytest.raises(StoreError, match="another process is writing it"):
        first.write("a", replaced())
    assert sorted(path.read_bytes() for path in tmp_path.iterdir()) == [b"half", b"onetwo"]
    first.write("a", [b"four"])
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"four")]
