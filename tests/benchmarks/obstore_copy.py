"""The floor of an archive: every file read, hashed and put under its hash by obstore alone, in threads.

`python obstore_copy.py DIRECTORY s3://BUCKET THREADS`
"""

from __future__ import annotations

import hashlib
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import obstore
from obstore.store import from_url


def main(directory: str, url: str, threads: str) -> None:
    """Copy, and print how many bytes in how many seconds."""
    started = time.perf_counter()
    store = from_url(url)

    def copy(file: Path) -> int:
        content = file.read_bytes()
        obstore.put(store, hashlib.sha256(content).hexdigest(), content)
        return len(content)

    files = [path for path in Path(directory).rglob("*") if path.is_file()]
    with ThreadPoolExecutor(int(threads)) as pool:
        count = sum(pool.map(copy, files))
    sys.stdout.write(f"{count} {time.perf_counter() - started}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
