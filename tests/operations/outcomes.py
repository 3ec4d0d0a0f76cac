"""What operations told and left behind, in the form in which tests compare it."""

from __future__ import annotations

from pathlib import Path

from toolkit.core.plan import SyncResult


def counts(result: SyncResult) -> dict[str, tuple[int, int, int, int]]:
    """By table, the rows that were inserted, updated, unchanged and deleted."""
    return {t.table: (t.inserted, t.updated, t.unchanged, t.deleted) for t in result.tables}


def files_in(directory: Path) -> dict[str, bytes]:
    """The content of every file beneath a directory, by its path there."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}
