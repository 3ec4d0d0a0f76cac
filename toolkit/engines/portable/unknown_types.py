"""Types that SQLAlchemy has no class for, which it would warn of, with a path of this package."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa


@contextmanager
def types_unknown() -> Iterator[None]:
    """Let SQLAlchemy meet types that it has no class for without a word: they are carried by the engine's own text."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Did not recognize type", sa.exc.SAWarning)
        yield
