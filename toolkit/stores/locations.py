"""Where files are, as text: equal for two names of one place, whichever backend leads there, however it is spelt."""

from __future__ import annotations

import os
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from obstore.store import ObjectStore

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})  # noqa: S104 - nothing is bound to it.
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
# How many names of a folder are tried, at most, to see whether its file system tells the case of letters apart.
_TRIED = 20


def in_directory(root: Path, path: str = "") -> str:
    """The location of a file in a directory of this machine: links on the way are followed."""
    try:
        found = os.path.realpath(root / path.strip("/"))
    except (OSError, ValueError):
        # A name that no file has.
        found = f"{root}/{path}"
    return f"file:{same_name(found) if ignores_case(root) else found}"


def in_store(store: ObjectStore | None, path: str = "") -> str:
    """The location of an object, by its bucket and the server that has it; obstore takes no heed of slashes around."""
    config: Mapping[str, Any] = getattr(store, "config", None) or {}
    bucket = config.get("bucket") or config.get("container_name")
    if bucket is None:
        return _joined(f"memory:{id(store)}", path)
    kind = type(store).__name__.removesuffix("Store").lower()
    server = server_of(config.get("endpoint") or _usual_endpoint(kind)) or config.get("account_name") or ""
    return _joined(f"{kind}://{server}", bucket, str(getattr(store, "prefix", None) or ""), path)


def in_file_system(protocol: str, options: Mapping[str, Any], path: str) -> str:
    """The location of a file in one of fsspec's file systems, by the path that it gives it."""
    if protocol in ("file", "local"):
        return in_directory(Path("/"), path)
    client = options.get("client_kwargs") or {}
    endpoint = options.get("endpoint_url") or client.get("endpoint_url") or _usual_endpoint(protocol)
    if protocol in ("s3", "s3a"):
        return _joined(f"s3://{server_of(endpoint)}", path)
    return _joined(f"{protocol}://{options.get('host') or server_of(endpoint)}", path)


def same_name(name: str) -> str:
    """Equal for names that a file system may take for one: in other cases of letters or another normal form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def is_within(inner: str, outer: str) -> bool:
    """Whether a location is another one, or somewhere beneath it."""
    return inner == outer or inner.startswith(f"{outer.rstrip('/')}/")


def meet(one: str, other: str) -> bool:
    """Whether two locations are the same, or one is within the other."""
    return is_within(one, other) or is_within(other, one)


def server_of(endpoint: str | None) -> str:
    """Host and port of an endpoint; nothing for Amazon's own, where a bucket's name is the only one in the world."""
    parts = urlsplit(endpoint or "")
    host = (parts.hostname or "").lower()
    if not host or host.endswith(".amazonaws.com"):
        return ""
    return f"{'localhost' if host in _LOOPBACK else host}:{parts.port or (80 if parts.scheme == 'http' else 443)}"


def _usual_endpoint(kind: str) -> str | None:
    """What obstore and fsspec take from the environment."""
    return next(filter(None, map(os.environ.get, _ENDPOINTS)), None) if kind in ("s3", "s3a") else None


def _joined(*parts: str) -> str:
    return "/".join(filter(None, (part.strip("/") if number else part for number, part in enumerate(parts))))


@lru_cache(maxsize=256)
def ignores_case(folder: Path) -> bool:
    """Whether a folder's file system takes `A` and `a` for one name, as far as names that are there can tell."""
    for found in (folder, *folder.parents):
        try:
            with os.scandir(found) as entries:
                names = [entry.name for _, entry in zip(range(_TRIED), entries, strict=False)]
            for name in names:
                other = found / name.swapcase()
                if other.name != name and other.name not in names:
                    return other.exists() and other.samefile(found / name)
        except OSError:
            continue
    return False
