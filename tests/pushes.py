"""`python -m tests.pushes`: thousands of files of an object store into an archive in another, by clusters of workers.

Each cluster sends all of them, one of its workers is killed meanwhile, and all are read back from the archive.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

from tests.kills import Dask, Ray, started
from tests.operations.archive_example import Gallery, gallery
from tests.servers import swift
from tests.servers.swift import S3Server
from toolkit.config import Store, load_config
from toolkit.operations.archive.backends import Backends
from toolkit.operations.archive.push import push
from toolkit.operations.parts.crew import WorkerOptions


def _world(server: S3Server, folder: Path, kind: str, files: int) -> Gallery:
    server.create_bucket(kind)
    stores = {name: Store(name, f"s3://{kind}/{name}", folder, server.options) for name in ("attachments", "archive")}
    config = load_config(folder, {"TOOLKIT_SQLITE_URL": f"sqlite:///{folder}/{kind}.sqlite3"})
    world = gallery(replace(config, stores=stores), "sqlite")
    live = Backends(world.config).get("attachments")
    for number in range(files):
        live.write(f"{number}", [b"%d " % number * 400])
    world.photos({number: f"{number}" for number in range(files)})
    return world


def _pushed(server: S3Server, folder: Path, kind: str, files: int) -> str:
    world = _world(server, folder, kind, files)
    with started(kind, folder / f"{kind}-cluster") as cluster:
        assert isinstance(cluster, Dask | Ray)
        cluster.know({}, world.config.stores.values())
        cluster.ready()
        killer = threading.Timer(5, lambda: cluster.worker().kill())
        killer.start()
        began = time.monotonic()
        result = push(world.config, "sqlite", workers=WorkerOptions(cluster.address))
        seconds = time.monotonic() - began
        killer.join()
    whole = world.verify(read_data=True).whole
    assert (result.sent, result.findings, whole) == (files, (), True), result
    return f"{kind}: {result.sent:,} files in {seconds:.0f} s, all of them read back; a worker was killed meanwhile"


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("kinds", nargs="*", default=["dask", "ray"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, swift.running(Path(name)) as server:
        for kind in given.kinds:
            folder = Path(name) / f"{kind}-files"
            folder.mkdir()
            sys.stdout.write(_pushed(server, folder, kind, given.files) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
