"""A table of a lake in parts: groups of its files, which no commit changes, so that all see the same rows.

Whoever reads a part is told of its files, whichever version is the last by then.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolkit.engines.contract import Part
from toolkit.engines.delta.files import DataFile

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from toolkit.engines.delta.tables import LakeTable

_VIEW = "toolkit_some_files"


def cut(table: LakeTable, size: int) -> Sequence[Part]:
    """Its files in groups of about so many bytes."""
    groups: list[list[DataFile]] = [[]]
    for file in table.files:
        if groups[-1] and sum(each.size for each in groups[-1]) + file.size > size:
            groups.append([])
        groups[-1].append(file)
    return tuple(part_of(number, group) for number, group in enumerate(groups))


def part_of(number: int, files: Sequence[DataFile]) -> Part:
    """The part that is the rows of these files."""
    return Part(number, json.dumps([(each.path, each.size, each.rows) for each in files]))


def is_all(table: LakeTable, parts: Sequence[Part]) -> bool:
    """Whether these parts are of the files that a table has now, and of all of them."""
    told = {each[0] for part in parts for each in json.loads(part.condition or "[]")}
    return told == {each.path for each in table.files}


def view_of(table: LakeTable, raw: DuckDBPyConnection, part: Part) -> str:
    """What the rows of a part are read from."""
    files = [DataFile(*each) for each in json.loads(part.condition or "[]")]
    return f"(SELECT {table.typed_fields()} FROM {table.stored_view(raw, files, _VIEW)})"
