"""Files of a directory whose names are so long that obstore's name for an unfinished one would be too long."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

# File systems take 255 bytes; obstore writes `<name>#1` first, or `#2` and so on where there is one already.
_MOST_BYTES = 250


def is_long(key: str) -> bool:
    """Whether obstore may have no name for the file while it is written."""
    return len(key.strip("/").rpartition("/")[2].encode(errors="surrogatepass")) > _MOST_BYTES


def write_long(root: Path, key: str, chunks: Iterable[bytes]) -> None:
    """Write a file under a short name that is listed as unfinished, then give it its own, in place of what has it."""
    place = root / key.strip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    short = hashlib.sha256(place.name.encode()).hexdigest()[:16]
    unfinished = place.with_name(f".{short}-{secrets.token_hex(4)}#1")
    try:
        with unfinished.open("xb") as file:
            for chunk in chunks:
                file.write(chunk)
        unfinished.replace(place)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise
