"""Texts as literals for `psql`."""

from __future__ import annotations

import re

from toolkit.engines.portable.literals import CONTROL, quoted_text

_ESCAPED = re.compile(r"[\x01-\x1f\x7f\\']")
_ESCAPES = {"\\": "\\\\", "'": "''", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def postgres_text(text: str) -> str:
    """A text for PostgreSQL: with escapes, if it needs any, that no setting of the server changes.

    Raises:
        ValueError: it holds the character U+0000.
    """
    if "\x00" in text:
        raise ValueError("the character U+0000")
    if "\\" not in text and not CONTROL.search(text):
        return quoted_text(text)
    return "E'" + _ESCAPED.sub(_escape, text) + "'"


def _escape(found: re.Match[str]) -> str:
    return _ESCAPES.get(found[0]) or f"\\x{ord(found[0]):02x}"
