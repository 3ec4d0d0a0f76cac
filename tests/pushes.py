"""`python -m tests.pushes`: 20,000 files of one object store archived in another by workers of Dask's and of Ray's.

A worker is killed on the way. The archive has to be whole, and its list of files that of a push without workers;
anything else ends this command with an error. The stores are those of a server that is started here, of which one has
some fifteen files a second on two processors, or of a faster one (`--endpoint`, with the keys that
`AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` name, and a bucket `pushes`).
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.kills import Dask, Ray, started
from tests.operations.archive_example import Gallery, gallery
from tests.servers import swift
from toolkit.config import Store, load_config
from toolkit.operations.archive.backends import Backends
from toolkit.operations.archive.push import push
from toolkit.operations.parts.crew import WorkerOptions

BUCKET = "pushes"
_WRITERS = 16
# Workers that share two processors with a store are silent for seconds.
_PATIENCE = 60


@contextmanager
def filled(folder: Path, kinds: Sequence[str], files: int, *, endpoint: str | None) -> Iterator[Gallery]:
    """Rows with files of about 100 bytes, and an archive for each kind of workers and for none."""
    (folder / "toolkit.toml").write_text('metadata = "toolkit.models.todo:metadata"\n')
    config = load_config(folder, {"TOOLKIT_SQLITE_URL": f"sqlite:///{folder}/one.sqlite3"})
    with stores(folder, ("attachments", "plain", *kinds), endpoint=endpoint) as made:
        world = gallery(replace(config, stores=made), "sqlite")
        live = Backends(world.config).get("attachments")
        with ThreadPoolExecutor(_WRITERS) as pool:
            list(pool.map(lambda number: live.write(f"{number}", [b"content %d " % number * 7]), range(files)))
        world.photos({number: f"{number}" for number in range(files)})
        yield world


@contextmanager
def stores(folder: Path, names: Sequence[str], *, endpoint: str | None) -> Iterator[dict[str, Store]]:
    """Stores of these names, for a block."""
    if endpoint is not None:
        keys = {each: os.environ[f"AWS_{each.upper()}"] for each in ("access_key_id", "secret_access_key")}
        yield _stores(folder, names, {"endpoint": endpoint, "region": "us-east-1", "allow_http": True, **keys})
        return
    with swift.running(folder / "swift") as server:
        server.create_bucket(BUCKET)
        yield _stores(folder, names, server.options)


def _stores(folder: Path, names: Sequence[str], options: Mapping[str, str | bool]) -> dict[str, Store]:
    return {each: Store(each, f"s3://{BUCKET}/{each}", folder, options) for each in names}


def pushed(world: Gallery, kind: str, folder: Path, files: int) -> str:
    """Push by workers, one of which is killed when a tenth of the files is there; how long that took."""
    own = replace(world, store=kind)
    with started(kind, folder, _PATIENCE) as cluster:
        assert isinstance(cluster, Dask | Ray)
        cluster.know({}, world.config.stores.values())
        cluster.ready()
        killed = threading.Event()

        def kill() -> None:
            while len(own.objects()) < files / 10:
                time.sleep(0.2)
            cluster.worker().kill()
            killed.set()

        threading.Thread(target=kill, daemon=True).start()
        began = time.monotonic()
        result = push(world.config, world.database, store=kind, workers=WorkerOptions(cluster.address))
        seconds = time.monotonic() - began
    assert killed.is_set()
    assert (result.sent + result.repaired, result.findings) == (files, ()), (result.sent, result.findings, result.notes)
    assert own.verify(read_data=True).whole
    assert _entries(own) == _entries(replace(world, store="plain"))
    return f"{kind}: {files:,} files in {seconds:.0f} s, whole"


def _entries(world: Gallery) -> list[str]:
    return [each.document for each in world.archive.entries(world.archive.find("latest").id)]


def main() -> None:
    """Run it, and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--endpoint", help="a server that runs, with an empty bucket `pushes`")
    parser.add_argument("kinds", nargs="*", default=["dask", "ray"])
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        filled(Path(name), given.kinds, given.files, endpoint=given.endpoint) as world,
    ):
        began = time.monotonic()
        push(world.config, world.database, store="plain")
        sys.stdout.write(f"no workers: {given.files:,} files in {time.monotonic() - began:.0f} s\n")
        for kind in given.kinds:
            sys.stdout.write(f"{pushed(world, kind, Path(name) / secrets.token_hex(4), given.files)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
