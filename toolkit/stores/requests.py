"""How often a store was asked: what it is paid for, and what takes time."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping

_LISTED_AT_ONCE = 1000


class Requests:
    """Requests by kind: `get`, `head`, `list`, `put`, `delete`; a client's own repetitions are not counted.

    May be used by several threads at once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, kind: str, count: int = 1) -> None:
        """So many more."""
        with self._lock:
            self._counts[kind] += count

    def add_listing(self, objects: int) -> None:
        """Those of a listing, of which each answer has 1,000 objects."""
        self.add("list", max(1, -(-objects // _LISTED_AT_ONCE)))

    def add_upload(self, size: int, part_bytes: int) -> None:
        """Those of an upload in parts: one for each, and those that begin and end it."""
        self.add("put", max(1, -(-size // part_bytes)) + 2)

    @property
    def counts(self) -> Mapping[str, int]:
        """By kind."""
        with self._lock:
            return dict(self._counts)


def summed(counts: list[Mapping[str, int]]) -> dict[str, int]:
    """Those of several stores together, in the order of their kinds' names."""
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(sorted(total.items()))
