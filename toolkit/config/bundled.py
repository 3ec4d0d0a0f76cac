"""Where the parts of the repository are that come with the package."""

from __future__ import annotations

from pathlib import Path


def bundled(part: str) -> Path:
    """A file or directory of the repository: within an installed package, or beside the package in a clone."""
    package = Path(__file__).parent.parent
    within = package / "bundled" / part
    return within if within.exists() else package.parent / part
